"""The arithmetic of cards: what a command takes from principal, bonus or visits, and what goes back. Pure.

A stored-value card keeps money in buckets of its account, by their last day: the principal in the one that never
closes, each bonus in its own. A spend takes from all of them at once, and its entry says how much from which (`sums`),
so that a refund of it puts back the same, and `proof.rules.verify` proves principal and bonus like any lots.

A count card has one bucket, its visits. Uses are consumed like points; an extension moves the bucket to a later day.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.cards.errors import (
    CardBalanceInsufficient,
    CardClosed,
    CardEmpty,
    CardKindWrong,
    CardLimitExceeded,
    CardNotEmpty,
    CardRefundTooLarge,
    CardRefundTooWide,
    CardSuspended,
    ExtensionNotLater,
    RefundUnclear,
    UsesInsufficient,
)
from chalicelib.cards.models import (
    Card,
    CardKind,
    CardLeft,
    ExtendCard,
    OpenCard,
    Paid,
    RefundCard,
    RefundCardSpend,
    ReverseCardUse,
    SpendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.kernel.calendar import NEVER, months_later
from chalicelib.kernel.ids import CardId
from chalicelib.points import rules as ledger
from chalicelib.points.errors import ExpiryPast, ExpiryTooFar
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Lifetime, Posting, Reason, Sums, Why
from chalicelib.points.rules import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import NO_TIER, card_limit_minor, today_of

PRINCIPAL = NEVER
"""The bucket of what was paid in: it never closes."""

UNDATED = NEVER - timedelta(days=1)
"""The bucket of bonus that does not expire: the last one that is not the principal's."""

TOP_UPS_MAX = 40
"""To so many top-ups a refund goes back at most: each is an item of the transaction."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a stored-value card holds: principal, and bonus by its last day, soonest first."""

    principal: int
    bonus: Mapping[date, int]

    @property
    def bonus_total(self) -> int:
        """All bonus."""
        return sum(self.bonus.values())

    @property
    def total(self) -> int:
        """All that can be spent."""
        return self.principal + self.bonus_total


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


# ---------------------------------------------------------------- what there is


def value_of(account: Account, on: date) -> Value:
    """What a stored-value card holds on a day."""
    left = dict(ledger.derive(account, on).left)
    principal = left.pop(PRINCIPAL, 0)
    return Value(principal, left)


def uses_left(account: Account, on: date) -> int:
    """Visits that a count card has left on a day."""
    return ledger.derive(account, on).balance


def last_day_of(account: Account) -> date | None:
    """The last day of a count card, whether or not anything is left of it; None when all of it was refunded."""
    return max(account.earned, default=None)


def today(account: Account, program: Program, now: datetime) -> date:
    """The day on which a command is decided: never before what was recorded last, by whatever clock."""
    return today_of(program, max(now, account.last_recorded_at or now))


def require_kind(card: Card, kind: CardKind) -> None:
    """Refuse commands for the other kind of card.

    Raises:
        CardKindWrong: it is of the other kind.
    """
    if card.kind is not kind:
        raise CardKindWrong(kind=card.kind.value, expected=kind.value)


def require_open(account: Account, *, though_suspended: bool = False) -> None:
    """Refuse commands on a card that is closed, or suspended.

    Raises:
        CardSuspended, CardClosed: it is.
    """
    if account.status is AccountStatus.CLOSED:
        raise CardClosed(card_id=account.member_id)
    if account.status is AccountStatus.SUSPENDED and not though_suspended:
        raise CardSuspended(card_id=account.member_id)


def figure(entry: Entry, rule_id: str) -> int:
    """What an entry changes of `principal`, `bonus` or `uses`."""
    return sum(why.points for why in entry.why if why.rule_id == rule_id)


# ---------------------------------------------------------------- opening


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
        _require_last_day(command.expires_on, on)
    uses = command.uses or 0
    why = (Why(rule_id="uses", points=uses, args=_day_args(command.expires_on)), *_paid(command.means)) if uses else ()
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


