"""Merges over a real table: one member of two, found by every identifier, once, whatever races; and two again."""

import itertools
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.errors import MemberMoved
from chalicelib.members.models import MemberView
from chalicelib.members.service import give_birthday_gift, list_timeline
from chalicelib.merges import service as merges
from chalicelib.merges.errors import (
    IdentifiersTooMany,
    MemberMerged,
    MembersSame,
    MergeDiffers,
    MergeUnknown,
    SurvivorMerged,
    UndoDiffers,
    UndoTooLate,
)
from chalicelib.points.errors import MemberClosed, MemberSuspended, PointsInsufficient
from chalicelib.points.models import AccountStatus, Due
from chalicelib.points.service import bring_up_to_date, list_statement
from chalicelib.purchases.errors import PurchaseDiffers
from chalicelib.purchases.service.reading import list_purchases
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_member_ref, a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, StaleTable, at_once, scan
from tests.table.test_costs import metered


def two(desk: Desk, **fields: Any) -> tuple[MemberId, MemberId]:
    """Two memberships of one person: who goes has 100 points, who stays 38."""
    gone = desk.enrol(mobile="+8613800138000", email="old@example.cn", card_no="OLD", **fields).member_id
    kept = desk.enrol(mobile="+8613800138001", card_no="NEW").member_id
    desk.buy(a_purchase(gone, order_no="a", paid_minor=10_000, lines=[]))
    desk.clock.forward(minutes=1)
    desk.buy(a_purchase(kept, order_no="b"))
    desk.clock.forward(minutes=1)
    return gone, kept


def statement(desk: Desk, member_id: str, limit: int = 100) -> list[tuple[str, int, str | None]]:
    """The whole statement, page by page."""
    found, after = list[tuple[str, int, str | None]](), None
    while True:
        part = list_statement(
            desk.table, desk.book, MemberId(member_id), after=after, limit=limit, language=Language.EN
        )
        assert len(part.items) <= limit
        found += [(line.reason.value, line.points, line.account_id) for line in part.items]
        after = part.next_position
        if after is None:
            return found


def test_two_members_become_one_and_every_name_of_either_finds_it(desk: Desk) -> None:
    gone, kept = two(desk, external_ids=[{"source": "wechat", "id": "w1"}], birthday="1990-05-01", tags=["vip"])
    desk.spend(kept, 8, key="s")

    merged = desk.merge(gone, kept, key="m").value

    assert (merged.points_moved, merged.points_regained, merged.balance_after) == (100, 0, 130)
    assert set(merged.identifiers_moved) == {"mobile", "email", "card", "ext"}
    assert set(merged.fields_filled) == {"email", "birthday"}
    member = desk.member(kept)
    assert (member.points.available, member.email, member.birthday, member.tags) == (
        130, "old@example.cn", "1990-05-01", ("vip",),
    )  # fmt: skip
    assert [(each.kind, each.value) for each in member.other_identifiers] == [
        ("mobile", "+8613800138000"), ("card", "OLD"),
    ]  # fmt: skip
    assert member.merged_member_ids == (gone,)
    assert desk.member(gone) == member
    for identifier in (
        {"mobile": "13800138000"}, {"mobile": "13800138001"}, {"email": "OLD@example.cn"}, {"card_no": "OLD"},
        {"card_no": "NEW"}, {"external_id": "wechat:w1"}, {"member_number": member.member_number},
    ):  # fmt: skip
        assert desk.look_up(**identifier) == (member,)
    assert desk.points(gone) == desk.points(kept)
    old, account = desk.account(gone), desk.account(kept)
    assert (old.status, old.merged_into, old.lifetime.balance, old.earned, old.due_on) == (
        AccountStatus.MERGED, kept, 0, {}, None,
    )  # fmt: skip
    assert (account.lifetime.balance, account.absorbed) == (130, (gone,))


