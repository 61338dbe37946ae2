"""The port to the event bus, and EventBridge behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chalicelib.storage.batches import Sender, batches, is_passing
from chalicelib.storage.signed import Service, ServiceFault, SignedClient

EVENTBRIDGE = Service("events", "AWSEvents", "application/x-amz-json-1.1")
SOURCE = "regulars"

_TIME_BYTES = 14
"""What EventBridge counts for an entry's time."""


@dataclass(frozen=True, slots=True)
class BusEvent:
    """Something to tell everybody.

    Attributes:
        type: what rules choose by (`detail-type`).
        detail: the event, as JSON.
        at: when it was recorded.
    """

    type: str
    detail: str
    at: datetime


class Bus(Protocol):
    """All that the product asks of an event bus: that events get there at least once."""

    def put(self, events: Sequence[BusEvent]) -> None:
        """Put events on the bus, each at least once.

        Raises:
            StorageBusy: some did not arrive in time; put them all again.
        """


class EventBus:
    """A bus of EventBridge.

    Args:
        client: a client of `EVENTBRIDGE`.
        name: the bus.
        sender: how patiently what failed is sent again.
    """

    def __init__(self, client: SignedClient, name: str, sender: Sender | None = None) -> None:
        self._client = client
        self._name = name
        self._sender = sender or Sender()

    def put(self, events: Sequence[BusEvent]) -> None:
        """See `Bus.put`.

        Raises:
            StorageBusy: some did not arrive in time; put them all again.
            ServiceFault: there is no such bus, or it refuses an event for good.
        """
        for batch in batches(events, _size):
            self._sender.deliver(batch, self._put, whom="The event bus")

    def _put(self, events: Sequence[BusEvent]) -> list[BusEvent]:
        entries = [
            {
                "EventBusName": self._name,
                "Source": SOURCE,
                "DetailType": event.type,
                "Detail": event.detail,
                "Time": event.at.timestamp(),
            }
            for event in events
        ]
        answers = self._client.call("PutEvents", {"Entries": entries}).get("Entries") or ()
        failed: list[BusEvent] = list(events[len(answers) :])
        for event, answer in zip(events, answers, strict=False):
            code = answer.get("ErrorCode")
            if code is None:
                continue
            if not is_passing(code):
                raise ServiceFault(code, 400, {"message": answer.get("ErrorMessage")})
            failed.append(event)
        return failed


def _size(event: BusEvent) -> int:
    """The size of an entry as EventBridge counts it."""
    return _TIME_BYTES + len(SOURCE) + len(event.type.encode()) + len(event.detail.encode())
