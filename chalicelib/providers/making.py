"""Makes providers from settings. Each is loaded only where it is chosen."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from chalicelib.providers import settings as told
from chalicelib.providers.outbox import Outbox
from chalicelib.providers.port import Provider
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table


@dataclass(frozen=True, slots=True)
class Means:
    """What providers need from outside.

    Attributes:
        ops: where tokens of access are shared.
        objects: the archive, where the outbox is.
        endpoint: where AWS answers, when not at its own place.
        local: on a laptop.
    """

    ops: Table
    objects: Objects
    clock: Callable[[], datetime]
    region: str
    endpoint: str | None = None
    local: bool = False


def made(channel: str, by: told.By, means: Means) -> Provider:
    """The provider of a channel."""
    if isinstance(by, told.Outbox):
        return Outbox(means.objects, means.clock, channel, by.price_micro)
    raise NotImplementedError(by.by)
