"""Names of the lake's files, what its patches wait for, and the stages of a member's life. Pure."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from chalicelib.kernel.calendar import zone as zone_of
from chalicelib.lake.models import Head

LOG = "lake/log"
"""Images of records, as they came: one file for a batch of the stream."""
FACTS = "facts"
"""What others told the lake. It stands beside the lake, because it is the only place where it is."""
BASE = "lake/base"
PATCH = "lake/patch"
READ = "lake/read"
LISTS = "lake/athena"
"""Which files the newest base has, a list for each table: those who cannot read the head read these."""
MADE = (PATCH, BASE, READ)

DELAY = timedelta(seconds=15)
"""Between a file of the log, or one that was told, and the patch that it asks for: what comes meanwhile is in it."""
LATE = timedelta(hours=3)
"""A file gets the name of the hour in which it was begun. Nothing that writes one lives longer than a quarter of an
hour; a patch looks back twelve times as far behind the one before it, and the rebase at all that is there."""
LOG_KEPT = timedelta(days=2)
"""How long a file of the log is kept after a base has it: who went wrong yesterday can still look."""
FACTS_KEPT = timedelta(days=400)
"""How long the lake shows what was told to it: a year, and the month that it is compared with."""
OLD_KEPT = timedelta(hours=1)
"""How long a patch or base that is no longer named stays: four times as long as a question may take."""

REBASE_SHARE = 20
"""A patch of more than a twentieth of the base is made a base: from there on rewriting it costs more than it saves."""
REBASE_MIN = 20_000
"""Below so many people a patch is rewritten in a second, whatever the base has."""

SLICE = 1 << 20
"""People of one file of a base: so many are written at a time, so memory does not grow with the members."""

NEW_DAYS = 30
ACTIVE_DAYS = 90
SLEEPING_DAYS = 365
"""A member is new for 30 days after joining or after the first purchase: the first month is where a second purchase is
won or not. Active is who bought within 90 days, a season of most shops; sleeping who bought within a year, so that a
yearly customer is not given up; lost is everybody else."""

ANSWERED_DAYS = 7
"""Whoever opts out by answering means the last message of the channel, if it is not older."""


AGE_BANDS: Mapping[str, int | None] = {
    "under_18": None, "18_24": 18, "25_34": 25, "35_44": 35, "45_54": 45, "55_64": 55, "65_up": 65,
}  # fmt: skip
"""The age with which each band begins, youngest first."""
_BORN_MIDDLE = 2
"""A year of birth is kept as the first of five; who was born then is taken to be born in the third."""


def latest_born(age: int, today: date) -> int:
    """The latest year of birth, as the lake keeps it, of who is so old or older in the year of a day."""
    return today.year - _BORN_MIDDLE - age


def folder(kind: str, at: datetime) -> str:
    """The folder of an hour (UTC), with a slash at its end."""
    return f"{kind}/{at.astimezone(UTC):%Y/%m/%d/%H}/"


def attempt(now: datetime, chance: int) -> str:
    """The name of what one attempt writes: it tells when, and no other attempt has it."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%S}-{chance % 2**48:012x}"


def attempted_at(name: str) -> datetime:
    """When the attempt of a name began.

    Raises:
        ValueError: it is no such name.
    """
    return datetime.strptime(name.partition("-")[0], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


REBASE_HOUR = 3
"""The hour of the program's day from which on a new base is made: shops are closed, and the day before is over."""


EDGES_MIN = 5
"""So few who bought move no edge."""
SWIFT_MAX = 100_000
"""Of so many people a base is made in seconds: whoever made a patch can make it, and need not leave it to the hour."""


def is_rebase_due(head: Head | None, now: datetime, zone: str) -> bool:
    """Whether it is time for a base: there is none, none of this night, the patch has grown too large, or the edges
    are of too few. Of a lake that is being made anew only who does that makes a base: others know not what it lacks.
    """
    if head is not None and head.unfinished:
        return False
    if head is None or head.base_at is None or is_large(head.patched, head.members) or is_outgrown(head):
        return True
    local, based = now.astimezone(zone_of(zone)), head.base_at.astimezone(zone_of(zone))
    return local.hour >= REBASE_HOUR and based.date() < local.date()


def is_outgrown(head: Head) -> bool:
    """Whether the edges say nothing of those who have bought by now: there are none, or half as many as they are of
    bought since.

    Each base has all of those, so an import of a million purchases makes a few dozen bases, and a day in which
    everybody buys two more.
    """
    if head.unfinished:
        return False
    if not head.scored:
        return head.patched_buyers > 0
    return head.patched_buyers >= max(EDGES_MIN, -(-head.buyers // 2))


def is_swift(head: Head) -> bool:
    """Whether a base of it is made in seconds."""
    return head.next_m <= SWIFT_MAX


def is_large(patched: int, members: int) -> bool:
    """Whether a patch is to become a base before the night."""
    return patched > max(REBASE_MIN, members // REBASE_SHARE)
