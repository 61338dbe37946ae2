"""What members' profiles and notes tell others."""

from collections.abc import Callable

from chalicelib.kernel.events import Occurrence, Told
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.members import store
from chalicelib.members.events import (
    MemberClosed,
    MemberContactChanged,
    MemberEdited,
    MemberErased,
    MemberReinstated,
    MemberSuspended,
)
from chalicelib.points.models import Happened
from chalicelib.storage.writes import Item


def _enrolment(item: Item) -> Occurrence:
    joined_at = store.joined_at(item)
    return Occurrence(store.enrolled_from(item), MemberId(item["member_id"]), joined_at, joined_at)


def _edited(note: Happened) -> list[Told]:
    told: list[Told] = [MemberEdited(fields=tuple(note.facts["fields"]))]
    given, replaced = tuple(note.facts.get("given", ())), tuple(note.facts.get("replaced", ()))
    if given or replaced:
        told.append(MemberContactChanged(given=given, replaced=replaced, changed_by=note.facts.get("by")))
    return told


FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    "edited": _edited,
    "suspended": lambda _: [MemberSuspended()],
    "reinstated": lambda _: [MemberReinstated()],
    "closed": lambda _: [MemberClosed()],
    "erased": lambda note: [MemberErased(former_ids=tuple(AccountId(each) for each in note.facts["former"]))],
}
"""What notes on the timeline tell, by their kind."""

FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "M PROFILE": _enrolment,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
