"""Use cases of jobs: start what is due, do a part, show how runs are going.

A run walks over the index of what is due, partition by partition and page by page, and hands members on in parts of a
few; the job `verify` walks over the directory of all accounts instead (`proving.py`). Each step is a message of a
queue, so a run of millions is as safe as a run of one: a part that is lost, repeated or cut off is done again, and
doing it again changes nothing. What a member gets is decided by the member's own items, in one transaction; the index
only says where to look.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from chalicelib.jobs import proving, rules, store
from chalicelib.jobs.errors import PartKnown, RunMoved, RunUnknown
from chalicelib.jobs.models import TIMETABLES, Closed, Job, JobView, Part, Run, RunRecord
from chalicelib.kernel.calendar import celebrated_on, local_day
from chalicelib.kernel.ids import AccountId, MemberId, is_card, is_member
from chalicelib.kernel.pages import Slice
from chalicelib.members import service as members
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberUnknown
from chalicelib.points.models import Account, Due
from chalicelib.programs.service import ProgramBook
from chalicelib.proof.service import Roots
from chalicelib.storage import keys
from chalicelib.storage.queues import Queues
from chalicelib.storage.signing import Signer
from chalicelib.storage.table import Table

RESUMED_FOR = timedelta(days=8)
"""For so long after its start, a run that has come to a halt is taken up again."""

RESUMED_EVERY = timedelta(days=1)
"""At least so often, however often that did not help."""

RUNS_MAX = 1000
"""More runs than are remembered of a job: one real and one dry run a day."""

ASIDE_SECONDS = 5
"""How long a member who failed waits before being tried alone."""


class Keeper(Protocol):
    """Takes away what has been kept long enough; the domain that may do so stands above this one."""

    def of_member(self, member_id: MemberId, *, dry_run: bool, now: datetime) -> int | None:
        """Take away what is too old of a member, or all of them: points lost, or None when there was nothing."""

    def of_nobody(self, *, dry_run: bool, now: datetime) -> None:
        """Take away records that are too old and belong to days rather than members."""


@dataclass(frozen=True, slots=True)
class Yard:
    """Where jobs work.

    Attributes:
        table: `core`.
        ops: where runs are counted.
        queue: URL of the queue of job work.
        stack: its name, which stands in roots.
        roots: None where nothing is proven: whoever only starts runs.
        pause: waits before what may have lagged is read again.
        tell: tells operators of something.
        retention_queue: URL of the queue of the job `retention`.
        keeper: None where nothing is taken away: everywhere but in that job's own function.
    """

    table: Table
    ops: Table
    book: ProgramBook
    queues: Queues
    queue: str
    stack: str = ""
    roots: Roots | None = None
    signer: Signer | None = None
    pause: Callable[[], None] = lambda: None
    tell: proving.Tell = proving.tell_nobody
    retention_queue: str = ""
    keeper: Keeper | None = None

    def queue_of(self, job: Job) -> str:
        """The queue that a job's parts go to: erasing takes rights that other jobs do not have."""
        return self.retention_queue if job is Job.RETENTION else self.queue


Attempt = Callable[[Callable[[], int | None]], tuple[bool, int | None]]
"""Does a member's work and says whether it went well, and what came of it; the edge's, because it catches all."""


def start_due(yard: Yard, job: Job, *, now: datetime, resume_after: timedelta = rules.QUIET) -> list[Run]:
    """Start a job's runs for every day that has begun since the last one, and take up those that have come to a halt.

    Called at any time, any number of times, it comes to the same.

    Args:
        resume_after: how long a run must not have moved to be taken up again.
    """
    program = yard.book.current(now)
    head = store.find_head(yard.ops, job)
    last = rules.last_day_begun(TIMETABLES[job], program.time_zone, now)
    days = rules.days_to_run(TIMETABLES[job], head.through if head else None, last)
    started = [start_run(yard, job, day, dry_run=False, by="schedule", now=now) for day in days]
    if days:
        with suppress(RunMoved):  # another did the same at the same time
            yard.ops.commit([store.advance_head(job, head, days[-1])], keyed=True)
    _resume(yard, job, now, resume_after)
    return started


