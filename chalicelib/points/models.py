"""Accounts, entries and lots."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

from pydantic import AwareDatetime, Field

from chalicelib.kernel.calendar import NEVER, Month
from chalicelib.kernel.ids import AccountId, EntryId, MemberId
from chalicelib.kernel.money import Points, SomePoints
from chalicelib.kernel.records import Day, Instant, Note, Record, Reference, Slug
from chalicelib.tiers.models import Anchor


class AccountStatus(StrEnum):
    """Whether an account takes commands."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"
    MERGED = "merged"
    """Everything in it went into another account, which answers for it."""


class Reason(StrEnum):
    """Why an entry was made."""

    EARN = "earn"
    SPEND = "spend"
    EXPIRE = "expire"
    ADJUST = "adjust"
    HOLD = "hold"
    """Points were reserved; the balance stays."""
    RELEASE = "release"
    """What was reserved is free again."""
    REVERSE = "reverse"
    """A purchase was returned or restated, or an entry taken back: what it brought is corrected, down or up. The cause
    names it."""
    TRANSFER = "transfer"
    """Points went to another account, or came from one."""
    MERGE = "merge"
    """An account went into another, or came out of it again."""
    TIER = "tier"
    """A tier was reviewed; no points move."""


class Due(StrEnum):
    """What time brings to an account, beside what its member does."""

    EXPIRY = "expiry"
    """Points expired."""
    NOTICE = "notice"
    """The member is to be told that points expire soon."""
    RELEASE = "release"
    """Points that were pending can be spent."""
    REVIEW = "review"
    """The time of a tier is over."""


class Lifetime(Record):
    """Everything that ever happened to an account, in points."""

    earned: int = 0
    """Given for something, or by a correction, less what returns took back."""
    spent: int = 0
    """Spent by the member, less what returns gave back."""
    expired: int = 0
    taken: int = 0
    """Taken by corrections, or because the membership was closed."""

    @property
    def balance(self) -> int:
        """The booked balance: what the entries add up to."""
        return self.earned - self.spent - self.expired - self.taken


class Folded(Record):
    """What periods that closed long ago come to, when their sums were dropped from the account.

    Attributes:
        through: the last day of the last folded period.
        carried: points spent by then that no folded period paid for.
        lapsed: points of the folded periods that expired unspent.
    """

    through: date
    carried: int
    lapsed: int


class WriteOff(NamedTuple):
    """Under what an account remembers points that were written off."""

    at: datetime
    """When: only what was taken or spent before can come back for them."""
    expires_on: date
    """The last day that the points had which paid for them."""


class Restored(NamedTuple):
    """Points that come back to an account."""

    taken_at: datetime
    """When they were taken from it, or spent."""
    points: int


class Reserved(Record):
    """Points that a hold keeps from being spent otherwise."""

    points: int
    until: AwareDatetime
    """From this instant on they are free, whether or not that was booked."""
    period: date
    """The period that they count in when they are spent: the one in which they were reserved, so that what was
    reserved before midnight cannot expire at midnight."""
    made_on: date


class Sums(Record):
    """What an entry adds to the sums of an account, where it is more than one bucket and one period.

    A merge moves all sums of an account, a transfer the lots that it took points from.
    """

    lifetime: Lifetime = Lifetime()
    earned: dict[date, int] = {}
    spent: dict[date, int] = {}
    pending: dict[date, int] = {}
    qualifying: dict[Month, int] = {}
    carried: int = 0
    lapsed: int = 0
    """`carried` and `lapsed` of folded periods."""
    written_off: dict[WriteOff, int] = {}
    through: date | None = None
    """The last day of the last folded period; an account that is folded through less is brought to it first."""


