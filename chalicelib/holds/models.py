"""Holds: the commands of a checkout, and what it is answered."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from chalicelib.kernel.ids import EntryId, HoldId, MemberId, PurchaseId
from chalicelib.kernel.money import SomePoints
from chalicelib.kernel.records import Record, Reference
from chalicelib.points.models import EntryKey, Reserved

MINUTES = 15
"""How long a hold lasts when nothing else is said: a checkout."""

MINUTES_MAX = 30 * 24 * 60


class HoldStatus(StrEnum):
    """What became of a hold."""

    HELD = "held"
    CAPTURED = "captured"
    RELEASED = "released"
    TIMED_OUT = "timed_out"


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold that an account has.

    Attributes:
        key: of the entry that reserved the points.
    """

    key: EntryKey
    reserved: Reserved


class HoldPoints(Record):
    """Reserve points of a member for a checkout: until they are captured, released, or the time is over."""

    points: SomePoints
    minutes: Annotated[int, Field(ge=1, le=MINUTES_MAX)] = MINUTES
    """From this many minutes on they are free again, whoever does or does not say so; at most 30 days."""
    reference: Reference | None = None
    """Your own number for the checkout."""
    dry_run: bool = False


class CaptureHold(Record):
    """Spend points that are held; what is left of the hold is free at once."""

    points: SomePoints | None = None
    """How many of them; all, when left out."""
    dry_run: bool = False


class ReleaseHold(Record):
    """Give points free that are held."""

    dry_run: bool = False


class HoldEnd(Record):
    """How a hold ended."""

    at: AwareDatetime
    """When: for one that timed out, the instant at which its time was over."""
    purchase_id: PurchaseId | None = None
    """The purchase that was paid with it; null where it was captured alone, or not at all."""
    entry_id: EntryId | None = None
    """The entry that ended it; null, as the rest, while a time-out is not booked: it counts all the same."""
    seq: int | None = None
    balance_after: int | None = None
    hash: str | None = None


class HoldView(Record):
    """A hold and what became of it."""

    hold_id: HoldId
    member_id: MemberId
    status: HoldStatus
    points: int
    captured_points: int = 0
    reference: str | None
    held_at: AwareDatetime
    held_until: AwareDatetime
    seq: int
    """Of the entry that reserved the points, as is `hash`."""
    hash: str
    end: HoldEnd | None = None
    """Null while the points are held."""


class HoldList(Record):
    """The holds of a member that are open, the first one over first; there are never more than 16."""

    items: tuple[HoldView, ...]
    next_cursor: None = None
