"""The Chalice app as an ASGI app: what API Gateway does in front of it, in as little time as it takes.

The handler is called inside the event loop. It is synchronous and Chalice keeps the current request on the
app, so one process serves one request at a time; more processes serve more.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import uuid4

from chalice.app import Chalice

from chalicelib.api.errors import BodyTooLarge, BodyTooSlow, HeadTooLarge, MethodNotAllowed, RouteUnknown, Unexpected
from chalicelib.api.headers import security
from chalicelib.api.problems import STATUS, problem
from chalicelib.api.routing import PAGE_HEADERS, language_of, wants_page
from chalicelib.kernel.errors import Refusal
from local import static
from local.gateway import LambdaContext, answered, proxy_event
from local.matcher import Matcher

BODY_MAX = 1024 * 1024
"""Bytes of a request's body."""
_DRAINED_MAX = 10 * BODY_MAX
"""Bytes that are read and dropped so that a sender of too much can read why; API Gateway stops there too."""
HEAD_MAX = 10_240
"""Bytes of request line and headers; API Gateway takes no more."""
BODY_SECONDS = 20
"""How long a body may take to come in."""
_ZIPPED = "/v1/openapi.json"
_SAFE = [(name.lower().encode(), value.encode()) for name, value in security(laptop=True).items()]

