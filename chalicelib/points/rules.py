"""The arithmetic of the ledger. Pure: an account and a command in, an account and entries out.

An account holds sums that commute: points earned per expiry day, points spent per period. What is left, what lapsed
and what is owed is derived by one walk over those sums (`derive`), first expiring first out. So a purchase that arrives
late, a return and a spend may come in any order and leave the same state, and an expiry job that runs late, twice or
never cannot change what a member has. Entries book what the walk implies; they never decide it.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

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
from chalicelib.points.content import content_of
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
    VelocityExceeded,
)
from chalicelib.points.fold import TIMED_OUT, applied, compacted, last_of_awaited, standing_of
from chalicelib.points.models import (
    Account,
    AccountStatus,
    Adjusted,
    AdjustPoints,
    Entry,
    EntryKey,
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

CLOCK_SKEW = timedelta(minutes=5)
"""How far a till's clock may be ahead of ours."""

SPEND_LATE_DAYS = 31
"""How late a spend may be recorded: a till that was offline, not a way to points that lapsed long ago."""


HOLD_DAYS_UNLISTED = 2
"""Holds that are booked as over within so many days are not in the index of what is due."""


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
    pending = sum(_still_pending(account, lapses, day, on) for day in account.pending)
    held = sum(hold.points for hold in account.holds.values() if at is None or hold.until > at)
    return Position(balance=balance, left=tuple(left), lapses=lapses, lapsed=lapsed, pending=pending, held=held)


def _still_pending(account: Account, lapses: dict[date, int], day: date, on: date) -> int:
    """How many of the points that are kept under a day cannot be spent yet.

    Those that wait for an event may lapse meanwhile. What lapsed is pending no more: it would keep other points from
    being spent, for ever.
    """
    points, last = account.pending[day], last_of_awaited(day)
    if last is None or last >= on:
        return points if day > on else 0
    if account.folded is not None and last <= account.folded.through:
        return 0
    return max(points - lapses.get(last, 0), 0)


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
    days += [day for day in account.pending if last_of_awaited(day) is None]
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


def require_velocity(given: Adjusted, points: int, limit: int | None) -> None:
    """See that nobody gives more points by hand on a day than one person may.

    Raises:
        VelocityExceeded: they would.
    """
    if limit is not None and given.points + points > limit:
        raise VelocityExceeded(asked=points, given=given.points, limit=limit)


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


def reversal_key(key: EntryKey) -> EntryKey:
    """The business key of what takes an entry back: there is one for each.

    A reversal of a reversal counts on, so that keys do not grow.
    """
    if key.kind == "reverse":
        return EntryKey(kind="reverse", parts=(str(int(key.parts[0]) + 1), *key.parts[1:]))
    return EntryKey(kind="reverse", parts=("1", key.kind, *key.parts))


def corrected(entry: Entry) -> EntryKey | None:
    """The entry that an entry corrects; None when it corrects none.

    Of a return or restatement it is the purchase, of a reversal what it takes back, of a write-off what left the debt.
    """
    return entry.cause if entry.reason is Reason.REVERSE or entry.key.kind == "write_off" else None


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
