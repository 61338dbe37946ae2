"""What the ledger tells others.

Every entry of the ledger leads with exactly one event, whose `seq` is dense for each member: who takes all of those,
in order, has the whole account. They are the `Leading` ones, and `PointsSpent` whose source is a spend or a hold. What
an entry tells besides, for those who want only that, has the same `seq`.
"""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import EntryId, HoldId
from chalicelib.kernel.money import Points, SomePoints
from chalicelib.kernel.records import Slug, Subject


class EarnedFrom(StrEnum):
    """What gave points."""

    PURCHASE = "purchase"
    BIRTHDAY = "birthday"


class SpentOn(StrEnum):
    """What points were taken for."""

    SPEND = "spend"
    """A command to spend them; the event leads its entry."""
    HOLD = "hold"
    """A hold was captured; the event leads its entry."""
    PURCHASE = "purchase"
    """Part of a purchase's price."""


class AdjustedBy(StrEnum):
    """What corrected a balance."""

    ADJUST = "adjust"
    """A person, who gave a reason code."""
    WRITE_OFF = "write_off"
    """A return left a debt, and the program's policy is to write it off."""
    CLOSE = "close"
    """The membership was closed and its points taken."""


class FromEntry(Told):
    """Told by an entry of the ledger."""

    entry_id: EntryId
    balance_after: Points
    """The booked balance after the whole entry."""


class Leading(FromEntry):
    """Leads an entry: each entry has exactly one such event."""

    points: Points
    """Change of the balance."""
    tier_before: Slug | None
    """Null where the entry does not say."""
    tier_after: Slug | None
    """Null where the entry does not say."""
    program_version: int
    """The version of the program that it was decided by."""


class ByHand(Leading):
    """Leads an entry that somebody had made, who is named where it may be to their own good."""

    recorded_by: Subject | None = None
    """Who had it done: staff or an integration; null where nobody noted it."""
    own_account_of: tuple[Subject, ...] = ()
    """Who of those that had it done, by asking or approving, had it done to their own account, or on their own card."""


class PointsEarned(FromEntry):
    """Points were given for something."""

    source: EarnedFrom
    points: SomePoints
    expires_on: date | None
    """Their last day; null when they do not expire."""
    spendable_on: date | None
    """The first day on which they can be spent; null when that is at once, or their purchase awaits its delivery."""


class PointsSpent(FromEntry):
    """Points were taken for something."""

    source: SpentOn
    points: SomePoints
    """How many, without a sign."""
    hold_id: HoldId | None = None
    """The hold that they were taken from, which ended with it; null where they were not held."""


class PointsAdjusted(Leading):
    """A balance was corrected, up or down."""

    source: AdjustedBy
    reason_code: Slug | None
    expires_on: date | None
    """Last day of points given; null when none were given, or they do not expire."""
    qualifying_points: int
    """Counted towards tiers, up or down."""
    recorded_by: Subject | None = None
    """Who had it done: staff or an integration; who approved it, where two were needed; null where nobody noted it."""
    own_account: bool = False
    """It is the own account of somebody who had it done."""
    own_account_of: tuple[Subject, ...] = ()
    """Of whom: who asked for it, or who approved it."""
    launched: bool = False
    """A campaign or a journey gave it, which `recorded_by` launched, or let the member into."""


class PointsExpired(Leading):
    """Points lapsed unspent."""

    expires_on: date | None
    """The last day they had."""


class TierReviewed(Leading):
    """A tier came up for review; it was kept or it was not."""

    held_through: date | None
    """Last day through which the tier after the review is held; null when it has no end."""


class BirthdayGiftGiven(Leading):
    """A member got the birthday gift of a year."""

    year: Annotated[int, Field(ge=1970, le=9999)]
    expires_on: date | None
    """Last day of the points given; null when they do not expire."""


class TierChanged(Told):
    """A member holds another tier, higher or lower."""

    tier_before: Slug
    tier_after: Slug
    entry_id: EntryId | None
    """The entry that did it."""


class PointsExpiring(Told):
    """Points will lapse unless they are spent."""

    points: SomePoints
    expires_on: date
    """Their last day."""


class PointsReleased(Told):
    """Points that were pending can be spent now."""

    points: SomePoints
