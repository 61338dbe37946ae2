"""What a return takes back and gives back, also of a purchase that it waited for. Pure."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, timedelta

from chalicelib.kernel.ids import ShopId
from chalicelib.points.fold import pends
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import guards
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import earned_points, today_of
from chalicelib.purchases.errors import (
    NothingLeft,
    ReturnedBeforeBought,
    ReturnElsewhere,
    ReturnLineUnknown,
    ReturnTooLarge,
    ReturnWaitedTooLong,
)
from chalicelib.purchases.models import Returned, ReturnLine, ReturnPurchase, Sale, Waiting
from chalicelib.purchases.rules import orders
from chalicelib.purchases.rules.orders import Bought
from chalicelib.purchases.rules.write_offs import Turns, post_change

WAITING_FOR = timedelta(hours=72)
"""How long a return waits for its purchase."""


WAITING_MAX = 10
"""How many returns wait for one purchase: with it they fit one transaction."""


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
    total = orders.goods_minor(sale)
    quantities = _quantities(bought, command)
    amount = before.amount_minor + _amount(bought, command, quantities, total)
    whole = amount >= total and (not sale.lines or command.amount_minor is not None or _all_back(sale, quantities))
    spent_up = before.amount_minor >= total if total else quantities == before.quantities
    if (before.count or bought.changed) and spent_up:
        raise NothingLeft(purchase_id=orders.purchase_id_of(bought.entry))
    if amount > total:
        raise ReturnTooLarge(asked=amount - before.amount_minor, left=total - before.amount_minor)
    refund = sale.paid_minor if whole else share(sale.paid_minor, amount, total)
    kept = sale.paid_minor - refund
    rate, percent = bought.program.earn_rate, orders.multiplier_of(bought.entry)
    taken = (bought.entry.earned or 0) - earned_points(kept, rate, percent=percent)
    if policy is NegativeBalance.PENDING_ONLY and not pends(bought.entry.matures_on, today):
        taken = before.points_taken_back
    tendered = bought.entry.consumed or 0
    return Returned(
        count=before.count + 1,
        amount_minor=amount,
        refund_minor=refund,
        points_taken_back=taken,
        points_given_back=tendered if whole else share(tendered, amount, total),
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
    turns: Turns,
) -> Posting:
    """Decide a return: the purchase's own bucket, period and month give back what it brought.

    Any split of returns that adds up to the whole purchase leaves what would be there, had it never been bought.

    Args:
        turns: what earlier returns and restatements of the purchase came to.

    Raises:
        MemberClosed: the membership was closed.
        OccurredInFuture, ReturnedBeforeBought: `occurred_at` is later than now, or before the purchase.
    """
    entry, before = bought.entry, bought.returned
    occurred_at = max(now, entry.occurred_at)  # our clocks may disagree by a little
    if command.occurred_at is not None:
        occurred_at = guards.not_later(command.occurred_at, now)
        if occurred_at < entry.occurred_at:
            raise ReturnedBeforeBought(occurred_at=occurred_at.isoformat(), bought_at=entry.occurred_at.isoformat())
    taken = after.points_taken_back - before.points_taken_back
    given = after.points_given_back - before.points_given_back
    draft = Draft(
        key,
        Reason.REVERSE,
        occurred_at,
        earned=-taken,
        expires_on=entry.expires_on if taken else None,
        matures_on=entry.matures_on if taken and entry.matures_on in account.pending else None,
        consumed=-given,
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
    return post_change(account, draft, turns, program, now=now)


def brought_by(bought: Bought, after: Returned) -> int:
    """How much more a purchase brings after a return; mostly below nought."""
    before = bought.returned
    given = after.points_given_back - before.points_given_back
    return given - (after.points_taken_back - before.points_taken_back)


def waits_until(waiting: Waiting) -> datetime:
    """The last instant at which the purchase of a waiting return may come."""
    return waiting.received_at + WAITING_FOR


def reached(within: Collection[ShopId] | None, shop_id: ShopId | None) -> bool:
    """Whether who reaches some shops may return what is of a shop, or of none; as `identity.models.reaches` has it."""
    return within is None or shop_id is None or shop_id in within


def assess_waiting(
    account: Account,
    bought: Bought,
    waiting: Waiting,
    program: Program,
    *,
    content: bytes,
    now: datetime,
    turns: Turns,
) -> tuple[Returned, Posting]:
    """Decide a return that waited, now that its purchase has come.

    A return that was there before the order was bought is for another order: whoever mistypes a number must not undo
    what somebody will buy under it tomorrow.

    Raises:
        ReturnElsewhere: the purchase is of a shop that its sender does not reach.
        ReturnWaitedTooLong: the purchase came too late for it.
        ReturnedBeforeBought: it was received, or says that it happened, before the purchase.
        NothingLeft, ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
    """
    bought_at = bought.entry.occurred_at
    if not reached(waiting.shop_ids, bought.sale.shop_id):
        raise ReturnElsewhere
    if now > waits_until(waiting):
        raise ReturnWaitedTooLong(waited_until=waits_until(waiting).isoformat())
    if waiting.received_at + guards.CLOCK_SKEW < bought_at:
        raise ReturnedBeforeBought(occurred_at=waiting.received_at.isoformat(), bought_at=bought_at.isoformat())
    occurred_at = waiting.command.occurred_at or max(waiting.received_at, bought_at)
    command = waiting.command.model_copy(update={"occurred_at": occurred_at})
    after = returned_after(bought, command, program.negative_balance, today_of(program, now))
    key = return_key(bought.entry, waiting.key)
    posting = assess_return(account, bought, after, command, key, program, content=content, now=now, turns=turns)
    return after, posting


def returned_lines(sale: Sale, before: Returned, after: Returned, command: ReturnPurchase) -> tuple[ReturnLine, ...]:
    """What came back between two states: as it was named, so that the digest can be taken again, or line by line."""
    if command.lines:
        return command.lines
    earlier = before.quantities or (0,) * len(after.quantities)
    return tuple(
        ReturnLine(sku=line.sku, quantity=now - then)
        for line, then, now in zip(sale.lines, earlier, after.quantities, strict=False)
        if now > then
    )


def _quantities(bought: Bought, command: ReturnPurchase) -> tuple[int, ...]:
    """How much of each line is back, with this return."""
    if not command.lines and command.amount_minor is None:
        return tuple(line.quantity for line in bought.sale.lines)
    return quantities_after(bought.sale, bought.returned.quantities, command.lines)


def quantities_after(sale: Sale, before: tuple[int, ...], named: Sequence[ReturnLine]) -> tuple[int, ...]:
    """How much of each line of a purchase is back with what is named; of lines with one SKU the first comes first.

    Raises:
        ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
    """
    lines, back = sale.lines, list(before or (0,) * len(sale.lines))
    for each in named:
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


def share(of: int, amount: int, total: int) -> int:
    """The share of an amount that goes with a part of what the goods cost."""
    return of * amount // total if total else 0
