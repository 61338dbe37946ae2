"""`python -m local events`: tell a time's events again, from the archive, to everybody or to one queue.

Safe to repeat, because every consumer knows an event by its id. What goes on the bus also comes to the archive once
more, beside what is there; a new consumer, or one that lost something, is better sent to by `--queue`.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby, islice
from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.relay.models import EVENT_TYPES
from chalicelib.relay.service import ARCHIVE, folder_of
from chalicelib.storage.batches import ENTRIES_MAX
from chalicelib.storage.bus import BusEvent
from chalicelib.storage.objects import Objects
from chalicelib.storage.signed import ServiceFault, Unreachable
from local.pace import Pace, Progress
from local.settings import settings
from local.stack import NoQueue, NoStack, Stack, find_stack

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Kept:
    """An event of the archive."""

    event_id: str
    type: str
    recorded_at: datetime
    line: str


def main(arguments: list[str]) -> int:
    """Tell events again as the arguments say; the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.until <= asked.since:
        print("--to has to be later than --from.", file=sys.stderr)
        return 2
    try:
        stack = find_stack(settings())
        if stack.archive is None:
            raise NoStack("REGULARS_ARCHIVE is not set: the bucket that the archive is in.")
        send = None if asked.dry_run else sender(stack, asked.queue)
    except (NoStack, NoQueue) as nothing:
        print(nothing, file=sys.stderr)
        return 2
    found = kept_events(stack.archive, asked.since, asked.until, asked.type)
    if send is None:
        print(f"{sum(1 for _ in found)} events; none was sent.")
        return 0
    return _told(found, send, Pace(asked.rate), asked.since)


def _told(found: Iterator[Kept], send: Callable[[Sequence[Kept]], None], pace: Pace, since: datetime) -> int:
    progress, count, reached = Progress(), 0, since
    try:
        for batch in _batches(found):
            pace.before(len(batch))
            send(batch)
            count, reached = count + len(batch), batch[-1].recorded_at
            progress.say(f"{count} events, to {_written(reached)}")
    except (Trouble, ServiceFault, Unreachable, KeyboardInterrupt) as stopped:
        why = f" ({stopped})" if str(stopped) else ""
        print(f"Stopped after {count} events{why}. Go on with --from {_written(reached)}", file=sys.stderr)
        return 1
    print(f"{count} events sent.")
    return 0


def kept_events(
    objects: Objects, since: datetime, until: datetime, types: Sequence[str] | None = None
) -> Iterator[Kept]:
    """Events of the archive that were recorded from `since` until before `until`, in order, each once.

    An event lies in the hour in which it was recorded, however often it was archived, so an hour at a time is all that
    has to be remembered. What comes to the archive while this runs may be among them or not.
    """
    for keys in _hours(objects, since, until):
        known: dict[str, Kept] = {}
        for key in keys:
            for line in (objects.get(key) or b"").decode().splitlines():
                event = _kept(line)
                if since <= event.recorded_at < until and (not types or event.type in types):
                    known.setdefault(event.event_id, event)
        yield from sorted(known.values(), key=lambda each: (each.recorded_at, each.event_id))


def sender(stack: Stack, queue: str | None) -> Callable[[Sequence[Kept]], None]:
    """What sends events: on the bus, or to one queue.

    Raises:
        NoQueue: there is no such queue.
    """
    if queue is None:
        return lambda events: stack.bus.put([BusEvent(each.type, each.line, each.recorded_at) for each in events])
    url = stack.queue_url(queue)
    return lambda events: stack.queues.send(url, [each.line for each in events])


def instant(text: str) -> datetime:
    """An instant as it is written on the command line: RFC 3339 with an offset, or a day, which begins in UTC.

    Raises:
        ArgumentTypeError: it is neither.
    """
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return datetime.fromisoformat(text).replace(tzinfo=UTC)
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a day nor an instant such as 2026-03-15T12:00:00+08:00")
    return found


def _hours(objects: Objects, since: datetime, until: datetime) -> Iterator[list[str]]:
    """Keys of the archive's objects, an hour's at a time, of the hours that a time touches."""
    first, last = folder_of(since), folder_of(until)
    day = since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day < until:
        prefix = f"{ARCHIVE}/{day:%Y/%m/%d}/"
        keys = [key for key in _listed(objects, prefix) if first <= key[: len(first)] <= last]
        for _, hour in groupby(keys, key=lambda key: key[: len(first)]):
            yield list(hour)
        day += timedelta(days=1)


def _listed(objects: Objects, prefix: str) -> list[str]:
    keys: list[str] = []
    while True:
        page = objects.list(prefix, after=keys[-1] if keys else None, limit=_PAGE)
        keys += page
        if len(page) < _PAGE:
            return keys


def _kept(line: str) -> Kept:
    event: dict[str, Any] = json.loads(line)
    return Kept(event["event_id"], event["type"], datetime.fromisoformat(event["recorded_at"]), line)


def _batches(events: Iterator[Kept]) -> Iterator[list[Kept]]:
    while batch := list(islice(events, ENTRIES_MAX)):
        yield batch


def _written(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local events", description=__doc__)
    parser.add_argument("--from", dest="since", type=instant, required=True, help="recorded from then on")
    parser.add_argument("--to", dest="until", type=instant, required=True, help="recorded before then")
    parser.add_argument("--type", action="append", choices=sorted(EVENT_TYPES), help="only this type; may be repeated")
    parser.add_argument("--queue", help="send to this queue only: notices, or its URL")
    parser.add_argument("--rate", type=rate, default=100.0, help="events a second (100)")
    parser.add_argument("--dry-run", action="store_true", help="count, and send nothing")
    return parser


def rate(text: str) -> float:
    """So many a second, as it is written on the command line.

    Raises:
        ArgumentTypeError: it is no positive number.
    """
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive number")
    return float(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
