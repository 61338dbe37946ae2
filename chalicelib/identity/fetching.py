"""Getting a small document from an address, within limits that hold whatever the other side does."""

import io
import socket
import time
from typing import cast
from urllib.parse import urlsplit

SECONDS_MAX = 4.0
"""For everything from connecting to the last byte; only the resolver of names keeps its own time."""
BYTES_MAX = 256 * 1024
"""Of head and body together."""


class NotFetched(Exception):
    """The document was not had."""


def fetched(url: str) -> bytes:
    """What an address answers with status 200; a redirect is no answer.

    Raises:
        NotFetched: it does not answer, not in time, not with 200, or with too much.
    """
    from http.client import HTTPException, HTTPResponse  # noqa: PLC0415 - 15 ms that a cold start without it saves

    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    asked = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        "User-Agent: regulars\r\nConnection: close\r\n\r\n"
    )
    try:
        said = _said(parts.hostname or "", parts.port, asked.encode("ascii"), https=parts.scheme == "https")
        answer = HTTPResponse(cast(socket.socket, _Replay(said)), method="GET")  # it asks for nothing but the file
        answer.begin()
        body = answer.read()
    except (OSError, HTTPException, ValueError) as fault:
        raise NotFetched(f"{parts.hostname}: {type(fault).__name__}") from fault
    if answer.status != 200:
        raise NotFetched(f"{parts.hostname} answered {answer.status}")
    return body


def _said(host: str, port: int | None, asked: bytes, *, https: bool) -> bytes:
    """Everything that a server says until it closes."""
    deadline = time.monotonic() + SECONDS_MAX
    connection = socket.create_connection((host, port or (443 if https else 80)), SECONDS_MAX)
    with connection if not https else _secured(connection, host) as line:
        line.sendall(asked)
        parts: list[bytes] = []
        size = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            line.settimeout(left)
            part = line.recv(65_536)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > BYTES_MAX:
                raise ValueError("too much")


def _secured(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # noqa: PLC0415 - a laptop's issuer has no TLS, and a cold start pays for what it imports

    try:
        return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


class _Replay:
    """What was said, for http.client to read."""

    def __init__(self, said: bytes) -> None:
        self._said = said

    def makefile(self, _mode: str) -> io.BytesIO:
        """What was said, as a file."""
        return io.BytesIO(self._said)
