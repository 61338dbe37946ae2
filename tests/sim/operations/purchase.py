"""A purchase: mostly told at once, sometimes late, now and then paid with points in part, or awaited by returns.

The points of some wait for a delivery (`delivery.py`).
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.ids import ShopId
from chalicelib.members.models import MemberRef
from chalicelib.points.models import Entry
from chalicelib.points.views import shown_maturity
from chalicelib.purchases.models import PurchaseLine, RecordPurchase
from chalicelib.storage import keys
from tests.sim.commands import Args, EntryName, Operation, Past, Step, operation
from tests.sim.promises import unkept
from tests.sim.purse import WAITING, Kept, Terms, day_of, last_day, matures_on, month_number, months_kept, worth
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

CHANNEL = "sim"


@dataclass
class Sale:
    """What the judge remembers of a purchase as it was last stated, for its returns.

    Attributes:
        tendered_on: the day on which the points that paid were taken, or reserved.
        matures_on: the first day on which its points can be spent; `WAITING` until a delivery is told.
        awaits: its points wait for a delivery, or did.
        owing: what it took and has not given back, and when; the newest last.
        most: the most that it ever earned.
    """

    terms: Terms
    percent: int
    bought_on: date
    tendered_on: date
    last_day: date
    matures_on: date | None
    paid: int
    goods: int
    earned: int
    tender: int
    qualifying: int
    awaits: bool
    back: int = 0
    refunded: int = 0
    taken: int = 0
    given: int = 0
    unqualified: int = 0
    owing: list[tuple[datetime, int]] = field(default_factory=list)
    most: int = 0

    def pends(self, day: date) -> bool:
        """Whether its points cannot be spent yet."""
        if self.matures_on == WAITING:
            return True
        return self.matures_on is not None and day < self.matures_on and day <= self.last_day


def draw(chance: Random, past: Past) -> Args:
    """A basket of one to three lines, or an amount without lines."""
    paid = chance.choice((chance.randrange(100, 2_000), chance.randrange(100, 6_000), chance.randrange(0, 40_000)))
    lines = [(chance.randrange(1, 4), chance.randrange(1, 30) * 50) for _ in range(chance.choice((0, 0, 1, 2, 3)))]
    goods = sum(quantity * price for quantity, price in lines)
    tender = chance.randrange(1, 60) if chance.random() < 0.2 else 0
    if lines:
        tender = min(tender, goods)
        paid = goods - tender if chance.random() < 0.7 else paid
    args: Args = {
        "member": past.member(chance),
        "paid": max(paid, 0 if tender or lines else 1),
        "tender": tender,
        "lines": lines,
        "late": drawn_lateness(chance),
        "waits": chance.random() < (0.5 if any(step.args["waits"] for step in past.steps("purchase")[-1:]) else 0.2),
    }
    return _awaited(args, chance, past) or _with_hold(args, chance, past)


def _awaited(args: Args, chance: Random, past: Past) -> Args | None:
    """A purchase for which a return waits, bought just before that one, mostly."""
    known = {step.args.get("order") for step in past.steps("purchase")}
    early = [step for step in past.steps("return") if step.args["of"] is None and step.args["order"] not in known]
    if not early or chance.random() < 0.6:
        return None
    step = chance.choice(early)
    ago = chance.choice((1, 1, 60, 3_600, -600, 86_400))
    return args | {"order": step.args["order"], "bought": max(step.at // 1_000_000 - ago, 0), "late": 0}


def _with_hold(args: Args, chance: Random, past: Past) -> Args:
    """A purchase that is paid with points that were held, where there are some."""
    held = past.fresh("hold", chance)
    if held is None or chance.random() < 0.85:
        return args
    return args | {"hold": held.number, "member": held.args["member"], "tender": chance.choice((0, 0, 5))}


def order_of(step: Step) -> str:
    """The number of a purchase's order."""
    return str(step.args.get("order", f"o{step.number}"))


def bought_at(world: "World", step: Step) -> datetime:
    """When it was bought, by the till."""
    if "bought" in step.args:
        since = timedelta(seconds=step.args["bought"]) - timedelta(milliseconds=step.at // 1_000)
        return min(world.asked_at(step) + since, world.asked_at(step))
    return world.asked_at(step) - timedelta(minutes=step.args["late"])


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
        order_no=order_of(step),
        member=MemberRef(member_id=world.whom(step)),
        shop_id=ShopId(f"shp_v{variant}"),
        occurred_at=bought_at(world, step),
        currency="CNY",
        lines=lines,
        paid_minor=args["paid"] + 100 * variant,
        points_tender=args["tender"] or None,
        awaits_delivery=args["waits"],
        points_hold_id=keys.hold_id(f"h{args['hold']}") if "hold" in args else None,
    )
    return desk.buy(command)


