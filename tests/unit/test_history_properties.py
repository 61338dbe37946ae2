"""Other times than now, against what was answered then and against an oracle that counts points one by one."""

from datetime import date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.languages import Language
from chalicelib.points import history
from chalicelib.points.models import PointsView, Reason, TierView
from chalicelib.points.rules.balances import derive
from chalicelib.points.views import points_view, tier_view
from tests.makers import NOON, a_program
from tests.unit.histories import Buy, Life, Reserve, Spend, Step, Wait, expiries, histories, lots_of
from tests.unit.oracle import Purse, paid_as_they_expire

DAY = 24


def seen(life: Life, at: datetime) -> tuple[PointsView, TierView]:
    """What a member is answered at an instant."""
    on = local_day(at, life.program.time_zone)
    return points_view(life.account, on, at), tier_view(life.account, life.program, on, Language.EN)


def answered_anew(life: Life, known_at: datetime) -> tuple[PointsView, TierView]:
    """What is answered when somebody asks what was known at an instant."""
    on = local_day(known_at, life.program.time_zone)
    known = [entry for entry in life.entries if entry.recorded_at <= known_at]
    account = history.as_believed(life.account, known, {1: life.program})
    return points_view(account, on, known_at), tier_view(account, life.program, on, Language.EN)


@given(histories, expiries, st.sampled_from([0, 0, 1, 20]))
def test_what_was_answered_at_an_instant_is_answered_again(
    steps: list[Step], expiry: dict[str, Any], pending_days: int
) -> None:
    life = Life(a_program(expiry=expiry, pending_days=pending_days))
    answers: dict[datetime, tuple[PointsView, TierView]] = {}
    for step in steps:
        life.now += timedelta(seconds=1)  # no two things happen at one instant
        life.through([Wait(abs(step.hours)) if isinstance(step, Wait) else step])
        at = max(life.now, life.account.last_recorded_at or life.now)
        answers[at] = seen(life, at)
        points, _ = answers[at]
        left = sum(lot.points for lot in points.lots)
        assert points.available + points.pending + points.held == max(left, points.held)

    for at, answer in answers.items():
        assert answered_anew(life, at) == answer


@given(histories, expiries, st.integers(0, 500))
def test_what_was_true_on_a_day_is_what_had_happened_by_then_whenever_it_was_told(
    steps: list[Step], expiry: dict[str, Any], days_ago: int
) -> None:
    life = Life(a_program(expiry=expiry)).through(steps)
    on = life.today - timedelta(days=days_ago)

    was = history.as_it_was(life.account, life.entries, on, life.program.time_zone)

    position = derive(was, on)
    happened = [event for event in life.events if event.day <= on]
    assert Purse(position.balance, lots_of(was, on), position.lapsed) == paid_as_they_expire(happened, on)


def test_a_purchase_told_late_was_true_before_it_was_known() -> None:
    program = a_program()
    life = Life(program).through([Buy(30), Wait(10 * DAY), Buy(50, days_late=8)])
    third_day = NOON + timedelta(days=3)

    then = derive(history.as_it_was(life.account, life.entries, third_day.date(), program.time_zone), third_day.date())

    assert then.balance == 80
    assert answered_anew(life, third_day)[0].available == 30


def test_a_hold_counts_while_it_was_open_and_no_longer() -> None:
    life = Life(a_program()).through([Buy(30), Reserve(20, hours=2), Wait(3), Spend(5)])

    assert answered_anew(life, NOON + timedelta(hours=1))[0].held == 20
    assert answered_anew(life, NOON + timedelta(hours=2))[0].held == 0
    assert [entry.reason for entry in life.entries] == [Reason.EARN, Reason.HOLD, Reason.RELEASE, Reason.SPEND]


def test_the_end_of_a_day_is_the_first_instant_of_the_next_in_the_programs_zone() -> None:
    assert history.end_of(date(2026, 3, 15), "Asia/Shanghai").isoformat() == "2026-03-16T00:00:00+08:00"
