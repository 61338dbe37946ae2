"""The OIDC issuers that staff sign in with, as the environment names them."""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError

from chalicelib.identity.permissions import ROLES
from chalicelib.kernel.records import Record

NOT_STAFF = ("member", "integration")
"""Roles that no claim gives: members and integrations have ways of their own to prove who they are."""
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

_Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
ClaimPath = Annotated[tuple[_Text, ...], Field(min_length=1, max_length=5)]
"""Where in the claims something stands: names from the outside in."""


class Algorithm(StrEnum):
    """How an issuer may sign. All are asymmetric: what verifies cannot sign."""

    RS256 = "RS256"
    PS256 = "PS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    """With Ed25519 only."""


class TokenType(StrEnum):
    """What an issuer writes into the `typ` of its access tokens."""

    ACCESS = "at+jwt"
    """RFC 9068: an access token, and no ID token passes for one."""
    ACCESS_IN_FULL = "application/at+jwt"
    JWT = "JWT"
    """Any token at all."""
    NONE = "none"
    """It writes nothing."""


class RoleClaim(Record):
    """What gives roles to staff who have no record here.

    Attributes:
        values: our role by what the claim says; everything else that it says is passed over.
    """

    claim: ClaimPath
    values: Annotated[dict[str, str], Field(min_length=1, max_length=100)]


class ClaimMap(Record):
    """Where an issuer's tokens say who somebody is.

    Attributes:
        subject: what names a person for ever and is given to nobody else; no address and no name.
        shops: ids of shops, for roles that reach to those only.
    """

    subject: ClaimPath = ("sub",)
    name: ClaimPath | None = ("name",)
    email: ClaimPath | None = None
    roles: RoleClaim | None = None
    shops: ClaimPath | None = None


class Issuer(Record):
    """An issuer whose tokens are taken.

    Attributes:
        label: a short name of ours, which stands before its subjects in logs.
        issuer: as its tokens' `iss` says, to the letter.
        audience: what its tokens' audience must be or hold.
        audience_claim: where that stands; Cognito's access tokens have it in `client_id`.
        clients: the clients that may bring tokens, by `azp` and `client_id`; empty for any, but then a token must be
            for our audience alone.
        jwks_uri: where its keys are; by discovery when it is not given.
        jwks: its public keys, where they are known beforehand: then nobody is asked for them, and no others count.
        algorithms: how it may sign, and no other way.
        access_token_types: what its access tokens call themselves. Where that is `JWT` or nothing, an ID token looks
            the same, so `audience` or `required` have to tell the two apart.
        required: claims that must be exactly so, `{"token_use": "access"}`.
    """

    label: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,15}$")]
    issuer: _Text
    audience: _Text
    audience_claim: _Text = "aud"
    clients: Annotated[tuple[_Text, ...], Field(max_length=50)] = ()
    jwks_uri: _Text | None = None
    jwks: Annotated[tuple[dict[str, Any], ...], Field(min_length=1, max_length=20)] | None = None
    algorithms: Annotated[frozenset[Algorithm], Field(min_length=1)]
    access_token_types: Annotated[frozenset[TokenType], Field(min_length=1)] = frozenset({TokenType.ACCESS})
    required: Mapping[_Text, _Text] = {}
    claims: ClaimMap = ClaimMap()

    @property
    def types(self) -> frozenset[str | None]:
        """What the `typ` of its tokens may be; None for tokens without one."""
        return frozenset(None if each is TokenType.NONE else each.value for each in self.access_token_types)

    @property
    def discovery_uri(self) -> str:
        """Where it says where its keys are (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.rstrip("/") + "/.well-known/openid-configuration"


_ISSUERS = TypeAdapter(tuple[Issuer, ...])


def issuers_from(text: str, *, own: str, local: bool) -> tuple[Issuer, ...]:
    """The issuers that a JSON text names.

    Args:
        own: our own issuer, which is none of them.
        local: whether this is a laptop, where an issuer may answer on this machine without TLS.

    Raises:
        ValueError: it is no list of issuers, or names one that we could not trust.
    """
    try:
        found = _ISSUERS.validate_json(text)
    except ValidationError as wrong:
        raise ValueError(_first(wrong.errors())) from None
    for name in ("issuer", "label"):
        if len({getattr(each, name) for each in found}) != len(found):
            raise ValueError(f"two issuers have the same {name}")
    for each in found:
        _require_trustworthy(each, own, local)
    return found


def _require_trustworthy(issuer: Issuer, own: str, local: bool) -> None:
    if issuer.issuer == own:
        raise ValueError(f"{issuer.label}: that is our own issuer")
    for url in (issuer.issuer, issuer.jwks_uri):
        if url is not None and not is_safe(url, local=local):
            raise ValueError(f"{issuer.label}: {url} is no plain https address")
    if issuer.jwks is not None and any("d" in key for key in issuer.jwks):
        raise ValueError(f"{issuer.label}: a private key does not belong here")
    untold = issuer.access_token_types & {TokenType.JWT, TokenType.NONE}
    if untold and issuer.audience in issuer.clients and not issuer.required:
        why = "its ID tokens are for a client too and would be taken; `required` must tell access tokens from them"
        raise ValueError(f"{issuer.label}: {why}")
    given = issuer.claims.roles.values.values() if issuer.claims.roles else ()
    for role in given:
        if role not in ROLES or role in NOT_STAFF:
            raise ValueError(f"{issuer.label}: {role} is no role of staff")


def is_safe(url: str, *, local: bool) -> bool:
    """Whether an address may be asked for keys: https, or on a laptop the laptop itself."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not re.fullmatch(r"[\x21-\x7e]+", url) or not host or "@" in parts.netloc or parts.fragment:
        return False
    return parts.scheme == "https" or (local and parts.scheme == "http" and host in _LOOPBACK)


def _first(errors: list[Any]) -> str:
    where = ".".join(map(str, errors[0]["loc"])) or "the list"
    return f"{where}: {errors[0]['msg']}"
