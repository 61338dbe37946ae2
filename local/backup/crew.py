"""Shares of work, each in a process of its own, a few at a time."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from local.tether import tether

S = TypeVar("S")
T = TypeVar("T")


def shared(work: Callable[[S], T], shares: Sequence[S], processes: int) -> Iterator[T]:
    """Do every share, and give what each came to, as they come; a single process is this one."""
    if processes == 1 or not shares:
        yield from map(work, shares)
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(min(processes, len(shares)), initializer=tether, initargs=(os.getpid(),)) as pool:
        yield from pool.imap_unordered(work, shares)
