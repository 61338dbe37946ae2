"""Stand-ins for queues and the bus: services that misbehave on demand, and ports that keep what they are given."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from chalicelib.storage.bus import BusEvent
from chalicelib.storage.signed import SignedClient, Unreachable


class Service(SignedClient):
    """A client whose service does what it likes: `fails` says of each entry how it fails, `answers` of each call."""

    def __init__(
        self,
        *,
        fails: Callable[[], str | None] = lambda: None,
        answers: Callable[[], Exception | None] = lambda: None,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self.fails = fails
        self.answers = answers
        self.lost = lost
        self.arrived: list[str] = []
        self.calls: list[Mapping[str, Any]] = []

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        self.calls.append(payload)
        fault = self.answers()
        if fault is not None:
            raise fault
        failed = [self.fails() for _ in payload["Entries"]]
        name = "MessageBody" if operation == "SendMessageBatch" else "Detail"
        self.arrived += [each[name] for each, code in zip(payload["Entries"], failed, strict=True) if code is None]
        if self.lost():
            raise Unreachable("the answer was lost")
        if operation == "PutEvents":
            return {
                "FailedEntryCount": sum(code is not None for code in failed),
                "Entries": [{"EventId": "e"} if code is None else {"ErrorCode": code} for code in failed],
            }
        each = list(zip(payload["Entries"], failed, strict=True))
        return {
            "Successful": [{"Id": entry["Id"]} for entry, code in each if code is None],
            "Failed": [
                {"Id": entry["Id"], "Code": code, "SenderFault": code == "InvalidMessageContents"}
                for entry, code in each
                if code is not None
            ],
        }


class KeptBus:
    """A bus that keeps what is put on it; `refuse` may raise first."""

    def __init__(self, refuse: Callable[[Sequence[BusEvent]], None] = lambda _: None) -> None:
        self.events: list[BusEvent] = []
        self.puts = 0
        self.refuse = refuse

    def put(self, events: Sequence[BusEvent]) -> None:
        """See `Bus.put`."""
        self.puts += 1
        self.refuse(events)
        self.events += events


class KeptQueues:
    """Queues that keep what is sent; `refuse` may raise first."""

    def __init__(self, refuse: Callable[[Sequence[str]], None] = lambda _: None) -> None:
        self.sent: list[tuple[str, str, int]] = []
        self.refuse = refuse

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
        """See `Queues.send`."""
        self.refuse(bodies)
        self.sent += [(queue_url, body, delay) for body in bodies]
