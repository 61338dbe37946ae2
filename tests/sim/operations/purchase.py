"""A purchase: mostly told at once, sometimes late, now and then partly paid with points."""

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.ids import ShopId
from chalicelib.members.models import MemberRef
from chalicelib.purchases.models import PurchaseLine, RecordPurchase
from tests.sim.commands import Args, Operation, Past, Step, operation
from tests.sim.purse import Terms, day_of, last_day, matures_on, month_number, tier, worth
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

CHANNEL = "sim"


@dataclass
class Sale:
    """What the judge remembers of a purchase, for its returns."""

    terms: Terms
    percent: int
    bought_on: date
    last_day: date
    matures_on: date | None
    paid: int
    goods: int
    earned: int
    tender: int
    qualifying: int
    back: int = 0
    refunded: int = 0
    taken: int = 0
    given: int = 0
    unqualified: int = 0


def draw(chance: Random, past: Past) -> Args:
    """A basket of one to three lines, or an amount without lines."""
    paid = chance.choice((chance.randrange(100, 2_000), chance.randrange(100, 6_000), chance.randrange(0, 40_000)))
    lines = [(chance.randrange(1, 4), chance.randrange(1, 30) * 50) for _ in range(chance.choice((0, 0, 1, 2, 3)))]
    goods = sum(quantity * price for quantity, price in lines)
    tender = chance.randrange(1, 60) if chance.random() < 0.2 else 0
    if lines:
        tender = min(tender, goods)
        paid = goods - tender if chance.random() < 0.7 else paid
    return {
        "member": past.member(chance),
        "paid": max(paid, 0 if tender or lines else 1),
        "tender": tender,
        "lines": lines,
        "late": drawn_lateness(chance),
    }


def drawn_lateness(chance: Random, most: int = 400) -> int:
    """Minutes by which something is told late."""
    draw = chance.random()
    if draw < 0.7:
        return 0
    return chance.randrange(60 * 24 * min(most, 2 if draw < 0.8 else 30 if draw < 0.93 else most))


def send(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    """Record it."""
    args = step.args
    lines = tuple(
        PurchaseLine(sku=f"L{place}", quantity=quantity, unit_price_minor=price)
        for place, (quantity, price) in enumerate(args["lines"])
    )
    command = RecordPurchase(
        channel=CHANNEL,
        order_no=f"o{step.number}",
        member=MemberRef(member_id=world.whom(step)),
        shop_id=ShopId(f"shp_v{variant}"),
        occurred_at=world.asked_at(step) - timedelta(minutes=args["late"]),
        currency="CNY",
        lines=lines,
        paid_minor=args["paid"] + 100 * variant,
        points_tender=args["tender"] or None,
    )
    return desk.buy(command)


def effect(case: "Case") -> None:
    """It gives what was paid for, by the tier of its month, and takes the points that paid for some of it."""
    args, entry, terms, purse = case.command.step.args, case.entry, case.terms, case.purse
    paid, tender = args["paid"] + 100 * case.variant, args["tender"]
    bought_on = day_of(entry.occurred_at, terms)
    percent = tier(purse.qualifying, terms, bought_on)["multiplier_percent"]
    base, total = worth(paid, terms), worth(paid, terms, percent)
    last = last_day(bought_on, terms) if total else None
    matures = matures_on(bought_on, terms, day_of(case.attempt.now, terms)) if total else None

    case.happened_at(case.world.asked_at(case.command.step) - timedelta(minutes=args["late"]))
    case.expect("points earned", entry.earned or 0, total)
    case.expect("qualifying points", entry.qualifying or 0, base)
    case.expect("points tendered", entry.consumed or 0, tender)
    case.expect("last day", entry.expires_on, last)
    case.expect("first day", entry.matures_on, matures)
    case.needs(tender)
    purse.give(entry.key, total, last or bought_on, matures)
    if tender:
        purse.take(entry.key, tender, bought_on, terms)
    purse.qualifying[month_number(bought_on)] += base
    case.expect("tier", entry.tier_after, tier(purse.qualifying, terms, case.today)["tier_id"])
    goods = sum(quantity * price for quantity, price in args["lines"]) or paid + tender
    case.notes[entry.key.parts] = Sale(
        terms, percent, bought_on, last or bought_on, matures, paid, goods, total, tender, base
    )


operation(
    Operation(
        "purchase",
        weight=300,
        draw=draw,
        send=send,
        claims=lambda _world, step: [("purchase", (CHANNEL, f"o{step.number}"))],
        effect=effect,
        variant_of=lambda item: int(item["sh"][-1]),
        keyed=True,
    )
)
