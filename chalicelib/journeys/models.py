"""What a journey does, who is in it where, and commands about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, TypeAdapter, model_validator

from chalicelib.campaigns.models import QuietHours
from chalicelib.kernel.ids import AccountId, JourneyId, MemberId, SegmentId, ShopId, TemplateId
from chalicelib.kernel.money import Minor
from chalicelib.kernel.pages import Page, Paging
from chalicelib.kernel.records import Line, Note, Record, Slug
from chalicelib.segments.models import Condition, Sentences

STEPS_MAX = 30
VALUES_MAX = 100
DAYS_MAX = 400
"""Nobody waits longer at a step."""

EDITION_MAX = 1_000_000
"""More versions than anybody makes."""

LIST_MAX = 100
"""Members who are named in one command."""

ClockTime = Annotated[str, StringConstraints(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""A time of day in the program's time zone, `HH:MM`."""

Shops = Annotated[tuple[ShopId, ...], Field(min_length=1, max_length=VALUES_MAX)]
Slugs = Annotated[tuple[Slug, ...], Field(min_length=1, max_length=VALUES_MAX)]


# ---------------------------------------------------------------- what happens to members


class Enrolled(Record):
    """A person became a member."""

    kind: Literal["enrolled"]
    shop_ids: Shops | None = None
    """Home shops; left out: any, and none."""
    sources: Slugs | None = None


class Purchased(Record):
    """A member bought something."""

    kind: Literal["purchased"]
    shop_ids: Shops | None = None
    paid_min_minor: Minor | None = None
    """For so much money at least."""


class FirstPurchased(Record):
    """A member bought something for the first time."""

    kind: Literal["first_purchased"]
    shop_ids: Shops | None = None
    paid_min_minor: Minor | None = None


class PointsSpent(Record):
    """A member spent points, on a purchase or otherwise."""

    kind: Literal["points_spent"]


class TierChanged(Record):
    """A member holds another tier."""

    kind: Literal["tier_changed"]
    tier_ids: Slugs | None = None
    """The tier that they hold now; left out: any."""


class PointsExpire(Record):
    """Points will lapse unless they are spent; told so many days before as the program says."""

    kind: Literal["points_expire"]


class GiftGiven(Record):
    """A member got the birthday gift of the program."""

    kind: Literal["birthday_gift"]


class SegmentEntered(Record):
    """A member came into a live segment."""

    kind: Literal["segment_entered"]
    segment_id: SegmentId


Happening = Annotated[
    Enrolled | Purchased | FirstPurchased | PointsSpent | TierChanged | PointsExpire | GiftGiven | SegmentEntered,
    Field(discriminator="kind"),
]

Later = Annotated[
    Purchased | PointsSpent | TierChanged | PointsExpire | GiftGiven | SegmentEntered, Field(discriminator="kind")
]
"""What can happen to somebody who is inside."""


class Lapsed(Record):
    """A member who bought has bought nothing for so many days; what was returned altogether does not count."""

    kind: Literal["lapsed"]
    days: Annotated[int, Field(ge=1, le=3_650)]


class BirthdayComes(Record):
    """A member's birthday is so many days ahead; 0: it is today."""

    kind: Literal["birthday"]
    days_before: Annotated[int, Field(ge=0, le=60)] = 0


class ByHand(Record):
    """Somebody names the members, or a segment of them."""

    kind: Literal["by_hand"]


Entry = Annotated[
    Enrolled | Purchased | FirstPurchased | PointsSpent | TierChanged | PointsExpire | GiftGiven | SegmentEntered
    | Lapsed | BirthdayComes | ByHand,
    Field(discriminator="kind"),
]  # fmt: skip


# ---------------------------------------------------------------- steps


class For(Record):
    """So long. Days are days of the calendar: the same time of day, also when clocks change."""

    kind: Literal["for"]
    days: Annotated[int, Field(ge=0, le=DAYS_MAX)] = 0
    hours: Annotated[int, Field(ge=0, le=23)] = 0
    minutes: Annotated[int, Field(ge=0, le=59)] = 0

    @model_validator(mode="after")
    def _is_some_time(self) -> Self:
        if not (self.days or self.hours or self.minutes):
            raise ValueError("it needs `days`, `hours` or `minutes`")
        return self


class UntilTime(Record):
    """Until it is next that time of day, in the program's time zone, not before so many days from now."""

    kind: Literal["time"]
    at: ClockTime
    days: Annotated[int, Field(ge=0, le=DAYS_MAX)] = 0


class UntilBirthday(Record):
    """Until a time of day so many days before the member's next birthday; after it, when below nought.

    Who has told no birthday leaves here.
    """

    kind: Literal["birthday"]
    days_before: Annotated[int, Field(ge=-30, le=60)] = 0
    at: ClockTime


