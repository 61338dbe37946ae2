"""What becomes of a purchase that is stated anew: the difference, up or down. Pure."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime

from chalicelib.kernel.calendar import from_milliseconds, local_day, milliseconds
from chalicelib.points.errors import PointsInsufficient
from chalicelib.points.fold import awaited, pends
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import balances, guards, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import earned_points, expires_on, period_of, today_of, worth_minor
from chalicelib.purchases.errors import PurchaseFixed
from chalicelib.purchases.models import Delivery, RestatePurchase, Returned, Sale
from chalicelib.purchases.rules import buying, orders
from chalicelib.purchases.rules.orders import Bought
from chalicelib.purchases.rules.write_offs import Turns, change_of, post_change


def restatement_key(bought: Bought) -> EntryKey:
    """The key of a purchase's next restatement: the version that it makes."""
    return EntryKey(kind="restatement", parts=(*bought.entry.key.parts, str(bought.version + 1)))


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
    kept, program, entry = orders.kept_of(bought), bought.program, bought.entry
    if (command.lines, command.paid_minor, command.points_tender) == (kept.lines, kept.paid_minor, kept.points_tender):
        return None
    tender_minor = worth_minor(command.points_tender, program.point_value)  # what is left of a tender may be uneven
    if command.points_tender != kept.points_tender:
        tender_minor = buying.paid_by_points(command.points_tender, command.lines, program)
    qualifying = buying.base_points(command.paid_minor, program)
    earned = earned_points(command.paid_minor, program.earn_rate, percent=orders.multiplier_of(entry))
    figures = {"earned": earned, "consumed": command.points_tender, "qualifying": qualifying}
    stated = entry_stated(entry, bought.sale, bought.delivery, program, figures)
    if policy is NegativeBalance.PENDING_ONLY and not pends(stated.matures_on, today):
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
        matures_on = buying.maturity_of(
            entry.occurred_on, last, program, local_day(entry.recorded_at, program.time_zone)
        )
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
    turns: Turns,
) -> Posting:
    """Decide a restatement: the purchase's own bucket, period and month get the difference, up or down.

    Args:
        turns: what earlier returns and restatements of the purchase came to.

    Raises:
        MemberClosed: the membership was closed.
        MemberSuspended: points would be given or taken to pay, and the account takes no such commands.
        OccurredTooLongAgo: more points would pay for a purchase that is too old for that.
        PointsInsufficient: more points would pay than there are.
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    before, entry = orders.kept_of(bought), after.entry
    gained = (entry.earned or 0) - before.points_earned
    tendered = (entry.consumed or 0) - before.points_tender
    qualified = (entry.qualifying or 0) - (bought.entry.qualifying or 0) + bought.returned.qualifying_taken_back
    if gained > 0 or tendered > 0:
        guards.require_open(account)
    today = today_of(program, now)
    matures_on = entry.matures_on
    pending = pends(matures_on, today) or matures_on in account.pending
    draft = Draft(
        restatement_key(bought),
        Reason.REVERSE,
        max(now, entry.occurred_at),
        earned=gained,
        expires_on=entry.expires_on if gained else None,
        matures_on=matures_on if gained and pending else None,
        consumed=tendered,
        period=entry.period,
        qualifying=qualified,
        counts_on=entry.occurred_on,
        why=(Why(rule_id="restated", points=gained, args=(before.paid_minor, after.sale.paid_minor)),),
        reason_code=command.reason,
        cause=entry.key,
        content=content,
        may_owe=True,
        shows_tier=True,
    )
    if tendered > 0:
        guards.require_recent(entry.occurred_at, now)
        _require_points(account, draft, program, now=now)
    return post_change(account, draft, turns, program, now=now)


def brought_by(bought: Bought, after: Bought) -> int:
    """How much more a purchase brings as it is stated now; below nought, how much less."""
    before = orders.kept_of(bought)
    return change_of(after.entry) - (before.points_earned - before.points_tender)


def _require_points(account: Account, draft: Draft, program: Program, *, now: datetime) -> None:
    """Refuse a tender of more points than there are without those that the restatement itself gives or takes back."""
    today = today_of(program, now)
    without = ledger.post(account, replace(draft, consumed=0), program, now=now).account
    available = min(balances.derive(each, today).available for each in (account, without))
    if draft.consumed > available:
        raise PointsInsufficient(asked=draft.consumed, available=available)
