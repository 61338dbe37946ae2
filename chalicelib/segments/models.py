"""Segments: the definition of who is meant, as a typed document, and commands about it.

A definition is a tree of conditions, told apart by `kind`. It holds no expression in any language: names of fields and
operators are words of this file, and everything else is a value.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    TypeAdapter,
    model_validator,
)
from pydantic_core import CoreSchema

from chalicelib.kernel.ids import MemberId, SegmentExportId, SegmentId, ShopId
from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Day as AnyDay
from chalicelib.kernel.records import Line, Note, Record, Reference, Slug

GROUP_MAX = 50
"""Conditions in one group."""

VALUES_MAX = 100
"""Values that a field is compared with."""

DAYS_MAX = 3_660
"""Days that a window reaches back."""

NUMBER_MAX = 10**15

Day = Annotated[AnyDay, Field(ge=date(1900, 1, 1), le=date(2199, 12, 31))]
"""A day that has a day before and after it in every time zone."""

Whole = Annotated[int, Field(ge=-NUMBER_MAX, le=NUMBER_MAX)]
Days = Annotated[int, Field(ge=1, le=DAYS_MAX)]
Shops = Annotated[tuple[ShopId, ...], Field(min_length=1, max_length=VALUES_MAX)]
References = Annotated[tuple[Reference, ...], Field(min_length=1, max_length=VALUES_MAX)]
Lines = Annotated[tuple[Line, ...], Field(min_length=1, max_length=VALUES_MAX)]
Score = Annotated[int, Field(ge=1, le=5)]
Scores = Annotated[tuple[Score, ...], Field(min_length=1, max_length=5)]


class NumberOp(StrEnum):
    """How a number is compared."""

    IS = "is"
    IS_NOT = "is_not"
    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    BETWEEN = "between"
    """From `value` to `to`, both included."""


class ChoiceOp(StrEnum):
    """How one of a few is compared."""

    IS_ANY = "is_any"
    IS_NONE = "is_none"
    """None of the values; also who has none at all."""
    IS_KNOWN = "is_known"
    IS_UNKNOWN = "is_unknown"


class DayOp(StrEnum):
    """How a day is compared."""

    ON = "on"
    BEFORE = "before"
    AFTER = "after"
    BETWEEN = "between"
    """From `day` to `to`, both included."""
    IN_LAST_DAYS = "in_last_days"
    """Today and the days before it, `days` in all."""
    MORE_THAN_DAYS_AGO = "more_than_days_ago"
    IS_KNOWN = "is_known"
    IS_UNKNOWN = "is_unknown"


class BirthdayOp(StrEnum):
    """How a day of the year is compared. Who was born on 29 February has their birthday on the 28th in other years."""

    IN_NEXT_DAYS = "in_next_days"
    """Today and the days after it, `days` in all."""
    IN_MONTHS = "in_months"
    IS_KNOWN = "is_known"
    IS_UNKNOWN = "is_unknown"


class ListOp(StrEnum):
    """How several values are compared with several."""

    HAS_ANY = "has_any"
    HAS_ALL = "has_all"
    HAS_NONE = "has_none"


class CustomOp(StrEnum):
    """How the value of a custom field is compared."""

    IS_ANY = "is_any"
    IS_NONE = "is_none"
    BELOW = "below"
    AT_MOST = "at_most"
    ABOVE = "above"
    AT_LEAST = "at_least"
    IS_KNOWN = "is_known"
    IS_UNKNOWN = "is_unknown"


class _Number(Record):
    op: NumberOp
    value: Whole
    to: Whole | None = None
    """The end of `between`; no other operator takes it."""

    @model_validator(mode="after")
    def _has_both_ends(self) -> Self:
        if (self.op is NumberOp.BETWEEN) != (self.to is not None):
            raise ValueError("`to` belongs to `between`, and to nothing else")
        if self.to is not None and self.to < self.value:
            raise ValueError("`to` is smaller than `value`")
        return self


class _Day(Record):
    op: DayOp
    day: Day | None = None
    to: Day | None = None
    days: Days | None = None

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        needs = _DAY_NEEDS[self.op]
        if {name for name in ("day", "to", "days") if getattr(self, name) is not None} != needs:
            wanted = " and ".join(f"`{name}`" for name in sorted(needs)) or "none of `day`, `to`, `days`"
            raise ValueError(f"`{self.op}` takes {wanted}")
        if self.day is not None and self.to is not None and self.to < self.day:
            raise ValueError("`to` is before `day`")
        return self


_DAY_NEEDS: dict[DayOp, set[str]] = {
    DayOp.ON: {"day"},
    DayOp.BEFORE: {"day"},
    DayOp.AFTER: {"day"},
    DayOp.BETWEEN: {"day", "to"},
    DayOp.IN_LAST_DAYS: {"days"},
    DayOp.MORE_THAN_DAYS_AGO: {"days"},
    DayOp.IS_KNOWN: set(),
    DayOp.IS_UNKNOWN: set(),
}


class LastDays(Record):
    """Today and the days before it."""

    kind: Literal["last_days"]
    days: Days
    """So many days in all."""
    skip: Annotated[int, Field(ge=0, le=DAYS_MAX)] = 0
    """Without so many at the end of them: `days` 90 and `skip` 30 are the sixty days from 89 to 30 days ago, `days` 2
    and `skip` 1 are yesterday."""

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if self.skip >= self.days:
            raise ValueError("it skips all of its days")
        return self


class FromTo(Record):
    """Days of the calendar, both ends included."""

    kind: Literal["from_to"]
    first: Day | None = None
    last: Day | None = None

    @model_validator(mode="after")
    def _has_an_end(self) -> Self:
        if self.first is None and self.last is None:
            raise ValueError("it needs `first` or `last`")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ValueError("`last` is before `first`")
        return self


Window = Annotated[LastDays | FromTo, Field(discriminator="kind")]
"""Which days count; left out: all of them."""


# ---------------------------------------------------------------- conditions


def _some(conditions: tuple[Definition, ...]) -> tuple[Definition, ...]:
    if not conditions:
        raise ValueError("it needs at least one condition")
    return conditions


Conditions = Annotated[
    "tuple[Condition, ...]",
    Field(max_length=GROUP_MAX, json_schema_extra={"minItems": 1}),
    AfterValidator(_some),  # not `min_length`: pydantic says that of a list, too, whose only condition is wrong
]


class All(Record):
    """All of them hold."""

    kind: Literal["all"]
    of: Conditions


class AnyOf(Record):
    """At least one of them holds."""

    kind: Literal["any"]
    of: Conditions


class Not(Record):
    """It does not hold. Of a value that is not known, nothing holds, so the negation does."""

    kind: Literal["not"]
    of: Condition


class NumberField(_Number):
    """A number of a member. Money is in minor units; what was returned is taken off."""

    kind: Literal["field"]
    name: Literal[
        "points", "points_pending", "points_earned", "points_spent", "purchases_count", "spent_minor", "average_minor"
    ]


class ExpiringField(_Number):
    """Points of a member that expire soon."""

    kind: Literal["field"]
    name: Literal["points_expiring"]
    days: Days
    """Within so many days, today included."""


class ChoiceField(Record):
    """What is one of a few for each member."""

    kind: Literal["field"]
    name: Literal["status", "gender", "language", "age_band", "tier_id", "shop_id", "region", "source"]
    op: ChoiceOp
    values: Annotated[tuple[Reference, ...], Field(max_length=VALUES_MAX)] = ()

    @model_validator(mode="after")
    def _has_values(self) -> Self:
        if (self.op in (ChoiceOp.IS_ANY, ChoiceOp.IS_NONE)) != bool(self.values):
            raise ValueError("`values` belongs to `is_any` and `is_none`, and to nothing else")
        return self


class DayField(_Day):
    """A day of a member."""

    kind: Literal["field"]
    name: Literal["joined_on", "first_bought_on", "last_bought_on"]


class BirthdayField(Record):
    """A member's birthday."""

    kind: Literal["field"]
    name: Literal["birthday"]
    op: BirthdayOp
    days: Annotated[int, Field(ge=1, le=366)] | None = None
    months: Annotated[tuple[Annotated[int, Field(ge=1, le=12)], ...], Field(max_length=12)] = ()

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.op is BirthdayOp.IN_NEXT_DAYS) != (self.days is not None):
            raise ValueError("`days` belongs to `in_next_days`, and to nothing else")
        if (self.op is BirthdayOp.IN_MONTHS) != bool(self.months):
            raise ValueError("`months` belongs to `in_months`, and to nothing else")
        return self


