"""A load generator as light as Python allows: requests rendered beforehand, keep-alive sockets, one epoll loop.

Each connection has its own requests and sends the next when the answer to the last is complete, as a till does.
"""

import contextlib
import select
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass
class Outcome:
    """What came of a load.

    Attributes:
        seconds: from the first request to the last answer.
        latencies: seconds, one for each answer.
        cpu_seconds: what the generator itself used.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds


class Refused(Exception):
    """An answer was none of those expected."""


def request(url: str, body: bytes, headers: dict[str, str], *, method: str = "POST") -> bytes:
    """A request as bytes, ready to be sent."""
    parts = urlsplit(url)
    sent = {"host": parts.netloc, "content-length": str(len(body)), **headers}
    head = f"{method} {parts.path or '/'} HTTP/1.1\r\n" + "".join(
        f"{name}: {value}\r\n" for name, value in sent.items()
    )
    return head.encode() + b"\r\n" + body


def send(url: str, lanes: Sequence[Sequence[bytes]], *, expect: bytes) -> Outcome:
    """Send all requests, each lane over a connection of its own, and wait for every answer.

    Args:
        expect: the status line that every answer has to start with, `HTTP/1.1 201`.

    Raises:
        Refused: an answer had another status, or a connection ended.
    """
    outcome = Outcome()
    with contextlib.ExitStack() as stack:
        poll = stack.enter_context(select.epoll())
        open_lanes = {}
        for requests in lanes:
            lane = _Lane(stack.enter_context(connected(url)), requests)
            open_lanes[lane.number] = lane
            poll.register(lane.number, select.EPOLLIN)
        cpu, started = time.process_time(), time.perf_counter()
        for lane in open_lanes.values():
            lane.send_next()
        while open_lanes:
            for number, _ in poll.poll():
                if not open_lanes[number].receive(expect, outcome.latencies):
                    del open_lanes[number]
                    poll.unregister(number)
        outcome.seconds = time.perf_counter() - started
        outcome.cpu_seconds = time.process_time() - cpu
    return outcome


class _Lane:
    """One connection and its requests."""

    __slots__ = ("_at", "_buffer", "_requests", "_sent", "_socket", "number")

    def __init__(self, connected: socket.socket, requests: Sequence[bytes]) -> None:
        self._socket = connected
        self._requests = requests
        self._at = 0
        self._buffer = b""
        self._sent = 0.0
        self.number = connected.fileno()

    def send_next(self) -> None:
        """Send the next request."""
        self._sent = time.perf_counter()
        self._socket.sendall(self._requests[self._at])
        self._at += 1

    def receive(self, expect: bytes, latencies: list[float]) -> bool:
        """Take what came in; False when this was the last answer."""
        chunk = self._socket.recv(65536)
        if not chunk:
            raise Refused("the connection was closed")
        self._buffer += chunk
        if not is_whole(self._buffer):
            return True
        if not self._buffer.startswith(expect):
            raise Refused(self._buffer[:600].decode(errors="replace"))
        latencies.append(time.perf_counter() - self._sent)
        self._buffer = b""
        if self._at == len(self._requests):
            return False
        self.send_next()
        return True


def connected(url: str) -> socket.socket:
    """A connection to a server that waits for nothing before it sends."""
    parts = urlsplit(url)
    made = socket.create_connection((parts.hostname, parts.port), timeout=30)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def is_whole(answer: bytes) -> bool:
    """Whether an answer with a Content-Length has come in to its end."""
    head = answer.find(b"\r\n\r\n")
    if head < 0:
        return False
    headers = answer[:head].lower()
    start = headers.find(b"content-length:")
    if start < 0:
        raise Refused("an answer without a Content-Length")
    end = headers.find(b"\r\n", start)
    length = int(headers[start + 15 : end if end > 0 else len(headers)])
    return len(answer) >= head + 4 + length
