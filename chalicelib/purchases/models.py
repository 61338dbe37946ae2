"""Purchases: the command a till sends, and what it is answered."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from chalicelib.kernel.ids import EntryId, HoldId, MemberId, PurchaseId, ShopId
from chalicelib.kernel.money import MINOR_MAX, POINTS_MAX, Currency, Minor, SomePoints
from chalicelib.kernel.records import Instant, Record, Reference, Slug
from chalicelib.kernel.records import Line as TextLine
from chalicelib.members.models import MemberRef
from chalicelib.points.models import WhyLine

LINES_MAX = 200

Channel = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$")]
"""Where orders are numbered: a till, a web store, a delivery platform."""


class PurchaseLine(Record):
    """A line of a basket."""

    sku: Reference
    name: TextLine | None = None
    category: TextLine | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]
    unit_price_minor: Minor


class RecordPurchase(Record):
    """Record a purchase. `channel` and `order_no` are its idempotency key, for ever."""

    channel: Channel
    order_no: Reference
    member: MemberRef
    shop_id: ShopId | None = None
    occurred_at: Instant
    """When it was bought: it may arrive late and still counts in its own month."""
    currency: Currency
    """Must be the program's."""
    lines: Annotated[tuple[PurchaseLine, ...], Field(max_length=LINES_MAX)] = ()
    paid_minor: Minor
    """What was paid in money, after discounts and without what points paid: this earns. It is the till's word: tax,
    tips, delivery and vouchers may make it another figure than the lines add up to."""
    points_tender: SomePoints | None = None
    """Points that pay for part of the purchase (积分抵现)."""
    points_hold_id: HoldId | None = None
    """A hold that the points are taken from: as many as `points_tender` says, or all of them. The rest is free."""
    awaits_delivery: bool = False
    """The points earned can be spent only when the delivery was told, and the program's `pending_days` after it. Until
    then they stay pending, however long that is."""
    dry_run: bool = False


class TierName(Record):
    """A tier, by id and name."""

    tier_id: str
    name: str


class Discount(Record):
    """What was taken off the price."""

    kind: str
    """`points_tender`"""
    points: int
    amount_minor: int


class ReturnLine(Record):
    """Part of a basket that comes back."""

    sku: Reference
    quantity: Annotated[int, Field(ge=1, le=1_000_000)]


class ReturnPurchase(Record):
    """Return part of a purchase, by lines or by amount; all that is left of it, when neither is named."""

    lines: Annotated[tuple[ReturnLine, ...], Field(max_length=LINES_MAX)] = ()
    amount_minor: Annotated[int, Field(ge=1, le=MINOR_MAX)] | None = None
    """Of what the lines cost; of what was paid in money and points, where the purchase has no lines."""
    reason: Slug = "returned"
    """A code of your own choosing: `damaged`, `unwanted` …"""
    occurred_at: Instant | None = None
    """When it came back; now, when left out."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.lines and self.amount_minor is not None:
            raise ValueError("name lines or an amount, not both")
        return self


class OrderName(Record):
    """What an order is called, for ever."""

    channel: Channel
    order_no: Reference


class ReturnOrder(ReturnPurchase):
    """Return part of a purchase of which only the order number is known: the same command, found another way."""

    channel: Channel
    order_no: Reference


class Waiting(Record):
    """A return that came before its purchase."""

    key: str
    """The caller's."""
    content: bytes
    """Digest of the command; whose purchase it is, is not known yet."""
    command: ReturnPurchase
    received_at: AwareDatetime
    shop_ids: tuple[ShopId, ...] | None = None
    """The shops that whoever sent it reaches; None where that is all. Of another shop's purchase it returns nothing."""


class Returned(Record):
    """What returns of a purchase come to, of the order as it was last stated."""

    count: int = 0
    """How many returns there were since it was last stated."""
    amount_minor: int = 0
    """Of the goods."""
    refund_minor: int = 0
    """Of the money that was paid."""
    points_taken_back: int = 0
    """Of the points earned."""
    points_given_back: int = 0
    """Of the points that paid for part of the purchase; they are back in the lots that they came from."""
    qualifying_taken_back: int = 0
    quantities: tuple[int, ...] = ()
    """Of each line."""


class ReturnView(Record):
    """A return and what followed from it."""

    status: Literal["applied"] = "applied"
    return_id: EntryId
    purchase_id: PurchaseId
    member_id: MemberId
    reason: str
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    currency: str
    lines: tuple[ReturnLine, ...]
    amount_minor: int
    """What the goods that came back cost."""
    refund_minor: int
    """What the till pays back in money."""
    points_taken_back: int
    points_given_back: int
    points_expired: int
    """Of the points given back, those that had expired since; below nought, points that had expired and now count as
    the ones that were taken back."""
    why: tuple[WhyLine, ...]
    tier_before: TierName
    tier_after: TierName
    balance_after: int
    """Below nought when the member owes points."""
    seq: int
    program_version: int
    hash: str


class WaitingReturn(Record):
    """A return that waits for its purchase. When that comes, it is carried out in the same transaction."""

    status: Literal["waiting"] = "waiting"
    return_id: EntryId
    purchase_id: PurchaseId
    reason: str
    lines: tuple[ReturnLine, ...]
    """All that there is, when neither lines nor an amount are named."""
    amount_minor: int | None
    received_at: AwareDatetime
    waits_until: AwareDatetime
    """A purchase that comes later is recorded without this return, which is refused then."""


