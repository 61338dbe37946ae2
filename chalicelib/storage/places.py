"""Where files are, for an engine that reads and writes them by itself: the same files as those behind `Objects`."""

from collections.abc import Callable
from dataclasses import dataclass

from chalicelib.storage.signed import Credentials


@dataclass(frozen=True, slots=True)
class Bucket:
    """How the engine reaches a bucket by itself.

    Attributes:
        credentials: gives what to sign with, each time that a connection is opened.
        endpoint: `host:port` of an emulator; None for the region's own.
    """

    region: str
    credentials: Callable[[], Credentials]
    endpoint: str | None = None
    tls: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lake's files are, as the engine names them.

    Attributes:
        root: a folder, or `s3://bucket`; the keys of `Objects` follow behind a slash.
        bucket: how to reach it; None for a folder.
        scratch: a folder for what does not fit into memory.
        memory_mb: what the engine may use.
        threads: how many it may use.
    """

    root: str
    bucket: Bucket | None = None
    scratch: str = "/tmp/lake"  # noqa: S108 - a function has this one and no other  # nosec B108
    memory_mb: int = 1024
    threads: int = 2
