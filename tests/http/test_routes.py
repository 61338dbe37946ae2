"""Each route: one happy case, and each refusal with its status, its code, and nothing changed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.http.conftest import Look
from tests.http.test_hostile import TERMS
from tests.makers import Api, Reply, a_purchase_body

WHY = "asked by both"
NOBODY = "mem_" + "a" * 16


def refused(reply: Reply) -> tuple[int, str]:
    """Status and code of a refusal; everything else about it is as promised."""
    body = reply.json
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["Cache-Control"] == "no-store"
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance", "code", "facts"}
    assert body["type"] == f"urn:regulars:problem:{body['code']}"
    assert body["instance"] == f"urn:regulars:request:{reply.headers['X-Request-Id']}"
    assert body["status"] == reply.status
    return reply.status, body["code"]


def give(api: Api, member: str, points: int, key: str = "gift") -> None:
    """Points for a member."""
    reply = api.post(f"/v1/members/{member}/point-adjustments", {"points": points, "reason_code": "gift"}, key=key)
    assert reply.status == 201, reply.text


def test_health_is_open_and_names_the_stage(api: Api) -> None:
    reply = api.send("GET", "/v1/health", Authorization="")
    assert (reply.status, reply.json) == (200, {"status": "ok", "stage": "test"})


def test_the_document_is_open_and_may_be_cached(api: Api) -> None:
    reply = api.send("GET", "/v1/openapi.json", Authorization="")
    assert (reply.status, reply.json["openapi"], reply.headers["Cache-Control"]) == (
        200, "3.1.0", "public, max-age=60",
    )  # fmt: skip


def test_a_member_is_enrolled_read_and_found(api: Api) -> None:
    reply = api.post("/v1/members", {"name": "李四", "mobile": "138 0013 8000", "email": "A@B.cn"})
    assert reply.status == 201
    member = reply.json
    assert {k: member[k] for k in ("status", "mobile", "email", "version", "tier", "points")} == {
        "status": "active", "mobile": "+86138****8000", "email": "***@b.cn", "version": 1,
        "tier": {
            "tier_id": "basic", "name": "普通会员", "multiplier_percent": 100, "qualifying_points": 0,
            "next": {"tier_id": "silver", "name": "银卡", "missing": 1000}, "retain": None,
        },
        "points": {"available": 0, "pending": 0, "held": 0, "owed": 0, "expiring_next": None},
    }  # fmt: skip
    assert api.get(f"/v1/members/{member['member_id']}").json == member
    for query in (
        {"mobile": "13800138000"}, {"mobile": "+8613800138000"}, {"email": "a@B.CN"},
        {"member_number": member["member_number"]},
    ):  # fmt: skip
        assert api.get("/v1/members", **query).json == {"items": [member], "next_cursor": None}
    assert api.get("/v1/members", email="nobody@b.cn").json == {"items": [], "next_cursor": None}


def test_identifiers_with_hashes_and_percents_are_found_again_and_never_collide(api: Api) -> None:
    tricky = [
        "a#b",
        "a%23b",
        "a%2523b",
        "a+b",
        "a&b=c",
        "a/b",
        "a?b",
        "é",
        "订单",
        "🙂",
        "%",
        "#",
        "..",
        "'",
        '"',
        "\\",
    ]
    made = {card: api.enrol(card_no=card)["member_id"] for card in tricky}
    assert len(set(made.values())) == len(tricky)
    for number, (card, member) in enumerate(made.items()):
        assert [each["member_id"] for each in api.get("/v1/members", card_no=card).json["items"]] == [member], card
        bought = api.buy(member, order_no=card)
        assert api.get(f"/v1/purchases/{bought['purchase_id']}").json["order_no"] == card
        key = card if card.isascii() else str(number)
        spent = api.post(f"/v1/members/{member}/point-spends", {"points": 1}, key=key + "x")
        assert (spent.status, spent.json["reference"]) == (201, key + "x")


@pytest.mark.parametrize("letter", ["%", "#", "~", "!"])
def test_the_longest_key_and_order_number_are_taken_whatever_their_letters(api: Api, letter: str) -> None:
    member = api.enrol()["member_id"]
    reply = api.post(f"/v1/members/{member}/point-adjustments", {"points": 5, "reason_code": "x"}, key=letter * 128)
    assert reply.status == 201, reply.text
    bought = api.buy(member, channel="c" * 32, order_no=letter * 64)
    assert api.get(f"/v1/purchases/{bought['purchase_id']}").json == bought
    long = api.buy(member, channel="c" * 32, order_no="🙂" * 64)
    assert api.get(f"/v1/purchases/{long['purchase_id']}").json == long
    assert [entry["seq"] for entry in api.get(f"/v1/members/{member}/point-entries").json["items"]] == [3, 2, 1]


ENROL_REFUSALS: list[tuple[dict[str, Any], int, str]] = [
    ({"name": "x"}, 400, "identifier_needed"),
    ({"mobile": "12345"}, 400, "mobile_invalid"),
    ({"card_no": "n", "birthday": "2026-03-16"}, 400, "birthday_in_future"),
    ({"card_no": "n", "custom": {"shoe": 1}}, 400, "custom_field_unknown"),
    ({"card_no": "n", "custom": {"size": "XXL"}}, 400, "custom_field_invalid"),
    ({"mobile": "13700137000"}, 409, "mobile_taken"),
    ({"email": "KNOWN@example.com"}, 409, "email_taken"),
    ({"card_no": "known"}, 409, "card_taken"),
    ({"external_ids": [{"source": "erp", "id": "known"}]}, 409, "external_id_taken"),
    ({"card_no": "n", "email": "x"}, 422, "request_invalid"),
]


@pytest.mark.parametrize(("body", "status", "code"), ENROL_REFUSALS)
def test_an_enrolment_is_refused(api: Api, look: Look, body: dict[str, Any], status: int, code: str) -> None:
    from tests.http.test_hostile import prepared

    prepared(api)
    before = look()
    for more in ({}, {"dry_run": True}):
        assert refused(api.post("/v1/members", {**body, **more})) == (status, code)
    assert look() == before


def test_a_required_custom_field_is_demanded(api: Api, look: Look) -> None:
    terms = {**TERMS, "custom_fields": {"size": {**TERMS["custom_fields"]["size"], "required": True}}, "version": 1}
    assert api.put("/v1/program", terms).status == 200
    before = look()
    assert refused(api.post("/v1/members", {"card_no": "n"})) == (400, "custom_field_missing")
    assert look() == before
    assert api.post("/v1/members", {"card_no": "n", "custom": {"size": "S"}}).status == 201


def test_a_member_is_edited_under_the_version_that_was_read(api: Api, look: Look) -> None:
    member = api.enrol(mobile="13800138000")
    path, read = f"/v1/members/{member['member_id']}", api.get(f"/v1/members/{member['member_id']}")
    reply = api.patch(
        path, {"version": 1, "name": "王五", "mobile": None, "reason": "asked"}, If_Match=read.headers["ETag"]
    )
    hold = {"until": "2026-03-18T04:00:00Z", "by_member": False}
    after = {**member, "name": "王*", "mobile": None, "contact_hold": hold, "version": 2}
    assert (reply.status, reply.json) == (200, after)
    assert reply.headers["ETag"] == api.get(path).headers["ETag"]
    before = look()
    for body, headers, refusal in (
        ({"version": 1, "name": "x"}, {}, (409, "member_moved")),
        ({"version": 3, "name": "x"}, {}, (409, "member_moved")),
        ({"version": 2, "name": "x"}, {"If_Match": read.headers["ETag"]}, (400, "version_unclear")),
        ({"version": 2, "name": "x"}, {"If_Match": 'W/"v1"'}, (400, "version_unclear")),
        ({"version": 2, "card_no": None}, {}, (400, "identifier_needed")),
        ({"version": 2}, {}, (422, "request_invalid")),
        ({"name": "x"}, {}, (422, "request_invalid")),
        ({"version": 2, "external_ids": []}, {}, (422, "request_invalid")),
    ):
        assert refused(api.patch(path, body, **headers)) == refusal, body
    assert refused(api.patch(f"/v1/members/{NOBODY}", {"version": 1, "name": "x"})) == (404, "member_unknown")
    assert look() == before
    dry = api.patch(path, {"version": 2, "name": "x", "dry_run": True})
    assert (dry.status, dry.json["name"]) == (200, "*")
    assert look() == before


def test_a_status_changes_and_changing_it_again_is_a_replay(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 10)
    for path, status in (("suspensions", "suspended"), ("reinstatements", "active")):
        first = api.post(f"/v1/members/{member}/{path}", {"reason": "r"})
        assert (first.status, first.json["status"], first.replayed) == (201, status, False)
        before = look()
        again = api.post(f"/v1/members/{member}/{path}", {"reason": "r"})
        assert (again.status, again.json, again.replayed) == (201, first.json, True)
        assert look() == before
    assert refused(api.post(f"/v1/members/{member}/closures", {"reason": "r"})) == (409, "balance_remaining")
    assert look() == before
    closed = api.post(f"/v1/members/{member}/closures", {"reason": "r", "forfeit_points": True})
    assert (closed.status, closed.json["status"], closed.json["points"]["available"]) == (201, "closed", 0)
    before = look()
    assert api.post(f"/v1/members/{member}/closures", {"reason": "r"}).replayed
    for path, body, headers in (
        ("suspensions", {"reason": "r"}, {}), ("reinstatements", {"reason": "r"}, {}),
        ("point-spends", {"points": 1}, {"key": "k"}),
        ("point-adjustments", {"points": 1, "reason_code": "x"}, {"key": "k"}),
    ):  # fmt: skip
        assert refused(api.post(f"/v1/members/{member}/{path}", body, **headers)) == (409, "member_closed")
    assert refused(api.patch(f"/v1/members/{member}", {"version": 2, "name": "x"})) == (409, "member_closed")
    assert refused(api.post("/v1/purchases", a_purchase_body({"member_id": member}))) == (409, "member_closed")
    assert look() == before


@pytest.mark.parametrize("path", ["suspensions", "reinstatements", "closures"])
def test_the_status_of_nobody_cannot_change(api: Api, look: Look, path: str) -> None:
    before = look()
    assert refused(api.post(f"/v1/members/{NOBODY}/{path}", {"reason": "r"})) == (404, "member_unknown")
    assert {key: item for key, item in look().items() if key.pk != "PROGRAM"} == before


@pytest.mark.parametrize("path", ["", "/points", "/point-entries", "/purchases", "/timeline"])
def test_nobody_has_nothing(api: Api, path: str) -> None:
    assert refused(api.get(f"/v1/members/{NOBODY}{path}")) == (404, "member_unknown")


def test_points_are_spent_adjusted_and_shown(api: Api) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 100)
    spent = api.post(f"/v1/members/{member}/point-spends", {"points": 30, "reference": "R1"}, key="s1")
    assert (spent.status, spent.json["points"], spent.json["balance_after"], spent.replayed) == (201, -30, 70, False)
    again = api.post(f"/v1/members/{member}/point-spends", {"points": 30, "reference": "R1"}, key="s1")
    assert (again.status, again.json, again.replayed) == (201, spent.json, True)
    assert api.get(f"/v1/members/{member}/points").json == {
        "available": 70, "pending": 0, "held": 0, "owed": 0, "lots": [{"expires_on": "2027-03-31", "points": 70}],
        "lifetime": {"earned": 100, "spent": 30, "expired": 0, "taken": 0},
    }  # fmt: skip
    statement = api.get(f"/v1/members/{member}/point-entries").json
    assert statement["items"][0] == spent.json
    assert (len(statement["items"]), statement["next_cursor"]) == (2, None)


def test_spends_and_adjustments_are_refused(api: Api, look: Look) -> None:
    member, suspended = api.enrol()["member_id"], api.enrol()["member_id"]
    give(api, member, 100)
    give(api, suspended, 100, key="gift2")
    assert api.post(f"/v1/members/{suspended}/suspensions", {"reason": "r"}).status == 201
    spends, adjustments = f"/v1/members/{member}/point-spends", f"/v1/members/{member}/point-adjustments"
    before = look()
    gift = {"points": 100, "reason_code": "gift"}
    for path, body, key, expected in (
        (spends, {"points": 101}, "k", (409, "points_insufficient")),
        (spends, {"points": 10**12}, "k", (409, "points_insufficient")),
        (spends, {"points": 10**12 + 1}, "k", (422, "request_invalid")),
        (spends, {"points": 0}, "k", (422, "request_invalid")),
        (spends, {"points": -5}, "k", (422, "request_invalid")),
        (spends, {"points": 5, "occurred_at": "2026-03-15T04:05:01Z"}, "k", (400, "occurred_in_future")),
        (spends, {"points": 5, "occurred_at": "1969-12-31T00:00:00Z"}, "k", (422, "request_invalid")),
        (spends, {"points": 5}, None, (400, "key_missing")),
        (spends, {"points": 5}, "a b", (400, "key_malformed")),
        (spends, {"points": 5}, "x" * 129, (400, "key_malformed")),
        (spends, {"points": 5}, "é", (400, "key_malformed")),
        (spends, {"points": 5}, "a\x7f", (400, "key_malformed")),
        (f"/v1/members/{NOBODY}/point-spends", {"points": 5}, "k", (404, "member_unknown")),
        (f"/v1/members/{suspended}/point-spends", {"points": 5}, "k", (409, "member_suspended")),
        (adjustments, {"points": 0, "reason_code": "x"}, "k", (400, "adjustment_empty")),
        (adjustments, {"points": 5, "reason_code": "x", "expires_on": "2026-03-14"}, "k", (400, "expiry_past")),
        (adjustments, {"points": 10**12, "reason_code": "x"}, "k", (409, "balance_too_large")),
        (adjustments, {"points": -9_000, "reason_code": "x"}, "k", None),
        (adjustments, {"points": 5, "reason_code": "x", "occurred_at": "2027-01-01T00:00:00Z"}, "k",
         (400, "occurred_in_future")),
        (adjustments, {"points": 5, "reason_code": "x"}, None, (400, "key_missing")),
        (adjustments, {"points": 101, "reason_code": "gift"}, "gift", (409, "entry_differs")),
        (f"/v1/members/{suspended}/point-adjustments", gift, "gift", (409, "entry_differs")),
        (f"/v1/members/{NOBODY}/point-adjustments", gift, "k", (404, "member_unknown")),
    ):  # fmt: skip
        for dry_run in (True, False):
            if expected is None:
                dry = api.post(path, {**body, "dry_run": True}, key=key)
                assert (dry.status, dry.json["balance_after"]) == (200, 100 - 9_000)
                continue
            assert refused(api.post(path, {**body, "dry_run": dry_run}, key=key)) == expected, (body, key)
    assert look() == before


def test_an_adjustment_is_refused_where_the_policy_allows_no_debt(api: Api, look: Look) -> None:
    assert api.put("/v1/program", {**TERMS, "negative_balance": "cap", "version": 1}).status == 200
    member = api.enrol()["member_id"]
    before = look()
    reply = api.post(f"/v1/members/{member}/point-adjustments", {"points": -1, "reason_code": "x"}, key="k")
    assert refused(reply) == (409, "points_insufficient")
    assert look() == before


def test_a_purchase_is_recorded_read_listed_and_answered_again(api: Api) -> None:
    member = api.enrol(mobile="13800138000")["member_id"]
    body = a_purchase_body({"mobile": "+86 138 0013 8000"})
    first = api.post("/v1/purchases", body)
    assert (first.status, first.json["member_id"], first.json["points_earned"], first.replayed) == (
        201, member, 38, False,
    )  # fmt: skip
    again = api.post("/v1/purchases", body)
    assert (again.status, again.json, again.replayed) == (201, first.json, True)
    assert api.get(f"/v1/purchases/{first.json['purchase_id']}").json == first.json
    assert api.get(f"/v1/members/{member}/purchases").json == {"items": [first.json], "next_cursor": None}


def test_purchases_are_refused(api: Api, look: Look) -> None:
    member, suspended = api.enrol()["member_id"], api.enrol()["member_id"]
    give(api, member, 100)
    assert api.post(f"/v1/members/{suspended}/suspensions", {"reason": "r"}).status == 201
    known = a_purchase_body({"member_id": member}, order_no="known")
    assert api.post("/v1/purchases", known).status == 201
    before = look()
    ref = {"member_id": member}
    for body, expected in (
        (a_purchase_body({"member_id": NOBODY}), (404, "member_unknown")),
        (a_purchase_body({"card_no": "nobody"}), (404, "purchaser_unknown")),
        (a_purchase_body({"mobile": "12345"}), (400, "mobile_invalid")),
        (a_purchase_body({"member_number": "000000000001"}), (400, "member_number_wrong")),
        (a_purchase_body({"member_id": suspended}), (409, "member_suspended")),
        (a_purchase_body({}), (422, "request_invalid")),
        (a_purchase_body({**ref, "card_no": "x"}), (422, "request_invalid")),
        (a_purchase_body(ref, currency="USD"), (400, "currency_wrong")),
        (a_purchase_body(ref, currency="usd"), (422, "request_invalid")),
        (a_purchase_body(ref, paid_minor=-1), (422, "request_invalid")),
        (a_purchase_body(ref, paid_minor=10**12 + 1), (422, "request_invalid")),
        (a_purchase_body(ref, occurred_at="2026-03-15T12:05:01+08:00"), (400, "occurred_in_future")),
        (a_purchase_body(ref, occurred_at="2026-03-15T12:00:00"), (422, "request_invalid")),
        (a_purchase_body(ref, points_tender=0), (422, "request_invalid")),
        (a_purchase_body(ref, points_tender=1000), (409, "points_insufficient")),
        (a_purchase_body(ref, points_tender=3851), (400, "tender_too_large")),
        ({**known, "paid_minor": 1}, (409, "purchase_differs")),
        ({**known, "member": {"member_id": suspended}}, (409, "purchase_differs")),
    ):
        for dry_run in (True, False):
            assert refused(api.post("/v1/purchases", {**body, "dry_run": dry_run})) == expected, body
    assert look() == before


def test_points_too_few_to_pay_anything_are_refused(api: Api, look: Look) -> None:
    assert api.put("/v1/program", {**TERMS, "point_value": {"points": 1000, "minor": 1}, "version": 1}).status == 200
    member = api.enrol()["member_id"]
    give(api, member, 999)
    before = look()
    reply = api.post("/v1/purchases", a_purchase_body({"member_id": member}, points_tender=999))
    assert refused(reply) == (400, "tender_too_small")
    assert look() == before


def test_unknown_purchases_and_versions_are_not_found(api: Api) -> None:
    assert refused(api.get("/v1/purchases/pur_YSMx")) == (404, "purchase_unknown")
    assert refused(api.get("/v1/program", version=7)) == (404, "program_version_unknown")
    assert refused(api.get("/v1/members", member_number="000000000001")) == (400, "member_number_wrong")
    assert refused(api.get("/v1/members", mobile="12345")) == (400, "mobile_invalid")


def test_a_program_is_read_published_and_published_again_in_vain(api: Api, look: Look) -> None:
    first = api.get("/v1/program")
    assert (first.status, first.json["version"]) == (200, 1)
    body = {**TERMS, "version": 1}
    second = api.put("/v1/program", body, If_Match=first.headers["ETag"])
    assert (second.status, second.json["version"]) == (200, 2)
    assert api.get("/v1/program").json == second.json
    assert api.get("/v1/program", version=1).json == first.json
    assert [tier["tier_id"] for tier in api.get("/v1/tiers").json["items"]] == ["basic"]
    before = look()
    assert refused(api.put("/v1/program", body)) == (409, "program_moved")
    assert refused(api.put("/v1/program", {**body, "version": 3})) == (409, "program_moved")
    assert refused(api.put("/v1/program", {**body, "version": 2}, If_Match='"v1"')) == (400, "version_unclear")
    for field, value in (
        ("time_zone", "Mars/Olympus"), ("country", "XX"), ("ladder", {"tiers": []}), ("currency", "RMB1"),
        ("earn_rate", {"points": 0, "per_minor": 1}),
    ):  # fmt: skip
        assert refused(api.put("/v1/program", {**body, "version": 2, field: value})) == (422, "request_invalid")
    assert look() == before


def test_the_currency_of_a_program_in_use_stays(api: Api, look: Look) -> None:
    api.buy(api.enrol()["member_id"])
    before = look()
    reply = api.put("/v1/program", {**TERMS, "currency": "HKD", "version": 1})
    assert refused(reply) == (409, "currency_fixed")
    assert look() == before


# ---------------------------------------------------------------- conventions of all


def test_dry_runs_answer_200_and_write_nothing(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    give(api, member, 1000)
    before = look()
    for path, body, key in (
        ("/v1/members", {"card_no": "n"}, "k"),
        (f"/v1/members/{member}/point-spends", {"points": 5}, "k"),
        (f"/v1/members/{member}/point-adjustments", {"points": 5, "reason_code": "x"}, "k"),
        ("/v1/purchases", a_purchase_body({"member_id": member}, points_tender=1000), None),
    ):
        reply = api.post(path, {**body, "dry_run": True}, key=key)
        assert (reply.status, reply.replayed) == (200, False), path
    assert look() == before


def test_an_enrolment_sent_again_with_its_key_is_a_replay(api: Api, look: Look) -> None:
    body = {"card_no": "C1", "name": "张三"}
    first = api.post("/v1/members", body, key="k1")
    before = look()
    again = api.post("/v1/members", body, key="k1")
    assert (first.replayed, again.status, again.json, again.replayed) == (False, 201, first.json, True)
    assert refused(api.post("/v1/members", body, key="k2")) == (409, "card_taken")
    assert refused(api.post("/v1/members", body, key="a b")) == (400, "key_malformed")
    assert look() == before


def test_an_enrolment_sent_again_with_its_key_and_other_content_or_after_its_end(api: Api, look: Look) -> None:
    body = {"card_no": "C1", "name": "张三"}
    member = api.post("/v1/members", body, key="k1").json["member_id"]
    assert api.post(f"/v1/members/{member}/closures", {"reason": "moved"}).status == 201
    before = look()
    again = api.post("/v1/members", body, key="k1")
    assert (again.status, again.json["member_id"], again.json["status"], again.replayed) == (
        201,
        member,
        "closed",
        True,
    )
    assert refused(api.post("/v1/members", {**body, "name": "李四"}, key="k1")) == (409, "enrolment_differs")
    assert refused(api.post("/v1/members", {"card_no": "C2"}, key="k1")) == (409, "enrolment_differs")
    assert look() == before


def test_a_program_that_another_process_published_is_read_at_once_and_can_be_followed(api: Api) -> None:
    from chalicelib.programs.models import PublishProgram
    from chalicelib.programs.service import ProgramBook, publish_program
    from chalicelib.runtime import wiring

    house = wiring.house()
    assert [api.get("/v1/program").json["version"], len(api.get("/v1/tiers").json["items"])] == [1, 4]
    command = PublishProgram.model_validate({**TERMS, "version": 1}, strict=False)
    publish_program(house.table, ProgramBook(house.table), command, now=house.clock())
    assert len(api.get("/v1/tiers").json["items"]) == 1
    read = api.get("/v1/program")
    assert read.json["version"] == 2
    assert api.put("/v1/program", {**TERMS, "version": 2}, If_Match=read.headers["ETag"]).json["version"] == 3


def test_what_is_no_id_stays_out_of_the_log(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for path in ("/v1/members/13900777001", "/v1/members/13900777001/points", "/v1/members/li.si@example.com",
                 "/v1/purchases/13900777001"):  # fmt: skip
        assert refused(api.get(path)) == (404, "id_malformed")
    assert refused(api.get(f"/v1/members/{NOBODY}")) == (404, "member_unknown")
    told = [record.__dict__["ids"] for record in caplog.records if record.message == "request"]
    assert told == [{}, {}, {}, {}, {"member_id": NOBODY}]


def test_no_browser_guesses_what_an_answer_is(api: Api) -> None:
    for reply in (
        api.get("/v1/health"), api.get("/v1/openapi.json"), api.get("/v1/program"), api.get(f"/v1/members/{NOBODY}"),
        api.send("GET", "/v1/tiers", Authorization=""), api.post("/v1/members", b"{"),
    ):  # fmt: skip
        assert reply.headers["X-Content-Type-Options"] == "nosniff"


def test_an_unchanged_answer_is_304_and_a_changed_one_is_not(api: Api) -> None:
    member = api.enrol()["member_id"]
    bought = api.buy(member)["purchase_id"]
    for path in (
        f"/v1/members/{member}", f"/v1/members/{member}/points", f"/v1/members/{member}/point-entries",
        f"/v1/members/{member}/purchases", f"/v1/members/{member}/timeline", f"/v1/purchases/{bought}",
        "/v1/program", "/v1/tiers", "/v1/health",
    ):  # fmt: skip
        first = api.get(path)
        again = api.send("GET", path, If_None_Match=first.headers["ETag"])
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", first.headers["ETag"]), path
        assert api.send("GET", path, If_None_Match='"other"').status == 200
    tag = api.get(f"/v1/members/{member}").headers["ETag"]
    give(api, member, 1)
    assert api.send("GET", f"/v1/members/{member}", If_None_Match=tag).status == 200


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        (None, "普通会员"), ("zh", "普通会员"), ("zh-CN,zh;q=0.9", "普通会员"), ("en", "Basic"), ("EN-gb", "Basic"),
        ("fr, en;q=0.5", "Basic"), ("fr", "普通会员"), ("*", "普通会员"), ("", "普通会员"), (",;;=", "普通会员"),
    ],
)  # fmt: skip
def test_names_come_in_the_language_asked_for_or_the_programs_own(api: Api, asked: str | None, tier: str) -> None:
    member = api.enrol()["member_id"]
    headers = {} if asked is None else {"Accept_Language": asked}
    assert api.send("GET", f"/v1/members/{member}", **headers).json["tier"]["name"] == tier


def test_a_request_id_is_echoed_where_it_is_harmless_and_replaced_where_not(api: Api) -> None:
    assert api.send("GET", "/v1/health", X_Request_Id="till-7.a_B").headers["X-Request-Id"] == "till-7.a_B"
    for odd in ("", "a b", "x" * 65, "é", "<script>", 'a"b', "a\tb"):
        assert api.send("GET", "/v1/health", X_Request_Id=odd).headers["X-Request-Id"] == "req-test"
    reply = api.send("GET", f"/v1/members/{NOBODY}", X_Request_Id="trace-1")
    assert (reply.headers["X-Request-Id"], reply.json["instance"]) == ("trace-1", "urn:regulars:request:trace-1")


def test_lists_come_in_pages_that_together_are_the_whole(api: Api) -> None:
    member = api.enrol()["member_id"]
    bought = [api.buy(member)["purchase_id"] for _ in range(5)]
    give(api, member, 5)
    for path, size in (("point-entries", 6), ("purchases", 5), ("timeline", 7)):
        whole = api.get(f"/v1/members/{member}/{path}", limit=100).json
        assert (len(whole["items"]), whole["next_cursor"]) == (size, None)
        for limit in (1, 2, 3):
            found, query = [], {"limit": limit}
            while True:
                page = api.get(f"/v1/members/{member}/{path}", **query).json
                assert len(page["items"]) <= limit
                found += page["items"]
                if page["next_cursor"] is None:
                    break
                query["cursor"] = page["next_cursor"]
            assert found == whole["items"]
    assert [p["purchase_id"] for p in api.get(f"/v1/members/{member}/purchases").json["items"]] == bought[::-1]


def test_browsers_may_read_every_answer(api: Api) -> None:
    for reply in (
        api.get("/v1/tiers"),
        api.get(f"/v1/members/{NOBODY}"),
        api.send("GET", "/v1/tiers", Authorization=""),
    ):
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert "ETag" in reply.headers["Access-Control-Expose-Headers"]


def test_two_processes_with_one_order_at_once_have_one_effect(api: Api, look: Look) -> None:
    """The app keeps its request on itself, so one process serves one request at a time: here two services race."""
    from chalicelib.kernel.languages import Language
    from chalicelib.programs.service import ProgramBook
    from chalicelib.purchases.service import recording
    from chalicelib.runtime import wiring
    from tests.makers import a_purchase

    member, house = api.enrol()["member_id"], wiring.house()
    command = a_purchase(member)

    def till(_: int) -> Any:
        book = ProgramBook(house.table)
        return recording.record_purchase(
            house.table, house.keyring, book, command, now=house.clock(), language=Language.EN
        ).value

    with ThreadPoolExecutor(2) as two:
        first, second = two.map(till, range(2))
        list(two.map(lambda _: house.table._dynamo.close(), range(8)))  # type: ignore[attr-defined]
    assert first == second
    assert len([key for key in look() if key.pk.startswith("O#")]) == 1


def test_what_corrections_take_is_told_apart_from_what_was_spent_and_references_are_shown(api: Api) -> None:
    member = api.enrol()["member_id"]
    api.post(f"/v1/members/{member}/point-adjustments", {"points": 100, "reason_code": "gift"}, key="a")
    spent = api.post(f"/v1/members/{member}/point-spends", {"points": 30, "reference": "R-1"}, key="s")
    assert spent.json["reference"] == "R-1"
    assert (
        api.post(f"/v1/members/{member}/point-spends", {"points": 30, "reference": "R-1"}, key="s").json == spent.json
    )
    taken = {"points": -20, "reason_code": "fraud", "qualifying_points": -5}
    api.post(f"/v1/members/{member}/point-adjustments", taken, key="t")
    lifetime = api.get(f"/v1/members/{member}/points").json["lifetime"]
    assert lifetime == {"earned": 100, "spent": 30, "expired": 0, "taken": 20}
    statement = api.get(f"/v1/members/{member}/point-entries").json["items"]
    assert [line["reference"] for line in statement] == ["t", "R-1", "a"]
    assert [why["rule_id"] for why in statement[0]["why"]] == ["qualifying"]
    assert statement[0]["why"][0]["text"] in ("成长值 -5", "Qualifying points -5")
    timeline = api.get(f"/v1/members/{member}/timeline").json["items"]
    assert [each["reference"] for each in timeline] == ["t", "R-1", "a", None]
    assert timeline[0]["occurred_at"] is not None


def test_points_and_tier_are_told_for_other_times_and_refused_for_times_to_come(api: Api) -> None:
    member = api.post("/v1/members", {"name": "a", "mobile": "13800138000"}).json["member_id"]
    give(api, member, 50)

    assert api.get(f"/v1/members/{member}/points?as_of=2020-01-01").json["available"] == 0
    assert api.get(f"/v1/members/{member}/points?known_at=2020-01-01T00:00:00Z").json["available"] == 0
    assert api.get(f"/v1/members/{member}/tier").json["tier_id"] == "basic"
    assert api.get(f"/v1/members/{member}/tier?as_of=2020-01-01").json["tier_id"] == "basic"
    for path in ("points", "tier"):
        ahead = api.get(f"/v1/members/{member}/{path}?as_of=2999-01-01")
        assert refused(ahead) == (400, "instant_in_future")
        assert refused(api.get(f"/v1/members/{NOBODY}/{path}?as_of=2020-01-01")) == (404, "member_unknown")
        assert api.get(f"/v1/members/{member}/{path}?as_of=yesterday").status == 422


def test_a_pool_over_http_from_opening_to_closing(api: Api) -> None:
    owner, friend = (api.post("/v1/members", {"name": n, "mobile": m}).json["member_id"] for n, m in
                     (("a", "13800138000"), ("b", "13800138001")))  # fmt: skip
    give(api, owner, 50)
    opened = api.post("/v1/pools", {"owner_id": owner, "name": "王家", "kind": "family"}, key="p")
    assert opened.status == 201
    pool = opened.json["pool_id"]

    let_in = api.send(
        "PUT", f"/v1/pools/{pool}/members/{friend}", {"role": "spender", "monthly_limit": 10, "reason": WHY}
    )
    assert (let_in.status, let_in.json["role"], let_in.json["spent_this_month"]) == (200, "spender", 0)
    given = api.post(f"/v1/pools/{pool}/contributions", {"member_id": owner, "points": 40, "reason": WHY}, key="c")
    assert (given.status, given.json["points"]) == (201, -40)
    spent = api.post(f"/v1/pools/{pool}/spends", {"member_id": friend, "points": 10}, key="s")
    assert (spent.status, spent.json["actor"], spent.json["balance_after"]) == (201, friend, 30)
    more = api.post(f"/v1/pools/{pool}/spends", {"member_id": friend, "points": 1}, key="s2")
    assert refused(more) == (409, "pool_limit_reached")
    assert api.get(f"/v1/pools/{pool}/points").json["available"] == 30
    statement = api.get(f"/v1/pools/{pool}/point-entries").json["items"]
    assert [(line["points"], line["actor"]) for line in statement] == [(-10, friend), (40, owner)]
    assert [each["pool_id"] for each in api.get(f"/v1/members/{friend}/pools").json["items"]] == [pool]
    assert [each["role"] for each in api.get(f"/v1/pools/{pool}/members").json["items"]] != []

    left = api.post(f"/v1/pools/{pool}/members/{friend}/departures", None)
    assert (left.status, left.json["members_count"]) == (201, 1)
    version = left.json["version"]
    stale = api.send("PATCH", f"/v1/pools/{pool}", {"name": "x", "version": 1})
    assert refused(stale) == (409, "pool_moved")
    assert api.send("PATCH", f"/v1/pools/{pool}", {"name": "新家", "version": version}).json["name"] == "新家"
    closed = api.post(f"/v1/pools/{pool}/closures", {})
    assert (closed.status, closed.json["status"]) == (201, "closed")
    assert api.get(f"/v1/members/{owner}/points").json["available"] == 40
    again = api.post(f"/v1/pools/{pool}/contributions", {"member_id": owner, "points": 1, "reason": WHY}, key="late")
    assert refused(again) == (409, "pool_closed")
    unknown = "pol_" + "a" * 16
    assert refused(api.get(f"/v1/pools/{unknown}")) == (404, "pool_unknown")
    assert refused(api.get(f"/v1/pools/{unknown}/point-entries")) == (404, "pool_unknown")
