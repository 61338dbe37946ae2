"""What transfers tell others."""

from collections.abc import Callable

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import MemberId
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry, Reason
from chalicelib.storage import keys
from chalicelib.storage.writes import Item
from chalicelib.transfers.events import (
    EndedBy,
    PointsReceived,
    PointsTransferEnded,
    PointsTransferOffered,
    PointsTransferred,
)
from chalicelib.transfers.rules import offered


def _offer(entry: Entry, item: Item) -> list[Told]:
    points, fee = offered(entry)
    assert entry.held_until is not None
    return [
        PointsTransferOffered(
            **points_telling.leading(entry),
            transfer_id=keys.transfer_id(*entry.key.parts),
            to_member_id=MemberId(item["to"]),
            transferred=points,
            fee_points=fee,
            expires_at=entry.held_until,
        )
    ]


def transfer_end(entry: Entry, item: Item) -> list[Told]:
    """What ended a transfer, which holds its points: that it was accepted, or not."""
    assert entry.cause is not None
    leading, transfer_id = points_telling.leading(entry), keys.transfer_id(*entry.cause.parts)
    if entry.reason is Reason.TRANSFER:
        fee = sum(-why.points for why in entry.why[1:])
        to, points = MemberId(item["to"]), (entry.consumed or 0) - fee
        return [
            PointsTransferred(**leading, transfer_id=transfer_id, to_member_id=to, transferred=points, fee_points=fee)
        ]
    source, released = EndedBy(entry.reason_code or ""), -(entry.held or 0)
    return [PointsTransferEnded(**leading, transfer_id=transfer_id, source=source, released=released)]


def _receipt(entry: Entry, item: Item) -> list[Told]:
    transfer_id, giver = keys.transfer_id(*entry.key.parts), MemberId(item["from"])
    return [PointsReceived(**points_telling.by_hand(entry, item), transfer_id=transfer_id, from_member_id=giver)]


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "transfer": _offer,
    "transfer_in": _receipt,
}
"""What entries tell, by the kind of their key; the first event of each leads."""
