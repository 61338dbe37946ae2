"""What campaigns need of their neighbours, as narrow as it is needed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from chalicelib.kernel.ids import MemberId, SegmentId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.lake.models import Fact
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.objects import Objects
from chalicelib.storage.queues import Queues
from chalicelib.storage.table import Table


@dataclass(frozen=True, slots=True)
class Title:
    """What is to be known of a template to plan with it, as it is just now.

    Attributes:
        fields: what it has filled in.
        languages: those in which it says something.
    """

    template_id: TemplateId
    version: int
    channel: str
    purpose: str
    fields: frozenset[str]
    archived: bool = False
    languages: tuple[Language, ...] = tuple(Language)


@dataclass(frozen=True, slots=True)
class Asked:
    """A segment as the lake is asked for it.

    Attributes:
        sql: a SELECT of `m` from the lake's views, with `?` for each of `params`.
    """

    sql: str
    params: tuple[Any, ...]


class Shelf(Protocol):
    """Where segments and templates are."""

    def template(self, template_id: TemplateId, version: int | None = None) -> Title | None:
        """A template, as it is or as it was; or None."""

    def segment_fault(self, segment_id: SegmentId) -> str | None:
        """Why a segment cannot be asked for, in words; None when it can."""

    def pinned(self, segment_id: SegmentId) -> str:
        """A segment as it is now, with those that it refers to, as a document."""

    def asked(self, segment_id: SegmentId, archive: str, *, today: date, now: datetime, pinned: str | None) -> Asked:
        """A segment as the lake is asked for it on a day.

        Args:
            pinned: what it was when it was pinned; None: it was not, and is asked for as it is now.
            archive: where files are, as the lake's engine names it.
        """


class Answer(Protocol):
    """What a question came to."""

    def fetchall(self) -> list[Any]:
        """All rows."""

    def fetchmany(self, size: int = 1) -> list[Any]:
        """The next rows; none at the end."""

    def fetchone(self) -> Any:
        """The next row, or None."""


class Questions(Protocol):
    """A connection to the lake."""

    def execute(self, query: str, parameters: Sequence[Any] = ()) -> Answer:
        """Ask."""


@dataclass(frozen=True, slots=True)
class Lake:
    """The lake, opened.

    Attributes:
        root: where its files are, as the engine names it: those of plans stand beside.
        built_at: what had been written to its log by then is in it.
    """

    questions: Questions
    root: str
    built_at: datetime


OpenLake = Callable[[date, datetime], AbstractContextManager[Lake]]
"""Opens the lake as of a day and an instant."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test.

    Attributes:
        missing: fields that there was nothing to put in for.
    """

    outcome: str
    reason: str = ""
    missing: tuple[str, ...] = ()


class Tester(Protocol):
    """Sends tests."""

    def send(self, campaign_id: str, name: str, member_id: MemberId, template: Title, now: datetime) -> Tested:
        """Send a message once for a name."""


Append = Callable[[Fact, str, Sequence[Mapping[str, Any]], datetime], object]
"""Tells the lake rows of a kind, as a file of that name; the same again changes nothing."""


@dataclass(frozen=True)
class Works:
    """Where campaigns are planned, and what is planned is handed on.

    Attributes:
        table: `core`.
        queue: URL of the queue of those who send.
        clock: now.
        tell: tells operators of something, in one line of the log.
    """

    table: Table
    ops: Table
    book: ProgramBook
    objects: Objects
    queues: Queues
    queue: str
    open_lake: OpenLake
    append: Append
    shelf: Shelf
    clock: Callable[[], datetime]
    tell: Callable[[str, Mapping[str, Any]], None]
