"""`make lake-rebuild`: forget the lake and make it anew, from the table of the run in DATA_DIR or from a backup.

With `REGULARS_STACK` and `AWS_REGION` it makes a deployed stack's lake, from an export of table `core` that was fetched
from S3, with the operator's credentials. What others told the lake (`facts/`) is nowhere else: it stays, and is read
again.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
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
from local.backup.making import SEGMENTS, client
from local.backup.trust import trusted_keys
from local.messaging import client as queue_client
from local.reconcile import NothingRuns, open_house
from local.runs import find_run
from local.settings import STACK, Settings, environment, queue_url, settings
from local.stack import NoStack, house_of_stack

_MEMORY_MB = 2048
_MAKER = "lake-rebase"
"""The function that knows all that is needed."""


_CORE = "-core"
"""How the name of table `core` ends."""


class ExportUnfit(Exception):
    """A folder holds no export of table `core`, or not a whole one; the message says which."""


def main(arguments: Sequence[str]) -> int:
    """Do it, and say what the lake has; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local lake_rebuild")
    parser.add_argument("--from", dest="source", type=Path, help="a backup, or of a stack an export; else the table")
    asked = parser.parse_args(arguments)
    chosen, env = settings(), environment()
    try:
        if env.get("REGULARS_STACK"):
            counts, seconds = rebuilt_in_stack(house_of_stack(env, now=utc_now, function=_MAKER), asked.source)
        else:
            with open_house(chosen) as house:
                counts, seconds = rebuilt(chosen, house, asked.source)
            _ask_for_segments(chosen)
    except (NothingRuns, NoStack, BackupBroken, ExportUnfit) as problem:
        print(problem, file=sys.stderr)
        return 2
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
    """Make a run's lake anew; how many rows each view shows, and the seconds that it took.

    Raises:
        BackupBroken: the backup is not what its manifest says.
    """
    where = Place(str(chosen.archive), scratch=str(chosen.data_dir / "lake"), memory_mb=_MEMORY_MB)
    lake = Lake(house.ops, FolderObjects(chosen.archive), where, wiring.draw)
    if source is None:
        return _made(lake, house, _scanned(chosen, house))
    manifest, _ = find_manifest(source, trusted_keys(chosen))
    paths = [place(source, source, part.name) for part in manifest.tables["core"].parts]
    return _made(lake, house, _read(paths), since=from_milliseconds(manifest.taken_at))


def rebuilt_in_stack(house: House, source: Path | None) -> tuple[dict[str, int], float]:
    """Make a stack's lake anew from an export of its table `core`, as DynamoDB writes them to S3.

    Raises:
        ExportUnfit: there is none in this folder, or not all of it.
    """
    if source is None:
        raise ExportUnfit("A stack's lake is made from an export of table core: say FROM= where you fetched it to.")
    taken, paths = find_export(source)
    lake = Lake(house.ops, house.objects, replace(house.place, memory_mb=_MEMORY_MB), house.draw)
    return _made(lake, house, _read(paths), since=taken)


def find_export(source: Path) -> tuple[datetime, list[Path]]:
    """The instant that an export shows, and its files.

    Raises:
        ExportUnfit: there is none in this folder, there are several, or a file is missing.
    """
    found = list(source.rglob("manifest-summary.json"))
    if len(found) != 1:
        raise ExportUnfit(f"{source} holds {len(found)} exports (manifest-summary.json); it is to hold one.")
    summary = json.loads(found[0].read_text())
    if not str(summary["tableArn"]).endswith(_CORE) or summary["outputFormat"] != "DYNAMODB_JSON":
        raise ExportUnfit(f"This is an export of {summary['tableArn']} as {summary['outputFormat']}.")
    folder = found[0].parent
    listed = [json.loads(line) for line in (folder / "manifest-files.json").read_text().splitlines() if line]
    paths = [folder / "data" / Path(each["dataFileS3Key"]).name for each in listed]
    missing = [path.name for path in paths if not path.is_file()]
    if missing or sum(each["itemCount"] for each in listed) != summary["itemCount"]:
        raise ExportUnfit(f"The export is not whole; files that are not there: {', '.join(missing) or 'none'}.")
    return datetime.fromisoformat(summary["exportTime"]), paths


def _made(
    lake: Lake, house: House, items: Iterator[Item], since: datetime | None = None
) -> tuple[dict[str, int], float]:
    began, now = time.monotonic(), utc_now()
    today = service.today_of(book_of(house.table), now)
    done = service.rebuild(lake, items, today=today, now=now, since=since)
    return service.counts(lake.place, done.head, today=today, now=now), time.monotonic() - began


def _read(paths: Sequence[Path]) -> Iterator[Item]:
    return (_plain(item) for path in paths for item in items_in(path))


def _scanned(chosen: Settings, house: House) -> Iterator[Item]:
    """Every item of table `core`, as it is when it is come to."""
    assert house.settings.dynamodb_endpoint is not None
    with closing(client(chosen, house.settings.dynamodb_endpoint)) as dynamo:
        for segment in range(SEGMENTS):  # in one piece, the emulator sorts the whole table for every page
            asked: dict[str, Any] = {
                "TableName": f"{STACK}-core", "ConsistentRead": True, "Segment": segment, "TotalSegments": SEGMENTS,
            }  # fmt: skip
            while True:
                answer = dynamo.call("Scan", asked)
                yield from map(_plain, answer["Items"])
                if not answer.get("LastEvaluatedKey"):
                    break
                asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _plain(item: dict[str, dict[str, Any]]) -> Item:
    return {name: unmarshalled(value) for name, value in item.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
