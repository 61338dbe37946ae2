"""Planted bugs: each is a mistake that somebody could make, put into the running code; the simulator must find it.

`python -m tests.sim BUG=…` and `test_planted.py` switch them on. A bug that is not found says that the simulator is
too weak, not that the bug is harmless. A module for each subject.
"""

from tests.sim.planted import accounts, cards, deliveries, ledger, members, purchases
from tests.sim.planted.registry import BUGS, SEEDS, SIZE, TOPICS_OF, Plant

__all__ = [
    "BUGS", "SEEDS", "SIZE", "TOPICS_OF", "Plant", "accounts", "cards", "deliveries", "ledger", "members", "purchases",
]  # fmt: skip
