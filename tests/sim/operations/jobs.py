"""What jobs do to a member, one at a time or by walking the index of what is due; late, twice or never."""

from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.points.models import Due
from chalicelib.points.service import bring_up_to_date
from chalicelib.storage import keys
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.purse import day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args:
    """A job and a member."""
    return {"member": past.member(chance), "due": chance.choice(list(Due)).value, "times": chance.choice((1, 1, 2))}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Bring the member up to date."""
    due = Due(step.args["due"])
    done = None
    for _ in range(step.args["times"]):
        done = bring_up_to_date(desk.table, desk.book, world.whom(step), due, now=desk.clock())
    return done


def draw_sweep(chance: Random, past: Past) -> Args:
    """A job."""
    return {"due": chance.choice(list(Due)).value}


def sweep(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Bring everybody up to date whom the index names for yesterday or today."""
    today, due, done = day_of(desk.clock(), world.plan.terms), Due(step.args["due"]), 0
    for day in (today - timedelta(days=1), today):
        for partition in keys.due_partitions(day):
            for row in desk.table.query_due(partition, after=None, limit=50).items:
                account = keys.account_of(row["pk"])
                done += bring_up_to_date(desk.table, desk.book, account, due, now=desk.clock()) is not None
    return done


operation(Operation("job", weight=100, draw=draw, send=send))
operation(Operation("sweep", weight=5, draw=draw_sweep, send=sweep))
