"""Stand-ins for queues, the bus and contact data: they misbehave on demand, or keep what they are given."""

import heapq
import itertools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.storage.bus import BusEvent
from chalicelib.storage.keyring import CLEAR, WordKeys
from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable


class ClearContacts:
    """Contact data that are not sealed, for worlds that need many members quickly and no vault."""

    def begin(self, member_id: str) -> None:
        """See `ContactCodec.begin`."""

    def forget(self, member_id: str) -> None:
        """See `ContactCodec.forget`."""

    def seal_words(self, member_ids: Sequence[str], place: str, text: str, known: WordKeys) -> bytes | None:
        """See `ContactCodec.seal_words`."""
        return text.encode()

    def open_words(self, member_ids: Sequence[str], place: str, sealed: bytes, known: WordKeys) -> str | None:
        """See `ContactCodec.open_words`."""
        return sealed.decode()

    def open_many(self, sealed: Mapping[str, bytes]) -> dict[str, dict[str, Any] | None]:
        """See `ContactCodec.open_many`."""
        return {member_id: self.open(member_id, each) for member_id, each in sealed.items()}

    def seal(self, member_id: str, contact: dict[str, Any]) -> bytes:
        """See `ContactCodec.seal`."""
        return CLEAR + json.dumps(contact, separators=(",", ":"), ensure_ascii=False).encode()

    def open(self, member_id: str, sealed: bytes) -> dict[str, Any]:
        """See `ContactCodec.open`."""
        contact: dict[str, Any] = json.loads(sealed[1:])
        return contact


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


class MemorySqs(SignedClient):
    """Standard queues in memory: they hide what was received, count receives, and move what fails to dead letters.

    Args:
        now: tells the time in seconds; a test moves it on instead of waiting.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._numbers = itertools.count()
        self._queues: dict[str, _Queue] = {}

    def add(self, name: str, *, visibility: float = 30, dead: str | None = None, receives: int = 0) -> str:
        """Make a queue; its URL.

        Args:
            dead: where a message goes that was received `receives` times and not deleted.
        """
        self._queues[name] = _Queue(visibility, dead, receives)
        return self.url(name)

    @staticmethod
    def url(name: str) -> str:
        """A queue's URL."""
        return f"http://127.0.0.1:9/000000000000/{name}"

    def bodies(self, name: str) -> list[str]:
        """What is in a queue, visible or not."""
        return [message.body for message in self._queues[name].messages.values()]

    def receives(self, name: str) -> list[int]:
        """How often each message of a queue was received, here and where it came from."""
        return [message.receives for message in self._queues[name].messages.values()]

    def visible_at(self, name: str) -> float | None:
        """When the next message of a queue can be received; None when there is none."""
        return min((message.visible_at for message in self._queues[name].messages.values()), default=None)

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        name = payload.get("QueueName") or payload["QueueUrl"].rpartition("/")[2]
        if name not in self._queues:
            raise ServiceFault("QueueDoesNotExist", 400, {})
        queue = self._queues[name]
        if operation == "GetQueueUrl":
            return {"QueueUrl": self.url(name)}
        if operation == "ReceiveMessage":
            return {"Messages": self._received(queue, payload)}
        act = {
            "SendMessageBatch": self._sent,
            "DeleteMessageBatch": _deleted,
            "ChangeMessageVisibilityBatch": self._changed,
        }[operation]
        for entry in payload["Entries"]:
            act(queue, entry)
        return {"Successful": [{"Id": entry["Id"]} for entry in payload["Entries"]], "Failed": []}

    def _received(self, queue: "_Queue", payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < payload["MaxNumberOfMessages"]:
            message = queue.next(self._now())
            if message is None:
                break
            if queue.dead is not None and message.receives >= queue.receives:
                del queue.messages[message.id]
                self._queues[queue.dead].put(message, self._now())
                continue
            message.receives += 1
            queue.put(message, self._now() + payload.get("VisibilityTimeout", queue.visibility))
            found.append(
                {
                    "MessageId": message.id,
                    "ReceiptHandle": message.id,
                    "Body": message.body,
                    "MD5OfBody": "",
                    "Attributes": {
                        "SentTimestamp": str(int(message.sent * 1000)),
                        "ApproximateReceiveCount": str(message.receives),
                    },
                }
            )
        return found

    def _sent(self, queue: "_Queue", entry: Mapping[str, Any]) -> None:
        message = _Message(f"m{next(self._numbers):07d}", entry["MessageBody"], self._now())
        queue.put(message, self._now() + entry.get("DelaySeconds", 0))

    def _changed(self, queue: "_Queue", entry: Mapping[str, Any]) -> None:
        queue.put(queue.messages[entry["ReceiptHandle"]], self._now() + entry["VisibilityTimeout"])


def _deleted(queue: "_Queue", entry: Mapping[str, Any]) -> None:
    queue.messages.pop(entry["ReceiptHandle"], None)


@dataclass
class _Message:
    id: str
    body: str
    sent: float
    visible_at: float = 0.0
    receives: int = 0


@dataclass
class _Queue:
    visibility: float
    dead: str | None
    receives: int
    messages: dict[str, _Message] = field(default_factory=dict)
    _order: list[tuple[float, str]] = field(default_factory=list)

    def put(self, message: _Message, visible_at: float) -> None:
        message.visible_at = visible_at
        self.messages[message.id] = message
        heapq.heappush(self._order, (visible_at, message.id))

    def next(self, now: float) -> _Message | None:
        """The next message that can be received."""
        while self._order and self._order[0][0] <= now:
            visible_at, number = heapq.heappop(self._order)
            message = self.messages.get(number)
            if message is not None and message.visible_at == visible_at:
                return message
        return None


class MemoryBus(SignedClient):
    """A bus that hands what is put on it to queues by `rules`: pairs of a pattern and the queue's name."""

    def __init__(self, sqs: MemorySqs, rules: Sequence[tuple[dict[str, Any], str]]) -> None:
        self._sqs = sqs
        self._rules = rules

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        assert operation == "PutEvents"
        for entry in payload["Entries"]:
            about = {"source": entry["Source"], "detail-type": entry["DetailType"]}
            for pattern, queue in self._rules:
                if all(about[name] in wanted for name, wanted in pattern.items()):
                    message = {"Id": "0", "MessageBody": entry["Detail"]}
                    self._sqs.call("SendMessageBatch", {"QueueUrl": self._sqs.url(queue), "Entries": [message]})
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in payload["Entries"]]}
