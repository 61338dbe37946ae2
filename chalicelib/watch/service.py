"""From events to what is done about them."""

from collections.abc import Mapping

from chalicelib.alerts.models import AlertKind, Deed, Gain
from chalicelib.audit.events import AuditRecorded
from chalicelib.audit.models import ToChain
from chalicelib.cards.events import CardOpened, CardSpendRefunded, CardToppedUp, CardUseReversed
from chalicelib.corrections.events import PointsReversed
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import ShopId
from chalicelib.members.events import MemberContactChanged
from chalicelib.merges.events import MemberMerged
from chalicelib.points.events import AdjustedBy, PointsAdjusted
from chalicelib.pools.events import PointsPooled
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
    data, shop, points, minor = event.data, None, 0, 0
    own: tuple[str, ...] = ()
    by: str | None = None
    match data:
        case PurchaseRecorded():
            points, shop, by, own = data.points_earned, data.shop_id, data.recorded_by, _own(data)
        case PurchaseRestated():
            points, by, own = data.points_earned, data.recorded_by, _own(data)
        case PointsAdjusted(source=AdjustedBy.ADJUST | AdjustedBy.CLOSE):
            points, own = data.points, data.own_account_of or _own(data)
            # What a launch gives to all was cleared as a whole; what of it comes to one's own counts as by hand.
            by = data.recorded_by if own or not data.launched else None
        case PointsReversed():
            points, by, own = data.points, data.recorded_by, data.own_account_of
        case MemberMerged() if event.member_id == data.into_member_id:
            points, own = data.points, data.own_account_of
            if own and points <= 0:
                points = data.balance_after  # their own went: what the other has is theirs now
        case PointsPooled() | PointsReceived() | PurchaseReturned() if data.own_account_of:
            points, own = data.points, data.own_account_of
        case CardOpened() | CardToppedUp():
            minor, by, own = data.given_minor, data.recorded_by, _own(data)
        case CardSpendRefunded() if data.own_account_of:
            minor, own = data.principal_minor + data.bonus_minor, data.own_account_of
        case CardUseReversed() if data.own_account_of:
            minor, own = data.uses, data.own_account_of
        case _:
            return None
    if (points <= 0 and minor <= 0) or event.member_id is None:
        return None
    return Gain(
        event_id=event.event_id,
        member_id=event.member_id,
        points=points,
        shop_id=ShopId(shop) if shop is not None else None,
        by=by,
        own=own,
        day=local_day(event.recorded_at, program.time_zone),
        minor=minor,
    )


def _own(data: PurchaseRecorded | PurchaseRestated | PointsAdjusted | CardOpened | CardToppedUp) -> tuple[str, ...]:
    """Who had something done to their own good, where one person had it done."""
    return (data.recorded_by,) if data.own_account and data.recorded_by is not None else ()
