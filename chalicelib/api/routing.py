"""Typed routes: a function's signature says what a route takes and gives; everything else follows from it.

    points = Routes("points")

    @points.post("/members/{member_id}/point-spends", keyed=True, status=201, refuses=(PointsInsufficient,))
    def spend_points(member_id: MemberId, body: SpendPoints, call: Call) -> Outcome[EntryView]:
        ...

The parameter named `body` is the JSON body's model, `query` the query string's, `raw` the body as it came; others are
parts of the path, each of a type that knows its pattern. Who may call it, and on whose things, stands in the policy
(`policy.py`). The same facts make the OpenAPI document (`openapi.py`).
"""

import functools
import hashlib
import inspect
import re
import time
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar
from uuid import uuid4

from chalice.app import Blueprint, Chalice, CORSConfig, Request, Response
from pydantic import BaseModel

from chalicelib.api import bodies, doors, problems
from chalicelib.api.errors import (
    ContentTypeUnsupported,
    IdMalformed,
    KeyMalformed,
    KeyMissing,
    MethodNotAllowed,
    RouteUnknown,
    Unexpected,
    VersionUnclear,
)
from chalicelib.api.headers import security
from chalicelib.api.policy import POLICY, Rule
from chalicelib.api.rooms import ROOMS, routes_of
from chalicelib.identity.errors import PermissionMissing, ShopNotYours, TokenInvalid, TokenMissing
from chalicelib.identity.models import Caller, Kind, Owner, reaches
from chalicelib.identity.permissions import Scope
from chalicelib.kernel.errors import Refusal, Trouble
from chalicelib.kernel.ids import Id, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Page, Slice, position_of, sign
from chalicelib.kernel.personal import MASKED, Plain
from chalicelib.runtime import wiring
from chalicelib.runtime.observe import log_bug, logger
from chalicelib.runtime.wiring import House
from chalicelib.storage.audited import Audited, Read
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Write
from chalicelib.trail.store import Witnessed

_KEY = re.compile(r"[\x21-\x7e]{1,128}")
_ETAG = re.compile(r'(?:W/)?"v(\d{1,9})(?:-[0-9a-f]+)?"')
_NO_VERSION = -1
"""What an If-Match that names no version of ours counts as: it matches nothing."""


class Sheet(str):
    """An answer that is a spreadsheet, CSV, and not JSON."""


class Html(str):
    """An answer that is a page for people, which loads and runs nothing."""


class SeeOther(str):
    """Where a browser goes on by GET, once what it sent is done (303): then a reload shows, and does nothing again.

    It is relative to the request's own address, so that it holds behind any host and path.
    """


FaultPage = Callable[[int, Language | None], str]
"""The page that tells a browser of a fault, by its status and the language asked for. It says nothing of why: whoever
forged a link learns from it no more than who lost its end."""


class Verbatim(str):
    """An answer in the very words that a machine waits for: JSON where it begins with a brace, else plain text."""


PAGE_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
}

_PROBLEM = problems.CONTENT_TYPE
_WEIGHT = re.compile(r"[01](\.\d{0,3})?")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_AGENT_MAX = 80
"""Characters of a User-Agent that are kept."""

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
P = TypeVar("P", bound=Page[Any])


@dataclass(frozen=True, slots=True)
class Call:
    """A request, as far as a route function cares.

    Attributes:
        key: the `Idempotency-Key`; empty on routes that take none.
        language: the language asked for, or None.
        if_match: the version named by `If-Match`, or None.
        words: seals words about members, and opens them.
        address: the network address that API Gateway took the request from; nothing that the caller can write.
        accept: the Accept header.
    """

    house: House
    caller: Caller | None
    now: datetime
    request_id: str
    words: Words
    key: str = ""
    language: Language | None = None
    if_match: int | None = None
    address: str = ""
    accept: str | None = None

    @property
    def wants_page(self) -> bool:
        """Whether pages are asked for, as browsers do."""
        return wants_page(self.accept)

    @property
    def member_id(self) -> MemberId:
        """Who is signed in, on routes that only members use."""
        assert self.caller is not None
        assert self.caller.member_id is not None
        return self.caller.member_id

    @property
    def signed_in(self) -> Caller:
        """Who calls a route that is not open."""
        assert self.caller is not None, "an open route does not ask who calls"
        return self.caller

    def position(self, cursor: str | None, *scope: str) -> str | None:
        """Where a list goes on.

        Raises:
            CursorInvalid: the cursor was not given out for this list.
        """
        return position_of(cursor, scope="/".join(scope), key=self.house.keyring.cursor_key)

    def page(self, part: Slice[T], model: type[P], *scope: str) -> P:
        """A slice as a page of that model, its position as a signed cursor."""
        key = self.house.keyring.cursor_key
        cursor = sign(part.next_position, scope="/".join(scope), key=key) if part.next_position else None
        return model(items=part.items, next_cursor=cursor)

    def require_version(self, version: int) -> None:
        """See that `If-Match`, when sent, names the body's version.

        Raises:
            VersionUnclear: they differ.
        """
        if self.if_match is not None and self.if_match != version:
            raise VersionUnclear(if_match=f"v{self.if_match}", version=version)


