"""Do the steps of those who are due: load, take effect, move on.

A step takes effect before whoever does it moves on, and each effect has a claim of its own by the way and the step: a
message is claimed by its delivery, points by their ledger entry, and a tag is what it is however often it is given. So
a crash between the two does it once, and of two workers at one way one moves it and the other finds it moved.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.journeys import store
from chalicelib.journeys.errors import InstanceKnown, InstanceMoved
from chalicelib.journeys.models import (
    Branch,
    Edition,
    Fits,
    GivePoints,
    Happened,
    HasPoints,
    HasTag,
    Head,
    HoldsTier,
    Instance,
    JourneyDefinition,
    JourneyState,
    Left,
    Ref,
    Retag,
    Send,
    Step,
    Wait,
)
from chalicelib.journeys.ports import Person, Works
from chalicelib.journeys.rules import intake, moving, pinning, timing
from chalicelib.journeys.rules.moving import Move
from chalicelib.journeys.service.editions import Answers, Editions
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.storage.writes import Add, Write

ROUNDS_MAX = 64
"""A way has at most 30 steps, and may be found moved by others in between."""

GONE = {
    "erased": Left.ERASED, "unknown": Left.ERASED, "closed": Left.CLOSED, "suspended": Left.SUSPENDED,
    "merged": Left.MERGED,
}  # fmt: skip

Failed = Callable[[Ref, Exception], None]


@dataclass
class Stepper:
    """Does steps, over many messages of one process."""

    works: Works
    editions: Editions = field(init=False)

    def __post_init__(self) -> None:
        self.editions = Editions(self.works.table)

    def work(self, refs: Sequence[Ref], failed: Failed) -> None:
        """Do all that is due for some ways, as far as each goes without waiting.

        Args:
            failed: told of a way that must be asked for again, and why.
        """
        waiting = list(dict.fromkeys(refs))
        for _ in range(ROUNDS_MAX):
            if not waiting:
                return
            waiting = _Round(self, waiting, failed).walked()
        self.works.tell("journey_rounds", {"left": len(waiting)})

    def settle(self, refs: Sequence[Ref]) -> None:
        """Let go whoever has to leave, or has reached the goal, wherever they are and whatever they wait for.

        Raises:
            Trouble: ask again.
        """

        def failed(_: Ref, fault: Exception) -> None:
            raise fault

        for _ in range(ROUNDS_MAX):
            if not refs:
                return
            refs = _Round(self, refs, failed).settled()


class _Round:
    """A step of each of several ways, all read at once."""

    def __init__(self, stepper: Stepper, refs: Sequence[Ref], failed: Failed) -> None:
        self.works, self.editions, self.failed = stepper.works, stepper.editions, failed
        self.now = self.works.clock()
        found = store.find_instances(self.works.table, refs)
        self.ways = [each for ref in refs if (each := found.get(ref)) is not None and each.left is None]
        journeys = list(dict.fromkeys(each.ref.journey_id for each in self.ways))
        self.heads = store.find_heads(self.works.table, journeys)
        self.zone = self.works.book.current(self.now).time_zone

    # ------------------------------------------------------------ one round

    def walked(self) -> list[Ref]:
        """Those who can go on at once."""
        self.ways = [each for each in self.ways if self._concerned(each)]
        people = self.works.people.find([each.ref.member_id for each in self.ways], self.now)
        answers = self._answers(people)
        return [ref for each in self.ways if (ref := self._guarded(each, people, answers)) is not None]

    def settled(self) -> list[Ref]:
        """Those who were moved by others while they were looked at."""
        people = self.works.people.find([each.ref.member_id for each in self.ways], self.now)
        again: list[Ref] = []
        for each in self.ways:
            try:
                self._released(each, self.editions.of(each), people[each.ref.member_id])
            except InstanceMoved:
                again.append(each.ref)
        return again

    def _concerned(self, way: Instance) -> bool:
        """Whether there is something to do: messages come twice, and early."""
        head = self.heads.get(way.ref.journey_id)
        return (head is not None and _over(head)) or (way.due_at is not None and way.due_at <= self.now)

    def _guarded(self, way: Instance, people: Mapping[MemberId, Person], answers: Answers) -> Ref | None:
        try:
            return way.ref if self._one(way, people[way.ref.member_id], answers) else None
        except InstanceMoved:
            return None  # whoever moved it goes on with it
        except Trouble as trouble:
            self.failed(way.ref, trouble)
        except Exception as fault:  # noqa: BLE001 - one way's fault is not the others'; it is tried again, and given up
            self._set_aside(way, fault)
        return None

    def _set_aside(self, way: Instance, fault: Exception) -> None:
        facts = {"journey": way.ref.journey_id, "step": way.step, "tries": way.tries, "fault": type(fault).__name__}
        self.works.tell("journey_step_failed", facts)
        try:
            self._commit(way, moving.failed(self.editions.of(way).definition, way, self.now))
        except InstanceMoved:
            return
        except Exception as worse:  # noqa: BLE001 - not even that can be written: the queue gives it again
            self.failed(way.ref, worse)

    def _one(self, way: Instance, person: Person, answers: Answers) -> bool:
        """Do a step; whether the way goes on at once."""
        edition = self.editions.of(way)
        head = self.heads[way.ref.journey_id]
        if _over(head):
            self._commit(way, moving.left(edition.definition, way, Left.ENDED, self.now))
            return False
        if self._released(way, edition, person):
            return False
        if head.state is JourneyState.PAUSED:
            if way.bucket is not None:
                self._commit(way, moving.held(way))
            return False
        step = moving.step_of(edition.definition, way.step)
        outcome = self._done(way, edition, step, person, answers)
        if isinstance(outcome, datetime):
            stays = moving.retimed(way, outcome, self.now)
            self._commit(way, stays)
            alert(self.works, edition.definition, stays.after)
            return False
        move = moving.passed(edition.definition, way, outcome, self.works.clock(), person.month_day, self.zone)
        self._commit(way, move)
        alert(self.works, edition.definition, move.after)
        return move.after.due_at is not None and move.after.due_at <= self.works.clock()

    # ------------------------------------------------------------ who must leave

    def _released(self, way: Instance, edition: Edition, person: Person) -> bool:
        """Whether somebody left, or went on as another member."""
        why = GONE.get(person.status)
        if why is Left.MERGED and person.into is not None:
            self._taken_over(way, edition, person.into)
            return True
        if why is not None:
            self._commit(way, moving.left(edition.definition, way, why, self.now))
            return True
        goal = edition.definition.goal
        if goal is not None and self._happened(way, goal):
            self._commit(way, moving.left(edition.definition, way, Left.GOAL, self.now))
            return True
        return False

    def _happened(self, way: Instance, what: object) -> bool:
        notes = store.list_notes(self.works.ops, way.ref.member_id, way.told_at)
        return any(intake.after(each, way.told_at, way.event_id) and intake.matches(what, each) for each in notes)

    def _taken_over(self, way: Instance, edition: Edition, into: MemberId) -> None:
        """Let the survivor of a merge go on; who is, or was, in the journey by the same key does not a second time.

        A message that went to the one before, or may have, is not sent to the survivor as well: it is one person.
        """
        definition, now = edition.definition, self.now
        step = moving.step_of(definition, way.step)
        pinned = edition.pinned.get(way.step)
        asked = isinstance(step, Send) and pinned is not None and self.works.post.was_asked(way, step, pinned)
        survivor = self.works.people.find([into], now)[into]
        there = moving.taken_over(definition, way, into, "sent" if asked else None, now, survivor.month_day, self.zone)
        gone = moving.left(definition, way, Left.MERGED, now)
        writes: list[Write] = [store.move_instance(way, gone.after), *store.count(way, gone.amounts)]
        follow = [store.add_instance(there.after), *store.count(there.after, there.amounts)]
        try:
            if survivor.status == "active" and there.after.left is None:
                self.works.table.commit(_joined(writes, follow))
                return
        except InstanceKnown:
            pass
        self.works.table.commit(writes)

    # ------------------------------------------------------------ what a step does

    def _done(self, way: Instance, edition: Edition, step: Step, person: Person, answers: Answers) -> str | datetime:
        """What came of a step; or until when the way stays there."""
        match step:
            case Wait():
                return self._waited(way, step, person)
            case Branch():
                return "yes" if self._holds(way, edition, step, person, answers) else "no"
            case Send():
                until = way.since + timedelta(hours=step.send_within_hours)
                posted = self.works.post.send(way, step, edition.pinned[step.step], until, self.now)
                return posted.wait_until if posted.wait_until is not None else posted.outcome
            case GivePoints():
                answering = way.answers or self.heads[way.ref.journey_id].answers
                given = self.works.giver.give(
                    effect_key(way), way.ref.member_id, step.points, step.expires_after_days, self.now, answering
                )
                return "given" if given else "refused"
            case Retag():
                changed = self.works.tagger.retag(way.ref.member_id, step.tag, given=step.give, now=self.now)
                return "changed" if changed else "unchanged"

    def _waited(self, way: Instance, step: Wait, person: Person) -> str | datetime:
        """A birthday may have been corrected meanwhile."""
        ends = timing.wakes(step, way.since, person.month_day, self.zone)
        return ends if ends is not None and ends > self.now else "waited"

    def _holds(self, way: Instance, edition: Edition, step: Branch, person: Person, answers: Answers) -> bool:
        match step.on:
            case Fits():
                return way.ref.member_id in answers[way.ref.journey_id, way.edition, way.step]
            case Happened() as test:
                kept, member_id = pinning.kept_of(edition, test.what), way.ref.member_id
                return self._happened(way, test.what) and (
                    kept is None or member_id in self.works.judge.fitting(kept, [member_id], edition.segments)
                )
            case HoldsTier() as test:
                return person.tier_id in test.tier_ids
            case HasPoints() as test:
                return person.points >= test.at_least
            case HasTag() as test:
                return test.tag in person.tags

    def _answers(self, people: Mapping[MemberId, Person]) -> Answers:
        """What the lake says of those who stand before a branch that asks it: one question for each branch."""
        asked: dict[tuple[JourneyId, int, str], list[Instance]] = {}
        for way in list(self.ways):
            try:
                step = moving.step_of(self.editions.of(way).definition, way.step)
            except Exception as fault:  # noqa: BLE001 - see `_guarded`
                self.ways.remove(way)
                self._set_aside(way, fault)
                continue
            head = self.heads[way.ref.journey_id]
            goes_on = (
                head.state in (JourneyState.ACTIVE, JourneyState.CLOSED)
                and people[way.ref.member_id].status == "active"
            )
            if isinstance(step, Branch) and isinstance(step.on, Fits) and goes_on:
                asked.setdefault((way.ref.journey_id, way.edition, way.step), []).append(way)
        found: dict[tuple[JourneyId, int, str], frozenset[str]] = {}
        for which, ways in asked.items():
            step = moving.step_of(self.editions.of(ways[0]).definition, which[2])
            assert isinstance(step, Branch)
            assert isinstance(step.on, Fits)
            try:
                members = [each.ref.member_id for each in ways]
                pinned = self.editions.of(ways[0]).segments
                found[which] = self.works.judge.fitting(step.on.definition, members, pinned)
            except Trouble as trouble:
                for each in ways:
                    self.failed(each.ref, trouble)
                    self.ways.remove(each)
            except Exception as fault:  # noqa: BLE001 - see `_guarded`
                for each in ways:
                    self.ways.remove(each)
                    self._set_aside(each, fault)
        return found

    def _commit(self, before: Instance, move: Move) -> None:
        """Move somebody on, and count it.

        Raises:
            InstanceMoved: somebody else did.
        """
        self.works.table.commit([store.move_instance(before, move.after), *store.count(before, move.amounts)])


def _joined(writes: Sequence[Write], follow: Sequence[Write]) -> list[Write]:
    """Writes of both, those to one counter as one: a transaction writes no item twice."""
    sums: dict[object, Add] = {}
    others: list[Write] = []
    for each in (*writes, *follow):
        if not isinstance(each, Add):
            others.append(each)
            continue
        known = sums.get(each.key)
        amounts = dict(known.amounts) if known is not None else {}
        for name, amount in each.amounts.items():
            amounts[name] = amounts.get(name, 0) + amount
        sums[each.key] = Add(each.key, {name: amount for name, amount in amounts.items() if amount}, {})
    return [*others, *(each for each in sums.values() if each.amounts)]


def _over(head: Head) -> bool:
    return head.state in (JourneyState.ENDED, JourneyState.ARCHIVED)


def alert(works: Works, definition: JourneyDefinition, way: Instance) -> None:
    """Have somebody told who goes on soon. Who is not told all the same is found in a list minutes later.

    So are those who wait for the lake: found in a list, they are asked about together.
    """
    now = works.clock()
    step = moving.step_of(definition, way.step)
    together = isinstance(step, Branch) and isinstance(step.on, Fits)
    if way.due_at is not None and now < way.due_at <= now + timing.SOON and not together:
        seconds = -(-(way.due_at - now) // timedelta(seconds=1))
        with suppress(Trouble):
            works.hand([store.message([way.ref])], seconds)


def effect_key(way: Instance) -> str:
    """What makes the effect of a step happen once: the way, by whoever came in first, and the step.

    It begins with the journey's id and a space; keys that callers choose have no spaces.
    """
    return f"{way.ref.journey_id} {way.origin} {way.ref.entry} {way.step}"


def message_step(way: Instance, step: Send) -> str:
    """The step of a message, for its delivery: different for each way of a member."""
    return f"{step.step}.{way.ref.entry}"
