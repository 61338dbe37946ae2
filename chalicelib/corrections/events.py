"""What corrections tell others."""

from chalicelib.kernel.ids import EntryId
from chalicelib.kernel.records import Slug
from chalicelib.points.events import ByHand


class PointsReversed(ByHand):
    """An entry was taken back: what it had added to the account's sums is gone from them."""

    reversed_entry_id: EntryId
    reason_code: Slug | None
    qualifying_points: int
    """Counted towards tiers, up or down."""
