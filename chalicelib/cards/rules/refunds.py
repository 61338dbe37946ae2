"""What is paid back of a card, by which means, and which bonus goes with it. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from chalicelib.cards.errors import CardEmpty, CardRefundTooLarge, CardRefundTooWide, RefundUnclear, UsesInsufficient
from chalicelib.cards.models import Card, Paid, RefundCard
from chalicelib.cards.rules import holding, moving
from chalicelib.cards.rules.holding import PRINCIPAL, Value
from chalicelib.points.models import Account, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import balances, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program

TOP_UPS_MAX = 40
"""To so many top-ups a refund goes back at most: each is an item of the transaction."""


@dataclass(frozen=True, slots=True)
class TopUp:
    """A top-up as far as refunds need it.

    Attributes:
        bonus_on: the bucket of its bonus.
        means: how it was paid.
        back: of its principal, what was paid back so far.
    """

    key: EntryKey
    seq: int
    principal: int
    bonus: int
    bonus_on: date
    means: tuple[Paid, ...]
    back: int = 0


@dataclass(frozen=True, slots=True)
class Back:
    """Money that goes back by one of the means.

    Attributes:
        top_up: the top-up that it was paid in with; None for a count card, which is paid once.
    """

    paid: Paid
    amount_minor: int
    top_up: TopUp | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """What a refund comes to.

    Attributes:
        payouts: what goes back, by which means.
        back: what was paid back of each top-up that it touches, with this refund.
    """

    posting: Posting
    payouts: tuple[Back, ...]
    back: tuple[tuple[TopUp, int], ...] = ()


def refund(
    account: Account,
    card: Card,
    top_ups: Sequence[TopUp],
    named: TopUp | None,
    command: RefundCard,
    key: EntryKey,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> Refund:
    """Decide what is paid back of the principal, by which means, and which bonus goes with it.

    It goes back to the newest top-up first. Of the bonus as much stays as the top-ups that were not paid back gave,
    less what was used; with the last of the principal all of it goes. It is never paid out.

    Args:
        top_ups: all of the card's.
        named: the only one that it goes back to, where the command names one.

    Raises:
        CardClosed: the card was closed.
        CardEmpty: no principal is left.
        RefundUnclear: it names visits.
        CardRefundTooLarge: more than is left of the principal, or of the top-up that is named.
        CardRefundTooWide: it would touch too many top-ups.
    """
    holding.require_open(account, though_suspended=True)
    if command.uses is not None:
        raise RefundUnclear(field="uses", kind=card.kind.value)
    value = holding.value_of(account, holding.today(account, program, now))
    if value.principal == 0:
        raise CardEmpty(card_id=card.card_id)
    candidates = top_ups if named is None else [named]
    left = min(value.principal, sum(each.principal - each.back for each in candidates))
    amount = left if command.amount_minor is None else command.amount_minor
    if amount > left or left == 0:
        raise CardRefundTooLarge(asked=amount, left=left, principal_minor=value.principal)
    touched = _newest_first(candidates, amount)
    payouts = tuple(_payouts(touched))
    lapsed = balances.derive(account, holding.today(account, program, now)).lapsed
    kept = _bonus_kept(account, value, lapsed, top_ups, touched) if value.principal > amount else 0
    taken = moving.negative({PRINCIPAL: amount, **_withdrawn(value, touched, value.bonus_total - kept)})
    draft = Draft(
        key,
        Reason.REVERSE,
        now,
        sums=moving.sums_of(taken, earned=sum(taken.values())),
        why=(*moving.why_moved(taken), *_back(payouts)),
        reason_code=command.reason,
        content=content,
        actor=card.member_id,
    )
    return Refund(ledger.post(account, draft, program, now=now), payouts, touched)


def _newest_first(top_ups: Sequence[TopUp], amount: int) -> tuple[tuple[TopUp, int], ...]:
    """The top-ups that an amount goes back to, each with what was then paid back of it."""
    touched: list[tuple[TopUp, int]] = []
    missing = amount
    for each in sorted(top_ups, key=lambda each: each.seq, reverse=True):
        some = min(each.principal - each.back, missing)
        if some and len(touched) == TOP_UPS_MAX:
            raise CardRefundTooWide(limit=TOP_UPS_MAX, amount_minor=amount - missing)
        if some:
            touched.append((each, each.back + some))
        missing -= some
    return tuple(touched)


def _entitled(top_up: TopUp, back: int) -> int:
    """The bonus of a top-up that belongs to what was not paid back of it."""
    return top_up.bonus - top_up.bonus * back // top_up.principal


def _bonus_kept(
    account: Account, value: Value, lapsed: int, top_ups: Sequence[TopUp], touched: Iterable[tuple[TopUp, int]]
) -> int:
    """The bonus that stays: what belongs to what was not paid back, less what was used."""
    after = {each.key: back for each, back in touched}
    entitled = sum(_entitled(each, after.get(each.key, each.back)) for each in top_ups)
    given = sum(each.bonus for each in top_ups)
    principal = sum(each.principal - each.back for each in top_ups)
    withdrawn = principal + given - account.lifetime.earned
    used = given - withdrawn - lapsed - value.bonus_total
    return min(value.bonus_total, max(entitled - used, 0))


def _withdrawn(value: Value, touched: Iterable[tuple[TopUp, int]], total: int) -> dict[date, int]:
    """Bonus to withdraw, by bucket: first where the top-ups that go back had put it, then what expires first."""
    own: dict[date, int] = {}
    for each, back in touched:
        own[each.bonus_on] = own.get(each.bonus_on, 0) + _entitled(each, each.back) - _entitled(each, back)
    taken: dict[date, int] = {}
    for day, most in (*own.items(), *sorted(value.bonus.items())):
        some = min(most, value.bonus.get(day, 0) - taken.get(day, 0), total - sum(taken.values()))
        if some > 0:
            taken[day] = taken.get(day, 0) + some
    return taken


def _payouts(touched: Iterable[tuple[TopUp, int]]) -> Iterator[Back]:
    for each, back in touched:
        for paid, amount in by_means(each.means, each.back, back):
            yield Back(paid, amount, each)


def by_means(means: Sequence[Paid], before: int, after: int) -> Iterator[tuple[Paid, int]]:
    """What goes back by which means, when what was paid back goes from one amount to another: the last one first."""
    passed, missing = before, after - before
    for paid in reversed(means):
        skipped = min(paid.amount_minor, passed)
        some = min(paid.amount_minor - skipped, missing)
        passed, missing = passed - skipped, missing - some
        if some:
            yield paid, some


def _back(payouts: Iterable[Back]) -> tuple[Why, ...]:
    """What went back by which means, and of which top-up (its `seq`): in the chain, so that it is proven too."""
    return tuple(
        Why(rule_id=f"back.{each.paid.kind}", points=0, args=(each.amount_minor, each.top_up.seq if each.top_up else 1))
        for each in payouts
    )


def refund_uses(
    account: Account, card: Card, command: RefundCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Refund:
    """Decide what is paid back for visits that were not used: their share of the price.

    The share is that of all that were refunded so far, so that the parts of any split add up, and all to the price.

    Raises:
        CardClosed: the card was closed.
        RefundUnclear: it names money or a top-up, which a count card does not have.
        CardEmpty: none are left.
        UsesInsufficient: fewer are left.
    """
    holding.require_open(account, though_suspended=True)
    for field in ("amount_minor", "top_up_id"):
        if getattr(command, field) is not None:
            raise RefundUnclear(field=field, kind=card.kind.value)
    left, last = holding.uses_left(account, holding.today(account, program, now)), holding.last_day_of(account)
    if left == 0 or last is None:
        raise CardEmpty(card_id=card.card_id)
    count = left if command.uses is None else command.uses
    if count > left:
        raise UsesInsufficient(asked=count, left=left)
    before = card.uses - account.lifetime.earned
    paid_back = [card.price_minor * uses // card.uses for uses in (before, before + count)]
    payouts = tuple(Back(paid, amount) for paid, amount in by_means(card.means, *paid_back))
    draft = Draft(
        key,
        Reason.REVERSE,
        now,
        earned=-count,
        expires_on=last,
        why=(Why(rule_id="uses", points=-count, args=()), *_back(payouts)),
        reason_code=command.reason,
        content=content,
        actor=card.member_id,
    )
    return Refund(ledger.post(account, draft, program, now=now), payouts)
