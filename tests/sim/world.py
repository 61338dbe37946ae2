"""A run: a plan of steps, and a world in which they happen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random
from typing import Any

from chalicelib.kernel.errors import Refusal, Trouble
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.fakes import ClearContacts
from tests.makers import Clock
from tests.sim.clockwork import Clockwork, Task
from tests.sim.commands import OPERATIONS, Args, Attempt, Command, Past, Step
from tests.sim.operations import load
from tests.sim.port import MILLISECOND, SECOND, Backing, Crashed, Shared
from tests.sim.terms import drawn_terms
from tests.sim.weather import Kind, Weather
from tests.table.stand import Desk

BEGINNING = datetime(2026, 1, 10, 2, 0, tzinfo=UTC)
KEYRING = Keyring(b"i" * 32, b"c" * 32, ClearContacts())
AGAIN = "again"
"""A command is sent again by somebody: the same, or with other content under its key."""

DAY = 86_400 * SECOND
TRIES_MAX = 6

_HEARD_MAX = 8
"""So often a client looks whether the answer is there with which it goes on."""

_AMONG_MEMBERS = ("merge", "pool", "transfer")

load()


@dataclass(frozen=True)
class Plan:
    """What is to happen in a run.

    Attributes:
        terms: of the program at the beginning.
        odds: of the faults.
    """

    seed: int
    members: int
    terms: Mapping[str, Any]
    odds: Mapping[Kind, float]
    steps: tuple[Step, ...]

    @cached_property
    def steps_by_number(self) -> dict[int, Step]:
        """The steps by their numbers; some may have been left out."""
        return {step.number: step for step in self.steps}


TOPICS = tuple(sorted({each.topic for each in OPERATIONS.values()} - {""}))
"""What runs are about."""


def planned(seed: int, ops: int, topics: Sequence[str] | None = None) -> Plan:
    """The plan that follows from a seed.

    Args:
        ops: how many steps.
        topics: what the run is about; by the seed, when left out.
    """
    chance, past = Random(seed), Past()
    # Runs differ in what they are about: one topic takes its turn, and each leaves some operations out.
    about = {"", *(each for each in TOPICS if chance.random() < 0.25)} | {TOPICS[seed % len(TOPICS)]}
    if topics is not None:
        about = {"", *topics}
    weights = {
        each.name: each.weight * chance.choice((1, 1, 2) if each.topic else (0, 1, 1, 1, 2, 3)) * (each.topic in about)
        for each in OPERATIONS.values()
    }
    weights["purchase"] = weights["purchase"] or 50
    again = chance.choice((0, 0.05, 0.1, 0.2))
    terms, weather = drawn_terms(seed, chance), Weather.of(chance)
    steps: list[Step] = []
    pace = (1, 4)[seed % 2]  # runs of months and runs of years
    at = 0
    while len(steps) < ops:
        number = len(steps)
        at += _gap(chance, pace)
        name, args = AGAIN, _drawn_again(chance, steps)
        if args is None or chance.random() >= again:
            name = chance.choices(list(weights), list(weights.values()))[0]
            args = OPERATIONS[name].draw(chance, past)
        if args is None:  # nothing to go on with yet
            name = "purchase"
            args = OPERATIONS[name].draw(chance, past)
        assert args is not None
        step = Step(number, at, name, args, chance.getrandbits(48))
        steps.append(step)
        past.add(step)
    members = chance.choice((1, 2, 3, 5)) + (len(about) > 2 or about <= {"", *_AMONG_MEMBERS})
    return Plan(seed, members, terms, weather.odds, tuple(steps))


def _gap(chance: Random, pace: int) -> int:
    """Microseconds between two steps: mostly so few that they overlap, at times months."""
    draw = 1 - (1 - chance.random()) * pace
    if draw < 0.75:
        return chance.randrange(15 * MILLISECOND)
    if draw < 0.86:
        return chance.randrange(5 * SECOND)
    if draw < 0.95:
        return chance.randrange(DAY // 2)
    if draw < 0.985:
        return chance.randrange(DAY, 20 * DAY)
    return chance.randrange(20 * DAY, 120 * DAY)


def _drawn_again(chance: Random, steps: Sequence[Step]) -> Args | None:
    sent = list(steps[-12:])
    if chance.random() < 0.3:
        sent += chance.sample(steps, min(6, len(steps)))
    known = [(each, OPERATIONS[each.operation]) for each in sent if each.operation != AGAIN]
    known = [(each, how) for each, how in known if how.keyed or how.repeated]
    if not known:
        return None
    step, how = chance.choice(known)
    return {"of": step.number, "variant": int(how.keyed and chance.random() < 0.25)}


# ---------------------------------------------------------------- the world


@dataclass
class Process:
    """A process that serves requests, one at a time: it remembers the program for a while, and its clock may be off."""

    book: ProgramBook
    skew: timedelta


@dataclass
class World:
    """Everything there is in a run.

    Attributes:
        members: those who are known to be enrolled, in the order in which that became known.
        commands: by the number of their step.
        bugs: what the product raised that it must not.
        settled: figures that were settled when a step's command was sent first, by its number.
        joined: somebody asked for a merge.
    """

    plan: Plan
    clockwork: Clockwork
    weather: Weather
    backing: Backing
    members: list[MemberId] = field(default_factory=list)
    commands: dict[int, Command] = field(default_factory=dict)
    attempts: list[tuple[Command, Attempt]] = field(default_factory=list)
    bugs: list[str] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    settled: dict[int, int] = field(default_factory=dict)
    joined: bool = False
    drawn: int = 0
    _free: list[Process] = field(default_factory=list)
    _whom: dict[tuple[int, str], MemberId] = field(default_factory=dict)
    _target: dict[int, int] = field(default_factory=dict)
    _done: list[Step] = field(default_factory=list)

    @cached_property
    def items_now(self) -> dict[Key, Item]:
        """Everything that is there when the run is over."""
        return self.backing.items()

    @property
    def now(self) -> datetime:
        """The true time."""
        return BEGINNING + timedelta(microseconds=self.clockwork.now)

    def draw(self) -> int:
        """A number for a new member: never twice the same."""
        self.drawn += 1
        return self.drawn * 7_919 + self.plan.seed * 104_729

    def whom(self, step: Step, name: str = "member") -> MemberId:
        """The member whom a step is about; the same whenever it is asked for."""
        known = self._whom.get((step.number, name))
        if known is None:
            known = self._whom[step.number, name] = self.members[step.args[name] % len(self.members)]
        return known

    def target(self, step: Step) -> int:
        """The number of the step that a step goes on with: the one it names, or the newest such that was done."""
        known = self._target.get(step.number)
        if known is None:
            known = step.args["of"]
            named = self.plan.steps_by_number.get(known)
            done = [each for each in self._done if named is not None and each.operation == named.operation]
            if done and named not in done:
                known = done[-1].number
            self._target[step.number] = known
        return known

    def asked_at(self, step: Step) -> datetime:
        """The true time at which a step was to happen, in whole milliseconds."""
        return BEGINNING + timedelta(milliseconds=step.at // MILLISECOND)

    def step(self, number: int) -> Step | None:
        """A step of the plan, unless it was left out."""
        return self.plan.steps_by_number.get(number)

    def run(self) -> "World":
        """Live through the plan, then through calm weather in which half of what is unknown is sent again."""
        self._open()
        for step in self.plan.steps:
            self.clockwork.at(step.at, lambda step=step: self._begin(step))  # type: ignore[misc]
        try:
            self.clockwork.run()
            self.weather.calm = True
            for number, command in sorted(self.commands.items()):
                if all(each.told == "unknown" for each in command.attempts) and number % 2:
                    self._again(command, 0, Random(command.step.seed))
            self.clockwork.run()
        finally:
            self.clockwork.close()
        self.bugs += [f"{type(raised).__name__}: {raised}" for raised in self.clockwork.failures]
        return self

    def calm_desk(self) -> Desk:
        """A desk that nothing befalls."""
        table = self.backing.port(-1, Random(0))
        return Desk(table, KEYRING, ProgramBook(table), Clock(self.now), self.draw)

    def _open(self) -> None:
        self.weather.calm = True
        desk = self.calm_desk()
        desk.publish(1, **{name: value for name, value in self.plan.terms.items() if name not in ("version",)})
        for number in range(self.plan.members):
            member = desk.enrol(key=f"m{number}", card_no=f"m{number}", birthday=f"1990-{1 + number * 2:02d}-28")
            self.members.append(member.member_id)
        self.weather.calm = False
        self.clockwork.now = 11 * SECOND  # by now every process knows the program

    def _begin(self, step: Step) -> None:
        variant = 0
        if step.operation == AGAIN:
            variant = step.args["variant"]
            target = self.plan.steps_by_number.get(step.args["of"])
            if target is None:
                return
            chance, step = Random(step.seed), target
        else:
            chance = Random(step.seed)
        self._when_heard(step, lambda: self._first(step, variant, chance), _HEARD_MAX, Random(chance.getrandbits(48)))

    def _first(self, step: Step, variant: int, chance: Random) -> None:
        self._attempt(self.commands.setdefault(step.number, Command(step)), variant, chance, 1)

    def _when_heard(self, step: Step, task: Task, times: int, chance: Random) -> None:
        """Do something once the answer is known to what a step goes on with; some do not wait for it."""
        before = self.plan.steps_by_number.get(step.args.get("of", -1))
        known = before is None or any(
            each.told != "unknown"
            for command in [self.commands.get(before.number)] if command is not None
            for each in command.attempts
        )  # fmt: skip
        if known or times == 0 or chance.random() < 0.1:
            task()
            return
        later = self.clockwork.now + 1 + chance.randrange(2 * times * times * MILLISECOND)
        self.clockwork.at(later, lambda: self._when_heard(step, task, times - 1, chance))

    def _again(self, command: Command, variant: int, chance: Random) -> None:
        self.clockwork.at(self.clockwork.now, lambda: self._attempt(command, variant, chance, 1))

    def _attempt(self, command: Command, variant: int, chance: Random, tries: int) -> None:
        """Send a command once; again later, or never, when what became of it is not known."""
        process, number = self._process(chance), len(self.attempts)
        now = self.now + process.skew
        attempt = Attempt(number, variant, self.backing.log.position, self.clockwork.now, now)
        command.attempts.append(attempt)
        self.attempts.append((command, attempt))
        table = self.backing.port(number, chance)
        process.book.table = table
        desk = Desk(table, KEYRING, process.book, Clock(now), self.draw)
        alive = True
        try:
            answer = OPERATIONS[command.step.operation].send(desk, self, command.step, variant)
            attempt.told = "waits" if isinstance(answer, Outcome) and answer.waits else "ack"
            attempt.value = answer.value if isinstance(answer, Outcome) else answer
            attempt.replayed = isinstance(answer, Outcome) and answer.replayed
            self._done.append(command.step)
        except Crashed:
            alive = False
        except Trouble:
            pass
        except Refusal as refusal:
            attempt.told, attempt.refusal = "refused", refusal
        except AssertionError as wrong:  # what an operation saw when it looked
            self.bugs.append(f"{wrong} (step {command.step.number} {command.step.operation})")
        except Exception as bug:  # noqa: BLE001 - anything else must never come out of a service
            self.bugs.append(f"step {command.step.number} {command.step.operation}: {type(bug).__name__}: {bug}")
        attempt.ended = self.backing.log.position
        self.told[attempt.told] += 1
        if alive:
            self._free.append(process)
        if attempt.told == "unknown" and tries < TRIES_MAX and chance.random() < 0.8:
            later = self.clockwork.now + _patience(chance)
            self.clockwork.at(later, lambda: self._attempt(command, variant, chance, tries + 1))

    def _process(self, chance: Random) -> Process:
        draw, which = chance.random(), chance.random()
        if self._free and draw > 0.05:
            return self._free.pop(int(which * len(self._free)))
        skew = int((which - 0.5) * 100 * MILLISECOND)
        if self.weather.strikes((Kind.SKEW,), chance):
            skew = int((which - 0.5) * 480 * SECOND)
        return Process(ProgramBook(self.backing.port(-1, chance)), timedelta(microseconds=skew))


def _patience(chance: Random) -> int:
    """Microseconds until a client sends again."""
    most = chance.choice((20 * MILLISECOND, 20 * MILLISECOND, SECOND, SECOND, 3_600 * SECOND, 40 * DAY))
    return 1 + chance.randrange(most)


def in_memory(plan: Plan) -> World:
    """A world over a table in memory."""
    clockwork, weather = Clockwork(), Weather(dict(plan.odds))
    return World(plan, clockwork, weather, Shared(clockwork, weather))
