"""Every type of event there is, and what the relay makes of one record."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chalicelib.alerts.events import AlertRaised
from chalicelib.audit.events import AuditRecorded
from chalicelib.cards.events import (
    CardBonusWithdrawn,
    CardClosed,
    CardExpired,
    CardExtended,
    CardOpened,
    CardRefunded,
    CardReinstated,
    CardSpendRefunded,
    CardSpent,
    CardSuspended,
    CardToppedUp,
    CardUsed,
    CardUseReversed,
)
from chalicelib.corrections.events import PointsReversed
from chalicelib.holds.events import HoldReleased, PointsHeld
from chalicelib.kernel.events import Envelope, Told
from chalicelib.members.events import (
    MemberClosed,
    MemberContactChanged,
    MemberEdited,
    MemberEnrolled,
    MemberErased,
    MemberReinstated,
    MemberSuspended,
)
from chalicelib.merges.events import MemberMerged, MemberUnmerged
from chalicelib.points.events import (
    BirthdayGiftGiven,
    Leading,
    PointsAdjusted,
    PointsEarned,
    PointsExpired,
    PointsExpiring,
    PointsReleased,
    PointsSpent,
    SpentOn,
    TierChanged,
    TierReviewed,
)
from chalicelib.pools.events import (
    PointsPooled,
    PoolClosed,
    PoolMemberLeft,
    PoolMemberSet,
    PoolOpened,
    PoolPointsMoved,
    PoolPointsSpent,
)
from chalicelib.programs.events import ProgramPublished
from chalicelib.purchases.events import (
    PurchaseDelivered,
    PurchaseRecorded,
    PurchaseRestated,
    PurchaseReturned,
    ReturnRefused,
)
from chalicelib.segments.events import SegmentEntered, SegmentLeft
from chalicelib.transfers.events import PointsReceived, PointsTransferEnded, PointsTransferOffered, PointsTransferred

EVENT_TYPES: dict[str, type[Told]] = {
    kind.__name__: kind
    for kind in (
        AlertRaised,
        AuditRecorded,
        BirthdayGiftGiven,
        CardBonusWithdrawn,
        CardClosed,
        CardExpired,
        CardExtended,
        CardOpened,
        CardRefunded,
        CardReinstated,
        CardSpendRefunded,
        CardSpent,
        CardSuspended,
        CardToppedUp,
        CardUsed,
        CardUseReversed,
        HoldReleased,
        MemberClosed,
        MemberContactChanged,
        MemberEdited,
        MemberEnrolled,
        MemberErased,
        MemberMerged,
        MemberReinstated,
        MemberSuspended,
        MemberUnmerged,
        PointsAdjusted,
        PointsEarned,
        PointsExpired,
        PointsExpiring,
        PointsPooled,
        PointsReleased,
        PointsReversed,
        PointsSpent,
        PoolClosed,
        PoolMemberLeft,
        PoolMemberSet,
        PoolOpened,
        PoolPointsMoved,
        PoolPointsSpent,
        PointsHeld,
        PointsReceived,
        PointsReleased,
        PointsSpent,
        PointsTransferEnded,
        PointsTransferOffered,
        PointsTransferred,
        ProgramPublished,
        PurchaseDelivered,
        PurchaseRecorded,
        PurchaseRestated,
        PurchaseReturned,
        ReturnRefused,
        SegmentEntered,
        SegmentLeft,
        TierChanged,
        TierReviewed,
    )
}


class Event(Envelope[Any]):
    """An event of any type."""


@dataclass(frozen=True, slots=True)
class Change:
    """A record of the table's stream.

    Attributes:
        new: whether the item was not there before, or only what waited for it.
        item: what is there now; None when it was removed.
        sequence_number: its place in the stream.
    """

    new: bool
    pk: str
    sk: str
    item: dict[str, Any] | None
    sequence_number: str


@dataclass(frozen=True, slots=True)
class Telling:
    """What a record tells.

    Attributes:
        events: none, when it tells nobody anything.
        unknown: what kind of item it is, when it is one that the relay has no word for.
    """

    events: Sequence[Event] = ()
    unknown: str | None = None


def leads(event: Event) -> bool:
    """Whether an event is the one that its ledger entry leads with; each entry has exactly one."""
    if isinstance(event.data, PointsSpent):
        return event.data.source in (SpentOn.SPEND, SpentOn.HOLD)
    return isinstance(event.data, Leading)


def event_from(text: str) -> Event:
    """The event that a message holds. Fields that came later are passed over.

    Raises:
        KeyError: it is of a type that this version does not know.
        ValueError: it is no event.
    """
    kind = EVENT_TYPES[json.loads(text)["type"]]
    read = Envelope[kind].model_validate_json(text, extra="ignore")  # type: ignore[valid-type]
    return Event(**dict(read))
