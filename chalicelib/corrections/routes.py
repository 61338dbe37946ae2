"""HTTP of corrections."""

from chalicelib.api.permissions import Permission
from chalicelib.api.routing import Call, Routes
from chalicelib.corrections import service
from chalicelib.corrections.errors import EntryNotReversible, ReversalDiffers
from chalicelib.corrections.models import EntryDetail, ReverseEntry
from chalicelib.kernel.ids import EntryId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import BalanceTooLarge, EntryUnknown, MemberClosed, MemberUnknown
from chalicelib.points.models import EntryView
from chalicelib.programs.service import book_of

corrections = Routes("corrections")


@corrections.get("/point-entries/{entry_id}", allow=Permission.POINTS_READ, refuses=(EntryUnknown,))
def get_entry(entry_id: EntryId, call: Call) -> EntryDetail:
    """A ledger entry in full, and what took it back."""
    book = book_of(call.house.table)
    return service.find_entry(call.house.table, book, entry_id, language=book.language(call.language, call.now))


@corrections.post(
    "/point-entries/{entry_id}/reversals",
    allow=Permission.POINTS_ADJUST,
    status=201,
    refuses=(EntryUnknown, EntryNotReversible, MemberUnknown, MemberClosed, BalanceTooLarge, ReversalDiffers),
)
def reverse_entry(entry_id: EntryId, body: ReverseEntry, call: Call) -> Outcome[EntryView]:
    """Take an entry back: a spend, an adjustment, a gift, a write-off; or a reversal, so that its entry counts again.

    An entry is taken back once; the same request again gets its first answer.
    """
    book = book_of(call.house.table)
    return service.reverse_entry(
        call.house.table, book, entry_id, body, now=call.now, language=book.language(call.language, call.now)
    )
