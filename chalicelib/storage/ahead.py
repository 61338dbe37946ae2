"""Many pieces of work, one transaction: each sees what those before it would leave, and all is written at once.

Because writes are values, a table port can hold them back. A service that works over `Ahead` reads and commits as it
always does; its commits are checked against what is known by then and kept. `in_turn` has several pieces of work done
over one such port and then commits what was kept as one transaction, an item that several of them wrote only once: with
the condition of the first and the content of the last. So the rules, the refusals and the entries are the ones of the
work done piece by piece, because it is the same code; what is saved is writes and conflicts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Generic, NoReturn, TypeVar

from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.storage.dynamo import marshalled, unmarshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.table import WRITES_MAX, Rows, Table
from chalicelib.storage.writes import Absent, Anyway, Condition, Held, Item, Put, Still, Unchanged, Write

MOVES_MAX = 12
"""How often a batch is decided again because another write got there first."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class NotAhead(Exception):
    """A piece of work does what cannot be held back: it has to be done alone, on the table itself."""


class Moved(Exception):
    """What was kept does not fit the table: an item is another by now.

    Args:
        item: what is under the key; empty when nothing is.
    """

    def __init__(self, key: Key, item: Item) -> None:
        super().__init__("an item is another by now")
        self.key = key
        self.item = item


