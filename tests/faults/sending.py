"""A worker of `test_sends.py`: the product's own function, with providers in another process."""

import http.client
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from chalicelib.deliveries import jobs
from chalicelib.deliveries.service import parts
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Limits
from chalicelib.providers.port import Look, everyone
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import house
from tests.sends.words import Words

PROVIDER = "TEST_PROVIDER_PORT"

# What a worker that was killed had claimed is not waited for a minute.
if "pytest" not in sys.modules:  # in a worker's process, and not in one that only reads this
    parts.LEASE, parts.TOO_LATE = timedelta(seconds=4), timedelta(seconds=1)


@dataclass(frozen=True)
class Remote:
    """A provider in another process, which keeps what it got."""

    channel: str
    idempotent: bool
    name: str = "remote"
    batch_max: int = 50

    def cost_micro(self, outgoing: Outgoing) -> int:
        """See `Provider.cost_micro`."""
        return 1

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`."""
        connection = http.client.HTTPConnection("127.0.0.1", int(os.environ[PROVIDER]), timeout=20)  # noqa: TID251
        try:
            connection.request("POST", f"/{self.channel}", json.dumps([each.delivery_id for each in batch]))
            answer = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return tuple(Result(name, "sent", cost_micro=1) for name in answer)


def send_parts(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """`deliveries.jobs.send_parts` in a house that has these providers."""
    here = house()
    if not here.providers:
        providers = {"email": Remote("email", idempotent=False), "sms": Remote("sms", idempotent=True)}
        fast = {channel: Limits(rate_per_second=100_000) for channel in providers}
        here = replace(here, providers=providers, limits=fast)
        wiring.use(here)
    office = jobs.office(here)
    if not isinstance(office.words, Words):
        ((which, (house_, made)),) = jobs.KNOWN.items()
        jobs.KNOWN[which] = house_, replace(made, words=Words())
    return jobs.send_parts(event, context)


def _sloppy(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """With a planted bug: nothing is written before the call."""
    from chalicelib.deliveries.service.parts import LEASE, _Work

    def claim(self: _Work, places: Any) -> None:
        until = int((self.office.clock() + LEASE).timestamp() * 1000)
        self.state = replace(self.state, lease_until=until, worker=self.office.worker)

    _Work._claim = claim  # type: ignore[method-assign]
    return send_parts(event, context)


send_without_claims = _sloppy
