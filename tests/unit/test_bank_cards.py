"""No full bank card number gets into free text, however it is written; and what is none stays."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from chalicelib.api import bodies
from chalicelib.api.errors import RequestInvalid
from chalicelib.api.routing import ROUTES
from chalicelib.cards.models import OpenCard
from chalicelib.kernel.cards import holds_bank_card, is_bank_card
from chalicelib.members.models import EditMember, EnrolMember, SuspendMember
from chalicelib.points.models import AdjustPoints
from chalicelib.pools.models import OpenPool
from chalicelib.programs.models import DEFAULT_TERMS, PublishProgram
from chalicelib.purchases.models import RecordPurchase
from chalicelib.transfers.models import OfferTransfer
from tests.makers import a_purchase_body

CARDS = {
    "Visa": "4111111111111111", "Visa, 13 digits": "4222222222222", "Mastercard": "5555555555554444",
    "Mastercard, new": "2223003122003222", "American Express": "378282246310005", "UnionPay": "6222020200112233440",
    "UnionPay, 16 digits": "6250941006528599", "ICBC of old": "9558801001114990919",
    "JCB": "3530111333300000", "Diners Club": "30569309025904", "Discover": "6011111111111117",
}  # fmt: skip


OTHER_DIGITS = (
    "〇一二三四五六七八九",
    "零壹贰叁肆伍陆柒捌玖",
    "零壹貳參肆伍陸柒捌玖",
    "⓪①②③④⑤⑥⑦⑧⑨",
    "⓪➀➁➂➃➄➅➆➇➈",
    "⁰¹²³⁴⁵⁶⁷⁸⁹",
    "𝟎𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖𝟗",
)
CHINESE = str.maketrans("0123456789", OTHER_DIGITS[0])


def luhn(front: str) -> str:
    """Digits with the check digit that makes them a card's."""
    return next(front + digit for digit in "0123456789" if is_bank_card(front + digit))


@pytest.mark.parametrize("number", [luhn(number[:-1]) for number in CARDS.values()], ids=list(CARDS))
def test_a_card_number_is_found_however_it_is_written(number: str) -> None:
    fours = [number[at : at + 4] for at in range(0, len(number), 4)]
    full = "".join(chr(ord(digit) + 0xFEE0) for digit in number)
    for written in (
        number, " ".join(fours), "-".join(fours), ".".join(fours), " - ".join(fours), "\u00a0".join(fours), full,
        "\u3000".join(fours), "\n".join(fours), "\u200b".join(number), "－".join(fours), f"卡号{number}，谢谢",
        *("".join(map(dict(zip("0123456789", digits, strict=True)).__getitem__, number)) for digits in OTHER_DIGITS),
        f"卡号{number[:4].translate(CHINESE)} {number[4:]}",
        f"2026-03-15 {number}", f"tel 13800138000 / {' '.join(fours)}", "".join(chr(0x0660 + int(d)) for d in number),
    ):  # fmt: skip
        assert holds_bank_card(written), written


@pytest.mark.parametrize(
    "text",
    [
        "", "王小明", "13800138000", "+86 138 0013 8000", "2026-03-15 12:00", "4111111111111112",
        "6901234567892 可口可乐", "4006381333931 Stabilo", "4902505163074 パイロット", "ending 1111",
        "四一一一和一一一一", "二〇二六年三月十五日一三八〇〇一三八〇〇〇", "第四一一一号，共一千一百一十一人",
        "call 4111 and 1111 or 1111, then 1111", "411111111111111111111111", "20260315123456789012345678",
        "1234567890123456", "8888888888888888", "6666666666666666", "0000000000000000",
    ],
)  # fmt: skip
def test_what_is_no_card_number_stays(text: str) -> None:
    assert not holds_bank_card(text)


@given(st.text(max_size=60))
def test_any_text_can_be_looked_at(text: str) -> None:
    holds_bank_card(text)


