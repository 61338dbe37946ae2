"""Returns over a real table: once each, never more than was bought, whatever races."""

from datetime import date
from typing import Any

import pytest

from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import MemberClosed
from chalicelib.purchases.errors import NothingLeft, PurchaseUnknown, ReturnDiffers, ReturnTooLarge
from chalicelib.purchases.models import PurchaseView, ReturnView
from chalicelib.purchases.service import reading
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered

LINES = [
    {"sku": "A", "quantity": 2, "unit_price_minor": 3_000},
    {"sku": "B", "quantity": 1, "unit_price_minor": 4_000},
]


def bought(desk: Desk, **fields: Any) -> PurchaseView:
    """A purchase of 100.00."""
    member = fields.pop("member", None) or desk.enrol().member_id
    return desk.buy(a_purchase(member, **{"lines": LINES, "paid_minor": 10_000, **fields})).value


def test_a_line_that_comes_back_takes_its_points_along(desk: Desk) -> None:
    sale = bought(desk)
    desk.clock.forward(hours=1)

    back = desk.give_back(sale.purchase_id, key="r1", lines=[{"sku": "A", "quantity": 1}]).value

    assert (back.amount_minor, back.refund_minor, back.points_taken_back, back.balance_after) == (3_000, 3_000, 30, 70)
    assert [(line.sku, line.quantity) for line in back.lines] == [("A", 1)]
    assert back.why[0].text == "Returned ¥30.00: -30 points"
    assert desk.sums(sale.member_id) == (2, 70, 70)
    found = reading.find_purchase(desk.table, desk.book, sale.purchase_id, language=Language.EN)
    assert found.returned is not None
    assert (found.returned.count, found.returned.amount_minor, found.returned.quantities) == (1, 3_000, (1, 0))
    assert found.kept is not None
    assert (found.version, found.kept.paid_minor, found.kept.points_earned) == (1, 7_000, 70)
    assert found.history == (back,)
    assert found.model_copy(update={"version": 0, "kept": None, "returned": None, "history": ()}) == sale


def test_the_same_return_again_is_answered_the_same_also_when_nothing_is_left(desk: Desk) -> None:
    sale = bought(desk)
    first = desk.give_back(sale.purchase_id, key="r1")
    desk.clock.forward(days=1)
    assert desk.give_back(sale.purchase_id, key="r1") == Outcome(first.value, replayed=True)
    with pytest.raises(ReturnDiffers):
        desk.give_back(sale.purchase_id, key="r1", amount_minor=1)
    with pytest.raises(NothingLeft):
        desk.give_back(sale.purchase_id, key="r2")
    assert desk.sums(sale.member_id) == (2, 0, 0)


def test_the_purchase_again_is_answered_as_it_was_after_a_return(desk: Desk) -> None:
    member = desk.enrol().member_id
    command = a_purchase(member, lines=LINES, paid_minor=10_000)
    first = desk.buy(command).value
    desk.give_back(first.purchase_id, key="r1", amount_minor=5_000)
    assert desk.buy(command) == Outcome(first, replayed=True)


def test_many_returns_at_once_never_give_back_more_than_was_bought(desk: Desk, dynamo: Dynamo) -> None:
    sale = bought(desk)
    answers = at_once(
        dynamo, *(lambda n=n: desk.give_back(sale.purchase_id, key=f"r{n}", amount_minor=3_000) for n in range(8))
    )
    done = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(done) == 3
    assert all(isinstance(answer, Outcome | ReturnTooLarge) for answer in answers)
    assert desk.sums(sale.member_id) == (4, 10, 10)
    rest = desk.give_back(sale.purchase_id, key="rest").value
    assert (rest.amount_minor, rest.refund_minor, rest.points_taken_back) == (1_000, 1_000, 10)


def test_the_same_return_at_once_has_one_effect(desk: Desk, dynamo: Dynamo) -> None:
    sale = bought(desk)
    answers = at_once(dynamo, *(lambda: desk.give_back(sale.purchase_id, key="r") for _ in range(6)))
    assert len({answer.value.model_dump_json() for answer in answers if isinstance(answer, Outcome)}) == 1
    assert all(isinstance(answer, Outcome) for answer in answers)
    assert desk.sums(sale.member_id) == (2, 0, 0)


