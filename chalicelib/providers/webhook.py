"""A gateway of the merchant's own, which is sent each message as JSON, signed (`storage.carriers.Gateway`).

It is to bring one `delivery_id` once, so what is unknown may be asked again.
"""

import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone
from chalicelib.storage.egress import Answer, Limits, NotSpoken, called

Reach = Callable[..., Answer]


@dataclass(frozen=True)
class Webhook:
    """See the module.

    `Regulars-Signature` is `t=<seconds since 1970>,v1=<HMAC-SHA-256 in hex>` over the seconds, a full stop and the body
    as it was sent. Who takes it should refuse what is older than 300 seconds. A status of 2xx says that it is taken,
    422 that it is not brought there; a JSON answer may name the message: `{"ref": "…"}`.

    Args:
        url: where it listens: https, and in the public internet.
        key: of the signature.
        local: on a laptop it may be the laptop itself.
        reach: for tests.
    """

    url: str
    key: bytes = field(repr=False)
    clock: Callable[[], datetime]
    channel: str
    price_micro: int = 0
    local: bool = False
    seconds: float = calls.SECONDS
    reach: Reach = called
    name: str = "webhook"
    batch_max: int = 20
    idempotent: bool = True

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        return calls.in_calls(batch, calls.singly(batch), self._call, self.cost_micro, look)

    def _call(self, group: Sequence[Outgoing]) -> list[Result]:
        (each,) = group
        said = {
            "delivery_id": each.delivery_id,
            "channel": each.channel,
            "to": each.to,
            "language": each.language,
            "subject": each.subject,
            "text": each.text,
            "html": each.html,
            "template_code": each.template_code,
            "params": dict(each.params),
            "opt_out_url": each.opt_out_url,
            "sent_for": each.sent_for,
        }
        body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
        stamp = int(self.clock().timestamp())
        signature = hmac.digest(self.key, f"{stamp}.".encode() + body, "sha256").hex()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": each.delivery_id,
            "Regulars-Signature": f"t={stamp},v1={signature}",
        }
        try:
            answer = self.reach("POST", self.url, body, headers, Limits(self.seconds, 64 * 1024), local=self.local)
        except NotSpoken as fault:
            if not fault.passing:
                raise ProviderMisconfigured("GatewayNotAllowed") from None
            raise (Lost("NoAnswer") if fault.written else NotSent("Unreachable")) from None
        calls.require_taken(answer.status, answer.headers)
        if answer.status in (401, 403, 404, 405, 410) or 300 <= answer.status < 400:
            raise ProviderMisconfigured(f"Http{answer.status}")
        if not 200 <= answer.status < 300:
            raise Turned(f"Http{answer.status}")
        return [Result(each.delivery_id, "sent", "", _ref(answer.body), self.price_micro)]


def _ref(body: bytes) -> str:
    try:
        said = json.loads(body or b"{}")
    except ValueError:
        return ""
    ref = said.get("ref") if isinstance(said, dict) else None
    return ref[:200] if isinstance(ref, str) and ref.isprintable() else ""
