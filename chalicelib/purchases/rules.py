"""What a purchase comes to: points, tier, tender. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from chalicelib.holds.models import Hold
from chalicelib.holds.rules import captured
from chalicelib.kernel.calendar import day_after, from_milliseconds, local_day, milliseconds, month_of
from chalicelib.kernel.money import POINTS_MAX, shown
from chalicelib.points import rules as ledger
from chalicelib.points.errors import BalanceTooLarge, MemberClosed, PointsInsufficient
from chalicelib.points.fold import awaited
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Lifetime, Posting, Reason, Sums, Why
from chalicelib.points.rules import Draft, Held
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import earned_points, expires_on, period_of, today_of, worth_minor
from chalicelib.purchases.errors import (
    CurrencyWrong,
    DeliveredBeforeBought,
    DeliveryNotAwaited,
    NothingLeft,
    PurchaseFixed,
    ReturnedBeforeBought,
    ReturnLineUnknown,
    ReturnTooLarge,
    ReturnWaitedTooLong,
    TenderTooLarge,
    TenderTooSmall,
    TenderUneven,
)
from chalicelib.purchases.models import (
    DeliverPurchase,
    Delivery,
    Kept,
    PurchaseLine,
    RecordPurchase,
    RestatePurchase,
    Returned,
    ReturnLine,
    ReturnPurchase,
    Sale,
    Waiting,
)
from chalicelib.tiers.rules import standing

WAITING_FOR = timedelta(hours=72)
"""How long a return waits for its purchase."""

WAITING_MAX = 10
"""How many returns wait for one purchase: with it they fit one transaction."""


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
        tender_minor=_tender_minor(command.points_tender or 0, command.lines, program),
        lines=command.lines,
        awaits_delivery=command.awaits_delivery,
    )


def tendering(command: RecordPurchase, held: Hold | None) -> RecordPurchase:
    """The purchase with its tender named: all that is held, where it names a hold and no figure."""
    if held is None or command.points_tender is not None:
        return command
    return command.model_copy(update={"points_tender": held.reserved.points})


def assess(
    account: Account,
    command: RecordPurchase,
    program: Program,
    *,
    content: bytes,
    now: datetime,
    held: Hold | None = None,
) -> Posting:
    """Decide a purchase: what it earns and why, what its tender takes, which tier it reaches.

    The rate of the tier held in the purchase's own month applies. Qualifying points are the points of the earn rate
    alone, without the tier's multiplier, so that a tier does not feed itself.

    Args:
        held: the hold that the tender is taken from.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        OccurredInFuture: `occurred_at` is later than now.
        PointsInsufficient: the tender is more than the balance.
        CaptureTooLarge: the tender is more than is held.
        BalanceTooLarge: the earn rate alone, which qualifies for tiers, or the balance would pass `POINTS_MAX`.
    """
    ledger.require_open(account)
    occurred_at = ledger.not_later(command.occurred_at, now)
    bought_on = local_day(occurred_at, program.time_zone)
    standing_then = standing(account.qualifying, program, on=month_of(bought_on), anchor=account.anchor)
    percent = program.tier(standing_then.tier_id).multiplier_percent

    base = _qualifying(command.paid_minor, program)
    total = earned_points(command.paid_minor, program.earn_rate, percent=percent)
    why = [Why(rule_id="base", points=base, args=(command.paid_minor,))]
    if percent != 100:  # also where rounding hides it: a return of some of it reckons with the multiplier
        why.append(Why(rule_id=f"tier.{standing_then.tier_id}", points=total - base, args=(percent,)))
    last = expires_on(bought_on, program.expiry)
    matures_on = _matures_on(bought_on, program, last, today_of(program, now))
    if command.awaits_delivery:
        why.append(Why(rule_id="awaits_delivery", points=0, args=()))
        matures_on = awaited(last)

    draft = Draft(
        key_of(command),
        Reason.EARN,
        occurred_at,
        earned=total,
        expires_on=last if total else None,
        matures_on=matures_on if total else None,
        consumed=command.points_tender or 0,
        qualifying=base,
        why=tuple(why),
        content=content,
        shows_tier=True,
        held=Held(month_of(bought_on), standing_then),
    )
    return ledger.post(account, captured(draft, held) if held is not None else draft, program, now=now)


# ---------------------------------------------------------------- returns


@dataclass(frozen=True, slots=True)
class Bought:
    """A purchase as it was last stated, and what came back since.

    Attributes:
        entry: the purchase's own, with the figures that it would have, had it been bought as it was last stated.
        program: the version that it was decided by.
        returned: what came back since.
        version: how often it was returned, restated or delivered.
        delivery: what was told of its delivery, where its points waited for that.
    """

    entry: Entry
    sale: Sale
    program: Program
    returned: Returned
    version: int = 0
    delivery: Delivery | None = None

    @property
    def changed(self) -> bool:
        """Whether it was returned or restated."""
        return self.version > (self.delivery is not None)


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
    if (before.count or bought.changed) and spent_up:
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


def waits_until(waiting: Waiting) -> datetime:
    """The last instant at which the purchase of a waiting return may come."""
    return waiting.received_at + WAITING_FOR


def assess_waiting(
    account: Account, bought: Bought, waiting: Waiting, program: Program, *, content: bytes, now: datetime
) -> tuple[Returned, Posting]:
    """Decide a return that waited, now that its purchase has come.

    A return that was there before the order was bought is for another order: whoever mistypes a number must not undo
    what somebody will buy under it tomorrow.

    Raises:
        ReturnWaitedTooLong: the purchase came too late for it.
        ReturnedBeforeBought: it was received, or says that it happened, before the purchase.
        NothingLeft, ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
    """
    bought_at = bought.entry.occurred_at
    if now > waits_until(waiting):
        raise ReturnWaitedTooLong(waited_until=waits_until(waiting).isoformat())
    if waiting.received_at + ledger.CLOCK_SKEW < bought_at:
        raise ReturnedBeforeBought(occurred_at=waiting.received_at.isoformat(), bought_at=bought_at.isoformat())
    occurred_at = waiting.command.occurred_at or max(waiting.received_at, bought_at)
    command = waiting.command.model_copy(update={"occurred_at": occurred_at})
    after = returned_after(bought, command, program.negative_balance, today_of(program, now))
    key = return_key(bought.entry, waiting.key)
    return after, assess_return(account, bought, after, command, key, program, content=content, now=now)


# ---------------------------------------------------------------- restatements


def restatement_key(bought: Bought) -> EntryKey:
    """The key of a purchase's next restatement: the version that it makes."""
    return EntryKey(kind="restatement", parts=(*bought.entry.key.parts, str(bought.version + 1)))


