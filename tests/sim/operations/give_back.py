"""A return: of everything, of an amount or of lines; sometimes of more than there is."""

from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.storage import keys
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.operations.purchase import CHANNEL, Sale
from tests.sim.purse import closing, day_of, month_number, worth
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args | None:
    """Some of a purchase."""
    bought, before = past.some("purchase", chance), past.some("return", chance)
    if before is not None and chance.random() < 0.4:  # another part of what came back in part
        bought = next(step for step in past.steps("purchase") if step.number == before.args["of"])
    if bought is None:
        return None
    lines = bought.args["lines"]
    goods = sum(quantity * price for quantity, price in lines) or bought.args["paid"] + bought.args["tender"]
    args: Args = {"of": bought.number, "member": bought.args["member"]}
    how = chance.choice(("all", "amount", "amount", "lines", "too much"))
    if how == "lines" and lines:
        place = chance.randrange(len(lines))
        return args | {"lines": [(f"L{place}", chance.randrange(1, lines[place][0] + 1))]}
    if how in ("amount", "lines"):
        return args | {"amount": max(1, goods // chance.choice((2, 3, 7)))}
    if how == "too much":
        return args | {"amount": goods + chance.choice((0, 1, 100))}
    return args


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Send it back."""
    args = step.args
    asked: Args = {"reason": f"v{variant}"}
    if "amount" in args:
        asked["amount_minor"] = args["amount"]
    if "lines" in args:
        asked["lines"] = tuple({"sku": sku, "quantity": quantity} for sku, quantity in args["lines"])
    return desk.give_back(keys.purchase_id(CHANNEL, f"o{args['of']}"), key=f"r{step.number}", **asked)


def effect(case: "Case") -> None:
    """It takes back what was earned for that part, and gives back what points paid for it."""
    entry, purse, item = case.entry, case.purse, case.item
    order = entry.key.parts[:2]
    sale: Sale | None = case.notes.get(order)
    if sale is None:
        case.complain("I4", "a return of a purchase that is not there")
        return
    if entry.key.kind == "write_off":
        _write_off(case)
        return
    args = case.command.step.args
    amount = args.get("amount", sale.goods - sale.back)
    if "lines" in args:
        bought = case.world.plan.steps_by_number[args["of"]].args["lines"]
        amount = sum(quantity * bought[int(sku[1:])][1] for sku, quantity in args["lines"])
    sale.back += amount
    if sale.back > sale.goods:
        case.complain("I4", f"{sale.back} of {sale.goods} came back of order {order[1]}")
        return
    refunded = sale.paid * sale.back // sale.goods
    kept = sale.paid - refunded
    taken = sale.earned - worth(kept, sale.terms, sale.percent)
    pends = sale.matures_on is not None and sale.matures_on > day_of(case.attempt.now, case.terms)
    if case.terms["negative_balance"] == "pending_only" and not pends:
        taken = sale.taken
    given = sale.tender * sale.back // sale.goods
    unqualified = sale.qualifying - worth(kept, sale.terms)

    case.expect("goods", item["am"], amount)
    case.expect("money back", item["mb"], refunded - sale.refunded)
    case.expect("points taken back", -(entry.earned or 0), taken - sale.taken)
    case.expect("points given back", -(entry.consumed or 0), given - sale.given)
    case.expect("qualifying points taken back", -(entry.qualifying or 0), unqualified - sale.unqualified)
    if taken != sale.taken:
        case.expect("last day", entry.expires_on, sale.last_day)
        purse.give(entry.cause, sale.taken - taken, sale.last_day)
    if given != sale.given:
        purse.take(entry.cause, sale.given - given, sale.bought_on, case.terms)
    purse.qualifying[month_number(sale.bought_on)] -= unqualified - sale.unqualified
    sale.refunded, sale.taken, sale.given, sale.unqualified = refunded, taken, given, unqualified


def _write_off(case: "Case") -> None:
    """What a return would have left owing is written off at once, to the point."""
    case.expect("policy", case.terms["negative_balance"], "cap")
    owed = max(-case.purse.on(case.today).balance, 0) - case.owed_before
    if case.purse.exact:
        case.expect("points written off", case.entry.earned, owed)
    case.purse.give(case.entry.key, case.entry.earned or 0, closing(case.today, case.terms))


operation(
    Operation(
        "return",
        weight=180,
        draw=draw,
        send=send,
        claims=lambda _world, step: [
            (kind, (CHANNEL, f"o{step.args['of']}", f"r{step.number}")) for kind in ("return", "write_off")
        ],
        effect=effect,
        variant_of=lambda item: int(item["rc"][-1]) if item["rc"] != "write_off" else -1,
        keyed=True,
    )
)
