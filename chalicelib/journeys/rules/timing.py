"""When somebody who waits goes on. All by the clock of the program, also on the days on which clocks change.

A time of day that is skipped when clocks go forward comes as much later as they were moved; one that comes twice, the
first time.
"""

from datetime import UTC, date, datetime, timedelta

from chalicelib.campaigns.models import QuietHours
from chalicelib.deliveries.models import Quiet
from chalicelib.journeys.models import For, UntilBirthday, UntilTime, Wait
from chalicelib.kernel.calendar import local_day, milliseconds, zone

LAKE_BEHIND = timedelta(seconds=90)
"""A question to the lake waits at least so long: then what had happened before is in it. Who stands at a branch waits
for their list besides, up to a slot and a tick longer, so that a whole message of them is asked about at once.
"""

SLOT = 5 * 60_000
"""Milliseconds. Those who wait stand in a list for each five minutes: so many lists have to be looked through after a
laptop was off, and so long may somebody wait too long whose turn nobody was told of."""

SOON = timedelta(minutes=15)
"""Who goes on within this is also told by a message that a queue hides until then, so that they go on in time."""

_SPARE = timedelta(minutes=1)


def at_local(day: date, at: str, time_zone: str) -> datetime:
    """The instant of a time of day, `HH:MM`."""
    local = datetime(day.year, day.month, day.day, int(at[:2]), int(at[3:]), tzinfo=zone(time_zone))
    return local.astimezone(UTC)


def days_later(instant: datetime, days: int, time_zone: str) -> datetime:
    """The same time of day so many days later."""
    here = instant.astimezone(zone(time_zone))
    return (here + timedelta(days=days)).astimezone(UTC)  # of wall clocks: the offset is looked up anew


def wakes(wait: Wait, since: datetime, month_day: str | None, time_zone: str) -> datetime | None:
    """When a wait ends that began at an instant; None: never, because it waits for a birthday that nobody knows."""
    match wait.until:
        case For() as span:
            return days_later(since, span.days, time_zone) + timedelta(hours=span.hours, minutes=span.minutes)
        case UntilTime() as time:
            day = local_day(since, time_zone) + timedelta(days=time.days)
            first = at_local(day, time.at, time_zone)
            return first if first >= since else at_local(day + timedelta(days=1), time.at, time_zone)
        case UntilBirthday() as birthday:
            return _birthday(birthday, since, month_day, time_zone) if month_day else None


def _birthday(until: UntilBirthday, since: datetime, month_day: str, time_zone: str) -> datetime:
    year = local_day(since, time_zone).year
    days = (_celebrated(month_day, each) - timedelta(days=until.days_before) for each in range(year - 1, year + 3))
    return next(at for day in days if (at := at_local(day, until.at, time_zone)) >= since)


def _celebrated(month_day: str, year: int) -> date:
    """The birthday of a year; that of 29 February is the 28th in common years."""
    try:
        return date(year, int(month_day[:2]), int(month_day[3:]))
    except ValueError:
        return date(year, 2, 28)


def quiet_of(hours: QuietHours | None) -> Quiet | None:
    """Quiet hours as deliveries take them."""
    if hours is None:
        return None
    begins, ends = (int(each[:2]) * 60 + int(each[3:]) for each in (hours.starts, hours.ends))
    return Quiet(begins, ends)


def slot_of(instant: datetime) -> int:
    """The slot that an instant is in: when it begins, in milliseconds since 1970."""
    return milliseconds(instant) // SLOT * SLOT


def bucket_of(due_at: datetime, now: datetime) -> int:
    """The slot in whose list somebody stands who is due at an instant: the first that begins then or later.

    Never one that may have been looked through already.
    """
    earliest = milliseconds(now + _SPARE)
    return -(-max(milliseconds(due_at), earliest) // SLOT) * SLOT


def slots(after: int, through: int) -> range:
    """The slots after one and through another."""
    return range(after + SLOT, through + 1, SLOT)
