"""What entries make of an account: sums added, periods folded, the tier held. Pure.

The only place where an entry changes sums. What is posted goes through it; whoever proves an account, or asks what it
was, folds the entries with it again.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from typing import TypeVar

from chalicelib.kernel.calendar import NEVER, Month, local_day, month_of
from chalicelib.points.models import Account, Entry, EntryKey, Folded, Lifetime, Reason, Reserved, Sums, WriteOff
from chalicelib.programs.models import Program
from chalicelib.tiers.models import Standing
from chalicelib.tiers.rules import pruned, standing

CLOSED_PERIODS_KEPT = 12
"""How many closed periods an account keeps as sums of their own; older ones are folded into one figure."""


PENDING_DAYS_KEPT = 64
"""How many days of pending points an account keeps, come or not, before those that have come are dropped untold."""


WRITE_OFFS_KEPT = 32
"""How many write-offs an account remembers; what comes back for older ones is the member's."""


CONTRIBUTION = "contribution"
"""The kind of the entries by which members put points into pools. Those that say so, by an argument of their reason,
count as given away in their month; older ones do not."""

TIMED_OUT = "timed_out"
"""The reason code of a hold's end that nobody asked for."""


MERGE_UNDONE_DAYS = 30
"""For so long a merge can be undone, and nothing of what it joined is folded."""


AWAITED_YEARS = 7_600
"""So many years after their last day lies the day under which an account keeps points that wait for an event. The
calendar repeats itself after 400 years, so each last day has its own."""


LIFELONG_YEARS = 3_600
"""So many years after it for points that could be spent only after their last day."""


K = TypeVar("K", bound=date | int | WriteOff)


def awaited(last: date) -> date:
    """The day under which an account keeps points that are pending until something happens.

    It never comes, and it names the last day of the points: those that lapsed are no longer pending.
    """
    return last if last == NEVER else last.replace(year=last.year + AWAITED_YEARS)


def lifelong(last: date) -> date:
    """The day under which an account keeps points that could be spent only after their last day.

    They are pending as long as they live, and no longer: what has expired keeps no other points from being spent.
    """
    return last.replace(year=last.year + LIFELONG_YEARS)


def is_lifelong(day: date) -> bool:
    """Whether points are kept under a day that could be spent only after their last day."""
    return LIFELONG_YEARS < day.year <= AWAITED_YEARS


def last_of_pending(day: date) -> date | None:
    """The last day of the points that are pending under a day that never comes; None for a day that comes by itself."""
    if day == NEVER:
        return NEVER
    if day.year > AWAITED_YEARS:
        return day.replace(year=day.year - AWAITED_YEARS)
    return day.replace(year=day.year - LIFELONG_YEARS) if is_lifelong(day) else None


def pends(matures_on: date | None, on: date) -> bool:
    """Whether points kept under a day cannot be spent yet. Those that expired before they could be are past that."""
    if matures_on is None or matures_on <= on:
        return False
    last = last_of_pending(matures_on)
    return last is None or last >= on or not is_lifelong(matures_on)


def standing_of(account: Account, program: Program, on: date) -> Standing:
    """The tier a member holds on a day."""
    return standing(account.qualifying, program, on=month_of(on), anchor=account.anchor)


def hold_name(key: EntryKey) -> str:
    """The name under which an account remembers the points that an entry reserved."""
    return "/".join((key.kind, *key.parts))


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
        changed = changed.model_copy(update={"holds": _holds_after(account.holds, entry)})
    if entry.reason is Reason.TRANSFER:
        changed = changed.model_copy(update={"sent": _sent_after(account, entry)})
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
    """What went to other members, after an entry that moves points: a transfer counts in the month of its offer."""
    if entry.key.kind == CONTRIBUTION and entry.why and entry.why[0].args:
        return _added(account.sent, month_of(entry.occurred_on), entry.consumed or 0)
    offer = account.holds.get(hold_name(entry.cause)) if entry.cause is not None else None
    if offer is None:
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
            "written_off": _united(account.written_off, sums.written_off),
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
    if len(account.written_off) > WRITE_OFFS_KEPT:
        newest = sorted(account.written_off)[-WRITE_OFFS_KEPT:]
        kept = kept.model_copy(update={"written_off": {each: account.written_off[each] for each in newest}})
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
    pending = {day: points for day, points in account.pending.items() if (last_of_pending(day) or NEVER) > through}
    return account.model_copy(
        update={
            "earned": earned,
            "spent": spent,
            "pending": pending,
            "folded": Folded(through=through, carried=carried, lapsed=lapsed),
        }
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
        written_off=account.written_off,
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
            written_off=_united(whole.written_off, part.written_off),
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
        written_off={write_off: -points for write_off, points in sums.written_off.items()},
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
