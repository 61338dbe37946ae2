"""What clients ask for, what they were told, and how an operation says all about itself.

An operation is a file in `tests/sim/operations`. It draws its arguments, sends the command through the real service,
says which entries it may write, and tells the judge what each entry should do to the purse of the account it stands in.
Nothing here knows what an account is: its owner is the partition of the timeline that its entries stand in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.errors import Refusal

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World
    from tests.table.stand import Desk

Args = dict[str, Any]
EntryName = tuple[str, tuple[str, ...]]
"""Kind and business key of an entry."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that somebody does at a moment.

    Attributes:
        number: its place in the plan; keys are made from it, so that they stay when other steps are left out.
        at: microseconds since the beginning.
        seed: of everything that befalls it.
    """

    number: int
    at: int
    operation: str
    args: Args
    seed: int

    def __str__(self) -> str:
        words = " ".join(f"{name}={value}" for name, value in self.args.items())
        days, rest = divmod(self.at, 86_400_000_000)
        return f"#{self.number} day {days} {rest / 1_000_000:10.3f} s  {self.operation} {words}"


@dataclass
class Attempt:
    """A command was sent once.

    Attributes:
        variant: which of the contents that are sent under the key; 0 is the command's own.
        began: the position of the log when it was sent.
        ended: when the answer came.
        now: the clock of the process that served it.
        told: "ack", "refused", "waits" (it was taken down, and something else must come first) or "unknown".
    """

    number: int
    variant: int
    began: int
    began_at: int
    now: datetime
    ended: int = 0
    told: str = "unknown"
    value: Any = None
    replayed: bool = False
    refusal: Refusal | None = None


@dataclass
class Command:
    """A step's command and every attempt at it, by its own client or by others that send it again."""

    step: Step
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def acknowledged(self) -> list[Attempt]:
        """The attempts that were told that it is done."""
        return [each for each in self.attempts if each.told == "ack"]


class Past:
    """The steps before, for operations that go on with something."""

    def __init__(self) -> None:
        self._by: dict[str, list[Step]] = {}
        self._member = 0
        self.newest: Step | None = None

    def add(self, step: Step) -> None:
        """Note one."""
        self.newest = step
        self._by.setdefault(step.operation, []).append(step)
        self._member = step.args.get("member", self._member)

    @property
    def at(self) -> int:
        """Microseconds since the beginning, of the newest."""
        return self.newest.at if self.newest is not None else 0

    def member(self, chance: Random) -> int:
        """A member's number: often the one of the step before, so that they collide."""
        return self._member if chance.random() < 0.5 else chance.randrange(8)

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._by.values()))

    def steps(self, operation: str) -> Sequence[Step]:
        """The steps of an operation."""
        return self._by.get(operation, ())

    def some(self, operation: str, chance: Random) -> Step | None:
        """A step of that operation: often one of the newest, so that they collide."""
        steps = self._by.get(operation, ())
        if not steps:
            return None
        return chance.choice(steps[-6:] if chance.random() < 0.3 else steps)

    def fresh(self, operation: str, chance: Random) -> Step | None:
        """A step of that operation: mostly one of the newest, because what it made does not last."""
        steps = self._by.get(operation, ())
        if not steps:
            return None
        return chance.choice(steps[-3:] if chance.random() < 0.85 else steps)


@dataclass(frozen=True, slots=True)
class Operation:
    """All about a kind of command.

    Attributes:
        weight: how often it is drawn, against the others.
        draw: its arguments; None when there is nothing to do it to yet.
        send: carry a variant of it out. Gives its answer, or an `Outcome`.
        claims: which entries it may write.
        effect: what an entry of it should do to the purse of its account; complains where it does otherwise.
        variant_of: which variant an entry's item came from.
        topic: runs are about some topics; without one it belongs to all.
        keyed: sent again it must be answered the same, and refused with other content.
        repeated: others send it again too, but with no other content.
        payer: the account whose points it takes, where it is refused when there are too few.
        seen: how many points of which member an attempt's answer says can be spent, and whether it may be a little old.
        check: what else must hold for it at the end.
    """

    name: str
    weight: int
    draw: Callable[[Random, Past], Args | None]
    send: "Callable[[Desk, World, Step, int], Any]"
    claims: "Callable[[World, Step], Sequence[EntryName]]" = lambda _world, _step: ()
    effect: "Callable[[Case], None] | None" = None
    variant_of: Callable[[dict[str, Any]], int] = lambda _: 0
    topic: str = ""
    keyed: bool = False
    repeated: bool = False
    payer: "Callable[[World, Step], str | None]" = lambda world, step: (
        world.whom(step) if "member" in step.args else None
    )
    seen: "Callable[[World, Step, Attempt], Seen | None] | None" = None
    check: "Callable[[World, Command], Sequence[str]] | None" = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody was told of a member's points."""

    owner: str
    available: int
    old: bool


DERIVED = {"expire", "tier"}
"""Kinds of entries that nobody asks for: time brings them. An operation's file may add its own."""

FAMILIES = {"M", "O", "K", "U", "H", "PROGRAM", "RCH"}
"""How partition keys may begin. An operation's file may add its own."""

OPERATIONS: dict[str, Operation] = {}
"""Every operation, by name. `tests.sim.operations` fills it."""


def operation(made: Operation) -> Operation:
    """Register an operation."""
    assert made.name not in OPERATIONS, f"two operations are called {made.name}"
    OPERATIONS[made.name] = made
    return made
