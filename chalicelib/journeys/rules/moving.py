"""How somebody moves through a journey, and what is counted with each move. Pure.

Counters are named briefly, because one item has those of all steps: `e` entered, `l:<reason>` left, `i<n>` inside at
the step of that number, `a<n>` arrived there, `o<n>:<outcome>` went on from there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.journeys.models import (
    Branch,
    Edition,
    Fits,
    Instance,
    JourneyDefinition,
    Left,
    Passed,
    Ref,
    Send,
    Step,
    Told,
    Wait,
)
from chalicelib.journeys.rules import timing
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import MemberId

STALE = "expired"
"""What comes of a message that could not be sent in time."""
TRIES_MAX = 8
_FIRST_PAUSE = timedelta(minutes=1)
_LONGEST_PAUSE = timedelta(hours=6)

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Move:
    """What somebody's way becomes, and what is counted with it."""

    after: Instance
    amounts: Amounts


def number_of(definition: JourneyDefinition, step: str) -> int:
    """The place of a step in its journey."""
    return next(number for number, each in enumerate(definition.steps) if each.step == step)


def step_of(definition: JourneyDefinition, step: str) -> Step:
    """A step by its name."""
    return definition.steps[number_of(definition, step)]


def next_of(step: Step, outcome: str) -> str | None:
    """The step after one that came out so; None: the journey ends."""
    if isinstance(step, Branch):
        return step.then if outcome == "yes" else step.otherwise
    return step.next


def entered(edition: Edition, told: Told, entry: str, now: datetime, month_day: str | None, zone: str) -> Move:
    """Somebody who comes in."""
    now = _whole(now)
    begin = Instance(
        ref=Ref(told.member_id, edition.journey_id, entry),
        edition=edition.edition,
        origin=told.member_id,
        event_id=told.event_id,
        told_at=told.at,
        entered_at=now,
        step="",
        since=now,
        due_at=None,
        bucket=None,
        facts=told.facts,
    )
    # What a journey of a wait counts from is what happened, not when we heard of it.
    since = min(now, told.at)
    here = _arrived(edition.definition, begin, edition.definition.steps[0].step, now, month_day, zone, since)
    counted = {"e": 1}
    if here.left is not None:
        return Move(here, counted | {f"l:{here.left.value}": 1})
    return Move(here, counted | {"i0": 1, "a0": 1})


def passed(
    definition: JourneyDefinition, before: Instance, outcome: str, now: datetime, month_day: str | None, zone: str
) -> Move:
    """Somebody who is through with a step."""
    now = _whole(now)
    here = number_of(definition, before.step)
    amounts = {f"i{here}": -1, f"o{here}:{outcome}": 1}
    path = (*before.path, Passed(before.step, outcome, now))
    walked = replace(before, path=path, tries=0, version=before.version + 1)
    following = next_of(definition.steps[here], outcome)
    if following is None:
        return Move(_gone(walked, Left.COMPLETED, now), amounts | {f"l:{Left.COMPLETED.value}": 1})
    since = _since(definition.steps[here], step_of(definition, following), before, outcome, now)
    there = _arrived(definition, walked, following, now, month_day, zone, since)
    if there.left is not None:
        return Move(there, amounts | {f"l:{there.left.value}": 1})
    number = number_of(definition, following)
    return Move(there, amounts | {f"i{number}": 1, f"a{number}": 1})


def _since(here: Step, there: Step, before: Instance, outcome: str, now: datetime) -> datetime:
    """As of when somebody comes to a step.

    Who comes late from a wait comes as of when it ended: what was to be sent then may be stale by now. They are as late
    behind what does not wait; behind a message, too, unless it became stale, without what it waited for by itself, as
    for quiet hours. The next wait begins when they come to it.
    """
    if isinstance(here, Wait):
        return before.due_at or now
    if isinstance(there, Wait):
        return now
    if isinstance(here, Send) and outcome != STALE:
        came = before.path[-1].at if before.path else before.entered_at
        return min(now - (came - before.since), now)
    return min(before.since, now)


def _arrived(
    definition: JourneyDefinition,
    who: Instance,
    step: str,
    now: datetime,
    month_day: str | None,
    zone: str,
    since: datetime,
) -> Instance:
    """Somebody who comes to a step. Whoever waits for a birthday that nobody knows leaves before it."""
    there = step_of(definition, step)
    due: datetime | None = now
    if isinstance(there, Wait):
        due = timing.wakes(there, since, month_day, zone)
    elif isinstance(there, Branch) and isinstance(there.on, Fits):
        due = now + timing.LAKE_BEHIND
    if due is None:
        return _gone(replace(who, step=who.step or step), Left.NO_BIRTHDAY, now)
    return _due(replace(who, step=step, since=since), due, now)


def _due(who: Instance, due: datetime, now: datetime) -> Instance:
    return replace(who, due_at=_whole(due), bucket=timing.bucket_of(due, now))


def _gone(who: Instance, why: Left, now: datetime) -> Instance:
    return replace(who, left=why, left_at=now, due_at=None, bucket=None)


def left(definition: JourneyDefinition, before: Instance, why: Left, now: datetime) -> Move:
    """Somebody who leaves where they are."""
    here = number_of(definition, before.step)
    after = _gone(replace(before, version=before.version + 1), why, _whole(now))
    return Move(after, {f"i{here}": -1, f"l:{why.value}": 1})


def retimed(before: Instance, until: datetime, now: datetime) -> Move:
    """Somebody who stays at their step, to be looked at later."""
    return Move(_due(replace(before, version=before.version + 1), until, _whole(now)), {})


def held(before: Instance) -> Move:
    """Somebody who came due while their journey is paused."""
    return Move(replace(before, bucket=None, version=before.version + 1), {})


def failed(definition: JourneyDefinition, before: Instance, now: datetime) -> Move:
    """Somebody whose step failed: it is tried again, later and later, and given up at last."""
    if before.tries + 1 >= TRIES_MAX:
        return left(definition, before, Left.FAILED, now)
    pause = min(_FIRST_PAUSE * 4**before.tries, _LONGEST_PAUSE)
    move = retimed(before, now + pause, now)
    return Move(replace(move.after, tries=before.tries + 1), {})


def taken_over(
    definition: JourneyDefinition, before: Instance, survivor: MemberId, outcome: str | None, now: datetime,
    month_day: str | None, zone: str,
) -> Move:  # fmt: skip
    """The way of somebody who was merged, as that of the member whom they were merged into.

    Args:
        outcome: of the step that they are at, where it took effect already; None: the survivor does it.
    """
    ref = replace(before.ref, member_id=survivor)
    if outcome is None:
        here = number_of(definition, before.step)
        bucket = timing.bucket_of(before.due_at or now, now)
        return Move(replace(before, ref=ref, bucket=bucket, version=1), {f"i{here}": 1})
    move = passed(definition, before, outcome, now, month_day, zone)
    here = number_of(definition, before.step)
    amounts = {name: amount for name, amount in move.amounts.items() if name != f"i{here}"}
    return Move(replace(move.after, ref=ref, version=1), amounts)


def _whole(at: datetime) -> datetime:
    return from_milliseconds(milliseconds(at))
