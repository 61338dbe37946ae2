"""When an account is hot, and for how long."""

from datetime import timedelta

from chalicelib.kernel.heat import (
    ACCOUNTS_MAX,
    ATTEMPTS_HOT,
    COLD_FOR,
    HOT_FOR,
    WITHIN,
    Heat,
    Thermometer,
    is_hot,
    met,
)
from tests.makers import NOON

SECOND = timedelta(seconds=1)


def test_one_conflict_is_chance_and_two_within_a_minute_are_not() -> None:
    once = met(Heat(), ATTEMPTS_HOT, NOON)
    assert not is_hot(once, NOON)
    assert is_hot(met(once, ATTEMPTS_HOT, NOON + WITHIN - SECOND), NOON + WITHIN)
    assert not is_hot(met(once, ATTEMPTS_HOT, NOON + WITHIN), NOON + WITHIN)


def test_a_command_that_was_decided_twice_may_have_read_something_old() -> None:
    heat = Heat()
    for _ in range(10):
        heat = met(heat, ATTEMPTS_HOT - 1, NOON)
    assert heat == Heat()


def test_an_account_is_hot_for_a_minute_and_then_the_direct_way_is_tried_again() -> None:
    heat = met(met(Heat(), ATTEMPTS_HOT, NOON), 12, NOON)
    assert is_hot(heat, NOON + HOT_FOR - SECOND)
    assert not is_hot(heat, NOON + HOT_FOR)
    assert not is_hot(met(heat, ATTEMPTS_HOT, NOON + HOT_FOR), NOON + HOT_FOR), "what is over counts no more"


def test_a_lane_that_does_not_answer_is_left_for_a_while_whatever_is_met() -> None:
    found = Thermometer()
    found.note("a", 3, NOON)
    found.note("a", 3, NOON)
    assert found.is_hot("a", NOON)
    found.cool("a", NOON)
    found.note("a", 3, NOON)
    found.note("a", 3, NOON)
    assert not found.is_hot("a", NOON + COLD_FOR - SECOND)
    assert found.is_hot("a", NOON + COLD_FOR)


def test_accounts_do_not_warm_each_other_and_only_so_many_are_remembered() -> None:
    found = Thermometer()
    for number in range(ACCOUNTS_MAX + 1):
        found.note(str(number), 3, NOON)
    for account in ("0", "1", "none"):
        assert not found.is_hot(account, NOON)
    found.note("0", 3, NOON)
    found.note("2", 3, NOON)
    assert (found.is_hot("0", NOON), found.is_hot("2", NOON)) == (False, True), "the oldest was forgotten"
