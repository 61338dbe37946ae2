"""Whatever is changed in the table past the product is found, and named by row; what is not covered is listed here."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.kernel.ids import AccountId
from chalicelib.points import store as points_store
from chalicelib.points.models import Account, Reason
from chalicelib.proof import rules as proof_rules
from chalicelib.proof import sales
from chalicelib.proof import service as proof
from chalicelib.proof.models import Earlier, Fault, Head
from chalicelib.proof.service import Programs
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.faults.works import Works
from tests.makers import a_purchase
from tests.memory import MemoryTable
from tests.proof.world import a_full_member
from tests.table.stand import Desk

NOT_COVERED = {
    ("account", "into"): "which account answers for it; the merge's entries are in the chain",
    ("account", "absorbed"): "the accounts that it answers for; the merge's entries are in the chain",
    ("account", "whole"): "until when nothing is folded, so that a merge can be undone",
    ("account", "opened"): "when the account was opened; nothing is worked out from it",
    ("account", "told"): "through when the member was told of expiries",
    ("account", "due"): "where the index lists the account; jobs mend it",
    ("account", "version"): "counts writes, so that two at once are noticed",
    ("spend", "rf"): "the caller's reference: in the digest, but the time that the caller gave is not kept",
    ("merge_in", "rf"): "the merge's id",
    ("merge_in", "mf"): "who went; the entry in their own account is in its chain",
    ("merge_in", "mi"): "who stayed; the entry in their own account is in its chain",
    ("adjust", "nm"): "a note: it can be erased",
    ("adjust", "note_internal"): "a note: it can be erased",
}
"""What a change to which is not found, and why that is accepted. `docs/proof.md` says the same."""


def lived() -> tuple[Desk, str]:
    """A member with entries of every kind and reason, and purchases and returns with all that belongs to them."""
    works = Works()
    desk = works.desk
    desk.clock.forward(hours=1)  # whose clock is ahead of ours is another matter (`Sales._fits`)
    member = a_full_member(desk)
    desk.merge(desk.enrol().member_id, member, key=f"m{member}")
    desk.clock.at("2026-04-02")
    shop = {"shop_id": "shp_main", "points_tender": 100, "occurred_at": "2026-04-01T12:00:00+08:00"}
    lines = [{"sku": "L1", "quantity": 2, "unit_price_minor": 1_500, "name": "拿铁", "category": "咖啡"}]
    some = desk.buy(a_purchase(member, paid_minor=2_900, lines=lines, **shop)).value
    desk.give_back(some.purchase_id, key="r3", lines=[{"sku": "L1", "quantity": 1}])
    held = desk.hold(member, 100, key=f"held{member}").value.hold_id
    desk.clock.forward(minutes=1)
    order = a_purchase(member, paid_minor=3_900, points_hold_id=held, occurred_at="2026-04-01T12:00:00+08:00")
    changed = desk.buy(order).value.purchase_id
    desk.restate(changed, paid_minor=5_900, lines=lines, points_tender=100, reason="till_corrected")
    desk.give_back(changed, key="r4", lines=[{"sku": "L1", "quantity": 1}])
    waits = a_purchase(member, paid_minor=2_200, awaits_delivery=True, occurred_at="2026-04-01T12:00:00+08:00")
    late = desk.buy(waits).value.purchase_id
    desk.clock.forward(days=2)
    desk.deliver(late, delivered_at=desk.clock() - timedelta(days=1))
    desk.give_back(late, key="r5", amount_minor=500)
    desk.adjust(member, -5, key=f"down{member}", occurred_at=desk.clock() - timedelta(days=2))
    desk.clock.at("2027-04-15")
    desk.buy(a_purchase(member, paid_minor=700_000, lines=[], occurred_at="2027-04-15T09:00:00+08:00"))
    assert {entry.reason for entry in desk.entries(member)} >= {
        Reason.EARN, Reason.SPEND, Reason.ADJUST, Reason.REVERSE, Reason.EXPIRE, Reason.TIER, Reason.HOLD,
        Reason.RELEASE, Reason.TRANSFER, Reason.MERGE,
    }  # fmt: skip
    return desk, member


DESK, MEMBER = lived()
ENTRIES = {points_store.key_of(entry.key): entry for entry in DESK.entries(MEMBER)}
PLACES = [keys.account(MEMBER), *ENTRIES]


@pytest.fixture(autouse=True)
def believed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing lags here."""
    monkeypatch.setattr(proof, "TRIES", 1)


