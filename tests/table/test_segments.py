"""Live segments: who comes in and who leaves is told, whatever crashes; and a segment is made once, whoever races."""

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.identity.models import Caller, Kind
from chalicelib.kernel.ids import MemberId, SegmentId
from chalicelib.members import store as members_store
from chalicelib.programs.service import ProgramBook
from chalicelib.relay.models import event_from
from chalicelib.segments import states, store
from chalicelib.segments.errors import DefinitionWrong, SegmentDiffers, SegmentMoved
from chalicelib.segments.models import ArchiveSegment, CreateSegment, EditSegment, SegmentView
from chalicelib.segments.service import compiled_of, managing, tagging
from chalicelib.segments.service.asking import Asking
from chalicelib.segments.service.refreshing import Refresh, Refreshed, refresh_segments
from chalicelib.storage.bus import BusEvent
from chalicelib.storage.functions import LocalFunctions
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import Table
from tests.makers import Clock, contacts_in
from tests.memory import MemoryTable
from tests.segmenting import TODAY, World, a_member, connected, member_id, opening
from tests.table.stand import Desk

RICH: dict[str, Any] = {"kind": "field", "name": "points_earned", "op": "at_least", "value": 500}
KEYS = itertools.count(1)
MARKETER = Caller(Kind.STAFF, "stf_mia", ("marketer",), {})


class Crash(Exception):
    """The process ends."""


@dataclass
class Calls:
    """Counts calls of what is outside, and ends the process at one of them, before or after it is done."""

    crash_at: int = 0
    after: bool = False
    count: int = 0

    def made(self, call: Callable[..., Any], *args: Any, **more: Any) -> Any:
        """A call."""
        self.count += 1
        if self.count == self.crash_at and not self.after:
            raise Crash
        result = call(*args, **more)
        if self.count == self.crash_at:
            raise Crash
        return result


@dataclass
class Watched:
    """Table, files or bus, whose writes are counted."""

    real: Any
    calls: Calls

    def __getattr__(self, name: str) -> Any:
        inner = getattr(self.real, name)
        return (lambda *a, **k: self.calls.made(inner, *a, **k)) if name in ("commit", "put") else inner


@dataclass
class Heard:
    """A bus that remembers."""

    events: list[BusEvent] = field(default_factory=list)

    def put(self, events: Sequence[BusEvent]) -> None:
        """See `Bus.put`."""
        self.events += events

    @property
    def told(self) -> dict[str, tuple[str, str, int]]:
        """What was told, each event once: type, member and generation by id."""
        read = [event_from(each.detail) for each in self.events]
        return {each.event_id: (each.type, str(each.member_id), each.data.generation) for each in read}

    @property
    def moves(self) -> list[tuple[str, str]]:
        """Type and member of what was told, each event once, in order."""
        return [(kind[7:], who) for kind, who, _ in self.told.values()]