class Wait(Record):
    """Nothing happens for a while."""

    kind: Literal["wait"]
    step: Slug
    until: Annotated[For | UntilTime | UntilBirthday, Field(discriminator="kind")]
    next: Slug | None = None
    """The step after it; left out: the journey ends here."""


class Fits(Record):
    """The member fits a segment's definition. The lake is asked, which is up to a minute behind."""

    kind: Literal["fits"]
    definition: Condition


class Happened(Record):
    """Something happened to the member since they came in."""

    kind: Literal["happened"]
    what: Later


class HoldsTier(Record):
    """The member holds one of these tiers just now."""

    kind: Literal["tier"]
    tier_ids: Slugs


class HasPoints(Record):
    """The member can spend so many points today, or more."""

    kind: Literal["points"]
    at_least: Annotated[int, Field(ge=1, le=10**12)]


class HasTag(Record):
    """The member has a tag just now."""

    kind: Literal["has_tag"]
    tag: Line


Test = Annotated[Fits | Happened | HoldsTier | HasPoints | HasTag, Field(discriminator="kind")]


class Branch(Record):
    """Two ways to go on."""

    kind: Literal["branch"]
    step: Slug
    on: Test
    then: Slug | None = None
    """The step when it is so; left out: the journey ends here."""
    otherwise: Slug | None = None


class MessageCap(Record):
    """A member gets at most so many single messages, of journeys and triggers, in so many days, this one included."""

    sends: Annotated[int, Field(ge=1, le=100)]
    days: Annotated[int, Field(ge=1, le=90)]


class Send(Record):
    """A message. Who may not be written to just now, or cannot be, goes on without."""

    kind: Literal["send"]
    step: Slug
    template_id: TemplateId
    purpose: Slug = "marketing"
    """The consent that it needs."""
    quiet_hours: QuietHours | None = QuietHours(starts="21:00", ends="09:00")
    frequency_cap: MessageCap | None = None
    send_within_hours: Annotated[int, Field(ge=1, le=168)] = 24
    """What could not be sent so long after the member came to the step is stale and is not sent. Who comes late from a
    wait came when it ended, also with branches, points and tags in between."""
    next: Slug | None = None


class GivePoints(Record):
    """Points."""

    kind: Literal["give_points"]
    step: Slug
    points: Annotated[int, Field(ge=1, le=1_000_000)]
    expires_after_days: Annotated[int, Field(ge=1, le=3_650)] | None = None
    """They are good for at least so many days: to the end of the month in which these end where the program's points
    of a month expire together, else to the last of these days. Counted from the day on which they are given; by the
    program's policy, when left out."""
    next: Slug | None = None


class Retag(Record):
    """A tag that is given or taken away."""

    kind: Literal["retag"]
    step: Slug
    tag: Line
    give: bool = True
    next: Slug | None = None


Step = Annotated[Wait | Branch | Send | GivePoints | Retag, Field(discriminator="kind")]


class JourneyDefinition(Record):
    """What a journey does. Its first step is the first in the list; the others are reached from there."""

    name: Line
    entry: Entry
    who: Condition | None = None
    """Whom it is for, of those to whom that happens; the lake is asked, a minute and a half after it did."""
    again_after_days: Annotated[int, Field(ge=0, le=3_650)] | None = None
    """When a member may come in again, counted from the last time; 0: every time; left out: once for good."""
    goal: Later | None = None
    """Who does that leaves at once, wherever they are."""
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=STEPS_MAX)]


DEFINITION: TypeAdapter[JourneyDefinition] = TypeAdapter(JourneyDefinition)


# ---------------------------------------------------------------- commands


class MakeJourney(JourneyDefinition):
    """Make a journey. It is a draft until it is activated."""


class EditJourney(JourneyDefinition):
    """Write the next version of a journey. Who is inside goes on in the version that they came in by."""

    version: Annotated[int, Field(ge=1)]
    """`version` as it was read."""


class TurnJourney(Record):
    """Activate a journey, pause it, close it, end it or put it away."""

    version: Annotated[int, Field(ge=1)]
    """`version` as it was read."""
    reason: Note | None = None
    dry_run: bool = False


class EnterMembers(Record):
    """Let members come in by hand, or all of a segment."""

    member_ids: Annotated[tuple[MemberId, ...], Field(min_length=1, max_length=LIST_MAX)] | None = None
    segment_id: SegmentId | None = None
    reason: Note | None = None
    dry_run: bool = False
    """Only see who of those named could come in."""

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.member_ids is None) == (self.segment_id is None):
            raise ValueError("it needs either `member_ids` or `segment_id`")
        return self


