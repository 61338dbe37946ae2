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
from chalicelib.storage.writes import Item
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


# ---------------------------------------------------------------- which lines came back

TWINS = [{"sku": sku, "quantity": 3, "unit_price_minor": 2_000} for sku in "ABA"]


def returned() -> tuple[Desk, str, Key, list[Key]]:
    """A purchase with lines of one price, two of them alike, of which some came back three times; all of it holds."""
    desk = a_desk()
    member = a_member(desk)
    bought = buy(desk, member, lines=TWINS, paid_minor=18_000)
    desk.give_back(bought, key="r1", lines=[{"sku": "B", "quantity": 1}, {"sku": "A", "quantity": 4}])
    desk.give_back(bought, key="r2", lines=[{"sku": "B", "quantity": 1}], occurred_at=desk.clock().isoformat())
    desk.give_back(bought, key="r3", amount_minor=1_000)
    key = keys.purchase_of(bought)
    assert key is not None
    assert fault(desk, member) is None
    order_no = desk.purchase(bought).order_no
    return desk, member, key, [keys.purchase_return("pos", order_no, each) for each in ("r1", "r2", "r3")]


def test_lines_are_kept_as_they_were_named_and_counted_from_the_first_line_on() -> None:
    desk, _, key, returns = returned()
    items = desk.table.items  # type: ignore[attr-defined]
    assert items[returns[0]]["rl"] == [["B", 1], ["A", 4]]
    assert items[key]["ret"][1] == [3, 2, 1]


def test_all_that_is_left_holds_and_so_does_what_a_till_whose_clock_is_ahead_sends() -> None:
    desk, member, key, _ = returned()
    bought = keys.purchase_id(*keys.entry_parts(key)[1])
    ahead = (desk.clock() + timedelta(seconds=30)).isoformat()
    desk.give_back(bought, key="r4", lines=[{"sku": "A", "quantity": 1}], occurred_at=ahead)
    desk.give_back(bought, key="r5")
    items = desk.table.items  # type: ignore[attr-defined]
    order_no = desk.purchase(bought).order_no
    assert items[keys.purchase_return("pos", order_no, "r5")]["rl"] == [["B", 1], ["A", 1]]
    assert fault(desk, member) is None


@pytest.mark.parametrize("quantities", [[2, 3, 1], [3, 1, 2], [3, 3, 0], [3, 2], [3, 2, 1, 0]])
def test_quantities_moved_between_the_lines_that_a_purchase_counts_are_found(quantities: list[int]) -> None:
    desk, member, key, _ = returned()
    figures, _ = desk.table.items[key]["ret"]  # type: ignore[attr-defined]
    found = fault(changed(desk, key, ret=[figures, quantities]), member)
    assert found is not None
    assert (found.key is not None and found.key.kind) == "purchase"


@pytest.mark.parametrize(
    ("rows", "quantities"),
    [([["B", 2], ["A", 3]], [3, 3, 0]), ([["A", 5]], [3, 1, 2]), ([["A", 4], ["B", 1]], [3, 2, 1])],
)
def test_quantities_moved_in_a_return_and_in_its_purchase_alike_are_found(
    rows: list[Any], quantities: list[int]
) -> None:
    desk, member, key, returns = returned()
    figures, _ = desk.table.items[key]["ret"]  # type: ignore[attr-defined]
    both = changed(changed(desk, returns[0], rl=rows), key, ret=[figures, quantities])
    found = fault(both, member)
    assert found is not None
    assert found.what == "the return is not the one that the entry answers"
    assert (found.key is not None and found.key.parts[-1]) == "r1"


@pytest.mark.parametrize(("name", "others"), [("mb", (0, 1)), ("mb", (1, 2)), ("am", (0, 1)), ("am", (1, 2))])
def test_money_moved_between_two_returns_is_found(name: str, others: tuple[int, int]) -> None:
    desk, member, _, returns = returned()
    items = desk.table.items  # type: ignore[attr-defined]
    one, other = (returns[at] for at in others)
    moved = changed(changed(desk, one, **{name: items[one][name] + 500}), other, **{name: items[other][name] - 500})
    assert fault(moved, member) is not None


