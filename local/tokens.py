"""Tokens to sign in with on the local stack."""

import secrets
import time
from collections.abc import Mapping

import jwt

from local.demo.shop import SHOPS
from local.settings import AUDIENCE, ISSUER

ROLES = ("clerk", "shop_manager", "marketer", "agent", "analyst", "admin", "auditor", "integration")
AT_A_SHOP = ("clerk", "shop_manager")
LIFETIME = 12 * 60 * 60
"""Seconds: a working day."""


def make_token(
    keys: Mapping[str, str],
    role: str,
    *,
    sub: str | None = None,
    shop: str | None = None,
    directory: bool = False,
    now: int | None = None,
) -> str:
    """A signed token (HS256) that the local stage accepts for twelve hours.

    Args:
        keys: as in keys.json; `token_key` is 32 bytes in hex and signs as those bytes.
        sub: who it is, `stf_…`; by default a name made from the role.
        shop: where they belong; who stands at a till does to the demo's first shop, when it is left out.
        directory: their record of `/v1/staff` counts, as for those whom an identity provider knows, where there is one.
        now: seconds since 1970; by default the clock's.

    Raises:
        ValueError: no such role.
    """
    if role not in ROLES:
        raise ValueError(f"There is no role {role!r}; the roles are: {' '.join(ROLES)}.")
    issued = int(time.time()) if now is None else now
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": sub or f"stf_local_{role}",
        "roles": [role],
        "iat": issued,
        "nbf": issued,
        "exp": issued + LIFETIME,
        "jti": secrets.token_hex(16),
    }
    shop = shop or (SHOPS[0] if role in AT_A_SHOP else None)
    if shop:
        claims["shop_id"] = shop
    if directory:
        claims["directory"] = True
    return jwt.encode(claims, bytes.fromhex(keys["token_key"]), algorithm="HS256")
