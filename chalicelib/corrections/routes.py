"""HTTP of corrections."""

from chalicelib.api.routing import Call, Routes
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.corrections import service
from chalicelib.corrections.errors import EntryNotReversible, ReversalDiffers
from chalicelib.corrections.models import EntryDetail, ReverseEntry
from chalicelib.identity.models import Caller, Owner
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import EntryId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import BalanceTooLarge, EntryUnknown, MemberClosed, MemberUnknown, PoolClosed
from chalicelib.points.models import EntryView
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House

corrections = Routes("corrections")


def _owner(house: House, entry_id: EntryId, caller: Caller) -> Owner | None:
    return service.owner_of(house.table, entry_id, caller)


corrections.owned("entry", "entry_id", _owner, lambda entry_id: EntryUnknown(entry_id=entry_id))


@corrections.get("/point-entries/{entry_id}", refuses=(EntryUnknown,))
def get_entry(entry_id: EntryId, call: Call) -> EntryDetail:
    """A ledger entry in full, and what took it back."""
    book = book_of(call.house.table)
    return service.find_entry(call.house.table, book, entry_id, language=book.language(call.language, call.now))


@corrections.post(
    "/point-entries/{entry_id}/reversals",
    status=201,
    waits=ApprovalView,
    refuses=(
        ApprovalNeeded,
        ApprovalDiffers,
        ApprovalOutgrown,
        EntryUnknown,
        EntryNotReversible,
        MemberUnknown,
        MemberClosed,
        PoolClosed,
        BalanceTooLarge,
        ReversalDiffers,
    ),
)
def reverse_entry(entry_id: EntryId, body: ReverseEntry, call: Call) -> Outcome[EntryView] | Outcome[ApprovalView]:
    """Take an entry back: a spend, an adjustment, a gift, a write-off; or a reversal, so that its entry counts again.

    An entry is taken back once; the same request again gets its first answer. More points than the program lets one
    person move by hand within a day wait for a second one, for 72 hours: 202. What was not approved can be asked again.
    """
    table, book = call.house.table, book_of(call.house.table)
    language, limits = book.language(call.language, call.now), book.current(call.now).approvals

    def do(clearance: Clearance) -> Outcome[EntryView]:
        return service.reverse_entry(table, book, entry_id, body, now=call.now, language=language, clearance=clearance)

    asked = asking(ApprovalKind.REVERSAL, entry_id, entry_id, body, call.signed_in, Permission.POINTS_ADJUST)
    return alone_or_asked(
        table, call.words, asked, limit=limits.adjustment_points_max, given_limit=limits.given_points_max,
        dry_run=body.dry_run, do=do, now=call.now, again=True,
    )  # fmt: skip
