"""Holds over a real table: reserved once, ended once, free the instant their time is over, whatever races."""

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Any

import pytest

from chalicelib.holds import service as holds
from chalicelib.holds.errors import CaptureTooLarge, HoldOver, HoldUnknown
from chalicelib.holds.models import HoldStatus, HoldView
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import service as points
from chalicelib.points.errors import (
    EntryDiffers,
    HoldsOpen,
    HoldsTooMany,
    MemberSuspended,
    PointsInsufficient,
)
from chalicelib.points.models import Due, Reason
from chalicelib.points.rules.commands import HOLDS_MAX
from chalicelib.purchases.errors import TenderUneven
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Crashed, CrashingTable, Desk, StaleTable, at_once, scan
from tests.table.test_costs import metered


def rich(desk: Desk, amount: int = 500) -> str:
    """A member with points."""
    member = desk.enrol().member_id
    desk.adjust(member, amount, key=f"gift-{member}")
    return member


def held(desk: Desk, amount: int = 300, **fields: Any) -> HoldView:
    """A hold of a member who has 500 points."""
    return desk.hold(rich(desk), amount, key=f"h-{next(_keys)}", **fields).value


_keys = iter(range(1_000_000))


def seen(desk: Desk, member: str) -> tuple[int, int]:
    """Points available and held, as the member and the points say alike."""
    view, line = desk.points(member), desk.member(member).points
    assert (view.available, view.held) == (line.available, line.held)
    return view.available, view.held


# ---------------------------------------------------------------- what holds do


def test_points_that_are_held_stay_in_the_balance_and_cannot_be_spent(desk: Desk) -> None:
    member = rich(desk)
    made = desk.hold(member, 300, key="k", reference="cart-7")

    view = made.value
    assert (view.status, view.points, view.captured_points, view.reference, view.end) == (
        HoldStatus.HELD, 300, 0, "cart-7", None,
    )  # fmt: skip
    assert (view.held_until - view.held_at).total_seconds() == 15 * 60
    assert seen(desk, member) == (200, 300)
    assert desk.sums(member) == (2, 500, 500)
    with pytest.raises(PointsInsufficient):
        desk.spend(member, 201, key="s")
    with pytest.raises(PointsInsufficient):
        desk.hold(member, 201, key="k2")
    assert desk.held(view.hold_id) == view


def test_a_hold_is_captured_whole_or_in_part_and_the_rest_is_free_at_once(desk: Desk) -> None:
    whole, part = held(desk), held(desk)
    desk.clock.forward(minutes=1)

    all_of_it, some = desk.capture(whole.hold_id).value, desk.capture(part.hold_id, 120).value

    assert (all_of_it.status, all_of_it.captured_points) == (HoldStatus.CAPTURED, 300)
    assert (some.status, some.captured_points) == (HoldStatus.CAPTURED, 120)
    assert some.end is not None
    assert (some.end.balance_after, some.end.seq) == (380, 3)
    assert (seen(desk, whole.member_id), seen(desk, part.member_id)) == ((200, 0), (380, 0))
    assert desk.held(part.hold_id) == some


def test_a_hold_that_is_released_gives_its_points_back(desk: Desk) -> None:
    made = held(desk)
    released = desk.release(made.hold_id).value
    assert (released.status, released.captured_points) == (HoldStatus.RELEASED, 0)
    assert seen(desk, made.member_id) == (500, 0)
    assert desk.held(made.hold_id) == released
    assert [entry.reason for entry in desk.entries(made.member_id)] == [Reason.ADJUST, Reason.HOLD, Reason.RELEASE]


def test_a_hold_is_over_at_its_instant_and_not_before_whoever_books_it(desk: Desk) -> None:
    made = held(desk, 500, minutes=10)
    member = made.member_id
    desk.clock.forward(minutes=10, milliseconds=-1)
    assert seen(desk, member) == (0, 500)
    desk.clock.forward(milliseconds=1)

    assert seen(desk, member) == (500, 0), "free, though nobody booked it"
    over = desk.held(made.hold_id)
    assert over.end is not None
    assert (over.status, over.end.at, over.end.entry_id) == (HoldStatus.TIMED_OUT, made.held_until, None)
    with pytest.raises(HoldOver) as refused:
        desk.capture(made.hold_id)
    assert (refused.value.facts["status"], refused.value.facts["ended_at"]) == (
        "timed_out", made.held_until.isoformat(),
    )  # fmt: skip
    assert desk.sums(member) == (2, 500, 500), "a refusal writes nothing"

    desk.spend(member, 500, key="s")
    assert [entry.reason_code for entry in desk.entries(member)][2:] == ["timed_out", None]
    with pytest.raises(HoldOver):
        desk.capture(made.hold_id)
    booked = desk.held(made.hold_id)
    assert booked.end is not None
    assert (booked.status, booked.end.at, booked.end.seq) == (HoldStatus.TIMED_OUT, made.held_until, 3)


