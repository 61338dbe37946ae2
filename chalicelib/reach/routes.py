"""HTTP of addresses that are not written to."""

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.ids import SuppressionId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.programs.service import book_of
from chalicelib.reach import service
from chalicelib.reach.errors import AddressInvalid, SuppressionUnknown
from chalicelib.reach.models import LiftSuppression, SuppressAddress, Suppression

reach = Routes("reach")


class SuppressionPage(Page[Suppression]):
    """A page of addresses that are not written to."""


@reach.post("/suppressions", status=201, refuses=(AddressInvalid,))
def suppress_address(body: SuppressAddress, call: Call) -> Outcome[Suppression]:
    """See that an address is not written to any more, whoever has it and whatever they consent to.

    The address is kept nowhere, only a blind index of it. The same again changes nothing, and answers the one that
    there is; so a dry run tells whether an address is among them, and which it is.
    """
    house, by = call.house, call.signed_in.subject
    return service.suppress_address(house.table, house.keyring, book_of(house.table), body, by=by, now=call.now)


@reach.get("/suppressions", refuses=(CursorInvalid,))
def list_suppressions(query: Paging, call: Call) -> SuppressionPage:
    """Addresses that are not written to, the latest first."""
    after = call.position(query.cursor, "suppressions")
    part = service.list_suppressions(call.house.table, after=after, limit=query.limit)
    return call.page(part, SuppressionPage, "suppressions")


@reach.get("/suppressions/{suppression_id}", refuses=(SuppressionUnknown,))
def get_suppression(suppression_id: SuppressionId, call: Call) -> Suppression:
    """An address that is not written to, or was not for a while."""
    return service.find_suppression(call.house.table, suppression_id)


@reach.post("/suppressions/{suppression_id}/lifts", status=201, refuses=(SuppressionUnknown,))
def lift_suppression(suppression_id: SuppressionId, body: LiftSuppression, call: Call) -> Outcome[Suppression]:
    """See that an address may be written to again, as far as its member consents."""
    house, by = call.house, call.signed_in.subject
    return service.lift_suppression(house.table, house.keyring, suppression_id, body, by=by, now=call.now)