def fault_in(items: Mapping[Key, Item], earlier: Earlier | None = None) -> Fault | None:
    """What the proof finds in the account when these are the items."""
    table = MemoryTable(dict(items))
    desk = DESK.over(table)
    later = DESK.clock() + timedelta(hours=1)
    return proof.prove(table, Programs(desk.book), [AccountId(MEMBER)], now=later, earlier=earlier)[0].fault


def places(value: Sequence[Any]) -> list[int]:
    """The first, a middle and the last place of a text."""
    return sorted({0, len(value) // 2, len(value) - 1} if value else ())


def spoilt(value: Any) -> Iterator[Any]:
    """A value with one byte, digit or part of it another, in several places."""
    match value:
        case bool():
            yield not value
        case int():
            yield value + 1
        case bytes():
            yield from (value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :] for at in places(value))
        case str():
            yield from (value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :] for at in places(value))
        case list():
            for at, each in enumerate(value):
                for other in spoilt(each):
                    yield [*value[:at], other, *value[at + 1 :]]
        case dict():
            for name, each in value.items():
                for other in spoilt(each):
                    yield {**value, name: other}


def kind_of(key: Key) -> str:
    """What an item is."""
    return "account" if key == keys.account(MEMBER) else ENTRIES[key].key.kind


def stored() -> list[tuple[Key, str]]:
    """Every attribute of the account and of every entry."""
    return [(key, name) for key in PLACES for name in DESK.table.items[key] if name not in ("pk", "sk")]  # type: ignore[attr-defined]


ITEMS: dict[Key, Item] = DESK.table.items  # type: ignore[attr-defined]


def test_it_holds_before_anybody_changes_it() -> None:
    assert fault_in(ITEMS) is None


@pytest.mark.parametrize(("key", "name"), stored(), ids=lambda each: each if isinstance(each, str) else kind_of(each))
def test_one_byte_of_any_attribute_is_found_and_the_row_named(key: Key, name: str) -> None:
    missed = 0
    for value in spoilt(ITEMS[key][name]):
        found = fault_in({**ITEMS, key: {**ITEMS[key], name: value}})
        missed += found is None
        if found is not None and key in ENTRIES and name not in ("tl", "at"):
            beside = ENTRIES[key].key.kind in ("return", "restatement") and name in ("am", "mb", "rl", "cu")
            assert found.seq == ENTRIES[key].seq or beside, found  # such a one is told of its purchase
    assert (missed > 0) == ((kind_of(key), name) in NOT_COVERED), f"{missed} changes were not found"


@pytest.mark.parametrize(("key", "name"), stored(), ids=lambda each: each if isinstance(each, str) else kind_of(each))
def test_an_attribute_that_is_taken_away_is_found(key: Key, name: str) -> None:
    gone = {"tl", "at"} if name in ("tl", "at") else {name}  # without either a row is not in the index
    found = fault_in({**ITEMS, key: {n: value for n, value in ITEMS[key].items() if n not in gone}})
    assert found is not None or (kind_of(key), name) in NOT_COVERED


def test_what_is_said_not_to_be_covered_is_there_to_be_changed() -> None:
    seen = {(kind_of(key), name) for key, name in stored()}
    assert set(NOT_COVERED) - seen <= {("account", "into"), ("account", "told"), ("account", "due")}


@pytest.mark.parametrize("at", range(len(ENTRIES)))
def test_any_entry_deleted_is_found(at: int) -> None:
    key = list(ENTRIES)[at]
    found = fault_in({each: item for each, item in ITEMS.items() if each != key})
    assert found is not None
    assert found.seq in (ENTRIES[key].seq, ENTRIES[key].seq + 1, len(ENTRIES) - 1)


def test_the_last_entry_deleted_and_the_account_put_back_is_found_by_the_root_alone() -> None:
    entries = sorted(ENTRIES.values(), key=lambda entry: entry.seq)
    account = DESK.account(MEMBER)
    before = folded(account, entries[:-2])
    items = {key: item for key, item in ITEMS.items() if key not in list(map(points_store.key_of, last(entries, 2)))}
    items[keys.account(MEMBER)] = stored_account(before)
    assert fault_in(items) is None
    signed = Earlier(date(2027, 3, 16), {account.member_id: Head(account.member_id, account.seq, account.head)})
    found = fault_in(items, signed)
    assert found is not None
    assert "is gone" in found.what


def last(entries: list[Any], count: int) -> list[Any]:
    """The keys of the last entries."""
    return [entry.key for entry in entries[-count:]]


