"""Cards over HTTP: what a till sends and gets."""

from tests.makers import Api

MEANS = [{"kind": "wechat_pay", "amount_minor": 10_000, "reference": "wx-1"}]


def test_a_card_from_its_opening_to_its_end(api: Api) -> None:
    member = api.enrol()["member_id"]
    opened = api.post(f"/v1/members/{member}/cards", {"kind": "stored_value", "card_number": "No-1"}, key="o")
    assert opened.status == 201
    card = f"/v1/cards/{opened.json['card_id']}"
    body = {"amount_minor": 10_000, "bonus_minor": 2_000, "bonus_expires_on": "2026-12-31", "means": MEANS}
    topped = api.post(f"{card}/top-ups", body, key="t", Accept_Language="en")
    assert topped.json["text"] == "Topped up ¥100.00, bonus ¥20.00, good through 2026-12-31"
    spent = api.post(f"{card}/spends", {"amount_minor": 6_000, "reference": "pos/1"}, key="s").json
    assert spent["text"] == "消费 ¥60.00（本金 ¥50.00，赠金 ¥10.00）"
    back = api.post(f"{card}/spend-refunds", {"spend_id": spent["entry_id"], "amount_minor": 1_200}, key="b")
    again = api.post(f"{card}/spend-refunds", {"spend_id": spent["entry_id"], "amount_minor": 1_200}, key="b")
    assert (back.json, again.replayed) == (again.json, True)
    refund = api.post(f"{card}/refunds", {}, key="r").json
    assert (refund["money_minor"], refund["bonus_minor"]) == (-6_000, -1_200)
    assert refund["means"] == [
        {"kind": "wechat_pay", "amount_minor": 6_000, "reference": "wx-1", "top_up_id": topped.json["entry_id"]}
    ]
    assert api.post(f"{card}/closures", {"reason": "done"}).json["status"] == "closed"
    found = api.get("/v1/cards", card_number="No-1").json["items"]
    assert found == [api.get(card).json] == api.get(f"/v1/members/{member}/cards").json["items"]
    page = api.get(f"{card}/entries", limit=2).json
    rest = api.get(f"{card}/entries", cursor=page["next_cursor"]).json
    assert [line["type"] for line in page["items"] + rest["items"]] == [
        "refund", "spend_refund", "spend", "top_up", "opened",
    ]  # fmt: skip


def test_a_membership_is_not_closed_over_the_money_on_its_cards(api: Api) -> None:
    member = api.enrol()["member_id"]
    card = api.post(f"/v1/members/{member}/cards", {"kind": "stored_value"}, key="o").json["card_id"]
    api.post(f"/v1/cards/{card}/top-ups", {"amount_minor": 10_000, "means": MEANS}, key="t")
    reply = api.post(f"/v1/members/{member}/closures", {"reason": "moved away"})
    assert (reply.status, reply.code) == (409, "cards_hold_value")
    assert reply.json["facts"] == {
        "cards": [{"card_id": card, "principal_minor": 10_000, "uses": 0}], "more": 0,
    }  # fmt: skip
    api.post(f"/v1/cards/{card}/refunds", {}, key="r")
    assert api.post(f"/v1/members/{member}/closures", {"reason": "moved away"}).json["status"] == "closed"
    assert api.get(f"/v1/cards/{card}").json["status"] == "closed"


def test_a_top_up_whose_means_do_not_add_up_is_pointed_at(api: Api) -> None:
    member = api.enrol()["member_id"]
    card = api.post(f"/v1/members/{member}/cards", {"kind": "stored_value"}, key="o").json["card_id"]
    reply = api.post(f"/v1/cards/{card}/top-ups", {"amount_minor": 1, "means": MEANS}, key="t")
    assert (reply.status, reply.code) == (422, "request_invalid")
    for body in (
        {"kind": "count"},
        {"kind": "stored_value", "uses": 1},
        {"kind": "count", "uses": 1, "price_minor": 1},
    ):
        assert api.post(f"/v1/members/{member}/cards", body, key="x").code == "request_invalid"


def test_a_card_is_not_a_member(api: Api) -> None:
    member = api.enrol()["member_id"]
    card = api.post(f"/v1/members/{member}/cards", {"kind": "stored_value"}, key="o").json["card_id"]
    assert api.get(f"/v1/members/{card}/points").code == "id_malformed"
    assert api.get("/v1/cards/crd_aaaaaaaaaaaaaaaa").code == "card_unknown"
    spend = api.post(f"/v1/cards/{card}/spends", {"amount_minor": 1}, key="s")
    assert (spend.status, spend.code, spend.json["facts"]) == (
        409, "card_balance_insufficient", {"asked_minor": 1, "available_minor": 0},
    )  # fmt: skip
