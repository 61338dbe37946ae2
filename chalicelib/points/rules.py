"""The arithmetic of the ledger. Pure: an account and a command in, an account and entries out.

An account holds sums that commute: points earned per expiry day, points spent per period. What is left, what lapsed
and what is owed is derived by one walk over those sums (`derive`), first expiring first out. So a purchase that arrives
late, a return and a spend may come in any order and leave the same state, and an expiry job that runs late, twice or
never cannot change what a member has. Entries book what the walk implies; they never decide it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, TypeVar

from chalicelib.kernel.calendar import (
    NEVER,
    Month,
    day_after,
    first_day,
    from_milliseconds,
    last_day,
    local_day,
    milliseconds,
    month_of,
    months_later,
    zone,
)
from chalicelib.kernel.canonical import chained
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.money import POINTS_MAX
from chalicelib.points.errors import (
    AdjustmentEmpty,
    BalanceTooLarge,
    ExpiryPast,
    ExpiryTooFar,
    HoldsOpen,
    HoldsTooMany,
    MemberClosed,
    MemberSuspended,
    OccurredInFuture,
    OccurredTooLongAgo,
    PointsInsufficient,
)
from chalicelib.points.models import (
    Account,
    AccountStatus,
    AdjustPoints,
    Entry,
    EntryKey,
    Folded,
    Lifetime,
    Lot,
    Position,
    Posting,
    Reason,
    Reserved,
    SpendPoints,
    Sums,
    Why,
)
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import expires_on, period_of, today_of
from chalicelib.tiers.models import Anchor, Standing
from chalicelib.tiers.rules import pruned, standing

K = TypeVar("K", bound=date | int)

CLOSED_PERIODS_KEPT = 12
"""How many closed periods an account keeps as sums of their own; older ones are folded into one figure."""

PENDING_DAYS_KEPT = 64
"""How many days of pending points an account keeps, come or not, before those that have come are dropped untold."""

CLOCK_SKEW = timedelta(minutes=5)
"""How far a till's clock may be ahead of ours."""

SPEND_LATE_DAYS = 31
"""How late a spend may be recorded: a till that was offline, not a way to points that lapsed long ago."""

TIMED_OUT = "timed_out"
"""The reason code of a hold's end that nobody asked for."""

HOLD_DAYS_UNLISTED = 2
"""Holds that are booked as over within so many days are not in the index of what is due."""

MERGE_UNDONE_DAYS = 30
"""For so long a merge can be undone, and nothing of what it joined is folded."""

HOLDS_MAX = 16
"""How many holds an account has at a time; each stands on the account's item."""

EXPIRY_MONTHS_MAX = 240
"""How far ahead an adjustment may set the last day of points; each distinct day is a number on the account."""


@dataclass(frozen=True, slots=True)
class Held:
    """The tier that an account holds in a month."""

    month: Month
    standing: Standing


@dataclass(frozen=True, slots=True)
class Draft:
    """What a command wants to write: an entry before the ledger has numbered, dated and chained it."""

    key: EntryKey
    reason: Reason
    occurred_at: datetime
    earned: int = 0
    expires_on: date | None = None
    matures_on: date | None = None
    consumed: int = 0
    period: date | None = None
    """The period that what is consumed counts in; by the program, when left out."""
    qualifying: int = 0
    counts_on: date | None = None
    """The day whose month qualifying points count in; the day it occurred, when left out."""
    why: tuple[Why, ...] = ()
    reason_code: str | None = None
    cause: EntryKey | None = None
    content: bytes | None = None
    may_owe: bool = False
    reserved: int = 0
    """Points reserved; below nought, a hold that this ends, which `cause` names."""
    reserved_until: datetime | None = None
    sums: Sums | None = None
    actor: MemberId | None = None
    anchor: Anchor | None = None
    """For a merge and its undoing: the account's anchor from here on."""
    shows_tier: bool = False
    """The entry names the tiers even when they are the same."""
    hides_tier: bool = False
    """The entry names no tiers: another account answers, or did until now."""
    held: Held | None = None
    """The tier held in a month, where it was worked out already: it is the dearest thing to work out."""


# ---------------------------------------------------------------- deriving


def derive(account: Account, on: date, at: datetime | None = None) -> Position:
    """What an account comes to on a day: balance, lots, and what lapsed.

    A lot can still be spent on its last day, because shops close at midnight. Points spent in a period are covered
    by the buckets that close first; what no bucket covered when it closed is carried to the next.

    Args:
        at: the instant at which holds that are over by then count no more; without it, all of them count.
    """
    consumed, lapsed = (account.folded.carried, account.folded.lapsed) if account.folded else (0, 0)
    periods = sorted(account.spent)
    counted = 0
    lapses: dict[date, int] = {}
    left: list[tuple[date, int]] = []
    for bucket in sorted(account.earned):
        if bucket >= on:
            break
        while counted < len(periods) and periods[counted] <= bucket:
            consumed += account.spent[periods[counted]]
            counted += 1
        covered = min(account.earned[bucket], consumed)
        consumed -= covered
        if account.earned[bucket] > covered:
            lapses[bucket] = account.earned[bucket] - covered
            lapsed += lapses[bucket]
    consumed += sum(account.spent[period] for period in periods[counted:])
    balance = -consumed
    for bucket in sorted(account.earned):
        if bucket < on:
            continue
        points = account.earned[bucket]
        balance += points
        covered = min(points, consumed)
        consumed -= covered
        if points > covered:
            left.append((bucket, points - covered))
    pending = sum(points for day, points in account.pending.items() if day > on)
    held = sum(hold.points for hold in account.holds.values() if at is None or hold.until > at)
    return Position(balance=balance, left=tuple(left), lapses=lapses, lapsed=lapsed, pending=pending, held=held)


