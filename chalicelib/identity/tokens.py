"""Bearer tokens: who is calling. Verified on every request, in the app, on AWS and on a laptop alike.

For now tokens are HS256 and signed with the local stack's key; other issuers come with the identity work. The profile
is strict: one algorithm, no header we do not know, numbers where RFC 7519 says numbers, no tolerance for what is
missing. The check is a few lines of standard library because importing a JWT library costs a third of a cold start
(ADR 0006).
"""

import base64
import hashlib
import hmac
import json
import re
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.identity.errors import TokenInvalid, TokenMissing
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, joined
from chalicelib.identity.staff import standing
from chalicelib.kernel.ids import ShopId, StaffId
from chalicelib.storage.table import Table

TOKEN_MAX = 4096
_LEEWAY_SECONDS = 30
_LATEST = 1e11
"""Seconds since 1970, in the year 5138: neither infinity nor milliseconds pass for a time."""
_SUBJECT = re.compile(r"[\x21-\x7e]{1,100}")
"""A subject goes into logs and records: printable, and nothing that needs escaping there."""
_HEADERS = {"alg", "typ", "kid"}


def caller_of(
    authorization: str | None, *, key: bytes, issuer: str, audience: str, now: datetime, table: Table | None = None
) -> Caller:
    """The caller that an Authorization header proves.

    Args:
        table: where staff are found whose token says `"directory": true`: their record counts then, as it does for
            those whom an identity provider knows.

    Raises:
        TokenMissing: there is no bearer token.
        TokenInvalid: it is not signed by us, not for us, or not good now.
        StaffSuspended: it says `directory`, and there its subject is suspended.
    """
    if not authorization:
        raise TokenMissing
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing
    claims = _claims(token.strip(" "), key)
    caller = _caller(claims, issuer, audience, now.timestamp())
    if claims.get("directory") is not True or table is None:
        return caller
    found = standing(table, issuer, caller.subject, caller.roles, caller.shop_ids, now=now)
    return Caller(Kind.STAFF, found.staff_id, found.roles, found.grants, found.shop_ids, staff_id=found.staff_id)


@lru_cache(maxsize=512)  # a till sends one token all day; only what passed is remembered, and times are asked anew
def _claims(token: str, key: bytes) -> dict[str, Any]:
    parts = token.split(".")
    if len(token) > TOKEN_MAX or len(parts) != 3 or not token.isascii():
        raise TokenInvalid("it is not a JWT")
    header = _object(parts[0])
    if header.get("alg") != "HS256" or set(header) - _HEADERS or header.get("typ", "JWT") != "JWT":
        raise TokenInvalid("its header is not one of ours")
    if not isinstance(header.get("kid", ""), str):
        raise TokenInvalid("its header is not one of ours")
    mac = hmac.digest(key, f"{parts[0]}.{parts[1]}".encode(), hashlib.sha256)
    if not key or not hmac.compare_digest(mac, _decoded(parts[2])):
        raise TokenInvalid("its signature is not ours")
    return _object(parts[1])


def _caller(claims: dict[str, Any], issuer: str, audience: str, now: float) -> Caller:
    audiences = claims.get("aud")
    if claims.get("iss") != issuer:
        raise TokenInvalid("it is of another issuer")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise TokenInvalid("it is for another audience")
    if not _number(claims, "exp") > now - _LEEWAY_SECONDS:
        raise TokenInvalid("it has expired")
    if not _number(claims, "iat") <= now + _LEEWAY_SECONDS:
        raise TokenInvalid("it is not good yet")
    if "nbf" in claims and not _number(claims, "nbf") <= now + _LEEWAY_SECONDS:
        raise TokenInvalid("it is not good yet")
    subject, roles, shop = claims.get("sub"), claims.get("roles"), claims.get("shop_id")
    if not isinstance(subject, str) or not _SUBJECT.fullmatch(subject):
        raise TokenInvalid("it names no subject")
    if not isinstance(roles, list) or not roles or any(not isinstance(r, str) or r not in ROLES for r in roles):
        raise TokenInvalid("it names no known role")
    if shop is not None and (not isinstance(shop, str) or not re.fullmatch(ShopId.pattern, shop)):
        raise TokenInvalid("its shop is not an id")
    grants = joined(ROLES[role] for role in roles)
    shops = frozenset({ShopId(shop)}) if shop is not None else frozenset[ShopId]()
    staff_id = StaffId.of(issuer, subject)
    return Caller(Kind.STAFF, subject, roles=tuple(roles), grants=grants, shop_ids=shops, staff_id=staff_id)


def _number(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise TokenInvalid(f"its {name} is not a number of seconds")
    return value


def _object(part: str) -> dict[str, Any]:
    try:
        value = json.loads(_decoded(part).decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise TokenInvalid("it is not a JWT") from None
    if not isinstance(value, dict):
        raise TokenInvalid("it is not a JWT")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _decoded(part: str) -> bytes:
    try:
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise TokenInvalid("it is not a JWT") from None
    if base64.urlsafe_b64encode(raw).decode().rstrip("=") != part:
        raise TokenInvalid("it is not a JWT")
    return raw
