"""Purchases: the command a till sends, and what it is answered."""

from datetime import date
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from chalicelib.kernel.ids import MemberId, PurchaseId, ShopId
from chalicelib.kernel.money import Currency, Minor, SomePoints
from chalicelib.kernel.records import Instant, Record, Reference
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


class PurchaseView(Record):
    """A purchase and everything that followed from it."""

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
    points_expired: int
    """Of the points earned, those that had expired before the purchase was recorded (it arrived late)."""
    expires_on: date | None
    """Last day of the points earned; null when they do not expire."""
    matures_on: date | None
    """First day on which the points earned can be spent, when they were pending at first; else null."""
    why: tuple[WhyLine, ...]
    discounts: tuple[Discount, ...]
    tier_before: TierName
    """The tier held today, just before; a late purchase earned by the tier of its own month."""
    tier_after: TierName
    balance_after: int
    seq: int
    program_version: int
    hash: str
    """SHA-256 over the member's entry before and this one's content, in hexadecimal."""


class Sale(Record):
    """What is stored of a purchase besides its ledger entry."""

    shop_id: ShopId | None
    currency: str
    paid_minor: int
    tender_minor: int
    lines: tuple[PurchaseLine, ...]
