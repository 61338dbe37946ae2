"""Whether a long history costs anything: an earn and a statement page for a member with 100,000 entries and with 10.

Both have the same years behind them, so their accounts hold equally many months; only the number of entries differs.
The long history is decided by the real rules under a moving clock, and written in batches. Times are taken in turns.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.catalogues import purchase_body
from bench.report import Figure, table
from bench.stack import Stack, client, database, stack_on
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.points.service import list_statement
from chalicelib.programs.service import ProgramBook
from chalicelib.programs.store import Head
from chalicelib.purchases.models import RecordPurchase
from chalicelib.purchases.service.recording import record_purchase
from chalicelib.storage.dynamo import marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows, Table
from chalicelib.storage.writes import Absent, Item, Put, Write

_LINES = [{"sku": "D01-M", "name": "拿铁中杯", "category": "饮品", "quantity": 1, "unit_price_minor": 2_800}]
_YEARS = 3
_BATCH = 25


def run(*, quick: bool = False) -> Figure:
    """Build the histories, then measure units and times; the value is the worst of the four ratios."""
    entries, rounds = (300, 10) if quick else (100_000, 400)
    with database() as server:
        dynamo = client(server.endpoint)
        now = datetime.now(UTC)
        stack = stack_on(dynamo, now)
        started = time.perf_counter()
        long = _member_with(stack, entries)
        built = time.perf_counter() - started
        short = [_member_with(stack, 10) for _ in range(max(rounds // 10, 1))]
        figures = _compared(stack, long, short, rounds)
        dynamo.close()
    table(
        ["100,000 entries against 10", "units", "units of 10", "ms", "ms of 10", "time ×"],
        [[name, f["units"], f["units_of_10"], f["ms"], f["ms_of_10"], f["time_ratio"]] for name, f in figures.items()],
    )
    units = max(f["units"] / f["units_of_10"] for f in figures.values())
    times = max(f["time_ratio"] for f in figures.values())
    print(
        f"  units ×{units:.2f} (goal 1.00), time ×{times:.2f} (goal ≤ 1.2); {entries:,} entries made in {built:.0f} s"
    )
    return Figure(
        "history_flat", "time with 100,000 entries ÷ with 10 (the units must be equal)",
        times if units == 1 else max(times, units, 1.21), 1.2, "×",
        details={"units_ratio": units, "time_ratio": times, "entries": entries, "built_s": round(built, 1)} | figures,
    )  # fmt: skip


def _compared(stack: Stack, long: MemberId, short: list[MemberId], rounds: int) -> dict[str, dict[str, float]]:
    """Each use case on the long and on a short history in turns; the short ones take turns, so that they stay short."""
    numbers = iter(range(10**9))

    def earn(member: MemberId) -> None:
        now = stack.clock.forward(milliseconds=1)
        stack.buy(purchase_body({"member_id": member}, _LINES, at=now, number=500_000 + next(numbers)))

    def statement(member: MemberId) -> None:
        list_statement(stack.table, stack.book, member, after=None, limit=10, language=Language.ZH)

    for member in (long, *short):
        earn(member)  # books what is due, so that no measured one does
    return {
        name: _ratio(stack, long, short, rounds, use_case)
        for name, use_case in (("earn", earn), ("statement page", statement))
    }


def _ratio(
    stack: Stack, long: MemberId, short: list[MemberId], rounds: int, use_case: Callable[[MemberId], None]
) -> dict[str, float]:
    times: dict[bool, list[float]] = {True: [], False: []}
    units: dict[bool, set[float]] = {True: set(), False: set()}
    for number in range(rounds):
        for is_long in (True, False) if number % 2 else (False, True):
            member = long if is_long else short[number % len(short)]
            stack.remember_program()
            stack.meter.reset()
            started = time.perf_counter()
            use_case(member)
            times[is_long].append(time.perf_counter() - started)
            units[is_long].add(stack.meter.read + stack.meter.write)
    slow, fast = (statistics.median(times[each]) for each in (True, False))
    return {
        "units": max(units[True]),
        "units_of_10": max(units[False]),
        "ms": round(slow * 1000, 3),
        "ms_of_10": round(fast * 1000, 3),
        "time_ratio": round(slow / fast, 3),
    }


def _member_with(stack: Stack, entries: int) -> MemberId:
    """A member with so many purchases, evenly over the years; what expired meanwhile is booked with them."""
    end = stack.clock.now
    stack.clock.now = end - timedelta(days=365 * _YEARS)
    member = stack.enrol()
    stack.clock.now = end
    notebook = Notebook(stack.table)
    book = OneProgram(notebook, end)
    step = timedelta(days=365 * _YEARS - 1) / entries
    for number in range(entries):
        now = end - step * (entries - number)
        body = purchase_body({"member_id": member}, _LINES, at=now, number=number)
        body["order_no"] = f"{member[4:]}{number:06d}"
        command = RecordPurchase.model_validate(body, strict=False)
        record_purchase(notebook, stack.keyring, book, command, now=now, language=Language.ZH)
        if len(notebook.added) >= _BATCH:
            _write(stack, notebook.added[:_BATCH])
            del notebook.added[:_BATCH]
    remaining = [*notebook.added, *notebook.changed.values()]
    for start in range(0, len(remaining), _BATCH):
        _write(stack, remaining[start : start + _BATCH])
    return member


class OneProgram(ProgramBook):
    """A book that is always asked as of one instant: years on the clock are no reason to read the program again."""

    def __init__(self, table: Table, at: datetime) -> None:
        super().__init__(table)
        self._at = at

    def head(self, now: datetime) -> Head:  # noqa: ARG002 - the book's shape
        """See `ProgramBook.head`."""
        return super().head(self._at)


class Notebook:
    """A table in which a use case may write at will: what it adds is kept for a batch, what it changes is kept once."""

    def __init__(self, behind: Table) -> None:
        self._behind = behind
        self.added: list[Put] = []
        self.changed: dict[Key, Put] = {}

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """An item that was changed here, or the one behind."""
        known = self.changed.get(key)
        if known is None:
            return self._behind.get(key, consistent=consistent)  # the program, and an account before its first change
        stored = {name: value for name, value in known.item.items() if value is not None}
        return {"pk": key.pk, "sk": key.sk, **stored}

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:  # noqa: ARG002 - the port's shape
        """Keep the writes; nobody else writes here, so that no condition can fail."""
        for write in writes:
            assert isinstance(write, Put)
            if isinstance(write.condition, Absent):
                self.added.append(write)
            else:
                self.changed[write.key] = write

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:  # noqa: ARG002 - the port's shape
        """See `Table.get_many`."""
        return self._behind.get_many(keys)

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
        return self._behind.query_partition(
            pk, first=first, last=last, consistent=consistent, newest_first=newest_first, limit=limit
        )

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._behind.query_timeline(partition, after=after, limit=limit, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._behind.query_due(partition, after=after, limit=limit)


def _write(stack: Stack, puts: Sequence[Put]) -> None:
    answer = stack.dynamo.call("BatchWriteItem", {"RequestItems": {stack.table.name: [_request(put) for put in puts]}})
    assert not answer.get("UnprocessedItems")


def _request(put: Put) -> dict[str, Any]:
    item = {name: marshalled(value) for name, value in put.item.items() if value is not None}
    return {"PutRequest": {"Item": {"pk": {"S": put.key.pk}, "sk": {"S": put.key.sk}} | item}}