@dataclass(frozen=True, slots=True)
class Route:
    """A route and all that is known of it."""

    method: str
    path: str
    function: Callable[..., Any]
    rule: Rule
    status: int
    keyed: bool | None
    refuses: tuple[type[Refusal] | type[Trouble], ...]
    tag: str
    path_types: dict[str, type[Id]] = field(default_factory=dict)
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    takes_call: bool = False
    answer: Any = None
    own: bool = False
    waits: type[BaseModel] | None = None
    takes_raw: bool = False
    fault_page: FaultPage | None = None


@dataclass(frozen=True, slots=True)
class Finder:
    """Finds out to whom something belongs.

    Attributes:
        part: the part of the path that names it, or `body`.
        find: its owner, or None when there is no such thing: then the use case says so.
        unknown: what is answered about something that does not exist, and to whom it is none of theirs.
    """

    part: str
    find: Callable[[House, Any, Caller], Owner | None]
    unknown: Callable[[Any], Refusal]


ROUTES: list[Route] = []
"""Every typed route that was declared so far, in that order; all of them after `rooms.everything()`."""

FINDERS: dict[str, Finder] = {}
"""By name, as the policy knows them; those of the domains whose routes were declared."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A request that was refused, as whoever watches for trouble-makers sees it.

    Attributes:
        code: the refusal's.
        subject: who asked; `-` where nobody knows.
        ip: where it came from; empty where nobody knows.
        facts: the refusal's.
    """

    code: str
    subject: str
    ip: str
    now: datetime
    facts: dict[str, Any]


WATCHERS: list[Callable[[House, Turned], None]] = []
"""Told of every refusal."""


