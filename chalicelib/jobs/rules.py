"""Which days a job does, whom they concern, and how a run is cut into parts. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from chalicelib.jobs.errors import RunDayWrong
from chalicelib.jobs.models import (
    DRY_RUN_AHEAD_DAYS,
    RUNS_FOR_DAYS,
    Closed,
    Counts,
    Job,
    Part,
    Run,
    RunRecord,
    RunState,
    Timetable,
)
from chalicelib.kernel.calendar import celebrated_on, zone
from chalicelib.kernel.ids import AccountId

MEMBERS_IN_A_PART = 25
PAGE = 100
"""Members that are looked up in the index at a time."""

ACCOUNTS_IN_A_PART = 100
ACCOUNTS_ON_A_PAGE = 500
"""Likewise of the directory: proving an account takes less than writing to one, and there are all of them."""

QUIET = timedelta(minutes=30)
"""A run that has not moved for so long has lost parts, or they went to the dead-letter queue."""


def last_day_begun(timetable: Timetable, time_zone: str, now: datetime) -> date:
    """The last day whose work may start: today, or yesterday while it is too early."""
    local = now.astimezone(zone(time_zone))
    early = local.time().replace(tzinfo=None) < timetable.starts_at
    return local.date() - timedelta(days=1) if early else local.date()


def days_to_run(timetable: Timetable, through: date | None, last: date) -> list[date]:
    """The days that are to be started: those since the last one that was, as far back as the job catches up.

    Args:
        through: every day up to this one was started; None before the first.
    """
    if through is None:
        return [last]
    first = max(through + timedelta(days=1), last - timedelta(days=timetable.catch_up_days))
    return days_between(first, last)


def birthday_day(month_day: str | None, joined_on: date, day: date) -> date | None:
    """The day whose birthday a run for a day celebrates with a member, or None when it is not theirs.

    It is the day itself, or the day before for who joined on that day: the run may have passed by then.
    """
    if month_day in celebrated_on(day):
        return day
    before = day - timedelta(days=1)
    return before if joined_on == before and month_day in celebrated_on(before) else None


def due_since(day: date, today: date) -> date:
    """The first of the days under which accounts stand that a run for a day concerns; the last is the day itself.

    A run for today also takes yesterday's: an account that was written at the end of yesterday may have come into the
    index after yesterday's run had passed. A look ahead takes every day until then, because an account stands under
    the first day only on which something is due.
    """
    return day if day < today else today - timedelta(days=1)


def days_between(first: date, last: date) -> list[date]:
    """Every day from the first to the last."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def require_day(job: Job, day: date, today: date, *, dry_run: bool) -> None:
    """Refuse a day that lies too far back, or ahead. A proof is of the ledger as it is: today, or a night's run.

    Raises:
        RunDayWrong: it does.
    """
    of_now = job in (Job.VERIFY, Job.AUDIT, Job.RETENTION)
    first = today - timedelta(days=1 if of_now else RUNS_FOR_DAYS)
    last = today + timedelta(days=DRY_RUN_AHEAD_DAYS if dry_run and not of_now else 0)
    if not first <= day <= last:
        raise RunDayWrong(date=day.isoformat(), first=first.isoformat(), last=last.isoformat())


def first_parts(run: RunRecord, partitions: Sequence[str]) -> list[Part]:
    """The parts that a run starts with: one for each partition of the index."""
    return [_part(run, f"{number}", partition=each) for number, each in enumerate(partitions)]


def page_closed(part: Part, members: Sequence[AccountId], last: str | None) -> Closed:
    """What reading a page of the index comes to: parts of a few members each, and the next page.

    Args:
        last: where the next page starts; None at the end.
    """
    return _page_closed(part, members, last, MEMBERS_IN_A_PART, frozenset())


def directory_closed(
    part: Part, listed: Sequence[AccountId], unlisted: Sequence[AccountId], last: str | None
) -> Closed:
    """What reading a page of the directory comes to.

    The order of ids decides which accounts are a part, so that the same accounts make the same parts.

    Args:
        unlisted: accounts that should be on the page and are not.
    """
    return _page_closed(part, sorted({*listed, *unlisted}), last, ACCOUNTS_IN_A_PART, frozenset(unlisted))


