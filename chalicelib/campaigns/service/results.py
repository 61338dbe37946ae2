"""What a campaign has brought, counted over the lake."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import CampaignUnknown, ResultsSilent
from chalicelib.campaigns.models import Campaign, CampaignResults, CampaignRun, Cost, Group
from chalicelib.campaigns.ports import Lake, Works
from chalicelib.campaigns.rules import comparing, counting
from chalicelib.campaigns.rules.counting import Counted
from chalicelib.campaigns.rules.picking import Question
from chalicelib.campaigns.service.sending import minor_of
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import CampaignId
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.models import Program
from chalicelib.storage.functions import FunctionFailed, Functions
from chalicelib.storage.table import Table

FUNCTION = "campaigns-answer"

RUNS_MAX = 4000
"""A birthday campaign of ten years."""


def find_results(works: Works, campaign_id: CampaignId) -> CampaignResults:
    """What a campaign has brought so far.

    Raises:
        CampaignUnknown: there is no such campaign.
    """
    campaign = store.find_campaign(works.table, campaign_id)
    if campaign is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    now = works.clock()
    program = works.book.current(now)
    runs = [store.kept_from(item) for item in store.list_runs(works.table, campaign_id, limit=RUNS_MAX)]
    with works.open_lake(local_day(now, program.time_zone), now) as lake:
        return _counted(lake, campaign, runs, program, now)


def _counted(
    lake: Lake, campaign: Campaign, runs: list[CampaignRun], program: Program, now: datetime
) -> CampaignResults:
    of = Counted(campaign.campaign_id, campaign.definition.attribution_days, now)
    groups, held_out = _groups(lake, of)
    everybody = comparing.total(groups)
    costs = {name: _cost(group, program) for name, group in groups.items()}
    # Rounded for each variant, so that they add up.
    cost = Cost(sum(each.messages for each in costs.values()), sum(each.points for each in costs.values()))
    of_all = comparing.results(everybody, held_out, cost)
    gain = of_all.compared.incremental_sales_minor if of_all.compared is not None else None
    left_out: dict[str, int] = {}
    for run in runs:
        for reason, count in run.planned.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + count
    window = timedelta(days=campaign.definition.attribution_days)
    return CampaignResults(
        campaign_id=campaign.campaign_id,
        as_of=lake.built_at,
        window_open=any(now < run.starts_at + window for run in runs),
        variants={name: comparing.results(group, held_out, costs[name]) for name, group in sorted(groups.items())},
        all_variants=of_all,
        beside_first=comparing.beside_first(groups, [each.name for each in campaign.definition.variants]),
        held_out=comparing.results(held_out, None, Cost(), compares=False) if held_out is not None else None,
        left_out=left_out,
        gift_points=everybody.gift_points,
        cost_minor=of_all.cost_minor,
        return_percent=comparing.return_percent(gain.value if gain is not None else None, of_all.cost_minor),
        currency=program.currency,
    )


def _groups(lake: Lake, of: Counted) -> tuple[dict[str, Group], Group | None]:
    """What the lake counts of each variant, and of those who were held out."""
    groups: dict[str, Group] = {}
    held: dict[str, Group] = {}
    for variant, is_held, members, buyers, purchases, sales, squares, points in _ask(lake, counting.sales(of)):
        into = held if is_held else groups
        into[variant] = Group(
            members=int(members),
            buyers=int(buyers),
            purchases=int(purchases),
            sales_minor=int(sales),
            sales_squares=int(squares),
            points_earned=int(points),
        )
    outcomes: dict[str, dict[str, int]] = {}
    costs: dict[str, int] = {}
    sent_by: dict[str, dict[str, int]] = {}
    for variant, outcome, reason, provider, count, cost in _ask(lake, counting.outcomes(of)):
        became = outcomes.setdefault(variant, {})
        name = f"{outcome} {reason or ''}".strip()
        became[name] = became.get(name, 0) + int(count)
        if outcome == "sent":
            sent_by.setdefault(variant, {})[provider or ""] = int(count)
        costs[variant] = costs.get(variant, 0) + int(cost)
    heard: dict[str, dict[str, int]] = {}
    for variant, kind, count in _ask(lake, counting.receipts(of)):
        heard.setdefault(variant, {})[kind] = int(count)
    given = {variant: int(points) for variant, points in _ask(lake, counting.gifts(of))}
    told: Mapping[str, Group] = {
        name: replace(
            group,
            outcomes=outcomes.get(name),
            receipts=heard.get(name),
            sent_by=sent_by.get(name),
            cost_micro=costs.get(name, 0),
            gift_points=given.get(name, 0),
        )
        for name, group in groups.items()
    }
    return dict(told), comparing.total(held) if held else None


def _cost(group: Group, program: Program) -> Cost:
    return Cost(minor_of(group.cost_micro, program.currency), worth(group.gift_points, program))


def worth(points: int, program: Program) -> int:
    """What points are worth in money, by what they pay for, rounded up."""
    return -(-points * program.point_value.minor // program.point_value.points)


def _ask(lake: Lake, question: Question) -> list[Any]:
    return lake.questions.execute(question.sql, list(question.params)).fetchall()


def ask_results(table: Table, functions: Functions, campaign_id: CampaignId) -> CampaignResults:
    """What a campaign has brought, by the function that has the lake.

    Raises:
        CampaignUnknown: there is no such campaign.
        ResultsSilent: nobody answered; safe to ask again.
        LakeMissing: there is nothing to count by, and asking again does not help.
    """
    if store.find_campaign(table, campaign_id) is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    try:
        answer = functions.ask(FUNCTION, {"campaign_id": campaign_id})
    except (FunctionFailed, Trouble):
        raise ResultsSilent from None
    match answer.get("fault"):
        case "lake_missing":
            raise LakeMissing
        case "unknown":
            raise CampaignUnknown(campaign_id=campaign_id)
    return CampaignResults.model_validate_json(json.dumps(answer))
