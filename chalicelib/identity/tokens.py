"""The tokens of a laptop's own stack (`make token`): HS256 under its key, for scripts and tests.

They are taken in no other stage. The check is a few lines of standard library because importing a JWT library costs a
third of a cold start (ADR 0006).
"""

import hashlib
import hmac
import re
from datetime import datetime
from functools import lru_cache

from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, Grants, joined
from chalicelib.identity.profile import Claims, bearer, require_times, spelt, subject_of
from chalicelib.identity.staff import appointment
from chalicelib.kernel.ids import ShopId, StaffId
from chalicelib.storage.table import Table


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
    claims, caller = _read(bearer(authorization), key, issuer, audience)
    require_times(claims, now.timestamp())
    if claims.get("directory") is not True or table is None:
        return caller
    found = appointment(table, issuer, caller.subject, caller.roles, caller.shop_ids, now=now)
    return Caller(
        Kind.STAFF, found.staff_id, found.roles, found.grants, found.shop_ids,
        staff_id=found.staff_id, membership=found.membership,
    )  # fmt: skip


@lru_cache(maxsize=512)  # a till sends one token all day; only what passed is remembered, and times are asked anew
def _read(token: str, key: bytes, issuer: str, audience: str) -> tuple[Claims, Caller]:
    claims = _claims(token, key)
    return claims, _caller(claims, issuer, audience)


def _claims(token: str, key: bytes) -> Claims:
    found = spelt(token)
    if found.alg != "HS256" or found.typ not in ("JWT", None):
        raise TokenInvalid("its header is not one of ours")
    mac = hmac.digest(key, found.signed, hashlib.sha256)
    if not key or not hmac.compare_digest(mac, found.signature):
        raise TokenInvalid("its signature is not ours")
    return found.claims()


@lru_cache(maxsize=64)
def _grants(roles: tuple[str, ...]) -> Grants:
    return joined(ROLES[role] for role in roles)


def _caller(claims: Claims, issuer: str, audience: str) -> Caller:
    audiences = claims.get("aud")
    if claims.get("iss") != issuer:
        raise TokenInvalid("it is of another issuer")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise TokenInvalid("it is for another audience")
    subject, roles, shop = subject_of(claims.get("sub")), claims.get("roles"), claims.get("shop_id")
    if not isinstance(roles, list) or not roles or any(not isinstance(r, str) or r not in ROLES for r in roles):
        raise TokenInvalid("it names no known role")
    if shop is not None and (not isinstance(shop, str) or not re.fullmatch(ShopId.pattern, shop)):
        raise TokenInvalid("its shop is not an id")
    grants = _grants(tuple(roles))
    shops = frozenset({ShopId(shop)}) if shop is not None else frozenset[ShopId]()
    staff_id = StaffId.of(issuer, subject)
    return Caller(Kind.STAFF, subject, roles=tuple(roles), grants=grants, shop_ids=shops, staff_id=staff_id)
