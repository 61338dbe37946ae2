"""Builders of what tests need. Each has sensible values; a test names only what it is about."""

import itertools
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt

from chalicelib.consents.models import PublishConsentText
from chalicelib.consents.service import publish_text
from chalicelib.identity.permissions import ROLES, Scope
from chalicelib.kernel.ids import ApprovalId, CampaignId, JourneyId, MemberId, MemberNumber, StaffId, TemplateId
from chalicelib.members.models import EnrolMember, MemberRef
from chalicelib.points.models import Account
from chalicelib.programs.models import DEFAULT_TERMS, Program
from chalicelib.purchases.models import PurchaseLine, RecordPurchase
from chalicelib.storage.keyring import SealedContacts
from chalicelib.storage.table import Table
from chalicelib.storage.vault import LocalKeeper, TableVault, TenantKeys
from local.gateway import LambdaContext, proxy_event
from local.matcher import Matcher

NOON = datetime(2026, 3, 15, 4, 0, tzinfo=UTC)
"""12:00 on 15 March 2026 in Shanghai."""

_numbers = itertools.count(1)


@dataclass
class Clock:
    """A clock that stands still until it is told."""

    now: datetime

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def forward(self, **amount: float) -> datetime:
        """Let time pass: `days=1`, `hours=2` …"""
        self.now += timedelta(**amount)
        return self.now

    def at(self, day: str) -> datetime:
        """Noon in Shanghai on a day."""
        self.now = datetime.combine(date.fromisoformat(day), NOON.time(), tzinfo=UTC)
        return self.now


SOME_IDS = {
    "purchase_id": "pur_cG9zI29yZGVyLTE",
    "pool_id": "pol_25cd2wakkbrfc4dc",
    "card_id": "crd_aaaaaaaaaaaaaaaa",
    "merge_id": "mrg_bTE",
    "hold_id": "hld_aG9sZC0x",
    "transfer_id": "trf_Z2lmdC0x",
    "entry_id": "ent_SyNhZGp1c3QjZ2lmdA",
    "staff_id": StaffId.of("https://idp.example.com", "somebody"),
    "role": "barista",
    "approval_id": ApprovalId.of("adjustment", "big"),
    "session_id": "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa",
    "key_id": "key_ihdozjwhdmizplv7",
    "audit_id": "aud_019cefa5e0000000000000000a1",
    "alert_id": "alr_QUwjc2VsZl9lYXJuaW5nI3N0Zl9jbGVyayMyMDI2LTAzLTE1",
    "provider": "aliyun",
    "secret": "c" * 30,
    "template_id": TemplateId.of("template-1"),
    "suppression_id": "sup_U1VQI3NtcyNub2JvZHlz",
    "token": "bm90aGluZw.bm90aGluZyBvZiBvdXJzIQ",
    "segment_id": "seg_jppat4b7dhiecrya",
    "campaign_id": CampaignId.of("campaign-1"),
    "journey_id": JourneyId.of("journey-1"),
    "export_id": "sgx_aaaaaaaaaaaaaaaaaaaaaaaa",
    "job": "birthday",
    "day": "2026-03-14",
}


def a_path(path: str, **ids: str) -> str:
    """A route's path with ids in it, some that have the right form where none are named."""
    for name, value in {**SOME_IDS, **ids}.items():
        path = path.replace("{" + name + "}", value)
    return "/v1" + path


def contacts_in(table: Table, secret: bytes = b"k" * 32) -> SealedContacts:
    """Contact data sealed with keys of a vault in that table, whose keeper has that key."""
    chance = secrets.token_bytes
    tenant = TenantKeys(table, LocalKeeper(lambda: secret, chance), chance, lambda: datetime.now(UTC))
    return SealedContacts(TableVault(table, tenant, chance), chance)


def publish_texts(table: Table, *purposes: str, versions: Sequence[str] = ("1",)) -> None:
    """Publish texts of consents, for all channels."""
    for purpose in purposes:
        for version in versions:
            text = PublishConsentText(purpose=purpose, text_version=version, zh="同意", en="I agree")
            publish_text(table, text, by="stf_test", now=NOON)


