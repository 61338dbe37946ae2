"""A member's standing on the ladder."""

from chalicelib.kernel.calendar import Month
from chalicelib.kernel.records import Record


class Anchor(Record):
    """A standing that is settled: what was held at the end of a month, when older months were dropped."""

    month: Month
    tier_id: str
    review_after: Month | None = None


class Standing(Record):
    """The tier held in a month, and what it rests on."""

    tier_id: str
    review_after: Month | None
    """The tier is held through this month and reviewed when it is over; None when there is no review."""
    qualifying_points: int
    """Qualifying points in the window of the month."""
    judged_points: int
    """Qualifying points that count, so far, for the next review."""
