"""The functions that have the lake: one that answers, and one that looks at live segments after each patch."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from chalicelib.kernel.ids import MemberId
from chalicelib.lake import duck
from chalicelib.lake import store as lake_store
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.wiring import House, house
from chalicelib.segments.engine import Engine
from chalicelib.segments.service import answering, refreshing, tagging
from chalicelib.segments.service.refreshing import Refresh

_SPARE_MS = 30_000
"""What a run leaves of its time: a slice of members takes less."""


def answer_segments(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Answer a question about segments: `ask` says which."""
    home = house()
    now = home.clock()
    try:
        said = answering.answer(home.table, book_of(home.table), home.objects, _opens(home), event, now=now)
    except LakeMissing:
        said = {"fault": "lake_missing"}
    log_job("answer_segments", {"ask": str(event["ask"]), "fault": said.get("fault")}, [])
    return said


def refresh_segments(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Look at live segments with the lake as it is, however many messages ask for it; tell who came and who left.

    Raises:
        StorageBusy: table, bus or files could not be reached; the messages come again, and the rest is done then.
    """
    home = house()
    now = home.clock()
    book = book_of(home.table)

    def late() -> bool:
        left = getattr(context, "get_remaining_time_in_millis", None)
        return left is not None and left() < _SPARE_MS

    def retag(member_id: MemberId, tag: str, given: bool) -> None:
        tagging.retag_member(home.table, home.keyring, book, member_id, tag, given=given, now=home.clock())

    run = Refresh(home.table, home.ops, home.objects, home.bus, book, _opens(home), retag, late)
    done = refreshing.refresh_segments(run, now=now)
    facts = {
        "segments": done.segments, "entered": done.entered, "left": done.left, "slow": done.slow,
        "unfinished": len(done.unfinished),
    }  # fmt: skip
    log_job("refresh_segments", facts, [])
    if done.unfinished and home.settings.segments_queue is not None:
        home.queues.send(home.settings.segments_queue, ["refresh"])
    elif done.count_in is not None and home.settings.segments_queue is not None:
        home.queues.send(home.settings.segments_queue, ["refresh"], delay=done.count_in)
    return {"batchItemFailures": []}


def _opens(home: House) -> Any:
    @contextmanager
    def opens(today: date, now: datetime) -> Iterator[Engine]:
        head = lake_store.find_head(home.ops)
        with duck.opened(home.place, head, today=today, now=now) as connection:
            base = head.base if head is not None and head.base else ""
            built = head.built_at if head is not None else now
            scored, generation = head is not None and head.scored, head.generation if head is not None else "none"
            yield Engine(connection, home.place.root, built, base, "patched", scored, generation)

    return opens
