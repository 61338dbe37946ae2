"""An order is said to be otherwise: what the customer keeps, whatever happened before."""

from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.purchases.models import PurchaseLine
from chalicelib.storage import keys
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.operations.give_back import settled, written_off
from tests.sim.operations.purchase import CHANNEL, Sale, order_of
from tests.sim.purse import day_of, month_number, worth
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World


def draw(chance: Random, past: Past) -> Args | None:
    """Other lines, more or less money, other points that pay."""
    bought = past.some("purchase", chance)
    if bought is None:
        return None
    args = bought.args
    paid = chance.choice((0, args["paid"] // 2, args["paid"], args["paid"] + 1_500, chance.randrange(100, 6_000)))
    tender = chance.choice((0, args["tender"], args["tender"] // 2, chance.randrange(1, 40)))
    lines = [[place, quantity, price] for place, (quantity, price) in enumerate(args["lines"])]
    if lines and chance.random() < 0.6:
        lines[chance.randrange(len(lines))][1] += chance.choice((1, -1))
    lines = [line for line in lines if line[1]]
    return {"of": bought.number, "order": order_of(bought), "paid": paid, "tender": tender, "lines": lines}


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Say so."""
    args = step.args
    lines = tuple(
        PurchaseLine(sku=f"L{place}", quantity=quantity, unit_price_minor=price)
        for place, quantity, price in args["lines"]
    )
    order = keys.purchase_id(CHANNEL, args["order"])
    return desk.restate(order, lines=lines, paid_minor=args["paid"], points_tender=args["tender"]).value.purchase_id


def effect(case: "Case") -> None:
    """The order is as if it had been bought so: what came back before counts no more, what it brings is the rest."""
    entry, args, terms = case.entry, case.command.step.args, case.terms
    if entry.key.kind == "write_off":
        written_off(case, terms["negative_balance"] == "cap")
        return
    sale: Sale | None = case.notes.get(entry.key.parts[:2])
    if sale is None:
        case.complain("I4", "a restatement of a purchase that is not there")
        return
    paid, tender = args["paid"], args["tender"]
    earned = worth(paid, sale.terms, sale.percent)
    kept = sale.earned - sale.taken
    if terms["negative_balance"] == "pending_only" and not sale.pends(day_of(case.attempt.now, terms)):
        earned = max(earned, kept)
    tendered = tender - (sale.tender - sale.given)
    qualifying = worth(paid, sale.terms)
    qualified = qualifying - (sale.qualifying - sale.unqualified)

    case.expect("points earned", entry.earned or 0, earned - kept)
    case.expect("points tendered", entry.consumed or 0, tendered)
    case.expect("qualifying points", entry.qualifying or 0, qualified)
    if tendered > 0:
        case.needs(tendered)
    if (earned > kept or tendered > 0) and case.status != "active":
        case.complain("I3", f"it gives or takes points, and the account is {case.status}")
    if earned != kept:
        case.expect("last day", entry.expires_on, sale.last_day)
        case.give(earned - kept, sale.last_day, sale.matures_on, key=entry.cause)
    if tendered:
        case.take(tendered, sale.tendered_on, key=entry.cause)
    settled(case, sale, (earned - kept) - tendered, earned)
    case.qualify(month_number(sale.bought_on), qualified)
    goods = sum(quantity * price for _, quantity, price in args["lines"]) or paid + tender
    case.notes[entry.key.parts[:2]] = Sale(
        sale.terms, sale.percent, sale.bought_on, sale.tendered_on, sale.last_day, sale.matures_on,
        paid, goods, earned, tender, qualifying, sale.awaits, owing=sale.owing, most=sale.most,
    )  # fmt: skip


operation(
    Operation(
        "restate",
        weight=120,
        draw=draw,
        send=send,
        claims=lambda _world, step: [
            ("restatement", (CHANNEL, step.args["order"])),
            ("write_off", ("restatement", CHANNEL, step.args["order"])),
        ],
        effect=effect,
        topic="order",
        repeated=True,
        payer=lambda _world, _step: None,
    )
)
