"""Members walk a journey for 90 days while everything goes wrong, beside an oracle that knows no faults.

Workers die before and after every kind of call, answers are lost, the database is busy, two workers take one message,
messages come twice, late, in another order, or not at all. The run is in `tests/faults/test_journeys.py`; here are the
bugs that it must find when they are planted.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from chalicelib.campaigns.models import QuietHours
from chalicelib.deliveries.rules import quiet_until
from chalicelib.journeys import store
from chalicelib.journeys.models import Instance, Send
from chalicelib.journeys.rules import intake, moving, timing
from chalicelib.journeys.service import stepping, ticking
from chalicelib.kernel.ids import MemberId
from chalicelib.storage.writes import Anyway, Put, Write
from tests.journeys.world import JOURNEY, World, member, path
from tests.makers import NOON

DAYS = 90
AGAIN = 20
EDITED = NOON + timedelta(days=20)
LATE = timedelta(hours=5)
"""Faults delay a step by less; nothing that decides happens so soon after a step should have been done."""

_QUIET = QuietHours(starts="21:00", ends="09:00")


def _document(edition: int) -> dict[str, Any]:
    def named(step: str) -> str:
        return f"{step}{edition}"

    def a_send(step: str, following: str | None) -> dict[str, Any]:
        return {
            "kind": "send", "step": named(step), "template_id": "tpl_" + "a" * 16, "send_within_hours": 48,
            "next": named(following) if following else None,
        }  # fmt: skip

    return {
        "entry": {"kind": "purchased"},
        "again_after_days": AGAIN,
        "goal": {"kind": "points_spent"},
        "steps": [
            a_send("thanks", "wait"),
            {"kind": "wait", "step": named("wait"), "until": {"kind": "for", "days": 2}, "next": named("again")},
            {
                "kind": "branch", "step": named("again"), "on": {"kind": "happened", "what": {"kind": "purchased"}},
                "then": named("points"), "otherwise": named("miss"),
            },
            {"kind": "give_points", "step": named("points"), "points": 20, "next": named("ten")},
            {"kind": "wait", "step": named("ten"), "until": {"kind": "time", "at": "10:00"}, "next": named("more")},
            a_send("more", None),
            a_send("miss", "tag"),
            {"kind": "retag", "step": named("tag"), "tag": "missed"},
        ],
    }  # fmt: skip


# ---------------------------------------------------------------- the oracle


@dataclass(frozen=True)
class Life:
    """What a member does, and when."""

    purchases: tuple[datetime, ...]
    spends: tuple[datetime, ...]


Way = tuple[datetime, list[tuple[str, str]], str]
"""When somebody came in, the steps that they are through with, and why they left."""


def expected(life: Life, zone: str) -> tuple[list[Way], list[datetime]]:
    """The ways of a member in a world without faults, and the instants at which something was decided."""
    ways: list[Way] = []
    moments: list[datetime] = []
    last: datetime | None = None
    for at in life.purchases:
        if last is None or at >= last + timedelta(days=AGAIN):
            last = at
            ways.append(_walk(at, life, zone, moments))
    return ways, moments


def _walk(at: datetime, life: Life, zone: str, moments: list[datetime]) -> Way:
    edition = 1 if at < EDITED else 2
    goal = next((each for each in life.spends if each > at), None)
    done: list[tuple[str, str]] = []

    def reached(now: datetime) -> bool:
        if now != at:
            moments.append(now)
        return goal is not None and goal <= now

    def through(step: str, outcome: str) -> None:
        done.append((f"{step}{edition}", outcome))

    def loud(now: datetime) -> datetime:
        return quiet_until(now, timing.quiet_of(_QUIET), zone) or now

    now = loud(at)
    if reached(now):
        return at, done, "goal"
    through("thanks", "sent")
    now += timedelta(days=2)
    if reached(now):
        return at, done, "goal"
    through("wait", "waited")
    bought = any(at < each <= now for each in life.purchases)
    through("again", "yes" if bought else "no")
    if bought:
        through("points", "given")
        ten = now.replace(hour=2, minute=0)  # 10:00 in Shanghai
        now = ten if ten >= now else ten + timedelta(days=1)
        if reached(now):
            return at, done, "goal"
        through("ten", "waited")
        through("more", "sent")
        return at, done, "completed"
    now = loud(now)
    if reached(now):
        return at, done, "goal"
    through("miss", "sent")
    through("tag", "changed")
    return at, done, "completed"


def a_life(chance: Random, zone: str, days: int) -> Life:
    """A life in which nothing happens just when something is decided, so that a delay changes no outcome."""
    while True:
        purchases, at = list[datetime](), NOON
        while at < NOON + timedelta(days=days - 8):
            at += timedelta(days=chance.choice((1, 1, 1, 2, 5, 8, 12)))
            hour = chance.choice((2, 3, 4, 5, 6, 14, 17, 20))
            purchases.append(at.replace(hour=hour, minute=chance.randrange(60)))
        purchases = [each for each in purchases if each < NOON + timedelta(days=days - 8)]
        first = purchases[0] if purchases else NOON
        spends = [first + timedelta(minutes=chance.randrange(600, 90_000)) for _ in range(chance.choice((0, 0, 1, 2)))]
        life = Life(tuple(purchases), tuple(sorted(spends)))
        if not _is_tight(life, zone):
            return life


def _is_tight(life: Life, zone: str) -> bool:
    """Whether a delay might change what happens to somebody."""
    ways, moments = expected(life, zone)
    edges = [each + timedelta(days=AGAIN) for each in life.purchases]
    decided = [*moments, *edges]
    happenings = [*life.purchases, *life.spends, EDITED]
    near = any(abs(each - moment) < LATE for each in happenings for moment in decided)
    # Who bought at night and is to wait for ten o'clock comes there at nine: an hour late would be a day late.
    by_night = any(done[2:3] == [(f"again{1 if at < EDITED else 2}", "yes")] and at.hour >= 13 for at, done, _ in ways)
    return near or by_night or any(abs(each - EDITED) < LATE for each in life.purchases)


# ---------------------------------------------------------------- the run


def simulated(seed: int, members: int, days: int = DAYS, trouble: float = 0.15) -> World:
    """A run of the world to its end."""
    chance = Random(seed)
    world = World(chance=chance)
    world.journey(_document(1))
    lives = {member(number): a_life(chance, world.zone, days) for number in range(members)}
    coming: list[tuple[datetime, str, MemberId]] = []
    for number, (name, life) in enumerate(lives.items()):
        world.enrol(number)
        coming += [(each, "purchased", name) for each in life.purchases]
        coming += [(each, "points_spent", name) for each in life.spends]
    coming.sort()
    world.lose, world.repeat, world.trouble = 20, 12, trouble
    every, edited = timedelta(minutes=20), False
    while world.clock() < NOON + timedelta(days=days):
        if not edited and world.clock() >= EDITED:
            world.journey(_document(2), edition=2)
            edited = True
        now = world.clock()
        while coming and coming[0][0] <= now:
            at, kind, name = coming.pop(0)
            world.clock.now = at
            told = world.happens(kind, name, delay=timedelta(minutes=chance.randrange(20)))
            if chance.random() < 0.2:
                world.tell(told, timedelta(hours=chance.randrange(1, 60)))
        world.clock.now = now
        world.tick()
        world.work()
        world.clock.now += every
    world.trouble, world.lose = 0.0, 0
    world.run(timedelta(days=3), timedelta(minutes=20))
    world.lives = lives  # type: ignore[attr-defined]
    return world


def violations(world: World) -> list[str]:
    """All that is not as it must be."""
    found: list[str] = []
    lives: dict[MemberId, Life] = world.lives  # type: ignore[attr-defined]
    found += [f"{name} came {times} times" for name, times in world.mail.got.items() if times > 1]
    found += [f"{key} given {times} times" for key, times in world.ledger.times.items() if times > 1]
    ways = world.ways()
    of: dict[MemberId, list[Instance]] = {}
    for each in ways:
        of.setdefault(each.ref.member_id, []).append(each)
        found += _each(world, each)
    for name, life in lives.items():
        should, _ = expected(life, world.zone)
        there = sorted(of.get(name, ()), key=lambda each: each.told_at)
        got = [(each.told_at, _known(path(each)), each.left.value if each.left else "") for each in there]
        if got != should:
            found.append(f"{name}: {got} and not {should}")
    found += _counters(world, ways)
    return found


def _known(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Steps, with a message of which nobody knows whether it came, and a tag that was there, as if all was well."""
    as_well = {"unknown": "sent", "unchanged": "changed"}
    return [(step, as_well.get(outcome, outcome)) for step, outcome in steps]


