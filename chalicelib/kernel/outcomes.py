"""What a command answers: its result, and whether it was there already."""

from dataclasses import dataclass
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
    """

    value: T
    replayed: bool = False
    stored: bool = True
    waits: bool = False
