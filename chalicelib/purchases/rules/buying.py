"""What a purchase comes to when it is recorded: what it earns and why, what its tender takes. Pure."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from chalicelib.holds.models import Hold
from chalicelib.holds.rules import captured
from chalicelib.identity.permissions import Permission, roles_with
from chalicelib.kernel.calendar import local_day, month_of
from chalicelib.kernel.money import POINTS_MAX, shown
from chalicelib.points.errors import BalanceTooLarge
from chalicelib.points.fold import awaited, lifelong
from chalicelib.points.models import Account, EntryKey, Posting, Reason, Why
from chalicelib.points.rules import guards, ledger
from chalicelib.points.rules.ledger import Draft, Held
from chalicelib.programs.models import Program
from chalicelib.programs.rules import earned_points, expires_on, today_of, worth_minor
from chalicelib.purchases.errors import CurrencyWrong, PurchaseTooLarge, TenderTooLarge, TenderTooSmall, TenderUneven
from chalicelib.purchases.models import PurchaseLine, RecordPurchase, Sale
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
        tender_minor=paid_by_points(command.points_tender or 0, command.lines, program),
        lines=command.lines,
        awaits_delivery=command.awaits_delivery,
    )


def require_likely(paid_minor: int, program: Program, *, kept_minor: int = 0) -> None:
    """Refuse a purchase of more money than the program lets anybody record.

    Args:
        kept_minor: what was paid for it before it is restated: to say less than that is no gift.

    Raises:
        PurchaseTooLarge: it is of more.
    """
    limit, allowed = program.purchase_max_minor, Permission.PURCHASES_RECORD_LARGE
    if limit is not None and paid_minor > max(limit, kept_minor):
        raise PurchaseTooLarge(
            paid_minor=paid_minor, limit_minor=limit, permission=allowed.value, roles=roles_with(allowed)
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
    guards.require_open(account)
    occurred_at = guards.not_later(command.occurred_at, now)
    bought_on = local_day(occurred_at, program.time_zone)
    standing_then = standing(account.qualifying, program, on=month_of(bought_on), anchor=account.anchor)
    percent = program.tier(standing_then.tier_id).multiplier_percent

    base = base_points(command.paid_minor, program)
    total = earned_points(command.paid_minor, program.earn_rate, percent=percent)
    why = [Why(rule_id="base", points=base, args=(command.paid_minor,))]
    if percent != 100:  # also where rounding hides it: a return of some of it reckons with the multiplier
        why.append(Why(rule_id=f"tier.{standing_then.tier_id}", points=total - base, args=(percent,)))
    last = expires_on(bought_on, program.expiry)
    matures_on = maturity_of(bought_on, last, program, today_of(program, now))
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


def base_points(paid_minor: int, program: Program) -> int:
    """The points of the earn rate alone.

    Raises:
        BalanceTooLarge: they would pass `POINTS_MAX`.
    """
    base = earned_points(paid_minor, program.earn_rate)
    if base > POINTS_MAX:
        raise BalanceTooLarge(balance=base, limit=POINTS_MAX)
    return base


def maturity_of(begins_on: date, last: date, program: Program, today: date) -> date | None:
    """The first day on which the points can be spent, where that is yet to come; see `fold.lifelong` where it never is.

    Args:
        begins_on: the day from which pending days count.
        last: the last day of the points.
    """
    day = begins_on + timedelta(days=program.pending_days)
    if day <= today:
        return None
    return day if day <= last else lifelong(last)


def paid_by_points(points: int, lines: Sequence[PurchaseLine], program: Program) -> int:
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
