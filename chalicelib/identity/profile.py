"""The strict profile of our tokens: how a JWT is spelt and what its times say, whoever issued it.

One spelling only (base64url without padding or stray bits), no header field that we do not know, no name twice in an
object, numbers where RFC 7519 says numbers, no tolerance for what is missing. What signs it is the matter of those who
take it: `tokens` for the local stack's, `oidc` for staff.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from chalicelib.identity.errors import TokenInvalid, TokenMissing

TOKEN_MAX = 4096
LEEWAY_SECONDS = 30
_LATEST = 1e11
"""Seconds since 1970, in the year 5138: neither infinity nor milliseconds pass for a time."""
_SUBJECT = re.compile(r"[\x21-\x7e]{1,100}")
"""A subject goes into logs and records: printable, and nothing that needs escaping there."""
_HEADERS = {"alg", "typ", "kid"}

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spelt:
    """A token taken apart; nothing of it is proven yet.

    Attributes:
        typ: what it says it is; None when it says nothing.
        kid: which key it says it is signed with; empty when it says nothing.
        signed: what the signature is over.
        claims_part: the claims as they were sent.
    """

    alg: str
    typ: str | None
    kid: str
    signed: bytes
    signature: bytes
    claims_part: str

    def claims(self) -> Claims:
        """What it claims.

        Raises:
            TokenInvalid: its claims are no JSON object, or name something twice.
        """
        return _object(self.claims_part)


def bearer(authorization: str | None) -> str:
    """The token in an Authorization header.

    Raises:
        TokenMissing: there is none.
    """
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing
    return token.strip(" ")


@lru_cache(maxsize=512)  # a till sends one token all day; it proves nothing, and a refusal is not remembered
def spelt(token: str, *, longest: int = TOKEN_MAX) -> Spelt:
    """A token taken apart.

    Raises:
        TokenInvalid: it is no JWT in the one spelling, or its header holds what we do not know.
    """
    parts = token.split(".")
    if len(token) > longest or len(parts) != 3 or not token.isascii():
        raise TokenInvalid("it is not a JWT")
    header = _object(parts[0])
    alg, typ, kid = header.get("alg"), header.get("typ", ""), header.get("kid", "")
    if set(header) - _HEADERS or not isinstance(alg, str) or not isinstance(typ, str) or not isinstance(kid, str):
        raise TokenInvalid("its header is not one of ours")
    return Spelt(
        alg, typ if "typ" in header else None, kid, f"{parts[0]}.{parts[1]}".encode(), _decoded(parts[2]), parts[1]
    )


def require_times(claims: Claims, now: float, *, lifetime: float | None = None) -> None:
    """See that a token is good at an instant.

    Args:
        now: seconds since 1970.
        lifetime: how long it may be good for at the most, in seconds.

    Raises:
        TokenInvalid: it has expired, is not good yet, or says none of it in numbers.
    """
    expires, issued = seconds(claims, "exp"), seconds(claims, "iat")
    if not expires > now - LEEWAY_SECONDS:
        raise TokenInvalid("it has expired")
    if not issued <= now + LEEWAY_SECONDS:
        raise TokenInvalid("it is not good yet")
    if "nbf" in claims and not seconds(claims, "nbf") <= now + LEEWAY_SECONDS:
        raise TokenInvalid("it is not good yet")
    if lifetime is not None and not 0 < expires - issued <= lifetime:
        raise TokenInvalid("it is good for too long")


def subject_of(value: object) -> str:
    """A subject that may stand in logs and records.

    Raises:
        TokenInvalid: it is not printable, empty or too long.
    """
    if not isinstance(value, str) or not _SUBJECT.fullmatch(value):
        raise TokenInvalid("it names no subject")
    return value


def seconds(claims: Claims, name: str) -> float:
    """A time of a token, in seconds since 1970.

    Raises:
        TokenInvalid: it is missing, or not a number of seconds.
    """
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise TokenInvalid(f"its {name} is not a number of seconds")
    return value


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part).decode(), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise TokenInvalid("it is not a JWT") from None
    if not isinstance(value, dict):
        raise TokenInvalid("it is not a JWT")
    return value


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object whose names are all different, for `json.loads`.

    Raises:
        ValueError: a name stands twice in it.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _decoded(part: str) -> bytes:
    try:
        return decoded(part)
    except ValueError:
        raise TokenInvalid("it is not a JWT") from None


def decoded(part: str) -> bytes:
    """The bytes of a base64url text without padding.

    Raises:
        ValueError: it is something else, or not in the one spelling of its bytes.
    """
    raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise ValueError("not the one spelling of these bytes")
    return raw
