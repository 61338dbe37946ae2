"""Transfers: the commands, and what they are answered."""

from enum import StrEnum

from pydantic import AwareDatetime

from chalicelib.kernel.ids import MemberId, TransferId
from chalicelib.kernel.money import SomePoints
from chalicelib.kernel.records import Note, Record
from chalicelib.members.models import MemberRef


class Side(StrEnum):
    """On which side of a transfer somebody stands."""

    GIVER = "giver"
    RECEIVER = "receiver"


class TransferStatus(StrEnum):
    """What became of a transfer."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    CANCELLED = "cancelled"
    DECLINED = "declined"
    TIMED_OUT = "timed_out"


class OfferTransfer(Record):
    """Offer points of a member to another one. They are held until the other accepts, or the time is over."""

    to: MemberRef
    points: SomePoints
    """What the other gets; the fee comes on top."""
    message: Note | None = None
    """A few words to the other."""
    dry_run: bool = False


class AcceptTransfer(Record):
    """Take the points that were offered."""

    dry_run: bool = False


class CancelTransfer(Record):
    """Take an offer back."""

    dry_run: bool = False


class DeclineTransfer(Record):
    """Leave the points that were offered to the giver."""

    dry_run: bool = False


class TransferView(Record):
    """A transfer and what became of it."""

    transfer_id: TransferId
    from_member_id: MemberId
    to_member_id: MemberId
    status: TransferStatus
    points: int
    fee_points: int
    message: str | None
    offered_at: AwareDatetime
    expires_at: AwareDatetime
    """From this instant on it cannot be accepted."""
    ended_at: AwareDatetime | None = None
    """Null while it is pending."""
    seq: int
    """Of the giver's entry that offered the points, as is `hash`."""
    hash: str
