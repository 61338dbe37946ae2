"""The port to whatever brings messages, and what it may raise."""

from collections.abc import Callable, Sequence
from typing import Protocol

from chalicelib.kernel.errors import Trouble
from chalicelib.providers.models import Outgoing, Result

Look = Callable[[Sequence[Outgoing]], Sequence[Outgoing]]
"""Asked right before each request with its messages: those of them that may still go. It is cheap to ask."""


def everyone(group: Sequence[Outgoing]) -> Sequence[Outgoing]:
    """Nobody can have changed: see `Look`."""
    return group


TEMPLATED = frozenset({"aliyun", "tencent", "wechat"})
"""Providers that bring only what fills in a template of their own, and no words of ours."""


class ProviderBusy(Trouble):
    """The provider is throttling, failing or out of reach, and it is certain that nothing of the batch went out.

    Attributes:
        code: the provider's word for it.
        throttled: it asks for patience and works otherwise, so this says nothing against it.
    """

    def __init__(self, code: str, *, retry_after: int = 1, throttled: bool = False) -> None:
        super().__init__("The provider does not take messages now. Try again later.", retry_after=retry_after)
        self.reason = code
        self.throttled = throttled


class ProviderMisconfigured(Exception):
    """The provider will take nothing before somebody mends its settings; nothing of the batch went out.

    Attributes:
        code: the provider's word for it.
    """

    def __init__(self, code: str) -> None:
        super().__init__(f"the provider is set up wrongly: {code}")
        self.code = code


class Provider(Protocol):
    """All that the product asks of whoever brings messages."""

    @property
    def name(self) -> str:
        """Who it is: `aliyun`, `ses`, …"""

    @property
    def channel(self) -> str:
        """What it brings."""

    @property
    def batch_max(self) -> int:
        """How many messages it takes in one call of `send`."""

    @property
    def idempotent(self) -> bool:
        """Whether the same delivery id twice is one message there, so that what is unknown may be asked again."""

    def cost_micro(self, outgoing: Outgoing) -> int:
        """What a message costs at the most, in millionths of the money that the provider is paid in."""

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """Hand messages over: one result for each, in their order. What `look` leaves out is `not_sent`.

        A provider that takes a batch in several requests asks `look` before each: a batch may take long.

        Raises:
            ProviderBusy: nothing of the batch went out, for certain; all of it may be tried again.
            ProviderMisconfigured: nothing of the batch went out, and nothing will.
        """
