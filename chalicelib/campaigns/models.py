"""Campaigns, their runs, and what they brought."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from chalicelib.deliveries.models import RunStatus
from chalicelib.kernel.ids import AccountId, CampaignId, CampaignRunId, MemberId, SegmentId, TemplateId
from chalicelib.kernel.money import Minor
from chalicelib.kernel.records import Day, Line, Note, Record, Slug

VARIANTS_MAX = 8
CHANNELS_MAX = 4
TEST_MEMBERS_MAX = 5

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day in the program's time zone, `HH:MM`."""


# ---------------------------------------------------------------- what is planned


class Variant(Record):
    """What some of the members get."""

    name: Slug
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share of the members who are written to, among those of all variants."""
    template_ids: Annotated[tuple[TemplateId, ...], Field(min_length=1, max_length=CHANNELS_MAX)]
    """Templates in the order in which their channels are tried: a member gets the first that may be used."""


class Now(Record):
    """As soon as it is launched."""

    kind: Literal["now"]


class Once(Record):
    """On a day, at a time, in the program's time zone."""

    kind: Literal["once"]
    on: Annotated[Day, Field(ge=date(2000, 1, 1), le=date(9000, 1, 1))]
    at: ClockTime


class Birthday(Record):
    """Every day, to those whose birthday it is, each once a year. 29 February is 28 February in common years."""

    kind: Literal["birthday"]
    at: ClockTime
    until_on: Annotated[Day, Field(ge=date(2000, 1, 1), le=date(9000, 1, 1))] | None = None
    """The last day; null: until it is cancelled."""


Schedule = Annotated[Now | Once | Birthday, Field(discriminator="kind")]


class QuietHours(Record):
    """Hours in which nothing is sent, in the program's time zone; they may go over midnight."""

    starts: ClockTime
    ends: ClockTime

    @model_validator(mode="after")
    def _is_part_of_a_day(self) -> Self:
        if self.starts == self.ends:
            raise ValueError("quiet hours begin and end at different times")
        return self


class FrequencyCap(Record):
    """A member gets at most so many messages of campaigns in so many days, this one included."""

    sends: Annotated[int, Field(ge=1, le=100)]
    days: Annotated[int, Field(ge=1, le=90)]


class Gift(Record):
    """Points for everybody who is written to."""

    points: Annotated[int, Field(ge=1, le=1_000_000)]
    expires_after_days: Annotated[int, Field(ge=1, le=3650)] | None = None
    """They are good for at least so many days: to the end of the month in which these end where the program's points
    of a month expire together, else to the last of these days. Counted from the day on which they are given; by the
    program's policy, when left out."""


class Definition(Record):
    """What a campaign does."""

    name: Line
    segment_id: SegmentId
    """Who is written to: the definition as it is when the campaign is launched, by whoever fits it when a run is
    planned."""
    purpose: Slug = "marketing"
    """The consent that a member must have given."""
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=VARIANTS_MAX)]
    holdout_percent: Annotated[int, Field(ge=0, le=90)] = 0
    """So many of a hundred who would be written to are not, to see what they do anyway."""
    schedule: Schedule
    best_hour: bool = False
    """Each member at the hour at which they mostly buy, within a day; those who bought too little at once."""
    frequency_cap: FrequencyCap | None = None
    quiet_hours: QuietHours | None = QuietHours(starts="21:00", ends="09:00")
    throttle_per_minute: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    gift: Gift | None = None
    cost_max_minor: Minor | None = None
    """What providers may cost in all, in the program's currency; what would cost more is not sent. Ten messages go
    first, to learn what one costs. The sum is kept to as nearly as messages cost the same, by whatever channel."""
    send_within_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """What was not sent so long after a run began, or after a member's hour, is stale and is not sent."""
    attribution_days: Annotated[int, Field(ge=1, le=90)] = 7
    """Purchases of so many days from the beginning of a run on count."""

    @model_validator(mode="after")
    def _variants_differ(self) -> Self:
        names = [each.name for each in self.variants]
        if len(set(names)) < len(names):
            raise ValueError("each variant has a name of its own")
        if any(len(set(each.template_ids)) < len(each.template_ids) for each in self.variants):
            raise ValueError("a variant names each template once")
        return self


class MakeCampaign(Definition):
    """Make a campaign. It is a draft until it is launched."""


class EditCampaign(Definition):
    """Replace what a draft does."""

    version: Annotated[int, Field(ge=1)]
    """The version that was read."""


class CopyCampaign(Record):
    """Make a draft that does the same."""

    name: Line


class LaunchCampaign(Record):
    """Let a draft go: its content stays as it is from now on."""

    version: Annotated[int, Field(ge=1)]
    """The version that was looked at."""
    reason: Note | None = None
    dry_run: bool = False


class ChangeCampaign(Record):
    """Pause a campaign, resume or cancel it."""

    reason: Note | None = None


