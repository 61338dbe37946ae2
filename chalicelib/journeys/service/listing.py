"""How far a segment was let in by hand: noted page by page, so that nobody is left out without a word."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from chalicelib.journeys import store
from chalicelib.journeys.errors import ListingMoved
from chalicelib.journeys.models import SegmentLetIn
from chalicelib.journeys.store import Listing
from chalicelib.kernel.ids import JourneyId, SegmentId
from chalicelib.storage.table import Table


def begin(ops: Table, journey_id: JourneyId, key: str, segment_id: SegmentId, at: datetime) -> Listing | None:
    """Note that a segment is to be let in; or what became of it, when all of it was, by this command."""
    known = store.find_listing(ops, journey_id, key)
    if known is not None:
        return known if known.done else None
    with suppress(ListingMoved):
        ops.commit([store.put_listing(journey_id, key, Listing(segment_id, at))])
    return None


def advance(
    ops: Table, journey_id: JourneyId, key: str, *, after: str | None, last: str | None, entered: int, looked_at: int
) -> None:
    """Note what became of a page. One that was noted before is not noted again.

    Args:
        after: the member after whom it begins; None at the beginning.
        last: its last member, or None when it is the last page.
    """
    known = store.find_listing(ops, journey_id, key)
    if known is None or known.done or known.after != after:
        return
    noted = replace(
        known, entered=known.entered + entered, passed=known.passed + looked_at - entered, after=last, done=last is None
    )
    with suppress(ListingMoved):
        ops.commit([store.put_listing(journey_id, key, noted)])


def shown(ops: Table, journey_id: JourneyId) -> tuple[SegmentLetIn, ...]:
    """What became of segments that were let in of late."""
    return tuple(
        SegmentLetIn(
            segment_id=each.segment_id, asked_at=each.asked_at, entered=each.entered, passed_over=each.passed,
            under_way=not each.done,
        )
        for each in store.list_listings(ops, journey_id)
    )  # fmt: skip
