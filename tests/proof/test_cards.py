"""Whatever of a card is changed in the table past the product is found: its entries, what it is, and whose."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.cards.models import (
    CloseCard,
    ExtendCard,
    Paid,
    RefundCard,
    RefundCardSpend,
    ReverseCardUse,
    SpendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.kernel.ids import AccountId
from chalicelib.points import store as points_store
from chalicelib.proof import service as proof
from chalicelib.proof.models import Fault
from chalicelib.proof.service import Programs
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.faults.works import Works
from tests.makers import a_purchase
from tests.memory import MemoryTable
from tests.proof.test_tampering import NOT_COVERED as NOT_COVERED_ANYWHERE
from tests.proof.test_tampering import spoilt
from tests.table.stand import Desk

OF_CARDS = {
    ("top_up", "gv"): "what nobody paid for, noted for who watches gifts",
}
"""What a change to which is not found, of cards alone. `docs/proof.md` says the same."""

NOT_COVERED = NOT_COVERED_ANYWHERE | OF_CARDS

VISITS: dict[str, Any] = {
    "kind": "count", "uses": 10, "price_minor": 100_01, "expires_on": "2026-12-31", "product": "yoga", "name": "十次卡",
    "card_number": "No-1", "means": [
        {"kind": "cash", "amount_minor": 40_00}, {"kind": "wechat_pay", "amount_minor": 60_01, "reference": "wx-9"},
    ],
}  # fmt: skip


def a_top_up(amount: int, bonus: int = 0, **fields: Any) -> TopUpCard:
    """A top-up paid by two means."""
    means = (Paid(kind="cash", amount_minor=10_00), Paid(kind="alipay", amount_minor=amount - 10_00, reference="al-1"))
    return TopUpCard(**{"amount_minor": amount, "bonus_minor": bonus, "means": means, **fields})


def lived() -> tuple[Desk, str, str]:
    """A card of each kind with all that can happen to them."""
    desk = Works().desk
    desk.clock.forward(hours=1)
    member = desk.enrol().member_id
    money = desk.open_card(member, key="m", name="礼品卡").value.card_id
    earlier = desk.clock() - timedelta(minutes=30)
    desk.on_card(money, a_top_up(100_00, 20_00, reference="R-1", bonus_expires_on="2026-12-31"), key="t1")
    desk.on_card(money, a_top_up(50_00, occurred_at=earlier), key="t2")
    desk.on_card(money, a_top_up(70_00, 70_00), key="t3")
    spent = desk.on_card(money, SpendCard(amount_minor=33_33, reference="pos-1/A-1"), key="s1").value.entry_id
    desk.on_card(money, SpendCard(amount_minor=1_00, occurred_at=earlier), key="s2")
    desk.on_card(money, RefundCardSpend(spend_id=spent, amount_minor=11_11), key="b1")
    desk.on_card(money, RefundCardSpend(spend_id=spent), key="b2")
    desk.on_card(money, RefundCard(amount_minor=90_00), key="r1")
    desk.on_card(money, RefundCard(amount_minor=50_00), key="r2")
    visits = desk.open_card(member, key="v", **VISITS).value.card_id
    used = desk.on_card(visits, UseCard(count=3, reference="desk-1"), key="u1").value.entry_id
    desk.on_card(visits, ReverseCardUse(use_id=used, count=1), key="ru1")
    desk.on_card(visits, ExtendCard(expires_on=date(2027, 6, 30), reason="shop_closed"), key="x1")
    desk.on_card(visits, RefundCard(uses=3), key="r3")
    desk.on_card(visits, RefundCard(uses=2), key="r4")
    return desk, money, visits


DESK, MONEY, COUNT = lived()
ITEMS: dict[Key, Item] = DESK.table.items  # type: ignore[attr-defined]
ENTRIES = {points_store.key_of(entry.key): entry for card in (MONEY, COUNT) for entry in DESK.entries(card)}


@pytest.fixture(autouse=True)
def believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lags here."""
    monkeypatch.setattr(proof, "TRIES", 1)


def faults(items: Mapping[Key, Item], desk: Desk = DESK, cards: tuple[str, ...] = (MONEY, COUNT)) -> list[Fault]:
    """What the proof finds in cards when these are the items."""
    over = desk.over(MemoryTable(dict(items)))
    later = desk.clock() + timedelta(hours=1)
    proven = proof.prove(over.table, Programs(over.book), [AccountId(each) for each in cards], now=later)
    return [each.fault for each in proven if each.fault is not None]


def stored() -> list[tuple[Key, str]]:
    """Every attribute of what a card is, of whose it is, of its account and of every entry."""
    beside = [place(card) for card in (MONEY, COUNT) for place in (keys.account, keys.profile, keys.card_owner)]
    return [(key, name) for key in [*beside, *ENTRIES] for name in ITEMS[key] if name not in ("pk", "sk")]


def kind_of(key: Key) -> str:
    """What an item is."""
    return ENTRIES[key].key.kind if key in ENTRIES else key.sk.lower()


def test_cards_hold_before_anybody_changes_them() -> None:
    assert faults(ITEMS) == []


@pytest.mark.parametrize(("key", "name"), stored(), ids=lambda each: each if isinstance(each, str) else kind_of(each))
def test_one_byte_of_any_attribute_of_a_card_is_found(key: Key, name: str) -> None:
    missed = 0
    for value in spoilt(ITEMS[key][name]):
        found = faults({**ITEMS, key: {**ITEMS[key], name: value}})
        missed += not found
        if found and name in ("what", "rf"):
            assert found[0].key == ENTRIES[key].key
    assert (missed > 0) == ((kind_of(key), name) in NOT_COVERED), f"{missed} changes were not found"


