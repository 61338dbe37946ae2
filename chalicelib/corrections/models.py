"""Corrections: the command, and an entry in full."""

from datetime import date

from chalicelib.kernel.ids import AccountId, EntryId
from chalicelib.kernel.records import Note, Record, Slug
from chalicelib.points.models import EntryView


class ReverseEntry(Record):
    """Take an entry back, or a reversal: then the entry counts again."""

    reason_code: Slug
    """A code of your own choosing: `mistake`, `fraud` …"""
    note_to_member: Note | None = None
    """Shown on the member's statement."""
    note_internal: Note | None = None
    """For staff only."""
    dry_run: bool = False


class EntryDetail(EntryView):
    """A ledger entry in full."""

    member_id: AccountId
    """In whose account it was booked."""
    occurred_on: date
    """The day in the program's time zone; of an expiry, the last day of the points that lapsed."""
    program_version: int
    points_earned: int
    points_spent: int
    points_reserved: int
    """Below nought, a hold that it ended."""
    points_expired: int
    """Of its points, those that had expired before it was recorded; below nought, points that had expired and that it
    used after all. The next entry books them."""
    expires_on: date | None
    """Last day of the points earned; null when there are none, or they do not expire."""
    matures_on: date | None
    """First day on which they can be spent, when they were pending at first; else null."""
    qualifying_points: int
    tier_before: str | None
    """Null where the entry does not say."""
    tier_after: str | None
    cause_id: EntryId | None
    """The entry that made this one necessary: of a reversal, the one that it takes back."""
    reversed_by_id: EntryId | None
    """The entry that took this one back; itself perhaps taken back since."""
    staff: tuple[str, ...] = ()
    """Of what somebody did by hand: who did, or asked for it, and then who approved."""
