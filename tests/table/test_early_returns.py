"""Returns that come before their purchase: they wait, and are carried out with it or refused, and never lost."""

from typing import Any

import pytest

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import OccurredInFuture
from chalicelib.purchases.errors import (
    NothingLeft,
    PurchaseUnknown,
    ReturnDiffers,
    ReturnedBeforeBought,
    ReturnLineUnknown,
    ReturnTooLarge,
    ReturnWaitedTooLong,
    TooManyWaiting,
)
from chalicelib.purchases.models import RecordPurchase, RefusedReturn, ReturnOrder, ReturnView, WaitingReturn
from chalicelib.purchases.service import reading, returning
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered

LINES = [
    {"sku": "A", "quantity": 2, "unit_price_minor": 3_000},
    {"sku": "B", "quantity": 1, "unit_price_minor": 4_000},
]
ONE_A = [{"sku": "A", "quantity": 1}]


def an_order(member: str, number: int | str = 1, **fields: Any) -> tuple[RecordPurchase, str]:
    """A purchase of 100.00 that nobody has recorded yet, and its id."""
    command = a_purchase(member, order_no=f"early-{number}", **{"lines": LINES, "paid_minor": 10_000, **fields})
    return command, keys.purchase_id(command.channel, command.order_no)


def statuses(desk: Desk, purchase_id: str) -> list[str]:
    """What became of a purchase's returns."""
    return [each.status for each in desk.returns(purchase_id)]


# ---------------------------------------------------------------- happy, again, at once


