"""Orders restated over a real table: what is said is what is kept, once, whatever races."""

from datetime import date
from typing import Any

import pytest

from chalicelib.corrections.errors import EntryNotReversible
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import MemberClosed, MemberSuspended, OccurredTooLongAgo, PointsInsufficient
from chalicelib.points.models import Reason
from chalicelib.purchases.errors import (
    NothingLeft,
    PurchaseFixed,
    PurchaseMoved,
    PurchaseUnknown,
    ReturnTooLarge,
    TenderTooLarge,
)
from chalicelib.purchases.models import PurchaseView, RestatementView
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered

LINES = [
    {"sku": "A", "quantity": 2, "unit_price_minor": 3_000},
    {"sku": "B", "quantity": 1, "unit_price_minor": 4_000},
]
ONE_A = [{"sku": "A", "quantity": 1, "unit_price_minor": 3_000}]


def bought(desk: Desk, **fields: Any) -> PurchaseView:
    """A purchase of 100.00."""
    member = fields.pop("member", None) or desk.enrol().member_id
    return desk.buy(a_purchase(member, **{"lines": LINES, "paid_minor": 10_000, **fields})).value


def kept(view: PurchaseView) -> tuple[int, int, int, int]:
    """Money, tender, points and version of an order as it is now."""
    assert view.kept is not None
    return view.kept.paid_minor, view.kept.points_tender, view.kept.points_earned, view.version


def test_an_order_is_what_it_is_said_to_be_down_and_up_again(desk: Desk) -> None:
    sale = bought(desk)
    desk.clock.forward(hours=1)

    less = desk.restate(sale.purchase_id, lines=ONE_A, paid_minor=3_000, version=0, reason="picking")

    assert kept(less.value) == (3_000, 0, 30, 1)
    (step,) = less.value.history
    assert isinstance(step, RestatementView)
    assert (step.reason, step.points_earned, step.paid_minor, step.balance_after) == ("picking", -70, 3_000, 30)
    assert step.why[0].text == "Order restated, ¥100.00 to ¥30.00: -70 points"
    assert (less.value.paid_minor, less.value.points_earned, less.value.hash) == (10_000, 100, sale.hash)
    more = desk.restate(sale.purchase_id, lines=LINES, paid_minor=12_000).value
    assert kept(more) == (12_000, 0, 120, 2)
    assert desk.purchase(sale.purchase_id) == more
    entries = desk.entries(sale.member_id)
    assert [(each.key.kind, each.reason, each.points) for each in entries] == [
        ("purchase", Reason.EARN, 100), ("restatement", Reason.REVERSE, -70), ("restatement", Reason.REVERSE, 90),
    ]  # fmt: skip
    assert {each.cause for each in entries[1:]} == {entries[0].key}
    assert desk.account(sale.member_id).qualifying == {entries[0].occurred_on.year * 12 + 2: 120}
    assert desk.sums(sale.member_id) == (3, 120, 120)


def test_the_same_restatement_again_changes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = bought(desk)
    first = desk.restate(sale.purchase_id, lines=[], paid_minor=0, version=0)
    assert kept(first.value) == (0, 0, 0, 1)
    before = scan(dynamo, table.name)
    desk.clock.forward(days=1)
    for version in (0, 1, None):
        assert desk.restate(sale.purchase_id, lines=[], paid_minor=0, version=version) == first
    assert scan(dynamo, table.name) == before
    with pytest.raises(NothingLeft):
        desk.give_back(sale.purchase_id, key="r")
    assert desk.sums(sale.member_id) == (2, 0, 0)


def test_a_purchase_as_it_was_recorded_is_no_restatement(desk: Desk) -> None:
    command = a_purchase(desk.enrol().member_id, lines=LINES, paid_minor=10_000)
    sale = desk.buy(command).value
    same = {name: getattr(sale, name) for name in ("member_id", "channel", "order_no", "shop_id", "occurred_at",
                                                   "currency", "lines", "paid_minor", "version")}  # fmt: skip
    assert desk.restate(sale.purchase_id, **same) == Outcome(sale)
    assert desk.buy(command) == Outcome(sale, replayed=True)


def test_the_recording_again_is_answered_as_it_was_after_a_restatement(desk: Desk) -> None:
    command = a_purchase(desk.enrol().member_id, lines=LINES, paid_minor=10_000)
    sale = desk.buy(command).value
    desk.restate(sale.purchase_id, paid_minor=5_000)
    assert desk.buy(command) == Outcome(sale, replayed=True)


