"""The Chalice app called with the events that API Gateway sends, in this process."""

import time
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

import jwt

from bench.stack import AUDIENCE, ISSUER, KEYS
from local.gateway import LambdaContext, proxy_event
from local.matcher import Matcher


def event_for(
    method: str, path: str, body: bytes = b"", *, at: datetime | None = None, **headers: str
) -> dict[str, Any]:
    """The event of a request by an admin.

    Args:
        at: when it is made; now, when left out.
        headers: further ones, by names in lower case with `_` for `-`.
    """
    path, _, query = path.partition("?")
    sent = {"content-type": "application/json", "authorization": f"Bearer {_token(at)}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "method": method,
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "query_string": query.encode(),
        "client": ("127.0.0.1", 1),
    }
    found = _matcher().find(path)
    assert found is not None, path
    resource, params = found
    return proxy_event(
        scope, resource=resource.path, path=path, params=params, body=body,
        binary_types=frozenset(), request_id="req-bench",
    )  # fmt: skip


def call(event: dict[str, Any]) -> dict[str, Any]:
    """The app's answer to an event; anything but success is a mistake of the bench."""
    answer: dict[str, Any] = _app()(event, LambdaContext())
    assert answer["statusCode"] < 300, answer
    return answer


@cache
def _app() -> Any:
    from app import app  # noqa: PLC0415 - the routes read the web origin when they are imported

    app.open()
    return app


@cache
def _matcher() -> Matcher:
    return Matcher(_app().routes)


@lru_cache
def _token(at: datetime | None) -> str:
    return token_of("stf_bench", at)


def token_of(sub: str, at: datetime | None, **more: Any) -> str:
    """A token of an admin.

    Args:
        at: when it is issued; now, when left out.
        more: further claims.
    """
    issued = int(at.timestamp() if at else time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": sub, "roles": ["admin"], **more}
    times = {"iat": issued - 10, "nbf": issued - 10, "exp": issued + 3600}
    return jwt.encode(claims | times, bytes.fromhex(KEYS["token_key"]), algorithm="HS256")
