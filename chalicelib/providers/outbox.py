"""The outbox: each message as a file, where a person can read it. Nothing goes out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.personal import Kind, masked
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderBusy, everyone
from chalicelib.storage.objects import Objects

_KINDS = {"sms": Kind.MOBILE, "email": Kind.EMAIL}


@dataclass(frozen=True)
class Outbox:
    """Keeps each message as `outbox/<channel>/<delivery>.json` of the archive, its address masked.

    The name follows from the message: the same one twice is one file.
    """

    objects: Objects
    clock: Callable[[], datetime]
    channel: str
    price_micro: int = 0
    name: str = "outbox"
    batch_max: int = 100
    idempotent: bool = True

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:  # noqa: ARG002 - it takes no time
        """See `Provider.send`.

        Raises:
            ProviderBusy: not all of it was written; all of it may be written again.
        """
        try:
            for each in batch:
                self._keep(each)
        except StorageBusy:
            raise ProviderBusy("StorageBusy") from None
        return tuple(
            Result(each.delivery_id, "sent", provider_ref=each.delivery_id, cost_micro=self.price_micro)
            for each in batch
        )

    def _keep(self, outgoing: Outgoing) -> None:
        kind = _KINDS.get(outgoing.channel)
        shown = {
            "delivery_id": outgoing.delivery_id,
            "at": self.clock().isoformat(),
            "channel": outgoing.channel,
            "to": masked(kind, outgoing.to) if kind else "…" + outgoing.to[-4:],
            "language": outgoing.language,
            "sent_for": outgoing.sent_for,
            "subject": outgoing.subject,
            "text": outgoing.text,
            "html": outgoing.html,
            "template_code": outgoing.template_code,
            "params": dict(outgoing.params),
        }
        if outgoing.opt_out_url:
            shown |= {
                "list_unsubscribe": outgoing.opt_out_url,
                "list_unsubscribe_post": "List-Unsubscribe=One-Click",
            }
        content = json.dumps(shown, ensure_ascii=False, indent=1).encode() + b"\n"
        self.objects.put(f"outbox/{outgoing.channel}/{outgoing.delivery_id}.json", content, kind="application/json")
