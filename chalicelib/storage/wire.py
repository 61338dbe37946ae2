"""One kept HTTP/1.1 connection that does nothing but POST and read the answer.

http.client builds an e-mail parser around every answer and sends head and body apart; on the purchase path that is a
third of the CPU. This speaks the part of HTTP/1.1 that DynamoDB's endpoints speak: an answer has a Content-Length or is
chunked, and the connection is kept unless the server says that it closes.
"""

import socket
from collections.abc import Mapping
from typing import BinaryIO

CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
HEAD_LINES_MAX = 100
LINE_MAX = 16_384
ANSWER_MAX = 32 * 1024 * 1024
"""Bytes: a BatchGetItem answers 16 MB at the most, and base64 makes it longer."""


class ProtocolBroken(Exception):
    """What came is not an HTTP answer that we understand; the connection is of no more use."""


class Wire:
    """A connection to one server.

    Raises:
        OSError: it does not connect.
    """

    def __init__(self, host: str, port: int, *, https: bool) -> None:
        connection = socket.create_connection((host, port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if https:
            connection = _secured(connection, host)
        connection.settimeout(READ_SECONDS)
        self._socket = connection
        self._answers: BinaryIO = connection.makefile("rb")
        self.kept = True
        """False once the server has said that it closes; then another connection is needed."""

    def exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """POST a body to `/` and read the answer: its status and its body.

        Raises:
            OSError: the connection broke, or the answer took longer than `READ_SECONDS`.
            ProtocolBroken: what came is not an answer that we understand.
        """
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST / HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode("latin-1") + body)
        status = self._status()
        length, chunked = self._head()
        return status, self._chunks() if chunked else self._bytes(length)

    def close(self) -> None:
        """Close the connection."""
        self._answers.close()
        self._socket.close()

    def _status(self) -> int:
        parts = self._line().split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.") or not parts[1].isdigit():
            raise ProtocolBroken("no status line")
        return int(parts[1])

    def _head(self) -> tuple[int, bool]:
        length, chunked = -1, False
        for _ in range(HEAD_LINES_MAX):
            line = self._line()
            if not line:
                break
            name, _, value = line.partition(b":")
            match name.lower():
                case b"content-length" if value.strip().isdigit():
                    length = int(value)
                case b"transfer-encoding":
                    chunked = value.strip().lower() == b"chunked"
                case b"connection":
                    self.kept = value.strip().lower() != b"close"
        else:
            raise ProtocolBroken("too many headers")
        if length < 0 and not chunked:
            raise ProtocolBroken("an answer without a length")
        return length, chunked

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := self._chunk_size():
            parts.append(self._bytes(size))
            self._line()
        while self._line():
            pass
        return b"".join(parts)

    def _chunk_size(self) -> int:
        try:
            return int(self._line().partition(b";")[0], 16)
        except ValueError:
            raise ProtocolBroken("a chunk without a size") from None

    def _bytes(self, length: int) -> bytes:
        if length > ANSWER_MAX:
            raise ProtocolBroken(f"an answer of {length} bytes")
        data = self._answers.read(length)
        if len(data) != length:
            raise ProtocolBroken("the connection ended inside an answer")
        return data

    def _line(self) -> bytes:
        line = self._answers.readline(LINE_MAX)
        if not line.endswith(b"\n"):
            raise ProtocolBroken("the connection ended")
        return line.rstrip(b"\r\n")


def _secured(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # noqa: PLC0415 - a laptop's endpoint has no TLS, and a cold start pays for what it imports

    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
