"""Notices by providers, as campaigns go, each at most once.

A provider that knows our delivery ids may be handed the same notice again, as the outbox may. Any other is handed it by
whoever put down a claim first, and a claim is taken back only when it is certain that nothing went out. So a crash in
between, or an answer that never came, leaves a notice that may not have arrived, and never one that arrived twice.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.kernel.errors import StorageBusy
from chalicelib.notices import store
from chalicelib.notices.models import Notice
from chalicelib.notices.sender import Sender, Tell
from chalicelib.notices.store import NoticeClaimed
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Pacer, Wait
from chalicelib.providers.port import TEMPLATED, Provider, ProviderBusy, ProviderMisconfigured
from chalicelib.storage.table import Table

_NOT_FOR_NOTICES = {*TEMPLATED, "outbox"}
"""The outbox of notices says more than that of campaigns: whom a notice was for, and what it tells of."""
PATIENCE = timedelta(seconds=5)
"""For so long a notice waits for its channel; after that the queue brings it again."""


@dataclass(frozen=True)
class Provided:
    """Hands notices to the providers of their channels; a channel without one keeps its outbox.

    A provider that brings only templates of its own has none for notices, so they stay in the outbox too.

    Args:
        ops: where claims are.
        pacer: keeps channels to their rate and their money.
        outbox: what stands in for a channel that nobody brings.
        tell: tells operators of what was turned down, or is unknown.
    """

    providers: Mapping[str, Provider]
    ops: Table
    pacer: Pacer
    outbox: Sender
    tell: Tell
    clock: Callable[[], datetime]
    pause: Callable[[float], None] = time.sleep

    def send(self, notice: Notice) -> None:
        """See `Sender.send`.

        Raises:
            StorageBusy: it did not go out, for certain; send it again.
            ProviderMisconfigured: likewise, and somebody has to mend the provider.
        """
        provider = self.providers.get(notice.channel.value)
        if provider is None or provider.name in _NOT_FOR_NOTICES:
            self.outbox.send(notice)
            return
        if provider.idempotent:
            self._told(notice, self._handed(provider, notice))
            return
        try:
            self.ops.commit([store.claim_notice(notice)])
        except NoticeClaimed:
            return
        try:
            result = self._handed(provider, notice)
        except (StorageBusy, ProviderMisconfigured):
            self.ops.commit([store.unclaim_notice(notice)])
            raise
        self._told(notice, result)

    def _handed(self, provider: Provider, notice: Notice) -> Result:
        """What a provider answers.

        Raises:
            StorageBusy: it did not take it, for certain, or must not be asked now.
            ProviderMisconfigured: likewise.
        """
        outgoing = _outgoing(notice)
        self._await_turn(provider, outgoing)
        try:
            (result,) = provider.send([outgoing])
        except ProviderBusy as busy:
            self.pacer.went(provider.channel, busy, self.clock())
            raise _busy() from None
        except ProviderMisconfigured:
            self.pacer.went(provider.channel, (), self.clock())
            raise
        self.pacer.went(provider.channel, [result], self.clock())
        # Of a provider that knows our ids it is enough to ask again, also when nobody knows.
        if result.status == "not_sent" or (result.status == "unknown" and provider.idempotent):
            raise _busy()
        return result

    def _await_turn(self, provider: Provider, outgoing: Outgoing) -> None:
        began = self.clock()
        while True:
            now = self.clock()
            turn = self.pacer.take(provider.channel, 1, provider.cost_micro(outgoing), now)
            if not isinstance(turn, Wait):
                return
            if turn.until - began > PATIENCE:
                raise _busy()
            self.pause(max(0.01, (turn.until - now).total_seconds()))

    def _told(self, notice: Notice, result: Result) -> None:
        if result.status != "sent":
            facts = {result.status: result.code, "channel": notice.channel.value, "delivery": notice.delivery_id}
            self.tell("message", facts)


def _busy() -> StorageBusy:
    return StorageBusy("The message could not be handed over. Ask again later.")


def _outgoing(notice: Notice) -> Outgoing:
    return Outgoing(
        delivery_id=notice.delivery_id,
        channel=notice.channel.value,
        to=notice.to,
        language=notice.language.value,
        subject=notice.subject,
        text=notice.text,
        # A link without the name of a host leads nowhere from a mailbox.
        opt_out_url=notice.opt_out if notice.opt_out.startswith("http") else "",
        sent_for=f"notice:{notice.event_type}",
    )
