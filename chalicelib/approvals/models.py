"""What waits for a second person."""

from datetime import timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime

from chalicelib.kernel.ids import AccountId, ApprovalId, EntryId, ShopId
from chalicelib.kernel.records import Record

WAITS_FOR = timedelta(hours=72)
"""What nobody has decided on by then lapses."""


WORDS = ("note_to_member", "note_internal", "reason")
"""Fields of commands that hold what somebody typed."""


class ApprovalKind(StrEnum):
    """Which command waits."""

    ADJUSTMENT = "adjustment"
    REVERSAL = "reversal"
    CARD_REFUND = "card_refund"
    CLOSURE = "closure"
    """Of a membership that owes points, which it forgives."""
    LAUNCH = "launch"
    """Of a campaign that gives points."""
    ACTIVATION = "activation"
    """Of a journey that gives points."""


class ApprovalStatus(StrEnum):
    """What became of it."""

    WAITING = "waiting"
    APPROVED = "approved"
    """And carried out, in the same transaction."""
    REJECTED = "rejected"
    LAPSED = "lapsed"
    """Nobody decided in time. It is never stored: the clock says so."""


class Asking(Record):
    """A command that may have to wait, and who sends it."""

    kind: ApprovalKind
    about: str
    """What it is sent to: a member, an entry, a card, by its id."""
    key: str
    """Tells it from others of its kind: the caller's `Idempotency-Key`, or what it is about, where that can happen but
    once."""
    command: str
    """As JSON, without what says whether it is a dry run."""
    asked_by: str
    shop_ids: tuple[ShopId, ...] = ()
    """Those of whoever asks, when they reach no further."""
    own_id: AccountId | None = None
    """The membership of whoever asks, by their record: points that come to it raise an alert, whoever approves them."""


class Approval(Asking):
    """A command that waits for a second person, or did."""

    approval_id: ApprovalId
    amount: int
    """Points, or money in minor units: the most that an approval covers; of a launch, points for each member."""
    content: bytes
    """Digest of what is asked for."""
    asked_at: AwareDatetime
    status: ApprovalStatus = ApprovalStatus.WAITING
    """As it is stored."""
    decided_by: str | None = None
    decided_at: AwareDatetime | None = None
    reason: str | None = None
    entry_id: EntryId | None = None
    """What carrying it out has booked."""
    version: int = 1


class ApprovalView(Record):
    """What waits for a second person, or did."""

    approval_id: ApprovalId
    kind: ApprovalKind
    status: ApprovalStatus
    about: str
    """What it is sent to: a member, an entry, a card, a campaign, a journey, by its id."""
    amount: int
    """Points, or money in minor units; of a launch or an activation, points for each member."""
    command: dict[str, Any]
    """The body that was sent."""
    asked_by: str
    asked_at: AwareDatetime
    lapses_at: AwareDatetime
    decided_by: str | None
    decided_at: AwareDatetime | None
    reason: str | None
    """Why it was approved or rejected."""
    entry_id: EntryId | None
    """What it has booked, when it was approved."""