VISA = "付款卡 4111 1111 1111 1111"
FREE: list[tuple[type[BaseModel], dict[str, Any], str]] = [
    (EnrolMember, {"card_no": "1", "name": VISA}, "/name"),
    (EnrolMember, {"card_no": "1", "tags": ["vip", VISA]}, "/tags/1"),
    (EnrolMember, {"card_no": "1", "custom": {"note": VISA}}, "/custom/note"),
    (EnrolMember, {"card_no": "1", "custom": {"note": 378282246310005}}, "/custom/note"),
    (EnrolMember, {"card_no": "1", "bank_cards": [{"bank": VISA, "last_four": "1111"}]}, "/bank_cards/0/bank"),
    (
        EnrolMember,
        {"card_no": "1", "bank_cards": [{"bank": "b", "last_four": "1111", "token": "4111111111111111"}]},
        "/bank_cards/0/token",
    ),
    (EditMember, {"version": 1, "name": VISA}, "/name"),
    (SuspendMember, {"reason": VISA}, "/reason"),
    (AdjustPoints, {"points": 1, "reason_code": "x", "note_internal": VISA}, "/note_internal"),
    (AdjustPoints, {"points": 1, "reason_code": "x", "note_to_member": VISA}, "/note_to_member"),
    (OfferTransfer, {"to": {"card_no": "1"}, "points": 1, "message": VISA}, "/message"),
    (OpenPool, {"owner_id": "mem_aaaaaaaaaaaaaaaa", "name": VISA, "kind": "family"}, "/name"),
    (OpenCard, {"kind": "stored_value", "name": VISA}, "/name"),
    (
        RecordPurchase,
        a_purchase_body({"card_no": "1"}, lines=[{"sku": "1", "name": VISA, "quantity": 1, "unit_price_minor": 3850}]),
        "/lines/0/name",
    ),
    (PublishProgram, {**DEFAULT_TERMS, "version": 1, "name": {"zh": VISA, "en": "x"}}, "/name/zh"),
]


@pytest.mark.parametrize(("model", "body", "pointer"), FREE, ids=[f"{m.__name__}{p}" for m, _, p in FREE])
def test_a_full_card_number_is_refused_where_people_write_what_they_like(
    model: type[BaseModel], body: dict[str, Any], pointer: str
) -> None:
    with pytest.raises(RequestInvalid) as refused:
        bodies.body_of(json.dumps(body).encode(), model)
    (error,) = refused.value.errors
    assert error["pointer"] == pointer
    assert "last four" in error["detail"]
    assert "4111" not in json.dumps(refused.value.errors)


def test_numbers_of_our_own_and_of_others_may_look_like_cards() -> None:
    number = "4111111111111111"
    body = a_purchase_body(
        {"card_no": number}, order_no=number, lines=[{"sku": number, "quantity": 1, "unit_price_minor": 3850}]
    )
    assert bodies.body_of(json.dumps(body).encode(), RecordPurchase).order_no == number


def test_what_was_stored_before_is_read_as_it_is() -> None:
    assert SuspendMember.model_validate_json(json.dumps({"reason": VISA})).reason == VISA


OF_A_SHAPE = {"mobile", "time_zone", "external_id", "refresh_token"}
"""Text that is looked at by code of its own, which takes no card number for it; none of it is kept as it was sent."""


def loose(schema: Any, defs: dict[str, Any], name: str = "") -> Iterator[str]:
    """Names of fields whose text has neither a shape nor a list of what it may be."""
    if "$ref" in schema:
        schema = defs[schema["$ref"].rpartition("/")[2]]
    for field, each in schema.get("properties", {}).items():
        yield from loose(each, defs, field)
    for each in (*schema.get("anyOf", ()), *schema.get("allOf", ()), *schema.get("prefixItems", ())):
        yield from loose(each, defs, name)
    for inside in ("items", "additionalProperties"):
        if isinstance(schema.get(inside), dict):
            yield from loose(schema[inside], defs, name)
    if schema.get("type") == "string" and not schema.keys() & {"pattern", "enum", "const", "format"}:
        yield name


def test_no_command_takes_text_that_is_not_looked_at() -> None:
    import app  # noqa: F401 - declares the routes

    found = {
        f"{route.method} {route.path}: {name}"
        for route in ROUTES
        if route.body is not None
        for name in loose(route.body.model_json_schema(), route.body.model_json_schema().get("$defs", {}))
        if name not in OF_A_SHAPE
    }
    assert found == set()
