"""The functions of campaigns: the minute's round, which plans too, and the one that counts results."""

import json
from typing import Any

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import (
    CampaignMoved,
    CampaignNotDraft,
    CampaignUnfit,
    CampaignUnknown,
    ScheduleOver,
    TurnMissed,
)
from chalicelib.campaigns.models import SendTest
from chalicelib.campaigns.ports import Works
from chalicelib.campaigns.service import commands, estimating, planning, results, sending
from chalicelib.campaigns.service.neighbours import SingleTester, TableShelf, TestFields, appending, lake_of
from chalicelib.deliveries.jobs import office
from chalicelib.deliveries.service.singles import send_one
from chalicelib.kernel.ids import CampaignId
from chalicelib.lake import store as lake
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_fact, log_job
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import house
from chalicelib.segments.errors import RfmNotReady, SegmentUnknown

PLANS_MAX = 20
"""So many runs are planned in one call, if time allows."""
SPARE_MS = 10 * 60 * 1000
"""No plan is begun with less time than this: a million recipients take minutes."""


def plan_campaigns(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """The minute's round: begin runs that are due, plan them one after the other, hand on what may be sent by now.

    Called at any time, any number of times and several at once, it comes to the same.

    Raises:
        SettingsWrong: the function was not told where the queue is.
    """
    here = works()
    if not here.queue:
        raise SettingsWrong("the environment variable REGULARS_SEND_QUEUE is not set")
    faults: list[Exception] = []
    beginning = [each for each in store.list_at_work(here.table) if _round(here, each, faults)]
    planned = 0
    for campaign_id in beginning[:PLANS_MAX]:
        left = getattr(context, "get_remaining_time_in_millis", None)
        if left is not None and left() < SPARE_MS:
            break
        planned += _planned(here, campaign_id, faults)
    log_job("plan_campaigns", {"begun": len(beginning), "planned": planned}, faults)
    return {"begun": len(beginning), "planned": planned, "failed": len(faults)}


def _round(here: Works, campaign_id: CampaignId, faults: list[Exception]) -> bool:
    """A campaign's turn in the minute's round; whether a run of it is to be planned."""
    try:
        sending.advance(here, campaign_id)
        campaign = store.find_campaign(here.table, campaign_id)
        return campaign is not None and planning.beginning_now(here, campaign, here.clock())
    except CampaignMoved:
        return False
    except Exception as fault:  # noqa: BLE001 - the edge: one campaign's fault is not the others'
        faults.append(fault)
        return False


def _planned(here: Works, campaign_id: CampaignId, faults: list[Exception]) -> bool:
    try:
        if planning.plan(here, campaign_id) is None:
            return False
        sending.advance(here, campaign_id)
    except (TurnMissed, CampaignMoved):
        return False
    except Exception as fault:  # noqa: BLE001 - see `_round`
        faults.append(fault)
        return False
    return True


def send_campaign_tests(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Send a campaign's message to a few members: `{"campaign_id": …, "key": …, "member_ids": […], "variant": …}`."""
    here, home = works(), house()
    desk = office(home)
    command = SendTest.model_validate_json(json.dumps(event["command"]))
    sent = commands.send_tests(
        here.table, here.shelf, here.book,
        SingleTester(
            lambda single: send_one(desk, single), TestFields(here.table, home.keyring, here.book, here.clock)
        ),
        CampaignId(event["campaign_id"]), event["key"], command, now=here.clock(),
    )  # fmt: skip
    told: dict[str, Any] = sent.model_dump(mode="json")
    return told


def answer_campaigns(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """What a campaign has brought, or what a draft would: `{"campaign_id": …, "what": "results" or "estimate"}`."""
    campaign_id = CampaignId(event["campaign_id"])
    find = estimating.find_estimate if event.get("what") == "estimate" else results.find_results
    try:
        told: dict[str, Any] = find(works(), campaign_id).model_dump(mode="json")
    except CampaignUnknown:
        return {"fault": "unknown"}
    except RfmNotReady:
        return {"fault": "rfm_not_ready"}
    except (CampaignNotDraft, CampaignUnfit, ScheduleOver, SegmentUnknown):
        return {"fault": "moved"}
    except LakeMissing:
        return {"fault": "lake_missing"}
    return told


def works() -> Works:
    """Where this process works on campaigns."""
    here = house()
    book, ask = book_of(here.table), lake.patching(here.queues, here.settings.lake_queue, here.clock)
    return Works(
        here.table, here.ops, book, here.objects, here.queues, here.settings.send_queue or "",
        lake_of(here.ops, here.place), appending(here.objects, ask), TableShelf(here.table, book, here.clock, here.ops),
        here.clock, log_fact,
    )  # fmt: skip
