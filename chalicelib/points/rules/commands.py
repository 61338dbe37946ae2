"""What the commands of points come to: spend, adjust, gift, reserve, forfeit. Pure."""

from datetime import date, datetime

from chalicelib.kernel.calendar import NEVER, local_day, month_of, months_later
from chalicelib.points.errors import (
    AdjustmentEmpty,
    ExpiryPast,
    ExpiryTooFar,
    HoldsTooMany,
    MemberClosed,
    PointsInsufficient,
)
from chalicelib.points.fold import standing_of
from chalicelib.points.models import Account, AccountStatus, AdjustPoints, EntryKey, Posting, Reason, SpendPoints, Why
from chalicelib.points.rules import balances, guards, ledger
from chalicelib.points.rules.ledger import Draft, Held
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import expires_on, period_of, today_of

HOLDS_MAX = 16
"""How many holds an account has at a time; each stands on the account's item."""


EXPIRY_MONTHS_MAX = 240
"""How far ahead an adjustment may set the last day of points; each distinct day is a number on the account."""


def spend(
    account: Account, command: SpendPoints, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Take points out of an account, soonest expiry first.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        OccurredInFuture: `occurred_at` is later than now.
        PointsInsufficient: the live lots hold fewer points than asked for.
    """
    guards.require_open(account)
    occurred_at = guards.not_later(command.occurred_at or now, now)
    draft = Draft(key, Reason.SPEND, occurred_at, consumed=command.points, content=content)
    return ledger.post(account, draft, program, now=now)


def adjust(
    account: Account, command: AdjustPoints, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Correct an account's balance, up or down.

    Points taken beyond the balance become a debt where the program's policy is `owe`; elsewhere they are refused.

    Raises:
        MemberClosed: the membership was closed.
        AdjustmentEmpty: neither the balance nor the qualifying points would change.
        ExpiryPast, ExpiryTooFar: the points given would have expired already, or live for decades.
        PointsInsufficient: more would be taken than there is, and the policy is not `owe`.
    """
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    if command.points == 0 and command.qualifying_points == 0:
        raise AdjustmentEmpty
    occurred_at = guards.not_later(command.occurred_at or now, now)
    today = today_of(program, now)
    last = command.expires_on or expires_on(local_day(occurred_at, program.time_zone), program.expiry)
    if command.points > 0 and last < today:
        raise ExpiryPast(expires_on=last.isoformat(), today=today.isoformat())
    latest = months_later(today, EXPIRY_MONTHS_MAX)
    if command.expires_on and latest < command.expires_on < NEVER:
        raise ExpiryTooFar(expires_on=command.expires_on.isoformat(), latest=latest.isoformat())
    draft = Draft(
        key,
        Reason.ADJUST,
        occurred_at,
        earned=max(command.points, 0),
        expires_on=period_of(last, program.expiry) if command.points > 0 else None,
        consumed=max(-command.points, 0),
        qualifying=command.qualifying_points,
        why=_why_qualifying(command.qualifying_points),
        reason_code=command.reason_code,
        content=content,
        may_owe=program.negative_balance is NegativeBalance.OWE,
    )
    return ledger.post(account, draft, program, now=now)


def _why_qualifying(points: int) -> tuple[Why, ...]:
    """The statement shows what the index holds, and that is the reasons."""
    return (Why(rule_id="qualifying", points=0, args=(points,)),) if points else ()


def gift(
    account: Account, key: EntryKey, program: Program, *, on: date, content: bytes, now: datetime
) -> Posting | None:
    """Give the birthday gift of a member's tier; None when the tier gives none.

    Args:
        on: the day that is celebrated: the tier held then counts, and the points live from then on.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
    """
    guards.require_open(account)
    held = Held(month_of(on), standing_of(account, program, on))
    tier = program.tier(held.standing.tier_id)
    points = tier.birthday_points
    if points == 0:
        return None
    draft = Draft(
        key,
        Reason.EARN,
        min(ledger.midnight(on, program), now),
        earned=points,
        expires_on=expires_on(on, program.expiry),
        why=(Why(rule_id=f"birthday.{tier.tier_id}", points=points, args=()),),
        content=content,
        held=held,
    )
    return ledger.post(account, draft, program, now=now)


def reserve(account: Account, draft: Draft, program: Program, *, now: datetime) -> Posting:
    """Keep points from being spent otherwise, until an instant.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        PointsInsufficient: fewer are available.
        HoldsTooMany: there are `HOLDS_MAX` already.
    """
    guards.require_open(account)
    recorded = ledger.recorded_at(account, now)
    if sum(hold.until > recorded for hold in account.holds.values()) >= HOLDS_MAX:
        raise HoldsTooMany(limit=HOLDS_MAX)
    available = balances.derive(account, today_of(program, recorded), recorded).available
    if draft.reserved > available:
        raise PointsInsufficient(asked=draft.reserved, available=available)
    return ledger.post(account, draft, program, now=now)


def forfeit(account: Account, key: EntryKey, program: Program, *, now: datetime) -> Posting | None:
    """Bring a balance to nothing because the membership closes; None when it is nothing already."""
    settled, _ = ledger.settle(account, program, now=now)
    balance = balances.derive(settled, today_of(program, ledger.recorded_at(settled, now))).balance
    if balance == 0:
        return None
    draft = Draft(
        key,
        Reason.ADJUST,
        now,
        earned=max(-balance, 0),
        expires_on=NEVER if balance < 0 else None,
        consumed=max(balance, 0),
        reason_code="account_closed",
        may_owe=True,
    )
    return ledger.post(account, draft, program, now=now)