class Routes:
    """The routes of a domain: a Chalice blueprint whose routes are typed and guarded.

    Args:
        tag: the domain's name, which groups its routes in the documents.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.blueprint = Blueprint(f"chalicelib.{tag}.routes")
        self._cors = CORSConfig(
            allow_origin=wiring.cors_origin(),
            allow_headers=["Idempotency-Key", "If-Match", "If-None-Match", "X-Request-Id", "Accept-Language"],
            expose_headers=["ETag", "Dry-Run", "Idempotency-Replayed", "Retry-After", "X-Request-Id"],
            max_age=600,
        )

    def get(self, path: str, **terms: Any) -> Callable[[F], F]:
        """A route that reads."""
        return self._route("GET", path, **terms)

    def post(self, path: str, **terms: Any) -> Callable[[F], F]:
        """A route that carries out a command."""
        return self._route("POST", path, **terms)

    def put(self, path: str, **terms: Any) -> Callable[[F], F]:
        """A route that replaces."""
        return self._route("PUT", path, **terms)

    def patch(self, path: str, **terms: Any) -> Callable[[F], F]:
        """A route that edits."""
        return self._route("PATCH", path, **terms)

    def owned(
        self,
        name: str,
        part: str,
        find: Callable[[House, Any, Caller], Owner | None],
        unknown: Callable[[Any], Refusal],
    ) -> None:
        """Register a finder: whose is what a part of a path names."""
        FINDERS[name] = Finder(part, find, unknown)

    def watching(self, watch: Callable[[House, Turned], None]) -> None:
        """Register somebody who is told of every refusal, after its answer is made."""
        WATCHERS.append(watch)

    def _route(
        self,
        method: str,
        path: str,
        *,
        status: int = 200,
        keyed: bool | None = None,
        refuses: tuple[type[Refusal] | type[Trouble], ...] = (),
        waits: type[BaseModel] | None = None,
        me: str = "",
        fault_page: FaultPage | None = None,
    ) -> Callable[[F], F]:
        """Declare a route. Without a rule in the policy it cannot start.

        Args:
            keyed: True when it needs an `Idempotency-Key`, False when it takes one, None when it knows none.
            refuses: what its use case refuses, and trouble of its own, for the documents.
            waits: the answer, with status 202, when the command was taken and waits for something.
            me: the path under which a member does the same for themselves: the function's `member_id` is who is
                signed in.
            fault_page: tells whoever asks for a page, as browsers do, of what was refused; others get the problem.
        """

        def rule_of(path: str) -> Rule:
            rule = POLICY.get(f"{method} {path}")
            if rule is None:
                raise TypeError(f"{method} {path} has no rule in chalicelib/api/policy.py")
            return rule

        terms = (status, keyed, refuses, self.tag)
        rule, own_rule = rule_of(path), rule_of(me) if me else None

        def declare(function: F) -> F:
            self._add(Route(method, path, function, rule, *terms, waits=waits, fault_page=fault_page))
            if own_rule is not None:
                self._add(Route(method, me, _own(function), own_rule, *terms, waits=waits, own=True))
            return function

        return declare

    def _add(self, route: Route) -> None:
        described = _described(route)
        ROUTES.append(described)
        self.blueprint.route(
            route.path,
            methods=[route.method],
            cors=self._cors,
            content_types=["*/*"],
            name=route.function.__name__,
        )(self._view(described))

    def _view(self, route: Route) -> Callable[..., Response]:
        def view(**parts: str) -> Response:
            return _answer(route, self.blueprint.current_request, parts)

        view.__name__ = route.function.__name__
        return view


class Edge(Chalice):
    """The Chalice app, whose every answer has the headers of `headers.py`, Chalice's own refusals too.

    Those are answered as problems. What the app is called for in a way that API Gateway never would still raises. It
    begins without routes: a domain's come with the first request for one of them, or by `open` (`rooms.py`).
    """

    def __init__(self) -> None:
        super().__init__(app_name="regulars", configure_logs=False)
        self._opened: set[str] = set()

    def open(self, *rooms: str) -> None:
        """Declare the routes of these domains, or of all of them."""
        for room in rooms or ROOMS:
            if room not in self._opened:
                domain: Routes = getattr(routes_of(room), room)
                self.register_blueprint(domain.blueprint, url_prefix="/v1")
                self._opened.add(room)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Answer one event of API Gateway."""
        for room in doors.PATHS.get(str(event.get("resource", "")).removeprefix("/v1"), ()):
            self.open(room)
        answer: dict[str, Any] = super().__call__(event, context)
        if "X-Request-Id" not in answer["headers"]:
            answer = _own_refusal(answer["statusCode"], str(getattr(context, "aws_request_id", "")) or str(uuid4()))
        answer["headers"] = security(laptop=wiring.on_a_laptop()) | answer["headers"]  # a page has a policy of its own
        return answer


def _own_refusal(status: int, request_id: str) -> dict[str, Any]:
    """What Chalice refused by itself, in our words."""
    fault = {404: RouteUnknown, 405: MethodNotAllowed, 415: ContentTypeUnsupported}.get(status, Unexpected)()
    status, headers, body = problems.problem(fault, instance=request_id)
    headers |= {"X-Request-Id": request_id, "Access-Control-Allow-Origin": wiring.cors_origin()}
    return {"statusCode": status, "headers": headers, "multiValueHeaders": {}, "body": body}


# ---------------------------------------------------------------- declaring


def _own(function: F) -> F:
    """The same function under a name of its own: `get_points` is `get_my_points`."""

    @functools.wraps(function)
    def own(**arguments: Any) -> Any:
        return function(**arguments)

    verb, _, what = function.__name__.partition("_")
    own.__name__ = f"{verb}_my_{what}"
    own.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n    The member is the one who is signed in.\n    "
    return typing.cast(F, own)


def _described(route: Route) -> Route:
    hints = typing.get_type_hints(route.function)
    names = list(inspect.signature(route.function).parameters)
    in_path = re.findall(r"{(\w+)}", route.path)
    path_types = {name: hints[name] for name in in_path}
    unknown = set(names) - set(in_path) - {"body", "query", "call", "raw"} - ({"member_id"} if route.own else set())
    if unknown or any(not (isinstance(kind, type) and issubclass(kind, Id)) for kind in path_types.values()):
        raise TypeError(
            f"{route.function.__name__}: parameters are body, query, call, raw, and typed parts of the path"
        )
    return Route(
        route.method, route.path, route.function, route.rule, route.status, route.keyed, route.refuses, route.tag,
        path_types=path_types, body=hints.get("body"), query=hints.get("query"),
        takes_call="call" in names, answer=hints["return"], own=route.own, waits=route.waits,
        takes_raw="raw" in names, fault_page=route.fault_page,
    )  # fmt: skip


