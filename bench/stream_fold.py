"""What it costs to fold the table's stream into the lake's log: CPU a record, and files for a thousand of them.

Purchases of supermarket baskets and what comes with them, as the table's stream tells them, through the function that
is deployed: unpacking, rows, JSON, gzip, the file, the message that asks for a patch.
"""

import gc
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from bench.catalogues import purchase_body, supermarket
from bench.report import Figure, table
from bench.stack import Stack, client, database, folder, house_of, stack_on
from chalicelib.lake import folding, jobs
from chalicelib.runtime import wiring
from chalicelib.storage.objects import FolderObjects
from local.deploy.functions import FOLDED
from local.pump import stream
from local.pump.functions import matches

GOAL = 40.0
"""Microseconds of CPU for a record."""
_WRITES_GOAL = 20
_ROUNDS = 5


class _Told:
    """A queue that takes everything."""

    def __init__(self) -> None:
        self.messages = 0

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:  # noqa: ARG002
        """See `Queues.send`."""
        self.messages += len(bodies)


class _Counted(FolderObjects):
    """A folder that counts what is written."""

    files = 0

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`."""
        self.files += 1
        super().put(key, content, kind=kind)


def run(*, quick: bool = False) -> Figure:
    """Fold the stream of some purchases, in batches as they are deployed and in batches of a quiet hour."""
    purchases = 60 if quick else 3000
    with database() as server, folder() as place:
        dynamo = client(server.endpoint)
        stack = stack_on(dynamo, datetime(2026, 3, 5, 3, tzinfo=UTC), metered=False)
        records = _records(server.endpoint, stack, purchases)
        dynamo.close()
        objects = _Counted(place / "archive")
        house = house_of(stack)
        told = replace(house.settings, lake_queue="lake-patch")
        house = replace(house, settings=told, objects=objects, queues=_Told())
        wiring.use(house)
        try:
            full, files = _folded(objects, records, 1000)
            quiet, quiet_files = _folded(objects, records, 100)
        finally:
            wiring.use(None)
        plain = _rows_alone(records)
    table(
        ["batches of", "records", "µs/record", "files per 1,000"],
        [["1000", len(records), full, files], ["100", len(records), quiet, quiet_files]],
    )
    print(f"  rows alone, without JSON, gzip and file: {plain:.1f} µs a record; goal for files: {_WRITES_GOAL}")
    return Figure(
        "stream_fold", f"µs of CPU to fold a record, {len(records):,} in batches of 1,000", full, GOAL, "µs",
        details={
            "records": len(records), "rows_alone_us": round(plain, 1), "batches_of_100_us": round(quiet, 1),
            "files_per_1000": files, "files_per_1000_in_batches_of_100": quiet_files, "files_goal": _WRITES_GOAL,
        },
    )  # fmt: skip


def _records(endpoint: str, stack: Stack, purchases: int) -> list[dict[str, Any]]:
    """What the stream tells of some purchases, as the function is given it."""
    chance, catalogue = random.Random(7), supermarket()
    people = [stack.enrol() for _ in range(max(purchases // 10, 1))]
    for number in range(purchases):
        stack.clock.forward(minutes=2)
        lines = catalogue.lines(chance, chance.randint(1, 20))
        stack.buy(purchase_body({"member_id": chance.choice(people)}, lines, at=stack.clock(), number=number))
    source = stream.open_stream(endpoint, stack.table.name)
    source.seek(None)
    found: list[dict[str, Any]] = []
    while records := source.read(1000):
        found += records
    return [record for record in found if any(matches(pattern, record) for pattern in FOLDED)]


def _folded(objects: _Counted, records: Sequence[dict[str, Any]], batch: int) -> tuple[float, float]:
    """CPU in µs for a record, the best of some rounds, and files for 1,000 records."""
    best = float("inf")
    for _ in range(_ROUNDS):
        objects.files = 0
        gc.collect()
        started = time.process_time()
        for start in range(0, len(records), batch):
            answer = jobs.fold_records({"Records": list(records[start : start + batch])}, None)
            assert answer == {"batchItemFailures": []}
        best = min(best, time.process_time() - started)
    return best / len(records) * 1e6, round(objects.files / len(records) * 1000, 2)


def _rows_alone(records: Sequence[dict[str, Any]]) -> float:
    started = time.process_time()
    rows = sum(len(folding.rows_of(record)) for record in records)
    assert rows >= len(records)
    return (time.process_time() - started) / len(records) * 1e6
