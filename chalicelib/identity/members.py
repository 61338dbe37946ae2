"""Members' access tokens: made when somebody has signed in, and taken at the gate.

A JWT of ten minutes, ES256, signed by a key of its own use (`REGULARS_SESSION_KEY`) that in a stack never leaves KMS.
It is verified in the app with the key's public half, which a process asks for once (ADR 0036).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES
from chalicelib.identity.profile import bearer, require_times, spelt
from chalicelib.kernel.ids import AccountId, MemberId, SessionId
from chalicelib.storage import keys
from chalicelib.storage.signing import PublicKey, Signer, url_safe
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

LIVES_SECONDS = 600
TYPE = "at+jwt"
_ALGORITHM = "ES256"
_MERGES_MAX = 10
"""How often somebody may have been merged on; a chain of merges this long has no end."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """Issues members' access tokens.

    Attributes:
        name: the `iss` of its tokens, of this stack's only.
        audience: the `aud` of its tokens.
    """

    signer: Signer
    name: str
    audience: str

    def issue(self, member_id: MemberId, session_id: SessionId, *, now: datetime) -> str:
        """An access token of ten minutes.

        Raises:
            StorageBusy: the signing key is busy or out of reach.
        """
        issued = int(now.timestamp())
        claims = {
            "iss": self.name,
            "aud": self.audience,
            "sub": member_id,
            "sid": session_id,
            "iat": issued,
            "exp": issued + LIVES_SECONDS,
        }
        header = {"alg": _ALGORITHM, "typ": TYPE, "kid": self.signer.public().key_id}
        signed = f"{_part(header)}.{_part(claims)}"
        return f"{signed}.{url_safe(self.signer.sign(signed.encode()))}"


@dataclass(frozen=True, slots=True)
class MemberGate:
    """Takes members' access tokens, and finds who answers for the member by now.

    Args:
        table: `core`, where the member's account is.
    """

    issuer: Issuer
    table: Table

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`. One read of half a unit tells who answers: who was merged acts as the one who stays.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is not from this issuer, not for us, or not good now, or nobody answers for its member.
            StorageBusy: the key or the account cannot be asked for at the moment.
        """
        claims = _claims(bearer(authorization), self.issuer.signer.public())
        if claims.get("iss") != self.issuer.name:
            raise TokenInvalid("it is of another issuer")
        if claims.get("aud") != self.issuer.audience:
            raise TokenInvalid("it is for another audience")
        require_times(claims, now.timestamp(), lifetime=LIVES_SECONDS)
        member_id, session_id = claims.get("sub"), claims.get("sid")
        if not isinstance(member_id, str) or not re.fullmatch(MemberId.pattern, member_id):
            raise TokenInvalid("it names no subject")
        if not isinstance(session_id, str) or not re.fullmatch(SessionId.pattern, session_id):
            raise TokenInvalid("it names no session")
        return self._standing(MemberId(member_id), SessionId(session_id))

    def _standing(self, member_id: MemberId, session_id: SessionId) -> Caller:
        found = answering(self.table, member_id)
        if found is None:
            raise TokenInvalid("nobody answers for its member any more")
        answers, former = found
        return Caller(
            kind=Kind.MEMBER,
            subject=answers,
            roles=("member",),
            grants=ROLES["member"],
            member_id=answers,
            former_ids=former,
            session_id=session_id,
        )


def answering(
    table: Table, member_id: MemberId, *, consistent: bool = False
) -> tuple[MemberId, frozenset[AccountId]] | None:
    """Who answers for a member by now, and for whom else: themselves, or who they were merged into. None: nobody."""
    at = member_id
    for _ in range(_MERGES_MAX):
        item = table.get(keys.account(at), consistent=consistent)
        if item is None or item["status"] == "closed":
            return None
        if "into" not in item:
            return at, frozenset(_former(item))
        at = MemberId(item["into"])
    return None


def _former(item: Item) -> list[AccountId]:
    return [AccountId(each) for each in item.get("absorbed", ())]


@lru_cache(maxsize=512)  # a page asks several things at once; only what passed is remembered, and times are asked anew
def _claims(token: str, public: PublicKey) -> Mapping[str, Any]:
    found = spelt(token)
    if (found.alg, found.typ, found.kid) != (_ALGORITHM, TYPE, public.key_id):
        raise TokenInvalid("its header is not one of ours")
    if not verifies(public, found.signed, found.signature):
        raise TokenInvalid("its signature is not ours")
    return found.claims()


def verifies(public: PublicKey, message: bytes, signature: bytes) -> bool:
    """Whether a signature (r and s, 32 bytes each) is that key's over a message."""
    if len(signature) != 64:
        return False
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - 20 ms that only members' requests pay
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(public.x, "big"), int.from_bytes(public.y, "big"), ec.SECP256R1()
    )
    try:
        numbers.public_key().verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _part(value: Mapping[str, Any]) -> str:
    return url_safe(json.dumps(value, separators=(",", ":")).encode())
