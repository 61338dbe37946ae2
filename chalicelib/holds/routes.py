"""HTTP of holds."""

from chalicelib.api.routing import Call, Routes
from chalicelib.holds import service
from chalicelib.holds.errors import CaptureTooLarge, HoldOver, HoldUnknown
from chalicelib.holds.models import CaptureHold, HoldList, HoldPoints, HoldView, ReleaseHold
from chalicelib.identity.models import Caller, Owner
from chalicelib.kernel.ids import HoldId, MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import (
    BalanceTooLarge,
    EntryDiffers,
    HoldsTooMany,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    PointsInsufficient,
)
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House

holds = Routes("holds")


def _owner(house: House, hold_id: HoldId, _: Caller) -> Owner | None:
    return service.owner_of(house.table, hold_id)


holds.owned("hold", "hold_id", _owner, lambda hold_id: HoldUnknown(hold_id=hold_id))


@holds.post(
    "/members/{member_id}/point-holds",
    keyed=True,
    status=201,
    refuses=(
        MemberUnknown, MemberSuspended, MemberClosed, PointsInsufficient, HoldsTooMany, EntryDiffers, BalanceTooLarge,
    ),
)  # fmt: skip
def hold_points(member_id: MemberId, body: HoldPoints, call: Call) -> Outcome[HoldView]:
    """Reserve points of a member for a checkout: nothing else can spend them until they are captured or free again."""
    table = call.house.table
    return service.hold_points(table, book_of(table), member_id, call.key, body, now=call.now)


@holds.get("/members/{member_id}/point-holds", refuses=(MemberUnknown,))
def list_point_holds(member_id: MemberId, call: Call) -> HoldList:
    """The holds of a member that are open, the first one over first."""
    return service.list_open_holds(call.house.table, member_id, now=call.now)


@holds.get("/point-holds/{hold_id}", refuses=(HoldUnknown,))
def get_point_hold(hold_id: HoldId, call: Call) -> HoldView:
    """A hold, and what became of it."""
    return service.find_hold(call.house.table, hold_id, now=call.now)


@holds.post(
    "/point-holds/{hold_id}/capture",
    status=201,
    refuses=(HoldUnknown, HoldOver, CaptureTooLarge, BalanceTooLarge, MemberUnknown),
)
def capture_point_hold(hold_id: HoldId, body: CaptureHold, call: Call) -> Outcome[HoldView]:
    """Spend points that are held, all or part; the rest is free at once.

    A hold ends once. The same capture again gets the first answer; another end is refused.
    """
    table = call.house.table
    return service.capture_hold(table, book_of(table), hold_id, body, now=call.now)


@holds.post(
    "/point-holds/{hold_id}/release",
    status=201,
    refuses=(HoldUnknown, HoldOver, MemberUnknown),
)
def release_point_hold(hold_id: HoldId, body: ReleaseHold, call: Call) -> Outcome[HoldView]:
    """Give points free that are held. One that timed out answers so: its points are free already."""
    table = call.house.table
    return service.release_hold(table, book_of(table), hold_id, body, now=call.now)
