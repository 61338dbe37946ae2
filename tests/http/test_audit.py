"""The audit trail over HTTP: what is recorded, what is shown of it, and that nothing is recorded twice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.api.routing import ROUTES, Route
from chalicelib.audit import service as audit
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, Permission
from chalicelib.kernel.ids import MemberId, ShopId
from chalicelib.relay.models import Change
from chalicelib.relay.service import bus_event, telling_of
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item, Put, Write
from chalicelib.trail import rules
from chalicelib.watch.jobs import watch_events
from tests.http.conftest import Look
from tests.http.test_hostile import prepared, samples, send, with_body
from tests.makers import Api, a_purchase_body
from tests.table.stand import scan
from tests.table.test_catalogue import without_entry

MOBILE = "+8613912345678"


def records(items: Mapping[Key, Item]) -> list[dict[str, Any]]:
    """What the audit records in a table say, oldest first."""
    found = [item for key, item in items.items() if key.pk.startswith("A#") and key.sk.startswith("R#")]
    return [json.loads(item["c"]) for item in sorted(found, key=lambda item: str(item["sk"]))]


def told(items: Mapping[Key, Item]) -> list[str]:
    """The events that all items of a table would have told, as messages."""
    events: list[str] = []
    for key, item in items.items():
        if key.sk != "ACCOUNT":
            telling = telling_of(Change(new=True, pk=key.pk, sk=key.sk, item=dict(item), sequence_number="1"))
            events += (bus_event(each).detail for each in telling.events)
    return events


def watched(items: Mapping[Key, Item]) -> None:
    """Have the watch take all that a table tells."""
    bodies = told(items)
    for at in range(0, len(bodies), 10):
        batch = [{"messageId": f"m{number}", "body": body} for number, body in enumerate(bodies[at : at + 10])]
        assert watch_events({"Records": batch}, None) == {"batchItemFailures": []}


def test_an_edit_is_recorded_with_who_what_and_from_where_and_without_anything_personal(api: Api, look: Look) -> None:
    member = api.as_("clerk").enrol(mobile=MOBILE, name="王小明")
    path = f"/v1/members/{member['member_id']}"
    api.clock.forward(seconds=1)
    edited = api.patch(
        path,
        {"version": 1, "mobile": "+8613800000001", "shop_id": "shp_b", "reason": "asked"},
        User_Agent="till/1.0",
        X_Request_Id="r-1",
    )
    assert edited.status == 200
    enrolled, change = api.get("/v1/audit-entries", member_id=member["member_id"]).json["items"][::-1]
    assert (enrolled["action"], enrolled["who"]["subject"], change["action"]) == (
        "enrol_member", "stf_clerk", "edit_member",
    )  # fmt: skip
    assert change["who"] == {"kind": "staff", "subject": "stf_admin", "roles": ["admin"]}
    assert (change["ip"], change["agent"], change["request_id"]) == ("127.0.0.1", "till/1.0", "r-1")
    assert (change["permission"], change["ids"]) == ("members:write", {"member_id": member["member_id"]})
    by_item = {each["item"]: each for each in change["changes"]}
    assert by_item["profile"] == {
        "item": "profile", "of": member["member_id"], "state": None,
        "before": {"shop": "shp_main"}, "after": {"shop": "shp_b"},
        "changed": ["contact", "contact_changed"],
    }  # fmt: skip
    assert {each["item"]: each["state"] for each in change["changes"]} == {
        "profile": None, "identifier: mobile": "gone", "note": "new", "line of the log of reach": None,
    }  # fmt: skip
    assert by_item["note"]["after"] == {"kind": "edited", "fields": ["mobile", "shop_id"]}
    kept = json.dumps(records(look()), ensure_ascii=False)
    for personal in (MOBILE, "13912345678", "13800000001", "王小明"):
        assert personal not in kept


def test_the_reason_is_kept_masked_and_sealed_and_goes_with_the_member(api: Api, dynamo: Dynamo, look: Look) -> None:
    member = api.enrol()["member_id"]
    reason = "called from +86 139-1234-5678, wrote as li@example.com"
    assert api.post(f"/v1/members/{member}/suspensions", {"reason": reason}).status == 201
    shown = api.get("/v1/audit-entries", member_id=member, action="suspend_member").json["items"][0]
    assert shown["reason"] == "called from +…, wrote as …@…"
    item = next(item for key, item in look().items() if key.pk.startswith("A#") and "why" in item)
    assert item["why"]["of"] == [member]
    assert b"called" not in item["why"]["text"]
    assert rules.note_holds(item)
    without = {name: value for name, value in item.items() if name != "why"}
    assert rules.record_hash(without) == rules.record_hash(item)
    assert not rules.note_holds(without)
    for another in ("another", {**item["why"], "text": b"another"}, {**item["why"], "of": []}):
        assert not rules.note_holds({**item, "why": another})
    assert api.post(f"/v1/members/{member}/erasures", {"reason": "asked"}).status == 201
    entries = api.get("/v1/audit-entries", member_id=member).json["items"]
    assert {each["action"]: each["reason"] for each in entries}["suspend_member"] is None
    assert {each["action"]: each["reason_code"] for each in entries}["erase_member"] == "asked"
    again = next(each for key, each in look().items() if key == Key(item["pk"], item["sk"]))
    assert again == item, "nothing was written, and nobody can read it"


def test_a_reason_about_nobody_is_kept_as_it_is(api: Api, look: Look) -> None:
    made = api.post("/v1/staff", {"issuer": "https://a.example", "subject": "ann", "name": "Ann", "roles": ["clerk"]})
    staff_id = made.json["staff_id"]
    assert api.post(f"/v1/staff/{staff_id}/suspensions", {"reason": "left us"}).status == 201
    item = next(item for key, item in look().items() if key.pk.startswith("A#") and "why" in item)
    assert item["why"] == "left us"
    assert rules.note_holds(item)
    assert not rules.note_holds({**item, "why": "another"})
    assert rules.note_holds({name: value for name, value in item.items() if name not in ("why", "salt")})


def test_repeated_refused_and_dry_commands_are_not_recorded(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    path = f"/v1/members/{member}/point-adjustments"
    body = {"points": 100, "reason_code": "gift"}
    assert api.post(path, body, key="a").status == 201
    before = len(records(look()))
    assert api.post(path, body, key="a").replayed
    assert api.post(path, {**body, "points": 1}, key="a").code == "entry_differs"
    assert api.post(path, {**body, "points": -9_000}, key="b").status in (201, 409)
    dry = api.post(path, {**body, "dry_run": True}, key="c")
    assert dry.status == 200
    assert len(records(look())) - before <= 1
    assert [each["action"] for each in records(look())].count("adjust_points") <= 2


def test_what_tills_do_all_day_names_them_on_the_entry_and_costs_no_record(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    before = len(records(look()))
    clerk = api.as_("clerk")
    clerk.buy(member, order_no="1")
    assert clerk.post(f"/v1/members/{member}/point-spends", {"points": 5}, key="s").status == 201
    assert len(records(look())) == before
    assert {item["sb"] for item in look().values() if "r" in item} == {"stf_clerk"}


class Gatekeeper:
    """Lets everybody in as one caller."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller

    def caller_of(self, authorization: str | None, *, now: Any) -> Caller:
        """See `Gate.caller_of`."""
        return self.caller


