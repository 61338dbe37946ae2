"""Which days jobs do, and how runs are cut into parts."""

import itertools
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import available_timezones

import pytest

from chalicelib.jobs import rules
from chalicelib.jobs.models import TIMETABLES, Counts, Job, Part, RunRecord
from chalicelib.kernel.calendar import celebrated_on
from chalicelib.kernel.ids import MemberId
from tests.makers import NOON, a_member_id

ZONES = [
    "Africa/Cairo", "Africa/Casablanca", "Africa/Lagos", "America/Anchorage", "America/Argentina/Buenos_Aires",
    "America/Asuncion", "America/Chicago", "America/Halifax", "America/Havana", "America/Los_Angeles",
    "America/Mexico_City", "America/New_York", "America/Nuuk", "America/Santiago", "America/Sao_Paulo",
    "America/St_Johns", "Antarctica/Troll", "Asia/Dubai", "Asia/Gaza", "Asia/Hong_Kong", "Asia/Jerusalem",
    "Asia/Kathmandu", "Asia/Kolkata", "Asia/Shanghai", "Asia/Taipei", "Asia/Tehran", "Asia/Tokyo", "Asia/Urumqi",
    "Atlantic/Azores", "Australia/Adelaide", "Australia/Lord_Howe", "Australia/Sydney", "Europe/Berlin",
    "Europe/London", "Europe/Moscow", "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    "UTC",
]  # fmt: skip
YEARS = range(2024, 2033)
EVERY_BIRTHDAY = [f"{day:%m-%d}" for day in (date(2024, 1, 1) + timedelta(days=n) for n in range(366))]


def grants(zone: str, *, every: timedelta, outages: bool) -> Counter[tuple[str, int]]:
    """How often each birthday of each year is celebrated, by a schedule that fires at odd times and may be down."""
    timetable, chance = TIMETABLES[Job.BIRTHDAY], random.Random(zone)
    now, end = datetime(2023, 12, 20, 0, 7, tzinfo=UTC), datetime(2033, 1, 12, tzinfo=UTC)
    through: date | None = None
    counted: Counter[tuple[str, int]] = Counter()
    while now < end:
        days = rules.days_to_run(timetable, through, rules.last_day_begun(timetable, zone, now))
        for day in days:
            counted.update((birthday, day.year) for birthday in celebrated_on(day))
        through = days[-1] if days else through
        now += every + timedelta(minutes=chance.randrange(50))
        if outages and chance.random() < 0.05:
            now += timedelta(days=chance.randrange(1, 6))
    return counted


def test_there_are_forty_zones_and_366_days() -> None:
    assert len(ZONES) == 40
    assert set(ZONES) <= available_timezones()
    assert len(EVERY_BIRTHDAY) == 366


@pytest.mark.parametrize("outages", [False, True])
def test_every_birthday_is_celebrated_exactly_once_a_year_in_every_zone(outages: bool) -> None:
    once = Counter(dict.fromkeys(itertools.product(EVERY_BIRTHDAY, YEARS), 1))
    for zone in ZONES:
        counted = grants(zone, every=timedelta(hours=5), outages=outages)
        assert Counter({key: n for key, n in counted.items() if key[1] in YEARS}) == once, zone


def test_a_planted_rule_that_forgets_29_february_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "celebrated_on", lambda day: (f"{day:%m-%d}",))
    counted = grants("Asia/Shanghai", every=timedelta(hours=5), outages=False)
    assert [year for year in YEARS if counted["02-29", year] != 1] == [2025, 2026, 2027, 2029, 2030, 2031]


def test_29_february_of_a_common_year_is_celebrated_on_the_28th() -> None:
    assert celebrated_on(date(2026, 2, 28)) == ("02-28", "02-29")
    assert celebrated_on(date(2028, 2, 28)) == ("02-28",)
    assert celebrated_on(date(2028, 2, 29)) == ("02-29",)
    assert celebrated_on(date(2100, 2, 28)) == ("02-28", "02-29")
    assert celebrated_on(date(2000, 2, 28)) == ("02-28",)


def test_a_clock_that_goes_back_starts_no_day_again() -> None:
    timetable = TIMETABLES[Job.EXPIRE]
    assert rules.days_to_run(timetable, date(2026, 3, 15), date(2026, 3, 15)) == []
    assert rules.days_to_run(timetable, date(2026, 3, 16), date(2026, 3, 15)) == []
    assert rules.days_to_run(timetable, None, date(2026, 3, 15)) == [date(2026, 3, 15)]


def a_run(first: int) -> RunRecord:
    day = date(2026, 3, 15)
    terms = {"job": Job.EXPIRE, "day": day, "dry_run": False, "attempt": 1, "since": day, "first": first}
    return RunRecord.model_validate({**terms, "started_at": NOON, "started_by": "schedule"})


def a_part(**fields: object) -> Part:
    values = {"job": Job.EXPIRE, "day": date(2026, 3, 15), "dry_run": False, "attempt": 1, "name": "0", **fields}
    return Part(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize("members", [0, 1, 24, 25, 26, 99, 100])
@pytest.mark.parametrize("last", [None, "M#x"])
def test_a_page_hands_every_member_on_once_and_the_next_page_if_there_is_one(members: int, last: str | None) -> None:
    ids = [a_member_id() for _ in range(members)]
    closed = rules.page_closed(a_part(partition="DUE#2026-03-15#0"), ids, last)
    assert [each for part in closed.parts for each in part.members] == ids
    assert all(len(part.members) <= rules.MEMBERS_IN_A_PART for part in closed.parts)
    assert [part.after for part in closed.parts if part.partition] == ([last] if last else [])
    assert len({part.name for part in closed.parts}) == len(closed.parts) == closed.counts.opened
    assert (closed.counts.due, closed.counts.closed) == (members, 1)


def test_a_run_is_through_when_every_part_that_was_handed_on_is_closed_in_whatever_order() -> None:
    """All orders that can be, because a part is handed on after its parent is closed: only the last one is the end."""
    ids = [MemberId("mem_" + letter * 16) for letter in "abc"]
    page = rules.page_closed(a_part(partition="p"), ids, "next")
    group = rules.members_closed(page.parts[0], [5, None], [ids[2]])
    alone = rules.members_closed(group.parts[0], [7], [])
    end = rules.page_closed(page.parts[1], [], None)
    orders = itertools.permutations([page, group, alone, end])
    for order in (each for each in orders if each[0] is page and each.index(group) < each.index(alone)):
        counts = Counts()
        for number, closed in enumerate(order, 1):
            counts = Counts(
                **{name: amount + getattr(closed.counts, name) for name, amount in counts.model_dump().items()}
            )
            assert rules.is_through(a_run(first=1), counts) == (number == len(order))
        assert (counts.due, counts.done, counts.changed, counts.points, counts.set_aside) == (3, 3, 2, 12, 1)
