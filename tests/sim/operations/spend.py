"""A spend, sometimes told late by a till that was offline."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.purse import day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """Some points, or none: all that there are."""
    points = chance.choice((0, chance.randrange(1, 20), chance.randrange(1, 120)))
    late = chance.choice((0, 0, 0, chance.randrange(2 * 1_440), chance.randrange(33 * 1_440)))
    return {"member": past.member(chance), "points": points, "late": late}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Spend them."""
    at = world.asked_at(step) - timedelta(minutes=step.args["late"])
    points = step.args["points"]
    if not points:
        # What is asked for is settled when it is sent first; whoever sends it again asks for the same.
        known = world.settled.get(step.number)
        points = known or world.settled.setdefault(step.number, max(desk.points(world.whom(step)).available, 1))
    points += variant
    return desk.spend(world.whom(step), points, key=f"s{step.number}", occurred_at=at, reference=f"v{variant}")


def effect(case: "Case") -> None:
    """It takes so many points on its day."""
    args, entry = case.command.step.args, case.entry
    points = (args["points"] or case.world.settled[case.command.step.number]) + case.variant
    case.happened_at(case.world.asked_at(case.command.step) - timedelta(minutes=args["late"]))
    case.expect("points spent", -entry.points, points)
    case.needs(points)
    case.take(points, day_of(entry.occurred_at, case.terms))


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
