"""Write-offs under `cap` over a real table: a return that brings points again gives none that were written off."""

import pytest

from chalicelib.corrections.errors import EntryNotReversible
from chalicelib.kernel.outcomes import Outcome
from chalicelib.programs.models import NegativeBalance
from chalicelib.purchases.errors import NothingLeft
from chalicelib.purchases.models import PurchaseView
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, at_once
from tests.table.test_costs import metered


def capped(desk: Desk, order_no: str = "o") -> PurchaseView:
    """An order of which 100 points paid 1.00 and 100 were earned and spent; the money of it came back since.

    The 100 that it earned were written off.
    """
    if desk.book.current(desk.clock()).negative_balance is not NegativeBalance.CAP:
        desk.publish(1, negative_balance="cap")
        desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    desk.adjust(member, 100, key=f"a-{order_no}")
    sale = desk.buy(a_purchase(member, order_no=order_no, lines=[], paid_minor=10_000, points_tender=100)).value
    desk.spend(member, 100, key=f"s-{order_no}")
    desk.restate(sale.purchase_id, paid_minor=0, points_tender=100)
    assert [(each.key.kind, each.points) for each in desk.entries(member)[-2:]] == [
        ("restatement", -100), ("write_off", 100),
    ]  # fmt: skip
    return sale


def test_points_that_paid_come_back_less_what_was_written_off(desk: Desk) -> None:
    sale = capped(desk)
    back = desk.give_back(sale.purchase_id, key="r").value
    assert (back.points_given_back, back.points_taken_back, back.balance_after) == (100, 0, 0)
    assert [line.text for line in back.why] == [
        "Returned ¥1.00: 0 points", "100 points written off before, taken back with it",
    ]  # fmt: skip
    assert desk.sums(sale.member_id)[1:] == (0, 0)
    assert desk.points(sale.member_id).available == 0


def test_the_same_return_again_gives_the_same_answer_also_when_all_is_settled(desk: Desk) -> None:
    sale = capped(desk)
    first = desk.give_back(sale.purchase_id, key="r")
    assert desk.give_back(sale.purchase_id, key="r") == Outcome(first.value, replayed=True)
    with pytest.raises(NothingLeft):
        desk.give_back(sale.purchase_id, key="r2")
    assert desk.sums(sale.member_id)[1:] == (0, 0)


def test_returns_at_once_take_each_write_off_back_once(desk: Desk, dynamo: Dynamo) -> None:
    sale = capped(desk)
    answers = at_once(
        dynamo, *(lambda n=n: desk.give_back(sale.purchase_id, key=f"r{n}", amount_minor=25) for n in range(4))
    )
    assert all(isinstance(answer, Outcome) for answer in answers)
    assert desk.sums(sale.member_id)[1:] == (0, 0)


def test_a_write_off_taken_back_at_the_same_time_is_seen_or_refused(desk: Desk, dynamo: Dynamo) -> None:
    for n in range(4):
        sale = capped(desk, f"o{n}")
        off = desk.entries(sale.member_id)[-1]
        at_once(dynamo, lambda: desk.give_back(sale.purchase_id, key="r"), lambda: desk.take_back(off))  # noqa: B023
        assert desk.sums(sale.member_id)[2] == 0


def test_what_a_return_settled_is_not_taken_back(desk: Desk) -> None:
    sale = capped(desk)
    off = desk.entries(sale.member_id)[-1]
    desk.give_back(sale.purchase_id, key="r", amount_minor=50)
    with pytest.raises(EntryNotReversible, match="paid since"):
        desk.take_back(off)


def test_an_order_that_goes_up_and_down_gives_nothing_and_takes_what_there_is(desk: Desk) -> None:
    sale = capped(desk)
    member = sale.member_id
    desk.adjust(member, 30, key="elsewhere")
    for paid, balance in ((8_000, 30), (0, 0), (12_000, 50), (5_000, 0), (0, 0)):
        desk.restate(sale.purchase_id, paid_minor=paid, points_tender=100)
        assert desk.account(member).lifetime.balance == balance, paid
    assert sum(desk.account(member).written_off.values()) == 70
    desk.take_back(desk.entries(member)[-1])
    assert desk.account(member).lifetime.balance == -50, "what was taken last is owed"
    desk.restate(sale.purchase_id, paid_minor=5_000, points_tender=100)
    assert desk.account(member).lifetime.balance == 0


