"""Purchases: once, again, at once, late, and with points."""

import pytest

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.errors import MemberNumberWrong, MobileInvalid
from chalicelib.points.errors import (
    BalanceTooLarge,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    OccurredInFuture,
    PointsInsufficient,
)
from chalicelib.purchases.errors import (
    CurrencyWrong,
    PurchaseDiffers,
    PurchaserUnknown,
    TenderTooLarge,
    TenderTooSmall,
)
from chalicelib.purchases.service.reading import find_purchase
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_member_ref, a_purchase
from tests.table.stand import Desk, at_once, scan


def test_a_purchase_earns_and_a_retry_gets_its_first_answer(desk: Desk) -> None:
    member = desk.enrol().member_id
    command = a_purchase(member)
    first = desk.buy(command)
    assert (first.replayed, first.value.points_earned, first.value.balance_after, first.value.seq) == (False, 38, 38, 1)
    desk.clock.forward(days=900)
    assert desk.buy(command) == Outcome(first.value, replayed=True)
    assert desk.sums(member)[0] == 1


def test_a_tender_that_empties_the_account_gets_its_first_answer_on_retry(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    command = a_purchase(member, points_tender=1000, paid_minor=0)
    first = desk.buy(command)
    assert (first.value.points_tendered, first.value.balance_after, first.value.discounts[0].amount_minor) == (
        1000, 0, 1000,
    )  # fmt: skip
    assert desk.buy(command) == Outcome(first.value, replayed=True)
    desk.suspend(member)
    assert desk.buy(command) == Outcome(first.value, replayed=True)
    desk.close(member)
    assert desk.buy(command) == Outcome(first.value, replayed=True)
    assert desk.sums(member) == (2, 0, 0)


def test_the_same_order_by_mobile_card_number_and_id_is_the_same_purchase(desk: Desk) -> None:
    member = desk.enrol(mobile="+8613800138000", card_no="C1")
    command = a_purchase(member.member_id)
    first = desk.buy(command)
    for ref in (
        {"mobile": "13800138000"}, {"card_no": "C1"}, {"member_number": str(member.member_number)},
    ):  # fmt: skip
        again = desk.buy(command.model_copy(update={"member": a_member_ref(**ref)}))
        assert again == Outcome(first.value, replayed=True)
    assert desk.sums(member.member_id) == (1, 38, 38)


def test_a_retry_by_a_mobile_that_nobody_has_any_more_gets_its_first_answer(desk: Desk) -> None:
    member = desk.enrol(mobile="+8613800138000")
    command = a_purchase(member.member_id).model_copy(update={"member": a_member_ref(mobile="13800138000")})
    first = desk.buy(command)
    desk.close(member.member_id, forfeit=True)
    assert desk.buy(command) == Outcome(first.value, replayed=True)
    with pytest.raises(PurchaseDiffers):
        desk.buy(command.model_copy(update={"paid_minor": 1}))
    with pytest.raises(PurchaserUnknown):
        desk.buy(command.model_copy(update={"order_no": "another"}))


def test_the_same_order_with_other_content_differs_for_ever(desk: Desk) -> None:
    member, other = desk.enrol().member_id, desk.enrol().member_id
    command = a_purchase(member)
    desk.buy(command)
    before = desk.account(member), desk.account(other)
    for update in (
        {"paid_minor": 3851}, {"lines": ()}, {"shop_id": None}, {"points_tender": 100},
        {"member": a_member_ref(member_id=other)},
    ):  # fmt: skip
        for _ in range(2):
            with pytest.raises(PurchaseDiffers):
                desk.buy(command.model_copy(update=update))
            desk.clock.forward(days=500)
    assert (desk.account(member), desk.account(other)) == before


def test_eight_tills_with_one_order_at_once_have_one_effect_and_one_answer(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    command = a_purchase(member, points_tender=1000, paid_minor=2850)
    answers = at_once(dynamo, *(lambda: desk.buy(command) for _ in range(8)))
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 8, answers
    assert len({outcome.value for outcome in outcomes}) == 1
    # Tills that decide in one and the same millisecond make one and the same entry, and each may call it its own.
    assert False in {outcome.replayed for outcome in outcomes}
    assert desk.sums(member) == (2, 28, 28)


def test_two_tills_with_one_order_of_other_content_at_once_record_one_of_them(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    command = a_purchase(member)
    answers = at_once(
        dynamo, *(lambda n=n: desk.buy(command.model_copy(update={"paid_minor": 1000 * n})) for n in range(1, 9))
    )
    assert len([answer for answer in answers if isinstance(answer, Outcome)]) == 1
    assert len([answer for answer in answers if isinstance(answer, PurchaseDiffers)]) == 7
    assert desk.sums(member)[0] == 1


def test_eight_purchases_at_once_all_earn(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    commands = [a_purchase(member) for _ in range(8)]
    answers = at_once(dynamo, *(lambda c=c: desk.buy(c) for c in commands))
    views = sorted((a.value for a in answers if isinstance(a, Outcome)), key=lambda view: view.seq)
    assert [(view.seq, view.balance_after) for view in views] == [(n, 38 * n) for n in range(1, 9)], answers
    assert desk.sums(member) == (8, 304, 304)


def test_eight_tenders_of_the_last_points_at_once_pay_at_most_the_balance(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    commands = [a_purchase(member, points_tender=600, paid_minor=0) for _ in range(8)]
    answers = at_once(dynamo, *(lambda c=c: desk.buy(c) for c in commands))
    assert len([answer for answer in answers if isinstance(answer, Outcome)]) == 1, answers
    assert len([answer for answer in answers if isinstance(answer, PointsInsufficient)]) == 7
    assert desk.sums(member) == (2, 400, 400)


def test_the_first_eight_purchases_of_a_stack_at_once_all_count(desk: Desk, dynamo: Dynamo) -> None:
    members = [desk.enrol().member_id for _ in range(8)]
    answers = at_once(dynamo, *(lambda m=m: desk.buy(a_purchase(m)) for m in members))
    assert len([answer for answer in answers if isinstance(answer, Outcome)]) == 8, answers
    assert [desk.sums(member) for member in members] == [(1, 38, 38)] * 8


def test_a_dry_run_of_a_purchase_writes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    command = a_purchase(member)
    before = scan(dynamo, table.name)
    outcome = desk.buy(command.model_copy(update={"dry_run": True}))
    assert (outcome.stored, outcome.replayed, outcome.value.points_earned) == (False, False, 38)
    assert scan(dynamo, table.name) == before


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"currency": "USD"}, CurrencyWrong),
        ({"occurred_at": "2026-03-15T12:06:00+08:00"}, OccurredInFuture),
        ({"points_tender": 101}, PointsInsufficient),
        ({"points_tender": 1, "lines": []}, None),
        ({"points_tender": 100_000}, TenderTooLarge),
        ({"member": {"member_id": "mem_aaaaaaaaaaaaaaaa"}}, MemberUnknown),
        ({"member": {"card_no": "nobody"}}, PurchaserUnknown),
        ({"member": {"mobile": "12345"}}, MobileInvalid),
        ({"member": {"member_number": "000000000001"}}, MemberNumberWrong),
    ],
)
def test_a_refused_purchase_changes_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, fields: dict[str, object], refusal: type[Refusal] | None
) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="gift")
    before = scan(dynamo, table.name)
    if refusal is None:
        assert desk.buy(a_purchase(member, **fields)).value.discounts[0].amount_minor == 1
        return
    ref = fields.pop("member", {"member_id": member})
    for dry_run in (True, False):
        command = a_purchase(member, **{**fields, "dry_run": dry_run})
        with pytest.raises(refusal):
            desk.buy(command.model_copy(update={"member": a_member_ref(**ref)}))  # type: ignore[arg-type]
    assert scan(dynamo, table.name) == before


