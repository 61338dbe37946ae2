"""Operations of those who are told of events."""

import json
from dataclasses import dataclass

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.kernel.ids import MemberId
from chalicelib.notices.jobs import send_notices
from chalicelib.storage.turns import in_turn
from chalicelib.storage.writes import Write


@operation("notices.jobs.send_notices", "tell a member that points expire soon")
def tell_member(scene: Scene) -> Metered:
    told = {
        "event_id": "evt_rphxaybfptcjpjzeptksfm4ioor36qzo", "type": "PointsExpiring", "version": 1,
        "member_id": scene.member, "seq": None,
        "occurred_at": "2026-03-15T04:00:00Z", "recorded_at": "2026-03-15T04:00:00Z",
        "data": {"points": 120, "expires_on": "2026-03-31"},
    }  # fmt: skip
    event = {"Records": [{"messageId": "m", "body": json.dumps(told)}]}
    return lambda: scene.handle("notices.jobs.send_notices", send_notices, event)


@dataclass(frozen=True)
class _Numbered:
    member_id: MemberId
    seq: int


def _turn(scene: Scene, seq: int) -> Metered:
    def handle(_: _Numbered, write: Write) -> None:
        scene.house.ops.commit([write])

    def take() -> None:
        in_turn(scene.house.ops, "bench", [_Numbered(scene.member, seq)], handle)

    return lambda: scene.beside("every consumer", take)


@operation("every consumer", "a member's next event, besides what is written for it")
def take_turn(scene: Scene) -> Metered:
    _turn(scene, 1)()
    return _turn(scene, 2)


@operation("every consumer", "an event that was handled before")
def take_turn_again(scene: Scene) -> Metered:
    _turn(scene, 1)()
    return _turn(scene, 1)
