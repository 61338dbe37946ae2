"""Operations of merges."""

from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene


def _merge(scene: Scene) -> Any:
    """The member of the scene takes in somebody with one purchase."""
    other = scene.enrol(1)
    scene.buy(member={"member_id": other})
    body = {"from_member_id": other, "into_member_id": scene.member, "reason": "the same person"}
    return lambda: scene.post("/v1/member-merges", body, key="merge-0001")


@operation("merge_members", "two members become one")
def merge_members(scene: Scene) -> Metered:
    merge: Metered = _merge(scene)
    return merge


@operation("get_merge", "a merge")
def get_merge(scene: Scene) -> Metered:
    merged = _merge(scene)()
    return lambda: scene.get(f"/v1/member-merges/{merged['merge_id']}")


@operation("undo_merge", "one member becomes two again")
def undo_merge(scene: Scene) -> Metered:
    merged = _merge(scene)()
    body = {"reason": "not the same person"}
    return lambda: scene.post(f"/v1/member-merges/{merged['merge_id']}/undo", body)
