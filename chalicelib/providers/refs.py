"""Which delivery a provider's own name for a message stands for, where its receipts name nothing else.

SES tells our delivery id again, and a gateway of the merchant's does. Alibaba and Tencent Cloud and WeChat name what
they called the message when they took it; so that is put down in table `ops`, for as long as receipts come, right after
it was sent. It is not part of sending: where it cannot be written, receipts of that call find no delivery, and no more.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.kernel.errors import Trouble
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, Provider, everyone
from chalicelib.storage import keys
from chalicelib.storage.table import WRITES_MAX, Table
from chalicelib.storage.writes import Anyway, Put, Write

KEPT = timedelta(days=8)
"""Providers tell what became of a message within three days."""
_MARKED = "aliyun"
"""Its messages of one call have one name, each with a mark of its own behind a full stop."""


@dataclass(frozen=True)
class Referenced:
    """A provider whose names of messages are kept."""

    provider: Provider
    ops: Table
    clock: Callable[[], datetime]

    @property
    def name(self) -> str:
        """See `Provider.name`."""
        return self.provider.name

    @property
    def channel(self) -> str:
        """See `Provider.channel`."""
        return self.provider.channel

    @property
    def batch_max(self) -> int:
        """See `Provider.batch_max`."""
        return self.provider.batch_max

    @property
    def idempotent(self) -> bool:
        """See `Provider.idempotent`."""
        return self.provider.idempotent

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return self.provider.cost_micro(outgoing)

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        results = self.provider.send(batch, look)
        writes = kept(self.name, results, now=self.clock())
        try:
            for start in range(0, len(writes), WRITES_MAX):
                self.ops.commit(writes[start : start + WRITES_MAX])
        except Trouble:
            pass  # the messages went out, and that is what has to be told
        return results


def kept(provider: str, results: Iterable[Result], *, now: datetime) -> list[Write]:
    """The writes that put down which delivery each name stands for."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for each in results:
        if each.status == "sent" and each.provider_ref:
            head, tail = _parted(provider, each.provider_ref)
            found[head][tail] = each.delivery_id
    expires = int((now + KEPT).timestamp())
    return [
        Put(keys.provider_ref(provider, head), {"of": marks, "expires": expires}, Anyway(), _never)
        for head, marks in found.items()
    ]


def find_deliveries(ops: Table, refs: Iterable[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
    """Delivery ids by provider and its name of a message; names that nobody put down are left out."""
    wanted = {each: _parted(*each) for each in refs}
    items = ops.get_many([keys.provider_ref(each[0], head) for each, (head, _) in wanted.items()])
    found: dict[tuple[str, str], str] = {}
    for each, (head, tail) in wanted.items():
        item = items.get(keys.provider_ref(each[0], head))
        if item is not None and tail in item["of"]:
            found[each] = item["of"][tail]
    return found


def _parted(provider: str, ref: str) -> tuple[str, str]:
    if provider != _MARKED:
        return ref, "-"
    head, _, tail = ref.rpartition(".")
    return head, tail


def _never(_item: object) -> Exception:
    return AssertionError("it has no condition")
