"""Batches for services that take ten entries at a time and answer for each of them apart."""

import time
from collections.abc import Callable, Iterator, Sequence
from random import random
from typing import TypeVar

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.signed import ServiceFault, Unreachable

ENTRIES_MAX = 10
BYTES_MAX = 256 * 1024

_PASSING = {
    "InternalError",
    "InternalException",
    "InternalFailure",
    "KMS.ThrottlingException",
    "KmsThrottled",
    "OverLimit",
    "RequestThrottled",
    "ServiceUnavailable",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

T = TypeVar("T")

Send = Callable[[Sequence[T]], Sequence[T]]
"""Sends a batch and gives back the entries that did not arrive and may do better later.

Raises `ServiceFault` or `Unreachable`, when none is known to have arrived.
"""


def batches(entries: Sequence[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Entries in order, in batches that the services take: ten at the most, and 256 KB together."""
    batch: list[T] = []
    taken = 0
    for entry in entries:
        length = size(entry)
        if batch and (len(batch) == ENTRIES_MAX or taken + length > BYTES_MAX):
            yield batch
            batch, taken = [], 0
        batch.append(entry)
        taken += length
    if batch:
        yield batch


def is_passing(code: str) -> bool:
    """Whether an entry that failed with this code may do better later."""
    return code in _PASSING


class Sender:
    """Sends a batch until every entry of it has arrived.

    Args:
        patience: seconds for which entries that failed are sent again, with full jitter, before `StorageBusy`.
        pause: waits so many seconds; for tests.
        timer: counts seconds; for tests.
    """

    def __init__(
        self,
        *,
        patience: float = 5.0,
        pause: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._patience = patience
        self._pause = pause
        self._timer = timer

    def deliver(self, batch: Sequence[T], send: Send[T], *, whom: str) -> None:
        """Send a batch, and again what of it did not arrive. What arrived may arrive twice: an answer can be lost.

        Args:
            whom: who is sent to, for the words of `StorageBusy`.

        Raises:
            StorageBusy: some did not arrive in time; which of them is not known.
            ServiceFault: sending again would not help.
        """
        started, waited, tries = self._timer(), 0.0, 0
        left = batch
        while left:
            cause: Exception | None = None
            try:
                left = send(left)
            except Unreachable as fault:
                cause = fault
            except ServiceFault as fault:
                if not (is_passing(fault.code) or fault.status >= 500 or fault.status == 429):
                    raise
                cause = fault
            if not left:
                return
            if max(waited, self._timer() - started) >= self._patience:
                raise StorageBusy(f"{whom} is busy. Try again later.") from cause
            longest = min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE)
            self._pause(random() * longest)
            waited += longest
            tries += 1
