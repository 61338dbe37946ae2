"""Look who is in the live segments by now, keep it, and tell who came in and who left.

For each segment the difference to what was known is written as a file, then the state moves on to it, then it is told.
So a crash before the state moved has told nothing, and one after it tells the rest the next time: the file says the
same, and the events have the same ids. A segment whose difference is not told to its end is not looked at anew.
"""

import gzip
import hashlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from chalicelib.kernel.calendar import from_milliseconds, local_day, milliseconds
from chalicelib.kernel.events import Envelope, EventId, Told
from chalicelib.kernel.ids import MemberId, SegmentId
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.segments import rules, states, store
from chalicelib.segments.engine import Engine, Opens, TooSlow
from chalicelib.segments.events import SegmentEntered, SegmentLeft
from chalicelib.segments.models import Campaigns, InSegment, Segment, SegmentKind
from chalicelib.segments.rules import Compiled, Resolve
from chalicelib.segments.rules.checking import parts
from chalicelib.segments.rules.ready import READY_IDS, ready
from chalicelib.segments.service.finding import resolver
from chalicelib.segments.states import Moves, Pending, Round, State
from chalicelib.storage import keys
from chalicelib.storage.bus import Bus, BusEvent
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

SLICE = 500
"""Members of whom is told at once: so many are told of again, at the most, after a crash."""

MOVES_MAX = 24
"""Differences that lie over a list before it is written anew."""

SIZES_EVERY = timedelta(minutes=2)
"""Segments of which nobody is told are counted so often at the most, while the lake moves; at once on a new base."""

NOTED_EVERY = timedelta(hours=1)
"""So often it is noted of a segment that it is as large as before: not with every patch of the lake."""

SETTLED = timedelta(seconds=90)
"""Whoever was a member then is in the lake by now, as a rule."""

_ROWS = 20_000
_COUNT = "SELECT count(*) FROM members WHERE"
_CHANGED = "SELECT m FROM"

Retag = Callable[[MemberId, str, bool], None]
"""Gives a member a tag, or takes it away; what is so already changes nothing."""


@dataclass(frozen=True, slots=True)
class Refresh:
    """What it takes to look at segments anew.

    Attributes:
        retag: gives and takes tags.
        late: whether there is no time for another slice; what is left is told the next time.
    """

    table: Table
    ops: Table
    objects: Objects
    bus: Bus
    book: ProgramBook
    opens: Opens
    retag: Retag
    late: Callable[[], bool] = lambda: False


@dataclass
class Refreshed:
    """What a run has done.

    Attributes:
        segments: looked at.
        entered, left: members who came in or left, of whom was told.
        slow: segments that could not be evaluated in time; they stay as they were.
        unfinished: segments of which the rest is told the next time.
        count_in: seconds after which somebody is to come again, to count what was counted just before.
    """

    segments: int = 0
    entered: int = 0
    left: int = 0
    slow: list[SegmentId] = field(default_factory=list)
    unfinished: list[SegmentId] = field(default_factory=list)
    count_in: int | None = None


@dataclass(frozen=True, slots=True)
class _Look:
    refresh: Refresh
    engine: Engine
    program: Program
    resolve: Resolve
    today: date
    now: datetime
    done: Refreshed

    def compiled(self, segment: Segment) -> Compiled:
        return rules.compiled_segment(segment, today=self.today, resolve=self.resolve, time_zone=self.program.time_zone)


def refresh_segments(refresh: Refresh, *, now: datetime) -> Refreshed:
    """Look at all segments in use with the lake as it is now.

    Raises:
        StorageBusy: table, bus or files could not be reached; what is done is done, and the rest is done the next time.
    """
    program = refresh.book.current(now)
    today = local_day(now, program.time_zone)
    graph, _ = store.find_graph(refresh.table)
    done = Refreshed()
    with refresh.opens(today, now) as engine:
        look = _Look(refresh, engine, program, resolver(refresh.table), today, now, done)
        last = states.find_round(refresh.ops)
        again = _is_time(look, last)
        for segment_id in (*sorted(graph), *READY_IDS):
            if refresh.late():
                done.unfinished.append(segment_id)
                continue
            segment = ready(segment_id) or look.resolve(segment_id)
            if segment is None or not (look.engine.scored or _needs_none(look, segment)):
                continue
            done.segments += 1
            try:
                if segment.kind is SegmentKind.LIVE and not segment.ready:
                    _live(look, segment)
                else:
                    _sized(look, segment, again=again)
            except TooSlow:
                done.slow.append(segment_id)
            except states.StateMoved:
                continue  # another run is at it
        if not done.unfinished:
            _note_round(look, last, again=again)
    return done