@dataclass
class Stand:
    """Segments, and a world that changes."""

    table: Table
    ops: Table
    objects: FolderObjects
    folder: Path
    clock: Clock
    bus: Heard = field(default_factory=Heard)
    world: World = field(default_factory=World)
    tags: dict[str, set[str]] = field(default_factory=dict)
    changed: set[int] | None = None
    base: str = "b1"
    generation: str = "g1"
    calls: Calls = field(default_factory=Calls)

    @property
    def book(self) -> ProgramBook:
        """The program."""
        return ProgramBook(self.table)

    def has(self, m: int, points: int) -> None:
        """A member has earned so many points."""
        rows = [row for row in self.world.tables["members"] if row["m"] != m]
        self.world.tables["members"] = [*rows, a_member(m, points_earned=points)]
        if self.changed is not None:
            self.changed.add(m)

    def goes(self, m: int) -> None:
        """A member is no member any more."""
        self.world.tables["members"] = [row for row in self.world.tables["members"] if row["m"] != m]

    def make(self, document: Mapping[str, Any] = RICH, key: str | None = None, **more: Any) -> SegmentView:
        """Make a segment."""
        command = CreateSegment.model_validate_json(json.dumps({"name": "s", "definition": document, **more}))
        return managing.create_segment(
            self.table, self.ops, self.objects, self.book, Asking(LocalFunctions({})), MARKETER, command,
            key=key or f"k{next(KEYS)}", now=self.clock(),
        ).value  # fmt: skip

    def edit(self, segment: SegmentView, **fields: Any) -> SegmentView:
        """Edit a segment."""
        command = EditSegment.model_validate_json(json.dumps({"version": segment.version, **fields}))
        return managing.edit_segment(
            self.table, self.ops, self.objects, self.book, segment.segment_id, command, now=self.clock()
        )

    def refresh(self, *, late: Callable[[], bool] = lambda: False) -> Refreshed:
        """Look at the segments."""

        def retag(who: MemberId, tag: str, given: bool) -> None:
            own = self.tags.setdefault(who, set())
            self.calls.made(own.add if given else own.discard, tag)

        opens = opening(
            self.world, self.folder, changed="patched" if self.changed is not None else None, base=self.base,
            generation=self.generation,
        )  # fmt: skip
        if self.changed is not None:
            opens = with_changed(opens, self.changed)
        run = Refresh(
            self.table, Watched(self.ops, self.calls), Watched(self.objects, self.calls),
            Watched(self.bus, self.calls), self.book, opens, retag, late,
        )  # fmt: skip
        return refresh_segments(run, now=self.clock())

    def inside(self, segment: SegmentView) -> set[str]:
        """Who is in a segment by its state."""
        query, files = states.known(states.find_state(self.ops, segment.segment_id))
        connection = connected(World())
        paths = [f"{self.folder}/{each.key}" for each in files]  # type: ignore[union-attr]
        return {row[0] for row in connection.execute(query, paths).fetchall()}


def with_changed(opens: Any, changed: set[int]) -> Any:
    """A lake that knows who changed since its base."""
    from contextlib import contextmanager

    @contextmanager
    def opening_(today: Any, now: datetime) -> Any:
        with opens(today, now) as engine:
            engine.connection.execute("CREATE TABLE patched (m UINTEGER)")
            for m in changed:
                engine.connection.execute("INSERT INTO patched VALUES (?)", [m])
            yield engine

    return opening_


@pytest.fixture
def stand(tmp_path: Path, clock: Clock) -> Stand:
    """Three members, of whom one has many points."""
    table = MemoryTable()
    ProgramBook(table).current(clock())
    made = Stand(table, MemoryTable(), FolderObjects(tmp_path), tmp_path, clock)
    for m, points in ((1, 900), (2, 100), (3, 0)):
        made.has(m, points)
    return made


ONE, TWO, THREE = (member_id(m) for m in (1, 2, 3))


# ---------------------------------------------------------------- coming and going


def test_who_comes_in_and_who_leaves_is_told_and_who_was_there_is_not(stand: Stand) -> None:
    segment = stand.make()
    stand.refresh()
    assert stand.bus.moves == [], "who is in it from the beginning has not come in"
    assert stand.inside(segment) == {ONE}
    stand.has(2, 500)
    stand.has(1, 499)
    done = stand.refresh()
    assert (done.entered, done.left) == (1, 1)
    assert sorted(stand.bus.moves) == [("Entered", TWO), ("Left", ONE)]
    assert stand.inside(segment) == {TWO}
    stand.refresh()
    assert len(stand.bus.moves) == 2, "nothing new"
    stand.has(1, 900)
    stand.refresh()
    assert stand.bus.moves[-1] == ("Entered", ONE)
    assert len(stand.bus.told) == 3, "coming again is another event"
    found = managing.find_segment(
        stand.table, stand.ops, stand.book, segment.segment_id, now=stand.clock(), language=_zh()
    )
    assert (found.size, found.sized_on) == (2, TODAY)