def test_to_release_what_timed_out_says_so_and_books_it(desk: Desk) -> None:
    made = held(desk)
    desk.clock.forward(hours=1)
    released = desk.release(made.hold_id)
    assert released.value.status is HoldStatus.TIMED_OUT
    assert desk.sums(made.member_id) == (3, 500, 500)
    assert desk.release(made.hold_id) == Outcome(released.value, replayed=True)
    with pytest.raises(HoldOver):
        desk.capture(made.hold_id)


def test_long_holds_that_nobody_touches_are_booked_by_the_release_job(desk: Desk) -> None:
    made = held(desk, minutes=5 * 24 * 60)
    assert desk.account(made.member_id).due_on == date(2026, 3, 21)
    desk.clock.at("2026-03-21")
    member = MemberId(made.member_id)
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.RELEASE, now=desk.clock()) == 300
    assert desk.held(made.hold_id).end.seq == 3  # type: ignore[union-attr]
    assert points.bring_up_to_date(desk.table, desk.book, member, Due.RELEASE, now=desk.clock()) is None


def test_what_is_held_before_its_lot_expires_can_be_captured_after(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 3, 31))
    desk.clock.at("2026-03-31")
    desk.clock.forward(hours=11, minutes=55)  # 23:55 in Shanghai
    made = desk.hold(member, 100, key="h").value
    desk.clock.forward(minutes=10)
    assert seen(desk, member) == (0, 100)
    desk.expire(member)
    assert desk.points(member).owed == 0

    captured = desk.capture(made.hold_id).value

    assert captured.captured_points == 100
    assert captured.end is not None
    assert captured.end.balance_after == 0
    assert (desk.points(member).owed, desk.points(member).lifetime.expired) == (0, 0)


def test_a_live_hold_is_captured_also_where_a_return_took_the_points(desk: Desk) -> None:
    member = desk.enrol().member_id
    sale = desk.buy(a_purchase(member, paid_minor=30_000, lines=[])).value
    made = desk.hold(member, 300, key="h").value
    desk.give_back(sale.purchase_id, key="r")
    assert seen(desk, member) == (0, 300)
    desk.capture(made.hold_id)
    assert desk.points(member).owed == 300


def test_a_suspended_member_makes_no_hold_but_one_made_before_is_captured(desk: Desk) -> None:
    made, other = held(desk), held(desk)
    for each in (made, other):
        desk.suspend(each.member_id)
    with pytest.raises(MemberSuspended):
        desk.hold(made.member_id, 1, key="x")
    assert desk.capture(made.hold_id).value.captured_points == 300
    assert desk.release(other.hold_id).value.status is HoldStatus.RELEASED


def test_a_membership_is_not_closed_while_points_are_held(desk: Desk) -> None:
    made = held(desk)
    with pytest.raises(HoldsOpen) as refused:
        desk.close(made.member_id, forfeit=True)
    assert refused.value.facts == {"points": 300, "until": made.held_until.isoformat()}
    desk.clock.forward(minutes=15)
    assert desk.close(made.member_id, forfeit=True).value.status == "closed"


def test_an_account_has_so_many_holds_and_no_more(desk: Desk) -> None:
    member = rich(desk)
    for n in range(HOLDS_MAX):
        desk.hold(member, 1, key=f"h{n}", minutes=10 + n)
    with pytest.raises(HoldsTooMany):
        desk.hold(member, 1, key="more")
    listed = holds.list_open_holds(desk.table, MemberId(member), now=desk.clock()).items
    assert [view.held_until for view in listed] == sorted(view.held_until for view in listed)
    assert len(listed) == HOLDS_MAX
    desk.clock.forward(minutes=10)
    assert len(holds.list_open_holds(desk.table, MemberId(member), now=desk.clock()).items) == HOLDS_MAX - 1
    desk.hold(member, 1, key="more")


def test_more_than_is_held_is_not_captured(desk: Desk) -> None:
    made = held(desk)
    with pytest.raises(CaptureTooLarge):
        desk.capture(made.hold_id, 301)
    with pytest.raises(HoldUnknown):
        desk.capture("hld_bm9uZQ")
    assert seen(desk, made.member_id) == (200, 300)


