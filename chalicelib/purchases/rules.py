"""What a purchase comes to: points, tier, tender. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.kernel.calendar import local_day, month_of
from chalicelib.kernel.money import POINTS_MAX, shown
from chalicelib.points import rules as ledger
from chalicelib.points.errors import BalanceTooLarge
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import Draft, Held
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import earned_points, expires_on, today_of, worth_minor
from chalicelib.purchases.errors import (
    CurrencyWrong,
    NothingLeft,
    ReturnedBeforeBought,
    ReturnLineUnknown,
    ReturnTooLarge,
    TenderTooLarge,
    TenderTooSmall,
    TenderUneven,
)
from chalicelib.purchases.models import RecordPurchase, Returned, ReturnLine, ReturnPurchase, Sale
from chalicelib.tiers.rules import standing


def key_of(command: RecordPurchase) -> EntryKey:
    """The purchase's business key: a retry makes the same one."""
    return EntryKey(kind="purchase", parts=(command.channel, command.order_no))


def sale_of(command: RecordPurchase, program: Program) -> Sale:
    """What is kept of a purchase besides its ledger entry.

    Raises:
        CurrencyWrong: it is in another currency than the program.
        TenderTooSmall, TenderUneven, TenderTooLarge: the points pay nothing, no whole amount, or more than the lines.
    """
    if command.currency != program.currency:
        raise CurrencyWrong(asked=command.currency, expected=program.currency)
    return Sale(
        shop_id=command.shop_id,
        currency=command.currency,
        paid_minor=command.paid_minor,
        tender_minor=_tender_minor(command, program),
        lines=command.lines,
    )


def assess(account: Account, command: RecordPurchase, program: Program, *, content: bytes, now: datetime) -> Posting:
    """Decide a purchase: what it earns and why, what its tender takes, which tier it reaches.

    The rate of the tier held in the purchase's own month applies. Qualifying points are the points of the earn rate
    alone, without the tier's multiplier, so that a tier does not feed itself.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        OccurredInFuture: `occurred_at` is later than now.
        PointsInsufficient: the tender is more than the balance.
        BalanceTooLarge: the earn rate alone, which qualifies for tiers, or the balance would pass `POINTS_MAX`.
    """
    ledger.require_open(account)
    occurred_at = ledger.not_later(command.occurred_at, now)
    bought_on = local_day(occurred_at, program.time_zone)
    held = standing(account.qualifying, program, on=month_of(bought_on), anchor=account.anchor)
    percent = program.tier(held.tier_id).multiplier_percent

    base = earned_points(command.paid_minor, program.earn_rate)
    if base > POINTS_MAX:
        raise BalanceTooLarge(balance=base, limit=POINTS_MAX)
    total = earned_points(command.paid_minor, program.earn_rate, percent=percent)
    why = [Why(rule_id="base", points=base, args=(command.paid_minor,))]
    if percent != 100:  # also where rounding hides it: a return of some of it reckons with the multiplier
        why.append(Why(rule_id=f"tier.{held.tier_id}", points=total - base, args=(percent,)))

    draft = Draft(
        key_of(command),
        Reason.EARN,
        occurred_at,
        earned=total,
        expires_on=expires_on(bought_on, program.expiry) if total else None,
        matures_on=_matures_on(bought_on, program, now) if total else None,
        consumed=command.points_tender or 0,
        qualifying=base,
        why=tuple(why),
        content=content,
        shows_tier=True,
        held=Held(month_of(bought_on), held),
    )
    return ledger.post(account, draft, program, now=now)


# ---------------------------------------------------------------- returns


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase as far as a return needs it.

    Attributes:
        program: the version that it was decided by.
        returned: what came back before.
    """

    entry: Entry
    sale: Sale
    program: Program
    returned: Returned


def return_key(bought: Entry, key: str) -> EntryKey:
    """A return's business key: the purchase's and the caller's."""
    return EntryKey(kind="return", parts=(*bought.key.parts, key))


def returned_after(bought: Bought, command: ReturnPurchase, policy: NegativeBalance, today: date) -> Returned:
    """What the returns of a purchase come to with one more.

    Money and points are shared out by what has come back in all, not by what comes back now, so that the parts of any
    split add up, and the last one takes the remainder. The points kept are those that the money kept would have earned,
    by the rate and multiplier of the purchase.

    Args:
        policy: with `pending_only`, points that can be spent by now are not taken back.

    Raises:
        NothingLeft, ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
    """
    before, sale = bought.returned, bought.sale
    total = goods_minor(sale)
    quantities = _quantities(bought, command)
    amount = before.amount_minor + _amount(bought, command, quantities, total)
    whole = amount >= total and (not sale.lines or command.amount_minor is not None or _all_back(sale, quantities))
    spent_up = before.amount_minor >= total if total else quantities == before.quantities
    if before.count and spent_up:
        raise NothingLeft(purchase_id=purchase_id_of(bought.entry))
    if amount > total:
        raise ReturnTooLarge(asked=amount - before.amount_minor, left=total - before.amount_minor)
    refund = sale.paid_minor if whole else _share(sale.paid_minor, amount, total)
    kept = sale.paid_minor - refund
    rate, percent = bought.program.earn_rate, _percent(bought.entry)
    taken = (bought.entry.earned or 0) - earned_points(kept, rate, percent=percent)
    pends = bought.entry.matures_on is not None and bought.entry.matures_on > today
    if policy is NegativeBalance.PENDING_ONLY and not pends:
        taken = before.points_taken_back
    tendered = bought.entry.consumed or 0
    return Returned(
        count=before.count + 1,
        amount_minor=amount,
        refund_minor=refund,
        points_taken_back=taken,
        points_given_back=tendered if whole else _share(tendered, amount, total),
        qualifying_taken_back=(bought.entry.qualifying or 0) - earned_points(kept, rate),
        quantities=quantities,
    )


