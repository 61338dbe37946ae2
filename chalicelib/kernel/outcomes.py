"""What a command answers: its result, and whether it was there already."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The result of a command.

    Attributes:
        value: what the first call answered.
        replayed: this call changed nothing, because the same command was carried out before.
        stored: False for a dry run.
        waits: it was taken and is carried out when something else has come.
        attempts: how often it was decided because other writes got there first.
    """

    value: T
    replayed: bool = False
    stored: bool = True
    waits: bool = False
    attempts: int = field(default=1, compare=False)