def test_the_statement_says_in_plain_words_what_happened(desk: Desk) -> None:
    member = rich(desk)
    for key, end in (("a", "capture"), ("b", "release"), ("c", "")):
        made = desk.hold(member, 100, key=key, reference=f"cart-{key}").value
        if end:
            getattr(desk, end)(made.hold_id)
    desk.clock.forward(hours=1)
    desk.spend(member, 1, key="s")

    def told(language: Language) -> list[tuple[str, str]]:
        page = points.list_statement(desk.table, desk.book, MemberId(member), after=None, limit=9, language=language)
        return [(line.reference, line.why[0].text) for line in page.items[::-1] if line.why]

    assert told(Language.EN) == [
        ("cart-a", "Held 100 points until 2026-03-15 12:15"), ("cart-a", "Used 100 of 100 points held"),
        ("cart-b", "Held 100 points until 2026-03-15 12:15"), ("cart-b", "A hold of 100 points was released"),
        ("cart-c", "Held 100 points until 2026-03-15 12:15"), ("c", "A hold of 100 points timed out"),
    ]  # fmt: skip
    assert [text for _, text in told(Language.ZH)[1::2]] == [
        "从预留的 100 分中使用 100 分", "取消预留 100 分，可再使用", "预留的 100 分已超时，可再使用",
    ]  # fmt: skip


# ---------------------------------------------------------------- once


def test_the_same_hold_again_is_answered_the_same_also_when_it_emptied_the_account(desk: Desk) -> None:
    member = rich(desk)
    first = desk.hold(member, 500, key="k")
    assert desk.hold(member, 500, key="k") == Outcome(first.value, replayed=True)
    desk.capture(first.value.hold_id)
    assert desk.hold(member, 500, key="k") == Outcome(first.value, replayed=True)
    for fields in ({"minutes": 16}, {"reference": "x"}):
        with pytest.raises(EntryDiffers):
            desk.hold(member, 500, key="k", **fields)
    with pytest.raises(EntryDiffers):
        desk.hold(rich(desk), 500, key="k")


def test_an_end_again_is_answered_the_same_and_another_one_is_refused(desk: Desk) -> None:
    made = held(desk, 500)
    first = desk.capture(made.hold_id, 500)
    desk.clock.forward(days=40)
    assert desk.capture(made.hold_id, 500) == Outcome(first.value, replayed=True)
    for another in ("part", "release"):
        with pytest.raises(HoldOver) as refused:
            ENDS[another](desk, made.hold_id)
        assert refused.value.facts["status"] == "captured"
        assert refused.value.facts["captured_points"] == 500

    other = held(desk)
    released = desk.release(other.hold_id)
    assert desk.release(other.hold_id) == Outcome(released.value, replayed=True)
    with pytest.raises(HoldOver) as refused:
        desk.capture(other.hold_id)
    assert refused.value.facts["status"] == "released"


def test_a_dry_run_says_what_would_be_and_writes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    made = held(desk)
    before = scan(dynamo, table.name)
    assert desk.hold(made.member_id, 200, key="d", dry_run=True).value.status is HoldStatus.HELD
    assert desk.capture(made.hold_id, 10, dry_run=True).value.captured_points == 10
    assert desk.release(made.hold_id, dry_run=True).stored is False
    assert scan(dynamo, table.name) == before


# ---------------------------------------------------------------- at once


ENDS: dict[str, Callable[[Desk, str], Any]] = {
    "capture": lambda desk, hold_id: desk.capture(hold_id),
    "part": lambda desk, hold_id: desk.capture(hold_id, 100),
    "release": lambda desk, hold_id: desk.release(hold_id),
}


@pytest.mark.parametrize("pair", [("capture", "release"), ("capture", "part"), ("capture", "capture")])
def test_two_ends_at_once_are_one_end(desk: Desk, dynamo: Dynamo, pair: tuple[str, str]) -> None:
    for _ in range(4):
        made = held(desk)
        answers = at_once(dynamo, *(partial(ENDS[name], desk, made.hold_id) for name in pair * 2))
        done = [answer.value for answer in answers if isinstance(answer, Outcome)]
        assert all(isinstance(answer, Outcome | HoldOver) for answer in answers), answers
        assert len({view.model_dump_json() for view in done}) == 1
        assert len(desk.entries(made.member_id)) == 3
        captured = done[0].captured_points
        assert seen(desk, made.member_id) == (500 - captured, 0)


