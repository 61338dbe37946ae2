"""HTTP of merges."""

from chalicelib.api.routing import Call, Routes
from chalicelib.identity.errors import PermissionMissing
from chalicelib.kernel.ids import MergeId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.merges import service
from chalicelib.merges.errors import (
    IdentifiersTooMany,
    MemberMerged,
    MembersSame,
    MergeDiffers,
    MergeUnknown,
    SurvivorMerged,
    UndoDiffers,
    UndoLeavesDebt,
    UndoTooLate,
)
from chalicelib.merges.models import MergeMembers, MergeView, UndoMerge, UndoView
from chalicelib.points.errors import BalanceTooLarge, HoldsOpen, MemberClosed, MemberSuspended, MemberUnknown
from chalicelib.programs.service import book_of

merges = Routes("merges")


@merges.post(
    "/member-merges",
    keyed=True,
    status=201,
    refuses=(
        MemberUnknown,
        MembersSame,
        MemberMerged,
        MemberSuspended,
        MemberClosed,
        HoldsOpen,
        IdentifiersTooMany,
        BalanceTooLarge,
        MergeDiffers,
        PermissionMissing,
    ),
)
def merge_members(body: MergeMembers, call: Call) -> Outcome[MergeView]:
    """Make one member of two memberships of the same person.

    Points, purchases, history and identifiers are the other's from then on, and the old id answers with the new one.
    Who signs in as one of them is the other, too. So where one has a mobile number or an e-mail address it is a change
    of those: it needs `members:change_contact`, ends the sessions of both, is told to all their addresses, and for 72
    hours members signed in have their own data masked, and neither export nor erase them. Whose shops are some merges
    members of those shops.
    """
    house = call.house
    book = book_of(house.table)
    return service.merge_members(
        house.table,
        house.keyring,
        book,
        call.key,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        by=call.signed_in,
    )


@merges.get("/member-merges/{merge_id}", refuses=(MergeUnknown,))
def get_merge(merge_id: MergeId, call: Call) -> MergeView:
    """A merge: what it moved, until when it can be undone, and its undoing.

    Whose shops are some sees those of members of whom one has a home shop of theirs.
    """
    book = book_of(call.house.table)
    language = book.language(call.language, call.now)
    return service.find_merge(call.house.table, book, merge_id, language=language, by=call.signed_in)


@merges.post(
    "/member-merges/{merge_id}/undo",
    status=201,
    refuses=(
        MergeUnknown,
        UndoTooLate,
        UndoLeavesDebt,
        SurvivorMerged,
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        BalanceTooLarge,
        UndoDiffers,
    ),
)
def undo_merge(merge_id: MergeId, body: UndoMerge, call: Call) -> Outcome[UndoView]:
    """Undo a merge within 30 days: what was moved moves back, what happened since stays.

    A merge is undone once; the same request again gets its first answer. Where what goes back was spent since, whoever
    stayed owes it: that needs `members:undo_owing`. Sessions of both are over, as after the merge.
    """
    house = call.house
    book = book_of(house.table)
    return service.undo_merge(
        house.table,
        house.keyring,
        book,
        merge_id,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        by=call.signed_in,
    )
