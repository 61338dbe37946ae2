"""What purchases, and what becomes of them, tell others."""

from collections.abc import Callable

from chalicelib.kernel.events import Occurrence, Told
from chalicelib.kernel.ids import MemberId
from chalicelib.points import telling as points_telling
from chalicelib.points.events import EarnedFrom, SpentOn
from chalicelib.points.models import Entry
from chalicelib.purchases import store
from chalicelib.purchases.events import (
    PurchaseDelivered,
    PurchaseRecorded,
    PurchaseRestated,
    PurchaseReturned,
    ReturnRefused,
)
from chalicelib.purchases.rules.deliveries import released_by
from chalicelib.storage import keys
from chalicelib.storage.writes import Item


def _purchase(entry: Entry, item: Item) -> list[Told]:
    channel, order_no = entry.key.parts
    sale = store.sale_from({name: value for name, value in item.items() if name != "ln"})
    recorded = PurchaseRecorded(
        **points_telling.leading(entry),
        purchase_id=keys.purchase_id(channel, order_no),
        shop_id=sale.shop_id,
        occurred_on=entry.occurred_on,
        currency=sale.currency,
        paid_minor=sale.paid_minor,
        tender_minor=sale.tender_minor,
        points_earned=entry.earned or 0,
        points_spent=entry.consumed or 0,
        points_hold_id=points_telling.captured_hold(entry),
        qualifying_points=entry.qualifying or 0,
        awaits_delivery=sale.awaits_delivery,
        **points_telling.done_by(item),
    )
    told: list[Told] = [recorded]
    if entry.earned:
        told.append(points_telling.earned(entry, EarnedFrom.PURCHASE))
    if entry.consumed:
        told.append(points_telling.spent(entry, SpentOn.PURCHASE))
    return told


def _return(entry: Entry, item: Item) -> list[Told]:
    channel, order_no, _ = entry.key.parts
    return [
        PurchaseReturned(
            **points_telling.by_hand(entry, item),
            purchase_id=keys.purchase_id(channel, order_no),
            currency=item["cu"],
            amount_minor=item["am"],
            refund_minor=item["mb"],
            points_taken_back=-(entry.earned or 0),
            points_given_back=-(entry.consumed or 0),
            qualifying_points=entry.qualifying or 0,
        )
    ]


def _delivery(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001 - as its siblings
    points, first = released_by(entry)
    purchase_id = keys.purchase_id(*entry.key.parts)
    return [
        PurchaseDelivered(
            **points_telling.leading(entry), purchase_id=purchase_id, points_released=points, spendable_on=first
        )
    ]


def _restatement(entry: Entry, item: Item) -> list[Told]:
    channel, order_no, _ = entry.key.parts
    return [
        PurchaseRestated(
            **points_telling.leading(entry),
            purchase_id=keys.purchase_id(channel, order_no),
            currency=item["cu"],
            paid_minor=item["m"],
            tender_points=item["tp"],
            points_earned=entry.earned or 0,
            points_spent=entry.consumed or 0,
            qualifying_points=entry.qualifying or 0,
            **points_telling.done_by(item),
        )
    ]


def _refused(item: Item) -> Occurrence:
    waiting, refused_at = store.refused_from(item)
    key = keys.Key(item["pk"], item["sk"])
    told = ReturnRefused(
        return_id=keys.entry_id(key),
        purchase_id=keys.purchase_id(*keys.entry_parts(key)[1][:2]),
        code=item["no"],
    )
    member_id = MemberId(item["member_id"]) if "member_id" in item else None
    return Occurrence(told, member_id, waiting.received_at, refused_at)


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "purchase": _purchase,
    "return": _return,
    "restatement": _restatement,
    "delivery": _delivery,
}
"""What entries tell, by the kind of their key; the first event of each leads."""

FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "O refused": _refused,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
