"""Operations of points."""

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene


def _spend(scene: Scene, points: int) -> Metered:
    body = {"points": points, "reference": "gift-0001"}
    return lambda: scene.post(f"/v1/members/{scene.member}/point-spends", body, key="spend-0001")


@operation("get_points", "what can be spent, and when it expires")
def get_points(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/points")


@operation("list_point_entries", "a page of 25 of the statement")
def list_point_entries(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/point-entries?limit=25")


@operation("spend_points", "spend a few points")
def spend_points(scene: Scene) -> Metered:
    return _spend(scene, 5)


@operation("spend_points", "spend all points")
def spend_all(scene: Scene) -> Metered:
    return _spend(scene, scene.get(f"/v1/members/{scene.member}/points")["available"])


@operation("spend_points", "the same spend again")
def spend_again(scene: Scene) -> Metered:
    _spend(scene, 5)()
    return _spend(scene, 5)


@operation("adjust_points", "give points by hand")
def adjust_up(scene: Scene) -> Metered:
    return lambda: scene.adjust(50, key="adjust-0001", note_to_member="sorry for the wait")


@operation("adjust_points", "take points by hand")
def adjust_down(scene: Scene) -> Metered:
    return lambda: scene.adjust(-5, key="adjust-0001")


@operation("adjust_points", "the same adjustment again")
def adjust_again(scene: Scene) -> Metered:
    adjust_down(scene)()
    return adjust_down(scene)


@operation("get_points", "as they were on a day")
def get_points_as_of(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/points?as_of=2026-03-01")


@operation("get_tier", "the tier, and what is missing to the next")
def get_tier(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/tier")


@operation("get_tier", "as it was known at an instant")
def get_tier_known_at(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/tier?known_at=2026-03-10T00:00:00Z")


def _spent(scene: Scene) -> str:
    _spend(scene, 5)()
    return str(scene.get(f"/v1/members/{scene.member}/point-entries?limit=1")["items"][0]["entry_id"])


@operation("get_entry", "an entry in full")
def get_entry(scene: Scene) -> Metered:
    entry = _spent(scene)
    return lambda: scene.get(f"/v1/point-entries/{entry}")


@operation("get_receipt", "the receipt of an entry before the day's root")
def get_receipt(scene: Scene) -> Metered:
    entry = _spent(scene)
    return lambda: scene.get(f"/v1/point-entries/{entry}/receipt")


@operation("reverse_entry", "take a spend back")
def reverse_entry(scene: Scene) -> Metered:
    entry = _spent(scene)
    return lambda: scene.post(f"/v1/point-entries/{entry}/reversals", {"reason_code": "mistake"})