def kept_of(bought: Bought) -> Kept:
    """What the customer keeps of a purchase."""
    back = bought.returned.quantities or (0,) * len(bought.sale.lines)
    lines = tuple(
        line.model_copy(update={"quantity": line.quantity - some})
        for line, some in zip(bought.sale.lines, back, strict=True)
        if line.quantity > some
    )
    return Kept(
        lines=lines,
        paid_minor=bought.sale.paid_minor - bought.returned.refund_minor,
        points_tender=(bought.entry.consumed or 0) - bought.returned.points_given_back,
        points_earned=(bought.entry.earned or 0) - bought.returned.points_taken_back,
    )


def require_same_order(bought: Bought, command: RestatePurchase) -> None:
    """Refuse a restatement that would make another purchase of it.

    Raises:
        PurchaseFixed: a field that names the purchase is another than it was recorded with.
    """
    channel, order_no = bought.entry.key.parts
    recorded = {
        "member_id": bought.entry.member_id,
        "channel": channel,
        "order_no": order_no,
        "shop_id": bought.sale.shop_id,
        "occurred_at": bought.entry.occurred_at,
        "currency": bought.sale.currency,
    }
    for field, value in recorded.items():
        sent = getattr(command, field)
        if isinstance(sent, datetime):
            sent = from_milliseconds(milliseconds(sent))
        if sent is not None and sent != value:
            raise PurchaseFixed(field=field)


