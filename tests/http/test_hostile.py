"""Every field of every body, every query parameter and every id, given what nobody should send.

The matrix is made from the routes and the OpenAPI document: a field that is added is tested, and a field without a
sample here fails the first test. Nothing may answer 5xx, a refusal writes nothing, and a schema fault is pointed at.
"""

import itertools
import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import quote

import jsonschema  # type: ignore[import-untyped]  # stubs are one more thing to pin
import pytest

from chalicelib.alerts import store
from chalicelib.alerts.models import Alert, AlertKind, AlertState, Raised
from chalicelib.api.routing import ROUTES, Route
from chalicelib.deliveries.models import RunId
from chalicelib.identity.models import Kind
from chalicelib.kernel.ids import CardId, MemberId, RoleName, SegmentId, SessionId, SuppressionId, TemplateId
from chalicelib.members.store import find_contact_change
from chalicelib.privacy.models import OptOutShown, OptOutToken
from chalicelib.reach import store as reach_store
from chalicelib.reach.models import SuppressedChannel, Suppression, SuppressionReason, SuppressionSource
from chalicelib.receipts.models import CallbackSecret, ProviderName, Signed
from chalicelib.runtime import wiring
from chalicelib.segments.models import InStage, ListOf, SegmentKind, Stage
from chalicelib.segments.store import find_segments, replace_segment
from chalicelib.signin.models import Session
from chalicelib.signin.store import SessionMoved, open_session
from chalicelib.storage import keys
from chalicelib.storage.writes import Write
from tests.http.conftest import CountingTable, Look
from tests.makers import SOME_IDS, Api, Reply, a_path, a_purchase_body
from tests.signing_in import Phones, as_member, ask, signed_in

_numbers = itertools.count(1)

Path = tuple[str | int, ...]

TERMS: dict[str, Any] = {
    "name": {"zh": "常客", "en": "Regulars"}, "currency": "CNY", "country": "CN", "time_zone": "Asia/Shanghai",
    "language": "zh", "earn_rate": {"points": 1, "per_minor": 100, "rounding": "down"},
    "point_value": {"points": 100, "minor": 100},
    "ladder": {
        "tiers": [{"tier_id": "basic", "name": {"zh": "普通", "en": "Basic"}, "threshold": 0,
                   "multiplier_percent": 100, "birthday_points": 50}],
        "qualification": {"window": "rolling", "months": 12, "at_end": "step_down"},
    },
    "expiry": {"mode": "rolling", "months": 12, "years": 1, "bucket": "month"}, "negative_balance": "owe",
    "pending_days": 0, "notices": {"expiring_days": 14}, "stored_value": {"balance_max_minor": 500_000},
    "card_gifts": {"bonus_percent_max": 50, "visit_minor_min": 100}, "purchase_max_minor": 5_000_000,
    "transfers": {"enabled": True, "min_points": 1, "max_points": 1_000_000, "max_points_per_month": 1_000_000_000,
                  "fee_percent": 5, "accept_days": 7},
    "approvals": {"adjustment_points_max": 1_000_000_000, "adjustment_day_factor": 5,
                  "card_refund_minor_max": 1_000_000_000},
    "sign_in": {"sms": [{"country": "CN", "per_thousand_minor": 4_500}], "sms_day_max_minor": 50_000},
    "retention": {"inactive_years": 5, "closed_years": 2},
    "velocity": dict.fromkeys(("member_points_per_day", "shop_points_per_day", "staff_points_per_day",
                               "adjusted_points_per_day", "card_gifts_minor_per_day"), 10**12)
                | dict.fromkeys(("contact_changes_per_day", "unmasked_members_per_day",
                                 "exported_members_per_day"), 500)
                | dict.fromkeys(("missed_look_ups", "missed_look_ups_of_keys"), 10**6),
    "custom_fields": {"size": {"type": "choice", "label": {"zh": "码", "en": "Size"}, "required": False,
                               "choices": ["S", "M"]}},
}  # fmt: skip


MAPS = ("custom", "custom_fields", "params", "data", "payload")
"""Fields whose names somebody else gives."""

GONE_AFTER = ("close_member", "erase_member", "erase_me")
"""After these nobody is left to send the next one for."""