def test_points_of_one_order_that_paid_for_another_are_not_kept_when_both_come_back(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    for run, backwards in enumerate((False, True)):
        member = desk.enrol().member_id
        one = desk.buy(a_purchase(member, order_no=f"one-{run}", lines=[], paid_minor=10_000)).value
        other = desk.buy(a_purchase(member, order_no=f"two-{run}", lines=[], paid_minor=0, points_tender=100)).value
        for sale in (other, one) if backwards else (one, other):
            desk.give_back(sale.purchase_id, key="r")
        assert desk.points(member).available == 0
        assert (desk.account(member).written_off, desk.account(member).lifetime.balance) == ({}, 0)


def test_a_spend_that_is_taken_back_pays_for_what_was_written_off_since(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    sale = desk.buy(a_purchase(member, lines=[], paid_minor=10_000)).value
    desk.spend(member, 60, key="s")
    spent = desk.entries(member)[-1]
    desk.give_back(sale.purchase_id, key="r")
    desk.adjust(member, 50, key="new")
    first = desk.take_back(spent)
    assert (desk.points(member).available, first.value.points) == (50, 0)
    assert [line.text for line in first.value.why] == ["60 points written off before, taken back with it"]
    assert desk.take_back(spent) == Outcome(first.value, replayed=True)
    assert desk.sums(member)[1:] == (50, 50)


def test_what_was_spent_after_a_write_off_comes_back_whole(desk: Desk) -> None:
    sale = capped(desk)
    desk.adjust(sale.member_id, 50, key="new")
    desk.spend(sale.member_id, 50, key="later")
    desk.take_back(desk.entries(sale.member_id)[-1])
    assert desk.points(sale.member_id).available == 50


def test_two_members_who_are_one_keep_what_was_written_off_for_either(desk: Desk) -> None:
    sale, into = capped(desk), desk.enrol().member_id
    merge_id = desk.merge(sale.member_id, into, key="m").value.merge_id
    assert sum(desk.account(into).written_off.values()) == 100
    desk.undo_merge(merge_id)
    assert desk.account(into).written_off == {}
    desk.merge(sale.member_id, into, key="m2")
    desk.give_back(sale.purchase_id, key="r")
    assert (desk.points(into).available, desk.account(into).written_off) == (0, {})


def test_what_was_written_off_while_two_were_one_is_paid_for_when_they_are_two(desk: Desk) -> None:
    for run, (spender, returned) in enumerate((("gone", "both"), ("kept", "one"))):
        if run == 0:
            desk.publish(1, negative_balance="cap")
            desk.clock.forward(seconds=11)
        gone, kept = (desk.enrol().member_id for _ in range(2))
        one = desk.buy(a_purchase(gone, order_no=f"one-{run}", lines=[], paid_minor=100_000)).value
        other = desk.buy(a_purchase(kept, order_no=f"other-{run}", lines=[], paid_minor=50_000)).value
        if spender == "gone":
            desk.spend(gone, 1_000, key=f"s{run}")
            spent = desk.entries(gone)[-1]
        merge_id = desk.merge(gone, kept, key=f"m{run}").value.merge_id
        if spender == "kept":
            desk.spend(kept, 1_500, key=f"s{run}")
            spent = desk.entries(kept)[-1]
        desk.give_back(one.purchase_id, key="r")
        if returned == "both":
            desk.give_back(other.purchase_id, key="r")
        desk.undo_merge(merge_id)
        assert desk.points(gone).available == desk.points(kept).available == 0
        desk.take_back(spent)
        if returned == "one":
            desk.give_back(other.purchase_id, key="r")
        assert [desk.account(each).lifetime.balance for each in (gone, kept)] == [0, 0]


def test_what_paid_for_the_others_write_off_comes_back_when_they_are_two(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    gone, kept = (desk.enrol().member_id for _ in range(2))
    one = desk.buy(a_purchase(gone, order_no="one", lines=[], paid_minor=300)).value
    other = desk.buy(a_purchase(kept, order_no="other", lines=[], paid_minor=800)).value
    desk.give_back(other.purchase_id, key="r")
    merge_id = desk.merge(gone, kept, key="m").value.merge_id
    desk.spend(kept, 3, key="s")
    desk.give_back(one.purchase_id, key="r", amount_minor=100)
    desk.restate(other.purchase_id, paid_minor=2_200, points_tender=0)
    assert desk.account(kept).lifetime.balance == 21, "one paid for what was written off"
    desk.undo_merge(merge_id)
    assert [desk.account(each).lifetime.balance for each in (gone, kept)] == [2, 19]
    assert desk.account(gone).written_off == desk.account(kept).written_off == {}


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(desk: Desk, table: DynamoTable) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 16):
            run += 1
            sale = capped(desk, f"o{run}")
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            try:
                dying.give_back(sale.purchase_id, key="r")
            except Crashed:
                desk.give_back(sale.purchase_id, key="r")
            assert desk.sums(sale.member_id) == (6, 0, 0)
            if crashing.count < at:
                break
    assert run >= 10, "nothing crashed"


def test_write_offs_are_looked_for_only_where_there_can_be_some(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    sale = desk.buy(a_purchase(desk.enrol().member_id, lines=[], paid_minor=10_000)).value
    for key, trips in (("r1", 3), ("r2", 3)):
        other, meter = metered(desk, dynamo, table)
        other.give_back(sale.purchase_id, key=key, amount_minor=1_000)
        assert meter.read()[0] == trips
