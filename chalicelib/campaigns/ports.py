"""What campaigns need of their neighbours, as narrow as it is needed."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from chalicelib.kernel.ids import MemberId, SegmentId, TemplateId


@dataclass(frozen=True, slots=True)
class Title:
    """What is to be known of a template to plan with it, as it is just now.

    Attributes:
        fields: what it has filled in.
    """

    template_id: TemplateId
    version: int
    channel: str
    purpose: str
    fields: frozenset[str]
    archived: bool = False


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

    def template(self, template_id: TemplateId) -> Title | None:
        """A template, or None."""

    def segment_fault(self, segment_id: SegmentId) -> str | None:
        """Why a segment cannot be asked for, in words; None when it can."""

    def asked(self, segment_id: SegmentId, *, today: date, now: datetime) -> Asked:
        """A segment as the lake is asked for it on a day."""


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
        built_at: what had been written to its log by then is in it.
        through: its newest record; None where it has none.
    """

    questions: Questions
    built_at: datetime
    through: datetime | None = None


OpenLake = Callable[[date, datetime], AbstractContextManager[Lake]]
"""Opens the lake as of a day and an instant."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What became of a test."""

    outcome: str
    reason: str = ""


class Tester(Protocol):
    """Sends tests."""

    def send(self, campaign_id: str, name: str, member_id: MemberId, template: Title, now: datetime) -> Tested:
        """Send a message once for a name."""
