"""Messages of the queue of steps beside those that name whose turn it is."""

import json
from typing import Any

from chalicelib.journeys.models import Told
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import JourneyId, MemberId, SegmentId


def candidate(journey_id: JourneyId, edition: int, told: Told) -> str:
    """Somebody whom an event lets in if they fit."""
    return json.dumps(
        {
            "candidate": [journey_id, edition],
            "told": [told.kind, told.event_id, told.member_id, milliseconds(told.at), dict(told.facts)],
        },
        separators=(",", ":"),
    )


def candidate_from(body: dict[str, Any]) -> tuple[JourneyId, int, Told]:
    """The journey, its version and the event of such a message."""
    journey_id, edition = body["candidate"]
    kind, event_id, member_id, at, facts = body["told"]
    return JourneyId(journey_id), edition, Told(kind, event_id, MemberId(member_id), from_milliseconds(at), facts)


def listed(journey_id: JourneyId, segment_id: SegmentId, key: str, at: int, after: str | None) -> str:
    """A segment whose members are let in, from a member on."""
    return json.dumps({"list": [journey_id, segment_id], "key": key, "at": at, "after": after}, separators=(",", ":"))


def listed_from(body: dict[str, Any]) -> tuple[JourneyId, SegmentId, str, int, str | None]:
    """What such a message names."""
    journey_id, segment_id = body["list"]
    return JourneyId(journey_id), SegmentId(segment_id), body["key"], body["at"], body["after"]
