"""Reversals over a real table: an entry is taken back once, whatever races and wherever it crashes."""

from functools import partial
from typing import Any

import pytest

from chalicelib.api.problems import STATUS
from chalicelib.corrections import service as corrections
from chalicelib.corrections.errors import EntryNotReversible, ReversalDiffers
from chalicelib.corrections.models import EntryDetail
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import EntryId, is_card, packed
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import store
from chalicelib.points.errors import EntryUnknown, MemberClosed
from chalicelib.points.models import Entry, Reason
from chalicelib.points.service import list_statement
from chalicelib.relay import service as relay
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered
from tests.table.test_relay import a_whole_life, lives_of_cards


def spent(desk: Desk, key: str = "s", **fields: Any) -> Entry:
    """A spend of all that a new member has."""
    member = desk.enrol().member_id
    desk.adjust(member, 100, key=f"a-{key}")
    desk.spend(member, 100, key=key, **fields)
    return desk.entries(member)[-1]


def detail(desk: Desk, entry: Entry) -> EntryDetail:
    """An entry in full."""
    return corrections.find_entry(desk.table, desk.book, keys.entry_id(store.key_of(entry.key)), language=Language.EN)


def test_a_spend_is_taken_back_and_counts_again_when_that_is_taken_back(desk: Desk) -> None:
    entry = spent(desk, reference="R1")
    member = entry.member_id
    back = desk.take_back(entry, note_to_member="our mistake", note_internal="till was wrong").value
    assert (back.reason, back.points, back.balance_after, back.reason_code, back.reference, back.note_to_member) == (
        Reason.REVERSE, 100, 100, "mistake", "R1", "our mistake",
    )  # fmt: skip
    part = list_statement(desk.table, desk.book, desk.member(member).member_id, after=None, limit=1,
                          language=Language.EN)  # fmt: skip
    assert part.items == (back,)
    shown = detail(desk, entry)
    assert (shown.points_spent, shown.reversed_by_id, shown.cause_id) == (100, back.entry_id, None)
    reversed_ = detail(desk, desk.entries(member)[-1])
    assert (reversed_.points_spent, reversed_.cause_id, reversed_.reversed_by_id) == (-100, shown.entry_id, None)
    assert reversed_.member_id == member

    desk.take_back(desk.entries(member)[-1])

    assert desk.sums(member) == (4, 0, 0)
    with pytest.raises(ReversalDiffers):
        desk.take_back(entry)


def test_the_same_reversal_again_is_answered_the_same_also_when_the_points_are_gone(desk: Desk) -> None:
    entry = spent(desk)
    first = desk.take_back(entry)
    desk.spend(entry.member_id, 100, key="again")
    desk.clock.forward(days=400)
    assert desk.take_back(entry) == Outcome(first.value, replayed=True)
    with pytest.raises(ReversalDiffers):
        desk.take_back(entry, reason_code="fraud")


def test_many_reversals_at_once_have_one_effect(desk: Desk, dynamo: Dynamo) -> None:
    entry = spent(desk)
    answers = at_once(dynamo, *(lambda: desk.take_back(entry) for _ in range(6)))
    assert len({answer.value.model_dump_json() for answer in answers if isinstance(answer, Outcome)}) == 1
    assert all(isinstance(answer, Outcome) for answer in answers)
    others = at_once(dynamo, *(lambda n=n: desk.take_back(entry, reason_code=f"r{n}") for n in range(4)))
    assert all(isinstance(answer, ReversalDiffers) for answer in others)
    assert desk.sums(entry.member_id) == (3, 100, 100)


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(desk: Desk, table: DynamoTable) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 8):
            run += 1
            entry = spent(desk, key=f"s{run}")
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            try:
                dying.take_back(entry)
            except Crashed:
                assert desk.sums(entry.member_id) in ((2, 0, 0), (3, 100, 100))
            desk.take_back(entry)
            assert desk.sums(entry.member_id) == (3, 100, 100)
            if crashing.count < at:
                break
    assert run >= 6, "nothing crashed"


