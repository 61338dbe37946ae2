"""What happens to a member beside points: enrolled, edited, suspended, reinstated, closed."""

from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.outcomes import Outcome
from tests.makers import an_enrolment
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

_MOBILES = 6
"""So few numbers that members want the same ones."""


def _mobile(number: int) -> str:
    return f"+86138001380{number:02d}"


def _draw_enrolment(chance: Random, past: Past) -> Args:
    return {"mobile": chance.randrange(_MOBILES * 2)}


def _enrol(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    number = step.args["mobile"]
    fields = {"mobile": _mobile(number)} if number < _MOBILES else {}
    command = an_enrolment(name=f"v{variant}", card_no=f"c{step.number}", **fields)
    outcome = desk.enrolled(command, key=f"e{step.number}")
    member = outcome.value.member_id
    if member not in world.members:
        world.members.append(member)
    return Outcome(member, replayed=outcome.replayed)


def _draw_edit(chance: Random, past: Past) -> Args:
    return {"member": past.member(chance), "mobile": chance.randrange(_MOBILES * 2)}


def _edit(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    member, number = world.whom(step), step.args["mobile"]
    read = desk.member(member)
    fields = {"mobile": _mobile(number)} if number < _MOBILES else {"name": f"n{step.number}"}
    return desk.edit(member, read.version, **fields).member_id


def _draw_standing(chance: Random, past: Past) -> Args:
    return {"member": past.member(chance), "suspended": chance.random() < 0.2}


def _change_standing(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    change = desk.suspend if step.args["suspended"] else desk.reinstate
    return change(world.whom(step)).value.status


def _draw_closure(chance: Random, past: Past) -> Args:
    return {"member": past.member(chance), "forfeit": chance.random() < 0.8}


def _close(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.close(world.whom(step), forfeit=step.args["forfeit"]).value.status


def _effect_of_closure(case: "Case") -> None:
    """It leaves nothing, whether there was something or something was owed."""
    balance = case.purse.on(case.today).balance
    if case.purse.exact:
        case.expect("points forfeited", -case.entry.points, balance)
    if case.entry.points < 0:
        case.take(-case.entry.points, case.today)
    else:
        assert case.entry.expires_on is not None
        case.give(case.entry.points, case.entry.expires_on)


operation(Operation("enrol", weight=20, draw=_draw_enrolment, send=_enrol, keyed=True))
operation(Operation("edit", weight=20, draw=_draw_edit, send=_edit))
operation(Operation("standing", weight=30, draw=_draw_standing, send=_change_standing))
operation(
    Operation(
        "close",
        weight=1,  # who is closed does little for a simulation
        draw=_draw_closure,
        send=_close,
        claims=lambda world, _: [("close", (member,)) for member in world.members],  # another one may answer by then
        effect=_effect_of_closure,
        variant_of=lambda _: 0,
    )
)
