"""What the lake knows of itself."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from pydantic import AwareDatetime

from chalicelib.kernel.records import Record

Fact = Literal["delivery", "receipt", "assignment"]
"""What is told to the lake by those who do it, because it is no record of table `core`."""

Row = dict[str, Any]
"""A line of the log: one kind of row, and the row."""


class Edges(Record):
    """The last values of the first four fifths of the members who bought anything, by each figure."""

    recency: tuple[date, ...] = ()
    """By the day on which they bought last."""
    frequency: tuple[int, ...] = ()
    """By the number of their purchases."""
    money: tuple[int, ...] = ()
    """By what they spent, in minor units."""


class Head(Record):
    """What the lake consists of now. Whoever asks it reads this first, and everything by the names that it gives."""

    base: str | None = None
    """The generation of the base; None before the first."""
    slices: int = 0
    """In how many files each of its tables is."""
    patch: str | None = None
    """What lies over the base; None when nothing does."""
    read: str | None = None
    """The list of the files of the log that are in it."""
    moved: bool = False
    """The patch has members whose purchases count for somebody else than in the base."""
    gone: bool = False
    """The patch has members who were erased since the base."""
    next_m: int = 0
    """The number that the next member gets."""
    members: int = 0
    """How many people the base knows, of whatever status."""
    patched: int = 0
    """How many people the patch knows."""
    buyers: int = 0
    """How many of those whom the base shows had bought anything: its edges are of them."""
    patched_buyers: int = 0
    """How many of those whom the patch shows have."""
    edges: Edges = Edges()
    base_at: AwareDatetime | None = None
    """When the base was written."""
    built_at: AwareDatetime
    """When it was looked what is new: what had been written to the log by then is in it."""
    through: AwareDatetime | None = None
    """The newest record of the table that is in it."""
    unfinished: bool = False
    """It is being made anew from the table, and lacks what it was not told again yet: nobody is answered by it."""
    form: int = 1
    """The form of its oldest file (`tables.FORM`)."""
    version: int = 1

    @property
    def scored(self) -> bool:
        """Whether there are edges, by which members have scores of recency, frequency and spending."""
        return bool(self.edges.recency)

    @property
    def generation(self) -> str:
        """What names the state, for those who keep something that follows from it."""
        return self.patch or self.base or "none"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a patch or a base has come to.

    Attributes:
        objects: files of the log that were read for it.
        moved: whether the head was moved; else nothing was new.
    """

    head: Head
    objects: int
    moved: bool = True