class SendTest(Record):
    """Send a campaign's message, as it is now, to some members who agreed to its purpose."""

    member_ids: Annotated[tuple[MemberId, ...], Field(min_length=1, max_length=TEST_MEMBERS_MAX)]
    variant: Slug | None = None
    """The first one, when left out."""


# ---------------------------------------------------------------- as it is kept


class CampaignState(StrEnum):
    """How far a campaign is."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    """It was launched; its run, or its next one, is still to come."""
    PLANNING = "planning"
    """It is found out who is written to."""
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"


class Pinned(Record):
    """A template as it was when a campaign was launched."""

    template_id: TemplateId
    version: int
    channel: Slug


class Beginning(Record):
    """A run that is being planned.

    Attributes:
        day: in the program's time zone; of a birthday campaign the last day that is celebrated, `since` the first.
        which: tells the runs of a campaign apart: its day, or `once`.
        step: tells the messages of a campaign to the same member apart: one for all, or one a year.
        starts_at: when the attribution window opens.
        attempt: how often planning was begun.
    """

    day: date
    since: date
    which: str
    step: str
    starts_at: AwareDatetime
    attempt: int = 0


class Campaign(Record):
    """A campaign as it is kept.

    Attributes:
        salt: what members are assigned by: nobody outside can tell who is held out.
        pinned: the templates of each variant, as of its launch.
        segments: its segment, with those that that one refers to, as of its launch: a document.
        launched_version: the version that was launched: the same launch again is a repeat.
        launched_own: the membership of whoever launched it, by their record: a gift to that one is noticed.
        beginning: the run that is being planned.
        open_runs: runs that are not over: one, or a few where one begins each day.
        through: of a campaign that has a run a day: every day up to this one has had its run.
        cost_micro: what runs that are over have cost.
        ended_for: why it ended where that is not that all was sent, or that somebody ended it: `cost`, `late`.
    """

    campaign_id: CampaignId
    definition: Definition
    state: CampaignState = CampaignState.DRAFT
    salt: str
    made_at: AwareDatetime
    made_by: str
    content: bytes
    pinned: Mapping[str, tuple[Pinned, ...]] = {}
    segments: str | None = None
    launched_version: int | None = None
    launched_at: AwareDatetime | None = None
    launched_by: str | None = None
    launched_own: AccountId | None = None
    ended_at: AwareDatetime | None = None
    ended_for: str | None = None
    beginning: Beginning | None = None
    open_runs: tuple[CampaignRunId, ...] = ()
    runs_count: int = 0
    through: date | None = None
    cost_micro: int = 0
    version: int = 1


class Planned(Record):
    """What a plan has come to."""

    in_segment: int = 0
    targeted: int = 0
    """Those who are to be written to."""
    held_out: int = 0
    left_out: Mapping[str, int] = {}
    """How many were left out, by reason."""
    variants: Mapping[str, int] = {}
    channels: Mapping[str, int] = {}


class CampaignRun(Record):
    """What a campaign keeps of a run beside what a worker has to know of it.

    Attributes:
        starts_at: when the attribution window opens.
        rosters: how many files name its members; `told`: the lake has been given them.
        resumed: how often it was resumed.
        ended_at, outcomes, cost_micro: once it is over.
    """

    day: date
    starts_at: AwareDatetime
    planned_at: AwareDatetime
    planned: Planned
    rosters: int
    told: bool = False
    resumed: int = 0
    ended_at: AwareDatetime | None = None
    outcomes: Mapping[str, int] = {}
    cost_micro: int = 0


class PlannedPart(NamedTuple):
    """A part in a run's list of them: how many recipients, and the first of their hours, in milliseconds."""

    recipients: int
    not_before: int


# ---------------------------------------------------------------- answers


class Progress(Record):
    """How far a run's sending is."""

    parts: int
    parts_done: int
    sent: int
    outcomes: Mapping[str, int]
    """Members by what became of their message, of the parts that are through."""
    cost_minor: int
    """What providers charged."""


class RunView(Record):
    """A run of a campaign."""

    run_id: CampaignRunId
    state: RunStatus
    day: date
    starts_at: AwareDatetime
    planned: Planned
    progress: Progress
    ended_at: AwareDatetime | None


class CampaignView(Record):
    """A campaign."""

    campaign_id: CampaignId
    state: CampaignState
    definition: Definition
    made_at: AwareDatetime
    made_by: str
    launched_at: AwareDatetime | None
    launched_by: str | None
    next_run_at: AwareDatetime | None
    """When the next run begins; null when there is none."""
    ended_at: AwareDatetime | None
    ended_for: str | None
    """Why it ended where that is not that all was sent, or that somebody ended it: `cost`, `late`."""
    runs_count: int
    version: int


class CampaignDetail(CampaignView):
    """A campaign with its latest runs."""

    latest_runs: tuple[RunView, ...]
    """Newest first, at most ten."""


