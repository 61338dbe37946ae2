"""HTTP of deliveries: what became of messages."""

from chalicelib.api.routing import Call, Routes
from chalicelib.deliveries.errors import DeliveriesAskedWrong, DeliveryRunUnknown
from chalicelib.deliveries.models import DeliveriesAsked, MessageDelivery, RunId, RunProgress
from chalicelib.deliveries.service import reading
from chalicelib.kernel.pages import CursorInvalid, Page
from chalicelib.lake.errors import LakeMissing

deliveries = Routes("deliveries")


class MessageDeliveryPage(Page[MessageDelivery]):
    """A page of deliveries."""


@deliveries.get("/deliveries", refuses=(DeliveriesAskedWrong, DeliveryRunUnknown, CursorInvalid, LakeMissing))
def list_deliveries(query: DeliveriesAsked, call: Call) -> MessageDeliveryPage:
    """What a member was sent, the newest first; or what became of a run's recipients, in the order of its plan.

    Of a member: `limit` of them, a minute after they were sent. Of a run: as it is now, with `outcome=unknown` those of
    whom nobody knows whether their message went out; pages may be short before the last one.
    """
    house = call.house
    if (query.member_id is None) == (query.run_id is None):
        raise DeliveriesAskedWrong
    if query.member_id is not None:
        found = reading.list_of_member(house.ops, house.functions, query.member_id, limit=query.limit)
        return MessageDeliveryPage(items=found)
    assert query.run_id is not None
    scope = ("deliveries", query.run_id, query.outcome or "")
    part = reading.list_of_run(
        house.table, house.ops, house.objects, query.run_id, query.outcome,
        after=call.position(query.cursor, *scope), limit=query.limit,
    )  # fmt: skip
    return call.page(part, MessageDeliveryPage, *scope)


@deliveries.get("/delivery-runs/{run_id}", refuses=(DeliveryRunUnknown,))
def get_delivery_run(run_id: RunId, call: Call) -> RunProgress:
    """How far a run is: recipients by outcome, exact for the parts that are through, and the parts that are stuck."""
    return reading.run_progress(call.house.table, call.house.ops, run_id)
