"""What a table port promises, over every port: the one in memory cannot drift from those that speak the protocol."""

import random
from functools import partial
from typing import Any

import pytest

from chalicelib.points.store import ENTRIES_IN_INDEX
from chalicelib.storage.dynamo import DynamoFault
from chalicelib.storage.keys import Key
from chalicelib.storage.table import WRITES_MAX, Table
from chalicelib.storage.writes import (
    Absent,
    Add,
    Anyway,
    Condition,
    Count,
    Delete,
    Held,
    Item,
    Put,
    Still,
    Unchanged,
    Write,
)
from tests.contract.conftest import standing
from tests.contract.ports import Stand, in_memory

A, B, C = Key("a", "x"), Key("b", "x"), Key("c", "x")
IN_ORDER = ("", "#", "0", "A", "a", "é", "中", "\uffff", "😀")
"""By code point, which is how UTF-8 sorts, and not how UTF-16 does."""


class Refused(Exception):
    """A condition failed."""


def a_put(key: Key, item: Item | None = None, condition: Condition | None = None, why: str = "") -> Put:
    """A put that says why it was refused and what was there."""
    return Put(key, item or {}, condition or Absent(), lambda found: Refused(why, found))


def filled(stand: Stand, *puts: Put) -> Table:
    """The port with some items."""
    stand.table.commit(puts)
    return stand.table


# ---------------------------------------------------------------- values


def test_values_come_back_as_they_went(stand: Stand) -> None:
    item: Item = {
        "text": "拿铁 ☕ 😀", "empty": "", "zero": 0, "large": 10**18, "less": -(10**15), "yes": True, "no": False,
        "bytes": bytes(range(256)), "list": [1, "a", [b"\x00", {}], []], "map": {"a": {"b": [True]}, "c": {}},
    }  # fmt: skip
    table = filled(stand, a_put(A, item))
    assert table.get(A) == table.get(A, consistent=True) == {**item, "pk": "a", "sk": "x"}
    assert table.get(B) is None
    assert {type(value) for value in (table.get(A) or {}).values()} == {str, int, bool, bytes, list, dict}


def test_nothing_is_kept_for_what_is_not_there(stand: Stand) -> None:
    assert filled(stand, a_put(A, {"gone": None, "n": 1})).get(A) == {"pk": "a", "sk": "x", "n": 1}


@pytest.mark.parametrize("value", [1.5, [None], {"a": 0.1}])
def test_what_has_no_type_is_refused_and_nothing_is_written(stand: Stand, value: Any) -> None:
    with pytest.raises(TypeError):
        stand.table.commit([a_put(A, {"n": 1}), a_put(B, {"value": value})])
    assert stand.items() == {}


def test_what_was_read_is_nobody_elses(stand: Stand) -> None:
    given: Item = {"list": [1], "map": {"a": [2]}}
    table = filled(stand, a_put(A, given))
    given["list"].append(9)
    for _ in range(2):
        found = table.get(A) or {}
        assert (found["list"], found["map"]) == ([1], {"a": [2]})
        found["list"].append(3)
        found["map"]["a"].append(4)


# ---------------------------------------------------------------- conditions

THERE: Item = {"version": 3, "member_id": "m", "n": 0}
CONDITIONS: list[tuple[Condition, bool, bool]] = [
    (Absent(), True, False),
    (Anyway(), True, True),
    (Unchanged(3), False, True),
    (Unchanged(4), False, False),
    (Held("m"), False, True),
    (Held("other"), False, False),
    (Still("n", 0), False, True),
    (Still("n", 1), False, False),
    (Still("n", None), False, False),
    (Still("nothing", None), False, True),
    (Still("nothing", 0), False, False),
]


@pytest.mark.parametrize(("condition", "when_absent", "when_there"), CONDITIONS, ids=str)
def test_a_condition_holds_or_not(stand: Stand, condition: Condition, when_absent: bool, when_there: bool) -> None:
    keys = {(where, kind): Key(where, kind) for where in ("there", "none") for kind in ("put", "delete")}
    table = filled(stand, *[a_put(key, THERE) for (where, _), key in keys.items() if where == "there"])
    for (where, kind), key in keys.items():
        found = {**THERE, "pk": key.pk, "sk": key.sk} if where == "there" else {}
        write: Write = a_put(key, {"new": 1}, condition)
        if kind == "delete":
            write = Delete(key, condition, lambda found: Refused("", found))
        if when_there if where == "there" else when_absent:
            table.commit([write])
            assert table.get(key) == ({"new": 1, "pk": key.pk, "sk": key.sk} if kind == "put" else None)
            continue
        with pytest.raises(Refused) as refused:
            table.commit([write])
        assert refused.value.args == ("", found)
        assert table.get(key) == (found or None)


def test_a_number_is_not_its_digits_nor_the_truth(stand: Stand) -> None:
    table = filled(stand, a_put(A, {"version": "3", "n": True}))
    for condition in (Unchanged(3), Still("n", 1)):
        with pytest.raises(Refused):
            table.commit([a_put(A, {}, condition)])


# ---------------------------------------------------------------- transactions


