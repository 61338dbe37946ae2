"""The gate: what an Authorization header proves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from chalicelib.identity.errors import TokenInvalid
from chalicelib.identity.models import Caller
from chalicelib.identity.profile import bearer, spelt
from chalicelib.identity.tokens import caller_of
from chalicelib.storage.table import Table

KEY_PREFIX = "rgk_"
"""How integration keys begin; no JWT does, because it begins with an object in base64url."""
_LONGEST = 8192


class Gate(Protocol):
    """Tells who is calling."""

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """The caller that an Authorization header proves.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is not from an issuer of ours, not for us, or not good now.
            StaffSuspended: whom it proves is suspended.
            IssuerUnreachable: it cannot be checked, because its issuer's keys cannot be had.
            RateExceeded: it is a key that was used too often this minute.
            StorageBusy: what tells cannot be asked at the moment.
        """


@dataclass(frozen=True, slots=True)
class LocalGate:
    """Takes the tokens of a laptop's own stack, signed with its key (`make token`).

    Args:
        key: empty where no such tokens are taken.
        table: where staff are found whose token says `directory`.
    """

    key: bytes
    issuer: str
    audience: str
    table: Table | None = None

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`."""
        return caller_of(
            authorization, key=self.key, issuer=self.issuer, audience=self.audience, now=now, table=self.table
        )


@dataclass(frozen=True, slots=True)
class Gates:
    """Asks the one gate that a token's form leads to. The form decides nothing else: that gate proves the token.

    Args:
        local: for tokens of a laptop's stack, HS256; None everywhere else.
        issuers: for tokens that an issuer signed, by `iss`: those of staff, and our own for members.
        keys: for integration keys.
    """

    local: Gate | None = None
    issuers: Mapping[str, Gate] = field(default_factory=dict)
    keys: Gate | None = None

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`."""
        gate = self._gate_for(bearer(authorization))
        if gate is None:
            raise TokenInvalid("it is not from an issuer of ours")
        return gate.caller_of(authorization, now=now)

    def _gate_for(self, token: str) -> Gate | None:
        if token.startswith(KEY_PREFIX):
            return self.keys
        found = spelt(token, longest=_LONGEST)
        if found.alg == "HS256":  # never by an issuer: who verifies such a token could have made it
            return self.local
        issuer = found.claims().get("iss")
        return self.issuers.get(issuer) if isinstance(issuer, str) else None
