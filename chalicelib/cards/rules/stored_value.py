"""What is put on a stored-value card, taken from it and given back to it. Pure."""

from datetime import date, datetime

from chalicelib.cards.errors import CardBalanceInsufficient, CardLimitExceeded, CardRefundTooLarge
from chalicelib.cards.models import Card, RefundCardSpend, SpendCard, TopUpCard
from chalicelib.cards.rules import holding, moving
from chalicelib.cards.rules.holding import PRINCIPAL, UNDATED, Value
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import guards, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import card_limit_minor


def top_up(
    account: Account, card: Card, command: TopUpCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide a top-up.

    Raises:
        CardSuspended, CardClosed: the card takes nothing.
        ExpiryPast, ExpiryTooFar: the bonus would have expired already, or live for decades.
        CardLimitExceeded: the card would hold more than the program lets a card hold.
        OccurredInFuture: `occurred_at` is later than now.
    """
    holding.require_open(account)
    on = holding.today(account, program, now)
    if command.bonus_expires_on is not None:
        holding.require_last_day(command.bonus_expires_on, on)
    after, limit = (
        holding.value_of(account, on).total + command.amount_minor + command.bonus_minor,
        card_limit_minor(program),
    )
    if after > limit:
        raise CardLimitExceeded(balance_minor=after, limit_minor=limit)
    bonus_on = command.bonus_expires_on or UNDATED
    given = {PRINCIPAL: command.amount_minor, bonus_on: command.bonus_minor}
    why = [Why(rule_id="principal", points=command.amount_minor, args=())]
    if command.bonus_minor:
        why.append(Why(rule_id="bonus", points=command.bonus_minor, args=holding.day_args(command.bonus_expires_on)))
    draft = Draft(
        key,
        Reason.EARN,
        guards.not_later(command.occurred_at or now, now),
        sums=moving.sums_of(given, earned=sum(given.values())),
        why=(*why, *moving.why_paid(command.means)),
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)


def shares(value: Value, amount: int) -> dict[date, int]:
    """What a spend takes, by bucket: principal and bonus in the proportion in which they are there.

    The bonus' share is rounded down, and taken from what expires first. A spend of all that is there takes all of both.
    """
    bonus = amount * value.bonus_total // value.total
    taken = {PRINCIPAL: amount - bonus}
    for day, there in sorted(value.bonus.items()):
        taken[day] = min(there, bonus)
        bonus -= taken[day]
    return {day: minor for day, minor in taken.items() if minor}


def spend(
    account: Account, card: Card, command: SpendCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide a spend.

    Raises:
        CardSuspended, CardClosed: the card pays for nothing.
        CardBalanceInsufficient: it holds less; it never owes.
        OccurredInFuture: `occurred_at` is later than now.
    """
    holding.require_open(account)
    value = holding.value_of(account, holding.today(account, program, now))
    if command.amount_minor > value.total:
        raise CardBalanceInsufficient(asked_minor=command.amount_minor, available_minor=value.total)
    taken = shares(value, command.amount_minor)
    draft = Draft(
        key,
        Reason.SPEND,
        guards.not_later(command.occurred_at or now, now),
        sums=moving.sums_of(moving.negative(taken), spent=command.amount_minor),
        why=moving.why_moved(moving.negative(taken)),
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)


def given_back(spent: Entry, back: int) -> dict[date, int]:
    """What refunds of a spend give back in all, by bucket, when they come to so much.

    Each refund is the difference of two of these, so that the parts of any split add up, and all of them to what the
    spend took. The bonus that lives longest comes back first.
    """
    taken = {day: -minor for day, minor in spent.sums.earned.items()} if spent.sums else {}
    total = sum(taken.values())
    bonus = (total - taken.get(PRINCIPAL, 0)) * back // total
    found = {PRINCIPAL: back - bonus}
    for day in sorted((day for day in taken if day != PRINCIPAL), reverse=True):
        found[day] = min(taken[day], bonus)
        bonus -= found[day]
    return found


def refund_spend(
    account: Account,
    card: Card,
    spent: Entry,
    before: int,
    command: RefundCardSpend,
    key: EntryKey,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> tuple[Posting, int]:
    """Decide what a refund of a spend gives back to the card, and what its refunds then come to.

    Args:
        before: what earlier refunds of the spend gave back.

    Raises:
        CardClosed: the card was closed.
        CardRefundTooLarge: more than is left of the spend.
        OccurredInFuture: `occurred_at` is later than now.
    """
    holding.require_open(account, though_suspended=True)
    left = -spent.points - before
    amount = left if command.amount_minor is None else command.amount_minor
    if amount > left or left == 0:
        raise CardRefundTooLarge(asked=amount, left=left)
    earlier, later = given_back(spent, before), given_back(spent, before + amount)
    back = {day: minor - earlier.get(day, 0) for day, minor in later.items() if minor > earlier.get(day, 0)}
    draft = Draft(
        key,
        Reason.REVERSE,
        guards.not_later(command.occurred_at or now, now),
        sums=moving.sums_of(back, spent=-amount),
        why=moving.why_moved(back),
        reason_code=command.reason,
        cause=spent.key,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now), before + amount
