"""The gate: what an Authorization header proves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.identity.models import Caller
from chalicelib.identity.profile import bearer
from chalicelib.identity.tokens import caller_of


class Gate(Protocol):
    """Tells who is calling."""

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """The caller that an Authorization header proves.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is not from an issuer of ours, not for us, or not good now.
            RateExceeded: it is a key that was used too often this minute.
            StorageBusy: what tells cannot be asked at the moment.
        """


class Choosing(Gate, Protocol):
    """A gate that knows its own tokens by their form."""

    def takes(self, token: str) -> bool:
        """Whether a token is for this gate; nothing of it is proven by that."""


@dataclass(frozen=True, slots=True)
class Gates:
    """Asks the gate whose form a token has.

    Args:
        of_a_form: gates that know their own tokens, asked in turn.
        otherwise: takes the rest.
    """

    of_a_form: tuple[Choosing, ...]
    otherwise: Gate

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`."""
        token = bearer(authorization)
        gate = next((each for each in self.of_a_form if each.takes(token)), self.otherwise)
        return gate.caller_of(authorization, now=now)


@dataclass(frozen=True, slots=True)
class LocalGate:
    """Takes the tokens of a laptop's own stack, signed with its key (`make token`).

    Args:
        key: empty where no such tokens are taken.
    """

    key: bytes
    issuer: str
    audience: str

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """See `Gate.caller_of`."""
        return caller_of(authorization, key=self.key, issuer=self.issuer, audience=self.audience, now=now)
