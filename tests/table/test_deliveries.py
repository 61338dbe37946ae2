"""Purchases whose points wait for their delivery, over a real table."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import service as points
from chalicelib.points.errors import MemberClosed, OccurredInFuture
from chalicelib.points.models import Due, PointsView, Reason, Then
from chalicelib.purchases.errors import (
    DeliveredBeforeBought,
    DeliveryDiffers,
    DeliveryNotAwaited,
    NothingLeft,
    PurchaseUnknown,
)
from chalicelib.purchases.models import PurchaseView
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Desk, at_once, scan
from tests.table.test_costs import metered


def ordered(desk: Desk, member: str | None = None, **fields: Any) -> PurchaseView:
    """A purchase of 100.00 whose points wait for its delivery."""
    known = MemberId(member) if member else desk.enrol().member_id
    command = a_purchase(known, **{"lines": [], "paid_minor": 10_000, "awaits_delivery": True, **fields})
    return desk.buy(command).value


def have(desk: Desk, member: str, **then: object) -> PointsView:
    """A member's points."""
    return points.find_points(desk.table, desk.book, MemberId(member), now=desk.clock(), then=Then.model_validate(then))


def test_points_wait_for_the_delivery_and_the_pending_days_after_it(desk: Desk) -> None:
    desk.publish(1, pending_days=14)
    desk.clock.forward(minutes=1)
    sale = ordered(desk)
    member = sale.member_id
    assert (sale.awaits_delivery, sale.matures_on, sale.points_earned) == (True, None, 100)
    assert sale.why[-1].text == "Points can be spent once it is delivered"
    desk.clock.forward(days=40)
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.RELEASE, now=desk.clock()) is None
    assert (have(desk, member).pending, have(desk, member).available) == (100, 0)

    delivered_at = desk.clock() - timedelta(days=3)
    done = desk.deliver(sale.purchase_id, delivered_at=delivered_at).value

    first = delivered_at.date() + timedelta(days=14)
    assert (done.points_released, done.spendable_on, done.delivered_at) == (100, first, delivered_at)
    assert done.why[0].text == f"Delivered: 100 points free from {first}"
    found = desk.purchase(sale.purchase_id)
    assert (found.awaits_delivery, found.delivered_at, found.matures_on, found.version) == (
        False,
        delivered_at,
        first,
        1,
    )
    assert (have(desk, member).pending, desk.account(member).due_on) == (100, first)
    assert desk.buy(a_purchase(member, order_no=sale.order_no, lines=[], paid_minor=10_000, awaits_delivery=True)) == (
        Outcome(sale, replayed=True)
    )
    desk.clock.at(first.isoformat())
    assert have(desk, member).available == 100
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.RELEASE, now=desk.clock()) == 100
    earned, told = desk.entries(member)
    assert (told.key.kind, told.reason, told.points, told.cause) == ("delivery", Reason.RELEASE, 0, earned.key)
    assert have(desk, member, as_of=delivered_at.date() - timedelta(days=1)).pending == 100


def test_without_pending_days_a_delivery_frees_points_at_once_and_what_came_back_is_not_freed(desk: Desk) -> None:
    sale = ordered(desk)
    desk.give_back(sale.purchase_id, key="r1", amount_minor=3_000)
    done = desk.deliver(sale.purchase_id).value
    assert (done.points_released, done.spendable_on) == (70, desk.clock().date())
    assert (have(desk, sale.member_id).available, desk.account(sale.member_id).pending) == (70, {})
    desk.give_back(sale.purchase_id, key="r2", amount_minor=3_000)
    desk.restate(sale.purchase_id, paid_minor=5_000)
    assert (have(desk, sale.member_id).available, have(desk, sale.member_id).pending) == (50, 0)


