"""Who was in a live segment when it was looked at last: in table `ops`, and in files of the archive.

A list of everybody, and the differences since: lines of a member id and `1` for who came in, `-1` for who left, `-2`
for who is no member any more. Whoever loses this only begins anew: the segment itself is in table `core`.
"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import SegmentId
from chalicelib.segments.rules.compiling import ListKey, Param
from chalicelib.storage import keys
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Item, Put, Unchanged, Write

GZIP = "application/gzip"
FOLDER = "segments/states"
SIZES_KEPT = timedelta(days=800)
ENTERED, LEFT, VANISHED = 1, -1, -2


class StateMoved(Exception):
    """Another run was faster. Never leaves the service."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A difference that is to be told.

    Attributes:
        key: its file.
        at: when it was found.
        tell: whether there are events of it; else it is only for tags.
        done: how many of its lines are told.
    """

    key: str
    at: datetime
    tell: bool
    done: int = 0


@dataclass(frozen=True, slots=True)
class State:
    """What is known of a segment.

    Attributes:
        base: the file of everybody in it; None before it was looked at. Of a list, the list that was counted.
        moves: files of the differences since.
        count: how many they come to.
        day: of the program, on which it was looked at.
        edition: of the definition.
        lake: the base of the lake; of a segment of which nobody is told, the lake as it was.
        at: when it was counted, or noted again that it is still so.
        turn: counts the differences.
    """

    base: str | None = None
    moves: tuple[str, ...] = ()
    count: int = 0
    day: date | None = None
    edition: int = 0
    lake: str = ""
    at: datetime | None = None
    turn: int = 0
    pending: Pending | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Moves:
    """A difference: member ids, in order."""

    entered: tuple[str, ...]
    left: tuple[str, ...]
    vanished: tuple[str, ...]


def find_state(ops: Table, segment_id: SegmentId) -> State:
    """What is known of a segment; an empty state, when nothing is."""
    item = ops.get(keys.segment_state(segment_id), consistent=True)
    if item is None:
        return State()
    waits = item.get("pending")
    return State(
        base=item.get("base"),
        moves=tuple(item.get("moves", ())),
        count=item["count"],
        day=date.fromisoformat(item["day"]),
        edition=item["edition"],
        lake=item.get("lake", ""),
        at=from_milliseconds(item["at"]) if "at" in item else None,
        turn=item.get("turn", 0),
        pending=Pending(waits[0], from_milliseconds(waits[1]), waits[2], waits[3]) if waits else None,
        version=item["version"],
    )


def keep_state(segment_id: SegmentId, before: State, after: State, *, now: datetime) -> list[Write]:
    """The writes of a state, and of the size that the segment has on the day, unless another run was faster."""
    assert after.day is not None, "a state that is kept was looked at on some day"
    waits = after.pending
    item: Item = {
        "base": after.base,
        "moves": list(after.moves) or None,
        "count": after.count,
        "day": after.day.isoformat(),
        "edition": after.edition,
        "lake": after.lake or None,
        "at": milliseconds(after.at) if after.at is not None else None,
        "turn": after.turn,
        "pending": [waits.key, milliseconds(waits.at), waits.tell, waits.done] if waits is not None else None,
        "version": before.version + 1,
    }
    condition = Unchanged(before.version) if before.version else Absent()
    size: Item = {"count": after.count, "expires": int((now + SIZES_KEPT).timestamp())}
    return [
        Put(keys.segment_state(segment_id), item, condition, lambda _: StateMoved()),
        Put(keys.segment_size(segment_id, after.day), size, Anyway(), lambda _: StateMoved()),
    ]


@dataclass(frozen=True, slots=True)
class Round:
    """When the segments of which nobody is told were counted last, all in one go.

    Attributes:
        generation, base: of the lake then.
        asked: until when somebody was asked to count them again.
    """

    generation: str = ""
    base: str = ""
    day: date | None = None
    at: datetime | None = None
    asked: datetime | None = None
    version: int = 0


def find_round(ops: Table) -> Round:
    """The last round; an empty one, when there was none."""
    item = ops.get(keys.SEGMENT_ROUND, consistent=True)
    if item is None:
        return Round()
    asked = item.get("asked")
    return Round(
        item["generation"], item["base"], date.fromisoformat(item["day"]), from_milliseconds(item["at"]),
        from_milliseconds(asked) if asked is not None else None, item["version"],
    )  # fmt: skip


def keep_round(before: Round, after: Round) -> Write:
    """The write of a round, unless another run was faster."""
    assert after.day is not None, "a round is of a day"
    assert after.at is not None, "and of an instant"
    item: Item = {
        "generation": after.generation,
        "base": after.base,
        "day": after.day.isoformat(),
        "at": milliseconds(after.at),
        "asked": milliseconds(after.asked) if after.asked is not None else None,
        "version": before.version + 1,
    }
    condition = Unchanged(before.version) if before.version else Absent()
    return Put(keys.SEGMENT_ROUND, item, condition, lambda _: StateMoved())


# ---------------------------------------------------------------- files


def file_key(segment_id: SegmentId, what: str, digest: str) -> str:
    """Where a file of a segment is; the name follows from what is in it."""
    return f"{FOLDER}/{segment_id}/{what}-{digest[:32]}.csv.gz"


def moves_text(moves: Moves) -> bytes:
    """A difference as lines."""
    some = ((moves.entered, ENTERED), (moves.left, LEFT), (moves.vanished, VANISHED))
    return "".join(f"{each},{change}\n" for members, change in some for each in members).encode()


def read_moves(objects: Objects, key: str) -> Sequence[tuple[str, int]]:
    """A difference, or a list as one that everybody came in by."""
    content = objects.get(key)
    if content is None:
        return ()
    lines = (line.partition(",") for line in gzip.decompress(content).decode().splitlines())
    return [(member_id, int(change)) for member_id, _, change in lines]


def known(state: State) -> tuple[str, list[Param]]:
    """Who is in a segment by a state, as a query of member ids, and its parameters."""
    assert state.base is not None, "it was looked at"
    files: list[Param] = [ListKey(each) for each in (state.base, *state.moves)]
    marks = ", ".join("?" for _ in files)
    return (
        f"FROM read_csv([{marks}], auto_detect = false, header = false, delim = ',', quote = '', escape = '', "
        "compression = 'gzip', columns = {'member_id': 'VARCHAR', 'change': 'TINYINT'}) "
        "SELECT member_id GROUP BY member_id HAVING sum(sign(change)) > 0",
        files,
    )