def _require_last_day(last: date, on: date) -> None:
    if last < on:
        raise ExpiryPast(expires_on=last.isoformat(), today=on.isoformat())
    latest = months_later(on, ledger.EXPIRY_MONTHS_MAX)
    if last > latest:
        raise ExpiryTooFar(expires_on=last.isoformat(), latest=latest.isoformat())


def _day_args(day: date | None) -> tuple[int, ...]:
    return (day.year * 10_000 + day.month * 100 + day.day,) if day is not None else ()


def _paid(means: Iterable[Paid]) -> tuple[Why, ...]:
    return tuple(Why(rule_id=f"paid.{each.kind}", points=0, args=(each.amount_minor,)) for each in means)


# ---------------------------------------------------------------- stored value


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
    require_open(account)
    on = today(account, program, now)
    if command.bonus_expires_on is not None:
        _require_last_day(command.bonus_expires_on, on)
    after, limit = value_of(account, on).total + command.amount_minor + command.bonus_minor, card_limit_minor(program)
    if after > limit:
        raise CardLimitExceeded(balance_minor=after, limit_minor=limit)
    bonus_on = command.bonus_expires_on or UNDATED
    given = {PRINCIPAL: command.amount_minor, bonus_on: command.bonus_minor}
    why = [Why(rule_id="principal", points=command.amount_minor, args=())]
    if command.bonus_minor:
        why.append(Why(rule_id="bonus", points=command.bonus_minor, args=_day_args(command.bonus_expires_on)))
    draft = Draft(
        key,
        Reason.EARN,
        ledger.not_later(command.occurred_at or now, now),
        sums=_sums(given, earned=sum(given.values())),
        why=(*why, *_paid(command.means)),
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
    require_open(account)
    value = value_of(account, today(account, program, now))
    if command.amount_minor > value.total:
        raise CardBalanceInsufficient(asked_minor=command.amount_minor, available_minor=value.total)
    taken = shares(value, command.amount_minor)
    draft = Draft(
        key,
        Reason.SPEND,
        ledger.not_later(command.occurred_at or now, now),
        sums=_sums(_negative(taken), spent=command.amount_minor),
        why=_why_moved(_negative(taken)),
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
    require_open(account, though_suspended=True)
    left = -spent.points - before
    amount = left if command.amount_minor is None else command.amount_minor
    if amount > left or left == 0:
        raise CardRefundTooLarge(asked=amount, left=left)
    earlier, later = given_back(spent, before), given_back(spent, before + amount)
    back = {day: minor - earlier.get(day, 0) for day, minor in later.items() if minor > earlier.get(day, 0)}
    draft = Draft(
        key,
        Reason.REVERSE,
        ledger.not_later(command.occurred_at or now, now),
        sums=_sums(back, spent=-amount),
        why=_why_moved(back),
        reason_code=command.reason,
        cause=spent.key,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now), before + amount


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
    require_open(account, though_suspended=True)
    if command.uses is not None:
        raise RefundUnclear(field="uses", kind=card.kind.value)
    value = value_of(account, today(account, program, now))
    if value.principal == 0:
        raise CardEmpty(card_id=card.card_id)
    candidates = top_ups if named is None else [named]
    left = min(value.principal, sum(each.principal - each.back for each in candidates))
    amount = left if command.amount_minor is None else command.amount_minor
    if amount > left or left == 0:
        raise CardRefundTooLarge(asked=amount, left=left, principal_minor=value.principal)
    touched = _newest_first(candidates, amount)
    payouts = tuple(_payouts(touched))
    lapsed = ledger.derive(account, today(account, program, now)).lapsed
    kept = _bonus_kept(account, value, lapsed, top_ups, touched) if value.principal > amount else 0
    taken = _negative({PRINCIPAL: amount, **_withdrawn(value, touched, value.bonus_total - kept)})
    draft = Draft(
        key,
        Reason.REVERSE,
        now,
        sums=_sums(taken, earned=sum(taken.values())),
        why=(*_why_moved(taken), *_back(payouts)),
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


def close(account: Account, card: Card, key: EntryKey, program: Program, *, now: datetime) -> Posting | None:
    """Take the bonus that is left on a card that closes; None when there is none.

    Raises:
        CardNotEmpty: principal or visits are left.
    """
    on = today(account, program, now)
    if card.kind is CardKind.COUNT:
        if uses_left(account, on):
            raise CardNotEmpty(principal_minor=0, uses=uses_left(account, on))
        return None
    value = value_of(account, on)
    if value.principal:
        raise CardNotEmpty(principal_minor=value.principal, uses=0)
    if not value.bonus:
        return None
    taken = _negative(value.bonus)
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        sums=_sums(taken, taken=value.bonus_total),
        why=_why_moved(taken),
        reason_code="card_closed",
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)


def left_on(cards: Iterable[tuple[Card, Account]], program: Program, *, now: datetime) -> list[CardLeft]:
    """Those of some cards that still hold what was paid for, and what that is. Bonus is never paid out."""
    found = []
    for card, account in cards:
        on = today(account, program, now)
        if card.kind is CardKind.COUNT:
            found.append(CardLeft(card_id=card.card_id, uses=uses_left(account, on)))
        else:
            found.append(CardLeft(card_id=card.card_id, principal_minor=value_of(account, on).principal))
    return [each for each in found if each.uses or each.principal_minor]


def _sums(buckets: Mapping[date, int], *, earned: int = 0, spent: int = 0, taken: int = 0) -> Sums:
    life = Lifetime(earned=earned, spent=spent, taken=taken)
    return Sums(lifetime=life, earned={day: minor for day, minor in buckets.items() if minor})


def _negative(taken: Mapping[date, int]) -> dict[date, int]:
    return {day: -minor for day, minor in taken.items()}


def _why_moved(buckets: Mapping[date, int]) -> tuple[Why, ...]:
    principal = buckets.get(PRINCIPAL, 0)
    figures = (("principal", principal), ("bonus", sum(buckets.values()) - principal))
    return tuple(Why(rule_id=name, points=minor, args=()) for name, minor in figures if minor)


def _back(payouts: Iterable[Back]) -> tuple[Why, ...]:
    """What went back by which means, and of which top-up (its `seq`): in the chain, so that it is proven too."""
    return tuple(
        Why(rule_id=f"back.{each.paid.kind}", points=0, args=(each.amount_minor, each.top_up.seq if each.top_up else 1))
        for each in payouts
    )


# ---------------------------------------------------------------- visits


def use(
    account: Account, card: Card, command: UseCard, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide a use.

    Raises:
        CardSuspended, CardClosed: the card cannot be used.
        UsesInsufficient: fewer are left, or they expired.
        OccurredInFuture: `occurred_at` is later than now.
    """
    require_open(account)
    on = today(account, program, now)
    left, last = uses_left(account, on), last_day_of(account)
    if command.count > left:
        over = last is not None and last < on
        raise UsesInsufficient(asked=command.count, left=left, expired_on=str(last) if over else None)
    draft = Draft(
        key,
        Reason.SPEND,
        ledger.not_later(command.occurred_at or now, now),
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
    require_open(account, though_suspended=True)
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
    require_open(account, though_suspended=True)
    last = last_day_of(account)
    if last is None:
        raise CardEmpty(card_id=card.card_id)
    if command.expires_on <= last:
        known = last.isoformat() if last != NEVER else None
        raise ExtensionNotLater(expires_on=known, asked=command.expires_on.isoformat())
    _require_last_day(command.expires_on, today(account, program, now))
    moved = account.earned[last]
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        sums=Sums(earned={last: -moved, command.expires_on: moved}),
        why=(Why(rule_id="uses", points=0, args=_day_args(command.expires_on)),),
        reason_code=command.reason,
        content=content,
        actor=card.member_id,
    )
    return ledger.post(account, draft, program, now=now)


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
    require_open(account, though_suspended=True)
    for field in ("amount_minor", "top_up_id"):
        if getattr(command, field) is not None:
            raise RefundUnclear(field=field, kind=card.kind.value)
    left, last = uses_left(account, today(account, program, now)), last_day_of(account)
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