class Account(Record):
    """An account: sums that commute, and the head of its chain.

    The balance, the lots and the expiries are not stored but derived (`rules.derive`): from what was earned per
    expiry day and what was spent per period. Every command adds to one of the sums or takes from it, so the order in
    which they arrive does not matter.
    """

    member_id: AccountId
    """Whose it is: a member's id, or a pool's or card's."""
    status: AccountStatus = AccountStatus.ACTIVE
    merged_into: AccountId | None = None
    """The account that answers for this one, when it was merged."""
    absorbed: tuple[AccountId, ...] = ()
    """The accounts that this one answers for, those that went into them among them."""
    whole_through: date | None = None
    """Until then nothing is folded or dropped, so that a merge can be undone exactly."""
    opened_on: date
    tier_id: Slug
    earned: dict[date, int] = {}
    """Points earned, by their last day."""
    spent: dict[date, int] = {}
    """Points spent, by the day at whose end their period closes."""
    folded: Folded | None = None
    pending: dict[date, int] = {}
    """Points among those earned that cannot be spent yet, by the first day on which they can. Days that have come
    count no more; they stay until the member was told."""
    holds: dict[str, Reserved] = {}
    """Points that are reserved, by the name of the hold (`rules.hold_name`)."""
    sent: dict[Month, int] = {}
    """Points that went to other members, fees included, by the month in which they were offered; months that are over
    are dropped."""
    written_off: dict[WriteOff, int] = {}
    """Debts that were written off, and that nothing has come back for since. What comes back after all, of what was
    taken or spent before, pays for them first: else it would give points from nothing."""
    lifetime: Lifetime = Lifetime()
    booked_through: date | None = None
    """Expiries up to and including this day are in the entries."""
    qualifying: dict[Month, int] = {}
    """Qualifying points, by the month of the purchase."""
    anchor: Anchor | None = None
    held_through: Month | None = None
    """The month through which the tier of `tier_id` is held; when it is over, a review is to be booked."""
    noticed_through: date | None = None
    """Of points that expire by this day, the member was told."""
    due_on: date | None = None
    """The day under which the account stands in the index of what is due, as it was stored."""
    seq: int = 0
    head: bytes = bytes(32)
    """Hash of the newest entry; 32 zero bytes before the first."""
    last_recorded_at: AwareDatetime | None = None
    version: int = 1


class Lot(Record):
    """Points that expire together."""

    expires_on: date | None
    """The last day on which they can be spent; null when they do not expire."""
    points: int


@dataclass(frozen=True, slots=True)
class Position:
    """What an account comes to on a day.

    Attributes:
        balance: points there are, pending ones included; below zero when the member owes some.
        pending: points that cannot be spent yet.
        left: what is left of each bucket, by its last day, soonest first.
        lapses: points that expired unspent, by their last day, of the periods not yet folded.
        lapsed: points that ever expired unspent.
        held: points that are reserved.
    """

    balance: int
    left: tuple[tuple[date, int], ...]
    lapses: dict[date, int]
    lapsed: int
    pending: int = 0
    held: int = 0

    @property
    def lots(self) -> tuple[Lot, ...]:
        """What is left of each bucket, soonest expiry first."""
        return tuple(Lot(expires_on=None if day == NEVER else day, points=points) for day, points in self.left)

    @property
    def available(self) -> int:
        """Points that can be spent, at least 0."""
        return max(self.balance - self.pending - self.held, 0)

    @property
    def owed(self) -> int:
        """Points that the member owes, at least 0."""
        return max(-self.balance, 0)


class EntryKey(Record):
    """The business key of an entry: a retry makes the same key."""

    kind: Slug
    parts: tuple[str, ...]


class Why(Record):
    """A rule that gave points, and the arithmetic: what recomputes the number years later."""

    rule_id: str
    points: int
    args: tuple[int, ...]


class Entry(Record):
    """A line of the ledger. It is never changed; a correction is another entry that names this one."""

    key: EntryKey
    member_id: AccountId
    """Whose account it is in."""
    seq: int
    reason: Reason
    points: int
    """Change of the balance."""
    balance_after: int
    occurred_at: AwareDatetime
    occurred_on: date
    recorded_at: AwareDatetime
    program_version: int
    earned: int | None = None
    expires_on: date | None = None
    """Last day of the points earned; for an expiry, the day they lapsed with; for a review, the last day through which
    the tier is held."""
    consumed: int | None = None
    """Points spent by this entry."""
    period: date | None = None
    """The period that what was spent counts in."""
    qualifying: int | None = None
    lapsed: int | None = None
    """Of the points earned, those that had expired before they were recorded; the next entry takes them."""
    matures_on: date | None = None
    """First day on which the points earned can be spent, where that is later than the day they were recorded; a day
    that never comes (`fold.awaited`) while they wait for an event."""
    held: int | None = None
    """Points reserved by this entry; below nought, a hold that it ends, which `cause` names."""
    held_until: AwareDatetime | None = None
    """When a hold is over by itself."""
    sums: Sums | None = None
    """What the entry adds to sums besides its own bucket and period."""
    actor: MemberId | None = None
    """The member who did it, where the account is not a member's own."""
    anchor: Anchor | None = None
    """Of a merge and its undoing: the account's anchor from here on."""
    tier_before: str | None = None
    tier_after: str | None = None
    why: tuple[Why, ...] = ()
    reason_code: str | None = None
    cause: EntryKey | None = None
    """The entry that made this one necessary."""
    content: bytes | None = None
    """Digest of the command that this entry answers."""
    hash: bytes = b""


