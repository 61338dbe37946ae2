"""Send one message to one member, at most once, whatever crashes and whoever asks how often."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.errors import DeliveryClaimed
from chalicelib.deliveries.models import DeliveryId, Outcome, Row, Sent, Single
from chalicelib.deliveries.ports import Office
from chalicelib.deliveries.service.asking import Guarded, asked
from chalicelib.deliveries.service.parts import AGAIN, LEASE, LOOK_AGAIN, TOO_LATE
from chalicelib.deliveries.store import SingleTaken
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import StorageBusy, Trouble
from chalicelib.providers.calls import WITHHELD
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Wait
from chalicelib.providers.port import Provider, ProviderBusy, ProviderMisconfigured
from chalicelib.storage.writes import Item


def send_one(office: Office, single: Single, *, ahead: timedelta = timedelta(0)) -> Sent:
    """Send a message, unless it was sent; what became of it. Asked again, the first answer is given.

    The member is read afresh after the claim and as the last thing before the call.

    Args:
        ahead: it is judged as if it were so much later whether it has gone stale and whether hours are quiet. Claims,
            pace, money and what is told of it keep to the clock: others share them, and it does go out now.

    Returns: with `wait_until`, when it could not be sent yet: ask again then. Nothing of it is under way.

    Raises:
        DeliveryClaimed: somebody else is sending it just now.
        ProviderMisconfigured: nothing went out, and nothing will before somebody mends it.
        Trouble: ask again.
    """
    name = rules.single_id(single)
    item = store.find_single(office.ops, single.member_id, name)
    known = store.sent_from(item) if item is not None else None
    if known is not None and not known.outcome.pending:
        _tell(office, single, known)
        return known
    return _One(office, single, name, item, ahead).sent()


class _One:
    """One attempt at a single message.

    Attributes:
        asked_before: a provider was asked once, and nobody knows what came of it.
        missing: fields that there is nothing to put in for.
    """

    def __init__(
        self, office: Office, single: Single, name: DeliveryId, item: Item | None, ahead: timedelta = timedelta(0)
    ) -> None:
        self.office = office
        self.ahead = ahead
        self.single = single
        self.name = name
        self.version = int(item["version"]) if item is not None else 0
        self.lease_until = int(item.get("lease", 0)) if item is not None else 0
        self.asked_before = item is not None and (self.lease_until > 0 or item["out"] == Outcome.ASKED)
        self.provider = office.providers.get(single.channel)
        self.missing: tuple[str, ...] = ()
        self.looked_at = office.clock()

    def sent(self) -> Sent:
        """See `send_one`."""
        now = self.office.clock()
        if self.lease_until > milliseconds(now):
            raise DeliveryClaimed
        if self.asked_before and not (self.provider is not None and self.provider.idempotent):
            return self._settle(Outcome.UNKNOWN)
        judged = now + self.ahead
        if judged >= self.single.send_until:
            return self._drop(Outcome.EXPIRED)
        quiet = rules.quiet_until(judged, self.single.quiet, self.single.zone)
        if self.provider is None:
            return self._waits(now + timedelta(seconds=rules.DELAY_MAX), "no provider")
        if quiet is not None:
            return self._waits(quiet - self.ahead, "quiet")
        return self._try(self.provider, now)

    def _try(self, provider: Provider, now: datetime) -> Sent:
        # Once before the claim, so that who may not be written to costs one write; once after, because it counts.
        made = self._message(provider, now)
        if isinstance(made, Outcome):
            return self._drop(made)
        channel = self.single.channel
        answer = self.office.pace.take(channel, 1, provider.cost_micro(made), now)
        if isinstance(answer, Wait):
            return self._waits(answer.until, answer.why)
        until = milliseconds(self.office.clock() + LEASE)
        self._keep(Outcome.ASKED if self.asked_before else Outcome.OPEN, lease_until=until)
        self.looked_at = self.office.clock()
        try:
            made = self._message(provider, self.office.clock())
        except Exception:
            with suppress(Exception):
                self._keep(Outcome.ASKED if self.asked_before else Outcome.OPEN)
            raise
        if isinstance(made, Outcome):
            with suppress(Trouble):
                self.office.pace.went(channel, (), self.office.clock())
            return self._drop(made)
        if milliseconds(self.office.clock() + TOO_LATE) > until:
            self._keep(Outcome.ASKED if self.asked_before else Outcome.OPEN)
            return self._waits(self.office.clock() + timedelta(seconds=1), "slow")
        return self._ask(provider, made)

    def _message(self, provider: Provider, now: datetime) -> Outgoing | Outcome:
        """The message to the member as they are now, or why there is none."""
        single, office = self.single, self.office
        contact: Mapping[str, Any] = {}
        found = office.reach.standing([single.member_id], single.purpose, single.channel).get(single.member_id)
        if found is not None:
            contact = found.contact
        if single.to:
            if office.reach.suppressed(single.channel, single.to):
                return Outcome.SUPPRESSED
        else:
            if found is None:
                return Outcome.NOT_A_MEMBER
            if found.why_not is not None:
                return found.why_not
        to = single.to or rules.address_of(contact, single.channel, single.member_id)
        if not to:
            return Outcome.NO_ADDRESS
        member, channel, language = single.member_id, single.channel, single.language or office.language
        opt_out = office.links.opt_out(member, single.purpose, channel, self.name, now, language=language)
        try:
            renderer = office.words.renderer(single.template_id, single.template_version, language, provider.name)
        except (LookupError, ValueError):
            return Outcome.NO_WORDS
        preferences = office.links.preferences(member, channel, self.name, now, language=language)
        fields = {**single.fields, "name": contact.get("name") or "", "opt_out": opt_out, "preferences": preferences}
        rendered = renderer.filled(fields)
        if rendered.missing:
            self.missing = rendered.missing
            return Outcome.FIELD_MISSING
        subject, text, html = rendered.subject, rendered.text, rendered.html
        if single.source == "test":
            subject, text, html = rules.marked_as_test(subject, text, html, language)
        return Outgoing(
            delivery_id=self.name,
            channel=single.channel,
            to=to,
            language=language,
            subject=subject,
            text=text,
            html=html,
            template_code=rendered.template_code,
            params=rendered.params,
            opt_out_url=opt_out,
            sent_for=f"{single.source}:{single.source_id}",
            signature=rendered.signature,
        )

    def _ask(self, provider: Provider, outgoing: Outgoing) -> Sent:
        office, channel = self.office, self.single.channel
        before = Outcome.ASKED if self.asked_before else Outcome.OPEN
        look = Guarded(self._look)
        try:
            results = asked(provider, [outgoing], look)
        except ProviderBusy as busy:
            office.pace.went(channel, busy, office.clock())
            self._keep(before)
            return self._waits(office.clock() + timedelta(seconds=max(busy.retry_after, AGAIN)), "busy")
        except ProviderMisconfigured:
            self._keep(before)
            raise
        result = next((each for each in results if each.delivery_id == outgoing.delivery_id), None)
        outcome = rules.outcome_of_result(result, idempotent=provider.idempotent)
        with suppress(Trouble):
            office.pace.went(channel, [each for each in results if each.code != WITHHELD], office.clock())
        if look.fault is not None and outcome is Outcome.OPEN:
            self._keep(before)
            raise look.fault
        if outcome.pending:
            self._keep(before if outcome is Outcome.OPEN else outcome)
            return self._waits(office.clock() + timedelta(seconds=AGAIN), "again")
        return self._settle(outcome, result)

    def _look(self, group: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """See `providers.port.Look`: a slow server is told of the message when the last look is long ago."""
        now = self.office.clock()
        if timedelta(0) <= now - self.looked_at < LOOK_AGAIN:
            return group
        self.looked_at = now
        assert self.provider is not None
        # The links that it has name the day, and are the same ones.
        return group if [self._message(self.provider, now)] == list(group) else ()

    # ------------------------------------------------------------ what is known

    def _sent(self, outcome: Outcome, result: Result | None = None) -> Sent:
        name = self.provider.name if self.provider is not None else ""
        at = from_milliseconds(milliseconds(self.office.clock()))
        cost = result.cost_micro if result is not None else 0
        code = result.code if result is not None else ""
        if outcome is Outcome.FIELD_MISSING:
            code = " ".join(self.missing)
        return Sent(self.name, outcome, at, provider=name, cost_micro=cost, code=code)

    def _keep(self, outcome: Outcome, result: Result | None = None, *, lease_until: int = 0) -> Sent:
        """Write down what is known, or a claim.

        Raises:
            DeliveryClaimed: somebody else was faster.
        """
        sent = self._sent(outcome, result)
        office = self.office
        write = store.keep_single(
            self.single, sent, version=self.version, now=office.clock(), lease_until=lease_until, worker=office.worker
        )
        try:
            office.ops.commit([write])
        except (SingleTaken, StorageBusy) as fault:
            there = store.find_single(office.ops, self.single.member_id, self.name)
            ours = there is not None and (there["version"], there.get("worker"), there.get("lease", 0)) == (
                self.version + 1,
                office.worker,
                lease_until,
            )
            if not ours:
                raise (DeliveryClaimed() if isinstance(fault, SingleTaken) else fault) from None
        self.version += 1
        return sent

    def _drop(self, why: Outcome) -> Sent:
        return self._settle(Outcome.UNKNOWN if self.asked_before else why)

    def _settle(self, outcome: Outcome, result: Result | None = None) -> Sent:
        sent = self._keep(outcome, result)
        _tell(self.office, self.single, sent)
        return sent

    def _waits(self, until: datetime, why: str) -> Sent:
        return replace(self._sent(Outcome.OPEN), wait_until=until, waits_for=why)


def _tell(office: Office, single: Single, sent: Sent) -> None:
    """Give the lake the row of a message that is decided; who asks again gives it again, which changes nothing."""
    office.append(sent.delivery_id, [_row(single, sent)], sent.at)


def _row(single: Single, sent: Sent) -> Row:
    return {
        "row_id": sent.delivery_id,
        "member_id": single.member_id,
        "source": single.source,
        "source_id": single.source_id,
        "step": single.step,
        "run_id": "",
        "channel": single.channel,
        "variant": single.variant,
        "outcome": sent.outcome.kind,
        "reason": sent.outcome.reason,
        "at": milliseconds(sent.at),
        "provider": sent.provider,
        "cost_micro": sent.cost_micro,
        "delivery_id": sent.delivery_id,
    }
