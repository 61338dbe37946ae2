"""The judge's arithmetic agrees with the oracle that counts single points."""

from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sim.purse import Purse, closing, last_day, rank
from tests.unit.oracle import Event, Given, Taken, paid_as_they_expire

TERMS = {"expiry": {"mode": "rolling", "months": 2, "years": 0, "bucket": "day"}}
START = date(2026, 1, 1)

_day = st.integers(0, 300).map(lambda days: START + timedelta(days=days))
_given = st.builds(lambda day, points, lasts: Given(day, points, day + timedelta(days=lasts)), _day, st.integers(1, 20),
                   st.integers(0, 90))  # fmt: skip
_events = st.lists(st.one_of(_given, st.builds(Taken, _day, st.integers(1, 20))), max_size=20)


@given(_events, _day)
@settings(max_examples=300, deadline=None)
def test_a_purse_comes_to_what_single_points_come_to(events: list[Event], on: date) -> None:
    purse = Purse()
    for number, event in enumerate(events):
        if isinstance(event, Given):
            purse.give(number, event.points, event.last_day)
        else:
            purse.take(number, event.points, event.day, TERMS)
    there, expected = purse.on(on), paid_as_they_expire(events, on)
    assert (there.balance, there.lots, there.lapsed) == (expected.balance, expected.lots, expected.lapsed)


def test_days_are_those_of_the_program() -> None:
    assert last_day(date(2026, 12, 31), TERMS) == date(2027, 2, 28)
    months = {"expiry": {**TERMS["expiry"], "bucket": "month"}}
    assert last_day(date(2026, 12, 5), months) == date(2027, 2, 28)
    assert closing(date(2026, 2, 3), months) == date(2026, 2, 28)
    yearly = {"expiry": {**TERMS["expiry"], "mode": "end_of_year", "years": 1}}
    assert last_day(date(2026, 2, 3), yearly) == date(2027, 12, 31)


def test_a_tier_is_taken_held_and_reviewed_month_by_month() -> None:
    tiers = [{"threshold": 0}, {"threshold": 100}, {"threshold": 300}]
    rules = {"window": "rolling", "months": 3, "at_end": "step_down"}
    terms = {"ladder": {"tiers": tiers, "qualification": rules}}
    sums = {24_300: 350, 24_301: 10}
    assert [rank(sums, terms, 24_300 + month) for month in range(9)] == [2, 2, 2, 2, 1, 1, 1, 0, 0]