def test_points_that_pay_nothing_are_refused(desk: Desk) -> None:
    desk.publish(1, point_value={"points": 1000, "minor": 1})
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    desk.adjust(member, 999, key="gift")
    with pytest.raises(TenderTooSmall):
        desk.buy(a_purchase(member, points_tender=999))
    assert desk.sums(member) == (1, 999, 999)


def test_nobody_suspended_or_closed_can_buy(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    suspended, closed = desk.enrol().member_id, desk.enrol().member_id
    desk.suspend(suspended)
    desk.close(closed)
    before = scan(dynamo, table.name)
    with pytest.raises(MemberSuspended):
        desk.buy(a_purchase(suspended))
    with pytest.raises(MemberClosed):
        desk.buy(a_purchase(closed))
    assert scan(dynamo, table.name) == before


def test_more_points_than_a_balance_may_hold_are_refused(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 10**12, key="gift")
    before = desk.account(member)
    with pytest.raises(BalanceTooLarge):
        desk.buy(a_purchase(member))
    assert desk.account(member) == before


def test_a_till_whose_clock_is_a_little_ahead_is_served_and_dated_by_ours(desk: Desk) -> None:
    member = desk.enrol().member_id
    view = desk.buy(a_purchase(member, occurred_at="2026-03-15T12:05:00+08:00")).value
    assert view.occurred_at == desk.clock()


def test_orders_that_look_alike_when_joined_are_different_purchases(desk: Desk) -> None:
    member = desk.enrol().member_id
    orders = ["a#b", "a%23b", "a%2523b", "a", "#a", "a#", "%", "%25", "%23", "订单🙂#"]
    ids = {order: desk.buy(a_purchase(member, order_no=order)).value.purchase_id for order in orders}
    assert len(set(ids.values())) == len(orders)
    for order, purchase_id in ids.items():
        found = find_purchase(desk.table, desk.book, purchase_id, language=Language.EN)
        assert (found.order_no, found.purchase_id) == (order, purchase_id)


def test_purchases_that_arrive_late_reach_the_tier_they_would_have(desk: Desk) -> None:
    first, second = desk.enrol().member_id, desk.enrol().member_id
    days = ["2025-06-01", "2025-09-01", "2026-01-01", "2026-03-01"]
    for member, order in ((first, days), (second, days[::-1])):
        for day in order:
            desk.buy(a_purchase(member, occurred_at=f"{day}T12:00:00+08:00", paid_minor=60_000))
    assert [desk.member(m).tier for m in (first, second)] == [desk.member(first).tier] * 2
    assert desk.member(first).tier.tier_id == "silver"