def test_all_is_written_or_nothing_and_the_first_that_failed_says_why(stand: Stand) -> None:
    table = filled(stand, a_put(A, {"version": 1}), a_put(B, {"version": 1}))
    before = dict(stand.items())
    writes: list[Write] = [
        a_put(C, {"n": 1}, why="c"),
        Add(Key("d", "x"), {"n": 1}, {}),
        a_put(B, {}, Unchanged(7), why="b"),
        a_put(A, {}, Unchanged(8), why="a"),
    ]
    with pytest.raises(Refused) as refused:
        table.commit(writes)
    assert refused.value.args == ("b", {"version": 1, "pk": "b", "sk": "x"})
    assert stand.items() == before
    with pytest.raises(Refused) as refused:
        table.commit(writes[::-1])
    assert refused.value.args[0] == "a"


def test_the_same_keyed_write_again_meets_itself(stand: Stand) -> None:
    write = a_put(A, {"h": b"1", "version": 1})
    stand.table.commit([write, a_put(B)], keyed=True)
    with pytest.raises(Refused) as refused:
        stand.table.commit([write, a_put(B)], keyed=True)
    assert refused.value.args == ("", {"h": b"1", "version": 1, "pk": "a", "sk": "x"})


def test_a_hundred_writes_fit_and_no_more(stand: Stand) -> None:
    puts = [a_put(Key("p", f"{number:03d}")) for number in range(WRITES_MAX + 1)]
    with pytest.raises(ValueError, match="101"):
        stand.table.commit(puts)
    assert stand.items() == {}
    stand.table.commit(puts[:WRITES_MAX])
    assert len(stand.items()) == WRITES_MAX


@pytest.mark.parametrize("writes", [[], [a_put(A), a_put(A, {"n": 1})], [a_put(A), Add(A, {"n": 1}, {})]])
def test_nothing_and_an_item_twice_are_refused(stand: Stand, writes: list[Write]) -> None:
    with pytest.raises(DynamoFault) as fault:
        stand.table.commit(writes)
    assert (fault.value.code, fault.value.status) == ("ValidationException", 400)
    assert stand.items() == {}


def test_adding_makes_an_item_and_counts(stand: Stand) -> None:
    stand.table.commit([Add(A, {"n": 2, "k": -1}, {"seen": 5, "gone": None})])
    stand.table.commit([Add(A, {"n": 3}, {"seen": 6, "name": "拿"}), a_put(B)])
    with pytest.raises(Refused):
        stand.table.commit([Add(A, {"n": 100}, {}), a_put(B)])
    assert stand.table.get(A) == {"pk": "a", "sk": "x", "n": 5, "k": -1, "seen": 6, "name": "拿"}


def test_counting_stops_at_its_limit(stand: Stand) -> None:
    def count(key: Key, amount: int) -> Count:
        return Count(key, "n", amount, 3, {"seen": 5}, partial(Refused, "full"))

    for amount in (1, 2):
        stand.table.commit([count(A, amount)])
    for key, amount, found in ((A, 1, {"pk": "a", "sk": "x", "n": 3, "seen": 5}), (B, 4, {})):
        with pytest.raises(Refused) as refused:
            stand.table.commit([a_put(C), count(key, amount)])
        assert refused.value.args == ("full", found)
    assert stand.items() == {A: {"pk": "a", "sk": "x", "n": 3, "seen": 5}}


def test_a_put_replaces_the_whole_item(stand: Stand) -> None:
    filled(stand, a_put(A, {"version": 1, "old": 1})).commit([a_put(A, {"version": 2}, Unchanged(1))])
    assert stand.items() == {A: {"pk": "a", "sk": "x", "version": 2}}


# ---------------------------------------------------------------- reading many


def test_many_are_read_at_once_whatever_is_missing_or_asked_for_twice(stand: Stand) -> None:
    keys = [Key(f"k{number}", "x") for number in range(130)]
    for start in (0, 100):
        stand.table.commit([a_put(key, {"n": 1}) for key in keys[start : start + 100]])
    found = stand.table.get_many([*keys, keys[0], Key("none", "x")])
    assert set(found) == set(keys)
    assert found[keys[7]] == {"pk": "k7", "sk": "x", "n": 1}
    assert stand.table.get_many([]) == {}


def test_a_partition_is_read_in_order_between_two_keys(stand: Stand) -> None:
    names = [f"s{name}" for name in IN_ORDER]
    table = filled(stand, *[a_put(Key("p", name)) for name in reversed(names)], a_put(Key("q", "s")))
    for consistent in (False, True):
        for limit in (None, 1, 4, 20):
            for first, last in (("s", "s😀"), ("s", "t"), ("sA", "s中"), ("sB", "sZ"), ("x", "z")):
                expected = [name for name in names if first <= name <= last]
                asked: dict[str, Any] = {"first": first, "last": last, "limit": limit, "consistent": consistent}
                assert [row["sk"] for row in table.query_partition("p", **asked)] == expected[:limit]
                backwards = table.query_partition("p", newest_first=True, **asked)
                assert [row["sk"] for row in backwards] == expected[::-1][:limit]
    assert table.query_partition("none", first="a", last="z") == ()


