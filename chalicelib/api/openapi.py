"""The OpenAPI 3.1 document, from the typed routes."""

import re
import typing
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import models_json_schema

from chalicelib.api import problems, samples
from chalicelib.api.errors import (
    BodyMalformed,
    BodyMissing,
    BodyTooLarge,
    ContentTypeUnsupported,
    IdMalformed,
    KeyMalformed,
    KeyMissing,
    RequestInvalid,
    VersionUnclear,
)
from chalicelib.api.rooms import ROOMS, everything
from chalicelib.api.routing import ROUTES, Html, Route, SeeOther, Sheet, Verbatim
from chalicelib.identity.errors import (
    IssuerUnreachable,
    PermissionMissing,
    RateExceeded,
    StaffSuspended,
    TokenInvalid,
    TokenMissing,
)
from chalicelib.kernel.errors import Refusal, StorageBusy, Trouble, WriteContended
from chalicelib.kernel.outcomes import Outcome

_REF = "#/components/schemas/{model}"
_PROBLEM = {
    "type": "object",
    "title": "Problem",
    "description": "Why a request was not carried out (RFC 9457). Switch on `code`, never on prose.",
    "required": ["type", "title", "status", "detail", "instance", "code", "facts"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "One sentence about this request."},
        "instance": {"type": "string", "format": "uri", "description": "Names the request in our logs."},
        "code": {"type": "string"},
        "facts": {"type": "object"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "JSON pointer to what does not fit."},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "required": False,
    "description": "`zh` or `en`, for names and explanations; the program's language by default.",
    "schema": {"type": "string"},
}


def document() -> dict[str, Any]:
    """The document of every route."""
    everything()
    models = _models()
    _, definitions = models_json_schema(models, ref_template=_REF)
    schemas = dict(sorted(definitions.get("$defs", {}).items()))
    samples.illustrate(schemas)
    faults = {kind.code: kind for route in ROUTES for kind in _refusals(route)}
    paths: dict[str, Any] = {}
    for route in sorted(ROUTES, key=lambda each: (each.path, each.method)):
        paths.setdefault("/v1" + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Regulars",
            "version": "1",
            "summary": "Members, purchases, points and tiers.",
            "description": (
                "Commands are nouns you POST. A command that moves points carries an `Idempotency-Key`, or is keyed by "
                "the order number; sent again it gets its first answer, with `Idempotency-Replayed: true`. With "
                "`dry_run: true` nothing is done, and the answer says `Dry-Run: true`. Money is in "
                "whole minor units. Errors are RFC 9457 problems."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": room} for room in ROOMS if any(route.tag == room for route in ROUTES)],
        "paths": paths,
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "schemas": {**schemas, "Problem": _PROBLEM},
            "responses": _faults(),
            "examples": {code: samples.fault(kind) for code, kind in sorted(faults.items())},
        },
    }


def _models() -> list[tuple[type[BaseModel], Any]]:
    found: dict[tuple[type[BaseModel], str], None] = {}
    for route in ROUTES:
        if route.body is not None:
            found[(route.body, "validation")] = None
        for answer in (_answered(route), route.waits):
            if isinstance(answer, type) and issubclass(answer, BaseModel):
                found[(answer, "serialization")] = None
    return list(found)


def _answered(route: Route) -> Any:
    answer = typing.get_args(route.answer)[0] if route.waits or _leads_on(route) else route.answer
    return typing.get_args(answer)[0] if typing.get_origin(answer) is Outcome else answer


def _leads_on(route: Route) -> bool:
    return SeeOther in typing.get_args(route.answer)


def _operation(route: Route) -> dict[str, Any]:
    summary, _, rest = (route.function.__doc__ or "").strip().partition("\n")
    refusals = _refusals(route)
    operation: dict[str, Any] = {
        "operationId": route.function.__name__,
        "tags": [route.tag],
        "summary": summary.rstrip("."),
        "description": (re.sub(r"\n +", "\n", rest).strip() + "\n\n" + _listed(route, refusals)).strip(),
        "parameters": [*_parameters(route), _LANGUAGE],
        "responses": _responses(route, refusals),
    }
    if route.rule.open:
        operation["security"] = []
    if route.body is not None:
        schema = {"$ref": _REF.format(model=_name(route.body))}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _listed(route: Route, refusals: tuple[type[Refusal] | type[Trouble], ...]) -> str:
    permission = "Open to anyone." if route.rule.open else "Needs a token, and no permission."
    if route.rule.needs is not None:
        permission = f"Needs `{route.rule.needs}`."
        if route.rule.beyond:
            named = " or ".join(f"`{each}`" for each in route.rule.beyond)
            permission += f" To go beyond what all may needs {named} too."
    own = [kind for kind in refusals if kind in route.refuses]
    lines = [f"- `{kind.code}` ({problems.STATUS[kind.code]}): {problems.title_of(kind)}." for kind in own]
    return "\n\n".join([permission, *(["Refuses:\n" + "\n".join(lines)] if lines else [])])


