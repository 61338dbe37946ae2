"""A member's ledger events are handled in the order of the ledger, whatever the queue makes of them."""

import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.ids import MemberId
from chalicelib.storage.keys import Key
from chalicelib.storage.turns import Turn, TurnTaken, in_turn, turn_of
from chalicelib.storage.writes import Absent, Item, Put, Write

A, B = MemberId("mem_aaaaaaaaaaaaaaaa"), MemberId("mem_bbbbbbbbbbbbbbbb")


@dataclass(frozen=True)
class Numbered:
    """An event as far as its turn goes."""

    member_id: MemberId | None
    seq: int | None


class Ops:
    """As much of a table as turns need."""

    def __init__(self) -> None:
        self.items: dict[Key, Item] = {}

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        assert consistent
        return self.items.get(key)

    def commit(self, write: Write) -> None:
        """Perform the write, if its condition holds."""
        assert isinstance(write, Put)
        found = self.items.get(write.key)
        fits = (
            found is None
            if isinstance(write.condition, Absent)
            else (
                found is not None and found["version"] == write.condition.version  # type: ignore[union-attr]
            )
        )
        if not fits:
            raise write.otherwise(found or {})
        self.items[write.key] = write.item


class Consumer:
    """Handles what a queue brings; what is not yet its turn stays in the queue."""

    def __init__(self, ops: Ops) -> None:
        self.ops: Any = ops
        self.handled: list[tuple[str, int]] = []

    def handle(self, event: Numbered, write: Write) -> None:
        """Commit, then remember."""
        self.ops.commit(write)
        assert event.member_id is not None
        assert event.seq is not None
        self.handled.append((event.member_id, event.seq))

    def take(self, events: list[Numbered]) -> list[Numbered]:
        """A batch; what the queue has to bring again."""
        return in_turn(self.ops, "console", events, self.handle)


def test_the_next_is_handled_a_lower_one_is_a_duplicate_and_a_higher_one_waits() -> None:
    assert [turn_of(seq, 4) for seq in (1, 4, 5, 6, 9)] == [
        Turn.DUPLICATE, Turn.DUPLICATE, Turn.NEXT, Turn.NOT_YET, Turn.NOT_YET,
    ]  # fmt: skip
    assert turn_of(1, 0) is Turn.NEXT


@settings(max_examples=150)
@given(lengths=st.tuples(st.integers(0, 12), st.integers(0, 12)), seed=st.integers(0, 2**32), size=st.integers(1, 10))
def test_shuffled_and_doubled_deliveries_are_handled_once_each_and_in_order(
    lengths: tuple[int, int], seed: int, size: int
) -> None:
    chance = random.Random(seed)
    once = [
        Numbered(member, seq) for member, length in zip((A, B), lengths, strict=True) for seq in range(1, length + 1)
    ]
    queue = once + [event for event in once if chance.random() < 0.5]
    consumer = Consumer(Ops())

    rounds = 0
    while queue:
        chance.shuffle(queue)
        batch, queue = queue[:size], queue[size:]
        queue += consumer.take(batch)
        rounds += 1
        assert rounds < 10_000

    for member, length in zip((A, B), lengths, strict=True):
        assert [seq for who, seq in consumer.handled if who == member] == list(range(1, length + 1))


def test_a_gap_keeps_its_own_member_waiting_and_nobody_else() -> None:
    consumer = Consumer(Ops())
    left = consumer.take([Numbered(A, 3), Numbered(B, 2), Numbered(A, 1), Numbered(B, 1)])
    assert left == [Numbered(A, 3)]
    assert consumer.handled == [(A, 1), (B, 1), (B, 2)]
    assert consumer.take([*left, Numbered(A, 2), Numbered(A, 1)]) == []
    assert consumer.handled[3:] == [(A, 2), (A, 3)]


def test_a_worker_that_was_too_slow_changes_nothing_and_goes_on_behind_the_faster_one() -> None:
    ops = Ops()
    fast, slow = Consumer(ops), Consumer(ops)

    def overtaken(event: Numbered, write: Write) -> None:
        if event.seq == 1:
            fast.take([Numbered(A, 1), Numbered(A, 2)])
        slow.handle(event, write)

    left = in_turn(slow.ops, "console", [Numbered(A, 1), Numbered(A, 2), Numbered(A, 3)], overtaken)
    assert left == []
    assert (fast.handled, slow.handled) == ([(A, 1), (A, 2)], [(A, 3)])


def test_what_fails_to_be_handled_is_not_counted_as_handled() -> None:
    consumer = Consumer(Ops())

    def failing(event: Numbered, write: Write) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        in_turn(consumer.ops, "console", [Numbered(A, 1)], failing)
    assert consumer.take([Numbered(A, 1)]) == []
    assert consumer.handled == [(A, 1)]


def test_consumers_keep_their_own_turns() -> None:
    consumer, other = Consumer(Ops()), list[Numbered]()
    consumer.take([Numbered(A, 1)])
    in_turn(consumer.ops, "lake", [Numbered(A, 1)], lambda event, write: other.append(event))
    assert other == [Numbered(A, 1)]


@pytest.mark.parametrize("event", [Numbered(None, None), Numbered(A, None)])
def test_an_event_from_no_entry_has_no_turn(event: Numbered) -> None:
    with pytest.raises(ValueError, match="no turn"):
        Consumer(Ops()).take([event])


def test_a_turn_that_is_taken_is_told_from_other_faults() -> None:
    consumer = Consumer(Ops())
    consumer.take([Numbered(A, 1)])
    from chalicelib.storage.turns import take_turn

    for seq in (1, 3):
        with pytest.raises(TurnTaken):
            consumer.ops.commit(take_turn("console", A, seq))
