"""Somebody looks at a member's points and statement: what they see must have been true."""

from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.languages import Language
from chalicelib.points.service import list_statement
from chalicelib.purchases.service.reading import list_purchases
from tests.sim.commands import Args, Attempt, Operation, Past, Seen, Step, operation
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """A member."""
    return {"member": past.member(chance), "lines": chance.choice((0, 3, 25))}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Look at the points, at a page of the statement, where no line is missing, and at what was bought."""
    member = world.whom(step)
    if step.args["lines"]:
        page = list_statement(desk.table, desk.book, member, after=None, limit=step.args["lines"], language=Language.EN)
        for whose in {line.account_id for line in page.items}:  # those of merged members stand in between
            lines = [line for line in page.items if line.account_id == whose]
            numbers = [line.seq for line in lines]
            dense = list(range(numbers[0], numbers[0] - len(numbers), -1))
            assert numbers == dense, f"I5 the statement shows lines {numbers}"
            balances = [line.balance_after - line.points for line in lines[:-1]]
            assert balances == [line.balance_after for line in lines[1:]], "I1 the statement does not add up"
        bought = list_purchases(desk.table, desk.book, member, after=None, limit=3, language=Language.EN).items
        orders = [each.seq for each in bought]
        assert world.joined or orders == sorted(set(orders), reverse=True), f"I5 purchases are shown as {orders}"
    return desk.points(member)


def seen(world: "World", step: Step, attempt: Attempt) -> Seen:
    """What can be spent, by what was shown."""
    return Seen(world.whom(step), attempt.value.available, old=True)


operation(Operation("look", weight=50, draw=draw, send=send, seen=seen))
