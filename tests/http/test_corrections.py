"""Entries and reversals over HTTP."""

from tests.makers import Api


def test_an_entry_is_read_and_taken_back_once(api: Api) -> None:
    member = api.enrol()["member_id"]
    api.buy(member, 10_000)
    spend = api.post(f"/v1/members/{member}/point-spends", {"points": 40, "reference": "R"}, key="s").json
    path = f"/v1/point-entries/{spend['entry_id']}"
    body = {"reason_code": "mistake", "note_to_member": "抱歉"}
    tried = api.post(path + "/reversals", {**body, "dry_run": True})
    done = api.post(path + "/reversals", body)

    assert (tried.status, done.status, done.json) == (200, 201, tried.json)
    assert (done.json["points"], done.json["balance_after"], done.json["note_to_member"]) == (40, 100, "抱歉")
    again = api.post(path + "/reversals", body)
    assert (again.replayed, again.json) == (True, done.json)
    shown = api.get(path).json
    assert {name: shown[name] for name in spend} == spend
    assert (shown["points_spent"], shown["reversed_by_id"]) == (40, done.json["entry_id"])
    assert api.get(f"/v1/point-entries/{done.json['entry_id']}").json["cause_id"] == spend["entry_id"]
    assert api.post(path + "/reversals", {"reason_code": "other"}).code == "reversal_differs"


def test_every_refusal_of_a_reversal_has_its_code(api: Api) -> None:
    member = api.enrol()["member_id"]
    sale = api.buy(member)
    entry = api.get(f"/v1/members/{member}/point-entries").json["items"][0]
    path = f"/v1/point-entries/{entry['entry_id']}/reversals"
    refused = api.post(path, {"reason_code": "x"})
    assert (refused.status, refused.code) == (409, "entry_not_reversible")
    assert refused.json["facts"]["instead"].endswith(f"POST /v1/purchases/{sale['purchase_id']}/returns")
    assert api.post("/v1/point-entries/ent_bm9uZQ/reversals", {"reason_code": "x"}).code == "entry_unknown"
    assert api.get("/v1/point-entries/ent_bm9uZQ").code == "entry_unknown"
    assert api.as_("clerk").post(path, {"reason_code": "x"}).code == "permission_missing"
    given = api.post(f"/v1/members/{member}/point-adjustments", {"points": 5, "reason_code": "x"}, key="a").json
    api.post(f"/v1/members/{member}/closures", {"reason": "x", "forfeit_points": True})
    path = f"/v1/point-entries/{given['entry_id']}/reversals"
    assert api.post(path, {"reason_code": "x"}).code == "member_closed"