def _each(world: World, way: Instance) -> Iterator[str]:
    """A way is one of the graph, and what it says was done was done."""
    edition = store.find_edition(world.core, JOURNEY, way.edition)
    assert edition is not None
    at: str | None = edition.definition.steps[0].step
    for step, outcome in path(way):
        if step != at:
            yield f"{way.ref}: {step} and not {at}"
            return
        done = moving.step_of(edition.definition, step)
        came = world.mail.got[world.mail.name(way, done)] if isinstance(done, Send) else None
        if came is not None and outcome == "sent" and came != 1:
            yield f"{way.ref}: {step} is said to be sent and came {came} times"
        if done.kind == "give_points" and stepping.effect_key(_at(way, step)) not in world.ledger.given:
            yield f"{way.ref}: {step} gave nothing"
        at = moving.next_of(done, outcome)
    if way.left is None:
        yield f"{way.ref} is still inside"


def _at(way: Instance, step: str) -> Instance:
    return replace(way, step=step)


def _counters(world: World, ways: list[Instance]) -> Iterator[str]:
    """Counters say what the ways say."""
    should: Counter[tuple[int, str]] = Counter()
    for way in ways:
        edition = store.find_edition(world.core, JOURNEY, way.edition)
        assert edition is not None
        should[way.edition, "e"] += 1
        if way.left is not None:
            should[way.edition, f"l:{way.left.value}"] += 1
        for step, outcome in path(way):
            should[way.edition, f"o{moving.number_of(edition.definition, step)}:{outcome}"] += 1
        for step in dict.fromkeys([*(step for step, _ in path(way)), way.step]):
            should[way.edition, f"a{moving.number_of(edition.definition, step)}"] += 1
    if world.counted() != should:
        yield f"counters: {sorted((world.counted() - should).items())} {sorted((should - world.counted()).items())}"


