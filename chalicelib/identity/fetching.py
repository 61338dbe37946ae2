"""Getting a small document from an address that is configured, within limits that hold whatever the other side does."""

from urllib.parse import urlsplit

from chalicelib.storage.egress import Limits, Line, NotSpoken, exchanged

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
    parts = urlsplit(url)
    host, https = parts.hostname or "", parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    asked = (
        f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\nAccept-Encoding: identity\r\n"
        "User-Agent: regulars\r\nConnection: close\r\n\r\n"
    )
    try:
        line = Line(host, parts.port or (443 if https else 80), host, https)
        status, body = exchanged(line, asked.encode("ascii"), "GET", Limits(SECONDS_MAX, BYTES_MAX))
    except (NotSpoken, ValueError) as fault:
        raise NotFetched(str(fault)) from fault
    if status != 200:
        raise NotFetched(f"{host} answered {status}")
    return body
