"""Bugs that somebody could write into the sending of parts. Each has to be found."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Outcome, PartState, RunStatus
from chalicelib.deliveries.service import parts
from chalicelib.deliveries.service.parts import _Work
from chalicelib.providers.models import Outgoing
from chalicelib.providers.port import Provider

Bug = Callable[[pytest.MonkeyPatch], None]


def no_claim(patch: pytest.MonkeyPatch) -> None:
    """Nothing is written before the call."""

    def claim(self: _Work, places: Iterable[int]) -> None:
        until = int((self.office.clock() + parts.LEASE).timestamp() * 1000)
        self.state = replace(self.state, lease_until=until, worker=self.office.worker)

    patch.setattr(_Work, "_claim", claim)


def claim_after_the_call(patch: pytest.MonkeyPatch) -> None:
    """The call comes first, and then it is written down that it will come."""
    claim, ask = _Work._claim, _Work._ask
    later: list[Any] = []

    def remember(self: _Work, places: Iterable[int]) -> None:
        until = int((self.office.clock() + parts.LEASE).timestamp() * 1000)
        self.state = replace(self.state, lease_until=until, worker=self.office.worker)
        later[:] = list(places)

    def asked(self: _Work, provider: Provider, batch: dict[int, Outgoing]) -> Any:
        ended = ask(self, provider, batch)
        claim(self, later)
        self.state = replace(self.state, claim=())
        return ended

    patch.setattr(_Work, "_claim", remember)
    patch.setattr(_Work, "_ask", asked)


def suppression_at_plan_time_only(patch: pytest.MonkeyPatch) -> None:
    """Who was good when it was planned is good."""
    patch.setattr(_Work, "_screen", lambda self, provider, batch, now, looked=None: None)


def changes_read_before_the_claim(patch: pytest.MonkeyPatch) -> None:
    """Who has changed is looked at, but early."""
    screen, claim = _Work._screen, _Work._claim

    def early(self: _Work, places: Any) -> None:
        assert self.provider is not None
        screen(self, self.provider, places, self.office.clock())
        claim(self, places)

    patch.setattr(_Work, "_screen", lambda self, provider, batch, now, looked=None: None)
    patch.setattr(_Work, "_claim", early)


def takeover_resends(patch: pytest.MonkeyPatch) -> None:
    """Whom somebody may have written to is written to."""

    def again(state: PartState, *, idempotent: bool) -> dict[int, Outcome]:
        return dict.fromkeys(state.claim, Outcome.OPEN)

    patch.setattr(rules, "taken_over", again)


def takeover_forgets(patch: pytest.MonkeyPatch) -> None:
    """Whom somebody may have written to is said to be written to."""

    def sent(state: PartState, *, idempotent: bool) -> dict[int, Outcome]:
        return dict.fromkeys(state.claim, Outcome.SENT)

    patch.setattr(rules, "taken_over", sent)


def lease_ignored(patch: pytest.MonkeyPatch) -> None:
    """A claim is taken over while its worker is at work."""
    keep = store.part_state
    patch.setattr(store, "part_state", lambda item: replace(keep(item), lease_until=0))


def claim_without_condition(patch: pytest.MonkeyPatch) -> None:
    """The last to write wins."""
    from chalicelib.storage.writes import Anyway, Put

    keep = store.keep_part

    def anyway(state: PartState, now: Any) -> Any:
        write = keep(state, now)
        assert isinstance(write, Put)
        return replace(write, condition=Anyway())

    patch.setattr(store, "keep_part", anyway)


def pause_seen_at_the_start_only(patch: pytest.MonkeyPatch) -> None:
    """A run that was sending is sending."""
    may = _Work._may_go

    def go(self: _Work, provider: Provider, batch: dict[int, Outgoing], looked: dict[str, str]) -> bool:
        may(self, provider, batch, looked)
        self.run = replace(self.run, status=RunStatus.SENDING)
        return bool(batch)

    patch.setattr(_Work, "_may_go", go)


def silence_means_no(patch: pytest.MonkeyPatch) -> None:
    """A provider that gave no answer is asked again."""
    patch.setattr(
        rules,
        "outcome_of_result",
        lambda result, *, idempotent: Outcome.SENT if result is not None and result.status == "sent" else Outcome.OPEN,
    )


def silence_means_yes(patch: pytest.MonkeyPatch) -> None:
    """A provider that gave no answer has sent."""
    patch.setattr(rules, "outcome_of_result", lambda result, *, idempotent: Outcome.SENT)


def answers_by_their_order(patch: pytest.MonkeyPatch) -> None:
    """The first answer is that of the first recipient, whatever it says."""
    note = _Work._note

    def by_order(self: _Work, provider: Any, asked: Any, results: Any) -> None:
        pairs = zip(results, asked.values(), strict=False)
        note(self, provider, asked, [replace(result, delivery_id=each.delivery_id) for result, each in pairs])

    patch.setattr(_Work, "_note", by_order)


def counted_whenever_it_is_through(patch: pytest.MonkeyPatch) -> None:
    """A part is counted, and then it is written down that it is through."""
    finish = _Work._finish

    def twice(self: _Work) -> Any:
        now = self.office.clock()
        self.office.ops.commit([store.count_part(self.state, rules.counted(self.state.outcomes), now)])
        return finish(self)

    def nothing(state: PartState, outcomes: Any, now: Any) -> Any:
        return real(state, {}, now) if outcomes else real(state, outcomes, now)

    real = store.count_part
    patch.setattr(_Work, "_finish", twice)


def rows_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The lake is told of what this worker did, not of what it found."""
    untold = rules.untold

    def own(self: _Work) -> None:
        known = set(self.when)
        patch.setattr(rules, "untold", lambda outcomes: [each for each in untold(outcomes) if each in known])
        tell(self)

    tell = _Work._tell
    patch.setattr(_Work, "_tell", own)


def dropped_who_was_asked_about(patch: pytest.MonkeyPatch) -> None:
    """Who opts out after a call without an answer counts as not written to."""
    patch.setattr(rules, "dropped", lambda before, why: why)


def one_look_for_a_slow_batch(patch: pytest.MonkeyPatch) -> None:
    """Whoever was good when a batch began is good, however long it takes."""
    patch.setattr(parts, "LOOK_AGAIN", timedelta(hours=1))


BUGS: tuple[Bug, ...] = (
    one_look_for_a_slow_batch,
    no_claim, claim_after_the_call, suppression_at_plan_time_only, changes_read_before_the_claim, takeover_resends,
    takeover_forgets, lease_ignored, claim_without_condition, pause_seen_at_the_start_only, silence_means_no,
    silence_means_yes, answers_by_their_order, counted_whenever_it_is_through, rows_forgotten,
    dropped_who_was_asked_about,
)  # fmt: skip
