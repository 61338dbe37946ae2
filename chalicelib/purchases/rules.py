"""What a purchase comes to: points, tier, tender. Pure."""

from datetime import date, datetime, timedelta

from chalicelib.kernel.calendar import local_day, month_of
from chalicelib.kernel.money import POINTS_MAX, shown
from chalicelib.points import rules as ledger
from chalicelib.points.errors import BalanceTooLarge
from chalicelib.points.models import Account, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import Draft, Held
from chalicelib.programs.models import Program
from chalicelib.programs.rules import earned_points, expires_on, today_of, worth_minor
from chalicelib.purchases.errors import CurrencyWrong, TenderTooLarge, TenderTooSmall, TenderUneven
from chalicelib.purchases.models import RecordPurchase, Sale
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
    if total != base:
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