def test_returns_and_restatements_go_on_from_each_other(desk: Desk) -> None:
    sale = bought(desk)
    desk.give_back(sale.purchase_id, key="r1", lines=[{"sku": "A", "quantity": 1}])
    now = desk.purchase(sale.purchase_id)
    assert now.kept is not None
    assert [(line.sku, line.quantity) for line in now.kept.lines] == [("A", 1), ("B", 1)]
    assert kept(now) == (7_000, 0, 70, 1)
    assert desk.restate(sale.purchase_id, lines=now.kept.lines, paid_minor=7_000).value == now

    desk.restate(sale.purchase_id, lines=now.kept.lines, paid_minor=14_000)
    half = desk.give_back(sale.purchase_id, key="r2", lines=[{"sku": "A", "quantity": 1}]).value
    assert (half.amount_minor, half.refund_minor, half.points_taken_back) == (3_000, 6_000, 60)
    with pytest.raises(ReturnTooLarge):
        desk.give_back(sale.purchase_id, key="r3", lines=[{"sku": "A", "quantity": 1}])
    found = desk.purchase(sale.purchase_id)
    assert found.returned is not None
    assert (found.returned.count, found.returned.refund_minor, kept(found)) == (1, 6_000, (8_000, 0, 80, 3))
    rest = desk.give_back(sale.purchase_id, key="r3").value
    assert (rest.refund_minor, rest.points_taken_back, rest.balance_after) == (8_000, 80, 0)
    with pytest.raises(NothingLeft):
        desk.give_back(sale.purchase_id, key="r4")
    assert len(desk.purchase(sale.purchase_id).history) == 4
    assert desk.give_back(sale.purchase_id, key="r2", lines=[{"sku": "A", "quantity": 1}]).replayed


def test_a_tender_goes_up_and_down_and_more_of_it_needs_the_points(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="soon", expires_on=date(2026, 4, 30))
    sale = bought(desk, member=member)
    desk.spend(member, 100, key="s")
    with pytest.raises(PointsInsufficient) as refused:
        desk.restate(sale.purchase_id, lines=LINES, paid_minor=9_500, points_tender=100)
    assert refused.value.facts == {"asked": 100, "available": 95}
    with pytest.raises(TenderTooLarge):
        desk.restate(sale.purchase_id, lines=ONE_A, paid_minor=0, points_tender=3_001)
    done = desk.restate(sale.purchase_id, lines=LINES, paid_minor=9_550, points_tender=45).value
    assert (kept(done), desk.points(member).available) == ((9_550, 45, 95, 1), 50)
    back = desk.restate(sale.purchase_id, lines=LINES, paid_minor=10_000).value
    assert (kept(back), desk.points(member).available) == ((10_000, 0, 100, 2), 100)
    desk.clock.forward(days=32)
    with pytest.raises(OccurredTooLongAgo):
        desk.restate(sale.purchase_id, lines=LINES, paid_minor=9_990, points_tender=10)


def test_points_that_it_earns_itself_do_not_pay_for_it(desk: Desk) -> None:
    sale = bought(desk, paid_minor=50, lines=[])
    with pytest.raises(PointsInsufficient) as refused:
        desk.restate(sale.purchase_id, paid_minor=10_000, points_tender=100)
    assert refused.value.facts == {"asked": 100, "available": 0}


def test_an_order_that_was_too_small_for_a_multiplier_earns_by_it_when_it_grows(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 5_000, key="gold", qualifying_points=5_000)
    sale = bought(desk, member=member, paid_minor=50, lines=[])
    assert (sale.points_earned, sale.expires_on) == (0, None)
    grown = desk.restate(sale.purchase_id, paid_minor=10_000).value
    assert kept(grown) == (10_000, 0, 125, 1)
    assert {lot.expires_on: lot.points for lot in desk.points(member).lots} == {date(2027, 3, 31): 5_125}


@pytest.mark.parametrize(("policy", "expected"), [("owe", (1, -80)), ("cap", (2, 0)), ("pending_only", (1, 20))])
def test_policies_hold_when_the_points_are_gone(desk: Desk, policy: str, expected: tuple[int, int]) -> None:
    desk.publish(1, negative_balance=policy)
    desk.clock.forward(seconds=11)
    sale = bought(desk)
    desk.spend(sale.member_id, 80, key="s")
    desk.restate(sale.purchase_id, paid_minor=0)
    entries, _, balance = desk.sums(sale.member_id)
    assert (entries - 2, balance) == expected


