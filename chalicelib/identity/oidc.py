"""Staff sign in with an OIDC issuer of the merchant's: its tokens prove who they are, we decide what they may do."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.issuers import Algorithm, ClaimPath, Issuer
from chalicelib.identity.jwks import IssuerKeys
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, joined
from chalicelib.identity.profile import Claims, bearer, require_times, spelt, subject_of
from chalicelib.identity.staff import Appointment
from chalicelib.kernel.ids import ShopId, StaffId

TOKEN_MAX = 8192
"""Characters: issuers put groups into tokens; API Gateway takes headers of 10 kB altogether."""
LIFETIME_MAX = 24 * 60 * 60
"""Seconds that a token may be good for."""
_LISTED_MAX = 200
"""Entries of a list in the claims."""
_NAME_MAX = 100


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a token that was checked says of its bearer.

    Attributes:
        subject: as the issuer names them.
        email: only one that the issuer says it has verified.
        roles: those that the issuer's groups stand for.
    """

    issuer: str
    subject: str
    name: str
    email: str | None
    roles: tuple[str, ...]
    shop_ids: frozenset[ShopId]


AppointmentOf = Callable[[Claimed, datetime], Appointment]
"""What somebody may do who signed in, now; raises a refusal when they may not come in."""


def by_claims(claimed: Claimed, _now: datetime) -> Appointment:
    """Nobody has a record: roles and shops are those of the claims."""
    staff_id = StaffId.of(claimed.issuer, claimed.subject)
    return Appointment(staff_id, claimed.roles, joined(ROLES[role] for role in claimed.roles), claimed.shop_ids)


@dataclass(frozen=True, slots=True)
class OidcGate:
    """Takes the tokens of one issuer.

    Args:
        keys: the issuer's.
        appointed: tells what who signed in may do, asked on every request.
    """

    issuer: Issuer
    keys: IssuerKeys
    appointed: AppointmentOf = by_claims

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is not the issuer's, not for us, or not good now.
            IssuerUnreachable: the issuer's keys cannot be had.
        """
        claims = self._proven(bearer(authorization), now.timestamp())
        claimed = _claimed(self.issuer, claims)
        found = self.appointed(claimed, now)
        name, staff_id = found.name or claimed.name, found.staff_id
        return Caller(
            Kind.STAFF, staff_id, found.roles, found.grants, found.shop_ids,
            staff_id=staff_id, name=name, membership=found.membership,
        )  # fmt: skip

    def _proven(self, token: str, now: float) -> Claims:
        """The claims of a token that is the issuer's, for us, and good now."""
        found = spelt(token, longest=TOKEN_MAX)
        if found.alg not in self.issuer.algorithms or found.typ not in self.issuer.types or not found.kid:
            raise TokenInvalid("its header is not one of ours")
        claims = found.claims()
        if claims.get("iss") != self.issuer.issuer:
            raise TokenInvalid("it is of another issuer")
        key = self.keys.find(found.kid, Algorithm(found.alg), now)
        if key is None or not key.verify(found.signed, found.signature):
            raise TokenInvalid("its signature is not its issuer's")
        _require_for_us(self.issuer, claims)
        require_times(claims, now, lifetime=LIFETIME_MAX)
        return claims


def _require_for_us(issuer: Issuer, claims: Claims) -> None:
    """See that a token was made for us, and for a client of ours.

    Raises:
        TokenInvalid: it was not.
    """
    audiences = claims.get(issuer.audience_claim)
    several = audiences if isinstance(audiences, list) else [audiences]
    if len(several) > _LISTED_MAX or any(not isinstance(each, str) for each in several):
        raise TokenInvalid("it is for another audience")
    if issuer.audience not in several:
        raise TokenInvalid("it is for another audience")
    # A token for several audiences can be brought here by any of them, so then its client must be known as ours.
    if len(several) > 1 and not issuer.clients:
        raise TokenInvalid("it is for other audiences too")
    clients = [claims[name] for name in ("azp", "client_id") if name in claims]
    if issuer.clients and (not clients or any(each not in issuer.clients for each in clients)):
        raise TokenInvalid("it is for another client")
    for name, value in issuer.required.items():
        if claims.get(name) != value:
            raise TokenInvalid("it is for something else")


def _claimed(issuer: Issuer, claims: Claims) -> Claimed:
    """What a token that was checked says of its bearer.

    Raises:
        TokenInvalid: it names nobody, or its roles or shops are no text.
    """
    where = issuer.claims
    subject = subject_of(_at(claims, where.subject))
    name = _at(claims, where.name)
    email = _at(claims, where.email)
    verified = isinstance(email, str) and claims.get("email_verified") is True
    shops = _texts(claims, where.shops)
    if any(not re.fullmatch(ShopId.pattern, each) for each in shops):
        raise TokenInvalid("its shop is not an id")
    given = issuer.claims.roles
    said = _texts(claims, given.claim) if given else []
    roles = {given.values[each] for each in said if each in given.values} if given else set()
    return Claimed(
        issuer=issuer.issuer,
        subject=subject,
        name=name[:_NAME_MAX] if isinstance(name, str) and name.isprintable() else "",
        email=email if verified else None,
        roles=tuple(role for role in ROLES if role in roles),
        shop_ids=frozenset(map(ShopId, shops)),
    )


def _at(claims: Claims, path: ClaimPath | None) -> Any:
    """What stands somewhere in the claims; None where nothing does."""
    if path is None:
        return None
    found: Any = claims
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _texts(claims: Claims, path: ClaimPath | None) -> list[str]:
    """A text or a list of texts in the claims; nothing where nothing stands.

    Raises:
        TokenInvalid: something else stands there.
    """
    found = _at(claims, path)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    if len(listed) > _LISTED_MAX or any(not isinstance(each, str) for each in listed):
        raise TokenInvalid("its roles or shops are no list of names")
    return listed