def standing_of(account: Account, program: Program, on: date) -> Standing:
    """The tier a member holds on a day."""
    return standing(account.qualifying, program, on=month_of(on), anchor=account.anchor)


def due_on(account: Account, program: Program, on: date) -> date | None:
    """The first day on which time alone changes the account; today, when it has and that is not booked; else None.

    Five things fall due: points expire, the member is to be told that they will, pending points can be spent, a long
    hold is over, a tier is reviewed. An account stands in the index under the first of these days alone. What is
    overdue when an account is written is due today: the jobs of today and tomorrow look there, and those of its own day
    may have passed.
    """
    return _due_on(account, derive(account, on), program, on)


def _due_on(account: Account, position: Position, program: Program, on: date) -> date | None:
    days = [day_after(bucket) for bucket in unbooked(account, on)]
    days += [day_after(bucket) for bucket, _ in position.left[:1] if day_after(bucket) != NEVER]
    days += [_notice_day(bucket, program) for bucket in _untold(account, position, program)[:1]]
    days += list(account.pending)
    days += filter(None, (_over_on(hold, program) for hold in account.holds.values()))
    if account.held_through is not None:
        days.append(first_day(Month(account.held_through + 1)))
    return max(min(days), on) if days else None


def _untold(account: Account, position: Position, program: Program) -> list[date]:
    """Last days of lots of whose expiry the member was not told yet, soonest first."""
    if program.notices.expiring_days is None:
        return []
    told = account.noticed_through or date.min
    return [bucket for bucket, _ in position.left if told < bucket < NEVER]


def _notice_day(bucket: date, program: Program) -> date:
    return bucket - timedelta(days=program.notices.expiring_days or 0)


# ---------------------------------------------------------------- writing