def test_what_members_do_themselves_is_theirs_alone(api: Api, house: House, look: Look) -> None:
    assert api.put("/v1/program", {**api_terms(api), "transfers": {"enabled": True}}).status == 200
    giver, to = (MemberId(api.enrol()["member_id"]) for _ in range(2))
    api.buy(giver, 10_000)
    before = len(records(look()))
    caller = Caller(Kind.MEMBER, giver, ("member",), ROLES["member"], member_id=giver)
    wiring.use(replace(house, gate=Gatekeeper(caller)))
    offered = api.post(f"/v1/members/{giver}/point-transfers", {"to": {"member_id": to}, "points": 10}, key="t")
    assert offered.status == 201, offered.text
    assert len(records(look())) == before
    assert [item.get("sb") for key, item in look().items() if key.pk.startswith("K#transfer#")] == [None]


def api_terms(api: Api) -> dict[str, Any]:
    """The program in force, as a body that publishes it again."""
    program = api.get("/v1/program").json
    return {name: value for name, value in program.items() if name not in ("published_at", "former_ladders")}


def test_a_new_version_of_the_program_is_recorded_term_by_term(api: Api) -> None:
    terms = api_terms(api)
    assert api.put("/v1/program", {**terms, "pending_days": 7}).status == 200
    entry = api.get("/v1/audit-entries", action="publish_program").json["items"][0]
    changed = next(each for each in entry["changes"] if each["before"])
    assert (changed["before"]["pending_days"], changed["after"]["pending_days"]) == ("0", "7")
    assert set(changed["after"]) == {"pending_days", "version"}


