"""Send a part of a run: at most once to each, whatever crashes, and nobody is forgotten (ADR 0053).

Before a provider is called, one conditional write claims the call's recipients and puts down what became of those of
the call before. So whoever takes the part over knows whom the worker before them may have been asking about: an
idempotent provider is asked about them again with the same ids, of another nothing is known of them for good.

After the claim, and as the last thing before the call, it is read consistently whether the run still sends and who has
changed: an opt-out that was acknowledged by then is kept. A provider that takes a call in many requests is slow about
it, so before each request it is read again, unless that was a moment ago (`LOOK_AGAIN`).
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.errors import DeliveryRunUnknown, PlanMissing
from chalicelib.deliveries.models import (
    DeliveryId,
    Outcome,
    Part,
    PartMessage,
    PartState,
    Recipient,
    Run,
    RunStatus,
    Wording,
)
from chalicelib.deliveries.ports import Office, Renderer
from chalicelib.deliveries.service.asking import Guarded, asked
from chalicelib.deliveries.store import PartTaken, RunMoved
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import StorageBusy, Trouble
from chalicelib.providers.calls import WITHHELD
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.pace import Wait
from chalicelib.providers.port import Provider, ProviderBusy, ProviderMisconfigured

LEASE = timedelta(seconds=150)
"""A claim is its worker's alone for so long: longer than the function that sends may run, so that nobody is taken over
who is still waiting for a slow provider. A worker that was killed is not waited for any longer by that: the queue gives
its message again later still.
"""
TOO_LATE = timedelta(seconds=20)
"""With less than that left of its lease, a worker does not call a provider any more."""
CALL_MIN = 50
"""Idempotent providers may be asked again, so calls of few are claimed together: a write costs more than a call."""
PATIENCE = timedelta(seconds=5)
"""Who has to wait no longer waits here; else the queue keeps the message."""
AGAIN = 15
"""Seconds after which a provider is asked again about who it did not take or gave no answer of."""
KEYS_AT_ONCE = 100
LOOK_AGAIN = timedelta(milliseconds=100)
"""A look at who has changed holds for so long: less than anybody can tell from at once, and at most ten looks a second
are 20 read units a second of a worker's, which a provider that takes fifty in one request never costs.
"""


@dataclass(frozen=True, slots=True)
class Later:
    """The message is to be seen again.

    Attributes:
        seconds: after so long.
    """

    seconds: int
    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing is left to do for the message."""

    why: str


