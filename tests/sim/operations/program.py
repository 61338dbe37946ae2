"""The merchant changes the program: what purchases earn, how long points live, what a debt comes to."""

from random import Random
from typing import TYPE_CHECKING, Any

from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.terms import drawn_transfers
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """Other terms. What days and months are, and the ladder, stay: the judge's arithmetic asks for it."""
    return {
        "points": chance.choice((1, 2, 3)),
        "rounding": chance.choice(("down", "half_up", "up")),
        "months": chance.choice((1, 2, 3, 12)),
        "policy": chance.choice(("owe", "cap", "pending_only")),
        "pending": chance.choice((0, 3, 14)),
        "notice": chance.choice((14, 3, None)),
        "transfers": drawn_transfers(chance),
    }


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Publish them after the version in force."""
    args, terms = step.args, world.plan.terms
    current = desk.book.latest(desk.clock())
    changed = {
        "earn_rate": {"points": args["points"], "per_minor": 100, "rounding": args["rounding"]},
        "expiry": {**terms["expiry"], "months": args["months"]},
        "negative_balance": args["policy"],
        "pending_days": args["pending"],
        "notices": {"expiring_days": args["notice"]},
        "transfers": args["transfers"],
    }
    return desk.publish(current.version, **{**terms, **changed}).version


operation(Operation("program", weight=10, draw=draw, send=send))
