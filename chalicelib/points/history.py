"""What was true of an account on a day, and what was believed at an instant. Pure.

The entries tell both: each says when it happened and when it was recorded. What was *believed* at an instant is the
account as it was after the last entry recorded by then. What was *true* on a day is what had happened by its end,
whenever that was told: sums commute, so leaving out what happened later is all there is to it. Expiries are derived, so
the entries that book them are no part of it.
"""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from functools import reduce

from chalicelib.kernel.calendar import day_after, local_day, zone
from chalicelib.points.fold import applied, relived, unlived
from chalicelib.points.models import Account, Entry, Reason
from chalicelib.programs.models import Program


def as_believed(account: Account, entries: Iterable[Entry], programs: Mapping[int, Program]) -> Account:
    """The account as it was after entries: what was answered then is answered again, to the point.

    Args:
        account: as it is now.
        entries: those recorded by the instant in question, oldest first.
        programs: every version that they name.
    """

    def after(before: Account, entry: Entry) -> Account:
        return relived(before, entry, programs[entry.program_version])

    return reduce(after, entries, unlived(account))


def as_it_was(account: Account, entries: Iterable[Entry], on: date, time_zone: str) -> Account:
    """What an account's entries come to when only those count that happened by the end of a day.

    Its sums are not compacted, so it is exact however late something was told.

    Args:
        entries: oldest first.
    """
    happened = (entry for entry in entries if _happened_by(entry, on, time_zone))
    return reduce(applied, happened, unlived(account))


def end_of(day: date, time_zone: str) -> datetime:
    """The instant at which a day is over."""
    return datetime.combine(day_after(day), time(), tzinfo=zone(time_zone))


def _happened_by(entry: Entry, on: date, time_zone: str) -> bool:
    """A return counts in its purchase's month (`occurred_on`), but has not happened before it was made."""
    return entry.reason is not Reason.EXPIRE and local_day(entry.occurred_at, time_zone) <= on