def assess_return(
    account: Account,
    bought: Bought,
    after: Returned,
    command: ReturnPurchase,
    key: EntryKey,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> Posting:
    """Decide a return: the purchase's own bucket, period and month give back what it brought.

    Any split of returns that adds up to the whole purchase leaves what would be there, had it never been bought.

    Raises:
        MemberClosed: the membership was closed.
        OccurredInFuture, ReturnedBeforeBought: `occurred_at` is later than now, or before the purchase.
    """
    entry, before = bought.entry, bought.returned
    occurred_at = max(now, entry.occurred_at)  # our clocks may disagree by a little
    if command.occurred_at is not None:
        occurred_at = ledger.not_later(command.occurred_at, now)
        if occurred_at < entry.occurred_at:
            raise ReturnedBeforeBought(occurred_at=occurred_at.isoformat(), bought_at=entry.occurred_at.isoformat())
    taken = after.points_taken_back - before.points_taken_back
    draft = Draft(
        key,
        Reason.REVERSE,
        occurred_at,
        earned=-taken,
        expires_on=entry.expires_on if taken else None,
        matures_on=entry.matures_on if taken and entry.matures_on in account.pending else None,
        consumed=-(after.points_given_back - before.points_given_back),
        period=entry.period,
        qualifying=-(after.qualifying_taken_back - before.qualifying_taken_back),
        counts_on=entry.occurred_on,
        why=(Why(rule_id="return", points=-taken, args=(after.amount_minor - before.amount_minor,)),),
        reason_code=command.reason,
        cause=entry.key,
        content=content,
        may_owe=True,
        shows_tier=True,
    )
    return ledger.reverse(account, draft, program, now=now)


def goods_minor(sale: Sale) -> int:
    """What a purchase's goods cost: its lines, or what was paid in money and points."""
    if not sale.lines:
        return sale.paid_minor + sale.tender_minor
    return sum(line.quantity * line.unit_price_minor for line in sale.lines)


def purchase_id_of(entry: Entry) -> str:
    """The id of the purchase of an entry, for people."""
    return "/".join(entry.key.parts)


def returned_lines(sale: Sale, before: Returned, after: Returned) -> tuple[ReturnLine, ...]:
    """What came back between two states, line by line."""
    earlier = before.quantities or (0,) * len(after.quantities)
    return tuple(
        ReturnLine(sku=line.sku, quantity=now - then)
        for line, then, now in zip(sale.lines, earlier, after.quantities, strict=False)
        if now > then
    )


def _quantities(bought: Bought, command: ReturnPurchase) -> tuple[int, ...]:
    """How much of each line is back, with this return."""
    lines = bought.sale.lines
    back = list(bought.returned.quantities or (0,) * len(lines))
    if not command.lines and command.amount_minor is None:
        return tuple(line.quantity for line in lines)
    for each in command.lines:
        wanted = each.quantity
        places = [place for place, line in enumerate(lines) if line.sku == each.sku]
        if not places:
            raise ReturnLineUnknown(sku=each.sku)
        for place in places:
            some = min(wanted, lines[place].quantity - back[place])
            back[place] += some
            wanted -= some
        if wanted:
            raise ReturnTooLarge(asked=each.quantity, left=each.quantity - wanted, sku=each.sku)
    return tuple(back)


def _amount(bought: Bought, command: ReturnPurchase, quantities: tuple[int, ...], total: int) -> int:
    if command.amount_minor is not None:
        return command.amount_minor
    if not command.lines:
        return total - bought.returned.amount_minor
    before = bought.returned.quantities or (0,) * len(quantities)
    pairs = zip(bought.sale.lines, before, quantities, strict=True)
    return sum((now - then) * line.unit_price_minor for line, then, now in pairs)


def _all_back(sale: Sale, quantities: tuple[int, ...]) -> bool:
    return all(line.quantity == back for line, back in zip(sale.lines, quantities, strict=True))


def _share(of: int, amount: int, total: int) -> int:
    return of * amount // total if total else 0


def _percent(entry: Entry) -> int:
    """The multiplier that a purchase earned by."""
    return next((why.args[0] for why in entry.why if why.rule_id.startswith("tier.")), 100)


def _matures_on(bought_on: date, program: Program, now: datetime) -> date | None:
    """The first day on which the points can be spent, where that is yet to come."""
    if not program.pending_days:
        return None
    day = bought_on + timedelta(days=program.pending_days)
    return day if day > today_of(program, now) else None


def _tender_minor(command: RecordPurchase, program: Program) -> int:
    if command.points_tender is None:
        return 0
    value = program.point_value
    tender = worth_minor(command.points_tender, value)
    if tender == 0:
        worth = f"{value.points} points pay {shown(value.minor, program.currency)}"
        raise TenderTooSmall(points=command.points_tender, worth=worth)
    even = -(-tender * value.points // value.minor)
    if even != command.points_tender:
        raise TenderUneven(points=command.points_tender, even=even)
    total = sum(line.quantity * line.unit_price_minor for line in command.lines)
    if command.lines and tender > total:
        raise TenderTooLarge(tender_minor=tender, total_minor=total)
    return tender