def test_a_restatement_while_it_waits_moves_what_waits(desk: Desk) -> None:
    sale = ordered(desk, paid_minor=0)
    desk.restate(sale.purchase_id, paid_minor=6_000)
    assert (have(desk, sale.member_id).pending, have(desk, sale.member_id).available) == (60, 0)
    assert desk.deliver(sale.purchase_id).value.points_released == 60
    assert have(desk, sale.member_id).available == 60


def test_the_same_delivery_again_gets_its_first_answer_also_when_the_points_are_gone(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    sale = ordered(desk)
    at = desk.clock()
    first = desk.deliver(sale.purchase_id, delivered_at=at)
    desk.spend(sale.member_id, 100, key="all")
    desk.clock.forward(days=2)
    before = scan(dynamo, table.name)
    assert desk.deliver(sale.purchase_id, delivered_at=at) == Outcome(first.value, replayed=True)
    for other in (None, at + timedelta(hours=1)):
        with pytest.raises(DeliveryDiffers):
            desk.deliver(sale.purchase_id, delivered_at=other)
    desk.clock.forward(days=-3)  # another machine's clock: the first answer comes before any rule
    assert desk.deliver(sale.purchase_id, delivered_at=at).replayed
    assert scan(dynamo, table.name) == before


def test_what_cannot_be_delivered_changes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale, other = ordered(desk), ordered(desk, awaits_delivery=False)
    gone = ordered(desk)
    desk.close(gone.member_id, forfeit=True)
    before = scan(dynamo, table.name)
    cases: list[tuple[str, datetime | None, type[Exception]]] = [
        (other.purchase_id, None, DeliveryNotAwaited),
        ("pur_cG9zI25vdGhpbmc", None, PurchaseUnknown),
        ("pur_x", None, PurchaseUnknown),
        (gone.purchase_id, None, MemberClosed),
        (sale.purchase_id, sale.occurred_at - timedelta(minutes=1), DeliveredBeforeBought),
        (sale.purchase_id, desk.clock() + timedelta(days=1), OccurredInFuture),
    ]
    for purchase_id, delivered_at, refusal in cases:
        with pytest.raises(refusal):
            desk.deliver(purchase_id, delivered_at=delivered_at)
    assert not desk.deliver(sale.purchase_id, dry_run=True).stored
    assert scan(dynamo, table.name) == before


def test_an_order_without_money_can_be_delivered_and_then_be_returned(desk: Desk) -> None:
    sale = ordered(desk, paid_minor=0)
    assert desk.deliver(sale.purchase_id).value.points_released == 0
    desk.give_back(sale.purchase_id, key="r1")
    with pytest.raises(NothingLeft):
        desk.give_back(sale.purchase_id, key="r2")


def test_one_of_deliveries_and_returns_at_once_decides_again(desk: Desk, dynamo: Dynamo) -> None:
    desk.publish(1, pending_days=14)
    desk.clock.forward(minutes=1)
    sale = ordered(desk)
    answers = at_once(
        dynamo,
        *(lambda: desk.deliver(sale.purchase_id) for _ in range(3)),
        *(lambda n=n: desk.give_back(sale.purchase_id, key=f"r{n}", amount_minor=1_000) for n in range(3)),
    )
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    first = desk.clock().date() + timedelta(days=14)
    assert desk.account(sale.member_id).pending == {first: 70}
    assert desk.purchase(sale.purchase_id).version == 4
    assert desk.sums(sale.member_id) == (5, 70, 70)


def test_a_delivery_after_a_merge_frees_the_points_where_they_are(desk: Desk) -> None:
    sale = ordered(desk)
    into = desk.enrol().member_id
    desk.merge(sale.member_id, into, key="m")
    assert have(desk, into).available == 0
    assert desk.deliver(sale.purchase_id).value.points_released == 100
    assert have(desk, into).available == 100


def test_a_delivery_costs_as_a_return(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = ordered(desk)
    other, meter = metered(desk, dynamo, table)
    other.deliver(sale.purchase_id)
    assert meter.read() == (3, 1.5, 7.0)
    other.deliver(sale.purchase_id)
    assert meter.read()[2] == 0