def post(account: Account, draft: Draft, program: Program, *, now: datetime) -> Posting:
    """Settle what time has brought, then write a command's entry and what follows from it.

    Raises:
        PointsInsufficient: the account holds fewer points than the draft consumes.
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    settled, entries, before = _settled(account, program, draft.held, now=now)
    today = today_of(program, _recorded_at(settled, now))
    position = derive(settled, today)
    if draft.consumed > 0 and not draft.may_owe and draft.consumed > position.available:
        raise PointsInsufficient(asked=draft.consumed, available=position.available)
    moved = draft.sums.lifetime.balance if draft.sums else 0
    if position.balance + draft.earned + moved > POINTS_MAX or position.balance - draft.consumed + moved < -POINTS_MAX:
        raise BalanceTooLarge(balance=position.balance + draft.earned - draft.consumed + moved, limit=POINTS_MAX)

    entry = _entry(settled, draft, program, now=now)
    sums = applied(settled, entry)
    qualified = draft.qualifying or draft.reason is Reason.MERGE or (draft.sums is not None and draft.sums.qualifying)
    after = standing_of(sums, program, today) if qualified else before
    position = derive(sums, today)
    lapsed = position.lapsed - sums.lifetime.expired
    shows_tier = draft.shows_tier or (after.tier_id != before.tier_id and not draft.hides_tier)
    entry = _sealed(
        settled,
        entry.model_copy(
            update={
                "lapsed": lapsed or None,
                "tier_before": before.tier_id if shows_tier else None,
                "tier_after": after.tier_id if shows_tier else None,
            }
        ),
    )
    posted = sums.model_copy(update={"head": entry.hash})
    entries = (*entries, entry)
    if lapsed:
        correction = _expiry(
            posted,
            draft.expires_on or entry.occurred_on,
            lapsed,
            program,
            now=now,
            occurred_at=now,
            cause=entry.key,
        )
        posted = applied(posted, correction)
        entries = (*entries, correction)
    posted = compacted(posted, program, today).model_copy(
        update={"tier_id": after.tier_id, "held_through": after.review_after}
    )
    due = _due_on(posted, position, program, today)
    return Posting(posted, entries, before.tier_id, after.tier_id, entry, due)


def settle(account: Account, program: Program, *, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """Book what time has brought: expiries, the end of holds, and the review of a tier."""
    settled, entries, _ = _settled(account, program, None, now=now)
    return settled, entries


def _settled(
    account: Account, program: Program, held: Held | None, *, now: datetime
) -> tuple[Account, tuple[Entry, ...], Standing]:
    """The account with everything booked, the entries of that, and the tier held today."""
    account, lapses = lapse(account, program, now=now)
    account, over = time_out(account, program, now=now)
    today = today_of(program, _recorded_at(account, now))
    known = held is not None and held.month == month_of(today)
    standing = held.standing if held is not None and known else standing_of(account, program, today)
    account, reviews = _reviewed(account, program, standing, now=now)
    return account, (*lapses, *over, *reviews), standing


def lapse(
    account: Account, program: Program, *, now: datetime, at_most: int | None = None
) -> tuple[Account, tuple[Entry, ...]]:
    """Book the expiries that are due: one entry for each bucket that closed with points in it.

    Args:
        at_most: book only so many, oldest first.
    """
    today = today_of(program, _recorded_at(account, now))
    entries: list[Entry] = []
    for bucket, points in list(unbooked(account, today).items())[:at_most]:
        occurred_at = _midnight(day_after(bucket), program)
        entry = _expiry(account, bucket, points, program, now=now, occurred_at=occurred_at, cause=None)
        account = applied(account, entry)
        entries.append(entry)
    return account, tuple(entries)


def review(account: Account, program: Program, *, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """Book the review of a tier that is due, kept or not; several that were missed are one.

    Also books a tier that is another because the program has another ladder.
    """
    today = today_of(program, _recorded_at(account, now))
    return _reviewed(account, program, standing_of(account, program, today), now=now)


def _reviewed(
    account: Account, program: Program, held: Standing, *, now: datetime
) -> tuple[Account, tuple[Entry, ...]]:
    today = today_of(program, _recorded_at(account, now))
    reviewed = account.held_through is not None and month_of(today) > account.held_through
    if not reviewed and held.tier_id == account.tier_id:
        return account, ()
    day = first_day(Month(account.held_through + 1)) if reviewed and account.held_through is not None else today
    entry = _sealed(
        account,
        Entry(
            key=EntryKey(kind="tier", parts=(account.member_id, str(account.seq + 1))),
            member_id=account.member_id,
            seq=account.seq + 1,
            reason=Reason.TIER,
            points=0,
            balance_after=account.lifetime.balance,
            occurred_at=min(_midnight(day, program), now),
            occurred_on=day,
            recorded_at=_recorded_at(account, now),
            program_version=program.version,
            expires_on=last_day(held.review_after) if held.review_after is not None else None,
            tier_before=account.tier_id,
            tier_after=held.tier_id,
            why=(Why(rule_id=f"review.{held.tier_id}", points=0, args=()),),
        ),
    )
    return applied(account, entry).model_copy(update={"held_through": held.review_after}), (entry,)


def tell_expiring(account: Account, program: Program, on: date) -> tuple[Account, Lot] | None:
    """The account that remembers that its member was told, and what of; None when there is nothing to tell.

    One notice speaks of all lots of the calendar month in which the first one expires: points that expire day by day
    would else make a notice a day.
    """
    position = derive(account, on)
    untold = _untold(account, position, program)
    if not untold or _notice_day(untold[0], program) > on:
        return None
    through = last_day(month_of(untold[0]))
    points = sum(points for bucket, points in position.left if untold[0] <= bucket <= through)
    return account.model_copy(update={"noticed_through": through}), Lot(expires_on=untold[0], points=points)


def release(account: Account, on: date) -> tuple[Account, int] | None:
    """The account without its pending points that can be spent by now, and how many they are; None when none are."""
    waiting = {day: points for day, points in account.pending.items() if day > on}
    if len(waiting) == len(account.pending):
        return None
    released = sum(account.pending.values()) - sum(waiting.values())
    return account.model_copy(update={"pending": waiting}), released


def hold_name(key: EntryKey) -> str:
    """The name under which an account remembers the points that an entry reserved."""
    return "/".join((key.kind, *key.parts))


def hold_end_key(name: str) -> EntryKey:
    """The key of what ends a hold. There is one for each hold, so that a hold ends once."""
    return EntryKey(kind="hold_end", parts=tuple(name.split("/", 1)))


def hold_of(name: str) -> EntryKey:
    """The key of the entry that reserved the points of a hold."""
    kind, own = name.split("/", 1)
    return EntryKey(kind=kind, parts=(own,))


def time_out(account: Account, program: Program, *, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """Book the end of the holds that are over: one entry each, the first one over first."""
    recorded = _recorded_at(account, now)
    over = [(hold.until, name, hold) for name, hold in account.holds.items() if hold.until <= recorded]
    entries: list[Entry] = []
    for until, name, hold in sorted(over, key=lambda each: each[:2]):
        draft = Draft(
            hold_end_key(name),
            Reason.RELEASE,
            until,
            reserved=-hold.points,
            cause=hold_of(name),
            why=(Why(rule_id="time_out", points=0, args=(hold.points,)),),
            reason_code=TIMED_OUT,
        )
        entry = _sealed(account, _entry(account, draft, program, now=now))
        account = applied(account, entry)
        entries.append(entry)
    return account, tuple(entries)


def _over_on(hold: Reserved, program: Program) -> date | None:
    """The day on which the end of a hold is booked at the latest, for holds that outlast the day after their first.

    Short ones, of a checkout, are booked with the account's next entry: an index write would cost more than they do.
    """
    over = day_after(local_day(hold.until, program.time_zone))
    return over if over > hold.made_on + timedelta(days=HOLD_DAYS_UNLISTED) else None


def _midnight(day: date, program: Program) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone(program.time_zone))


def unbooked(account: Account, on: date) -> dict[date, int]:
    """Expiries that have happened by a day and are not in the entries yet: points by their last day."""
    booked = account.booked_through or date.min
    if not any(booked < bucket < on for bucket in account.earned):
        return {}
    lapses = derive(account, on).lapses
    return {bucket: points for bucket, points in lapses.items() if bucket > booked}


def spend(
    account: Account, command: SpendPoints, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Take points out of an account, soonest expiry first.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        OccurredInFuture: `occurred_at` is later than now.
        PointsInsufficient: the live lots hold fewer points than asked for.
    """
    require_open(account)
    occurred_at = not_later(command.occurred_at or now, now)
    draft = Draft(key, Reason.SPEND, occurred_at, consumed=command.points, content=content)
    return post(account, draft, program, now=now)


