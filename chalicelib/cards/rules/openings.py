"""How cards begin, and how they end. Pure."""

from datetime import date, datetime

from chalicelib.cards.errors import CardNotEmpty
from chalicelib.cards.models import Card, CardKind, OpenCard
from chalicelib.cards.rules import holding, moving
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.ids import CardId
from chalicelib.points.models import Account, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import NO_TIER, today_of


def opening_key(key: str) -> EntryKey:
    """The business key of a card's first entry."""
    return EntryKey(kind="card", parts=(key,))


def card_id_of(command: OpenCard, key: str) -> CardId:
    """The id of the card that a command opens: it follows from its number, or from the key."""
    return CardId.of("number", command.card_number) if command.card_number else CardId.of("key", key)


def opened(card: Card, command: OpenCard, key: str, program: Program, *, content: bytes, now: datetime) -> Posting:
    """Decide the opening of a card: its first entry, with the visits that it was sold with.

    Raises:
        ExpiryPast, ExpiryTooFar: the visits would have expired already, or live for decades.
    """
    on = today_of(program, now)
    if command.expires_on is not None:
        holding.require_last_day(command.expires_on, on)
    uses = command.uses or 0
    why = (
        (Why(rule_id="uses", points=uses, args=holding.day_args(command.expires_on)), *moving.why_paid(command.means))
        if uses
        else ()
    )
    draft = Draft(
        opening_key(key),
        Reason.EARN,
        now,
        earned=uses,
        expires_on=(command.expires_on or NEVER) if uses else None,
        why=why,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(empty(card.card_id, on), draft, program, now=now)


def empty(card_id: CardId, on: date) -> Account:
    """The account of a card before its first entry."""
    return Account(member_id=card_id, opened_on=on, tier_id=NO_TIER)


def close(account: Account, card: Card, key: EntryKey, program: Program, *, now: datetime) -> Posting | None:
    """Take the bonus that is left on a card that closes; None when there is none.

    Raises:
        CardNotEmpty: principal or visits are left.
    """
    on = holding.today(account, program, now)
    if card.kind is CardKind.COUNT:
        if holding.uses_left(account, on):
            raise CardNotEmpty(principal_minor=0, uses=holding.uses_left(account, on))
        return None
    value = holding.value_of(account, on)
    if value.principal:
        raise CardNotEmpty(principal_minor=value.principal, uses=0)
    if not value.bonus:
        return None
    taken = moving.negative(value.bonus)
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        sums=moving.sums_of(taken, taken=value.bonus_total),
        why=moving.why_moved(taken),
        reason_code="card_closed",
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)