def test_commands_on_the_old_id_act_on_the_member_who_stays(desk: Desk) -> None:
    gone, kept = two(desk)
    first = desk.spend(gone, 10, key="before")
    command = a_purchase(gone, order_no="by-mobile").model_copy(update={"member": a_member_ref(mobile="13800138000")})
    bought = desk.buy(command)
    desk.merge(gone, kept, key="m")

    desk.spend(gone, 50, key="s")
    desk.adjust(gone, 5, key="a")
    sale = desk.buy(a_purchase(gone, order_no="c")).value
    desk.edit(gone, desk.member(gone).version, name="李四")
    desk.suspend(gone)
    with pytest.raises(MemberSuspended):
        desk.spend(kept, 1, key="x")
    desk.reinstate(gone)

    assert sale.member_id == kept
    assert desk.member(kept).name == "李四"
    assert desk.account(kept).lifetime.balance == 100 - 10 + 38 + 38 - 50 + 5 + 38
    assert desk.spend(gone, 10, key="before") == Outcome(first.value, replayed=True)
    assert desk.spend(kept, 10, key="before") == Outcome(first.value, replayed=True)
    assert desk.buy(command) == Outcome(bought.value, replayed=True), "the mobile number is the other's by now"
    stranger = desk.enrol().member_id
    with pytest.raises(PurchaseDiffers):
        desk.buy(command.model_copy(update={"member": a_member_ref(member_id=stranger)}))
    desk.close(gone, forfeit=True)
    assert desk.look_up(mobile="13800138000") == ()
    assert desk.enrol(mobile="+8613800138000", card_no="OLD").member_id not in (gone, kept)


def test_purchases_of_before_can_be_returned(desk: Desk) -> None:
    gone, kept = two(desk)
    sale = list_purchases(desk.table, desk.book, gone, after=None, limit=1, language=Language.EN).items[0]
    desk.merge(gone, kept, key="m")
    back = desk.give_back(sale.purchase_id, key="r").value
    assert (back.points_taken_back, back.balance_after) == (100, 38)
    assert desk.account(kept).lifetime.balance == 38


def test_the_statement_the_purchases_and_the_timeline_hold_what_both_did_in_order(desk: Desk) -> None:
    gone, kept = two(desk)
    for n in range(3):  # at the same instants on purpose
        desk.spend(gone, 1, key=f"g{n}")
        desk.spend(kept, 2, key=f"k{n}")
        desk.clock.forward(minutes=1)
    desk.merge(gone, kept, key="m")
    desk.clock.forward(minutes=1)
    desk.spend(kept, 3, key="after")

    whole = statement(desk, kept)
    assert whole[:3] == [("spend", -3, None), ("merge", 97, None), ("merge", -97, gone)]
    assert sorted(points for _, points, _ in whole[3:9]) == [-2, -2, -2, -1, -1, -1]
    assert [(points, whose) for _, points, whose in whole[9:]] == [(38, None), (100, gone)]
    assert {whose for _, points, whose in whole if points in (-1, 100, -97)} == {gone}
    for limit in (1, 2, 3, 4):
        assert statement(desk, kept, limit) == whole
        assert statement(desk, gone, limit) == whole

    def bought(limit: int) -> list[tuple[str, str]]:
        found, after = list[tuple[str, str]](), None
        while True:
            part = list_purchases(desk.table, desk.book, kept, after=after, limit=limit, language=Language.EN)
            found += [(sale.order_no, sale.member_id) for sale in part.items]
            if (after := part.next_position) is None:
                return found

    assert bought(1) == bought(10) == [("b", kept), ("a", gone)]

    def happened(limit: int) -> list[tuple[str, str | None]]:
        found, after = list[tuple[str, str | None]](), None
        while True:
            part = list_timeline(desk.table, kept, after=after, limit=limit)
            assert len(part.items) <= limit
            found += [(each.type, each.member_id) for each in part.items]
            if (after := part.next_position) is None:
                return found

    timeline = happened(50)
    assert timeline[:3] == [("spend", None), ("merge", None), ("merge", gone)]
    assert timeline[-4:-2] == [("earn", None), ("earn", gone)]
    assert set(timeline[-2:]) == {("enrolled", None), ("enrolled", gone)}
    assert happened(1) == happened(4) == timeline


