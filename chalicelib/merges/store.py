"""How merges are kept: what they did beside the ledger, in one item each."""

from collections.abc import Sequence

from chalicelib.merges.models import Merge
from chalicelib.points.errors import AccountMoved
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write


def find_merge(table: Table, key: str) -> Merge | None:
    """A merge by the key of its command, or None."""
    item = table.get(keys.merge(key), consistent=True)
    return Merge.model_validate(item["merge"], strict=False) if item else None


def add_merge(merge: Merge) -> Write:
    """The write that keeps a merge."""
    return Put(keys.merge(merge.key), _item(merge, 1), Absent(), lambda _: AccountMoved())


def undo_merge(merge: Merge) -> Write:
    """The write that keeps what became of a merge, unless it was undone before."""
    return Put(keys.merge(merge.key), _item(merge, 2), Unchanged(1), lambda _: AccountMoved())


def entry_item(
    merge_id: str, from_member_id: str, into_member_id: str, *, reached: Sequence[str] = (), by: str | None = None
) -> Item:
    """The attributes that a merge adds to each of its entries: rf its id, mf who goes, mi who stays.

    Args:
        reached: by what the two sign in, which is another's from then on: `ad`.
        by: who had it made: `who`.
    """
    ids = {"rf": merge_id, "mf": from_member_id, "mi": into_member_id}
    return ids | {"ad": list(reached) or None, "who": [by] if by is not None else None}


def _item(merge: Merge, version: int) -> Item:
    return {"merge": merge.model_dump(mode="json", exclude_none=True), "version": version}