def test_a_capture_and_a_time_out_at_once_are_one_end(desk: Desk, dynamo: Dynamo) -> None:
    for _ in range(4):
        made = held(desk)
        late = Desk(desk.table, desk.keyring, desk.book, type(desk.clock)(made.held_until), desk.draw)
        answers = at_once(
            dynamo,
            partial(desk.capture, made.hold_id),
            partial(late.release, made.hold_id),
            partial(late.spend, made.member_id, 300, key=f"s-{made.hold_id}"),
        )
        captured, released, spent = answers
        assert isinstance(captured, Outcome | HoldOver), captured
        assert isinstance(spent, Outcome | PointsInsufficient), spent
        assert isinstance(captured, Outcome) != isinstance(spent, Outcome), "the points went once"
        ends = [entry for entry in desk.entries(made.member_id) if entry.key.kind == "hold_end"]
        assert len(ends) == 1
        assert isinstance(released, Outcome) != isinstance(captured, Outcome), answers


def test_holds_at_once_never_hold_more_than_there_is(desk: Desk, dynamo: Dynamo) -> None:
    member = rich(desk)
    answers = at_once(dynamo, *(lambda n=n: desk.hold(member, 200, key=f"{member}-{n}") for n in range(6)))
    assert sum(isinstance(answer, Outcome) for answer in answers) == 2
    assert all(isinstance(answer, Outcome | PointsInsufficient) for answer in answers)
    assert seen(desk, member) == (100, 400)
    same = at_once(dynamo, *(lambda: desk.hold(member, 100, key=f"{member}-same") for _ in range(6)))
    assert len({answer.value.model_dump_json() for answer in same if isinstance(answer, Outcome)}) == 1
    assert all(isinstance(answer, Outcome) for answer in same)


@pytest.mark.parametrize("name", ["capture", "release", "purchase"])
def test_whoever_reads_an_account_that_is_a_little_old_still_finds_the_hold(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, name: str
) -> None:
    member = rich(desk)
    old = scan(dynamo, table.name)
    made = desk.hold(member, 300, key="k").value
    late = Desk(StaleTable(table, old), desk.keyring, desk.book, desk.clock, desk.draw)
    act, expected, _ = CRASHES[name]
    act(late, made)
    assert seen(desk, member) == expected


# ---------------------------------------------------------------- purchases


def test_a_purchase_is_paid_with_a_hold_and_the_rest_is_free(desk: Desk) -> None:
    made = held(desk)
    command = a_purchase(made.member_id, points_tender=200, points_hold_id=made.hold_id, paid_minor=3_650)

    sale = desk.buy(command).value

    assert (sale.points_tendered, sale.points_hold_id, sale.points_earned, sale.balance_after) == (
        200, made.hold_id, 36, 336,
    )  # fmt: skip
    assert sale.why[-1].text == "Used 200 of 300 points held"
    view = desk.held(made.hold_id)
    assert view.end is not None
    assert (view.status, view.captured_points, view.end.purchase_id) == (HoldStatus.CAPTURED, 200, sale.purchase_id)
    assert (view.end.seq, view.end.hash, view.end.balance_after) == (sale.seq, sale.hash, sale.balance_after)
    assert seen(desk, made.member_id) == (336, 0)
    desk.clock.forward(days=1)
    assert desk.buy(command) == Outcome(sale, replayed=True)
    for another in ("capture", "release"):
        with pytest.raises(HoldOver) as refused:
            ENDS[another](desk, made.hold_id)
        assert refused.value.facts["purchase_id"] == sale.purchase_id
    with pytest.raises(HoldOver):
        desk.buy(a_purchase(made.member_id, points_hold_id=made.hold_id))


def test_without_a_figure_a_purchase_takes_all_that_is_held(desk: Desk) -> None:
    made = held(desk)
    assert desk.buy(a_purchase(made.member_id, points_hold_id=made.hold_id)).value.points_tendered == 300
    odd = held(desk)
    desk.publish(1, point_value={"points": 100, "minor": 1})
    desk.clock.forward(seconds=11)
    with pytest.raises(TenderUneven):
        desk.buy(a_purchase(odd.member_id, points_hold_id=odd.hold_id, points_tender=150))


def test_points_that_paid_from_a_hold_come_back_with_a_return(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 300, key="soon", expires_on=date(2026, 3, 31))
    desk.clock.at("2026-03-31")
    desk.clock.forward(hours=11, minutes=55)
    made = desk.hold(member, 300, key="h").value
    desk.clock.forward(minutes=10)
    now = desk.clock().isoformat()
    sale = desk.buy(a_purchase(member, points_hold_id=made.hold_id, occurred_at=now, paid_minor=0)).value
    assert (sale.points_tendered, sale.balance_after) == (300, 0)
    back = desk.give_back(sale.purchase_id, key="r").value
    assert (back.points_given_back, back.points_expired, desk.points(member).available) == (300, 300, 0)


