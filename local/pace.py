"""Keeps a tool that sends many things to so many a second, and says how far it is."""

import sys
import time
from collections.abc import Callable


class Pace:
    """Waits so that no more than `rate` things a second are done.

    Args:
        rate: things a second.
        pause: waits so many seconds; for tests.
        timer: counts seconds; for tests.
    """

    def __init__(
        self,
        rate: float,
        *,
        pause: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = rate
        self._pause = pause
        self._timer = timer
        self._free_at = timer()

    def before(self, count: int) -> None:
        """Wait until so many more may be done."""
        now = self._timer()
        if self._free_at > now:
            self._pause(self._free_at - now)
        self._free_at = max(self._free_at, now) + count / self._rate


class Progress:
    """Says how far a tool is, every few seconds, on standard error."""

    def __init__(self, *, every: float = 5.0, timer: Callable[[], float] = time.monotonic) -> None:
        self._every = every
        self._timer = timer
        self._next = timer() + every

    def say(self, words: str) -> None:
        """Say it, if it is time to say something."""
        if self._timer() >= self._next:
            self._next = self._timer() + self._every
            print(words, file=sys.stderr, flush=True)
