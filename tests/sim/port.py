"""The table port as a process of the simulation sees it: every call takes time, and may go wrong.

Over the table in memory, faults happen at the port, where the product meets them. Over an emulator they happen at the
wire instead (`wire.py`), so that the product's own client has to deal with them.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol, TypeVar

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows, Table
from chalicelib.storage.writes import Item, Put, Write
from tests.memory import IN_DUE, IN_TIMELINE, SORTED_BY, MemoryTable, projected
from tests.sim.clockwork import Clockwork
from tests.sim.weather import BATCHES, READS, WRITES, Kind, Weather

T = TypeVar("T")

MILLISECOND = 1_000
SECOND = 1_000_000

STALE_FOR = 5 * SECOND
"""How old at the most a read may be that need not be consistent."""


class Crashed(BaseException):
    """The process died here. No `Exception`: nothing may catch it."""


@dataclass(frozen=True, slots=True)
class Commit:
    """A transaction that took effect.

    Attributes:
        at: when, in microseconds.
        by: the attempt that wrote it.
        before: what was there under each key.
    """

    at: int
    by: int
    before: Mapping[Key, Item | None]


@dataclass
class Log:
    """Every transaction that took effect, in order. A position is the number of those before it.

    Attributes:
        remembers: it knows what was there before each.
    """

    remembers: bool = True
    commits: list[Commit] = field(default_factory=list)
    places: dict[Key, int] = field(default_factory=dict)
    """The position of the transaction that first wrote an item, beside what only kept its place (`is_placeholder`)."""

    @property
    def position(self) -> int:
        """How many there are."""
        return len(self.commits)

    def add(self, commit: Commit, written: Mapping[Key, Item]) -> None:
        """Note one, and what it wrote."""
        for key in commit.before:
            if not is_placeholder(written.get(key, {})):
                self.places.setdefault(key, len(self.commits))
        self.commits.append(commit)

    def was(self, key: Key, place: int, items: Mapping[Key, Item]) -> Item | None:
        """What was under a key just before the transaction at a position.

        Args:
            items: what is there now.
        """
        later = (commit for commit in self.commits[place:] if key in commit.before)
        touched = next(later, None)
        return touched.before[key] if touched is not None else items.get(key)

    def since(self, moment: int) -> int:
        """The position at a moment."""
        place = len(self.commits)
        while place and self.commits[place - 1].at >= moment:
            place -= 1
        return place


def is_placeholder(item: Mapping[str, Any]) -> bool:
    """Whether an item keeps a place until something else comes: returns under the key of their purchase."""
    return "is" in item


class Backing(Protocol):
    """The database that the whole simulation shares."""

    log: Log

    def port(self, attempt: int, chance: Random) -> Table:
        """The table port of an attempt at a command."""

    def items(self) -> dict[Key, Item]:
        """Everything that is there."""


@dataclass
class Shared:
    """The table in memory, the log of it, the time and the weather."""

    clockwork: Clockwork
    weather: Weather
    table: MemoryTable = field(default_factory=MemoryTable)
    log: Log = field(default_factory=Log)

    def port(self, attempt: int, chance: Random) -> Table:
        """See `Backing.port`."""
        return Port(self, attempt, chance)

    def items(self) -> dict[Key, Item]:
        """See `Backing.items`."""
        return self.table.items

    def commit(self, writes: Sequence[Write], by: int, *, keyed: bool) -> None:
        """Perform writes and note them."""
        before = {write.key: self.table.items.get(write.key) for write in writes}
        self.table.commit(writes, keyed=keyed)
        written = {write.key: write.item for write in writes if isinstance(write, Put)}
        self.log.add(Commit(self.clockwork.now, by, before), written)


class Port:
    """The table port of one attempt at a command.

    Args:
        attempt: its number, for the log.
        chance: its own, so that what befalls it does not depend on the others.
    """

    def __init__(self, shared: Shared, attempt: int, chance: Random) -> None:
        self._shared = shared
        self._attempt = attempt
        self._chance = chance

    # ------------------------------------------------------------ reading

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        table = self._shared.table
        if consistent:
            return self._read(lambda: table.get(key), lambda _: table.get(key))
        return self._read(lambda: table.get(key), lambda old: _copied(old.get(key)))

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        table = self._shared.table
        if consistent:
            return self._read(lambda: table.get_many(keys), lambda _: table.get_many(keys), BATCHES)

        def stale(old: "Old") -> dict[Key, Item]:
            # Each item is read apart: some may be old while others are not.
            found = {key: old.get(key) if self._chance.random() < 0.5 else table.get(key) for key in keys}
            return {key: dict(item) for key, item in found.items() if item is not None}

        return self._read(lambda: table.get_many(keys), stale, BATCHES)

    def query_partition(
        self,
        pk: str,
        *,
        first: str,
        last: str,
        consistent: bool = False,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> tuple[Item, ...]:
        """See `Table.query_partition`."""

        def now() -> tuple[Item, ...]:
            return self._shared.table.query_partition(
                pk, first=first, last=last, newest_first=newest_first, limit=limit
            )

        def stale(old: "Old") -> tuple[Item, ...]:
            found = [item for item in old.among("pk", pk) if first <= item["sk"] <= last]
            return tuple(found[::-1] if newest_first else found)[:limit]

        return self._read(now, (lambda _: now()) if consistent else stale)

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        table = self._shared.table

        def stale(old: "Old") -> Rows:
            rows = old.among("tl", partition)[:: -1 if newest_first else 1]
            if after is not None:
                rows = [row for row in rows if (row["at"] < after if newest_first else row["at"] > after)]
            last = str(rows[limit - 1]["at"]) if len(rows) > limit else None
            return Rows(tuple(projected(row, IN_TIMELINE) for row in rows[:limit]), last)

        return self._read(
            lambda: table.query_timeline(partition, after=after, limit=limit, newest_first=newest_first), stale
        )

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        table = self._shared.table

        def stale(old: "Old") -> Rows:
            rows = [row for row in old.among("due", partition) if after is None or row["pk"] > after]
            last = str(rows[limit - 1]["pk"]) if len(rows) > limit else None
            return Rows(tuple(projected(row, IN_DUE) for row in rows[:limit]), last)

        return self._read(lambda: table.query_due(partition, after=after, limit=limit), stale)

    def _read(self, now: Callable[[], T], stale: "Callable[[Old], T]", kinds: tuple[Kind, ...] = READS) -> T:
        fault = self._befalls(kinds)
        if fault is Kind.BUSY:
            raise StorageBusy
        if fault is Kind.CRASH_BEFORE:
            raise Crashed
        answer = stale(Old(self._shared, self._chance)) if fault is Kind.STALE else now()
        if fault is Kind.CRASH_AFTER:
            raise Crashed
        return answer

    # ------------------------------------------------------------ writing

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        shared, fault = self._shared, self._befalls(WRITES)
        if fault is Kind.BUSY:
            raise StorageBusy
        if fault is Kind.CRASH_BEFORE:
            raise Crashed
        if fault is Kind.LATE:
            self._deliver_later(writes, keyed=keyed)
            raise StorageBusy
        shared.commit(writes, self._attempt, keyed=keyed)
        if fault is Kind.CRASH_AFTER:
            raise Crashed
        if fault is Kind.LOST_FOR_GOOD:
            raise StorageBusy
        if fault is Kind.DUPLICATE and keyed:  # without a key, both carry one token, and the second does nothing
            self._deliver_later(writes, keyed=keyed)
        if fault is Kind.LOST_REPLY:
            self._pass(50 * MILLISECOND)
            if keyed:
                shared.commit(writes, self._attempt, keyed=keyed)

    def _deliver_later(self, writes: Sequence[Write], *, keyed: bool) -> None:
        shared, attempt = self._shared, self._attempt

        def deliver() -> None:
            with suppress(Exception):  # nobody waits for the answer
                shared.commit(writes, attempt, keyed=keyed)

        shared.clockwork.at(shared.clockwork.now + self._chance.randrange(2 * SECOND), deliver)

    # ------------------------------------------------------------ time

    def _befalls(self, kinds: tuple[Kind, ...]) -> Kind | None:
        """Let a call's time pass, and say what befalls it in the end."""
        self._pass(5 * MILLISECOND)
        fault = self._shared.weather.strikes(kinds, self._chance)
        while fault in (Kind.THROTTLE, Kind.CONFLICT, Kind.SLOW, Kind.PARTIAL):
            self._pass(SECOND if fault is Kind.SLOW else 50 * MILLISECOND)
            fault = self._shared.weather.strikes(kinds, self._chance)
        return fault

    def _pass(self, about: int) -> None:
        self._shared.clockwork.wait(1 + self._chance.randrange(2 * about))


class Old:
    """The table as it was a moment ago: without the newest transactions, up to so many as are young enough."""

    def __init__(self, shared: Shared, chance: Random) -> None:
        commits = shared.log.commits
        young: deque[Mapping[Key, Item | None]] = deque()
        for commit in reversed(commits[-8:]):
            if commit.at < shared.clockwork.now - STALE_FOR:
                break
            young.append(commit.before)
        self._over: dict[Key, Item | None] = {}
        for before in list(young)[: 1 + chance.randrange(8)]:
            self._over.update(before)
        self._table = shared.table

    def get(self, key: Key) -> Item | None:
        """An item as it was."""
        return self._over[key] if key in self._over else self._table.items.get(key)

    def among(self, index: str, value: str) -> list[Item]:
        """The items of a partition of an index, as they were, in order."""
        found = {key: self._table.items[key] for key in self._table.among(index, value)}
        for key, before in self._over.items():
            found.pop(key, None)
            if before is not None and before.get(index) == value:
                found[key] = before
        sort = SORTED_BY[index]
        return sorted((dict(item) for item in found.values()), key=lambda item: (item[sort], item["pk"], item["sk"]))


def _copied(item: Item | None) -> Item | None:
    return dict(item) if item is not None else None
