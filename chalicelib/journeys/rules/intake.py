"""Which events journeys care about, whom they let in, and by which name. Pure."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.journeys.models import (
    BirthdayComes,
    Branch,
    ByHand,
    Edition,
    Enrolled,
    FirstPurchased,
    Gate,
    Happened,
    JourneyDefinition,
    Lapsed,
    PointsSpent,
    Purchased,
    SegmentEntered,
    TierChanged,
    Told,
)
from chalicelib.kernel.events import EventId
from chalicelib.kernel.ids import MemberId, SegmentId

ONCE = "once"
"""The entry key of whoever may come in once for good."""

KINDS: Mapping[str, str] = {
    "MemberEnrolled": "enrolled",
    "PurchaseRecorded": "purchased",
    "PointsSpent": "points_spent",
    "TierChanged": "tier_changed",
    "PointsExpiring": "points_expire",
    "BirthdayGiftGiven": "birthday_gift",
    "SegmentEntered": "segment_entered",
}
"""What each type of event is to a journey."""

GONE = ("MemberErased", "MemberClosed", "MemberMerged", "MemberSuspended")
"""Types of events after which somebody may have to leave."""

_FACTS: Mapping[str, tuple[str, ...]] = {
    "enrolled": ("shop_id", "source"),
    "purchased": ("shop_id", "paid_minor", "purchase_id", "points_earned", "currency"),
    "tier_changed": ("tier_after", "tier_before"),
    "points_expire": ("points", "expires_on"),
    "segment_entered": ("segment_id",),
}


def told_of(kind: str, event_id: str, member_id: MemberId, at: datetime, data: Mapping[str, Any]) -> Told:
    """An event as journeys keep it. None of these facts is personal."""
    wanted = _FACTS.get(kind, ())
    facts = {name: _plain(data[name]) for name in wanted if data.get(name) is not None}
    return Told(kind, event_id, member_id, at, facts)


def _plain(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)


def asked_kind(happening: Any) -> str:
    """The kind of event that a happening is seen by; empty for what no event tells."""
    match happening:
        case FirstPurchased():
            return "purchased"
        case Lapsed() | BirthdayComes():
            return "segment_entered"
        case ByHand():
            return ""
    return str(happening.kind)


def matches(happening: Any, told: Told, segment_id: SegmentId | None = None) -> bool:
    """Whether an event is one of those that are meant; whether a purchase is the first is not looked at.

    Args:
        segment_id: the segment that was made for an entry by `lapsed` or `birthday`.
    """
    if asked_kind(happening) != told.kind:
        return False
    facts = told.facts
    match happening:
        case Enrolled():
            at_shop = happening.shop_ids is None or facts.get("shop_id") in happening.shop_ids
            return at_shop and (happening.sources is None or facts.get("source") in happening.sources)
        case Purchased() | FirstPurchased():
            at_shop = happening.shop_ids is None or facts.get("shop_id") in happening.shop_ids
            return at_shop and int(facts.get("paid_minor", 0)) >= (happening.paid_min_minor or 0)
        case TierChanged():
            return happening.tier_ids is None or facts.get("tier_after") in happening.tier_ids
        case SegmentEntered():
            return bool(facts.get("segment_id") == happening.segment_id)
        case Lapsed() | BirthdayComes():
            return bool(segment_id is not None and facts.get("segment_id") == segment_id)
        case PointsSpent():
            return True
    return True


def after(told: Told, since: datetime, event_id: str) -> bool:
    """Whether something happened after another event, which let somebody in."""
    return told.at >= since and told.event_id != event_id


def entry_key(definition: JourneyDefinition, event_id: str) -> str:
    """The name of a member's way through a journey that an event lets them into."""
    if definition.again_after_days is None:
        return ONCE
    return event_id.removeprefix("evt_")


def by_hand(command_key: str) -> str:
    """The id that stands for an event where somebody lets members in, by the key of their command."""
    digest = hashlib.sha256(b"regulars journey entry\n" + command_key.encode()).digest()
    return EventId("evt_" + base64.b32encode(digest[:20]).decode().lower())


def may_again(definition: JourneyDefinition, gate: Gate | None, at: datetime) -> bool:
    """Whether who came in once may come in by something that happened at an instant."""
    days = definition.again_after_days
    return gate is None or not days or at >= gate.last + timedelta(days=days)


def uses_gate(definition: JourneyDefinition) -> bool:
    """Whether it is remembered when somebody came in last: once and every time need no such memory."""
    return bool(definition.again_after_days)


def needs_of(definition: JourneyDefinition) -> frozenset[str]:
    """Kinds of events that are remembered for those inside."""
    return frozenset(asked_kind(each) for each in _asked_inside(definition))


def goals_of(definition: JourneyDefinition) -> frozenset[str]:
    """Kinds of events by which somebody reaches the goal."""
    return frozenset({asked_kind(definition.goal)} if definition.goal is not None else ())


def _asked_inside(definition: JourneyDefinition) -> Iterator[Any]:
    if definition.goal is not None:
        yield definition.goal
    for step in definition.steps:
        if isinstance(step, Branch) and isinstance(step.on, Happened):
            yield step.on.what


def lets_in(edition: Edition, told: Told, segment_id: SegmentId | None) -> bool:
    """Whether an event lets a member into a journey, as far as the event says."""
    return matches(edition.definition.entry, told, segment_id)
