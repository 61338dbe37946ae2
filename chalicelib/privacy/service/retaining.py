"""Use case of retention: what is kept longer than it may be is taken away; by the clock, and safe to repeat."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.cards import store as cards_store
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.members import store as members_store
from chalicelib.points import store as points_store
from chalicelib.points.models import AccountStatus, Reason
from chalicelib.privacy import store
from chalicelib.privacy.models import EraseMember, ErasureReason
from chalicelib.privacy.rotation import every_member
from chalicelib.privacy.service import erasing
from chalicelib.privacy.service.erasing import Places
from chalicelib.programs.models import Program
from chalicelib.signin import store as signin_store
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

CONSENTS_KEPT = timedelta(days=3 * 366)
"""How long after an erasure it can still be shown what was consented to."""

SHOWINGS_KEPT = timedelta(days=366)
"""How long it can be shown who saw personal data; half a year is the least."""

_LOOKED_BACK = timedelta(days=400)
"""How many days of showings a run looks through that should be gone: more than a year without a run needs another."""

_YEAR = timedelta(days=366)
_PAGE = 100
_BY_TIME = frozenset({Reason.EXPIRE, Reason.RELEASE, Reason.TIER})
"""Entries that nobody asked for: they come by themselves, also to who has gone away."""
_TOLD = frozenset({"points_expiring", "points_released"})
"""Likewise of what happens to members and moves no points."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How long who a member is may be known; None: for ever.

    Attributes:
        closed_for: after the closure of their membership.
        inactive_for: after the last that they did.
    """

    closed_for: timedelta | None = None
    inactive_for: timedelta | None = None


@dataclass(slots=True)
class Retained:
    """What a run took away, or would."""

    members: int = 0
    """Those who were erased: they closed their membership, or did nothing, long ago."""
    blocked: int = 0
    """Those that something stands in the way of."""
    consent_changes: int = 0
    showings: int = 0
    reach_changes: int = 0


def terms_of(program: Program) -> Terms:
    """What the program says."""
    said = program.retention
    return Terms(
        _YEAR * said.closed_years if said.closed_years is not None else None,
        _YEAR * said.inactive_years if said.inactive_years is not None else None,
    )


def retain(places: Places, terms: Terms, *, dry_run: bool, now: datetime) -> Retained:
    """Erase members whose time is over, and take away records that have served theirs; all of them, one by one."""
    done = Retained()
    for member_id in every_member(places.table):
        one = retain_member(places, member_id, terms, dry_run=dry_run, now=now)
        done.members += one.members
        done.blocked += one.blocked
        done.consent_changes += one.consent_changes
    done.showings = retain_showings(places.table, dry_run=dry_run, now=now)
    done.reach_changes = retain_reach_changes(places.table, dry_run=dry_run, now=now)
    return done


def retain_member(places: Places, member_id: MemberId, terms: Terms, *, dry_run: bool, now: datetime) -> Retained:
    """Erase a member whose time is over; of one who was erased, take away the history of their consents in its time."""
    done = Retained()
    item, account = members_store.find_items(places.table, member_id, consistent=True)
    if item is None or account is None:
        return done
    if members_store.is_erased(item):
        if members_store.erased_at(item) + CONSENTS_KEPT <= now:
            done.consent_changes = store.forget_consent_changes(places.table, member_id, dry_run=dry_run)
    elif _is_over(places, member_id, item, account, terms, now):
        command = EraseMember(reason=ErasureReason.RETENTION, forfeit=True, dry_run=dry_run)
        try:
            erasing.erase_member(places, member_id, command, by="retention", now=now)
            done.members = 1
        except Refusal:
            done.blocked = 1
    return done


def retain_showings(table: Table, *, dry_run: bool, now: datetime) -> int:
    """Take away records of showings that have served their time; how many."""
    return sum(store.forget_showings(table, day.date(), dry_run=dry_run) for day in _days_over(now, SHOWINGS_KEPT))


def retain_reach_changes(table: Table, *, dry_run: bool, now: datetime) -> int:
    """Take away what the log of changes of reach has of days that nobody plans from any more; how many lines."""
    days = _days_over(now, members_store.REACH_KEPT)
    return sum(store.forget_reach_changes(table, day.date(), dry_run=dry_run) for day in days)


def _is_over(places: Places, member_id: MemberId, item: Item, account: Item, terms: Terms, now: datetime) -> bool:
    match account["status"]:
        case AccountStatus.MERGED:
            return False  # who answers for them is looked at instead
        case AccountStatus.CLOSED:
            return terms.closed_for is not None and _closed_before(places, member_id, now - terms.closed_for)
    if terms.inactive_for is None or members_store.joined_at(item) >= now - terms.inactive_for:
        return False
    return not _did_something(places, member_id, now - terms.inactive_for)


def _did_something(places: Places, member_id: MemberId, since: datetime) -> bool:
    """Whether a member, or somebody for them, did anything since an instant."""
    sessions = signin_store.list_sessions(places.ops, member_id)
    if any(each.turned_at >= since for each in sessions):
        return True
    card_ids = cards_store.list_all_owned(places.table, [member_id])
    owned: list[AccountId] = [member_id, *card_ids]
    lists = [part for each in owned for part in (store.entries_of(each), store.happenings_of(each))]
    return any(not _comes_by_itself(row) for part in lists for row in _rows_since(places.table, part, since))


def _comes_by_itself(row: Item) -> bool:
    if "r" not in row:
        return row["kind"] in _TOLD
    kind, _ = keys.entry_parts(keys.Key(row["pk"], row["sk"]))
    return kind == "birthday" or points_store.reason_of(row) in _BY_TIME


def _rows_since(table: Table, partition: str, since: datetime) -> Iterator[Item]:
    """Rows of a timeline, newest first, back to an instant."""
    after: str | None = None
    while True:
        rows = table.query_timeline(partition, after=after, limit=_PAGE)
        for row in rows.items:
            recorded, _ = keys.moment_parts(row["at"])
            if from_milliseconds(recorded) < since:
                return
            yield row
        after = rows.last
        if after is None:
            return


def _closed_before(places: Places, member_id: MemberId, limit: datetime) -> bool:
    """Whether a membership was closed before an instant, as its timeline has it; not, where that has nothing."""
    rows = places.table.query_timeline(store.happenings_of(member_id), after=None, limit=10)
    closed = [points_store.happened_from(row) for row in rows.items if row["kind"] == "closed"]
    return bool(closed) and closed[0].at < limit


def _days_over(now: datetime, kept: timedelta) -> Iterator[datetime]:
    """The days whose records have served their time, the latest first."""
    first = now - kept - timedelta(days=1)
    return (first - timedelta(days=back) for back in range(_LOOKED_BACK.days))
