"""How many parts of a run are handed to those who send, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.campaigns.models import PlannedPart
from chalicelib.deliveries.models import Progress
from chalicelib.kernel.calendar import milliseconds

BEAT = timedelta(minutes=1)
"""How often parts are handed on."""

SILENT_FOR = timedelta(minutes=30)
"""A run in which no part came through for so long has lost messages, or they went to the dead-letter queue."""


@dataclass(frozen=True, slots=True)
class Released:
    """What of a run was handed on.

    Attributes:
        parts: the first so many.
        at: when the last of them were.
        done: how many were through, when it was last looked.
        moved_at: when that number last changed, or parts were handed on.
        resumed: of the run's resumptions, the one after which those not through were handed on once more.
    """

    parts: int = 0
    at: datetime | None = None
    done: int = 0
    moved_at: datetime | None = None
    resumed: int = 0
    version: int = 0


def to_release(
    parts: Sequence[PlannedPart], released: Released, throttle: int | None, *, stale: bool, now: datetime
) -> int:
    """How many more parts are handed on now.

    Args:
        throttle: recipients a minute.
        stale: nothing of it is sent any more: all are handed on, so that all are closed.
    """
    rest = parts[released.parts :]
    if stale:
        return len(rest)
    due = milliseconds(now)
    ready = 0
    for part in rest:
        if part.not_before > due:
            break
        ready += 1
    if throttle is None:
        return ready
    if released.at is not None and now - released.at < BEAT - timedelta(seconds=5):
        return 0
    total = count = 0
    for part in rest[:ready]:
        total += part.recipients
        if total > throttle and count:
            break
        count += 1
    return count


def affordable(parts: Sequence[PlannedPart], released: int, progress: Progress, cost_max_micro: int) -> int:
    """How many more parts the money suffices for, by what those that are through have cost a recipient.

    The first one goes alone, to learn the price. Of parts that are under way the same price is assumed.
    """
    if released == 0:
        return 1
    decided = progress.decided
    if decided == 0:
        return 0
    under_way = sum(part.recipients for part in parts[:released]) - decided
    left = cost_max_micro * decided - progress.cost_micro * (decided + under_way)
    count = 0
    for part in parts[released:]:
        left -= progress.cost_micro * part.recipients
        if left < 0:
            break
        count += 1
    return count


def is_silent(released: Released, parts_done: int, now: datetime) -> bool:
    """Whether parts that were handed on ought to have come through long ago."""
    moved = released.moved_at
    return released.parts > parts_done and moved is not None and now - moved >= SILENT_FOR
