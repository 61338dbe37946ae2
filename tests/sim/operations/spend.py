"""A spend, sometimes told late by a till that was offline."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.operations.purchase import drawn_lateness
from tests.sim.purse import day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """Some points."""
    points = chance.choice((chance.randrange(1, 20), chance.randrange(1, 120)))
    return {"member": chance.randrange(8), "points": points, "late": drawn_lateness(chance, 33)}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Spend them."""
    at = world.asked_at(step) - timedelta(minutes=step.args["late"])
    points = step.args["points"] + variant
    return desk.spend(world.whom(step), points, key=f"s{step.number}", occurred_at=at, reference=f"v{variant}")


def effect(case: "Case") -> None:
    """It takes so many points on its day."""
    args, entry = case.command.step.args, case.entry
    points = args["points"] + case.variant
    case.happened_at(case.world.asked_at(case.command.step) - timedelta(minutes=args["late"]))
    case.expect("points spent", -entry.points, points)
    case.needs(points)
    case.purse.take(entry.key, points, day_of(entry.occurred_at, case.terms), case.terms)


operation(
    Operation(
        "spend",
        weight=200,
        draw=draw,
        send=send,
        claims=lambda _world, step: [("spend", (f"s{step.number}",))],
        effect=effect,
        variant_of=lambda item: int(item["rf"][-1]),
        keyed=True,
    )
)
