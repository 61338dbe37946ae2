"""A delivery is told: the points of its purchase that waited for it get their day, or can be spent at once."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.storage import keys
from tests.sim.commands import Args, Attempt, Command, Operation, Past, Step, operation
from tests.sim.operations.purchase import CHANNEL, Sale, bought_at, order_of
from tests.sim.purse import day_of, matures_on
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

_SOON = 25 * 86_400_000_000
"""Microseconds after which points that wait may lapse."""


def draw(chance: Random, past: Past) -> Args | None:
    """Of a purchase that waits, mostly, often of one that comes back just now; at times one that was told before."""
    before = past.some("delivery", chance)
    if before is not None and chance.random() < 0.2:
        return before.args | {"at": chance.choice((before.args["at"], before.args["at"], None))}
    bought = past.steps("purchase")
    waiting = [step for step in bought if step.args["waits"]]
    orders = {step.args["order"] for name in ("return", "restate") for step in past.steps(name)[-8:]}
    newest = {step.args["order"] for name in ("return", "restate") for step in past.steps(name)[-1:]}
    changed = [step for step in waiting if order_of(step) in orders]
    changing = [step for step in waiting if order_of(step) in newest]
    aged = [step for step in waiting if _SOON < past.at - step.at < 3 * _SOON]
    some = chance.choice((waiting[-3:], changing or changed, changed, aged, bought[-3:])) or waiting or bought
    if not some:
        return None
    step = chance.choice(some)
    return {"of": step.number, "order": order_of(step), "at": _drawn_moment(chance, past)}


def _drawn_moment(chance: Random, past: Past) -> int | None:
    """Seconds since the beginning, mostly some days ago, also before it was bought, or in the future; None is now."""
    now = past.at // 1_000_000
    ago = chance.choice((0, 60, 86_400, 86_400 * 3, 86_400 * 15, 86_400 * 90, -86_400))
    return None if chance.random() < 0.4 else max(now - ago, 0)


def _told_for(world: "World", step: Step) -> datetime | None:
    if step.args["at"] is None:
        return None
    return world.asked_at(step) + timedelta(seconds=step.args["at"]) - timedelta(milliseconds=step.at // 1_000)


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Tell it."""
    told = _told_for(world, step)
    order = keys.purchase_id(CHANNEL, step.args["order"])
    return desk.deliver(order, **({} if told is None else {"delivered_at": told}))


def effect(case: "Case") -> None:
    """What is left of the points gets its day, by the program of the purchase; nothing else changes."""
    entry, purse = case.entry, case.purse
    sale: Sale | None = case.notes.get(entry.key.parts)
    if sale is None or not sale.awaits:
        case.complain("I4", "a delivery of a purchase that is not there, or does not wait for one")
        return
    today, told = day_of(case.attempt.now, case.terms), _told_for(case.world, case.command.step)
    case.happened_at(told or max(case.attempt.now, bought_at(case.world, _purchase(case.world, case.command.step))))
    lapsed = sale.last_day < today
    begins_on = day_of(entry.occurred_at, sale.terms)
    sale.matures_on = None if lapsed else matures_on(begins_on, sale.last_day, sale.terms, today)
    before = case.before
    purse.mature(entry.cause, None)
    freed = before.pending - purse.on(case.today, entry.recorded_at).pending
    purse.mature(entry.cause, sale.matures_on)
    case.expect("points moved", entry.points, 0)
    points, first = entry.why[0].args
    if purse.exact:
        too_late = sale.matures_on is not None and sale.matures_on > sale.last_day
        case.expect("points freed", points, 0 if too_late else freed)
    case.expect("first day", first, (sale.matures_on or today).toordinal())


def _purchase(world: "World", step: Step) -> Step:
    """The step that recorded the purchase which a step is about."""
    place = world.backing.log.places[keys.purchase(CHANNEL, step.args["order"])]
    return world.attempts[world.backing.log.commits[place].by][0].step


def _check(world: "World", command: Command) -> list[str]:
    """Who was told that it is delivered told the same as who came first; who was refused had reason to be."""
    own = keys.delivery(CHANNEL, command.step.args["order"])
    item, place = world.items_now.get(own), world.backing.log.places.get(own, -1)
    first = world.attempts[world.backing.log.commits[place].by] if item is not None else None
    found = []
    for attempt in command.attempts:
        done = item is not None and place < attempt.ended
        same = first is not None and first[0].step.args["at"] == command.step.args["at"]
        wrong = None
        if attempt.told == "ack" and (item is None or not done or not same or attempt.value.hash != item["h"].hex()):
            wrong = "I3", "acknowledged, but it is not there as it was told"
        elif attempt.told == "refused":
            wrong = _wrongly_refused(world, command, attempt, place if item is not None else None, same=same)
        if wrong is not None:
            found.append(f"{wrong[0]} step {command.step.number} {command.step.operation}: {wrong[1]}")
    return found


def _wrongly_refused(
    world: "World", command: Command, attempt: Attempt, place: int | None, *, same: bool
) -> tuple[str, str] | None:
    """What is wrong with a refusal.

    Args:
        place: where in the log the delivery is, if it is there.
        same: it is the one that is told again.
    """
    assert attempt.refusal is not None
    log, code, step = world.backing.log, attempt.refusal.code, command.step
    words = f"refused ({code})"
    if place is not None and log.commits[place].by == attempt.number:
        return "I3", f"{words}, but it was done"
    if place is not None and same and place < attempt.began:
        return "I2", f"{words}, although it was done before"
    if code == "delivery_differs" and (place is None or place >= attempt.ended or same):
        return "I2", f"{words}, but nothing else was told"
    order = keys.purchase(CHANNEL, step.args["order"])
    bought = "r" in world.items_now.get(order, {})
    if code == "purchase_unknown" and bought and log.places[order] < attempt.began:
        return "I3", f"{words}, but it is there"
    if code == "delivery_not_awaited" and _purchase(world, step).args["waits"]:
        return "I3", f"{words}, but it waits for one"
    told = _told_for(world, step)
    if code == "occurred_in_future" and (told is None or told <= attempt.now):
        return "I3", f"{words}, but it is not"
    return None


def _draw_at_once(chance: Random, past: Past) -> Args | None:
    """Of one of the newest that wait, now."""
    waiting = [step for step in past.steps("purchase")[-6:] if step.args["waits"]]
    if not waiting:
        return None
    step = chance.choice(waiting)
    return {"of": step.number, "order": order_of(step), "at": None}


def _operation(name: str, weight: int, drawn: Callable[[Random, Past], Args | None], topic: str) -> Operation:
    return Operation(
        name,
        weight=weight,
        draw=drawn,
        send=send,
        claims=lambda _world, step: [("delivery", (CHANNEL, step.args["order"]))],
        effect=effect,
        topic=topic,
        repeated=True,
        payer=lambda _world, _step: None,
        check=_check,
    )


operation(_operation("delivery", 110, draw, ""))
operation(_operation("delivery at once", 160, _draw_at_once, "delivery"))
