"""Money on cards: topped up with a bonus, spent in proportion, given back, paid back."""

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from chalicelib.cards.models import Paid, RefundCard, RefundCardSpend, SpendCard, TopUpCard
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.ids import CardId
from chalicelib.storage import keys
from tests.sim.commands import FAMILIES, Args, Operation, Past, Step, operation
from tests.sim.purse import day_of
from tests.table.stand import Desk

if TYPE_CHECKING:
    from tests.sim.chains import Case
    from tests.sim.world import World

FAMILIES.add("C")

_UNDATED = NEVER - timedelta(days=1)
"""Where bonus is kept that does not expire."""

MOST = 500_000
"""What a card may hold, in minor units."""


@dataclass
class TopUp:
    """What the judge remembers of a top-up."""

    principal: int
    bonus: int
    back: int = 0

    @property
    def entitled(self) -> int:
        """The bonus that belongs to what was not paid back."""
        return self.bonus - self.bonus * self.back // self.principal


@dataclass
class Wallet:
    """What the judge remembers of a card besides its purse.

    Attributes:
        taken: by spends, by day; and what came back of each.
        used: bonus that was spent, less what came back.
    """

    top_ups: dict[str, TopUp] = field(default_factory=dict)
    taken: dict[object, tuple[dict[date, int], int]] = field(default_factory=dict)
    used: int = 0


def card_of(world: "World", step: Step) -> CardId:
    """The card that a step is about."""
    return CardId.of("key", f"k{world.target(step)}")


def _wallet(case: "Case") -> Wallet:
    found: Wallet = case.notes.setdefault(("wallet", case.purse.owner), Wallet())
    return found


def _draw_opening(chance: Random, past: Past) -> Args | None:
    return {"member": past.member(chance)} if len(past.steps("open card")) < 2 else None


