"""From events to what is done about them."""

from collections.abc import Mapping
from dataclasses import dataclass

from chalicelib.alerts.models import AlertKind, Deed, Gain
from chalicelib.audit.events import AuditRecorded
from chalicelib.audit.models import ToChain
from chalicelib.cards.events import CardOpened, CardSpendRefunded, CardToppedUp, CardUseReversed
from chalicelib.corrections.events import PointsReversed
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import ShopId
from chalicelib.members.events import MemberContactChanged
from chalicelib.merges.events import MemberMerged
from chalicelib.points.events import AdjustedBy, PointsAdjusted
from chalicelib.pools.events import PointsPooled, PoolPointsSpent
from chalicelib.programs.models import Program
from chalicelib.purchases.events import PurchaseRecorded, PurchaseRestated, PurchaseReturned
from chalicelib.relay.models import Event
from chalicelib.transfers.events import PointsReceived


def to_chain(event: Event) -> ToChain | None:
    """The record that an event tells of, or None."""
    data = event.data
    if not isinstance(data, AuditRecorded):
        return None
    mark = data.audit_id.removeprefix("aud_")
    return ToChain(mark, bytes.fromhex(data.hash), data.recorded_by, tuple(data.about[1:]))


_DEEDS: Mapping[str, AlertKind] = {
    "unmask_member": AlertKind.MEMBERS_UNMASKED,
    "export_member": AlertKind.MEMBERS_EXPORTED,
    "export_member_page": AlertKind.MEMBERS_EXPORTED,
}
"""Routes whose records are counted by the members that they are about."""


def deed_of(event: Event, program: Program) -> Deed | None:
    """What an event says that somebody did to a member, where the members a day are counted; or None."""
    data, member_id, day = event.data, event.member_id, local_day(event.recorded_at, program.time_zone)
    if member_id is None:
        return None
    match data:
        case AuditRecorded() if data.action in _DEEDS:
            return Deed(_DEEDS[data.action], data.recorded_by, member_id, day)
        case MemberContactChanged() if (data.replaced or data.merged_id) and data.changed_by is not None:
            # Of a merge who goes: the one who stays may be the same each time.
            return Deed(AlertKind.CONTACTS_CHANGED, data.changed_by, data.merged_id or member_id, day)
        case _:
            return None


def gain_of(event: Event, program: Program) -> Gain | None:
    """What an event says was given by a sale or by hand: points, or on a card what nobody paid for; or None.

    What only moved, or came back, was given by nobody: it is a gain of whoever receives more than is likely, and of
    whoever had it done to their own good.
    """
    came = _points_of(event) or _card_of(event.data)
    if came is None or event.member_id is None:
        return None
    theirs = came.points or came.minor if came.theirs is None else came.theirs
    if max(came.points, came.minor, theirs if came.own else 0) <= 0:
        return None
    return Gain(
        event_id=event.event_id,
        member_id=event.member_id,
        points=max(came.points, 0),
        shop_id=ShopId(came.shop) if came.shop is not None else None,
        by=came.by,
        own=came.own,
        day=local_day(event.recorded_at, program.time_zone),
        minor=came.minor,
        theirs=max(theirs, 0) if came.own else 0,
    )


@dataclass(frozen=True, slots=True)
class _Came:
    """What an event brought; see `Gain`.

    Attributes:
        theirs: what of it those of `own` have now; None: all of it.
    """

    points: int = 0
    minor: int = 0
    by: str | None = None
    own: tuple[str, ...] = ()
    shop: str | None = None
    theirs: int | None = None


def _points_of(event: Event) -> _Came | None:
    data = event.data
    match data:
        case PurchaseRecorded():
            return _Came(data.points_earned, by=data.recorded_by, own=_own(data), shop=data.shop_id)
        case PurchaseRestated():
            return _Came(data.points_earned, by=data.recorded_by, own=_own(data))
        case PointsAdjusted(source=AdjustedBy.ADJUST | AdjustedBy.CLOSE):
            own = data.own_account_of or _own(data)
            # What a launch gives to all was cleared as a whole; what of it comes to one's own counts as by hand.
            return _Came(data.points, by=data.recorded_by if own or not data.launched else None, own=own)
        case PointsReversed():
            return _Came(data.points, by=data.recorded_by, own=data.own_account_of)
        case MemberMerged() if event.member_id == data.into_member_id:
            # Where theirs went, what the other had before is what they have besides, and not what they brought.
            others = data.balance_after - data.points if data.own_account_went else None
            return _Came(data.points, own=data.own_account_of, theirs=others)
        case PointsPooled() | PointsReceived() | PurchaseReturned() if data.own_account_of:
            return _Came(data.points, own=data.own_account_of)
        case PoolPointsSpent() if data.own_account_of:
            return _Came(own=data.own_account_of, theirs=-data.points)
        case _:
            return None


def _card_of(data: Told) -> _Came | None:
    match data:
        case CardOpened() | CardToppedUp():
            return _Came(minor=data.given_minor, by=data.recorded_by, own=_own(data))
        case CardSpendRefunded() if data.own_account_of:
            return _Came(minor=data.principal_minor + data.bonus_minor, own=data.own_account_of)
        case CardUseReversed() if data.own_account_of:
            return _Came(minor=data.uses, own=data.own_account_of)
        case _:
            return None


def _own(data: PurchaseRecorded | PurchaseRestated | PointsAdjusted | CardOpened | CardToppedUp) -> tuple[str, ...]:
    """Who had something done to their own good, where one person had it done."""
    return (data.recorded_by,) if data.own_account and data.recorded_by is not None else ()
