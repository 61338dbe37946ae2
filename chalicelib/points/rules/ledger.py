"""How the ledger is written: what time has brought is booked, then a draft becomes an entry in the chain. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time

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
    zone,
)
from chalicelib.kernel.canonical import chained
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.money import POINTS_MAX
from chalicelib.points.content import content_of
from chalicelib.points.errors import BalanceTooLarge, PointsInsufficient
from chalicelib.points.fold import TIMED_OUT, applied, compacted, standing_of
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Sums, Why
from chalicelib.points.rules import balances, due_dates
from chalicelib.programs.models import Program
from chalicelib.programs.rules import period_of, today_of
from chalicelib.tiers.models import Anchor, Standing

OFFER = "transfer"
"""The kind of the entries that hold points for a transfer."""


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


def post(account: Account, draft: Draft, program: Program, *, now: datetime) -> Posting:
    """Settle what time has brought, then write a command's entry and what follows from it.

    Raises:
        PointsInsufficient: the account holds fewer points than the draft consumes.
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    settled, entries, before = _settled(account, program, draft.held, now=now)
    today = today_of(program, recorded_at(settled, now))
    position = balances.derive(settled, today)
    if draft.consumed > 0 and not draft.may_owe and draft.consumed > position.available:
        raise PointsInsufficient(asked=draft.consumed, available=position.available)
    moved = draft.sums.lifetime.balance if draft.sums else 0
    if position.balance + draft.earned + moved > POINTS_MAX or position.balance - draft.consumed + moved < -POINTS_MAX:
        raise BalanceTooLarge(balance=position.balance + draft.earned - draft.consumed + moved, limit=POINTS_MAX)

    entry = _entry(settled, draft, program, now=now)
    sums = applied(settled, entry)
    qualified = draft.qualifying or draft.reason is Reason.MERGE or (draft.sums is not None and draft.sums.qualifying)
    after = standing_of(sums, program, today) if qualified else before
    position = balances.derive(sums, today)
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
    due = due_dates.due_by(posted, position, program, today)
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
    today = today_of(program, recorded_at(account, now))
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
    today = today_of(program, recorded_at(account, now))
    entries: list[Entry] = []
    for bucket, points in list(balances.unbooked(account, today).items())[:at_most]:
        occurred_at = midnight(day_after(bucket), program)
        entry = _expiry(account, bucket, points, program, now=now, occurred_at=occurred_at, cause=None)
        account = applied(account, entry)
        entries.append(entry)
    return account, tuple(entries)


def review(account: Account, program: Program, *, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """Book the review of a tier that is due, kept or not; several that were missed are one.

    Also books a tier that is another because the program has another ladder.
    """
    today = today_of(program, recorded_at(account, now))
    return _reviewed(account, program, standing_of(account, program, today), now=now)


def _reviewed(
    account: Account, program: Program, held: Standing, *, now: datetime
) -> tuple[Account, tuple[Entry, ...]]:
    today = today_of(program, recorded_at(account, now))
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
            occurred_at=min(midnight(day, program), now),
            occurred_on=day,
            recorded_at=recorded_at(account, now),
            program_version=program.version,
            expires_on=last_day(held.review_after) if held.review_after is not None else None,
            tier_before=account.tier_id,
            tier_after=held.tier_id,
            why=(Why(rule_id=f"review.{held.tier_id}", points=0, args=()),),
        ),
    )
    return applied(account, entry).model_copy(update={"held_through": held.review_after}), (entry,)


def hold_end_key(name: str) -> EntryKey:
    """The key of what ends a hold. There is one for each hold, so that a hold ends once."""
    return EntryKey(kind="hold_end", parts=tuple(name.split("/", 1)))


def hold_of(name: str) -> EntryKey:
    """The key of the entry that reserved the points of a hold."""
    kind, own = name.split("/", 1)
    return EntryKey(kind=kind, parts=(own,))


def given_away(account: Account, program: Program, at: datetime) -> int:
    """What a member gave to others in the month of an instant, or put into pools, and what is on offer since then."""
    settled, _ = settle(account, program, now=at)
    month = month_of(local_day(at, program.time_zone))
    kept = [
        hold.points
        for name, hold in settled.holds.items()
        if hold_of(name).kind == OFFER and month_of(hold.made_on) == month
    ]
    return settled.sent.get(month, 0) + sum(kept)


def time_out(account: Account, program: Program, *, now: datetime) -> tuple[Account, tuple[Entry, ...]]:
    """Book the end of the holds that are over: one entry each, the first one over first."""
    recorded = recorded_at(account, now)
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


def midnight(day: date, program: Program) -> datetime:
    """The instant at which a day begins, in the program's zone."""
    return datetime.combine(day, time(), tzinfo=zone(program.time_zone))


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
        recorded_at=recorded_at(account, now),
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
        recorded_at=recorded_at(account, now),
        program_version=program.version,
        expires_on=bucket,
        cause=cause,
    )
    return _sealed(account, entry)


def recorded_at(account: Account, now: datetime) -> datetime:
    """Our clock in whole milliseconds, and always later than the entry before: clocks of two machines may disagree."""
    recorded = milliseconds(now)
    if account.last_recorded_at is not None:
        recorded = max(recorded, milliseconds(account.last_recorded_at) + 1)
    return from_milliseconds(recorded)


def _sealed(account: Account, entry: Entry) -> Entry:
    return entry.model_copy(update={"hash": chained(account.head, content_of(entry))})
