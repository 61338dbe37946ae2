"""How holds are stored: as the entry that reserves points, and the one item that ends it.

That item is the entry of the capture, release or time-out; or, where a purchase is paid with the hold, a plain item
that names it: pu the purchase, c points captured, and o instant (ms), n seq, b balance after, h hash of its entry.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chalicelib.kernel.calendar import milliseconds
from chalicelib.points.errors import AccountMoved
from chalicelib.points.models import Entry, EntryKey
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Write


def find(table: Table, key: EntryKey, *, consistent: bool = False) -> Item | None:
    """What is stored under the key of a hold or of its end, or None."""
    return table.get(_place(key), consistent=consistent)


def list_holds(table: Table, wanted: Sequence[EntryKey]) -> list[Item]:
    """The items of several holds, in their order."""
    found = table.get_many([_place(key) for key in wanted])
    return [found[_place(key)] for key in wanted if _place(key) in found]


def end_with_purchase(end_key: EntryKey, entry: Entry, *, now: datetime) -> Write:
    """The write that ends a hold with the purchase that it paid for."""
    item: dict[str, Any] = {
        "pu": keys.purchase_id(*entry.key.parts),
        "c": entry.consumed,
        "o": milliseconds(now),
        "n": entry.seq,
        "b": entry.balance_after - (entry.lapsed or 0),
        "h": entry.hash,
    }
    return Put(_place(end_key), item, Absent(), lambda _: AccountMoved())


def _place(key: EntryKey) -> Key:
    return keys.entry(key.kind, *key.parts)
