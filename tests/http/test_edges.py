"""The edge: what every answer carries, how much is taken, how often, and what tells nobody anything."""

import asyncio
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from app import app
from chalicelib.api.headers import ALWAYS, security
from chalicelib.api.routing import ROUTES
from chalicelib.identity.pace import Pace, Rates
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from local.gateway import LambdaContext, proxy_event
from local.worker import config_of
from tests.makers import Api, Clock, Reply

NOBODY = "mem_" + "a" * 16


def test_every_answer_of_the_app_has_every_header(api: Api) -> None:
    for reply in (
        api.get("/v1/health"), api.get("/v1/openapi.json"), api.get("/v1/program"), api.get(f"/v1/members/{NOBODY}"),
        api.get("/v1/members/nobody"), api.send("GET", "/v1/tiers", Authorization=""), api.post("/v1/members", b"{"),
        api.as_("clerk").get("/v1/staff"), api.get("/v1/tiers", unknown="1"),
    ):  # fmt: skip
        assert reply.headers.items() >= ALWAYS.items(), reply.status
        assert reply.headers["Cache-Control"] in ("no-store", "public, max-age=60")
        assert not {name.lower() for name in reply.headers} & {"server", "x-powered-by", "x-amzn-remapped-server"}


def test_only_a_stack_is_to_be_reached_by_tls_alone(monkeypatch: pytest.MonkeyPatch, api: Api) -> None:
    for stage, told in (("local", False), ("test", False), ("dev", True), ("prod", True)):
        monkeypatch.setenv("REGULARS_STAGE", stage)
        assert ("Strict-Transport-Security" in api.get("/v1/health").headers) is told, stage
    assert security(laptop=False)["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"


def _event(method: str, resource: str, **headers: str) -> dict[str, Any]:
    sent = [(name.lower().replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {"method": method, "headers": sent, "query_string": b""}
    return proxy_event(
        scope, resource=resource, path=resource, params=None, body=b"", binary_types=frozenset(), request_id="r"
    )


@pytest.mark.parametrize("method", ["DELETE", "TRACE", "OPTIONS", "X"])
def test_what_chalice_refuses_by_itself_is_a_problem_with_every_header(method: str) -> None:
    answer = app(_event(method, "/v1/program"), LambdaContext())
    assert (answer["statusCode"], answer["headers"]["Content-Type"]) == (405, "application/problem+json")
    assert re.search('"code": "method_not_allowed"', answer["body"])
    assert answer["headers"].items() >= ALWAYS.items()
    assert answer["headers"]["Access-Control-Allow-Origin"] == "*"


def test_no_answer_names_what_it_is_made_with(api: Api) -> None:
    banner = re.compile(r"chalice|python|pydantic|uvicorn|lambda|dynamo|traceback|\.py\b", re.IGNORECASE)
    for reply in (
        api.post("/v1/members", b"{"), api.post("/v1/members", {"name": 1, "x": []}), api.get("/v1/members/%00"),
        api.get("/v1/members", limit="9" * 400), api.send("GET", "/v1/tiers", Authorization="Bearer a.b.c"),
    ):  # fmt: skip
        assert reply.status >= 400
        assert not banner.search(reply.text + str(reply.headers)), reply.text


def test_every_route_lets_the_same_pages_read_it() -> None:
    origins = {str(entry.cors.allow_origin) for methods in app.routes.values() for entry in methods.values()}
    assert origins == {"*"}
    assert len(ROUTES) == sum(len(methods) for methods in app.routes.values())


# ---------------------------------------------------------------- how often


def test_who_calls_too_often_is_told_when_to_come_back(api: Api, house: House, clock: Clock) -> None:
    wiring.use(replace(house, pace=Pace(Rates(staff=4, address=3))))
    statuses = [api.get("/v1/tiers").status for _ in range(6)]
    assert statuses == [200] * 4 + [429] * 2
    full = api.get("/v1/tiers")
    assert (full.status, full.code, full.headers["Retry-After"]) == (429, "rate_exceeded", "15")
    assert full.json["facts"] == {"rate_per_minute": 4, "retry_after": 15}
    assert full.headers.items() >= ALWAYS.items()
    clock.now += timedelta(seconds=15)
    assert [api.get("/v1/tiers").status for _ in range(2)] == [200, 429]


def test_open_routes_and_tokens_that_are_tried_are_counted_by_address(api: Api, house: House) -> None:
    wiring.use(replace(house, pace=Pace(Rates(staff=100, address=3))))
    assert [api.get("/v1/health").status for _ in range(5)] == [200] * 3 + [429] * 2
    guesser = api.with_("a.b.c", address="192.0.2.9")
    assert [guesser.get("/v1/tiers").status for _ in range(5)] == [401] * 3 + [429] * 2
    assert api.get("/v1/tiers").status == 200, "who is signed in does not suffer from neighbours"


def test_a_laptop_believes_nobody_who_says_that_they_call_for_somebody_else() -> None:
    seen: list[Any] = []

    async def asked(scope: dict[str, Any], *_: object) -> None:
        seen.append((scope["client"], scope["scheme"]))

    config = config_of(asked)
    config.load()
    told = [
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"x-forwarded-proto", b"https"),
        (b"forwarded", b"for=198.51.100.7"),
    ]
    scope = {"type": "http", "client": ("127.0.0.1", 9), "scheme": "http", "headers": told}
    asyncio.run(config.loaded_app(scope, None, None))
    assert seen == [(("127.0.0.1", 9), "http")]


# ---------------------------------------------------------------- what is not there


def _shape(reply: Reply) -> tuple[object, ...]:
    return reply.status, tuple(sorted(reply.headers)), tuple(reply.json), reply.headers["Content-Type"]


def test_what_is_not_there_looks_the_same_whyever(api: Api) -> None:
    shapes = {
        _shape(reply)
        for reply in (
            api.get(f"/v1/members/{NOBODY}"), api.get("/v1/members/nobody"), api.get("/v1/members/%23"),
            api.get("/v1/purchases/pur_YSMx"), api.get("/v1/staff/stf_" + "a" * 16),
        )
    }  # fmt: skip
    assert len(shapes) == 1
    assert next(iter(shapes))[0] == 404
