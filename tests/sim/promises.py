"""What commands that end a hold were told, against how it ended: a promise to a till is kept as long as it lasts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.storage import keys
from chalicelib.storage.writes import Item
from tests.sim.commands import Attempt, Command

if TYPE_CHECKING:
    from tests.sim.world import World

_TO_THE_MEMBER = {
    "member_suspended", "member_closed", "transfer_uncovered", "transfer_to_self", "balance_too_large",
}  # fmt: skip
"""Why a transfer may not be accepted though it is open."""


def unkept(world: "World", command: Command, kind: str, key: str) -> Sequence[str]:
    """What is wrong with the answers to a command that ends a hold.

    Args:
        kind: of the entry that made the hold.
    """
    items, places = world.items_now, world.backing.log.places
    made, end = keys.entry(kind, key), keys.entry("hold_end", kind, key)
    hold, ended = items.get(made), items.get(end)
    found = []
    for attempt in command.attempts:
        words = f"I10 step {command.step.number} {command.step.operation}"
        code = attempt.refusal.code if attempt.refusal is not None else ""
        over = ended is not None and places[end] < attempt.ended
        if attempt.told == "ack" and not over and command.step.operation != "purchase":
            found.append(f"{words}: told that {key} ended, which it had not")
        there = hold is not None and places[made] < attempt.began and _is_theirs(world, command, hold)
        if code in ("hold_unknown", "transfer_unknown") and there:
            found.append(f"{words}: there is no {key}, but there is")
        if (
            code in ("hold_over", "transfer_over")
            and hold is not None
            and not over
            and not _is_over(world, hold, attempt)
        ):
            found.append(f"{words}: {key} is over, but it lasts until {hold['hu']}")
        if kind == "hold" and command.step.operation == "capture" and code in _TO_THE_MEMBER | {"points_insufficient"}:
            found.append(f"{words}: a hold that is live was not captured ({code})")
    return found


def _is_theirs(world: "World", command: Command, hold: Item) -> bool:
    """Whether a purchase is that of the member whose points are held; who ends a hold names no member."""
    if command.step.operation != "purchase":
        return True
    return not world.joined and keys.statement(world.whom(command.step)) == hold["tl"]


def _is_over(world: "World", hold: Item, attempt: Attempt) -> bool:
    """Whether a hold's time is over, by the clock that was asked or by one that wrote to its account."""
    if from_milliseconds(hold["hu"]) <= attempt.now or world.joined:
        return True
    places = world.backing.log.places
    recorded = [
        keys.moment_parts(item["at"])[0]
        for key, item in world.items_now.items()
        if item.get("tl") == hold["tl"] and "r" in item and places[key] < attempt.ended
    ]
    return max(recorded) + 1 >= int(hold["hu"])