def test_lines_given_to_a_return_by_amount_or_taken_from_one_by_lines_are_found() -> None:
    desk, member, key, returns = returned()
    figures, _ = desk.table.items[key]["ret"]  # type: ignore[attr-defined]
    given = changed(changed(desk, returns[2], rl=[["B", 1]]), key, ret=[figures, [3, 3, 1]])
    taken = changed(changed(desk, returns[1], rl=None), key, ret=[figures, [3, 1, 1]])
    for each in (given, taken):
        found = fault(each, member)
        assert found is not None
        assert found.what == "the return is not the one that the entry answers"


# ---------------------------------------------------------------- accounts that were merged


def merged() -> tuple[Desk, dict[str, str], dict[str, Key]]:
    """Two members who became one: a purchase of each side, returned, restated and delivered on both sides of it."""
    desk = a_desk(pending_days=5)
    gone, stays = a_member(desk), a_member(desk)
    early = buy(desk, gone, points_tender=100, awaits_delivery=True)
    desk.give_back(early, key="r1", lines=[{"sku": "A", "quantity": 1}])
    desk.merge(gone, stays, key="m")
    late = buy(desk, gone)
    desk.clock.forward(days=1)
    desk.give_back(early, key="r2", lines=[{"sku": "B", "quantity": 1}])
    desk.deliver(early)
    desk.restate(early, lines=LINES, paid_minor=9_000, points_tender=100)
    desk.give_back(early, key="r3", amount_minor=500)
    desk.give_back(late, key="r4", lines=[{"sku": "A", "quantity": 2}])
    names = [desk.purchase(each).order_no for each in (early, late)]
    return desk, {"gone": gone, "stays": stays}, {
        "early": keys.purchase("pos", names[0]),
        "late": keys.purchase("pos", names[1]),
        **{key: keys.purchase_return("pos", names[0], key) for key in ("r1", "r2", "r3")},
        "r4": keys.purchase_return("pos", names[1], "r4"),
        "restated": keys.restatement("pos", names[0], "4"),
        "delivered": keys.delivery("pos", names[0]),
    }  # fmt: skip


