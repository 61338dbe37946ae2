"""The envelope of every event, and the base of what events say."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Generic, TypeVar

from pydantic import AwareDatetime, Field, StringConstraints

from chalicelib.kernel.canonical import canonical
from chalicelib.kernel.ids import AccountId, Id
from chalicelib.kernel.records import Record


class EventId(Id):
    """Names an event; the same record always gives the same one."""

    pattern = r"^evt_[a-z2-7]{32}$"
    longest = 36

    @classmethod
    def of(cls, pk: str, sk: str, event_type: str) -> "EventId":
        """The id of the event of a type that the record under a key gives."""
        digest = hashlib.sha256(b"regulars event\n" + canonical([event_type, pk, sk])).digest()
        return cls("evt_" + base64.b32encode(digest[:20]).decode().lower())


class Told(Record):
    """What an event says, by the name of what happened.

    No names, numbers to reach people by, or words that somebody typed: events are copied to places from which nothing
    can be erased.
    """

    version: ClassVar[int] = 1
    """Raised when a field changes its meaning or goes; a field that comes raises nothing."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """What happened, to whom and when: an event before it has its id.

    Attributes:
        account_id: whom it happened to; None where it is nobody in particular.
    """

    data: Told
    account_id: AccountId | None
    occurred_at: datetime
    recorded_at: datetime


T = TypeVar("T", bound=Told)


class Envelope(Record, Generic[T]):
    """An event as every consumer gets it."""

    event_id: EventId
    """The same event may come again; its id says that it is the same."""
    type: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{1,63}$")]
    version: Annotated[int, Field(ge=1)]
    """Of the type's data. Fields may be added without a new version, so take no offence at one you do not know."""
    member_id: AccountId | None
    """Whom it happened to: a member (`mem_`), or a pool or card (`pol_`, `crd_`) that has an account of its own; null
    where it is nobody in particular."""
    seq: Annotated[int, Field(ge=1)] | None
    """The account's ledger entry that it comes from: dense, in the order in which entries were recorded. Null where it
    comes from none."""
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    data: T
