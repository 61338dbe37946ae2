"""Examples for the OpenAPI document: what a field may hold, and what a fault looks like.

Documentation that is given none makes them up from patterns, and fills its forms with noise.
"""

import re
from typing import Any

from chalicelib.api import problems
from chalicelib.kernel.errors import Refusal, Trouble

_SIXTEEN = "eprcj74dxjbgmkc2"
_PART = "dGlsbC9KQS0yMDI2LTAwMDE"

_PEOPLE = ("EditMe", "EditMember", "EditStaff", "EnrolMember", "InviteStaff", "Me", "MemberView", "PlainValues",
           "StaffView", "WhoAmI")  # fmt: skip

_BY_FIELD = {
    **{f"{model}.name": "李小明" for model in _PEOPLE},
    "InviteStaff.subject": "li.xiaoming",
    "PurchaseLine.name": "拿铁（大杯）",
    "action": "adjust_points",
    "bank": "工商银行",
    "birthday": "1990-05-17",
    "by": "stf_admin",
    "card_no": "CARD-000123",
    "categories": "coffee",
    "category": "coffee",
    "channel": "till",
    "currency": "CNY",
    "email": "li.xiaoming@example.com",
    "en": "I agree to be told of offers.",
    "html": "<p>{{name}}，生日快乐！</p>",
    "issuer": "https://id.example.com",
    "mobile": "+8613800138000",
    "name": "春季",
    "note_to_member": "谢谢您的耐心。",
    "order_no": "JA-2026-0001",
    "purpose": "marketing",
    "reason": "The till was offline at noon.",
    "reason_code": "goodwill",
    "reference": "R-2026-0001",
    "roles": "clerk",
    "sku": "latte-l",
    "skus": "latte-l",
    "step": "first",
    "subject": "生日快乐，{{name}}",
    "tag": "vip",
    "tags": "vip",
    "text": "{{name}}，生日快乐！",
    "text_version": "2026-01",
    "tier_id": "gold",
    "time_zone": "Asia/Shanghai",
    "title_en": "Offers and news",
    "title_zh": "优惠与活动",
    "zh": "我同意接收优惠信息。",
}
"""By the name of the field, or of its model and the field, where what it holds follows from that."""

_SHAPES = (
    "Asked for at the till.", "R-2026-0001", "goodwill", "CNY", "CN", "1234", "123456", "100000000007", "12:30",
    "2026-03", "1990-05-17", "li.xiaoming@example.com", "SMS_123456789", "常客会员", "shp_jingan",
    *(f"{kind}_{_SIXTEEN}" for kind in ("mem", "pol", "crd", "cmp", "jrn", "seg", "tpl", "key", "stf")),
    *(f"{kind}_{_PART}" for kind in ("pur", "ent", "hld", "trf", "mrg", "alr", "sup")),
    *(f"{kind}_{_SIXTEEN}eprcj74d" for kind in ("apr", "sgx")),
    *(f"{kind}_{_SIXTEEN}eprcj74dxj" for kind in ("otp", "ses")),
    "unm_eprcj74dxjbgm", "aud_0123456789abcdef0123456789a", f"crn_{_SIXTEEN}once01",
    f"dlv_birthday-{_SIXTEEN}-0123456789abcdef", "0123456789abcdef0123456789abcdef",
)  # fmt: skip
"""Strings of every shape that a pattern asks for; a field whose name says nothing is given the first that fits."""


_WHOLE: dict[str, dict[str, Any]] = {
    "EnrolMember": {"name": "李小明", "mobile": "+8613800138000", "birthday": "1990-05-17", "dry_run": True},
    "RecordPurchase": {
        "channel": "till", "order_no": "JA-2026-0001", "member": {"mobile": "+8613800138000"}, "currency": "CNY",
        "occurred_at": "2026-03-15T12:00:00+08:00", "paid_minor": 3600, "dry_run": True,
        "lines": [{"sku": "latte-l", "name": "拿铁（大杯）", "quantity": 1, "unit_price_minor": 3600}],
    },
    "AdjustPoints": {"points": 100, "reason_code": "goodwill", "note_to_member": "谢谢您的耐心。", "dry_run": True},
    "CreateSegment": {"name": "春季", "definition": {"kind": "tag", "op": "has_any", "tags": ["vip"]}},
    "CountMembers": {"definition": {"kind": "tag", "op": "has_any", "tags": ["vip"]}},
}  # fmt: skip
"""Whole bodies, where one made of every field would be refused, or would leave out what it needs."""

_LARGE = 10**9
_ORDINARY = 100


def illustrate(schemas: dict[str, Any]) -> None:
    """Give each string of the models an example, where its name or pattern says what may stand there.

    A number whose limits are far off is given an ordinary one; some bodies are given whole.
    """
    for model, schema in schemas.items():
        if model in _WHOLE:
            schema["examples"] = [_WHOLE[model]]
        for name, prop in schema.get("properties", {}).items():
            for each in _of_type("string", prop):
                found = _example(model, name, each)
                if found is not None:
                    each["examples"] = [found]
            for each in _of_type("integer", prop):
                if max(-each.get("minimum", 0), each.get("maximum", 0)) >= _LARGE:
                    each["examples"] = [_ORDINARY]
            if any("patternProperties" in each for each in (prop, *prop.get("anyOf", ()))):
                prop["examples"] = [{}]  # its names are the merchant's own


def _of_type(kind: str, schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The strings, or numbers, that a property is, or may be, or is a list of; without those whose value is known."""
    parts = [*schema.get("anyOf", ()), *([schema["items"]] if isinstance(schema.get("items"), dict) else ())]
    free = schema.get("type") == kind and not {"enum", "const", "default", "format"} & schema.keys()
    return [*([schema] if free else ()), *(each for part in parts for each in _of_type(kind, part))]


def _example(model: str, name: str, schema: dict[str, Any]) -> str | None:
    named = [_BY_FIELD[each] for each in (f"{model}.{name}", name) if each in _BY_FIELD]
    found = [each for each in (*named, *(_SHAPES if "pattern" in schema else ())) if _fits(each, schema)]
    return found[0] if found else None


def _fits(text: str, schema: dict[str, Any]) -> bool:
    right = schema.get("minLength", 0) <= len(text) <= schema.get("maxLength", len(text))
    return right and re.search(schema.get("pattern", ""), text) is not None


def fault(kind: type[Refusal] | type[Trouble]) -> dict[str, Any]:
    """What a refusal or trouble of a kind looks like; its detail and facts are those of a request."""
    title = problems.title_of(kind)
    return {
        "summary": title,
        "value": {
            "type": f"urn:regulars:problem:{kind.code}",
            "title": title,
            "status": problems.STATUS[kind.code],
            "detail": f"{title}.",
            "instance": "urn:regulars:request:3f0c6a52-7b1e-4d7e-9a51-0c2f6f0d9b11",
            "code": kind.code,
            "facts": {},
        },
    }
