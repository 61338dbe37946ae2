"""What DynamoDB bills for a purchase, against the least that two items in a transaction can cost.

Members live for three years on a clock of the bench's own, buy in every month baskets of 1 to 40 lines, and pay part
of some with points. On the first of each month the due expiries are booked, as the daily job does it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.catalogues import Catalogue, coffee, purchase_body, supermarket
from bench.report import Figure, percentile, spread, table
from bench.stack import Stack, client, database, item_bytes, stack_on
from chalicelib.kernel.ids import MemberId
from chalicelib.points.models import Due
from chalicelib.points.service import bring_up_to_date
from chalicelib.storage import keys

ATOMIC_BOUND = 4.0
"""WRU: two items of up to 1 KB, two units each in a transaction."""

LINES_MAX = 40
LIMIT = 1024
_AGES = (1, 12, 24, 36)


@dataclass
class Seen:
    """What the purchases of one catalogue came to."""

    first: list[float] = field(default_factory=list)
    returning: list[float] = field(default_factory=list)
    unbooked: list[float] = field(default_factory=list)
    entry: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    account: dict[int, list[int]] = field(default_factory=dict)
    over: list[int] = field(default_factory=list)
    """Bytes by which entries pass the limit."""


def run(*, quick: bool = False) -> Figure:
    """Measure both catalogues; the value is the worse p99."""
    members, months = (2, 3) if quick else (24, 36)
    seen = {}
    with database() as server:
        dynamo = client(server.endpoint)
        for catalogue in (coffee(), supermarket()):
            seen[catalogue.name] = _lives(
                stack_on(dynamo, datetime(2023, 1, 5, 3, tzinfo=UTC)), catalogue, members, months
            )
        dynamo.close()
    details = {name: _details(each) for name, each in seen.items()}
    _show(details)
    worst = max(each["returning"]["p99"] for each in details.values())
    return Figure(
        "earn_cost", "WRU per earn, p99 of the worse catalogue ÷ atomic bound", worst, 1.25, "×", details=details
    )


def _lives(stack: Stack, catalogue: Catalogue, members: int, months: int) -> Seen:
    """Let members live, month by month; one in six has nobody to book what falls due (the jobs are down)."""
    seen = Seen()
    chance = random.Random(7)
    people = [stack.enrol() for _ in range(members)]
    start = stack.clock()
    for month in range(months):
        stack.clock.now = start + timedelta(days=month * 30.4375)
        for place, member in enumerate(people):
            stack.clock.forward(minutes=3)
            if place % 6:
                for due in Due:
                    bring_up_to_date(stack.table, stack.book, member, due, now=stack.clock())
            for visit in range(2):
                _visit(stack, catalogue, chance, seen, member, booked=bool(place % 6), first=month + visit == 0)
            seen.account.setdefault(month + 1, []).append(_bytes(stack, keys.account(member)))
    return seen


def _visit(
    stack: Stack,
    catalogue: Catalogue,
    chance: random.Random,
    seen: Seen,
    member: MemberId,
    *,
    booked: bool,
    first: bool,
) -> None:
    """One purchase, metered and weighed; one in four is partly paid with points."""
    now = stack.clock.forward(seconds=37)
    number = chance.randrange(10**6)
    lines = catalogue.lines(chance, chance.randint(1, LINES_MAX))
    tender: dict[str, Any] = {} if first or chance.random() < 0.75 else {"points_tender": 1}
    body = purchase_body({"member_id": member}, lines, at=now, number=number, **tender)
    stack.remember_program()
    stack.meter.reset()
    stack.buy(body)
    units = stack.meter.write
    (seen.first if first else seen.returning if booked else seen.unbooked).append(units)
    item = stack.table.get(keys.purchase(body["channel"], body["order_no"]), consistent=True) or {}
    seen.entry.append(item_bytes(item))
    seen.lines.append(len(item["ln"]))
    seen.over.append(max(item_bytes(item) - LIMIT, 0))


def _bytes(stack: Stack, key: keys.Key) -> int:
    return item_bytes(stack.table.get(key, consistent=True) or {})


def _details(seen: Seen) -> dict[str, Any]:
    return {
        "returning": _ratios(seen.returning),
        "first_purchase": _ratios(seen.first),
        "returning_when_the_expiry_job_is_down": _ratios(seen.unbooked),
        "entry_bytes": spread(seen.entry),
        "lines_bytes": spread(seen.lines),
        "entries_over_1_kb": sum(map(bool, seen.over)),
        "most_bytes_over": max(seen.over),
        "account_bytes_by_month": {age: max(seen.account[age]) for age in _AGES if age in seen.account},
        "account_bytes_max": max(max(each) for each in seen.account.values()),
        "purchases": len(seen.entry),
    }


def _ratios(units: Sequence[float]) -> dict[str, Any]:
    if not units:
        return {}
    return {
        "p50": percentile(units, 50) / ATOMIC_BOUND,
        "p99": percentile(units, 99) / ATOMIC_BOUND,
        "max": max(units) / ATOMIC_BOUND,
        "wru": {f"{each:g}": units.count(each) for each in sorted(set(units))},
    }


def _show(details: dict[str, dict[str, Any]]) -> None:
    table(
        ["WRU ÷ 4 per purchase of 1–40 lines", "p50", "p99", "max", "units: how often"],
        [
            [f"{name}: {kind.replace('_', ' ')}", each["p50"], each["p99"], each["max"], each["wru"]]
            for name, figures in details.items()
            for kind, each in figures.items()
            if isinstance(each, dict) and "wru" in each
        ],
    )
    table(
        ["bytes (an entry and an account must stay ≤ 1,024)", "p50", "p99", "max"],
        [
            [f"{name}: {kind.replace('_', ' ')}", figures[kind]["p50"], figures[kind]["p99"], figures[kind]["max"]]
            for name, figures in details.items()
            for kind in ("entry_bytes", "lines_bytes")
        ],
    )
    for name, figures in details.items():
        print(f"  {name}: largest account after so many months {figures['account_bytes_by_month']}")
