"""The deployed API over HTTP."""

import base64
import hmac
import json
from typing import Any

import jwt
import pytest

from tests.conftest import TOKEN_KEY
from tests.e2e.stand import Deployed
from tests.makers import Reply, a_token


def test_it_is_well(stack: Deployed) -> None:
    reply = stack.call("GET", "/v1/health")
    assert (reply.status, reply.json) == (200, {"status": "ok", "stage": "dev"})
    assert seen_by_the_console(reply, stack)


def signed_with_nothing(algorithm: str, claims: dict[str, Any]) -> str:
    """A token without a signature, or with one by the empty key, which libraries refuse to make."""

    def text(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    head = ".".join(text(json.dumps(part).encode()) for part in ({"alg": algorithm, "typ": "JWT"}, claims))
    seal = hmac.new(b"", head.encode(), "sha256").digest() if algorithm == "HS256" else b""
    return f"{head}.{text(seal)}"


@pytest.mark.parametrize("kind", ["none", "unsigned", "empty key", "key of the tests", "not a token"])
def test_who_has_no_token_of_ours_is_told_so_in_a_way_that_a_page_can_read(stack: Deployed, kind: str) -> None:
    now = stack.desk.clock()
    issuer, audience = stack.given["Issuer"], stack.given["Audience"]
    good = a_token(TOKEN_KEY, issuer, audience, now)
    claims = jwt.decode(good, options={"verify_signature": False})
    tokens = {
        "unsigned": signed_with_nothing("none", claims),
        "empty key": signed_with_nothing("HS256", claims),
        "key of the tests": good,
        "not a token": "a.b.c",
    }
    headers = {"Authorization": f"Bearer {tokens[kind]}"} if kind in tokens else {}
    reply = stack.call("GET", "/v1/jobs", **headers)
    assert (reply.status, reply.code) == (401, "token_invalid" if headers else "token_missing")
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")
    assert seen_by_the_console(reply, stack)


def test_an_unknown_route_is_a_problem_too(stack: Deployed) -> None:
    reply = stack.call("GET", "/v1/nothing")
    assert (reply.status, reply.code, reply.json["status"]) == (404, "route_unknown", 404)
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert seen_by_the_console(reply, stack)


def test_the_console_may_ask_before_it_calls_and_nobody_else(stack: Deployed) -> None:
    asked = {"Origin": "https://elsewhere.invalid", "Access-Control-Request-Method": "POST"}
    reply = stack.call("OPTIONS", "/v1/purchases", **asked)
    assert reply.status == 200
    assert reply.headers["Access-Control-Allow-Methods"] == "POST,OPTIONS"
    assert {"Authorization", "Idempotency-Key"} <= set(reply.headers["Access-Control-Allow-Headers"].split(","))
    assert seen_by_the_console(reply, stack)


def seen_by_the_console(reply: Reply, stack: Deployed) -> bool:
    return reply.headers["Access-Control-Allow-Origin"] == stack.given["CorsOrigin"]
