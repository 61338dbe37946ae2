"""Approvals over HTTP: 202 while it waits, and a second person who carries it out."""

from tests.http.conftest import Look
from tests.makers import Api


def test_a_large_adjustment_waits_for_a_second_person(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    path, body = f"/v1/members/{member}/point-adjustments", {"points": 10_001, "reason_code": "goodwill"}
    agent, admin = api.as_("agent"), api
    asked = agent.post(path, body, key="big")
    assert (asked.status, asked.json["status"], asked.json["amount"]) == (202, "waiting", 10_001)
    assert asked.json["lapses_at"] == "2026-03-18T04:00:00Z"
    assert asked.json["command"] == body
    approval = f"/v1/approvals/{asked.json['approval_id']}"
    assert admin.get(f"/v1/members/{member}/points").json["available"] == 0

    again = agent.post(path, body, key="big")
    assert (again.status, again.replayed, again.json) == (202, True, asked.json)
    assert agent.get(approval).json == asked.json
    assert admin.get("/v1/approvals", status="waiting").json["items"] == [asked.json]
    before = look()
    for who, to, code in (
        (agent, f"{approval}/approvals", "permission_missing"),
        (api.as_("clerk"), f"{approval}/approvals", "permission_missing"),
        (api.as_("shop_manager"), f"{approval}/approvals", "approval_unknown"),
        (api.as_("shop_manager"), f"{approval}/rejections", "approval_unknown"),
    ):
        assert who.post(to, {"reason": "x"}).code == code
    assert api.as_("shop_manager").get(approval).code == "approval_unknown"
    assert api.as_("shop_manager").get("/v1/approvals").json["items"] == []
    dry = agent.post(path, {**body, "dry_run": True}, key="other")
    assert (dry.status, dry.code, dry.json["facts"]) == (
        409, "approval_needed", {"amount": 10_001, "used": 0, "limit": 10_000},
    )  # fmt: skip
    assert look() == before

    done = admin.post(f"{approval}/approvals", {})
    assert (done.status, done.json["status"], done.json["decided_by"]) == (201, "approved", "stf_admin")
    assert admin.post(f"{approval}/approvals", {}).replayed
    entry = agent.post(path, body, key="big")
    assert (entry.status, entry.replayed, entry.json["points"]) == (201, True, 10_001)
    assert admin.get(f"/v1/point-entries/{entry.json['entry_id']}").json["staff"] == ["stf_agent", "stf_admin"]
    assert admin.get(f"/v1/members/{member}/points").json["available"] == 10_001


def test_the_program_says_how_much_one_person_may_do(api: Api) -> None:
    program = api.get("/v1/program").json
    terms = {name: value for name, value in program.items() if name not in ("published_at", "former_ladders")}
    approvals = {"adjustment_points_max": 5, "card_refund_minor_max": 100}
    assert api.put("/v1/program", {**terms, "approvals": approvals}).status == 200
    member = api.enrol()["member_id"]
    path = f"/v1/members/{member}/point-adjustments"
    small = api.post(path, {"points": 5, "reason_code": "x"}, key="1")
    assert small.status == 201
    assert api.post(path, {"points": 1, "reason_code": "x"}, key="2").status == 202
    assert api.post(f"/v1/point-entries/{small.json['entry_id']}/reversals", {"reason_code": "x"}).status == 202
    card = api.post(f"/v1/members/{member}/cards", {"kind": "stored_value"}, key="c").json["card_id"]
    paid = {"amount_minor": 300, "means": [{"kind": "cash", "amount_minor": 300}]}
    assert api.post(f"/v1/cards/{card}/top-ups", paid, key="t").status == 201
    refund = api.post(f"/v1/cards/{card}/refunds", {"amount_minor": 101}, key="r")
    assert (refund.status, refund.json["kind"]) == (202, "card_refund")
    decided = api.as_("shop_manager")
    assert decided.get("/v1/approvals").json["items"] == [], "head office asked, so no shop's manager decides"
    own = api.post(f"/v1/approvals/{refund.json['approval_id']}/approvals", {})
    assert (own.status, own.code) == (403, "approval_own")
    theirs = decided.post(f"/v1/cards/{card}/refunds", {"amount_minor": 200}, key="s").json["approval_id"]
    assert api.post(f"/v1/approvals/{theirs}/approvals", {}).status == 201
    assert api.get(f"/v1/cards/{card}").json["balance"]["principal_minor"] == 100


def test_the_record_of_a_decision_is_about_the_member(api: Api) -> None:
    member = api.enrol()["member_id"]
    api.clock.forward(seconds=1)
    body = {"points": 20_000, "reason_code": "goodwill"}
    assert api.as_("agent").post(f"/v1/members/{member}/point-adjustments", body, key="big").status == 202
    api.clock.forward(seconds=1)
    (waiting,) = api.get("/v1/approvals").json["items"]
    assert api.post(f"/v1/approvals/{waiting['approval_id']}/rejections", {"reason": "no"}).status == 201
    newest = api.get("/v1/audit-entries", member_id=member).json["items"][0]
    assert (newest["action"], newest["about"]) == ("reject", [member])
