"""A table in memory that does what DynamoDB does, and what a crowd of members does over it.

It is exact where the product looks (conditions, order, what an index projects, what the stream says) and so fast that
every call of a job can be made to fail in turn. `test_memory.py` holds it against the emulator.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.points.store import ENTRIES_IN_INDEX
from chalicelib.storage.dynamo import marshalled, unmarshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.table import WRITES_MAX, Rows
from chalicelib.storage.writes import Absent, Add, Condition, Delete, Item, Put, Still, Unchanged, Write

_IN_TIMELINE = {"pk", "sk", "tl", "at", *ENTRIES_IN_INDEX}
_IN_DUE = {"pk", "sk", "due"}


class MemoryTable:
    """A table port over a dictionary. What it gives and takes is copied, as over a wire."""

    def __init__(self, items: Mapping[Key, Item] | None = None) -> None:
        self.items: dict[Key, Item] = {}
        self.stream: list[tuple[str, Key, Item | None]] = []
        self._by: dict[tuple[str, str], set[Key]] = defaultdict(set)
        for key, item in (items or {}).items():
            self._set(key, item)

    def copy(self) -> "MemoryTable":
        """The same items; a stream that has not begun."""
        return MemoryTable(self.items)

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        item = self.items.get(key)
        return dict(item) if item is not None else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        return {key: dict(self.items[key]) for key in keys if key in self.items}

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
        found = sorted((k for k in self._by["pk", pk] if first <= k.sk <= last), key=lambda k: k.sk)
        return tuple(dict(self.items[key]) for key in (found[::-1] if newest_first else found)[:limit])

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._index("tl", partition, "at", after, limit, _IN_TIMELINE, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._index("due", partition, "pk", after, limit, _IN_DUE, newest_first=False)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        assert 0 < len(writes) <= WRITES_MAX, f"{len(writes)} writes"
        assert len({write.key for write in writes}) == len(writes), "an item twice in one transaction"
        for write in writes:
            if not isinstance(write, Add) and not _holds(write.condition, self.items.get(write.key)):
                raise write.otherwise(dict(self.items.get(write.key) or {}))
        for write in writes:
            if isinstance(write, Delete):
                self._set(write.key, None)
            elif isinstance(write, Put):
                self._set(write.key, {**write.item, "pk": write.key.pk, "sk": write.key.sk})
            else:
                self._add(write)

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
        self, name: str, value: str, sort: str, after: str | None, limit: int, shown: set[str], *, newest_first: bool
    ) -> Rows:
        keys = sorted(self._by[name, value], key=lambda k: (str(self.items[k][sort]), k.pk, k.sk), reverse=newest_first)
        if after is not None:
            keys = [k for k in keys if (self.items[k][sort] < after if newest_first else self.items[k][sort] > after)]
        rows = [{n: v for n, v in self.items[key].items() if n in shown} for key in keys[:limit]]
        return Rows(tuple(rows), str(rows[-1][sort]) if len(keys) > limit else None)

    def _add(self, write: Add) -> None:
        before = self.items.get(write.key, {"pk": write.key.pk, "sk": write.key.sk})
        sums = {name: before.get(name, 0) + amount for name, amount in write.amounts.items()}
        self._set(write.key, {**before, **sums, **write.item})

    def _set(self, key: Key, item: Item | None) -> None:
        before = self.items.pop(key, None)
        for where in _places(before):
            self._by[where].discard(key)
        if item is None:
            self.stream.append(("REMOVE", key, None))
            return
        kept = {name: unmarshalled(marshalled(value)) for name, value in item.items() if value is not None}
        self.items[key] = kept
        for where in _places(kept):
            self._by[where].add(key)
        self.stream.append(("INSERT" if before is None else "MODIFY", key, kept))


def _places(item: Item | None) -> list[tuple[str, str]]:
    if item is None:
        return []
    return [(name, item[name]) for name in ("pk", "tl", "due") if name in item]


def _holds(condition: Condition, item: Item | None) -> bool:
    if isinstance(condition, Absent):
        return item is None
    if isinstance(condition, Unchanged):
        return item is not None and item.get("version") == condition.version
    if isinstance(condition, Still):
        return item is not None and item.get(condition.name) == condition.value
    return item is not None and item.get("member_id") == condition.member_id