def test_members_who_were_merged_hold_and_name_whom_a_purchase_was_sent_for() -> None:
    desk, members, where = merged()
    assert [fault(desk, each) for each in members.values()] == [None, None]
    late = desk.table.items[where["late"]]  # type: ignore[attr-defined]
    assert (late["ma"], late["tl"]) == (members["gone"], keys.statement(AccountId(members["stays"])))
    assert "ma" not in desk.table.items[where["early"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("row", "whose", "other"),
    [
        ("early", "gone", {"m": 20_000}),
        ("early", "gone", {"rn": 6}),
        ("early", "gone", {"rs": None}),
        ("early", "gone", {"dl": None}),
        ("early", "gone", {"ret": None}),
        ("late", "stays", {"m": 20_000}),
        ("late", "stays", {"sh": "shp_other"}),
        ("late", "stays", {"ma": "mem_aaaaaaaaaaaaaaaa", "m": 20_000}),
        ("late", "stays", {"ret": None, "rn": None}),
        ("r1", "gone", {"mb": 1}),
        ("r1", "gone", {"rl": [["B", 1]]}),
        ("r2", "gone", {"rl": [["A", 1]]}),
        ("r2", "gone", {"am": 1}),
        ("r3", "gone", {"mb": 400}),
        ("r4", "stays", {"rl": [["A", 1], ["B", 1]]}),
        ("restated", "gone", {"m": 20_000}),
        ("restated", "gone", {"tl": None, "at": "0"}),
        ("delivered", "gone", {"tl": "M#nobody"}),
    ],
    ids=str,
)
def test_what_is_changed_in_a_sale_of_members_who_were_merged_is_found(
    row: str, whose: str, other: dict[str, Any]
) -> None:
    desk, members, where = merged()
    found = fault(changed(desk, where[row], **other), members[whose])
    assert found is not None
    if "tl" not in other:
        others = {"gone": "stays", "stays": "gone"}
        assert fault(changed(desk, where[row], **other), members[others[whose]]) is None, "the other account holds"


def test_a_return_that_is_in_no_account_is_found() -> None:
    desk, members, where = merged()
    items = dict(desk.table.items)  # type: ignore[attr-defined]
    for whose, listed in (("gone", "gone"), ("stays", "gone"), ("stays", None)):
        forged = {**items[where["r3"]], "sk": "RF#r9", "mb": 450, "at": "L#99999999999999#000000000"}
        forged = {**forged, "tl": keys.statement(AccountId(members[listed]))} if listed else _without(forged, "tl")
        figures, quantities = items[where["early"]]["ret"]
        counted = {**items[where["early"]], "rn": 6, "ret": [[2, 1_000, 900, *figures[3:]], quantities]}
        table = MemoryTable({**items, Key(where["r3"].pk, "RF#r9"): forged, where["early"]: counted})
        assert fault(desk.over(table), members["gone"]) is not None, whose


def _without(item: dict[str, Any], name: str) -> dict[str, Any]:
    return {each: value for each, value in item.items() if each != name}


def test_a_purchase_deleted_after_its_return_moved_to_another_account_is_found_in_both() -> None:
    desk, members, where = merged()
    items = {key: item for key, item in desk.table.items.items() if key != where["early"]}  # type: ignore[attr-defined]
    alone = desk.over(MemoryTable(items))
    assert fault(alone, members["gone"]) is not None
    found = fault(alone, members["stays"])
    assert found is not None
    assert found.what == "the purchase does not count the return"


def test_a_row_of_another_account_that_cannot_be_read_is_told_in_plain_words() -> None:
    desk, members, where = merged()
    found = fault(changed(desk, where["r2"], rl=[["A"]]), members["gone"])
    assert found is not None
    assert "in another account cannot be read" in found.what


@pytest.mark.parametrize("seed", range(12))
def test_any_life_with_merges_and_their_undoing_holds(seed: int) -> None:
    drawn = random.Random(seed)
    desk = a_desk(drawn.choice(POLICIES), pending_days=drawn.choice((0, 5)))
    members = [a_member(desk) for _ in range(3)]
    orders: list[str] = []
    merges: list[str] = []
    for number in range(30):
        desk.clock.forward(hours=drawn.choice((1, 20)))
        try:
            if number % 6 == 2:
                one, other = drawn.sample(members, 2)
                merges.append(desk.merge(one, other, key=f"m{number}").value.merge_id)
            elif number % 6 == 5 and merges:
                desk.undo_merge(merges.pop(drawn.randrange(len(merges))))
            else:
                one_of_all(desk, drawn.choice(members), orders, drawn, str(number))
        except Refusal:
            continue
    assert merges or len(orders) > 1
    assert [fault(desk, each) for each in members] == [None, None, None]


@pytest.mark.parametrize("policy", POLICIES)
def test_what_a_purchase_says_that_there_was_after_the_returns_that_waited_follows_from_them(policy: str) -> None:
    desk = a_desk(policy)
    member = a_member(desk)
    order = keys.purchase_id("pos", "early")
    desk.send_back(order, key="e1", lines=[{"sku": "A", "quantity": 1}])
    desk.send_back(order, key="e2", amount_minor=1_000)
    buy(desk, member, order_no="early")
    desk.give_back(order, key="r1", amount_minor=500)
    assert fault(desk, member) is None
    items: dict[Key, Item] = desk.table.items  # type: ignore[attr-defined]
    key = keys.purchase("pos", "early")
    balance, tier_id = items[key]["af"]
    for said in ([balance + 1, tier_id], [balance + 30, tier_id], [balance, "gold"]):
        items[key] = {**items[key], "af": said}
        found = fault(desk, member)
        assert found is not None
        assert found.what == "what the account had after the returns that waited does not follow"
