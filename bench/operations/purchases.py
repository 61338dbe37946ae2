"""Operations of purchases and returns."""

from datetime import timedelta
from typing import Any

from bench.operations.registry import Metered, operation
from bench.operations.scene import MOBILE, Scene

_TILL = "/v1/purchases"


def _give_back(scene: Scene, bought: dict[str, Any], key: str, **fields: Any) -> Metered:
    return lambda: scene.post(f"{_TILL}/{bought['purchase_id']}/returns", fields, key=key)


@operation("record_purchase", "a purchase of 3 lines, by member id")
def record_purchase(scene: Scene) -> Metered:
    body = scene.basket()
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase, by mobile, e-mail, card or external id")
def record_purchase_by_mobile(scene: Scene) -> Metered:
    body = scene.basket(member={"mobile": MOBILE})
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase, by member number")
def record_purchase_by_number(scene: Scene) -> Metered:
    number = scene.get(f"/v1/members/{scene.member}")["member_number"]
    body = scene.basket(member={"member_number": number})
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase of 40 lines")
def record_purchase_of_40_lines(scene: Scene) -> Metered:
    body = scene.basket(40)
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a member's first purchase")
def record_first_purchase(scene: Scene) -> Metered:
    body = scene.basket(member={"member_id": scene.enrol(1)})
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase partly paid with points")
def record_purchase_with_tender(scene: Scene) -> Metered:
    body = scene.basket(points_tender=5)
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase that reaches the highest tier")
def record_purchase_to_the_top(scene: Scene) -> Metered:
    body = scene.basket(paid_minor=3_000_000)
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a purchase, forty days late")
def record_purchase_late(scene: Scene) -> Metered:
    body = scene.basket(occurred_at=(scene.clock() - timedelta(days=40)).isoformat())
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "the same purchase again")
def record_purchase_again(scene: Scene) -> Metered:
    body = scene.basket()
    scene.post(_TILL, body)
    return lambda: scene.post(_TILL, body)


@operation("record_purchase", "a dry run of a purchase")
def record_purchase_dry(scene: Scene) -> Metered:
    body = scene.basket(dry_run=True)
    return lambda: scene.post(_TILL, body)


@operation("return_purchase", "return all of a purchase")
def return_all(scene: Scene) -> Metered:
    return _give_back(scene, scene.buy(), "return-0001")


@operation("return_purchase", "return a line")
def return_a_line(scene: Scene) -> Metered:
    bought = scene.buy()
    line = {"sku": bought["lines"][0]["sku"], "quantity": 1}
    return _give_back(scene, bought, "return-0001", lines=[line])


@operation("return_purchase", "return one line of 40")
def return_a_line_of_40(scene: Scene) -> Metered:
    bought = scene.buy(40)
    line = {"sku": bought["lines"][0]["sku"], "quantity": 1}
    return _give_back(scene, bought, "return-0001", lines=[line])


@operation("return_purchase", "return the rest, after nine other returns")
def return_the_rest(scene: Scene) -> Metered:
    bought = scene.buy()
    for number in range(9):
        _give_back(scene, bought, f"return-{number:04d}", amount_minor=100)()
    return _give_back(scene, bought, "return-0009")


@operation("return_purchase", "return a purchase that points paid in part")
def return_with_tender(scene: Scene) -> Metered:
    return _give_back(scene, scene.buy(points_tender=5), "return-0001")


@operation("return_purchase", "the same return again")
def return_again(scene: Scene) -> Metered:
    bought = scene.buy()
    _give_back(scene, bought, "return-0001", amount_minor=100)()
    return _give_back(scene, bought, "return-0001", amount_minor=100)


@operation("list_purchase_returns", "the ten returns of a purchase")
def list_purchase_returns(scene: Scene) -> Metered:
    bought = scene.buy()
    for number in range(10):
        _give_back(scene, bought, f"return-{number:04d}", amount_minor=100)()
    return lambda: scene.get(f"{_TILL}/{bought['purchase_id']}/returns")


@operation("get_purchase", "a purchase with its lines")
def get_purchase(scene: Scene) -> Metered:
    bought = scene.buy()
    return lambda: scene.get(f"{_TILL}/{bought['purchase_id']}")


@operation("list_purchases", "a page of 25 purchases with their lines")
def list_purchases(scene: Scene) -> Metered:
    return lambda: scene.get(f"/v1/members/{scene.member}/purchases?limit=25")


@operation("return_order", "return part of an order by its number")
def return_order(scene: Scene) -> Metered:
    bought = scene.buy()
    body = {"channel": bought["channel"], "order_no": bought["order_no"], "amount_minor": 100}
    return lambda: scene.post("/v1/returns", body, key="return-0001")


@operation("return_order", "a return that comes before its purchase")
def return_early(scene: Scene) -> Metered:
    body = {"channel": "web", "order_no": "early-0001", "amount_minor": 100}
    return lambda: scene.post("/v1/returns", body, key="return-0001")


@operation("record_purchase", "a purchase for which a return waits")
def purchase_awaited(scene: Scene) -> Metered:
    basket = scene.basket()
    body = {"channel": basket["channel"], "order_no": basket["order_no"], "amount_minor": 100}
    scene.post("/v1/returns", body, key="return-0001")
    return lambda: scene.post("/v1/purchases", basket)


@operation("deliver_purchase", "a purchase whose points waited for it, delivered")
def deliver_purchase(scene: Scene) -> Metered:
    bought = scene.buy(awaits_delivery=True)
    return lambda: scene.post(f"{_TILL}/{bought['purchase_id']}/deliveries", {})


@operation("restate_purchase", "an order as it now is, with half of its money")
def restate_purchase(scene: Scene) -> Metered:
    bought = scene.buy()
    body = {"lines": bought["lines"], "paid_minor": bought["paid_minor"] // 2}
    return lambda: scene.send("PUT", f"{_TILL}/{bought['purchase_id']}", body)
