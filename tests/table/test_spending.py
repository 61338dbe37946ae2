"""Spending, adjusting and expiring: once, again, at once."""

from datetime import UTC, date, datetime

import pytest

from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.errors import BalanceRemaining
from chalicelib.points.errors import (
    AdjustmentEmpty,
    EntryDiffers,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    PointsInsufficient,
)
from chalicelib.points.models import Lot, Reason
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import a_purchase
from tests.table.stand import Desk, at_once, scan

DAILY = {"expiry": {"mode": "rolling", "months": 1, "bucket": "day"}}


def with_points(desk: Desk, amount: int, **fields: object) -> str:
    """A member who has so many points."""
    member = desk.enrol()
    desk.adjust(member.member_id, amount, key=f"gift-{member.member_id}", **fields)
    return member.member_id


def test_a_spend_takes_points_and_says_what_is_left(desk: Desk) -> None:
    member = with_points(desk, 100)
    outcome = desk.spend(member, 30, key="s1")
    assert (outcome.replayed, outcome.stored) == (False, True)
    view = outcome.value
    assert (view.seq, view.reason, view.points, view.balance_after, view.reference) == (2, Reason.SPEND, -30, 70, "s1")
    assert desk.points(member).lots == (Lot(expires_on=date(2027, 3, 31), points=70),)
    assert desk.sums(member) == (2, 70, 70)


def test_a_spend_that_empties_the_account_gets_its_first_answer_on_retry(desk: Desk) -> None:
    member = with_points(desk, 100)
    first = desk.spend(member, 100, key="s1")
    desk.clock.forward(days=3)
    again = desk.spend(member, 100, key="s1")
    assert (again.value, again.replayed) == (first.value, True)
    assert desk.sums(member) == (2, 0, 0)


def test_a_spend_is_replayed_after_the_member_was_suspended_and_after_the_membership_was_closed(desk: Desk) -> None:
    member = with_points(desk, 100)
    first = desk.spend(member, 100, key="s1")
    desk.suspend(member)
    assert desk.spend(member, 100, key="s1") == Outcome(first.value, replayed=True)
    desk.close(member)
    assert desk.spend(member, 100, key="s1") == Outcome(first.value, replayed=True)
    assert desk.sums(member) == (2, 0, 0)


def test_a_key_used_for_another_spend_differs_for_ever(desk: Desk) -> None:
    member, other = with_points(desk, 100), with_points(desk, 100)
    desk.spend(member, 30, key="s1")
    before = desk.account(member), desk.account(other)
    for _ in range(2):
        with pytest.raises(EntryDiffers):
            desk.spend(member, 31, key="s1")
        with pytest.raises(EntryDiffers):
            desk.spend(other, 30, key="s1")
        with pytest.raises(EntryDiffers):
            desk.spend(member, 30, key="s1", reference="other")
        desk.clock.forward(days=400)
    assert (desk.account(member), desk.account(other)) == before


def test_eight_tills_spend_the_last_points_and_one_gets_them(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 100)
    answers = at_once(dynamo, *(lambda n=n: desk.spend(member, 60, key=f"s{n}") for n in range(8)))
    spent = [answer for answer in answers if isinstance(answer, Outcome)]
    refused = [answer for answer in answers if isinstance(answer, PointsInsufficient)]
    assert (len(spent), len(refused)) == (1, 7)
    assert {refusal.facts["available"] for refusal in refused} == {40}
    assert desk.sums(member) == (2, 40, 40)


def test_eight_small_spends_at_once_all_get_theirs(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 80)
    answers = at_once(dynamo, *(lambda n=n: desk.spend(member, 10, key=f"s{n}") for n in range(8)))
    views = sorted((a.value for a in answers if isinstance(a, Outcome)), key=lambda view: view.seq)
    assert [(view.seq, view.balance_after) for view in views] == [(n + 2, 70 - 10 * n) for n in range(8)]
    assert desk.sums(member) == (9, 0, 0)


def test_the_same_spend_from_eight_tills_at_once_has_one_effect_and_one_answer(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 100)
    answers = at_once(dynamo, *(lambda: desk.spend(member, 100, key="s1") for _ in range(8)))
    outcomes = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(outcomes) == 8, answers
    assert len({outcome.value for outcome in outcomes}) == 1
    # Tills that decide in one and the same millisecond make one and the same entry, and each may call it its own.
    assert False in {outcome.replayed for outcome in outcomes}
    assert desk.sums(member) == (2, 0, 0)


def test_a_refused_spend_changes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = with_points(desk, 100)
    suspended = with_points(desk, 100)
    desk.suspend(suspended)
    closed = with_points(desk, 100)
    desk.close(closed, forfeit=True)
    before = scan(dynamo, table.name)
    with pytest.raises(PointsInsufficient) as refusal:
        desk.spend(member, 101, key="s1")
    assert refusal.value.facts == {"asked": 101, "available": 100}
    with pytest.raises(MemberSuspended):
        desk.spend(suspended, 1, key="s2")
    with pytest.raises(MemberClosed):
        desk.spend(closed, 1, key="s3")
    with pytest.raises(MemberUnknown):
        desk.spend("mem_" + "a" * 16, 1, key="s4")
    assert scan(dynamo, table.name) == before
    assert desk.spend(member, 100, key="s1").value.balance_after == 0, "a refused key can be used again"