def samples(name: str, api: Api, member: dict[str, Any]) -> Iterator[dict[str, Any]]:  # noqa: PLR0912 - one case a route
    """Bodies that together fill every field of a route's body; each is accepted as it is."""
    n = next(_numbers)
    details = {
        "name": "张三", "mobile": f"+86139{n:08d}", "email": f"a{n}@example.com", "card_no": f"h-{n}",
        "gender": "female", "language": "en", "birthday": "1990-02-28", "shop_id": "shp_a", "tags": ["vip"],
        "custom": {"size": "M"},
        "consents": [
            {"purpose": "sms", "channel": "sms", "granted": True, "text_version": "1", "source": "till"}
        ], "dry_run": False,
        "bank_cards": [{"bank": "ICBC", "last_four": "0001", "token": "tok-1"}],
    }  # fmt: skip
    match name:
        case "enrol_member":
            yield {**details, "external_ids": [{"source": "erp", "id": f"{n}"}], "source": "till", "referral_code": "R"}
        case "unmask_member":
            yield {"fields": ["name"], "reason": "a call back"}
        case "erase_member":
            yield {"reason": "asked", "forfeit": True, "dry_run": True}
        case "export_member" | "export_member_page":
            yield {"reason": "asked for it"}
        case "export_me" | "export_me_page":
            yield {}
        case "say_consents" | "say_my_consents":
            yield {
                "consents": [
                    {"purpose": "offers", "channel": "sms", "granted": True, "text_version": "1", "source": "paper"}
                ]
            }
        case "publish_consent_text":
            yield {"purpose": "offers", "channel": "sms", "text_version": f"v{n}", "zh": "同意", "en": "I agree",
                   "title_zh": "优惠", "title_en": "Offers"}  # fmt: skip
        case "edit_member":
            yield {
                **details,
                "reason": "asked",
                "version": api.get(f"/v1/members/{member['member_id']}").json["version"],
            }
        case "return_purchase" | "return_order":
            order = {"channel": "pos", "order_no": "order-1"} if name == "return_order" else {}
            yield {**order, "lines": [{"sku": "A", "quantity": 1}], "reason": "damaged", "dry_run": True,
                   "occurred_at": "2026-03-15T12:00:00+08:00"}  # fmt: skip
            yield {**order, "amount_minor": 1, "dry_run": True}
        case "restate_purchase":
            found = api.get(f"/v1/purchases/{SOME_IDS['purchase_id']}").json
            yield {"lines": [{"sku": "A", "name": "n", "category": "c", "quantity": 2, "unit_price_minor": 100}],
                   "paid_minor": 1000 + n, "points_tender": 100, "reason": "picking", "dry_run": True,
                   **{name: found[name] for name in ("version", "member_id", "channel", "order_no", "shop_id",
                                                     "occurred_at", "currency")}}  # fmt: skip
        case "deliver_purchase":
            yield {"delivered_at": "2026-03-15T12:00:00+08:00", "dry_run": True}
        case "merge_members":
            (second,) = api.get("/v1/members", card_no="second").json["items"]
            yield {"from_member_id": second["member_id"], "into_member_id": member["member_id"],
                   "reason": "the same person", "dry_run": True}  # fmt: skip
        case "undo_merge":
            yield {"reason": "not the same person", "dry_run": True}
        case "reverse_entry":
            yield {"reason_code": "mistake", "note_to_member": "sorry", "note_internal": "why\nnot", "dry_run": True}
        case "start_job_run":
            yield {"date": "2026-03-14", "dry_run": False}
        case "suspend_member" | "reinstate_member":
            yield {"reason": "because", "dry_run": False}
        case "close_member":
            yield {"reason": "because", "forfeit_points": True, "dry_run": False}
        case "spend_points":
            yield {"points": 1, "occurred_at": "2026-03-15T12:00:00+08:00", "reference": "r1", "dry_run": False}
        case "adjust_points":
            yield {
                "points": 1, "reason_code": "gift", "note_to_member": "for you", "note_internal": "why\nnot",
                "expires_on": "2026-12-31", "qualifying_points": 1, "occurred_at": "2026-03-15T12:00:00+08:00",
                "dry_run": False,
            }  # fmt: skip
        case "hold_points":
            yield {"points": 1, "minutes": 30, "reference": "r1", "dry_run": False}
        case "capture_point_hold" | "release_point_hold":
            held = api.post(f"/v1/members/{member['member_id']}/point-holds", {"points": 100}, key="hold-1").json
            assert held["hold_id"] == SOME_IDS["hold_id"]
            yield {"points": 1, "dry_run": True} if name == "capture_point_hold" else {"dry_run": True}
        case "offer_point_transfer" | "offer_my_point_transfer":
            other = api.enrol(mobile=f"+86138{n:08d}", email=f"b{n}@example.com", card_no=f"to-{n}",
                              external_ids=[{"source": "erp", "id": f"to-{n}"}])  # fmt: skip
            for ref in (
                {"member_id": other["member_id"]}, {"card_no": f"to-{n}"}, {"mobile": f"138{n:08d}"},
                {"email": f"b{n}@example.com"}, {"member_number": other["member_number"]},
                {"external_id": {"source": "erp", "id": f"to-{n}"}},
            ):  # fmt: skip
                yield {"to": ref, "points": 1, "message": "for you", "dry_run": True}
        case "accept_point_transfer" | "cancel_point_transfer" | "decline_point_transfer":
            to = api.get("/v1/members", card_no="to-somebody").json["items"] or [api.enrol(card_no="to-somebody")]
            body = {"to": {"member_id": to[0]["member_id"]}, "points": 1}
            made = api.post(f"/v1/members/{member['member_id']}/point-transfers", body, key="gift-1")
            assert made.json["transfer_id"] == SOME_IDS["transfer_id"], made.text
            yield {"dry_run": True}
        case "record_purchase":
            held = api.post(f"/v1/members/{member['member_id']}/point-holds", {"points": 100}, key=f"for-{n}").json
            yield a_purchase_body(
                {"member_id": member["member_id"]}, points_hold_id=held["hold_id"], order_no=f"h{n}",
                awaits_delivery=True,
            )  # fmt: skip
            for ref in (
                {"member_id": member["member_id"]}, {"card_no": "known"}, {"mobile": "13700137000"},
                {"email": "known@example.com"}, {"member_number": member["member_number"]},
                {"external_id": {"source": "erp", "id": "known"}},
            ):  # fmt: skip
                yield a_purchase_body(ref, points_tender=100, dry_run=False, order_no=f"h-{next(_numbers)}")
        case "publish_program":
            read = api.get("/v1/program").json
            other = {**TERMS["ladder"], "tiers": [{**tier, "birthday_points": n} for tier in TERMS["ladder"]["tiers"]]}
            assert api.put("/v1/program", {**read, "ladder": other}).status == 200
            read = api.get("/v1/program").json
            assert read["former_ladders"]
            fixed = {field: read[field] for field in ("version", "published_at", "former_ladders")}
            yield {**TERMS, **fixed, "dry_run": False}
        case "approve" | "reject":
            yield {"reason": "seen"}
        case "acknowledge_alert":
            raised_alert(api)
            yield {"reason": "talked to them\nall is well", "dry_run": False}
        case _ if "card" in name:
            yield from card_samples(name, n)
        case "make_integration_key" | "rotate_integration_key" | "revoke_integration_key":
            yield from key_samples(name)
        case "ask_code" | "give_tokens" | "edit_me" | "change_contact" | "end_my_session" | "erase_me":
            yield from own_samples(name, n, caller_of(api, name, member), member)
        case _ if "template" in name or "suppress" in name:
            yield from template_samples(name, api, member, n)
        case _ if "staff" in name or "role" in name:
            yield from staff_samples(name, api, n)
        case _ if "campaign" in name or name == "send_tests":
            yield from campaign_samples(name, api, member)
        case _ if "journey" in name or name == "enter_members":
            yield from journey_samples(name, api, member)
        case _ if "segment" in name:
            yield from segment_samples(name)
        case _:
            yield from pool_samples(name, api, member)


def staff_samples(name: str, api: Api, n: int) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of staff and roles."""
    match name:
        case "invite_staff":
            yield {"issuer": "https://idp.example.com", "subject": f"s-{n}", "name": "李四", "roles": ["clerk"],
                   "shop_ids": ["shp_a"], "member_id": "mem_aaaaaaaaaaaaaaaa", "dry_run": False}  # fmt: skip
        case "edit_staff":
            yield {"version": api.get(f"/v1/staff/{SOME_IDS['staff_id']}").json["version"], "name": "李四",
                   "roles": ["clerk"], "shop_ids": ["shp_a"], "member_id": "mem_aaaaaaaaaaaaaaaa", "reason": "moved",
                   "dry_run": True}  # fmt: skip
        case "put_role":
            yield {"version": api.get("/v1/roles/barista").json["version"], "name": "咖啡师", "reason": "new",
                   "permissions": {"points:read": "shop"}, "dry_run": True}  # fmt: skip
        case "suspend_staff" | "reinstate_staff" | "remove_role":
            yield {"reason": "because", "dry_run": name == "remove_role"}
        case _:
            raise NotImplementedError(f"{name} takes a body: give a sample of it here")


def template_samples(name: str, api: Api, member: dict[str, Any], n: int) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of templates, and of addresses that are not written to; `prepared` makes one of each."""
    aliyun = {"template_code": "SMS_1", "params": {"code": "1"}}
    tencent = {"template_id": "1", "params": ["1"]}
    sms = {"text": f"{{{{name}}}} {n}", "signature": "常客", "aliyun": aliyun, "tencent": tencent}
    contents = {"channel": "sms", "zh": sms, "en": sms}
    match name:
        case "create_template":
            mail = {"subject": "s", "html": "<p>x</p>", "text": "x"}
            app = {"title": "s", "text": "x", "url": "https://a.example/"}
            data = {"thing1": "回复TD退订"}
            wechat = {"template_id": "x" * 43, "data": data, "url": "https://a.example/", "text": "x"}
            hook = {"payload": {"a": ["x", 1, {"b": None}]}}
            made = [contents, *({"channel": channel, "zh": each, "en": each} for channel, each in (
                ("email", mail), ("app", app), ("wechat", wechat), ("webhook", hook),
            ))]  # fmt: skip
            yield from ({"name": "spring", "purpose": "marketing", "contents": each, "dry_run": False} for each in made)
        case "edit_template":
            version = api.get(f"/v1/templates/{SOME_IDS['template_id']}").json["version"]
            yield {"name": "spring", "purpose": "marketing", "contents": contents, "version": version, "dry_run": False}
        case "archive_template":
            yield {"dry_run": True}
        case "preview_template":
            yield {"language": "zh", "version": 1, "member_id": member["member_id"], "provider": "aliyun",
                   "unmask_reason": "the member asked"}  # fmt: skip
        case "suppress_address":
            yield {"channel": "sms", "address": f"+86139{n:08d}", "reason_code": "asked", "reason": "asked",
                   "dry_run": False}  # fmt: skip
        case "lift_suppression":
            suppressed()
            yield {"reason": "asked", "dry_run": False}


