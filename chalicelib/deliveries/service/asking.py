"""Ask a provider, and take whatever comes of it for what it may mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, Provider, ProviderBusy, ProviderMisconfigured, everyone


@dataclass
class Guarded:
    """A look that does not raise: else whoever asks a provider would not learn what it took before.

    Attributes:
        fault: why it could not be looked. Nothing goes after that; it is to be raised once what went is noted.
    """

    look: Look
    fault: Exception | None = None

    def __call__(self, group: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """See `providers.port.Look`."""
        try:
            return self.look(group) if self.fault is None else ()
        except Exception as fault:  # noqa: BLE001 - see above
            self.fault = fault
            return ()


def asked(provider: Provider, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
    """What a provider answers. However a call ends of which nothing is known, its messages may have gone out.

    Raises:
        ProviderBusy, ProviderMisconfigured: nothing of the batch went out.
    """
    try:
        return provider.send(batch, look)
    except (ProviderBusy, ProviderMisconfigured):
        raise
    except Exception as fault:  # noqa: BLE001 - see above
        return tuple(Result(each.delivery_id, "unknown", code=type(fault).__name__) for each in batch)
