"""Hand what is planned to those who send, minute by minute, until a run is over."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.campaigns import store
from chalicelib.campaigns.errors import CampaignMoved
from chalicelib.campaigns.models import Campaign, CampaignRun, CampaignState, PlannedPart, RunView
from chalicelib.campaigns.models import Progress as Shown
from chalicelib.campaigns.ports import Works
from chalicelib.campaigns.rules import life, releasing
from chalicelib.campaigns.rules.releasing import Released
from chalicelib.campaigns.service.using import moved
from chalicelib.deliveries import rules as deliveries_rules
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import Progress, Run, RunStatus
from chalicelib.deliveries.service import queueing, reading
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import CampaignId, CampaignRunId
from chalicelib.kernel.money import exponent
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

PARTS_AT_ONCE = 100


def advance(works: Works, campaign_id: CampaignId) -> None:
    """Do what a campaign's open runs need just now: tell the lake who is in them, hand parts on, end what is through.

    Called at any time, any number of times, it comes to the same.

    Raises:
        StorageBusy: not all was done; it is done with the next call.
    """
    campaign = store.find_campaign(works.table, campaign_id)
    if campaign is not None and campaign.state is CampaignState.CANCELLED and campaign.open_runs:
        _close(works, campaign)
    if campaign is None or campaign.state not in life.RUNNING:
        return
    for item in store.find_runs(works.table, campaign.open_runs):
        _advance_run(works, campaign, deliveries.run_from(item), store.kept_from(item))


def _advance_run(works: Works, campaign: Campaign, run: Run, kept: CampaignRun) -> None:
    now = works.clock()
    if not kept.told:
        run, kept = _tell_lake(works, campaign, run, kept, now)
    progress = reading.progress(works.ops, run)
    if run.status is RunStatus.SENDING and progress.parts_done < run.parts:
        if _hand_on(works, campaign, run, kept, progress, now):
            return
        _end(works, run, kept, RunStatus.CANCELLED, "cost", now)
    elif run.status in (RunStatus.SENDING, RunStatus.SENT):
        _end(works, run, kept, RunStatus.SENT, None, now)


def _close(works: Works, campaign: Campaign) -> None:
    """Hand the parts of cancelled runs on once more: whoever gets them sends nothing, and counts who was left."""
    for item in store.find_runs(works.table, campaign.open_runs):
        queueing.requeue(works.ops, works.queues, works.queue, deliveries.run_from(item))
    works.table.commit([store.replace_campaign(campaign, campaign.model_copy(update={"open_runs": ()}))], keyed=True)


def _tell_lake(works: Works, campaign: Campaign, run: Run, kept: CampaignRun, now: datetime) -> tuple[Run, CampaignRun]:
    """Tell the lake who is in a run, before the first message of it goes out."""
    for number in range(kept.rosters):
        rows = store.find_roster(works.objects, run.run_id, number)
        works.append("assignment", f"{run.run_id}-{number:05d}", rows, now)
    after = kept.model_copy(update={"told": True})
    return _replace(works, campaign.campaign_id, run, after, run.status), after


def _replace(works: Works, campaign_id: CampaignId, run: Run, kept: CampaignRun, status: RunStatus) -> Run:
    """Write a run with what a campaign keeps of it; as it is then.

    Raises:
        CampaignMoved: somebody else wrote it.
    """
    after = replace(run, more=store.run_facts(campaign_id, kept))
    try:
        works.table.commit([deliveries.replace_run(after, status)])
    except deliveries.RunMoved:
        raise CampaignMoved from None
    return replace(after, status=status, version=run.version + 1)


# ---------------------------------------------------------------- handing on


def _hand_on(works: Works, campaign: Campaign, run: Run, kept: CampaignRun, progress: Progress, now: datetime) -> bool:
    """Hand on as many parts as may be sent by now; False: the money is used up, and nothing is under way."""
    parts = store.find_parts(works.objects, run.run_id)
    before = store.find_released(works.ops, run.run_id)
    after = replace(before, done=progress.parts_done, moved_at=before.moved_at)
    if before.done != progress.parts_done or before.moved_at is None:
        after = replace(after, moved_at=now)
    again = kept.resumed != before.resumed or releasing.is_silent(before, progress.parts_done, now)
    if again:
        _send(works, run, _not_through(works.ops, run.run_id, before.parts))
        after = replace(after, resumed=kept.resumed, moved_at=now)

    count = _count(campaign, run, parts, before, progress, works.book.current(now).currency, now)
    if count is None:
        return False
    if count:
        _send(works, run, range(before.parts, before.parts + count))
        after = replace(after, parts=before.parts + count, at=now, moved_at=now)
    if after != before:
        works.ops.commit([store.keep_released(run.run_id, before, after, now)])
    return True


def _count(
    campaign: Campaign,
    run: Run,
    parts: Sequence[PlannedPart],
    before: Released,
    progress: Progress,
    currency: str,
    now: datetime,
) -> int | None:
    """How many more parts are handed on now; None: none ever, because the money is used up."""
    stale = now >= run.send_until
    if not stale and deliveries_rules.quiet_until(now, run.quiet, run.zone) is not None:
        return 0
    count = releasing.to_release(parts, before, campaign.definition.throttle_per_minute, stale=stale, now=now)
    cost_max = campaign.definition.cost_max_minor
    if cost_max is None or stale:
        return count
    left = cost_max * micro_in_minor(currency) - campaign.cost_micro
    most = releasing.affordable(parts, before.parts, progress, left)
    if most == 0 and before.parts > 0 and progress.parts_done >= before.parts:
        return None
    return min(count, most)


def _not_through(ops: Table, run_id: str, released: int) -> list[int]:
    """Of the parts that were handed on, those that are not through."""
    found: list[int] = []
    for first in range(0, released, PARTS_AT_ONCE):
        numbers = range(first, min(first + PARTS_AT_ONCE, released))
        states = deliveries.list_parts(ops, run_id, numbers)
        found += [each for each in numbers if each not in states or not states[each].done]
    return found


def _send(works: Works, run: Run, numbers: Sequence[int]) -> None:
    queueing.enqueue(works.queues, works.queue, run.run_id, numbers)


# ---------------------------------------------------------------- the end


def _end(works: Works, run: Run, kept: CampaignRun, status: RunStatus, why: str | None, now: datetime) -> None:
    """Write that a run is over, and the campaign too where it was its last."""
    campaign = store.find_campaign(works.table, CampaignId(run.source_id))
    if campaign is None or campaign.state not in life.RUNNING or run.run_id not in campaign.open_runs:
        return
    progress, stamp = reading.progress(works.ops, run), from_milliseconds(milliseconds(now))
    over = kept.model_copy(
        update={"ended_at": stamp, "outcomes": outcomes_of(progress), "cost_micro": progress.cost_micro}
    )
    time_zone = works.book.current(now).time_zone
    after = life.run_over(campaign, CampaignRunId(run.run_id), time_zone, stamp, why)
    after = after.model_copy(update={"cost_micro": campaign.cost_micro + progress.cost_micro})
    told = replace(run, more=store.run_facts(campaign.campaign_id, over))
    try:
        works.table.commit([*moved(campaign, after), deliveries.replace_run(told, status)], keyed=True)
    except deliveries.RunMoved:
        raise CampaignMoved from None


# ---------------------------------------------------------------- how far it is


def outcomes_of(progress: Progress) -> Mapping[str, int]:
    """Outcomes by their names."""
    return {each.name.lower(): count for each, count in progress.outcomes.items()}


def run_view(ops: Table, item: Item, currency: str) -> RunView:
    """A run as it is shown."""
    run, kept = deliveries.run_from(item), store.kept_from(item)
    progress = reading.progress(ops, run)
    outcomes = dict(outcomes_of(progress)) or dict(kept.outcomes)
    return RunView(
        run_id=CampaignRunId(run.run_id),
        state=run.status,
        day=kept.day,
        starts_at=kept.starts_at,
        planned=kept.planned,
        progress=Shown(
            parts=run.parts,
            parts_done=progress.parts_done,
            sent=outcomes.get("sent", 0),
            outcomes=outcomes,
            cost_minor=minor_of(progress.cost_micro or kept.cost_micro, currency),
        ),
        ended_at=kept.ended_at,
    )


def micro_in_minor(currency: str) -> int:
    """How many millionths of a currency are one of its minor units."""
    return int(10 ** (6 - exponent(currency)))


def minor_of(micro: int, currency: str) -> int:
    """Millionths of a currency as whole minor units, rounded up: what is paid is never shown as nothing."""
    return -(-micro // micro_in_minor(currency))
