"""A table port that notes who writes: on the entries themselves, and in a record beside all that is written.

It remembers what a request read. When the request commits, the writes get one more: a record made from what was read
and what is written, in the same transaction. So no use case can forget it, nothing is recorded that did not happen, and
nothing happens that is not recorded.
"""

from collections.abc import Callable, Mapping, Sequence

from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows, Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write

BY = "sb"
"""Attribute of an entry: who had it made, where that was no member. No part of the chain."""

FOR_THEMSELVES = "sf"
"""Attribute of an entry: it is in the account of whoever had it made, of whom that went into, on a card of theirs, or
in a pool and done for them; or is so of those whom it names, where several had it made: one asked, another approved."""

WENT = 2
"""What `FOR_THEMSELVES` says of a merge by which their own account became part of another's; of all else it says 1."""

LAUNCHED = "lg"
"""Attribute of an entry: a campaign or a journey gave it, which that person launched, or let the member into."""

GIVEN = "gv"
"""Attribute of an entry: what it gives that nobody paid for, in minor units. For that somebody answers."""

Read = Mapping[Key, Item | None]

Record = Callable[[Read, Sequence[Write]], Write]
"""Makes the write of a record from what was read and what is written."""


class Audited:
    """The table, for one request of somebody who answers for it.

    Args:
        real: the table.
        by: who it is.
        own: the account that is their own, where that is known.
        record: makes the record that goes with each transaction.
        always: with each of them; else the entries say enough, but for those that give what nobody paid for.
    """

    def __init__(
        self, real: Table, by: str, *, own: str | None = None, record: Record | None = None, always: bool = True
    ) -> None:
        self.real = real
        self._by = by
        self._own = own
        self._record = record
        self._always = always
        self._read: dict[Key, Item | None] = {}

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        found = self.real.get(key, consistent=consistent)
        self._read[key] = found
        return found

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        found = self.real.get_many(keys, consistent=consistent)
        self._read |= {key: found.get(key) for key in keys}
        return found

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
        found = self.real.query_partition(
            pk, first=first, last=last, consistent=consistent, newest_first=newest_first, limit=limit
        )
        self._read |= {Key(item["pk"], item["sk"]): item for item in found}
        return found

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self.real.query_timeline(partition, after=after, limit=limit, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self.real.query_due(partition, after=after, limit=limit)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`. The record stands last: what a failed condition means is the writes' own matter."""
        own = self._own_statements(writes)
        named = [self._named(write, own, first=number == 0) for number, write in enumerate(writes)]
        if self._record is not None and (self._always or any(map(_gives, named))):
            self._learn(named)
            named.append(self._record(self._read, named))
        self.real.commit(named, keyed=keyed)

    def _own_statements(self, writes: Sequence[Write]) -> frozenset[str]:
        """Statements of the account that is their own, by now: of whom it went into, where that is written or was read.

        An account that is written says for whom else it answers.
        """
        if self._own is None:
            return frozenset()
        items = {write.key: write.item for write in writes if isinstance(write, Put)}
        known = {**self._read, **items}
        answering = (key.pk for key, item in known.items() if item and self._own in (item.get("absorbed") or ()))
        return frozenset({keys.statement(self._own), *(keys.statement(keys.account_of(pk)) for pk in answering)})

    def _named(self, write: Write, own: frozenset[str], *, first: bool) -> Write:
        """An entry with who had it made: a command's own, and what it brings to an account of theirs besides."""
        if not isinstance(write, Put) or "r" not in write.item or not isinstance(write.condition, Absent):
            return write
        to_them = write.item.get("tl") in own
        brings = write.item.get("p", 0) > 0 or "mf" in write.item  # what is booked along only takes
        if not first and not (to_them and brings):
            return write
        stamp: Item = {BY: self._by}
        known = FOR_THEMSELVES in write.item  # by who cleared it, who knows of everybody who had it made
        if not known and (to_them or _done_for(write.item) in own):
            went = "mf" in write.item and keys.statement(write.item["mf"]) in own
            stamp[FOR_THEMSELVES] = WENT if went else 1
        return Put(write.key, write.item | stamp, write.condition, write.otherwise)

    def _learn(self, writes: Sequence[Write]) -> None:
        """Read what is replaced by what follows it and was not read: what somebody else remembers, as the program."""
        unread = [
            write.key
            for write in writes
            if isinstance(write, Put) and isinstance(write.condition, Unchanged) and write.key not in self._read
        ]
        if unread:
            found = self.real.get_many(unread, consistent=True)
            self._read |= {key: found.get(key) for key in unread}


def _done_for(entry: Item) -> str | None:
    """The statement of the member whose card an entry is on, or for whom it is in a pool; None of all others."""
    beside = keys.parted(entry.get("tl", ""))[0] in (keys.CARDS, keys.POOLS)
    return keys.statement(entry["by"]) if beside and "by" in entry else None


def _gives(write: Write) -> bool:
    return isinstance(write, Put) and GIVEN in write.item


def bare(table: Table) -> Table:
    """The table itself, for what outlives a request."""
    return table.real if isinstance(table, Audited) else table
