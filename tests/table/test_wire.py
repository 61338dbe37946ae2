"""The HTTP/1.1 that the client speaks, against a server that answers what a test says."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chalicelib.storage.wire import ProtocolBroken, Wire


@contextmanager
def a_server(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server for one connection that gives these answers, one to each request; what it was sent."""
    requests: list[bytes] = []
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            for answer in answers:
                requests.append(_request(connection))
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1], requests
    finally:
        thread.join(5)
        listening.close()


def _request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def exchange(answer: bytes) -> tuple[int, bytes, bool]:
    with a_server(answer) as (port, _):
        wire = Wire("127.0.0.1", port, https=False)
        try:
            status, body = wire.exchange(b"{}", {"host": "x"})
            return status, body, wire.kept
        finally:
            wire.close()


def test_a_request_is_one_head_and_one_body() -> None:
    with a_server(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, requests):
        wire = Wire("127.0.0.1", port, https=False)
        wire.exchange(b'{"a":1}', {"host": "x", "x-amz-target": "T.Get"})
        wire.close()
    assert requests == [b'POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: T.Get\r\ncontent-length: 7\r\n\r\n{"a":1}']


def test_one_connection_carries_many_exchanges() -> None:
    answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i for i in range(3)]
    with a_server(*answers) as (port, _):
        wire = Wire("127.0.0.1", port, https=False)
        assert [wire.exchange(b"", {})[1] for _ in range(3)] == [b"0", b"1", b"2"]
        wire.close()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", (200, b"{}", True)),
        (b"HTTP/1.1 400 Bad Request\r\ncontent-length:2\r\nConnection: close\r\n\r\n{}", (400, b"{}", False)),
        (b"HTTP/1.1 503\r\nContent-Length: 0\r\n\r\n", (503, b"", True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
         (200, b"abc0123456789", True)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nx-sum: 1\r\n\r\n", (200, b"", True)),
    ],
)  # fmt: skip
def test_an_answer_with_a_length_or_in_chunks_is_read_whole(answer: bytes, expected: tuple[int, bytes, bool]) -> None:
    assert exchange(answer) == expected


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
    ],
)
def test_anything_else_is_no_answer(answer: bytes) -> None:
    with pytest.raises((ProtocolBroken, OSError)):
        exchange(answer)
