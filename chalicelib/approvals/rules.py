"""How much somebody may do alone. Pure.

What one person did to one account, and gave to all, counts for a day, by the hours in which it was done, so that
splitting a large adjustment does not go round the limit. The hour that began 24 hours ago counts whole: a day is at
most an hour long.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from chalicelib.approvals.errors import ApprovalNeeded
from chalicelib.approvals.models import WAITS_FOR, Approval, ApprovalStatus, ApprovalView

Hours = Mapping[int, int]
"""What was done, by the hour since 1970."""

_DAY = 24


def hour_of(now: datetime) -> int:
    """The hour since 1970."""
    return int(now.timestamp()) // 3600


def require_within(did: Iterable[Hours], amount: int, limit: int, now: datetime) -> None:
    """See that somebody may do so much more alone.

    Args:
        did: what they did to the account, and to those that went into it.

    Raises:
        ApprovalNeeded: they may not.
    """
    first = hour_of(now) - _DAY
    used = sum(each for hours in did for hour, each in hours.items() if hour >= first)
    if used + amount > limit:
        raise ApprovalNeeded(amount=amount, used=used, limit=limit)


def with_more(hours: Hours, amount: int, now: datetime) -> Hours:
    """What was done, with more of it; what counts no longer is left out."""
    this = hour_of(now)
    kept = {hour: each for hour, each in hours.items() if hour >= this - _DAY}
    return {**kept, this: kept.get(this, 0) + amount}


def status_of(approval: Approval, now: datetime) -> ApprovalStatus:
    """What became of it by now."""
    late = approval.status is ApprovalStatus.WAITING and now >= approval.asked_at + WAITS_FOR
    return ApprovalStatus.LAPSED if late else approval.status


def view_of(approval: Approval, now: datetime) -> ApprovalView:
    """What waits, or did, as callers see it."""
    return ApprovalView(
        approval_id=approval.approval_id,
        kind=approval.kind,
        status=status_of(approval, now),
        about=approval.about,
        amount=approval.amount,
        command=json.loads(approval.command),
        asked_by=approval.asked_by,
        asked_at=approval.asked_at,
        lapses_at=approval.asked_at + WAITS_FOR,
        decided_by=approval.decided_by,
        decided_at=approval.decided_at,
        reason=approval.reason,
        entry_id=approval.entry_id,
    )
