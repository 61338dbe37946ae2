"""Purchases over HTTP."""

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