def claims(_world: "World", step: Step) -> list[EntryName]:
    """Its own entry."""
    return [("purchase", (CHANNEL, order_of(step)))]


def _multiplier(entry: Entry) -> int:
    """The per cent by which the points were multiplied, as the entry says."""
    return next((why.args[0] for why in entry.why if why.rule_id.startswith("tier.")), 100)


def effect(case: "Case") -> None:
    """It gives what was paid for, by the tier of its month, and takes the points that paid for some of it."""
    args, entry, terms, purse = case.command.step.args, case.entry, case.terms, case.purse
    paid, tender = args["paid"] + 100 * case.variant, args["tender"]
    bought_on = tendered_on = day_of(entry.occurred_at, terms)
    percent = purse.tier(terms, bought_on)["multiplier_percent"]
    today = day_of(case.attempt.now, terms)
    if month_number(today) - month_number(bought_on) > months_kept(terms):
        percent = _multiplier(entry)  # which tier was held so long ago is not promised
        if percent not in {tier["multiplier_percent"] for tier in terms["ladder"]["tiers"]}:
            case.complain("I1", f"no tier multiplies by {percent} %")
    base, total = worth(paid, terms), worth(paid, terms, percent)
    last = last_day(bought_on, terms)
    matures = WAITING if args["waits"] else matures_on(bought_on, last, terms, today)

    case.happened_at(bought_at(case.world, case.command.step))
    if "hold" in args:
        hold = _captured(case, args["hold"])
        tender, tendered_on = tender or hold.points, hold.day
    else:
        case.needs(tender)
    case.expect("points earned", entry.earned or 0, total)
    case.expect("qualifying points", entry.qualifying or 0, base)
    case.expect("points tendered", entry.consumed or 0, tender)
    case.expect("last day", entry.expires_on, last if total else None)
    waits = matures == WAITING and total > 0
    case.expect("first day", shown_maturity(entry.matures_on), matures if total and not waits else None)
    if waits and entry.matures_on is None:
        case.complain("I1", "the points do not wait for the delivery")
    if total:
        case.give(total, last, matures)
    if tender:
        case.take(tender, tendered_on)
    case.qualify(month_number(bought_on), base)
    case.expect("tier", entry.tier_after, purse.tier(terms, case.today)["tier_id"])
    goods = sum(quantity * price for quantity, price in args["lines"]) or paid + tender
    case.notes[entry.key.parts] = Sale(
        terms, percent, bought_on, tendered_on, last, matures, paid, goods, total, tender, base, args["waits"],
        owing=[(entry.recorded_at, tender)] if tender else [], most=total,
    )  # fmt: skip
    _require_all_that_waited(case)


def _captured(case: "Case", number: int) -> Kept:
    """The hold that a purchase was paid with; it ends it, by an item that names it."""
    hold = case.capture(f"hold/h{number}")
    if keys.entry("hold_end", "hold", f"h{number}") not in case.world.backing.log.commits[case.place].before:
        case.complain("I10", "nothing says that its hold ended")
    case.expect("points no more held", -(case.entry.held or 0), hold.points if hold else 0)
    return hold or Kept(case.entry.consumed or 0, case.entry.recorded_at, case.today)


def _require_all_that_waited(case: "Case") -> None:
    """Every return that waited is applied with its purchase, or refused for good."""
    before = case.world.backing.log.commits[case.place].before
    channel, order_no = case.entry.key.parts
    for key, *_ in (before.get(keys.purchase(channel, order_no)) or {}).get("wr", ()):
        if keys.purchase_return(channel, order_no, key) not in before:
            case.complain("I3", f"the return {key} waited for it, and is lost")


operation(
    Operation(
        "purchase",
        weight=300,
        draw=draw,
        send=send,
        claims=claims,
        effect=effect,
        variant_of=lambda item: int(item["sh"][-1]),
        keyed=True,
        check=lambda world, command: (
            unkept(world, command, "hold", f"h{command.step.args['hold']}") if "hold" in command.step.args else ()
        ),
    )
)
