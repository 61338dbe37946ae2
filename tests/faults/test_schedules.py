"""Schedules that fire twice, late, or not for three days: after a fortnight all is as if they had been on time."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from chalicelib.jobs import rules as job_rules
from chalicelib.jobs import service as jobs_service
from chalicelib.kernel.ids import MemberId
from chalicelib.points.rules import commands
from chalicelib.points.service import find_points
from chalicelib.storage import keys
from tests.faults import planted
from tests.faults.conftest import Report
from tests.faults.sizes import LONG, PATIENCE, SEED
from tests.faults.works import DUE, Works
from tests.makers import Clock, a_purchase

SEEDS = range(SEED, SEED + (10 if LONG else 2))
START = date(2026, 4, 24)
"""The fortnight goes over the end of a month, when tiers are reviewed and birthdays fall on a 30th and a 1st."""
DAYS = 14
CROWD = 14
PROGRAM: dict[str, Any] = {
    "pending_days": 3,
    "expiry": {"mode": "rolling", "months": 12, "bucket": "day"},
    "notices": {"expiring_days": 5},
    "ladder": {
        "tiers": [
            {"tier_id": f"t{n}", "name": {"zh": f"级{n}", "en": f"T{n}"}, "threshold": n * 150, "birthday_points": 50}
            for n in range(3)
        ],
        "qualification": {"months": 1, "at_end": "step_down"},
    },
}


@dataclass(frozen=True)
class Deed:
    """Something a member does, at a moment, whatever the schedules do."""

    at: datetime
    member: int
    act: Callable[[Works, MemberId], Any]


def local(day: date, hour: float) -> datetime:
    """An hour of a day in Shanghai."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hour - 8)


def a_crowd(seed: int) -> tuple[Works, list[MemberId]]:
    """Members to whom much will happen in the fortnight."""
    chance, works = random.Random(seed), Works()
    works.clock.now = local(START - timedelta(days=20), 12)
    works.desk.publish(1, **PROGRAM)
    works.clock.forward(minutes=1)
    desk, crowd = works.desk, list[MemberId]()
    for number in range(CROWD):
        born = START + timedelta(days=chance.randrange(DAYS))
        member = MemberId(desk.enrol(birthday=f"1990-{born:%m-%d}").member_id)
        # What is spent comes from here, whether a gift came before it or after.
        desk.adjust(member, 1_000, key=f"purse{number}", expires_on=date(2026, 12, 31))
        for lot in range(chance.randrange(4)):
            last = START + timedelta(days=chance.randrange(-2, DAYS))
            desk.adjust(member, 10 + lot, key=f"lot{number}-{lot}", expires_on=last)
        if chance.random() < 0.6:
            points = chance.choice((160, 320))
            desk.adjust(member, 1, key=f"q{number}", qualifying_points=points, expires_on=date(2026, 12, 31))
        crowd.append(member)
    for day in range(-8, 0):  # a schedule that never fired knows of no day that it missed
        works.clock.now = local(START + timedelta(days=day), 22)
        for job in DUE:
            works.start(job)
            works.drain("work-job")
    return works, crowd


def deeds(seed: int) -> list[Deed]:
    """Purchases and spends of the fortnight."""
    chance, made = random.Random(seed + 1_000), list[Deed]()
    for number in range(CROWD * 4):
        at = local(START + timedelta(days=chance.randrange(DAYS)), chance.uniform(0, 24))
        buys = chance.random() < 0.6

        def act(works: Works, member: MemberId, n: int = number, at: datetime = at, buys: bool = buys) -> None:
            if buys:
                works.desk.buy(a_purchase(member, order_no=f"d{n}", occurred_at=at.isoformat()))
            else:
                works.desk.spend(member, 3, key=f"d{n}")

        made.append(Deed(at, chance.randrange(CROWD), act))
    return sorted(made, key=lambda deed: deed.at)


Firing = Callable[[random.Random], Callable[[datetime], int]]
"""How often schedules fire at an hour."""


def twice(chance: random.Random) -> Callable[[datetime], int]:
    """Every hour, two or three times."""
    return lambda at: chance.choice((2, 3))


def late(chance: random.Random) -> Callable[[datetime], int]:
    """Each day not before some hour of the evening, or the night."""
    hours = [chance.randrange(14, 24) for _ in range(DAYS + 40)]
    return lambda at: int((at + timedelta(hours=8)).hour >= hours[(at.date() - START).days])


def skipped(chance: random.Random) -> Callable[[datetime], int]:
    """Not for three days."""
    first = START + timedelta(days=chance.randrange(1, DAYS - 4))
    return lambda at: int(not first <= (at + timedelta(hours=8)).date() < first + timedelta(days=3))


def now_and_then(chance: random.Random) -> Callable[[datetime], int]:
    """By day, one time in ten, and then twice.

    Not by night: an account of which a notice is overdue goes on to the day that it is, so where schedules fire between
    midnight and the notice's hour only, and on no day after it, the notice waits, and is dropped when the points go.
    """
    return lambda at: 2 * int((at + timedelta(hours=8)).hour >= 10 and chance.random() < 1 / 10)


