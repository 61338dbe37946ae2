"""Campaigns over HTTP: made, launched, planned by the round, turned, and who may do what."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from chalicelib.campaigns import jobs
from chalicelib.deliveries import jobs as sending
from chalicelib.deliveries.models import PartMessage
from chalicelib.kernel.ids import CampaignId
from chalicelib.providers.outbox import Outbox
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from tests.campaigning import Post, a_body, fold
from tests.makers import Api, Tray, a_token


def test_a_campaign_from_draft_to_parts_and_results(marketing: Api, house: House, dynamo: Dynamo) -> None:
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    for number in range(3):
        marketing.enrol(email=f"m{number}@example.com", consents=[consent])
    marketing.enrol(email="no@example.com")
    fold(house, dynamo)
    made = marketing.post("/v1/campaigns", a_body(marketing), key="c1")
    assert (made.status, made.json["state"]) == (201, "draft"), made.text
    path = "/v1/campaigns/" + made.json["campaign_id"]
    launched = marketing.as_("marketer").post(f"{path}/launch", {"version": 1, "reason": "it is spring"})
    assert (launched.status, launched.json["launched_by"]) == (201, "stf_marketer"), launched.text

    assert jobs.plan_campaigns({}, None) == {"begun": 1, "planned": 1, "failed": 0}
    assert jobs.plan_campaigns({}, None) == {"begun": 0, "planned": 0, "failed": 0}
    assert isinstance(house.queues, Tray)
    (message,) = [PartMessage.model_validate_json(each["body"]) for each in house.queues.taken()]
    found = marketing.get(path).json
    (run,) = found["latest_runs"]
    assert (found["state"], run["run_id"], run["state"]) == ("sending", message.run_id, "sending")
    assert run["planned"]["targeted"] == 3
    assert run["planned"]["left_out"] == {"no_consent": 1}
    assert run["progress"] == {"parts": 1, "parts_done": 0, "sent": 0, "outcomes": {}, "cost_minor": 0}

    fold(house, dynamo)
    results = marketing.get(f"{path}/results")
    assert results.status == 200, results.text
    assert results.json["variants"]["a"]["planned"] == 3
    assert results.json["all_variants"]["compared"]["why_not"] == "no_holdout"
    for verb, state in (("pause", "paused"), ("resume", "sending"), ("cancel", "cancelled")):
        assert marketing.post(f"{path}/{verb}", {}).json["state"] == state
    trail = marketing.get("/v1/audit-entries", action="cancel_campaign").json["items"]
    named = sorted(change["item"] for change in trail[0]["changes"])
    assert named == ["campaign", "run of a campaign", "use of a segment"]


@pytest.mark.parametrize("way", ["one click", "preferences"])
def test_who_opts_out_by_a_link_is_counted_once_for_the_run(
    way: str, marketing: Api, house: House, dynamo: Dynamo
) -> None:
    post = Post()
    wiring.use(replace(wiring.house(), providers={"email": post}))
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    for number in range(3):
        marketing.enrol(email=f"m{number}@example.com", consents=[consent])
    fold(house, dynamo)
    body = a_body(marketing)
    path = "/v1/campaigns/" + marketing.post("/v1/campaigns", body, key="c1").json["campaign_id"]
    assert marketing.post(f"{path}/launch", {"version": 1}).status == 201
    jobs.plan_campaigns({}, None)
    assert isinstance(house.queues, Tray)
    assert sending.send_parts({"Records": house.queues.taken()}, None) == {"batchItemFailures": []}
    assert len(post.got) == 3
    nobody, one = marketing.with_(""), post.got[0]
    _, at, token = one.opt_out_url.partition("/v1/opt-outs/")
    assert (at, len(token) <= 120) == ("/v1/opt-outs/", True), "links stand in text messages, too"
    link = f"{at}{token}"
    page = nobody.send("GET", link)
    assert page.status == 200
    if way == "one click":
        for _ in range(2):
            done = nobody.send("POST", link, b"List-Unsubscribe=One-Click")
        assert done.status == 200
    found = re.search(r'href="\.\.(/preferences/[^"?]+)', page.text)
    assert found is not None
    for _ in range(2):
        assert nobody.send("POST", f"/v1{found[1]}?purpose=marketing&channel=email").status == 200
    fold(house, dynamo)
    results = marketing.get(f"{path}/results").json
    assert (results["variants"]["a"]["opted_out"], results["all_variants"]["opted_out"]) == (1, 1)
    run_id = marketing.get(path).json["latest_runs"][0]["run_id"]
    assert marketing.get(f"/v1/delivery-runs/{run_id}").json["receipts"] == {"opted_out": 1}
    did = {"kind": "campaign", "did": "opted_out", "source_ids": [path.rpartition("/")[2]]}
    counted = marketing.post("/v1/segment-counts", {"definition": did})
    assert counted.json["count"] == 1, counted.text


def test_a_test_says_which_field_had_no_value(marketing: Api) -> None:
    wiring.use(replace(wiring.house(), providers={"email": Post()}))
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    member = marketing.enrol(email="yes@example.com", consents=[consent])["member_id"]
    said = {"channel": "email", "zh": {"subject": "好久不见", "html": "<p>生日是 {{birthday}}</p>"}}
    template = marketing.post("/v1/templates", {"name": "m", "purpose": "marketing", "contents": said}, key="t2").json
    body = a_body(marketing, variants=[{"name": "a", "template_ids": [template["template_id"]]}])
    path = "/v1/campaigns/" + marketing.post("/v1/campaigns", body, key="c1").json["campaign_id"]
    for _ in range(2):
        sent = marketing.post(f"{path}/test-sends", {"member_ids": [member]}, key="once")
        (one,) = sent.json["items"]
        assert (one["outcome"], one["reason"], one["missing"]) == ("skipped", "field_missing", ["birthday"])


def test_points_are_given_by_who_may(marketing: Api) -> None:
    made = marketing.post("/v1/campaigns", a_body(marketing, gift={"points": 10}), key="c1").json
    path = "/v1/campaigns/" + made["campaign_id"]
    refused = marketing.as_("marketer").post(f"{path}/launch", {"version": 1})
    assert (refused.status, refused.code) == (403, "gift_forbidden")
    assert marketing.get(path).json["state"] == "draft"
    assert marketing.post(f"{path}/launch", {"version": 1}).status == 201


def test_who_gets_a_gift_stays_as_it_was_when_it_was_launched(marketing: Api, house: House, dynamo: Dynamo) -> None:
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    for number in range(3):
        tags = ["vip"] if number == 0 else []
        marketing.enrol(email=f"m{number}@example.com", consents=[consent], tags=tags)
    fold(house, dynamo)
    inner = {"kind": "tag", "op": "has_any", "tags": ["vip"]}
    everybody = {"kind": "field", "name": "points", "op": "at_least", "value": 0}
    vip = marketing.post("/v1/segments", {"name": "VIP", "definition": inner}, key="vip").json["segment_id"]
    named = {"kind": "segment", "segment_id": vip}
    outer = marketing.post("/v1/segments", {"name": "Outer", "definition": named}, key="out").json["segment_id"]
    body = a_body(marketing, gift={"points": 10}) | {"segment_id": outer}
    path = "/v1/campaigns/" + marketing.post("/v1/campaigns", body, key="c1").json["campaign_id"]
    assert marketing.post(f"{path}/launch", {"version": 1}).status == 201
    thief = marketing.as_("marketer")
    for segment in (vip, outer):
        moved = thief.patch(f"/v1/segments/{segment}", {"version": 1, "definition": everybody})
        assert moved.status == 200, moved.text
    refused = thief.post(f"/v1/segments/{outer}/archivals", {})
    assert (refused.status, refused.code) == (409, "segment_in_use")
    assert refused.json["facts"]["used_by"] == [path.rpartition("/")[2]]
    assert jobs.plan_campaigns({}, None) == {"begun": 1, "planned": 1, "failed": 0}
    (run,) = marketing.get(path).json["latest_runs"]
    assert (run["planned"]["in_segment"], run["planned"]["targeted"]) == (1, 1)
    assert marketing.post(f"{path}/cancel", {}).status == 201
    assert thief.post(f"/v1/segments/{outer}/archivals", {}).status == 201
    again = marketing.post("/v1/campaigns", body, key="c2")
    assert [each["pointer"] for each in again.json["errors"]] == ["/segment_id"]


def _second(api: Api) -> Api:
    """Another admin, signed in just now."""
    return api.with_(a_token(api.token_key, api.issuer, api.audience, api.clock(), "admin", sub="second"))


def test_many_points_for_each_member_wait_for_a_second_person(marketing: Api) -> None:
    api = marketing
    body = a_body(api, gift={"points": 10_001})
    path = "/v1/campaigns/" + api.post("/v1/campaigns", body, key="c1").json["campaign_id"]
    dry = api.post(f"{path}/launch", {"version": 1, "dry_run": True})
    assert (dry.status, dry.code) == (409, "approval_needed")
    launch = {"version": 1, "reason": "a feast"}
    asked = api.post(f"{path}/launch", launch)
    assert (asked.status, asked.json["kind"], asked.json["amount"]) == (202, "launch", 10_001), asked.text
    again = api.post(f"{path}/launch", launch)
    assert (again.status, again.replayed, again.json) == (202, True, asked.json)
    assert api.post(f"{path}/launch", {**launch, "reason": "another"}).code == "approval_differs"
    approval = f"/v1/approvals/{asked.json['approval_id']}"
    assert api.get(approval).json["command"] == launch
    assert api.post(f"{approval}/approvals", {}).code == "approval_own"
    assert api.as_("agent").post(f"{approval}/approvals", {}).code == "permission_missing"
    assert api.as_("shop_manager").get(approval).code == "approval_unknown"
    second = _second(api)
    assert second.post(f"{approval}/rejections", {"reason": "too much"}).status == 201
    assert api.get(path).json["state"] == "draft"
    assert api.post(f"{path}/launch", launch).json["status"] == "waiting", "asked anew"
    api.clock.forward(hours=73)
    second = _second(api)
    assert second.post(f"{approval}/approvals", {}).code == "approval_over"
    assert api.post(f"{path}/launch", launch).status == 202
    done = second.post(f"{approval}/approvals", {"reason": "well"})
    assert (done.status, done.json["status"], done.json["entry_id"]) == (201, "approved", None), done.text
    assert second.post(f"{approval}/approvals", {"reason": "well"}).replayed
    found = api.get(path).json
    assert (found["state"], found["launched_by"]) == ("scheduled", "stf_admin")
    assert api.post(f"{path}/launch", launch).replayed


def test_many_launches_of_one_person_count_together(marketing: Api) -> None:
    body = a_body(marketing, gift={"points": 6_000})
    paths = [
        "/v1/campaigns/" + marketing.post("/v1/campaigns", body, key=key).json["campaign_id"] for key in ("c1", "c2")
    ]
    assert [marketing.post(f"{path}/launch", {"version": 1}).status for path in paths] == [201, 202]


def test_what_was_changed_since_it_was_asked_is_not_launched(marketing: Api) -> None:
    api = marketing
    body = a_body(api, gift={"points": 10_001})
    path = "/v1/campaigns/" + api.post("/v1/campaigns", body, key="c1").json["campaign_id"]
    asked = api.post(f"{path}/launch", {"version": 1}).json
    assert api.as_("marketer").patch(path, {**body, "gift": {"points": 1_000_000}, "version": 1}).status == 200
    refused = _second(api).post(f"/v1/approvals/{asked['approval_id']}/approvals", {})
    assert (refused.status, refused.code) == (409, "campaign_changed")
    assert api.get(path).json["state"] == "draft"


def test_what_there_is_not_is_pointed_at(marketing: Api) -> None:
    body = a_body(marketing, segment_id="seg_aaaaaaaaaaaaaaaa")
    refused = marketing.post("/v1/campaigns", body, key="c1")
    assert (refused.status, refused.code) == (422, "campaign_unfit")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/segment_id"]
    assert marketing.get(f"/v1/campaigns/{CampaignId.of('none')}/results").status == 404


def test_all_who_ask_the_lake_say_in_the_same_words_that_it_is_gone(
    marketing: Api, house: House, dynamo: Dynamo
) -> None:
    member = marketing.enrol(email="m@example.com")["member_id"]
    fold(house, dynamo)
    path = "/v1/campaigns/" + marketing.post("/v1/campaigns", a_body(marketing), key="c1").json["campaign_id"]
    assert marketing.get(f"{path}/results").status == 200
    shutil.rmtree(Path(house.place.root) / "lake")
    results = marketing.get(f"{path}/results")
    assert (results.status, results.code) == (503, "lake_missing")
    everybody = {"definition": {"kind": "field", "name": "status", "op": "is_known"}}
    others = [
        marketing.post("/v1/segment-counts", everybody),
        marketing.get("/v1/deliveries", member_id=member),
        marketing.post(f"/v1/members/{member}/exports", {"reason": "asked"}),
        marketing.post(f"/v1/members/{member}/export-pages", {"reason": "asked"}),
    ]
    assert {(each.status, each.code, each.json["detail"]) for each in others} == {
        (503, "lake_missing", results.json["detail"])
    }


def test_a_template_about_a_gift_needs_a_campaign_that_gives_one(marketing: Api) -> None:
    body = a_body(marketing)
    said = {"channel": "email", "zh": {"subject": "礼", "html": "<p>{{gift_points}} 分，{{gift_expires_on}}</p>"}}
    gift = marketing.post("/v1/templates", {"name": "g", "purpose": "marketing", "contents": said}, key="t2").json
    body["variants"] = [{"name": "a", "template_ids": [gift["template_id"]]}]
    (fault,) = marketing.post("/v1/campaigns", body, key="c1").json["errors"]
    assert fault == {
        "pointer": "/variants/0/template_ids/0",
        "detail": "this campaign gives no points, so there is nothing to fill in for gift_expires_on, gift_points",
    }
    given = marketing.post("/v1/campaigns", {**body, "gift": {"points": 5, "expires_after_days": 30}}, key="c2")
    assert given.status == 201, given.text


def test_conditions_name_campaigns_and_journeys_that_there_are_by_their_names(marketing: Api) -> None:
    campaign = marketing.post("/v1/campaigns", a_body(marketing), key="c1").json["campaign_id"]
    steps = [{"kind": "retag", "step": "tag", "tag": "x"}]
    journey = {"name": "Come back", "entry": {"kind": "by_hand"}, "steps": steps}
    back = marketing.post("/v1/journeys", journey, key="j1").json["journey_id"]
    got = {"kind": "campaign", "did": "clicked", "source_ids": [campaign, back]}
    segment = marketing.post("/v1/segments", {"name": "s", "definition": got}, key="s2").json
    assert segment["sentence"] == {
        "zh": "点击过“Spring”或“Come back”消息中的链接的会员。",
        "en": "Members who followed a link in a message of “Spring” or “Come back”.",
    }
    assert segment["sentence"] in [each["sentence"] for each in marketing.get("/v1/segments").json["items"]]
    who = marketing.post("/v1/journeys", {**journey, "who": {"kind": "not", "of": got}}, key="j2").json
    assert "they followed no link in a message of “Spring” or “Come back”" in who["sentences"]["en"]

    strange = {**got, "source_ids": [campaign, "jrn_" + "a" * 16]}
    refused = marketing.post("/v1/segments", {"name": "s", "definition": strange}, key="s3")
    assert (refused.status, refused.code) == (422, "definition_wrong")
    assert [each["pointer"] for each in refused.json["errors"]] == ["/definition/source_ids/1"]
    branch = {"kind": "branch", "step": "b", "on": {"kind": "fits", "definition": strange}, "then": "tag"}
    unfit = marketing.post("/v1/journeys", {**journey, "steps": [branch, *steps], "who": strange}, key="j3")
    assert [each["pointer"] for each in unfit.json["errors"]] == [
        "/who/source_ids/1", "/steps/0/on/definition/source_ids/1",
    ]  # fmt: skip


@pytest.mark.parametrize("role", ["clerk", "agent", "shop_manager", "analyst"])
def test_who_does_not_market_makes_no_campaign(marketing: Api, role: str) -> None:
    body = a_body(marketing)
    refused = marketing.as_(role).post("/v1/campaigns", body, key="c1")
    assert (refused.status, refused.code) == (403, "permission_missing")
    assert marketing.get("/v1/campaigns").json["items"] == []


def test_a_test_goes_to_who_agreed_once_and_is_no_part_of_what_is_sent(marketing: Api, house: House) -> None:
    outbox = Outbox(house.objects, house.clock, "email", price_micro=700)
    settings = replace(house.settings, send_queue="campaign-sends")
    wiring.use(replace(house, settings=settings, providers={"email": outbox}))
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    yes = marketing.enrol(email="yes@example.com", consents=[consent])["member_id"]
    no = marketing.enrol(email="no@example.com")["member_id"]
    made = marketing.post("/v1/campaigns", a_body(marketing), key="c1").json
    path = f"/v1/campaigns/{made['campaign_id']}"
    for _ in range(2):
        sent = marketing.post(f"{path}/test-sends", {"member_ids": [yes, no]}, key="once")
        assert sent.status == 201, sent.text
        assert [(each["outcome"], each["reason"]) for each in sent.json["items"]] == [
            ("sent", None), ("skipped", "no_consent"),
        ]  # fmt: skip
        (kept,) = house.objects.list("outbox/", after=None, limit=10)
    mail = (house.objects.get(kept) or b"").decode()
    assert "【测试】春天" in mail
    assert "不作为承诺" in mail
    other = marketing.post(f"{path}/test-sends", {"member_ids": [no]}, key="once")
    assert (other.status, other.code) == (409, "campaign_differs")
    (record,) = marketing.as_("admin").get("/v1/audit-entries", action="send_tests").json["items"]
    assert [each["item"] for each in record["changes"]] == ["campaign"]
    assert marketing.get(path).json["state"] == "draft"
