"""What merges tell others."""

from chalicelib.kernel.ids import MemberId, MergeId
from chalicelib.points.events import ByHand


class MemberMerged(ByHand):
    """A member was merged into another. Told of both: each has an entry, which this leads."""

    merge_id: MergeId
    from_member_id: MemberId
    """Whose id answers with the other from now on."""
    into_member_id: MemberId
    qualifying_points: int
    """Moved with the points; below nought for the member who was merged."""
    own_account_went: bool = False
    """Whether it was the account of whoever had it done that became part of the other's."""


class MemberUnmerged(ByHand):
    """A merge was undone. Told of both members: each has an entry, which this leads."""

    merge_id: MergeId
    from_member_id: MemberId
    """Who is a member again."""
    into_member_id: MemberId
    qualifying_points: int
    """Moved back with the points; below nought for the member who gives them back."""