def test_a_return_that_comes_first_waits_and_is_carried_out_with_its_purchase(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    waits = desk.send_back(purchase_id, key="r1", lines=ONE_A, reason="damaged")
    assert isinstance(waits.value, WaitingReturn)
    assert (waits.waits, waits.stored, waits.replayed) == (True, True, False)
    assert (waits.value.status, waits.value.purchase_id, waits.value.reason) == ("waiting", purchase_id, "damaged")
    assert (waits.value.waits_until - waits.value.received_at).total_seconds() == 72 * 3600
    assert desk.returns(purchase_id) == (waits.value,)
    with pytest.raises(PurchaseUnknown):
        desk.purchase(purchase_id)
    with pytest.raises(PurchaseUnknown):
        desk.restate(purchase_id, paid_minor=0)
    desk.clock.forward(hours=72)

    sale = desk.buy(command).value

    assert (sale.points_earned, sale.balance_after, sale.kept, sale.returned) == (100, 70, None, None)
    assert desk.sums(member) == (2, 70, 70)
    (back,) = desk.returns(purchase_id)
    assert isinstance(back, ReturnView)
    assert (back.status, back.reason, back.points_taken_back, back.return_id) == (
        "applied", "damaged", 30, waits.value.return_id,
    )  # fmt: skip
    assert back.occurred_at == waits.value.received_at
    found = desk.purchase(purchase_id)
    assert found.kept is not None
    assert (found.version, found.kept.paid_minor, found.history, found.balance_after) == (1, 7_000, (back,), 70)
    rest = desk.give_back(purchase_id, key="rest").value
    assert (rest.points_taken_back, rest.balance_after) == (70, 0)
    assert desk.buy(command) == Outcome(sale, replayed=True)


@pytest.mark.parametrize("policy", ["owe", "cap", "pending_only"])
def test_the_purchase_says_what_there_is_after_the_returns_that_waited_and_says_so_again(
    desk: Desk, policy: str
) -> None:
    desk.publish(1, negative_balance=policy)
    member = desk.enrol().member_id
    desk.adjust(member, 900, key="q", qualifying_points=900)
    command, purchase_id = an_order(member)
    desk.send_back(purchase_id, key="r1", lines=ONE_A)
    desk.send_back(purchase_id, key="r2", amount_minor=2_000)
    desk.send_back(purchase_id, key="r3", lines=[{"sku": "X", "quantity": 1}])

    sale = desk.buy(command).value

    has = desk.member(member)
    left = 1_000 if policy == "pending_only" else 950  # only what is pending is taken then
    assert (sale.balance_after, has.points.available) == (left, left)
    assert (sale.tier_before.tier_id, sale.tier_after.tier_id, has.tier.tier_id) == ("basic", "basic", "basic")
    desk.give_back(purchase_id, key="rest")
    assert desk.buy(command) == Outcome(sale, replayed=True)
    assert desk.purchase(purchase_id).balance_after == left


def test_the_same_early_return_again_is_answered_the_same_before_and_after_its_purchase(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    first = desk.send_back(purchase_id, key="r1")
    desk.clock.forward(hours=1)
    assert desk.send_back(purchase_id, key="r1") == Outcome(first.value, replayed=True, waits=True)
    with pytest.raises(ReturnDiffers):
        desk.send_back(purchase_id, key="r1", amount_minor=1)
    desk.buy(command)
    desk.clock.forward(hours=1)
    (applied,) = desk.returns(purchase_id)
    assert desk.send_back(purchase_id, key="r1") == Outcome(applied, replayed=True)
    with pytest.raises(ReturnDiffers):
        desk.send_back(purchase_id, key="r1", amount_minor=1)
    with pytest.raises(NothingLeft):
        desk.send_back(purchase_id, key="r2")
    assert desk.sums(member) == (2, 0, 0)


def test_early_returns_at_once_all_wait_and_the_same_one_waits_once(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    answers = at_once(
        dynamo,
        *(lambda n=n: desk.send_back(purchase_id, key=f"r{n}", amount_minor=1_000) for n in range(4)),
        *(lambda: desk.send_back(purchase_id, key="same", amount_minor=1_000) for _ in range(3)),
    )
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    assert statuses(desk, purchase_id) == ["waiting"] * 5
    desk.buy(command)
    assert desk.sums(member) == (6, 50, 50)


@pytest.mark.parametrize("run", range(6))
def test_a_return_that_races_its_purchase_is_never_lost(desk: Desk, dynamo: Dynamo, run: int) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member, run)
    answers = at_once(
        dynamo,
        lambda: desk.buy(command),
        *(lambda n=n: desk.send_back(purchase_id, key=f"r{n}", amount_minor=1_000) for n in range(3)),
        lambda: desk.buy(command),
    )
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    assert statuses(desk, purchase_id) == ["applied"] * 3
    assert desk.sums(member) == (4, 70, 70)


# ---------------------------------------------------------------- refusals


def test_what_cannot_be_carried_out_is_refused_for_good_and_the_rest_is(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    sent: dict[str, dict[str, Any]] = {
        "much": {"amount_minor": 10_001},
        "one": {"lines": ONE_A},
        "unknown": {"lines": [{"sku": "X", "quantity": 1}]},
        "three": {"lines": [{"sku": "A", "quantity": 3}]},
        "before": {"occurred_at": "2026-03-15T11:00:00+08:00"},
        "all": {},
        "none": {"amount_minor": 1},
    }
    for key, fields in sent.items():
        desk.send_back(purchase_id, key=key, **fields)
        desk.clock.forward(seconds=1)
    desk.buy(command)
    assert desk.sums(member) == (3, 0, 0)
    became = desk.returns(purchase_id)
    refused = [each for each in became if isinstance(each, RefusedReturn)]
    assert [each.code for each in refused] == [
        "return_too_large", "return_line_unknown", "return_too_large", "returned_before_bought", "nothing_left",
    ]  # fmt: skip
    assert [each.points_taken_back for each in became if isinstance(each, ReturnView)] == [30, 70]
    assert refused[0].facts == {"asked": 10_001, "left": 10_000}
    expected = {
        "much": ReturnTooLarge, "unknown": ReturnLineUnknown, "three": ReturnTooLarge,
        "before": ReturnedBeforeBought, "none": NothingLeft,
    }  # fmt: skip
    for key, refusal in expected.items():
        with pytest.raises(refusal) as raised:
            desk.send_back(purchase_id, key=key, **sent[key])
        assert str(raised.value) in [each.detail for each in refused]
        with pytest.raises(ReturnDiffers):
            desk.send_back(purchase_id, key=key, amount_minor=2)


def test_a_refusal_stays_though_the_return_would_fit_by_now(desk: Desk) -> None:
    command, purchase_id = an_order(desk.enrol().member_id)
    desk.send_back(purchase_id, key="late", amount_minor=5_000)
    desk.clock.forward(hours=72, milliseconds=1)
    desk.buy(command)
    with pytest.raises(ReturnWaitedTooLong) as refused:
        desk.send_back(purchase_id, key="late", amount_minor=5_000)
    assert refused.value.facts == {"waited_until": "2026-03-18T04:00:00+00:00"}
    assert desk.give_back(purchase_id, key="again", amount_minor=5_000).value.points_taken_back == 50
    assert statuses(desk, purchase_id) == ["refused", "applied"]


def test_whoever_waits_too_long_is_refused_by_the_clock_alone(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    _, purchase_id = an_order(desk.enrol().member_id)
    desk.send_back(purchase_id, key="r1")
    desk.clock.forward(hours=72)
    assert statuses(desk, purchase_id) == ["waiting"]
    before = scan(dynamo, table.name)
    desk.clock.forward(milliseconds=1)
    (refused,) = desk.returns(purchase_id)
    assert isinstance(refused, RefusedReturn)
    assert (refused.code, refused.received_at.isoformat()) == ("return_waited_too_long", "2026-03-15T04:00:00+00:00")
    with pytest.raises(ReturnWaitedTooLong):
        desk.send_back(purchase_id, key="r1")
    assert scan(dynamo, table.name) == before


def test_ten_returns_wait_at_most_and_those_that_waited_too_long_make_room(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member, occurred_at="2026-03-10T12:00:00+08:00")
    for n in range(10):
        desk.send_back(purchase_id, key=f"r{n}", amount_minor=100)
    with pytest.raises(TooManyWaiting):
        desk.send_back(purchase_id, key="r10", amount_minor=100)
    desk.clock.forward(hours=73)
    assert desk.send_back(purchase_id, key="r10", amount_minor=100).waits
    assert statuses(desk, purchase_id) == ["refused"] * 10 + ["waiting"]
    with pytest.raises(ReturnWaitedTooLong):
        desk.send_back(purchase_id, key="r3", amount_minor=100)
    with pytest.raises(ReturnDiffers):
        desk.send_back(purchase_id, key="r3", amount_minor=101)
    desk.buy(command)
    assert desk.sums(member) == (2, 99, 99)
    with pytest.raises(ReturnWaitedTooLong):
        desk.send_back(purchase_id, key="r3", amount_minor=100)


def test_ten_that_wait_are_carried_out_in_one_transaction_with_write_offs(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    for n in range(10):
        desk.send_back(purchase_id, key=f"r{n}", amount_minor=1_000)
    desk.buy(command)
    assert desk.sums(member) == (11, 0, 0)


def test_a_mistyped_return_does_not_undo_what_somebody_buys_under_that_number_later(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member, occurred_at="2026-03-16T12:00:00+08:00")
    desk.send_back(purchase_id, key="typo")
    desk.clock.forward(days=1)
    desk.buy(command)
    assert desk.sums(member) == (1, 100, 100)
    (refused,) = desk.returns(purchase_id)
    assert isinstance(refused, RefusedReturn)
    assert refused.code == "returned_before_bought"


@pytest.mark.parametrize("name", [("p s", "1"), ("pos", "a b"), ("pos", ""), ("", "1"), ("pos", "e\u0301")])
def test_nothing_waits_for_an_order_that_cannot_be(desk: Desk, name: tuple[str, str]) -> None:
    with pytest.raises(PurchaseUnknown):
        desk.send_back(keys.purchase_id(*name), key="r")
    with pytest.raises(PurchaseUnknown):
        desk.returns(keys.purchase_id("pos", "never"))


def test_a_purchase_that_is_refused_leaves_its_returns_waiting(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    desk.send_back(purchase_id, key="r1", amount_minor=1_000)
    desk.suspend(member)
    with pytest.raises(Refusal, match="suspended"):
        desk.buy(command)
    assert statuses(desk, purchase_id) == ["waiting"]
    desk.reinstate(member)
    desk.buy(command)
    assert desk.sums(member) == (2, 90, 90)


# ---------------------------------------------------------------- ways in, dry runs


def test_a_till_that_knows_only_the_order_number_sends_the_same_command(desk: Desk) -> None:
    from chalicelib.kernel.languages import Language

    def send(**fields: Any) -> Any:
        sent = ReturnOrder.model_validate({"channel": "pos", "order_no": "early-1", **fields}, strict=False)
        return returning.return_order(desk.table, desk.book, "r1", sent, now=desk.clock(), language=Language.EN)

    command, purchase_id = an_order(desk.enrol().member_id)
    first = send(lines=ONE_A)
    assert first.value.status == "waiting"
    assert desk.send_back(purchase_id, key="r1", lines=ONE_A) == Outcome(first.value, replayed=True, waits=True)
    desk.buy(command)
    again = send(lines=ONE_A)
    assert (again.replayed, again.value.points_taken_back) == (True, 30)
    with pytest.raises(ReturnDiffers):
        send()


def test_a_dry_run_says_that_a_return_would_wait_and_keeps_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    command, purchase_id = an_order(desk.enrol().member_id)
    before = scan(dynamo, table.name)
    tried = desk.send_back(purchase_id, key="r", amount_minor=4_000, dry_run=True)
    assert (tried.stored, tried.value.status) == (False, "waiting")
    with pytest.raises(OccurredInFuture):
        desk.send_back(purchase_id, key="r", occurred_at="2026-03-15T12:06:00+08:00")
    assert scan(dynamo, table.name) == before
    desk.send_back(purchase_id, key="r", amount_minor=4_000)
    before = scan(dynamo, table.name)
    sale = desk.buy(command.model_copy(update={"dry_run": True}))
    assert (sale.stored, sale.value.points_earned) == (False, 100)
    assert scan(dynamo, table.name) == before


# ---------------------------------------------------------------- crashes, costs


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 12):
            run += 1
            member = desk.enrol().member_id
            command, purchase_id = an_order(member, run)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            desk.send_back(purchase_id, key="bad", amount_minor=10_001)
            before = len(scan(dynamo, table.name))
            try:
                dying.send_back(purchase_id, key="r", amount_minor=4_000)
                dying.buy(command)
            except Crashed:
                assert len(scan(dynamo, table.name)) - before in (0, 2)
                desk.send_back(purchase_id, key="r", amount_minor=4_000)
                desk.buy(command)
            assert desk.sums(member) == (2, 60, 60)
            assert sorted(statuses(desk, purchase_id)) == ["applied", "refused"]
            if crashing.count < at:
                break
    assert run >= 10, "nothing crashed"


def test_what_waiting_costs_and_that_others_do_not_pay_for_it(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    desk.buy(a_purchase(member))
    other, meter = metered(desk, dynamo, table)
    command, purchase_id = an_order(member)
    other.send_back(purchase_id, key="r", amount_minor=4_000)
    assert meter.read() == (2, 1.0, 2.0)
    other.buy(command)
    trips, reads, writes = meter.read()
    assert (trips, reads, writes) == (3, 1.0, 8.0), "and a transaction that the database refused, which it meters not"
    other.buy(a_purchase(member))
    assert meter.read() == (2, 0.5, 5.0)


def test_a_list_of_purchases_reads_again_where_its_batch_is_so_old_that_the_return_still_waits(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member)
    desk.send_back(purchase_id, key="r1", lines=ONE_A)
    where = keys.purchase(command.channel, command.order_no)
    waited = desk.table.get(where, consistent=True)
    assert waited is not None
    bought = desk.buy(command).value

    real = desk.table.get_many
    monkeypatch.setattr(desk.table, "get_many", lambda wanted: real(wanted) | {where: waited})
    page = reading.list_purchases(desk.table, desk.book, member, after=None, limit=5, language=Language.EN)
    assert [each.purchase_id for each in page.items] == [bought.purchase_id]
    assert [entry.key.kind for entry in desk.entries(member)] == ["purchase", "return"]


def test_entries_are_read_again_where_their_batch_does_not_know_them_yet(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 10, key="a1")
    monkeypatch.setattr(desk.table, "get_many", lambda _: {})
    assert [entry.points for entry in desk.entries(member)] == [10]


# ---------------------------------------------------------------- of another shop


def test_who_reaches_no_shop_returns_nothing_that_is_of_one(desk: Desk) -> None:
    member = desk.enrol().member_id
    command, purchase_id = an_order(member, shop_id="shp_main")
    desk.send_back(purchase_id, key="nobody", within=frozenset())
    desk.send_back(purchase_id, key="other", within=frozenset({ShopId("shp_other"), ShopId("shp_third")}))
    desk.send_back(purchase_id, key="own", amount_minor=1_000, within=frozenset({ShopId("shp_main")}))
    desk.buy(command)
    assert [(each.status, getattr(each, "code", "")) for each in desk.returns(purchase_id)] == [
        ("refused", "return_elsewhere"), ("refused", "return_elsewhere"), ("applied", ""),
    ]  # fmt: skip
    assert desk.account(member).lifetime.balance == 90
    with pytest.raises(PurchaseUnknown):  # it came after the edge had looked whose it is
        desk.send_back(purchase_id, key="late", within=frozenset({ShopId("shp_other")}))


def test_what_waits_says_which_shops_it_is_for_only_where_it_is_not_for_all(desk: Desk) -> None:
    _, purchase_id = an_order(desk.enrol().member_id)
    desk.send_back(purchase_id, key="all")
    desk.send_back(purchase_id, key="some", within=frozenset({ShopId("shp_main")}))
    order = keys.order_of(purchase_id)
    assert order is not None
    item = desk.table.get(keys.purchase(*order), consistent=True)
    assert item is not None
    assert [len(each) for each in item["wr"]] == [4, 5]
