"""How runs of jobs are kept, in table `ops`: whether they are through is known by counting parts.

A part is closed in one transaction: an item that says so (and what the part has handed on), and numbers added to one of
the attempt's counters. So a part that is done twice counts once, and what it handed on the first time is handed on
again rather than cut anew.
"""

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.jobs.errors import PartKnown, RunMoved
from chalicelib.jobs.models import RUNS_FOR_DAYS, Closed, Counts, Job, Part, RunRecord
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import AccountId
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Add, Item, Put, Unchanged, Write

COUNTERS = 16
"""An attempt's counters: one item takes 1,000 writes a second, and a part is written in a few milliseconds."""

_PARTS_KEPT = timedelta(days=30)
_RUNS_KEPT = timedelta(days=RUNS_FOR_DAYS + 30)
_FOUND_AT_ONCE = 200
_LATEST = "~"
"""After every day."""


@dataclass(frozen=True, slots=True)
class Head:
    """Through which day a job was started."""

    through: date
    version: int


# ---------------------------------------------------------------- reading


def find_head(ops: Table, job: Job) -> Head | None:
    """Through which day a job was started, or None before the first."""
    item = ops.get(keys.job_head(job), consistent=True)
    return Head(date.fromisoformat(item["through"]), item["version"]) if item else None


def find_run(ops: Table, job: Job, day: date, *, dry_run: bool) -> RunRecord | None:
    """A run, or None."""
    item = ops.get(keys.job_run(job, day, dry_run=dry_run), consistent=True)
    return _run(item) if item else None


def list_runs(ops: Table, job: Job, *, before: str | None, limit: int) -> tuple[list[RunRecord], str | None]:
    """Runs of a job, latest day first, and where the next ones start."""
    last = before or f"R#{_LATEST}"
    items = ops.query_partition(
        keys.job_runs(job), first="R#", last=last, consistent=True, newest_first=True, limit=limit + 2
    )
    shown = [item for item in items if item["sk"] != before]
    position = str(shown[limit - 1]["sk"]) if len(shown) > limit else None
    return [_run(item) for item in shown[:limit]], position


def find_closed(ops: Table, part: Part) -> tuple[Part, ...] | None:
    """What a part has handed on, or None when it is not closed yet."""
    item = ops.get(_part_key(part), consistent=True)
    return _handed_on(item, part) if item else None


def find_counts(ops: Table, run: RunRecord) -> tuple[Counts, datetime | None]:
    """What an attempt has counted, and when it last counted something."""
    partition = keys.job_attempt(run.job, run.day, run.attempt, dry_run=run.dry_run)
    items = ops.query_partition(partition, first="C#", last="C#~", consistent=True)
    sums = {name: sum(item.get(name, 0) for item in items) for name in Counts.model_fields}
    moved = max((item["at"] for item in items), default=None)
    return Counts(**sums), from_milliseconds(moved) if moved is not None else None


def list_found(ops: Table, run: RunRecord) -> Iterator[dict[str, Any]]:
    """What the parts of an attempt have found, some at a time: there may be thousands."""
    partition = keys.job_attempt(run.job, run.day, run.attempt, dry_run=run.dry_run)
    first = "V#"
    while True:
        items = ops.query_partition(partition, first=first, last="V#~", consistent=True, limit=_FOUND_AT_ONCE)
        yield from (json.loads(zlib.decompress(item["found"])) for item in items)
        if len(items) < _FOUND_AT_ONCE:
            return
        first = items[-1]["sk"] + "\0"


# ---------------------------------------------------------------- describing writes


def advance_head(job: Job, before: Head | None, through: date) -> Write:
    """The write that says through which day a job was started."""
    item = {"through": through.isoformat(), "version": before.version + 1 if before else 1}
    condition = Unchanged(before.version) if before else Absent()
    return Put(keys.job_head(job), item, condition, lambda _: RunMoved())


def put_run(run: RunRecord, before: RunRecord | None) -> Write:
    """The write of a run, new or after another version of it."""
    condition = Unchanged(before.version) if before else Absent()
    return Put(keys.job_run(run.job, run.day, dry_run=run.dry_run), _run_item(run), condition, lambda _: RunMoved())


def close(part: Part, closed: Closed, now: datetime) -> list[Write]:
    """Writes of a part that is through."""
    partition = keys.job_attempt(part.job, part.day, part.attempt, dry_run=part.dry_run)
    expires = int((now + _PARTS_KEPT).timestamp())
    shard = zlib.crc32(part.name.encode()) % COUNTERS
    marker = {"parts": [_packed(each) for each in closed.parts] or None, "expires": expires}
    amounts = {name: amount for name, amount in closed.counts.model_dump().items() if amount}
    writes: list[Write] = [
        Put(_part_key(part), marker, Absent(), lambda _: PartKnown()),
        Add(keys.job_count(partition, shard), amounts, {"at": milliseconds(now), "expires": expires}),
    ]
    if closed.found is not None:
        found = {"found": zlib.compress(json.dumps(closed.found).encode(), 6), "expires": expires}
        writes.append(Put(keys.job_found(partition, part.name), found, Absent(), lambda _: PartKnown()))
    return writes


# ---------------------------------------------------------------- items


def _part_key(part: Part) -> keys.Key:
    return keys.job_part(keys.job_attempt(part.job, part.day, part.attempt, dry_run=part.dry_run), part.name)


def _packed(part: Part) -> list[Any]:
    packed = [part.name, part.partition or "", part.after or "", [each.removeprefix("mem_") for each in part.members]]
    return [*packed, list(part.unlisted)] if part.unlisted else packed


def _handed_on(item: Item, part: Part) -> tuple[Part, ...]:
    return tuple(
        part.model_copy(
            update={
                "name": name,
                "partition": partition or None,
                "after": after or None,
                "members": tuple(AccountId(each if "_" in each else f"mem_{each}") for each in members),
                "unlisted": tuple(AccountId(each) for unlisted in more for each in unlisted),
            }
        )
        for name, partition, after, members, *more in item.get("parts", ())
    )


def _run_item(run: RunRecord) -> Item:
    return {
        "attempt": run.attempt,
        "since": run.since.isoformat(),
        "first": run.first,
        "resumed": run.resumed or None,
        "started": milliseconds(run.started_at),
        "by": run.started_by,
        "finished": milliseconds(run.finished_at) if run.finished_at else None,
        "totals": run.totals.model_dump() if run.totals else None,
        "version": run.version,
        "expires": int((run.started_at + _RUNS_KEPT).timestamp()),
    }


def _run(item: Item) -> RunRecord:
    _, day, kind = keys.parted(item["sk"])
    return RunRecord(
        job=Job(keys.parted(item["pk"])[1]),
        day=date.fromisoformat(day),
        dry_run=kind == "dry",
        attempt=item["attempt"],
        since=date.fromisoformat(item["since"]),
        first=item["first"],
        resumed=item.get("resumed", 0),
        started_at=from_milliseconds(item["started"]),
        started_by=item["by"],
        finished_at=from_milliseconds(item["finished"]) if "finished" in item else None,
        totals=_totals(item.get("totals")),
        version=item["version"],
    )


def _totals(stored: Mapping[str, int] | None) -> Counts | None:
    return Counts(**stored) if stored is not None else None


def handed_on(parts: Sequence[Part]) -> list[str]:
    """Parts as messages."""
    return [part.model_dump_json(exclude_defaults=True) for part in parts]