def _zh() -> Any:
    from chalicelib.kernel.languages import Language

    return Language.ZH


def test_sizes_follow_the_lake_within_minutes_and_somebody_comes_for_the_last_patch(stand: Stand) -> None:
    active, listed = SegmentId("seg_ready_never_bought"), make_list(stand, ONE, member_id(9))

    def sizes() -> list[int | None]:
        return [_found(stand, each).size for each in (active, listed)]

    assert sizes() == [None, 2]
    assert stand.refresh().count_in is None
    assert sizes() == [3, 2], "the list is not counted before the lake can know who is on it"
    assert _found(stand, active).sized_at == stand.clock()
    stand.has(4, 0)
    stand.generation = "g2"
    stand.clock.forward(seconds=30)
    assert stand.refresh().count_in == 91
    assert sizes() == [3, 2]
    assert stand.refresh().count_in is None, "once is enough"
    stand.clock.forward(seconds=91)
    assert stand.refresh().count_in is None
    assert sizes() == [4, 1]
    assert [each.count for each in store.list_sizes(stand.ops, active, before=None, limit=9)] == [4], "the day's last"
    stand.has(5, 0)
    stand.generation = stand.base = "b2"
    stand.clock.forward(seconds=1)
    assert stand.refresh().count_in is None, "a new base is counted at once"
    assert sizes() == [5, 1]


def test_a_new_definition_has_no_size_until_it_is_counted(stand: Stand) -> None:
    segment = stand.make()
    stand.refresh()
    assert _found(stand, segment.segment_id).size == 1
    stand.edit(segment, definition={**RICH, "value": 0})
    assert _found(stand, segment.segment_id).size is None
    stand.refresh()
    assert _found(stand, segment.segment_id).size == 3


def make_list(stand: Stand, *member_ids: str) -> SegmentId:
    """A static segment."""
    command = CreateSegment(name="l", member_ids=tuple(map(MemberId, member_ids)))
    return managing.create_segment(
        stand.table, stand.ops, stand.objects, stand.book, Asking(LocalFunctions({})), MARKETER, command,
        key="l", now=stand.clock(),
    ).value.segment_id  # fmt: skip


def _found(stand: Stand, segment_id: SegmentId) -> SegmentView:
    return managing.find_segment(stand.table, stand.ops, stand.book, segment_id, now=stand.clock(), language=_zh())


def test_only_who_changed_is_looked_at_until_day_or_base_are_others(stand: Stand) -> None:
    segment = stand.make()
    stand.changed = set()
    stand.refresh()
    stand.has(2, 500)
    stand.changed.clear()
    stand.refresh()
    assert stand.bus.moves == [], "nobody is said to have changed"
    stand.changed.add(2)
    stand.refresh()
    assert stand.bus.moves == [("Entered", TWO)]
    stand.has(3, 500)
    stand.goes(1)
    stand.changed.clear()
    stand.base = "b2"
    stand.refresh()
    assert stand.bus.moves[1:] == [("Entered", THREE)], "who is no member any more is not told of"
    assert stand.inside(segment) == {TWO, THREE}
    stand.has(1, 500)
    stand.changed.clear()
    stand.clock.forward(days=1)
    stand.refresh()
    assert stand.inside(segment) == {ONE, TWO, THREE}


def test_an_edited_definition_tells_of_nobody_and_counts_from_then_on(stand: Stand) -> None:
    segment = stand.make()
    stand.refresh()
    edited = stand.edit(segment, definition={**RICH, "value": 100})
    stand.refresh()
    assert stand.bus.moves == []
    assert stand.inside(edited) == {ONE, TWO}
    stand.has(3, 100)
    stand.refresh()
    assert stand.bus.moves == [("Entered", THREE)]


