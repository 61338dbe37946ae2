"""What crashes, races and older files leave of the lake."""

import itertools
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.lake import duck, merging, rules, service, store, tables, views
from chalicelib.lake.errors import LakeMissing
from chalicelib.lake.models import Edges, Head, Merged
from chalicelib.storage import keys
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.writes import Item
from tests.beach import CAKE, Beach
from tests.lakes import Shore
from tests.makers import publish_texts
from tests.memory import MemoryTable


class Crash(Exception):
    """The process is gone."""


class Brittle(FolderObjects):
    """A folder before which the process dies at one of its calls, before or after it was carried out."""

    def __init__(self, path: Path, at: int, *, after: bool) -> None:
        super().__init__(path)
        self.at, self.after, self.calls = at, after, 0

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`."""
        self._die(lambda: super(Brittle, self).put(key, content, kind=kind))

    def delete(self, keys: Any) -> None:
        """See `Objects.delete`."""
        self._die(lambda: super(Brittle, self).delete(keys))

    def _die(self, act: Any) -> None:
        self.calls += 1
        if self.calls != self.at:
            act()
            return
        if self.after:
            act()
        raise Crash


def _some(beach: Beach) -> None:
    ann, bob = beach.till.enrol(mobile="13800000001"), beach.till.enrol(mobile="13800000002")
    beach.buy(ann.member_id, 10000, CAKE)
    beach.flow()
    beach.shore.rebase(beach.clock())
    beach.clock.forward(days=3)
    beach.buy(bob.member_id, 2000)
    beach.flow()
    beach.buy(bob.member_id, 3000)


@pytest.mark.parametrize(("where", "after"), [("engine", False), ("objects", False), ("objects", True)])
@pytest.mark.parametrize("what", ["patch", "rebase"])
def test_a_crash_at_any_file_loses_nothing_and_leaves_nothing(
    beach: Beach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, where: str, *, after: bool
) -> None:
    _some(beach)
    old = beach.shore.all(beach.clock())
    beach.shore.pour(beach.memory.records(), now=beach.clock())
    wanted = beach.rebuilt(tmp_path / "rebuilt").all(beach.clock())
    assert old != wanted
    sound, write = beach.shore.objects, merging.write_file
    place, calls = beach.shore.folder, 0

    def dying(con: Any, select: str, path: str) -> None:
        nonlocal calls
        calls += 1
        if calls != at:
            write(con, select, path)
            return
        if after:
            write(con, select, path)
        raise Crash

    for at in itertools.count(1):
        calls, before = 0, store.find_head(beach.shore.ops)
        if where == "engine":
            monkeypatch.setattr(merging, "write_file", dying)
        else:
            beach.shore.objects = Brittle(place, at, after=after)
        try:
            getattr(beach.shore, what)(beach.clock())
            break
        except Crash:
            moved = store.find_head(beach.shore.ops) != before
            assert beach.shore.all(beach.clock()) == wanted if moved else True  # what a head names is never rewritten
    assert at > 1
    monkeypatch.undo()
    beach.shore.objects = sound
    beach.shore.patch(beach.clock())
    assert beach.shore.all(beach.clock()) == wanted
    beach.clock.forward(hours=2)
    beach.buy(beach.ask("SELECT member_id FROM members")[0]["member_id"], 100)
    beach.flow()
    head = store.find_head(beach.shore.ops)
    assert head is not None
    for kind, named in (("patch", head.patch), ("base", head.base)):
        assert {each.name for each in (place / "lake" / kind).iterdir() if any(each.rglob("*.parquet"))} == {named}


def test_of_two_patches_at_once_one_counts_and_nothing_is_lost(beach: Beach, tmp_path: Path) -> None:
    _some(beach)
    beach.shore.pour(beach.memory.records(), now=beach.clock())
    raced: list[Merged] = []

    class Racing(MemoryTable):
        """Another patch gets in just before the head is moved."""

        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            if not raced:
                raced.append(service.patch(quick.lake, today=beach.clock().date(), now=beach.clock()))
            beach.shore.ops.commit(writes)

        def get(self, key: keys.Key, *, consistent: bool = False) -> Any:
            return beach.shore.ops.get(key, consistent=consistent)

    quick = Shore(beach.shore.folder, beach.shore.ops, beach.shore.objects)
    quick.draws = iter(range(1000, 2000))  # type: ignore[assignment]
    slow = Shore(beach.shore.folder, Racing(), beach.shore.objects)
    slow.draws = iter(range(2000, 3000))  # type: ignore[assignment]
    assert not slow.patch(beach.clock()).moved
    assert raced[0].moved
    assert beach.shore.all(beach.clock()) == beach.rebuilt(tmp_path / "rebuilt").all(beach.clock())


def test_a_patch_that_another_was_faster_than_is_made_again_with_what_the_other_had_not_seen(beach: Beach) -> None:
    sent = {"member_id": "mem_a", "at": beach.clock(), "source": "campaign", "source_id": "cmp_a", "outcome": "sent"}
    for number in (1, 2):
        store.append(
            beach.shore.objects, "delivery", f"d{number}", [{"row_id": f"{number}", **sent}], now=beach.clock()
        )
    raced: list[Merged] = []

    class Early(FolderObjects):
        """It was listed before the second file was there."""

        def list(self, prefix: str, *, after: str | None, limit: int) -> list[str]:
            return [key for key in super().list(prefix, after=after, limit=limit) if "d2" not in key]

    class Racing(MemoryTable):
        """Another patch gets in just before the head is moved."""

        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            if not raced:
                raced.append(quick.patch(beach.clock()))
            beach.shore.ops.commit(writes)

        def get(self, key: keys.Key, *, consistent: bool = False) -> Any:
            return beach.shore.ops.get(key, consistent=consistent)

    quick = Shore(beach.shore.folder, beach.shore.ops, Early(beach.shore.folder))
    quick.draws = iter(range(1000, 2000))  # type: ignore[assignment]
    slow = Shore(beach.shore.folder, Racing(), beach.shore.objects)
    slow.draws = iter(range(2000, 3000))  # type: ignore[assignment]
    assert slow.patch(beach.clock()).moved
    assert raced[0].moved
    assert len(beach.ask("SELECT source_id FROM deliveries")) == 2


def test_a_rebase_takes_in_what_patches_had_meanwhile(
    beach: Beach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _some(beach)
    beach.flow()
    based = service._based

    def meanwhile(*given: Any, **more: Any) -> Any:
        beach.buy(beach.till.enrol(mobile="13800000003").member_id, 700)
        beach.flow()
        return based(*given, **more)

    monkeypatch.setattr(service, "_based", meanwhile)
    beach.shore.rebase(beach.clock())
    monkeypatch.undo()
    head = store.find_head(beach.shore.ops)
    assert head is not None
    assert head.base is not None and head.patched == 1
    assert beach.shore.all(beach.clock()) == beach.rebuilt(tmp_path / "rebuilt").all(beach.clock())


def test_what_is_told_twice_is_one_row_and_a_row_needs_what_tells_it_apart(beach: Beach) -> None:
    ann = beach.till.enrol(mobile="13800000001")
    row = {"row_id": "d1", "member_id": ann.member_id, "at": beach.clock(), "campaign_id": "cmp_1", "held_out": True}
    for name in ("one", "two", "one"):
        store.append(beach.shore.objects, "assignment", name, [row, {**row, "row_id": name}], now=beach.clock())
    beach.flow()
    assert beach.ask("SELECT count(*) AS n FROM assignments") == [{"n": 3}]
    for wrong in ({"mobile": "1"}, {"row_id": ""}, {"member_id": None}, {"at": None}):
        with pytest.raises(ValueError, match="assignment"):
            store.append(beach.shore.objects, "assignment", "x", [{**row, **wrong}], now=beach.clock())
    with pytest.raises(ValueError, match="name"):
        store.append(beach.shore.objects, "assignment", "../x", [row], now=beach.clock())


def test_a_base_is_due_when_its_edges_are_of_too_few_and_growth_makes_few_of_them(beach: Beach) -> None:
    ids = [beach.till.enrol(mobile=f"138000000{each:02}").member_id for each in range(12)]
    beach.flow()
    beach.shore.rebase(beach.clock())
    head = store.find_head(beach.shore.ops)
    assert head is not None
    assert not (head.scored or rules.is_outgrown(head)), "nobody bought"
    made = 0
    for each in ids:
        beach.buy(each)
        beach.flow()
        head = store.find_head(beach.shore.ops)
        assert head is not None
        if rules.is_outgrown(head):
            assert rules.is_rebase_due(head, beach.clock(), "Asia/Shanghai")
            head = beach.shore.rebase(beach.clock()).head
            made += 1
    assert (head.scored, head.buyers, head.patched_buyers, made) == (True, 11, 1, 3)


def test_an_import_of_a_million_makes_few_bases_for_its_scores() -> None:
    head, made = Head(built_at=datetime(2026, 3, 15, tzinfo=UTC)), 0
    for bought in range(100, 1_000_001, 100):
        head = head.model_copy(update={"patched_buyers": bought - head.buyers})
        if rules.is_outgrown(head):
            edges = Edges(recency=(date(2026, 3, 15),))
            head, made = head.model_copy(update={"edges": edges, "buyers": bought, "patched_buyers": 0}), made + 1
    assert made < 30


def test_a_base_is_due_at_night_when_there_is_none_and_when_the_patch_is_large(beach: Beach) -> None:
    assert rules.is_rebase_due(None, beach.clock(), "Asia/Shanghai")
    _some(beach)
    head = store.find_head(beach.shore.ops)
    assert head is not None
    night = datetime(2026, 3, 16, 19, 0, tzinfo=UTC)  # 03:00 of the 17th
    assert not rules.is_rebase_due(head.model_copy(update={"base_at": night}), night, "Asia/Shanghai")
    assert not rules.is_rebase_due(head, night - timedelta(days=1, hours=10), "Asia/Shanghai")
    assert rules.is_rebase_due(head, night, "Asia/Shanghai")
    large = head.model_copy(update={"base_at": night, "patched": 20_001})
    assert rules.is_rebase_due(large, night, "Asia/Shanghai")


def test_the_views_read_the_lake_and_nothing_else(beach: Beach, tmp_path: Path) -> None:
    other = tmp_path / "secret.csv"
    other.write_text("a\n1\n")
    beach.flow()
    for asked in (
        f"SELECT * FROM read_csv('{other}')",
        f"COPY (SELECT 1) TO '{other}'",
        "SET enable_external_access = true",
    ):
        with pytest.raises(Exception, match=r"(?i)permission|disabled|cannot"):
            beach.ask(asked)


def test_a_lake_that_is_being_made_anew_answers_nobody_and_is_finished_by_nobody_else(beach: Beach) -> None:
    _some(beach)
    beach.flow()
    whole = beach.shore.all(beach.clock())
    day, now = beach.clock().date(), beach.clock()

    def items(*, dies: bool) -> Iterator[Item]:
        for number, item in enumerate(list(beach.memory.items.values())):
            if number == 3:
                with pytest.raises(LakeMissing):
                    beach.ask("SELECT count(*) FROM members")
                beach.shore.patch(now)  # as the stream has one made meanwhile
                head = store.find_head(beach.shore.ops)
                assert head is not None and head.unfinished
                assert not rules.is_rebase_due(head, now + timedelta(days=2), "Asia/Shanghai")
                assert not rules.is_outgrown(head.model_copy(update={"patched_buyers": 9}))
                if dies:
                    raise Crash
            yield item

    with pytest.raises(Crash):
        service.rebuild(beach.shore.lake, items(dies=True), today=day, now=now)
    with pytest.raises(LakeMissing):
        beach.ask("SELECT count(*) FROM members")
    service.rebuild(beach.shore.lake, items(dies=False), today=day, now=now)
    assert beach.shore.all(now) == whole


# ---------------------------------------------------------------- forms


def test_files_that_lack_a_column_are_read_until_there_is_a_new_base(
    beach: Beach, monkeypatch: pytest.MonkeyPatch
) -> None:
    _some(beach)
    before = beach.ask("SELECT member_id, spent_minor FROM members ORDER BY 1")
    later = tables.FORM + 1
    monkeypatch.setitem(tables.PEOPLE, "nickname", "VARCHAR")
    for module in (tables, views, service):
        monkeypatch.setattr(module, "FORM", later)
    assert beach.ask("SELECT member_id, spent_minor FROM members ORDER BY 1") == before
    beach.flow()
    beach.shore.rebase(beach.clock())
    head = store.find_head(beach.shore.ops)
    assert head is not None
    assert head.form == later
    assert len(beach.ask("SELECT * FROM members")) == len(before)


def _as_form_1(beach: Beach) -> None:
    """Write the base's people as form 1 had them: lists as lists, and no language."""
    head = store.find_head(beach.shore.ops)
    assert head is not None
    lists = ", ".join(
        f"CASE WHEN {kept} = '' THEN [] ELSE str_split({kept}, chr(10)) END AS {name}"
        for name, kept in tables.SPELLED.items()
    )
    with duck.connected(beach.shore.lake.place) as con:
        for path in views.files(beach.shore.lake.place.root, f"{rules.BASE}/{head.base}", "people", head.slices):
            old = Path(path).rename(f"{path}.now")
            without = ", ".join(("language", *tables.SPELLED.values()))
            rows = f"SELECT * EXCLUDE ({without}), {lists} FROM read_parquet('{old}')"
            merging.write_file(con, rows, path)
    beach.shore.ops.commit([store.move_head(head, head.model_copy(update={"form": 1, "version": head.version + 1}))])


def test_lists_of_the_first_form_are_read_beside_a_patch_that_has_texts_of_them(beach: Beach, tmp_path: Path) -> None:
    publish_texts(beach.till.table, "marketing")
    agreed = {"purpose": "marketing", "granted": True, "text_version": "1", "source": "till"}
    people = [
        beach.till.enrol(mobile=f"1380000000{number}", consents=said)
        for number, said in enumerate([[agreed], [agreed, {**agreed, "channel": "sms", "granted": False}], [], []])
    ]
    beach.flow()
    beach.shore.rebase(beach.clock())
    before = beach.shore.all(beach.clock(), fifths=True)
    _as_form_1(beach)
    assert beach.shore.all(beach.clock(), fifths=True) == before
    beach.till.edit(people[2].member_id, people[2].version, tags=["vip"], language="en")
    beach.flow()
    head = store.find_head(beach.shore.ops)
    assert head is not None
    assert (head.form, head.patched) == (1, 1)
    lists = "SELECT consents, withdrawn, ways, suppressed FROM members WHERE member_id = ?"
    assert [[*row.values()] for each in people for row in beach.ask(lists, each.member_id)] == [
        [["marketing"], [], ["sms", "app"], []],
        [["marketing"], ["marketing:sms"], ["sms", "app"], []],
        [[], [], ["sms", "app"], []],
        [[], [], ["sms", "app"], []],
    ]
    assert [beach.member(each.member_id)["language"] for each in people] == [None, None, "en", None]
    head = beach.shore.rebase(beach.clock()).head
    assert head.form == tables.FORM
    assert beach.shore.all(beach.clock()) == beach.rebuilt(tmp_path / "rebuilt").all(beach.clock())