# ---------------------------------------------------------------- answering


def _answer(route: Route, request: Request, parts: dict[str, str]) -> Response:
    """One request: who, what, may they, do it, say it. The only place that turns exceptions into answers."""
    started = time.perf_counter()
    request_id = _request_id(request)
    subject, code = "-", "ok"
    try:
        house = wiring.house()
        now = house.clock()
        address = _address(request)
        caller = None if route.rule.open else _caller(house, request.headers.get("authorization"), address, now)
        if route.rule.paced:
            house.pace.count(caller, address, now=now)
        subject = caller.subject if caller else "-"
        call = _call(route, request, house, caller, address, now, request_id)
        arguments = _arguments(route, request, parts, call)
        result = route.function(**arguments)
        status, headers, body = _rendered(route, request, result, call.caller)
        if getattr(arguments.get("body"), "dry_run", False):
            headers["Dry-Run"] = "true"  # whatever it looks like, nothing was done
    except (Refusal, Trouble) as fault:
        code = fault.code
        status, headers, body = _told(route, request, fault, request_id)
        if isinstance(fault, Refusal):
            _tell_watchers(fault, subject, request, request_id)
    except Exception as fault:  # noqa: BLE001 - the edge: whatever else happens is a bug, told by its id only
        code = "unexpected"
        log_bug(f"{route.method} {route.path}", request_id, fault)
        status, headers, body = _told(route, request, Unexpected(), request_id)
    headers["X-Request-Id"] = request_id
    _log(route, parts, status, code, subject, request_id, started)
    return Response(body=body, status_code=status, headers=dict(headers))


def _told(route: Route, request: Request, fault: Refusal | Trouble, request_id: str) -> tuple[int, dict[str, str], str]:
    """What is answered to a fault: a page to who asks for pages, where the route has one; else the problem."""
    status, headers, body = problems.problem(fault, instance=request_id)
    if route.fault_page is None or not wants_page(request.headers.get("accept")):
        return status, headers, body
    query: Mapping[str, str] = request.query_params or {}
    asked = language_of(query.get("language")) or language_of(request.headers.get("accept-language"))
    return status, headers | PAGE_HEADERS, route.fault_page(status, asked)


def _log(
    route: Route, parts: dict[str, str], status: int, code: str, subject: str, request_id: str, started: float
) -> None:
    # Callers put mobile numbers and names where ids belong; what is no id of the right form stays out of the log.
    open_types = {name: kind for name, kind in route.path_types.items() if not kind.secret}
    ids = {name: parts[name] for name, kind in open_types.items() if re.fullmatch(kind.pattern, parts[name])}
    log = logger().warning if status >= 500 else logger().info
    log(
        "request",
        route=f"{route.method} {route.path}",
        ids=ids,
        status=status,
        code=code,
        caller=subject,
        request_id=request_id,
        ms=round((time.perf_counter() - started) * 1000, 1),
    )


def _tell_watchers(refusal: Refusal, subject: str, request: Request, request_id: str) -> None:
    """Tell those who watch. The answer is made already, and whatever befalls them does not change it."""
    try:
        house = wiring.house()
        turned = Turned(refusal.code, subject, _origin(request).get("ip", ""), house.clock(), refusal.facts)
        for room in doors.WATCHERS:
            routes_of(room)
        for watch in WATCHERS:
            watch(house, turned)
    except Exception as fault:  # noqa: BLE001 - the edge
        log_bug("watchers", request_id, fault)


def _address(request: Request) -> str:
    """The network address that a request comes from, as API Gateway saw it."""
    return str(((request.context or {}).get("identity") or {}).get("sourceIp") or "")


def _origin(request: Request) -> dict[str, str]:
    """Where a request comes from: address and agent, as API Gateway saw them."""
    agent = re.sub(r"[^\x20-\x7e]", "", str(request.headers.get("user-agent") or ""))[:_AGENT_MAX]
    found = {"ip": _address(request)[:45], "agent": agent}
    return {name: value for name, value in found.items() if value}