def test_a_dry_run_writes_nothing_and_what_cannot_be_taken_back_is_refused(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    entry = spent(desk)
    sale = desk.buy(a_purchase(entry.member_id)).value
    bought = desk.entries(entry.member_id)[-1]
    before = scan(dynamo, table.name)
    tried = desk.take_back(entry, dry_run=True)
    assert (tried.stored, tried.value.balance_after) == (False, 138)
    with pytest.raises(EntryNotReversible) as refused:
        desk.take_back(bought)
    assert f"/v1/purchases/{sale.purchase_id}/returns" in str(refused.value)
    assert scan(dynamo, table.name) == before
    desk.give_back(sale.purchase_id, key="r")
    with pytest.raises(EntryNotReversible) as refused:
        desk.take_back(desk.entries(entry.member_id)[-1])
    assert f"PUT /v1/purchases/{sale.purchase_id}" in str(refused.value)
    desk.close(entry.member_id)
    with pytest.raises(MemberClosed):
        desk.take_back(entry)


def test_no_entry_of_any_kind_makes_a_fault_and_none_of_a_card_is_taken_back(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    lives_of_cards(desk, desk.enrol().member_id)
    desk.clock.at("2026-03-15")
    a_whole_life(desk)
    desk.publish(2, negative_balance="cap")
    desk.clock.forward(minutes=1)
    desk.take_back(desk.entries(spent(desk).member_id)[0])
    entries = [store.entry_from(item) for item in scan(dynamo, table.name).values() if "r" in item]
    assert {entry.key.kind for entry in entries} == set(relay.FROM_ENTRY)
    for entry in entries:
        try:
            desk.take_back(entry, dry_run=True)
        except Refusal as refused:
            assert STATUS[refused.code] == 409, entry.key
            assert isinstance(refused, EntryNotReversible) or not is_card(entry.member_id)
        else:
            assert not is_card(entry.member_id)
        assert detail(desk, entry).seq == entry.seq


def test_ids_that_name_no_entry_are_unknown(desk: Desk) -> None:
    member = desk.enrol(key="k").member_id
    entry = spent(desk)
    good = keys.entry_id(store.key_of(entry.key))
    foreign = ["K#enrol#k", "K#spend#none", keys.account(member).pk, "PROGRAM", "K", "K#spend", "O#pos", "O#a#b#c", "",
               "R#O%23pos%231#RF", "R#O%23pos%231#O", "R#K%23spend%23s#O", "K#spend#s%24", "#"]  # fmt: skip
    for each in (*(f"ent_{packed(plain)}" for plain in foreign), good + "A", good[:-1], "ent_!"):
        with pytest.raises(EntryUnknown):
            corrections.find_entry(desk.table, desk.book, EntryId(each), language=Language.EN)
    assert detail(desk, entry).entry_id == good


def test_an_entry_of_before_a_merge_is_taken_back_where_its_points_are_and_goes_home_with_its_member(
    desk: Desk,
) -> None:
    entry, kept = spent(desk), desk.enrol().member_id
    merged = desk.merge(entry.member_id, kept, key="m").value
    desk.take_back(entry)
    assert desk.points(kept).available == 100
    assert (merged.points_moved, desk.undo_merge(merged.merge_id).value.points_moved) == (0, 100)
    assert (desk.points(entry.member_id).available, desk.points(kept).available) == (100, 0)


@pytest.mark.parametrize(("kind", "after"), [("spend", (600, 1_000)), ("adjust", (1_000, 1_000))])
def test_what_went_home_from_a_merge_is_taken_back_at_home(desk: Desk, kind: str, after: tuple[int, int]) -> None:
    x, y = (desk.enrol().member_id for _ in range(2))
    for member in (x, y):
        desk.adjust(member, 1_000, key=f"a-{member}")
    if kind == "spend":
        desk.spend(x, 400, key="s")
    entry = desk.entries(x)[-1]

    def have() -> tuple[int, int]:
        return desk.points(x).available, desk.points(y).available

    merge_id = desk.merge(x, y, key="m").value.merge_id
    desk.take_back(entry)
    back = desk.entries(y)[-1]
    desk.undo_merge(merge_id)
    without = (1_000 if kind == "spend" else 0, 1_000)
    assert have() == without

    desk.take_back(back)
    assert have() == after
    again = desk.entries(x)[-1]
    assert (again.key.kind, again.key.parts[0]) == ("reverse", "2")

    merge_id = desk.merge(x, y, key="m2").value.merge_id
    desk.take_back(again)
    desk.undo_merge(merge_id)
    assert have() == without


def test_a_reversal_of_what_went_home_is_at_home_also_when_it_was_made_in_another_merge(desk: Desk) -> None:
    entry, y = spent(desk), desk.enrol().member_id
    x = entry.member_id
    first = desk.merge(x, y, key="m").value.merge_id
    desk.take_back(entry)
    back = desk.entries(y)[-1]
    desk.undo_merge(first)
    second = desk.merge(x, y, key="m2").value.merge_id
    desk.take_back(back)
    desk.undo_merge(second)
    assert (desk.points(x).available, desk.points(y).available) == (0, 0)


def test_a_reversal_that_is_taken_back_takes_its_write_off_along(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(minutes=1)
    entry = spent(desk)
    member = entry.member_id
    desk.take_back(desk.entries(member)[0])
    back, off = desk.entries(member)[-2:]
    assert [(each.key.kind, each.points) for each in (back, off)] == [("reverse", -100), ("write_off", 100)]
    desk.take_back(back)
    again = desk.entries(member)[-1]
    assert (again.points, [why.points for why in again.why], desk.points(member).available) == (0, [-100], 0)
    with pytest.raises(EntryNotReversible):
        desk.take_back(off)
    desk.take_back(again)
    assert desk.sums(member)[1:] == (0, 0)
    back, off = desk.entries(member)[-2:]
    assert [(each.key.kind, each.points) for each in (back, off)] == [("reverse", -100), ("write_off", 100)]
    desk.take_back(back)
    assert desk.sums(member)[1:] == (0, 0)


def test_a_write_off_that_was_taken_back_before_stays_so(desk: Desk) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(minutes=1)
    entry = spent(desk)
    member = entry.member_id
    desk.take_back(desk.entries(member)[0])
    back, off = desk.entries(member)[-2:]
    first = desk.take_back(off)
    owing = desk.entries(member)[-1]
    assert desk.points(member).owed == 100
    desk.take_back(owing)
    desk.take_back(desk.entries(member)[-1])
    assert (desk.entries(member)[-1].key.kind, desk.points(member).owed) == ("reverse", 100), "nothing writes it off"
    desk.take_back(back)
    assert desk.sums(member)[1:] == (0, 0)
    assert desk.take_back(off) == Outcome(first.value, replayed=True)
    with pytest.raises(EntryNotReversible):
        desk.take_back(desk.entries(member)[-2])


def test_a_reversal_and_its_write_off_taken_back_at_once_give_no_points(desk: Desk, dynamo: Dynamo) -> None:
    desk.publish(1, negative_balance="cap")
    desk.clock.forward(minutes=1)
    for run in range(3):
        member = spent(desk, key=f"s{run}").member_id
        desk.take_back(desk.entries(member)[0])
        back, off = desk.entries(member)[-2:]
        at_once(dynamo, partial(desk.take_back, back), partial(desk.take_back, off))
        assert desk.sums(member)[1:] == (0, 0)


def test_a_reversal_costs_five_write_units(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    entry = spent(desk)
    desk.adjust(entry.member_id, 1, key="more")
    other, meter = metered(desk, dynamo, table)
    other.take_back(entry)
    assert meter.read() == (3, 1.0, 5.0), "and one more where points are due again"
    detail(other, entry)
    assert meter.read() == (2, 1.5, 0)