def _parameters(route: Route) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, kind in route.path_types.items():
        found.append({"name": name, "in": "path", "required": True, "schema": TypeAdapter(kind).json_schema()})
    if route.query is not None:
        schema = route.query.model_json_schema()
        required = schema.get("required", ())
        for name, prop in schema["properties"].items():
            parameter = {
                "name": name,
                "in": "query",
                "required": name in required,
                "schema": _plain_schema(prop),
            }
            if "description" in prop:
                parameter["description"] = prop["description"]
            found.append(parameter)
    if route.keyed is not None:
        found.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": route.keyed,
                "description": "A new one for each command; the same again for a retry.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]{1,128}$"},
            }
        )
    return found


def _plain_schema(prop: dict[str, Any]) -> dict[str, Any]:
    """A query parameter's schema: absent, not null, is how a query leaves it out."""
    options = [each for each in prop.get("anyOf", ()) if each.get("type") != "null"]
    schema = options[0] if len(options) == 1 else {k: v for k, v in prop.items() if k not in ("title", "description")}
    return {key: value for key, value in schema.items() if not (key == "default" and value is None)}


def _responses(route: Route, refusals: tuple[type[Refusal] | type[Trouble], ...]) -> dict[str, Any]:
    answer = _answered(route)
    schema: dict[str, Any] = (
        {"$ref": _REF.format(model=_name(answer))}
        if isinstance(answer, type) and issubclass(answer, BaseModel)
        else {"type": "object"}
    )
    responses: dict[str, Any] = {
        str(route.status): {"description": "Done.", "content": {"application/json": {"schema": schema}}}
    }
    if route.waits is not None:
        waits = {"$ref": _REF.format(model=_name(route.waits))}
        responses["202"] = {"description": "It waits.", "content": {"application/json": {"schema": waits}}}
        schema = {"anyOf": [schema, waits]}
    if answer is Sheet:
        responses[str(route.status)]["content"] = {"text/csv": {"schema": {"type": "string"}}}
    if answer is Verbatim:
        responses[str(route.status)]["content"] = {"*/*": {"schema": {"type": "string"}}}
    if answer is Html:
        responses[str(route.status)]["content"] = {"text/html": {"schema": {"type": "string"}}}
    if _leads_on(route):
        responses["303"] = {"description": "Done; a browser is shown what came of it."}
    if route.body is not None and "dry_run" in route.body.model_fields and route.status != 200:
        responses["200"] = {
            "description": "What would be done; nothing was written.",
            "content": {"application/json": {"schema": schema}},
        }
    if route.method == "GET" and not (isinstance(answer, type) and issubclass(answer, str)):
        responses["304"] = {"description": "Unchanged since the ETag in If-None-Match."}
    for status, codes in _by_status(refusals).items():
        name = _fault_name(codes, paged=route.fault_page is not None)
        responses[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return dict(sorted(responses.items()))


def _by_status(refusals: Sequence[type[Refusal] | type[Trouble]]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for kind in refusals:
        found.setdefault(problems.STATUS[kind.code], []).append(kind.code)
    return found


def _fault_name(codes: Sequence[str], *, paged: bool) -> str:
    return ".".join([*codes, *(["page"] if paged else [])])


def _faults() -> dict[str, Any]:
    """The answers to faults, each once: most routes share most of them, and who reads the document reads less."""
    found: dict[str, Any] = {}
    for route in ROUTES:
        paged = route.fault_page is not None
        for codes in _by_status(_refusals(route)).values():
            found[_fault_name(codes, paged=paged)] = _fault(codes, paged=paged)
    return dict(sorted(found.items()))


def _fault(codes: Sequence[str], *, paged: bool) -> dict[str, Any]:
    examples = {code: {"$ref": f"#/components/examples/{code}"} for code in codes}
    problem = {problems.CONTENT_TYPE: {"schema": {"$ref": _REF.format(model="Problem")}, "examples": examples}}
    page = {"text/html": {"schema": {"type": "string"}}} if paged else {}
    return {"description": ", ".join(f"`{each}`" for each in codes), "content": problem | page}


def _refusals(route: Route) -> tuple[type[Refusal] | type[Trouble], ...]:
    """All that a route may refuse: what its use case does, and what the edge does for its kind."""
    edge: list[type[Refusal] | type[Trouble]] = [RateExceeded]
    if not route.rule.open:
        edge += [TokenMissing, TokenInvalid, StaffSuspended, IssuerUnreachable, StorageBusy]
    if route.rule.needs is not None:
        edge.append(PermissionMissing)
    if route.path_types:
        edge.append(IdMalformed)
    if route.query is not None:
        edge.append(RequestInvalid)
    if route.method != "GET":
        edge.append(WriteContended)
    if route.body is not None:
        edge += [
            BodyMissing,
            BodyMalformed,
            BodyTooLarge,
            ContentTypeUnsupported,
            RequestInvalid,
        ]
        if "version" in route.body.model_fields:
            edge.append(VersionUnclear)
    if route.keyed:
        edge.append(KeyMissing)
    if route.keyed is not None:
        edge.append(KeyMalformed)
    return tuple(dict.fromkeys([*route.refuses, *edge]))


def _name(model: type[BaseModel]) -> str:
    return re.sub(r"[^A-Za-z0-9.\-_]", "_", model.__name__)
