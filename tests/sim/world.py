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
from chalicelib.programs.models import DEFAULT_TERMS
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import ClearContacts, Keyring
from tests.makers import Clock
from tests.sim.clockwork import Clockwork
from tests.sim.commands import OPERATIONS, Args, Attempt, Command, Past, Step
from tests.sim.operations import load
from tests.sim.port import MILLISECOND, SECOND, Backing, Crashed, Shared
from tests.sim.weather import Kind, Weather
from tests.table.stand import Desk

BEGINNING = datetime(2026, 1, 10, 2, 0, tzinfo=UTC)
KEYRING = Keyring(b"i" * 32, b"c" * 32, ClearContacts())
AGAIN = "again"
"""A command is sent again by somebody: the same, or with other content under its key."""

DAY = 86_400 * SECOND
TRIES_MAX = 6

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


def planned(seed: int, ops: int) -> Plan:
    """The plan that follows from a seed.

    Args:
        ops: how many steps.
    """
    chance, past = Random(seed), Past()
    # Runs differ in what they are about: each leaves some operations out and does others often.
    weights = {each.name: each.weight * chance.choice((0, 1, 1, 1, 2, 3)) for each in OPERATIONS.values()}
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
    return Plan(seed, chance.choice((1, 2, 3, 5)), terms, weather.odds, tuple(steps))


def drawn_terms(seed: int, chance: Random) -> dict[str, Any]:
    """Terms of a program, in plain values; what matters most takes turns, so that few seeds see all of it."""
    expiry = {
        "mode": chance.choice(("rolling", "rolling", "rolling", "end_of_year", "never")),
        "months": chance.choice((1, 2, 3, 12)),
        "years": chance.choice((0, 1)),
        "bucket": ("month", "day")[seed // 2 % 2],
    }
    tiers = [
        {"tier_id": f"t{place}", "name": {"zh": f"级{place}", "en": f"Tier {place}"}, "threshold": threshold,
         "multiplier_percent": percent, "birthday_points": gift}
        for place, (threshold, percent, gift) in enumerate(((0, 100, 20), (100, 110, 50), (300, 150, 0)))
    ]  # fmt: skip
    qualification = {
        "window": chance.choice(("rolling", "calendar_year")),
        "months": chance.choice((1, 3, 12)),
        "at_end": chance.choice(("keep", "step_down", "earned_level")),
    }
    return {
        **DEFAULT_TERMS,
        "time_zone": chance.choice(("Asia/Shanghai", "America/New_York", "UTC")),
        "earn_rate": drawn_rate(chance),
        "expiry": expiry,
        "ladder": {"tiers": tiers, "qualification": qualification},
        "pending_days": (0, 3, 0, 14)[seed // 3 % 4],
        "notices": {"expiring_days": chance.choice((14, 3, None))},
        "negative_balance": ("owe", "cap", "pending_only")[seed % 3],
    }


def drawn_rate(chance: Random) -> dict[str, Any]:
    """An earn rate."""
    return {"points": chance.choice((1, 1, 3)), "per_minor": 100, "rounding": chance.choice(("down", "half_up", "up"))}


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
    keyed = [each for each in steps[-12:] if each.operation != AGAIN and OPERATIONS[each.operation].keyed]
    if chance.random() < 0.3:
        keyed += [each for each in chance.sample(steps, min(6, len(steps))) if each.operation != AGAIN]
        keyed = [each for each in keyed if OPERATIONS[each.operation].keyed]
    if not keyed:
        return None
    return {"of": chance.choice(keyed).number, "variant": int(chance.random() < 0.25)}


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
    drawn: int = 0
    _free: list[Process] = field(default_factory=list)
    _whom: dict[tuple[int, str], MemberId] = field(default_factory=dict)

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
        command = self.commands.setdefault(step.number, Command(step))
        self._attempt(command, variant, chance, 1)

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
            attempt.told = "ack"
            attempt.value = answer.value if isinstance(answer, Outcome) else answer
            attempt.replayed = isinstance(answer, Outcome) and answer.replayed
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