def test_returns_race_purchases_and_spends_and_the_ledger_holds(desk: Desk, dynamo: Dynamo) -> None:
    sale = bought(desk)
    member = sale.member_id
    at_once(
        dynamo,
        *(lambda n=n: desk.give_back(sale.purchase_id, key=f"r{n}", amount_minor=2_500) for n in range(4)),
        *(lambda n=n: desk.buy(a_purchase(member, order_no=f"x{n}", paid_minor=1_000, lines=[])) for n in range(4)),
        *(lambda n=n: desk.spend(member, 10, key=f"s{n}") for n in range(4)),
    )
    found = reading.find_purchase(desk.table, desk.book, sale.purchase_id, language=Language.EN)
    assert found.returned is not None
    assert found.returned.points_taken_back == 100


def test_points_that_paid_come_back_to_the_lots_they_came_from(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="soon", expires_on=date(2026, 4, 30))
    desk.adjust(member, 100, key="late", expires_on=date(2026, 9, 30))
    sale = bought(desk, member=member, paid_minor=9_850, points_tender=150)
    assert {lot.expires_on: lot.points for lot in desk.points(member).lots} == {
        date(2026, 9, 30): 50, date(2027, 3, 31): 98,
    }  # fmt: skip
    half = desk.give_back(sale.purchase_id, key="half", amount_minor=5_000).value
    assert (half.refund_minor, half.points_given_back, half.points_taken_back) == (4_925, 75, 49)
    rest = desk.give_back(sale.purchase_id, key="rest").value
    assert (rest.refund_minor, rest.points_given_back, rest.points_taken_back) == (4_925, 75, 49)
    assert {lot.expires_on: lot.points for lot in desk.points(member).lots} == {
        date(2026, 4, 30): 100, date(2026, 9, 30): 100,
    }  # fmt: skip


def test_a_dry_run_says_what_a_return_would_do_and_writes_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    sale = bought(desk)
    before = scan(dynamo, table.name)
    tried = desk.give_back(sale.purchase_id, key="r", amount_minor=4_000, dry_run=True)
    assert (tried.stored, tried.value.points_taken_back) == (False, 40)
    assert scan(dynamo, table.name) == before


def test_under_cap_the_debt_of_a_return_is_written_off_in_the_same_transaction(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    sale = bought(desk)
    desk.spend(sale.member_id, 80, key="s")
    desk.give_back(sale.purchase_id, key="r")
    assert desk.sums(sale.member_id) == (4, 0, 0)
    assert [(entry.key.kind, entry.points) for entry in desk.entries(sale.member_id)] == [
        ("purchase", 100), ("spend", -80), ("return", -100), ("write_off", 80),
    ]  # fmt: skip


def test_what_cannot_be_returned_is_refused_and_nothing_changes(desk: Desk) -> None:
    sale = bought(desk)
    with pytest.raises(PurchaseUnknown):
        desk.give_back("pur_bm90aGluZw", key="r")
    desk.close(sale.member_id, forfeit=True)
    with pytest.raises(MemberClosed):
        desk.give_back(sale.purchase_id, key="r")


def test_returns_of_a_purchase_are_listed_in_the_order_in_which_they_came(desk: Desk) -> None:
    sale = bought(desk)
    made: list[ReturnView] = []
    for key, amount in (("z", 1_000), ("a", 2_000), ("m", 3_000)):
        desk.clock.forward(minutes=1)
        made.append(desk.give_back(sale.purchase_id, key=key, amount_minor=amount).value)
    assert list(desk.returns(sale.purchase_id)) == made
    timeline = [entry.key.kind for entry in desk.entries(sale.member_id)]
    assert timeline == ["purchase", "return", "return", "return"]
    part = reading.list_purchases(desk.table, desk.book, sale.member_id, after=None, limit=10, language=Language.EN)
    assert [each.purchase_id for each in part.items] == [sale.purchase_id], "returns are no purchases"


def test_a_crash_at_any_call_of_a_return_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 12):
            run += 1
            sale = bought(desk)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before = len(scan(dynamo, table.name))
            try:
                dying.give_back(sale.purchase_id, key=f"r{run}", amount_minor=4_000)
            except Crashed:
                assert len(scan(dynamo, table.name)) - before in (0, 1)
                desk.give_back(sale.purchase_id, key=f"r{run}", amount_minor=4_000)
            assert len(scan(dynamo, table.name)) - before == 1
            assert desk.sums(sale.member_id) == (2, 60, 60)
            if crashing.count < at:
                break
    assert run >= 8, "nothing crashed"


def test_a_return_costs_seven_write_units(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = bought(desk)
    other, meter = metered(desk, dynamo, table)
    other.give_back(sale.purchase_id, key="r", amount_minor=4_000)
    trips, reads, writes = meter.read()
    assert (trips, writes) == (3, 7.0)
    assert reads == 1.5