def _needs_none(look: _Look, segment: Segment) -> bool:
    """Whether who is in a segment can be said without scores; else nobody would be, and all would come in later."""
    return segment.definition is None or not rules.uses_scores(segment.definition, look.resolve)


def _is_time(look: _Look, last: Round) -> bool:
    """Whether all segments of which nobody is told are to be counted."""
    if last.at is None or last.day != look.today or last.base != look.engine.base:
        return True
    return last.generation != look.engine.generation and look.now - last.at >= SIZES_EVERY


def _note_round(look: _Look, last: Round, *, again: bool) -> None:
    """Note that all were counted; or see that somebody comes to count them once it is time."""
    engine = look.engine
    if again:
        after = Round(engine.generation, engine.base, look.today, look.now)
    elif last.generation == engine.generation or last.at is None or (last.asked is not None and last.asked > look.now):
        return
    else:
        after = replace(last, asked=last.at + SIZES_EVERY)
        look.done.count_in = 1 + int((last.at + SIZES_EVERY - look.now).total_seconds())
    with suppress(states.StateMoved):
        look.refresh.ops.commit([states.keep_round(last, after)])


def _sized(look: _Look, segment: Segment, *, again: bool) -> None:
    """Note how large a segment is of which nobody is told.

    Args:
        again: also one that was counted today, where the lake has moved since.
    """
    engine, listed = look.engine, segment.listed.key if segment.listed is not None else None
    state = states.find_state(look.refresh.ops, segment.segment_id)
    if listed != state.base and engine.built_at < segment.edited_at + SETTLED:
        return  # whoever was put on the list just now may not be in the lake yet
    known = (state.day, state.edition, state.base) == (look.today, segment.version, listed)
    if known and (not again or state.lake == engine.generation):
        return
    some = look.compiled(segment)
    count = engine.number(f"{_COUNT} {some.where}", some.params)
    after = replace(
        state, base=listed, count=count, day=look.today, edition=segment.version, lake=engine.generation, at=look.now
    )
    look.refresh.ops.commit(states.keep_state(segment.segment_id, state, after, now=look.now))


def _live(look: _Look, segment: Segment) -> None:
    ops = look.refresh.ops
    before = states.find_state(ops, segment.segment_id)
    if before.pending is not None:
        before = _told(look, segment, before)
        if before.pending is not None:
            return
    after = _looked(look, segment, before)
    due = before.at is None or look.now - before.at >= NOTED_EVERY
    if due or replace(after, at=before.at) != before:
        ops.commit(states.keep_state(segment.segment_id, before, after, now=look.now))
        _told(look, segment, replace(after, version=before.version + 1))


# ---------------------------------------------------------------- looking


def _looked(look: _Look, segment: Segment, before: State) -> State:
    """What the state of a segment becomes. Files that it names are written."""
    some = look.compiled(segment)
    seen = replace(before, day=look.today, edition=segment.edition, lake=look.engine.base, at=look.now)
    if before.base is None or before.edition != segment.edition:
        return _begun(look, segment, some, before, seen)
    found = _moves(look, segment, some, before)
    if not found.entered and not found.left and not found.vanished:
        return seen
    turn = before.turn + 1
    moves = (*before.moves, _kept(look, segment, turn, found))
    count = before.count + len(found.entered) - len(found.left) - len(found.vanished)
    after = replace(seen, moves=moves, count=count, turn=turn, pending=Pending(moves[-1], look.now, tell=True))
    if len(moves) <= MOVES_MAX:
        return after
    base, count = _whole(look, segment, some)
    return replace(after, base=base, moves=(), count=count)


def _begun(look: _Look, segment: Segment, some: Compiled, before: State, seen: State) -> State:
    """The state of a segment whose definition or tag is new.

    Who is in it by that has come in by nothing that they did, so nobody is told; but all of them get the tag, and who
    was in it before loses it.
    """
    base, count = _whole(look, segment, some)
    turn = before.turn + 1
    after = replace(seen, base=base, moves=(), count=count, turn=turn)
    if segment.tag_rule is None:
        return after
    key = base
    if before.base is not None:
        left = _moves(look, segment, some, replace(before, day=None)).left
        inside = tuple(each for each, _ in states.read_moves(look.refresh.objects, base))
        key = _kept(look, segment, turn, Moves(inside, left, ()))
    return replace(after, pending=Pending(key, look.now, tell=False))


def _whole(look: _Look, segment: Segment, some: Compiled) -> tuple[str, int]:
    """Write everybody who is in a segment now as a list; its key, and how many they are."""
    packed, seen, count = io.BytesIO(), hashlib.sha256(), 0
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as file:
        sql = f"FROM members SELECT member_id WHERE {some.where} ORDER BY member_id"
        for rows in look.engine.slices(sql, some.params, _ROWS):
            text = "".join(f"{row[0]},1\n" for row in rows).encode()
            seen.update(text)
            file.write(text)
            count += len(rows)
    key = states.file_key(segment.segment_id, "all", seen.hexdigest())
    look.refresh.objects.put(key, packed.getvalue(), kind=states.GZIP)
    return key, count


