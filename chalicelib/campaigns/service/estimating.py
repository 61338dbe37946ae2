"""What a draft would reach and cost, counted over the lake as a plan would, with nothing written."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import CampaignNotDraft, CampaignUnknown, EstimateSilent
from chalicelib.campaigns.models import Birthday, Campaign, CampaignState, Estimate, Pinned
from chalicelib.campaigns.ports import Lake, Shelf, Works
from chalicelib.campaigns.rules import counting, life, timing
from chalicelib.campaigns.rules.picking import Terms
from chalicelib.campaigns.service import choosing
from chalicelib.campaigns.service.commands import pinned_templates
from chalicelib.campaigns.service.results import FUNCTION, worth
from chalicelib.campaigns.service.sending import minor_of
from chalicelib.deliveries.service.neighbours import consented_as
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import CampaignId
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.segments.errors import RfmNotReady
from chalicelib.storage.functions import FunctionFailed, Functions
from chalicelib.storage.table import Table

LATELY = timedelta(days=90)


def find_estimate(works: Works, campaign_id: CampaignId) -> Estimate:
    """What a draft would reach and cost if it were launched now.

    Raises:
        CampaignUnknown: there is no such campaign.
        CampaignNotDraft, CampaignUnfit, ScheduleOver: it could not be launched.
        SegmentUnknown, RfmNotReady: its segment cannot be asked for.
    """
    now = works.clock()
    program = works.book.current(now)
    campaign, pinned, first_at = _launchable(works.table, works.shelf, program, campaign_id, now)
    with works.open_lake(choosing.today(works), now) as lake:
        first, last = timing.days_ahead(campaign.definition, first_at, program.time_zone)
        recurs = isinstance(campaign.definition.schedule, Birthday)
        cap, turn = campaign.definition.frequency_cap, store.find_turn(works.ops)
        if cap is not None and not recurs and first_at >= now + timedelta(days=cap.days):
            turn = replace(turn, recent=())  # what is sent by now counts no more then
        terms = Terms(
            campaign_id=campaign_id,
            definition=campaign.definition,
            salt=campaign.salt,
            step=life.step_of(campaign.definition, first),
            channels=tuple((each, consented_as(each).value) for each in life.channels_of(pinned)),
            starts_at=max(first_at, now),
            time_zone=program.time_zone,
            month_days=timing.celebrated_between(first, last) if recurs else None,
            recent=choosing.take_rosters(works, lake, turn) if recurs or cap is not None else (),
        )
        planned = choosing.choose(works, lake, terms, None)
        messages = _messages_cost(lake, planned.channels, program, now)
        built_at = lake.built_at
    gift = campaign.definition.gift
    points = gift.points * planned.targeted if gift is not None else 0
    return Estimate(
        campaign_id=campaign_id,
        as_of=built_at,
        first_on=first,
        last_on=last,
        planned=planned,
        gift_points=points,
        points_cost_minor=worth(points, program),
        messages_cost_minor=messages,
        cost_minor=messages + worth(points, program) if messages is not None else None,
        currency=program.currency,
    )


def _launchable(
    table: Table, shelf: Shelf, program: Program, campaign_id: CampaignId, now: datetime
) -> tuple[Campaign, Mapping[str, tuple[Pinned, ...]], datetime]:
    """A draft that could be launched now, its templates, and when its first run would be.

    Raises:
        CampaignUnknown, CampaignNotDraft, CampaignUnfit, ScheduleOver: there is none.
    """
    campaign = store.find_campaign(table, campaign_id)
    if campaign is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    if campaign.state is not CampaignState.DRAFT:
        raise CampaignNotDraft(state=campaign.state.value)
    pinned = pinned_templates(shelf, campaign.definition, program, now)
    return campaign, pinned, life.first_run(campaign.definition, program.time_zone, now)


def _messages_cost(lake: Lake, channels: Mapping[str, int], program: Program, now: datetime) -> int | None:
    """What messages by some channels would cost, in minor units, by those of late; None where there were none."""
    rows = choosing.ask(lake, counting.lately(now - LATELY)).fetchall()
    lately = {channel: (int(messages), int(micro)) for channel, messages, micro in rows}
    if not channels.keys() <= lately.keys():
        return None
    micro = sum(-(-members * lately[each][1] // lately[each][0]) for each, members in channels.items())
    return minor_of(micro, program.currency)


def ask_estimate(
    table: Table, shelf: Shelf, book: ProgramBook, functions: Functions, campaign_id: CampaignId, *, now: datetime
) -> Estimate:
    """What a draft would reach and cost, by the function that has the lake.

    Raises:
        CampaignUnknown: there is no such campaign.
        CampaignNotDraft, CampaignUnfit, ScheduleOver: it could not be launched.
        RfmNotReady: its segment asks for scores, and there are none yet.
        EstimateSilent: nobody answered; safe to ask again.
        LakeMissing: there is nothing to count by, and asking again does not help.
    """
    _launchable(table, shelf, book.current(now), campaign_id, now)
    try:
        answer = functions.ask(FUNCTION, {"campaign_id": campaign_id, "what": "estimate"})
    except (FunctionFailed, Trouble):
        raise EstimateSilent from None
    match answer.get("fault"):
        case "lake_missing":
            raise LakeMissing
        case "rfm_not_ready":
            raise RfmNotReady
        case "moved" | "unknown":  # it was launched or changed in between: who asks again is told so
            raise EstimateSilent
    return Estimate.model_validate_json(json.dumps(answer))
