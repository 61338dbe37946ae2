"""What merges and their undoings tell others."""

from collections.abc import Callable
from typing import Any

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import MemberId, MergeId
from chalicelib.merges.events import MemberMerged, MemberUnmerged
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry
from chalicelib.storage.writes import Item


def _merge(entry: Entry, item: Item) -> list[Told]:
    return [MemberMerged(**points_telling.leading(entry), **_of_merge(entry, item))]


def _unmerge(entry: Entry, item: Item) -> list[Told]:
    return [MemberUnmerged(**points_telling.leading(entry), **_of_merge(entry, item))]


def _of_merge(entry: Entry, item: Item) -> dict[str, Any]:
    return {
        "merge_id": MergeId(item["rf"]),
        "from_member_id": MemberId(item["mf"]),
        "into_member_id": MemberId(item["mi"]),
        "qualifying_points": sum(entry.sums.qualifying.values()) if entry.sums else 0,
    }


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "merge": _merge,
    "merge_in": _merge,
    "unmerge": _unmerge,
    "unmerge_in": _unmerge,
}
"""What entries tell, by the kind of their key; the first event of each leads."""
