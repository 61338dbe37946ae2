"""A worker that dies, is refused, or is overtaken at every single call of a port, in every kind of step."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.journeys.models import Left, Told
from tests.journeys.test_walks import WELCOME, a_send, a_wait
from tests.journeys.world import World, member, path

_FITS = {"kind": "fits", "definition": {"kind": "tag", "op": "has_any", "tags": ["vip"]}}
_BOUGHT = {"kind": "happened", "what": {"kind": "purchased"}}

STEPS: Mapping[str, dict[str, Any]] = {
    "send": {"steps": [a_send("s")]},
    "give_points": {"steps": [{"kind": "give_points", "step": "s", "points": 5}]},
    "tag": {"steps": [{"kind": "retag", "step": "s", "tag": "new"}]},
    "branch": {"steps": [{"kind": "branch", "step": "s", "on": _BOUGHT, "otherwise": "x"}, a_send("x")]},
    "lake": {"steps": [{"kind": "branch", "step": "s", "on": _FITS, "then": "x"}, a_send("x")]},
    "wait": {"steps": [a_wait("s", "x", days=1), a_send("x")]},
    "who": {"who": _FITS["definition"], "steps": [a_send("s")]},
    "again": {"again_after_days": 5, "steps": [a_send("s")]},
}


def _lived(document: dict[str, Any], at: int | None = None, kind: str = "") -> World:
    """Somebody enrols and goes their way; something goes wrong at a call."""
    world = World()
    world.journey({"entry": {"kind": "enrolled"}, **document})
    world.happens("enrolled", world.enrol(1))
    if at is not None:
        _once(world, at, kind)
    world.run(timedelta(days=1, hours=2), timedelta(minutes=30))
    return world


def _once(world: World, at: int, kind: str) -> None:
    """Have one call fail, counted over all workers and ticks from the beginning."""
    world._faults = lambda: {at - world.points.total: kind}  # type: ignore[method-assign]


def _state(world: World) -> Any:
    way = world.way(member(1))
    # A tag that was given before the worker died is there already.
    known = [(step, "changed" if outcome == "unchanged" else outcome) for step, outcome in path(way)]
    counted = {place: amount for place, amount in world.counted().items() if "changed" not in place[1]}
    return known, way.left, counted, sorted(world.mail.got.values()), sorted(world.ledger.times.values())


@pytest.mark.parametrize("kind", ["before", "after", "busy", "lost", "meanwhile"])
@pytest.mark.parametrize("step", STEPS)
def test_whatever_happens_at_a_call_every_step_is_done_once(step: str, kind: str) -> None:
    clean = _lived(STEPS[step])
    wanted = _state(clean)
    for at in range(clean.points.total + 2):
        world = _lived(STEPS[step], at, kind)
        got = _state(world)
        if got == wanted:
            continue
        # A message of which nobody knows whether it went out is the only thing that may come out otherwise.
        assert ("unknown" in {outcome for _, outcome in got[0]}) and set(got[3]) <= {1}, (at, got)
        assert got[1] is Left.COMPLETED


def test_a_goal_is_reached_though_the_worker_dies_at_any_call() -> None:
    for kind in ("before", "after", "meanwhile"):
        for at in range(11):
            world = World()
            world.journey(WELCOME)
            anna = world.enrol(1)
            world.happens("enrolled", anna)
            world.work()
            sent = sum(world.mail.got.values())
            world.happens("purchased", anna, paid_minor=1)
            _once(world, world.points.total + at, kind)
            world.run(timedelta(days=3, hours=6), timedelta(hours=2))
            assert world.way(anna).left is Left.GOAL, (kind, at)
            assert sum(world.mail.got.values()) == sent
            assert world.counted()[1, "l:goal"] == 1


def test_a_merge_is_followed_though_the_worker_dies_at_any_call() -> None:
    for kind in ("before", "after", "meanwhile"):
        for at in range(24):
            world = World()
            world.journey(WELCOME)
            anna, bert = world.enrol(1), world.enrol(2)
            world.happens("enrolled", anna)
            world.work()
            world.crowd.people[anna] = type(world.crowd.people[anna])(anna, "merged", into=bert)
            world.tell(Told("gone", "evt_m", anna, world.clock(), {}))
            _once(world, world.points.total + at, kind)
            world.run(timedelta(days=3, hours=6), timedelta(hours=2))
            assert world.way(anna).left is Left.MERGED, (kind, at)
            assert world.way(bert).left is Left.COMPLETED
            assert set(world.mail.got.values()) == {1}
            assert list(world.ledger.times.values()) == [1]
            assert not [name for (_, name), amount in world.counted().items() if name.startswith("i") and amount]


def test_two_workers_at_one_way_move_it_once() -> None:
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1, points=99)
    world.happens("enrolled", anna)
    world._faults = lambda: dict.fromkeys(range(40), "meanwhile")  # type: ignore[method-assign]
    world.run(timedelta(days=4))
    assert world.way(anna).left is Left.COMPLETED
    assert world.counted()[1, "e"] == 1
    assert set(world.mail.got.values()) == {1}
    assert list(world.ledger.times.values()) == [1]
    assert world.points.met["meanwhile"] > 30
