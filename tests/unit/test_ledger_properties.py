"""The ledger against an oracle that counts points one by one, in generated histories."""

from datetime import datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.calendar import NEVER, zone
from chalicelib.points.fold import compacted
from chalicelib.points.models import Account
from chalicelib.points.rules.balances import derive
from chalicelib.points.rules.due_dates import due_on, release, tell_expiring
from chalicelib.points.rules.ledger import settle
from chalicelib.proof.rules import verify
from tests.makers import a_program, an_account
from tests.unit.histories import Life, Settle, Step, expiries, histories, lots_of, ordered_histories
from tests.unit.oracle import Purse, paid_as_they_expire, paid_at_once

DAYS_AHEAD = (0, 1, 20, 31, 90, 400)


def purse_of(account: Account, days: int, life: Life) -> Purse:
    on = life.today + timedelta(days=days)
    position = derive(account, on)
    return Purse(position.balance, lots_of(account, on), position.lapsed)


@given(histories, expiries)
def test_an_account_comes_to_what_its_points_come_to_one_by_one(steps: list[Step], expiry: dict[str, Any]) -> None:
    life = Life(a_program(expiry=expiry)).through(steps)

    for days in DAYS_AHEAD:
        on = life.today + timedelta(days=days)
        ours, right = purse_of(life.account, days, life), paid_as_they_expire(life.events, on)
        if not life.earned_in_folded and not life.spent_in_folded:
            assert ours == right
        elif not life.spent_in_folded:
            assert ours.balance >= right.balance
        elif not life.earned_in_folded:
            assert ours.balance <= right.balance


@given(ordered_histories, expiries)
def test_in_order_an_account_comes_to_what_a_till_that_pays_at_once_would_say(
    steps: list[Step], expiry: dict[str, Any]
) -> None:
    life = Life(a_program(expiry=expiry)).through(steps)

    for days in DAYS_AHEAD:
        assert purse_of(life.account, days, life) == paid_at_once(life.events, life.today + timedelta(days=days))


@given(histories, expiries, st.sampled_from([0, 0, 1, 20]))
def test_entries_balance_and_lots_agree_at_every_step_and_the_chain_is_whole(
    steps: list[Step], expiry: dict[str, Any], pending_days: int
) -> None:
    life = Life(a_program(expiry=expiry, pending_days=pending_days))
    for step in steps:
        refused, before = life.refused, life.account
        available = derive(before, life.today).available
        wanted = getattr(step, "tender", 0) or (getattr(step, "points", 0) if type(step).__name__ == "Spend" else 0)
        booked = len(life.entries)
        life.through([step])

        assert (life.refused > refused) == (wanted > available)
        assert life.refused == refused or (life.account, len(life.entries)) == (before, booked)
        assert sum(entry.points for entry in life.entries) == life.account.lifetime.balance
        if len(life.entries) > booked and not isinstance(step, Settle):
            position = derive(life.account, life.today)
            assert life.account.lifetime.balance == position.balance
            assert life.account.lifetime.expired == position.lapsed
            assert position.balance == sum(lot.points for lot in position.lots) - position.owed
            assert position.owed == 0 or position.lots == ()
            waiting = (entry for entry in life.entries if entry.matures_on and entry.matures_on > life.today)
            assert position.pending == sum(entry.earned or 0 for entry in waiting)
            assert position.available == max(position.balance - position.pending, 0)
    life.settle()

    assert [entry.seq for entry in life.entries] == list(range(1, len(life.entries) + 1))
    instants = [entry.recorded_at for entry in life.entries]
    assert instants == sorted(set(instants))
    assert life.account.lifetime.balance == derive(life.account, life.today).balance
    assert len({entry.key for entry in life.entries}) == len(life.entries)
    assert verify(life.account, life.entries, {1: life.program}) is None


@given(histories, expiries)
def test_when_the_expiry_job_runs_makes_no_difference(steps: list[Step], expiry: dict[str, Any]) -> None:
    program = a_program(expiry=expiry)
    account = an_account()
    never = [step for step in steps if not isinstance(step, Settle)]
    always = [each for step in never for each in (step, Settle())]
    lives = [Life(program, account=account).through([*each, Settle()]) for each in (never, steps, always)]

    sums = [(life.account.lifetime, life.account.earned, life.account.spent, life.account.folded) for life in lives]
    assert sums[1:] == sums[:-1]
    assert len({sum(entry.points for entry in life.entries) for life in lives}) == 1


@given(histories, expiries)
def test_settling_twice_books_nothing_twice(steps: list[Step], expiry: dict[str, Any]) -> None:
    life = Life(a_program(expiry=expiry)).through(steps)
    life.settle()

    assert settle(life.account, life.program, now=life.now) == (life.account, ())


@given(histories, expiries)
def test_compacting_changes_nothing_that_anybody_sees(steps: list[Step], expiry: dict[str, Any]) -> None:
    life = Life(a_program(expiry=expiry)).through(steps)
    later = life.today + timedelta(days=500)
    small = compacted(life.account, life.program, later)

    for days in (500, 501, 531, 900):
        assert purse_of(small, days, life) == purse_of(life.account, days, life)


@given(histories, expiries, st.sampled_from([0, 1, 20]))
def test_whatever_is_due_is_found_by_its_day_and_booking_it_leaves_a_later_one(
    steps: list[Step], expiry: dict[str, Any], pending_days: int
) -> None:
    """Day after day, as the jobs do it: nothing is due before its day, and what is due is gone when it is booked."""
    program = a_program(expiry=expiry, pending_days=pending_days)
    life = Life(program).through(steps)
    life.settle()
    account, told = life.account, 0
    for _ in range(200):
        day = due_on(account, program, life.today)
        if day is None:
            break
        assert day >= life.today
        life.now = max(life.now, datetime.combine(day, time(12), tzinfo=zone(program.time_zone)))
        assert life.today == day
        account, _ = settle(account, program, now=life.now)
        account = released[0] if (released := release(account, day)) else account
        if (notice := tell_expiring(account, program, day)) is not None:
            account, told = notice[0], told + (notice[1].points > 0)
        later = due_on(account, program, day)
        assert later is None or later > day
    else:
        raise AssertionError("time goes on, and something is always due")
    assert derive(account, life.today).balance <= 0 or all(day == NEVER for day, _ in derive(account, life.today).left)
