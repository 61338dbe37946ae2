"""Which tier a member holds: histories worked out by hand, and what must hold for all of them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.calendar import Month
from chalicelib.programs.models import Program, PublishProgram
from chalicelib.programs.rules import next_version
from chalicelib.tiers.models import Anchor, Standing
from chalicelib.tiers.rules import months_to_keep, next_tier, pruned, standing
from tests.makers import a_ladder, a_program


def month(text: str) -> Month:
    year, number = text.split("-")
    return Month(int(year) * 12 + int(number) - 1)


def months(**points: int) -> dict[Month, int]:
    """Sums by month: `months(y2025_03=100)`."""
    return {month(name[1:].replace("_", "-")): value for name, value in points.items()}


ROLLING = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000))
KEEP = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000, at_end="keep"))
EARNED = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000, at_end="earned_level"))
YEAR = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000, window="calendar_year"))
YEAR_EARNED = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000, window="calendar_year", at_end="earned_level"))
HALF = a_program(ladder=a_ladder(0, 1_000, 5_000, 20_000, months=6))

CASES: list[tuple[str, Program, dict[Month, int], dict[str, str]]] = [
    ("nothing bought", ROLLING, {}, {"2026-03": "t0"}),
    ("a first small purchase stays in the first tier", ROLLING, months(y2025_03=38), {"2025-03": "t0"}),
    ("one point short", ROLLING, months(y2025_03=999), {"2025-03": "t0", "2027-01": "t0"}),
    (
        "what was taken leaves the window, and time alone lifts",
        HALF,
        months(y2025_01=-500, y2025_03=1_200),
        {"2025-03": "t0", "2025-07": "t0", "2025-08": "t1", "2025-09": "t1"},
    ),
    ("exactly at the threshold", ROLLING, months(y2025_03=1_000), {"2025-02": "t0", "2025-03": "t1"}),
    ("two tiers at once", ROLLING, months(y2025_03=5_000), {"2025-03": "t2"}),
    ("to the top at once", ROLLING, months(y2025_03=20_000), {"2025-03": "t3"}),
    (
        "added up within the window, the month a year ago included",
        ROLLING,
        months(y2025_03=600, y2026_03=400),
        {"2026-02": "t0", "2026-03": "t1"},
    ),
    ("not added up beyond the window", ROLLING, months(y2025_03=600, y2026_04=400), {"2026-04": "t0"}),
    (
        "held through the twelfth month after, then stepped down",
        ROLLING,
        months(y2025_03=5_000),
        {"2026-03": "t2", "2026-04": "t1", "2027-03": "t1", "2027-04": "t0", "2030-01": "t0"},
    ),
    (
        "what reached a tier does not keep it, what came after does",
        ROLLING,
        months(y2025_03=5_000, y2025_04=3_000, y2026_03=2_000),
        {"2026-04": "t2", "2027-03": "t2", "2027-04": "t1"},
    ),
    (
        "retained on the last month that counts, not a month later",
        ROLLING,
        months(y2025_03=1_000, y2026_04=1_000),
        {"2026-03": "t1", "2026-04": "t1", "2027-04": "t1", "2027-05": "t0"},
    ),
    (
        "climbing again starts a new year",
        ROLLING,
        months(y2025_03=1_000, y2025_09=4_000),
        {"2025-08": "t1", "2025-09": "t2", "2026-09": "t2", "2026-10": "t1", "2027-09": "t1", "2027-10": "t0"},
    ),
    (
        "to the earned level, however far down",
        EARNED,
        months(y2025_03=20_000, y2025_08=1_000),
        {"2026-03": "t3", "2026-04": "t1", "2027-03": "t1", "2027-04": "t0"},
    ),
    ("step down stops at what was earned", ROLLING, months(y2025_03=20_000, y2025_08=5_000), {"2026-04": "t2"}),
    ("kept for ever", KEEP, months(y2020_03=5_000), {"2020-03": "t2", "2035-01": "t2"}),
    (
        "half a year",
        HALF,
        months(y2025_03=1_000),
        {"2025-09": "t1", "2025-10": "t0"},
    ),
    (
        "a calendar year begins anew in January",
        YEAR,
        months(y2025_12=600, y2026_01=400),
        {"2025-12": "t0", "2026-01": "t0"},
    ),
    (
        "held to the end of its year, kept through the next by what the year earned, then stepped down",
        YEAR,
        months(y2025_11=5_000),
        {"2025-10": "t0", "2025-11": "t2", "2026-12": "t2", "2027-01": "t1", "2027-12": "t1", "2028-01": "t0"},
    ),
    (
        "a calendar year to the earned level",
        YEAR_EARNED,
        months(y2025_02=20_000, y2026_07=1_500),
        {"2026-12": "t3", "2027-01": "t1", "2027-12": "t1", "2028-01": "t0"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("program", "sums", "held"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_tier_held_in_a_month_is_what_a_person_works_out(
    program: Program, sums: dict[Month, int], held: dict[str, str]
) -> None:
    assert {on: standing(sums, program, on=month(on)).tier_id for on in held} == held


def test_a_standing_says_what_it_rests_on() -> None:
    sums = months(y2025_03=1_000, y2025_04=30, y2026_02=7)

    assert standing(sums, ROLLING, on=month("2026-03")) == Standing(
        tier_id="t1", review_after=month("2026-03"), qualifying_points=1_037, judged_points=37
    )
    assert standing(sums, ROLLING, on=month("2026-04")) == Standing(
        tier_id="t0", review_after=None, qualifying_points=37, judged_points=37
    )


def test_the_next_tier_is_the_one_above_and_none_at_the_top() -> None:
    above = [next_tier(ROLLING, tier_id) for tier_id in ("t0", "t2", "t3", "gone")]
    assert [tier and tier.tier_id for tier in above] == ["t1", "t3", None, "t1"]


# ---------------------------------------------------------------- ladders that change


def changed(program: Program, on: str, *thresholds: int, **ladder: Any) -> Program:
    """The program with another ladder from a month on: `a_ladder`, or tiers by hand."""
    year, number = map(int, on.split("-"))
    terms = program.model_dump(exclude={"version", "published_at", "former_ladders"})
    terms["ladder"] = a_ladder(*thresholds, **ladder) if thresholds else ladder
    command = PublishProgram.model_validate({**terms, "version": program.version}, strict=False)
    return next_version(program, command, in_use=True, now=datetime(year, number, 10, tzinfo=UTC))


def held_in(sums: dict[Month, int], program: Program, *on: str) -> list[str]:
    return [standing(sums, program, on=month(each)).tier_id for each in on]


def test_a_raised_threshold_takes_no_tier_away_before_its_review() -> None:
    program = changed(ROLLING, "2025-06", 0, 3_000, 9_000, 30_000)
    sums = months(y2025_03=1_000, y2025_08=1_000)

    assert held_in(sums, program, "2025-05", "2025-06", "2025-08", "2026-03", "2026-04") == ["t1"] * 4 + ["t0"]


def test_in_the_month_of_change_the_better_of_two_ladders_counts_and_only_then() -> None:
    raised = changed(ROLLING, "2025-06", 0, 3_000, 9_000, 30_000)
    lowered = changed(ROLLING, "2025-06", 0, 500, 2_000, 5_000)

    for on, old, new in [("2025-05", "t1", "t1"), ("2025-06", "t1", "t2"), ("2025-07", "t0", "t2")]:
        sums = {month(on): 2_000}
        assert held_in(sums, raised, on) == [old]
        assert held_in(sums, lowered, "2025-07") == ["t2"]
        assert held_in(sums, lowered, on) == [new]


def test_a_lowered_threshold_lifts_at_once() -> None:
    program = changed(ROLLING, "2025-06", 0, 500, 9_000, 30_000)
    assert held_in(months(y2025_03=600), program, "2025-05", "2025-06", "2025-07") == ["t0", "t1", "t1"]


def test_a_tier_that_was_removed_becomes_the_highest_that_asks_for_no_more() -> None:
    tiers = [
        {"tier_id": "t0", "name": {"zh": "零", "en": "Zero"}, "threshold": 0},
        {"tier_id": "club", "name": {"zh": "会", "en": "Club"}, "threshold": 4_000},
        {"tier_id": "t3", "name": {"zh": "三", "en": "Three"}, "threshold": 20_000},
    ]
    program = changed(ROLLING, "2025-06", tiers=tiers)

    assert held_in(months(y2025_03=5_000), program, "2025-05", "2025-07", "2026-04") == ["t2", "club", "t0"]
    assert held_in(months(y2025_03=1_000), program, "2025-05", "2025-07") == ["t1", "t0"]


def test_two_changes_in_one_month_all_count_in_that_month() -> None:
    program = changed(changed(ROLLING, "2025-06", 0, 100), "2025-06", 0, 9_000)
    assert held_in(months(y2025_06=150), program, "2025-06") == ["t1"]
    assert held_in(months(y2025_07=150), program, "2025-07") == ["t0"]


# ---------------------------------------------------------------- what holds for all

START = month("2018-01")
programs = st.sampled_from(
    [
        ROLLING, KEEP, EARNED, YEAR, YEAR_EARNED, HALF,
        changed(ROLLING, "2022-06", 0, 3_000, 9_000),
        changed(a_program(ladder=a_ladder(0, 1_000, 5_000, months=24)), "2024-06", 0, 3_000, 9_000),
        changed(YEAR, "2023-06", 0, 800, 2_000, 30_000),
        changed(ROLLING, "2023-06", 0, 800, window="calendar_year"),
    ]
)  # fmt: skip
purchases = st.lists(
    st.tuples(st.integers(0, 119), st.sampled_from([1, 100, 400, 700, 1_000, 3_000, 5_000, 21_000])), max_size=60
)


def summed(bought: list[tuple[int, int]]) -> dict[Month, int]:
    sums: dict[Month, int] = {}
    for index, points in bought:
        sums[Month(START + index)] = sums.get(Month(START + index), 0) + points
    return sums


@given(programs, purchases, st.data())
def test_the_order_in_which_purchases_arrive_makes_no_difference(
    program: Program, bought: list[tuple[int, int]], data: st.DataObject
) -> None:
    other = data.draw(st.permutations(bought))
    for on in (40, 80, 119, 140):
        at = Month(START + on)
        assert standing(summed(other), program, on=at) == standing(summed(bought), program, on=at)


@given(programs, purchases, st.tuples(st.integers(0, 119), st.integers(1, 30_000)))
def test_a_purchase_added_and_taken_back_leaves_no_trace(
    program: Program, bought: list[tuple[int, int]], one: tuple[int, int]
) -> None:
    there_and_back = summed([*bought, one, (one[0], -one[1])])
    for on in (one[0], 80, 119, 140):
        at = Month(START + on)
        assert standing(there_and_back, program, on=at) == standing(summed(bought), program, on=at)


@given(programs, purchases, st.integers(0, 119))
def test_a_tier_held_in_a_month_does_not_hang_on_later_months(
    program: Program, bought: list[tuple[int, int]], on: int
) -> None:
    at = Month(START + on)
    until = {each: points for each, points in summed(bought).items() if each <= at}
    assert standing(summed(bought), program, on=at).tier_id == standing(until, program, on=at).tier_id


@given(programs, purchases, st.integers(0, 30))
def test_months_that_are_dropped_are_missed_by_nobody(
    program: Program, bought: list[tuple[int, int]], later: int
) -> None:
    """As an account lives: told month by month, pruned each time, asked at any month from then on."""
    sums: dict[Month, int] = {}
    anchor: Anchor | None = None
    whole: dict[Month, int] = {}
    for index, points in sorted(bought):
        at = Month(START + index)
        whole[at] = whole.get(at, 0) + points
        sums[at] = sums.get(at, 0) + points
        sums, anchor = pruned(sums, program, anchor, on=at)
        assert len(sums) <= months_to_keep(program)
        for on in (at, Month(at + later)):
            assert standing(sums, program, on=on, anchor=anchor) == standing(whole, program, on=on)


def test_a_former_ladders_longer_window_keeps_its_months_too() -> None:
    """60 points a month keep t1 at 1,400 in 24 months: no review before the change may see fewer of them."""
    program = changed(a_program(ladder=a_ladder(0, 1_400, months=24)), "2026-06", 0, 1_400)
    whole: dict[Month, int] = {}
    sums: dict[Month, int] = {}
    anchor: Anchor | None = None
    for index in range(101):
        at = Month(START + index)
        whole[at] = sums[at] = 60
        sums, anchor = pruned(sums, program, anchor, on=at)
        assert standing(sums, program, on=at, anchor=anchor) == standing(whole, program, on=at)
    assert anchor is not None


def test_ten_years_of_monthly_purchases_keep_two_years_of_sums() -> None:
    whole = {Month(START + index): 100 + 40 * (index % 30) for index in range(120)}
    sums, anchor = pruned(whole, ROLLING, None, on=Month(START + 119))

    assert sums == {Month(START + index): whole[Month(START + index)] for index in range(96, 120)}
    assert anchor is not None
    assert anchor.month == START + 108
    for later in range(40):
        on = Month(START + 119 + later)
        assert standing(sums, ROLLING, on=on, anchor=anchor) == standing(whole, ROLLING, on=on)


def test_a_program_that_stops_keeping_tiers_for_good_reviews_them() -> None:
    kept = a_program(ladder=a_ladder(0, 100, at_end="keep"))
    sums = months(_2024_03=150)
    assert held_in(sums, kept, "2026-12") == ["t1"]
    reviewed = changed(kept, "2026-01", 0, 100, at_end="step_down")
    assert held_in(sums, reviewed, "2026-01", "2027-01", "2027-02") == ["t1", "t1", "t0"]


def test_a_review_in_the_middle_of_a_year_moves_to_its_end_when_years_become_the_window() -> None:
    rolling = a_program(ladder=a_ladder(0, 100))
    yearly = changed(rolling, "2026-01", 0, 100, window="calendar_year")
    sums = months(_2025_03=150)
    assert held_in(sums, yearly, "2026-03", "2026-04", "2026-12", "2027-01") == ["t1", "t1", "t1", "t0"]