def start_run(yard: Yard, job: Job, day: date, *, dry_run: bool, by: str, now: datetime, anew: bool = False) -> Run:
    """Start a run, unless it was started; one that is not through is taken up again.

    Args:
        anew: a run that is through is started once more; what it did is not done twice.

    Raises:
        RunDayWrong: the day lies too far back or ahead.
        StorageBusy: the queue did not take the parts; the run goes on when it is asked for again.
    """
    today = local_day(now, yard.book.current(now).time_zone)
    rules.require_day(job, day, today, dry_run=dry_run)
    known = store.find_run(yard.ops, job, day, dry_run=dry_run)
    if known is not None and known.finished_at is not None and not anew:
        return view(yard, known, now)
    if known is None or known.finished_at is not None:
        since = day - timedelta(days=1) if job is Job.BIRTHDAY else rules.due_since(day, today)
        run = RunRecord(
            job=job,
            day=day,
            dry_run=dry_run,
            attempt=known.attempt + 1 if known else 1,
            since=since,
            first=len(_partitions(job, since, day)),
            started_at=now,
            started_by=by,
            version=known.version + 1 if known else 1,
        )
        try:
            yard.ops.commit([store.put_run(run, known)], keyed=True)
        except RunMoved:
            run = store.find_run(yard.ops, job, day, dry_run=dry_run) or run
    else:
        run = known
    _send_first(yard, run)
    return view(yard, run, now)


def do_part(yard: Yard, part: Part, *, now: datetime, attempt: Attempt) -> None:
    """Do a part of a run, count it, and hand on what follows from it.

    Args:
        attempt: does a member's work and catches what goes wrong.

    Raises:
        Exception: the work of a part's only member went wrong.
        StorageBusy: the queue did not take what is handed on; the part is done already when it is asked for again.
    """
    run = store.find_run(yard.ops, part.job, part.day, dry_run=part.dry_run)
    if run is None or run.attempt != part.attempt or run.finished_at is not None:
        return  # of an attempt that was given up, or is through
    parts = store.find_closed(yard.ops, part)
    if parts is None:
        closed = _page(yard, part, now) if part.partition is not None else _members(yard, part, run, now, attempt)
        parts = closed.parts
        try:
            yard.ops.commit(store.close(part, closed, now), keyed=True)
        except PartKnown:
            parts = store.find_closed(yard.ops, part) or ()
    if parts:
        delay = 0 if part.partition is not None else ASIDE_SECONDS
        yard.queues.send(yard.queue_of(part.job), store.handed_on(parts), delay=delay)
    else:
        _finish(yard, run, now)


def find_run(yard: Yard, job: Job, day: date, *, dry_run: bool, now: datetime) -> Run:
    """A run.

    Raises:
        RunUnknown: there is none for that day.
    """
    run = store.find_run(yard.ops, job, day, dry_run=dry_run)
    if run is None:
        raise RunUnknown(job=job, date=day.isoformat())
    return view(yard, run, now)


def list_runs(yard: Yard, job: Job, *, after: str | None, limit: int, now: datetime) -> Slice[Run]:
    """A page of a job's runs, latest day first."""
    runs, position = store.list_runs(yard.ops, job, before=after, limit=limit)
    return Slice(tuple(view(yard, run, now) for run in runs), position)


def list_jobs(yard: Yard, *, now: datetime) -> tuple[JobView, ...]:
    """All jobs, and how each last went."""
    return tuple(_job_view(yard, job, now) for job in Job)


def view(yard: Yard, run: RunRecord, now: datetime) -> Run:
    """A run as callers see it."""
    if run.totals is not None:
        return rules.run_view(run, run.totals, run.finished_at, now)
    counts, moved_at = store.find_counts(yard.ops, run)
    return rules.run_view(run, counts, moved_at, now)


