"""Arithmetic of a program, what its models refuse, and the next version."""

import math
from datetime import UTC, date, datetime
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chalicelib.kernel.calendar import NEVER, month_of
from chalicelib.kernel.languages import Language
from chalicelib.programs.errors import CurrencyFixed
from chalicelib.programs.models import (
    DEFAULT_TERMS,
    CustomField,
    EarnRate,
    Expiry,
    FormerLadder,
    PointValue,
    Program,
    PublishProgram,
    Rounding,
    default_program,
)
from chalicelib.programs.rules import earned_points, expires_on, next_version, period_of, today_of, worth_minor
from tests.makers import NOON, a_ladder, a_program

# ---------------------------------------------------------------- earning and worth

ROUND = {
    Rounding.DOWN: math.floor,
    Rounding.UP: math.ceil,
    Rounding.HALF_UP: lambda fraction: math.floor(fraction + Fraction(1, 2)),
}
amounts = st.integers(0, 10**12)


@given(amounts, st.integers(1, 10**6), st.integers(1, 10**9), st.sampled_from(Rounding), st.integers(0, 10_000))
def test_points_are_the_exact_fraction_rounded_once(
    paid: int, points: int, per: int, rounding: Rounding, percent: int
) -> None:
    rate = EarnRate(points=points, per_minor=per, rounding=rounding)
    exact = Fraction(paid) * points / per * percent / 100

    assert earned_points(paid, rate, percent=percent) == ROUND[rounding](exact)


@pytest.mark.parametrize(
    ("rounding", "points"), [("down", [0, 0, 1, 1, 2]), ("half_up", [0, 1, 1, 2, 2]), ("up", [1, 1, 1, 2, 2])]
)
def test_half_a_point_goes_where_the_rounding_says(rounding: str, points: list[int]) -> None:
    rate = EarnRate(points=1, per_minor=100, rounding=Rounding(rounding))
    assert [earned_points(paid, rate) for paid in (49, 50, 100, 150, 200)] == points


@given(amounts, st.integers(1, 10**6), st.integers(1, 10**9))
def test_points_pay_what_they_are_worth_rounded_down(points: int, per: int, minor: int) -> None:
    assert worth_minor(points, PointValue(points=per, minor=minor)) == math.floor(Fraction(points) * minor / per)


# ---------------------------------------------------------------- expiry


@pytest.mark.parametrize(
    ("expiry", "earned", "last"),
    [
        ({}, date(2026, 3, 15), date(2027, 3, 31)),
        ({}, date(2027, 2, 28), date(2028, 2, 29)),
        ({}, date(2028, 2, 29), date(2029, 2, 28)),
        ({"months": 1}, date(2026, 1, 31), date(2026, 2, 28)),
        ({"months": 1}, date(2026, 12, 1), date(2027, 1, 31)),
        ({"bucket": "day"}, date(2026, 3, 15), date(2027, 3, 15)),
        ({"bucket": "day"}, date(2028, 2, 29), date(2029, 2, 28)),
        ({"bucket": "day", "months": 1}, date(2026, 1, 31), date(2026, 2, 28)),
        ({"bucket": "day", "months": 24}, date(2026, 2, 28), date(2028, 2, 28)),
        ({"mode": "end_of_year"}, date(2026, 1, 1), date(2027, 12, 31)),
        ({"mode": "end_of_year", "years": 0}, date(2026, 12, 31), date(2026, 12, 31)),
        ({"mode": "end_of_year", "years": 2, "bucket": "day"}, date(2026, 7, 1), date(2028, 12, 31)),
        ({"mode": "never"}, date(2026, 7, 1), NEVER),
        ({"mode": "never", "bucket": "day"}, date(2026, 7, 1), NEVER),
    ],
)
def test_points_expire_on_the_last_day_that_the_program_says(expiry: dict[str, Any], earned: date, last: date) -> None:
    assert expires_on(earned, Expiry.model_validate(expiry, strict=False)) == last


def test_a_period_closes_with_its_month_or_its_day() -> None:
    by_month, by_day = (Expiry.model_validate({"bucket": bucket}, strict=False) for bucket in ("month", "day"))

    assert period_of(date(2028, 2, 1), by_month) == date(2028, 2, 29)
    assert period_of(date(2028, 2, 1), by_day) == date(2028, 2, 1)
    assert period_of(NEVER, by_month) == NEVER


def test_today_is_the_programs_day() -> None:
    instant = datetime(2026, 3, 31, 16, tzinfo=UTC)
    assert today_of(a_program(), instant) == date(2026, 4, 1)
    assert today_of(a_program(time_zone="Europe/London"), instant) == date(2026, 3, 31)


# ---------------------------------------------------------------- versions


def publish(current: Program, **changes: Any) -> PublishProgram:
    terms = current.model_dump(exclude={"version", "published_at", "former_ladders"})
    return PublishProgram.model_validate({**terms, "version": current.version, **changes}, strict=False)


def test_the_next_version_takes_the_new_terms_and_counts_on() -> None:
    after = next_version(a_program(), publish(a_program(), time_zone="UTC"), in_use=True, now=NOON)

    assert after == a_program(version=2, time_zone="UTC", published_at=NOON)


def test_a_ladder_that_is_replaced_is_kept_with_its_last_month_in_the_old_programs_zone() -> None:
    first = a_program(ladder=a_ladder(0, 10))
    # Already April in Shanghai.
    now = datetime(2026, 3, 31, 20, tzinfo=UTC)

    second = next_version(first, publish(first, ladder=a_ladder(0, 20), time_zone="UTC"), in_use=True, now=now)
    same = next_version(second, publish(second, name={"zh": "新", "en": "New"}), in_use=True, now=now)

    assert second.former_ladders == (FormerLadder(ladder=first.ladder, through=month_of(date(2026, 4, 1))),)
    assert same.former_ladders == second.former_ladders