class RefusedReturn(Record):
    """A return that waited for its purchase and was refused."""

    status: Literal["refused"] = "refused"
    return_id: EntryId
    purchase_id: PurchaseId
    reason: str
    lines: tuple[ReturnLine, ...]
    amount_minor: int | None
    received_at: AwareDatetime
    refused_at: AwareDatetime
    code: str
    """As in a problem: `return_too_large`, `return_waited_too_long` …"""
    detail: str
    facts: dict[str, str | int]


class DeliverPurchase(Record):
    """Tell that a purchase was delivered, once."""

    delivered_at: Instant | None = None
    """When it was; now, when left out."""
    dry_run: bool = False


class Delivery(Record):
    """What is kept of a delivery beside its purchase."""

    delivered_at: AwareDatetime
    matures_on: date | None
    """First day on which the points can be spent; null when that had come already."""


class DeliveryView(Record):
    """A delivery and what followed from it."""

    delivery_id: EntryId
    purchase_id: PurchaseId
    member_id: MemberId
    delivered_at: AwareDatetime
    recorded_at: AwareDatetime
    points_released: int
    """Of the points earned, those that waited for the delivery until now: not what was returned, or had expired."""
    spendable_on: date
    """First day on which they can be spent."""
    why: tuple[WhyLine, ...]
    balance_after: int
    seq: int
    program_version: int
    hash: str


class RestatePurchase(Record):
    """Say how an order is now: what the customer keeps, whatever happened to it before.

    What names the order may be sent along as it was read; it cannot change.
    """

    lines: Annotated[tuple[PurchaseLine, ...], Field(max_length=LINES_MAX)] = ()
    paid_minor: Minor
    """What is paid in money now, after all that was paid back."""
    points_tender: Annotated[int, Field(ge=0, le=POINTS_MAX)] = 0
    """Points that pay for part of it now, after those that were given back."""
    version: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """The purchase's version that this is based on; when left out, the last word counts."""
    reason: Slug = "restated"
    """A code of your own choosing."""
    member_id: MemberId | None = None
    channel: Channel | None = None
    order_no: Reference | None = None
    shop_id: ShopId | None = None
    occurred_at: Instant | None = None
    currency: Currency | None = None
    dry_run: bool = False


class RestatementView(Record):
    """A restatement of a purchase and what followed from it."""

    restatement_id: EntryId
    reason: str
    recorded_at: AwareDatetime
    lines: tuple[PurchaseLine, ...]
    """As they were stated."""
    paid_minor: int
    points_tender: int
    points_earned: int
    """Change of the points earned, up or down."""
    points_spent: int
    """Change of the points that pay for part of it, up or down."""
    points_expired: int
    """Of the points earned, those that had expired since; below nought, points that had expired and now count as the
    ones that were taken back or spent."""
    why: tuple[WhyLine, ...]
    tier_before: TierName
    tier_after: TierName
    balance_after: int
    """Below nought when the member owes points."""
    seq: int
    program_version: int
    hash: str


class Kept(Record):
    """What the customer keeps of an order: as it is now, after returns and restatements."""

    lines: tuple[PurchaseLine, ...]
    """Less what came back line by line; a return by amount takes no line away."""
    paid_minor: int
    points_tender: int
    points_earned: int


class PurchaseView(Record):
    """A purchase and everything that followed from it, as it was recorded first; `kept` is how it is now."""

    purchase_id: PurchaseId
    member_id: MemberId
    channel: str
    order_no: str
    shop_id: ShopId | None
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    currency: str
    lines: tuple[PurchaseLine, ...]
    paid_minor: int
    points_earned: int
    points_tendered: int
    points_hold_id: HoldId | None = None
    """The hold that they were taken from; null where they were not held."""
    points_expired: int
    """Of the points earned, those that had expired before the purchase was recorded (it arrived late)."""
    expires_on: date | None
    """Last day of the points earned; null when they do not expire."""
    matures_on: date | None
    """First day on which the points earned can be spent, when they were pending at first; else null, also while they
    wait for a delivery."""
    awaits_delivery: bool = False
    """The points earned cannot be spent before the delivery is told."""
    delivered_at: AwareDatetime | None = None
    """When it was delivered, where the points waited for that; null while they do."""
    why: tuple[WhyLine, ...]
    discounts: tuple[Discount, ...]
    tier_before: TierName
    """The tier held today, just before; a late purchase earned by the tier of its own month."""
    tier_after: TierName
    """The tier held just after, and after the returns that waited for the purchase."""
    balance_after: int
    """What the member has after the purchase, and after the returns that waited for it."""
    seq: int
    program_version: int
    hash: str
    """SHA-256 over the member's entry before and this one's content, in hexadecimal."""
    version: int = 0
    """How often it was returned, restated or delivered. In the answer of the recording itself 0, and so is all that
    follows."""
    kept: Kept | None = None
    """The order as it is now; null while it is as it was recorded."""
    returned: Returned | None = None
    """What came back since the order was last stated; null when nothing did."""
    history: tuple[ReturnView | RestatementView, ...] = ()
    """Returns and restatements in the order in which they were recorded, where one purchase is asked for."""


@dataclass(frozen=True, slots=True)
class After:
    """What an account had after a purchase and the returns that waited for it, which went with it."""

    balance: int
    tier_id: str


class Sale(Record):
    """What is stored of a purchase besides its ledger entry."""

    shop_id: ShopId | None
    currency: str
    paid_minor: int
    tender_minor: int
    lines: tuple[PurchaseLine, ...]
    awaits_delivery: bool = False