class WalkJourney(Record):
    """See what would happen to a member, step by step. Nothing is done and nothing is sent."""

    member_id: MemberId
    at: AwareDatetime | None = None
    """When they would come in; left out: now."""
    edition: Annotated[int, Field(ge=1, le=EDITION_MAX)] | None = None
    """Of which version; left out: the one in force."""
    fits: Mapping[Slug, bool] = {}
    """How branches shall go, by their step; those left out go as the member is now."""


# ---------------------------------------------------------------- as it is kept


class JourneyState(StrEnum):
    """What a journey does just now."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    """Nobody comes in, and who is inside stays where they are."""
    CLOSED = "closed"
    """Nobody comes in; who is inside goes on to the end."""
    ENDED = "ended"
    """Nobody comes in, and everybody leaves."""
    ARCHIVED = "archived"
    """Ended, or never begun, and put away."""


class Answers(Record):
    """Who answers for what a journey gives.

    Attributes:
        by: how records name them.
        own: the membership of theirs, by their record: a gift to that one is noticed.
    """

    by: str
    own: AccountId | None = None


class Head(Record):
    """What there is of a journey.

    Attributes:
        uses: the segments that it names, in any version that went to work.
        answers: whoever activated it last, or changed it while it was at work.
        edition: which version of its definition is in force.
        activated_at: what happened before it was activated first lets nobody in.
        moved_at: when its state changed last.
        content: tells the command that made it from others with its key.
        version: counts all changes.
    """

    journey_id: JourneyId
    name: Line
    state: JourneyState
    edition: int
    made_at: AwareDatetime
    made_by: str
    edited_at: AwareDatetime
    activated_at: AwareDatetime | None = None
    moved_at: AwareDatetime
    content: bytes
    answers: Answers | None = None
    uses: tuple[SegmentId, ...] = ()
    cleared: int | None = None
    """The version whose points were cleared: it is activated again, after a pause, without asking anybody."""
    segment_id: SegmentId | None = None
    """The live segment that was made for an entry by `lapsed` or `birthday`."""
    version: int = 1


class Edition(Record):
    """A version of a journey's definition, with its templates as they were then."""

    journey_id: JourneyId
    edition: int
    definition: JourneyDefinition
    pinned: Mapping[str, tuple[str, int, str]] = {}
    """By step: template, its version, its channel."""
    segments: str | None = None
    """Of a version that gives points: the segments that it names, as they were when it went to work first."""
    made_at: AwareDatetime
    made_by: str