class ListField(Record):
    """What a member has several of.

    `consents` and `withdrawn` are `purpose` or `purpose:channel`, as the member said it last: who agreed to a purpose
    by all channels has `purpose`, and no `purpose:channel` of it; who was never asked has neither. `ways` are the
    channels that there is an address for; `suppressed` those by which nothing reaches them.
    """

    kind: Literal["field"]
    name: Literal["consents", "withdrawn", "ways", "suppressed"]
    op: ListOp
    values: References


class CustomCondition(Record):
    """A custom field of the program, one whose values are not personal."""

    kind: Literal["field"]
    name: Literal["custom"]
    custom_field: Slug
    op: CustomOp
    value: Whole | None = None
    """What `below`, `at_most`, `above` and `at_least` compare with."""
    values: Annotated[tuple[bool | Whole | Line, ...], Field(max_length=VALUES_MAX)] = ()
    """What `is_any` and `is_none` compare with."""

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if (self.op in (CustomOp.IS_ANY, CustomOp.IS_NONE)) != bool(self.values):
            raise ValueError("`values` belongs to `is_any` and `is_none`, and to nothing else")
        compares = self.op not in (CustomOp.IS_ANY, CustomOp.IS_NONE, CustomOp.IS_KNOWN, CustomOp.IS_UNKNOWN)
        if compares != (self.value is not None):
            raise ValueError("`value` belongs to `below`, `at_most`, `above` and `at_least`, and to nothing else")
        return self


