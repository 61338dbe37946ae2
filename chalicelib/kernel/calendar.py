"""Days and months in the program's time zone."""

from calendar import isleap, monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NewType
from zoneinfo import ZoneInfo

NEVER = date(9999, 12, 31)
"""The day on which points that do not expire expire."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Month = NewType("Month", int)
"""A calendar month as one number, year × 12 + (month - 1), so that months can be counted."""


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that IANA name.

    Raises:
        KeyError: there is no such zone.
    """
    return ZoneInfo(name)


def local_day(instant: datetime, time_zone: str) -> date:
    """The calendar day on which an instant falls in a time zone."""
    return instant.astimezone(zone(time_zone)).date()


def month_of(day: date) -> Month:
    """The month a day falls in."""
    return Month(day.year * 12 + day.month - 1)


def first_day(month: Month) -> date:
    """The first day of a month."""
    return date(month // 12, month % 12 + 1, 1)


def last_day(month: Month) -> date:
    """The last day of a month."""
    year, index = divmod(month, 12)
    return date(year, index + 1, monthrange(year, index + 1)[1])


def months_later(day: date, months: int) -> date:
    """The same day so many months later, or that month's last day where it has no such day."""
    month = Month(month_of(day) + months)
    end = last_day(month)
    return end if day.day > end.day else end.replace(day=day.day)


def day_after(day: date) -> date:
    """The next day; the last day there is stays itself."""
    return day if day == NEVER else day + timedelta(days=1)


def milliseconds(instant: datetime) -> int:
    """Whole milliseconds since 1970, the precision in which instants are kept."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def from_milliseconds(value: int) -> datetime:
    """The instant so many milliseconds after 1970, in UTC."""
    return _EPOCH + timedelta(milliseconds=value)


def celebrated_on(day: date) -> tuple[str, ...]:
    """The birthdays that are celebrated on a day, as `MM-DD`.

    Who was born on 29 February celebrates on the 28th in common years, so that it is still February and never missed.
    """
    own = f"{day.month:02d}-{day.day:02d}"
    return (own, "02-29") if own == "02-28" and not isleap(day.year) else (own,)
