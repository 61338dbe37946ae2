"""Operations of journeys. Who fits is asked of the lake, which is no table."""

import json
from dataclasses import replace
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.journeys import jobs, store
from chalicelib.journeys.models import Ref
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.runtime import wiring

_STEPS = [
    {"kind": "wait", "step": "w", "until": {"kind": "for", "days": 1}, "next": "tag"},
    {"kind": "branch", "step": "tag", "on": {"kind": "has_tag", "tag": "vip"}},
]
_BODY: dict[str, Any] = {"name": "Welcome", "entry": {"kind": "by_hand"}, "steps": _STEPS}


def _made(scene: Scene, *, active: bool = False, **fields: Any) -> str:
    settings = replace(scene.house.settings, journey_queue="https://queues.invalid/journey-steps")
    wiring.use(replace(scene.house, settings=settings, queues=scene.tray))
    path: str = "/v1/journeys/" + scene.post("/v1/journeys", {**_BODY, **fields}, key="journey-1")["journey_id"]
    if active:
        scene.post(f"{path}/activate", {"version": 1})
    return path


def _inside(scene: Scene) -> str:
    path = _made(scene, active=True)
    scene.post(f"{path}/entries", {"member_ids": [scene.member]}, key="e1")
    return path


def _turned(verb: str, *, active: bool) -> Any:
    def arrange(scene: Scene) -> Metered:
        path = _made(scene, active=active)
        return lambda: scene.post(f"{path}/{verb}", {"version": 2 if active else 1})

    arrange.__name__ = f"{verb}_journey"
    return arrange


@operation("make_journey", "make a journey")
def make_journey(scene: Scene) -> Metered:
    return lambda: scene.post("/v1/journeys", _BODY, key="journey-1")


@operation("list_journeys", "a page of journeys")
def list_journeys(scene: Scene) -> Metered:
    _made(scene)
    return lambda: scene.get("/v1/journeys")


@operation("get_journey", "a journey")
def get_journey(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.get(path)


@operation("edit_journey", "a new version of a journey")
def edit_journey(scene: Scene) -> Metered:
    path = _made(scene, active=True)
    return lambda: scene.send("PUT", path, {**_BODY, "name": "Other", "version": 2})


@operation("list_journey_versions", "versions of a journey, and how many are in each")
def list_journey_versions(scene: Scene) -> Metered:
    path = _inside(scene)
    return lambda: scene.get(f"{path}/versions")


activate_journey = operation("activate_journey", "activate a journey")(_turned("activate", active=False))
pause_journey = operation("pause_journey", "pause a journey")(_turned("pause", active=True))
close_journey = operation("close_journey", "let nobody into a journey any more")(_turned("close", active=True))
end_journey = operation("end_journey", "end a journey")(_turned("end", active=True))
archive_journey = operation("archive_journey", "put a journey away")(_turned("archive", active=False))


@operation("enter_members", "let a member into a journey by hand")
def enter_members(scene: Scene) -> Metered:
    path = _made(scene, active=True)
    return lambda: scene.post(f"{path}/entries", {"member_ids": [scene.member]}, key="e1")


@operation("list_journey_members", "who is in a journey, one member")
def list_journey_members(scene: Scene) -> Metered:
    path = _inside(scene)
    return lambda: scene.get(f"{path}/members")


@operation("count_journey_members", "how many are where in a journey")
def count_journey_members(scene: Scene) -> Metered:
    path = _inside(scene)
    return lambda: scene.get(f"{path}/counts")


@operation("walk_journey", "a test run of a journey")
def walk_journey(scene: Scene) -> Metered:
    path = _made(scene)
    return lambda: scene.post(f"{path}/walks", {"member_id": scene.member})


@operation("list_member_journeys", "the journeys of a member")
def list_member_journeys(scene: Scene) -> Metered:
    _inside(scene)
    return lambda: scene.get(f"/v1/members/{scene.member}/journeys")


@operation("journeys.jobs.take_events", "an event that lets a member into a journey")
def take_events(scene: Scene) -> Metered:
    _made(scene, active=True, entry={"kind": "enrolled"})
    now = scene.house.clock().isoformat()
    event = {
        "event_id": "evt_" + "a" * 32, "type": "MemberEnrolled", "version": 1, "member_id": scene.member, "seq": None,
        "occurred_at": now, "recorded_at": now, "data": {"shop_id": None, "source": None},
    }  # fmt: skip
    records = [{"messageId": "1", "body": json.dumps(event)}]
    return lambda: scene.handle("journeys.jobs.take_events", jobs.take_events, {"Records": records})


@operation("journeys.jobs.do_steps", "a step of a journey that ends it, without what it takes effect on")
def do_steps(scene: Scene) -> Metered:
    path = _inside(scene)
    scene.clock.forward(days=2)
    ref = Ref(MemberId(scene.member), JourneyId(path.rpartition("/")[2]), "once")
    records = [{"messageId": "1", "body": store.message([ref])}]
    return lambda: scene.handle("journeys.jobs.do_steps", jobs.do_steps, {"Records": records})


@operation("journeys.jobs.tick_journeys", "the tick of journeys, five minutes in which one member is due")
def tick_journeys(scene: Scene) -> Metered:
    _inside(scene)
    jobs.tick_journeys({}, None)
    scene.clock.forward(minutes=5)
    return lambda: scene.handle("journeys.jobs.tick_journeys", jobs.tick_journeys, {})
