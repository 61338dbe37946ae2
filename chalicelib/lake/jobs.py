"""The lake's functions: the table's stream to the log, and the log to patches and bases.

A batch of the stream becomes one file. When a record cannot be understood, those before it are kept and it is named;
once it heads the batch the function fails, so that Lambda parts it from the others (`relay/jobs.py` says how). Unlike
with the relay, what is not told in time is not lost: a rebuild reads the table.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.lake import folding, rules, service, store
from chalicelib.lake.models import Merged
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import House, house


class RecordFailed(Exception):
    """A record cannot be understood. It names the record's place in the stream and no more: words end up in a log."""


def fold_records(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Keep what the stream's records say, as one file of the lake's log, and ask for a patch.

    Raises:
        SettingsWrong: the function was not given what it needs.
        StorageBusy: neither file nor message arrived; the batch comes again.
        RecordFailed: the first record cannot be understood; see above.
    """
    here, records = house(), event["Records"]
    lines, done, fault = _understood(records)
    if store.keep_batch(here.objects, lines, now=here.clock()) is not None:
        if here.settings.lake_queue is None:
            raise SettingsWrong("the environment variable REGULARS_LAKE_QUEUE is not set")
        here.queues.send(here.settings.lake_queue, ["patch"], delay=rules.DELAY.seconds)
    log_job("fold_records", {"records": len(records), "done": done, "lines": len(lines)}, [fault] if fault else [])
    if fault is None:
        return {"batchItemFailures": []}
    place = records[done]["dynamodb"]["SequenceNumber"]
    if done == 0:
        raise RecordFailed(f"{type(fault).__name__} at {place}") from None
    return {"batchItemFailures": [{"itemIdentifier": place}]}


def _understood(records: Sequence[Mapping[str, Any]]) -> tuple[list[bytes], int, Exception | None]:
    """The lines of records up to the first that cannot be understood, how many those are, and what is wrong with it.

    Rows become lines at once: thousands of rows that are kept are looked over by the collector again and again.
    """
    lines: list[bytes] = []
    newest, done, fault = 0, 0, None
    for record in records:
        try:
            if rows := folding.rows_of(record):
                lines.append(store.line_of(*rows))
            newest = max(newest, folding.moment_of(record))
        except Exception as wrong:  # noqa: BLE001 - the edge
            fault = wrong
            break
        done += 1
    if lines and newest:
        lines.append(store.line_of({"batch": {"through": newest}}))
    return lines, done, fault


def patch_lake(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Make a patch, however many messages ask for one; and a base, when scores need one that is quickly made.

    Raises:
        SettingsWrong: the function was not given what it needs.
        StorageBusy: files or head could not be reached; the messages come again.
    """
    here = house()
    head = _work("patch_lake", here, service.patch).head
    if rules.is_outgrown(head) and rules.is_swift(head):
        _work("rebase_lake", here, service.rebase)
    return {"batchItemFailures": []}


def rebase_lake(event: dict[str, Any], context: Any) -> None:  # noqa: ARG001 - Lambda's shape
    """Every hour: make a base, when it is time for one, else a patch, in case nobody asked for it; and have segments
    looked at, because days change too.

    Raises:
        SettingsWrong: the function was not given what it needs.
        StorageBusy: files or head could not be reached; an hour later it is tried again.
    """
    here = house()
    zone = book_of(here.table).current(here.clock()).time_zone
    due = rules.is_rebase_due(store.find_head(here.ops), here.clock(), zone)
    if due:
        _work("rebase_lake", here, service.rebase)
    elif not _work("patch_lake", here, service.patch).moved:
        _ask_for_segments(here)


def _ask_for_segments(here: House) -> None:
    if here.settings.segments_queue is not None:
        here.queues.send(here.settings.segments_queue, ["refresh"])


def _work(job: str, here: House, make: Callable[..., Merged]) -> Merged:
    """Make a patch or a base of the house's lake, and tell of it in one line."""
    now = here.clock()
    today = service.today_of(book_of(here.table), now)
    try:
        done = make(service.Lake(here.ops, here.objects, here.place, here.draw), today=today, now=now)
    except Trouble as trouble:
        log_job(job, {}, [trouble])
        raise
    if done.moved:
        _ask_for_segments(here)
    head = done.head
    facts = {"files": done.objects, "moved": done.moved, "people": head.next_m, "patched": head.patched}
    log_job(job, facts, [])
    return done


def lake_status(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """What the lake has: how many rows each view shows, and how new it is; no rows while it is being made anew.

    Raises:
        SettingsWrong: the function was not given what it needs.
    """
    here, now = house(), house().clock()
    head = store.find_head(here.ops)
    whole = head is None or not head.unfinished
    today = service.today_of(book_of(here.table), now)
    counts = service.counts(here.place, head, today=today, now=now) if whole else {}
    return {
        "generation": head.generation if head else None,
        "built_at": head.built_at.isoformat() if head else None,
        "through": head.through.isoformat() if head and head.through else None,
        "rows": counts,
    }
