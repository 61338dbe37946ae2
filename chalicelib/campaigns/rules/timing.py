"""When campaigns run, when members are written to, and when not. Pure; times of day are the program's."""

from datetime import UTC, date, datetime, time, timedelta

from chalicelib.campaigns.models import Birthday, Definition, Once, QuietHours
from chalicelib.deliveries.models import Quiet
from chalicelib.deliveries.rules import quiet_until
from chalicelib.kernel.calendar import celebrated_on, local_day, zone

CATCH_UP_DAYS = 3
"""A run of a birthday campaign also celebrates days that had none, so many at the most, itself included."""


def instant_of(day: date, clock: str, time_zone: str) -> datetime:
    """When it is so late on a day. A time that the clock skips is as much later, one that it shows twice the first."""
    local = datetime.combine(day, _time(clock), tzinfo=zone(time_zone))
    return local.astimezone(UTC)


def next_run(definition: Definition, launched_at: datetime, through: date | None, time_zone: str) -> datetime | None:
    """When the next run of a launched campaign begins, perhaps in the past; None when there is none.

    Args:
        through: of a campaign that has a run a day: every day up to this one has had its run.
    """
    schedule = definition.schedule
    if isinstance(schedule, Birthday):
        day = _next_birthday(schedule, launched_at, through, time_zone)
        return (
            instant_of(day, schedule.at, time_zone) if schedule.until_on is None or day <= schedule.until_on else None
        )
    if isinstance(schedule, Once):
        return instant_of(schedule.on, schedule.at, time_zone)
    return launched_at


def _next_birthday(schedule: Birthday, launched_at: datetime, through: date | None, time_zone: str) -> date:
    if through is not None:
        return through + timedelta(days=1)
    first = local_day(launched_at, time_zone)
    # Who launches it in the afternoon means tomorrow: today's birthdays were greeted by hand, or not at all.
    return first if launched_at <= instant_of(first, schedule.at, time_zone) else first + timedelta(days=1)


def run_days(
    definition: Definition, launched_at: datetime, through: date | None, time_zone: str, now: datetime
) -> tuple[date, date] | None:
    """The first and the last of the days whose run begins now; None when none does.

    Days that were missed go with the last one, as far as they are caught up with.
    """
    first_at = next_run(definition, launched_at, through, time_zone)
    if first_at is None or first_at > now:
        return None
    schedule = definition.schedule
    if not isinstance(schedule, Birthday):
        day = local_day(first_at, time_zone)
        return day, day
    today = local_day(now, time_zone)
    last = today if instant_of(today, schedule.at, time_zone) <= now else today - timedelta(days=1)
    last = min(last, schedule.until_on) if schedule.until_on is not None else last
    if last <= today - timedelta(days=CATCH_UP_DAYS):
        return None
    first = local_day(first_at, time_zone)
    return max(first, last - timedelta(days=CATCH_UP_DAYS - 1)), last


AHEAD_DAYS = 30
"""What a campaign that has a run a day would reach is said for so many days."""


def days_ahead(definition: Definition, first_at: datetime, time_zone: str) -> tuple[date, date]:
    """The first and the last day of the runs that an estimate is of: the one run, or those of the first 30 days."""
    first, schedule = local_day(first_at, time_zone), definition.schedule
    if not isinstance(schedule, Birthday):
        return first, first
    last = first + timedelta(days=AHEAD_DAYS - 1)
    return first, last if schedule.until_on is None else min(last, schedule.until_on)


def celebrated_between(since: date, day: date) -> tuple[str, ...]:
    """The birthdays that are celebrated on some days, as `MM-DD`."""
    days = [since + timedelta(days=number) for number in range((day - since).days + 1)]
    return tuple(dict.fromkeys(each for on in days for each in celebrated_on(on)))


def quiet_of(hours: QuietHours | None) -> Quiet | None:
    """Quiet hours as those who send take them."""
    return Quiet(_minutes(hours.starts), _minutes(hours.ends)) if hours is not None else None


def when_loud(at: datetime, quiet: Quiet | None, time_zone: str) -> datetime:
    """The instant itself, or the end of the quiet hours that it lies in."""
    return quiet_until(at, quiet, time_zone) or at


def best_hours(starts_at: datetime, quiet: Quiet | None, time_zone: str) -> tuple[datetime, ...]:
    """For each hour of the day, the first instant within a day from the start on at which it is that hour, and loud.

    The hour that it is at the start begins at once.
    """
    local = starts_at.astimezone(zone(time_zone))
    found = []
    for hour in range(24):
        day = local.date() + timedelta(days=1 if hour < local.hour else 0)
        at = starts_at if hour == local.hour else max(instant_of(day, f"{hour:02d}:00", time_zone), starts_at)
        found.append(when_loud(at, quiet, time_zone))
    return tuple(found)


def _time(clock: str) -> time:
    return time(int(clock[:2]), int(clock[3:]))


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])
