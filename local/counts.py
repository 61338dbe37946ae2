"""How many connections each worker of the local server holds, for sharing them out evenly."""

import mmap

COUNTS_SIZE = mmap.PAGESIZE
"""Bytes of the shared file of counts: two for each worker."""


class Counts:
    """How many connections each worker holds, in memory that all of them see; each writes only its own."""

    def __init__(self, fd: int, number: int) -> None:
        self._shared = memoryview(mmap.mmap(fd, COUNTS_SIZE)).cast("H")
        self._number = number

    def publish(self, count: int) -> None:
        """Tell the others."""
        self._shared[self._number] = min(count + 1, 0xFFFF)  # 0 is a worker that is not there

    def is_most(self, count: int) -> bool:
        """Whether another worker holds fewer than this one with its `count`."""
        return any(0 < other <= count for other in self._shared)
