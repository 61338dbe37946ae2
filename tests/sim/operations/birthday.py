"""A birthday gift, by the job that comes late, twice or never: one a year, whoever asks."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.members.service import give_birthday_gift
from tests.sim.commands import Args, EntryName, Operation, Past, Step, operation
from tests.sim.purse import day_of, last_day
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """A member's birthday, some days ago."""
    return {"member": past.member(chance), "late": chance.choice((0, 0, 1, 7))}


def _on(world: "World", step: Step) -> Any:
    return day_of(world.asked_at(step), world.plan.terms) - timedelta(days=step.args["late"])


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Give it."""
    return give_birthday_gift(desk.table, desk.book, world.whom(step), on=_on(world, step), now=desk.clock())


def claims(world: "World", step: Step) -> list[EntryName]:
    """The gift of the year."""
    return [("birthday", (world.whom(step), f"{_on(world, step).year:04d}"))]


def effect(case: "Case") -> None:
    """It gives what the tier held that day gives, unless there was a gift that year under any id."""
    on, purse, terms = _on(case.world, case.command.step), case.purse, case.terms
    given = case.notes.setdefault(("gifts", on.year), set())
    if given & {purse.owner, *purse.absorbed}:
        case.complain("I2", f"a second gift in {on.year}")
    given.add(case.entry.key.parts[0].replace("mem_", "M#"))
    points = purse.tier(terms, on)["birthday_points"]
    case.expect("points given", case.entry.points, points)
    case.expect("last day", case.entry.expires_on, last_day(on, terms))
    case.give(points, last_day(on, terms))


operation(Operation("birthday", weight=40, draw=draw, send=send, claims=claims, effect=effect, variant_of=lambda _: 0))
