"""How transfers are stored: as the giver's entry that holds the points, and the item that ends the hold.

Beside the offer: to the receiver, msg the giver's words. A transfer is listed for both members by two rows in the
timeline index, which say nothing but where it is: what became of it is read from its entries.
"""

from typing import Any

from chalicelib.kernel.ids import AccountId
from chalicelib.points.errors import AccountMoved
from chalicelib.points.models import Entry, EntryKey
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Write

GIVER, RECEIVER = "giver", "receiver"


def find(table: Table, key: EntryKey, *, consistent: bool = False) -> Item | None:
    """What is stored under the key of an offer or of its end, or None."""
    return table.get(_place(key), consistent=consistent)


def list_rows(table: Table, member_id: AccountId, *, after: str | None, limit: int) -> tuple[list[str], str | None]:
    """Keys of a member's transfers, newest first, and where the next ones start."""
    rows = table.query_timeline(keys.transfers(member_id), after=after, limit=limit)
    return [keys.parted(row["pk"])[1] for row in rows.items], rows.last


def find_many(table: Table, wanted: list[EntryKey]) -> dict[EntryKey, Item]:
    """The items of several offers and ends; those that are missing are left out."""
    found = table.get_many([_place(key) for key in wanted])
    return {key: found[_place(key)] for key in wanted if _place(key) in found}


def listing(offer: Entry, receiver: AccountId) -> list[Write]:
    """The writes that list a transfer for its giver and its receiver."""
    (key,) = offer.key.parts
    at = keys.transfer_moment(offer.recorded_at, key)
    sides: list[tuple[str, AccountId]] = [(GIVER, offer.member_id), (RECEIVER, receiver)]
    return [_row(key, side, {"tl": keys.transfers(member_id), "at": at}) for side, member_id in sides]


def _row(key: str, side: str, item: dict[str, Any]) -> Write:
    return Put(keys.transfer_row(key, side), item, Absent(), lambda _: AccountMoved())


def _place(key: EntryKey) -> Key:
    return keys.entry(key.kind, *key.parts)
