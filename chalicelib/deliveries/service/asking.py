"""Ask a provider, and take whatever comes of it for what it may mean."""

from collections.abc import Sequence

from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, Provider, ProviderBusy, ProviderMisconfigured, everyone


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