class Tray:
    """A queue port that keeps what it is sent until somebody takes it."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
        """See `Queues.send`."""
        self.bodies += bodies

    def taken(self) -> list[dict[str, Any]]:
        """Take everything, as the records of a Lambda event."""
        taken, self.bodies = self.bodies, []
        return [{"messageId": f"m{number}", "body": body} for number, body in enumerate(taken)]


class Queued:
    """A line port that keeps what it is sent, in order, until somebody takes it."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []
        self.sent = 0

    def send(self, group: str, body: str, *, once: str) -> None:
        """See `Line.send`."""
        self.sent += 1
        self.records.append(a_record(group, body, once))

    def taken(self, most: int = 10) -> dict[str, Any]:
        """Take a batch, as a Lambda event."""
        taken, self.records = self.records[:most], self.records[most:]
        return {"Records": taken}


def a_record(group: str, body: str, message_id: str, received: int = 1) -> dict[str, Any]:
    """A message of a FIFO queue as Lambda hands it over."""
    attributes = {"MessageGroupId": group, "ApproximateReceiveCount": str(received)}
    return {"messageId": message_id, "body": body, "attributes": attributes}


def a_program(**terms: Any) -> Program:
    """The default program with some terms changed, from plain values: `expiry={"mode": "never"}`."""
    plain = {**DEFAULT_TERMS, "version": 1, "published_at": NOON, **terms}
    return Program.model_validate(plain, strict=False)


def a_ladder(*thresholds: int, **qualification: Any) -> dict[str, Any]:
    """A ladder with tiers t0, t1 … at thresholds: plain values for `a_program(ladder=…)`."""
    tiers = [
        {"tier_id": f"t{i}", "name": {"zh": f"级{i}", "en": f"Tier {i}"}, "threshold": threshold}
        for i, threshold in enumerate(thresholds)
    ]
    return {"tiers": tiers, "qualification": qualification}


def a_draw() -> int:
    """A whole number for an id, another each time: of two that are the same, one is refused."""
    return next(_numbers)


def a_member_id() -> MemberId:
    """Some member's id, another each time."""
    return MemberId.of(MemberNumber.from_chance(next(_numbers)))


def an_account(**fields: Any) -> Account:
    """A new account."""
    values = {"member_id": a_member_id(), "opened_on": date(2026, 1, 1), "tier_id": "basic", **fields}
    return Account(**values)


def an_enrolment(**fields: Any) -> EnrolMember:
    """A command to enrol somebody new."""
    values = {"name": "张三", "card_no": f"card-{next(_numbers)}", **fields}
    return EnrolMember.model_validate_json(json.dumps(values))


def a_purchase(member_id: str, **fields: Any) -> RecordPurchase:
    """A purchase of 38.50 yuan with an order number of its own; fields as a till would send them."""
    return RecordPurchase.model_validate_json(json.dumps(a_purchase_body({"member_id": member_id}, **fields)))


