"""Where planted bugs are registered, and what several of them do."""

from collections.abc import Callable

import pytest

from chalicelib.points.models import EntryKey
from chalicelib.storage.writes import Condition, Item
from tests import memory

Plant = Callable[[pytest.MonkeyPatch], None]

SEEDS, SIZE = range(1, 21), 200
"""Each must be found in one of these worlds."""

BUGS: dict[str, Plant] = {}
"""Every planted bug, by name."""

TOPICS_OF: dict[str, tuple[str, ...]] = {}
"""What the worlds are about, besides what all are, in which a bug is looked for."""


def bug(plant: Plant) -> Plant:
    """Register a bug under its function's name."""
    BUGS[plant.__name__] = plant
    TOPICS_OF.setdefault(plant.__name__, ())
    return plant


def about(*topics: str) -> Callable[[Plant], Plant]:
    """Say in which worlds a bug is looked for."""

    def note(plant: Plant) -> Plant:
        TOPICS_OF[plant.__name__] = topics
        return bug(plant)

    return note


def forget(patch: pytest.MonkeyPatch, forgotten: Callable[[Condition, Item], bool]) -> None:
    """Take some conditions of writes over what is there for ones that hold."""
    real = memory.holds
    patch.setattr(memory, "holds", lambda c, item: real(c, item) or (item is not None and forgotten(c, item)))


def numbered(key: EntryKey, number: int) -> EntryKey:
    return EntryKey(kind=key.kind, parts=(*key.parts[:-1], f"{key.parts[-1]}-{number}"))
