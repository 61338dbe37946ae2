"""Purchases over HTTP."""

from tests.http.conftest import Look
from tests.makers import Api, a_purchase_body


def test_a_purchase_earns_and_explains_itself(api: Api) -> None:
    member = api.enrol()
    reply = api.post("/v1/purchases", a_purchase_body({"member_id": member["member_id"]}))
    assert reply.status == 201
    assert reply.json["points_earned"] == 38
    assert reply.json["balance_after"] == 38
    assert reply.json["why"] == [
        {"rule_id": "base", "rule_version": 1, "text": "消费 ¥38.50，每 ¥1.00 积 1 分，得 38 分", "points": 38}
    ]


def _republish(api: Api, **terms: object) -> None:
    read = api.get("/v1/program").json
    body = {name: value for name, value in read.items() if name not in ("published_at", "former_ladders")}
    reply = api.put("/v1/program", {**body, **terms})
    assert reply.status == 200, reply.text


def test_a_tender_that_would_waste_points_is_refused_and_the_even_number_named(api: Api) -> None:
    _republish(api, point_value={"points": 100, "minor": 1})
    member = api.enrol()
    api.buy(member["member_id"], paid_minor=50_000)
    uneven = a_purchase_body({"member_id": member["member_id"]}, points_tender=250)
    reply = api.post("/v1/purchases", uneven)
    assert (reply.status, reply.code, reply.json["facts"]) == (400, "tender_uneven", {"points": 250, "even": 200})
    assert api.post("/v1/purchases", {**uneven, "points_tender": 200}).json["balance_after"] == 500 - 200 + 38


def test_a_page_of_purchases_passes_over_only_so_many_other_entries(api: Api) -> None:
    member_id = api.enrol()["member_id"]
    bought = api.buy(member_id)
    for number in range(20):
        body = {"points": 1, "reason_code": "gift"}
        assert api.post(f"/v1/members/{member_id}/point-adjustments", body, key=f"k{number}").status == 201
    page = api.get(f"/v1/members/{member_id}/purchases", limit=2).json
    assert page["items"] == []
    found = api.get(f"/v1/members/{member_id}/purchases", limit=2, cursor=page["next_cursor"]).json
    assert [each["purchase_id"] for each in found["items"]] == [bought["purchase_id"]]
    assert found["next_cursor"] is None


def test_a_purchase_that_qualifies_for_more_points_than_there_can_be_writes_nothing(api: Api, look: Look) -> None:
    ladder = {"tiers": [{"tier_id": "t", "name": {"zh": "级", "en": "T"}, "threshold": 0, "multiplier_percent": 0}]}
    _republish(api, ladder=ladder, earn_rate={"points": 1_000_000, "per_minor": 1})
    member = api.enrol()["member_id"]
    before = look()
    reply = api.post("/v1/purchases", a_purchase_body({"member_id": member}, paid_minor=10**12, lines=[]))
    assert (reply.status, reply.code, reply.json["facts"]["limit"]) == (409, "balance_too_large", 10**12)
    assert look() == before


def test_a_return_is_answered_listed_and_seen_on_the_purchase(api: Api) -> None:
    member = api.enrol()["member_id"]
    lines = [{"sku": "L1", "quantity": 2, "unit_price_minor": 5_000}]
    sale = api.buy(member, lines=lines, paid_minor=10_000)
    path = f"/v1/purchases/{sale['purchase_id']}/returns"

    back = api.post(path, {"lines": [{"sku": "L1", "quantity": 1}], "reason": "damaged"}, key="r1")

    assert back.status == 201
    figures = {name: back.json[name] for name in ("amount_minor", "refund_minor", "points_taken_back", "balance_after")}
    assert figures == {"amount_minor": 5_000, "refund_minor": 5_000, "points_taken_back": 50, "balance_after": 50}
    assert back.json["reason"] == "damaged"
    again = api.post(path, {"lines": [{"sku": "L1", "quantity": 1}], "reason": "damaged"}, key="r1")
    assert (again.status, again.headers["Idempotency-Replayed"], again.json) == (201, "true", back.json)
    assert api.get(path).json["items"] == [back.json]
    assert api.get(f"/v1/purchases/{sale['purchase_id']}").json["returned"]["points_taken_back"] == 50
    statement = api.get(f"/v1/members/{member}/point-entries").json["items"]
    assert [(line["reason"], line["points"]) for line in statement] == [("reverse", -50), ("earn", 100)]
    assert statement[0]["entry_id"] == back.json["return_id"]
    timeline = api.get(f"/v1/members/{member}/timeline").json["items"]
    assert [each["type"] for each in timeline] == ["reverse", "earn", "enrolled"]
    for body, code in (
        ({"lines": [{"sku": "L1", "quantity": 2}]}, "return_too_large"),
        ({"lines": [{"sku": "X", "quantity": 1}]}, "return_line_unknown"),
        ({"amount_minor": 5_001}, "return_too_large"),
        ({"occurred_at": "2020-01-01T00:00:00Z"}, "returned_before_bought"),
        ({"amount_minor": 1, "lines": [{"sku": "L1", "quantity": 1}]}, "request_invalid"),
    ):
        assert api.post(path, body, key="other").code == code
    assert api.post(path, {"amount_minor": 1}, key="r1").code == "return_differs"
    assert api.post(path, {}, key=None).code == "key_missing"
    assert api.post(path, {}, key="rest").json["points_taken_back"] == 50
    assert api.post(path, {}, key="more").code == "nothing_left"
    assert api.get("/v1/purchases/pur_cG9zI25vdGhpbmc/returns").code == "purchase_unknown"


