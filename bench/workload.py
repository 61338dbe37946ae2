"""Earn, spend and duplicates: one workload for any two ledgers, and an independent count of what must come of it.

Each life has an account of its own and one plot, so that one wrong result never brings about another. The count knows
nothing of either ledger: it goes by the commands, by what the client was answered, and by what is told afterwards.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

COPIES = 4
"""How often the same command is sent at once."""


class Kind(StrEnum):
    """What a command does."""

    EARN = "earn"
    SPEND = "spend"


@dataclass(frozen=True)
class Command:
    """Something a till asks for; the same key again is the same command again."""

    key: str
    kind: Kind
    points: int

    @property
    def change(self) -> int:
        """What it does to the balance, once."""
        return self.points if self.kind is Kind.EARN else -self.points


Step = tuple[Command, ...]
"""Commands sent at once; the next step waits for all their answers."""


@dataclass(frozen=True)
class Life:
    """What happens to one account."""

    plot: str
    steps: tuple[Step, ...]

    @property
    def commands(self) -> int:
        """Commands sent, copies included."""
        return sum(map(len, self.steps))


@dataclass(frozen=True)
class Told:
    """What a ledger says of an account when all is over.

    Attributes:
        entries: key and change of each line of its statement.
    """

    balance: int
    entries: tuple[tuple[str, int], ...]


class Wrong(StrEnum):
    """A wrong result."""

    TWICE = "took effect again"
    LOST = "accepted, without effect"
    REFUSED_WITH_EFFECT = "refused, with effect"
    REFUSED = "refused though the points were there"
    COPY_REFUSED = "accepted, but a copy of it refused"
    OVERSPENT = "more spent than was earned"
    BELOW_ZERO = "balance below zero"
    BALANCE = "balance differs from the count"
    STATEMENT = "balance differs from its own statement"


class _Till:
    """Makes the commands of one life."""

    def __init__(self, chance: random.Random, prefix: str) -> None:
        self._chance = chance
        self._prefix = prefix
        self._made = 0

    def earn(self) -> Command:
        return self._command(Kind.EARN, self._chance.randint(40, 100))

    def spend(self, points: int) -> Command:
        return self._command(Kind.SPEND, points)

    def _command(self, kind: Kind, points: int) -> Command:
        self._made += 1
        return Command(f"{self._prefix}-{self._made}", kind, points)


def _once(till: _Till) -> tuple[Step, ...]:
    first, second, third = till.earn(), till.earn(), till.earn()
    return (first,), (second,), (till.spend(first.points),), (third,), (till.spend(second.points),)


def _earn_again(till: _Till) -> tuple[Step, ...]:
    earn = till.earn()
    return (earn,), (earn,), (till.spend(earn.points // 2),), (earn,)


def _spend_again(till: _Till) -> tuple[Step, ...]:
    earn = till.earn()
    spend = till.spend(earn.points // 4)
    return (earn,), (spend,), (spend,)


def _last_spend_again(till: _Till) -> tuple[Step, ...]:
    earn = till.earn()
    spend = till.spend(earn.points)
    return (earn,), (spend,), (spend,)


def _earn_at_once(till: _Till) -> tuple[Step, ...]:
    return ((till.earn(),) * COPIES,)


def _spend_at_once(till: _Till) -> tuple[Step, ...]:
    earn = till.earn()
    return (earn,), (till.spend(earn.points // (COPIES + 1)),) * COPIES


def _rivals(till: _Till) -> tuple[Step, ...]:
    earn = till.earn()
    share = earn.points // 2 + 1
    return (earn,), (till.spend(share), till.spend(share))


def _many_at_once(till: _Till) -> tuple[Step, ...]:
    earns = tuple(till.earn() for _ in range(COPIES))
    return earns, (till.spend(sum(each.points for each in earns)),)


ONCE = "each command once"
COPIED: Mapping[str, Callable[[_Till], tuple[Step, ...]]] = {
    "an earn sent again": _earn_again,
    "a spend sent again": _spend_again,
    "the spend of all, sent again": _last_spend_again,
    "the same earn at once": _earn_at_once,
    "the same spend at once": _spend_at_once,
    "two spends for one balance": _rivals,
    "other earns at once": _many_at_once,
}


def lives_once(prefix: str, count: int) -> list[Life]:
    """Lives in which every command is sent once, one after the other."""
    chance = random.Random(prefix)
    return [Life(ONCE, _once(_Till(chance, f"{prefix}-{number}"))) for number in range(count)]


def lives_with_copies(prefix: str, count: int) -> list[Life]:
    """Lives with retries and commands at once, each plot in turn."""
    chance, plots = random.Random(prefix), list(COPIED.items())
    picked = [plots[number % len(plots)] for number in range(count)]
    return [Life(name, plot(_Till(chance, f"{prefix}-{number}"))) for number, (name, plot) in enumerate(picked)]


@dataclass(frozen=True)
class Verdict:
    """What was wrong with one life.

    Attributes:
        points_off: how far the balance is from the count, without sign.
    """

    wrong: Counter[Wrong]
    points_off: int


def judge(life: Life, accepted: Sequence[Sequence[bool]], told: Told) -> Verdict:
    """Compare what must have come of a life with what a ledger answered and tells.

    Args:
        accepted: for each command of each step, whether it was answered with yes.
    """
    wrong: Counter[Wrong] = Counter()
    done: dict[str, Command] = {}
    balance = 0
    for step, answers in zip(life.steps, accepted, strict=True):
        asked = {each.key: each for each in step if each.key not in done}
        done |= {each.key: each for each, yes in zip(step, answers, strict=True) if yes}
        balance += sum(each.change for key, each in asked.items() if key in done)
        wrong[Wrong.OVERSPENT] += balance < 0
        wrong[Wrong.REFUSED] += sum(
            each.change + balance >= 0 for key, each in asked.items() if key not in done
        )  # what was refused must be more than what the accepted ones left
        wrong[Wrong.COPY_REFUSED] += sum(not yes and each.key in done for each, yes in zip(step, answers, strict=True))
    effects = Counter(key for key, _ in told.entries)
    for key in {each.key for step in life.steps for each in step}:
        if key in done:
            wrong[Wrong.TWICE] += max(effects[key] - 1, 0)
            wrong[Wrong.LOST] += effects[key] == 0
        else:
            wrong[Wrong.REFUSED_WITH_EFFECT] += effects[key] > 0
    wrong[Wrong.BELOW_ZERO] += told.balance < 0
    wrong[Wrong.BALANCE] += told.balance != balance
    wrong[Wrong.STATEMENT] += told.balance != sum(change for _, change in told.entries)
    return Verdict(+wrong, abs(told.balance - balance))
