"""What segments tell others."""

from typing import Annotated

from pydantic import Field

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import SegmentId


class SegmentEntered(Told):
    """A member came into a live segment."""

    segment_id: SegmentId
    generation: Annotated[int, Field(ge=1)]
    """Counts how often the segment was looked at and had changed."""


class SegmentLeft(Told):
    """A member left a live segment."""

    segment_id: SegmentId
    generation: Annotated[int, Field(ge=1)]
    """Counts how often the segment was looked at and had changed."""
