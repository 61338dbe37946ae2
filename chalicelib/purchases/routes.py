"""HTTP of purchases."""

from chalicelib.api.routing import Call, Routes
from chalicelib.holds.errors import CaptureTooLarge, HoldOver, HoldUnknown
from chalicelib.identity.models import Caller, Owner
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.ids import MemberId, PurchaseId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.kernel.records import Record
from chalicelib.members.errors import MemberNumberWrong, MobileInvalid
from chalicelib.points.errors import (
    BalanceTooLarge,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    OccurredInFuture,
    OccurredTooLongAgo,
    PointsInsufficient,
)
from chalicelib.programs.service import book_of
from chalicelib.purchases.errors import (
    CurrencyWrong,
    DeliveredBeforeBought,
    DeliveryDiffers,
    DeliveryNotAwaited,
    NothingLeft,
    PurchaseDiffers,
    PurchaseFixed,
    PurchaseMoved,
    PurchaserUnknown,
    PurchaseTooLarge,
    PurchaseUnknown,
    ReturnDiffers,
    ReturnedBeforeBought,
    ReturnElsewhere,
    ReturnLineUnknown,
    ReturnTooLarge,
    ReturnWaitedTooLong,
    TenderTooLarge,
    TenderTooSmall,
    TenderUneven,
    TooManyWaiting,
)
from chalicelib.purchases.models import (
    DeliverPurchase,
    DeliveryView,
    PurchaseView,
    RecordPurchase,
    RefusedReturn,
    RestatePurchase,
    ReturnOrder,
    ReturnPurchase,
    ReturnView,
    WaitingReturn,
)
from chalicelib.purchases.service import delivering, reading, recording, restating, returning
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys

purchases = Routes("purchases")


def _owner(house: House, purchase_id: PurchaseId, _: Caller) -> Owner | None:
    return reading.owner_of(house.table, purchase_id)


def _owner_of_order(house: House, order: ReturnOrder, _: Caller) -> Owner | None:
    """Whose the purchase is that a return names; one that has not come yet is nobody's."""
    return reading.owner_of(house.table, keys.purchase_id(order.channel, order.order_no))


purchases.owned("purchase", "purchase_id", _owner, lambda purchase_id: PurchaseUnknown(purchase_id=purchase_id))
purchases.owned(
    "order",
    "body",
    _owner_of_order,
    lambda order: PurchaseUnknown(purchase_id=keys.purchase_id(order.channel, order.order_no)),
)


def _may_record_large(call: Call) -> bool:
    return call.signed_in.scope(Permission.PURCHASES_RECORD_LARGE) is not None


class PurchasePage(Page[PurchaseView]):
    """A page of purchases."""


@purchases.post(
    "/purchases",
    status=201,
    refuses=(
        PurchaserUnknown,
        MemberUnknown,
        MemberSuspended,
        MemberClosed,
        MobileInvalid,
        MemberNumberWrong,
        CurrencyWrong,
        OccurredInFuture,
        OccurredTooLongAgo,
        TenderTooSmall,
        TenderUneven,
        TenderTooLarge,
        PurchaseTooLarge,
        PointsInsufficient,
        HoldUnknown,
        HoldOver,
        CaptureTooLarge,
        PurchaseDiffers,
        BalanceTooLarge,
    ),
)
def record_purchase(body: RecordPurchase, call: Call) -> Outcome[PurchaseView]:
    """Record a purchase: what it earns and why, what its points pay, which tier it reaches.

    The channel and order number are its idempotency key, for ever.
    """
    book = book_of(call.house.table)
    return recording.record_purchase(
        call.house.table,
        call.house.keyring,
        book,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        may_be_large=_may_record_large(call),
    )


@purchases.post(
    "/purchases/{purchase_id}/deliveries",
    status=201,
    refuses=(
        PurchaseUnknown,
        DeliveryNotAwaited,
        DeliveryDiffers,
        DeliveredBeforeBought,
        OccurredInFuture,
        MemberClosed,
    ),
)
def deliver_purchase(purchase_id: PurchaseId, body: DeliverPurchase, call: Call) -> Outcome[DeliveryView]:
    """Tell that a purchase with `awaits_delivery` was delivered: its points can be spent the program's `pending_days`
    after that.

    A purchase is delivered once, so it is its own idempotency key: the same again gets the first answer. Of a purchase
    that was never delivered the points stay pending until they expire; return it when it will not be.
    """
    book = book_of(call.house.table)
    return delivering.deliver_purchase(
        call.house.table,
        book,
        purchase_id,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
    )