def lived(
    start: Works, crowd: list[MemberId], some: list[Deed], fires: Callable[[datetime], int], *, again: bool
) -> Works:
    """The fortnight, and two days in which everything is on time.

    Args:
        again: every message comes twice.
    """
    works = Works(core=start.core.copy(), ops=start.ops.copy(), clock=Clock(start.clock()))
    waiting = list(some)
    first, last = local(START, 0), local(START + timedelta(days=DAYS), 0)
    for hour in range(24 * (DAYS + 2)):
        at = first + timedelta(hours=hour, minutes=7)
        while waiting and waiting[0].at < at:
            deed = waiting.pop(0)
            works.clock.now = deed.at
            deed.act(works, crowd[deed.member])
        works.clock.now = at
        for _ in range(fires(at) if at < last else 1):
            for job in DUE:
                works.start(job)
                if again:
                    works.yard.queues.send(works.yard.queue, works.sqs.bodies("regulars-job-work"))
                works.drain("work-job")
    assert works.faults() == []
    assert works.dead("job-work") == []
    return works


def state(works: Works, crowd: list[MemberId]) -> list[dict[str, Any]]:
    """What each member has, and by which entries; without hashes and moments, which tell when it was booked."""
    return [_state(works, member) for member in crowd]


def _state(works: Works, member: MemberId) -> dict[str, Any]:
    account, desk, entries = works.desk.account(member), works.desk, works.desk.entries(member)
    notes = [item for item in works.core.items.values() if item.get("tl") == keys.happenings(member)]
    moved = [e for e in entries if e.key.kind != "tier"]
    return {
        "points": find_points(works.core, desk.book, member, now=works.clock()).model_dump(),
        "tier": (account.tier_id, account.held_through),
        "pending": dict(account.pending),
        "due": account.due_on,
        "entries": Counter((e.key.kind, e.points, e.expires_on, e.tier_before, e.tier_after) for e in moved),
        "purchases": Counter(e.key.parts for e in entries if e.key.kind == "purchase"),
        "reviews": Counter(e.tier_after for e in entries if e.key.kind == "tier"),
        "released": sum(item["what"]["points"] for item in notes if item["kind"] == "points_released"),
        "warned": any(item["kind"] == "points_expiring" for item in notes),
    }


def differing(seed: int, firing: Firing, *, again: bool = False, upright: Any = None) -> list[str]:
    """What is different after a fortnight of such firing.

    Args:
        upright: knows what a fortnight on time comes to; found anew without, as where a bug is planted.
    """
    start, crowd = a_crowd(seed)
    some = deeds(seed)
    first = upright(seed) if upright else state(lived(start, crowd, some, lambda _: 1, again=False), crowd)
    second = state(lived(start, crowd, some, firing(random.Random(seed)), again=again), crowd)
    return [
        f"seed {seed}, member {number}, {name}: {other[name]} in place of {one[name]}"
        for number, (one, other) in enumerate(zip(first, second, strict=True))
        for name in one
        if one[name] != other[name]
    ]


@cache
def on_time(seed: int) -> list[dict[str, Any]]:
    """What a fortnight comes to in which schedules fire every hour."""
    start, crowd = a_crowd(seed)
    return state(lived(start, crowd, deeds(seed), lambda _: 1, again=False), crowd)


@pytest.fixture(autouse=True)
def one_shard(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A small crowd needs no more."""
    monkeypatch.setattr(keys, "DUE_SHARDS", 1)
    yield


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("firing", [twice, late, skipped, now_and_then], ids=lambda f: f.__name__)
def test_a_fortnight_comes_to_the_same(firing: Firing, seed: int, report: Report) -> None:
    assert differing(seed, firing, again=firing is twice, upright=on_time) == []
    report(f"schedules: seed {seed}, {firing.__name__}: {CROWD} members and {DAYS} days as if on time")


def gifts_of_the_day_they_are_given(patch: pytest.MonkeyPatch) -> None:
    """A gift that comes late lives from the day that it comes."""
    real = commands.gift
    patch.setattr(
        commands,
        "gift",
        lambda *a, on, now, **more: real(*a, on=(now + timedelta(hours=8)).date(), now=now, **more),
    )


def a_run_each_time(patch: pytest.MonkeyPatch) -> None:
    """A schedule that fires starts a run, whatever was done before, and gifts are of no year."""
    planted.no_idempotency(patch)
    whole = jobs_service.start_run
    patch.setattr(job_rules, "days_to_run", lambda timetable, through, last: [last])
    patch.setattr(jobs_service, "start_run", lambda *a, **more: whole(*a, **{**more, "anew": True}))


@pytest.mark.parametrize(
    ("plant", "firing"),
    [(planted.only_today, skipped), (gifts_of_the_day_they_are_given, skipped), (a_run_each_time, twice)],
    ids=lambda each: each.__name__,
)
def test_a_planted_bug_is_found(plant: planted.Plant, firing: Firing, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    found: list[str] = []
    for seed in range(5):
        found = found or differing(seed, firing)
    assert found
