"""Parts of runs: at most once, nobody forgotten, whatever fails at whatever point."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest

from chalicelib.deliveries import store
from chalicelib.deliveries.models import Gift, Outcome, Quiet, RunStatus
from chalicelib.deliveries.service.parts import LOOK_AGAIN
from chalicelib.kernel.errors import StorageBusy
from chalicelib.providers.models import Outgoing
from tests.makers import NOON
from tests.sends.planted import BUGS
from tests.sends.world import RUN, Fault, Mood, World

KINDS = ("before", "after", "busy", "lost")


def always(mood: str) -> Mood:
    return lambda batch, chance: mood


def half(one: str, other: str = "ok") -> Mood:
    return lambda batch, chance: one if chance.random() < 0.5 else other


def any_mood(batch: Sequence[Outgoing], chance: Random) -> str:
    return chance.choice(("ok", "ok", "ok", "busy", "dead", "mute", "garbage", "mixed", "shuffled"))


def opts_out(number: int) -> Callable[[World], None]:
    return lambda world: world.opt_out(world.members[number])


def another(world: World) -> None:
    """Another worker is given the same message."""
    again = world.work(0)
    if again is not None:
        world.push(0, again)


def another_much_later(world: World) -> None:
    """Our worker is stopped for so long that another takes over; then ours goes on."""
    world.wait(200)
    another(world)


def pauses(world: World) -> None:
    world.change(RunStatus.PAUSED)


def cancels(world: World) -> None:
    world.change(RunStatus.CANCELLED)


def points_of(**more: object) -> int:
    """How many points a run has at which nothing happens."""
    world = World(**more)  # type: ignore[arg-type]
    world.drain()
    assert world.wrong() == []
    return world.points.count


def test_all_are_sent_to_once_and_counted() -> None:
    world = World(sizes=(7, 5, 1))
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.SENT: 13})
    assert world.provider is not None and [name for name, _ in world.provider.got] != []


@pytest.mark.parametrize("idempotent", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_point_neither_loses_nor_doubles(kind: str, *, idempotent: bool) -> None:
    for point in range(points_of(idempotent=idempotent)):
        world = World(idempotent=idempotent, faults={point: Fault(kind)})
        world.drain()
        assert world.wrong() == [], point


@pytest.mark.parametrize("act", [another, another_much_later])
@pytest.mark.parametrize("idempotent", [False, True])
def test_two_workers_at_once_at_every_point(act: Callable[[World], None], *, idempotent: bool) -> None:
    for point in range(points_of(idempotent=idempotent)):
        world = World(idempotent=idempotent, faults={point: Fault("meanwhile", act)})
        world.drain()
        assert world.wrong() == [], point
        if act is another:
            assert world.outcomes() == Counter({Outcome.SENT: 7}), point


@pytest.mark.parametrize("number", [0, 3, 6])
@pytest.mark.parametrize("idempotent", [False, True])
def test_nobody_is_sent_to_after_their_opt_out_was_acknowledged(number: int, *, idempotent: bool) -> None:
    for point in range(points_of(idempotent=idempotent)):
        world = World(idempotent=idempotent, faults={point: Fault("meanwhile", opts_out(number))})
        world.drain()
        assert world.wrong() == [], point


SLOW: dict[str, Any] = {"batch_max": 50, "seconds": 0.38}
"""A mail server that takes a batch one by one, and takes its time."""


def test_nobody_is_sent_to_by_a_slow_provider_after_their_opt_out_was_acknowledged() -> None:
    reasons = Counter[Outcome]()
    for point in range(points_of(**SLOW)):
        world = World(faults={point: Fault("meanwhile", opts_out(5))}, **SLOW)
        world.drain()
        assert world.wrong() == [], point
        reasons += world.outcomes()
    assert set(reasons) == {Outcome.SENT, Outcome.NO_CONSENT} and reasons[Outcome.NO_CONSENT] > 5


def test_a_pause_stops_a_slow_provider_between_two_requests_and_the_others_go_when_it_is_resumed() -> None:
    for point in range(points_of(**SLOW)):
        world = World(faults={point: Fault("meanwhile", pauses)}, **SLOW)
        world.drain()
        if world.paused_at and world.wrong():
            assert "calls went on after a pause" not in world.wrong(), point
            world.resumed = True
            world.change(RunStatus.SENDING)
            world.drain()
        assert world.wrong() == [], point
        assert world.outcomes() == Counter({Outcome.SENT: 7}), point


def test_a_cancelled_run_stops_at_a_slow_provider() -> None:
    sent = set()
    for point in range(points_of(**SLOW) - 4):
        world = World(faults={point: Fault("meanwhile", cancels)}, **SLOW)
        world.drain()
        run = store.find_run(world.core, RUN)
        assert run is not None and world.wrong(ended=run.status) == [], point
        sent.add(world.outcomes()[Outcome.SENT])
    assert sent == set(range(8))


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_point_of_a_slow_provider(kind: str) -> None:
    for point in range(points_of(**SLOW)):
        world = World(faults={point: Fault(kind)}, **SLOW)
        world.drain()
        assert world.wrong() == [], point


def test_what_a_slow_provider_took_is_known_though_it_cannot_be_looked_again() -> None:
    world = World(**SLOW)
    changed, looks = world.reach.changed, itertools.count()

    def busy_once(since: datetime, now: datetime) -> Mapping[str, str]:
        if next(looks) == 4:
            raise StorageBusy
        return changed(since, now)

    world.reach.changed = busy_once  # type: ignore[method-assign]
    world.drain()
    assert world.wrong() == [] and world.outcomes() == Counter({Outcome.SENT: 7})


@pytest.mark.parametrize("seconds", [0.004, 0.04, 0.09, 0.11])
def test_an_opt_out_reaches_everybody_of_a_call_in_time_however_quick_the_requests(seconds: float) -> None:
    """One look is for all whose turn is still to come: each request may take less than a look holds."""
    world = World(sizes=(50,), batch_max=50, seconds=seconds)
    provider, taken, looks = world.provider, list[datetime](), list[datetime]()
    assert provider is not None
    take, changed = provider._take, world.reach.changed

    def then_all_opt_out(outgoing: Outgoing) -> None:
        take(outgoing)
        taken.append(world.clock())
        if len(taken) == 3:
            for member in world.members:
                world.opt_out(member)

    def looked(since: datetime, now: datetime) -> Mapping[str, str]:
        looks.append(now)
        return changed(since, now)

    provider._take = then_all_opt_out  # type: ignore[method-assign]
    world.reach.changed = looked  # type: ignore[method-assign]
    world.drain()
    assert max(taken) - taken[2] <= LOOK_AGAIN, len(taken)
    outcomes = world.outcomes()
    assert outcomes == Counter({Outcome.SENT: len(taken), Outcome.NO_CONSENT: 50 - len(taken)})
    assert len(looks) <= 4 + 3  # those before, the one that finds them, and those of the changed


def test_a_provider_that_is_fast_is_not_looked_for_again() -> None:
    world = World(sizes=(60,), batch_max=50, seconds=0.001)
    looks, changed = [], world.reach.changed
    world.reach.changed = lambda since, now: looks.append(now) or changed(since, now)  # type: ignore[method-assign,func-returns-value]
    world.drain()
    assert world.wrong() == [] and len(looks) == 2


def test_an_opt_out_between_a_crash_and_the_next_try_leaves_it_unknown() -> None:
    def killed_and_out(world: World) -> None:
        world.opt_out(world.members[0])

    found = Counter[Outcome]()
    for point in range(points_of(idempotent=True)):
        world = World(idempotent=True, faults={point: Fault("before")})
        with suppress(AssertionError):
            world.drain(1)
        killed_and_out(world)
        world.drain()
        assert world.wrong() == [], point
        found += world.outcomes()
    assert found[Outcome.UNKNOWN] and found[Outcome.NO_CONSENT]


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_pause_at_every_point_stops_it_and_it_can_be_resumed(*, idempotent: bool) -> None:
    for point in range(points_of(idempotent=idempotent)):
        world = World(idempotent=idempotent, faults={point: Fault("meanwhile", pauses)})
        world.drain()
        if world.paused_at and world.wrong():
            assert "calls went on after a pause" not in world.wrong(), point
            world.resumed = True
            world.change(RunStatus.SENDING)
            world.drain()
        assert world.wrong() == [], point
        assert world.outcomes() == Counter({Outcome.SENT: 7}), point


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_cancelled_run_is_counted_to_the_last_recipient(*, idempotent: bool) -> None:
    for point in range(points_of(sizes=(4, 4), idempotent=idempotent) - 4):
        world = World(sizes=(4, 4), idempotent=idempotent, faults={point: Fault("meanwhile", cancels)})
        world.drain()
        run = store.find_run(world.core, RUN)
        assert run is not None
        assert world.wrong(ended=run.status) == [], point


@pytest.mark.parametrize("mood", ["busy", "dead", "mute", "garbage", "mixed", "shuffled"])
@pytest.mark.parametrize("idempotent", [False, True])
def test_a_provider_that_fails_half_the_time(mood: str, *, idempotent: bool) -> None:
    for seed in range(15):
        world = World(idempotent=idempotent, mood=half(mood), seed=seed, sizes=(7, 4))
        world.drain()
        assert world.wrong() == [], seed


def test_a_provider_that_is_down_for_minutes_delays_and_loses_nothing() -> None:
    down_until = NOON + timedelta(minutes=17)
    world = World(sizes=(7, 7))
    assert world.provider is not None
    world.provider.mood = lambda batch, chance: "busy" if world.clock() < down_until else "ok"
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.SENT: 14})


def test_success_that_never_answers_is_unknown_and_counted() -> None:
    world = World(mood=always("mute"))
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.UNKNOWN: 7})


def test_an_idempotent_provider_that_never_answers_is_asked_until_it_is_too_late() -> None:
    world = World(mood=always("mute"), idempotent=True, send_until=NOON + timedelta(minutes=10))
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.UNKNOWN: 7})
    assert world.provider is not None and len(world.provider.calls) > 5


def test_what_comes_too_late_expires() -> None:
    world = World(mood=always("busy"), send_until=NOON + timedelta(minutes=10))
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.EXPIRED: 7})


def test_best_hours_and_quiet_hours_are_waited_for_without_wearing_a_message_out() -> None:
    quiet = Quiet(12 * 60, 12 * 60 + 30)
    world = World(sizes=(8,), hours=(0, 0, 45, 300), quiet=quiet)
    sent: list[tuple[str, float]] = []
    assert world.provider is not None
    inner = world.provider._take

    def take(outgoing: Outgoing) -> None:
        sent.append((outgoing.delivery_id, (world.clock() - NOON).total_seconds() / 60))
        inner(outgoing)

    world.provider._take = take  # type: ignore[method-assign]
    world.drain()
    assert world.wrong() == []
    assert sorted(round(at) // 5 * 5 for _, at in sent) == [30, 30, 30, 30, 45, 45, 300, 300]


def test_gifts_come_before_messages_and_who_cannot_be_given_one_is_not_written_to() -> None:
    world = World(gift=Gift(10))
    world.drain()
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.SENT: 6, Outcome.NO_GIFT: 1})
    assert len(world.giver.given) == 6


def test_a_channel_that_nobody_brings_waits_until_it_is_too_late() -> None:
    world = World(send_until=NOON + timedelta(hours=1))
    provider, world.provider = world.provider, None
    world.drain()
    world.provider = provider
    assert world.wrong() == []
    assert world.outcomes() == Counter({Outcome.EXPIRED: 7})


# ---------------------------------------------------------------- everything at once


def storm(seed: int, *, idempotent: bool) -> World:
    """A run in which much happens at once."""
    chance = Random(seed)
    acts = (another, another_much_later, *(opts_out(number) for number in range(0, 12, 2)))
    faults: dict[int, Fault] = {}
    for _ in range(chance.randrange(8)):
        kind = chance.choice((*KINDS, "meanwhile"))
        act = chance.choice(acts) if kind == "meanwhile" else None
        faults[chance.randrange(120)] = Fault(kind, act)
    return World(
        sizes=(7, 5), idempotent=idempotent, batch_max=chance.choice((1, 2, 3, 50)), mood=any_mood, faults=faults,
        seed=seed, slow=chance.random() < 0.5, hours=chance.choice(((), (0, 0, 20))),
    )  # fmt: skip


def wrong_in_storms(seeds: Sequence[int]) -> Iterator[tuple[int, list[str]]]:
    for seed in seeds:
        world = storm(seed, idempotent=seed % 2 == 0)
        world.drain()
        if found := world.wrong():
            yield seed, found


def test_storms() -> None:
    assert list(wrong_in_storms(range(300))) == []


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_planted_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    assert any(found() for found in (_by_storm, _by_points, _by_a_slow_provider))


def _by_a_slow_provider() -> bool:
    for point in range(points_of(**SLOW)):
        world = World(faults={point: Fault("meanwhile", opts_out(5))}, **SLOW)
        if not ends(world) or world.wrong():
            return True
    return False


def _by_storm() -> bool:
    for seed in range(150):
        world = storm(seed, idempotent=seed % 2 == 0)
        if not ends(world) or world.wrong():
            return True
    return False


def ends(world: World) -> bool:
    """Whether the queue comes to an end, and no worker falls over."""
    try:
        world.drain(400)
    except (AssertionError, LookupError):
        return False
    return True


def _by_points() -> bool:
    for point in range(60):
        for act in (another, another_much_later, pauses, opts_out(3)):
            world = World(faults={point: Fault("meanwhile", act)})
            if not ends(world):
                return True
            found = set(world.wrong())
            if act is pauses and found and "calls went on after a pause" not in found:
                continue
            unknown = act is another and Outcome.UNKNOWN in world.outcomes()
            if found or unknown:
                return True
    return False
