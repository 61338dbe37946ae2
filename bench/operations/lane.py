"""Operations of the lane: a batch of the line, of one account. What it costs is shared by the commands in it."""

from bench.operations.pools import filled
from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.kernel.languages import Language
from chalicelib.lane.jobs import work_line
from chalicelib.pools.models import PoolId, SpendFromPool
from chalicelib.storage.line import Asked


def _message(scene: Scene, pool: PoolId, number: int, points: int) -> dict[str, object]:
    command = SpendFromPool(member_id=scene.member, points=points)
    asked = Asked(
        kind="pool_spend", account_id=pool, key=f"pool-spend-{number:04d}", command=command.model_dump_json(),
        language=Language.ZH, token=f"{number:016x}", asked_at=scene.clock(),
    )  # fmt: skip
    attributes = {"MessageGroupId": pool, "ApproximateReceiveCount": "1"}
    return {"messageId": f"m{number}", "body": asked.model_dump_json(), "attributes": attributes}


def _batch(scene: Scene, size: int, points: int = 5) -> Metered:
    pool = PoolId(filled(scene))
    event = {"Records": [_message(scene, pool, number, points) for number in range(size)]}
    return lambda: scene.handle("lane.jobs.work_line", work_line, event)


@operation("lane.jobs.work_line", "one spend from a pool by the lane")
def work_line_1(scene: Scene) -> Metered:
    return _batch(scene, 1)


@operation("lane.jobs.work_line", "five spends from a pool by the lane, in one transaction")
def work_line_5(scene: Scene) -> Metered:
    return _batch(scene, 5)


@operation("lane.jobs.work_line", "ten spends from a pool by the lane, in one transaction")
def work_line_10(scene: Scene) -> Metered:
    return _batch(scene, 10)


@operation("lane.jobs.work_line", "a spend from a pool by the lane that is refused")
def work_line_refused(scene: Scene) -> Metered:
    return _batch(scene, 1, points=5_000)