def test_many_differences_become_a_list_anew(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.segments.service.refreshing.MOVES_MAX", 3)
    segment = stand.make()
    for turn in range(9):
        stand.has(2, 500 * (turn % 2))
        stand.refresh()
    state = states.find_state(stand.ops, segment.segment_id)
    assert len(state.moves) <= 3
    assert stand.inside(segment) == {ONE}
    assert [kind for kind, _ in stand.bus.moves] == ["Entered", "Left"] * 4


def test_tags_are_given_to_all_who_are_in_it_and_taken_from_who_leaves(stand: Stand) -> None:
    segment = stand.make(tag_rule={"tag": "rich"})
    stand.refresh()
    assert stand.tags == {ONE: {"rich"}}
    assert stand.bus.moves == []
    stand.has(1, 0)
    stand.has(2, 500)
    stand.refresh()
    assert stand.tags == {ONE: set(), TWO: {"rich"}}
    stand.edit(segment, definition={**RICH, "op": "below"})
    stand.refresh()
    assert stand.tags == {ONE: {"rich"}, TWO: set(), THREE: {"rich"}}


def test_when_there_is_no_time_the_rest_is_told_the_next_time(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.segments.service.refreshing.SLICE", 2)
    stand.make()
    stand.refresh()
    for m in range(10, 17):
        stand.has(m, 500)
    looks = itertools.count()
    done = stand.refresh(late=lambda: next(looks) > 1)
    assert done.unfinished
    assert len(stand.bus.moves) == 2
    stand.has(30, 500)
    stand.refresh()
    assert {who for _, who in stand.bus.moves} == {member_id(m) for m in (*range(10, 17), 30)}
    assert len(stand.bus.events) == 8, "nothing twice"


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_loses_nothing_and_tells_nothing_that_is_not_so(
    stand: Stand, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.segments.service.refreshing.SLICE", 2)
    stand.make(tag_rule={"tag": "rich"}, key="c")
    stand.refresh()
    for m in range(10, 15):
        stand.has(m, 500)
    stand.has(1, 0)
    stand.calls.count = 0
    crashes = 0
    while True:
        crashes += 1
        fresh = replace(
            stand, ops=stand.ops.copy(), objects=FolderObjects(stand.folder), bus=Heard(),  # type: ignore[attr-defined]
            tags={who: set(own) for who, own in stand.tags.items()}, calls=Calls(crashes, after),
        )  # fmt: skip
        try:
            fresh.refresh()
        except Crash:
            fresh.calls = Calls()
            fresh.refresh()
            assert sorted(fresh.bus.moves) == [*(("Entered", member_id(m)) for m in range(10, 15)), ("Left", ONE)]
            assert fresh.tags == {ONE: set(), **{member_id(m): {"rich"} for m in range(10, 15)}}
            assert fresh.refresh().entered == 0
            continue
        break
    assert crashes > 8


def test_two_runs_at_once_tell_the_same_events(stand: Stand) -> None:
    stand.make()
    stand.refresh()
    stand.has(2, 500)
    other = replace(stand, ops=RacingOps(stand.ops, stand.refresh))
    other.refresh()
    assert stand.bus.moves == [("Entered", TWO)]


class RacingOps:
    """Table ops, before whose first write another run does all of it."""

    def __init__(self, real: Table, other: Callable[[], object]) -> None:
        self._real = real
        self._other: Callable[[], object] | None = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def commit(self, writes: Any, *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        other, self._other = self._other, None
        if other is not None:
            other()
        self._real.commit(writes, keyed=keyed)


def test_after_any_changes_the_state_is_who_fits(stand: Stand) -> None:
    chance = random.Random(4)
    segment = stand.make()
    stand.changed = set()
    expected: dict[str, bool] = {}
    for turn in range(40):
        for _ in range(chance.randint(0, 4)):
            stand.has(chance.randint(1, 12), chance.choice((0, 499, 500, 900)))
        if turn % 13 == 7:
            stand.base, stand.changed = f"b{turn}", set()
        if turn % 17 == 5:
            stand.clock.forward(days=1)
        stand.refresh()
        fitting = {row["member_id"] for row in stand.world.tables["members"] if row["points_earned"] >= 500}
        assert stand.inside(segment) == fitting
        if turn == 0:
            expected = dict.fromkeys(fitting, True)
            assert stand.bus.moves == []
    for kind, who in stand.bus.moves:
        assert expected.get(who, False) == (kind == "Left"), "nobody comes in twice, or leaves without having come"
        expected[who] = kind == "Entered"
    assert {who for who, inside in expected.items() if inside} == stand.inside(segment)


# ---------------------------------------------------------------- making and changing


def test_a_segment_is_made_once_by_a_key(stand: Stand) -> None:
    first = stand.make(key="a")
    assert stand.make(key="a") == first
    with pytest.raises(SegmentDiffers):
        stand.make({**RICH, "value": 1}, key="a")
    assert len(store.find_graph(stand.table)[0]) == 1


def test_two_who_make_the_same_segment_at_once_make_one(stand: Stand) -> None:
    racing = replace(stand, table=RacingOps(stand.table, lambda: stand.make(key="a")))
    assert racing.make(key="a") == stand.make(key="a")
    assert len(store.find_graph(stand.table)[0]) == 1


def test_two_edits_at_once_cannot_make_a_circle(stand: Stand) -> None:
    a, b = stand.make(key="a"), stand.make(key="b")
    in_a, in_b = ({"kind": "segment", "segment_id": each.segment_id} for each in (a, b))
    racing = replace(stand, table=RacingOps(stand.table, lambda: stand.edit(b, definition=in_a)))
    with pytest.raises(DefinitionWrong):
        racing.edit(a, definition=in_b)
    assert store.segment_from(_item(stand, a.segment_id)).version == 1


def _item(stand: Stand, segment_id: SegmentId) -> Any:
    found = store.find_item(stand.table, segment_id)
    assert found is not None
    return found


def test_two_edits_of_the_same_version_are_one(stand: Stand) -> None:
    a = stand.make(key="a")
    racing = replace(stand, table=RacingOps(stand.table, lambda: stand.edit(a, name="first")))
    with pytest.raises(SegmentMoved):
        racing.edit(a, name="second")
    assert store.segment_from(_item(stand, a.segment_id)).name == "first"


def test_who_is_archived_while_somebody_names_it_is_not_both(stand: Stand) -> None:
    a = stand.make(key="a")
    named = {"kind": "segment", "segment_id": a.segment_id}

    def archive() -> None:
        managing.archive_segment(stand.table, stand.ops, stand.book, a.segment_id, ArchiveSegment(), now=stand.clock())

    racing = replace(stand, table=RacingOps(stand.table, archive))
    with pytest.raises(DefinitionWrong):
        racing.make(named, key="b")


def test_a_segment_is_compiled_for_others(stand: Stand) -> None:
    a = stand.make(key="a")
    some = compiled_of(stand.table, a.segment_id, today=TODAY, now=stand.clock())
    found = connected(stand.world).execute(some.sql, some.values("")).fetchall()
    assert (found, some.sql) == ([(1,)], "SELECT m FROM members WHERE (points_earned >= ?)")


# ---------------------------------------------------------------- tags


def test_a_tag_is_given_and_taken_once(clock: Clock) -> None:
    memory = MemoryTable()
    book = ProgramBook(memory)
    book.current(clock())
    keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(MemoryTable()))
    desk = Desk(memory, keyring, book, clock)
    ann = desk.enrol(tags=("vip",))

    def tag(given: bool) -> bool:
        return tagging.retag_member(memory, keyring, book, ann.member_id, "rich", given=given, now=clock())

    assert [tag(True), tag(True)] == [True, False]
    item, _ = members_store.find_items(memory, ann.member_id)
    assert item is not None
    assert item["tags"] == ["vip", "rich"]
    assert [tag(False), tag(False)] == [True, False]
    gone = MemberId("mem_" + "z" * 16)
    assert not tagging.retag_member(memory, keyring, book, gone, "rich", given=True, now=clock())
