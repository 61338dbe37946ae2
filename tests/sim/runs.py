"""Runs of the simulator: one after the other, and a failing one cut down to what it takes to fail."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from math import inf

from tests.sim.judge import Judge, judged
from tests.sim.weather import Kind
from tests.sim.world import Plan, World, in_memory, planned

WORLD = 500
"""How many operations make a world, when nobody says otherwise: enough for years, few enough to be read."""

SHRINK_SECONDS = 60.0

Make = Callable[[Plan], World]


@dataclass(frozen=True)
class Failure:
    """A run in which something did not hold."""

    plan: Plan
    complaints: list[str]

    @property
    def invariant(self) -> str:
        """The first thing that did not hold, by its number."""
        return invariant_of(self.complaints[0])


@dataclass
class Tally:
    """What several runs come to.

    Attributes:
        operations: steps that were taken.
        attempts: how often commands were sent.
        told: what those who sent them were told.
        struck: faults that came, by kind.
        exact: of how many of the accounts the judge could tell the lots exactly to the end.
    """

    runs: int = 0
    operations: int = 0
    attempts: int = 0
    entries: int = 0
    accounts: int = 0
    exact: int = 0
    told: Counter[str] = field(default_factory=Counter)
    struck: Counter[Kind] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def add(self, plan: Plan, judge: Judge) -> None:
        """Count a run that was judged."""
        world, complaints = judge.world, judge.complaints
        self.accounts += judge.accounts[0]
        self.exact += judge.accounts[1]
        self.runs += 1
        self.operations += len(plan.steps)
        self.attempts += len(world.attempts)
        self.entries += sum("r" in item for item in world.backing.items().values())
        self.told += world.told
        self.struck += world.weather.struck
        if complaints:
            self.failures.append(Failure(plan, complaints))


def invariant_of(complaint: str) -> str:
    """The invariant that a complaint is about; `bug` where the product raised what it must not."""
    head = complaint.split(" ", 1)[0]
    return head if head[:1] == "I" and head[1:].isdigit() else "bug"


def run(
    seeds: Iterable[int],
    ops: int,
    make: Make = in_memory,
    tell: Callable[[Tally], None] | None = None,
    *,
    seconds: float = inf,
    topics: Sequence[str] | None = None,
) -> Tally:
    """Run worlds, one for each seed, until something does not hold or so much time is over.

    Args:
        topics: what they are about; by the seeds, when left out.
    """
    tally, until = Tally(), time.monotonic() + seconds
    for seed in seeds:
        if time.monotonic() >= until:
            break
        plan = planned(seed, ops, topics)
        world = make(plan).run()
        judge = Judge(world, world.backing.items())
        judge.verdict()
        tally.add(plan, judge)
        if tell is not None:
            tell(tally)
        if tally.failures:
            break
    return tally


def shrunken(failure: Failure, make: Make = in_memory, *, seconds: float = SHRINK_SECONDS) -> Failure:
    """The failure with as few steps as still fail in the same way (delta debugging)."""
    until = time.monotonic() + seconds
    best, parts = failure, 2
    while len(best.plan.steps) > 1 and time.monotonic() < until:
        size = -(-len(best.plan.steps) // parts)
        for start in range(0, len(best.plan.steps), size):
            kept = best.plan.steps[:start] + best.plan.steps[start + size :]
            found = _fails(replace(best.plan, steps=kept), best.invariant, make)
            if found is not None:
                best, parts = found, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(best.plan.steps))
    return best


def _fails(plan: Plan, invariant: str, make: Make) -> Failure | None:
    if not plan.steps:
        return None
    complaints = [each for each in judged(make(plan).run()) if invariant_of(each) == invariant]
    return Failure(plan, complaints) if complaints else None


def told(failure: Failure, ops: int, more: str = "") -> str:
    """A failure for a person: seed, invariant, and the shortest history that was found."""
    steps = "\n".join(f"  {step}" for step in failure.plan.steps)
    odds = ", ".join(f"{kind.value} {odds:.3f}" for kind, odds in failure.plan.odds.items() if odds)
    terms = failure.plan.terms
    return "\n".join(
        [
            f"{failure.complaints[0]}",
            f"  make sim SEED={failure.plan.seed} OPS={ops} SEEDS=1{more}",
            f"  expiry {terms['expiry']}, rate {terms['earn_rate']}, pending {terms['pending_days']} days,",
            f"  {terms['negative_balance']}, {terms['ladder']['qualification']}, {terms['time_zone']}",
            f"  odds of faults: {odds}",
            f"History, cut down to {len(failure.plan.steps)} of {ops} steps:",
            steps,
        ]
    )
