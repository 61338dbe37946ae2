"""One kept HTTP/1.1 connection to the local server, and patience with it.

http.client parses headers as e-mail and costs more than the rest of a client; 2 cores carry server, database and
clients alike, so what is saved here is measured there.
"""

import random
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT = 30.0
PATIENCE = 120.0
"""Seconds for which a request is sent again while nobody answers, or answers only `503`."""
BUGS_MAX = 5
"""How often a request may be answered `500`: that is a bug, and does not go away by waiting."""
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


class Broken(Exception):
    """The connection ended before an answer was whole: whether it was carried out is not known."""


class Silent(Exception):
    """The server stayed away, or in trouble, for longer than `PATIENCE`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def replayed(self) -> bool:
        """Whether the server had carried this out before."""
        return self.headers.get("idempotency-replayed") == "true"


class Wire:
    """A connection that is opened again whenever it is gone.

    Args:
        token: the bearer token of every request.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self._target = (host, port)
        self._fixed = f"host: {host}:{port}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n"
        self._socket: socket.socket | None = None

    def ask(self, method: str, path: str, body: bytes = b"", *, key: str | None = None) -> Answer:
        """Send a request once.

        Raises:
            Broken: no whole answer came.
        """
        extra = f"idempotency-key: {key}\r\n" if key else ""
        head = f"{method} {path} HTTP/1.1\r\n{self._fixed}{extra}content-length: {len(body)}\r\n\r\n"
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._target, TIMEOUT)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(head.encode("latin-1") + body)
            return self._answer(self._socket)
        except (OSError, ValueError) as fault:
            self.close()
            raise Broken(str(fault)) from fault

    def insist(self, method: str, path: str, body: bytes = b"", *, key: str | None = None) -> Answer:
        """Send a request until it is answered; for requests that are safe to repeat.

        Raises:
            Silent: there was no answer, or only trouble, for `PATIENCE`; or bugs.
        """
        deadline = time.monotonic() + PATIENCE
        tries = bugs = 0
        while True:
            why, pause = "", min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE) * random.random()
            try:
                answer = self.ask(method, path, body, key=key)
            except Broken as broken:
                why = str(broken)
            else:
                if answer.status < 500 and answer.status != 429:
                    return answer
                why = f"{answer.status} {answer.body[:200].decode(errors='replace')}"
                pause += _retry_after(answer)
                bugs += answer.status == 500
            if bugs >= BUGS_MAX or time.monotonic() + pause > deadline:
                raise Silent(why)
            time.sleep(pause)
            tries = min(tries + 1, 10)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _answer(self, source: socket.socket) -> Answer:
        received = b""
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += _some(source)
        first, *rest = received[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        body = received[end + 4 :]
        length = int(headers.get("content-length", "0"))
        while len(body) < length:
            body += _some(source)
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split(" ", 2)[1]), headers, body)


def _some(source: socket.socket) -> bytes:
    received = source.recv(65536)
    if not received:
        raise ConnectionResetError("the server hung up")
    return received


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isdecimal() else 0.0