def test_an_index_shows_what_it_was_told_to(stand: Stand) -> None:
    shown = dict.fromkeys(ENTRIES_IN_INDEX, "v")
    hidden = {"d": b"1", "version": 1, "note_internal": "n"}
    table = filled(
        stand,
        a_put(A, {"tl": "t", "at": "1", "due": "d", **shown, **hidden}),
        a_put(B, {"tl": "t", "version": 1}),  # without its sort key it is in no index
        a_put(C, {"at": "2", "version": 1}),
    )
    (row,) = table.query_timeline("t", after=None, limit=9).items
    assert row == {"pk": "a", "sk": "x", "tl": "t", "at": "1", **shown}
    (row,) = table.query_due("d", after=None, limit=9).items
    assert row == {"pk": "a", "sk": "x", "due": "d"}


def test_an_item_moves_in_its_index_and_leaves_it(stand: Stand) -> None:
    table = filled(stand, a_put(A, {"due": "d1", "version": 1}), a_put(B, {"due": "d1", "version": 1}))

    def due(day: str) -> list[str]:
        return [row["pk"] for row in table.query_due(day, after=None, limit=9).items]

    table.commit([a_put(A, {"due": "d2", "version": 2}, Unchanged(1))])
    assert (due("d1"), due("d2")) == (["b"], ["a"])
    table.commit([a_put(A, {"version": 3}, Unchanged(2)), Delete(B, Unchanged(1), lambda _: Refused())])
    assert (due("d1"), due("d2")) == ([], [])


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_hold_every_row_once_and_in_order(stand: Stand, newest_first: bool) -> None:
    rows = [a_put(Key(f"p{number}", "x"), {"tl": "t", "at": f"{number:03d}", "due": "d"}) for number in range(7)]
    table = filled(stand, *rows, a_put(Key("other", "x"), {"tl": "u", "at": "001", "due": "e"}))
    expected = [f"p{number}" for number in range(7)]
    for limit in (1, 3, 7, 9):
        timeline, due = list[str](), list[str]()
        after: str | None = None
        for _ in range(9):
            page = table.query_timeline("t", after=after, limit=limit, newest_first=newest_first)
            assert len(page.items) <= limit
            timeline += [row["pk"] for row in page.items]
            if (after := page.last) is None:
                break
        after = None
        for _ in range(9):
            page = table.query_due("d", after=after, limit=limit)
            due += [row["pk"] for row in page.items]
            if (after := page.last) is None:
                break
        assert timeline == (expected[::-1] if newest_first else expected)
        assert due == expected
    for after in ("003", "0035", "9", "0"):
        found = table.query_timeline("t", after=after, limit=9, newest_first=newest_first).items
        assert {row["at"] for row in found} == {
            f"{n:03d}" for n in range(7) if (f"{n:03d}" < after if newest_first else f"{n:03d}" > after)
        }


# ---------------------------------------------------------------- anything


def some_writes(chance: random.Random) -> list[Write]:
    """A transaction over few keys, so that conditions hold as often as not."""
    keys = [Key(pk, sk) for pk in "ab" for sk in "xyz"]
    writes: list[Write] = []
    for key in chance.sample(keys, chance.randrange(1, 4)):
        item: Item = {"version": chance.randrange(3), "member_id": chance.choice("mn"), "n": chance.randrange(3)}
        item |= {"tl": chance.choice("tu"), "at": f"{key.pk}{key.sk}"} if chance.random() < 0.5 else {}
        item |= {"due": chance.choice("de")} if chance.random() < 0.5 else {}
        still = Still("n", chance.choice((None, 0, 1)))
        held = Held(chance.choice("mn"))
        conditions: list[Condition] = [Absent(), Absent(), Unchanged(chance.randrange(3)), held, still]
        condition = chance.choice(conditions)
        refused = partial(Refused, key)
        draw = chance.random()
        if draw < 0.7:
            writes.append(Put(key, item, condition, refused))
        elif draw < 0.85:
            writes.append(Delete(key, condition, refused))
        else:
            writes.append(Add(key, {"n": chance.randrange(-3, 4)}, {"k": chance.randrange(9)}))
    return writes


@pytest.mark.parametrize("name", ["dynoxide", "ministack", "moto"])
def test_anything_comes_to_the_same_in_memory(name: str, request: pytest.FixtureRequest) -> None:
    chance, memory = random.Random(11), in_memory()
    refusals = 0
    with standing(name, request) as other:
        for _ in range(150):
            writes = some_writes(chance)
            answers: list[Any] = []
            for port in (memory.table, other.table):
                try:
                    port.commit(writes, keyed=True)
                    answers.append(None)
                except Refused as refused:
                    answers.append(refused.args)
            assert answers[0] == answers[1], writes
            refusals += answers[0] is not None
            for partition, index in (("t", "query_timeline"), ("d", "query_due")):
                pages = [getattr(port, index)(partition, after=None, limit=3) for port in (memory.table, other.table)]
                assert pages[0].items == pages[1].items
        assert memory.items() == other.items()
    assert 30 < refusals < 140