MemberField = Annotated[
    NumberField | ExpiringField | ChoiceField | DayField | BirthdayField | ListField | CustomCondition,
    Field(discriminator="name"),
]


class PurchasesNumber(_Number):
    """How often or how much a member bought. Purchases that were returned altogether do not count."""

    kind: Literal["purchases"]
    measure: Literal["count", "sum", "average"]
    """`sum` and `average` in minor units, what was returned taken off."""
    window: Window | None = None
    shop_ids: Shops | None = None
    channels: References | None = None


class PurchasesDay(_Day):
    """When a member bought first or last, of the purchases that count here."""

    kind: Literal["purchases"]
    measure: Literal["first", "last"]
    window: Window | None = None
    shop_ids: Shops | None = None
    channels: References | None = None


Purchases = Annotated[PurchasesNumber | PurchasesDay, Field(discriminator="measure")]


class Bought(Record):
    """What a member bought: articles or categories, any of those named. What was returned altogether does not count."""

    kind: Literal["bought"]
    skus: References | None = None
    categories: Lines | None = None
    measure: Literal["times", "quantity", "amount"] = "times"
    """In how many purchases, how many pieces, or for how much in minor units."""
    at_least: Annotated[int, Field(ge=1, le=NUMBER_MAX)] = 1
    window: Window | None = None
    shop_ids: Shops | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.skus is None and self.categories is None:
            raise ValueError("it needs `skus` or `categories`")
        return self


class Did(StrEnum):
    """What became of messages to a member."""

    SENT = "sent"
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OPTED_OUT = "opted_out"
    FAILED = "failed"
    HELD_OUT = "held_out"
    """Nothing was sent: the member was drawn into those whom a campaign leaves out to compare."""
    NOT_DELIVERED = "not_delivered"
    """Sent, and no receipt of delivery: some channels give none."""
    NOT_OPENED = "not_opened"
    """Sent, and not opened as far as the channel tells."""
    NOT_CLICKED = "not_clicked"
    """Sent, and no link in it followed."""


SourceId = Annotated[str, StringConstraints(pattern=r"^(cmp|jrn)_[A-Za-z0-9_-]{1,80}$")]


class Campaigns(Record):
    """What became of messages of campaigns and journeys."""

    kind: Literal["campaign"]
    did: Did
    source_ids: Annotated[tuple[SourceId, ...], Field(min_length=1, max_length=VALUES_MAX)] | None = None
    """Of these campaigns and journeys; left out: of any."""
    channels: References | None = None
    window: Window | None = None

    @model_validator(mode="after")
    def _has_a_channel(self) -> Self:
        if self.did is Did.HELD_OUT and self.channels is not None:
            raise ValueError("who is left out of a campaign is left out on every channel")
        return self


class InSegment(Record):
    """In another segment."""

    kind: Literal["segment"]
    segment_id: SegmentId


class Rfm(Record):
    """Scores from 1 to 5, 5 the best fifth of those who bought: how lately, how often, for how much."""

    kind: Literal["rfm"]
    recency: Scores | None = None
    frequency: Scores | None = None
    monetary: Scores | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.recency is None and self.frequency is None and self.monetary is None:
            raise ValueError("it needs `recency`, `frequency` or `monetary`")
        return self