def test_former_ladders_are_dropped_after_six_years() -> None:
    program = a_program(ladder=a_ladder(0, 10))
    program = next_version(
        program, publish(program, ladder=a_ladder(0, 20)), in_use=True, now=datetime(2020, 3, 15, tzinfo=UTC)
    )
    in_time = next_version(program, publish(program), in_use=True, now=datetime(2026, 3, 15, tzinfo=UTC))
    too_late = next_version(program, publish(program), in_use=True, now=datetime(2026, 4, 15, tzinfo=UTC))

    assert (len(in_time.former_ladders), len(too_late.former_ladders)) == (1, 0)


def test_the_currency_of_a_program_in_use_is_fixed() -> None:
    program = a_program()

    with pytest.raises(CurrencyFixed) as refused:
        next_version(program, publish(program, currency="JPY"), in_use=True, now=NOON)

    assert refused.value.facts == {"current": "CNY", "asked": "JPY"}
    assert next_version(program, publish(program, currency="JPY"), in_use=False, now=NOON).currency == "JPY"


# ---------------------------------------------------------------- models


def test_the_default_program_is_what_a_new_stack_has() -> None:
    program = default_program(NOON)

    assert (program.version, program.published_at, program.former_ladders) == (1, NOON, ())
    assert [(tier.tier_id, tier.threshold, tier.multiplier_percent) for tier in program.ladder.tiers] == [
        ("basic", 0, 100),
        ("silver", 1_000, 110),
        ("gold", 5_000, 125),
        ("diamond", 20_000, 150),
    ]


def test_a_tier_that_is_not_on_the_ladder_is_taken_for_the_first() -> None:
    program = a_program()
    assert [program.tier(tier_id).tier_id for tier_id in ("gold", "gone")] == ["gold", "basic"]
    assert (program.tier("gold").name.in_(Language.ZH), program.tier("gold").name.in_(Language.EN)) == ("金卡", "Gold")


TWICE = {"tiers": [a_ladder(0, 10)["tiers"][0], {**a_ladder(0, 10)["tiers"][1], "tier_id": "t0"}]}


@pytest.mark.parametrize(
    ("terms", "where", "message"),
    [
        ({"ladder": a_ladder(1, 10)}, ("ladder",), "first tier's threshold must be 0"),
        ({"ladder": a_ladder(0, 10, 10)}, ("ladder",), "thresholds must rise"),
        ({"ladder": a_ladder(0, 20, 10)}, ("ladder",), "thresholds must rise"),
        ({"ladder": TWICE}, ("ladder",), "tier ids must differ"),
        ({"ladder": {"tiers": []}}, ("ladder", "tiers"), "at least 1 item"),
        ({"time_zone": "Asia/Peking"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "../etc/passwd"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "localtime"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "posixrules"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "Factory"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "right/Asia/Shanghai"}, ("time_zone",), "not an IANA time zone name"),
        ({"time_zone": "posix/UTC"}, ("time_zone",), "not an IANA time zone name"),
        ({"country": "ZZ"}, ("country",), "not an ISO 3166-1 country code"),
        ({"country": "cn"}, ("country",), "should match pattern"),
        ({"currency": "RMB1"}, ("currency",), "should match pattern"),
        ({"earn_rate": {"points": 0, "per_minor": 100}}, ("earn_rate", "points"), "greater than or equal to 1"),
        ({"earn_rate": {"points": 1, "per_minor": 1.5}}, ("earn_rate", "per_minor"), "valid integer"),
        ({"expiry": {"months": 0}}, ("expiry", "months"), "greater than or equal to 1"),
        ({"surprise": 1}, ("surprise",), "not permitted"),
    ],
)
def test_terms_that_make_no_program_are_refused_where_they_are_wrong(
    terms: dict[str, Any], where: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        PublishProgram.model_validate({**DEFAULT_TERMS, "version": 1, **terms}, strict=False)
    (error,) = refused.value.errors()
    assert (error["loc"], message in error["msg"]) == (where, True)


def test_choices_belong_to_a_choice_field_and_only_there() -> None:
    label = {"zh": "尺码", "en": "Size"}
    choice = CustomField.model_validate({"type": "choice", "label": label, "choices": ["S", "M"]}, strict=False)
    assert choice.choices == ("S", "M")

    for wrong in ({"type": "choice"}, {"type": "choice", "choices": []}, {"type": "text", "choices": ["S"]}):
        with pytest.raises(ValidationError, match="choices belong to a choice field"):
            CustomField.model_validate({"label": label, **wrong}, strict=False)


@pytest.mark.parametrize("name", ["UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "Etc/GMT+8"])
def test_a_time_zone_is_utc_or_an_area_and_a_city(name: str) -> None:
    assert PublishProgram.model_validate({**DEFAULT_TERMS, "version": 1, "time_zone": name}, strict=False)


def test_the_choices_of_a_published_field_differ_and_those_of_an_old_program_stay_readable() -> None:
    fields = {"size": {"type": "choice", "label": {"zh": "码", "en": "Size"}, "choices": ["S", "M", "S "]}}
    with pytest.raises(ValidationError, match="choices of size must differ"):
        PublishProgram.model_validate({**DEFAULT_TERMS, "version": 1, "custom_fields": fields}, strict=False)
    assert a_program(custom_fields=fields).custom_fields["size"].choices == ("S", "M", "S")
