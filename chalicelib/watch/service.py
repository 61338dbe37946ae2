"""From events to what is done about them."""

from collections.abc import Mapping

from chalicelib.alerts.models import AlertKind, Deed, Gain
from chalicelib.audit.events import AuditRecorded
from chalicelib.audit.models import ToChain
from chalicelib.cards.events import CardOpened, CardToppedUp
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import ShopId
from chalicelib.members.events import MemberContactChanged
from chalicelib.points.events import AdjustedBy, PointsAdjusted
from chalicelib.programs.models import Program
from chalicelib.purchases.events import PurchaseRecorded, PurchaseRestated
from chalicelib.relay.models import Event


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
    """What an event says was given by a sale or by hand: points, or on a card what nobody paid for; or None."""
    data, shop, points, minor = event.data, None, 0, 0
    match data:
        case PurchaseRecorded():
            points, shop = data.points_earned, data.shop_id
        case PurchaseRestated():
            points = data.points_earned
        case PointsAdjusted(source=AdjustedBy.ADJUST | AdjustedBy.CLOSE):
            points = data.points
        case CardOpened() | CardToppedUp():
            minor = data.given_minor
        case _:
            return None
    if (points <= 0 and minor <= 0) or event.member_id is None:
        return None
    own = (data.recorded_by,) if data.own_account and data.recorded_by is not None else ()
    return Gain(
        event_id=event.event_id,
        member_id=event.member_id,
        points=points,
        shop_id=ShopId(shop) if shop is not None else None,
        by=data.recorded_by,
        own=(data.own_account_of or own) if isinstance(data, PointsAdjusted) else own,
        day=local_day(event.recorded_at, program.time_zone),
        minor=minor,
    )
