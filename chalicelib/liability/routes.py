"""HTTP of liability: the report, as JSON and as CSV."""

from chalicelib.api.routing import Call, Routes, Sheet
from chalicelib.kernel.sheets import csv_text
from chalicelib.liability import service
from chalicelib.liability.errors import LiabilityUnknown, LiabilityUntied, MonthNotReached
from chalicelib.liability.models import LiabilityQuery, LiabilityReport
from chalicelib.liability.rules import rows_of

liability = Routes("liability")

_REFUSES = (LiabilityUnknown, LiabilityUntied, MonthNotReached)


@liability.get("/analytics/liability", refuses=_REFUSES)
def get_liability(query: LiabilityQuery, call: Call) -> LiabilityReport:
    """Points outstanding by month of expiry and of issue, priced, and the roll-forward of every month.

    The job `verify` makes it once a day, as of midnight. It ties to the ledger to the point, or is not given.
    """
    return service.find_report(call.house.roots, query.month, now=call.now)


@liability.get("/analytics/liability.csv", refuses=_REFUSES)
def get_liability_sheet(query: LiabilityQuery, call: Call) -> Sheet:
    """The same for a spreadsheet: one figure a row."""
    return Sheet(csv_text(rows_of(service.find_report(call.house.roots, query.month, now=call.now))))