# ---------------------------------------------------------------- planted bugs


@contextmanager
def _replaced(where: Any, name: str, other: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(where, name, other)
        yield


def _no_version_condition() -> Any:
    def move(before: Instance, after: Instance) -> Write:
        put = _real_move(before, after)
        assert isinstance(put, Put)
        return Put(put.key, put.item, Anyway(), put.otherwise)

    return _replaced(store, "move_instance", move)


def _state_before_effect() -> Any:
    """Whoever does a step moves on first, and does it then."""

    def one(self: Any, way: Instance, person: Any, answers: Any) -> bool:
        if self._released(way, self.editions.of(way), person):
            return False
        edition = self.editions.of(way)
        step = moving.step_of(edition.definition, way.step)
        if not isinstance(step, Send) or timing.quiet_of(_QUIET) is None:
            return bool(_real_one(self, way, person, answers))
        quiet = quiet_until(self.now, timing.quiet_of(step.quiet_hours), self.zone)
        if quiet is not None:
            return bool(_real_one(self, way, person, answers))
        move = moving.passed(edition.definition, way, "sent", self.now, person.month_day, self.zone)
        self._commit(way, move)
        self._done(way, edition, step, person, answers)
        return False

    return _replaced(stepping._Round, "_one", one)


def _no_gate() -> Any:
    return _replaced(intake, "uses_gate", lambda definition: False)


def _goal_only_when_it_comes() -> Any:
    """Whoever comes in after the purchase that was their goal is not looked at."""
    return _replaced(stepping._Round, "_happened", lambda self, way, what: False)


def _no_sweep() -> Any:
    return _replaced(ticking, "_swept", lambda *_: None)


def _counts_beside() -> Any:
    """Counters move in a write of their own."""

    def commit(self: Any, before: Instance, move: Any) -> None:
        self.works.table.commit([store.move_instance(before, move.after)])
        if store.count(before, move.amounts):
            self.works.table.commit(store.count(before, move.amounts))

    return _replaced(stepping._Round, "_commit", commit)


_real_move = store.move_instance
_real_one = stepping._Round._one

PLANTED: dict[str, Callable[[], Any]] = {
    "no version condition": _no_version_condition,
    "state before effect": _state_before_effect,
    "no gate": _no_gate,
    "goal not looked at": _goal_only_when_it_comes,
    "no sweep": _no_sweep,
    "counts beside": _counts_beside,
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(bug: str) -> None:
    with PLANTED[bug]():
        world = simulated(7, 60, days=26, trouble=0.6)
    assert violations(world)


@pytest.mark.parametrize("claim", ["message", "points"])
def test_an_effect_without_a_claim_is_found(claim: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = World.__post_init__

    def careless(self: World) -> None:
        real(self)
        self.mail.claiming = claim != "message"
        self.ledger.keyed = claim != "points"

    monkeypatch.setattr(World, "__post_init__", careless)
    assert violations(simulated(7, 60, days=26, trouble=0.6))
