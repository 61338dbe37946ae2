"""Operations of integration keys."""

from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene

TILL = {
    "name": "till 3, Nanjing Road",
    "permissions": ["members:read", "purchases:record", "purchases:return"],
    "scope": "shop",
    "shop_ids": ["shp_sh_0231"],
}


def made(scene: Scene) -> Any:
    """A key."""
    return scene.post("/v1/integration-keys", TILL, key="integration-key-0001")


def used(scene: Scene, key: str) -> Any:
    """Look a member up with a key."""
    return scene.send("GET", "/v1/members?card_no=622100001234", authorization=f"Bearer {key}")


@operation("make_integration_key", "make an integration key")
def make_integration_key(scene: Scene) -> Metered:
    return lambda: made(scene)


@operation("get_integration_key", "an integration key")
def get_integration_key(scene: Scene) -> Metered:
    key_id = made(scene)["key_id"]
    return lambda: scene.get(f"/v1/integration-keys/{key_id}")


@operation("list_integration_keys", "the integration keys")
def list_integration_keys(scene: Scene) -> Metered:
    made(scene)
    return lambda: scene.get("/v1/integration-keys")


@operation("rotate_integration_key", "another secret for an integration key")
def rotate_integration_key(scene: Scene) -> Metered:
    key_id = made(scene)["key_id"]
    path = f"/v1/integration-keys/{key_id}/rotations"
    return lambda: scene.post(path, {"overlap_hours": 24}, key="rotation-0001")


@operation("revoke_integration_key", "revoke an integration key")
def revoke_integration_key(scene: Scene) -> Metered:
    key_id = made(scene)["key_id"]
    return lambda: scene.post(f"/v1/integration-keys/{key_id}/revocations", {"reason": "lost"})


@operation("record_purchase", "by an integration key, as all but the first in half a minute")
def record_purchase_by_key(scene: Scene) -> Metered:
    key = made(scene)["key"]
    used(scene, key)
    body = scene.basket(shop_id="shp_sh_0231")
    return lambda: scene.send("POST", "/v1/purchases", body, authorization=f"Bearer {key}")


@operation("look_up_member", "by card number, by an integration key, the first in half a minute and of the day")
def look_up_member_by_key(scene: Scene) -> Metered:
    key = made(scene)["key"]
    return lambda: used(scene, key)
