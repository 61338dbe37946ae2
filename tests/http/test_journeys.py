"""Journeys over HTTP: made, edited, activated, walked, counted, ended; and who may do what."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.deliveries import store
from chalicelib.deliveries.models import Outcome
from chalicelib.journeys import jobs
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import JourneyId
from chalicelib.providers.pace import Go, Pacer
from chalicelib.providers.port import ProviderBusy
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from tests.campaigning import Post, fold
from tests.http.conftest import Look
from tests.http.test_staff import invited
from tests.http.test_takeovers import alerts
from tests.makers import Api, Tray, a_token

STEPS: list[dict[str, Any]] = [
    {"kind": "wait", "step": "w", "until": {"kind": "for", "days": 1}, "next": "points"},
    {"kind": "give_points", "step": "points", "points": 20, "expires_after_days": 60, "next": "tag"},
    {"kind": "retag", "step": "tag", "tag": "welcomed"},
]
BODY: dict[str, Any] = {"name": "Welcome", "entry": {"kind": "by_hand"}, "steps": STEPS}


@pytest.fixture
def tray() -> Tray:
    """What was put on queues."""
    return Tray()


@pytest.fixture
def walking(house: House, api: Api, tray: Tray) -> Api:
    """The API of a house that was told where steps go."""
    settings = replace(house.settings, journey_queue="journey-steps")
    wiring.use(replace(house, settings=settings, queues=tray))
    return api


def _made(api: Api, key: str = "j1", **fields: Any) -> dict[str, Any]:
    made = api.post("/v1/journeys", {**BODY, **fields}, key=key)
    assert made.status == 201, made.text
    found: dict[str, Any] = made.json
    return found


def _step(tray: Tray) -> None:
    """Give out all that is on the queue of steps."""
    assert jobs.do_steps({"Records": tray.taken()}, None) == {"batchItemFailures": []}


def test_a_journey_is_made_once_for_its_key_and_said_in_words(walking: Api) -> None:
    made = _made(walking)
    assert made["state"] == "draft"
    assert "3. Add the tag “welcomed”, then the end." in made["sentences"]["en"]
    good = "2. Give 20 points, good for at least 60 days, to the end of the month in which they end."
    assert good in made["sentences"]["en"], "points of a month expire together"
    assert "2. 赠送20积分（至少60天有效，到期满当月的月底为止）。" in made["sentences"]["zh"]
    assert made["sentences"]["zh"].startswith("进入：手动加入，一次为限。")
    again = walking.post("/v1/journeys", BODY, key="j1")
    assert (again.status, again.json) == (201, made)
    other = walking.post("/v1/journeys", {**BODY, "name": "Other"}, key="j1")
    assert (other.status, other.code) == (409, "journey_differs")


def test_a_condition_is_a_clause_of_the_sentence_that_it_stands_in(walking: Api) -> None:
    rich = {"kind": "field", "name": "spent_minor", "op": "at_least", "value": 1000}
    who = {"kind": "field", "name": "ways", "op": "has_any", "values": ["email"]}
    branch = {"kind": "branch", "step": "b", "on": {"kind": "fits", "definition": rich}, "then": "tag"}
    entry = {"kind": "purchased", "paid_min_minor": 30000}
    said = _made(walking, entry=entry, who=who, steps=[branch, STEPS[2]])["sentences"]
    assert said["en"].splitlines()[:2] == [
        "Comes in: they buy for ¥300.00 or more, and they have an address for e-mail, once.",
        "1. If they spent at least ¥10.00 in all: step 2; else: the end.",
    ]
    assert said["zh"].splitlines()[:2] == [
        "进入：消费满¥300.00，且留有电子邮件联系方式，一次为限。",
        "1. 如果累计消费金额不少于 ¥10.00：第2步；否则：结束。",
    ]


def test_what_does_not_fit_is_refused_where_it_is_wrong(walking: Api) -> None:
    def pointers(**fields: Any) -> list[str]:
        refused = walking.post("/v1/journeys", {**BODY, **fields}, key="j1")
        assert (refused.status, refused.code) == (422, "journey_unfit"), refused.text
        return [each["pointer"] for each in refused.json["errors"]]

    circle = [STEPS[0], {**STEPS[1], "next": "w"}, STEPS[2]]
    assert pointers(steps=circle) == ["/steps/1/next", "/steps"]
    assert pointers(steps=[STEPS[0], STEPS[0]]) == ["/steps/1/step", "/steps/0/next", "/steps/1/next", "/steps"]
    send = {"kind": "send", "step": "s", "template_id": "tpl_" + "a" * 16}
    assert pointers(steps=[send]) == ["/steps/0/template_id"]
    nobody = {"kind": "segment", "segment_id": "seg_" + "a" * 16}
    branch = {"kind": "branch", "step": "b", "on": {"kind": "fits", "definition": nobody}}
    assert pointers(steps=[branch], who=nobody) == ["/who/segment_id", "/steps/0/on/definition/segment_id"]
    assert pointers(entry={"kind": "tier_changed", "tier_ids": ["none"]}) == ["/entry/tier_ids/0"]


def test_members_come_in_by_hand_and_go_their_way(walking: Api, tray: Tray) -> None:
    member = walking.enrol()["member_id"]
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    refused = walking.post(f"{path}/entries", {"member_ids": [member]}, key="e1")
    assert (refused.status, refused.code) == (409, "journey_over")
    active = walking.post(f"{path}/activate", {"version": 1})
    assert (active.status, active.json["state"], active.json["version"]) == (201, "active", 2)
    assert walking.post(f"{path}/activate", {"version": 1}).json == active.json

    named = {"member_ids": [member, "mem_" + "a" * 16]}
    first = walking.post(f"{path}/entries", named, key="e1")
    assert first.json == {"entered": 1, "known": 0, "refused": 1, "under_way": False}
    assert walking.post(f"{path}/entries", named, key="e1").json["known"] == 1
    other = walking.post(f"{path}/entries", {"member_ids": [member]}, key="e1")
    assert (other.status, other.code) == (409, "journey_differs")
    (there,) = walking.get(f"{path}/members").json["items"]
    assert (there["member_id"], there["step"], there["left"]) == (member, "w", None)

    assert jobs.tick_journeys({}, None)["handed"] == 0
    walking.clock.forward(days=1, minutes=10)
    assert jobs.tick_journeys({}, None)["handed"] == 1
    _step(tray)
    assert walking.get(f"/v1/members/{member}/points").json["available"] == 20
    assert walking.get(f"/v1/members/{member}").json["tags"] == ["welcomed"]
    counts = walking.get(f"{path}/counts").json
    assert (counts["entered"], counts["inside"], counts["left"]) == (1, 0, {"completed": 1})
    assert [each["outcomes"] for each in counts["steps"]] == [{"waited": 1}, {"given": 1}, {"changed": 1}]
    (mine,) = walking.get(f"/v1/members/{member}/journeys").json["items"]
    assert [each["step"] for each in mine["path"]] == ["w", "points", "tag"]
    assert walking.get(f"{path}/members", left="true").json["items"] == [mine]


def test_letting_a_whole_segment_in_is_audited_when_it_is_asked(walking: Api, tray: Tray) -> None:
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    walking.post(f"{path}/activate", {"version": 1})
    for _ in range(2):
        asked = walking.post(f"{path}/entries", {"segment_id": "seg_ready_champions"}, key="e1")
        assert asked.json["under_way"] is True
    assert len(tray.taken()) == 2, "the same again is handed on again: what it lets in it lets in once"
    (record,) = walking.get("/v1/audit-entries", action="enter_members").json["items"]
    assert [each["item"] for each in record["changes"]] == ["journey"]


def test_all_of_a_list_come_in_though_the_lake_has_not_seen_them(walking: Api, tray: Tray) -> None:
    members = [walking.enrol(card_no=f"c{number}")["member_id"] for number in range(3)]
    named = {"name": "l", "member_ids": [*members, "mem_" + "a" * 16]}
    segment = walking.post("/v1/segments", named, key="s1").json["segment_id"]
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    walking.post(f"{path}/activate", {"version": 1})
    asked = walking.post(f"{path}/entries", {"segment_id": segment}, key="e1")
    assert asked.json == {"entered": 0, "known": 0, "refused": 0, "under_way": True}
    (waiting,) = walking.get(f"{path}/counts").json["segments"]
    assert waiting["under_way"] is True
    taken = tray.taken()
    for _ in range(2):
        assert jobs.do_steps({"Records": taken}, None) == {"batchItemFailures": []}
    counts = walking.get(f"{path}/counts").json
    assert counts["entered"] == 3
    (done,) = counts["segments"]
    assert done == {
        "segment_id": segment, "asked_at": waiting["asked_at"], "entered": 3, "passed_over": 1, "under_way": False,
    }  # fmt: skip
    again = walking.post(f"{path}/entries", {"segment_id": segment}, key="e1")
    assert again.json == {"entered": 3, "known": 0, "refused": 1, "under_way": False}
    assert tray.taken() == []


def test_an_event_of_the_bus_lets_in_once(walking: Api, tray: Tray) -> None:
    path = "/v1/journeys/" + _made(walking, entry={"kind": "enrolled"})["journey_id"]
    walking.post(f"{path}/activate", {"version": 1})
    member = walking.enrol()["member_id"]
    event = {
        "event_id": "evt_" + "a" * 32, "type": "MemberEnrolled", "version": 1, "member_id": member, "seq": None,
        "occurred_at": "2026-03-15T04:00:00Z", "recorded_at": "2026-03-15T04:00:00Z",
        "data": {"shop_id": None, "source": None},
    }  # fmt: skip
    message = {"messageId": "1", "body": json.dumps(event)}
    for _ in range(2):
        assert jobs.take_events({"Records": [message, message]}, None) == {"batchItemFailures": []}
    assert walking.get(f"{path}/counts").json["entered"] == 1
    garbage = {"messageId": "2", "body": "{}"}
    assert jobs.take_events({"Records": [garbage]}, None) == {"batchItemFailures": [{"itemIdentifier": "2"}]}


def test_a_new_version_is_for_those_who_come_later(walking: Api, tray: Tray) -> None:
    first, second = walking.enrol()["member_id"], walking.enrol(card_no="second")["member_id"]
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    walking.post(f"{path}/activate", {"version": 1})
    walking.post(f"{path}/entries", {"member_ids": [first]}, key="e1")
    edit = {**BODY, "steps": [{"kind": "retag", "step": "other", "tag": "other"}], "version": 2}
    edited = walking.put(path, edit)
    assert (edited.status, edited.json["edition"], edited.json["version"]) == (200, 2, 3)
    assert walking.put(path, edit).json == edited.json
    moved = walking.put(path, {**edit, "name": "Another"})
    assert (moved.status, moved.code) == (409, "journey_moved")
    walking.post(f"{path}/entries", {"member_ids": [second]}, key="e2")
    rows = walking.get(f"{path}/versions").json["items"]
    assert [(each["edition"], each["inside"], each["entered"]) for each in rows] == [(2, 1, 1), (1, 1, 1)]
    assert walking.get(path, edition="1").json["definition"]["steps"][0]["step"] == "w"
    walking.clock.forward(days=1, minutes=10)
    jobs.tick_journeys({}, None)
    _step(tray)
    assert walking.get(f"/v1/members/{first}").json["tags"] == ["welcomed"]
    assert walking.get(f"/v1/members/{second}").json["tags"] == ["other"]


def test_pause_close_end_and_archive_in_their_order(walking: Api) -> None:
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    steps = [("activate", "active"), ("pause", "paused"), ("activate", "active"), ("close", "closed"), ("end", "ended"),
             ("archive", "archived")]  # fmt: skip
    refused = walking.post(f"{path}/pause", {"version": 1})
    assert (refused.status, refused.code) == (409, "journey_stands")
    for version, (verb, state) in enumerate(steps, start=1):
        turned = walking.post(f"{path}/{verb}", {"version": version, "reason": "it is time"})
        assert (turned.status, turned.json["state"]) == (201, state), turned.text
    assert walking.get("/v1/journeys").json["items"] == []
    assert len(walking.get("/v1/journeys", archived="true").json["items"]) == 1
    over = walking.put(path, {**BODY, "version": 7})
    assert (over.status, over.code) == (409, "journey_over")


def test_a_test_run_says_what_would_happen_and_when(walking: Api) -> None:
    member = walking.enrol(birthday="1990-04-01")["member_id"]
    birthday = {"kind": "wait", "step": "b", "until": {"kind": "birthday", "at": "10:00"}, "next": "points"}
    branch = {"kind": "branch", "step": "f", "on": {"kind": "points", "at_least": 5}, "then": "tag"}
    steps = [birthday, {**STEPS[1], "next": "f"}, branch, STEPS[2]]
    path = "/v1/journeys/" + _made(walking, steps=steps)["journey_id"]
    walk = walking.post(f"{path}/walks", {"member_id": member, "fits": {"f": True}}).json
    assert [(each["step"], each["at"], each["outcome"]) for each in walk["steps"]] == [
        ("b", "2026-04-01T02:00:00Z", "waited"), ("points", "2026-04-01T02:00:00Z", "given"),
        ("f", "2026-04-01T02:00:00Z", "yes"), ("tag", "2026-04-01T02:00:00Z", "changed"),
    ]  # fmt: skip
    assert (walk["enters"], walk["ends"]) == (True, "completed")
    for language, said in (
        ("en", "4. Add the tag “welcomed”, then the end."),
        ("zh", "4. 添加标签“welcomed”，然后结束。"),
    ):
        spoken = walking.post(f"{path}/walks", {"member_id": member, "fits": {"f": True}}, Accept_Language=language)
        assert spoken.json["steps"][3]["text"] == said
    poor = walking.post(f"{path}/walks", {"member_id": member}).json["steps"]
    assert [each["step"] for each in poor] == ["b", "points", "f"]
    nobody = walking.post(f"{path}/walks", {"member_id": "mem_" + "a" * 16})
    assert (nobody.status, nobody.code) == (404, "member_unknown")


def test_points_take_a_right_of_their_own(walking: Api) -> None:
    marketer = walking.as_("marketer")
    path = "/v1/journeys/" + marketer.post("/v1/journeys", BODY, key="j1").json["journey_id"]
    refused = marketer.post(f"{path}/activate", {"version": 1})
    assert (refused.status, refused.code) == (403, "journey_gift_forbidden")
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    assert marketer.post(f"{path}/pause", {"version": 2}).status == 201


def test_who_may_not_give_points_lets_nobody_in_by_hand_where_they_are_given(walking: Api) -> None:
    member, marketer = walking.enrol()["member_id"], walking.as_("marketer")
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    for named in ({"member_ids": [member]}, {"segment_id": "seg_ready_never_bought"}):
        refused = marketer.post(f"{path}/entries", named, key="e1")
        assert (refused.status, refused.code) == (403, "journey_gift_forbidden")
    assert walking.get(f"{path}/counts").json["entered"] == 0
    plain = "/v1/journeys/" + _made(walking, "j2", steps=[STEPS[2]])["journey_id"]
    assert marketer.post(f"{plain}/activate", {"version": 1}).status == 201
    assert marketer.post(f"{plain}/entries", {"member_ids": [member]}, key="e1").json["entered"] == 1


def _segment(api: Api, key: str, definition: dict[str, Any]) -> str:
    made = api.post("/v1/segments", {"name": key, "definition": definition}, key=key)
    assert made.status == 201, made.text
    segment_id: str = made.json["segment_id"]
    return segment_id


def _lure(api: Api, segment_id: str) -> None:
    """Have a marketer make a segment one of everybody."""
    everybody = {"kind": "field", "name": "points", "op": "at_least", "value": 0}
    moved = api.as_("marketer").patch(f"/v1/segments/{segment_id}", {"version": 1, "definition": everybody})
    assert moved.status == 200, moved.text


VIP = {"kind": "tag", "op": "has_any", "tags": ["vip"]}


def test_who_gets_points_stays_as_it_was_when_the_journey_went_to_work(
    walking: Api, tray: Tray, house: House, dynamo: Dynamo
) -> None:
    walking.enrol(tags=["vip"])
    other = walking.enrol(card_no="o")["member_id"]
    fold(house, dynamo)
    vip = _segment(walking, "vip", VIP)
    named = {"kind": "segment", "segment_id": vip}
    branch = {"kind": "branch", "step": "fits", "on": {"kind": "fits", "definition": named}, "then": "points"}
    steps = [branch, {"kind": "give_points", "step": "points", "points": 20}]
    gate = "/v1/journeys/" + _made(walking, "j1", who=named, steps=[STEPS[1], STEPS[2]])["journey_id"]
    path = "/v1/journeys/" + _made(walking, "j2", steps=steps)["journey_id"]
    for each in (gate, path):
        assert walking.post(f"{each}/activate", {"version": 1}).status == 201
    _lure(walking, vip)
    assert walking.post(f"{gate}/entries", {"member_ids": [other]}, key="e1").json["refused"] == 1
    assert walking.post(f"{path}/entries", {"member_ids": [other]}, key="e1").json["entered"] == 1
    walking.clock.forward(minutes=7)
    jobs.tick_journeys({}, None)
    _step(tray)
    assert walking.get(f"{path}/counts").json["steps"][0]["outcomes"] == {"no": 1}
    refused = walking.post(f"/v1/segments/{vip}/archivals", {})
    assert (refused.status, len(refused.json["facts"]["used_by"])) == (409, 2)
    for each in (gate, path):
        assert walking.post(f"{each}/end", {"version": 2}).status == 201
    assert walking.post(f"/v1/segments/{vip}/archivals", {}).status == 201


def test_whom_a_list_lets_in_stays_as_it_was_when_it_was_asked_for(
    walking: Api, tray: Tray, house: House, dynamo: Dynamo
) -> None:
    member = walking.enrol(tags=["vip"])["member_id"]
    walking.enrol(card_no="o")
    fold(house, dynamo)
    vip = _segment(walking, "vip", VIP)
    path = "/v1/journeys/" + _made(walking)["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    assert walking.post(f"{path}/entries", {"segment_id": vip}, key="e1").json["under_way"] is True
    _lure(walking, vip)
    _step(tray)
    assert [each["member_id"] for each in walking.get(f"{path}/members").json["items"]] == [member]


@pytest.mark.parametrize("kind", ["segment_entered", "lapsed"])
def test_a_segment_that_lets_in_is_looked_at_as_it_was(
    walking: Api, tray: Tray, house: House, dynamo: Dynamo, kind: str
) -> None:
    vip, lured = walking.enrol(tags=["vip"])["member_id"], walking.enrol(card_no="o")["member_id"]
    fold(house, dynamo)
    segment = _segment(walking, "vip", VIP)
    entry = {"kind": kind, **({"segment_id": segment} if kind == "segment_entered" else {"days": 90})}
    path = "/v1/journeys/" + _made(walking, entry=entry)["journey_id"]
    entered = walking.post(f"{path}/activate", {"version": 1}).json["segment_id"] or segment
    _lure(walking, entered)
    for number, member in enumerate((vip, lured)):
        at = walking.clock().isoformat().replace("+00:00", "Z")
        told = {
            "event_id": "evt_" + "ab"[number] * 32, "type": "SegmentEntered", "version": 1, "member_id": member,
            "seq": None, "occurred_at": at, "recorded_at": at, "data": {"segment_id": entered, "generation": 1},
        }  # fmt: skip
        message = {"messageId": str(number), "body": json.dumps(told)}
        assert jobs.take_events({"Records": [message]}, None) == {"batchItemFailures": []}
    walking.clock.forward(minutes=2)
    _step(tray)
    inside = [each["member_id"] for each in walking.get(f"{path}/members").json["items"]]
    assert inside == ([vip] if kind == "segment_entered" else [])


def test_many_points_for_each_member_wait_for_a_second_person(walking: Api) -> None:
    large = [{"kind": "give_points", "step": "a", "points": 6_000, "next": "b"},
             {"kind": "give_points", "step": "b", "points": 4_001}]  # fmt: skip
    path = "/v1/journeys/" + _made(walking, steps=large)["journey_id"]
    asked = walking.post(f"{path}/activate", {"version": 1, "reason": "a feast"})
    assert (asked.status, asked.json["kind"], asked.json["amount"]) == (202, "activation", 10_001), asked.text
    approval = f"/v1/approvals/{asked.json['approval_id']}/approvals"
    assert walking.post(approval, {}).code == "approval_own"
    second = walking.with_(
        a_token(walking.token_key, walking.issuer, walking.audience, walking.clock(), "admin", sub="second")
    )
    done = second.post(approval, {})
    assert (done.status, done.json["status"]) == (201, "approved"), done.text
    assert walking.get(path).json["state"] == "active"
    assert walking.post(f"{path}/activate", {"version": 1, "reason": "a feast"}).status == 201
    # After a pause nobody is asked anew; what gives more is.
    assert walking.post(f"{path}/pause", {"version": 2}).status == 201
    assert walking.post(f"{path}/activate", {"version": 3}).status == 201
    more = {**BODY, "steps": [{**large[0], "points": 9_000}, large[1]], "version": 4}
    raised = walking.put(path, more)
    assert (raised.status, raised.code) == (409, "journey_gift_raised")
    assert walking.post(f"{path}/pause", {"version": 4}).status == 201
    assert walking.put(path, {**more, "version": 5}).status == 200
    assert walking.post(f"{path}/activate", {"version": 6}).status == 202
    assert walking.get(path).json["state"] == "paused"


def test_gifts_come_in_by_no_edit_of_who_may_not_give_them(walking: Api) -> None:
    marketer = walking.as_("marketer")
    path = "/v1/journeys/" + _made(walking, steps=[STEPS[2]])["journey_id"]
    for version, verb in ((1, "activate"), (2, "close")):
        assert marketer.post(f"{path}/{verb}", {"version": version}).status == 201
    refused = marketer.put(path, {**BODY, "version": 3})
    assert (refused.status, refused.code) == (403, "journey_gift_forbidden")
    assert walking.put(path, {**BODY, "version": 3}).status == 200
    refused = marketer.post(f"{path}/activate", {"version": 4})
    assert (refused.status, refused.code) == (403, "journey_gift_forbidden")


def test_whoever_lets_their_own_membership_in_is_noticed(walking: Api, tray: Tray, look: Look) -> None:
    own = walking.enrol()["member_id"]
    staff_id = invited(walking, "boss", "admin", member_id=own)["staff_id"]
    path = "/v1/journeys/" + _made(walking, steps=[STEPS[1], STEPS[2]])["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    token = a_token(
        walking.token_key, walking.issuer, walking.audience, walking.clock(), sub="boss", roles=["admin"],
        directory=True,
    )  # fmt: skip
    entered = walking.with_(token).post(f"{path}/entries", {"member_ids": [own]}, key="e1")
    assert entered.json["entered"] == 1, entered.text
    jobs.tick_journeys({}, None)
    _step(tray)
    assert walking.get(f"/v1/members/{own}/points").json["available"] == 20
    assert alerts(walking, look) == {"self_earning": [(staff_id, 20)]}


def test_what_needs_no_consent_is_not_for_marketers_to_send(walking: Api) -> None:
    said = {"channel": "sms", "zh": {"text": "全场五折"}}
    template = walking.post("/v1/templates", {"name": "t", "purpose": "notices", "contents": said}, key="t").json
    send = {"kind": "send", "step": "s", "template_id": template["template_id"], "purpose": "notices"}
    marketer = walking.as_("marketer")
    made = marketer.post("/v1/journeys", {**BODY, "steps": [send]}, key="j1").json
    path = f"/v1/journeys/{made['journey_id']}"
    refused = marketer.post(f"{path}/activate", {"version": 1})
    assert (refused.status, refused.code) == (403, "journey_notice_forbidden")
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    body = {name: each for name, each in BODY.items() if name != "dry_run"}
    edited = marketer.put(path, {**body, "name": "Other", "steps": [send], "version": 2})
    assert (edited.status, edited.code) == (403, "journey_notice_forbidden")


def test_a_journey_writes_by_no_consent_that_is_about_something_else(walking: Api) -> None:
    send = {"kind": "send", "step": "s", "template_id": "tpl_" + "a" * 16, "purpose": "id_number"}
    refused = walking.post("/v1/journeys", {**BODY, "steps": [send]}, key="j1")
    assert (refused.status, [each["pointer"] for each in refused.json["errors"]]) == (
        422, ["/steps/0/purpose", "/steps/0/template_id"],
    )  # fmt: skip


@pytest.mark.parametrize("role", ["clerk", "shop_manager", "integration", "agent"])
def test_who_does_not_market_makes_no_journey(walking: Api, role: str) -> None:
    refused = walking.as_(role).post("/v1/journeys", BODY, key="j1")
    assert refused.status == 403
    assert walking.get("/v1/journeys").json["items"] == []
    assert walking.get(f"/v1/journeys/{JourneyId.of('none')}").status == 404


def test_an_entry_by_time_makes_a_segment_that_lets_in(walking: Api) -> None:
    path = "/v1/journeys/" + _made(walking, entry={"kind": "lapsed", "days": 90})["journey_id"]
    active = walking.post(f"{path}/activate", {"version": 1})
    assert active.status == 201, active.text
    segment = walking.get("/v1/segments/" + active.json["segment_id"]).json
    named = {"kind": "field", "name": "last_bought_on", "op": "more_than_days_ago", "days": 90}
    assert {name: value for name, value in segment["definition"].items() if value is not None} == named


def _to_anna(walking: Api, steps: list[dict[str, Any]]) -> tuple[Post, str, str]:
    """A journey that Anna is in, who may be written to; what she gets, her id, and where the journey is."""
    post = Post()
    wiring.use(replace(wiring.house(), providers={"email": post}))
    walking.publish_texts("marketing")
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    anna = walking.enrol(email="anna@example.com", name="Anna", consents=[consent])["member_id"]
    said = {"channel": "email", "zh": {"subject": "您好", "html": "<p>您好</p>"}}
    template = walking.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": said}, key="t1").json
    named = [{**each, "template_id": template["template_id"]} if each["kind"] == "send" else each for each in steps]
    path = "/v1/journeys/" + _made(walking, steps=named)["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    walking.post(f"{path}/entries", {"member_ids": [anna]}, key="e1")
    return post, anna, path


WALKED: list[dict[str, Any]] = [
    {**STEPS[0], "until": {"kind": "for", "days": 40}}, {**STEPS[1], "next": "tag"}, {**STEPS[2], "next": "hello"},
    {"kind": "send", "step": "hello", "quiet_hours": {"starts": "09:00", "ends": "13:30"}},
]  # fmt: skip


def test_a_walk_ahead_decides_by_its_clock_and_leaves_that_of_the_others_alone(
    walking: Api, tray: Tray, house: House
) -> None:
    post, anna, path = _to_anna(walking, WALKED)
    now = walking.clock()
    day = now + timedelta(days=40)
    assert jobs.tick_journeys({"at": day.isoformat()}, None)["handed"] == 1
    _step(tray)
    (way,) = walking.get(f"{path}/members").json["items"]
    assert (way["step"], way["due_at"]) == ("hello", "2026-04-24T05:30:00Z"), "at noon of that day hours are quiet"
    (given,) = walking.get(f"/v1/members/{anna}/point-entries").json["items"]
    assert given["recorded_at"][:10] == now.date().isoformat()
    assert walking.get(f"/v1/members/{anna}").json["tags"] == ["welcomed"]
    later = datetime.fromisoformat(way["due_at"])
    jobs.tick_journeys({"at": later.isoformat()}, None)
    _step(tray)
    assert [each.to for each in post.got] == ["anna@example.com"]
    pacer = Pacer(house.ops, {}, "Asia/Shanghai")
    assert pacer.state("email").full_at <= (now.timestamp() + 60) * 10**6
    assert pacer.take("email", 1, 0, now) == Go()
    (sent,) = store.list_singles(house.ops, anna, limit=2)
    assert (sent["out"], sent["decided"]) == (Outcome.SENT, milliseconds(now))


def test_who_has_to_wait_for_the_pace_in_a_walk_ahead_goes_on_soon(walking: Api, tray: Tray, house: House) -> None:
    post, _, path = _to_anna(walking, [{**WALKED[3], "quiet_hours": None}])
    pacer = Pacer(house.ops, {}, "Asia/Shanghai")
    pacer.take("email", 1, 0, walking.clock())
    pacer.went("email", ProviderBusy("Http429", retry_after=30, throttled=True), walking.clock())
    tray.taken()
    day = walking.clock() + timedelta(hours=6)
    jobs.tick_journeys({"at": day.isoformat()}, None)
    _step(tray)
    assert post.got == []
    walking.clock.forward(seconds=31)
    _step(tray)
    assert len(post.got) == 1
    assert walking.get(f"{path}/counts").json["left"] == {"completed": 1}


@pytest.mark.parametrize("both", [True, False])
def test_a_message_is_in_the_members_language_where_the_template_says_it(
    walking: Api, tray: Tray, house: House, both: bool
) -> None:
    post = Post()
    wiring.use(replace(wiring.house(), providers={"email": post}))
    walking.publish_texts("marketing")
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    for name, language in (("anna", "en"), ("bert", "zh"), ("carl", None)):
        walking.enrol(email=f"{name}@example.com", card_no=name, consents=[consent], language=language)
    said: dict[str, Any] = {"channel": "email", "zh": {"subject": "{{tier}}", "html": "<p>送 {{gift_points}} 分</p>"}}
    if both:
        said["en"] = {"subject": "{{tier}} of {{program}}", "html": "<p>{{gift_points}} points</p>"}
    template = walking.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": said}, key="t1").json
    steps = [
        {"kind": "give_points", "step": "points", "points": 1200, "next": "hello"},
        {"kind": "send", "step": "hello", "template_id": template["template_id"], "quiet_hours": None},
    ]
    path = "/v1/journeys/" + _made(walking, steps=steps)["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    ids = [walking.get("/v1/members", card_no=name).json["items"][0]["member_id"] for name in ("anna", "bert", "carl")]
    walking.post(f"{path}/entries", {"member_ids": ids}, key="e1")
    walking.clock.forward(minutes=7)
    jobs.tick_journeys({}, None)
    _step(tray)
    got = {each.to[:4]: (each.language, each.subject) for each in post.got}
    assert got == {"anna": ("en", "Basic of Regulars") if both else ("zh", "普通会员"), "bert": ("zh", "普通会员"),
                   "carl": ("zh", "普通会员")}  # fmt: skip


def test_a_message_goes_out_once_to_who_fits_and_consents(
    walking: Api, tray: Tray, house: House, dynamo: Dynamo
) -> None:
    post = Post()
    here = wiring.house()
    wiring.use(replace(here, providers={"email": post}))
    walking.publish_texts("marketing")
    consent = {"purpose": "marketing", "granted": True, "text_version": "1"}
    anna = walking.enrol(email="anna@example.com", name="Anna", tags=["vip"], consents=[consent])["member_id"]
    bert = walking.enrol(email="bert@example.com", card_no="b", tags=["vip"])["member_id"]
    carl = walking.enrol(email="carl@example.com", card_no="c", consents=[consent])["member_id"]
    said = {
        "channel": "email",
        "zh": {"subject": "{{name}}，您好", "html": "<p>{{points}} 分，送 {{gift_points}} 分</p>"},
    }
    template = walking.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": said}, key="t1").json
    vip = {"kind": "tag", "op": "has_any", "tags": ["vip"]}
    steps = [
        {"kind": "branch", "step": "fits", "on": {"kind": "fits", "definition": vip}, "then": "points"},
        {"kind": "give_points", "step": "points", "points": 7, "next": "hello"},
        {"kind": "send", "step": "hello", "template_id": template["template_id"], "quiet_hours": None},
    ]
    path = "/v1/journeys/" + _made(walking, steps=steps)["journey_id"]
    assert walking.post(f"{path}/activate", {"version": 1}).status == 201
    walking.post(f"{path}/entries", {"member_ids": [anna, bert, carl]}, key="e1")
    fold(house, dynamo)
    walking.clock.forward(minutes=7)
    jobs.tick_journeys({}, None)
    records = tray.taken()
    for _ in range(3):
        assert jobs.do_steps({"Records": records}, None) == {"batchItemFailures": []}
    assert [(each.to, each.subject, "送 7 分" in each.html) for each in post.got] == [
        ("anna@example.com", "Anna，您好", True)
    ]
    counts = walking.get(f"{path}/counts").json
    assert [each["outcomes"] for each in counts["steps"]] == [
        {"yes": 2, "no": 1}, {"given": 2}, {"sent": 1, "no_consent": 1},
    ]  # fmt: skip
    assert (counts["sent"], counts["left"]) == (1, {"completed": 3})