def suppressed() -> None:
    """An address that is not written to, of the id that routes are tried with."""
    table, key = wiring.house().table, keys.suppression_of(SOME_IDS["suppression_id"])
    assert key is not None
    before = reach_store.find_suppression(table, key)
    if before is None or before.lifted_at is not None:
        after = Suppression(
            suppression_id=SuppressionId(SOME_IDS["suppression_id"]), channel=SuppressedChannel.SMS,
            reason_code=SuppressionReason.ASKED, source=SuppressionSource.STAFF, by="stf_x",
            suppressed_at=datetime(2026, 3, 15, tzinfo=UTC), version=before.version + 1 if before else 1,
        )  # fmt: skip
        table.commit([reach_store.put_suppression(key, before, after)])


def segment_samples(name: str) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of segments; hostile definitions have tests of their own (`test_segments.py`)."""
    rich = {"kind": "field", "name": "points", "op": "between", "value": 5, "to": 9}
    definition = {"kind": "any", "of": [rich, {"kind": "tag", "op": "has_any", "tags": ["vip"]}]}
    members = ["mem_aaaaaaaaaaaaaaaa"]
    match name:
        case "create_segment":
            rule = {"tag": "gold", "remove": True}
            yield {"name": "好", "note": "n", "definition": definition, "tag_rule": rule, "freeze": False,
                   "dry_run": True}  # fmt: skip
            yield {"name": "好", "member_ids": members, "dry_run": True}
        case "edit_segment":
            yield {"version": a_segment(SegmentKind.LIVE), "name": "好", "note": "n", "definition": definition,
                   "tag_rule": {"tag": "gold", "remove": False}, "dry_run": True}  # fmt: skip
            yield {"version": a_segment(SegmentKind.STATIC), "name": "好", "add_member_ids": members,
                   "remove_member_ids": members, "dry_run": True}  # fmt: skip
        case "archive_segment":
            yield {"dry_run": True}
        case "count_segment_members":
            yield {"definition": definition, "branches": True}
        case "compare_segments":
            yield {"segment_ids": [SOME_IDS["segment_id"], "seg_ready_never_bought"]}
        case "export_segment":
            yield {"columns": ["member_id", "points"], "dry_run": True}
        case _:
            raise NotImplementedError(f"{name} takes a body: give a sample of it here")


def a_segment(kind: SegmentKind) -> int:
    """Make the segment that routes are tried with one of a kind; its version."""
    table, segment_id = wiring.house().table, SegmentId(SOME_IDS["segment_id"])
    before = find_segments(table, [segment_id])[segment_id]
    listed = ListOf(key="segments/lists/none.csv.gz", count=0)
    as_list = {"kind": kind, "definition": None, "listed": listed}
    as_live = {"kind": kind, "definition": InStage(kind="stage", stages=(Stage.NEW,)), "listed": None}
    after = before.model_copy(update=as_live if kind is SegmentKind.LIVE else as_list)
    table.commit([replace_segment(before, after, content=b"")])
    return before.version + 1


def caller_of(api: Api, name: str, member: dict[str, Any]) -> Api:
    """Who may call a route: a member for what is a member's own, else an admin."""
    (route,) = [route for route in ROUTES if route.function.__name__ == name]
    own = route.rule.by is Kind.MEMBER
    return as_member(api, wiring.house(), member["member_id"]) if own else api


