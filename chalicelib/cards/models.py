"""Cards: what they hold, the commands that change it, and what is answered."""

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, model_validator

from chalicelib.kernel.ids import CardId, EntryId, MemberId
from chalicelib.kernel.money import MINOR_MAX, Minor
from chalicelib.kernel.records import CompatibleReference, Day, Instant, Line, Note, Record, Reference, Slug
from chalicelib.points.models import AccountStatus

USES_MAX = 10_000
"""The most visits a card can be sold with."""

SomeMinor = Annotated[int, Field(ge=1, le=MINOR_MAX)]
"""An amount of money that is not nothing."""

Uses = Annotated[int, Field(ge=1, le=USES_MAX)]


class CardKind(StrEnum):
    """What a card holds."""

    STORED_VALUE = "stored_value"
    """Money: what was paid in (principal), and what was given with it (bonus)."""
    COUNT = "count"
    """Visits, of which each use takes one or several."""


class Paid(Record):
    """Part of a payment, by one means."""

    kind: Slug
    """`cash`, `wechat_pay`, `alipay`, `bank_card` or a word of your own."""
    amount_minor: SomeMinor
    reference: Reference | None = None
    """The payment's own number, by which it can be paid back."""


def _require_sum(means: tuple[Paid, ...], amount_minor: int) -> None:
    total = sum(each.amount_minor for each in means)
    if total != amount_minor:
        raise ValueError(f"the means add up to {total}, not to {amount_minor}")


MeansPaid = Annotated[tuple[Paid, ...], Field(max_length=10)]


class CardLeft(Record):
    """A card that still holds what was paid for."""

    card_id: CardId
    principal_minor: int = 0
    uses: int = 0


class OpenCard(Record):
    """Open a card for a member. A count card is sold with its visits; a stored-value card is empty until a top-up."""

    kind: CardKind
    name: Line | None = None
    """What the card is called, such as its design; no person's name, because it is not sealed."""
    card_number: CompatibleReference | None = None
    """What is printed on it. A number is one card's for ever."""
    uses: Uses | None = None
    """How many visits a count card is sold with."""
    expires_on: Day | None = None
    """Last day on which a count card can be used; without it, it does not expire."""
    price_minor: Minor = 0
    """What the count card cost: visits not used are paid back by their share of it."""
    product: Reference | None = None
    """Your own number for what the visits are for."""
    means: MeansPaid = ()
    """How the price was paid; it adds up to the price."""
    reason: Note | None = None
    """Why something is given that nobody paid for (`card_gifts` of the program). It stands in the audit entry, numbers
    and addresses masked, and nowhere else."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind is CardKind.COUNT:
            if self.uses is None:
                raise ValueError("a count card needs uses")
            _require_sum(self.means, self.price_minor)
        elif self.uses or self.expires_on or self.price_minor or self.product or self.means:
            raise ValueError("uses, expires_on, price_minor, product and means belong to a count card")
        return self


class TopUpCard(Record):
    """Pay money into a stored-value card."""

    amount_minor: SomeMinor
    """What is paid: the principal. It never expires."""
    bonus_minor: Minor = 0
    """What is given with it. It is spent in proportion with the principal and never paid out."""
    bonus_expires_on: Day | None = None
    """Last day of the bonus; without it, it does not expire."""
    means: Annotated[tuple[Paid, ...], Field(min_length=1, max_length=10)]
    """How it was paid; they add up to the amount. A refund goes back by them, the last one first."""
    reference: Reference | None = None
    occurred_at: Instant | None = None
    """When it happened; now, when left out."""
    reason: Note | None = None
    """Why something is given that nobody paid for (`card_gifts` of the program). It stands in the audit entry, numbers
    and addresses masked, and nowhere else."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        _require_sum(self.means, self.amount_minor)
        if self.bonus_expires_on and not self.bonus_minor:
            raise ValueError("bonus_expires_on belongs to a bonus")
        return self


class SpendCard(Record):
    """Pay with a stored-value card."""

    amount_minor: SomeMinor
    reference: Reference | None = None
    """Your own number for what was paid, such as the order's."""
    occurred_at: Instant | None = None
    dry_run: bool = False


class RefundCardSpend(Record):
    """Give a spend back to its card, in part or all that is left of it."""

    spend_id: EntryId
    amount_minor: SomeMinor | None = None
    """All that is left of the spend, when left out."""
    reason: Slug = "returned"
    """A code of your own choosing."""
    occurred_at: Instant | None = None
    dry_run: bool = False