Message = dict[str, Any]
Headers = Iterable[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger("local")


class Gone(Exception):
    """The caller hung up before the request was whole."""


class TooLarge(Exception):
    """The body is over the limit."""


class Adapter:
    """Serves a Chalice app over ASGI, with the documentation at /docs and the page to sign in at."""

    def __init__(self, app: Chalice, issuers: str = "") -> None:
        """Prepare all that does not change from request to request.

        Args:
            issuers: those that staff sign in with, as REGULARS_ISSUERS names them.

        Raises:
            ValueError: the app has routes that API Gateway would refuse, or an authorizer, which is not asked here.
        """
        self._app = app
        self._pages = static.Pages(issuers)
        self._routes: dict[str, dict[str, Any]] = dict(app.routes)
        self._matcher = Matcher(self._routes)
        self._binary = frozenset(kind.lower() for kind in app.api.binary_types)
        self._preflights = {path: _preflight(routes) for path, routes in self._routes.items()}
        self._cors = next((headers for headers in self._preflights.values() if headers), [])[:1]
        for path, routes in self._routes.items():
            if any(route.authorizer is not None for route in routes.values()):
                raise ValueError(f"{path}: the local server asks no authorizer, so it must not let requests through")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one connection's request (ASGI `http`), or the server's coming and going (`lifespan`)."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        """Find what the request is for, read its body, and have it answered."""
        path: str = scope["raw_path"].decode("latin-1")
        if _head_size(scope) > HEAD_MAX:
            await self._refuse(send, HeadTooLarge(limit=HEAD_MAX), [(b"connection", b"close")])
            return
        found = self._matcher.find(path)
        if found is None:
            await self._serve_file(scope, path, send)
            return
        resource, params = found
        route = self._routes[resource.path].get(scope["method"])
        if route is None:
            await self._serve_other_method(scope["method"], resource.path, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _whole_body(receive)
        except Gone:
            return
        except TimeoutError:
            await self._refuse(send, BodyTooSlow(seconds=BODY_SECONDS), [(b"connection", b"close")])
            return
        except TooLarge:
            await self._refuse(send, BodyTooLarge(limit=BODY_MAX), [(b"connection", b"close")])
            return

        context = LambdaContext()
        event = proxy_event(
            scope,
            resource=resource.path,
            path=path,
            params=params,
            body=body,
            binary_types=self._binary,
            request_id=context.aws_request_id,
        )
        await self._call(event, context, scope, send)

    async def _call(self, event: dict[str, Any], context: LambdaContext, scope: Message, send: Send) -> None:
        """Call the app and pass its answer on."""
        path = event["path"]
        try:
            status, headers, body = answered(self._app(event, context))
        except Exception:  # as API Gateway answers a function that failed; the next request must not suffer
            log.exception("%s %s failed outside its handler", event["httpMethod"], event["resource"])
            await self._refuse(send, Unexpected())
            return
        if path == _ZIPPED:
            body = _zipped_if_taken(scope, headers, body)
        await _answer(send, status, headers, body)

    async def _serve_file(self, scope: Message, path: str, send: Send) -> None:
        """Answer a path that is none of the app's: `/`, the documentation, or nothing at all."""
        method = scope["method"]
        file = self._pages.find(path)
        if path == "/" and method in {"GET", "HEAD"}:
            await _answer(send, 307, [(b"location", b"/docs"), *_SAFE], b"")
        elif file is None and method in {"GET", "HEAD"} and wants_page(_header(scope, b"accept").decode("latin-1")):
            await self._show_nothing(scope, path, send)
        elif file is None:
            await self._refuse(send, RouteUnknown())
        elif method not in {"GET", "HEAD"}:
            await self._refuse(send, MethodNotAllowed(), [(b"allow", b"GET, HEAD")])
        elif _header(scope, b"if-none-match") == file.etag:
            await _answer(send, 304, file.headers, b"")
        elif _takes_gzip(scope):
            await _answer(send, 200, [*file.headers, (b"content-encoding", b"gzip")], file.zipped)
        else:
            await _answer(send, 200, file.headers, file.plain)

    async def _show_nothing(self, scope: Message, path: str, send: Send) -> None:
        """Tell a browser that nothing is there."""
        from local.nothing import nothing_page  # noqa: PLC0415 - of a domain, which the app loads when it is asked for

        shown = {"Cache-Control": "no-store", **security(laptop=True), **PAGE_HEADERS}
        headers = [(name.lower().encode(), value.encode()) for name, value in shown.items()]
        language = language_of(_header(scope, b"accept-language").decode("latin-1"))
        await _answer(send, STATUS[RouteUnknown.code], headers, nothing_page(path, language).encode())

    async def _serve_other_method(self, method: str, resource: str, send: Send) -> None:
        """Answer a method that a resource does not have: a CORS preflight, or a refusal."""
        preflight = self._preflights[resource]
        if method == "OPTIONS" and preflight:
            await _answer(send, 200, preflight, b"")
            return
        await self._refuse(send, MethodNotAllowed(), [(b"allow", _allow(self._routes[resource]))])

    async def _refuse(self, send: Send, refusal: Refusal, headers: Headers = ()) -> None:
        """Answer in the app's place and style, with the app's CORS origin so that a browser may read why."""
        request_id = str(uuid4())
        status, shown, body = problem(refusal, instance=request_id)
        shown |= {"X-Request-Id": request_id, **security(laptop=True)}
        sent = [(name.lower().encode(), value.encode()) for name, value in shown.items()]
        await _answer(send, status, [*sent, *self._cors, *headers], body.encode())


def _head_size(scope: Message) -> int:
    """Bytes of the request line and headers, as API Gateway counts them, about."""
    line = len(scope["raw_path"]) + len(scope["query_string"])
    return line + sum(len(name) + len(value) for name, value in scope["headers"])


async def _whole_body(receive: Receive) -> bytes:
    """The request's body, counted while it comes in.

    Raises:
        Gone: the caller hung up.
        TooLarge: there is more than `BODY_MAX`; up to `_DRAINED_MAX` of it was read and dropped.
    """
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    body: bytes = message.get("body", b"")
    if not message.get("more_body") and len(body) <= BODY_MAX:
        return body

    chunks, size = [body], len(body)
    while message.get("more_body") and size <= _DRAINED_MAX:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        size += len(message.get("body", b""))
        if size <= BODY_MAX:
            chunks.append(message["body"])
        else:
            chunks.clear()
    if size > BODY_MAX:
        raise TooLarge
    return b"".join(chunks)


async def _answer(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    sent = list(headers)
    if status not in {204, 304}:
        sent.append((b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.start", "status": status, "headers": sent})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(receive: Receive, send: Send) -> None:
    """Say yes to the server's start and end; there is nothing to open or close."""
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _preflight(routes: dict[str, Any]) -> list[tuple[bytes, bytes]]:
    """The answer to OPTIONS that `chalice package` sets up; empty without CORS, the origin first."""
    shared = next((route.cors for route in routes.values() if route.cors is not None), None)
    if shared is None:
        return []
    methods = sorted({method for method, route in routes.items() if route.cors is not None} | {"OPTIONS"})
    headers = {**shared.get_access_control_headers(), "Access-Control-Allow-Methods": ",".join(methods)}
    headers |= security(laptop=True)
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _allow(routes: dict[str, Any]) -> bytes:
    """The value of `Allow` for a resource."""
    methods = set(routes)
    if any(route.cors is not None for route in routes.values()):
        methods.add("OPTIONS")
    return ", ".join(sorted(methods)).encode()


def _header(scope: Message, name: bytes) -> bytes:
    """One request header, or nothing."""
    return next((value for key, value in scope["headers"] if key == name), b"")


def _zipped_if_taken(scope: Message, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """A body as gzip where the caller reads that and the app has not compressed it; adds the headers."""
    if not _takes_gzip(scope) or any(name == b"content-encoding" for name, _ in headers):
        return body
    headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    return static.zipped(body)


def _takes_gzip(scope: Message) -> bool:
    """Whether the caller reads gzip."""
    return b"gzip" in _header(scope, b"accept-encoding")