def _kept(look: _Look, segment: Segment, turn: int, found: Moves) -> str:
    text = states.moves_text(found)
    key = states.file_key(segment.segment_id, f"{turn:06d}", hashlib.sha256(text).hexdigest())
    look.refresh.objects.put(key, gzip.compress(text, 6, mtime=0), kind=states.GZIP)
    return key


def _moves(look: _Look, segment: Segment, some: Compiled, before: State) -> Moves:
    """Who came in and who left.

    While day and base of the lake are the same, only those are looked at who changed since that base. Messages change
    nobody whom they are about, so where these count, everybody is looked at.
    """
    engine = look.engine
    known, files = states.known(before)
    by_messages = any(isinstance(each, Campaigns) for each in _all_parts(segment, look.resolve))
    part = engine.changed is not None and not by_messages
    part = part and (before.day, before.lake) == (look.today, engine.base)
    changed = f"m IN ({_CHANGED} {engine.changed})" if part else "TRUE"
    entered = engine.rows(
        f"FROM members SELECT member_id WHERE {changed} AND ({some.where}) AND member_id NOT IN ({known}) "
        "ORDER BY member_id",
        [*some.params, *files],
    )
    left = engine.rows(
        f"FROM members SELECT member_id WHERE {changed} AND member_id IN ({known}) AND (({some.where}) IS NOT TRUE) "
        "ORDER BY member_id",
        [*files, *some.params],
    )
    # Who is no member any more is taken off without a word: they were erased, or went into somebody else.
    vanished = [] if part else engine.rows(f"{known} EXCEPT (FROM members SELECT member_id) ORDER BY 1", files)
    return Moves(*(tuple(row[0] for row in rows) for rows in (entered, left, vanished)))


def _all_parts(segment: Segment, resolve: Resolve) -> Iterator[object]:
    """What a segment is made of, with those that it names."""
    for each in parts(segment.definition):
        yield each
        if isinstance(each, InSegment):
            named = resolve(each.segment_id)
            if named is not None:
                yield from _all_parts(named, resolve)


# ---------------------------------------------------------------- telling


def _told(look: _Look, segment: Segment, state: State) -> State:
    """Tell what a state has yet to tell, as far as there is time; the state after that."""
    refresh = look.refresh
    lines = states.read_moves(refresh.objects, state.pending.key) if state.pending is not None else ()
    while state.pending is not None:
        pending = state.pending
        some = lines[pending.done : pending.done + SLICE]
        if some:
            if refresh.late():
                look.done.unfinished.append(segment.segment_id)
                return state
            if pending.tell:
                refresh.bus.put([event for each in some for event in _event(segment, state, each)])
            _tag(look, segment, some)
            look.done.entered += sum(pending.tell and change == states.ENTERED for _, change in some)
            look.done.left += sum(pending.tell and change == states.LEFT for _, change in some)
        through = pending.done + len(some)
        rest = replace(pending, done=through) if through < len(lines) else None
        after = replace(state, pending=rest)
        refresh.ops.commit(states.keep_state(segment.segment_id, state, after, now=look.now))
        state = replace(after, version=state.version + 1)
    return state


_KINDS: Mapping[int, type[SegmentEntered] | type[SegmentLeft]] = {
    states.ENTERED: SegmentEntered,
    states.LEFT: SegmentLeft,
}


def _event(segment: Segment, state: State, move: tuple[str, int]) -> list[BusEvent]:
    """What is told of somebody who came in or left; nothing of who is no member any more."""
    member_id, change = move
    kind = _KINDS.get(change)
    if kind is None:
        return []
    assert state.pending is not None
    at = from_milliseconds(milliseconds(state.pending.at))
    where = keys.segment(segment.segment_id)
    told = Envelope[Told](
        event_id=EventId.of(where.pk, keys.joined(member_id, str(state.turn)), kind.__name__),
        type=kind.__name__,
        version=kind.version,
        member_id=MemberId(member_id),
        seq=None,
        occurred_at=at,
        recorded_at=at,
        data=kind(segment_id=segment.segment_id, generation=state.turn),
    )
    return [BusEvent(kind.__name__, told.model_dump_json(serialize_as_any=True), at)]


def _tag(look: _Look, segment: Segment, some: Sequence[tuple[str, int]]) -> None:
    rule = segment.tag_rule
    if rule is None:
        return
    for member_id, change in some:
        if change == states.ENTERED or (change == states.LEFT and rule.remove):
            look.refresh.retag(MemberId(member_id), rule.tag, change == states.ENTERED)
