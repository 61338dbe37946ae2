"""Operations of pools."""

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene

WHY = "asked by all of them"


def _pool(scene: Scene) -> str:
    opened = scene.post("/v1/pools", {"owner_id": scene.member, "name": "Home"}, key="pool-0001")
    return str(opened["pool_id"])


def filled(scene: Scene) -> str:
    """A pool with points in it."""
    pool = _pool(scene)
    scene.adjust(500, key="adjust-pool")
    body = {"member_id": scene.member, "points": 400, "reason": WHY}
    scene.post(f"/v1/pools/{pool}/contributions", body, key="contribution-0001")
    return pool


@operation("open_pool", "open a pool")
def open_pool(scene: Scene) -> Metered:
    return lambda: _pool(scene)


@operation("get_pool", "a pool")
def get_pool(scene: Scene) -> Metered:
    pool = _pool(scene)
    return lambda: scene.get(f"/v1/pools/{pool}")


@operation("edit_pool", "another name for a pool")
def edit_pool(scene: Scene) -> Metered:
    pool = _pool(scene)
    return lambda: scene.send("PATCH", f"/v1/pools/{pool}", {"name": "Family", "version": 1})


@operation("list_pools", "the pools of a member")
def list_pools(scene: Scene) -> Metered:
    _pool(scene)
    return lambda: scene.get(f"/v1/members/{scene.member}/pools")


@operation("list_pool_members", "who belongs to a pool")
def list_pool_members(scene: Scene) -> Metered:
    pool = _pool(scene)
    return lambda: scene.get(f"/v1/pools/{pool}/members")


@operation("get_pool_points", "a pool's points")
def get_pool_points(scene: Scene) -> Metered:
    pool = filled(scene)
    return lambda: scene.get(f"/v1/pools/{pool}/points")


@operation("list_pool_entries", "a page of a pool's statement")
def list_pool_entries(scene: Scene) -> Metered:
    pool = filled(scene)
    return lambda: scene.get(f"/v1/pools/{pool}/point-entries?limit=25")


@operation("contribute", "points into a pool")
def contribute(scene: Scene) -> Metered:
    pool = filled(scene)
    body = {"member_id": scene.member, "points": 5, "reason": WHY}
    return lambda: scene.post(f"/v1/pools/{pool}/contributions", body, key="contribution-0002")


@operation("spend_from_pool", "spend points of a pool")
def spend_from_pool(scene: Scene) -> Metered:
    pool = filled(scene)
    body = {"member_id": scene.member, "points": 5}
    return lambda: scene.post(f"/v1/pools/{pool}/spends", body, key="pool-spend-0001")


@operation("close_pool", "close a pool with points in it")
def close_pool(scene: Scene) -> Metered:
    pool = filled(scene)
    return lambda: scene.post(f"/v1/pools/{pool}/closures", {})


@operation("set_pool_member", "let a member into a pool")
def set_pool_member(scene: Scene) -> Metered:
    pool, friend = _pool(scene), scene.enrol(1)
    return lambda: scene.send(
        "PUT", f"/v1/pools/{pool}/members/{friend}", {"role": "spender", "monthly_limit": 1_000, "reason": WHY}
    )


@operation("end_pool_member", "let a member out of a pool")
def end_pool_member(scene: Scene) -> Metered:
    pool, friend = _pool(scene), scene.enrol(1)
    scene.send("PUT", f"/v1/pools/{pool}/members/{friend}", {"role": "spender", "reason": WHY})
    return lambda: scene.send("POST", f"/v1/pools/{pool}/members/{friend}/departures")
