"""What holds tell others. That points were captured is told by `PointsSpent`, or by the purchase that they paid for."""

from enum import StrEnum

from pydantic import AwareDatetime

from chalicelib.kernel.ids import HoldId
from chalicelib.kernel.money import SomePoints
from chalicelib.points.events import Leading


class ReleasedBy(StrEnum):
    """What made points free that were held."""

    ASKED = "asked"
    TIMED_OUT = "timed_out"


class PointsHeld(Leading):
    """Points were reserved; the balance stays as it is."""

    hold_id: HoldId
    held: SomePoints
    """How many."""
    held_until: AwareDatetime


class HoldReleased(Leading):
    """Points that were held are free again."""

    hold_id: HoldId
    source: ReleasedBy
    released: SomePoints
    """How many."""