def test_a_member_who_saw_no_merge_is_read_as_cheaply_as_ever_and_a_merged_one_costs_a_read_more(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    gone, kept = two(desk)
    other, meter = metered(desk, dynamo, table)
    statement(other, kept)
    assert meter.read()[:2] == (1, 0.5)
    other.merge(gone, kept, key="m")
    assert meter.read() == (6, 4.0, 27.0), "with three identifiers, one an address; a line of the log of reach for each"
    statement(other, kept)
    assert meter.read()[:2] == (4, 2.5)
    other.member(gone)
    assert meter.read()[:2] == (2, 1.5)
    other.undo_merge(keys.merge_id("m"))
    assert meter.read() == (10, 8.5, 27.0), "both addresses are asked about"


def test_the_same_merge_again_is_answered_the_same_for_ever(desk: Desk) -> None:
    gone, kept = two(desk)
    first = desk.merge(gone, kept, key="m")
    desk.clock.forward(days=40)
    assert desk.merge(gone, kept, key="m") == Outcome(first.value, replayed=True)
    with pytest.raises(MergeDiffers):
        desk.merge(gone, kept, key="m", reason="another")
    with pytest.raises(MembersSame):
        desk.merge(gone, kept, key="m2")
    with pytest.raises(MemberMerged):
        desk.merge(gone, desk.enrol().member_id, key="m3")
    assert len(desk.entries(gone)) == 2


def test_what_cannot_be_merged_is_refused_and_nothing_changes(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    gone, kept = two(desk)
    closed, suspended = desk.enrol().member_id, desk.enrol().member_id
    desk.close(closed)
    desk.suspend(suspended)
    before = scan(dynamo, table.name)
    for pair, refusal in (
        ((gone, gone), MembersSame), ((gone, closed), MemberClosed), ((closed, kept), MemberClosed),
        ((suspended, kept), MemberSuspended), ((gone, suspended), MemberSuspended),
    ):  # fmt: skip
        with pytest.raises(refusal):
            desk.merge(*pair, key="m")
    with pytest.raises(MergeUnknown):
        desk.undo_merge("mrg_bm9uZQ")
    tried = desk.merge(gone, kept, key="m", dry_run=True)
    assert (tried.stored, tried.value.balance_after) == (False, 138)
    assert scan(dynamo, table.name) == before


def test_a_chain_of_merges_answers_with_its_last_and_is_undone_from_there(desk: Desk) -> None:
    gone, kept = two(desk)
    last = desk.enrol().member_id
    one = desk.merge(gone, kept, key="m1").value
    desk.clock.forward(minutes=1)
    other = desk.merge(kept, last, key="m2").value
    assert desk.member(gone).member_id == desk.member(kept).member_id == last
    assert desk.account(last).absorbed == (kept, gone)
    assert desk.points(gone).available == 138
    assert [points for _, points, _ in statement(desk, last)] == [138, -138, 100, -100, 38, 100]
    with pytest.raises(SurvivorMerged):
        desk.undo_merge(one.merge_id)
    desk.undo_merge(other.merge_id)
    assert (desk.points(gone).available, desk.points(last).available) == (138, 0)
    assert desk.look_up(card_no="OLD")[0].member_id == kept
    desk.undo_merge(one.merge_id)
    assert (desk.points(gone).available, desk.points(kept).available) == (100, 38)
    assert desk.look_up(card_no="OLD")[0].member_id == gone


def test_an_undone_merge_leaves_two_as_before_with_what_happened_since(desk: Desk) -> None:
    gone, kept = two(desk, birthday="1990-05-01", tags=["vip"], gender="female", language="en")
    was, stayed = desk.member(gone), desk.member(kept)
    merged = desk.merge(gone, kept, key="m").value
    desk.clock.forward(days=1)
    desk.spend(kept, 120, key="s")
    desk.edit(kept, desk.member(kept).version, tags=["vip", "own"])
    desk.clock.forward(days=1)

    undone = desk.undo_merge(merged.merge_id)

    assert (undone.value.points_moved, undone.value.from_balance, undone.value.into_balance) == (100, 100, -82)
    assert set(undone.value.identifiers_moved) == {"mobile", "email", "card"}
    ignored = {"version", "contact_hold"}
    assert desk.member(gone).model_dump(exclude=ignored) == was.model_dump(exclude=ignored)
    ignored |= {"points", "tags"}
    assert desk.member(kept).model_dump(exclude=ignored) == stayed.model_dump(exclude=ignored)
    assert desk.member(kept).tags == ("own",)
    assert desk.points(kept).owed == 82
    assert desk.look_up(email="old@example.cn")[0].member_id == gone
    assert [(reason, points) for reason, points, _ in statement(desk, gone)] == [
        ("merge", 100), ("merge", -100), ("earn", 100),
    ]  # fmt: skip
    assert [points for _, points, _ in statement(desk, kept)] == [-100, -120, 100, 38]
    desk.clock.forward(days=90)
    assert desk.undo_merge(merged.merge_id) == Outcome(undone.value, replayed=True)
    with pytest.raises(UndoDiffers):
        desk.undo_merge(merged.merge_id, reason="other words")
    found = merges.find_merge(desk.table, desk.book, merged.merge_id, language=Language.EN)
    assert found == merged.model_copy(update={"undone": undone.value})
    again = desk.merge(gone, kept, key="m2").value
    assert again.points_moved == 100


def test_a_return_of_what_was_bought_before_the_merge_goes_home(desk: Desk) -> None:
    gone, kept = two(desk)
    sale = list_purchases(desk.table, desk.book, gone, after=None, limit=1, language=Language.EN).items[0]
    merged = desk.merge(gone, kept, key="m").value
    desk.clock.forward(days=1)
    desk.give_back(sale.purchase_id, key="r", amount_minor=4_000)
    undone = desk.undo_merge(merged.merge_id).value
    assert (undone.points_moved, undone.from_balance, undone.into_balance) == (60, 60, 38)


def test_identifiers_given_up_meanwhile_do_not_come_back(desk: Desk) -> None:
    gone, kept = two(desk)
    merged = desk.merge(gone, kept, key="m").value
    version = desk.edit(kept, desk.member(kept).version, mobile="+8613800138000").version
    desk.edit(kept, version, email=None)
    taken = desk.enrol(email="old@example.cn").member_id
    undone = desk.undo_merge(merged.merge_id).value
    assert set(undone.identifiers_moved) == {"mobile", "card"}
    assert (desk.member(gone).mobile, desk.member(gone).email) == ("+8613800138000", None)
    assert desk.member(kept).mobile is None
    assert desk.look_up(email="old@example.cn")[0].member_id == taken


def test_after_thirty_days_it_is_too_late(desk: Desk) -> None:
    gone, kept = two(desk)
    merged = desk.merge(gone, kept, key="m").value
    desk.clock.forward(days=30)
    with pytest.raises(UndoTooLate):
        desk.undo_merge(merged.merge_id)


def test_points_that_lapsed_with_one_and_that_the_other_would_have_spent_come_back(desk: Desk) -> None:
    gone, kept = desk.enrol().member_id, desk.enrol().member_id
    desk.adjust(gone, 30, key="soon", expires_on=date(2026, 3, 31))
    desk.adjust(kept, 100, key="late", expires_on=date(2026, 12, 31))
    desk.spend(kept, 20, key="s")
    desk.clock.at("2026-04-02")
    merged = desk.merge(gone, kept, key="m").value
    assert (merged.points_moved, merged.points_regained, merged.balance_after) == (0, 20, 100)
    undone = desk.undo_merge(merged.merge_id).value
    assert (undone.points_expired, undone.from_balance, undone.into_balance) == (20, 0, 80)


def test_who_had_a_birthday_gift_gets_no_second_one_by_a_merge(desk: Desk) -> None:
    gone, kept = desk.enrol(birthday="--03-16").member_id, desk.enrol(birthday="--03-20").member_id
    for member in (gone, kept):
        desk.adjust(member, 0, key=member, qualifying_points=5_000)
    desk.clock.at("2026-03-16")
    assert give_birthday_gift(desk.table, desk.book, gone, on=date(2026, 3, 16), now=desk.clock()) is not None
    desk.merge(gone, kept, key="m")
    desk.clock.at("2026-03-20")
    assert give_birthday_gift(desk.table, desk.book, kept, on=date(2026, 3, 20), now=desk.clock()) is None
    assert give_birthday_gift(desk.table, desk.book, gone, on=date(2026, 3, 20), now=desk.clock()) is None
    desk.clock.at("2027-03-20")
    assert give_birthday_gift(desk.table, desk.book, kept, on=date(2027, 3, 20), now=desk.clock()) is not None


def test_nothing_falls_due_for_a_merged_account(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    gone, kept = two(desk, birthday="--05-01")
    desk.merge(gone, kept, key="m")
    desk.clock.at("2027-06-01")
    for due in Due:
        assert bring_up_to_date(desk.table, desk.book, gone, due, now=desk.clock()) is None
    items = scan(dynamo, table.name)
    assert "due" not in items[keys.account(gone)]
    assert "due" not in items[keys.profile(gone)]
    assert "due" in items[keys.profile(kept)]


def test_a_merge_both_ways_at_once_happens_one_way(desk: Desk, dynamo: Dynamo) -> None:
    gone, kept = two(desk)
    answers = at_once(
        dynamo,
        lambda: desk.merge(gone, kept, key="there"),
        lambda: desk.merge(kept, gone, key="back"),
        lambda: desk.merge(gone, kept, key="there"),
    )
    done = [answer.value for answer in answers if isinstance(answer, Outcome)]
    assert len({each.merge_id for each in done}) == 1
    assert all(isinstance(each, Outcome | MembersSame | MemberMerged) for each in answers)
    assert desk.points(gone).available == desk.points(kept).available == 138
    assert len(desk.entries(gone)) == len(desk.entries(kept)) == 2


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_of_a_merge_changes_what_is_signed_in_by_with_it_or_not_at_all(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, *, after: bool
) -> None:
    gone, kept = two(desk)
    for step in range(1, 60):
        crashed = False
        try:
            desk.over(CrashingTable(table, step, after=after)).merge(gone, kept, key="m")
        except Crashed:
            crashed = True
        merged = desk.member(gone).member_id == kept
        assert (desk.member(kept).contact_hold is not None) == merged
        if not crashed:
            break
    else:
        raise AssertionError("it never got through")
    hold = desk.member(kept).contact_hold
    desk.clock.forward(hours=1)
    assert desk.merge(gone, kept, key="m").replayed
    assert desk.member(kept).contact_hold == hold, "a repeat changes nothing"
    desk.clock.forward(hours=71)
    assert desk.member(kept).contact_hold is None


def test_a_merge_races_spends_purchases_and_edits_and_the_ledger_holds(desk: Desk, dynamo: Dynamo) -> None:
    gone, kept = two(desk)
    answers = at_once(
        dynamo,
        *(lambda n=n: desk.spend(gone, 30, key=f"g{n}") for n in range(3)),
        lambda: desk.merge(gone, kept, key="m"),
        *(lambda n=n: desk.buy(a_purchase(kept, order_no=f"x{n}", lines=[])) for n in range(2)),
    )
    assert all(isinstance(answer, Outcome | PointsInsufficient) for answer in answers)
    assert desk.points(kept).available == desk.points(gone).available == 138 - 90 + 76


def test_an_undoing_at_once_happens_once(desk: Desk, dynamo: Dynamo) -> None:
    gone, kept = two(desk)
    merge_id = desk.merge(gone, kept, key="m").value.merge_id
    answers = at_once(dynamo, *(lambda: desk.undo_merge(merge_id) for _ in range(4)))
    assert all(isinstance(answer, Outcome) for answer in answers)
    assert (desk.points(gone).available, desk.points(kept).available) == (100, 38)


def test_what_is_decided_on_an_old_read_is_decided_again_on_the_member_who_stays(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    gone, kept = two(desk)
    stale = desk.over(StaleTable(table, scan(dynamo, table.name)))
    desk.merge(gone, kept, key="m")
    stale.spend(gone, 100, key="s1")
    stale.spend(kept, 20, key="s2")
    stale.buy(a_purchase(gone, order_no="late", paid_minor=1_000))
    assert desk.points(kept).available == 138 - 120 + 10
    assert len(desk.entries(gone)) == 2
    with pytest.raises(MembersSame):
        stale.merge(gone, kept, key="m2")


def test_an_edit_that_comes_between_is_not_lost(desk: Desk, dynamo: Dynamo) -> None:
    gone, kept = two(desk)
    for n in range(5):
        edit = partial(desk.edit, kept, desk.member(kept).version, name="李四", tags=["edited"])
        calls: list[Callable[[], Any]] = [edit, partial(desk.merge, gone, kept, key=f"m{n}")]
        answers = at_once(dynamo, *calls)
        merged = answers[1]
        assert isinstance(merged, Outcome)
        edited = isinstance(answers[0], MemberView)
        assert edited or isinstance(answers[0], MemberMoved)
        assert (desk.member(kept).tags == ("edited",)) is edited
        desk.undo_merge(merged.value.merge_id)
        desk.edit(kept, desk.member(kept).version, tags=[], name="王五")


def test_much_that_is_due_and_many_identifiers_are_merged_in_steps(desk: Desk) -> None:
    desk.publish(1, expiry={"mode": "rolling", "months": 12, "bucket": "day"})
    desk.clock.forward(minutes=1)
    known = [{"source": "erp", "id": f"{n}"} for n in range(10)]
    ids = [desk.enrol(external_ids=[{**each, "source": f"s{n}"} for each in known]).member_id for n in range(5)]
    for n in range(24):
        for member in (ids[0], ids[4]):
            desk.adjust(member, 1, key=f"{member}{n}", expires_on=date(2026, 4, 1 + n))
    desk.clock.at("2026-05-01")
    for one, other in itertools.pairwise(ids[:4]):
        desk.merge(one, other, key=one)
        desk.clock.forward(minutes=1)
    assert len(desk.member(ids[3]).external_ids) == 40
    assert desk.merge(ids[3], ids[4], key="last").value.balance_after == 0
    assert desk.member(ids[0]).member_id == ids[4]
    assert desk.account(ids[4]).lifetime.expired == 48
    with pytest.raises(IdentifiersTooMany):
        desk.merge(ids[4], desk.enrol().member_id, key="more")


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(desk: Desk, table: DynamoTable) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 16):
            run += 1
            gone, kept = desk.enrol().member_id, desk.enrol().member_id
            desk.adjust(gone, 10, key=f"a{run}")
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            crashes = 0
            try:
                dying.merge(gone, kept, key=f"m{run}")
            except Crashed:
                crashes += 1
                assert desk.points(kept).available in (0, 10)
            merge_id = desk.merge(gone, kept, key=f"m{run}").value.merge_id
            assert (desk.points(kept).available, desk.account(gone).lifetime.balance) == (10, 0)
            crashing.count = 0
            try:
                dying.undo_merge(merge_id)
            except Crashed:
                crashes += 1
                assert desk.points(kept).available in (0, 10)
            desk.undo_merge(merge_id)
            assert (desk.points(kept).available, desk.points(gone).available) == (0, 10)
            if not crashes:
                break
    assert run >= 10, "nothing crashed"


def test_a_gift_that_was_on_its_way_when_its_member_was_merged_is_no_second_one(desk: Desk) -> None:
    gone, kept = two(desk)
    on = date(2026, 3, 16)
    assert give_birthday_gift(desk.table, desk.book, kept, on=on, now=desk.clock()) is not None
    before = desk.account(gone)
    desk.merge(gone, kept, key="m1")
    lines = len(desk.entries(kept))
    assert give_birthday_gift(desk.table, desk.book, gone, on=on, now=desk.clock(), known=before) is None
    assert len(desk.entries(kept)) == lines
