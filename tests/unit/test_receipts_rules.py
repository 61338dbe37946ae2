"""What providers tell is understood or refused, whatever it is, and in a time that grows with its length."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.receipts import rules
from chalicelib.receipts.errors import CallbackMalformed
from chalicelib.receipts.models import Told

ALIYUN = {
    "phone_number": "13800138000", "success": False, "err_code": "MK:0001", "biz_id": "1^2", "out_id": "dlv_x",
    "report_time": "2026-03-01 10:00:00", "content": "TD", "send_time": "20260301100000", "sequence_id": 1,
    "sign_name": "x",
}  # fmt: skip
TENCENT = {
    "report_status": "FAIL", "sid": "1", "errmsg": "NO_ROUTE", "user_receive_time": "2026-03-01 10:00:00",
    "nationcode": "86", "mobile": "13800138000", "time": 1_772_000_000, "text": "TD", "sign": "x",
}  # fmt: skip
SES = {
    "eventType": "Bounce",
    "mail": {"messageId": "m", "timestamp": "2026-03-01T10:00:00Z", "tags": {"delivery_id": ["dlv_x"]}},
    "bounce": {
        "bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-03-01T10:00:00Z",
        "bouncedRecipients": [{"emailAddress": "a@example.com"}], "complaintSubType": "x",
    },
}  # fmt: skip
WECHAT = {
    "MsgType": "text", "MsgId": "1", "Content": "TD", "FromUserName": "o", "CreateTime": "1772000000", "MsgID": "2",
    "Event": "TEMPLATESENDJOBFINISH", "Status": "failed:user block",
}  # fmt: skip

ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.lists(st.integers(), max_size=2),
    st.sampled_from((
        10**18, -(10**18), 2**33, 2**63, -1, 10**400, "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00",
        "9999-12-31 23:59:59", "0001-01-01 00:00:00", "99999999999999", "１３８００１３８０００", "\ud800", "+", "", {},
        {"a": "b"}, [{}], [None], "x" * 2_000,
    )),
)  # fmt: skip


def changed(document: Any, path: tuple[Any, ...], value: Any, *, gone: bool) -> Any:
    """A document with another value at a place, or without it."""
    if not path:
        return value
    own = dict(document) if isinstance(document, dict) else list(document)
    if gone and len(path) == 1:
        del own[path[0]]
    else:
        own[path[0]] = changed(own[path[0]], path[1:], value, gone=gone)
    return own


def places(document: Any) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(document, dict):
        inner = list(document.items())
    elif isinstance(document, list):
        inner = list(enumerate(document))
    return [(), *((name, *path) for name, each in inner for path in places(each))]


def documents(whole: Any) -> st.SearchStrategy[Any]:
    """A document with one or two places changed."""
    once = st.tuples(st.sampled_from(places(whole)), ODD, st.booleans())

    def build(changes: list[tuple[tuple[Any, ...], Any, bool]]) -> Any:
        made = whole
        for path, value, gone in changes:
            with suppress(KeyError, IndexError, TypeError, ValueError):
                made = changed(made, path, value, gone=gone and bool(path))
        return made

    return st.lists(once, min_size=1, max_size=2).map(build)


def understood(read: Callable[[Any], Told], told: Any) -> None:
    """Nothing else comes of it than what is told, or that it cannot be understood."""
    try:
        found = read(told)
    except CallbackMalformed:
        return
    assert all(each.at.tzinfo is not None for each in found.receipts)
    assert all(each.at.tzinfo is not None for each in found.replies)


@settings(max_examples=300, deadline=None)
@given(st.one_of(documents([ALIYUN]), documents([{name: ALIYUN[name] for name in ALIYUN if name != "content"}])))
def test_of_aliyun(said: Any) -> None:
    understood(rules.aliyun, json.dumps(said).encode())


@settings(max_examples=300, deadline=None)
@given(st.one_of(documents([TENCENT]), documents(TENCENT)))
def test_of_tencent(said: Any) -> None:
    understood(rules.tencent, json.dumps(said).encode())


@settings(max_examples=300, deadline=None)
@given(documents(SES))
def test_of_ses(said: Any) -> None:
    understood(rules.ses, said)


@settings(max_examples=300, deadline=None)
@given(documents(WECHAT), st.binary(max_size=40))
def test_of_wechat(said: Any, odd: bytes) -> None:
    parts = said.items() if isinstance(said, dict) else ()
    inner = "".join(f"<{name}><![CDATA[{value}]]></{name}>" for name, value in parts)
    understood(rules.wechat, f"<xml>{inner}</xml>".encode(errors="replace") + odd)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_of_anything(raw: bytes) -> None:
    for read in (rules.aliyun, rules.tencent, rules.wechat):
        understood(read, raw)


def test_what_wechat_says_is_flat() -> None:
    raw = (
        "<xml>\n<ToUserName><![CDATA[gh]]></ToUserName><MsgType><![CDATA[text]]></MsgType><MsgId>7</MsgId>"
        "<FromUserName><![CDATA[o<b>1</b>]]></FromUserName><CreateTime>1772000000</CreateTime>"
        "<Content><![CDATA[退订 <MsgType>x</MsgType>]]></Content></xml>"
    )
    (reply,) = rules.wechat(raw.encode()).replies
    assert (reply.sender, reply.text) == ("o<b>1</b>", "退订 <MsgType>x</MsgType>")


@pytest.mark.parametrize("raw", ["<x><![CDATA[" * 5_000, "<x><![CDATA[" * 5_000 + "]]>", "<x>" * 20_000, "<" * 60_000])
def test_nothing_takes_wechats_reader_long(raw: str) -> None:
    began = time.perf_counter()
    understood(rules.wechat, raw.encode())
    assert time.perf_counter() - began < 0.5


def test_wechat_sends_no_books() -> None:
    with pytest.raises(CallbackMalformed):
        rules.wechat(b"<MsgType>event</MsgType>" + b" " * 70_000)
