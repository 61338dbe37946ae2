"""HTTP of transfers."""

from collections.abc import Callable

from chalicelib.api.routing import Call, Routes
from chalicelib.identity.models import Caller, Kind, Owner
from chalicelib.kernel.ids import MemberId, TransferId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.members.errors import ContactChangedLately, MemberNumberWrong, MobileInvalid
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
from chalicelib.transfers import service
from chalicelib.transfers.errors import (
    RecipientUnknown,
    TransferLimitReached,
    TransferOver,
    TransfersOff,
    TransferTooLarge,
    TransferTooSmall,
    TransferToSelf,
    TransferUncovered,
    TransferUnknown,
)
from chalicelib.transfers.models import (
    AcceptTransfer,
    CancelTransfer,
    DeclineTransfer,
    OfferTransfer,
    Side,
    TransferView,
)

transfers = Routes("transfers")


def _owner(*sides: Side) -> Callable[[House, TransferId, Caller], Owner | None]:
    def find(house: House, transfer_id: TransferId, _: Caller) -> Owner | None:
        return service.owner_of(house.table, transfer_id, sides)

    return find


for _name, _sides in (
    ("transfer", (Side.GIVER, Side.RECEIVER)),
    ("transfer_sender", (Side.GIVER,)),
    ("transfer_receiver", (Side.RECEIVER,)),
):
    transfers.owned(_name, "transfer_id", _owner(*_sides), lambda transfer_id: TransferUnknown(transfer_id=transfer_id))


class TransferPage(Page[TransferView]):
    """A page of transfers."""


@transfers.post(
    "/members/{member_id}/point-transfers",
    me="/me/point-transfers",
    keyed=True,
    status=201,
    refuses=(
        RecipientUnknown,
        MobileInvalid,
        MemberNumberWrong,
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        TransfersOff,
        TransferToSelf,
        TransferTooSmall,
        TransferTooLarge,
        TransferLimitReached,
        PointsInsufficient,
        HoldsTooMany,
        EntryDiffers,
        BalanceTooLarge,
        ContactChangedLately,
    ),
)
def offer_point_transfer(member_id: MemberId, body: OfferTransfer, call: Call) -> Outcome[TransferView]:
    """Offer a member's points to another one: they are held until the other accepts, or the time is over."""
    table, by_member = call.house.table, call.signed_in.kind is Kind.MEMBER
    return service.offer_transfer(
        table, call.house.keyring, book_of(table), member_id, call.key, body, now=call.now, by_member=by_member
    )


@transfers.get("/members/{member_id}/point-transfers", me="/me/point-transfers", refuses=(MemberUnknown, CursorInvalid))
def list_point_transfers(member_id: MemberId, query: Paging, call: Call) -> TransferPage:
    """The transfers that a member sent and received, newest first."""
    scope = ("point-transfers", member_id)
    after = call.position(query.cursor, *scope)
    part = service.list_transfers(call.house.table, member_id, after=after, limit=query.limit, now=call.now)
    return call.page(part, TransferPage, *scope)


@transfers.get("/point-transfers/{transfer_id}", refuses=(TransferUnknown,))
def get_point_transfer(transfer_id: TransferId, call: Call) -> TransferView:
    """A transfer, and what became of it."""
    return service.find_transfer(call.house.table, transfer_id, now=call.now)


@transfers.post(
    "/point-transfers/{transfer_id}/accept",
    status=201,
    refuses=(
        TransferUnknown,
        TransferOver,
        TransferUncovered,
        TransferToSelf,
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        BalanceTooLarge,
    ),
)
def accept_point_transfer(transfer_id: TransferId, body: AcceptTransfer, call: Call) -> Outcome[TransferView]:
    """Take the points that were offered, for the receiver. They keep the last days that they have."""
    table = call.house.table
    return service.accept_transfer(table, book_of(table), transfer_id, body, now=call.now)


@transfers.post(
    "/point-transfers/{transfer_id}/cancel",
    status=201,
    refuses=(TransferUnknown, TransferOver, MemberUnknown),
)
def cancel_point_transfer(transfer_id: TransferId, body: CancelTransfer, call: Call) -> Outcome[TransferView]:
    """Take an offer back, for the giver, as long as it was not accepted."""
    table = call.house.table
    return service.end_transfer(table, book_of(table), transfer_id, body, now=call.now)


@transfers.post(
    "/point-transfers/{transfer_id}/decline",
    status=201,
    refuses=(TransferUnknown, TransferOver, MemberUnknown),
)
def decline_point_transfer(transfer_id: TransferId, body: DeclineTransfer, call: Call) -> Outcome[TransferView]:
    """Leave the points that were offered to the giver, for the receiver."""
    table = call.house.table
    return service.end_transfer(table, book_of(table), transfer_id, body, now=call.now)