@dataclass(frozen=True, slots=True)
class Posting:
    """The account after a command, and the entries to write with it, in order of `seq`.

    Attributes:
        tier_before: the tier held just before; another than the account last said when a review lies between.
        main: the command's own entry.
        due_on: the first day on which time alone changes the account.
    """

    account: Account
    entries: tuple[Entry, ...]
    tier_before: str
    tier_after: str
    main: Entry
    due_on: date | None


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to a member and moved no points.

    Attributes:
        member_id: to whom: a member, or a pool or card.
        kind: what: `edited`, `suspended`, `points_expiring` …
        facts: figures and names of fields; for some kinds words that a person typed.
    """

    member_id: AccountId
    kind: str
    facts: Mapping[str, Any]
    at: datetime


class Notes(Record):
    """Words that go with an adjustment. The chain covers their digest, so that they can be erased."""

    to_member: str | None = None
    internal: str | None = None


class SpendPoints(Record):
    """Take points out of a member's account."""

    points: SomePoints
    occurred_at: Instant | None = None
    """When it happened; now, when left out."""
    reference: Reference | None = None
    """Your own number for what the points were spent on."""
    dry_run: bool = False


class AdjustPoints(Record):
    """Correct a member's balance, up or down, and say why."""

    points: Points
    reason_code: Slug
    """A code of your own choosing: `goodwill`, `correction`, `gift` …"""
    note_to_member: Note | None = None
    """Shown on the member's statement."""
    note_internal: Note | None = None
    """For staff only."""
    expires_on: Day | None = None
    """Last day of points given, moved to its month's last day when points of a month expire together; by the program's
    policy, when left out."""
    qualifying_points: Annotated[int, Field(ge=-(10**12), le=10**12)] = 0
    """Also counts towards tiers, up or down."""
    occurred_at: Instant | None = None
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What somebody gave by hand on a day.

    Attributes:
        version: counts writes, so that two at once are noticed; 0 before the first.
    """

    by: str
    day: date
    points: int = 0
    version: int = 0


class WhyLine(Record):
    """Why points were given, for a person."""

    rule_id: str
    rule_version: int
    text: str
    points: int


class EntryView(Record):
    """A line of the statement."""

    entry_id: EntryId
    seq: int
    reason: Reason
    points: int
    """Change of the balance."""
    balance_after: int
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    reference: str
    """What it belongs to: a purchase's channel and order number, the reference given with a spend, or the caller's
    key."""
    actor: MemberId | None = None
    """The member who did it, on an account that several share."""
    tendered: int = 0
    """Points of it that paid for part of a purchase."""
    why: tuple[WhyLine, ...] = ()
    reason_code: str | None = None
    note_to_member: str | None = None
    account_id: AccountId | None = None
    """Whose chain it stands in, with its `seq` and `balance_after`, where that is another's who was merged into this
    member."""
    hash: str
    """SHA-256 over the entry before and this one's content, in hexadecimal."""


class OtherShopEntry(Record):
    """A line of the statement for somebody whose shops end before it: it counts, and says nothing of the purchase."""

    seq: int
    reason: Reason
    points: int
    """Change of the balance."""
    balance_after: int
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    account_id: AccountId | None = None
    """Whose chain it stands in, where that is another's who was merged into this member."""


class ExpiringNext(Record):
    """The lot that expires first."""

    points: int
    on: date


class PointsSummary(Record):
    """What a member has, in one line."""

    available: int
    pending: int = 0
    """Cannot be spent yet. With available and held it comes to the balance, unless more was promised than is left."""
    held: int = 0
    """Reserved for a checkout or a transfer: in the balance, and not available. A promise: it stays where a return took
    the points away, and then there is nothing else."""
    owed: int = 0
    expiring_next: ExpiringNext | None = None


class PointsView(Record):
    """A member's points in full."""

    available: int
    pending: int = 0
    """Cannot be spent yet. With available and held it comes to the lots, unless more was promised than is left."""
    held: int = 0
    """Reserved for a checkout or a transfer: among the lots, and not available. A promise: it stays where a return took
    the points away, and then there is nothing else."""
    owed: int = 0
    lots: tuple[Lot, ...]
    lifetime: Lifetime


class Then(Record):
    """Another time than now."""

    as_of: Day | None = None
    """What was true at the end of this day, by all that is known: purchases and returns count on the day on which they
    happened, however late they were told."""
    known_at: Instant | None = None
    """What was known at this instant: only what had been recorded by then counts. Without `as_of`, it is what was
    answered at that instant."""


class TierNext(Record):
    """The tier above and what it takes."""

    tier_id: str
    name: str
    missing: int
    """Qualifying points still missing."""


class TierRetain(Record):
    """What it takes to keep the tier at its review."""

    missing: int
    """Qualifying points still missing in the months that the review will judge: those after the one in which the tier
    was reached, so that the same purchases do not both reach it and keep it."""
    held_through: date


class TierView(Record):
    """The tier a member holds, and what is missing to the next."""

    tier_id: str
    name: str
    multiplier_percent: int
    qualifying_points: int
    """Qualifying points that count today."""
    next: TierNext | None = None
    retain: TierRetain | None = None
