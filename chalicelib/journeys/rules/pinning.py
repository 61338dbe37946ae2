"""What a journey that gives points keeps of the segments that it names, as they were when it went to work. Pure.

Who gets points is decided by whoever may give them, so nobody else decides it afterwards by changing a segment. Live
segments that let members in are looked at with the definition that was kept, besides.
"""

from chalicelib.journeys.models import (
    BirthdayComes,
    Branch,
    Edition,
    Fits,
    Happened,
    JourneyDefinition,
    Lapsed,
    SegmentEntered,
)
from chalicelib.kernel.ids import SegmentId
from chalicelib.segments.models import BirthdayField, BirthdayOp, Condition, DayField, DayOp
from chalicelib.segments.rules import resolver_from
from chalicelib.segments.rules.checking import named_in


def segments_of(definition: JourneyDefinition) -> frozenset[SegmentId]:
    """The segments that a journey names."""
    named = named_in(definition.who)
    happenings: list[object] = [definition.entry, definition.goal]
    for step in definition.steps:
        if isinstance(step, Branch) and isinstance(step.on, Fits):
            named |= named_in(step.on.definition)
        if isinstance(step, Branch) and isinstance(step.on, Happened):
            happenings.append(step.on.what)
    return named | {each.segment_id for each in happenings if isinstance(each, SegmentEntered)}


def time_alone(entry: object) -> Condition | None:
    """What holds of whom time alone lets in; None for other entries."""
    match entry:
        case Lapsed(days=days):
            return DayField(kind="field", name="last_bought_on", op=DayOp.MORE_THAN_DAYS_AGO, days=days)
        case BirthdayComes(days_before=days):
            return BirthdayField(kind="field", name="birthday", op=BirthdayOp.IN_NEXT_DAYS, days=days + 1)
        case _:
            return None


def kept_of(edition: Edition, happening: object) -> Condition | None:
    """What has to hold, by what was kept, of somebody to whom something happened; None: nothing besides."""
    if edition.segments is None:
        return None
    if isinstance(happening, SegmentEntered):
        found = resolver_from(edition.segments)(happening.segment_id)
        return found.definition if found is not None else None
    return time_alone(happening)


def whom(edition: Edition) -> tuple[Condition, ...]:
    """What holds of those whom a journey is for, of those to whom that happens."""
    return tuple(
        each for each in (kept_of(edition, edition.definition.entry), edition.definition.who) if each is not None
    )
