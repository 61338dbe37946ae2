"""A server on 127.0.0.1 that answers as a provider documents it, or misbehaves as told."""

import hashlib
import hmac
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

Fault = Literal["silent", "reset", "noise", "half"]
"""After it read the whole request: says nothing; resets the connection; says what is no HTTP; stops half-way."""


@dataclass(frozen=True)
class Request:
    """What was asked. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body as a form."""
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}

    @property
    def asked(self) -> dict[str, str]:
        """The query."""
        return {name: values[0] for name, values in parse_qs(self.query).items()}


@dataclass(frozen=True)
class Reply:
    """What is answered."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    kind: str = "application/json"

    def raw(self) -> bytes:
        """As it goes over the wire."""
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body, ensure_ascii=False).encode()
        named = {"Content-Type": self.kind, "Content-Length": str(len(body)), **self.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        return f"HTTP/1.1 {self.status} X\r\n{head}\r\n".encode() + body


Answer = Reply | Fault
Behave = Callable[[Request], Answer]


class FakeServer:
    """Answers by `behave`; keeps what it was asked."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.asked: list[Request] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def host(self) -> str:
        """`127.0.0.1:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self.host}"

    def close(self) -> None:
        """Stop."""
        self._listening.close()
        for each in self._open:
            each.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection.makefile("rb") as said:
                while (request := _request(said)) is not None:
                    self.asked.append(request)
                    if not self._say(connection, self.behave(request)):
                        return
                    if request.headers.get("connection") == "close":
                        connection.shutdown(socket.SHUT_RDWR)
                        return
        except OSError:
            pass

    @staticmethod
    def _say(connection: socket.socket, answer: Answer) -> bool:
        """Answer; whether the conversation goes on."""
        match answer:
            case "silent":
                threading.Event().wait(5)
            case "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            case "noise":
                connection.sendall(b"\x00\x17 what is that\r\n\r\n")
            case "half":
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{")
            case Reply():
                connection.sendall(answer.raw())
                if answer.headers.get("Connection") != "close":
                    return True
        connection.shutdown(socket.SHUT_RDWR) if answer != "reset" else None
        connection.close()
        return False


def _request(said: Any) -> Request | None:
    first = said.readline().decode()
    if not first:
        return None
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    while (line := said.readline().decode().rstrip("\r\n")) != "":
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    body = said.read(int(headers.get("content-length", 0)))
    parts = urlsplit(target)
    return Request(method, parts.path, parts.query, headers, body)


@contextmanager
def serving(behave: Behave) -> Iterator[FakeServer]:
    """A server, as long as it is needed."""
    server = FakeServer(behave)
    try:
        yield server
    finally:
        server.close()


def closed_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


# ---------------------------------------------------------------- signatures, as the providers document them


def aliyun_signed(request: Request, key_id: str, secret: str) -> bool:
    """Whether a request has Alibaba Cloud's signature of version 3, ACS3-HMAC-SHA256."""
    kind, _, told = request.headers["authorization"].partition(" ")
    parts = dict(each.split("=", 1) for each in told.split(","))
    names = parts["SignedHeaders"].split(";")
    hashed = hashlib.sha256(request.body).hexdigest()
    canonical = "\n".join(
        (
            request.method,
            request.path,
            "&".join(f"{_encoded(n)}={_encoded(v)}" for n, v in sorted(parse_qsl(request.query, True))),
            "".join(f"{name}:{request.headers[name]}\n" for name in names),
            parts["SignedHeaders"],
            request.headers["x-acs-content-sha256"],
        )
    )
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    return (
        kind == "ACS3-HMAC-SHA256"
        and parts["Credential"] == key_id
        and hashed == request.headers["x-acs-content-sha256"]
        and {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-version"} <= set(names)
        and parts["Signature"] == hmac.digest(secret.encode(), to_sign.encode(), "sha256").hex()
    )


def tencent_signed(request: Request, secret_id: str, secret: str) -> bool:
    """Whether a request has Tencent Cloud's signature of version 3, TC3-HMAC-SHA256."""
    kind, _, told = request.headers["authorization"].partition(" ")
    parts = dict(each.strip().split("=", 1) for each in told.split(","))
    named, scope = parts["Credential"].split("/", 1)
    day, service, end = scope.split("/")
    names = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        (
            request.method,
            request.path,
            request.query,
            "".join(f"{name}:{request.headers[name].lower()}\n" for name in names),
            parts["SignedHeaders"],
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    stamp = request.headers["x-tc-timestamp"]
    to_sign = f"TC3-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret}".encode()
    for part in (day, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return (
        (kind, named, service, end) == ("TC3-HMAC-SHA256", secret_id, "sms", "tc3_request")
        and {"content-type", "host"} <= set(names)
        and parts["Signature"] == hmac.digest(key, to_sign.encode(), "sha256").hex()
    )


def aws_signed(request: Request, key_id: str, secret: str, service: str) -> bool:
    """Whether a request has AWS' signature of version 4."""
    kind, _, told = request.headers["authorization"].partition(" ")
    parts = dict(each.strip().split("=", 1) for each in told.split(","))
    named, scope = parts["Credential"].split("/", 1)
    day, region, of, end = scope.split("/")
    names = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        (
            request.method,
            quote(unquote(request.path), safe="/-_.~"),
            "&".join(f"{_encoded(n)}={_encoded(v)}" for n, v in sorted(parse_qsl(request.query, True))),
            "".join(f"{name}:{request.headers[name]}\n" for name in names),
            parts["SignedHeaders"],
            hashlib.sha256(request.body).hexdigest(),
        )
    )
    stamp = request.headers["x-amz-date"]
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret}".encode()
    for part in (day, region, of, end):
        key = hmac.digest(key, part.encode(), "sha256")
    return (kind, named, of) == ("AWS4-HMAC-SHA256", key_id, service) and parts["Signature"] == hmac.digest(
        key, to_sign.encode(), "sha256"
    ).hex()


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
