"""What alerts tell others."""

from collections.abc import Callable

from chalicelib.alerts import store
from chalicelib.alerts.events import AlertRaised
from chalicelib.kernel.events import Occurrence
from chalicelib.storage.writes import Item


def _alert(item: Item) -> Occurrence:
    alert = store.alert_from(item)
    shown = alert.model_dump(include={"alert_id", "kind", "about", "day", "count", "limit"})
    return Occurrence(AlertRaised(**shown), None, alert.raised_at, alert.raised_at)


FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "AL": _alert,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
