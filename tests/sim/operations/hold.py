"""Points are held for a checkout, and captured, released, or free again by the clock."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.points.models import Reason
from chalicelib.storage import keys
from tests.sim.commands import Args, EntryName, Operation, Past, Step, operation
from tests.sim.promises import unkept
from tests.sim.purse import Kept, day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

MOST = 16
"""So many holds an account has at a time."""


def draw(chance: Random, past: Past) -> Args:
    """Some points, for a checkout or for weeks."""
    minutes = chance.choice((1, 15, 60 * 6, 60 * 24, 60 * 24 * 4, 60 * 24 * 30))
    return {"member": past.member(chance), "points": chance.choice((1, 7, chance.randrange(1, 80))), "minutes": minutes}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Hold them."""
    points = step.args["points"] + variant
    minutes = step.args["minutes"]
    return desk.hold(world.whom(step), points, key=f"h{step.number}", minutes=minutes, reference=f"v{variant}")


def effect(case: "Case") -> None:
    """So many points can be spent no more, and nothing else changes."""
    args, entry = case.command.step.args, case.entry
    case.expect("points moved", entry.points, 0)
    reserve(case, args["points"] + case.variant, timedelta(minutes=args["minutes"]))


def reserve(case: "Case", points: int, lasts: timedelta) -> None:
    """Points are there, and are held for so long, beside at most so many other holds."""
    entry, purse = case.entry, case.purse
    case.expect("points held", entry.held, points)
    case.needs(points)
    if sum(hold.until > entry.recorded_at for hold in purse.holds.values()) >= MOST:
        case.complain("I10", f"there are {len(purse.holds)} holds already")
    until = entry.held_until or entry.recorded_at
    if abs(until - entry.occurred_at - lasts) > timedelta(milliseconds=1):
        case.complain("I10", f"it lasts until {until}, should be {lasts}")
    name = "/".join((entry.key.kind, *entry.key.parts))
    purse.holds[name] = Kept(points, until, day_of(entry.occurred_at, case.terms))


def _draw_capture(chance: Random, past: Past) -> Args | None:
    held = past.fresh("hold", chance)
    if held is None:
        return None
    part = chance.choice((None, None, 1, held.args["points"] // 2 or 1, held.args["points"] + 1))
    return {"of": held.number, "part": part}


def _capture(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.capture(keys.hold_id(f"h{world.target(step)}"), step.args["part"])


def _draw_release(chance: Random, past: Past) -> Args | None:
    held = past.fresh("hold", chance)
    return {"of": held.number} if held is not None else None


def _release(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.release(keys.hold_id(f"h{world.target(step)}"))


def _ends(world: "World", step: Step) -> list[EntryName]:
    return [("hold_end", ("hold", f"h{world.target(step)}"))]


def _effect_of_capture(case: "Case") -> None:
    """It spends what was held, or a part, on the day of the hold."""
    entry = case.entry
    hold = case.capture("/".join(entry.key.parts))
    case.expect("reason", entry.reason, Reason.SPEND)
    if hold is None:
        return
    points = case.command.step.args["part"] or hold.points
    case.expect("points captured", entry.consumed, min(points, hold.points))
    case.expect("change of the balance", entry.points, -points)
    case.expect("points no more held", -(entry.held or 0), hold.points)
    case.take(points, hold.day)


def freed(case: "Case") -> None:
    """What was held is free, and nothing else changes."""
    hold = case.end_hold("/".join(case.entry.key.parts))
    case.expect("reason", case.entry.reason, Reason.RELEASE)
    case.expect("points moved", case.entry.points, 0)
    case.expect("points no more held", -(case.entry.held or 0), hold.points if hold else 0)


operation(
    Operation(
        "hold",
        weight=120,
        draw=draw,
        send=send,
        claims=lambda _world, step: [("hold", (f"h{step.number}",))],
        effect=effect,
        variant_of=lambda item: int(item["rf"][-1]),
        topic="hold",
        keyed=True,
    )
)
operation(
    Operation(
        "capture",
        weight=90,
        draw=_draw_capture,
        send=_capture,
        claims=_ends,
        effect=_effect_of_capture,
        topic="hold",
        repeated=True,
        payer=lambda _world, _step: None,
        check=lambda world, command: unkept(world, command, "hold", f"h{world.target(command.step)}"),
    )
)
operation(
    Operation(
        "release",
        weight=50,
        draw=_draw_release,
        send=_release,
        claims=_ends,
        effect=freed,
        topic="hold",
        repeated=True,
        check=lambda world, command: unkept(world, command, "hold", f"h{world.target(command.step)}"),
    )
)