class Stage(StrEnum):
    """Where a member is in their life as a customer."""

    NEW = "new"
    ACTIVE = "active"
    SLEEPING = "sleeping"
    LOST = "lost"


class InStage(Record):
    """In one of these stages."""

    kind: Literal["stage"]
    stages: Annotated[tuple[Stage, ...], Field(min_length=1, max_length=len(Stage))]


class Tagged(Record):
    """With tags."""

    kind: Literal["tag"]
    op: ListOp
    tags: Lines


Leaf = (
    NumberField | ExpiringField | ChoiceField | DayField | BirthdayField | ListField | CustomCondition
    | PurchasesNumber | PurchasesDay | Bought | Campaigns | InSegment | Rfm | InStage | Tagged
)  # fmt: skip
Group = All | AnyOf | Not


class _Unmapped:
    """In the document of the API, a union of unions: OpenAPI's mappings lead to models and to nothing else."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        made = handler(schema)
        made.pop("discriminator", None)
        return made


Condition = Annotated[
    All | AnyOf | Not | MemberField | Purchases | Bought | Campaigns | InSegment | Rfm | InStage | Tagged,
    Field(discriminator="kind"),
    _Unmapped(),
]

for _each in (All, AnyOf, Not):
    _each.model_rebuild()

Definition = Leaf | Group
"""A condition, with all that it is made of."""

DEFINITION: TypeAdapter[Definition] = TypeAdapter(Condition)
"""Reads a definition from what is stored."""


# ---------------------------------------------------------------- segments


class SegmentKind(StrEnum):
    """Who keeps a segment."""

    LIVE = "live"
    """Whoever fits its definition, at any time."""
    STATIC = "static"
    """Those on its list."""


class SegmentState(StrEnum):
    """Whether a segment is in use."""

    ACTIVE = "active"
    ARCHIVED = "archived"


class TagRule(Record):
    """A tag that is given to whoever comes into the segment."""

    tag: Line
    remove: bool = True
    """Whether it is taken from who leaves."""


class ListOf(Record):
    """The list of a static segment: a file of the archive, one member id a line, sorted, packed with gzip."""

    key: str
    count: int


class Segment(Record):
    """A segment as it is kept, with a definition or a list."""

    segment_id: SegmentId
    name: Line
    note: Note | None = None
    kind: SegmentKind
    definition: Condition | None = None
    """None: it is static."""
    listed: ListOf | None = None
    """None: it is live."""
    tag_rule: TagRule | None = None
    state: SegmentState = SegmentState.ACTIVE
    ready: bool = False
    """Every program has it."""
    created_at: AwareDatetime
    created_by: str
    edited_at: AwareDatetime
    edition: int = 1
    """Counts the definitions that it had: who comes in or leaves by an edit is not told of."""
    version: int = 1


# ---------------------------------------------------------------- commands and answers

LISTED_MAX = 10_000
"""Members that are put on a list, or taken from it, at once."""

LIST_MAX = 2_000_000
"""Members on a list."""

Listed = Annotated[tuple[MemberId, ...], Field(min_length=1, max_length=LISTED_MAX)]


class CreateSegment(Record):
    """Make a segment: with a definition, whose members come and go by themselves; or with a list."""

    name: Line
    note: Note | None = None
    definition: Condition | None = None
    freeze: bool = False
    """Look now who fits the definition, and keep them as a list."""
    member_ids: Listed | None = None
    tag_rule: TagRule | None = None
    """Whoever comes into the segment is given a tag; only where it is live."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        if (self.definition is None) == (self.member_ids is None):
            raise ValueError("it needs `definition` or `member_ids`, not both")
        if self.freeze and self.definition is None:
            raise ValueError("`freeze` belongs to a definition")
        if self.tag_rule is not None and (self.freeze or self.definition is None):
            raise ValueError("a tag is given by a live segment: nobody comes into a list by themselves")
        return self


