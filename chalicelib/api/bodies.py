"""Strict reading of what callers send: JSON that means one thing, and query strings, into models."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, NoReturn, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from chalicelib.api.errors import BodyMalformed, BodyMissing, BodyTooLarge, RequestInvalid
from chalicelib.kernel.records import SENT

BODY_MAX = 256 * 1024
"""Bytes: a purchase of 200 lines with long names takes less than half of it."""

ERRORS_MAX = 20

_LOST = "\ufffd"
_LOST_ESCAPED = re.compile(r"\\ufffd", re.IGNORECASE)

_DIGITS = re.compile(r"0|-?[1-9][0-9]{0,14}")

M = TypeVar("M", bound=BaseModel)


def body_of(raw: bytes, model: type[M]) -> M:
    """A model from a JSON body.

    JSON with a key twice, NaN or Infinity, or nested deeper than any command is refused before the schema is asked.

    So is U+FFFD, however it is written. API Gateway puts it in place of whatever is not UTF-8 before the app sees the
    body, so that order numbers in another encoding that differ ('甲-1' and '乙-1' in GBK) arrive as one and the same,
    and the second would be answered as a repeat of the first. No caller means this character.

    Raises:
        BodyMissing, BodyTooLarge, BodyMalformed: it is not JSON that means one thing.
        RequestInvalid: it does not fit the schema; each fault with a JSON pointer.
    """
    if not raw:
        raise BodyMissing
    if len(raw) > BODY_MAX:
        raise BodyTooLarge(limit=BODY_MAX)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise _not_utf8() from None
    if _LOST in text:
        raise _not_utf8()
    try:
        parsed = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        lost = _LOST_ESCAPED.search(text) is not None and _LOST in json.dumps(parsed, ensure_ascii=False)
    except RecursionError:
        raise BodyMalformed("it is nested too deep") from None
    except ValueError as fault:
        raise BodyMalformed(_reason(fault)) from None
    if lost:
        raise _not_utf8()
    try:
        return model.model_validate_json(raw, context=SENT)
    except ValidationError as faults:
        raise _refusal(faults, parsed) from None


def query_of(values: Mapping[str, str], model: type[M]) -> M:
    """A model from a query string. A parameter stands once; numbers are plain digits, and yes or no `true` or `false`.

    A model that ignores what it does not know is of a page that must be shown, whatever was hung on its link.

    Raises:
        RequestInvalid: it does not fit the schema; pointers start with `/query`.
    """
    every = getattr(values, "getlist", lambda name: [values[name]])
    twice = [name for name in values if len(every(name)) > 1]
    if twice and model.model_config.get("extra") != "ignore":
        raise RequestInvalid([{"pointer": f"/query/{_escaped(each)}", "detail": "It stands twice"} for each in twice])
    try:
        return model.model_validate({name: _plain(text, model, name) for name, text in values.items()}, context=SENT)
    except ValidationError as faults:
        raise RequestInvalid(
            [{"pointer": "/query" + each["pointer"], "detail": each["detail"]} for each in _errors(faults, values)]
        ) from None


def _not_utf8() -> BodyMalformed:
    return BodyMalformed("characters of it are lost", lacks="UTF-8")


def _plain(text: str, model: type[BaseModel], name: str) -> str | int | bool:
    kinds = _kinds(model).get(name, frozenset())
    if bool in kinds and text in ("true", "false"):
        return text == "true"
    return int(text) if int in kinds and _DIGITS.fullmatch(text) else text


@cache
def _kinds(model: type[BaseModel]) -> Mapping[str, frozenset[object]]:
    """What types a model's parameters may have, by the name that they are sent under: `int | None` is two."""
    return {each.alias or name: frozenset(_types(each.annotation)) for name, each in model.model_fields.items()}


def _types(annotation: Any) -> Iterator[object]:
    """The types of an annotation, without what only bounds them."""
    if get_origin(annotation) is Annotated:
        yield from _types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for each in get_args(annotation):
            yield from _types(each)
    else:
        yield annotation


def _escaped(part: object) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")


def _refusal(faults: ValidationError, parsed: Any) -> BodyMalformed | RequestInvalid:
    for fault in faults.errors(include_url=False, include_input=False):
        if fault["type"] == "json_invalid":
            return BodyMalformed("it is nested too deep" if "recursion" in fault["msg"] else "it is not JSON in UTF-8")
    return RequestInvalid(_errors(faults, parsed))


def _errors(faults: ValidationError, parsed: Any) -> list[dict[str, str]]:
    """One error for each place: what fits no member of a union is one fault, not one for each member.

    A list from which wrong values were taken out is not too short besides.
    """
    found: dict[str, dict[str, None]] = {}
    short: set[str] = set()
    for fault in faults.errors(include_url=False):
        pointer = _pointer(fault["loc"], parsed, missing=fault["type"] == "missing")
        details = found.setdefault(pointer, {})
        details[fault["msg"].removeprefix("Value error, ")] = None
        if fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"]:
            short.add(pointer)
    errors = [
        {"pointer": pointer, "detail": "; or ".join(details)}
        for pointer, details in found.items()
        if not (pointer in short and any(other.startswith(f"{pointer}/") for other in found))
    ]
    return errors[:ERRORS_MAX]


def _pointer(location: tuple[int | str, ...], parsed: Any, *, missing: bool) -> str:
    """A JSON pointer (RFC 6901) from pydantic's location, which also names members of unions.

    Args:
        missing: the last part is a field that is not there.
    """
    parts: list[str] = []
    here: Any = parsed
    for index, part in enumerate(location):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, Sequence) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (missing and index == len(location) - 1):
            continue
        parts.append(_escaped(part))
    return "".join("/" + part for part in parts)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _reason(fault: ValueError) -> str:
    if isinstance(fault, json.JSONDecodeError):
        return f"it is not JSON (line {fault.lineno}, column {fault.colno})"
    if "digits" in str(fault):
        return "it holds a number of thousands of digits"
    return str(fault)


def raw_of(raw: bytes) -> bytes:
    """A body as it came, for whoever signs the very bytes.

    Raises:
        BodyTooLarge: it is.
    """
    if len(raw) > BODY_MAX:
        raise BodyTooLarge(limit=BODY_MAX)
    return raw
