"""What is at work with a segment says so, until it is over: the segment is not put aside meanwhile."""

from chalicelib.campaigns import store
from chalicelib.campaigns.models import Campaign
from chalicelib.campaigns.rules import life
from chalicelib.segments import store as segments
from chalicelib.storage.writes import Write


def moved(before: Campaign, after: Campaign) -> list[Write]:
    """The writes of a campaign after the one that was read; with them, that it uses its segment, or does no more."""
    used, uses = (each.launched_at is not None and each.state not in life.OVER for each in (before, after))
    writes: list[Write] = [store.replace_campaign(before, after)]
    if used is not uses:
        say = segments.use if uses else segments.end_use
        writes += say([after.definition.segment_id], after.campaign_id)
    return writes
