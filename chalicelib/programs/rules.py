"""Arithmetic of a program: earning, worth, expiry, and the next version."""

from datetime import date, datetime
from functools import cache
from typing import Any

from chalicelib.kernel.calendar import NEVER, last_day, local_day, month_of, months_later
from chalicelib.kernel.ids import AccountId, is_card
from chalicelib.kernel.money import MINOR_MAX
from chalicelib.programs.errors import CurrencyFixed, ProgramFieldFixed
from chalicelib.programs.models import (
    CARD_LIMITS,
    Bucket,
    EarnRate,
    Expiry,
    ExpiryMode,
    FormerLadder,
    Ladder,
    NegativeBalance,
    Notices,
    PointValue,
    Program,
    ProgramTerms,
    PublishProgram,
    Rounding,
    Text,
    Tier,
)

NO_TIER = "none"
"""The tier of accounts that climb no ladder."""

# Reviews look back at most two years, and standings are re-derived over three: older ladders decide nothing.
_FORMER_LADDERS_MONTHS = 72
_FORMER_LADDERS_MAX = 50


def earned_points(paid_minor: int, rate: EarnRate, *, percent: int = 100) -> int:
    """Points for an amount paid, rounded once.

    Args:
        paid_minor: minor units of the program's currency.
        percent: the tier's multiplier; 100 changes nothing.
    """
    product = paid_minor * rate.points * percent
    per = rate.per_minor * 100
    match rate.rounding:
        case Rounding.DOWN:
            return product // per
        case Rounding.UP:
            return -(-product // per)
        case Rounding.HALF_UP:
            return (2 * product + per) // (2 * per)


def worth_minor(points: int, value: PointValue) -> int:
    """What points pay, in minor units, rounded down."""
    return points * value.minor // value.points


def expires_on(earned_on: date, expiry: Expiry) -> date:
    """The last day on which points earned on a day can be spent."""
    match expiry.mode:
        case ExpiryMode.NEVER:
            return NEVER
        case ExpiryMode.END_OF_YEAR:
            return date(earned_on.year + expiry.years, 12, 31)
        case ExpiryMode.ROLLING:
            return period_of(months_later(earned_on, expiry.months), expiry)


def period_of(day: date, expiry: Expiry) -> date:
    """The day at whose end the period of a day closes: the month's last day, or the day itself."""
    return last_day(month_of(day)) if expiry.bucket is Bucket.MONTH else day


def for_account(program: Program, account_id: AccountId) -> Program:
    """The program as an account goes by it: what a card holds climbs no ladder and is not told of as points are."""
    if not is_card(account_id):
        return program
    return program.model_copy(update=_for_cards())


@cache
def _for_cards() -> dict[str, Any]:
    """Terms that cards go by in place of the merchant's. Months are periods, so that years of visits stay few sums."""
    only = Tier(tier_id=NO_TIER, name=Text(zh="无", en="None"), threshold=0)
    return {
        "ladder": Ladder(tiers=(only,)),
        "former_ladders": (),
        "notices": Notices(expiring_days=None),
        "expiry": Expiry(mode=ExpiryMode.NEVER),
        "pending_days": 0,
        "negative_balance": NegativeBalance.OWE,
    }


def card_limit_minor(program: Program) -> int:
    """What a card may hold after a top-up, bonus included."""
    return program.stored_value.balance_max_minor or CARD_LIMITS.get(program.currency, MINOR_MAX)


def today_of(program: Program, now: datetime) -> date:
    """The calendar day in the program's time zone."""
    return local_day(now, program.time_zone)


def next_version(current: Program, command: PublishProgram, *, in_use: bool, now: datetime) -> Program:
    """The version that follows, with the ladder it replaces kept for judging past months.

    Args:
        in_use: purchases were recorded; a program that waits for its first one may still take another currency, and
            nobody was judged by the ladder that it gives up.

    Raises:
        CurrencyFixed: the currency differs, and the program is in use.
        ProgramFieldFixed: `published_at` or `former_ladders` are sent along, and are not those of the current version.
    """
    for field in ("published_at", "former_ladders"):
        if getattr(command, field) not in (None, getattr(current, field)):
            raise ProgramFieldFixed(field=field)
    if in_use and command.currency != current.currency:
        raise CurrencyFixed(current=current.currency, asked=command.currency)
    month = month_of(today_of(current, now))
    former = current.former_ladders
    if in_use and command.ladder != current.ladder:
        former = (*former, FormerLadder(ladder=current.ladder, through=month))
    kept = tuple(each for each in former if each.through >= month - _FORMER_LADDERS_MONTHS)[-_FORMER_LADDERS_MAX:]
    terms = {name: getattr(command, name) for name in ProgramTerms.model_fields}
    return Program(**terms, version=current.version + 1, published_at=now, former_ladders=kept)
