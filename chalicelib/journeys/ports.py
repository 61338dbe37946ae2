"""What journeys need of their neighbours, as narrow as it is needed."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chalicelib.identity.models import Caller
from chalicelib.journeys.models import Answers, Instance, Send, Told
from chalicelib.kernel.ids import MemberId, SegmentId, TemplateId
from chalicelib.programs.service import ProgramBook
from chalicelib.segments.models import Definition as Condition
from chalicelib.segments.rules import Resolve
from chalicelib.storage.table import Table


@dataclass(frozen=True, slots=True)
class Title:
    """What is to be known of a template.

    Attributes:
        fields: what it has filled in.
    """

    template_id: TemplateId
    name: str
    version: int
    channel: str
    purpose: str
    fields: frozenset[str]
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """A member as they are just now, read consistently.

    Attributes:
        status: `active`, `suspended`, `closed`, `merged`, or `erased`; `unknown` where there is none.
        into: whom they were merged into.
    """

    member_id: MemberId
    status: str
    into: MemberId | None = None
    month_day: str | None = None
    tier_id: str = ""
    points: int = 0
    tags: frozenset[str] = frozenset()


class People(Protocol):
    """Who members are."""

    def find(self, member_ids: Collection[MemberId], now: datetime) -> Mapping[MemberId, Person]:
        """Members, read consistently; all who are asked for are in the answer."""

    def bought_before(self, told: Told) -> bool:
        """Whether a member had bought something before a purchase, by their statement."""


class Judge(Protocol):
    """Has the lake say who fits."""

    def fitting(
        self, definition: Condition, member_ids: Collection[MemberId], pinned: str | None
    ) -> frozenset[MemberId]:
        """Those of some members who fit a definition.

        Args:
            pinned: segments as they were kept; None: as they are now.

        Raises:
            Trouble: nobody answered; ask again.
        """

    def page(
        self, segment_id: SegmentId, after: str | None, limit: int, pinned: str | None
    ) -> tuple[Sequence[MemberId], str | None]:
        """A page of a segment's members, and where the next one starts.

        Args:
            pinned: segments as they were kept; None: as they are now.

        Raises:
            Trouble: nobody answered; ask again.
        """


@dataclass(frozen=True, slots=True)
class Posted:
    """What became of a message.

    Attributes:
        outcome: `sent`, or why not; empty while it waits.
        wait_until: ask again then.
    """

    outcome: str
    wait_until: datetime | None = None
    waits_for: str = ""


class Post(Protocol):
    """Sends messages."""

    def send(
        self, instance: Instance, step: Send, pinned: tuple[str, int, str], send_until: datetime, now: datetime
    ) -> Posted:
        """Send the message of a step, at most once for the instance and the step, whoever asks how often.

        Raises:
            Trouble: ask again.
        """

    def was_asked(self, instance: Instance, step: Send, pinned: tuple[str, int, str]) -> bool:
        """Whether the message of a step went out, or may have."""

    def would(self, member_id: MemberId, step: Send, pinned: tuple[str, int, str], at: datetime) -> Posted:
        """What would become of a message, by how things are now."""


class Giver(Protocol):
    """Gives points."""

    def give(
        self, key: str, member_id: str, points: int, days: int | None, now: datetime, answers: Answers | None
    ) -> bool:
        """Give them, once for the key; False: this member cannot be given any.

        Args:
            answers: who answers for it; None: nobody noted it.

        Raises:
            Trouble: ask again.
        """


class Tagger(Protocol):
    """Gives tags and takes them."""

    def retag(self, member_id: MemberId, tag: str, *, given: bool, now: datetime) -> bool:
        """Give a tag or take it; whether anything changed."""


class Shelf(Protocol):
    """Where templates and segments are."""

    def template(self, template_id: TemplateId, version: int | None = None) -> Title | None:
        """A template, or None."""

    def resolve(self) -> Resolve:
        """Finds segments, as they are now."""

    def live(self, key: str, name: str, definition: Condition, *, caller: Caller, now: datetime) -> SegmentId:
        """A live segment of that definition, made once for the key."""


Hand = Callable[[Sequence[str], int], None]
"""Puts messages on the queue of steps, hidden for so many seconds."""

Clock = Callable[[], datetime]
Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(frozen=True)
class Works:
    """Where journeys are walked.

    Attributes:
        table: `core`.
        hand: hands work to those who do steps.
        tell: tells operators of something, in one line of the log.
    """

    table: Table
    ops: Table
    book: ProgramBook
    people: People
    judge: Judge
    post: Post
    giver: Giver
    tagger: Tagger
    hand: Hand
    clock: Clock
    tell: Tell