def own_samples(name: str, n: int, me: Api, member: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Bodies of what members send to sign in and about themselves."""
    mobile, email = f"+8613{n * 10_007 % 10**9:09d}", f"own{n}@example.com"
    house = wiring.house()

    def sent(**asked: str) -> dict[str, str]:
        request_id = ask(me, **asked).json["request_id"]
        return {"request_id": request_id, "code": Phones(house).code(request_id)}

    match name:
        case "ask_code":
            yield {"mobile": mobile, "email": None, "purpose": "sign_in"}
            yield {"mobile": None, "email": email, "purpose": "contact_change"}
        case "give_tokens":
            admin = Api(me.clock, me.token_key, me.issuer, me.audience)
            admin.enrol(email=email)
            yield {"grant": "otp", **sent(email=email), "refresh_token": None}
            admin.enrol(email="x" + email)
            token = signed_in(me, house, email="x" + email)["refresh_token"]
            yield {"grant": "refresh", "refresh_token": token, "request_id": None, "code": None}
        case "edit_me":
            yield {
                "name": "张三", "gender": "female", "language": "zh", "birthday": "1990-02-28", "shop_id": "shp_a",
                "consents": [
                    {"purpose": "sms", "channel": "sms", "granted": True, "text_version": "1", "source": "till"}
                ],
                "dry_run": False,
                "version": me.get("/v1/me").json["version"],
            }  # fmt: skip
        case "change_contact":
            for kind, other, value in (("email", "mobile", email), ("mobile", "email", mobile)):
                if find_contact_change(house.table, MemberId(member["member_id"])):
                    me.clock.forward(hours=73)  # who changed one lately has to wait
                    me = as_member(me, house, member["member_id"])
                proven = sent(**{kind: value}, purpose="contact_change")
                yield {**proven, kind: value, other: None, "version": me.get("/v1/me").json["version"]}
        case "end_my_session" | "erase_me":
            session = Session(
                SessionId(SOME_IDS["session_id"]), MemberId(member["member_id"]), b"", opened_at=me.clock(),
                turned_at=me.clock(),
            )  # fmt: skip
            with suppress(SessionMoved):
                house.ops.commit([open_session(session)])
            yield {"forfeit": True, "dry_run": True} if name == "erase_me" else {}


def campaign_samples(name: str, api: Api, member: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of campaigns; `prepared` makes one, and launches it for those that turn it."""
    rich = {
        "name": "生日", "segment_id": "seg_ready_champions", "purpose": "marketing",
        "variants": [{"name": "a", "weight": 2, "template_ids": [TemplateId.of("template-1")]}],
        "holdout_percent": 10, "schedule": {"kind": "birthday", "at": "10:00", "until_on": "2027-01-01"},
        "best_hour": True, "frequency_cap": {"sends": 2, "days": 7},
        "quiet_hours": {"starts": "22:00", "ends": "08:00"},
        "throttle_per_minute": 1000, "gift": {"points": 10, "expires_after_days": 30}, "cost_max_minor": 1000,
        "send_within_hours": 20, "attribution_days": 5,
    }  # fmt: skip
    schedules = ({"kind": "once", "on": "2026-12-01", "at": "10:00"}, {"kind": "now"})
    match name:
        case "make_campaign":
            yield rich
            yield from ({**rich, "schedule": each} for each in schedules)
        case "edit_campaign":
            for each in (rich["schedule"], *schedules):
                version = api.get(f"/v1/campaigns/{SOME_IDS['campaign_id']}").json["version"]
                yield {**rich, "schedule": each, "version": version}
        case "copy_campaign":
            yield {"name": "生日二"}
        case "launch_campaign":
            yield {"version": 1, "reason": "it is time", "dry_run": True}
        case "send_tests":
            yield {"member_ids": [member["member_id"]], "variant": "a"}
        case _:
            yield {"reason": "it is time"}


def with_campaign(api: Api, *, launched: bool) -> None:
    """The campaign that routes are tried with, and its template."""
    said = {"zh": {"text": "生日快乐"}, "channel": "sms"}
    template = api.post("/v1/templates", {"name": "t", "purpose": "marketing", "contents": said}, key="template-1")
    assert template.status == 201, template.text
    body = {"name": "c", "segment_id": "seg_ready_champions", "schedule": {"kind": "now"},
            "variants": [{"name": "a", "template_ids": [template.json["template_id"]]}]}  # fmt: skip
    made = api.post("/v1/campaigns", body, key="campaign-1")
    assert made.json["campaign_id"] == SOME_IDS["campaign_id"], made.text
    if launched:
        assert api.post(f"/v1/campaigns/{SOME_IDS['campaign_id']}/launch", {"version": 1}).status == 201


A_JOURNEY = {
    "name": "欢迎", "entry": {"kind": "by_hand"}, "who": {"kind": "stage", "stages": ["new"]}, "again_after_days": 0,
    "goal": {"kind": "purchased", "paid_min_minor": 5, "shop_ids": ["shp_a"]},
    "steps": [
        {"kind": "wait", "step": "a", "until": {"kind": "for", "days": 1, "hours": 2, "minutes": 3}, "next": "b"},
        {"kind": "branch", "step": "b", "on": {"kind": "happened", "what": {"kind": "points_spent"}}, "then": "c",
         "otherwise": "d"},
        {"kind": "give_points", "step": "c", "points": 5, "expires_after_days": 9, "next": "d"},
        {"kind": "retag", "step": "d", "tag": "老友", "give": False, "next": "e"},
        {"kind": "wait", "step": "e", "until": {"kind": "birthday", "at": "10:00", "days_before": -3}, "next": "f"},
        {"kind": "branch", "step": "f", "on": {"kind": "points", "at_least": 3}, "then": "g"},
        {"kind": "wait", "step": "g", "until": {"kind": "time", "at": "10:00", "days": 1}},
    ],
}  # fmt: skip


def journey_samples(name: str, api: Api, member: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of journeys; `prepared` makes one, and activates it for those that need that."""
    match name:
        case "make_journey":
            yield A_JOURNEY
            for entry in (
                {"kind": "enrolled", "sources": ["web"]}, {"kind": "first_purchased"}, {"kind": "points_expire"},
                {"kind": "lapsed", "days": 90}, {"kind": "birthday", "days_before": 3}, {"kind": "tier_changed"},
            ):  # fmt: skip
                yield {**A_JOURNEY, "entry": entry}
        case "edit_journey":
            version = api.get(f"/v1/journeys/{SOME_IDS['journey_id']}").json["version"]
            yield {**A_JOURNEY, "version": version}
        case "enter_members":
            yield {"segment_id": "seg_ready_champions"}
            yield {"member_ids": [member["member_id"]], "reason": "they asked", "dry_run": True}
        case "walk_journey":
            yield {"member_id": member["member_id"], "at": "2030-01-01T00:00:00Z", "edition": 1, "fits": {"b": True}}
        case _:
            version = api.get(f"/v1/journeys/{SOME_IDS['journey_id']}").json["version"]
            yield {"version": version, "reason": "it is time", "dry_run": True}


def with_journey(api: Api, *, active: bool) -> None:
    """The journey that routes are tried with."""
    made = api.post("/v1/journeys", A_JOURNEY, key="journey-1")
    assert made.json["journey_id"] == SOME_IDS["journey_id"], made.text
    if active:
        assert api.post(f"/v1/journeys/{SOME_IDS['journey_id']}/activate", {"version": 1}).status == 201


def key_samples(name: str) -> Iterator[dict[str, Any]]:
    """Bodies of commands on integration keys; `prepared` makes one."""
    match name:
        case "make_integration_key":
            yield {"name": "till 3", "permissions": ["points:read"], "scope": "shop", "shop_ids": ["shp_a"],
                   "rate_per_minute": 60, "expires_on": "2026-12-31", "reason": "a new shop"}  # fmt: skip
        case "rotate_integration_key":
            yield {"overlap_hours": 1, "reason": "it is time"}
        case "revoke_integration_key":
            yield {"reason": "lost"}


def raised_alert(api: Api) -> None:
    """An alert that is open, of the id that routes are tried with; another day's each time."""
    key = keys.alert_of(SOME_IDS["alert_id"])
    assert key is not None
    raised = Raised(AlertKind.SELF_EARNING, "stf_clerk", date(2026, 3, 15), 5, 0)
    assert store.raise_alert(raised, api.clock()).key == key
    table = wiring.house().table
    alert = store.find_alert(table, key)
    table.commit([store.raise_alert(raised, api.clock()) if alert is None else reopened(alert)])


def reopened(alert: Alert) -> Write:
    """The write that has an alert open again."""
    return store.replace_alert(alert, alert.model_copy(update={"state": AlertState.OPEN, "version": alert.version + 1}))


def pool_samples(name: str, api: Api, member: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Bodies of the routes of pools."""
    match name:
        case "open_pool":
            yield {"owner_id": member["member_id"], "name": "Home", "kind": "company", "dry_run": False}
        case "edit_pool":
            yield {"name": "Home", "version": api.get(f"/v1/pools/{SOME_IDS['pool_id']}").json["version"]}
        case "set_pool_member":
            yield {"role": "owner", "monthly_limit": 10**6, "reason": "asked by them"}
        case "contribute":
            yield {"member_id": member["member_id"], "points": 1, "reason": "asked by them", "dry_run": False}
        case "contribute_own":
            yield {"points": 1, "dry_run": False}
        case "spend_from_pool":
            yield {"member_id": member["member_id"], "points": 1, "reference": "r1", "dry_run": False}
        case "close_pool":
            yield {"dry_run": True}
        case _:
            raise NotImplementedError(f"{name} takes a body: give a sample of it here")


def card_samples(name: str, n: int) -> Iterator[dict[str, Any]]:
    """The same for commands on cards, which `prepared` opens."""
    means = [{"kind": "cash", "amount_minor": 100, "reference": "w"}]
    told = {"occurred_at": "2026-03-15T12:00:00+08:00", "dry_run": True}
    match name:
        case "open_card":
            yield {"kind": "stored_value", "name": "卡", "card_number": f"n-{n}", "dry_run": False}
            yield {"kind": "count", "uses": 10, "expires_on": "2026-12-31", "price_minor": 100, "product": "yoga",
                   "means": means, "reason": "a prize"}  # fmt: skip
        case "top_up_card":
            yield {"amount_minor": 100, "bonus_minor": 10, "bonus_expires_on": "2026-12-31", "means": means,
                   "reference": "r", "reason": "a prize", **told}  # fmt: skip
        case "spend_card":
            yield {"amount_minor": 1, "reference": "r", **told}
        case "refund_card_spend":
            yield {"spend_id": entry_id("card_spend", "h"), "amount_minor": 1, "reason": "returned", **told}
        case "refund_card":
            top_up = entry_id("top_up", CARDS["value"], "h")
            yield {"amount_minor": 1, "top_up_id": top_up, "uses": None, "reason": "refunded", "dry_run": True}
        case "use_card":
            yield {"count": 1, "reference": "r", **told}
        case "reverse_card_use":
            yield {"use_id": entry_id("card_use", "h"), "count": 1, "reason": "mistake", "dry_run": True}
        case "extend_card":
            yield {"expires_on": "2027-06-30", "reason": "goodwill", "dry_run": True}
        case "suspend_card" | "reinstate_card" | "close_card":
            yield {"reason": "because", "dry_run": False}
        case _:
            raise NotImplementedError(f"{name} takes a body: give a sample of it here")


CARDS = {name: CardId.of("key", f"h-{name}") for name in ("value", "count", "empty")}
_COUNTED = ("use_card", "reverse_card_use", "extend_card")


def entry_id(kind: str, *parts: str) -> str:
    """The id of an entry, by its business key."""
    return keys.entry_id(keys.entry(kind, *parts))


def card_for(route: Route) -> str:
    """The card that a route's samples are for."""
    name = route.function.__name__
    return CARDS["count" if name in _COUNTED else "empty" if name == "close_card" else "value"]


def with_cards(api: Api, member_id: str) -> None:
    """Open a card with money, one with visits, and an empty one; the first two are used once."""
    opening = f"/v1/members/{member_id}/cards"
    means = [{"kind": "cash", "amount_minor": 100_000}]
    done = [
        api.post(opening, {"kind": "stored_value"}, key="h-value"),
        api.post(opening, {"kind": "stored_value"}, key="h-empty"),
        api.post(
            opening, {"kind": "count", "uses": 1000, "expires_on": "2026-12-31", "reason": "a prize"}, key="h-count"
        ),
        api.post(f"/v1/cards/{CARDS['value']}/top-ups", {"amount_minor": 100_000, "means": means}, key="h"),
        api.post(f"/v1/cards/{CARDS['value']}/spends", {"amount_minor": 50_000}, key="h"),
        api.post(f"/v1/cards/{CARDS['count']}/uses", {"count": 500}, key="h"),
    ]
    assert [each.status for each in done] == [201] * len(done)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Every place in a body, the whole of it first."""
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from places(child, (*path, name))


def put(value: Any, path: Path, new: Any) -> Any:
    """A body with another value in one place."""
    if not path:
        return new
    head, *rest = path
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[head] = put(value[head], tuple(rest), new)
    return copy


RAW = {
    name: f"@@{name}@@"
    for name in (
        "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1E5", "01", "+1", "0x10", "1_0", "'x'", "nul",
        '"\\ud800"', '"\\udc00\\ud800"', '"\\x"', '"\t"', "9" * 4000, "9" * 5000, "-" + "9" * 30, "[" * 20_000,
        "[" * 5_000 + "]" * 5_000, "[" * 300 + "]" * 300, '{"a":1,"a":2}', '{"a":' * 5_000, "", "[1,]", "//",
    )
}  # fmt: skip
PLAIN: list[Any] = [
    0, -1, 1, True, False, None, 1.5, 1.0, -0.0, 2**53 + 1, -(2**53) - 1, 10**12 + 1, 10**30, "", " ", "1", "true",
    "x" * 70, "x" * 10_000, "\x00", "a\x07b", "a\x1bb", "a\x7fb", "a\u0085b", "a\u2028b", "a\nb", "#", "%", "a#b%23c",
    "🙂", "\uffff", "\u202eabc", "null", "2026-02-30", "0001-01-01", "9999-12-31", "0000-00-00", "--02-30",
    "2026-03-15T12:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "1969-12-31T23:59:59Z",
    "2026-03-15T12:00:00+99:99", "mem_" + "a" * 16, "mem_" + "a" * 16 + "\n", "shp_\n", "basic\n", "CNY\n", "XXX",
    [], {}, [None], [[]], {"": None}, {"a": 1}, {"a": {}}, {"__proto__": {}}, ["x"] * 300, [{}] * 201,
]  # fmt: skip


def text_of(body: Any) -> bytes:
    """A body as JSON, with raw pieces in their places."""
    text = json.dumps(body)
    for raw, mark in RAW.items():
        text = text.replace(f'"{json.dumps(mark)[1:-1]}"', raw)
    return text.encode()


def with_body() -> list[Route]:
    """The routes that take a body."""
    import app

    assert app.app.app_name == "regulars"
    return sorted((route for route in ROUTES if route.body is not None), key=lambda route: route.function.__name__)


def send(api: Api, route: Route, member: dict[str, Any], body: bytes) -> Reply:
    """Send a body to a route, with a new key."""
    path = a_path(route.path, member_id=member["member_id"], card_id=card_for(route))
    key = {"Idempotency_Key": f"h{next(_numbers)}"} if route.keyed is not None else {}
    return caller_of(api, route.function.__name__, member).send(route.method, path, body, **key)


def a_full_member(api: Api, gift: int = 10**9) -> dict[str, Any]:
    """Somebody with every identifier and points to spend."""
    member = api.enrol(
        card_no="known", mobile="+8613700137000", email="known@example.com",
        external_ids=[{"source": "erp", "id": "known"}],
    )  # fmt: skip
    most = api.get("/v1/program").json["velocity"]["adjusted_points_per_day"]
    body = {"points": min(gift, most), "reason_code": "gift"}
    reply = api.post(f"/v1/members/{member['member_id']}/point-adjustments", body, key="gift")
    assert reply.status == 201
    return member


def prepared(api: Api, route: Route | None = None) -> dict[str, Any]:
    """A program with a custom field, and a member who bought something."""
    free = {"adjustment_points_max": None, "card_refund_minor_max": None}
    assert api.put("/v1/program", {**TERMS, "version": 1, "approvals": free}).status == 200
    api.publish_texts("sms", "offers")
    member = a_full_member(api)
    lines = [{"sku": "A", "quantity": 1000, "unit_price_minor": 100}]
    body = a_purchase_body({"member_id": member["member_id"]}, channel="pos", order_no="order-1", lines=lines)
    body["awaits_delivery"] = route is not None and route.function.__name__ == "deliver_purchase"
    assert api.post("/v1/purchases", body).json["purchase_id"] == SOME_IDS["purchase_id"]
    if route is not None and route.tag == "pools":
        opened = api.post("/v1/pools", {"owner_id": member["member_id"], "name": "Home"}, key="pool")
        assert opened.json["pool_id"] == SOME_IDS["pool_id"]
        filled = {"member_id": member["member_id"], "points": 10**6, "reason": "asked by them"}
        assert api.post(f"/v1/pools/{opened.json['pool_id']}/contributions", filled, key="filled").status == 201
    if route is not None and route.tag == "cards" and route.function.__name__ != "close_member":
        with_cards(api, member["member_id"])
    if route is not None and route.tag == "staff":
        somebody = {"issuer": "https://idp.example.com", "subject": "somebody", "name": "王五", "roles": ["clerk"]}
        assert api.post("/v1/staff", somebody).json["staff_id"] == SOME_IDS["staff_id"]
        role = {"version": 0, "name": "咖啡师", "permissions": {"points:read": "all"}, "reason": "new"}
        assert api.put("/v1/roles/barista", role).status == 200
    if route is not None and route.tag == "decisions":
        assert api.put("/v1/program", {**TERMS, "version": 2}).status == 200
        asked = {"points": 1_000_000_001, "reason_code": "gift"}
        path = f"/v1/members/{api.enrol()['member_id']}/point-adjustments"
        assert api.as_("agent").post(path, asked, key="big").json["approval_id"] == SOME_IDS["approval_id"]
    if route is not None and route.tag == "integrations":
        made = api.post("/v1/integration-keys", next(key_samples("make_integration_key")), key="key-1")
        assert made.json["key_id"] == SOME_IDS["key_id"]
    if route is not None and "template" in route.path:
        written = next(template_samples("create_template", api, member, 0))
        assert api.post("/v1/templates", written, key="template-1").json["template_id"] == SOME_IDS["template_id"]
    if route is not None and "suppression" in route.path:
        suppressed()
    if route is not None and route.tag == "campaigns":
        with_campaign(api, launched=route.function.__name__ in ("pause_campaign", "resume_campaign", "cancel_campaign"))
    if route is not None and route.tag == "journeys":
        with_journey(api, active=route.function.__name__ not in ("activate_journey", "archive_journey", "make_journey"))
    if route is not None and route.tag == "segments":
        leaf = {"kind": "stage", "stages": ["new"]}
        made = api.post("/v1/segments", {"name": "s", "definition": leaf}, key="segment-1")
        assert made.json["segment_id"] == SOME_IDS["segment_id"], made.text
    if route is not None and route.tag == "merges":
        second = api.enrol(card_no="second")["member_id"]
        pair = {"from_member_id": api.enrol()["member_id"], "into_member_id": second, "reason": "the same person"}
        assert api.post("/v1/member-merges", pair, key="m1").json["merge_id"] == SOME_IDS["merge_id"]
    return member


def schema_of(api: Api, route: Route) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a route's body, and the document that holds what it refers to."""
    document = api.get("/v1/openapi.json").json
    operation = document["paths"]["/v1" + route.path][route.method.lower()]
    return operation["requestBody"]["content"]["application/json"]["schema"], document


def fields_of(schema: dict[str, Any], document: dict[str, Any], path: Path = ()) -> set[Path]:
    """Every field that a schema names, lists and maps as `*`."""
    if "$ref" in schema:
        return fields_of(document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document, path)
    found: set[Path] = set()
    for option in schema.get("anyOf", ()):
        found |= fields_of(option, document, path)
    for name, child in schema.get("properties", {}).items():
        found |= {(*path, name)} | fields_of(child, document, (*path, name))
    for child in (schema.get("items"), schema.get("additionalProperties")):
        if isinstance(child, dict):
            found |= fields_of(child, document, (*path, "*"))
    return found


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_the_samples_fill_every_field_and_are_accepted(api: Api, route: Route) -> None:
    member = prepared(api, route)
    schema, document = schema_of(api, route)
    filled: set[Path] = set()
    for body in samples(route.function.__name__, api, member):
        reply = send(api, route, member, json.dumps(body).encode())
        assert reply.status in (200, 201, 202), reply.text
        filled |= {
            tuple("*" if isinstance(p, int) or (i and path[i - 1] in MAPS) else p
                  for i, p in enumerate(path))
            for path in places(body)
        }  # fmt: skip
    assert fields_of(schema, document) - filled == set()


def fault(reply: Reply, path: Path, *, valid: bool | None) -> str | None:
    """What is wrong with an answer to a body that is odd in one place; None when nothing is."""
    if reply.status >= 500:
        return f"{reply.status} {reply.text[:120]}"
    if reply.status < 400:
        return "accepted though the schema forbids it" if valid is False else None
    problem = reply.json
    if reply.headers["Content-Type"] != "application/problem+json" or problem["status"] != reply.status:
        return "not a problem"
    if reply.status == 422:
        place = "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in path)
        pointers = [error["pointer"] for error in problem["errors"]]
        related = [p for p in pointers if p.startswith(place) or place.startswith(p)]
        if not related:
            return f"points at {pointers}, not at {place}"
    return None


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_no_value_in_any_field_makes_a_5xx_or_a_write_that_the_schema_forbids(
    api: Api, counting: CountingTable, route: Route
) -> None:
    member = prepared(api, route)
    schema, document = schema_of(api, route)
    validator = jsonschema.Draft202012Validator({**schema, "components": document["components"]})
    name = route.function.__name__
    wrong: list[str] = []
    seen: set[Path] = set()
    accepted = 0
    for number, first in enumerate(samples(name, api, member)):
        for path in [path for path in places(first) if path not in seen]:
            seen.add(path)
            sample = first
            here: Any = first
            for part in path:
                here = here[part]
            for value in PLAIN if isinstance(here, str) else [v for v in PLAIN if not isinstance(v, str) or len(v) < 5]:
                body = put(sample, path, value)
                before = counting.commits
                reply = send(api, route, member, json.dumps(body).encode())
                told = fault(reply, path, valid=validator.is_valid(body))
                if told is None and reply.status >= 400 and counting.commits != before:
                    told = f"{reply.status} and yet something was written"
                if told:
                    wrong.append(f"{path} = {value!r:.40}: {told}")
                if reply.status < 400:
                    accepted += 1
                    member = {**member, **api.enrol()} if name in GONE_AFTER else member
                    sample = next(itertools.islice(samples(name, api, member), number, None))
    assert wrong == []
    once = (
        "ask_code", "give_tokens", "change_contact", "end_my_session", "revoke_integration_key", "deliver_purchase",
        "export_me", "export_me_page", "return_purchase", "refund_card", "capture_point_hold", "release_point_hold",
        "send_tests",
    )  # fmt: skip
    least = 1 if name in once or name.endswith("_point_transfer") else 3
    assert accepted >= (0 if name == "compare_segments" else least), (  # that takes ids and nothing else
        "a matrix that nothing passes tests only the first check"
    )


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_what_is_not_json_that_means_one_thing_is_refused_in_every_field(
    api: Api, counting: CountingTable, route: Route
) -> None:
    member = prepared(api, route)
    name = route.function.__name__
    body = next(samples(name, api, member))
    before = counting.commits
    wrong: list[str] = []
    for path in places(body):
        for raw, mark in RAW.items():
            if raw == "" and path and isinstance(path[-1], int):
                continue  # a list of one without its one is an empty list
            reply = send(api, route, member, text_of(put(body, path, mark)))
            told = fault(reply, path, valid=False)
            if told is None and reply.status not in (400, 413, 422) and "9" not in raw:
                told = f"{reply.status} {reply.code}"
            if told:
                wrong.append(f"{path} = {raw:.20}: {told}")
    assert wrong == []
    assert counting.commits == before


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_an_unknown_field_is_refused_wherever_there_is_an_object(api: Api, look: Look, route: Route) -> None:
    member = prepared(api, route)
    bodies = list(samples(route.function.__name__, api, member))
    before = look()
    for body in bodies:
        for path in places(body):
            here: Any = body
            for part in path:
                here = here[part]
            if not isinstance(here, dict) or "payload" in path or (path and path[-1] in MAPS):
                continue
            for unknown in ("member_id" if not path else "x", "status", "Version", "__class__", "a/b~c"):
                if unknown in here:
                    continue
                reply = send(api, route, member, json.dumps(put(body, path, {**here, unknown: 1})).encode())
                place = "".join(f"/{part}" for part in (*path, unknown.replace("~", "~0").replace("/", "~1")))
                assert (reply.status, reply.code) == (422, "request_invalid"), (path, unknown, reply.text)
                assert place in [error["pointer"] for error in reply.json["errors"]], (place, reply.text)
    assert look() == before


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_every_field_that_is_needed_is_missed(api: Api, look: Look, route: Route) -> None:
    member = prepared(api, route)
    schema, document = schema_of(api, route)
    required = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]].get("required", [])
    body = next(samples(route.function.__name__, api, member))
    before = look()
    for field in required:
        reply = send(api, route, member, json.dumps({k: v for k, v in body.items() if k != field}).encode())
        assert (reply.status, reply.code) == (422, "request_invalid")
        assert reply.json["errors"] == [{"pointer": f"/{field}", "detail": "Field required"}]
    assert look() == before


WHOLE: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "body_missing"),
    "white space": (b"  \n", 400, "body_malformed"),
    "half": (b'{"a":', 400, "body_malformed"),
    "two values": (b"{}{}", 400, "body_malformed"),
    "a string": (b'"x"', 422, "request_invalid"),
    "null": (b"null", 422, "request_invalid"),
    "a list": (b"[]", 422, "request_invalid"),
    "a number": (b"1", 422, "request_invalid"),
    "deep lists": (b"[" * 100_000 + b"]" * 100_000, 400, "body_malformed"),
    "deep and open": (b"[" * 100_000, 400, "body_malformed"),
    "deep objects": (b'{"a":' * 40_000 + b"1" + b"}" * 40_000, 400, "body_malformed"),
    "invalid UTF-8": (b'{"\xff":1}', 400, "body_malformed"),
    "GBK": ('{"reason":"甲"}'.encode("gbk"), 400, "body_malformed"),
    "what stands for lost characters": ('{"reason":"\ufffd"}'.encode(), 400, "body_malformed"),
    "the same as an escape": (b'{"reason":"a\\uFFfd"}', 400, "body_malformed"),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400, "body_malformed"),
    "UTF-16": ("{}".encode("utf-16"), 400, "body_malformed"),
    "a form": (b"a=1&b=2", 400, "body_malformed"),
    "XML": (b'<?xml version="1.0"?><a/>', 400, "body_malformed"),
    "too much": (b'{"a":"' + b"x" * 300_000 + b'"}', 413, "body_too_large"),
    "just too much": (b" " * (256 * 1024 + 1), 413, "body_too_large"),
    "a key twice": (b'{"reason":"a","reason":"b"}', 400, "body_malformed"),
    "many keys": (json.dumps({f"k{n}": n for n in range(15_000)}).encode(), 422, "request_invalid"),
}