def a_purchase_body(member: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The JSON body of a purchase of 38.50 yuan."""
    return {
        "channel": "pos",
        "order_no": f"order-{next(_numbers)}",
        "member": member,
        "shop_id": "shp_main",
        "occurred_at": "2026-03-15T12:00:00+08:00",
        "currency": "CNY",
        "lines": [{"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 1, "unit_price_minor": 3850}],
        "paid_minor": 3850,
        **fields,
    }


def a_line(**fields: Any) -> PurchaseLine:
    """A line of a basket."""
    return PurchaseLine(
        **{"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 1, "unit_price_minor": 3850, **fields}
    )


def a_member_ref(**fields: Any) -> MemberRef:
    """Names a member by one identifier."""
    return MemberRef.model_validate_json(json.dumps(fields))


def _shop_of(role: str) -> dict[str, str]:
    """Who stands at a till belongs to a shop, that of `a_purchase`."""
    reaches_shops = Scope.SHOP in ROLES[role].values() if role in ROLES else False
    return {"shop_id": "shp_main"} if reaches_shops else {}


def a_token(key: bytes, issuer: str, audience: str, now: datetime, role: str = "admin", **claims: Any) -> str:
    """A bearer token."""
    issued = int(now.timestamp())
    payload = {
        "iss": issuer, "aud": audience, "sub": f"stf_{role}", "roles": [role], **_shop_of(role),
        "iat": issued, "nbf": issued, "exp": issued + 3600, **claims,
    }  # fmt: skip
    return jwt.encode(payload, key, algorithm="HS256")


@dataclass(frozen=True)
class Reply:
    """An answer over HTTP."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)

    @property
    def code(self) -> str:
        """The problem's code."""
        return str(self.json["code"])

    @property
    def replayed(self) -> bool:
        """Whether it says that it changed nothing."""
        return self.headers.get("Idempotency-Replayed") == "true"


@dataclass
class Api:
    """Calls the Chalice app with the events that API Gateway would send."""

    clock: Clock
    token_key: bytes
    issuer: str
    audience: str
    role: str = "admin"
    bearer: str = ""
    address: str = "127.0.0.1"

    def as_(self, role: str) -> "Api":
        """The same API, signed in with another role."""
        return Api(self.clock, self.token_key, self.issuer, self.audience, role)

    def with_(self, bearer: str, *, address: str = "127.0.0.1") -> "Api":
        """The same API, called with a bearer token of any kind, from a network address."""
        return Api(self.clock, self.token_key, self.issuer, self.audience, bearer=bearer, address=address)

    def get(self, path: str, **query: Any) -> Reply:
        """GET, with a query."""
        return self.send("GET", path + ("?" + urlencode(query) if query else ""))

    def post(self, path: str, body: Any, *, key: str | None = None, **headers: str) -> Reply:
        """POST a JSON body, with an Idempotency-Key if given."""
        return self.send("POST", path, body, **({"Idempotency-Key": key} if key else {}), **headers)

    def patch(self, path: str, body: Any, **headers: str) -> Reply:
        """PATCH a JSON body."""
        return self.send("PATCH", path, body, **headers)

    def put(self, path: str, body: Any, **headers: str) -> Reply:
        """PUT a JSON body."""
        return self.send("PUT", path, body, **headers)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Any request; a body that is bytes is sent as it is. Header names as keywords, `_` for `-`."""
        path, _, query = path.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        sent |= {name.lower().replace("_", "-"): value for name, value in headers.items()}
        scope = {
            "method": method,
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
            "query_string": query.encode("latin-1"),
            "client": (self.address, 1),
        }
        found = _routes().find(path)
        assert found is not None, f"no route for {path}"
        resource, params = found
        event = proxy_event(
            scope, resource=resource.path, path=path, params=params, body=raw,
            binary_types=frozenset(), request_id="req-test",
        )  # fmt: skip
        response = _app()(event, LambdaContext())
        return Reply(response["statusCode"], response["headers"], response["body"])

    @property
    def token(self) -> str:
        """A token for the role, or the one that it is called with."""
        return self.bearer or a_token(self.token_key, self.issuer, self.audience, self.clock(), self.role)

    def publish_texts(self, *purposes: str, version: str = "1") -> None:
        """Publish texts of consents, for all channels."""
        for purpose in purposes:
            text = {"purpose": purpose, "text_version": version, "zh": "同意", "en": "I agree"}
            assert self.post("/v1/consent-texts", text).status in (201, 200)

    def enrol(self, **fields: Any) -> dict[str, Any]:
        """Enrol somebody; the member."""
        values = {"name": "张三", "card_no": f"card-{next(_numbers)}", **fields}
        reply = self.post("/v1/members", values)
        assert reply.status == 201, reply.text
        member: dict[str, Any] = reply.json
        return member

    def unmasked(self, member_id: str, *fields: str) -> dict[str, Any]:
        """Personal data of a member as they are."""
        reply = self.post(f"/v1/members/{member_id}/unmaskings", {"fields": fields, "reason": "a call back"})
        assert reply.status == 201, reply.text
        values: dict[str, Any] = reply.json["values"]
        return values

    def buy(self, member_id: str, paid_minor: int = 3850, **fields: Any) -> dict[str, Any]:
        """Record a purchase; what it came to."""
        reply = self.post("/v1/purchases", a_purchase_body({"member_id": member_id}, paid_minor=paid_minor, **fields))
        assert reply.status == 201, reply.text
        bought: dict[str, Any] = reply.json
        return bought


@cache
def _app() -> Any:
    from app import app

    return app


@cache
def _routes() -> Matcher:
    return Matcher(_app().routes)
