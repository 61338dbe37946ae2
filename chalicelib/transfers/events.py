"""What transfers tell others. What their giver wrote to the receiver is told to nobody else."""

from enum import StrEnum

from pydantic import AwareDatetime

from chalicelib.kernel.ids import MemberId, TransferId
from chalicelib.kernel.money import SomePoints
from chalicelib.points.events import ByHand, Leading


class EndedBy(StrEnum):
    """Why a transfer came to nothing."""

    CANCELLED = "cancelled"
    DECLINED = "declined"
    TIMED_OUT = "timed_out"


class PointsTransferOffered(Leading):
    """A member offered points to another: they are held, and the balance stays as it is."""

    transfer_id: TransferId
    to_member_id: MemberId
    transferred: SomePoints
    """What the receiver would get."""
    fee_points: int
    expires_at: AwareDatetime


class PointsTransferred(Leading):
    """Points went to another member; told of the giver."""

    transfer_id: TransferId
    to_member_id: MemberId
    transferred: SomePoints
    fee_points: int


class PointsReceived(ByHand):
    """Points came from another member; told of the receiver."""

    transfer_id: TransferId
    from_member_id: MemberId


class PointsTransferEnded(Leading):
    """A transfer came to nothing: the giver's points are free again."""

    transfer_id: TransferId
    source: EndedBy
    released: SomePoints
    """How many, the fee included."""
