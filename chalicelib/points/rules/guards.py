"""What is refused before anything is reckoned: by the account's status, its holds, or the time. Pure."""

from datetime import datetime, timedelta

from chalicelib.points.errors import (
    HoldsOpen,
    MemberClosed,
    MemberSuspended,
    OccurredInFuture,
    OccurredTooLongAgo,
    VelocityExceeded,
)
from chalicelib.points.models import Account, AccountStatus, Adjusted

CLOCK_SKEW = timedelta(minutes=5)
"""How far a till's clock may be ahead of ours."""


SPEND_LATE_DAYS = 31
"""How late a spend may be recorded: a till that was offline, not a way to points that lapsed long ago."""


def require_open(account: Account) -> None:
    """Refuse commands on an account that is suspended or closed.

    Raises:
        MemberSuspended, MemberClosed: it is.
    """
    if account.status is AccountStatus.SUSPENDED:
        raise MemberSuspended(member_id=account.member_id)
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)


def require_nothing_held(account: Account, now: datetime) -> None:
    """Refuse what would take points that a hold promises to somebody.

    Raises:
        HoldsOpen: there are holds that are not over.
    """
    live = [hold for hold in account.holds.values() if hold.until > now]
    if live:
        until = max(hold.until for hold in live)
        raise HoldsOpen(points=sum(hold.points for hold in live), until=until.isoformat())


def not_later(occurred_at: datetime, now: datetime) -> datetime:
    """The instant, unless it lies in the future; a till's clock may be a little ahead.

    Raises:
        OccurredInFuture: it is later than now by more than `CLOCK_SKEW`.
    """
    if occurred_at > now + CLOCK_SKEW:
        clock = now.astimezone(occurred_at.tzinfo)
        raise OccurredInFuture(
            occurred_at=occurred_at.isoformat(timespec="milliseconds"), now=clock.isoformat(timespec="milliseconds")
        )
    return min(occurred_at, now)


def require_recent(spent_at: datetime, now: datetime) -> None:
    """Refuse to take points for something that is told too late.

    The arithmetic knows no such limit. Tills do: who may date a spend back without one could reach points that lapsed
    years ago.

    Raises:
        OccurredTooLongAgo: it is more than `SPEND_LATE_DAYS` ago.
    """
    if spent_at < now - timedelta(days=SPEND_LATE_DAYS):
        raise OccurredTooLongAgo(occurred_at=spent_at.isoformat(), days=SPEND_LATE_DAYS)


def require_velocity(given: Adjusted, points: int, limit: int | None) -> None:
    """See that nobody gives more points by hand on a day than one person may.

    Raises:
        VelocityExceeded: they would.
    """
    if limit is not None and given.points + points > limit:
        raise VelocityExceeded(asked=points, given=given.points, limit=limit)
