"""What a delivery frees of the points that waited for it. Pure."""

from datetime import date, datetime, timedelta

from chalicelib.kernel.calendar import local_day
from chalicelib.points.errors import MemberClosed
from chalicelib.points.fold import awaited
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting, Reason, Sums, Why
from chalicelib.points.rules import balances, guards, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import expires_on, today_of
from chalicelib.purchases.errors import DeliveredBeforeBought, DeliveryNotAwaited
from chalicelib.purchases.models import DeliverPurchase, Delivery
from chalicelib.purchases.rules import orders
from chalicelib.purchases.rules.orders import Bought


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
        raise DeliveryNotAwaited(purchase_id=orders.purchase_id_of(entry))
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    at = max(now, entry.occurred_at)  # our clocks may disagree by a little
    if command.delivered_at is not None:
        at = guards.not_later(command.delivered_at, now)
        if at < entry.occurred_at:
            raise DeliveredBeforeBought(delivered_at=at.isoformat(), bought_at=entry.occurred_at.isoformat())
    today = today_of(program, now)
    waiting = awaited(entry.expires_on or expires_on(entry.occurred_on, bought.program.expiry))
    points = max(min(orders.kept_of(bought).points_earned, account.pending.get(waiting, 0)), 0)
    left = {**account.pending, waiting: account.pending.get(waiting, 0) - points}
    without = account.model_copy(update={"pending": left})
    released = balances.derive(account, today).pending - balances.derive(without, today).pending
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
    day = local_day(at, program.time_zone) + timedelta(days=program.pending_days)
    lapsed = entry.expires_on is not None and entry.expires_on < today
    return Delivery(delivered_at=at, matures_on=day if day > today and not lapsed else None)


def released_by(entry: Entry) -> tuple[int, date]:
    """How many points a delivery freed, and from which day on."""
    points, day = entry.why[0].args
    return points, date.fromordinal(day)