def _open(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    return desk.open_card(world.whom(step), key=f"k{step.number}").value.card_id


def _draw_top_up(chance: Random, past: Past) -> Args | None:
    card = past.some("open card", chance)
    if card is None:
        return None
    amount = chance.choice((1_000, chance.randrange(100, 30_000), chance.randrange(1_000, 300_000)))
    bonus = chance.choice((0, 0, amount // 10, amount // 3))
    lasts = chance.choice((None, 1, 40, 300)) if bonus else None
    return {"of": card.number, "amount": amount, "bonus": bonus, "lasts": lasts, "cash": chance.randrange(amount)}


def _top_up(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    args, amount = step.args, step.args["amount"] + variant
    means = [Paid(kind="cash", amount_minor=args["cash"])] if args["cash"] else []
    means.append(Paid(kind="wechat_pay", amount_minor=amount - args["cash"], reference="w1"))
    command = TopUpCard(
        amount_minor=amount,
        bonus_minor=args["bonus"],
        bonus_expires_on=_last(world, step),
        means=tuple(means),
        reference=f"v{variant}",
    )
    return desk.on_card(card_of(world, step), command, key=f"u{step.number}")


def _last(world: "World", step: Step) -> date | None:
    lasts = step.args["lasts"]
    return day_of(world.asked_at(step), world.plan.terms) + timedelta(days=lasts) if lasts is not None else None


def _effect_of_top_up(case: "Case") -> None:
    """What was paid is there for ever, and what was given until its day."""
    args, entry = case.command.step.args, case.entry
    amount, bonus = args["amount"] + case.variant, args["bonus"]
    if case.purse.exact and case.before.balance + amount + bonus > MOST:
        case.complain("I12", f"the card would hold more than {MOST}")
    _moves(case, {NEVER: amount, (_last(case.world, case.command.step) or _UNDATED): bonus})
    _wallet(case).top_ups[entry.key.parts[1]] = TopUp(amount, bonus)


def _moves(case: "Case", expected: dict[date, int]) -> None:
    """It moves so much in these lots, and nothing else."""
    found = dict(case.entry.sums.earned) if case.entry.sums is not None else {}
    expected = {day: minor for day, minor in expected.items() if minor}
    if case.purse.exact and found != expected:
        case.complain("I12", f"it moves {found}, should be {expected}")
    if case.entry.points != sum(expected.values()):
        case.complain("I12", f"it changes the balance by {case.entry.points}, should be {expected}")
    for day, minor in expected.items():
        case.give(minor, day, key=(case.entry.key, day))


def _draw_spend(chance: Random, past: Past) -> Args | None:
    card = past.some("open card", chance)
    if card is None:
        return None
    return {"of": card.number, "amount": chance.choice((0, chance.randrange(1, 5_000), chance.randrange(1, 60_000)))}


def _spend(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    card, amount = card_of(world, step), step.args["amount"]
    if not amount:
        # What is asked for is settled when it is sent first: all that there is.
        known = world.settled.get(step.number)
        balance = desk.card(card).balance if known is None else None
        there = balance.principal_minor + balance.bonus_minor if balance is not None else 0
        amount = known or world.settled.setdefault(step.number, max(there, 1))
    return desk.on_card(card, SpendCard(amount_minor=amount + variant, reference=f"v{variant}"), key=f"y{step.number}")


def _effect_of_spend(case: "Case") -> None:
    """It takes principal and bonus as they are there, of the bonus what expires first."""
    step, lots = case.command.step, case.before.lots
    amount = (step.args["amount"] or case.world.settled[step.number]) + case.variant
    if case.purse.exact and amount > case.before.balance:
        case.complain("I12", f"{amount} were spent of {case.before.balance}")
        return
    total = sum(lots.values())
    bonus = amount * (total - lots.get(NEVER, 0)) // total if total else 0
    taken = {NEVER: amount - bonus}
    for day in sorted(lots.keys() - {NEVER}):
        taken[day] = min(lots[day], amount - sum(taken.values()))
    _moves(case, {day: -minor for day, minor in taken.items()})
    wallet = _wallet(case)
    wallet.taken[case.entry.key] = taken, 0
    wallet.used += bonus


def _draw_spend_refund(chance: Random, past: Past) -> Args | None:
    spent = past.some("pay with card", chance)
    if spent is None:
        return None
    return {
        "of": spent.number,
        "card": spent.args["of"],
        "amount": chance.choice((None, 1, chance.randrange(1, 3_000))),
    }


def _card_of_spend(world: "World", step: Step) -> CardId:
    spend = world.step(world.target(step))
    return card_of(world, spend) if spend is not None else CardId.of("key", f"k{step.args['card']}")


def _refund_spend(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    spend_id = keys.entry_id(keys.entry("card_spend", f"y{world.target(step)}"))
    command = RefundCardSpend(spend_id=spend_id, amount_minor=step.args["amount"], reason=f"v{variant}")
    return desk.on_card(_card_of_spend(world, step), command, key=f"yb{step.number}")


def _effect_of_spend_refund(case: "Case") -> None:
    """It puts back what its spend took, as so many parts together would, and never more."""
    wallet, spend = _wallet(case), case.entry.cause
    taken, before = wallet.taken.get(spend, ({}, 0))
    total = sum(taken.values())
    amount = case.command.step.args["amount"] or total - before
    if before + amount > total or not total:
        case.complain("I12", f"{before + amount} came back of {total} spent")
        return
    later, earlier = _put_back(taken, before + amount), _put_back(taken, before)
    back = {day: later[day] - earlier[day] for day in taken}
    _moves(case, back)
    wallet.taken[spend] = taken, before + amount
    wallet.used -= amount - back[NEVER]


def _put_back(taken: dict[date, int], back: int) -> dict[date, int]:
    """What refunds of a spend put back in all, when they come to so much: the bonus that lives longest first."""
    total = sum(taken.values())
    bonus = (total - taken[NEVER]) * back // total
    found = {NEVER: back - bonus}
    for day in sorted(taken.keys() - {NEVER}, reverse=True):
        found[day] = min(taken[day], back - sum(found.values()))
    return found


def _draw_refund(chance: Random, past: Past) -> Args | None:
    card = past.some("open card", chance)
    if card is None:
        return None
    return {
        "of": card.number,
        "amount": chance.choice((None, 1, chance.randrange(1, 20_000), chance.randrange(1, 9_000))),
    }


def _refund(desk: Desk, world: "World", step: Step, variant: int) -> Any:
    command = RefundCard(amount_minor=step.args["amount"], reason=f"v{variant}")
    return desk.on_card(card_of(world, step), command, key=f"z{step.number}")


def _effect_of_refund(case: "Case") -> None:
    """Principal goes back to top-ups that paid it; of the bonus stays what belongs to the rest. None is paid out."""
    wallet, lots = _wallet(case), case.before.lots
    moved = dict(case.entry.sums.earned) if case.entry.sums is not None else {}
    amount, principal = -moved.get(NEVER, 0), lots.get(NEVER, 0)
    asked = case.command.step.args["amount"]
    open_amounts = sum(each.principal - each.back for each in wallet.top_ups.values())
    if case.purse.exact and amount != (asked or min(principal, open_amounts)):
        case.complain("I12", f"{amount} went back, should be {asked or principal}")
    by_means = 0
    for _, minor, _, top_up in (case.item.get("what") or {}).get("means") or ():
        by_means += minor
        wallet.top_ups[top_up].back += minor
        if wallet.top_ups[top_up].back > wallet.top_ups[top_up].principal:
            case.complain("I12", f"more went back than was paid in by {top_up}")
    if by_means != amount:
        case.complain("I12", f"{by_means} is paid out, and {amount} of the principal goes")
    there = sum(lots.values()) - principal
    entitled = sum(each.entitled for each in wallet.top_ups.values())
    kept = min(there, max(entitled - wallet.used, 0)) if amount < principal else 0
    withdrawn = -sum(minor for day, minor in moved.items() if day != NEVER)
    if case.purse.exact and withdrawn != there - kept:
        case.complain("I12", f"{withdrawn} of the bonus goes, should be {there - kept}")
    if case.purse.exact and any(-minor > lots.get(day, 0) for day, minor in moved.items()):
        case.complain("I12", f"it takes {moved} of {lots}")
    for day, minor in moved.items():
        case.give(minor, day, key=(case.entry.key, day))


operation(Operation("open card", weight=30, draw=_draw_opening, send=_open, topic="money", repeated=True,
                    claims=lambda _world, step: [("card", (f"k{step.number}",))]))  # fmt: skip
operation(
    Operation(
        "top up",
        weight=110,
        draw=_draw_top_up,
        send=_top_up,
        claims=lambda world, step: [("top_up", (card_of(world, step), f"u{step.number}"))],
        effect=_effect_of_top_up,
        variant_of=lambda item: int(item["rf"][-1]),
        topic="money",
        keyed=True,
    )
)
operation(
    Operation(
        "pay with card",
        weight=130,
        draw=_draw_spend,
        send=_spend,
        claims=lambda _world, step: [("card_spend", (f"y{step.number}",))],
        effect=_effect_of_spend,
        variant_of=lambda item: int(item["rf"][-1]),
        topic="money",
        keyed=True,
        payer=card_of,
    )
)
operation(
    Operation(
        "give back to card",
        weight=90,
        draw=_draw_spend_refund,
        send=_refund_spend,
        claims=lambda _world, step: [("card_spend_refund", (f"yb{step.number}",))],
        effect=_effect_of_spend_refund,
        variant_of=lambda item: int(item["rc"][-1]),
        topic="money",
        keyed=True,
    )
)
operation(
    Operation(
        "pay back card",
        weight=50,
        draw=_draw_refund,
        send=_refund,
        claims=lambda _world, step: [("card_refund", (f"z{step.number}",))],
        effect=_effect_of_refund,
        variant_of=lambda item: int(item["rc"][-1]),
        topic="money",
        keyed=True,
    )
)
