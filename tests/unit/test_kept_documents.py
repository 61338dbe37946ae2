"""Documents are read from the table as they were written: what is null, left out, or nothing out of the ordinary."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.campaigns import store as campaigns
from chalicelib.campaigns.models import Campaign, Definition
from chalicelib.journeys import store as journeys
from chalicelib.journeys.models import DEFINITION, Edition
from chalicelib.kernel.ids import CampaignId, JourneyId, SegmentId
from chalicelib.segments import models, store
from chalicelib.segments.models import Segment, SegmentKind
from chalicelib.storage.writes import Put
from tests.memory import MemoryTable

AT = datetime(2026, 3, 15, 4, tzinfo=UTC)
TEMPLATE, SEGMENT = "tpl_" + "a" * 16, "seg_" + "a" * 16
QUIET = {"starts": "22:00", "ends": "08:00"}
NOTHING = object()


def some(fixed: Mapping[str, Any], **maybe: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A document: of some fields, each may be left out, may be null, or may be something."""
    drawn = {name: st.sampled_from([NOTHING, None, *values]) for name, values in maybe.items()}
    return st.fixed_dictionaries(drawn).map(
        lambda said: {**fixed, **{name: value for name, value in said.items() if value is not NOTHING}}
    )


LEAVES = st.one_of(
    some({"kind": "segment", "segment_id": SEGMENT}),
    some({"kind": "bought", "skus": ["a"]}, categories=[["b"]], shop_ids=[["shp_a"]],
         window=[{"kind": "last_days", "days": 3}, {"kind": "from_to", "first": "2026-01-01", "last": None}]),
    some({"kind": "rfm", "recency": [1]}, frequency=[[1, 5]], monetary=[[2]]),
    some({"kind": "campaign", "did": "sent"}, source_ids=[["cmp_a"]], channels=[["sms"]]),
    some({"kind": "field", "name": "points", "op": "is", "value": 0}, to=[]),
)  # fmt: skip
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        inner.map(lambda each: {"kind": "not", "of": each}),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: {"kind": "all", "of": several}),
    ),
    max_leaves=4,
)
HAPPENINGS = some({"kind": "purchased"}, shop_ids=[["shp_a"]], paid_min_minor=[0, 7])
STEPS = st.one_of(
    some({"kind": "send", "template_id": TEMPLATE}, quiet_hours=[QUIET],
         frequency_cap=[{"sends": 1, "days": 2}], next=["b"]),
    some({"kind": "give_points", "points": 5}, expires_after_days=[9], next=["b"]),
    some({"kind": "wait", "until": {"kind": "for", "days": 1}}, next=["b"]),
    some({"kind": "retag", "tag": "t", "give": False}, next=["b"]),
    CONDITIONS.map(lambda each: {"kind": "branch", "on": {"kind": "fits", "definition": each}, "then": "b"}),
)  # fmt: skip


@given(
    st.lists(STEPS, min_size=1, max_size=4), st.none() | CONDITIONS, st.none() | HAPPENINGS,
    some({"name": "A journey", "entry": {"kind": "by_hand"}}, again_after_days=[0, 3]),
)  # fmt: skip
def test_a_journey_is_read_as_it_was_written(
    steps: list[dict[str, Any]], who: Any, goal: Any, said: dict[str, Any]
) -> None:
    named = [{**each, "step": f"s{number}"} for number, each in enumerate(steps)]
    document = {**said, "who": who, "goal": goal, "steps": named}
    definition = DEFINITION.validate_json(json.dumps({key: each for key, each in document.items() if each is not None}))
    made = Edition(journey_id=JourneyId.of("j"), edition=1, definition=definition, made_at=AT, made_by="stf_a")
    table = MemoryTable()
    table.commit([journeys.add_edition(made)])
    assert journeys.find_edition(table, made.journey_id, 1) == made


@given(
    some(
        {"name": "Spring", "segment_id": SEGMENT, "variants": [{"name": "a", "template_ids": [TEMPLATE]}]},
        quiet_hours=[QUIET], frequency_cap=[{"sends": 1, "days": 2}], throttle_per_minute=[5], cost_max_minor=[0, 7],
        gift=[{"points": 5}, {"points": 5, "expires_after_days": 3}],
    ),
    st.sampled_from([{"kind": "now"}, {"kind": "birthday", "at": "10:00", "until_on": None}]),
)  # fmt: skip
def test_a_campaign_is_read_as_it_was_written(said: dict[str, Any], schedule: dict[str, Any]) -> None:
    definition = Definition.model_validate_json(json.dumps({**said, "schedule": schedule}))
    made = Campaign(
        campaign_id=CampaignId.of("c"), definition=definition, salt="0", made_at=AT, made_by="stf_a", content=b"c"
    )
    table = MemoryTable()
    table.commit([campaigns.add_campaign(made)])
    assert campaigns.find_campaign(table, made.campaign_id) == made


@given(CONDITIONS, some({}, note=["n"], tag_rule=[{"tag": "t", "remove": False}]))
def test_a_segment_is_read_as_it_was_written(condition: Any, said: dict[str, Any]) -> None:
    made = Segment.model_validate(
        {
            "segment_id": SegmentId.of("s"), "name": "S", "kind": SegmentKind.LIVE, "created_at": AT,
            "created_by": "stf_a", "edited_at": AT,
            "definition": models.DEFINITION.validate_json(json.dumps(condition)),
            **{name: each for name, each in said.items() if name != "tag_rule"},
            "tag_rule": models.TagRule(**said["tag_rule"]) if said.get("tag_rule") else None,
        }
    )  # fmt: skip
    write = store.add_segment(made, content=b"c")
    assert isinstance(write, Put)
    item = {name: each for name, each in write.item.items() if each is not None}
    assert store.segment_from({**item, "pk": write.key.pk, "sk": write.key.sk}) == made
