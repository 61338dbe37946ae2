"""The line: commands on a hot account, one behind the other (ADR 0031).

Who has a command on a hot account hands it to a FIFO queue, grouped by account, and waits for its answer. What was
carried out is answered by the entry itself, which stands under the command's key for ever; only refusals are put down
besides, for a while, in table `ops`. `chalicelib/lane` works the line off.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from chalicelib.kernel.errors import LaneSlow, Refusal, refusal_of
from chalicelib.kernel.heat import Thermometer
from chalicelib.kernel.languages import Language
from chalicelib.kernel.records import Instant, Record
from chalicelib.storage import keys
from chalicelib.storage.batches import Sender
from chalicelib.storage.signed import SignedClient
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Write

REQUEST = "rq"
"""Attribute of an entry that came through the line: the request that it answers. To any other it is a replay."""

LATE = timedelta(seconds=20)
"""A command that waited longer is not begun: nobody waits for it any more, and what is not begun is safe to send again.

More than `WAIT` by what the clocks of two machines may differ.
"""

WAIT = 6.0
"""Seconds for which an answer is waited for."""

REMEMBERED = timedelta(hours=1)
"""For so long a refusal stays, which is asked for within seconds."""

_USUAL = 0.08
"""Seconds that an answer is thought to take before the first has come."""
_SHORTEST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5
_GROWTH = 1.5

T = TypeVar("T")


class Asked(Record):
    """A command in the line."""

    kind: str
    """What it is, as its entry's key says: `spend`, `pool_spend`."""
    account_id: str
    key: str
    """The caller's `Idempotency-Key`."""
    command: str
    """The command as JSON."""
    language: Language
    token: str
    """Names the request; another one with the same key has another."""
    asked_at: Instant
    by: str | None = None
    """Who had it made, where that was no member: its entry keeps that."""
    own: str | None = None
    """The account that is their own, where that is known: its entry keeps whether it is for them."""


class Line(Protocol):
    """All that the product asks of a FIFO queue."""

    def send(self, group: str, body: str, *, once: str) -> None:
        """Put a message behind those of its group.

        Args:
            once: the same message sent again within minutes counts once.

        Raises:
            StorageBusy: it may not have arrived.
        """


class SqsLine:
    """A FIFO queue of SQS.

    Args:
        client: a client of SQS.
    """

    def __init__(self, client: SignedClient, url: str) -> None:
        self._client = client
        self._url = url
        self._sender = Sender(patience=1.0)

    def send(self, group: str, body: str, *, once: str) -> None:
        """See `Line.send`.

        Raises:
            StorageBusy: it may not have arrived.
            ServiceFault: there is no such queue, or it refuses the message for good.
        """
        message = {
            "QueueUrl": self._url, "MessageBody": body, "MessageGroupId": group, "MessageDeduplicationId": once,
        }  # fmt: skip

        def send(_: object) -> list[str]:
            self._client.call("SendMessage", message)
            return []

        self._sender.deliver([body], send, whom="The line")


class Lane:
    """The way by the line, and what this process knows of who needs it.

    Args:
        ops: where refusals are put down.
        pause: waits so many seconds; for tests.
        wait: seconds for which an answer is waited for.
    """

    def __init__(
        self, line: Line, ops: Table, *, pause: Callable[[float], None] = time.sleep, wait: float = WAIT
    ) -> None:
        self.thermometer = Thermometer()
        self._line = line
        self._ops = ops
        self._pause = pause
        self._wait = wait
        self._usual = _USUAL

    def hand_over(self, asked: Asked) -> None:
        """Put a command into the line.

        Raises:
            StorageBusy: it may not have arrived.
        """
        self._line.send(asked.account_id, asked.model_dump_json(exclude_none=True), once=asked.token)

    def answer(self, asked: Asked, find: Callable[[], T | None]) -> T:
        """Wait for the answer to a command in the line.

        Args:
            find: the answer, when the command was carried out by now.

        Raises:
            Refusal: it was refused.
            LaneSlow: there was no answer in time; it may still be carried out.
            StorageBusy: the database is busy; likewise.
        """
        waited = 0.0
        for pause in _pauses(self._usual):
            self._pause(pause)
            waited += pause
            refusal = find_refusal(self._ops, asked.token)
            if refusal is not None:
                raise refusal
            found = find()
            if found is not None:
                # A little sooner than answers came of late: most are there at the first or second look.
                self._usual = (3 * self._usual + 0.8 * waited) / 4
                return found
            if waited >= self._wait:
                break
        self.thermometer.cool(asked.account_id, asked.asked_at)
        raise LaneSlow


def _pauses(usual: float) -> Iterator[float]:
    """How long to wait for an answer before each look at it, when answers usually take so long."""
    yield min(usual, _LONGEST_PAUSE)
    pause = max(usual / 4, _SHORTEST_PAUSE)
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


class RefusalKnown(Exception):
    """The refusal was put down before. Never leaves the line."""


def refused(token: str, refusal: Refusal, now: datetime) -> Write:
    """The write that puts a refusal down."""
    item: Item = {
        "code": refusal.code,
        "detail": refusal.detail,
        "facts": refusal.facts,
        "expires": int((now + REMEMBERED).timestamp()),
    }
    return Put(keys.line_refusal(token), item, Absent(), lambda _: RefusalKnown())


def find_refusal(ops: Table, token: str, *, consistent: bool = False) -> Refusal | None:
    """The refusal that a request got, or None."""
    item = ops.get(keys.line_refusal(token), consistent=consistent)
    return refusal_of(item["code"], item["detail"], item["facts"]) if item else None
