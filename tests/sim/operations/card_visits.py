"""Cards of visits: used, used by mistake, made to last longer, paid back."""

from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.cards.models import ExtendCard, Paid, RefundCard, ReverseCardUse, UseCard
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.ids import CardId
from chalicelib.storage import keys
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.purse import day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def card_of(world: "World", step: Step) -> CardId:
    """The card that a step is about."""
    return CardId.of("key", f"n{world.target(step)}")


def _draw_sale(chance: Random, past: Past) -> Args | None:
    if len(past.steps("sell card")) >= 3:
        return None
    return {"member": past.member(chance), "uses": chance.choice((5, 10, 30)), "lasts": chance.choice((None, 3, 60)),
            "price": chance.choice((0, 1_000, 9_999))}  # fmt: skip


def _last(world: "World", step: Step, name: str = "lasts") -> date | None:
    lasts = step.args[name]
    return day_of(world.asked_at(step), world.plan.terms) + timedelta(days=lasts) if lasts is not None else None


def _sell(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    price = step.args["price"]
    means = (Paid(kind="cash", amount_minor=price),) if price else ()
    fields: Args = {"kind": "count", "uses": step.args["uses"], "price_minor": price, "means": means}
    if step.args["lasts"] is not None:
        fields["expires_on"] = _last(world, step)
    return desk.open_card(world.whom(step), key=f"n{step.number}", **fields).value.card_id


def _effect_of_sale(case: "Case") -> None:
    """So many visits are there until their day."""
    args, last = case.command.step.args, _last(case.world, case.command.step) or NEVER
    case.expect("visits", case.entry.earned, args["uses"])
    case.expect("last day", case.entry.expires_on, last)
    case.give(args["uses"], last)
    case.notes["visits", case.purse.owner] = {"last": last, "uses": args["uses"], "price": args["price"], "back": 0}


def _draw_of_card(chance: Random, past: Past) -> Args | None:
    card = past.some("sell card", chance)
    return {"of": card.number, "count": chance.choice((1, 1, 2, 7))} if card is not None else None


def _use(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    command = UseCard(count=step.args["count"] + variant, reference=f"v{variant}")
    return desk.on_card(card_of(world, step), command, key=f"i{step.number}")


def _effect_of_use(case: "Case") -> None:
    """It takes so many visits, of those that are there."""
    count = case.command.step.args["count"] + case.variant
    case.expect("visits", -case.entry.points, count)
    if case.purse.exact and count > case.before.balance:
        case.complain("I12", f"{count} visits of {case.before.balance}")
    case.take(count, day_of(case.entry.occurred_at, case.terms))
    case.notes["use", case.entry.key] = [count, 0]


def _draw_mistake(chance: Random, past: Past) -> Args | None:
    used = past.some("use card", chance)
    return {"of": used.number, "card": used.args["of"], "count": chance.choice((None, 1, 2))} if used else None


def _take_back(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    used = world.step(world.target(step))
    card = card_of(world, used) if used is not None else CardId.of("key", f"n{step.args['card']}")
    use_id = keys.entry_id(keys.entry("card_use", f"i{world.target(step)}"))
    command = ReverseCardUse(use_id=use_id, count=step.args["count"], reason=f"v{variant}")
    return desk.on_card(card, command, key=f"j{step.number}")


def _effect_of_taking_back(case: "Case") -> None:
    """Visits are there again as if they had not been used, and never more than were."""
    used = case.notes.get(("use", case.entry.cause), [0, 0])
    count = case.command.step.args["count"] or used[0] - used[1]
    used[1] += count
    if used[1] > used[0]:
        case.complain("I12", f"{used[1]} visits were taken back of {used[0]}")
        return
    case.expect("visits", case.entry.points, count)
    case.take(-count, case.purse.takings[case.entry.cause].day, key=case.entry.cause)


def _draw_extension(chance: Random, past: Past) -> Args | None:
    card = past.some("sell card", chance)
    return {"of": card.number, "later": chance.choice((1, 30, 200))} if card is not None else None


def _extend(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    last = _last(world, step, "later")
    assert last is not None
    command = ExtendCard(expires_on=last + timedelta(days=variant), reason=f"v{variant}")
    return desk.on_card(card_of(world, step), command, key=f"l{step.number}")


def _effect_of_extension(case: "Case") -> None:
    """What was sold and not paid back lasts until the later day, also where it had expired."""
    sale = case.notes["visits", case.purse.owner]
    last = (_last(case.world, case.command.step, "later") or NEVER) + timedelta(days=case.variant)
    case.expect("points", case.entry.points, 0)
    if last <= sale["last"]:
        case.complain("I12", f"{last} is no later day than {sale['last']}")
    moved = sale["uses"] - sale["back"]
    case.give(-moved, sale["last"], key=(case.entry.key, "from"))
    case.give(moved, last, key=(case.entry.key, "to"))
    sale["last"] = last


def _draw_refund(chance: Random, past: Past) -> Args | None:
    card = past.some("sell card", chance)
    return {"of": card.number, "count": chance.choice((None, 1, 2))} if card is not None else None


def _refund(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    command = RefundCard(uses=step.args["count"], reason=f"v{variant}")
    return desk.on_card(card_of(world, step), command, key=f"w{step.number}")


def _effect_of_refund(case: "Case") -> None:
    """Visits that are left go, and their share of the price is paid back."""
    sale = case.notes["visits", case.purse.owner]
    count = case.command.step.args["count"] or case.before.balance
    if case.purse.exact and count > case.before.balance:
        case.complain("I12", f"{count} visits paid back of {case.before.balance}")
    case.expect("visits", -case.entry.points, count)
    shares = [sale["price"] * back // sale["uses"] for back in (sale["back"], sale["back"] + count)]
    paid = sum(each[1] for each in (case.item.get("what") or {}).get("means") or ())
    if paid != shares[1] - shares[0]:
        case.complain("I12", f"{paid} is paid back, should be {shares[1] - shares[0]}")
    case.give(-count, sale["last"], key=(case.entry.key, "back"))
    sale["back"] += count


operation(
    Operation(
        "sell card",
        weight=30,
        draw=_draw_sale,
        send=_sell,
        claims=lambda _world, step: [("card", (f"n{step.number}",))],
        effect=_effect_of_sale,
        topic="visits",
        repeated=True,
    )
)
for name, weight, draw, send, key, mark, effect in (
    ("use card", 120, _draw_of_card, _use, "card_use", "i", _effect_of_use),
    ("take use back", 60, _draw_mistake, _take_back, "card_use_reversal", "j", _effect_of_taking_back),
    ("extend card", 30, _draw_extension, _extend, "card_extension", "l", _effect_of_extension),
    ("pay visits back", 25, _draw_refund, _refund, "card_refund", "w", _effect_of_refund),
):
    operation(
        Operation(
            name,
            weight=weight,
            draw=draw,
            send=send,
            claims=lambda _world, step, key=key, mark=mark: [(key, (f"{mark}{step.number}",))],  # type: ignore[misc]
            effect=effect,
            variant_of=lambda item: int((item.get("rc") or item["rf"])[-1]),
            topic="visits",
            keyed=True,
            payer=card_of if name == "use card" else (lambda _world, _step: None),
        )
    )