def test_a_return_that_comes_before_its_purchase_waits_and_is_listed_as_what_became_of_it(api: Api) -> None:
    member = api.enrol()["member_id"]
    order = {"channel": "pos", "order_no": "early"}
    waits = api.post("/v1/returns", {**order, "amount_minor": 1_000}, key="r1")
    assert (waits.status, waits.json["status"], waits.replayed) == (202, "waiting", False)
    assert waits.json["waits_until"] == "2026-03-18T04:00:00Z"
    path = f"/v1/purchases/{waits.json['purchase_id']}"
    again = api.post(path + "/returns", {"amount_minor": 1_000}, key="r1")
    assert (again.status, again.replayed, again.json) == (202, True, waits.json)
    assert api.post(path + "/returns", {"amount_minor": 1}, key="r1").code == "return_differs"
    tried = api.post("/v1/returns", {**order, "dry_run": True}, key="r2")
    assert (tried.status, tried.json["status"]) == (200, "waiting")
    assert api.post("/v1/returns", {**order, "amount_minor": 9_999}, key="much").status == 202
    assert (api.get(path).code, api.get(path + "/returns").json["items"][0]) == ("purchase_unknown", waits.json)
    for n in range(8):
        assert api.post("/v1/returns", {**order, "amount_minor": 1}, key=f"x{n}").status == 202
    assert api.post("/v1/returns", order, key="full").code == "too_many_waiting"
    assert api.post("/v1/purchases/pur_bm90aGluZw/returns", {}, key="r").code == "purchase_unknown"

    bought = api.post("/v1/purchases", {**a_purchase_body({"member_id": member}), **order})

    assert (bought.status, bought.json["version"], bought.json["history"]) == (201, 0, [])
    became = {each["return_id"]: each for each in api.get(path + "/returns").json["items"]}
    assert became[waits.json["return_id"]]["status"] == "applied"
    assert [each["code"] for each in became.values() if each["status"] == "refused"] == ["return_too_large"]
    done = api.post("/v1/returns", {**order, "amount_minor": 1_000}, key="r1")
    assert (done.status, done.replayed, done.json) == (201, True, became[waits.json["return_id"]])
    assert api.post("/v1/returns", {**order, "amount_minor": 9_999}, key="much").code == "return_too_large"
    assert api.get(path).json["version"] == 9

    assert api.post("/v1/returns", {**order, "order_no": "never"}, key="r1").status == 202
    api.clock.forward(hours=73)
    assert api.post("/v1/returns", {**order, "order_no": "never"}, key="r1").code == "return_waited_too_long"


