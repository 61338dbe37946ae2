"""When campaigns run, who is held out, how many parts are handed on, and what a definition may say."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chalicelib.campaigns.models import (
    Cost,
    Definition,
    Group,
    MakeCampaign,
    PlannedPart,
    QuietHours,
    Variant,
)
from chalicelib.campaigns.rules import assigning, comparing, releasing, timing
from chalicelib.campaigns.rules.releasing import Released
from chalicelib.deliveries.models import Outcome, Progress
from chalicelib.kernel.calendar import milliseconds, zone
from tests.fair import SMS, a_campaign, member

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def a_definition(**fields: Any) -> Definition:
    """What a campaign does."""
    command = a_campaign(**fields)
    return Definition(**{name: getattr(command, name) for name in Definition.model_fields})


def local(text: str, name: str) -> datetime:
    """An instant by the clock of a zone."""
    return datetime.fromisoformat(text).replace(tzinfo=zone(name)).astimezone(UTC)


# ---------------------------------------------------------------- when


def test_a_campaign_of_a_day_runs_by_the_clock_of_the_program() -> None:
    on = a_definition(schedule={"kind": "once", "on": "2026-12-01", "at": "10:30"})
    shanghai = timing.next_run(on, NOON, None, "Asia/Shanghai")
    assert shanghai == datetime(2026, 12, 1, 2, 30, tzinfo=UTC)
    assert timing.next_run(on, NOON, None, "America/New_York") == datetime(2026, 12, 1, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "at", "utc"),
    [
        ("2026-03-08", "02:30", "2026-03-08T07:30"),  # skipped: as much later, 03:30 in summer time
        ("2026-11-01", "01:30", "2026-11-01T05:30"),  # twice: the first
        ("2026-03-08", "03:00", "2026-03-08T07:00"),
    ],
)
def test_times_that_a_clock_skips_or_shows_twice_are_instants(day: str, at: str, utc: str) -> None:
    found = timing.instant_of(date.fromisoformat(day), at, "America/New_York")
    assert found == datetime.fromisoformat(utc).replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["Asia/Shanghai", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe"])
def test_a_birthday_campaign_has_one_run_a_day_and_every_birthday_one_in_a_year(name: str) -> None:
    birthdays = a_definition(schedule={"kind": "birthday", "at": "09:00", "until_on": "2029-12-31"})
    launched = local("2027-12-31T20:00", name)
    through, celebrated, runs, now = None, Counter[tuple[int, str]](), 0, launched
    while now < local("2030-01-03T00:00", name):
        days = timing.run_days(birthdays, launched, through, name, now)
        if days is not None:
            runs, through = runs + 1, days[1]
            assert days[0] == days[1], "no day was missed"
            celebrated.update((days[1].year, each) for each in timing.celebrated_between(*days))
        now += timedelta(hours=5)
    assert runs == 366 + 365
    assert set(celebrated.values()) == {1}
    assert {year for year, month_day in celebrated if month_day == "02-29"} == {2028, 2029}
    assert len(celebrated) == 366 * 2


def test_days_without_a_run_are_caught_up_with_in_one_but_not_for_ever() -> None:
    birthdays = a_definition(schedule={"kind": "birthday", "at": "09:00"})
    launched = datetime(2026, 3, 1, tzinfo=UTC)
    after_a_day = timing.run_days(birthdays, launched, date(2026, 3, 10), "UTC", datetime(2026, 3, 12, 9, tzinfo=UTC))
    assert after_a_day == (date(2026, 3, 11), date(2026, 3, 12))
    after_a_month = timing.run_days(birthdays, launched, date(2026, 3, 10), "UTC", datetime(2026, 4, 12, 8, tzinfo=UTC))
    assert after_a_month == (date(2026, 4, 9), date(2026, 4, 11))
    assert timing.run_days(birthdays, launched, date(2026, 3, 12), "UTC", datetime(2026, 3, 13, 8, tzinfo=UTC)) is None


def test_who_launches_a_birthday_campaign_after_its_hour_begins_tomorrow() -> None:
    birthdays = a_definition(schedule={"kind": "birthday", "at": "09:00"})
    early, late = datetime(2026, 3, 1, 8, tzinfo=UTC), datetime(2026, 3, 1, 10, tzinfo=UTC)
    assert timing.next_run(birthdays, early, None, "UTC") == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert timing.next_run(birthdays, late, None, "UTC") == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_each_hour_has_its_instant_within_a_day_and_outside_of_quiet_hours() -> None:
    quiet = timing.quiet_of(QuietHours(starts="21:00", ends="09:00"))
    start = local("2026-03-15T14:20", "Asia/Shanghai")
    hours = timing.best_hours(start, quiet, "Asia/Shanghai")
    assert hours[14] == start
    assert hours[20] == local("2026-03-15T20:00", "Asia/Shanghai")
    assert hours[10] == local("2026-03-16T10:00", "Asia/Shanghai")
    assert hours[23] == hours[3] == local("2026-03-16T09:00", "Asia/Shanghai")
    assert all(start <= each < start + timedelta(days=1) for each in hours)


def test_hours_of_a_day_on_which_the_clock_is_changed_are_instants_too() -> None:
    start = local("2026-03-07T12:00", "America/New_York")
    hours = timing.best_hours(start, None, "America/New_York")
    assert hours[2] == local("2026-03-08T03:00", "America/New_York")
    assert [each for each in hours if each < start] == []


# ---------------------------------------------------------------- who


def test_shares_of_those_who_are_held_out_and_of_variants_are_within_binomial_bounds() -> None:
    variants = [Variant(name="a", weight=3, template_ids=(SMS,)), Variant(name="b", weight=1, template_ids=(SMS,))]
    n, counts = 20_000, Counter[tuple[bool, str]]()
    for number in range(n):
        counts[assigning.assigned("salt", "once", member(number), 10, variants)] += 1
    held = counts[True, "a"] + counts[True, "b"]
    assert abs(held - 0.1 * n) < 4 * (n * 0.1 * 0.9) ** 0.5
    rest = n - held
    assert abs(counts[False, "a"] - 0.75 * rest) < 4 * (rest * 0.75 * 0.25) ** 0.5


def test_an_assignment_follows_from_salt_step_and_member_alone() -> None:
    variants = [Variant(name="a", template_ids=(SMS,)), Variant(name="b", template_ids=(SMS,))]

    def all_of(salt: str, step: str) -> list[tuple[bool, str]]:
        return [assigning.assigned(salt, step, member(number), 50, variants) for number in range(200)]

    assert all_of("salt", "2026") == all_of("salt", "2026")
    assert all_of("salt", "2026") != all_of("other", "2026")
    assert all_of("salt", "2026") != all_of("salt", "2027")


def test_nobody_is_held_out_of_none_and_the_last_variant_has_the_end() -> None:
    assert assigning.held_out_below(0) == 0
    variants = [Variant(name=each, template_ids=(SMS,)) for each in ("a", "b", "c")]
    assert assigning.variants_below(variants)[-1] == assigning.RANGE


# ---------------------------------------------------------------- handing on


def parts(*recipients: int, hours: tuple[int, ...] = ()) -> list[PlannedPart]:
    """Planned parts, each for an hour after noon."""
    at = hours or (0,) * len(recipients)
    return [
        PlannedPart(count, milliseconds(NOON + timedelta(hours=hour)))
        for count, hour in zip(recipients, at, strict=True)
    ]


def test_parts_are_handed_on_when_their_hour_has_come() -> None:
    some = parts(500, 500, 500, hours=(0, 1, 2))
    assert releasing.to_release(some, Released(), None, stale=False, now=NOON) == 1
    later = NOON + timedelta(hours=1)
    assert releasing.to_release(some, Released(parts=1), None, stale=False, now=later) == 1
    assert releasing.to_release(some, Released(parts=1), None, stale=True, now=later) == 2


def test_a_throttle_lets_so_many_go_a_minute() -> None:
    some = parts(*[400] * 10)
    first = releasing.to_release(some, Released(), 1000, stale=False, now=NOON)
    assert first == 2
    at = Released(parts=2, at=NOON)
    assert releasing.to_release(some, at, 1000, stale=False, now=NOON + timedelta(seconds=30)) == 0
    assert releasing.to_release(some, at, 1000, stale=False, now=NOON + timedelta(seconds=60)) == 2
    assert releasing.to_release(some, at, 100, stale=False, now=NOON + timedelta(minutes=60)) == 1


def progress(sent: int, cost: int, done: int = 1) -> Progress:
    """How far a run is."""
    return Progress(10_000, 10, done, {Outcome.SENT: sent} if sent else {}, {}, cost)


def test_money_buys_as_many_parts_as_the_price_so_far_says() -> None:
    some = parts(*[100] * 10)
    assert releasing.affordable(some, 0, progress(0, 0), 1_000) == 1
    assert releasing.affordable(some, 1, progress(0, 0), 1_000) == 0
    assert releasing.affordable(some, 1, progress(100, 200), 1_000) == 4
    assert releasing.affordable(some, 3, progress(100, 200), 1_000) == 2
    assert releasing.affordable(some, 5, progress(500, 1_000), 1_000) == 0
    assert releasing.affordable(some, 1, progress(100, 0), 0) == 9


def test_a_run_in_which_nothing_comes_through_is_noticed() -> None:
    handed_on = Released(parts=5, done=2, moved_at=NOON)
    assert not releasing.is_silent(handed_on, 2, NOON + timedelta(minutes=29))
    assert releasing.is_silent(handed_on, 2, NOON + timedelta(minutes=30))
    assert not releasing.is_silent(handed_on, 5, NOON + timedelta(minutes=30))


# ---------------------------------------------------------------- what it brought


def a_group(members: int, buyers: int, each: int) -> Group:
    """Members of whom some bought for as much."""
    return Group(members, buyers, buyers, buyers * each, buyers * each * each)


def test_a_comparison_is_null_and_says_why() -> None:
    many = a_group(1000, 100, 5_000)
    assert comparing.compared(many, None).why_not == "no_holdout"
    assert comparing.compared(many, a_group(29, 3, 5_000)).why_not == "too_few_members"
    assert comparing.compared(a_group(1000, 0, 0), a_group(100, 0, 0)).why_not == "nothing_bought"


def test_a_comparison_by_hand() -> None:
    # 1,000 members of whom 100 bought for 50.00; 500 held out of whom 25 did.
    found = comparing.compared(a_group(1000, 100, 5_000), a_group(500, 25, 5_000))
    assert found.buyers_per_million is not None
    assert found.buyers_per_million.value == 50_000
    # Wilson: 100 of 1,000 is 0.08291 to 0.12015, 25 of 500 is 0.03409 to 0.07277. Newcombe: 0.05 less the root of
    # 0.01709² + 0.02277², and more by the root of 0.02015² + 0.01591².
    assert abs(found.buyers_per_million.low - 21_532) < 5
    assert abs(found.buyers_per_million.high - 75_672) < 5
    assert found.sales_per_thousand_minor is not None
    # Means 500 and 250; variances 5000² × (.09 × 1000/999) and 5000² × (.0475 × 500/499); so the
    # standard error is the root of 2,252.25 + 2,379.76; t of 1,306 degrees of freedom: 1.9618.
    assert found.sales_per_thousand_minor.value == 250_000
    assert abs(found.sales_per_thousand_minor.low - 116_482) < 30
    assert found.incremental_sales_minor is not None
    assert found.incremental_sales_minor.value == 250_000


def test_each_other_variant_is_compared_with_the_first_that_the_campaign_names() -> None:
    groups = {"b": a_group(1000, 100, 5_000), "a": a_group(500, 25, 5_000), "few": a_group(29, 3, 5_000)}
    found = comparing.beside_first(groups, ["a", "b", "few", "nobody"])
    assert list(found) == ["b", "few", "nobody"]
    assert found["b"] == comparing.compared(groups["b"], groups["a"])
    assert (found["few"].why_not, found["nobody"].why_not) == ("too_few_members", "too_few_members")
    assert comparing.beside_first(groups, ["a"]) == {}
    assert comparing.beside_first({"b": groups["b"]}, ["a", "b"])["b"].why_not == "too_few_members"


def test_a_return_is_what_is_left_of_each_hundred_spent() -> None:
    assert comparing.return_percent(30_000, 10_000) == 200
    assert comparing.return_percent(5_000, 10_000) == -50
    assert comparing.return_percent(None, 10_000) is None
    assert comparing.return_percent(5_000, 0) is None


# ---------------------------------------------------------------- what it may say


@pytest.mark.parametrize(
    "fields",
    [
        {"holdout_percent": 91},
        {"holdout_percent": True},
        {"variants": []},
        {"variants": [{"name": "a", "template_ids": []}]},
        {"variants": [{"name": "a", "template_ids": [SMS]}, {"name": "a", "template_ids": [SMS]}]},
        {"variants": [{"name": "a", "template_ids": [SMS, SMS]}]},
        {"schedule": {"kind": "once", "on": "2026-02-30", "at": "10:00"}},
        {"schedule": {"kind": "once", "on": "2026-02-20", "at": "24:00"}},
        {"schedule": {"kind": "hourly"}},
        {"quiet_hours": {"starts": "09:00", "ends": "09:00"}},
        {"frequency_cap": {"sends": 0, "days": 1}},
        {"gift": {"points": 0}},
        {"segment_id": "seg_; drop table"},
        {"purpose": "Marketing'"},
        {"unknown": 1},
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    text = a_campaign().model_dump(mode="json") | fields
    with pytest.raises(ValidationError):
        MakeCampaign.model_validate_json(json.dumps(text))


def test_of_what_nobody_tells_there_is_no_figure() -> None:
    def told(sent_by: dict[str, int], **heard: int) -> tuple[int | None, ...]:
        sent = sum(sent_by.values())
        group = Group(members=9, outcomes={"sent": sent} if sent else {}, sent_by=sent_by, receipts=heard)
        found = comparing.results(group, None, Cost(), compares=False)
        return found.delivered, found.opened, found.clicked, found.bounced, found.complained

    assert told({"smtp": 3}) == (None,) * 5
    assert told({"": 3}) == (None,) * 5
    assert told({}) == (0,) * 5, "nothing was sent, and nothing of it came"
    assert told({"aliyun": 3}) == (0, None, None, 0, None)
    assert told({"smtp": 3, "ses": 4}, delivered=2) == (2, 0, 0, 0, 0)
    assert told({"stub": 3}, delivered=2, failed=1) == (2, None, None, 1, None), "what was heard was heard"
    both = comparing.total({"a": Group(sent_by={"smtp": 1}), "b": Group(sent_by={"smtp": 2, "ses": 1})})
    assert both.sent_by == {"smtp": 3, "ses": 1}
