"""A correction, up or down, of points or of qualifying points; points given may have a last day set by hand."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.purse import closing, day_of, last_day, month_number
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """Some points more or fewer."""
    args: Args = {"member": past.member(chance), "points": chance.choice((1, 1, -1)) * chance.randrange(1, 80)}
    if chance.random() < 0.2:
        args["qualifying"] = chance.randrange(-50, 150)
    if args["points"] > 0 and chance.random() < 0.3:
        args["lasts"] = chance.randrange(1, 90)
    return args


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Correct it."""
    more: Args = {"reason_code": f"v{variant}", "occurred_at": world.asked_at(step)}
    if "lasts" in step.args:
        more["expires_on"] = day_of(world.asked_at(step) + timedelta(days=step.args["lasts"]), world.plan.terms)
    if "qualifying" in step.args:
        more["qualifying_points"] = step.args["qualifying"]
    points = step.args["points"] + (variant if step.args["points"] > 0 else -variant)
    return desk.adjust(world.whom(step), points, key=f"a{step.number}", **more)


def effect(case: "Case") -> None:
    """It gives or takes so many points; it may leave a debt where the program says so."""
    args, entry, terms, asked_at = (
        case.command.step.args,
        case.entry,
        case.terms,
        case.world.asked_at(case.command.step),
    )
    points = args["points"] + (case.variant if args["points"] > 0 else -case.variant)
    case.happened_at(asked_at)
    day = day_of(entry.occurred_at, terms)
    case.expect("points", entry.points, points)
    case.expect("qualifying points", entry.qualifying or 0, args.get("qualifying", 0))
    if points > 0:
        by_hand = day_of(asked_at + timedelta(days=args["lasts"]), terms) if "lasts" in args else None
        last = closing(by_hand, terms) if by_hand else last_day(day, terms)
        case.expect("last day", entry.expires_on, last)
        case.give(points, last)
    else:
        if terms["negative_balance"] != "owe":
            case.needs(-points)
        case.take(-points, day)
    case.qualify(month_number(day), args.get("qualifying", 0))


operation(
    Operation(
        "adjust",
        weight=100,
        draw=draw,
        send=send,
        claims=lambda _world, step: [("adjust", (f"a{step.number}",))],
        effect=effect,
        variant_of=lambda item: int(item["rc"][-1]),
        keyed=True,
    )
)