def adjust(
    account: Account, command: AdjustPoints, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Correct an account's balance, up or down.

    Points taken beyond the balance become a debt where the program's policy is `owe`; elsewhere they are refused.

    Raises:
        MemberClosed: the membership was closed.
        AdjustmentEmpty: neither the balance nor the qualifying points would change.
        ExpiryPast, ExpiryTooFar: the points given would have expired already, or live for decades.
        PointsInsufficient: more would be taken than there is, and the policy is not `owe`.
    """
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    if command.points == 0 and command.qualifying_points == 0:
        raise AdjustmentEmpty
    occurred_at = not_later(command.occurred_at or now, now)
    today = today_of(program, now)
    last = command.expires_on or expires_on(local_day(occurred_at, program.time_zone), program.expiry)
    if command.points > 0 and last < today:
        raise ExpiryPast(expires_on=last.isoformat(), today=today.isoformat())
    latest = months_later(today, EXPIRY_MONTHS_MAX)
    if command.expires_on and latest < command.expires_on < NEVER:
        raise ExpiryTooFar(expires_on=command.expires_on.isoformat(), latest=latest.isoformat())
    draft = Draft(
        key,
        Reason.ADJUST,
        occurred_at,
        earned=max(command.points, 0),
        expires_on=period_of(last, program.expiry) if command.points > 0 else None,
        consumed=max(-command.points, 0),
        qualifying=command.qualifying_points,
        why=_why_qualifying(command.qualifying_points),
        reason_code=command.reason_code,
        content=content,
        may_owe=program.negative_balance is NegativeBalance.OWE,
    )
    return post(account, draft, program, now=now)


def _why_qualifying(points: int) -> tuple[Why, ...]:
    """The statement shows what the index holds, and that is the reasons."""
    return (Why(rule_id="qualifying", points=0, args=(points,)),) if points else ()


def gift(
    account: Account, key: EntryKey, program: Program, *, on: date, content: bytes, now: datetime
) -> Posting | None:
    """Give the birthday gift of a member's tier; None when the tier gives none.

    Args:
        on: the day that is celebrated: the tier held then counts, and the points live from then on.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
    """
    require_open(account)
    held = Held(month_of(on), standing_of(account, program, on))
    tier = program.tier(held.standing.tier_id)
    points = tier.birthday_points
    if points == 0:
        return None
    draft = Draft(
        key,
        Reason.EARN,
        min(_midnight(on, program), now),
        earned=points,
        expires_on=expires_on(on, program.expiry),
        why=(Why(rule_id=f"birthday.{tier.tier_id}", points=points, args=()),),
        content=content,
        held=held,
    )
    return post(account, draft, program, now=now)


def reserve(account: Account, draft: Draft, program: Program, *, now: datetime) -> Posting:
    """Keep points from being spent otherwise, until an instant.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        PointsInsufficient: fewer are available.
        HoldsTooMany: there are `HOLDS_MAX` already.
    """
    require_open(account)
    recorded = _recorded_at(account, now)
    if sum(hold.until > recorded for hold in account.holds.values()) >= HOLDS_MAX:
        raise HoldsTooMany(limit=HOLDS_MAX)
    available = derive(account, today_of(program, recorded), recorded).available
    if draft.reserved > available:
        raise PointsInsufficient(asked=draft.reserved, available=available)
    return post(account, draft, program, now=now)


def lots_taken(account: Account, points: int, on: date) -> dict[date, int]:
    """The lots that a spend of so many points would take on a day, by their last day: soonest expiry first."""
    taken: dict[date, int] = {}
    for bucket, left in derive(account, on).left:
        if points == 0:
            break
        taken[bucket] = min(left, points)
        points -= taken[bucket]
    return taken


def reverse(account: Account, draft: Draft, program: Program, *, now: datetime, caps: bool | None = None) -> Posting:
    """Take back what a purchase or another entry brought and give back what it spent, or correct both.

    A balance below zero is a debt where the program's policy is `owe`; where it is `cap`, what is newly owed is written
    off by an entry of its own at once.

    Args:
        caps: whether what is newly owed is written off; by the program's policy, when left out.

    Raises:
        MemberClosed: the membership was closed.
    """
    caps = program.negative_balance is NegativeBalance.CAP if caps is None else caps
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    owed = derive(account, today_of(program, _recorded_at(account, now))).owed
    posting = post(account, draft, program, now=now)
    today = today_of(program, _recorded_at(posting.account, now))
    newly = derive(posting.account, today).owed - owed
    if not caps or newly <= 0:
        return posting
    write_off = Draft(
        write_off_key(draft.key),
        Reason.ADJUST,
        now,
        earned=newly,
        expires_on=period_of(today, program.expiry),
        reason_code="write_off",
        cause=draft.key,
    )
    off = post(posting.account, write_off, program, now=now)
    return replace(off, entries=(*posting.entries, *off.entries), tier_before=posting.tier_before, main=posting.main)


def write_off_key(key: EntryKey) -> EntryKey:
    """The key of what writes off the debt that an entry leaves: of a return, its own parts; of others, the kind too."""
    return EntryKey(kind="write_off", parts=key.parts if key.kind == "return" else (key.kind, *key.parts))


def forfeit(account: Account, key: EntryKey, program: Program, *, now: datetime) -> Posting | None:
    """Bring a balance to nothing because the membership closes; None when it is nothing already."""
    settled, _ = settle(account, program, now=now)
    balance = derive(settled, today_of(program, _recorded_at(settled, now))).balance
    if balance == 0:
        return None
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        earned=max(-balance, 0),
        expires_on=NEVER if balance < 0 else None,
        consumed=max(balance, 0),
        reason_code="account_closed",
        may_owe=True,
    )
    return post(account, draft, program, now=now)


def require_open(account: Account) -> None:
    """Refuse commands on an account that is suspended or closed.

    Raises:
        MemberSuspended, MemberClosed: it is.
    """
    if account.status is AccountStatus.SUSPENDED:
        raise MemberSuspended(member_id=account.member_id)
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)


def require_nothing_held(account: Account, now: datetime) -> None:
    """Refuse what would take points that a hold promises to somebody.

    Raises:
        HoldsOpen: there are holds that are not over.
    """
    live = [hold for hold in account.holds.values() if hold.until > now]
    if live:
        until = max(hold.until for hold in live)
        raise HoldsOpen(points=sum(hold.points for hold in live), until=until.isoformat())


def not_later(occurred_at: datetime, now: datetime) -> datetime:
    """The instant, unless it lies in the future; a till's clock may be a little ahead.

    Raises:
        OccurredInFuture: it is later than now by more than `CLOCK_SKEW`.
    """
    if occurred_at > now + CLOCK_SKEW:
        clock = now.astimezone(occurred_at.tzinfo)
        raise OccurredInFuture(
            occurred_at=occurred_at.isoformat(timespec="milliseconds"), now=clock.isoformat(timespec="milliseconds")
        )
    return min(occurred_at, now)


def require_recent(spent_at: datetime, now: datetime) -> None:
    """Refuse to take points for something that is told too late.

    The arithmetic knows no such limit. Tills do: who may date a spend back without one could reach points that lapsed
    years ago.

    Raises:
        OccurredTooLongAgo: it is more than `SPEND_LATE_DAYS` ago.
    """
    if spent_at < now - timedelta(days=SPEND_LATE_DAYS):
        raise OccurredTooLongAgo(occurred_at=spent_at.isoformat(), days=SPEND_LATE_DAYS)


# ---------------------------------------------------------------- applying


def applied(account: Account, entry: Entry) -> Account:
    """The account after an entry. The only place where an entry changes sums; `verify` folds with it too."""
    earned, spent, folded = account.earned, account.spent, account.folded
    life = account.lifetime
    booked = account.booked_through
    if entry.reason is Reason.EXPIRE:
        life = life.model_copy(update={"expired": life.expired - entry.points})
        if entry.expires_on is not None and entry.cause is None:
            booked = max(booked or entry.expires_on, entry.expires_on)
    if entry.earned and entry.expires_on:
        life = life.model_copy(update={"earned": life.earned + entry.earned})
        earned, folded = _with_earned(earned, folded, entry.expires_on, entry.earned)
    if entry.consumed and entry.period:
        figure = "taken" if entry.reason is Reason.ADJUST else "spent"
        life = life.model_copy(update={figure: getattr(life, figure) + entry.consumed})
        spent, folded = _with_spent(spent, folded, entry.period, entry.consumed)
    pending = account.pending
    if entry.earned and entry.matures_on:
        pending = _added(pending, entry.matures_on, entry.earned)
    qualifying = account.qualifying
    if entry.qualifying:
        qualifying = _added(qualifying, month_of(entry.occurred_on), entry.qualifying)
    changed = account.model_copy(
        update={
            "earned": earned,
            "spent": spent,
            "folded": folded,
            "pending": pending,
            "lifetime": life,
            "booked_through": booked,
            "qualifying": qualifying,
            "tier_id": entry.tier_after or account.tier_id,
            "seq": entry.seq,
            "head": entry.hash,
            "last_recorded_at": entry.recorded_at,
        }
    )
    if entry.held:
        held = {"holds": _holds_after(account.holds, entry), "sent": _sent_after(account, entry)}
        changed = changed.model_copy(update=held)
    if entry.reason is Reason.MERGE:
        whole_through = entry.recorded_at.date() + timedelta(days=MERGE_UNDONE_DAYS + 1)
        changed = changed.model_copy(update={"anchor": entry.anchor, "whole_through": whole_through})
    return with_sums(changed, entry.sums) if entry.sums is not None else changed


def relived(account: Account, entry: Entry, program: Program) -> Account:
    """The account after an entry, with all that was done to it when the entry was posted.

    Whoever folds the entries of an account with this has the account as it was after each.

    Args:
        program: the version that the entry was decided by.
    """
    return closed_off(applied(account, entry), entry, program)


def closed_off(
    account: Account,
    entry: Entry,
    program: Program,
    stands: Callable[[Account, Program, date], Standing] = standing_of,
) -> Account:
    """The account, to which an entry was applied, with what was done when the entry was posted: compacted, tier held.

    Args:
        stands: works out the tier held; for who folds thousands of entries and remembers.
    """
    today = local_day(entry.recorded_at, program.time_zone)
    # What was posted was compacted once per command; an entry that an expiry correction follows is not its end.
    corrects = entry.reason is Reason.EXPIRE and entry.cause is not None
    came_by_time = entry.reason in (Reason.EXPIRE, Reason.TIER) or entry.reason_code == TIMED_OUT
    ends_command = corrects or (not came_by_time and not entry.lapsed)
    if ends_command:
        account = compacted(account, program, today)
    if ends_command or entry.reason is Reason.TIER:
        held = stands(account, program, today)
        account = account.model_copy(update={"tier_id": held.tier_id, "held_through": held.review_after})
    return account


def unlived(account: Account) -> Account:
    """The account before its first entry."""
    return Account(member_id=account.member_id, opened_on=account.opened_on, tier_id=account.tier_id)


def _with_earned(
    earned: Mapping[date, int], folded: Folded | None, bucket: date, points: int
) -> tuple[dict[date, int], Folded | None]:
    if folded is not None and bucket <= folded.through:
        return dict(earned), _earned_in_folded(folded, points)
    return _added(earned, bucket, points), folded


def _with_spent(
    spent: Mapping[date, int], folded: Folded | None, period: date, points: int
) -> tuple[dict[date, int], Folded | None]:
    if folded is not None and period <= folded.through:
        return dict(spent), folded.model_copy(update={"carried": folded.carried + points})
    return _added(spent, period, points), folded


def _holds_after(holds: Mapping[str, Reserved], entry: Entry) -> dict[str, Reserved]:
    """What is reserved after an entry that reserves points, or ends a hold."""
    points = entry.held or 0
    if points > 0 and entry.held_until is not None and entry.period is not None:
        hold = Reserved(points=points, until=entry.held_until, period=entry.period, made_on=entry.occurred_on)
        return {**holds, hold_name(entry.key): hold}
    ended = hold_name(entry.cause) if entry.cause is not None else None
    return {name: hold for name, hold in holds.items() if name != ended}


def _sent_after(account: Account, entry: Entry) -> dict[Month, int]:
    """What went to other members, after an entry that ends a hold: a transfer counts in the month of its offer."""
    offer = account.holds.get(hold_name(entry.cause)) if entry.cause is not None else None
    if entry.reason is not Reason.TRANSFER or offer is None:
        return account.sent
    return _added(account.sent, month_of(offer.made_on), entry.consumed or 0)


def with_sums(account: Account, sums: Sums) -> Account:
    """The account with sums added; periods that are folded take their part folded."""
    if sums.through is not None:
        account = folded_through(account, sums.through)
    earned, spent, folded = account.earned, account.spent, account.folded
    for bucket, points in sums.earned.items():
        earned, folded = _with_earned(earned, folded, bucket, points)
    for period, points in sums.spent.items():
        spent, folded = _with_spent(spent, folded, period, points)
    if sums.carried or sums.lapsed:
        base = folded or Folded(through=date.min, carried=0, lapsed=0)
        carried, lapsed = base.carried + sums.carried, base.lapsed + sums.lapsed
        folded = Folded(through=base.through, carried=carried, lapsed=lapsed)
    return account.model_copy(
        update={
            "earned": earned,
            "spent": spent,
            "folded": folded,
            "pending": _united(account.pending, sums.pending),
            "qualifying": _united(account.qualifying, sums.qualifying),
            "lifetime": _lifetimes(account.lifetime, sums.lifetime),
        }
    )


def _added(sums: Mapping[K, int], key: K, amount: int) -> dict[K, int]:
    """Sums with an amount added to one; one that comes to nothing is gone, as if it had never been."""
    total = sums.get(key, 0) + amount
    return {**sums, key: total} if total else {each: points for each, points in sums.items() if each != key}


def compacted(account: Account, program: Program, on: date) -> Account:
    """The account with its oldest closed periods folded and its oldest monthly sums dropped.

    What it comes to stays the same. What arrives later for a folded period pays first what was left uncovered, in
    the member's favour.
    """
    yesterday = on - timedelta(days=1)
    pending = account.pending
    if len(pending) > PENDING_DAYS_KEPT:
        pending = {day: points for day, points in pending.items() if day > on}
    kept = account.model_copy(
        update={
            "pending": pending,
            "sent": {month: points for month, points in account.sent.items() if month >= month_of(on)},
            "booked_through": max(account.booked_through or yesterday, yesterday),
        }
    )
    if account.whole_through is not None and on <= account.whole_through:
        return kept
    qualifying, anchor = pruned(account.qualifying, program, account.anchor, on=month_of(on))
    kept = kept.model_copy(update={"qualifying": qualifying, "anchor": anchor})
    closed = sorted({each for each in (*account.earned, *account.spent) if each < on})
    old = closed[: max(len(closed) - CLOSED_PERIODS_KEPT, 0)]
    return folded_through(kept, old[-1]) if old else kept


def folded_through(account: Account, through: date) -> Account:
    """The account with its periods through a day, all of them closed, folded into one figure."""
    earned, spent, folded = dict(account.earned), dict(account.spent), account.folded
    carried, lapsed = (folded.carried, folded.lapsed) if folded else (0, 0)
    for period in sorted({each for each in (*earned, *spent) if each <= through}):
        carried += spent.pop(period, 0)
        points = earned.pop(period, 0)
        covered = min(points, carried)
        carried, lapsed = carried - covered, lapsed + points - covered
    through = max(through, folded.through) if folded else through
    return account.model_copy(
        update={"earned": earned, "spent": spent, "folded": Folded(through=through, carried=carried, lapsed=lapsed)}
    )


def sums_of(account: Account) -> Sums:
    """All sums of an account: what a merge moves."""
    folded = account.folded
    return Sums(
        lifetime=account.lifetime,
        earned=account.earned,
        spent=account.spent,
        pending=account.pending,
        qualifying=account.qualifying,
        carried=folded.carried if folded else 0,
        lapsed=folded.lapsed if folded else 0,
        through=folded.through if folded else None,
    )


def effect_of(entry: Entry) -> Sums:
    """What an entry of a command added to its account's sums. Taken away again, it is as if it had never been."""
    life = {"earned": entry.earned or 0}
    spent: dict[date, int] = {}
    if entry.consumed and entry.period:
        life["taken" if entry.reason is Reason.ADJUST else "spent"] = entry.consumed
        spent[entry.period] = entry.consumed
    own = Sums(
        lifetime=Lifetime(**life),
        earned={entry.expires_on: entry.earned} if entry.earned and entry.expires_on else {},
        spent=spent,
        pending={entry.matures_on: entry.earned} if entry.earned and entry.matures_on else {},
        qualifying={month_of(entry.occurred_on): entry.qualifying} if entry.qualifying else {},
    )
    return total((own, entry.sums)) if entry.sums is not None else own


def total(parts: Iterable[Sums]) -> Sums:
    """Several sums in one."""
    whole = Sums()
    for part in parts:
        life, more = whole.lifetime, part.lifetime
        whole = Sums(
            lifetime=_lifetimes(life, more),
            earned=_united(whole.earned, part.earned),
            spent=_united(whole.spent, part.spent),
            pending=_united(whole.pending, part.pending),
            qualifying=_united(whole.qualifying, part.qualifying),
            carried=whole.carried + part.carried,
            lapsed=whole.lapsed + part.lapsed,
            through=max(filter(None, (whole.through, part.through)), default=None),
        )
    return whole


def negated(sums: Sums) -> Sums:
    """Sums with their signs turned."""
    life = sums.lifetime
    return Sums(
        lifetime=Lifetime(earned=-life.earned, spent=-life.spent, expired=-life.expired, taken=-life.taken),
        earned={day: -points for day, points in sums.earned.items()},
        spent={day: -points for day, points in sums.spent.items()},
        pending={day: -points for day, points in sums.pending.items()},
        qualifying={month: -points for month, points in sums.qualifying.items()},
        carried=-sums.carried,
        lapsed=-sums.lapsed,
        through=sums.through,
    )


def _lifetimes(one: Lifetime, other: Lifetime) -> Lifetime:
    return Lifetime(
        earned=one.earned + other.earned,
        spent=one.spent + other.spent,
        expired=one.expired + other.expired,
        taken=one.taken + other.taken,
    )


def _united(sums: Mapping[K, int], more: Mapping[K, int]) -> dict[K, int]:
    both = dict(sums)
    for key, amount in more.items():
        both = _added(both, key, amount)
    return both


def _earned_in_folded(folded: Folded, points: int) -> Folded:
    """What folded periods come to when points are added to them late, or taken back: of what lapsed there first."""
    if points < 0:
        lapsed = min(-points, folded.lapsed)
        return Folded(through=folded.through, carried=folded.carried - points - lapsed, lapsed=folded.lapsed - lapsed)
    covered = min(points, folded.carried)
    return Folded(through=folded.through, carried=folded.carried - covered, lapsed=folded.lapsed + points - covered)


def _entry(account: Account, draft: Draft, program: Program, *, now: datetime) -> Entry:
    occurred_on = draft.counts_on or local_day(draft.occurred_at, program.time_zone)
    points = draft.earned - draft.consumed + (draft.sums.lifetime.balance if draft.sums else 0)
    counts_in = draft.consumed or draft.reserved > 0
    return Entry(
        key=draft.key,
        member_id=account.member_id,
        seq=account.seq + 1,
        reason=draft.reason,
        points=points,
        balance_after=account.lifetime.balance + points,
        occurred_at=from_milliseconds(milliseconds(draft.occurred_at)),
        occurred_on=occurred_on,
        recorded_at=_recorded_at(account, now),
        program_version=program.version,
        earned=draft.earned or None,
        expires_on=draft.expires_on,
        matures_on=draft.matures_on,
        consumed=draft.consumed or None,
        period=(draft.period or _period_spent(account, occurred_on, program)) if counts_in else None,
        qualifying=draft.qualifying or None,
        held=draft.reserved or None,
        held_until=from_milliseconds(milliseconds(draft.reserved_until)) if draft.reserved_until else None,
        sums=draft.sums,
        actor=draft.actor,
        anchor=draft.anchor,
        why=draft.why,
        reason_code=draft.reason_code,
        cause=draft.cause,
        content=draft.content,
    )


def _period_spent(account: Account, occurred_on: date, program: Program) -> date:
    """The period that a spend counts in: the program's, or shorter where a bucket closes within it."""
    closing = (bucket for bucket in account.earned if bucket >= occurred_on)
    return min(period_of(occurred_on, program.expiry), min(closing, default=NEVER))


def _expiry(
    account: Account,
    bucket: date,
    points: int,
    program: Program,
    *,
    now: datetime,
    occurred_at: datetime,
    cause: EntryKey | None,
) -> Entry:
    """The entry that books points lapsed with a bucket, or (with a cause) corrects what was booked."""
    parts = (account.member_id, bucket.isoformat()) + ((str(account.seq + 1),) if cause else ())
    entry = Entry(
        key=EntryKey(kind="expire", parts=parts),
        member_id=account.member_id,
        seq=account.seq + 1,
        reason=Reason.EXPIRE,
        points=-points,
        balance_after=account.lifetime.balance - points,
        occurred_at=from_milliseconds(milliseconds(occurred_at)),
        occurred_on=bucket,
        recorded_at=_recorded_at(account, now),
        program_version=program.version,
        expires_on=bucket,
        cause=cause,
    )
    return _sealed(account, entry)


def _recorded_at(account: Account, now: datetime) -> datetime:
    """Our clock in whole milliseconds, and always later than the entry before: clocks of two machines may disagree."""
    recorded = milliseconds(now)
    if account.last_recorded_at is not None:
        recorded = max(recorded, milliseconds(account.last_recorded_at) + 1)
    return from_milliseconds(recorded)


def _sealed(account: Account, entry: Entry) -> Entry:
    return entry.model_copy(update={"hash": chained(account.head, content_of(entry))})


def content_of(entry: Entry) -> dict[str, Any]:
    """An entry's content for the hash chain (docs/canonical-form.md). Fields that are not set are left out."""
    content: dict[str, Any] = {
        "key": [entry.key.kind, *entry.key.parts],
        "member_id": str(entry.member_id),
        "seq": entry.seq,
        "reason": entry.reason.value,
        "points": entry.points,
        "balance_after": entry.balance_after,
        "occurred_at": milliseconds(entry.occurred_at),
        "occurred_on": entry.occurred_on.isoformat(),
        "recorded_at": milliseconds(entry.recorded_at),
        "program_version": entry.program_version,
    }
    optional: dict[str, Any] = {
        "earned": entry.earned,
        "expires_on": entry.expires_on.isoformat() if entry.expires_on else None,
        "consumed": entry.consumed,
        "period": entry.period.isoformat() if entry.period else None,
        "qualifying": entry.qualifying,
        "lapsed": entry.lapsed,
        "matures_on": entry.matures_on.isoformat() if entry.matures_on else None,
        "held": entry.held,
        "held_until": milliseconds(entry.held_until) if entry.held_until else None,
        "sums": sums_content(entry.sums) if entry.sums else None,
        "actor": str(entry.actor) if entry.actor else None,
        "anchor": anchor_content(entry.anchor) if entry.anchor else None,
        "tier_before": entry.tier_before,
        "tier_after": entry.tier_after,
        "why": [[why.rule_id, why.points, *why.args] for why in entry.why] or None,
        "reason_code": entry.reason_code,
        "cause": [entry.cause.kind, *entry.cause.parts] if entry.cause else None,
        "content": entry.content.hex() if entry.content else None,
    }
    content.update((name, value) for name, value in optional.items() if value is not None)
    return content


def sums_content(sums: Sums) -> dict[str, Any]:
    """What an entry adds to sums, for the hash chain and for the table. What is nought or empty is left out."""
    life = sums.lifetime
    content: dict[str, Any] = {
        "lifetime": [life.earned, life.spent, life.expired, life.taken],
        "earned": _pairs(sums.earned),
        "spent": _pairs(sums.spent),
        "pending": _pairs(sums.pending),
        "qualifying": [[int(month), points] for month, points in sorted(sums.qualifying.items())],
        "folded": [sums.carried, sums.lapsed] if sums.carried or sums.lapsed else [],
        "through": sums.through.isoformat() if sums.through else "",
    }
    return {name: value for name, value in content.items() if value}


def sums_from(content: Mapping[str, Any]) -> Sums:
    """The sums that `sums_content` was given."""
    carried, lapsed = content.get("folded", (0, 0))
    return Sums(
        lifetime=Lifetime(**dict(zip(("earned", "spent", "expired", "taken"), content["lifetime"], strict=True))),
        earned=_from_pairs(content.get("earned", ())),
        spent=_from_pairs(content.get("spent", ())),
        pending=_from_pairs(content.get("pending", ())),
        qualifying={Month(month): points for month, points in content.get("qualifying", ())},
        carried=carried,
        lapsed=lapsed,
        through=date.fromisoformat(content["through"]) if "through" in content else None,
    )


def anchor_content(anchor: Anchor) -> list[Any]:
    """An anchor, for the hash chain and for the table."""
    return [int(anchor.month), anchor.tier_id, *([int(anchor.review_after)] if anchor.review_after is not None else [])]


def _pairs(sums: Mapping[date, int]) -> list[list[Any]]:
    return [[day.isoformat(), points] for day, points in sorted(sums.items())]


def _from_pairs(pairs: Iterable[Sequence[Any]]) -> dict[date, int]:
    return {date.fromisoformat(day): points for day, points in pairs}
