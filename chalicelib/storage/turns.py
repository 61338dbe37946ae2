"""For a consumer that must handle a member's ledger events in the order of the ledger, and each exactly once.

Entries of one member lie under different partition keys, so neither the stream nor the bus keeps their order, and
queues deliver twice. But the events that lead an entry carry `seq`, which is dense for each member. A consumer keeps,
for each member, the `seq` that it handled last; what is next is handled, what is lower is a duplicate, what is higher
waits in its queue until what comes before it was handled.
"""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from chalicelib.kernel.ids import AccountId
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Put, Unchanged, Write


class Turn(StrEnum):
    """Whether it is an event's turn."""

    NEXT = "next"
    DUPLICATE = "duplicate"
    NOT_YET = "not_yet"


class TurnTaken(Exception):
    """Another worker of the consumer handled this event in the meantime; what was decided for it is not to be kept."""


class Numbered(Protocol):
    """What is needed of an event to put it in order."""

    @property
    def member_id(self) -> AccountId | None:
        """Whom it happened to."""

    @property
    def seq(self) -> int | None:
        """Its place in the member's ledger."""


E = TypeVar("E", bound=Numbered)

Handle = Callable[[E, Write], Any]
"""Handles an event and commits, in one transaction with whatever it writes, the write that says so."""


def turn_of(seq: int, handled: int) -> Turn:
    """Whether it is the turn of an event.

    Args:
        handled: the `seq` that was handled last, 0 for none.
    """
    if seq <= handled:
        return Turn.DUPLICATE
    return Turn.NEXT if seq == handled + 1 else Turn.NOT_YET


def find_handled(ops: Table, consumer: str, member_id: AccountId) -> int:
    """The `seq` of a member's event that a consumer handled last; 0 before the first."""
    item = ops.get(keys.consumer_turn(consumer, member_id), consistent=True)
    return int(item["version"]) if item else 0


def take_turn(consumer: str, member_id: AccountId, seq: int) -> Write:
    """The write that says that a consumer has handled a member's events up to and including `seq`.

    Its condition fails when another worker was faster, and then nothing that is written with it takes effect.
    """
    condition = Absent() if seq == 1 else Unchanged(seq - 1)
    return Put(keys.consumer_turn(consumer, member_id), {"version": seq}, condition, lambda _: TurnTaken())


def in_turn(ops: Table, consumer: str, events: Sequence[E], handle: Handle[E]) -> list[E]:
    """Handle those of a batch of events whose turn it is, each member's in order; those whose turn is not yet.

    The caller lets the queue bring those again (partial batch failure). How long a gap may take to close is what the
    queue allows: its visibility time-out times its receives; after that they are in its dead-letter queue, from where
    `python -m local redrive` brings them back. A consumer that begins later than its members is first sent the archive
    (`python -m local events --queue`), because it waits for `seq` 1.

    Args:
        handle: commits the write it is given together with what it does.

    Raises:
        ValueError: an event comes from no ledger entry.
    """
    handled: dict[AccountId, int] = {}
    waiting: list[E] = []
    for member_id, seq, event in _ordered(events):
        if member_id not in handled:
            handled[member_id] = find_handled(ops, consumer, member_id)
        turn = turn_of(seq, handled[member_id])
        if turn is Turn.NEXT:
            try:
                handle(event, take_turn(consumer, member_id, seq))
                handled[member_id] = seq
            except TurnTaken:
                handled[member_id] = find_handled(ops, consumer, member_id)
        elif turn is Turn.NOT_YET:
            waiting.append(event)
    return waiting


def _ordered(events: Iterable[E]) -> list[tuple[AccountId, int, E]]:
    numbered: list[tuple[AccountId, int, E]] = []
    for event in events:
        if event.member_id is None or event.seq is None:
            raise ValueError("an event that comes from no ledger entry has no turn")
        numbered.append((event.member_id, event.seq, event))
    return sorted(numbered, key=lambda each: each[:2])