@pytest.mark.parametrize(("key", "name"), stored(), ids=lambda each: each if isinstance(each, str) else kind_of(each))
def test_an_attribute_of_a_card_that_is_taken_away_is_found(key: Key, name: str) -> None:
    found = faults({**ITEMS, key: {each: value for each, value in ITEMS[key].items() if each != name}})
    assert found or (kind_of(key), name) in NOT_COVERED


def test_what_of_cards_is_said_not_to_be_covered_is_there_to_be_changed() -> None:
    assert OF_CARDS.keys() <= {(kind_of(key), name) for key, name in stored()}


def test_a_card_that_another_member_is_said_to_own_is_named() -> None:
    other = DESK.enrol().member_id
    key = keys.card_owner(MONEY)
    given = {**ITEMS[key], "member_id": other, "tl": keys.cards_of(other)}
    opening = DESK.entries(MONEY)[0]
    what = "the card's owner is not the member for whom it was opened"
    assert faults({**ITEMS, key: given}) == [Fault(1, what, opening.key)]


def test_a_card_without_an_owner_is_found() -> None:
    for place in (keys.profile, keys.card_owner):
        assert len(faults({key: item for key, item in ITEMS.items() if key != place(COUNT)})) == 1


def test_the_name_of_a_card_goes_with_an_erased_owner_and_only_then() -> None:
    key = keys.profile(MONEY)
    unnamed = {**ITEMS, key: {name: value for name, value in ITEMS[key].items() if name != "name"}}
    assert [fault.what for fault in faults(unnamed)] == ["the card is not the one that the entry opened"]
    owner = keys.profile(ITEMS[keys.card_owner(MONEY)]["member_id"])
    assert faults({**unnamed, owner: {**ITEMS[owner], "erased": 1}}) == []


def test_another_means_of_a_top_up_is_named_by_its_row() -> None:
    key = next(key for key, entry in ENTRIES.items() if entry.key.parts[1:] == ("t2",))
    means = [["cash", 10_00, "", ""], ["alipay", 40_00, "somebody-else", ""]]
    what = "the means or the reference are not those that the entry answers"
    assert faults({**ITEMS, key: {**ITEMS[key], "what": {"means": means}}}) == [
        Fault(ENTRIES[key].seq, what, ENTRIES[key].key)
    ]


def test_cards_of_members_who_were_merged_and_of_tills_whose_clock_is_ahead_hold() -> None:
    desk = Works().desk
    desk.clock.forward(hours=1)
    one, other = desk.enrol().member_id, desk.enrol().member_id
    before = desk.open_card(one, key="before").value.card_id
    merge = desk.merge(one, other, key="m").value.merge_id
    after = desk.open_card(one, key="after", **VISITS).value.card_id
    ahead = desk.clock() + timedelta(seconds=90)
    desk.on_card(before, a_top_up(80_00, 3_00, occurred_at=ahead), key="t")
    desk.on_card(before, SpendCard(amount_minor=5, occurred_at=ahead), key="s")
    desk.on_card(after, UseCard(occurred_at=ahead), key="u")
    cards = (before, after)
    items: dict[Key, Item] = desk.table.items  # type: ignore[attr-defined]
    assert faults(items, desk, cards) == []
    opening = keys.entry("card", "after")
    unsaid = {name: value for name, value in items[opening].items() if name != "ma"}  # as it was written once
    assert faults({**items, opening: unsaid}, desk, cards) == []
    desk.undo_merge(merge)
    assert faults(desk.table.items, desk, cards) == []  # type: ignore[attr-defined]


def test_a_card_that_lapsed_or_was_closed_holds() -> None:
    desk = Works().desk
    desk.clock.forward(hours=1)
    member = desk.enrol().member_id
    bonus = desk.open_card(member, key="b").value.card_id
    visits = desk.open_card(member, key="v", **VISITS).value.card_id
    desk.on_card(bonus, a_top_up(20_00, 5_00, bonus_expires_on="2026-12-31"), key="t")
    desk.on_card(bonus, RefundCard(amount_minor=19_99), key="r")
    desk.clock.at("2027-02-01")
    desk.on_card(bonus, RefundCard(), key="r2")
    desk.on_card(visits, ExtendCard(expires_on=date(2027, 6, 30), reason="goodwill"), key="x")
    desk.on_card(visits, RefundCard(), key="r3")
    for card in (bonus, visits):
        desk.card_status(card, CloseCard(reason="gone"))
    assert faults(desk.table.items, desk, (bonus, visits)) == []  # type: ignore[attr-defined]


def test_points_that_wait_cannot_be_let_go_past_the_product() -> None:
    desk = Works().desk
    desk.clock.forward(hours=1)
    member = desk.enrol().member_id
    desk.buy(a_purchase(member, awaits_delivery=True, occurred_at=desk.clock().isoformat()))
    items: dict[Key, Item] = dict(desk.table.items)  # type: ignore[attr-defined]
    key = keys.account(AccountId(member))
    assert faults(items, desk, (member,)) == []
    freed = {name: value for name, value in items[key].items() if name != "pending"}
    assert [fault.what for fault in faults({**items, key: freed}, desk, (member,))] == [
        "the account's pending points are not what its entries add up to"
    ]
