"""Two memberships of one person become one, and two again: all moves, and what was moved moves back."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.storage import keys
from tests.sim.commands import FAMILIES, Args, EntryName, Operation, Past, Step, operation
from tests.sim.purse import Purse, Settled
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

FAMILIES.add("MERGE")


@dataclass
class Merged:
    """What the judge remembers of a merge.

    Attributes:
        owners: whose account went, and into whose.
        homes: what the one brought belongs to.
        settled: of both, before.
        tiers: held by both before.
        at: when.
        points: that moved.
        way: what left the one account, until the other gets it in the same transaction.
    """

    owners: tuple[str, str]
    homes: set[str]
    booked: int
    settled: tuple[Settled | None, Settled | None]
    tiers: list[str]
    at: datetime
    points: int = 0
    way: Purse = field(default_factory=Purse)


def _draw(chance: Random, past: Past) -> Args:
    member = past.member(chance)
    return {"member": member, "into": member + chance.choice((1, 1, 2, 3))}


def _merge(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    world.joined = True
    return desk.merge(world.whom(step), world.whom(step, "into"), key=f"g{step.number}").value.merge_id


def _draw_undoing(chance: Random, past: Past) -> Args | None:
    merged = past.fresh("merge", chance)
    return {"of": merged.number} if merged is not None else None


def _undo(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.undo_merge(keys.merge_id(f"g{world.target(step)}")).value.merge_id


def _claims_undoing(world: "World", step: Step) -> list[EntryName]:
    return [("unmerge", (f"g{world.target(step)}",)), ("unmerge_in", (f"g{world.target(step)}",))]


def _effect(case: "Case") -> None:
    """All that the one had is the other's, and the tier of neither falls."""
    if case.entry.key.kind == "merge":
        _effect_of_going(case)
    else:
        _effect_of_staying(case)


def _effect_of_going(case: "Case") -> None:
    purse, item = case.purse, case.item
    into = case.purses[keys.statement(item["mi"])]
    if any(hold.until > case.attempt.now for hold in purse.holds.values()):
        case.complain("I10", "points of the member who goes are on hold")
    balance = purse.on(case.today).balance
    if purse.exact:
        case.expect("points that go", -case.entry.points, balance)
    tiers = [each.tier(case.terms, case.today)["tier_id"] for each in (purse, into)]
    homes = {purse.owner, *purse.absorbed}
    case.notes["merge", case.entry.key.parts] = Merged(
        (purse.owner, into.owner),
        homes,
        purse.booked,
        (purse.settled, into.settled),
        tiers,
        case.entry.recorded_at,
        -case.entry.points,
    )
    merged: Merged = case.notes["merge", case.entry.key.parts]
    purse.move(merged.way, homes)
    purse.booked = 0


def _effect_of_staying(case: "Case") -> None:
    merged: Merged | None = case.notes.get(("merge", case.entry.key.parts))
    if merged is None or merged.owners[1] != case.purse.owner:
        case.complain("I11", "nothing went into it")
        return
    merged.way.move(case.purse, merged.homes)
    case.purse.absorbed |= merged.homes
    case.purse.booked += merged.booked
    case.expect("points that came", case.entry.points, merged.points)
    anchor = case.entry.anchor
    case.purse.settled = Settled(int(anchor.month), anchor.tier_id, anchor.review_after) if anchor else None
    held = case.purse.tier(case.terms, case.today)["tier_id"]
    if held < max(merged.tiers):  # tiers are called by their rank
        case.complain("I11", f"the tier is {held}, and was {merged.tiers}")


def _paid(case: "Case", merged: Merged) -> int:
    """Debts that were written off while both were one are paid for by what either has again; how many points."""
    paid = left = -sum(why.points for why in case.entry.why if why.rule_id == "write_off")
    for debt in sorted(case.purse.forgiven.values(), key=lambda each: each.at):
        part = min(debt.points, left) if debt.at > merged.at else 0
        if part > 0:
            debt.points -= part
            left -= part
            case.purse.give((case.entry.key, debt.at), -part, debt.last_day)
    if left:  # the one's points paid for the other's debt, which is told apart now
        for owner in merged.owners:
            case.purses[owner].exact = False
    return paid


def _effect_of_undoing(case: "Case") -> None:
    """What came goes back, with what happened to it since; what else happened since stays."""
    merged: Merged | None = case.notes.get(("merge", case.entry.key.parts))
    if merged is None:
        case.complain("I11", "nothing was merged")
        return
    case.purse.recalls = False  # what paid for whose debts while both were one is not told apart
    if case.entry.key.kind == "unmerge_in":
        merged.way.move(case.purse, merged.homes)
        case.purse.booked, case.purse.settled = merged.booked, merged.settled[0]
        case.expect("points that went back", case.entry.points + _paid(case, merged), merged.points)
        return
    into = case.purse
    before = into.on(case.today).balance + into.on(case.today).lapsed - into.booked
    into.move(merged.way, merged.homes)
    into.absorbed -= merged.homes
    into.booked, into.settled = into.booked - merged.booked, merged.settled[1]
    after = into.on(case.today).balance + into.on(case.today).lapsed - into.booked
    merged.points = -case.entry.points - _paid(case, merged)
    if into.exact:
        case.expect("points that go back", merged.points, before - after)


operation(
    Operation(
        "merge",
        weight=30,
        draw=_draw,
        send=_merge,
        claims=lambda _world, step: [(kind, (f"g{step.number}",)) for kind in ("merge", "merge_in")],
        effect=_effect,
        topic="merge",
        repeated=True,
    )
)
operation(
    Operation(
        "undo merge",
        weight=25,
        draw=_draw_undoing,
        send=_undo,
        claims=_claims_undoing,
        effect=_effect_of_undoing,
        topic="merge",
        repeated=True,
    )
)
