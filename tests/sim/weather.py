"""What goes wrong: which faults befall a call, by chance that follows from the seed."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Kind(StrEnum):
    """A fault, as it is counted."""

    THROTTLE = "throttle"
    """The database is busy for a moment; the port waits and asks again."""
    CONFLICT = "conflict"
    """Another transaction is on one of the items; the port waits and sends again."""
    BUSY = "busy"
    """The database stays busy until the port gives up; nothing was done."""
    LOST_REPLY = "lost_reply"
    """It was written, the answer was lost, the port sends it again."""
    LOST_FOR_GOOD = "lost_for_good"
    """It was written, and every answer is lost until the port gives up."""
    LATE = "late"
    """The port gives up on a write that arrives at the database later."""
    DUPLICATE = "duplicate"
    """The network delivers a write a second time, later."""
    CRASH_BEFORE = "crash_before"
    """The process dies before a call."""
    CRASH_AFTER = "crash_after"
    """The process dies after a call was carried out."""
    STALE = "stale"
    """A read that need not be consistent, or one of an index, answers what was there a moment ago."""
    PARTIAL = "partial"
    """A batch leaves keys unprocessed."""
    SKEW = "skew"
    """A machine's clock is off by minutes."""
    SLOW = "slow"
    """A call takes a second rather than milliseconds."""


READS = (Kind.THROTTLE, Kind.BUSY, Kind.CRASH_BEFORE, Kind.CRASH_AFTER, Kind.STALE, Kind.SLOW)
BATCHES = (*READS, Kind.PARTIAL)
WRITES = (
    Kind.THROTTLE,
    Kind.CONFLICT,
    Kind.BUSY,
    Kind.LOST_REPLY,
    Kind.LOST_FOR_GOOD,
    Kind.LATE,
    Kind.DUPLICATE,
    Kind.CRASH_BEFORE,
    Kind.CRASH_AFTER,
    Kind.SLOW,
)


@dataclass
class Weather:
    """How likely each fault is, and how often each came.

    Attributes:
        odds: of a fault befalling a call, by kind.
        struck: how often it did.
        calm: nothing goes wrong any more.
    """

    odds: dict[Kind, float]
    struck: Counter[Kind] = field(default_factory=Counter)
    calm: bool = False

    @classmethod
    def of(cls, chance: Random) -> "Weather":
        """The weather of a run: some kinds often, some never, so that runs differ in what they are about."""
        level = chance.choice((0.005, 0.01, 0.02, 0.05))
        odds = {kind: level * chance.choice((0, 0.5, 1, 1, 2)) for kind in Kind}
        odds[Kind.STALE] *= 5
        return cls(odds)

    def strikes(self, kinds: tuple[Kind, ...], chance: Random) -> Kind | None:
        """The fault that befalls a call, if any."""
        draw = chance.random()
        if self.calm:
            return None
        for kind in kinds:
            draw -= self.odds[kind]
            if draw < 0:
                self.struck[kind] += 1
                return kind
        return None
