"""Operations of holds and transfers."""

from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene
from chalicelib.programs.models import DEFAULT_TERMS


def _hold(scene: Scene, number: int = 1) -> Any:
    body = {"points": 5, "reference": "order-0001"}
    return scene.post(f"/v1/members/{scene.member}/point-holds", body, key=f"hold-{number:04d}")


@operation("hold_points", "hold points for a checkout")
def hold_points(scene: Scene) -> Metered:
    return lambda: _hold(scene)


@operation("list_point_holds", "the open holds of a member")
def list_point_holds(scene: Scene) -> Metered:
    _hold(scene)
    return lambda: scene.get(f"/v1/members/{scene.member}/point-holds")


@operation("get_point_hold", "a hold")
def get_point_hold(scene: Scene) -> Metered:
    held = _hold(scene)
    return lambda: scene.get(f"/v1/point-holds/{held['hold_id']}")


@operation("capture_point_hold", "capture part of a hold")
def capture_point_hold(scene: Scene) -> Metered:
    held = _hold(scene)
    return lambda: scene.post(f"/v1/point-holds/{held['hold_id']}/capture", {"points": 3})


@operation("release_point_hold", "release a hold")
def release_point_hold(scene: Scene) -> Metered:
    held = _hold(scene)
    return lambda: scene.post(f"/v1/point-holds/{held['hold_id']}/release", {})


@operation("record_purchase", "a purchase that a hold pays in part")
def purchase_with_hold(scene: Scene) -> Metered:
    held = _hold(scene)
    basket = scene.basket(points_hold_id=held["hold_id"])
    return lambda: scene.post("/v1/purchases", basket)


def _offer(scene: Scene) -> Any:
    """A transfer to somebody else, where the program allows any."""
    version = scene.get("/v1/program")["version"]
    terms = {**DEFAULT_TERMS, "transfers": {"enabled": True}, "version": version}
    scene.send("PUT", "/v1/program", terms)
    receiver = scene.enrol(1)
    body = {"to": {"member_id": receiver}, "points": 5}
    return lambda: scene.post(f"/v1/members/{scene.member}/point-transfers", body, key="transfer-0001")


def _offered(scene: Scene) -> str:
    return str(_offer(scene)()["transfer_id"])


@operation("offer_point_transfer", "offer points to another member")
def offer_point_transfer(scene: Scene) -> Metered:
    offer: Metered = _offer(scene)
    return offer


@operation("list_point_transfers", "the transfers of a member")
def list_point_transfers(scene: Scene) -> Metered:
    _offered(scene)
    return lambda: scene.get(f"/v1/members/{scene.member}/point-transfers")


@operation("get_point_transfer", "a transfer")
def get_point_transfer(scene: Scene) -> Metered:
    transfer = _offered(scene)
    return lambda: scene.get(f"/v1/point-transfers/{transfer}")


@operation("accept_point_transfer", "accept points")
def accept_point_transfer(scene: Scene) -> Metered:
    transfer = _offered(scene)
    return lambda: scene.post(f"/v1/point-transfers/{transfer}/accept", {})


@operation("cancel_point_transfer", "cancel a transfer")
def cancel_point_transfer(scene: Scene) -> Metered:
    transfer = _offered(scene)
    return lambda: scene.post(f"/v1/point-transfers/{transfer}/cancel", {})


@operation("decline_point_transfer", "decline a transfer")
def decline_point_transfer(scene: Scene) -> Metered:
    transfer = _offered(scene)
    return lambda: scene.post(f"/v1/point-transfers/{transfer}/decline", {})
