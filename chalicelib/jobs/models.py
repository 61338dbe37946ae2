"""Jobs, their runs, and the parts that runs are cut into."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from chalicelib.kernel.ids import AccountId, Id
from chalicelib.kernel.records import Day, Record

RUNS_FOR_DAYS = 400
"""A run may be asked for, and is remembered, so long after its day."""

DRY_RUN_AHEAD_DAYS = 92
"""How far ahead a dry run may look."""


class Job(StrEnum):
    """What is done for the members whom a day concerns."""

    BIRTHDAY = "birthday"
    EXPIRE = "expire"
    EXPIRING_SOON = "expiring_soon"
    RELEASE = "release"
    TIER_REVIEW = "tier_review"
    VERIFY = "verify"
    AUDIT = "audit"
    RETENTION = "retention"


@dataclass(frozen=True, slots=True)
class Timetable:
    """When a job's day begins, and how far back it catches up.

    Attributes:
        starts_at: in the program's time zone; nobody wants a message at midnight.
        catch_up_days: missed days that are still done: a birthday's gift is late after a week, an expiry never is.
    """

    starts_at: time
    catch_up_days: int


TIMETABLES = {
    Job.BIRTHDAY: Timetable(time(8), 7),
    Job.EXPIRE: Timetable(time(0), RUNS_FOR_DAYS),
    Job.EXPIRING_SOON: Timetable(time(10), RUNS_FOR_DAYS),
    Job.RELEASE: Timetable(time(9), RUNS_FOR_DAYS),
    Job.TIER_REVIEW: Timetable(time(0), RUNS_FOR_DAYS),
    Job.VERIFY: Timetable(time(3), 0),  # a proof is of today's ledger: a missed day cannot be proven later
    Job.AUDIT: Timetable(time(10), 0),  # signs whatever day is not signed yet
    Job.RETENTION: Timetable(time(4), 0),  # takes away whatever is too old by now
}


class JobName(Id):
    """Names a job."""

    pattern = rf"^({'|'.join(Job)})$"
    longest = 32


class RunDay(Id):
    """The day of a run, `YYYY-MM-DD`."""

    pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
    longest = 10


class RunState(StrEnum):
    """How far a run is."""

    RUNNING = "running"
    DONE = "done"
    INCOMPLETE = "incomplete"
    """Nothing has moved for half an hour and members are still waiting: look at the dead-letter queue. The next hour
    takes the run up again."""


class StartRun(Record):
    """Run a job for a day by hand. What was done before is not done twice."""

    date: Day | None = None
    """The day in the program's time zone; today, when left out. A dry run may look ahead."""
    dry_run: bool = False
    """Only count whom it concerns and the points that would move."""


class Counts(Record):
    """What a run has counted so far."""

    opened: int = 0
    """Parts that other parts have handed on."""
    closed: int = 0
    """Parts that are through."""
    due: int = 0
    done: int = 0
    changed: int = 0
    points: int = 0
    set_aside: int = 0


class RunRecord(Record):
    """A run as it is kept.

    Attributes:
        attempt: counts from 1; a run that is asked for anew starts to count anew.
        since: the first of the days under which members stand whom it concerns.
        first: how many parts it was started with.
        resumed: how often it was taken up again.
    """

    job: Job
    day: date
    dry_run: bool
    attempt: int
    since: date
    first: int
    resumed: int = 0
    started_at: AwareDatetime
    started_by: str
    finished_at: AwareDatetime | None = None
    totals: Counts | None = None
    """What it came to, once it is finished."""
    version: int = 1


class Run(Record):
    """A job's run for a day."""

    job: Job
    date: Annotated[date, Field()]
    dry_run: bool
    state: RunState
    attempt: int
    """How many times this run was started anew, the first included."""
    due: int
    """Members whom the index of what is due named; for `verify`, all accounts; for `retention`, all members; for
    `audit`, audit records."""
    done: int
    """Of them, those who were looked at."""
    changed: int
    """Of them, those for whom there was something to do; for a dry run, there would be. Members of a part that was cut
    off and done again may count as unchanged. For `verify`, accounts that do not hold; for `audit`, faults found; for
    `retention`, members of whom something was taken away."""
    unchanged: int
    waiting: int
    """Members who are still to be looked at."""
    set_aside: int
    """Members who failed among others and were tried again alone."""
    points: int
    """Points given, expired, told of or released; for `verify`, the balance of all accounts."""
    started_at: AwareDatetime
    started_by: str
    """`schedule`, or whoever asked."""
    updated_at: AwareDatetime
    finished_at: AwareDatetime | None


class JobView(Record):
    """A job, when it starts, and how it last went."""

    job: Job
    description: str
    starts_at: str
    """`HH:MM` in the program's time zone."""
    through: date | None
    """Every day up to this one was started; null before the first."""
    last_run: Run | None


class JobList(Record):
    """All jobs."""

    items: tuple[JobView, ...]
    next_cursor: None = None


class Part(Record):
    """A message of the queue of job work: part of a run.

    Either a partition of the index of what is due (or of the directory), from a position on, or some members.
    """

    job: Job
    day: Day
    dry_run: bool
    attempt: int
    name: str
    """Tells the parts of an attempt apart; the same part has the same name however often it is sent."""
    partition: str | None = None
    after: str | None = None
    members: tuple[AccountId, ...] = ()
    unlisted: tuple[AccountId, ...] = ()
    """Of them, those that should be in the directory and are not."""


@dataclass(frozen=True, slots=True)
class Closed:
    """A part that is through: what it counted, the parts that it hands on, and what it found for the run's end."""

    counts: Counts
    parts: tuple[Part, ...] = ()
    found: Mapping[str, Any] | None = None