def test_entries_are_found_by_member_by_who_did_it_by_action_and_by_time(api: Api, look: Look) -> None:
    start = api.clock()
    first, second = (api.enrol()["member_id"] for _ in range(2))
    api.clock.forward(days=1)
    manager, pair = api.as_("shop_manager"), {"from_member_id": second, "into_member_id": first, "reason": "one"}
    assert manager.post(f"/v1/members/{first}/suspensions", {"reason": "lost"}).status == 201
    merged = api.post("/v1/member-merges", pair, key="m")
    assert merged.status == 409, "a suspended member takes no other"
    api.clock.forward(minutes=1)
    assert manager.post(f"/v1/members/{first}/reinstatements", {"reason": "found"}).status == 201
    api.clock.forward(minutes=1)
    merged = api.post("/v1/member-merges", pair, key="m")
    assert merged.status == 201, merged.text
    watched(look())

    def actions(**query: str) -> list[str]:
        reply = api.get("/v1/audit-entries", **query)
        assert reply.status == 200, reply.text
        return [each["action"] for each in reply.json["items"]]

    assert actions(member_id=first) == ["merge_members", "reinstate_member", "suspend_member", "enrol_member"]
    assert actions(member_id=second) == ["merge_members", "enrol_member"]
    assert sorted(actions(staff_id="stf_shop_manager")) == ["reinstate_member", "suspend_member"]
    assert actions(staff_id="stf_nobody") == []
    assert actions(member_id=first, staff_id="stf_admin") == ["merge_members", "enrol_member"]
    assert sorted(actions()) == ["enrol_member", "enrol_member", "merge_members", "reinstate_member", "suspend_member"]
    assert actions(action="merge_members") == ["merge_members"]
    until = (start + timedelta(hours=1)).isoformat()
    assert actions(to=until) == ["enrol_member", "enrol_member"]
    assert actions(member_id=first, **{"from": until}) == ["merge_members", "reinstate_member", "suspend_member"]
    wide = api.get("/v1/audit-entries", **{"from": "2020-01-01T00:00:00Z"})
    assert (wide.status, wide.code) == (400, "span_wrong")
    empty = api.get("/v1/audit-entries", **{"from": until, "to": start.isoformat()})
    assert (empty.status, empty.code) == (422, "request_invalid")


