"""What alerts refuse."""

from chalicelib.kernel.errors import Refusal


class AlertUnknown(Refusal):
    """There is no such alert."""

    def __init__(self, *, alert_id: str) -> None:
        super().__init__(f"There is no alert {alert_id}.", alert_id=alert_id)


class AlertMoved(Exception):
    """The alert was changed since it was read. Never leaves the service."""


class AlertKnown(Exception):
    """The alert was raised before. Never leaves the service."""


class CountMoved(Exception):
    """A count was changed since it was read. Never leaves the service."""