@pytest.mark.parametrize("route", with_body(), ids=lambda route: route.function.__name__)
def test_a_body_that_is_none_is_refused_as_what_it_is(api: Api, look: Look, route: Route) -> None:
    member = prepared(api, route)
    before = look()
    for name, (body, status, code) in WHOLE.items():
        reply = send(api, route, member, body)
        assert (reply.status, reply.code) == (status, code), name
        assert reply.headers["Content-Type"] == "application/problem+json"
        assert len(reply.text) < 20_000, name
    for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded", "application/octet-stream",
                 "application/json5", "", ";", "multipart/form-data; boundary=x"):  # fmt: skip
        path = a_path(route.path, member_id=member["member_id"])
        who = caller_of(api, route.function.__name__, member)
        reply = who.send(route.method, path, b'{"x": 1}', Content_Type=kind, Idempotency_Key=f"h{next(_numbers)}")
        if kind in ("", ";"):
            assert reply.status in (400, 415, 422), kind
        else:
            assert (reply.status, reply.code) == (415, "content_type_unsupported"), kind
    assert look() == before


def test_orders_in_another_encoding_that_would_become_one_are_refused(api: Api, look: Look) -> None:
    member = api.enrol()["member_id"]
    before = look()
    for order_no in ("甲-1", "乙-1"):
        body = a_purchase_body({"member_id": member}, order_no=order_no)
        reply = api.send("POST", "/v1/purchases", json.dumps(body, ensure_ascii=False).encode("gbk"))
        assert (reply.status, reply.code) == (400, "body_malformed")
        assert reply.json["detail"].startswith("The body is not UTF-8")
    assert look() == before


