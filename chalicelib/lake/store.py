"""Where the lake's log, what it was told, and its head are kept."""

import gzip
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from weakref import WeakKeyDictionary

from pydantic_core import to_json

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import Trouble
from chalicelib.lake import rules
from chalicelib.lake.models import Fact, Head, Row
from chalicelib.lake.tables import FACT_ROWS
from chalicelib.storage import keys
from chalicelib.storage.objects import Objects
from chalicelib.storage.queues import Queues
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Put, Unchanged, Write

KIND = "application/gzip"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PAGE = 10_000
_QUICK = 1
"""The log lives for two days and is written by the minute: speed before size."""


class HeadMoved(Exception):
    """Somebody else made a newer patch or base meanwhile. Never leaves the service."""


# ---------------------------------------------------------------- telling the lake


def append(objects: Objects, kind: Fact, name: str, rows: Sequence[Mapping[str, Any]], *, now: datetime) -> str | None:
    """Tell the lake what is no record of table `core`, as one file; its key, or None when there is nothing to tell.

    The same row twice, in the same file or another, is one row. Whoever told something asks for a patch (`patching`).

    Args:
        name: follows from the content, so that doing it again writes the same file: of letters, digits, `_ . -`.
        rows: what `tables.FACT_ROWS` has for the kind, each with the `row_id` that it is told apart by and the
            `member_id`; instants with their zone. What is left out is not known.
        now: by the clock; a patch looks back three hours for what it has not seen, a rebase two days.

    Raises:
        ValueError: the name cannot be one, or a row has a column that its kind has not, or lacks one that it needs.
        StorageBusy: it was not written; do it again.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be the name of a file")
    if not rows:
        return None
    lines = (line_of({kind: _told(kind, row)}) for row in rows)
    key = f"{rules.folder(rules.FACTS, now)}{kind}-{name}.jsonl.gz"
    objects.put(key, _packed(lines), kind=KIND)
    return key


def patching(queues: Queues, queue_url: str | None, clock: Callable[[], datetime]) -> Callable[[], None]:
    """What asks for a patch of the lake that has all that was told to it by then.

    A process asks once in `rules.DELAY`: the patch that it asked for last has not begun before, and takes what there is
    when it begins. Where the queue does not answer nobody fails: the hour looks, too.

    Args:
        queue_url: None where nobody is to be asked.
    """

    def ask() -> None:
        now = clock()
        last = _ASKED.get(queues) if queue_url is not None else None
        if queue_url is None or (last is not None and last <= now < last + rules.DELAY):
            return
        with suppress(Trouble):
            queues.send(queue_url, ["patch"], delay=rules.DELAY.seconds)
            _ASKED[queues] = now

    return ask


_ASKED: "WeakKeyDictionary[Queues, datetime]" = WeakKeyDictionary()
"""When this process asked for a patch last, by its queues."""


def _told(kind: Fact, row: Mapping[str, Any]) -> Row:
    columns = FACT_ROWS[kind]
    unknown = row.keys() - columns.keys() - {"row_id", "member_id"}
    if unknown or not row.get("row_id") or not row.get("member_id") or row.get("at") is None:
        raise ValueError(f"a {kind} has row_id, member_id and at, and no {', '.join(sorted(unknown)) or 'other'}")
    return {name: milliseconds(each) if isinstance(each, datetime) else each for name, each in row.items()}


def keep_batch(objects: Objects, lines: Sequence[bytes], *, now: datetime) -> str | None:
    """Write the lines of a batch of the stream as one file of the log; its key, or None when there are none.

    Its name follows from the lines: the same batch within the hour writes the same file.
    """
    if not lines:
        return None
    text = b"".join(lines)
    name = hashlib.sha256(text).hexdigest()[:32]
    key = f"{rules.folder(rules.LOG, now)}{name}.jsonl.gz"
    objects.put(key, gzip.compress(text, _QUICK, mtime=0), kind=KIND)
    return key


def line_of(row: Row, *more: Row) -> bytes:
    """Rows of different tables, which one record gives, as a line of the log."""
    for other in more:
        row = row | other
    return to_json(row) + b"\n"


def _packed(lines: Iterable[bytes]) -> bytes:
    return gzip.compress(b"".join(lines), _QUICK, mtime=0)


# ---------------------------------------------------------------- the log


def list_log(objects: Objects, kind: str, *, after: datetime | None) -> list[str]:
    """The keys of `rules.LOG` or `rules.FACTS`, from an hour on; all of them without one."""
    found: list[str] = []
    last = rules.folder(kind, after) if after is not None else None
    while True:
        page = objects.list(f"{kind}/", after=last, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found
        last = page[-1]


def keep_read(objects: Objects, name: str, read: Iterable[str]) -> None:
    """Write down which files of the log a head has."""
    objects.put(_read_key(name), _packed(f"{key}\n".encode() for key in sorted(read)), kind=KIND)


def find_read(objects: Objects, name: str | None) -> frozenset[str]:
    """Which files of the log a head has."""
    content = objects.get(_read_key(name)) if name else None
    return frozenset(gzip.decompress(content).decode().split()) if content else frozenset()


def _read_key(name: str) -> str:
    return f"{rules.READ}/{name}.txt.gz"


# ---------------------------------------------------------------- the head


def find_head(ops: Table) -> Head | None:
    """What the lake consists of now; None before its first patch."""
    item = ops.get(keys.LAKE_HEAD, consistent=True)
    return Head.model_validate_json(item["head"]) if item is not None else None


def move_head(before: Head | None, after: Head) -> Write:
    """The write that makes a head the one that counts, unless another came first."""
    item = {"head": after.model_dump_json(), "version": after.version}
    condition = Unchanged(before.version) if before is not None else Absent()
    return Put(keys.LAKE_HEAD, item, condition, lambda _: HeadMoved())