def work_part(office: Office, message: PartMessage, *, ends_at: datetime) -> Ended | Later:
    """Do as much of a part as time and pace allow.

    Args:
        ends_at: no call begins later.

    Raises:
        DeliveryRunUnknown, PlanMissing: there is nothing to send by.
        ProviderMisconfigured: nothing went out, and nothing will before somebody mends it.
        Trouble: a table, the archive or the lake is busy; the message may come again.
    """
    run = store.find_run(office.table, message.run_id)
    if run is None:
        raise DeliveryRunUnknown(run_id=message.run_id)
    if run.status is RunStatus.PLANNING:
        return Later(AGAIN, "planning")
    if run.status in (RunStatus.PAUSED, RunStatus.SENT):
        return Ended(run.status.value)
    now = office.clock()
    state = store.find_part(office.ops, run.run_id, message.part)
    if state is not None and state.done:
        end_run(office, run.run_id)
        return Ended("done")
    if state is not None and state.claim and state.lease_until > milliseconds(now):
        return Later(-(-(state.lease_until - milliseconds(now)) // 1000), "leased")
    content = office.objects.get(rules.part_key(run.run_id, message.part))
    if content is None:
        raise PlanMissing(rules.part_key(run.run_id, message.part))
    part = rules.part_from(content)
    state = state or PartState(run.run_id, message.part, Outcome.OPEN.value * len(part.recipients))
    work = _Work(office, run, part, state, office.providers.get(part.channel), ends_at)
    try:
        return work.done()
    except PartTaken:
        return Later(int(LEASE.total_seconds()), "taken")
    finally:
        with suppress(Trouble):
            office.pace.give_back(office.clock())


def end_run(office: Office, run_id: str) -> bool:
    """Say that a run is sent, when all of its parts are through; whether it is."""
    run = store.find_run(office.table, run_id)
    if run is None or run.status is not RunStatus.SENDING:
        return run is not None and run.status is RunStatus.SENT
    through = sum(each.get("parts", 0) for each in store.find_counts(office.ops, run_id))
    if through < run.parts:
        return False
    try:
        office.table.commit([store.replace_run(run, RunStatus.SENT)])
    except RunMoved:
        return end_run(office, run_id)
    return True


@dataclass
class _Work:
    """One worker's work on a part, from the message to its end or to its being handed back.

    Attributes:
        state: as it is to be written next; its `version` is the one that is stored.
        stored: the letters that are stored.
        when: for rows of the lake: when recipients were decided, and what they cost.
        aside: places that are not tried again before the message comes again.
    """

    office: Office
    run: Run
    part: Part
    state: PartState
    provider: Provider | None
    ends_at: datetime
    stored: PartState | None = None
    when: dict[int, tuple[int, int]] = field(default_factory=dict)
    aside: set[int] = field(default_factory=set)
    opened: dict[int, Mapping[str, Any] | None] = field(default_factory=dict)
    names: dict[int, DeliveryId] = field(default_factory=dict)
    renderers: dict[tuple[str, str], Renderer] = field(default_factory=dict)

    def done(self) -> Ended | Later:
        """Go on until something stops it, and leave what is known written down."""
        self.stored = self.state
        if self.state.claim:
            idempotent = self.provider is not None and self.provider.idempotent
            self._decide(rules.taken_over(self.state, idempotent=idempotent))
            self.state = replace(self.state, claim=())
        try:
            while True:
                ended = self._stopped() or self._step(self.office.clock())
                if ended is not None:
                    return ended
        except PartTaken:
            raise
        except Exception:
            # No call is under way, whatever is claimed; and what came of the one before is in nobody's hands but ours.
            self.state = replace(self.state, claim=())
            with suppress(Exception):
                self._keep()
            raise

    def _stopped(self) -> Ended | Later | None:
        """What is to be done instead of sending, by the run's status."""
        if self.run.status is RunStatus.CANCELLED:
            self._decide(rules.given_up(self.state, Outcome.CANCELLED))
        elif self.run.status is not RunStatus.SENDING:
            self._keep()
            return Ended(self.run.status.value)
        return None

    def _step(self, now: datetime) -> Ended | Later | None:
        """One call; or what ends the work."""
        if now >= self.run.send_until:
            self._decide(rules.given_up(self.state, Outcome.EXPIRED))
        if not self.state.pending():
            return self._finish()
        if now >= self.ends_at:
            return self._hand_back(1, "time")
        if self.provider is None:
            return self._hand_back(rules.DELAY_MAX, "no provider")
        quiet = rules.quiet_until(now, self.run.quiet, self.run.zone)
        if quiet is not None:
            return self._hand_back(rules.delay_until(quiet, now), "quiet")
        turn, hour = rules.ready(self.state, self.part, now)
        places = [place for place in turn if place not in self.aside]
        if places:
            return self._call(self.provider, places, now)
        if turn:
            return self._hand_back(AGAIN, "again")
        assert hour is not None
        return self._hand_back(rules.delay_until(hour, now), "hour")

    # ------------------------------------------------------------ one call

    def _call(self, provider: Provider, places: list[int], now: datetime) -> Ended | Later | None:
        """Claim some, see that they may still be written to, and hand them to the provider."""
        size = max(provider.batch_max, CALL_MIN) if provider.idempotent else provider.batch_max
        batch = self._prepared(places, size, provider, now)
        if self.run.gift is not None and batch:
            self._screen(provider, batch, now)
            self._give(batch, now)
        if not batch:
            return None
        cost = sum(map(provider.cost_micro, batch.values()))
        answer = self.office.pace.take(self.part.channel, len(batch), cost, now)
        if isinstance(answer, Wait):
            return self._wait(answer.until, answer.why)
        self._claim(batch)
        return self._ask(provider, batch)

    def _prepared(self, places: Sequence[int], size: int, provider: Provider, now: datetime) -> dict[int, Outgoing]:
        """Messages to the first so many of some places who can be written to; the others on the way are decided."""
        batch: dict[int, Outgoing] = {}
        for at, place in enumerate(places):
            if len(batch) == size:
                break
            if place not in self.opened:
                self._open(places[at : at + KEYS_AT_ONCE])
            made = self._message(place, provider, now)
            if isinstance(made, Outcome):
                self._drop(place, made)
            else:
                batch[place] = made
        return batch

    def _open(self, places: Sequence[int]) -> None:
        """Open contact data of some, with their keys from the vault as they are now."""
        recipients = {self.part.recipients[place].member_id: place for place in places}
        sealed = {member: base64.b64decode(self.part.recipients[at].sealed) for member, at in recipients.items()}
        found = self.office.contacts.open_many(sealed)
        moved = [member for member in recipients if member not in found]
        if moved:
            fresh = self.office.reach.standing(moved, self.run.purpose, self.part.channel)
            found = {**found, **{member: each.contact for member, each in fresh.items()}}
        for member, place in recipients.items():
            self.opened[place] = found.get(member)

    def _message(self, place: int, provider: Provider, now: datetime) -> Outgoing | Outcome:
        """The message to a recipient, or why there is none."""
        contact, recipient = self.opened[place], self.part.recipients[place]
        if contact is None:
            return Outcome.NO_KEY
        run, channel = self.run, self.part.channel
        to = rules.address_of(contact, channel, recipient.member_id)
        if not to:
            return Outcome.NO_ADDRESS
        member, name, links = recipient.member_id, self._name(place), self.office.links
        language = recipient.language or self.office.language
        opt_out = links.opt_out(member, run.purpose, channel, name, now, language=language)
        try:
            renderer = self._renderer(recipient, provider)
        except (LookupError, ValueError):
            return Outcome.NO_WORDS
        fields = {**recipient.fields, "name": contact.get("name") or "", "opt_out": opt_out}
        if "preferences" in renderer.needed:
            fields["preferences"] = links.preferences(member, channel, name, now, language=language)
        rendered = renderer.filled(fields)
        if rendered.missing:
            return Outcome.FIELD_MISSING
        return Outgoing(
            delivery_id=name,
            channel=channel,
            to=to,
            language=language,
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
            template_code=rendered.template_code,
            params=rendered.params,
            opt_out_url=opt_out,
            sent_for=f"{run.source}:{run.source_id}",
            signature=rendered.signature,
        )

    def _name(self, place: int) -> DeliveryId:
        """The id of the delivery to a recipient."""
        if place not in self.names:
            run, member = self.run, self.part.recipients[place].member_id
            self.names[place] = rules.delivery_id(run.run_id, run.source_id, run.step, member, self.part.channel)
        return self.names[place]

    def _renderer(self, recipient: Recipient, provider: Provider) -> Renderer:
        """The words of a recipient's variant and language, compiled once for the part."""
        which = recipient.variant, recipient.language or self.office.language
        if which not in self.renderers:
            said = _wording(self.run.wordings, recipient.variant, self.part.channel)
            self.renderers[which] = self.office.words.renderer(said.template_id, said.version, which[1], provider.name)
        return self.renderers[which]

    def _give(self, batch: dict[int, Outgoing], now: datetime) -> None:
        """Give what comes with the message; who cannot be given it is not told of it."""
        assert self.run.gift is not None and self.office.giver is not None
        for place in list(batch):
            member = self.part.recipients[place].member_id
            key = f"{self.run.source_id} {self.run.step} {member}"
            if not self.office.giver.give(key, member, self.run.gift, now):
                self._drop(place, Outcome.NO_GIFT)
                del batch[place]

    def _claim(self, places: Iterable[int]) -> None:
        """Write down who is asked about next, and all that is known of those before."""
        until = milliseconds(self.office.clock() + LEASE)
        self.state = replace(self.state, claim=tuple(sorted(places)), lease_until=until, worker=self.office.worker)
        self._keep()

    def _lease_end(self) -> datetime:
        return from_milliseconds(self.state.lease_until)

    def _may_go(self, provider: Provider, batch: dict[int, Outgoing], looked: dict[str, str]) -> bool:
        """Take out of a call who may not be written to any more; whether anything of it may go.

        The last thing that is read before the call is who has changed.
        """
        run = store.find_run(self.office.table, self.run.run_id)
        assert run is not None
        self.run = run
        if run.status is not RunStatus.SENDING:
            return False
        self._screen(provider, batch, self.office.clock(), looked)
        return bool(batch) and self.office.clock() < self._lease_end() - TOO_LATE

    def _screen(
        self, provider: Provider, batch: dict[int, Outgoing], now: datetime, looked: dict[str, str] | None = None
    ) -> None:
        """Look afresh at those of a batch who have changed, until none of them changes while being looked at.

        Args:
            looked: the change up to which members were looked at; is kept up.
        """
        looked = {} if looked is None else looked
        places = {self.part.recipients[place].member_id: place for place in batch}
        while True:
            changed = self.office.reach.changed(self.run.changes_since, now)
            anew = [
                member
                for member, place in places.items()
                if place in batch and member in changed and looked.get(member) != changed[member]
            ]
            if not anew:
                return
            standing = self.office.reach.standing(anew, self.run.purpose, self.part.channel)
            for member in anew:
                looked[member] = changed[member]
                place, found = places[member], standing.get(member)
                why = Outcome.NOT_A_MEMBER if found is None else found.why_not
                if why is None and found is not None:
                    self.opened[place] = found.contact
                    made = self._message(place, provider, now)
                    if isinstance(made, Outgoing):
                        batch[place] = made
                        continue
                    why = made
                assert why is not None
                self._drop(place, why)
                del batch[place]

    def _ask(self, provider: Provider, batch: dict[int, Outgoing]) -> Ended | Later | None:
        """Hand a claimed batch over, as many at a time as the provider takes, and note what came of it."""
        places, looked = list(batch), dict[str, str]()
        for start in range(0, len(places), provider.batch_max):
            some = {place: batch[place] for place in places[start : start + provider.batch_max]}
            look = Guarded(_Looks(self, provider, some, looked, self.office.clock()))
            if not self._may_go(provider, some, looked):
                self._went(())
                if self.run.status is not RunStatus.SENDING:
                    break
                continue
            try:
                results = asked(provider, list(some.values()), look)
            except ProviderBusy as busy:
                self._went(busy)
                self.state = replace(self.state, claim=())
                wait = self.office.clock() + timedelta(seconds=max(busy.retry_after, 1))
                return self._wait(wait, "busy")
            except ProviderMisconfigured:
                self._went(())
                raise
            self._note(provider, some, results)
            self._went([each for each in results if each.code != WITHHELD])
            if look.fault is not None:
                raise look.fault
        late = self.office.clock() > self._lease_end() - TOO_LATE
        self.state = replace(self.state, claim=())
        return self._hand_back(1, "slow") if late else None

    def _went(self, what: ProviderBusy | Sequence[Result]) -> None:
        """Tell the pacer how a call went; when that cannot be written, the pace is a little off and no more."""
        with suppress(Trouble):
            self.office.pace.went(self.part.channel, what, self.office.clock())

    def _note(self, provider: Provider, batch: Mapping[int, Outgoing], results: Sequence[Result]) -> None:
        """What a provider's answers mean; of whom it says nothing that can be understood, nothing is known."""
        answers = {each.delivery_id: each for each in results}
        at, cost, decided = milliseconds(self.office.clock()), 0, dict[int, Outcome]()
        for place, outgoing in batch.items():
            result = answers.get(outgoing.delivery_id)
            outcome = rules.outcome_of_result(result, idempotent=provider.idempotent)
            if outcome.pending:
                self.aside.add(place)
            if outcome is not Outcome.OPEN:
                decided[place] = outcome
            paid = result.cost_micro if result is not None and outcome in (Outcome.SENT, Outcome.UNKNOWN) else 0
            self.when[place] = (at, paid)
            cost += paid
        self._decide(decided)
        self.state = replace(self.state, cost_micro=self.state.cost_micro + cost)

    # ------------------------------------------------------------ what is known

    def _decide(self, decided: Mapping[int, Outcome]) -> None:
        at = milliseconds(self.office.clock())
        for place in decided:
            self.when.setdefault(place, (at, 0))
        self.state = replace(self.state, outcomes=rules.with_outcomes(self.state.outcomes, decided))

    def _drop(self, place: int, why: Outcome) -> None:
        self._decide({place: rules.dropped(self.state.outcomes[place], why)})

    def _keep(self) -> None:
        """Write down what is known, unless that is what is written already.

        Raises:
            PartTaken: another worker has written the part.
            StorageBusy: it is not written, or nobody can say.
        """
        if self.state == self.stored:
            return
        after = replace(self.state, version=self.state.version + 1)
        try:
            self.office.ops.commit([store.keep_part(self.state, self.office.clock())])
        except (PartTaken, StorageBusy):
            if store.find_part(self.office.ops, after.run_id, after.part) != after:
                raise
        self.state = self.stored = after

    def _tell(self) -> None:
        """Give the lake the rows of those who are decided and of whom it has none.

        After that was written down: a worker that was taken over knows other things, and is not to tell them.
        """
        self._keep()
        places = rules.untold(self.state.outcomes)
        if not places:
            return
        now, name = self.office.clock(), self.provider.name if self.provider is not None else ""
        rows = []
        for place in places:
            at, cost = self.when.get(place, (milliseconds(now), 0))
            outcome = rules.outcome_of(self.state.outcomes[place])
            recipient, named = self.part.recipients[place], self._name(place)
            rows.append(rules.row(self.run, self.part.channel, recipient, named, outcome, at, name, cost))
        self.office.append(f"{self.run.run_id}-{self.part.number:06d}-{self.state.version:06d}", rows, now)
        self.state = replace(self.state, outcomes=rules.told(self.state.outcomes))

    # ------------------------------------------------------------ the end

    def _wait(self, until: datetime, why: str) -> Later | None:
        """Wait here when it is not for long, else hand the message back."""
        now = self.office.clock()
        if until - now <= PATIENCE and until < self.ends_at:
            if self.state.claim != (self.stored.claim if self.stored else ()):
                self._keep()
            self.office.pause(max(0.0, (until - now).total_seconds()))
            return None
        return self._hand_back(rules.delay_until(until, now), why)

    def _hand_back(self, seconds: int, why: str) -> Later:
        self._tell()
        self._keep()
        return Later(seconds, why)

    def _finish(self) -> Ended:
        """Count the part among the run's, once."""
        self._tell()
        now = self.office.clock()
        # Not in `self.state` before it is written: whoever leaves by a fault writes that down, without the counters.
        through = replace(self.state, claim=(), lease_until=0, done=True)
        writes = [store.keep_part(through, now), store.count_part(through, rules.counted(through.outcomes), now)]
        try:
            self.office.ops.commit(writes)
        except (PartTaken, StorageBusy):
            there = store.find_part(self.office.ops, self.run.run_id, self.part.number)
            if there is None or not there.done:
                raise
        self.stored = self.state = replace(through, version=through.version + 1)
        end_run(self.office, self.run.run_id)
        return Ended("done")


@dataclass
class _Looks:
    """Looks again, between the requests of one call, at who may still be written to: at all whose turn is to come.

    A look at one message alone would say nothing of those that follow it within `LOOK_AGAIN`, and each of fifty may
    come just within.

    Attributes:
        some: the call's messages that are not decided yet, by place; who may not go any more is taken out.
        began: when they were looked at before the call.
        seen: when each was looked at last, since.
        had: places of those whose turn has come: what went out is not looked at any more.
        moved: places of those to whom another message is to go by now, by a new address: it goes with another call.
    """

    work: _Work
    provider: Provider
    some: dict[int, Outgoing]
    looked: dict[str, str]
    began: datetime
    seen: dict[int, datetime] = field(default_factory=dict)
    had: set[int] = field(default_factory=set)
    moved: set[int] = field(default_factory=set)
    stopped: bool = False

    def __call__(self, group: Sequence[Outgoing]) -> Sequence[Outgoing]:
        """See `providers.port.Look`."""
        names = {each.delivery_id for each in group}
        turn = {place for place, each in self.some.items() if each.delivery_id in names}
        now = self.work.office.clock()
        if not self.stopped and not all(self._holds(place, now) for place in turn):
            self._look(turn, now)
        self.had |= turn
        if self.stopped:
            return ()
        going = {self.some[place].delivery_id for place in turn - self.moved if place in self.some}
        return [each for each in group if each.delivery_id in going]

    def _holds(self, place: int, now: datetime) -> bool:
        return timedelta(0) <= now - self.seen.get(place, self.began) < LOOK_AGAIN

    def _look(self, turn: set[int], now: datetime) -> None:
        before = {place: each for place, each in self.some.items() if place in turn or place not in self.had}
        after = dict(before)
        may_go = self.work._may_go(self.provider, after, self.looked)
        for place, each in before.items():
            self.seen[place] = now
            if place not in after:
                del self.some[place]
            elif after[place] is not each:
                self.moved.add(place)
        self.stopped = not may_go and (bool(after) or self.work.run.status is not RunStatus.SENDING)


def _wording(wordings: Sequence[Wording], variant: str, channel: str) -> Wording:
    """The words of a variant by a channel.

    Raises:
        LookupError: it has none.
    """
    for each in wordings:
        if (each.variant, each.channel) == (variant, channel):
            return each
    raise LookupError(f"no wording of {variant} by {channel}")