def test_a_dry_run_writes_nothing_and_answers_what_would_be(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = with_points(desk, 100)
    before = scan(dynamo, table.name)
    outcome = desk.spend(member, 40, key="s1", dry_run=True)
    assert (outcome.stored, outcome.value.balance_after) == (False, 60)
    assert scan(dynamo, table.name) == before
    stored = desk.spend(member, 40, key="s1")
    assert stored.stored is True
    assert desk.spend(member, 40, key="s1", dry_run=True) == Outcome(stored.value, replayed=True)


# ---------------------------------------------------------------- adjusting


def test_an_adjustment_down_to_nothing_gets_its_first_answer_on_retry(desk: Desk) -> None:
    member = with_points(desk, 100)
    first = desk.adjust(member, -100, key="a1", note_to_member="sorry", note_internal="typo")
    again = desk.adjust(member, -100, key="a1", note_to_member="sorry", note_internal="typo")
    assert again == Outcome(first.value, replayed=True)
    assert first.value.note_to_member == "sorry"
    assert desk.sums(member) == (2, 0, 0)


def test_an_adjustment_beyond_the_balance_becomes_a_debt_that_the_next_points_pay(desk: Desk) -> None:
    member = with_points(desk, 100)
    desk.adjust(member, -150, key="a1")
    assert (desk.points(member).available, desk.points(member).owed) == (0, 50)
    desk.adjust(member, 80, key="a2")
    assert (desk.points(member).available, desk.points(member).owed) == (30, 0)
    assert desk.sums(member) == (3, 30, 30)


def test_a_key_used_for_another_adjustment_differs_for_ever(desk: Desk) -> None:
    member = with_points(desk, 100)
    desk.adjust(member, 5, key="a1")
    before = desk.account(member)
    for fields in ({"amount": 6}, {"amount": 5, "reason_code": "other"}, {"amount": 5, "note_internal": "x"}):
        with pytest.raises(EntryDiffers):
            desk.adjust(member, key="a1", **fields)
    assert desk.account(member) == before


def test_a_spend_and_an_adjustment_may_share_a_key(desk: Desk) -> None:
    member = with_points(desk, 100)
    desk.spend(member, 10, key="same")
    assert desk.adjust(member, 10, key="same").replayed is False
    assert desk.sums(member) == (3, 100, 100)


def test_eight_adjustments_at_once_all_count(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 1)
    answers = at_once(dynamo, *(lambda n=n: desk.adjust(member, 2**n, key=f"a{n}") for n in range(8)))
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert desk.sums(member) == (9, 256, 256)


def test_the_same_adjustment_eight_times_at_once_counts_once(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 1)
    answers = at_once(dynamo, *(lambda: desk.adjust(member, -1, key="a1") for _ in range(8)))
    assert len({answer.value for answer in answers if isinstance(answer, Outcome)}) == 1
    assert len([answer for answer in answers if isinstance(answer, Outcome)]) == 8
    assert desk.sums(member) == (2, 0, 0)


def test_an_empty_adjustment_is_refused_and_changes_nothing(desk: Desk) -> None:
    member = with_points(desk, 100)
    before = desk.account(member)
    with pytest.raises(AdjustmentEmpty):
        desk.adjust(member, 0, key="a1")
    assert desk.account(member) == before


# ---------------------------------------------------------------- expiring


def test_expiries_are_booked_once_however_often_they_are_asked_for(desk: Desk) -> None:
    member = with_points(desk, 100, expires_on=date(2026, 3, 31))
    assert desk.expire(member) is None
    desk.clock.at("2026-03-31")
    assert desk.expire(member) is None, "a lot is live on its last day"
    desk.clock.at("2026-04-01")
    assert [desk.expire(member), desk.expire(member)] == [100, None]
    entry = desk.entries(member)[-1]
    assert (entry.reason, entry.points, entry.balance_after, entry.expires_on) == (
        Reason.EXPIRE, -100, 0, date(2026, 3, 31),
    )  # fmt: skip
    assert desk.sums(member) == (2, 0, 0)


def test_eight_expiry_jobs_at_once_book_an_expiry_once(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 100, expires_on=date(2026, 3, 31))
    desk.clock.at("2026-04-01")
    answers = at_once(dynamo, *(lambda: desk.expire(member) for _ in range(8)))
    assert sorted(answers, key=str) == [100] + [None] * 7
    assert desk.sums(member) == (2, 0, 0)


def test_no_point_is_both_expired_and_spent_when_an_expiry_races_spends(desk: Desk, dynamo: Dynamo) -> None:
    member = with_points(desk, 100, expires_on=date(2026, 3, 31))
    desk.adjust(member, 50, key="later")
    desk.clock.at("2026-04-01")
    answers = at_once(
        dynamo,
        *(lambda n=n: desk.spend(member, 20, key=f"s{n}") for n in range(6)),
        *(lambda: desk.expire(member) for _ in range(2)),
    )
    spent = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(spent) == 2
    assert len([answer for answer in answers if isinstance(answer, PointsInsufficient)]) == 4
    life = desk.points(member).lifetime
    assert (life.earned, life.spent, life.expired) == (150, 40, 100)


def daily_lots(desk: Desk, days: int) -> str:
    """A member with a point for each of so many days, none of them booked as expired."""
    desk.publish(1, **DAILY)
    member = desk.enrol().member_id
    for n in range(days):
        desk.adjust(member, 1, key=f"day-{n}-{member}", expires_on=date(2026, 4, 1 + n) if n < 30 else _may(n))
    return member


def _may(n: int) -> date:
    return date.fromordinal(date(2026, 5, 1).toordinal() + n - 30)


def test_more_than_fifty_due_expiries_are_booked_in_several_transactions(desk: Desk) -> None:
    member = daily_lots(desk, 120)
    desk.clock.at("2026-12-01")
    assert desk.expire(member) == 120
    assert desk.sums(member) == (240, 0, 0)
    assert [entry.points for entry in desk.entries(member)[120:]] == [-1] * 120


def test_a_command_books_more_than_fifty_due_expiries_before_its_own(desk: Desk) -> None:
    member = daily_lots(desk, 60)
    desk.clock.at("2026-12-01")
    desk.adjust(member, 10, key="new")
    first = desk.spend(member, 10, key="s1").value
    assert first.seq == 122
    assert desk.spend(member, 10, key="s1") == Outcome(first, replayed=True)
    assert desk.sums(member) == (122, 0, 0)


def test_commands_at_once_on_an_account_with_more_than_fifty_due_expiries_all_succeed(
    desk: Desk, dynamo: Dynamo
) -> None:
    member = daily_lots(desk, 60)
    desk.clock.at("2026-12-01")
    answers = at_once(dynamo, *(lambda n=n: desk.adjust(member, 10, key=f"a{n}") for n in range(6)))
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    assert desk.sums(member) == (126, 60, 60)


def test_a_dry_run_on_an_account_with_more_than_fifty_due_expiries_books_none(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = daily_lots(desk, 60)
    desk.clock.at("2026-12-01")
    before = scan(dynamo, table.name)
    assert desk.adjust(member, 5, key="a", dry_run=True).value.balance_after == 5
    assert scan(dynamo, table.name) == before


def test_a_membership_with_more_than_a_hundred_due_expiries_can_be_closed(desk: Desk) -> None:
    member = daily_lots(desk, 110)
    desk.adjust(member, 7, key="left", expires_on=date(2027, 1, 1))
    desk.clock.at("2026-12-01")
    with pytest.raises(BalanceRemaining) as refusal:
        desk.close(member)
    assert refusal.value.facts == {"balance": 7}
    closed = desk.close(member, forfeit=True)
    assert (closed.value.status.value, closed.value.points.available) == ("closed", 0)
    assert desk.sums(member) == (222, 0, 0)


def test_late_purchases_in_any_order_leave_the_same_sums(desk: Desk) -> None:
    months = ["2024-11-05", "2025-12-31", "2026-03-01", "2025-02-10", "2026-02-28"]
    members = [desk.enrol().member_id for _ in range(2)]
    for member, order in zip(members, (months, months[::-1]), strict=True):
        for day in order:
            desk.buy(a_purchase(member, occurred_at=f"{day}T12:00:00+08:00", paid_minor=10_000))
    first, second = (desk.account(member) for member in members)
    assert (first.earned, first.spent, first.folded, first.qualifying, first.lifetime) == (
        second.earned, second.spent, second.folded, second.qualifying, second.lifetime,
    )  # fmt: skip
    assert desk.points(members[0]).available == 300, "what was bought in 2024 and February 2025 had expired"
    assert desk.points(members[0]) == desk.points(members[1])


def test_a_late_purchase_whose_points_have_expired_says_so_and_gives_none(desk: Desk) -> None:
    member = desk.enrol().member_id
    view = desk.buy(a_purchase(member, occurred_at="2024-11-05T12:00:00+08:00", paid_minor=10_000)).value
    assert (view.points_earned, view.points_expired, view.balance_after) == (100, 100, 0)
    assert desk.sums(member) == (2, 0, 0)


def test_a_late_spend_in_a_period_that_lapsed_takes_back_the_expiry(desk: Desk) -> None:
    member = with_points(desk, 100, expires_on=date(2026, 3, 31))
    desk.adjust(member, 50, key="more")
    desk.clock.at("2026-04-02")
    assert desk.expire(member) == 100
    desk.spend(member, 40, key="late", occurred_at=datetime(2026, 3, 20, tzinfo=UTC))
    life = desk.points(member).lifetime
    assert (life.earned, life.spent, life.expired) == (150, 40, 60)
    assert desk.points(member).available == 50
    assert desk.sums(member)[1:] == (50, 50)
