"""Pages of a list, and the signed cursor that continues one."""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import Field

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.records import Record

T = TypeVar("T")

LIMIT_MAX = 100


class CursorInvalid(Refusal):
    """The cursor was not given out for this list."""

    def __init__(self) -> None:
        super().__init__("This cursor was not given out for this list. Start again without a cursor.")


class Paging(Record):
    """Which part of a list is asked for."""

    limit: int = Field(default=25, ge=1, le=LIMIT_MAX)
    """How many items at most, 1 to 100."""
    cursor: str | None = Field(default=None, max_length=500)
    """`next_cursor` of the page before; none for the first page."""


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Some items of a list and where the next ones start (None at the end)."""

    items: tuple[T, ...]
    next_position: str | None


class Page(Record, Generic[T]):
    """A page of a list."""

    items: tuple[T, ...]
    next_cursor: str | None = None
    """Send it as `cursor` to get the next page; null on the last one."""


def sign(position: str, *, scope: str, key: bytes) -> str:
    """A cursor for a position, good only for the list named by `scope`."""
    mac = hmac.digest(key, f"{scope}\n{position}".encode(), hashlib.sha256)[:9]
    return base64.urlsafe_b64encode(mac + position.encode()).decode().rstrip("=")


def position_of(cursor: str | None, *, scope: str, key: bytes) -> str | None:
    """The position a cursor stands for.

    Raises:
        CursorInvalid: it was not signed by us for this list.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        position = raw[9:].decode()
    except ValueError:
        raise CursorInvalid from None
    if not hmac.compare_digest(sign(position, scope=scope, key=key), cursor):
        raise CursorInvalid
    return position