def _page_closed(
    part: Part, members: Sequence[AccountId], last: str | None, size: int, unlisted: frozenset[AccountId]
) -> Closed:
    groups = [members[at : at + size] for at in range(0, len(members), size)]
    parts = [
        part.model_copy(
            update={
                "name": f"{part.name}.{number}",
                "partition": None,
                "after": None,
                "members": tuple(group),
                "unlisted": tuple(each for each in group if each in unlisted),
            }
        )
        for number, group in enumerate(groups)
    ]
    if last is not None:
        parts.append(part.model_copy(update={"name": _next_page(part.name), "after": last}))
    return Closed(Counts(opened=len(parts), closed=1, due=len(members)), tuple(parts))


def _next_page(name: str) -> str:
    """The name of the page after one: `0`, `0+1`, `0+2` … A key has room for any number of them."""
    first, _, count = name.partition("+")
    pages = int(count) if count.isdecimal() else len(name) - len(first)
    return f"{first}+{pages + 1}"


def chains_closed(part: Part, records: int, faults: int, after: date | None) -> Closed:
    """What walking the audit chains of a shard comes to, and the part that goes on from there.

    Args:
        after: the last day walked; None when all were.
    """
    onward = part.model_copy(update={"name": _next_page(part.name), "after": after.isoformat() if after else None})
    parts = (onward,) if after is not None else ()
    counts = Counts(opened=len(parts), closed=1, due=records, done=records, changed=faults)
    return Closed(counts, parts)


def members_closed(part: Part, results: Sequence[int | None], aside: Sequence[AccountId]) -> Closed:
    """What doing a part's members comes to.

    Args:
        results: points for each member who was done, None where there was nothing to do.
        aside: members who failed; each gets a part of its own.
    """
    parts = tuple(
        part.model_copy(update={"name": f"{part.name}!{member_id}", "members": (member_id,)}) for member_id in aside
    )
    changed = [points for points in results if points is not None]
    counts = Counts(
        opened=len(parts),
        closed=1,
        done=len(results),
        changed=len(changed),
        points=sum(changed),
        set_aside=len(aside),
    )
    return Closed(counts, parts)


def is_through(run: RunRecord, counts: Counts) -> bool:
    """Whether every part that was ever handed on has been closed."""
    return run.first + counts.opened == counts.closed


def run_view(run: RunRecord, counts: Counts, moved_at: datetime | None, now: datetime) -> Run:
    """A run as callers see it.

    Args:
        moved_at: when a part was last closed.
    """
    updated_at = max(filter(None, (run.started_at, moved_at, run.finished_at)))
    return Run(
        job=run.job,
        date=run.day,
        dry_run=run.dry_run,
        state=state_of(run, updated_at, now),
        attempt=run.attempt,
        due=counts.due,
        done=counts.done,
        changed=counts.changed,
        unchanged=counts.done - counts.changed,
        waiting=counts.due - counts.done,
        set_aside=counts.set_aside,
        points=counts.points,
        started_at=run.started_at,
        started_by=run.started_by,
        updated_at=updated_at,
        finished_at=run.finished_at,
    )


def state_of(run: RunRecord, updated_at: datetime, now: datetime) -> RunState:
    """How far a run is."""
    if run.finished_at is not None:
        return RunState.DONE
    return RunState.INCOMPLETE if now - updated_at > QUIET else RunState.RUNNING


DESCRIPTIONS = {
    Job.BIRTHDAY: "Gives members the birthday gift of their tier, once a year.",
    Job.EXPIRE: "Books points that expired. What members can spend never depends on it.",
    Job.EXPIRING_SOON: "Tells members of points that expire soon.",
    Job.RELEASE: "Tells members that pending points can be spent.",
    Job.TIER_REVIEW: "Books the reviews of tiers whose time is over, kept or not, and tells members.",
    Job.VERIFY: "Proves every account, signs the root over all of them, and reports the liability.",
    Job.AUDIT: "Walks the chains of the audit trail, and signs every day that is over.",
    Job.RETENTION: "Erases members whose time is over, as the program says, and records that have served theirs.",
}


def _part(run: RunRecord, name: str, *, partition: str) -> Part:
    return Part(job=run.job, day=run.day, dry_run=run.dry_run, attempt=run.attempt, name=name, partition=partition)
