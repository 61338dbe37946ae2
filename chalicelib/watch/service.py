"""From events to what is done about them."""

from chalicelib.alerts.models import Gain
from chalicelib.audit.events import AuditRecorded
from chalicelib.audit.models import ToChain
from chalicelib.cards.events import CardOpened, CardToppedUp
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import ShopId
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