@dataclass(frozen=True, slots=True)
class Place:
    """A journey, as those who take events look for it.

    Attributes:
        entry: kind of happening that lets members in; empty where none does.
        needs: kinds of happenings that goals and branches ask for, in any version that somebody may be in.
        goals: those that end a journey.
        segment_id: the live segment that lets members in by `lapsed` or `birthday`.
        held: since when those may be waiting who came due while it was paused, milliseconds; None: nobody.
        ending: whether somebody may still be inside though it has ended.
    """

    journey_id: JourneyId
    state: JourneyState
    edition: int
    entry: str
    needs: frozenset[str] = frozenset()
    goals: frozenset[str] = frozenset()
    segment_id: SegmentId | None = None
    held: int | None = None
    ending: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """Every journey that does something.

    Attributes:
        began_at: when the first journey was activated.
    """

    places: Mapping[JourneyId, Place]
    began_at: datetime | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to a member, as far as journeys care.

    Attributes:
        kind: of `Happening`.
        at: when it was recorded.
        facts: what filters look at, and what messages may say.
    """

    kind: str
    event_id: str
    member_id: MemberId
    at: datetime
    facts: Mapping[str, Any]


class Left(StrEnum):
    """Why a member is no more in a journey."""

    COMPLETED = "completed"
    GOAL = "goal"
    ENDED = "ended"
    """The journey was ended."""
    ERASED = "erased"
    CLOSED = "closed"
    SUSPENDED = "suspended"
    MERGED = "merged"
    """Merged into another member, who goes on in their place, or was in the journey as well."""
    NO_BIRTHDAY = "no_birthday"
    """A step waits for a birthday, and the member has told none."""
    FAILED = "failed"
    """A step failed too often; the log says why."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Names somebody's way through a journey: there is one for each entry key."""

    member_id: MemberId
    journey_id: JourneyId
    entry: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A step that a member is through with."""

    step: str
    outcome: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Instance:
    """Somebody's way through a journey.

    Attributes:
        edition: the version that they came in by.
        origin: the member who came in: another one, where that one was merged into this.
        event_id: what let them in; `told_at`: when that was recorded.
        step: where they are; the step that they left from, once they have left.
        since: when they came there, or as of when: the end of a wait that they came late from.
        due_at: when there is something to do; None once they have left.
        bucket: the slot in whose list they stand; None: they were found due while it was paused.
        tries: how often the step has failed.
        facts: of the event.
        answers: who let them in by hand; None: they came by themselves.
    """

    ref: Ref
    edition: int
    origin: MemberId
    event_id: str
    told_at: datetime
    entered_at: datetime
    step: str
    since: datetime
    due_at: datetime | None
    bucket: int | None
    facts: Mapping[str, Any]
    path: tuple[Passed, ...] = ()
    left: Left | None = None
    left_at: datetime | None = None
    tries: int = 0
    answers: Answers | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class Gate:
    """When a member came into a journey last, where they may come again after some days."""

    last: datetime
    version: int


# ---------------------------------------------------------------- answers


class JourneyView(Record):
    """A journey."""

    journey_id: JourneyId
    state: JourneyState
    edition: int
    """The version of its definition that is shown."""
    current_edition: int
    """The one by which members come in."""
    definition: JourneyDefinition
    sentences: Sentences
    made_at: AwareDatetime
    made_by: str
    edited_at: AwareDatetime
    activated_at: AwareDatetime | None
    segment_id: SegmentId | None
    """The live segment that lets members in."""
    version: int
    """Counts all changes; commands name the one that was read."""


class JourneyRow(Record):
    """A journey in the list of them."""

    journey_id: JourneyId
    name: Line
    state: JourneyState
    edition: int
    made_at: AwareDatetime
    activated_at: AwareDatetime | None
    version: int


class JourneyPage(Page[JourneyRow]):
    """A page of journeys."""


class EditionRow(Record):
    """A version of a journey, and how many are in it."""

    edition: int
    made_at: AwareDatetime
    made_by: str
    inside: int
    entered: int


class EditionList(Record):
    """All versions of a journey, the newest first."""

    items: tuple[EditionRow, ...]


class PassedView(Record):
    """A step that a member is through with, and what came of it."""

    step: str
    outcome: str
    at: AwareDatetime


class InstanceView(Record):
    """Where a member is in a journey."""

    journey_id: JourneyId
    member_id: MemberId
    edition: int
    entered_at: AwareDatetime
    step: str
    since: AwareDatetime
    due_at: AwareDatetime | None
    """When it goes on; null once they have left."""
    left: Left | None
    left_at: AwareDatetime | None
    path: tuple[PassedView, ...]


class InstancePage(Page[InstanceView]):
    """Members in a journey."""


class MemberJourneys(Record):
    """The journeys of a member."""

    items: tuple[InstanceView, ...]


class StepCounts(Record):
    """What became of members at a step."""

    edition: int
    step: str
    kind: str
    inside: int
    """So many are there now."""
    arrived: int
    outcomes: dict[str, int]
    """How many went on with which outcome: `waited`, `yes`, `no`, `sent`, or why nothing was sent or given."""


class SegmentLetIn(Record):
    """What became of letting a segment's members in by hand."""

    segment_id: SegmentId
    asked_at: AwareDatetime
    entered: int
    passed_over: int
    """They were let in before, may not come in again yet, do not fit, or are no members any more."""
    under_way: bool


class JourneyCounts(Record):
    """How many are where. Exact: counted with each move."""

    journey_id: JourneyId
    entered: int
    inside: int
    left: dict[str, int]
    """By reason."""
    goal_reached: int
    sent: int
    steps: tuple[StepCounts, ...]
    segments: tuple[SegmentLetIn, ...] = ()
    """Those let in by hand of late, the latest first. What was begun twice after a fault may count as passed over."""


class Entries(Record):
    """What became of letting members in by hand."""

    entered: int
    """Of those named; of a segment they come in within minutes."""
    known: int
    """So many were let in before by this command, or may not come in again yet."""
    refused: int
    """So many are no members any more, or do not fit. Of a segment all who did not come in, for whatever reason."""
    under_way: bool
    """Whether a segment's members are being let in; the journey's counts say what became of it."""


class WalkedStep(Record):
    """What would happen at a step."""

    step: str
    kind: str
    at: AwareDatetime
    outcome: str
    text: str
    """In words."""


class Walk(Record):
    """What would happen to a member."""

    journey_id: JourneyId
    member_id: MemberId
    edition: int
    enters: bool
    why_not: str | None
    steps: tuple[WalkedStep, ...]
    ends: str
    """Why it would end."""
    ends_at: AwareDatetime


class JourneysQuery(Paging):
    """Which journeys are asked for."""

    archived: bool = False


class JourneyQuery(Record):
    """Which version of a journey is asked for."""

    edition: int | None = Field(default=None, ge=1, le=EDITION_MAX)


class InstancesQuery(Paging):
    """Which members are asked for."""

    left: bool = False
    """Those who have left, in the place of those who are inside."""