def _witnessed(route: Route, request: Request, call: Call, arguments: dict[str, Any]) -> Call:
    """A call whose table notes who writes, where somebody other than a member does (ADR 0039)."""
    caller, rule = call.caller, route.rule
    if caller is None or caller.kind is Kind.MEMBER or route.method == "GET":
        return call

    def record(read: Read, writes: Sequence[Write]) -> Write:
        """Made when it is asked for: what tills do all day is its own record."""
        return _witness(route, request, call, caller, arguments).record(read, writes)

    table = Audited(call.house.table, caller.subject, own=caller.membership, record=record, always=rule.audited)
    return replace(call, house=call.house.around(table))


def _witness(route: Route, request: Request, call: Call, caller: Caller, arguments: dict[str, Any]) -> Witnessed:
    body = arguments.get("body")
    reason = getattr(body, "reason", None)
    code = str(reason) if isinstance(reason, StrEnum) else None  # one of a few, not words
    return Witnessed(
        kind=caller.kind.value,
        subject=caller.subject,
        roles=caller.roles,
        action=route.function.__name__,
        permission=route.rule.needs.value if route.rule.needs is not None else None,
        ids={name: arguments[name] for name in route.path_types},
        reason_code=getattr(body, "reason_code", None) or code,
        reason=(reason if code is None else None) or getattr(body, "note_internal", None),
        origin=_origin(request) | {"request_id": call.request_id},
        at=call.now,
        draw=call.house.draw,
        words=call.words,
    )


def _call(
    route: Route,
    request: Request,
    house: House,
    caller: Caller | None,
    address: str,
    now: datetime,
    request_id: str,
) -> Call:
    headers = request.headers
    if caller is not None and route.rule.needs is not None:
        scope = caller.scope(route.rule.needs)
        outsider = route.rule.by not in (None, caller.kind)
        if scope is None or scope < route.rule.least or outsider:
            raise PermissionMissing(permission=route.rule.needs.value)
    return Call(
        house=house,
        caller=caller,
        now=now,
        request_id=request_id,
        words=Words(house.table, house.keyring.contacts),
        key=_key(route, headers.get("idempotency-key")),
        language=language_of(headers.get("accept-language")),
        if_match=_version(headers.get("if-match")),
        address=address,
        accept=headers.get("accept"),
    )


def _caller(house: House, authorization: str | None, address: str, now: datetime) -> Caller:
    """Who calls. Tokens that are not accepted are counted by network address, so that nobody tries them for ever."""
    try:
        return house.gate.caller_of(authorization, now=now)
    except (TokenMissing, TokenInvalid):
        house.pace.count(None, address, now=now)
        raise


def _require_reach(route: Route, call: Call, arguments: dict[str, Any]) -> None:
    """See that the caller's permission reaches what the request touches.

    Raises:
        Refusal: it does not; the answer is the one for something that does not exist.
        ShopNotYours: the body names a shop of others.
    """
    rule, caller = route.rule, call.caller
    if caller is None or rule.needs is None:
        return
    scope = caller.grants[rule.needs]
    if scope is Scope.ALL:
        return
    if rule.of:
        finder = _finder(rule.of)
        asked = arguments[finder.part]
        owner = finder.find(call.house, asked, caller)
        if owner is not None and not reaches(caller, scope, owner):
            raise finder.unknown(asked)
    if rule.at_shop:
        arguments["body"] = _at_own_shop(arguments["body"], caller)


def _finder(name: str) -> Finder:
    """A finder of that name, whichever domain it comes from."""
    if name not in FINDERS:
        routes_of(doors.FINDERS[name])
    return FINDERS[name]


def _at_own_shop(body: Any, caller: Caller) -> Any:
    """A command with the caller's shop, where it names none and they have one.

    Raises:
        ShopNotYours: it names another, or none and they have several or none.
    """
    if body.shop_id is None and len(caller.shop_ids) == 1:
        return body.model_copy(update={"shop_id": next(iter(caller.shop_ids))})
    if body.shop_id not in caller.shop_ids:
        raise ShopNotYours(shop_id=body.shop_id)
    return body


