"""Whether finding who is due costs more when there are more members: 100 of 1,000,000, and 100 of 1,000.

Two tables of one database hold members copied from some that lived through the product. On one day of the calendar
points fall due for 100 accounts, and 100 members have their birthday; all others have theirs on other days. Each day is
looked up as jobs do it: every shard, page by page, for what is due and for birthdays. Times are taken in turns.
"""

import os
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from bench.catalogues import coffee, purchase_body
from bench.crowd import Typed, copied, items_of, program_of, write
from bench.report import Figure, table
from bench.stack import Meter, Stack, client, database, make_table, stack_on
from chalicelib.jobs.rules import PAGE
from chalicelib.members import store as members_store
from chalicelib.points import store as points_store
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import DynamoTable
from local.dynamo import Dynoxide
from local.settings import environment

DUE = 100
SMALL = 1_000
_DAY = date(2026, 4, 1)
_MONTH_DAYS = [(date(2028, 1, 1) + timedelta(days=each)).strftime("%m-%d") for each in range(366)]
_OTHER_DAYS = [f"{each}" for each in _MONTH_DAYS if each != f"{_DAY:%m-%d}"]


@dataclass(frozen=True)
class Crowd:
    """A table full of members, and what looking a day up in it comes to.

    Attributes:
        units: read units of a day, due and birthdays apart.
        times: seconds of each look-up.
    """

    table: DynamoTable
    meter: Meter
    members: int
    rows: int
    seconds: float
    units: dict[str, set[float]]
    times: dict[str, list[float]]


def run(*, quick: bool = False) -> Figure:
    """Fill both tables, then look the day up in turns; the value is the ratio of the units, the worse of the two."""
    size = int(environment().get("SIZE", "0")) or (3_000 if quick else 1_000_000)
    with database() as server:
        dynamo = client(server.endpoint)
        stack = stack_on(dynamo, datetime(2026, 3, 2, 4, tzinfo=UTC))
        patterns = [_pattern(stack, number) for number in range(8)]
        small, large = (_filled(server, dynamo, stack, patterns, members) for members in (SMALL, size))
        _require_readable(large, stack.keyring)
        for number in range(4 if quick else 200):
            for crowd in (small, large) if number % 2 else (large, small):
                _look_up(crowd)
        dynamo.close()
    return _figure(small, large)


def _figure(small: Crowd, large: Crowd) -> Figure:
    rows, ratios, times = [], {}, {}
    for name in ("due", "birthday"):
        units = max(large.units[name]), max(small.units[name])
        ms = [statistics.median(crowd.times[name]) * 1000 for crowd in (large, small)]
        ratios[name], times[name] = units[0] / units[1], round(ms[0] / ms[1], 3)
        rows.append([name, *units, ratios[name], *ms, times[name]])
    table(
        [f"{DUE} of {large.members:,} against {DUE} of {small.members:,}", "RRU", "small", "×", "ms", "small", "×"],
        rows,
    )
    print(f"  {large.rows:,} rows of {large.members:,} members really written, in {large.seconds:.0f} s")
    details = {
        "rru": {name: max(large.units[name]) for name in ratios},
        "time_ratio": times,
        "members": large.members,
        "rows": large.rows,
        "written_s": round(large.seconds, 1),
        "load": os.getloadavg()[0],
    }
    return Figure(
        "due_flat", f"RRU to find {DUE} due among {large.members:,} members ÷ among {small.members:,}",
        max(ratios.values()), 1.0, "×", details=details,
    )  # fmt: skip


def _pattern(stack: Stack, number: int) -> tuple[Typed, Typed]:
    """A customer of a few purchases, as the product stores one."""
    member = stack.enrol(birthday="1990-03-15", name="欧阳小明"[-2 - number % 3 :])
    stack.clock.forward(minutes=1)
    for visit in range(number % 4):
        now = stack.clock.forward(seconds=7)
        lines = coffee().products[visit]
        line = {
            "sku": lines.sku,
            "name": lines.name,
            "category": lines.category,
            "quantity": 1,
            "unit_price_minor": 2_800,
        }
        stack.buy(purchase_body({"member_id": member}, [line], at=now, number=number * 10 + visit))
    return items_of(stack, member)


def _members(patterns: list[tuple[Typed, Typed]], count: int) -> Iterator[Typed]:
    """Members of whom 100 are due on the day and 100 others have their birthday, spread over all of them.

    Of the others nine in ten told their birthday, and nine in ten have points, which expire at the end of one of the
    next twelve months, or of which they are told before that.
    """
    every = count // DUE
    for number in range(count):
        pattern = patterns[number % len(patterns)]
        due: date | None = _DAY if number % every == 0 else _other_day(number)
        born: str | None = f"{_DAY:%m-%d}" if number % every == 1 else _OTHER_DAYS[number % len(_OTHER_DAYS)]
        if number % 10 == 7 and number % every > 1:
            due, born = (due, None) if number % 20 == 7 else (None, born)
        yield from copied(pattern, number * 7_919 + 5, due=due, month_day=born)


def _other_day(number: int) -> date:
    """The first of a month, or the day of the notice before it, but not the day that is looked up."""
    month = number % 12 + 1
    first = date(2026 + (4 + month) // 12, (4 + month) % 12 + 1, 1)
    return first if number % 24 < 12 else first - timedelta(days=15)


def _filled(server: Dynoxide, dynamo: Dynamo, stack: Stack, patterns: list[tuple[Typed, Typed]], members: int) -> Crowd:
    name, meter = make_table(dynamo), Meter()
    started = time.perf_counter()
    rows = write(
        server, dynamo, name, (each for part in (program_of(stack), _members(patterns, members)) for each in part)
    )
    seconds = time.perf_counter() - started
    return Crowd(
        DynamoTable(dynamo, name, meter=meter), meter, members, rows, seconds,
        {"due": set(), "birthday": set()}, {"due": [], "birthday": []},
    )  # fmt: skip


def _look_up(crowd: Crowd) -> None:
    """Find who is due, and whose birthday it is, as the parts of a run do."""
    for name, partitions in (
        ("due", keys.due_partitions(_DAY)),
        ("birthday", keys.birthday_partitions(f"{_DAY:%m-%d}")),
    ):
        crowd.meter.reset()
        started = time.perf_counter()
        found = sum(_found(crowd.table, each) for each in partitions)
        crowd.times[name].append(time.perf_counter() - started)
        assert found == DUE, (name, found)
        crowd.units[name].add(crowd.meter.read)


def _found(table: DynamoTable, partition: str) -> int:
    found, after = 0, None
    while True:
        rows = table.query_due(partition, after=after, limit=PAGE)
        found, after = found + len(rows.items), rows.last
        if after is None:
            return found


def _require_readable(crowd: Crowd, keyring: Keyring) -> None:
    """The product reads those who are due as it reads any member."""
    for partition in keys.due_partitions(_DAY):
        for row in crowd.table.query_due(partition, after=None, limit=3).items:
            member = keys.member_of(row["pk"])
            account = points_store.find_account(crowd.table, member)
            profile, _ = members_store.find_items(crowd.table, member)
            assert account is not None
            assert profile is not None
            assert account.due_on == _DAY
            assert members_store.profile_from(profile, keyring).member_id == member
