"""The lake, as segments ask it: a connection with views, how long it may take, and where lists are."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chalicelib.segments.rules.compiling import Param, bound

ANSWER_SECONDS = 20


class TooSlow(Exception):
    """A query took longer than it may. Never leaves the service."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A connection to the lake's views.

    Attributes:
        connection: of DuckDB.
        archive: the folder or bucket of the archive, as DuckDB reads it.
        built_at: what was recorded by then is in it.
        base: names what the lake's patch lies over; numbers of members are stable while it stays.
        changed: a table of the numbers `m` of all who changed since that base; None where nobody knows.
        scored: whether members have scores of recency, frequency and spending.
        generation: names the lake as it is.
        seconds: how long a query may take.
    """

    connection: Any
    archive: str
    built_at: datetime
    base: str = ""
    changed: str | None = None
    scored: bool = True
    generation: str = ""
    seconds: float = ANSWER_SECONDS

    def rows(self, sql: str, params: Sequence[Param] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises:
            TooSlow: it took longer than it may, and was ended.
        """
        with self._in_time():
            found: list[tuple[Any, ...]] = self.connection.execute(sql, bound(params, self.archive)).fetchall()
        return found

    def number(self, sql: str, params: Sequence[Param] = ()) -> int:
        """The one number that a query gives.

        Raises:
            TooSlow: likewise.
        """
        return int(self.rows(sql, params)[0][0])

    def slices(self, sql: str, params: Sequence[Param], size: int) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a query, so many at a time.

        Raises:
            TooSlow: likewise.
        """
        with self._in_time():
            cursor = self.connection.execute(sql, bound(params, self.archive))
            while rows := cursor.fetchmany(size):
                yield rows

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        late = threading.Event()

        def end() -> None:
            late.set()
            self.connection.interrupt()

        timer = threading.Timer(self.seconds, end)
        timer.start()
        try:
            yield
        except Exception:
            if late.is_set():
                raise TooSlow from None
            raise
        finally:
            timer.cancel()


Opens = Callable[[date, datetime], AbstractContextManager[Engine]]
"""Opens the lake as it is on a day of the program's, at an instant."""
