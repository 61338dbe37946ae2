"""The canonical form of content, and the hash chain over it.

`docs/canonical-form.md` states the form for readers in any language; `tests/unit/test_canonical.py` freezes it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any

from chalicelib.kernel.calendar import milliseconds

CHAIN_VERSION = b"regulars entry 1\n"
GENESIS = bytes(32)
"""The hash before the first entry of every account."""


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_ATOMS = frozenset({str, int, bool})


def canonical(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Content as bytes of which there is only one spelling.

    JSON in UTF-8 without white space, keys in code point order, no escapes but those that JSON demands, whole
    numbers in plain digits. Fields that are not set are left out by the caller, so that a field added later does
    not change the form of what was written before it existed.

    Raises:
        TypeError: the content holds something other than text, whole numbers, booleans, lists and objects.
    """
    _refuse_floats(value)
    return _ENCODER.encode(value).encode()


def digest(value: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """SHA-256 of the canonical form, 32 bytes."""
    return hashlib.sha256(canonical(value)).digest()


def chained(previous: bytes, content: Mapping[str, Any]) -> bytes:
    """The hash of an entry: SHA-256 over the chain's version, the entry before it, and the entry's content."""
    return hashlib.sha256(CHAIN_VERSION + previous + canonical(content)).digest()


def plain(value: Any) -> Any:
    """A record's values in the canonical form's terms: instants as milliseconds since 1970, days as `YYYY-MM-DD`.

    The same instant written with another offset is the same content.
    """
    if type(value) in _ATOMS:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return milliseconds(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: each if type(each) in _ATOMS else plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [each if type(each) in _ATOMS else plain(each) for each in value]
    return value


def _refuse_floats(value: Any) -> None:
    if isinstance(value, Mapping):
        parts: Iterable[Any] = value.values()
    elif isinstance(value, list | tuple):
        parts = value
    elif isinstance(value, str | int | bool):
        return
    else:
        raise TypeError(f"{type(value).__name__} has no canonical form")
    for each in parts:
        if type(each) not in _ATOMS:  # most are, and a call for each of them costs more than the look
            _refuse_floats(each)