class Stamped:
    """The table itself, for work whose own entry is given attributes besides.

    Args:
        stamp: these attributes. The entry is the first write of a commit that is `keyed`.
    """

    def __init__(self, real: Table, stamp: Item) -> None:
        self._real = real
        self._stamp = stamp

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        return self._real.get(key, consistent=consistent)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        return self._real.get_many(keys, consistent=consistent)

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
        return self._asked().query_partition(
            pk, first=first, last=last, consistent=consistent, newest_first=newest_first, limit=limit
        )

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._asked().query_timeline(partition, after=after, limit=limit, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._asked().query_due(partition, after=after, limit=limit)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        self._real.commit(self._with_stamp(writes, keyed=keyed), keyed=keyed)

    def _asked(self) -> Table:
        """What answers queries."""
        return self._real

    def _with_stamp(self, writes: Sequence[Write], *, keyed: bool) -> list[Write]:
        first, *rest = writes
        if keyed and isinstance(first, Put):
            first = Put(first.key, first.item | self._stamp, first.condition, first.otherwise)
        return [first, *rest]


class Ahead(Stamped):
    """A table port that keeps what is committed, and reads as if it were written.

    Args:
        real: the table.
        known: items that were read already, by their keys; None where there is none.
        kept: what is to be written already.
    """

    def __init__(
        self,
        real: Table,
        known: Mapping[Key, Item | None],
        kept: Mapping[Key, Put] | None = None,
        stamp: Item | None = None,
    ) -> None:
        super().__init__(real, stamp or {})
        self._seen = dict(known)
        self._kept = dict(kept or {})

    def apart(self, stamp: Item) -> "Ahead":
        """The same port for one piece of work, which may be given up without a trace."""
        return Ahead(self._real, self._seen, self._kept, stamp)

    @property
    def kept(self) -> tuple[Put, ...]:
        """What is to be written, each item once."""
        return tuple(self._kept.values())

    def flush(self) -> None:
        """Write what was kept, in one transaction.

        Raises:
            Moved: another write got there first; nothing was written.
            StorageBusy: the database stayed busy.
        """
        if self._kept:
            # Not `keyed`: a retry after a lost answer carries the same token, and does not meet its own writes.
            self._real.commit(
                [Put(each.key, each.item, each.condition, partial(Moved, each.key)) for each in self.kept]
            )

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:  # noqa: ARG002 - it always is
        """See `Table.get`. An item is read once for all the work of a transaction."""
        if key not in self._seen:
            self._seen[key] = self._real.get(key, consistent=True)
        found = self._seen[key]
        return dict(found) if found is not None else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        found = self._real.get_many([key for key in keys if key not in self._seen], consistent=consistent)
        return found | {key: dict(item) for key in keys if (item := self._seen.get(key)) is not None}

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """Keep writes, all or none. See `Table.commit`.

        Raises:
            Exception: `otherwise` of the first write whose condition fails by what is known; the others are checked by
                the table.
            NotAhead: they do not fit into the transaction with the others, or are not all puts.
        """
        stamped = self._with_stamp(writes, keyed=keyed)
        puts = [write for write in stamped if isinstance(write, Put)]
        if len(puts) < len(stamped) or len(self._kept.keys() | {put.key for put in puts}) > WRITES_MAX:
            raise NotAhead
        for put in puts:
            if put.key in self._seen and not _holds(put.condition, self._seen[put.key]):
                raise put.otherwise(self._seen[put.key] or {})
        for put in puts:
            before = self._kept.get(put.key)
            self._kept[put.key] = replace(put, condition=before.condition) if before else put
            self._seen[put.key] = _as_read(put.key, put.item)

    def _asked(self) -> NoReturn:
        """Queries are not answered ahead of the table: what was kept would be missing.

        Raises:
            NotAhead: always.
        """
        raise NotAhead


@dataclass(frozen=True, slots=True)
class Work(Generic[T_co]):
    """A piece of work on a table.

    Attributes:
        stamp: attributes that its own entry is given besides.
        reads: keys of items that it will read: those of all the work are read at once.
    """

    do: Callable[[Table], T_co]
    stamp: Item = field(default_factory=dict)
    reads: tuple[Key, ...] = ()


def in_turn(table: Table, works: Sequence[Work[T]]) -> list[T | Refusal]:
    """Do pieces of work as if one after the other, in as few transactions as will do; the answer or refusal of each.

    Raises:
        WriteContended: other writes kept getting there first. Some of the work may be done; doing all again is safe
            where each piece is.
        StorageBusy: the database stayed busy; likewise.
    """
    done: list[T | Refusal] = []
    known: dict[Key, Item | None] = {}
    moves = 0
    while len(done) < len(works):
        left = works[len(done) :]
        ahead, part = _as_far_as_they_fit(Ahead(table, known | _read(table, left)), left)
        if not part:
            alone = left[0]
            done.append(_answer(alone, Stamped(table, alone.stamp)))
            known = {}
            continue
        try:
            ahead.flush()
        except Moved as moved:
            moves += 1
            if moves > MOVES_MAX:
                raise WriteContended from None
            known |= _learnt(table, ahead, moved)
            continue
        done += part
        known = {}
    return done


def _read(table: Table, works: Sequence[Work[T]]) -> dict[Key, Item | None]:
    """The items that work will read, and the keys under which there is none."""
    wanted = list(dict.fromkeys(key for work in works for key in work.reads))
    found = table.get_many(wanted, consistent=True) if wanted else {}
    return {key: found.get(key) for key in wanted}


def _as_far_as_they_fit(ahead: Ahead, works: Sequence[Work[T]]) -> tuple[Ahead, list[T | Refusal]]:
    """Do work over a port as long as it can be kept. What comes after work that cannot be kept waits: order is kept."""
    part: list[T | Refusal] = []
    for work in works:
        own = ahead.apart(work.stamp)
        try:
            part.append(_answer(work, own))
        except NotAhead:
            break
        ahead = own
    return ahead, part


def _answer(work: Work[T], table: Table) -> T | Refusal:
    try:
        return work.do(table)
    except Refusal as refusal:
        return refusal


def _learnt(table: Table, ahead: Ahead, moved: Moved) -> dict[Key, Item | None]:
    """What is to be known when the work is decided again: the item that was another, and keys that are taken.

    What had to be absent is never changed once it is there, so a read that may be old does: a key that it misses is
    met by the next transaction.
    """
    learnt: dict[Key, Item | None] = {moved.key: dict(moved.item) or None}
    new = [put.key for put in ahead.kept if isinstance(put.condition, Absent)]
    if moved.key in new:
        learnt |= table.get_many(new)
    return learnt


def _holds(condition: Condition, item: Item | None) -> bool:
    match condition:
        case Absent():
            return item is None
        case Unchanged(version):
            return item is not None and item.get("version") == version
        case Held(member_id):
            return item is not None and item.get("member_id") == member_id
        case Still(name, value):
            return item is not None and item.get(name) == value
        case Anyway():
            return True


def _as_read(key: Key, item: Item) -> Item:
    """An item as a read of the table gives it."""
    there = {name: unmarshalled(marshalled(value)) for name, value in item.items() if value is not None}
    return {"pk": key.pk, "sk": key.sk, **there}