class Estimate(Record):
    """What a draft would reach and cost if it were launched now.

    It is decided as a plan is: the same members are held out, but for birthdays of the next year. Who changes
    meanwhile, and what else is sent until then, is not in it; nor is `cost_max_minor`.
    """

    campaign_id: CampaignId
    as_of: AwareDatetime
    """When the lake was built that this was counted from."""
    first_on: date
    last_on: date
    """The days of the runs that it is of: of birthdays those of the first 30 days, else both are the same."""
    planned: Planned
    gift_points: int
    """Given if all who are targeted get theirs."""
    points_cost_minor: int
    """What those points are worth."""
    messages_cost_minor: int | None
    """What providers would charge, if a message of each channel costs what it did in the last 90 days; null when
    nothing was sent by one of the channels meanwhile."""
    cost_minor: int | None
    """Both together."""
    currency: str


class TestSent(Record):
    """What became of a test."""

    __test__ = False

    member_id: MemberId
    channel: Slug | None
    outcome: str
    reason: str | None
    """Why it was not sent, as deliveries say it."""
    missing: tuple[str, ...] = ()
    """Where that is `field_missing`: the fields of the template that have no value for this member, and no stand-in."""


class TestSends(Record):
    """What became of tests."""

    __test__ = False

    items: tuple[TestSent, ...]


# ---------------------------------------------------------------- results


@dataclass(frozen=True, slots=True)
class Group:
    """What the lake counts of the members of a variant, or of those who were held out.

    Attributes:
        sales_squares: the sum of the squares of what each member bought for.
        outcomes: members by what became of their message; `receipts` by what was heard of it.
        sent_by: how many messages went by each provider.
        gift_points: given with the messages.
    """

    members: int = 0
    buyers: int = 0
    purchases: int = 0
    sales_minor: int = 0
    sales_squares: int = 0
    points_earned: int = 0
    outcomes: Mapping[str, int] | None = None
    receipts: Mapping[str, int] | None = None
    sent_by: Mapping[str, int] | None = None
    cost_micro: int = 0
    gift_points: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a group's messages and points cost, in minor units. What variants cost adds up to what all of them do."""

    messages: int = 0
    points: int = 0


class Interval(Record):
    """A figure with the range in which it lies with 95 % confidence, in whole numbers."""

    value: int
    low: int
    high: int


class Compared(Record):
    """What a group did beyond others: those who were held out, or those who had the first variant."""

    buyers_per_million: Interval | None
    """Difference of the shares of members who bought: 10,000 is one percentage point. By Newcombe's hybrid score."""
    sales_per_thousand_minor: Interval | None
    """Difference of the sales to a thousand members; by Welch's t."""
    incremental_sales_minor: Interval | None
    """That difference for all members of the group."""
    why_not: str | None
    """Why there is no comparison: `no_holdout`, `too_few_members`, `nothing_bought`; null when there is one."""


class GroupResults(Record):
    """What became of a group's members."""

    planned: int
    sent: int
    delivered: int | None
    """Null, here and below, where nobody tells: of all that was sent nothing went by a provider that gives such
    receipts. SMTP and SNS give none, and only SES tells of what is opened, followed and complained about."""
    opened: int | None
    clicked: int | None
    bounced: int | None
    complained: int | None
    opted_out: int
    """By a link of the message, or by an answer to it: whoever answers means the last of the channel, within a week."""
    unknown: int
    """Nobody knows whether these were sent: the provider did not answer. They are not sent again."""
    skipped: Mapping[str, int]
    """Not sent, by reason."""
    buyers: int
    buyers_per_million: Interval | None
    """Share of the members who bought in the attribution window; by Wilson's score."""
    purchases: int
    sales_minor: int
    """What they paid, less what was refunded."""
    points_earned: int
    messages_cost_minor: int
    """What providers charged."""
    points_cost_minor: int
    """What the points that were given with the messages are worth."""
    cost_minor: int
    """Both together."""
    compared: Compared | None
    """Null for those who were held out."""


class CampaignResults(Record):
    """What a campaign has brought so far.

    Members count in the group that they were assigned to, whether or not they were reached: else who can be reached
    would be compared with who perhaps cannot.
    """

    campaign_id: CampaignId
    as_of: AwareDatetime
    """When the lake was built that this was counted from."""
    window_open: bool
    """Whether purchases still count that are yet to be made."""
    variants: Mapping[str, GroupResults]
    all_variants: GroupResults
    """What the variants add up to."""
    beside_first: Mapping[str, Compared]
    """Each other variant beside the first that the campaign names: an interval without 0 in it says which is better.
    Each is for itself: of twenty such intervals one misses, so of many variants the best may be so by chance."""
    held_out: GroupResults | None
    left_out: Mapping[str, int]
    """Members of the segment who were left out of the plan, by reason."""
    gift_points: int
    """Points given, to how many as were written to or tried."""
    cost_minor: int
    """What providers charged, and what the points given are worth: as `all_variants` says."""
    return_percent: int | None
    """Incremental sales less cost, in percent of cost: sales, not margin. Null without a comparison, or cost."""
    currency: str