def test_an_order_is_restated_and_every_refusal_has_its_code(api: Api) -> None:
    member = api.enrol()["member_id"]
    sale = api.buy(member, paid_minor=10_000, lines=[])
    path = f"/v1/purchases/{sale['purchase_id']}"
    read = api.get(path)
    assert (read.json, read.headers["ETag"][:4]) == (sale, '"v0-')

    done = api.put(path, {"paid_minor": 4_000, "version": 0}, If_Match=read.headers["ETag"])

    assert (done.status, done.headers["ETag"][:4]) == (200, '"v1-')
    assert done.json["kept"] == {"lines": [], "paid_minor": 4_000, "points_tender": 0, "points_earned": 40}
    assert done.json["history"][0]["why"][0]["text"] == "订单由 ¥100.00 改为 ¥40.00，积分 -60"
    assert api.get(path).json == api.put(path, {"paid_minor": 4_000, "version": 0}).json == done.json
    statement = api.get(f"/v1/members/{member}/point-entries").json["items"]
    assert [(line["reason"], line["points"], line["reference"]) for line in statement] == [
        ("reverse", -60, statement[1]["reference"]), ("earn", 100, statement[1]["reference"]),
    ]  # fmt: skip
    tried = api.put(path, {"paid_minor": 0, "dry_run": True})
    assert (tried.status, tried.json["version"], api.get(path).json["version"]) == (200, 2, 1)
    for body, status, code in (
        ({"paid_minor": 1, "version": 0}, 409, "purchase_moved"),
        ({"paid_minor": 1, "currency": "USD"}, 409, "purchase_fixed"),
        ({"paid_minor": 1, "points_tender": 41}, 409, "points_insufficient"),
        ({"paid_minor": 1, "points_tender": 9, "lines": [{"sku": "a", "quantity": 1, "unit_price_minor": 8}]},
         400, "tender_too_large"),
        ({"paid_minor": -1}, 422, "request_invalid"),
        ({}, 422, "request_invalid"),
    ):  # fmt: skip
        reply = api.put(path, body)
        assert (reply.status, reply.code) == (status, code), body
    assert api.put(path, {"paid_minor": 1, "version": 1}, If_Match='"v0"').code == "version_unclear"
    assert api.put("/v1/purchases/pur_cG9zI25vdGhpbmc", {"paid_minor": 1}).code == "purchase_unknown"
    assert api.as_("clerk").put(path, {"paid_minor": 1}).code == "permission_missing"
    assert api.get(path).json["version"] == 1


def test_a_delivery_is_told_once_and_every_refusal_has_its_code(api: Api) -> None:
    member = api.enrol()["member_id"]
    sale = api.buy(member, paid_minor=10_000, lines=[], awaits_delivery=True)
    path = f"/v1/purchases/{sale['purchase_id']}"
    assert (sale["awaits_delivery"], sale["matures_on"], sale["delivered_at"]) == (True, None, None)
    assert sale["why"][-1]["text"] == "送达后积分方可使用"
    assert api.get(f"/v1/members/{member}/points").json["available"] == 0
    bought_at = sale["occurred_at"]
    for body, status, code in (
        ({"delivered_at": "2020-01-01T00:00:00Z"}, 400, "delivered_before_bought"),
        ({"delivered_at": "2099-01-01T00:00:00Z"}, 400, "occurred_in_future"),
        ({"delivered_on": "2020-01-01"}, 422, "request_invalid"),
    ):
        reply = api.post(path + "/deliveries", body)
        assert (reply.status, reply.code) == (status, code), body

    done = api.as_("clerk").post(path + "/deliveries", {"delivered_at": bought_at})

    assert (done.status, done.json["points_released"]) == (201, 100)
    assert done.json["why"][0]["text"] == f"已送达，100 分自 {done.json['spendable_on']} 起可用"
    again = api.post(path + "/deliveries", {"delivered_at": bought_at})
    assert (again.replayed, again.json["hash"]) == (True, done.json["hash"])
    assert api.post(path + "/deliveries", {}).code == "delivery_differs"
    assert api.get(f"/v1/members/{member}/points").json["available"] == 100
    assert api.get(path).json["delivered_at"] == done.json["delivered_at"]
    statement = api.get(f"/v1/members/{member}/point-entries").json["items"]
    assert [(line["reason"], line["points"]) for line in statement] == [("release", 0), ("earn", 100)]
    assert statement[0]["reference"] == statement[1]["reference"]
    assert api.get(f"/v1/point-entries/{statement[1]['entry_id']}").json["matures_on"] is None
    other = api.buy(member, paid_minor=1_000, lines=[])
    assert api.post(f"/v1/purchases/{other['purchase_id']}/deliveries", {}).code == "delivery_not_awaited"
    assert api.post("/v1/purchases/pur_cG9zI25vdGhpbmc/deliveries", {}).code == "purchase_unknown"
    assert api.as_("auditor").post(path + "/deliveries", {}).code == "permission_missing"
