"""Where reports of liability are kept: in the store that is written once.

liability/<day>/report.json   the report
liability/<day>/report.csv    the same as rows for a spreadsheet
"""

from datetime import date, timedelta

from chalicelib.kernel.sheets import csv_text
from chalicelib.liability.models import LiabilityReport
from chalicelib.liability.rules import rows_of
from chalicelib.storage.objects import Objects

LOOKED_AT = timedelta(days=400)
"""So far back a report is looked for."""


def put_report(objects: Objects, made: LiabilityReport) -> None:
    """Keep the report of a day, unless it has one."""
    folder = f"liability/{made.day.isoformat()}"
    objects.put_once(f"{folder}/report.csv", csv_text(rows_of(made)).encode(), kind="text/csv; charset=utf-8")
    objects.put_once(f"{folder}/report.json", made.model_dump_json().encode(), kind="application/json")


def list_report_days(objects: Objects, *, first: date, last: date) -> list[date]:
    """Days from the first to the last that have a report, in order."""
    after = f"liability/{(first - timedelta(days=1)).isoformat()}/~"
    names = objects.list("liability/", after=after, limit=2 * ((last - first).days + 2))
    days = (date.fromisoformat(name.split("/")[1]) for name in names if name.endswith("/report.json"))
    return [day for day in days if day <= last]


def find_report(objects: Objects, day: date) -> LiabilityReport | None:
    """The report of a day, or None."""
    found = objects.get(f"liability/{day.isoformat()}/report.json")
    return LiabilityReport.model_validate_json(found) if found is not None else None
