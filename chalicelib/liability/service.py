"""Use cases of liability: find a report."""

from datetime import date, datetime

from chalicelib.kernel.calendar import Month, first_day, month_of
from chalicelib.liability import rules, store
from chalicelib.liability.errors import LiabilityUnknown, MonthNotReached
from chalicelib.liability.models import LiabilityReport
from chalicelib.storage.objects import Objects


def find_report(objects: Objects, month: str | None, *, now: datetime) -> LiabilityReport:
    """The newest report; or, for a month, the first one after its end, which counts what was there at its end.

    Args:
        month: `YYYY-MM`; only this month's roll-forward is in the answer then.

    Raises:
        LiabilityUnknown: there is no report.
        MonthNotReached: the newest one is of a day before that month.
        LiabilityUntied: it does not tie, and is not given.
    """
    last = date.fromordinal(now.date().toordinal() + 1)
    end = first_day(Month(month_of(date.fromisoformat(f"{month}-01")) + 1)) if month is not None else last
    days = store.list_report_days(objects, first=min(end, last), last=last) if month is not None else []
    days = days[:1] or store.list_report_days(objects, first=last - store.LOOKED_AT, last=last)[-1:]
    made = store.find_report(objects, days[0]) if days else None
    if made is None:
        raise LiabilityUnknown
    newest = made.day.strftime("%Y-%m")
    if month is not None and month > newest:  # what was found then is the newest of all
        raise MonthNotReached(month=month, newest=newest)
    rules.require_tied(made)
    return rules.of_month(made, month) if month is not None else made
