"""What holds tell others."""

from collections.abc import Callable

from chalicelib.holds.events import HoldReleased, PointsHeld, ReleasedBy
from chalicelib.kernel.events import Told
from chalicelib.points import telling as points_telling
from chalicelib.points.events import SpentOn
from chalicelib.points.fold import TIMED_OUT
from chalicelib.points.models import Entry, Reason
from chalicelib.storage import keys
from chalicelib.storage.writes import Item


def _hold(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    assert entry.held is not None
    assert entry.held_until is not None
    hold_id = keys.hold_id(*entry.key.parts)
    return [PointsHeld(**points_telling.leading(entry), hold_id=hold_id, held=entry.held, held_until=entry.held_until)]


def hold_end(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    """What ended a hold: its capture, its release, or its time. What ends a transfer, the transfers tell."""
    if entry.reason is Reason.SPEND:
        return [points_telling.spent(entry, SpentOn.HOLD)]
    assert entry.cause is not None
    source = ReleasedBy.TIMED_OUT if entry.reason_code == TIMED_OUT else ReleasedBy.ASKED
    hold_id = keys.hold_id(*entry.cause.parts)
    return [HoldReleased(**points_telling.leading(entry), hold_id=hold_id, source=source, released=-(entry.held or 0))]


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "hold": _hold,
}
"""What entries tell, by the kind of their key; the first event of each leads."""
