"""What merges and their undoings tell others."""

from collections.abc import Callable
from typing import Any

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import AccountId, MemberId, MergeId
from chalicelib.members.events import MemberContactChanged
from chalicelib.merges.events import MemberMerged, MemberUnmerged
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry
from chalicelib.storage.audited import FOR_THEMSELVES, WENT
from chalicelib.storage.writes import Item


def _merge(entry: Entry, item: Item) -> list[Told]:
    went = item.get(FOR_THEMSELVES) == WENT
    return [MemberMerged(**points_telling.by_hand(entry, item), **_of_merge(entry, item), own_account_went=went)]


def _merge_in(entry: Entry, item: Item) -> list[Told]:
    """Of who stays. At their addresses, and at those of who goes, it is told what they answer to from now on."""
    return [*_merge(entry, item), *_contact_changed(item)]


def _unmerge(entry: Entry, item: Item) -> list[Told]:
    return [MemberUnmerged(**points_telling.by_hand(entry, item), **_of_merge(entry, item)), *_contact_changed(item)]


def _contact_changed(item: Item) -> list[Told]:
    if "ad" not in item:
        return []
    by = item["who"][0] if "who" in item else None
    return [MemberContactChanged(given=tuple(item["ad"]), replaced=(), changed_by=by, merged_id=AccountId(item["mf"]))]


def _of_merge(entry: Entry, item: Item) -> dict[str, Any]:
    return {
        "merge_id": MergeId(item["rf"]),
        "from_member_id": MemberId(item["mf"]),
        "into_member_id": MemberId(item["mi"]),
        "qualifying_points": sum(entry.sums.qualifying.values()) if entry.sums else 0,
    }


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "merge": _merge,
    "merge_in": _merge_in,
    "unmerge": _unmerge,
    "unmerge_in": _unmerge,
}
"""What entries tell, by the kind of their key; the first event of each leads."""
