"""HTTP of purchases."""

from chalicelib.api.permissions import Permission
from chalicelib.api.routing import Call, Routes
from chalicelib.holds.errors import CaptureTooLarge, HoldOver, HoldUnknown
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
from chalicelib.purchases import service
from chalicelib.purchases.errors import (
    CurrencyWrong,
    NothingLeft,
    PurchaseDiffers,
    PurchaserUnknown,
    PurchaseUnknown,
    ReturnDiffers,
    ReturnedBeforeBought,
    ReturnLineUnknown,
    ReturnTooLarge,
    TenderTooLarge,
    TenderTooSmall,
    TenderUneven,
)
from chalicelib.purchases.models import PurchaseView, RecordPurchase, ReturnPurchase, ReturnView

purchases = Routes("purchases")


class PurchasePage(Page[PurchaseView]):
    """A page of purchases."""


@purchases.post(
    "/purchases",
    allow=Permission.PURCHASES_RECORD,
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
    return service.record_purchase(
        call.house.table,
        call.house.keyring,
        book,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
    )


class ReturnList(Record):
    """The returns of a purchase."""

    items: tuple[ReturnView, ...]
    next_cursor: None = None


@purchases.post(
    "/purchases/{purchase_id}/returns",
    allow=Permission.PURCHASES_RETURN,
    keyed=True,
    status=201,
    refuses=(
        PurchaseUnknown,
        NothingLeft,
        ReturnTooLarge,
        ReturnLineUnknown,
        OccurredInFuture,
        ReturnedBeforeBought,
        MemberClosed,
        ReturnDiffers,
        BalanceTooLarge,
    ),
)
def return_purchase(purchase_id: PurchaseId, body: ReturnPurchase, call: Call) -> Outcome[ReturnView]:
    """Return part of a purchase, or all that is left: points it earned are taken back, points it spent given back.

    Any number of returns in any order that add up to the whole leave the member as if the purchase had never been.
    """
    book = book_of(call.house.table)
    return service.return_purchase(
        call.house.table,
        book,
        purchase_id,
        call.key,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
    )


@purchases.get("/purchases/{purchase_id}/returns", allow=Permission.PURCHASES_READ, refuses=(PurchaseUnknown,))
def list_purchase_returns(purchase_id: PurchaseId, call: Call) -> ReturnList:
    """The returns of a purchase, in the order in which they were recorded."""
    book = book_of(call.house.table)
    language = book.language(call.language, call.now)
    return ReturnList(items=service.list_returns(call.house.table, book, purchase_id, language=language))


@purchases.get("/purchases/{purchase_id}", allow=Permission.PURCHASES_READ, refuses=(PurchaseUnknown,))
def get_purchase(purchase_id: PurchaseId, call: Call) -> PurchaseView:
    """A purchase with its lines and what followed from it."""
    book = book_of(call.house.table)
    return service.find_purchase(call.house.table, book, purchase_id, language=book.language(call.language, call.now))


@purchases.get(
    "/members/{member_id}/purchases", allow=Permission.PURCHASES_READ, refuses=(MemberUnknown, CursorInvalid)
)
def list_purchases(member_id: MemberId, query: Paging, call: Call) -> PurchasePage:
    """A member's purchases, newest first."""
    scope = ("purchases", member_id)
    book = book_of(call.house.table)
    part = service.list_purchases(
        call.house.table,
        book,
        member_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        language=book.language(call.language, call.now),
    )
    return call.page(part, PurchasePage, *scope)