def restated(bought: Bought, command: RestatePurchase, policy: NegativeBalance, today: date) -> Bought | None:
    """A purchase as it is stated now; None when that is what the customer keeps of it already.

    The points follow from the money by the rate, multiplier and program version of the purchase, so it does not matter
    by which returns and restatements an order became what it is.

    Args:
        policy: with `pending_only`, points that can be spent by now are not taken back.

    Raises:
        TenderTooSmall, TenderUneven, TenderTooLarge: other points than now pay nothing, no whole amount, or too much.
        BalanceTooLarge: the earn rate alone would pass `POINTS_MAX`.
    """
    kept, program, entry = kept_of(bought), bought.program, bought.entry
    if (command.lines, command.paid_minor, command.points_tender) == (kept.lines, kept.paid_minor, kept.points_tender):
        return None
    tender_minor = worth_minor(command.points_tender, program.point_value)  # what is left of a tender may be uneven
    if command.points_tender != kept.points_tender:
        tender_minor = _tender_minor(command.points_tender, command.lines, program)
    qualifying = _qualifying(command.paid_minor, program)
    earned = earned_points(command.paid_minor, program.earn_rate, percent=_percent(entry))
    figures = {"earned": earned, "consumed": command.points_tender, "qualifying": qualifying}
    stated = entry_stated(entry, bought.sale, bought.delivery, program, figures)
    pends = stated.matures_on is not None and stated.matures_on > today
    if policy is NegativeBalance.PENDING_ONLY and not pends:
        stated = stated.model_copy(update={"earned": max(earned, kept.points_earned)})
    sale = bought.sale.model_copy(
        update={"lines": command.lines, "paid_minor": command.paid_minor, "tender_minor": tender_minor}
    )
    return replace(bought, entry=stated, sale=sale, returned=Returned(), version=bought.version + 1)


def entry_stated(
    entry: Entry, sale: Sale, delivery: Delivery | None, program: Program, figures: Mapping[str, int]
) -> Entry:
    """A purchase's entry with other figures; points that it did not earn at first go where they would have gone.

    Args:
        delivery: what was told of it by then.
        program: the version that it was decided by.
        figures: `earned`, `consumed` and `qualifying`.
    """
    last = entry.expires_on or expires_on(entry.occurred_on, program.expiry)
    matures_on = entry.matures_on
    if delivery is not None:
        matures_on = delivery.matures_on
    elif sale.awaits_delivery:
        matures_on = awaited(last)
    elif matures_on is None:
        matures_on = _matures_on(entry.occurred_on, program, last, local_day(entry.recorded_at, program.time_zone))
    period = entry.period or period_of(entry.occurred_on, program.expiry)
    return entry.model_copy(update={**figures, "expires_on": last, "matures_on": matures_on, "period": period})


