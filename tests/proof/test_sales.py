"""Purchases that were paid with holds, returned, restated or sent under another id hold; what is changed is found.

What came back, as the purchase counts it, is compared with its entries from the last restatement on.
"""

import random
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.points import service as points
from chalicelib.proof import service as proof
from chalicelib.proof.models import Fault
from chalicelib.proof.service import Programs
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from tests.faults.works import Works
from tests.makers import a_purchase
from tests.memory import MemoryTable
from tests.table.stand import Desk

POLICIES = ("owe", "cap", "pending_only")
LINES = [{"sku": "A", "quantity": 2, "unit_price_minor": 3_000}, {"sku": "B", "quantity": 1, "unit_price_minor": 4_000}]


@pytest.fixture(autouse=True)
def believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lags here."""
    monkeypatch.setattr(proof, "TRIES", 1)


def a_desk(policy: str = "owe", **terms: Any) -> Desk:
    """A desk of a program with this policy, in memory."""
    desk = Works().desk
    desk.publish(1, negative_balance=policy, **terms)
    desk.clock.forward(hours=1)
    return desk


def a_member(desk: Desk) -> str:
    """A member with points to pay with."""
    member: str = desk.enrol().member_id
    desk.adjust(member, 2_000, key=f"start{member}")
    return member


def fault(desk: Desk, member: str) -> Fault | None:
    """What the proof finds in an account."""
    later = desk.clock() + timedelta(hours=1)
    return proof.prove(desk.table, Programs(desk.book), [AccountId(member)], now=later)[0].fault


def buy(desk: Desk, member: str, **fields: Any) -> str:
    """A purchase of 100 yuan that happens now; its id."""
    fields = {"lines": LINES, "paid_minor": 10_000, "occurred_at": desk.clock().isoformat(), **fields}
    purchase_id: str = desk.buy(a_purchase(member, **fields)).value.purchase_id
    return purchase_id


# ---------------------------------------------------------------- what is true holds


@pytest.mark.parametrize("tender", [None, 300, 200])
def test_a_purchase_that_was_paid_with_a_hold_holds(tender: int | None) -> None:
    desk = a_desk()
    member = a_member(desk)
    held = desk.hold(member, 300, key="h").value.hold_id
    bought = buy(desk, member, points_hold_id=held, points_tender=tender, paid_minor=9_700)
    assert fault(desk, member) is None
    desk.give_back(bought, key="r", amount_minor=3_000)
    desk.restate(bought, lines=LINES, paid_minor=9_900, points_tender=100)
    assert fault(desk, member) is None


def test_a_purchase_with_a_hold_from_a_till_whose_clock_is_ahead_holds() -> None:
    desk = a_desk()
    member = a_member(desk)
    held = desk.hold(member, 300, key="h").value.hold_id
    ahead = (desk.clock() + timedelta(seconds=90)).isoformat()
    buy(desk, member, points_hold_id=held, occurred_at=ahead)
    assert fault(desk, member) is None


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("pending_days", [0, 7])
@pytest.mark.parametrize("paid_minor", [0, 4_000, 25_000])
def test_a_purchase_restated_down_or_up_holds_and_its_returns_too(
    policy: str, pending_days: int, paid_minor: int
) -> None:
    desk = a_desk(policy, pending_days=pending_days)
    member = a_member(desk)
    bought = buy(desk, member, points_tender=100)
    desk.restate(bought, lines=LINES, paid_minor=paid_minor, points_tender=100)
    assert fault(desk, member) is None
    desk.give_back(bought, key="r1", lines=[{"sku": "A", "quantity": 1}])
    assert fault(desk, member) is None
    desk.clock.forward(days=8)
    desk.restate(bought, lines=LINES[:1], paid_minor=12_000)
    desk.give_back(bought, key="r2", amount_minor=1_000)
    assert fault(desk, member) is None
    desk.give_back(bought, key="r3")
    assert fault(desk, member) is None


def test_a_restatement_that_names_what_it_may_name_holds() -> None:
    desk = a_desk()
    member = a_member(desk)
    bought = buy(desk, member)
    view = desk.purchase(bought)
    named = {
        "member_id": member, "channel": view.channel, "order_no": view.order_no, "shop_id": view.shop_id,
        "occurred_at": view.occurred_at.isoformat(), "currency": "CNY",
    }  # fmt: skip
    desk.restate(bought, paid_minor=9_000, version=0, reason="till_corrected", **named)
    desk.restate(bought, paid_minor=8_000, version=1, shop_id=view.shop_id)
    desk.restate(bought, paid_minor=11_000, occurred_at=named["occurred_at"])
    assert fault(desk, member) is None


def test_an_order_that_earned_nothing_at_first_holds_when_it_grows() -> None:
    desk = a_desk(pending_days=7)
    member = a_member(desk)
    bought = buy(desk, member, paid_minor=50, lines=[])
    desk.restate(bought, paid_minor=10_000)
    desk.restate(bought, paid_minor=50)
    assert fault(desk, member) is None


@pytest.mark.parametrize("policy", POLICIES)
def test_returns_that_waited_hold_with_what_comes_after_them(policy: str) -> None:
    desk = a_desk(policy)
    member = a_member(desk)
    order = keys.purchase_id("pos", "early")
    desk.send_back(order, key="e1", lines=[{"sku": "A", "quantity": 1}])
    desk.send_back(order, key="e2", amount_minor=1_000)
    desk.send_back(order, key="e3", lines=[{"sku": "unknown", "quantity": 1}])
    held = desk.hold(member, 300, key="h").value.hold_id
    assert buy(desk, member, order_no="early", points_hold_id=held) == order
    assert fault(desk, member) is None
    desk.restate(order, lines=LINES, paid_minor=9_000, points_tender=300)
    desk.give_back(order, key="late", amount_minor=500)
    assert fault(desk, member) is None


def test_members_who_were_merged_hold_with_purchases_and_returns_on_both_sides_of_it() -> None:
    desk = a_desk()
    one, other = a_member(desk), a_member(desk)
    before = [buy(desk, one, points_tender=100), buy(desk, other)]
    desk.restate(before[0], lines=LINES, paid_minor=5_000)
    merge = desk.merge(one, other, key="m").value.merge_id
    before.append(buy(desk, one))
    for each in before:
        desk.give_back(each, key="r", amount_minor=1_000)
        desk.restate(each, lines=LINES, paid_minor=7_000)
    assert (fault(desk, one), fault(desk, other)) == (None, None)
    desk.undo_merge(merge)
    assert (fault(desk, one), fault(desk, other)) == (None, None)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("seed", range(8))
def test_any_mixture_of_holds_returns_restatements_and_deliveries_holds(policy: str, seed: int) -> None:
    drawn = random.Random(seed)
    desk = a_desk(policy, pending_days=drawn.choice((0, 5)))
    member = a_member(desk)
    orders: list[str] = []
    for number in range(25):
        desk.clock.forward(hours=drawn.choice((1, 60)))
        try:
            one_of_all(desk, member, orders, drawn, str(number))
        except Refusal:
            continue
    assert len(orders) > 1
    assert fault(desk, member) is None


def one_of_all(desk: Desk, member: str, orders: list[str], drawn: random.Random, key: str) -> None:
    """Buy, give back, restate or spend."""
    lines = drawn.choice((LINES, LINES[:1], []))
    what = drawn.choice(("buy", "held", "early", "lines", "amount", "all", "restate", "restate", "deliver", "spend"))
    if what == "buy" or not orders:
        waits = drawn.choice((False, True))
        orders.append(buy(desk, member, lines=lines, points_tender=drawn.choice((None, 100)), awaits_delivery=waits))
    elif what == "deliver":
        told = drawn.choice((None, desk.clock(), desk.clock() - timedelta(days=1)))
        desk.deliver(drawn.choice(orders), delivered_at=told)
    elif what == "held":
        held = desk.hold(member, 200, key=key).value.hold_id
        orders.append(buy(desk, member, lines=lines, points_hold_id=held, points_tender=drawn.choice((None, 100))))
    elif what == "early":
        desk.send_back(keys.purchase_id("pos", f"early{key}"), key="e", amount_minor=drawn.choice((500, 90_000)))
        orders.append(buy(desk, member, order_no=f"early{key}"))
    elif what == "restate":
        tender = drawn.choice((0, 100, 300))
        desk.restate(drawn.choice(orders), lines=lines, paid_minor=drawn.randrange(0, 30_000, 50), points_tender=tender)
    elif what == "spend":
        desk.spend(member, 400, key=key)
    else:
        ways: dict[str, dict[str, Any]] = {
            "lines": {"lines": [{"sku": "A", "quantity": 1}]},
            "amount": {"amount_minor": 700},
            "all": {},
        }
        desk.give_back(drawn.choice(orders), key=key, **ways[what])


def test_a_delivery_of_who_was_merged_goes_home_when_the_merge_is_undone() -> None:
    desk = a_desk(pending_days=5)
    one, other = a_member(desk), a_member(desk)
    order = buy(desk, other, awaits_delivery=True)
    before = points.find_points(desk.table, desk.book, MemberId(other), now=desk.clock())
    merge = desk.merge(other, one, key="m").value.merge_id
    desk.clock.forward(days=1)
    desk.deliver(order)
    desk.undo_merge(merge)
    desk.clock.forward(days=6)
    after = points.find_points(desk.table, desk.book, MemberId(other), now=desk.clock())
    assert (before.pending > 0, after.pending, after.available) == (True, 0, before.available + before.pending)
    assert (fault(desk, one), fault(desk, other)) == (None, None)


# ---------------------------------------------------------------- what is changed is found


def restated() -> tuple[Desk, str, Key]:
    """A purchase paid with a hold, returned, restated up, and returned again; all of it holds."""
    desk = a_desk()
    member = a_member(desk)
    held = desk.hold(member, 300, key="h").value.hold_id
    bought = buy(desk, member, points_hold_id=held)
    desk.give_back(bought, key="r1", lines=[{"sku": "A", "quantity": 1}])
    desk.restate(bought, lines=LINES, paid_minor=25_000, points_tender=300)
    desk.give_back(bought, key="r2", lines=[{"sku": "B", "quantity": 1}])
    key = keys.purchase_of(bought)
    assert key is not None
    assert fault(desk, member) is None
    return desk, member, key


def changed(desk: Desk, key: Key, **attributes: Any) -> Desk:
    """The same desk over a table in which an item has other attributes; None takes one away."""
    items = dict(desk.table.items)  # type: ignore[attr-defined]
    item = {**items[key], **attributes}
    return desk.over(MemoryTable({**items, key: {name: value for name, value in item.items() if value is not None}}))


def test_a_hold_or_money_changed_in_a_purchase_that_was_paid_with_one_is_found() -> None:
    desk, member, key = restated()
    item = desk.table.items[key]  # type: ignore[attr-defined]
    for other in ({"m": item["m"] + 1}, {"tn": item["tn"] + 1}, {"sh": "shp_other"}, {"cz": ["hold", "another"]}):
        found = fault(changed(desk, key, **other), member)
        assert found is not None, other
        assert found.key is not None
        assert found.key.kind == "purchase", found


@pytest.mark.parametrize("name", ["m", "tn", "ln", "e", "c", "q", "x", "pd"])
def test_any_figure_changed_in_how_a_purchase_is_stated_now_is_found(name: str) -> None:
    desk, member, key = restated()
    stated = desk.table.items[key]["rs"]  # type: ignore[attr-defined]
    other = stated[name] + (b"!" if name == "ln" else 10_000)
    for rs in ({**stated, name: other}, {each: value for each, value in stated.items() if each != name}):
        found = fault(changed(desk, key, rs=rs), member)
        assert found is not None
        assert found.seq == 3, found


def test_a_restatement_taken_away_from_its_purchase_or_counted_twice_is_found() -> None:
    desk, member, key = restated()
    count = desk.table.items[key]["rn"]  # type: ignore[attr-defined]
    for other in ({"rs": None}, {"rn": count + 1}, {"rn": count - 1}, {"ret": None}, {"ret": None, "rn": None}):
        found = fault(changed(desk, key, **other), member)
        assert found is not None, other
    assert fault(changed(desk, key, ret=None, rn=None, rs=None), member) is not None


def test_money_changed_in_a_restatement_and_in_its_purchase_alike_is_found() -> None:
    desk, member, key = restated()
    own = keys.restatement("pos", desk.purchase(keys.purchase_id(*keys.entry_parts(key)[1])).order_no, "2")
    stated = desk.table.items[key]["rs"]  # type: ignore[attr-defined]
    both = changed(changed(desk, own, m=stated["m"] + 50), key, rs={**stated, "m": stated["m"] + 50})
    found = fault(both, member)
    assert found is not None
    assert (found.key is not None and found.key.kind) == "restatement"


def test_more_coming_back_than_is_kept_of_a_restated_order_is_found() -> None:
    desk, member, key = restated()
    figures, quantities = desk.table.items[key]["ret"]  # type: ignore[attr-defined]
    found = fault(changed(desk, key, ret=[[*figures[:2], 25_001, *figures[3:]], quantities]), member)
    assert found is not None
    assert found.what == "more came back of the purchase than was bought"
