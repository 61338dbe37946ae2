"""HTTP of jobs: how they went, and running one by hand."""

from datetime import date

from pydantic import Field

from chalicelib.api.errors import IdMalformed
from chalicelib.api.routing import Call, Routes
from chalicelib.jobs import service
from chalicelib.jobs.errors import JobsUnavailable, RunDayWrong, RunUnknown
from chalicelib.jobs.models import Job, JobList, JobName, Run, RunDay, StartRun
from chalicelib.jobs.service import Yard
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.kernel.records import Record
from chalicelib.programs.service import book_of

jobs = Routes("jobs")


class RunPage(Page[Run]):
    """A page of runs."""


class RunQuery(Record):
    """Which of a day's two runs."""

    dry_run: bool = Field(default=False)
    """The dry run of that day."""


@jobs.get("/jobs")
def list_jobs(call: Call) -> JobList:
    """All jobs: when they start, and how each last went."""
    return JobList(items=service.list_jobs(_yard(call), now=call.now))


@jobs.get("/jobs/{job}/runs", refuses=(CursorInvalid,))
def list_job_runs(job: JobName, query: Paging, call: Call) -> RunPage:
    """A job's runs, latest day first, dry ones among them."""
    scope = ("job-runs", job)
    part = service.list_runs(
        _yard(call), Job(job), after=call.position(query.cursor, *scope), limit=query.limit, now=call.now
    )
    return call.page(part, RunPage, *scope)


@jobs.get("/jobs/{job}/runs/{day}", refuses=(RunUnknown,))
def get_job_run(job: JobName, day: RunDay, query: RunQuery, call: Call) -> Run:
    """How far a run is, and what it has come to."""
    return service.find_run(_yard(call), Job(job), _date(day), dry_run=query.dry_run, now=call.now)


@jobs.post("/jobs/{job}/runs", status=202, refuses=(RunDayWrong,))
def start_job_run(job: JobName, body: StartRun, call: Call) -> Run:
    """Run a job for a day by hand; it goes on after the answer.

    What was done for that day before is not done twice. A run that is not through is taken up again.
    """
    house = call.house
    if house.settings.job_queue is None:
        raise JobsUnavailable
    yard = _yard(call)
    assert call.caller is not None
    today = local_day(call.now, yard.book.current(call.now).time_zone)
    return service.start_run(
        yard,
        Job(job),
        body.date or today,
        dry_run=body.dry_run,
        by=call.caller.subject,
        now=call.now,
        anew=True,
    )


def _yard(call: Call) -> Yard:
    house = call.house
    said = house.settings
    return Yard(
        house.table, house.ops, book_of(house.table), house.queues, said.job_queue or "",
        retention_queue=said.retention_queue or "",
    )  # fmt: skip


def _date(day: RunDay) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise IdMalformed(parameter="day") from None
