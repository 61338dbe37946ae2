"""Use case of retention: what is kept longer than it may be is taken away; by the clock, and safe to repeat."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId
from chalicelib.members import store as members_store
from chalicelib.points import store as points_store
from chalicelib.points.models import AccountStatus
from chalicelib.privacy import store
from chalicelib.privacy.models import EraseMember, ErasureReason
from chalicelib.privacy.rotation import every_member
from chalicelib.privacy.service import erasing
from chalicelib.privacy.service.erasing import Places

CONSENTS_KEPT = timedelta(days=3 * 366)
"""How long after an erasure it can still be shown what was consented to."""

SHOWINGS_KEPT = timedelta(days=366)
"""How long it can be shown who saw personal data; half a year is the least."""

_LOOKED_BACK = timedelta(days=400)
"""How many days of showings a run looks through that should be gone: more than a year without a run needs another."""


@dataclass(slots=True)
class Retained:
    """What a run took away, or would."""

    members: int = 0
    """Closed memberships whose members were erased."""
    blocked: int = 0
    """Those that something stands in the way of."""
    consent_changes: int = 0
    showings: int = 0


def retain(places: Places, *, closed_for: timedelta, dry_run: bool, now: datetime) -> Retained:
    """Erase who closed their membership long ago, and take away records that have served their time.

    Args:
        closed_for: so long after the closure contact data are kept.
    """
    done = Retained()
    for member_id in every_member(places.table):
        item, account = members_store.find_items(places.table, member_id, consistent=True)
        if item is None or account is None:
            continue
        if members_store.is_erased(item):
            if members_store.erased_at(item) + CONSENTS_KEPT <= now:
                done.consent_changes += store.forget_consent_changes(places.table, member_id, dry_run=dry_run)
        elif account["status"] == AccountStatus.CLOSED and _closed_before(places, member_id, now - closed_for):
            command = EraseMember(reason=ErasureReason.RETENTION, forfeit=True, dry_run=dry_run)
            try:
                erasing.erase_member(places, member_id, command, by="retention", now=now)
                done.members += 1
            except Refusal:
                done.blocked += 1
    for day in _days_over(now):
        done.showings += store.forget_showings(places.table, day.date(), dry_run=dry_run)
    return done


def _closed_before(places: Places, member_id: MemberId, limit: datetime) -> bool:
    """Whether a membership was closed before an instant, as its timeline has it; not, where that has nothing."""
    rows = places.table.query_timeline(store.happenings_of(member_id), after=None, limit=10)
    closed = [points_store.happened_from(row) for row in rows.items if row["kind"] == "closed"]
    return bool(closed) and closed[0].at < limit


def _days_over(now: datetime) -> Iterator[datetime]:
    """The days whose showings have served their time, the latest first."""
    first = now - SHOWINGS_KEPT - timedelta(days=1)
    return (first - timedelta(days=back) for back in range(_LOOKED_BACK.days))
