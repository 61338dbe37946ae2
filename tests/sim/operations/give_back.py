"""A return: of everything, of an amount or of lines; sometimes of more than there is, or before its purchase."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.storage import keys
from tests.sim.commands import Args, Command, Operation, Past, Step, operation
from tests.sim.operations.purchase import CHANNEL, Sale, order_of
from tests.sim.purse import Forgiven, closing, day_of, month_number, worth
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

DELIVERIES = ("delivery", "delivery at once")
"""What may happen at once with a return."""

_WAITS = timedelta(hours=72)
"""For so long a return waits for its purchase."""


def draw(chance: Random, past: Past) -> Args | None:
    """Some of a purchase, or of one that nobody has heard of yet."""
    if chance.random() < 0.07:
        args = {"of": None, "order": f"e{past.count}", "member": past.member(chance)}
        return args | chance.choice(({}, {"amount": chance.randrange(50, 3_000)}))
    bought, before = past.some("purchase", chance), past.some("return", chance)
    again = chance.random()
    if again < 0.8 and past.newest is not None and past.newest.operation in DELIVERIES:  # at once with it
        before, again = past.newest, 0
    if before is not None and again < 0.4:  # another part of what came back in part
        bought = next((step for step in past.steps("purchase") if order_of(step) == before.args["order"]), None)
    if bought is None:
        return None
    lines = bought.args["lines"]
    goods = sum(quantity * price for quantity, price in lines) or bought.args["paid"] + bought.args["tender"]
    args = {"of": bought.number, "order": order_of(bought), "member": bought.args["member"]}
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
    return desk.send_back(keys.purchase_id(CHANNEL, args["order"]), key=f"r{step.number}", **asked)


def effect(case: "Case") -> None:
    """It takes back what was earned for that part, and gives back what points paid for it."""
    entry, item = case.entry, case.item
    order = entry.key.parts[:2]
    sale: Sale | None = case.notes.get(order)
    if sale is None:
        case.complain("I4", "a return of a purchase that is not there")
        return
    if entry.key.kind == "write_off":
        written_off(case, case.terms["negative_balance"] == "cap")
        return
    args = case.command.step.args
    _require_in_time(case)
    amount = args.get("amount", sale.goods - sale.back)
    if "lines" in args:
        bought = case.world.plan.steps_by_number[args["of"]].args["lines"]
        amount = sum(quantity * bought[int(sku[1:])][1] for sku, quantity in args["lines"])
    sale.back += amount
    if sale.back > sale.goods:
        case.complain("I4", f"{sale.back} of {sale.goods} came back of order {order[1]}")
        return
    refunded = sale.paid * sale.back // sale.goods if sale.goods else sale.paid
    kept = sale.paid - refunded
    taken = sale.earned - worth(kept, sale.terms, sale.percent)
    if case.terms["negative_balance"] == "pending_only" and not sale.pends(day_of(case.attempt.now, case.terms)):
        taken = sale.taken
    given = sale.tender * sale.back // sale.goods if sale.goods else sale.tender
    unqualified = sale.qualifying - worth(kept, sale.terms)

    case.expect("goods", item["am"], amount)
    case.expect("money back", item["mb"], refunded - sale.refunded)
    case.expect("points taken back", -(entry.earned or 0), taken - sale.taken)
    case.expect("points given back", -(entry.consumed or 0), given - sale.given)
    case.expect("qualifying points taken back", -(entry.qualifying or 0), unqualified - sale.unqualified)
    if taken != sale.taken:
        case.expect("last day", entry.expires_on, sale.last_day)
        case.give(sale.taken - taken, sale.last_day, key=entry.cause)
    if given != sale.given:
        case.take(sale.given - given, sale.tendered_on, key=entry.cause)
    change = (given - sale.given) - (taken - sale.taken)
    settled(case, sale, change, sale.earned - taken)
    case.qualify(month_number(sale.bought_on), sale.unqualified - unqualified)
    sale.refunded, sale.taken, sale.given, sale.unqualified = refunded, taken, given, unqualified


def _require_in_time(case: "Case") -> None:
    """What waited for its purchase was carried out only if that came in time."""
    channel, order_no, key = case.entry.key.parts
    before = case.world.backing.log.commits[case.place].before.get(keys.purchase(channel, order_no)) or {}
    for waiting, _, received, _ in before.get("wr", ()):
        if waiting == key and case.attempt.now > from_milliseconds(received) + _WAITS:
            case.complain("I3", "it was carried out, but waited too long")


def _check(world: "World", command: Command) -> list[str]:
    """What was told to wait waits, or was carried out or refused for good."""
    args, number = command.step.args, command.step.number
    own = keys.purchase_return(CHANNEL, args["order"], f"r{number}")
    order = world.items_now.get(keys.purchase(CHANNEL, args["order"]), {})
    waits = f"r{number}" in [each[0] for each in order.get("wr", ())]
    return [
        f"I3 step {number} return: it was to wait, and is lost"
        for attempt in command.attempts
        if attempt.told == "waits" and own not in world.items_now and not waits
    ]


def settled(case: "Case", sale: Sale, change: int, earns: int) -> None:
    """What comes back with an order pays for debts that were written off since it was taken.

    Args:
        change: how many more points the order brings.
        earns: what it earns from now on; what it never earned before does not come back, it is new.
    """
    restored: list[tuple[datetime, int]] = []
    wanted = change - max(earns - sale.most, 0)
    while wanted > 0 and sale.owing:
        at, points = sale.owing.pop()
        some = min(points, wanted)
        wanted -= some
        restored.append((at, some))
        if points > some:
            sale.owing.append((at, points - some))
    if change < 0:
        sale.owing.append((case.entry.recorded_at, -change))
    sale.most = max(sale.most, earns)
    pay(case, restored)


def pay(case: "Case", restored: Sequence[tuple[datetime, int]]) -> int:
    """Debts that were written off are paid for by what comes back, but for what expired meanwhile; how many points."""
    purse, paid = case.purse, -sum(why.points for why in case.entry.why if why.rule_id == "write_off")
    due = purse.paying(restored)
    wanted, left = sum(some for _, some in due), paid
    for debt, some in due:
        part = min(some, left)
        left -= part
        debt.points -= part
        if part:
            purse.give((case.entry.key, debt.at), -part, debt.last_day, home=case.home)
    if not purse.recalls:
        return paid
    if left > 0 or paid < 0:
        case.complain("I1", f"{paid} points pay for write-offs, of {wanted} that may")
    after = purse.on(case.today).balance
    if purse.exact and paid < wanted and after > case.before.balance:
        case.complain("I1", f"{paid} points pay for write-offs, should be {wanted}: there are {after} now")
    return paid


def written_off(case: "Case", capped: bool) -> None:
    """What would be left owing is written off at once, to the point."""
    case.expect("whether debts are written off", capped, True)
    owed = max(-case.purse.on(case.today).balance, 0) - case.notes["owed", case.entry.cause]
    points, last = case.entry.earned or 0, closing(case.today, case.terms)
    if case.purse.exact:
        case.expect("points written off", points, owed)
    case.give(points, last)
    case.purse.forgiven[case.entry.key] = Forgiven(case.entry.recorded_at, last, points, case.home)
    case.purse.in_debt = True  # also points that are pending may have paid for what was written off


operation(
    Operation(
        "return",
        weight=180,
        draw=draw,
        send=send,
        claims=lambda _world, step: [
            (kind, (CHANNEL, step.args["order"], f"r{step.number}")) for kind in ("return", "write_off")
        ],
        effect=effect,
        variant_of=lambda item: int(item["rc"][-1]) if item["rc"] != "write_off" else -1,
        keyed=True,
        check=_check,
    )
)
