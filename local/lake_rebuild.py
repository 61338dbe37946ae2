"""`make lake-rebuild`: forget the lake and make it anew, from the table of the run in DATA_DIR or from a backup.

What others told the lake (`facts/`) is nowhere else: it stays, and is read again.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import StorageBusy
from chalicelib.lake import service
from chalicelib.lake.service import Lake
from chalicelib.programs.service import book_of
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House, utc_now
from chalicelib.storage.dynamo import unmarshalled
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.queues import SQS, SqsQueues
from chalicelib.storage.signed import ServiceFault, Unreachable
from chalicelib.storage.writes import Item
from local.backup.form import BackupBroken, find_manifest, items_in, place
from local.backup.making import client
from local.backup.restoring import trusted_keys
from local.messaging import client as queue_client
from local.reconcile import NothingRuns, open_house
from local.runs import find_run
from local.settings import STACK, Settings, queue_url, settings

_MEMORY_MB = 2048


def main(arguments: Sequence[str]) -> int:
    """Do it, and say what the lake has; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local lake_rebuild")
    parser.add_argument("--from", dest="source", type=Path, help="a backup; else the table itself")
    asked = parser.parse_args(arguments)
    chosen = settings()
    try:
        with open_house(chosen) as house:
            counts, seconds = rebuilt(chosen, house, asked.source)
    except (NothingRuns, BackupBroken) as problem:
        print(problem, file=sys.stderr)
        return 2
    _ask_for_segments(chosen)
    print(f"The lake was made anew in {seconds:.1f} s:")
    for view, rows in counts.items():
        print(f"{rows:>12,} {view}")
    return 0


def _ask_for_segments(chosen: Settings) -> None:
    """Have the run look at its segments; where it cannot be told, it does so within the hour."""
    run = find_run(chosen.data_dir)
    if run is None or not run.messaging:
        return
    with suppress(Unreachable, ServiceFault, StorageBusy), closing(queue_client(SQS, run.messaging)) as sqs:
        SqsQueues(sqs).send(queue_url(run.messaging, "segments-refresh"), ["refresh"])


def rebuilt(chosen: Settings, house: House, source: Path | None) -> tuple[dict[str, int], float]:
    """Make the lake anew; how many rows each view shows, and the seconds that it took.

    Raises:
        BackupBroken: the backup is not what its manifest says.
    """
    began, now = time.monotonic(), utc_now()
    where = Place(str(chosen.archive), scratch=str(chosen.data_dir / "lake"), memory_mb=_MEMORY_MB)
    lake = Lake(house.ops, FolderObjects(chosen.archive), where, wiring.draw)
    today = service.today_of(book_of(house.table), now)
    since: datetime | None = None
    items: Iterator[Item]
    if source is not None:
        manifest, _ = find_manifest(source, trusted_keys(chosen))
        since = from_milliseconds(manifest.taken_at)
        paths = [place(source, source, part.name) for part in manifest.tables["core"].parts]
        items = (_plain(item) for path in paths for item in items_in(path))
    else:
        items = _scanned(chosen, house)
    done = service.rebuild(lake, items, today=today, now=now, since=since)
    return service.counts(where, done.head, today=today, now=now), time.monotonic() - began


def _scanned(chosen: Settings, house: House) -> Iterator[Item]:
    """Every item of table `core`, as it is when it is come to."""
    assert house.settings.dynamodb_endpoint is not None
    asked: dict[str, Any] = {"TableName": f"{STACK}-core", "ConsistentRead": True}
    with closing(client(chosen, house.settings.dynamodb_endpoint)) as dynamo:
        while True:
            answer = dynamo.call("Scan", asked)
            yield from map(_plain, answer["Items"])
            if not answer.get("LastEvaluatedKey"):
                return
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _plain(item: dict[str, dict[str, Any]]) -> Item:
    return {name: unmarshalled(value) for name, value in item.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