def folded(account: Account, entries: list[Any]) -> Account:
    """The account as it was after some entries."""
    seen: list[Account] = []
    proof_rules.verify(account, entries, Programs(DESK.book), watch=lambda after, _: seen.append(after))
    return seen[-1].model_copy(update={"version": account.version})


def stored_account(account: Account) -> Item:
    """The item of an account."""
    key = keys.account(MEMBER)
    item = {name: value for name, value in points_store._account_item(account, None).items() if value is not None}
    return {**item, "pk": key.pk, "sk": key.sk}


def test_two_entries_that_change_places_are_found() -> None:
    one, other = list(ENTRIES)[3:5]
    swapped = {**ITEMS, one: {**ITEMS[one], "at": ITEMS[other]["at"]}, other: {**ITEMS[other], "at": ITEMS[one]["at"]}}
    assert fault_in(swapped) is not None


def test_an_entry_written_twice_is_found() -> None:
    key = list(ENTRIES)[2]
    twin = Key(key.pk + "x", key.sk)
    assert fault_in({**ITEMS, twin: {**ITEMS[key], "pk": twin.pk}}) is not None


def test_an_entry_of_another_member_is_found() -> None:
    other = DESK.enrol().member_id
    DESK.adjust(other, 10, key="another's")
    items = dict(DESK.table.items)  # type: ignore[attr-defined]
    key = keys.entry("adjust", "another's")
    assert fault_in({**items, key: {**items[key], "tl": keys.statement(MEMBER)}}) is not None


@pytest.mark.parametrize(("kind", "name", "value"), [
    ("account", "life", 5), ("account", "tier", None), ("purchase", "ln", b"!"), ("purchase", "r", "?"),
    ("spend", "o", "yesterday"),
])  # fmt: skip
def test_a_row_that_cannot_be_read_is_named_in_plain_words(kind: str, name: str, value: Any) -> None:
    key = next(each for each in PLACES if kind_of(each) == kind)
    found = fault_in({**ITEMS, key: {**ITEMS[key], name: value}})
    assert found is not None
    assert "cannot be read" in found.what
    assert not set(found.what) & set("()'_"), found.what
    assert found.key == (ENTRIES[key].key if key in ENTRIES else None)


def test_points_given_by_hand_are_found() -> None:
    key = keys.account(MEMBER)
    life = list(ITEMS[key]["life"])
    life[0] += 1_000
    assert fault_in({**ITEMS, key: {**ITEMS[key], "life": life}}) is not None


def test_a_purchase_whose_price_is_raised_before_it_is_returned_is_found() -> None:
    key = next(each for each in ENTRIES if ENTRIES[each].key.kind == "purchase")
    found = fault_in({**ITEMS, key: {**ITEMS[key], "m": ITEMS[key]["m"] + 100_000}})
    assert found == Fault(ENTRIES[key].seq, "the sale is not the one that the entry answers", ENTRIES[key].key)


# ---------------------------------------------------------------- a proof that overlooks something


def _plant_chain(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof_rules, "chained", lambda before, content: content and ITEMS_BY_SEQ[content["seq"]])


def _plant_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof_rules, "_fault_at_end", lambda folded, account, on: None)


def _plant_sales(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sales.Sales, "fault", lambda self: None)


def _plant_beyond(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(proof, "UNDER_WAY", timedelta(days=9_999))


ITEMS_BY_SEQ = {entry.seq: entry.hash for entry in ENTRIES.values()}


@pytest.mark.parametrize(
    ("plant", "spoil"),
    [
        (_plant_chain, ("spend", "d")),
        (_plant_end, ("account", "life")),
        (_plant_sales, ("purchase", "m")),
    ],
    ids=["no chain", "no comparison with the account", "no sales"],
)
def test_a_proof_that_overlooks_something_would_be_noticed(
    plant: Callable[[pytest.MonkeyPatch], None], spoil: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, name = spoil
    key = next(each for each in PLACES if kind_of(each) == kind)
    changed = copy.deepcopy({**ITEMS, key: {**ITEMS[key], name: next(spoilt(ITEMS[key][name]))}})
    assert fault_in(changed) is not None
    plant(monkeypatch)
    assert fault_in(changed) is None


def test_an_entry_beyond_the_head_would_be_overlooked_without_a_limit_to_what_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entries = sorted(ENTRIES.values(), key=lambda entry: entry.seq)
    items = {**ITEMS, keys.account(MEMBER): stored_account(folded(DESK.account(MEMBER), entries[:-2]))}
    found = fault_in(items)
    assert found is not None
    assert found.what == "the entry is beyond the account's head"
    _plant_beyond(monkeypatch)
    assert fault_in(items) is None