def test_a_backslash_before_the_letters_of_an_escape_is_no_lost_character(api: Api) -> None:
    member = api.enrol(name="C:\\ufffd")["member_id"]
    assert api.unmasked(member, "name")["name"] == "C:\\ufffd"


def test_one_fault_is_told_once(api: Api) -> None:
    reply = api.post("/v1/members", {"card_no": "c", "custom": {"size": {}, "Bad": []}, "name": 1})
    pointers = [error["pointer"] for error in reply.json["errors"]]
    assert pointers == ["/name", "/custom/size", "/custom/Bad"]


@pytest.mark.parametrize("instant", ["20261122", "1732240000", "2026-03-15 12:00:00Z", "2026-03-15"])
def test_an_instant_in_digits_is_refused_wherever_one_is_taken(api: Api, look: Look, instant: str) -> None:
    member = a_full_member(api, 9_000)["member_id"]
    before = look()
    for path, body in (
        ("/v1/purchases", a_purchase_body({"member_id": member}, occurred_at=instant)),
        (f"/v1/members/{member}/point-spends", {"points": 1, "occurred_at": instant}),
        (f"/v1/members/{member}/point-adjustments", {"points": 1, "reason_code": "x", "occurred_at": instant}),
    ):
        reply = api.post(path, body, key="digits")
        assert (reply.status, [e["pointer"] for e in reply.json["errors"]]) == (422, ["/occurred_at"]), path
    for day in ("20261122", "1732240000", "2026-12-31T00:00:00", "2026-12-31T00:00:00Z"):
        body = {"points": 1, "reason_code": "x", "expires_on": day}
        reply = api.post(f"/v1/members/{member}/point-adjustments", body, key="digits")
        assert (reply.status, [e["pointer"] for e in reply.json["errors"]]) == (422, ["/expires_on"]), day
    assert look() == before


