"""A table in memory that does what DynamoDB does, as far as the product can tell.

It is exact where the product looks: conditions, order, pages, what an index projects, what a failed condition brings
along, what the stream says. It is fast, so that every call can be made to fail in turn, and so that the simulator can
make millions of them. `tests/contract` holds it against real wire protocols, so that it cannot drift.
"""

import threading
from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.points.store import ENTRIES_IN_INDEX
from chalicelib.storage.dynamo import DynamoFault, marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.table import WRITES_MAX, Rows
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
    Strip,
    Unchanged,
    Write,
)

IN_TIMELINE = frozenset({"pk", "sk", "tl", "at", *ENTRIES_IN_INDEX})
IN_DUE = frozenset({"pk", "sk", "due"})
SORTED_BY = {"pk": "sk", "tl": "at", "due": "pk"}
"""What the items of the table, and those of each index, are sorted by inside one partition."""

_ATOMS = frozenset({str, int, bool, bytes})
_LAST = "\U0010ffff"


class MemoryTable:
    """A table port over a dictionary. What it gives and takes is copied, as over a wire."""

    def __init__(self, items: Mapping[Key, Item] | None = None) -> None:
        self.items: dict[Key, Item] = {}
        self.stream: list[tuple[str, Key, Item | None]] = []
        self._by: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
        for key, item in (items or {}).items():
            self._set(key, item)

    def copy(self) -> "MemoryTable":
        """The same items; a stream that has not begun."""
        return MemoryTable(self.items)

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        item = self.items.get(key)
        return _copy(item) if item is not None else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        return {key: _copy(self.items[key]) for key in keys if key in self.items}

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
        places = self._by.get(("pk", pk), [])
        found = places[bisect_left(places, (first,)) : bisect_right(places, (last, _LAST))]
        if newest_first:
            found.reverse()
        return tuple(_copy(self.items[Key(pk, sk)]) for _, _, sk in found[:limit])

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._index("tl", partition, after, limit, IN_TIMELINE, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._index("due", partition, after, limit, IN_DUE, newest_first=False)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        if len(writes) > WRITES_MAX:
            raise ValueError(f"{len(writes)} writes do not fit one transaction of {WRITES_MAX}")
        if not writes or len({write.key for write in writes}) < len(writes):
            raise DynamoFault("ValidationException", 400, {"message": "no writes, or an item twice"})
        for write in writes:
            if not isinstance(write, Add) and not _may(write, self.items.get(write.key)):
                raise write.otherwise(_copy(self.items.get(write.key) or {}))
        made = [self._made(write) for write in writes]
        for write, item in zip(writes, made, strict=True):
            self._place(write.key, item)

    def among(self, index: str, value: str) -> list[Key]:
        """Keys of the items in a partition of an index (`pk`: of the table itself), in order."""
        return [Key(pk, sk) for _, pk, sk in self._by.get((index, value), ())]

    def spoil(self, key: Key, **attributes: Any) -> Item:
        """Write over attributes of an item behind everybody's back; what was there. To mend: `restore`."""
        before = self.items[key]
        self._set(key, {**before, **attributes})
        return before

    def restore(self, key: Key, item: Item | None) -> None:
        """Put an item back as it was, or take it away, behind everybody's back."""
        self._set(key, item)

    def records(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> list[dict[str, Any]]:
        """The stream, as Lambda hands it over."""
        made = []
        for number, (name, key, item) in enumerate(self.stream):
            change: dict[str, Any] = {
                "Keys": {"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                "SequenceNumber": str(number + 1),
                "ApproximateCreationDateTime": 0.0,
            }
            if item is not None:
                change["NewImage"] = {attribute: marshalled(value) for attribute, value in item.items()}
            record = {"eventName": name, "dynamodb": change}
            if wanted(record):
                made.append(record)
        return made

    def _index(
        self, name: str, value: str, after: str | None, limit: int, shown: frozenset[str], *, newest_first: bool
    ) -> Rows:
        places = self._by.get((name, value), [])
        if newest_first:
            found = places[: bisect_left(places, (after,))] if after is not None else places[:]
            found.reverse()
        else:
            found = places[bisect_right(places, (after, _LAST)) if after is not None else 0 :]
        rows = tuple(projected(self.items[Key(pk, sk)], shown) for _, pk, sk in found[:limit])
        return Rows(rows, found[limit - 1][0] if len(found) > limit else None)

    def _made(self, write: Write) -> Item | None:
        """The item that a write leaves."""
        if isinstance(write, Delete):
            return None
        if isinstance(write, Put):
            return _kept(write.key, write.item)
        before = self.items.get(write.key, {})
        if isinstance(write, Strip):
            return {name: value for name, value in before.items() if name not in write.names}
        amounts = {write.name: write.amount} if isinstance(write, Count) else write.amounts
        sums = {name: before.get(name, 0) + amount for name, amount in amounts.items()}
        return _kept(write.key, {**before, **sums, **write.item})

    def _set(self, key: Key, item: Item | None) -> None:
        self._place(key, _kept(key, item) if item is not None else None)

    def _place(self, key: Key, item: Item | None) -> None:
        before = self.items.pop(key, None)
        if before is not None:
            for name, sort in SORTED_BY.items():
                if name in before and sort in before:
                    places = self._by[name, before[name]]
                    del places[bisect_left(places, (before[sort], key.pk, key.sk))]
        if item is None:
            if before is not None:
                self.stream.append(("REMOVE", key, None))
            return
        self.items[key] = item
        for name, sort in SORTED_BY.items():
            if name in item and sort in item:
                insort(self._by[name, item[name]], (item[sort], key.pk, key.sk))
        self.stream.append(("INSERT" if before is None else "MODIFY", key, item))


class SharedTable(MemoryTable):
    """A table in memory that several threads may write to."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        with self._lock:
            super().commit(writes, keyed=keyed)


def projected(item: Item, shown: frozenset[str]) -> Item:
    """What an index shows of an item."""
    return _copy({name: value for name, value in item.items() if name in shown})


def _may(write: Put | Delete | Count | Strip, item: Item | None) -> bool:
    """Whether a write may be carried out on what is there."""
    if isinstance(write, Count):
        return int((item or {}).get(write.name, 0)) + write.amount <= write.most
    if isinstance(write, Strip):
        return item is not None
    return holds(write.condition, item)


def holds(condition: Condition, item: Item | None) -> bool:
    """Whether a condition holds for what is there."""
    if isinstance(condition, Anyway):
        return True
    if isinstance(condition, Absent):
        return item is None
    if item is None:
        return False
    if isinstance(condition, Held):
        return item.get("member_id") == condition.member_id
    if isinstance(condition, Unchanged):
        condition = Still("version", condition.version)
    found = item.get(condition.name)
    return bool(found == condition.value and type(found) is not bool)


def _kept(key: Key, item: Item) -> Item:
    """An item as it is stored."""
    return _copy({name: value for name, value in {**item, "pk": key.pk, "sk": key.sk}.items() if value is not None})


def _copy(item: Item) -> Item:
    """An item as it comes out of the wire: plain values, shared with nobody."""
    return {name: value if type(value) in _ATOMS else _plain(value) for name, value in item.items()}


def _plain(value: Any) -> Any:
    """A value in the types that DynamoDB gives back.

    Raises:
        TypeError: there is no type for it; floats and None on purpose.
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is list or isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, bytes):
        return bytes(value)
    raise TypeError(f"{kind.__name__} cannot be stored")
