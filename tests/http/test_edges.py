"""The edge: what every answer carries, how much is taken, how often, and what tells nobody anything."""

import re
from typing import Any

import pytest

from app import app
from chalicelib.api.headers import ALWAYS, security
from chalicelib.api.routing import ROUTES
from local.gateway import LambdaContext, proxy_event
from tests.makers import Api

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


def test_what_chalice_refuses_by_itself_is_a_problem_with_every_header() -> None:
    answer = app(_event("DELETE", "/v1/program"), LambdaContext())
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
