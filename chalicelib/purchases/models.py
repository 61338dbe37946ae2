"""Purchases: the command a till sends, and what it is answered."""

from datetime import date
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from chalicelib.kernel.ids import EntryId, HoldId, MemberId, PurchaseId, ShopId
from chalicelib.kernel.money import MINOR_MAX, Currency, Minor, SomePoints
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


class Returned(Record):
    """What returns of a purchase come to."""

    count: int = 0
    """How many returns there were."""
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
    points_hold_id: HoldId | None = None
    """The hold that they were taken from; null where they were not held."""
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
    returned: Returned | None = None
    """What came back since; null when nothing did. The answer of the recording itself never has it."""


class Sale(Record):
    """What is stored of a purchase besides its ledger entry."""

    shop_id: ShopId | None
    currency: str
    paid_minor: int
    tender_minor: int
    lines: tuple[PurchaseLine, ...]
