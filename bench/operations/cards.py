"""Operations of cards."""

from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import Scene

_MEANS = [{"kind": "wechat_pay", "amount_minor": 10_000, "reference": "wx-0001"}]


def _open(scene: Scene, **fields: Any) -> str:
    body = {"kind": "stored_value", "card_number": "K-0001", **fields}
    return str(scene.post(f"/v1/members/{scene.member}/cards", body, key="card-0001")["card_id"])


def _count(scene: Scene) -> str:
    means = [{"kind": "cash", "amount_minor": 10_000}]
    return _open(scene, kind="count", uses=10, expires_on="2027-03-15", price_minor=10_000, means=means)


def _top_up(scene: Scene, card: str, number: int = 1) -> Any:
    body = {"amount_minor": 10_000, "bonus_minor": 1_000, "bonus_expires_on": "2027-03-15", "means": _MEANS}
    return scene.post(f"/v1/cards/{card}/top-ups", body, key=f"top-up-{number:04d}")


def _filled(scene: Scene) -> str:
    card = _open(scene)
    _top_up(scene, card)
    return card


def _spend(scene: Scene, card: str) -> Any:
    body = {"amount_minor": 3_000, "reference": "order-0001"}
    return scene.post(f"/v1/cards/{card}/spends", body, key="card-spend-0001")


@operation("open_card", "open a stored-value card")
def open_card(scene: Scene) -> Metered:
    return lambda: _open(scene)


@operation("open_card", "sell a count card")
def open_count_card(scene: Scene) -> Metered:
    return lambda: _count(scene)


@operation("list_cards", "the cards of a member")
def list_cards(scene: Scene) -> Metered:
    _filled(scene)
    return lambda: scene.get(f"/v1/members/{scene.member}/cards")


@operation("look_up_card", "a card by its number")
def look_up_card(scene: Scene) -> Metered:
    _filled(scene)
    return lambda: scene.get("/v1/cards?card_number=K-0001")


@operation("get_card", "a card")
def get_card(scene: Scene) -> Metered:
    card = _filled(scene)
    return lambda: scene.get(f"/v1/cards/{card}")


@operation("list_card_entries", "a page of a card's statement")
def list_card_entries(scene: Scene) -> Metered:
    card = _filled(scene)
    _spend(scene, card)
    return lambda: scene.get(f"/v1/cards/{card}/entries?limit=25")


@operation("top_up_card", "top up a card")
def top_up_card(scene: Scene) -> Metered:
    card = _filled(scene)
    return lambda: _top_up(scene, card, 2)


@operation("spend_card", "pay with a card")
def spend_card(scene: Scene) -> Metered:
    card = _filled(scene)
    return lambda: _spend(scene, card)


@operation("refund_card_spend", "give part of a spend back to its card")
def refund_card_spend(scene: Scene) -> Metered:
    card = _filled(scene)
    spent = _spend(scene, card)
    body = {"spend_id": spent["entry_id"], "amount_minor": 1_000}
    return lambda: scene.post(f"/v1/cards/{card}/spend-refunds", body, key="refund-0001")


@operation("refund_card", "pay back what is left on a card")
def refund_card(scene: Scene) -> Metered:
    card = _filled(scene)
    _spend(scene, card)
    return lambda: scene.post(f"/v1/cards/{card}/refunds", {}, key="refund-0001")


@operation("use_card", "use a count card")
def use_card(scene: Scene) -> Metered:
    card = _count(scene)
    return lambda: scene.post(f"/v1/cards/{card}/uses", {"reference": "visit-0001"}, key="use-0001")


@operation("reverse_card_use", "take a use back")
def reverse_card_use(scene: Scene) -> Metered:
    card = _count(scene)
    used = scene.post(f"/v1/cards/{card}/uses", {}, key="use-0001")
    return lambda: scene.post(f"/v1/cards/{card}/use-reversals", {"use_id": used["entry_id"]}, key="back-0001")


@operation("extend_card", "let a count card live longer")
def extend_card(scene: Scene) -> Metered:
    card = _count(scene)
    body = {"expires_on": "2027-06-15", "reason": "shop_closed"}
    return lambda: scene.post(f"/v1/cards/{card}/extensions", body, key="extension-0001")


@operation("suspend_card", "suspend a card")
def suspend_card(scene: Scene) -> Metered:
    card = _filled(scene)
    return lambda: scene.post(f"/v1/cards/{card}/suspensions", {"reason": "lost"})


@operation("reinstate_card", "reinstate a card")
def reinstate_card(scene: Scene) -> Metered:
    card = _filled(scene)
    scene.post(f"/v1/cards/{card}/suspensions", {"reason": "lost"})
    return lambda: scene.post(f"/v1/cards/{card}/reinstatements", {"reason": "found"})


@operation("close_card", "close an empty card")
def close_card(scene: Scene) -> Metered:
    card = _open(scene)
    return lambda: scene.post(f"/v1/cards/{card}/closures", {"reason": "given back"})
