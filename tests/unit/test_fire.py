"""`make fire`: days in clear words."""

from datetime import UTC, datetime

import pytest

from local import fire


@pytest.mark.parametrize("day", ["notaday", "2026-02-30", "2026-5-1"])
def test_a_day_that_is_none_is_said_so(day: str) -> None:
    with pytest.raises(fire.Refused, match=f"There is no such day: {day}. A day is YYYY-MM-DD"):
        fire._noon(day, "Asia/Shanghai")


def test_a_walk_is_at_noon_of_the_programs_zone() -> None:
    assert fire._noon("2026-05-01", "Asia/Shanghai") == datetime(2026, 5, 1, 4, tzinfo=UTC)
