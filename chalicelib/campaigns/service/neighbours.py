"""What campaigns ask of their neighbours, as the ports in `ports.py` say it: segments, templates, the lake, senders."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.campaigns.ports import Append, Asked, Lake, OpenLake, Tested, Title
from chalicelib.deliveries.models import Outcome, Sent, Single
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import MemberId, SegmentId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.lake import duck
from chalicelib.lake import store as lake
from chalicelib.lake.models import Fact
from chalicelib.programs.service import ProgramBook
from chalicelib.segments.errors import SegmentUnknown
from chalicelib.segments.service.finding import compiled_of
from chalicelib.storage.objects import Objects
from chalicelib.storage.places import Place
from chalicelib.storage.table import Table
from chalicelib.templates import rules as templates_rules
from chalicelib.templates import service as templates
from chalicelib.templates.errors import TemplateUnknown

TEST_HOURS = 1
"""A test that could not be sent within an hour is not sent any more: whoever waited for it has gone."""


@dataclass(frozen=True)
class TableShelf:
    """Segments and templates of the table.

    Attributes:
        ops: where the lake's head is; None for who only looks whether segments are there.
    """

    table: Table
    book: ProgramBook
    clock: Callable[[], datetime]
    ops: Table | None = None

    def template(self, template_id: TemplateId, version: int | None = None) -> Title | None:
        """See `ports.Shelf`."""
        try:
            found = templates.find_template(self.table, template_id, version)
        except TemplateUnknown:
            return None
        fields: frozenset[str] = frozenset()
        for language in Language:
            fields |= templates_rules.compiled(found, language).needed
        return Title(template_id, found.version, found.channel.value, found.purpose, fields, found.archived)

    def segment_fault(self, segment_id: SegmentId) -> str | None:
        """See `ports.Shelf`."""
        now = self.clock()
        try:
            compiled_of(self.table, segment_id, today=local_day(now, self.book.current(now).time_zone), now=now)
        except SegmentUnknown:
            return "there is no such segment"
        return None

    def asked(self, segment_id: SegmentId, archive: str, *, today: date, now: datetime) -> Asked:
        """See `ports.Shelf`."""
        head = lake.find_head(self.ops) if self.ops is not None else None
        scored = self.ops is None or (head is not None and head.scored)
        compiled = compiled_of(self.table, segment_id, today=today, now=now, scored=scored)
        return Asked(compiled.sql, tuple(compiled.values(archive)))


def lake_of(ops: Table, place: Place) -> OpenLake:
    """What opens the lake as its head says."""

    @contextmanager
    def opened(today: date, now: datetime) -> Iterator[Lake]:
        head = lake.find_head(ops)
        with duck.opened(place, head, today=today, now=now) as connection:
            yield Lake(connection, place.root, head.built_at if head is not None else now)

    return opened


def appending(objects: Objects) -> Append:
    """What tells the lake rows."""

    def append(kind: Fact, name: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> object:
        return lake.append(objects, kind, name, rows, now=now)

    return append


@dataclass(frozen=True)
class SingleTester:
    """Sends tests as single messages."""

    send_one: Callable[[Single], Sent]

    def send(self, campaign_id: str, name: str, member_id: MemberId, template: Title, now: datetime) -> Tested:
        """See `ports.Tester`."""
        sent = self.send_one(
            Single(
                source="test",
                source_id=campaign_id,
                step=name,
                member_id=member_id,
                channel=template.channel,
                purpose=template.purpose,
                template_id=template.template_id,
                template_version=template.version,
                send_until=now + timedelta(hours=TEST_HOURS),
            )
        )
        if sent.outcome is Outcome.SENT:
            return Tested("sent")
        return Tested(sent.outcome.kind, sent.waits_for or sent.outcome.reason)