def assess_restatement(
    account: Account,
    bought: Bought,
    after: Bought,
    command: RestatePurchase,
    program: Program,
    *,
    content: bytes,
    now: datetime,
    written_off: Mapping[date, int] | None = None,
) -> Posting:
    """Decide a restatement: the purchase's own bucket, period and month get the difference, up or down.

    Args:
        written_off: of debts that earlier returns and restatements left, what was written off and still counts, by its
            last day. Points that the order brings again pay for it first: else each turn down and up would give them
            once more.

    Raises:
        MemberClosed: the membership was closed.
        MemberSuspended: points would be given or taken to pay, and the account takes no such commands.
        OccurredTooLongAgo: more points would pay for a purchase that is too old for that.
        PointsInsufficient: more points would pay than there are.
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    before, entry = kept_of(bought), after.entry
    gained = (entry.earned or 0) - before.points_earned
    tendered = (entry.consumed or 0) - before.points_tender
    qualified = (entry.qualifying or 0) - (bought.entry.qualifying or 0) + bought.returned.qualifying_taken_back
    if gained > 0 or tendered > 0:
        ledger.require_open(account)
    today = today_of(program, now)
    matures_on = entry.matures_on
    pends = matures_on is not None and (matures_on > today or matures_on in account.pending)
    back = _first(written_off or {}, max(gained, 0) + max(-tendered, 0))
    why_back = (Why(rule_id="write_off", points=-sum(back.values()), args=()),) if back else ()
    draft = Draft(
        restatement_key(bought),
        Reason.REVERSE,
        max(now, entry.occurred_at),
        earned=gained,
        expires_on=entry.expires_on if gained else None,
        matures_on=matures_on if gained and pends else None,
        consumed=tendered,
        period=entry.period,
        qualifying=qualified,
        counts_on=entry.occurred_on,
        sums=_without(back) if back else None,
        why=(Why(rule_id="restated", points=gained, args=(before.paid_minor, after.sale.paid_minor)), *why_back),
        reason_code=command.reason,
        cause=entry.key,
        content=content,
        may_owe=True,
        shows_tier=True,
    )
    if tendered > 0:
        ledger.require_recent(entry.occurred_at, now)
        _require_points(account, draft, program, now=now)
    return ledger.reverse(account, draft, program, now=now)


def written_off(changes: Sequence[Entry], write_offs: Sequence[Entry]) -> dict[date, int]:
    """What was written off for a purchase and still counts, by its last day.

    Args:
        changes: its returns and restatements.
        write_offs: what wrote off debts that they left, without those that were taken back.
    """
    left = Counter[date]()
    for entry in write_offs:
        if entry.expires_on is not None:
            left[entry.expires_on] += entry.earned or 0
    for entry in changes:
        left.update(entry.sums.earned if entry.sums is not None else {})
    return {day: points for day, points in left.items() if points > 0}


def brings_again(entry: Entry) -> bool:
    """Whether a restatement brought points again: then what was written off for its purchase before is settled."""
    return entry.key.kind == "restatement" and ((entry.earned or 0) > 0 or (entry.consumed or 0) < 0)


def _first(written_off: Mapping[date, int], points: int) -> dict[date, int]:
    """So many points of what was written off, those that expire last first."""
    taken: dict[date, int] = {}
    for day in sorted(written_off, reverse=True):
        some = min(written_off[day], points)
        if some:
            taken[day] = some
            points -= some
    return taken


def _without(points: Mapping[date, int]) -> Sums:
    return Sums(lifetime=Lifetime(earned=-sum(points.values())), earned={day: -some for day, some in points.items()})


# ---------------------------------------------------------------- delivery


def delivery_key(bought: Bought) -> EntryKey:
    """A delivery's business key is the purchase's own: there is one."""
    return EntryKey(kind="delivery", parts=bought.entry.key.parts)


def assess_delivery(
    account: Account, bought: Bought, command: DeliverPurchase, program: Program, *, content: bytes, now: datetime
) -> tuple[Delivery, Posting]:
    """Decide a delivery: what is still pending of the purchase gets its day, or can be spent at once.

    The day is by the program version of the purchase. Points that were returned, or expired, are not freed.

    Raises:
        DeliveryNotAwaited: the purchase does not wait for one.
        MemberClosed: the membership was closed.
        OccurredInFuture, DeliveredBeforeBought: `delivered_at` is later than now, or before the purchase.
    """
    entry = bought.entry
    if not bought.sale.awaits_delivery:
        raise DeliveryNotAwaited(purchase_id=purchase_id_of(entry))
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    at = max(now, entry.occurred_at)  # our clocks may disagree by a little
    if command.delivered_at is not None:
        at = ledger.not_later(command.delivered_at, now)
        if at < entry.occurred_at:
            raise DeliveredBeforeBought(delivered_at=at.isoformat(), bought_at=entry.occurred_at.isoformat())
    today = today_of(program, now)
    waiting = awaited(entry.expires_on or expires_on(entry.occurred_on, bought.program.expiry))
    points = max(min(kept_of(bought).points_earned, account.pending.get(waiting, 0)), 0)
    left = {**account.pending, waiting: account.pending.get(waiting, 0) - points}
    without = account.model_copy(update={"pending": left})
    released = ledger.derive(account, today).pending - ledger.derive(without, today).pending
    delivery = delivered(entry, bought.program, at, today)
    matures_on = delivery.matures_on
    moved = {waiting: -points, **({matures_on: points} if matures_on else {})} if points else {}
    first = matures_on or today
    draft = Draft(
        delivery_key(bought),
        Reason.RELEASE,
        at,
        sums=Sums(pending=moved),
        why=(Why(rule_id="delivered", points=0, args=(released, first.toordinal())),),
        cause=entry.key,
        content=content,
    )
    return delivery, ledger.post(account, draft, program, now=now)


def delivered(entry: Entry, program: Program, at: datetime, today: date) -> Delivery:
    """What a delivery makes of a purchase: the day on which its points are free, None when that has come.

    Args:
        program: the version that the purchase was decided by.
        today: the day on which the delivery is told. What has lapsed by then is not freed.
    """
    last = entry.expires_on or expires_on(entry.occurred_on, program.expiry)
    return Delivery(delivered_at=at, matures_on=_matures_on(local_day(at, program.time_zone), program, last, today))


def released_by(entry: Entry) -> tuple[int, date]:
    """How many points a delivery freed, and from which day on."""
    points, day = entry.why[0].args
    return points, date.fromordinal(day)


def _require_points(account: Account, draft: Draft, program: Program, *, now: datetime) -> None:
    """Refuse a tender of more points than there are without those that the restatement itself gives or takes back."""
    today = today_of(program, now)
    without = ledger.post(account, replace(draft, consumed=0), program, now=now).account
    available = min(ledger.derive(each, today).available for each in (account, without))
    if draft.consumed > available:
        raise PointsInsufficient(asked=draft.consumed, available=available)


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


def _qualifying(paid_minor: int, program: Program) -> int:
    """The points of the earn rate alone.

    Raises:
        BalanceTooLarge: they would pass `POINTS_MAX`.
    """
    base = earned_points(paid_minor, program.earn_rate)
    if base > POINTS_MAX:
        raise BalanceTooLarge(balance=base, limit=POINTS_MAX)
    return base


def _matures_on(from_day: date, program: Program, last: date, today: date) -> date | None:
    """The first day on which points can be spent that are pending from a day on, where that is yet to come.

    Args:
        last: the last day of the points. What has lapsed is pending no more: it would keep other points from being
            spent.
    """
    if not program.pending_days:
        return None
    day = min(from_day + timedelta(days=program.pending_days), day_after(last))
    return day if day > today else None


def _tender_minor(points: int, lines: Sequence[PurchaseLine], program: Program) -> int:
    """What points pay.

    Raises:
        TenderTooSmall, TenderUneven, TenderTooLarge: nothing, no whole amount, or more than the lines cost.
    """
    if points == 0:
        return 0
    value = program.point_value
    tender = worth_minor(points, value)
    if tender == 0:
        worth = f"{value.points} points pay {shown(value.minor, program.currency)}"
        raise TenderTooSmall(points=points, worth=worth)
    even = -(-tender * value.points // value.minor)
    if even != points:
        raise TenderUneven(points=points, even=even)
    total = sum(line.quantity * line.unit_price_minor for line in lines)
    if lines and tender > total:
        raise TenderTooLarge(tender_minor=tender, total_minor=total)
    return tender