def test_a_write_off_of_a_return_and_one_of_a_restatement_are_two(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    sale = bought(desk)
    desk.spend(sale.member_id, 100, key="s")
    desk.give_back(sale.purchase_id, key="2", amount_minor=5_000)
    desk.restate(sale.purchase_id, paid_minor=0)
    kinds = [each.key.kind for each in desk.entries(sale.member_id)]
    assert kinds == ["purchase", "spend", "return", "write_off", "restatement", "write_off"]
    assert desk.sums(sale.member_id)[2] == 0


def test_an_order_that_goes_down_and_up_again_gives_no_points_twice(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    sale = bought(desk)
    member = sale.member_id
    desk.spend(member, 100, key="s")
    for _ in range(2):
        desk.restate(sale.purchase_id, paid_minor=0)
        assert desk.entries(member)[-1].key.kind == "write_off"
        off = desk.entries(member)[-1]
        for paid in (4_000, 10_000):
            desk.restate(sale.purchase_id, paid_minor=paid)
            assert (desk.sums(member)[1:], desk.points(member).available) == ((0, 0), 0)
        with pytest.raises(EntryNotReversible):
            desk.take_back(off)
    desk.give_back(sale.purchase_id, key="r")
    assert desk.entries(member)[-1].key.kind == "write_off"
    desk.take_back(desk.entries(member)[-1])
    owing = desk.entries(member)[-1]
    desk.restate(sale.purchase_id, paid_minor=10_000)
    assert desk.sums(member)[1:] == (0, 0), "the write-off had been taken back"
    with pytest.raises(EntryNotReversible):
        desk.take_back(owing)


def test_what_names_an_order_cannot_be_restated(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = bought(desk)
    before = scan(dynamo, table.name)
    other = {
        "member_id": desk.enrol().member_id, "channel": "web", "order_no": "x", "shop_id": "shp_other",
        "occurred_at": "2026-03-15T11:59:59+08:00", "currency": "USD",
    }  # fmt: skip
    for field, value in other.items():
        with pytest.raises(PurchaseFixed) as refused:
            desk.restate(sale.purchase_id, paid_minor=1, **{field: value})
        assert refused.value.facts == {"field": field}
    for version in (1, 7):
        with pytest.raises(PurchaseMoved):
            desk.restate(sale.purchase_id, paid_minor=1, version=version)
    with pytest.raises(PurchaseUnknown):
        desk.restate("pur_cG9zI25vdGhpbmc", paid_minor=1)
    tried = desk.restate(sale.purchase_id, paid_minor=1_000, dry_run=True)
    assert (tried.stored, kept(tried.value), len(tried.value.history)) == (False, (1_000, 0, 10, 1), 1)
    assert len(scan(dynamo, table.name)) == len(before) + 3, "only the other member is new"
    assert desk.sums(sale.member_id) == (1, 100, 100)


def test_a_suspended_member_loses_points_and_gains_none_and_a_closed_one_neither(desk: Desk) -> None:
    sale = bought(desk)
    desk.suspend(sale.member_id)
    with pytest.raises(MemberSuspended):
        desk.restate(sale.purchase_id, paid_minor=20_000)
    assert kept(desk.restate(sale.purchase_id, paid_minor=5_000).value) == (5_000, 0, 50, 1)
    desk.reinstate(sale.member_id)
    desk.close(sale.member_id, forfeit=True)
    with pytest.raises(MemberClosed):
        desk.restate(sale.purchase_id, paid_minor=0)


# ---------------------------------------------------------------- at once, crashes, costs


def test_restatements_and_returns_at_once_leave_what_the_last_one_said(desk: Desk, dynamo: Dynamo) -> None:
    sale = bought(desk)
    answers = at_once(
        dynamo,
        *(lambda n=n: desk.restate(sale.purchase_id, paid_minor=n * 1_000) for n in range(1, 5)),
        *(lambda n=n: desk.give_back(sale.purchase_id, key=f"r{n}", amount_minor=1) for n in range(3)),
        *(lambda n=n: desk.buy(a_purchase(sale.member_id, order_no=f"x{n}", paid_minor=100, lines=[]))
          for n in range(3)),
    )  # fmt: skip
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    found = desk.purchase(sale.purchase_id)
    assert found.kept is not None
    assert found.version == len(found.history) == 7
    assert found.kept.points_earned == found.kept.paid_minor // 100
    assert desk.sums(sale.member_id) == (11, found.kept.points_earned + 3, found.kept.points_earned + 3)


def test_the_same_restatement_at_once_has_one_effect_and_of_two_that_name_a_version_one_wins(
    desk: Desk, dynamo: Dynamo
) -> None:
    sale = bought(desk)
    answers = at_once(dynamo, *(lambda: desk.restate(sale.purchase_id, paid_minor=5_000) for _ in range(5)))
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    assert desk.sums(sale.member_id) == (2, 50, 50)
    rivals = at_once(
        dynamo, *(lambda n=n: desk.restate(sale.purchase_id, paid_minor=n * 1_000, version=1) for n in range(4))
    )
    assert sorted(type(each).__name__ for each in rivals) == ["Outcome"] + ["PurchaseMoved"] * 3


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 12):
            run += 1
            sale = bought(desk)
            desk.give_back(sale.purchase_id, key="r", amount_minor=1_000)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before = len(scan(dynamo, table.name))
            try:
                answer = dying.restate(sale.purchase_id, paid_minor=4_000, version=1)
            except Crashed:
                assert len(scan(dynamo, table.name)) - before in (0, 1)
                answer = desk.restate(sale.purchase_id, paid_minor=4_000, version=1)
            assert kept(answer.value) == (4_000, 0, 40, 2)
            assert len(scan(dynamo, table.name)) - before == 1
            assert desk.sums(sale.member_id) == (3, 40, 40)
            if crashing.count < at:
                break
    assert run >= 8, "nothing crashed"


def test_a_restatement_costs_as_a_return(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = bought(desk)
    other, meter = metered(desk, dynamo, table)
    other.restate(sale.purchase_id, lines=ONE_A, paid_minor=3_000)
    assert meter.read() == (3, 1.5, 7.0)
    other.restate(sale.purchase_id, lines=ONE_A, paid_minor=3_000)
    assert meter.read()[2] == 0
    other.purchase(sale.purchase_id)
    trips, reads, _ = meter.read()
    assert (trips, reads) == (2, 1.5)
