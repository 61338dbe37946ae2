"""An entry is taken back, and what took it back too: by a key that follows from the entry's."""

from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.corrections.models import ReverseEntry
from chalicelib.corrections.service import reverse_entry
from chalicelib.kernel.languages import Language
from chalicelib.points.models import EntryKey
from chalicelib.storage import keys
from tests.sim.commands import Args, EntryName, Operation, Past, Step, operation
from tests.sim.operations.give_back import pay, written_off
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

_OF = {"spend": "s", "adjust": "a", "capture": "h", "spend of pool": "ps", "return": "r"}
_KINDS = {"spend": "spend", "adjust": "adjust", "spend of pool": "pool_spend"}


def draw(chance: Random, past: Past) -> Args | None:
    """A spend, an adjustment, a captured hold or a write-off; or a reversal."""
    targets = [step for name in _OF for step in (past.some(name, chance), past.some(name, chance)) if step is not None]
    before = past.some("reverse", chance)
    if before is not None and chance.random() < 0.35:
        return {**before.args, "level": before.args["level"] % 3 + 1}
    if not targets:
        return None
    return {"level": 1, **_target(chance.choice(targets))}


def _target(step: Step) -> Args:
    if step.operation == "capture":
        return {"of": step.number, "kind": "hold_end", "parts": ("hold", f"h{step.args['of']}")}
    if step.operation == "return":
        return {"of": step.number, "kind": "write_off", "parts": ("sim", step.args["order"], f"r{step.number}")}
    return {"of": step.number, "kind": _KINDS[step.operation], "parts": (f"{_OF[step.operation]}{step.number}",)}


def _entry(step: Step, level: int) -> EntryName:
    """The entry itself, or what takes it back for the first, second … time."""
    kind, parts = step.args["kind"], tuple(step.args["parts"])
    return ("reverse", (str(level), kind, *parts)) if level else (kind, parts)


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Take it back."""
    kind, parts = _entry(step, step.args["level"] - 1)
    entry_id = keys.entry_id(keys.entry(kind, *parts))
    command = ReverseEntry(reason_code=f"v{variant}")
    return reverse_entry(desk.table, desk.book, entry_id, command, now=desk.clock(), language=Language.EN)


def claims(world: "World", step: Step) -> list[EntryName]:
    """What takes it back, and what writes off the debt that it leaves."""
    kind, parts = _entry(step, step.args["level"])
    return [(kind, parts), ("write_off", (kind, *parts))]


def effect(case: "Case") -> None:
    """Nothing of what the entry did is left, nor of its write-off; what was spent meanwhile is owed, or written off."""
    entry = case.entry
    if entry.key.kind == "write_off":
        owes = case.terms["negative_balance"] == "owe" or entry.key.parts[2] == "write_off"
        written_off(case, not owes)
        return
    target = entry.cause
    if target is None or not case.undo(target):
        case.complain("I2", "it takes back what is not there")
        return
    if target.kind == "write_off" or (target.kind == "reverse" and target.parts[1] == "write_off"):
        case.expect("points", entry.points, -case.notes["points", target])
        _settle(case, target)
        return
    brought = case.notes["points", target] + case.notes.get(("paid", target), 0)
    paid = pay(case, [(case.notes["at", target], -brought)] if brought < 0 else [])
    case.notes["paid", entry.key] = paid
    case.expect("points", entry.points, -brought - paid)
    _correct_limit(case)


def _settle(case: "Case", target: EntryKey) -> None:
    """A write-off is taken back whole, or not at all; to be put back, there must be a debt."""
    off = EntryKey(kind="write_off", parts=target.parts if target.kind == "write_off" else target.parts[2:])
    debt, points = case.purse.forgiven.get(off), -case.entry.points
    if debt is None:
        if case.purse.recalls:
            case.complain("I2", "what it takes back wrote nothing off")
        return
    if case.purse.recalls and points > debt.points:
        case.complain("I1", f"{points} points of a write-off are taken back, of {debt.points} that are left of it")
    if case.purse.exact and case.before.balance > points and points < 0:
        case.complain("I1", f"{-points} points are written off, where {case.before.balance} are there")
    debt.points -= points


def _correct_limit(case: "Case") -> None:
    """A spend of a pool that is taken back counts no more against its month's limit; put back, it counts again."""
    _, kind, *parts = case.entry.key.parts
    place = case.notes.get(("spent of pools", EntryKey(kind=kind, parts=tuple(parts))))
    if place is not None:
        case.notes["spent of pools"][place] -= case.entry.points


operation(
    Operation(
        "reverse",
        weight=90,
        draw=draw,
        send=send,
        claims=claims,
        effect=effect,
        variant_of=lambda item: int(item["rc"][-1]) if item["rc"] != "write_off" else -1,
        topic="reverse",
        keyed=True,
    )
)
