"""A port that holds writes back: what it reads, what it refuses, what it writes in the end."""

from collections.abc import Sequence
from typing import Any

import pytest

from chalicelib.kernel.errors import LaneSlow, Refusal, refusal_of
from chalicelib.pools.errors import PoolLimitReached
from chalicelib.storage.ahead import Ahead, Moved, NotAhead
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Absent, Add, Delete, Held, Item, Put, Still, Unchanged, Write

A, B = Key("A", "a"), Key("B", "b")


class Real:
    """A table in a dictionary, which takes every write."""

    def __init__(self, **items: Item) -> None:
        self.items = {Key(name, name.lower()): {"pk": name, "sk": name.lower(), **item} for name, item in items.items()}
        self.reads = 0
        self.written: list[Sequence[Write]] = []

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        assert consistent
        self.reads += 1
        return self.items.get(key)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        return {key: self.items[key] for key in keys if key in self.items}

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        assert not keyed, "a retry must carry a token"
        self.written.append(writes)


def over(real: Real) -> Ahead:
    return Ahead(real, {})  # type: ignore[arg-type]


def put(key: Key, condition: Any, **item: Any) -> Put:
    return Put(key, item, condition, lambda found: KeyError(found.get("version")))


def test_an_item_that_several_write_is_written_once_with_the_first_condition_and_the_last_content() -> None:
    real = Real(A={"version": 4})
    port = over(real)
    port.commit([put(B, Absent(), n=1), put(A, Unchanged(4), version=5)], keyed=True)
    assert port.get(A) == {"pk": "A", "sk": "a", "version": 5}
    assert port.get(B) == {"pk": "B", "sk": "b", "n": 1}
    port.commit([put(A, Unchanged(5), version=6, none=None)])
    assert port.get_many([A, B, Key("C", "c")]) == {A: {"pk": "A", "sk": "a", "version": 6}, B: port.get(B)}
    assert real.written == []
    port.flush()
    ((first, second),) = real.written
    assert isinstance(first, Put)
    assert isinstance(second, Put)
    assert (first.key, second.key, second.condition, second.item["version"]) == (B, A, Unchanged(4), 6)
    moved = second.otherwise({"version": 9})
    assert isinstance(moved, Moved)
    assert (moved.key, moved.item) == (A, {"version": 9})
    assert real.reads == 0


def test_conditions_are_checked_by_what_is_known_and_nothing_is_kept_of_what_is_refused() -> None:
    port = over(Real(A={"version": 4, "member_id": "m", "n": 2}))
    assert port.get(A) is not None
    assert port.get(B) is None
    for condition in (Absent(), Unchanged(3), Held("x"), Still("n", 1), Still("n", None)):
        with pytest.raises(KeyError, match="4"):
            port.commit([put(B, Absent()), put(A, condition)])
    for missing in (Unchanged(1), Held("m"), Still("n", None)):
        with pytest.raises(KeyError):
            port.commit([put(B, missing)])
    assert port.kept == ()
    port.commit([put(A, Unchanged(4), version=5), put(B, Absent())])
    with pytest.raises(KeyError, match="5"):
        port.commit([put(A, Unchanged(4))])


def test_what_one_piece_of_work_did_can_be_given_up() -> None:
    port = over(Real())
    own = port.apart({"rq": "t"})
    own.commit([put(A, Absent(), n=1), put(B, Absent(), n=2)], keyed=True)
    own.commit([put(Key("C", "c"), Absent())])
    assert [each.item for each in own.kept] == [{"n": 1, "rq": "t"}, {"n": 2}, {}]
    assert (port.kept, port.get(A)) == ((), None)


def test_what_cannot_be_held_back_says_so() -> None:
    port = over(Real())
    with pytest.raises(NotAhead):
        port.query_partition("A", first="", last="z")
    with pytest.raises(NotAhead):
        port.query_due("A", after=None, limit=1)
    with pytest.raises(NotAhead):
        port.commit([Add(A, {"n": 1}, {})])
    with pytest.raises(NotAhead):
        port.commit([Delete(A, Absent(), lambda _: KeyError())])
    with pytest.raises(NotAhead):
        port.commit([put(Key("A", str(n)), Absent()) for n in range(101)])
    assert port.kept == ()


def test_a_refusal_of_another_process_is_told_in_the_same_words() -> None:
    real = PoolLimitReached(asked=3, left=2, limit=60)
    again = refusal_of(real.code, real.detail, dict(real.facts))
    assert (type(again), str(again), again.code, again.detail, again.facts) == (
        PoolLimitReached, str(real), "pool_limit_reached", real.detail, real.facts,
    )  # fmt: skip
    with pytest.raises(LookupError):
        refusal_of("no_such_refusal", "", {})
    assert not issubclass(LaneSlow, Refusal)
