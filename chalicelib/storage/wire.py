"""One kept HTTP/1.1 connection that does nothing but POST and read the answer.

http.client builds an e-mail parser around every answer and sends head and body apart; on the purchase path that is a
third of the CPU. This speaks the part of HTTP/1.1 that DynamoDB's endpoints speak: an answer has a Content-Length or is
chunked, and the connection is kept unless the server says that it closes.
"""

import socket
from collections.abc import Mapping

CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
HEAD_MAX = 65_536
ANSWER_MAX = 32 * 1024 * 1024
"""Bytes: a BatchGetItem answers 16 MB at the most, and base64 makes it longer."""


class ProtocolBroken(Exception):
    """What came is not an HTTP answer that we understand; the connection is of no more use."""


class Wire:
    """A connection to one server.

    Args:
        patience: seconds that an answer may take.

    Raises:
        OSError: it does not connect.
    """

    def __init__(self, host: str, port: int, *, https: bool, patience: float = READ_SECONDS) -> None:
        connection = socket.create_connection((host, port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if https:
            connection = _secured(connection, host)
        connection.settimeout(patience)
        self._socket = connection
        self._received = b""
        self.kept = True
        """False once the server has said that it closes; then another connection is needed."""
        self.said: dict[bytes, bytes] = {}
        """The fields of the newest answer's head, in lower case."""

    def exchange(self, body: bytes, headers: Mapping[str, str], path: str = "/") -> tuple[int, bytes]:
        """POST a body to a path and read the answer: its status and its body.

        Raises:
            OSError: the connection broke, or the answer took too long.
            ProtocolBroken: what came is not an answer that we understand.
        """
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\n{head}content-length: {len(body)}\r\n\r\n"
        self._socket.sendall(head.encode("latin-1") + body)
        status_line, *lines = self._until(b"\r\n\r\n").lower().split(b"\r\n")
        fields = self.said = dict(_field(line) for line in lines)
        self.kept = fields.get(b"connection") != b"close"
        if fields.get(b"transfer-encoding") == b"chunked":
            return _status(status_line), self._chunks()
        length = fields.get(b"content-length", b"")
        if not length.isdigit():
            raise ProtocolBroken("an answer without a length")
        return _status(status_line), self._bytes(int(length))

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __del__(self) -> None:
        """Close the connection of a thread that has ended."""
        if hasattr(self, "_socket"):
            self._socket.close()

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := _chunk_size(self._until(b"\r\n")):
            parts.append(self._bytes(size))
            self._until(b"\r\n")
        while self._until(b"\r\n"):
            pass
        return b"".join(parts)

    def _until(self, mark: bytes) -> bytes:
        """What comes before the next mark; the mark is passed over."""
        while (end := self._received.find(mark)) < 0:
            if len(self._received) > HEAD_MAX:
                raise ProtocolBroken("a head without an end")
            self._receive()
        found, self._received = self._received[:end], self._received[end + len(mark) :]
        return found

    def _bytes(self, length: int) -> bytes:
        if length > ANSWER_MAX:
            raise ProtocolBroken(f"an answer of {length} bytes")
        parts, missing = [self._received], length - len(self._received)
        while missing > 0:
            self._received = b""
            self._receive()
            parts.append(self._received)
            missing -= len(self._received)
        data = b"".join(parts)
        self._received = data[length:]
        return data[:length]

    def _receive(self) -> None:
        data = self._socket.recv(65_536)
        if not data:
            raise ProtocolBroken("the connection ended")
        self._received += data


def _status(line: bytes) -> int:
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"http/1.") or not parts[1].isdigit():
        raise ProtocolBroken("no status line")
    return int(parts[1])


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name, value.strip()


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.partition(b";")[0], 16)
    except ValueError:
        raise ProtocolBroken("a chunk without a size") from None


def _secured(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # noqa: PLC0415 - a laptop's endpoint has no TLS, and a cold start pays for what it imports

    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)
