"""What becomes of a campaign by a command, and when it may be given. Pure."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta

from chalicelib.campaigns.errors import (
    CampaignChanged,
    CampaignNotDraft,
    CampaignNotLaunched,
    CampaignOver,
    ScheduleOver,
)
from chalicelib.campaigns.models import (
    Beginning,
    Birthday,
    Campaign,
    CampaignState,
    Definition,
    EditCampaign,
    Once,
    Pinned,
)
from chalicelib.campaigns.ports import Title
from chalicelib.campaigns.rules import timing
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import AccountId, CampaignRunId, TemplateId
from chalicelib.members.models import ACCOUNT_PURPOSE
from chalicelib.members.rules import is_of_messages
from chalicelib.templates.rules import NOT_OF_MESSAGES

GIFT_FIELDS = frozenset({"gift_points", "gift_expires_on"})

S = CampaignState
RUNNING = frozenset({S.SCHEDULED, S.PLANNING, S.SENDING})
OVER = frozenset({S.SENT, S.CANCELLED})
LATE = timedelta(hours=1)
"""A campaign that is launched so long after its time is not sent: somebody mistyped the day."""

Faults = list[tuple[str, str]]


def faults_of(
    definition: Definition,
    title: Callable[[TemplateId], Title | None],
    segment_fault: str | None,
    fields: frozenset[str],
) -> Faults:
    """What of a definition does not fit to what there is, each with its pointer.

    Args:
        fields: those that its messages can have.
    """
    faults: Faults = [("/segment_id", segment_fault)] if segment_fault else []
    if definition.purpose == ACCOUNT_PURPOSE:
        faults.append(("/purpose", "notices are not asked for and cannot be refused; a campaign needs a consent"))
    elif not is_of_messages(definition.purpose):
        faults.append(("/purpose", NOT_OF_MESSAGES))
    orders: list[tuple[str, ...]] = []
    strangers: list[str] = []
    for number, variant in enumerate(definition.variants):
        order: list[str] = []
        for place, template_id in enumerate(variant.template_ids):
            pointer, found = f"/variants/{number}/template_ids/{place}", title(template_id)
            if found is None or found.archived:
                faults.append((pointer, "there is no such template" if found is None else "the template is archived"))
                continue
            if found.purpose != definition.purpose:
                faults.append((pointer, f"the template is for {found.purpose}, the campaign for {definition.purpose}"))
                strangers.append(found.purpose)
            if missing := sorted(found.fields - fields):
                faults.append((pointer, _missing(missing, gives=definition.gift is not None)))
            if found.channel in order:
                faults.append((pointer, f"the variant has a template for {found.channel} already"))
            order.append(found.channel)
        orders.append(tuple(order))
    if strangers:
        faults.append(("/purpose", f"it has templates for {', '.join(sorted(set(strangers)))}"))
    if not faults and len(set(orders)) > 1:
        faults.append(("/variants", "all variants try the same channels in the same order, or they cannot be compared"))
    return faults


def _missing(fields: Sequence[str], *, gives: bool) -> str:
    """Why fields of a template stay empty."""
    gift = [each for each in fields if each in GIFT_FIELDS]
    others = [each for each in fields if each not in GIFT_FIELDS]
    said = [f"a campaign cannot fill in {', '.join(others)}"] if others else []
    if gift:
        why = "the points that this campaign gives never expire" if gives else "this campaign gives no points"
        said.append(f"{why}, so there is nothing to fill in for {', '.join(gift)}")
    return "; ".join(said)


def edited(campaign: Campaign, command: EditCampaign) -> Campaign:
    """A draft with other content.

    Raises:
        CampaignNotDraft, CampaignChanged: it was launched, or changed since it was read.
    """
    if campaign.state is not S.DRAFT:
        raise CampaignNotDraft(state=campaign.state.value)
    if campaign.version != command.version:
        raise CampaignChanged(read=command.version, current=campaign.version)
    content = {name: getattr(command, name) for name in Definition.model_fields}
    return campaign.model_copy(update={"definition": Definition(**content)})


def launched(
    campaign: Campaign,
    version: int,
    pinned: Mapping[str, tuple[Pinned, ...]],
    segments: str,
    *,
    by: str,
    own: AccountId | None,
    time_zone: str,
    now: datetime,
) -> Campaign:
    """A draft that was let go.

    Raises:
        CampaignNotDraft, CampaignChanged: it was launched before, or changed since it was read.
        ScheduleOver: its time has passed.
    """
    if campaign.state is not S.DRAFT:
        raise CampaignNotDraft(state=campaign.state.value)
    if campaign.version != version:
        raise CampaignChanged(read=version, current=campaign.version)
    first_run(campaign.definition, time_zone, now)
    return campaign.model_copy(
        update={
            "state": S.SCHEDULED,
            "pinned": pinned,
            "segments": segments,
            "launched_version": version,
            "launched_at": now,
            "launched_by": by,
            "launched_own": own,
        }
    )


def first_run(definition: Definition, time_zone: str, now: datetime) -> datetime:
    """When a campaign that is launched now has its first run, perhaps a little in the past.

    Raises:
        ScheduleOver: its time has passed.
    """
    schedule = definition.schedule
    first = timing.next_run(definition, now, None, time_zone)
    if first is None or (isinstance(schedule, Once) and first < now - LATE):
        over = schedule.until_on if isinstance(schedule, Birthday) else first
        raise ScheduleOver(at=over.isoformat() if over else "", now=now.isoformat())
    return first


def require_launched(campaign: Campaign) -> None:
    """Refuse what only a campaign that is at work can be told.

    Raises:
        CampaignNotLaunched, CampaignOver: it is a draft, or over.
    """
    if campaign.state is S.DRAFT:
        raise CampaignNotLaunched(campaign_id=campaign.campaign_id)
    if campaign.state in OVER:
        raise CampaignOver(state=campaign.state.value)


def at_work(campaign: Campaign) -> Campaign:
    """A campaign that is not paused, in the state that follows from its runs."""
    if campaign.beginning is not None and not campaign.open_runs:
        state = S.PLANNING
    else:
        state = S.SENDING if campaign.open_runs else S.SCHEDULED
    return campaign.model_copy(update={"state": state})


def ended(campaign: Campaign, state: CampaignState, now: datetime, why: str | None = None) -> Campaign:
    """A campaign that is over."""
    return campaign.model_copy(update={"state": state, "ended_at": now, "ended_for": why, "beginning": None})


def begun(campaign: Campaign, time_zone: str, now: datetime) -> Campaign | None:
    """A campaign whose run begins now, or None when none does."""
    if campaign.state not in RUNNING or campaign.beginning is not None or campaign.launched_at is None:
        return None
    recurs = isinstance(campaign.definition.schedule, Birthday)
    if not recurs and campaign.runs_count:
        return None
    days = timing.run_days(campaign.definition, campaign.launched_at, campaign.through, time_zone, now)
    if days is None:
        return None
    since, day = days
    beginning = Beginning(
        day=day,
        since=since,
        which=f"{day:%Y%m%d}" if recurs else "once",
        step=step_of(campaign.definition, day),
        starts_at=now,
    )
    return at_work(campaign.model_copy(update={"beginning": beginning}))


def step_of(definition: Definition, day: date) -> str:
    """What tells the messages of a run from those of others to the same member: a birthday is once a year."""
    return str(day.year) if isinstance(definition.schedule, Birthday) else "once"


def over_unbegun(campaign: Campaign, time_zone: str, now: datetime) -> Campaign | None:
    """A campaign whose last run cannot begin any more, because it was paused or nobody was there; else None."""
    if campaign.state not in RUNNING or campaign.beginning is not None or campaign.open_runs:
        return None
    assert campaign.launched_at is not None
    if isinstance(campaign.definition.schedule, Birthday):
        return None if runs_again(campaign, time_zone, now) else ended(campaign, S.SENT, now)
    due = timing.next_run(campaign.definition, campaign.launched_at, None, time_zone)
    late = due is not None and now >= due + timedelta(hours=campaign.definition.send_within_hours)
    return ended(campaign, S.CANCELLED, now, "late") if late and not campaign.runs_count else None


def planning(campaign: Campaign) -> Campaign:
    """A campaign whose beginning run is planned once more."""
    assert campaign.beginning is not None
    again = campaign.beginning.model_copy(update={"attempt": campaign.beginning.attempt + 1})
    return campaign.model_copy(update={"beginning": again})


def run_id_of(campaign: Campaign) -> CampaignRunId:
    """The id of the run that is being planned."""
    assert campaign.beginning is not None
    return CampaignRunId.of(campaign.campaign_id, campaign.beginning.which, campaign.beginning.attempt)


def planned(campaign: Campaign, run_id: CampaignRunId) -> Campaign:
    """A campaign whose run is planned."""
    assert campaign.beginning is not None
    after = {
        "beginning": None,
        "open_runs": (*campaign.open_runs, run_id),
        "runs_count": campaign.runs_count + 1,
        "through": campaign.beginning.day,
    }
    return at_work(campaign.model_copy(update=after))


def run_over(campaign: Campaign, run_id: CampaignRunId, time_zone: str, now: datetime, why: str | None) -> Campaign:
    """A campaign of which a run is over; the campaign is too, when no other comes."""
    left = tuple(each for each in campaign.open_runs if each != run_id)
    after = campaign.model_copy(update={"open_runs": left})
    if why is not None or (not left and after.beginning is None and not runs_again(after, time_zone, now)):
        return ended(after.model_copy(update={"open_runs": ()}), S.SENT, now, why)
    return at_work(after)


def runs_again(campaign: Campaign, time_zone: str, now: datetime) -> bool:
    """Whether a launched campaign has runs to come."""
    schedule = campaign.definition.schedule
    if not isinstance(schedule, Birthday):
        return campaign.runs_count == 0
    last = campaign.through or date.min
    return schedule.until_on is None or (last < schedule.until_on and local_day(now, time_zone) <= schedule.until_on)


def send_until(campaign: Campaign, starts_at: datetime) -> datetime:
    """When a run's messages are stale: counted from its beginning, or from the last member's best hour."""
    hours = campaign.definition.send_within_hours + (24 if campaign.definition.best_hour else 0)
    return starts_at + timedelta(hours=hours)


def channels_of(pinned: Mapping[str, Sequence[Pinned]]) -> tuple[str, ...]:
    """The channels of a campaign in the order in which they are tried: the same for all variants."""
    first = next(iter(pinned.values()))
    return tuple(each.channel for each in first)