# ---------------------------------------------------------------- ids and queries


def with_ids() -> list[Route]:
    """The routes with an id in their path."""
    return sorted((route for route in ROUTES if route.path_types), key=lambda route: (route.path, route.method))


IDS = [
    "x", "mem_", "mem_a", "mem_" + "a" * 15, "mem_" + "a" * 17, "MEM_" + "a" * 16, "mem_" + "A" * 16, "mem_" + "1" * 16,
    "mem_" + "a" * 16 + "\n", "mem_" + "a" * 15 + "\x00", "mem_" + "a" * 15 + "/", "../../x", "mem_aaaa/../bbbb", "#",
    "%", "%25", "a b", "🙂", "é", "null", "undefined", "-1", "0", "x" * 3000, "{member_id}", "mem_" + "а" * 16,
    "pur_", "pur_a", "pur_" + "a" * 397, "pur_====", "pur_YQ==", "pur_aaaa\n", "pur_a/b#", "ent_a", ";", "'", '"',
    "mem_" + "a" * 16 + "%0A",
]  # fmt: skip


@pytest.mark.parametrize("route", with_ids(), ids=lambda route: f"{route.method} {route.path}")
def test_an_id_that_none_can_have_is_not_found(api: Api, look: Look, route: Route) -> None:
    api = caller_of(api, route.function.__name__, api.enrol())
    before = look()
    for name, value in itertools.product(route.path_types, IDS):
        if route.path_types[name] is RoleName and re.fullmatch(RoleName.pattern, value) and "\n" not in value:
            continue  # merchants name their roles, and may call one that
        path = a_path(route.path, **{name: quote(value, safe="")})
        reply = api.send(route.method, path, b"{}" if route.body else None, Idempotency_Key="k")
        assert reply.status == 404, value
        if route.path_types[name] is OptOutToken and re.fullmatch(OptOutToken.pattern, value):
            assert reply.code == "opt_out_unknown", "whatever is no such token is answered alike"
            continue
        kind = route.path_types[name]
        if kind in (ProviderName, CallbackSecret) and re.fullmatch(kind.pattern, value):
            assert reply.code == "callback_unknown", "who is not set up and a wrong secret are answered alike"
            continue
        if kind is RunId and re.fullmatch(RunId.pattern, value):
            assert reply.code == "delivery_run_unknown", "campaigns and journeys name their runs each their own way"
            continue
        assert reply.code == "id_malformed", value
        assert reply.json["facts"] == {"parameter": name}
    assert look() == before


