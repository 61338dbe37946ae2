"""Segments over the very lake: what members do at a till comes into them with the next patch, and is told."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.identity.models import Caller, Kind
from chalicelib.kernel.ids import SegmentId
from chalicelib.lake import jobs as lake_jobs
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.service import ProgramBook
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.segments import jobs, states
from chalicelib.segments.errors import RfmNotReady
from chalicelib.segments.models import DEFINITION, CreateSegment
from chalicelib.segments.rules import compiled
from chalicelib.segments.service import compiled_of, managing
from chalicelib.segments.service.asking import Asking
from chalicelib.storage.functions import LocalFunctions
from chalicelib.storage.keyring import Keyring
from tests.lakes import Shore
from tests.makers import Clock, a_purchase, contacts_in
from tests.memory import MemoryTable
from tests.segmenting import Documents
from tests.table.stand import Desk
from tests.table.test_segments import Heard

MARKETER = Caller(Kind.STAFF, "stf_mia", ("marketer",), {})
LATELY = {"kind": "last_days", "days": 30}
TWICE = {"kind": "purchases", "measure": "count", "op": "at_least", "value": 2, "window": LATELY}
COFFEE = {"kind": "bought", "categories": ["咖啡"], "window": LATELY}


@pytest.fixture
def shore(tmp_path: Path) -> Shore:
    """An empty lake."""
    return Shore(tmp_path / "lake")


@pytest.fixture
def heard() -> Heard:
    """A bus that remembers."""
    return Heard()


@pytest.fixture
def desk(shore: Shore, clock: Clock, heard: Heard) -> Iterator[Desk]:
    """Serves members; segments are asked by the functions themselves."""
    memory = MemoryTable()
    book = ProgramBook(memory)
    book.current(clock())
    keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(MemoryTable()))
    settings = Settings(
        stage="test", stack="test", region="us-east-1", dynamodb_endpoint=None, index_key=b"i" * 32,
        cursor_key=b"c" * 32, token_key=b"t" * 32, issuer="https://test.regulars.invalid", audience="regulars",
    )  # fmt: skip
    functions = LocalFunctions({"segments-answer": jobs.answer_segments})
    wiring.use(
        House(
            settings,
            memory,
            keyring,
            clock,
            ops=shore.ops,
            objects=shore.objects,
            bus=heard,
            functions=functions,
            place=shore.lake.place,
        )
    )  # fmt: skip
    yield Desk(memory, keyring, book, clock)
    wiring.use(None)


def make(definition: dict[str, Any], key: str = "k", **more: Any) -> SegmentId:
    """Make a segment."""
    house = wiring.house()
    command = CreateSegment.model_validate_json(json.dumps({"name": "s", "definition": definition, **more}))
    return managing.create_segment(
        house.table, house.ops, house.objects, ProgramBook(house.table), Asking(house.functions), MARKETER, command,
        key=key, now=house.clock(),
    ).value.segment_id  # fmt: skip


def members_of(segment_id: SegmentId, **more: Any) -> list[str]:
    """Who is in a segment now."""
    asking = Asking(wiring.house().functions, **more)
    found = asking.ask("members", segment_id=segment_id, after=None, limit=100)["members"]
    return [each["member_id"] for each in found]


class Till:
    """Sells coffee, and lets the lake know."""

    def __init__(self, desk: Desk, shore: Shore) -> None:
        self.desk, self.shore, self.seen = desk, shore, 0

    def sells(self, member_id: str, category: str = "咖啡") -> None:
        """A purchase."""
        line = {"sku": "L1", "name": "拿铁", "category": category, "quantity": 1, "unit_price_minor": 3000}
        self.desk.buy(a_purchase(member_id, lines=[line], paid_minor=3000))

    def pours(self) -> None:
        """The lake's log has what was sold."""
        memory = self.desk.table
        assert isinstance(memory, MemoryTable)
        records = list(memory.records())
        self.shore.pour(records[self.seen :], now=self.desk.clock())
        self.seen = len(records)

    def closes(self, *, rebase: bool = False) -> None:
        """The lake has what was sold, and live segments are looked at."""
        self.pours()
        (self.shore.rebase if rebase else self.shore.patch)(self.desk.clock())
        jobs.refresh_segments({"Records": []}, None)


