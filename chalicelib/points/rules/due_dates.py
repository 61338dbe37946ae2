"""When time alone changes an account, and what its member is told then without an entry. Pure."""

from datetime import date, timedelta

from chalicelib.kernel.calendar import NEVER, Month, day_after, first_day, last_day, local_day, month_of
from chalicelib.points.fold import last_of_awaited
from chalicelib.points.models import Account, Lot, Position, Reserved
from chalicelib.points.rules import balances
from chalicelib.programs.models import Program

HOLD_DAYS_UNLISTED = 2
"""Holds that are booked as over within so many days are not in the index of what is due."""


def due_on(account: Account, program: Program, on: date) -> date | None:
    """The first day on which time alone changes the account; today, when it has and that is not booked; else None.

    Five things fall due: points expire, the member is to be told that they will, pending points can be spent, a long
    hold is over, a tier is reviewed. An account stands in the index under the first of these days alone. What is
    overdue when an account is written is due today: the jobs of today and tomorrow look there, and those of its own day
    may have passed.
    """
    return due_by(account, balances.derive(account, on), program, on)


def due_by(account: Account, position: Position, program: Program, on: date) -> date | None:
    """`due_on`, where the position is known already."""
    days = [day_after(bucket) for bucket in balances.unbooked(account, on)]
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


def tell_expiring(account: Account, program: Program, on: date) -> tuple[Account, Lot] | None:
    """The account that remembers that its member was told, and what of; None when there is nothing to tell.

    One notice speaks of all lots of the calendar month in which the first one expires: points that expire day by day
    would else make a notice a day.
    """
    position = balances.derive(account, on)
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


def _over_on(hold: Reserved, program: Program) -> date | None:
    """The day on which the end of a hold is booked at the latest, for holds that outlast the day after their first.

    Short ones, of a checkout, are booked with the account's next entry: an index write would cost more than they do.
    """
    over = day_after(local_day(hold.until, program.time_zone))
    return over if over > hold.made_on + timedelta(days=HOLD_DAYS_UNLISTED) else None
