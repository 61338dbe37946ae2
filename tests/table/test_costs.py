"""What each operation costs, metered by the database as AWS bills it."""

import json
from typing import Any

from chalicelib.kernel.languages import Language
from chalicelib.members.service import list_timeline
from chalicelib.points import store
from chalicelib.points.models import Due
from chalicelib.points.service import list_statement
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from local.tables import TEMPLATE
from tests.makers import a_member_ref, a_purchase
from tests.table.stand import Desk


class Meter:
    """Adds up capacity and round trips."""

    def __init__(self) -> None:
        self.units: dict[str, float] = {}
        self.trips = 0

    def __call__(self, operation: str, consumed: Any) -> None:
        """Count a call."""
        kind = "write" if operation == "TransactWriteItems" else "read"
        parts = consumed if isinstance(consumed, list) else [consumed]
        self.units[kind] = self.units.get(kind, 0) + sum(part["CapacityUnits"] for part in parts)
        self.trips += 1

    def read(self) -> tuple[int, float, float]:
        """Trips, read units, write units since the last time."""
        found = (self.trips, self.units.get("read", 0.0), self.units.get("write", 0.0))
        self.units, self.trips = {}, 0
        return found


def metered(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> tuple[Desk, Meter]:
    """The desk with a meter; the program is remembered already, as in a running process."""
    meter = Meter()
    other = desk.over(DynamoTable(dynamo, table.name, meter=meter))
    other.book.current(desk.clock())
    meter.read()
    return other, meter


def test_a_purchase_of_a_returning_member_costs_five_write_units(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(mobile="+8613800138000")
    desk.buy(a_purchase(member.member_id))
    other, meter = metered(desk, dynamo, table)
    command = a_purchase(member.member_id)
    other.buy(command)
    assert meter.read() == (2, 0.5, 5.0)
    other.buy(command)
    trips, reads, _ = meter.read()
    assert (trips, reads) == (1, 0.5), "a repeat is refused by the database, which meters nothing on an error"
    other.buy(a_purchase(member.member_id).model_copy(update={"member": a_member_ref(mobile="13800138000")}))
    assert meter.read() == (3, 1.5, 5.0)


def test_forty_lines_cost_no_more_than_one(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    desk.buy(a_purchase(member))
    other, meter = metered(desk, dynamo, table)
    lines = [
        {
            "sku": f"SKU-{n:05d}",
            "name": f"拿铁咖啡 {n} 号",
            "category": "咖啡",
            "quantity": 1,
            "unit_price_minor": 100 + n,
        }
        for n in range(40)
    ]
    other.buy(a_purchase(member, lines=lines))
    assert meter.read() == (2, 0.5, 5.0)


def test_reading_costs_what_was_promised(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol(mobile="+8613800138000", name="张三", email="zhang.san@example.com").member_id
    for n in range(30):
        desk.buy(a_purchase(member, paid_minor=10_000 + n))
    other, meter = metered(desk, dynamo, table)
    other.member(member)
    assert meter.read() == (1, 0.5, 0)
    other.look_up(mobile="13800138000")
    assert meter.read() == (2, 1.0, 0)
    page = list_statement(other.table, other.book, member, after=None, limit=25, language=Language.ZH)
    assert meter.read() == (1, 0.5, 0)
    assert len(page.items) == 25
    assert page.items[0].why[0].points == 100
    list_timeline(other.table, member, after=None, limit=25)
    assert meter.read() == (2, 1.0, 0)


def test_the_statement_is_the_same_from_the_index_as_from_the_entries(desk: Desk) -> None:
    member = desk.enrol().member_id
    views = [
        desk.adjust(member, 2000, key="a", note_to_member="hello", note_internal="secret").value,
        desk.spend(member, 5, key="s", reference="R").value,
        desk.adjust(member, -1, key="a2").value,
    ]
    desk.buy(a_purchase(member, points_tender=100, paid_minor=100_000))
    page = list_statement(desk.table, desk.book, member, after=None, limit=25, language=Language.EN)
    assert list(page.items)[1:] == views[::-1]
    assert (page.items[0].points, page.items[0].tendered, page.items[0].why[0].points) == (900, 100, 1000)


def test_enrolling_with_three_identifiers_costs_eleven_write_units_and_one_more_for_a_birthday(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    other, meter = metered(desk, dynamo, table)
    other.enrol(mobile="+8613800138000", email="a@b.cn", card_no="C1")
    assert meter.read() == (2, 2.0, 11.0), "and whether its two addresses are not written to"
    other.enrol(mobile="+8613800138001", email="a2@b.cn", card_no="C2", birthday="1990-01-01")
    assert meter.read() == (2, 2.0, 12.0)
    other.enrol(mobile="+8613800138002", email="a3@b.cn", card_no="C3", key="k")
    assert meter.read() == (2, 2.0, 13.0), "the key is kept for ever, which takes two"
    other.enrol(mobile="+8613800138002", email="a3@b.cn", card_no="C3", key="k")
    assert meter.read() == (3, 3.5, 0), "and a transaction that the database refused, which it meters not"


def test_an_account_that_is_used_every_month_for_years_stays_one_write_unit(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(mobile="+8613800138000", email="a@b.cn", birthday="1990-01-01").member_id
    other, meter = metered(desk, dynamo, table)
    costs = []
    for n in range(36):
        desk.clock.at(f"{2026 + n // 12}-{n % 12 + 1:02d}-15")
        now = desk.clock().isoformat()
        other.buy(a_purchase(member, occurred_at=now, paid_minor=1_234_00, points_tender=100 if n else None))
        meter.read()
        other.buy(a_purchase(member, occurred_at=now, paid_minor=1_234_00))
        costs.append(meter.read()[2])
    assert set(costs) == {5.0}, costs


def test_the_template_projects_what_the_statement_reads() -> None:
    table = json.loads(TEMPLATE.read_text())["Resources"]["CoreTable"]["Properties"]
    indexes = {index["IndexName"]: index["Projection"] for index in table["GlobalSecondaryIndexes"]}
    assert indexes == {
        "timeline": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(store.ENTRIES_IN_INDEX)},
        "due": {"ProjectionType": "KEYS_ONLY"},
    }


def test_what_a_day_brings_to_a_member_costs_seven_write_units_at_most(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    from datetime import date

    from chalicelib.members.service import give_birthday_gift
    from chalicelib.points import service as points

    member = desk.enrol(birthday="--03-15").member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 4, 30), qualifying_points=1_000)
    desk.adjust(member, 100, key="b", expires_on=date(2026, 5, 31))
    other, meter = metered(desk, dynamo, table)
    assert give_birthday_gift(other.table, other.book, member, on=date(2026, 3, 15), now=desk.clock()) is not None
    assert meter.read() == (2, 1.0, 5.0), "the gift lives longer than what is due first"
    desk.clock.at("2026-04-16")
    other.book.current(desk.clock())
    meter.read()
    assert points.bring_up_to_date(other.table, other.book, member, Due.NOTICE, now=desk.clock()) == 100
    assert meter.read() == (2, 1.0, 7.0)
    desk.clock.at("2026-05-01")
    other.book.current(desk.clock())
    meter.read()
    assert points.bring_up_to_date(other.table, other.book, member, Due.EXPIRY, now=desk.clock()) == 100
    assert meter.read() == (2, 1.0, 7.0)