def test_who_buys_comes_into_segments_with_the_next_patch_and_is_told(
    desk: Desk, shore: Shore, heard: Heard, clock: Clock
) -> None:
    till = Till(desk, shore)
    ann, bob, eve = (desk.enrol(mobile=f"1380000000{n}", shop_id="shp_a").member_id for n in range(3))
    till.sells(ann)
    till.sells(bob, "茶")
    twice = make(TWICE, "twice", tag_rule={"tag": "常来"})
    coffee = make({"kind": "all", "of": [COFFEE, {"kind": "not", "of": TWICE}]}, "coffee")
    till.closes(rebase=True)
    assert members_of(twice) == []
    assert members_of(coffee) == [ann]
    assert heard.moves == []

    clock.forward(minutes=2)
    till.sells(ann)
    till.sells(eve)
    till.closes()
    assert members_of(twice) == [ann]
    assert members_of(coffee) == [eve]
    assert sorted(heard.moves) == sorted([("Entered", ann), ("Left", ann), ("Entered", eve)])
    assert desk.member(ann).tags == ("常来",)

    clock.forward(days=40)
    till.closes(rebase=True)
    assert members_of(twice) == []
    assert heard.moves[3:] in ([("Left", ann), ("Left", eve)], [("Left", eve), ("Left", ann)])
    assert desk.member(ann).tags == ()
    state = states.find_state(shore.ops, twice)
    assert (state.count, state.pending) == (0, None)
    assert members_of(make({"kind": "field", "name": "status", "op": "is_known"}, "all"), within=frozenset()) == []


def test_scores_come_with_the_first_purchases_and_nobody_is_counted_by_them_before(
    desk: Desk, shore: Shore, heard: Heard
) -> None:
    till, champions = Till(desk, shore), {"kind": "segment", "segment_id": "seg_ready_champions"}
    ids = [desk.enrol(mobile=f"1380000000{n}").member_id for n in range(6)]
    make({"kind": "not", "of": champions}, "others")
    till.closes(rebase=True)
    with pytest.raises(RfmNotReady):
        members_of(SegmentId("seg_ready_champions"))
    with pytest.raises(RfmNotReady):
        compiled_of(desk.table, SegmentId.of("others"), today=desk.clock().date(), now=desk.clock(), scored=False)
    assert states.find_state(shore.ops, SegmentId.of("others")).base is None, "it is not looked at yet"
    for number, each in enumerate(ids):
        for _ in range(number + 1):
            till.sells(each)
    till.pours()
    lake_jobs.patch_lake({"Records": []}, None)
    jobs.refresh_segments({"Records": []}, None)
    best = members_of(SegmentId("seg_ready_champions"))
    assert best == sorted(ids[-2:]), "all bought on one day, so all are as recent as can be"
    assert states.find_state(shore.ops, SegmentId.of("others")).count == 4
    assert heard.moves == [], "nobody came in by the first scores"


def test_a_lake_whose_files_are_gone_says_so(desk: Desk, shore: Shore) -> None:
    till = Till(desk, shore)
    desk.enrol(mobile="13800000001")
    till.closes(rebase=True)
    assert members_of(SegmentId("seg_ready_stage_new")) != []
    shutil.rmtree(shore.folder / "lake")
    with pytest.raises(LakeMissing):
        members_of(SegmentId("seg_ready_stage_new"))


def test_a_list_is_read_from_the_archive_by_the_engine(desk: Desk, shore: Shore) -> None:
    till = Till(desk, shore)
    ann, bob = (desk.enrol(mobile=f"1380000000{n}").member_id for n in range(2))
    till.closes(rebase=True)
    command = CreateSegment(name="l", member_ids=(bob,))
    house = wiring.house()
    listed = managing.create_segment(
        house.table, house.ops, house.objects, ProgramBook(house.table), Asking(house.functions), MARKETER, command,
        key="l", now=house.clock(),
    ).value.segment_id  # fmt: skip
    assert members_of(listed) == [bob]
    rest = make({"kind": "not", "of": {"kind": "segment", "segment_id": listed}}, "rest")
    assert members_of(rest) == [ann]
    frozen = make({"kind": "not", "of": {"kind": "segment", "segment_id": listed}}, "frozen", freeze=True)
    assert members_of(frozen) == [ann]


def test_the_very_views_take_every_kind_of_definition(desk: Desk, shore: Shore) -> None:
    from chalicelib.lake import duck, store
    from chalicelib.segments.rules.ready import ready

    till = Till(desk, shore)
    till.sells(desk.enrol(mobile="13800000001", tags=("vip",), birthday="1990-03-16").member_id)
    till.closes(rebase=True)
    documents, today = Documents(21), desk.clock().date()
    head = store.find_head(shore.ops)
    with duck.opened(shore.lake.place, head, today=today, now=desk.clock()) as connection:
        for _ in range(60):
            some = compiled(DEFINITION.validate_json(json.dumps(documents.definition())), today=today, resolve=ready)
            assert len(connection.execute(some.sql, some.values("")).fetchall()) <= 1
