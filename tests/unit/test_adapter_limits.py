"""What the local server takes before the app is asked."""

import asyncio
import json
from typing import Any

import pytest

from app import app
from chalicelib.api.headers import ALWAYS
from local import adapter
from local.adapter import HEAD_MAX, Adapter, Message


def asked(path: str, *, query: bytes = b"", headers: list[tuple[bytes, bytes]] | None = None, receive: Any = None,
          method: str = "POST") -> tuple[int, dict[str, str], str]:  # fmt: skip
    """One request of the ASGI app; the answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def nothing() -> Message:
        return {"type": "http.request", "body": b"{}"}

    scope = {
        "type": "http", "method": method, "raw_path": path.encode(), "path": path, "query_string": query,
        "headers": headers or [], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    asyncio.run(Adapter(app)(scope, receive or nothing, send))
    names = {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], names, sent[1]["body"].decode()


@pytest.mark.parametrize(
    ("path", "query", "headers"),
    [
        ("/v1/" + "x" * HEAD_MAX, b"", []),
        ("/v1/tiers", b"a=" + b"x" * HEAD_MAX, []),
        ("/v1/tiers", b"", [(b"x", b"y" * HEAD_MAX)]),
        ("/v1/tiers", b"", [(b"x%d" % number, b"y") for number in range(4000)]),
        ("/docs", b"", [(b"cookie", b"y" * HEAD_MAX)]),
    ],
)
def test_a_head_that_is_larger_than_the_gateways_is_refused(path: str, query: bytes, headers: Any) -> None:
    status, sent, body = asked(path, query=query, headers=headers, method="GET")
    assert (status, json.loads(body)["code"], sent["connection"]) == (431, "head_too_large", "close")
    assert sent.items() >= {name.lower(): value for name, value in ALWAYS.items()}.items()


def test_a_body_that_trickles_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "BODY_SECONDS", 0.05)

    async def trickle() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"{", "more_body": True}

    status, sent, body = asked("/v1/purchases", receive=trickle)
    assert (status, json.loads(body)["code"], sent["connection"]) == (408, "body_too_slow", "close")


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/page.css", "/sign-in", "/sign-in/settings.json", "/nothing"])
def test_pages_have_the_same_headers_and_a_policy_of_their_own(path: str) -> None:
    _, sent, _ = asked(path, method="GET")
    wanted = {name.lower(): value for name, value in ALWAYS.items()}
    policy = sent["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert sent.items() >= {**wanted, "content-security-policy": policy}.items()