def _arguments(route: Route, request: Request, parts: dict[str, str], call: Call) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    for name, kind in route.path_types.items():
        if not re.fullmatch(kind.pattern, parts[name]):
            raise IdMalformed(parameter=name)
        arguments[name] = kind(parts[name])
    if route.own:
        arguments["member_id"] = call.member_id
    if route.query is not None:
        arguments["query"] = bodies.query_of(request.query_params or {}, route.query)
    if route.body is not None:
        kind_of_body = (request.headers.get("content-type") or "application/json").partition(";")[0].strip().lower()
        if kind_of_body != "application/json":
            raise ContentTypeUnsupported
        arguments["body"] = bodies.body_of(_raw(request), route.body)
    if route.takes_raw:
        arguments["raw"] = bodies.raw_of(_raw(request))
    _require_reach(route, call, arguments)
    if route.takes_call:
        arguments["call"] = _witnessed(route, request, call, arguments)
    return arguments


def _raw(request: Request) -> bytes:
    raw = request.raw_body
    return raw if isinstance(raw, bytes) else raw.encode()


def _rendered(route: Route, request: Request, result: Any, caller: Caller | None) -> tuple[int, dict[str, str], str]:
    status = route.status
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    if isinstance(result, Outcome):
        if result.replayed:
            headers["Idempotency-Replayed"] = "true"
        if result.waits:
            status = 202
        if not result.stored:
            status = 200
        result = result.value
    if isinstance(result, Sheet):
        return status, headers | {"Content-Type": "text/csv; charset=utf-8"}, result
    if isinstance(result, SeeOther):
        return 303, {"Location": result, "Cache-Control": "no-store"}, ""
    if isinstance(result, Html):
        return status, headers | PAGE_HEADERS, result
    if isinstance(result, Verbatim):
        kind = "application/json" if result.startswith("{") else "text/plain; charset=utf-8"
        return status, headers | {"Content-Type": kind}, result
    if isinstance(result, str):
        return status, headers | {"Cache-Control": "public, max-age=60"}, result
    body = result.model_dump_json(context=None if _sees_all(result, caller) else MASKED)
    if route.method in ("GET", "PATCH", "PUT"):
        headers["ETag"] = _etag(result, body)
        if route.method == "GET" and headers["ETag"] in _tags(request.headers.get("if-none-match")):
            return 304, headers, ""
    return status, headers, body


def _sees_all(result: BaseModel, caller: Caller | None) -> bool:
    """Whether an answer is not masked: members see what is their own, and nothing else; and what was unmasked is."""
    return isinstance(result, Plain) or (caller is not None and caller.kind is Kind.MEMBER)


def _etag(result: BaseModel, body: str) -> str:
    mark = hashlib.sha256(body.encode()).hexdigest()[:16]
    version = getattr(result, "version", None)
    return f'"v{version}-{mark}"' if isinstance(version, int) else f'"{mark}"'


def _key(route: Route, header: str | None) -> str:
    if route.keyed is None:
        return ""
    if not header:
        if route.keyed:
            raise KeyMissing
        return ""
    if not _KEY.fullmatch(header):
        raise KeyMalformed
    return header


def language_of(header: str | None) -> Language | None:
    """The first language of an Accept-Language header that we speak (RFC 9110, by order, q ignored)."""
    for part in (header or "").lower().split(","):
        tag = part.strip()[:2]
        if tag in ("zh", "en"):
            return Language(tag)
    return None


def wants_page(accept: str | None) -> bool:
    """Whether an Accept header names pages, and prefers them to JSON; who takes anything is given JSON (RFC 9110)."""
    weights: dict[str, float] = {}
    for part in (accept or "").lower().split(","):
        kind, *terms = (each.strip() for each in part.split(";"))
        weight = next((term[2:] for term in terms if term.startswith("q=")), "1")
        weights[kind] = float(weight) if _WEIGHT.fullmatch(weight) else 0.0
    return weights.get("text/html", 0.0) > max(weights.get(kind, 0.0) for kind in ("application/json", _PROBLEM))


def _version(if_match: str | None) -> int | None:
    if not if_match or if_match.strip() == "*":
        return None
    match = _ETAG.fullmatch(if_match.strip())
    return int(match[1]) if match else _NO_VERSION


def _tags(if_none_match: str | None) -> list[str]:
    """The entity tags of an If-None-Match header; weak ones compare as strong ones there (RFC 9110, 13.1.2)."""
    return [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]


def _request_id(request: Request) -> str:
    """The caller's X-Request-Id where it is harmless, else API Gateway's, else a new one."""
    given = request.headers.get("x-request-id")
    if given and _REQUEST_ID.fullmatch(given):
        return str(given)
    return str((request.context or {}).get("requestId") or uuid4())