def test_another_members_hold_or_one_that_is_over_pays_nothing(desk: Desk) -> None:
    made, stranger = held(desk), rich(desk)
    with pytest.raises(HoldUnknown):
        desk.buy(a_purchase(stranger, points_hold_id=made.hold_id))
    with pytest.raises(HoldUnknown):
        desk.buy(a_purchase(stranger, points_hold_id="hld_bm9uZQ"))
    with pytest.raises(CaptureTooLarge):
        desk.buy(a_purchase(made.member_id, points_hold_id=made.hold_id, points_tender=400))
    desk.clock.forward(minutes=15)
    with pytest.raises(HoldOver) as refused:
        desk.buy(a_purchase(made.member_id, points_hold_id=made.hold_id))
    assert refused.value.facts["status"] == "timed_out"


def test_a_purchase_and_a_capture_at_once_end_a_hold_once(desk: Desk, dynamo: Dynamo) -> None:
    for _ in range(4):
        made = held(desk)
        command = a_purchase(made.member_id, points_hold_id=made.hold_id)
        answers = at_once(
            dynamo,
            partial(desk.buy, command),
            partial(desk.capture, made.hold_id),
            partial(desk.release, made.hold_id),
        )
        assert sum(isinstance(answer, Outcome) for answer in answers) == 1, answers
        assert all(isinstance(answer, Outcome | HoldOver) for answer in answers)
        assert len(desk.entries(made.member_id)) == 3


# ---------------------------------------------------------------- crashes


CRASHES: dict[str, tuple[Callable[[Desk, HoldView], Any], tuple[int, int], int]] = {
    "hold": (lambda desk, made: desk.hold(made.member_id, 100, key=f"again-{made.hold_id}"), (100, 400), 1),
    "capture": (lambda desk, made: desk.capture(made.hold_id, 100), (400, 0), 1),
    "release": (lambda desk, made: desk.release(made.hold_id), (500, 0), 1),
    "purchase": (
        lambda desk, made: desk.buy(
            a_purchase(made.member_id, order_no=made.hold_id, points_hold_id=made.hold_id, paid_minor=0)
        ),
        (200, 0),
        2,
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, name: str
) -> None:
    act, expected, items = CRASHES[name]
    desk.buy(a_purchase(desk.enrol().member_id))  # the program is in use
    desk.clock.forward(seconds=11)
    crashes = 0
    for after in (False, True):
        for at in range(1, 12):
            made = held(desk)
            crashing = CrashingTable(table, at, after=after)
            desk.book.current(desk.clock())
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before = len(scan(dynamo, table.name))
            try:
                act(dying, made)
            except Crashed:
                crashes += 1
                assert len(scan(dynamo, table.name)) - before in (0, items)
                act(desk, made)
            assert len(scan(dynamo, table.name)) - before == items
            assert seen(desk, made.member_id) == expected
            if crashing.count < at:
                break
    assert crashes >= 4


# ---------------------------------------------------------------- costs


def test_what_holds_cost(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    first, second, third = held(desk), held(desk), held(desk)
    desk.buy(a_purchase(third.member_id))
    other, meter = metered(desk, dynamo, table)
    other.hold(first.member_id, 100, key="c")
    assert meter.read() == (2, 0.5, 5.0)
    other.capture(first.hold_id)
    assert meter.read() == (3, 1.0, 5.0)
    other.release(second.hold_id)
    assert meter.read() == (3, 1.0, 5.0)
    other.held(second.hold_id)
    assert meter.read() == (2, 1.5, 0)
    other.buy(a_purchase(third.member_id, points_hold_id=third.hold_id))
    assert meter.read() == (2, 0.5, 7.0), "two more than a purchase, for the item that ends the hold"
    holds.list_open_holds(other.table, MemberId(first.member_id), now=desk.clock())
    assert meter.read() == (2, 1.5, 0)
    other.hold(first.member_id, 1, key="long", minutes=10 * 24 * 60)
    assert meter.read() == (2, 0.5, 7.0), "a long one moves the account in the index of what is due"


def test_a_moment_is_a_moment(desk: Desk) -> None:
    """Times are kept in whole milliseconds, also of holds."""
    desk.clock.now = datetime.fromisoformat("2026-03-15T04:00:00.123456+00:00")
    made = held(desk)
    assert made.held_until == datetime.fromisoformat("2026-03-15T04:15:00.123+00:00")
