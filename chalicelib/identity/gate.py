"""The gate: what an Authorization header proves."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.identity.models import Caller
from chalicelib.identity.tokens import caller_of
from chalicelib.storage.table import Table


class Gate(Protocol):
    """Tells who is calling."""

    def caller_of(self, authorization: str | None, *, now: datetime) -> Caller:
        """The caller that an Authorization header proves.

        Raises:
            TokenMissing: there is no bearer token.
            TokenInvalid: it is not from an issuer of ours, not for us, or not good now.
            StaffSuspended: whom it proves is suspended.
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