class RefundCard(Record):
    """Pay back what is left on a card, in part or whole, by the means by which it was paid in."""

    amount_minor: SomeMinor | None = None
    """Of a stored-value card's principal; all of it, when left out."""
    top_up_id: EntryId | None = None
    """Only what this top-up paid in; the newest one first, when left out."""
    uses: Uses | None = None
    """Of a count card; all that are left, when left out."""
    reason: Slug = "refunded"
    """A code of your own choosing."""
    dry_run: bool = False


class UseCard(Record):
    """Use a count card."""

    count: Uses = 1
    reference: Reference | None = None
    """Your own number for the visit."""
    occurred_at: Instant | None = None
    dry_run: bool = False


class ReverseCardUse(Record):
    """Take a use back, in part or all that is left of it, because it was a mistake."""

    use_id: EntryId
    count: Uses | None = None
    reason: Slug = "mistake"
    """A code of your own choosing."""
    dry_run: bool = False


class ExtendCard(Record):
    """Let a count card live longer: what is left moves to a later last day, also where it had expired."""

    expires_on: Day
    reason: Slug
    """A code of your own choosing: `shop_closed`, `goodwill` …"""
    dry_run: bool = False


class SuspendCard(Record):
    """Suspend a card, because it was lost: nothing is paid in or spent until it is reinstated."""

    reason: Note
    dry_run: bool = False


class ReinstateCard(Record):
    """End a card's suspension."""

    reason: Note
    dry_run: bool = False


class CloseCard(Record):
    """Close a card for good. It must hold nothing that was paid for; a bonus that is left is taken."""

    reason: Note
    dry_run: bool = False


class Card(Record):
    """What is known of a card besides its account. Only its owner can change."""

    card_id: CardId
    member_id: MemberId
    """The owner."""
    kind: CardKind
    currency: str
    name: str | None = None
    card_number: str | None = None
    uses: int = 0
    price_minor: int = 0
    product: str | None = None
    means: tuple[Paid, ...] = ()
    opened_at: AwareDatetime


class CardBalance(Record):
    """What a stored-value card holds."""

    principal_minor: int
    """Of what was paid in."""
    bonus_minor: int
    """Of what was given."""


class BonusLot(Record):
    """Bonus that expires together."""

    amount_minor: int
    expires_on: date | None
    """Its last day; null when it does not expire."""


class CardView(Record):
    """A card and what it holds now."""

    card_id: CardId
    card_number: str | None
    member_id: MemberId
    """The owner, or who they were merged into."""
    kind: CardKind
    name: str | None
    status: AccountStatus
    currency: str
    balance: CardBalance | None
    """Of a stored-value card; else null."""
    bonus_lots: tuple[BonusLot, ...]
    uses_left: int | None
    """Of a count card; else null."""
    uses: int | None
    """How many it was sold with."""
    expires_on: date | None
    """Last day of a count card; null when it does not expire."""
    price_minor: int | None
    product: str | None
    opened_at: AwareDatetime


class CardList(Record):
    """The card found, or none."""

    items: tuple[CardView, ...]
    next_cursor: None = None


class LookUpCard(Record):
    """A card's number to find it by."""

    card_number: CompatibleReference


class CardLine(StrEnum):
    """What a line of a card's statement is."""

    OPENED = "opened"
    TOP_UP = "top_up"
    SPEND = "spend"
    SPEND_REFUND = "spend_refund"
    REFUND = "refund"
    USE = "use"
    USE_REVERSAL = "use_reversal"
    EXTENSION = "extension"
    EXPIRY = "expiry"
    CLOSURE = "closure"


class Payout(Record):
    """Money that goes back or came in, by one means."""

    kind: str
    amount_minor: int
    reference: str | None
    """The number of the payment that it goes back by, or came in with."""
    top_up_id: EntryId | None = None
    """Of a refund: the top-up that it was paid in with; null for a count card, which is paid once."""


class CardEntryView(Record):
    """A line of a card's statement."""

    entry_id: EntryId
    card_id: CardId
    type: CardLine
    seq: int
    text: str
    """What happened, in one sentence."""
    principal_minor: int
    """Change of the principal."""
    bonus_minor: int
    """Change of the bonus."""
    uses: int
    """Change of the visits that are left."""
    balance_after: int
    """Principal and bonus in minor units, or visits, by the entries so far."""
    money_minor: int
    """What was paid in by the means, or, below nought, paid back by them."""
    means: tuple[Payout, ...]
    expires_on: date | None
    """The last day that the line set: of a bonus, or of the card's visits."""
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    reference: str | None
    reason_code: str | None
    hash: str
    """SHA-256 over the card's entry before and this one's content, in hexadecimal."""
