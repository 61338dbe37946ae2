"""A member offers points to another one, who accepts or declines, or the first takes them back."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.points.models import Reason
from chalicelib.storage import keys
from tests.sim.commands import FAMILIES, Args, EntryName, Operation, Past, Step, operation
from tests.sim.operations.hold import freed, reserve
from tests.sim.promises import unkept
from tests.sim.purse import day_of, month_number
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

FAMILIES.add("X")


def draw(chance: Random, past: Past) -> Args:
    """Some points, mostly to somebody else."""
    points = chance.choice((5, chance.randrange(1, 60), chance.randrange(20, 70)))
    member = past.member(chance)
    return {"member": member, "to": member + chance.choice((1, 1, 2, 3)), "points": points}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Offer them."""
    giver, receiver = world.whom(step), world.whom(step, "to")
    return desk.offer(giver, receiver, step.args["points"] + variant, key=f"t{step.number}", message=f"v{variant}")


def effect(case: "Case") -> None:
    """Points and fee are held, within what may be sent in a month."""
    terms, purse = case.terms["transfers"], case.purse
    points = case.command.step.args["points"] + case.variant
    fee = -(-points * terms["fee_percent"] // 100)
    month, at = month_number(day_of(case.entry.occurred_at, case.terms)), case.entry.recorded_at
    offered = sum(
        hold.points
        for name, hold in purse.holds.items()
        if name.startswith("transfer/") and hold.until > at and month_number(hold.day) == month
    )
    if purse.sent[month] + offered + points + fee > terms["max_points_per_month"]:
        case.complain(
            "I13", f"{points + fee} points more than {purse.sent[month]} and {offered} pass the month's limit"
        )
    if points > terms["max_points"] or not terms["enabled"]:
        case.complain("I13", f"{points} points in one transfer, under {terms}")
    reserve(case, points + fee, timedelta(days=terms["accept_days"]))
    case.notes["offer", case.entry.key.parts] = points, fee


def _draw_end(chance: Random, past: Past) -> Args | None:
    offered = past.fresh("offer", chance)
    return {"of": offered.number} if offered is not None else None


def _accept(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.accept(keys.transfer_id(f"t{world.target(step)}"))


def _claims_accepted(world: "World", step: Step) -> list[EntryName]:
    key = f"t{world.target(step)}"
    return [("hold_end", ("transfer", key)), ("transfer_in", (key,))]


def _effect_of_acceptance(case: "Case") -> None:
    """The giver loses points and fee; the receiver gets the points, in the giver's soonest lots."""
    entry = case.entry
    case.expect("reason", entry.reason, Reason.TRANSFER)
    if entry.key.kind == "transfer_in":
        received(case)
        return
    hold = case.purse.holds.get("/".join(entry.key.parts))
    points, fee = case.notes["offer", entry.key.parts[1:]]
    held_besides = case.before.held - (hold.points if hold else 0)
    own = case.before.balance - case.before.pending - held_besides
    if case.purse.exact and own < points + fee:
        case.complain("I6", f"{points + fee} points went of {own}")
    if case.status != "active":
        case.complain("I3", f"the giver is {case.status}")
    case.capture("/".join(entry.key.parts))
    case.expect("change of the balance", entry.points, -points - fee)
    if hold is not None:
        case.purse.sent[month_number(hold.day)] += points + fee
    gone(case, "transfer_in", entry.key.parts[1:], points)
    case.take(points + fee, day_of(entry.occurred_at, case.terms))


def gone(case: "Case", kind: str, parts: tuple[str, ...], points: int) -> None:
    """Remember which lots leave an account, for the one that gets them in the same transaction."""
    case.notes["lots", kind, parts] = case.lots(points) if case.purse.exact else None, points
    if keys.entry(kind, *parts) not in case.world.backing.log.commits[case.place].before:
        case.complain("I11", f"{points} points left, and nobody got them")


def received(case: "Case") -> None:
    """What left an account came to this one: as many points, in the same lots."""
    entry = case.entry
    lots, points = case.notes.get(("lots", entry.key.kind, entry.key.parts), (None, None))
    got = dict(entry.sums.earned) if entry.sums is not None else {}
    if entry.points != points or sum(got.values()) != points:
        case.complain("I11", f"{entry.points} points came, and {points} had left")
    if lots is not None and got != lots:
        case.complain("I11", f"the lots are {got}, should be {lots}")
    for last, some in got.items():
        case.give(some, last, key=(entry.key, last))


def _cancel(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    end = desk.cancel if step.seed % 2 else desk.decline
    return end(keys.transfer_id(f"t{world.target(step)}"))


operation(
    Operation(
        "offer",
        weight=120,
        draw=draw,
        send=send,
        claims=lambda _world, step: [("transfer", (f"t{step.number}",))],
        effect=effect,
        variant_of=lambda item: int(item["msg"][-1]),
        topic="transfer",
        keyed=True,
    )
)
operation(
    Operation(
        "accept",
        weight=110,
        draw=_draw_end,
        send=_accept,
        claims=_claims_accepted,
        effect=_effect_of_acceptance,
        topic="transfer",
        repeated=True,
        check=lambda world, command: unkept(world, command, "transfer", f"t{world.target(command.step)}"),
    )
)
operation(
    Operation(
        "cancel",
        weight=40,
        draw=_draw_end,
        send=_cancel,
        claims=lambda world, step: _claims_accepted(world, step)[:1],
        effect=freed,
        topic="transfer",
        repeated=True,
        check=lambda world, command: unkept(world, command, "transfer", f"t{world.target(command.step)}"),
    )
)