def _job_view(yard: Yard, job: Job, now: datetime) -> JobView:
    head = store.find_head(yard.ops, job)
    runs, _ = store.list_runs(yard.ops, job, before=None, limit=10)
    last = next((run for run in runs if not run.dry_run), None)
    return JobView(
        job=job,
        description=rules.DESCRIPTIONS[job],
        starts_at=f"{TIMETABLES[job].starts_at:%H:%M}",
        through=head.through if head else None,
        last_run=view(yard, last, now) if last else None,
    )


def _resume(yard: Yard, job: Job, now: datetime, resume_after: timedelta) -> None:
    """Take up runs that have come to a halt, more and more seldom: what fails for good waits as a dead letter."""
    runs, _ = store.list_runs(yard.ops, job, before=None, limit=RUNS_MAX)
    for run in runs:
        if run.finished_at is not None or run.started_at < now - RESUMED_FOR:
            continue
        halted_for = now - view(yard, run, now).updated_at
        if halted_for < min(resume_after * 2**run.resumed, RESUMED_EVERY):
            continue
        again = run.model_copy(update={"resumed": run.resumed + 1, "version": run.version + 1})
        with suppress(RunMoved):  # it was finished, or another took it up
            yard.ops.commit([store.put_run(again, run)], keyed=True)
            _send_first(yard, again)


def _send_first(yard: Yard, run: RunRecord) -> None:
    """Send the parts that a run starts with; what is done of them is passed over."""
    parts = rules.first_parts(run, _partitions(run.job, run.since, run.day))
    yard.queues.send(yard.queue_of(run.job), store.handed_on(parts))


def _partitions(job: Job, since: date, day: date) -> list[str]:
    if job in (Job.VERIFY, Job.RETENTION):
        return list(keys.directories())
    if job is Job.AUDIT:
        return [str(shard) for shard in range(keys.AUDIT_SHARDS)]
    if job is Job.BIRTHDAY:
        birthdays = dict.fromkeys(each for on in (since, day) for each in celebrated_on(on))
        return [each for month_day in birthdays for each in keys.birthday_partitions(month_day)]
    return [each for due in rules.days_between(since, day) for each in keys.due_partitions(due)]


def _page(yard: Yard, part: Part, now: datetime) -> Closed:
    assert part.partition is not None
    if part.job is Job.AUDIT:
        assert yard.roots is not None
        return proving.chains(yard.table, yard.roots, part, now=now, tell=yard.tell)
    if part.job is Job.VERIFY:
        assert yard.roots is not None
        return proving.page(yard.table, yard.roots, part)
    if part.job is Job.RETENTION:
        return _directory_page(yard, part, now)
    rows = yard.table.query_due(part.partition, after=part.after, limit=rules.PAGE)
    return rules.page_closed(part, [keys.account_of(row["pk"]) for row in rows.items], rows.last)


def _directory_page(yard: Yard, part: Part, now: datetime) -> Closed:
    """Read a page of the directory, members only; the first one also takes away what belongs to days."""
    assert part.partition is not None
    if part.name == "0":
        assert yard.keeper is not None
        yard.keeper.of_nobody(dry_run=part.dry_run, now=now)
    rows = yard.table.query_timeline(part.partition, after=part.after, limit=rules.PAGE, newest_first=False)
    found = (keys.account_of(row["pk"]) for row in rows.items if row["sk"] == "PROFILE")
    return rules.page_closed(part, [each for each in found if is_member(each)], rows.last)