def test_pages_go_on_where_the_one_before_ended(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    watched(look())
    for number in range(7):
        api.clock.forward(hours=9)
        kind = ("suspensions", "reinstatements")[number % 2]
        assert api.post(f"/v1/members/{member}/{kind}", {"reason": "r"}).status == 201
        watched(look())
    queries: tuple[dict[str, str], ...] = ({}, {"member_id": member}, {"staff_id": "stf_admin"})
    for query in queries:
        seen: list[str] = []
        cursor: dict[str, str] = {}
        for _ in range(12):
            page = api.get("/v1/audit-entries", limit=3, **query, **cursor).json
            seen += (each["audit_id"] for each in page["items"])
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == len(seen) == 8, query
    other = api.get("/v1/audit-entries", action="x", limit=3, **cursor)
    assert other.code == "cursor_invalid" or cursor == {}


def test_an_entry_comes_with_its_proof(api: Api, house: House, look: Look) -> None:
    members = [api.enrol()["member_id"] for _ in range(3)]
    newest = api.get("/v1/audit-entries", member_id=members[0]).json["items"][0]
    path = f"/v1/audit-entries/{newest['audit_id']}"
    assert api.get(path).json["proof"] is None
    watched(look())
    shown = api.get(path).json
    proof = shown["proof"]
    mark = newest["audit_id"].removeprefix("aud_")
    assert dict(proof["rows"])[mark] == proof["record_hash"]
    assert rules.rows_digest([(m, bytes.fromhex(h)) for m, h in proof["rows"]]).hex() == proof["digests"][0]
    head = rules.climbed(bytes.fromhex(proof["before"]), proof["link"], map(bytes.fromhex, proof["digests"]))
    assert head.hex() == proof["head"]
    assert proof["anchor"] is None
    api.clock.forward(days=1)
    (anchor,) = audit.seal(house.table, wiring_roots(house), house.signer, "test", now=api.clock())
    signed = api.get(path).json["proof"]["anchor"]
    shard = int(proof["partition"][-2:])
    assert json.loads(signed["text"])["shards"][shard]["head"] == proof["head"] == anchor.shards[shard].head
    unknown = api.get("/v1/audit-entries/aud_" + "0" * 27)
    assert (unknown.status, unknown.code) == (404, "audit_entry_unknown")


def wiring_roots(house: House) -> Any:
    """The roots of a house."""
    from chalicelib.proof.service import roots_of

    return roots_of(house.roots)


def test_who_may_not_read_the_audit_gets_nothing(api: Api) -> None:
    for role in set(ROLES) - {"admin", "auditor"}:
        assert api.as_(role).get("/v1/audit-entries").code == "permission_missing", role
    assert api.as_("auditor").get("/v1/audit-entries").status == 200
    assert {role for role, rights in ROLES.items() if Permission.AUDIT_READ in rights} == {"admin", "auditor"}


# ---------------------------------------------------------------- every command


class Listening(DynamoTable):
    """A table that notes of each transaction whether a record was among its writes."""

    heard: list[bool]

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        super().commit(writes, keyed=keyed)
        own = [w for w in writes if isinstance(w, Put) and w.key.pk.startswith("A#") and w.key.sk.startswith("R#")]
        assert len(own) <= 1
        self.heard.append(bool(own))


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_every_transaction_of_a_command_has_its_record_as_the_policy_says(
    api: Api, house: House, dynamo: Dynamo, table: DynamoTable, ops: DynamoTable, look: Look, route: Route
) -> None:
    member = prepared(api, route)
    body = next(samples(route.function.__name__, api, member))
    body |= {"dry_run": False} if "dry_run" in body else {}
    listening = Listening(dynamo, table.name)
    listening.heard = []
    wiring.use(replace(house, table=listening))
    api.get("/v1/program")
    listening.heard.clear()
    reply = send(api, route, member, json.dumps(body).encode())
    assert reply.status < 300, reply.text
    assert without_entry("core", look()) | without_entry("ops", scan(dynamo, ops.name)) == set()
    assert set(listening.heard) <= {route.rule.audited}, route.path
    asks = ("count_segment_members", "compare_segments", "walk_journey")
    writes_nothing_here = (
        "start_job_run", "reinstate_member", "reinstate_card", "reinstate_staff", *asks,
        "resume_campaign",  # it is not paused
    )  # fmt: skip
    in_ops_alone = ("ask_code", "give_tokens", "end_my_session")
    if route.function.__name__ in in_ops_alone:
        assert not listening.heard
        return
    assert listening.heard or route.function.__name__ in writes_nothing_here


def test_what_changed_of_staff_roles_and_keys_is_shown_without_names_and_secrets(api: Api, look: Look) -> None:
    invited = api.post("/v1/staff", {
        "issuer": "https://idp.example.com", "subject": "ann-1", "name": "李四", "roles": ["clerk"],
        "shop_ids": ["shp_a"],
    })  # fmt: skip
    path = f"/v1/staff/{invited.json['staff_id']}"
    moved = {"version": 1, "name": "李五", "roles": ["shop_manager"], "reason": "she leads the shop now"}
    assert api.patch(path, moved).status == 200
    body = {"version": 0, "name": "Barista", "permissions": {"points:read": "shop"}, "reason": "new"}
    assert api.put("/v1/roles/barista", body).status == 200
    made = api.post("/v1/integration-keys", {
        "name": "till 3", "permissions": ["points:read"], "scope": "shop", "shop_ids": ["shp_a"], "reason": "a shop",
    }, key="k")  # fmt: skip
    assert made.status == 201, made.text

    (new,) = api.get("/v1/audit-entries", action="invite_staff").json["items"][0]["changes"]
    assert (new["item"], new["of"], new["state"]) == ("staff", invited.json["staff_id"], "new")
    assert new["after"] == {"roles": ["clerk"], "shops": ["shp_a"], "status": "active"}
    (edit,) = api.get("/v1/audit-entries", action="edit_staff").json["items"]
    assert edit["reason"] == "she leads the shop now"
    assert edit["changes"] == [{
        "item": "staff", "of": invited.json["staff_id"], "state": None, "before": {"roles": ["clerk"]},
        "after": {"roles": ["shop_manager"]}, "changed": ["name"],
    }]  # fmt: skip
    (role,) = api.get("/v1/audit-entries", action="put_role").json["items"][0]["changes"]
    assert (role["item"], role["of"]) == ("role", "barista")
    assert role["after"] == {"grants": {"points:read": 2}, "holders": 0}
    (key,) = api.get("/v1/audit-entries", action="make_integration_key").json["items"][0]["changes"]
    assert (key["item"], key["of"]) == ("integration key", made.json["key_id"])
    assert (key["after"]["may"], key["after"]["shops"]) == (["points:read"], ["shp_a"])
    kept = json.dumps(records(look()), ensure_ascii=False)
    for personal in ("李", made.json["key"].rpartition("_")[2], made.json["key"].rpartition("_")[2][-4:]):
        assert personal not in kept


def test_a_showing_of_personal_data_is_recorded_with_its_fields_and_nothing_of_what_was_shown(
    api: Api, look: Look
) -> None:
    member = api.enrol(name="王小明", mobile=MOBILE)["member_id"]
    body = {"fields": ["name", "mobile"], "reason": "calls back"}
    assert api.post(f"/v1/members/{member}/unmaskings", body).status == 201
    (entry,) = api.get("/v1/audit-entries", action="unmask_member", member_id=member).json["items"]
    (showing,) = entry["changes"]
    assert (entry["reason"], entry["permission"]) == ("calls back", "members:unmask")
    assert (showing["item"], showing["state"], showing["after"]["fields"]) == (
        "showing of personal data", "new", ["name", "mobile"],
    )  # fmt: skip
    kept = json.dumps(records(look()), ensure_ascii=False)
    assert "王" not in kept
    assert MOBILE not in kept


def test_the_policy_leaves_out_only_what_tills_do_and_what_keeps_a_name_itself() -> None:
    left_out = {
        route.function.__name__
        for route in ROUTES
        if route.method != "GET" and not route.rule.audited and route.rule.by is not Kind.MEMBER
    }
    assert left_out == {
        "record_purchase", "return_order", "return_purchase", "deliver_purchase", "spend_points", "hold_points",
        "capture_point_hold", "release_point_hold", "spend_from_pool", "top_up_card",
        "spend_card", "refund_card_spend", "use_card", "reverse_card_use", "start_job_run", "walk_journey",
    }  # fmt: skip
    own = {route.function.__name__ for route in ROUTES if route.rule.by is Kind.MEMBER and route.rule.audited}
    assert own == set()


def test_a_sale_says_who_made_it_and_whether_to_themselves(api: Api, house: House, look: Look) -> None:
    member, other = (MemberId(api.enrol()["member_id"]) for _ in range(2))
    clerk = Caller(
        Kind.STAFF,
        "stf_clerk",
        ("clerk",),
        ROLES["clerk"],
        shop_ids=frozenset({ShopId("shp_main")}),
        membership=member,
    )
    wiring.use(replace(house, gate=Gatekeeper(clerk)))
    for whom in (member, other):
        assert api.post("/v1/purchases", a_purchase_body({"member_id": whom}, order_no=whom)).status == 201
    events = [json.loads(each) for each in told(look())]
    sales = {each["member_id"]: each["data"] for each in events if each["type"] == "PurchaseRecorded"}
    assert [(sales[each]["recorded_by"], sales[each]["own_account"]) for each in (member, other)] == [
        ("stf_clerk", True), ("stf_clerk", False),
    ]  # fmt: skip


def test_an_id_that_somebody_types_puts_nothing_into_another_members_list(api: Api) -> None:
    one, other = (api.enrol(card_no=each)["member_id"] for each in ("card-1", "card-2"))
    before = api.get("/v1/audit-entries", member_id=other).json["items"]
    api.clock.forward(seconds=1)
    for path, body in (
        ("suspensions", {"reason": other}),
        ("unmaskings", {"fields": ["name"], "reason": other}),
        ("exports", {"reason": other}),
    ):
        assert api.post(f"/v1/members/{one}/{path}", body).status == 201
    assert api.get("/v1/audit-entries", member_id=other).json["items"] == before
    assert [each["about"] for each in api.get("/v1/audit-entries", member_id=one).json["items"]][:3] == [[one]] * 3
