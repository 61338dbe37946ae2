"""Calls to servers that are not ours, within limits that hold whatever the other side does.

`exchanged` is the mechanics: one request, one answer, a limit of time and size, no redirects. `posted` is for addresses
that somebody typed: https only, the name is resolved once, every address it has must be one of the public internet, and
the connection goes to the very address that was looked at, so that a name cannot change its mind in between (S10).
"""

import io
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from ipaddress import IPv4Address
    from ssl import SSLContext

_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NotSpoken(Exception):
    """No answer was had. Its words name the host and the kind of fault, nothing that was sent.

    Attributes:
        passing: whether another try may do better.
        written: whether any of the request left us, so that it may have been carried out.
    """

    def __init__(self, why: str, *, passing: bool = True, written: bool = False) -> None:
        super().__init__(why)
        self.passing = passing
        self.written = written


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered. Names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange may take.

    Attributes:
        seconds: from connecting to the last byte.
        size: bytes of the answer, head and body together.
    """

    seconds: float
    size: int


@dataclass(frozen=True, slots=True)
class Line:
    """Where a connection goes.

    Attributes:
        address: what is connected to: a name, or the address of it that was looked at.
        host: whom a certificate must name.
        context: makes what TLS is spoken with; None for the system's own trust.
    """

    address: str
    port: int
    host: str
    https: bool
    context: "Callable[[], SSLContext] | None" = None


def exchanged(line: Line, asked: bytes, method: str, limits: Limits) -> tuple[int, bytes]:
    """Send a request as it is and read the answer: status and body.

    Raises:
        NotSpoken: it does not answer, not in time, with too much, or with what is no HTTP.
    """
    answer = answered(line, asked, method, limits)
    return answer.status, answer.body


def answered(line: Line, asked: bytes, method: str, limits: Limits) -> Answer:
    """Send a request as it is and read the answer, its headers too.

    Raises:
        NotSpoken: it does not answer, not in time, with too much, or with what is no HTTP.
    """
    from http.client import HTTPException, HTTPResponse  # noqa: PLC0415 - 15 ms that a cold start without it saves

    written: list[bool] = []
    try:
        said = _said(line, asked, limits, written)
        answer = HTTPResponse(cast(socket.socket, _Replay(said)), method=method)  # it asks for nothing but the file
        answer.begin()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return Answer(answer.status, headers, answer.read())
    except (OSError, HTTPException, ValueError) as fault:
        raise NotSpoken(f"{line.host}: {type(fault).__name__}", written=bool(written)) from fault


def _said(line: Line, asked: bytes, limits: Limits, written: list[bool]) -> bytes:
    """Everything that a server says until it closes; `written` is told when it is connected to and asked."""
    deadline = time.monotonic() + limits.seconds
    connection = socket.create_connection((line.address, line.port), limits.seconds)
    with _secured(connection, line) if line.https else connection as wire:
        written.append(True)
        wire.sendall(asked)
        parts: list[bytes] = []
        size = 0
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            wire.settimeout(left)
            part = wire.recv(65_536)
            if not part:
                return b"".join(parts)
            parts.append(part)
            size += len(part)
            if size > limits.size:
                raise ValueError("too much")


def _secured(connection: socket.socket, line: Line) -> socket.socket:
    import ssl  # noqa: PLC0415 - a laptop's issuer has no TLS, and a cold start pays for what it imports

    try:
        context = line.context() if line.context else ssl.create_default_context()
        return context.wrap_socket(connection, server_hostname=line.host)
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


# ---------------------------------------------------------------- addresses that somebody typed

Resolve = Callable[[str, int], Sequence[str]]
"""The addresses of a name."""


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, as the system's resolver has them.

    Raises:
        OSError: there is no such name.
    """
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def is_public(text: str) -> bool:
    """Whether an address is one of the public internet: not ours, not a neighbour's, not metadata, however written.

    Of IPv6 only the part that is routed, without the ways that carry an IPv4 address inside (6to4, Teredo, NAT64,
    mapped): what is inside is judged where it can be seen, and refused where it cannot.
    """
    from ipaddress import IPv6Address, ip_address, ip_network  # noqa: PLC0415 - few call out

    try:
        address: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(str(address.ipv4_mapped))
        if address not in ip_network("2000::/3") or address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def target_of(url: str, *, local: bool) -> SplitResult:
    """The parts of an address that may be called.

    Args:
        local: on a laptop the laptop itself may be called too, without TLS.

    Raises:
        ValueError: it is no plain https address.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    plain = bool(host) and parts.username is None and parts.password is None and not parts.fragment
    clean = url.isascii() and url.isprintable() and " " not in url and "\\" not in url and "@" not in url
    mine = local and parts.scheme == "http" and host in _LOOPBACK
    if not plain or not clean or not (parts.scheme == "https" or mine) or parts.port == 0:
        raise ValueError("not a plain https address")
    return parts


def posted(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    limits: Limits,
    *,
    local: bool = False,
    resolve: Resolve = resolved,
    allowed: Callable[[str], bool] = is_public,
    context: "Callable[[], SSLContext] | None" = None,
) -> int:
    """POST a body to an address that somebody typed; the status. A redirect is an answer and is not followed.

    Args:
        local: on a laptop the laptop itself may be called too.
        resolve, allowed, context: for tests.

    Raises:
        NotSpoken: it may not be called, or did not answer.
    """
    return called(
        "POST", url, body, headers, limits, local=local, resolve=resolve, allowed=allowed, context=context
    ).status


def called(
    method: str,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    limits: Limits,
    *,
    local: bool = False,
    resolve: Resolve = resolved,
    allowed: Callable[[str], bool] = is_public,
    context: "Callable[[], SSLContext] | None" = None,
) -> Answer:
    """Call an address that somebody typed; see `posted`.

    Raises:
        NotSpoken: it may not be called, or did not answer.
    """
    try:
        parts = target_of(url, local=local)
    except ValueError as fault:
        raise NotSpoken(str(fault), passing=False) from None
    host, https = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if https else 80)
    try:
        addresses = list(resolve(host, port))
    except (OSError, UnicodeError) as fault:
        raise NotSpoken(f"{host}: {type(fault).__name__}") from None
    # All of them, not the first that will do: a name that points inside as well is not to be trusted at all.
    if not addresses or (https and not all(allowed(each) for each in addresses)):
        raise NotSpoken(f"{host} is no address of the public internet", passing=False)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    head = {"Host": parts.netloc, "User-Agent": "regulars", "Accept-Encoding": "identity", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    asked = f"{method} {path} HTTP/1.1\r\n{lines}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    line = Line(addresses[0], port, host, https, context)
    return answered(line, asked.encode("ascii") + body, method, limits)