def _members(yard: Yard, part: Part, run: RunRecord, now: datetime, attempt: Attempt) -> Closed:
    if part.job is Job.VERIFY:
        assert yard.roots is not None
        return proving.accounts(yard.table, yard.book, yard.roots, part, run, now=now, pause=yard.pause, tell=yard.tell)
    results: list[int | None] = []
    aside: list[AccountId] = []
    alone = len(part.members) == 1
    loaded = {} if alone or part.job is Job.RETENTION else _accounts(yard, part.members, attempt)
    celebrated = [MemberId(member_id) for member_id in part.members] if part.job is Job.BIRTHDAY else []
    birthdays = members.find_birthdays(yard.table, celebrated) if celebrated else {}
    for member_id in part.members:

        def work(member_id: AccountId = member_id) -> int | None:
            if part.job is Job.RETENTION:
                assert yard.keeper is not None
                return yard.keeper.of_member(MemberId(member_id), dry_run=part.dry_run, now=now)
            account = loaded.get(member_id)
            if part.job is Job.BIRTHDAY:
                return _celebrate(yard, run, MemberId(member_id), birthdays.get(MemberId(member_id)), account, now)
            return _bring_up_to_date(yard, run, member_id, account, now)

        if alone:
            results.append(work())
            continue
        went_well, points_moved = attempt(work)
        if went_well:
            results.append(points_moved)
        else:
            aside.append(member_id)
    return rules.members_closed(part, results, aside)


def _accounts(yard: Yard, member_ids: Sequence[AccountId], attempt: Attempt) -> dict[AccountId, Account]:
    """The members' accounts, read at once; when one of them cannot be read, each is left to be read alone."""
    loaded: dict[AccountId, Account] = {}

    def read() -> int:
        loaded.update(points_store.find_accounts(yard.table, member_ids))
        return 0

    attempt(read)
    return loaded


def _celebrate(
    yard: Yard, run: RunRecord, member_id: MemberId, month_day: str | None, account: Account | None, now: datetime
) -> int | None:
    """Give a member's birthday gift: its points, or None when none is due or it was given before this run."""
    account = account or points_store.find_account(yard.table, member_id, consistent=True)
    on = rules.birthday_day(month_day, account.opened_on, run.day) if account else None
    if account is None or on is None:
        return None
    given = members.give_birthday_gift(
        yard.table, yard.book, member_id, on=on, now=now, known=account, dry_run=run.dry_run
    )
    if given is None or (given.replayed and (run.dry_run or given.value.recorded_at < run.started_at)):
        return None
    return given.value.earned or 0


def _bring_up_to_date(
    yard: Yard, run: RunRecord, member_id: AccountId, account: Account | None, now: datetime
) -> int | None:
    """Do any other job for one member: points concerned, or None when there was nothing to do."""
    try:
        moved = points.bring_up_to_date(
            yard.table, yard.book, member_id, _DUE[run.job], now=now, on=run.day, known=account, dry_run=run.dry_run
        )
    except MemberUnknown:
        return None  # gone since the index was read
    # A run counts points; what a card holds is money or visits.
    return 0 if moved is not None and is_card(member_id) else moved


_DUE = {
    Job.EXPIRE: Due.EXPIRY,
    Job.EXPIRING_SOON: Due.NOTICE,
    Job.RELEASE: Due.RELEASE,
    Job.TIER_REVIEW: Due.REVIEW,
}


def _finish(yard: Yard, run: RunRecord, now: datetime) -> None:
    """Mark a run as through when this was its last part. Who closes the last part sees all parts closed."""
    counts, _ = store.find_counts(yard.ops, run)
    if not rules.is_through(run, counts):
        return
    if run.job is Job.VERIFY and not run.dry_run:
        assert yard.roots is not None
        assert yard.signer is not None
        found = store.list_found(yard.ops, run)
        proving.end(found, yard.book, yard.roots, yard.signer, yard.stack, run, now=now, tell=yard.tell)
    if run.job is Job.AUDIT and not run.dry_run:
        assert yard.roots is not None
        assert yard.signer is not None
        proving.sign_audit(yard.table, yard.roots, yard.signer, yard.stack, now=now, tell=yard.tell)
    current: RunRecord | None = run
    while current is not None and current.attempt == run.attempt and current.finished_at is None:
        finished = current.model_copy(update={"finished_at": now, "totals": counts, "version": current.version + 1})
        try:
            yard.ops.commit([store.put_run(finished, current)], keyed=True)
        except RunMoved:  # another marked it, or it was taken up again meanwhile
            current = store.find_run(yard.ops, run.job, run.day, dry_run=run.dry_run)
        else:
            return
