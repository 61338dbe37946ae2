"""Points that several share: contributions, and spends of which members have so many a month."""

from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.pools.rules import pool_id_of
from chalicelib.storage import keys
from tests.sim.commands import FAMILIES, Args, EntryName, Operation, Past, Step, operation
from tests.sim.operations.transfer import gone, received
from tests.sim.purse import day_of, month_number
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

FAMILIES.add("G")


def _pool(world: "World", step: Step) -> str:
    return pool_id_of(f"p{world.target(step)}")


def _draw_opening(chance: Random, past: Past) -> Args | None:
    if len(past.steps("open pool")) >= 2:
        return None
    return {"member": past.member(chance)}


def _open(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.pool(world.whom(step), key=f"p{step.number}").value.pool_id


def _draw_part(chance: Random, past: Past) -> Args | None:
    pool = past.some("open pool", chance)
    if pool is None:
        return None
    role = chance.choice(("spender", "spender", "spender", "contributor", "owner"))
    return {"of": pool.number, "member": past.member(chance), "role": role, "limit": chance.choice((None, 8, 8, 20))}


def _let_in(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    args = step.args
    desk.let_in(_pool(world, step), world.whom(step), role=args["role"], monthly_limit=args["limit"])


def _draw_points(chance: Random, past: Past) -> Args | None:
    pool = past.some("open pool", chance)
    if pool is None:
        return None
    known = [each for each in (*past.steps("let in"), pool) if each.args.get("of", pool.number) == pool.number]
    member = chance.choice(known[-2:]).args["member"] if chance.random() < 0.9 else past.member(chance)
    return {"of": pool.number, "member": member, "points": chance.choice((4, 4, 6, chance.randrange(1, 40)))}


def _contribute(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    points = 5 * step.args["points"] + variant
    return desk.contribute(_pool(world, step), world.whom(step), points, key=f"pc{step.number}")


def _effect_of_contribution(case: "Case") -> None:
    """What leaves the member is in the pool, in the same lots."""
    if case.entry.key.kind == "contribution_in":
        received(case)
        return
    points = -case.entry.points
    asked = 5 * case.command.step.args["points"]
    if points not in (asked, asked + 1):
        case.expect("points contributed", points, asked)
    case.needs(points)
    _judge_giving(case, points)
    gone(case, "contribution_in", case.entry.key.parts, points)
    case.take(points, day_of(case.entry.occurred_at, case.terms))


def _judge_giving(case: "Case", points: int) -> None:
    """It counts to what may be sent in a month, where members may send."""
    terms, purse = case.terms["transfers"], case.purse
    month = month_number(day_of(case.entry.occurred_at, case.terms))
    if terms["enabled"] and max(points, purse.sent[month] + points) > terms["max_points_per_month"]:
        case.complain("I13", f"{points} points more than {purse.sent[month]} pass the month's limit")
    purse.sent[month] += points


def _spend(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    points = step.args["points"] + variant
    return desk.spend_from(
        _pool(world, step), world.whom(step), points, key=f"ps{step.number}", reference=f"v{variant}"
    )


def _effect_of_spend(case: "Case") -> None:
    """It takes so many points of the pool, by somebody who may, within the month's limit."""
    entry, args = case.entry, case.command.step.args
    case.expect("points spent", -entry.points, args["points"] + case.variant)
    case.needs(-entry.points)
    case.expect("who did it", entry.actor, case.world.whom(case.command.step))
    case.take(-entry.points, day_of(entry.occurred_at, case.terms))
    _judge_part(case)


def _judge_part(case: "Case") -> None:
    """What the member was allowed while they asked, as far as the log can tell; a limit is kept to the point."""
    world, pool_id = case.world, _pool(case.world, case.command.step)
    log, actor = world.backing.log, case.entry.actor or ""
    if not log.remembers:
        return
    family = {actor, *(each.replace("M#", "mem_") for each in _answering(case, actor))}
    places = range(case.attempt.began, case.place + 1)
    asked = [keys.pool_member(pool_id, each) for each in sorted(family)]
    parts = [part for key in asked for at in places if (part := log.was(key, at, world.items_now)) is not None]
    if not parts:
        if not world.joined:
            case.complain("I13", f"{actor} is no member of the pool")
        return
    if all(part["role"] == "contributor" for part in parts):
        case.complain("I13", f"{actor} may only contribute")
    written = [key for key in asked if key in log.commits[case.place].before]
    if not written and not world.joined and all(part.get("limit") is not None for part in parts):
        case.complain("I13", f"what {actor} spends of the month's limit is not counted")
    for key in written:
        limit = (log.was(key, case.place, world.items_now) or {}).get("limit")
        month = month_number(day_of(case.attempt.now, case.terms))
        spent: Counter[Any] = case.notes.setdefault("spent of pools", Counter())
        spent[key, month] -= case.entry.points
        case.notes["spent of pools", case.entry.key] = key, month
        if limit is not None and spent[key, month] > limit:
            case.complain("I13", f"{actor} spent more than {limit} of the pool in a month")


def _answering(case: "Case", actor: str) -> set[str]:
    own = keys.statement(actor)
    return next((purse.absorbed | {o} for o, purse in case.purses.items() if own in {o, *purse.absorbed}), set())


def _draw_closure(chance: Random, past: Past) -> Args | None:
    pool = past.some("open pool", chance)
    return {"of": pool.number} if pool is not None else None


def _close(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.close_pool(_pool(world, step)).value.status


def _claims_closure(world: "World", step: Step) -> list[EntryName]:
    return [("pool_close", (_pool(world, step),)), ("pool_close_in", (_pool(world, step),))]


def _effect_of_closure(case: "Case") -> None:
    """All that is left goes to the owner."""
    if case.entry.key.kind == "pool_close_in":
        received(case)
        return
    if case.purse.exact:
        case.expect("points left", -case.entry.points, case.before.balance)
    gone(case, "pool_close_in", case.entry.key.parts, -case.entry.points)
    case.take(-case.entry.points, day_of(case.entry.occurred_at, case.terms))


operation(Operation("open pool", weight=25, draw=_draw_opening, send=_open, topic="pool", repeated=True))
operation(Operation("let in", weight=45, draw=_draw_part, send=_let_in, topic="pool", repeated=True))
operation(
    Operation(
        "contribute",
        weight=110,
        draw=_draw_points,
        send=_contribute,
        claims=lambda _world, step: [(kind, (f"pc{step.number}",)) for kind in ("contribution", "contribution_in")],
        effect=_effect_of_contribution,
        topic="pool",
        repeated=True,
    )
)
operation(
    Operation(
        "spend of pool",
        weight=160,
        draw=_draw_points,
        send=_spend,
        claims=lambda _world, step: [("pool_spend", (f"ps{step.number}",))],
        effect=_effect_of_spend,
        variant_of=lambda item: int(item["rf"][-1]),
        topic="pool",
        keyed=True,
        payer=_pool,
    )
)
operation(
    Operation(
        "close pool",
        weight=4,
        draw=_draw_closure,
        send=_close,
        claims=_claims_closure,
        effect=_effect_of_closure,
        topic="pool",
    )
)
