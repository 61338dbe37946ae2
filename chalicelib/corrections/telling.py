"""What entries tell that take others back."""

from collections.abc import Callable

from chalicelib.corrections.events import PointsReversed
from chalicelib.kernel.events import Told
from chalicelib.points import store as points_store
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry
from chalicelib.storage import keys
from chalicelib.storage.writes import Item


def _reversal(entry: Entry, item: Item) -> list[Told]:
    assert entry.cause is not None
    return [
        PointsReversed(
            **points_telling.by_hand(entry, item),
            reversed_entry_id=keys.entry_id(points_store.key_of(entry.cause)),
            reason_code=entry.reason_code,
            qualifying_points=sum(entry.sums.qualifying.values()) if entry.sums else 0,
        )
    ]


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "reverse": _reversal,
}
"""What entries tell, by the kind of their key; the first event of each leads."""
