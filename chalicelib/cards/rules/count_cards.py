"""What is used of a count card, and how long it lasts. Pure."""

from datetime import datetime

from chalicelib.cards.errors import CardEmpty, CardRefundTooLarge, ExtensionNotLater, UsesInsufficient
from chalicelib.cards.models import Card, ExtendCard, ReverseCardUse, UseCard
from chalicelib.cards.rules import holding
from chalicelib.kernel.calendar import NEVER
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Sums, Why
from chalicelib.points.rules import guards, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program


def use(
    account: Account, card: Card, command: UseCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide a use.

    Raises:
        CardSuspended, CardClosed: the card cannot be used.
        UsesInsufficient: fewer are left, or they expired.
        OccurredInFuture: `occurred_at` is later than now.
    """
    holding.require_open(account)
    on = holding.today(account, program, now)
    left, last = holding.uses_left(account, on), holding.last_day_of(account)
    if command.count > left:
        over = last is not None and last < on
        raise UsesInsufficient(asked=command.count, left=left, expired_on=str(last) if over else None)
    draft = Draft(
        key,
        Reason.SPEND,
        guards.not_later(command.occurred_at or now, now),
        consumed=command.count,
        why=(Why(rule_id="uses", points=-command.count, args=()),),
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)


def reverse_use(
    account: Account,
    card: Card,
    used: Entry,
    before: int,
    command: ReverseCardUse,
    key: EntryKey,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> tuple[Posting, int]:
    """Decide the taking back of a use, and what its reversals then come to: as if it had never been.

    Raises:
        CardClosed: the card was closed.
        CardRefundTooLarge: more than is left of the use.
    """
    holding.require_open(account, though_suspended=True)
    left = -used.points - before
    count = left if command.count is None else command.count
    if count > left or left == 0:
        raise CardRefundTooLarge(asked=count, left=left)
    draft = Draft(
        key,
        Reason.REVERSE,
        now,
        consumed=-count,
        period=used.period,
        why=(Why(rule_id="uses", points=count, args=()),),
        reason_code=command.reason,
        cause=used.key,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now), before + count


def extend(
    account: Account, card: Card, command: ExtendCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide an extension: the card's bucket moves to a later day. Visits that had expired come to life again.

    Raises:
        CardClosed: the card was closed.
        CardEmpty: all of it was refunded.
        ExtensionNotLater, ExpiryPast, ExpiryTooFar: the day is not later than the card's, is over, or decades ahead.
    """
    holding.require_open(account, though_suspended=True)
    last = holding.last_day_of(account)
    if last is None:
        raise CardEmpty(card_id=card.card_id)
    if command.expires_on <= last:
        known = last.isoformat() if last != NEVER else None
        raise ExtensionNotLater(expires_on=known, asked=command.expires_on.isoformat())
    holding.require_last_day(command.expires_on, holding.today(account, program, now))
    moved = account.earned[last]
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        sums=Sums(earned={last: -moved, command.expires_on: moved}),
        why=(Why(rule_id="uses", points=0, args=holding.day_args(command.expires_on)),),
        reason_code=command.reason,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)
