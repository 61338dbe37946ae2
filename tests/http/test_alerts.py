"""Alerts over HTTP: who is refused often is noticed, and somebody sees to it."""

from dataclasses import replace

from chalicelib.alerts.rules import REFUSED
from chalicelib.api import problems
from chalicelib.identity.permissions import ROLES, Permission
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from tests.http.conftest import Look
from tests.http.test_audit import api_terms, watched
from tests.makers import Api
from tests.signing_in import refresh


def test_forged_tokens_from_one_network_raise_an_alert_that_somebody_sees_to(api: Api) -> None:
    for _ in range(25):
        assert api.send("GET", "/v1/tiers", Authorization="Bearer x.y.z").code == "token_invalid"
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"], alert["count"], alert["limit"]) == (
        "sign_in_failed", "127.0.0.0/24", 20, 20,
    )  # fmt: skip
    path = f"/v1/alerts/{alert['alert_id']}/acknowledgements"
    seen = api.post(path, {"reason": "a test of ours, ask 13912345678"})
    assert (seen.status, seen.json["state"], seen.json["acknowledged_by"]) == (200, "acknowledged", "stf_admin")
    assert api.as_("admin").post(path, {}).replayed
    assert api.get("/v1/alerts").json["items"] == []
    assert [each["alert_id"] for each in api.get("/v1/alerts", state="acknowledged").json["items"]] == [
        alert["alert_id"]
    ]
    (entry,) = api.get("/v1/audit-entries", action="acknowledge_alert").json["items"]
    assert entry["reason"] == "a test of ours, ask …"
    assert entry["changes"][0]["after"] == {"state": "acknowledged"}
    unknown = api.post("/v1/alerts/alr_aaaa/acknowledgements", {})
    assert (unknown.status, unknown.code) == (404, "alert_unknown")


def test_wrong_refresh_tokens_from_one_network_are_noticed(api: Api) -> None:
    for number in range(20):
        assert refresh(api, f"{number}" * 40).code == "refresh_invalid"
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"]) == ("sign_in_failed", "127.0.0.0/24")


def test_what_is_counted_is_refused_somewhere() -> None:
    assert REFUSED.keys() <= problems.STATUS.keys()


def test_who_keeps_asking_for_what_they_may_not_do_is_named(api: Api) -> None:
    for _ in range(21):
        assert api.as_("clerk").get("/v1/audit-entries").code == "permission_missing"
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"]) == ("permission_refused", "stf_clerk")


def test_an_adjustment_over_the_cap_is_refused_and_noticed(api: Api) -> None:
    member = api.enrol()["member_id"]
    terms = {"version": 1, "velocity": {"adjusted_points_per_day": 5_000}}
    published = api.put("/v1/program", {**api_terms(api), **terms})
    assert published.status == 200, published.text
    api.clock.forward(seconds=11)
    body = {"points": 5_001, "reason_code": "gift"}
    refused = api.post(f"/v1/members/{member}/point-adjustments", body, key="k")
    assert (refused.status, refused.code) == (409, "velocity_exceeded")
    assert refused.json["facts"] == {"asked": 5_001, "given": 0, "limit": 5_000}
    (alert,) = api.get("/v1/alerts").json["items"]
    assert (alert["kind"], alert["about"]) == ("adjustments_capped", "stf_admin")


def test_what_befalls_those_who_watch_changes_no_answer(api: Api, house: House, look: Look) -> None:
    class Broken:
        def __getattr__(self, name: str) -> None:
            raise RuntimeError

    wiring.use(replace(house, ops=Broken()))  # type: ignore[arg-type]
    api.get("/v1/program")
    before = look()
    for _ in range(30):
        assert api.as_("clerk").get("/v1/audit-entries").code == "permission_missing"
    assert look() == before


def test_who_reads_alerts_and_who_sees_to_them() -> None:
    may = {each: {role for role, rights in ROLES.items() if each in rights} for each in Permission}
    assert may[Permission.ALERTS_READ] == {"admin", "auditor"}
    assert may[Permission.ALERTS_MANAGE] == {"admin"}


def test_who_sees_exports_or_redirects_many_members_is_noticed(api: Api, look: Look) -> None:
    members = [api.enrol(mobile=f"+86138001380{number:02d}")["member_id"] for number in range(21)]
    agent = api.as_("agent")
    for number, member in enumerate(members):
        path = f"/v1/members/{member}"
        assert agent.post(f"{path}/unmaskings", {"fields": ["mobile"], "reason": "looks around"}).status == 201
        page = "export-pages" if number % 2 else "exports"
        assert agent.post(f"{path}/{page}", {"reason": "looks around"}).status == 201
        if number < 6:
            body = {"version": 1, "mobile": f"+86138001390{number:02d}", "reason": "looks around"}
            assert agent.patch(path, body).status == 200
    watched(look())
    watched(look())
    alerts = {each["kind"]: (each["about"], each["limit"]) for each in api.get("/v1/alerts").json["items"]}
    assert alerts == {
        "members_unmasked": ("stf_agent", 20), "members_exported": ("stf_agent", 20),
        "contacts_changed": ("stf_agent", 5),
    }  # fmt: skip
