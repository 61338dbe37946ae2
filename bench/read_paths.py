"""What reading costs: a member, a page of the statement, a look-up by mobile number, through the whole HTTP route.

The members are old customers: three years of purchases under long order numbers, points spent and expired, silver or
better (whose entries name two rules), so that account and statement are as large as they get.
"""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from bench.catalogues import coffee, purchase_body, supermarket
from bench.http_app import call, event_for
from bench.report import Figure, table
from bench.stack import Stack, client, database, house_of, item_bytes, stack_on
from chalicelib.kernel.ids import MemberId
from chalicelib.points.models import Due
from chalicelib.points.service import bring_up_to_date
from chalicelib.runtime import wiring
from chalicelib.storage import keys

GOALS = {"member": (0.5, 1), "statement page of 25": (0.5, 1), "look-up by mobile": (1.0, 2)}


def run(*, quick: bool = False) -> Figure:
    """Meter each read on several members; the value is the worst ratio of units or trips to the goal."""
    with database() as server:
        dynamo = client(server.endpoint)
        try:
            figures, page_bytes = _measured(dynamo, members=1 if quick else 6, months=4 if quick else 36)
        finally:
            wiring.use(None)
            dynamo.close()
    rows, worst = [], 0.0
    for name, (units, trips) in figures.items():
        units_goal, trips_goal = GOALS[name]
        worst = max(worst, units / units_goal, trips / trips_goal)
        rows.append([name, units, units_goal, trips, trips_goal])
    table(["read", "RRU", "goal", "trips", "goal"], rows)
    print(f"  the largest statement page of 25 takes {page_bytes:,} bytes of index rows; half a unit holds 4,096")
    details: dict[str, Any] = {name: {"rru": units, "trips": trips} for name, (units, trips) in figures.items()}
    details["largest_page_bytes"] = page_bytes
    return Figure("read_paths", "units or trips of the worst read ÷ its goal", worst, 1.0, "×", details=details)


def _measured(dynamo: Any, *, members: int, months: int) -> tuple[dict[str, tuple[float, int]], int]:
    """The most units and trips of each read over all members, and the bytes of the largest statement page."""
    now = datetime.now(UTC)
    stack = stack_on(dynamo, now - timedelta(days=months * 30.4375))
    people = [(stack.enrol(mobile=f"+86139{number:08d}"), f"+86139{number:08d}") for number in range(members)]
    _live(stack, [member for member, _ in people], months)
    stack.clock.now = datetime.now(UTC)
    wiring.use(house_of(stack))
    worst = dict.fromkeys(GOALS, (0.0, 0))
    for member, mobile in people:
        reads: dict[str, str] = {
            "member": f"/v1/members/{member}",
            "statement page of 25": f"/v1/members/{member}/point-entries?limit=25",
            "look-up by mobile": f"/v1/members?mobile={quote(mobile)}",
        }
        for name, path in reads.items():
            units, trips = _metered(stack, lambda path=path: _get(path))  # type: ignore[misc]
            worst[name] = (max(worst[name][0], units), max(worst[name][1], trips))
    return worst, max(_page_bytes(stack, member) for member, _ in people)


def _page_bytes(stack: Stack, member: MemberId) -> int:
    rows = stack.table.query_timeline(keys.statement(member), after=None, limit=25)
    return sum(item_bytes(row) for row in rows.items)


def _metered(stack: Stack, read: Callable[[], None]) -> tuple[float, int]:
    stack.remember_program()
    stack.meter.reset()
    read()
    return stack.meter.read, stack.meter.trips


def _get(path: str) -> None:
    body = json.loads(call(event_for("GET", path))["body"])
    assert body.get("items", True), path


def _live(stack: Stack, people: list[MemberId], months: int) -> None:
    """Three years of two large purchases a month, one of them partly paid with points."""
    chance = random.Random(11)
    shops = (coffee(), supermarket())
    start = stack.clock()
    for month in range(months):
        stack.clock.now = start + timedelta(days=month * 30.4375)
        for member in people:
            stack.clock.forward(minutes=7)
            bring_up_to_date(stack.table, stack.book, member, Due.EXPIRY, now=stack.clock())
            for visit in range(2):
                now = stack.clock.forward(seconds=53)
                lines = chance.choice(shops).lines(chance, chance.randint(1, 12))
                tender = {"points_tender": 137} if visit and month else {}
                body = purchase_body({"member_id": member}, lines, at=now, number=chance.randrange(10**6), **tender)
                stack.buy(body | {"paid_minor": chance.randrange(20_000, 300_000)})