class EditSegment(Record):
    """Change a segment; what is left out stays."""

    version: Annotated[int, Field(ge=1)]
    """The version that you have read; refused when it was changed since."""
    name: Line | None = None
    note: Note | None = None
    """Null takes it away."""
    definition: Condition | None = None
    """Of a live one."""
    add_member_ids: Listed | None = None
    """Of a static one."""
    remove_member_ids: Listed | None = None
    """Of a static one."""
    tag_rule: TagRule | None = None
    """Null ends it; the tags that it gave stay."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set - {"version", "dry_run"}:
            raise ValueError("name at least one field to change")
        return self


class ArchiveSegment(Record):
    """Put a segment aside for good: it is looked at no more, and nothing new can name it."""

    dry_run: bool = False


class Sentences(Record):
    """The same in both languages."""

    zh: str
    en: str


class SegmentView(Record):
    """A segment."""

    segment_id: SegmentId
    name: str
    note: str | None
    kind: SegmentKind
    state: SegmentState
    ready: bool
    definition: Condition | None
    sentence: Sentences | None
    """The definition in words; null: it is a list."""
    tag_rule: TagRule | None
    size: int | None
    """How many members it had when it was looked at last, in all shops; null: it was not yet, as it is now.

    Of a list that was not looked at since it was changed: how many are on it."""
    sized_on: date | None
    """The day of the program's on which it was looked at; null: see `size`."""
    sized_at: AwareDatetime | None
    """When it was counted. Where nothing moves, that it is still so is noted once an hour."""
    created_at: AwareDatetime
    created_by: str
    edited_at: AwareDatetime
    version: int


class SegmentQuery(Paging):
    """Which segments."""

    state: Literal["active", "archived"] = "active"


class SegmentMember(Record):
    """A member of a segment: nothing that tells who they are."""

    member_id: MemberId
    status: str
    joined_on: date
    tier_id: str | None
    shop_id: ShopId | None
    points: int
    purchases_count: int
    spent_minor: int
    last_bought_on: date | None


class CountMembers(Record):
    """Count who fits a definition, while it is being written."""

    definition: Condition
    branches: bool = True
    """Count each branch of the outermost group too."""


class BranchCount(Record):
    """How many fit a branch of the outermost group by itself."""

    pointer: str
    count: int
    sentence: Sentences


class SegmentCount(Record):
    """How many members fit a definition."""

    count: int
    of: int
    """Among so many members: of the whole program, or of your shops."""
    sentence: Sentences
    branches: tuple[BranchCount, ...]
    as_of: AwareDatetime
    """What was recorded by then is counted."""


class CompareSegments(Record):
    """How far segments overlap."""

    segment_ids: Annotated[tuple[SegmentId, ...], Field(min_length=2, max_length=5)]


class OverlapRegion(Record):
    """Members who are in exactly these of the segments compared."""

    segment_ids: tuple[SegmentId, ...]
    count: int


class SegmentOverlap(Record):
    """How far segments overlap: regions without members are left out, so the counts sum up to those in any."""

    sizes: dict[SegmentId, int]
    regions: tuple[OverlapRegion, ...]
    as_of: AwareDatetime


class SegmentSize(Record):
    """How large a segment was on a day."""

    day: date
    count: int


class SizeQuery(Paging):
    """Which days."""


EXPORT_PART = 20_000
"""Rows in a part of an export."""

ExportColumn = Literal[
    "member_id", "status", "joined_on", "tier_id", "points", "points_pending", "points_earned", "points_spent",
    "gender", "language", "age_band", "birthday", "shop_id", "region", "source", "tags", "purchases_count",
    "spent_minor", "average_minor", "first_bought_on", "last_bought_on", "recency", "frequency", "monetary", "stage",
]  # fmt: skip


class ExportSegment(Record):
    """Write a segment's members to a spreadsheet. It has no contact data, and no column can be asked for that has."""

    columns: Annotated[tuple[ExportColumn, ...], Field(min_length=1, max_length=25)] = (
        "member_id", "status", "joined_on", "tier_id", "points", "purchases_count", "spent_minor", "last_bought_on",
    )  # fmt: skip
    dry_run: bool = False

    @model_validator(mode="after")
    def _names_each_once(self) -> Self:
        if len(set(self.columns)) != len(self.columns):
            raise ValueError("a column stands twice")
        return self


class SegmentExport(Record):
    """An export of a segment."""

    export_id: SegmentExportId
    segment_id: SegmentId
    columns: tuple[ExportColumn, ...]
    rows: int
    parts: int
    """Files of at most 20,000 rows, each with a head of its own."""
    as_of: AwareDatetime
    created_at: AwareDatetime


class PartQuery(Record):
    """Which part of an export."""

    part: Annotated[int, Field(ge=1, le=1_000)] = 1
