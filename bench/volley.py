"""A load generator that can send several requests at the same moment, and keeps what was answered.

Like `load`, one epoll loop over sockets that stay open. Each lane is a list of volleys: the requests of a volley leave
at once, each over a connection of its own, and the next volley leaves when every answer to the last is complete.
"""

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.load import Refused, connected, is_whole

Volley = tuple[bytes, ...]

_TRIES = 20
"""How often a request is sent that is answered with 5xx: a client that gives up proves nothing."""
_IDLE = 1.0
"""Seconds after which an unused connection is opened anew: servers close them, and what was sent then is in doubt."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


@dataclass
class Salvo:
    """What came of a load.

    Attributes:
        seconds: from the first request to the last answer.
        answers: by lane, volley and place in the volley.
        latencies: seconds, one for each answer that was kept, with all tries that it took.
        troubles: answers with 5xx, after which the request was sent again.
    """

    answers: list[list[list[Answer]]]
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    troubles: int = 0

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


def send(url: str, lanes: Sequence[Sequence[Volley]]) -> Salvo:
    """Send all volleys, each lane at its own pace, and wait for every answer.

    Raises:
        Refused: a connection ended, or nothing but 5xx was answered.
    """
    salvo = Salvo([[[] for _ in volleys] for volleys in lanes])
    with select.epoll() as poll, contextlib.ExitStack() as stack:
        running = [_Lane(url, poll, volleys, salvo, kept) for volleys, kept in zip(lanes, salvo.answers, strict=True)]
        for lane in running:
            stack.callback(lane.close)
        by_number: dict[int, _Lane] = {}
        started = time.perf_counter()
        for lane in running:
            lane.fire(by_number)
        while any(lane.waits for lane in running):
            for number, _ in poll.poll():
                lane = by_number[number]
                if lane.receive(number) and not lane.waits:
                    lane.fire(by_number)
        salvo.seconds = time.perf_counter() - started
    return salvo


@dataclass
class _Line:
    """One connection, and the request that it waits to be answered; empty when it waits for none."""

    socket: socket.socket
    used: float
    place: int
    request: bytes = b""
    buffer: bytes = b""
    tries: int = 0
    sent: float = 0.0


class _Lane:
    """One sequence of volleys and the connections it needs."""

    def __init__(
        self, url: str, poll: select.epoll, volleys: Sequence[Volley], salvo: Salvo, kept: list[list[Answer]]
    ) -> None:
        self._url = url
        self._poll = poll
        self._volleys = volleys
        self._salvo = salvo
        self._kept = kept
        self._at = -1
        self._lines: list[_Line] = []
        self.waits = 0

    def fire(self, by_number: dict[int, "_Lane"]) -> None:
        """Send the next volley, if there is one."""
        self._at += 1
        if self._at == len(self._volleys):
            return
        volley = self._volleys[self._at]
        self._kept[self._at] = [Answer(0, b"")] * len(volley)
        for place in range(len(volley)):
            self._ready(place, by_number)
        self.waits = len(volley)
        for line, request in zip(self._lines, volley, strict=False):
            line.request, line.tries, line.sent = request, 0, time.perf_counter()
            self._send(line)

    def receive(self, number: int) -> bool:
        """Take what came in on a connection; True when an answer is complete and kept."""
        line = next(each for each in self._lines if each.socket.fileno() == number)
        chunk = line.socket.recv(65536)
        if not chunk and not line.request:
            self._poll.unregister(line.socket)
            line.used = 0.0
            return False
        if not chunk:
            raise Refused("the connection was closed")
        line.buffer += chunk
        if not is_whole(line.buffer):
            return False
        head, _, body = line.buffer.partition(b"\r\n\r\n")
        answer = Answer(int(head.split(b" ", 2)[1]), body)
        line.used = time.perf_counter()
        if answer.status >= 500:
            self._salvo.troubles += 1
            if line.tries == _TRIES:
                raise Refused(line.buffer[:600].decode(errors="replace"))
            self._send(line)
            return False
        line.request = b""
        self._kept[self._at][line.place] = answer
        self._salvo.latencies.append(line.used - line.sent)
        self.waits -= 1
        return True

    def close(self) -> None:
        """End all connections."""
        for line in self._lines:
            line.socket.close()

    def _send(self, line: _Line) -> None:
        line.buffer = b""
        line.tries += 1
        line.socket.sendall(line.request)

    def _ready(self, place: int, by_number: dict[int, "_Lane"]) -> None:
        """Have a connection for that place of a volley that was used a moment ago, or a new one."""
        now = time.perf_counter()
        if place < len(self._lines):
            if now - self._lines[place].used < _IDLE:
                return
            self._lines[place].socket.close()  # which also takes it out of the poll
            self._lines.pop(place)
        line = _Line(connected(self._url), now, place)
        self._lines.insert(place, line)
        by_number[line.socket.fileno()] = self
        self._poll.register(line.socket.fileno(), select.EPOLLIN)