class ReturnList(Record):
    """The returns of a purchase: applied, waiting for it, or refused after they waited."""

    items: tuple[ReturnView | WaitingReturn | RefusedReturn, ...]
    next_cursor: None = None


_RETURN_REFUSES = (
    PurchaseUnknown,
    NothingLeft,
    ReturnTooLarge,
    ReturnLineUnknown,
    OccurredInFuture,
    ReturnedBeforeBought,
    MemberClosed,
    ReturnDiffers,
    ReturnElsewhere,
    ReturnWaitedTooLong,
    TooManyWaiting,
    BalanceTooLarge,
)


@purchases.post(
    "/purchases/{purchase_id}/returns",
    keyed=True,
    status=201,
    waits=WaitingReturn,
    refuses=_RETURN_REFUSES,
)
def return_purchase(
    purchase_id: PurchaseId, body: ReturnPurchase, call: Call
) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase, or all that is left: points it earned are taken back, points it spent given back.

    Any number of returns in any order that add up to the whole leave the member as if the purchase had never been.

    A return that comes before its purchase waits for it, for 72 hours: 202. The id of a purchase follows from its
    channel and order number; who has only those sends the return to `/v1/returns`. Where the purchase turns out to be
    of a shop that you do not reach, the return is refused for good.
    """
    book = book_of(call.house.table)
    return returning.return_purchase(
        call.house.table,
        book,
        purchase_id,
        call.key,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        within=call.signed_in.within(Permission.PURCHASES_RETURN),
    )


@purchases.post(
    "/returns",
    keyed=True,
    status=201,
    waits=WaitingReturn,
    refuses=_RETURN_REFUSES,
)
def return_order(body: ReturnOrder, call: Call) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase by its channel and order number.

    The same command as a return of the purchase by its id: the same key is the same return.
    """
    book = book_of(call.house.table)
    language = book.language(call.language, call.now)
    within = call.signed_in.within(Permission.PURCHASES_RETURN)
    return returning.return_order(
        call.house.table, book, call.key, body, now=call.now, language=language, within=within
    )


@purchases.get("/purchases/{purchase_id}/returns", refuses=(PurchaseUnknown,))
def list_purchase_returns(purchase_id: PurchaseId, call: Call) -> ReturnList:
    """The returns of a purchase, in the order in which they were recorded; also those that wait for it."""
    book = book_of(call.house.table)
    language = book.language(call.language, call.now)
    return ReturnList(items=reading.list_returns(call.house.table, book, purchase_id, now=call.now, language=language))


@purchases.get("/purchases/{purchase_id}", refuses=(PurchaseUnknown,))
def get_purchase(purchase_id: PurchaseId, call: Call) -> PurchaseView:
    """A purchase as it was recorded, what followed from it, how it is now and how it became so."""
    book = book_of(call.house.table)
    return reading.find_purchase(call.house.table, book, purchase_id, language=book.language(call.language, call.now))


@purchases.put(
    "/purchases/{purchase_id}",
    refuses=(
        PurchaseUnknown,
        PurchaseFixed,
        PurchaseMoved,
        TenderTooSmall,
        TenderUneven,
        TenderTooLarge,
        PurchaseTooLarge,
        PointsInsufficient,
        OccurredTooLongAgo,
        MemberSuspended,
        MemberClosed,
        BalanceTooLarge,
    ),
)
def restate_purchase(purchase_id: PurchaseId, body: RestatePurchase, call: Call) -> Outcome[PurchaseView]:
    """Say how an order is now, after whatever happened to it: the difference in points is worked out and booked.

    What is sent is what the customer keeps (`kept` of the purchase), not what changed. The same again changes nothing.
    """
    if body.version is not None:
        call.require_version(body.version)
    book = book_of(call.house.table)
    return restating.restate_purchase(
        call.house.table,
        book,
        purchase_id,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        may_be_large=_may_record_large(call),
    )


@purchases.get("/members/{member_id}/purchases", me="/me/purchases", refuses=(MemberUnknown, CursorInvalid))
def list_purchases(member_id: MemberId, query: Paging, call: Call) -> PurchasePage:
    """A member's purchases, newest first; of your shops, where you reach no further."""
    scope = ("purchases", member_id)
    book = book_of(call.house.table)
    part = reading.list_purchases(
        call.house.table,
        book,
        member_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        language=book.language(call.language, call.now),
        shop_ids=call.signed_in.within(Permission.PURCHASES_READ),
    )
    return call.page(part, PurchasePage, *scope)