@pytest.mark.parametrize(
    "value",
    ["pur_YSMx", "pur_YSMxIzI", "pur_YSUxIzI", "pur_Iw", "pur_I" + "w" * 395, "pur_____", "pur_----",
     "pur_" + "a" * 396, "pur_YSNiIyM", "pur_cG9zIyUyMw"],
)  # fmt: skip
def test_a_purchase_id_of_the_right_form_that_names_nothing_is_unknown(api: Api, value: str) -> None:
    reply = api.get(f"/v1/purchases/{value}")
    assert (reply.status, reply.code) in {(404, "purchase_unknown"), (404, "id_malformed")}


def with_query() -> list[Route]:
    """The routes that take a query."""
    return sorted((route for route in ROUTES if route.query is not None), key=lambda route: (route.path, route.method))


TEXTS = [
    "", " ", "0", "-1", "101", "1e3", "abc", "1_0", "1.0", "+1", " 1", "1 ", "1\n", "01", "0x1", "٣", "NaN", "Infinity",
    "9" * 30, "9" * 5000, "null", "true", "[]", "{}", "\x00", "a\x07", "a\u2028b", "🙂", "#", "%", "a#b", "a%23b",
    "x" * 501, "x:", ":x", "x:y:z", "X:y", "a@b", "a@b.c", "@", "+", "+86", "()", "13800138000", "+1-", "000000000000",
    "1" * 12, "../..", "' OR 1=1", "\u202e", "\ud7ff", "\ufffd",
]  # fmt: skip


@pytest.mark.parametrize("route", with_query(), ids=lambda route: f"{route.method} {route.path}")
def test_no_query_makes_a_5xx_and_faults_are_pointed_at(api: Api, look: Look, route: Route) -> None:
    assert api.put("/v1/program", {**TERMS, "version": 1}).status == 200, "as many look-ups may miss as are made here"
    member = api.enrol()
    assert route.query is not None
    path = a_path(route.path, member_id=member["member_id"])
    api = caller_of(api, route.function.__name__, member)
    before = look()
    for name in route.query.model_fields:
        for text in TEXTS:
            reply = api.send(route.method, f"{path}?{name}={quote(text, safe='')}")
            assert reply.status in (200, 400, 404, 422), (name, text, reply.text)
            if reply.status == 422:
                pointers = {error["pointer"] for error in reply.json["errors"]}
                assert pointers <= {f"/query/{name}", "/query"}, (name, text)
    if route.query in (Signed, OptOutShown):
        # Whoever signs may add to the query what it likes: it proves itself, or is unknown. And nothing that is hung on
        # a link may stand in the way of an opt-out.
        assert look() == before
        return
    for query, pointer in (("unknown=1", "/query/unknown"), ("Limit=1", "/query/Limit"), ("%FF=1", "/query/\ufffd")):
        reply = api.send(route.method, f"{path}?{query}")
        assert (reply.status, reply.code) == (422, "request_invalid")
        assert pointer in {error["pointer"] for error in reply.json["errors"]}
    assert look() == before


@pytest.mark.parametrize("text", ["0", "101", "-1", "1e3", "abc", "1_0", "1.0", "+1", " 1", "01", "", "9" * 30, "1\n"])
def test_a_limit_that_is_not_1_to_100_in_plain_digits_is_refused(api: Api, text: str) -> None:
    member = api.enrol()["member_id"]
    for path in ("point-entries", "purchases", "timeline", "cards"):
        reply = api.get(f"/v1/members/{member}/{path}", limit=text)
        assert (reply.status, reply.code) == (422, "request_invalid"), path
        assert [error["pointer"] for error in reply.json["errors"]] == ["/query/limit"]


@pytest.mark.parametrize("query", ["limit=1&limit=2", "limit=1&limit=1", "cursor=a&cursor=b"])
def test_a_parameter_twice_is_refused_because_it_means_two_things(api: Api, query: str) -> None:
    member = api.enrol()["member_id"]
    reply = api.send("GET", f"/v1/members/{member}/point-entries?{query}")
    assert (reply.status, reply.code) == (422, "request_invalid")
    assert [error["pointer"] for error in reply.json["errors"]] == ["/query/" + query.partition("=")[0]]


@pytest.mark.parametrize("query", ["", "mobile=1&email=a@b.cn", "card_no=a&card_no=b"])
def test_a_look_up_by_none_or_by_two_is_refused(api: Api, query: str) -> None:
    reply = api.send("GET", f"/v1/members?{query}")
    assert (reply.status, reply.code) == (422, "request_invalid")


BAD_CURSORS: list[Callable[[str], str]] = [
    lambda good: "x", lambda good: "", lambda good: good[:-1], lambda good: good + "A", lambda good: good + "=",
    lambda good: good[::-1], lambda good: good.swapcase(), lambda good: "é", lambda good: "A" * 500,
    lambda good: ("C" if good[0] == "B" else "B") + good[1:],
    lambda good: good + " ", lambda good: " " + good, lambda good: good + "\n",
]  # fmt: skip


def test_a_cursor_that_was_not_given_out_for_this_list_is_refused(api: Api) -> None:
    member, other = (api.enrol()["member_id"] for _ in range(2))
    for each in (member, other):
        api.buy(each)
        api.buy(each)
    lists = [f"/v1/members/{member}/{name}" for name in ("point-entries", "purchases", "timeline")]
    lists.append(f"/v1/members/{other}/point-entries")
    cursors = [api.get(path, limit=1).json["next_cursor"] for path in lists]
    assert None not in cursors
    for path, good in zip(lists, cursors, strict=True):
        for bad in [make(good) for make in BAD_CURSORS] + [cursor for cursor in cursors if cursor != good]:
            reply = api.get(path, limit=1, cursor=bad)
            assert (reply.status, reply.code) == (400, "cursor_invalid"), bad
        assert api.get(path, limit=1, cursor=good).status == 200
