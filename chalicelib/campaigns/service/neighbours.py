"""What campaigns ask of their neighbours, as the ports in `ports.py` say it: segments, templates, the lake, senders."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.campaigns import store
from chalicelib.campaigns.ports import Append, Asked, Lake, OpenLake, Tested, Title
from chalicelib.campaigns.rules.filling import filler
from chalicelib.deliveries.errors import DeliveryClaimed
from chalicelib.deliveries.models import Outcome, Sent, Single
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import CampaignId, MemberId, SegmentId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.lake import duck
from chalicelib.lake import store as lake
from chalicelib.lake.models import Fact
from chalicelib.members import service as members
from chalicelib.points.errors import MemberErased, MemberUnknown
from chalicelib.programs.service import ProgramBook
from chalicelib.segments.models import SegmentState
from chalicelib.segments.rules import PINNED_MAX, pinned
from chalicelib.segments.service.finding import compiled_of, resolver
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.places import Place
from chalicelib.storage.table import Table
from chalicelib.templates import rules as templates_rules
from chalicelib.templates import service as templates
from chalicelib.templates.errors import TemplateUnknown
from chalicelib.templates.fields import samples

CLAIMED_TRIES, CLAIMED_SECONDS = 30, 0.25
"""A test that another call is sending just now is waited for so often and so long: its answer is ours."""
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
        for language in found.languages:
            fields |= templates_rules.compiled(found, language).needed
        return Title(
            template_id, found.version, found.channel.value, found.purpose, fields, found.archived, found.languages
        )

    def segment_fault(self, segment_id: SegmentId) -> str | None:
        """See `ports.Shelf`."""
        found = resolver(self.table)(segment_id)
        if found is None:
            return "there is no such segment"
        if found.state is SegmentState.ARCHIVED:
            return "the segment is archived"
        if len(self.pinned(segment_id)) > PINNED_MAX:
            return "the segment is too large to be kept, with those that it refers to, as it is at the launch"
        return None

    def pinned(self, segment_id: SegmentId) -> str:
        """See `ports.Shelf`."""
        return pinned([segment_id], resolver(self.table))

    def asked(self, segment_id: SegmentId, archive: str, *, today: date, now: datetime, pinned: str | None) -> Asked:
        """See `ports.Shelf`."""
        head = lake.find_head(self.ops) if self.ops is not None else None
        scored = self.ops is None or (head is not None and head.scored)
        compiled = compiled_of(self.table, segment_id, today=today, now=now, pinned=pinned, scored=scored)
        return Asked(compiled.sql, tuple(compiled.values(archive)))


def lake_of(ops: Table, place: Place) -> OpenLake:
    """What opens the lake as its head says."""

    @contextmanager
    def opened(today: date, now: datetime) -> Iterator[Lake]:
        head = lake.find_head(ops)
        with duck.opened(place, head, today=today, now=now) as connection:
            yield Lake(connection, place.root, head.built_at if head is not None else now)

    return opened


def appending(objects: Objects, ask: Callable[[], None]) -> Append:
    """What tells the lake rows.

    Args:
        ask: asks for a patch that has them.
    """

    def append(kind: Fact, name: str, rows: Sequence[Mapping[str, Any]], now: datetime) -> None:
        if lake.append(objects, kind, name, rows, now=now) is not None:
            ask()

    return append


@dataclass(frozen=True, slots=True)
class Filled:
    """What a message says of a member, and in which language."""

    language: Language
    fields: Mapping[str, str]


@dataclass(frozen=True)
class SingleTester:
    """Sends tests as single messages.

    Attributes:
        fill: what a message of a campaign says of a member by a template.
    """

    send_one: Callable[[Single], Sent]
    fill: Callable[[str, MemberId, Title], Filled]
    pause: Callable[[float], None] = time.sleep

    def send(self, campaign_id: str, name: str, member_id: MemberId, template: Title, now: datetime) -> Tested:
        """See `ports.Tester`."""
        filled = self.fill(campaign_id, member_id, template)
        sent = self._sent(
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
                language=filled.language.value,
                fields=filled.fields,
            )
        )
        if sent.outcome is Outcome.SENT:
            return Tested("sent")
        missing = tuple(sent.code.split()) if sent.outcome is Outcome.FIELD_MISSING else ()
        return Tested(sent.outcome.kind, sent.waits_for or sent.outcome.reason, missing)

    def _sent(self, single: Single) -> Sent:
        """What became of a test; the same one that is being sent just now is waited for.

        Raises:
            DeliveryClaimed: it takes long.
        """
        for _ in range(CLAIMED_TRIES):
            try:
                return self.send_one(single)
            except DeliveryClaimed:
                self.pause(CLAIMED_SECONDS)
        return self.send_one(single)


@dataclass(frozen=True)
class TestFields:
    """What a test says of a member: what the campaign's message would, of them as they are now. What only the lake
    knows (what was bought) is that of somebody made up, as in a preview.
    """

    __test__ = False

    table: Table
    keyring: Keyring
    book: ProgramBook
    clock: Callable[[], datetime]

    def __call__(self, campaign_id: str, member_id: MemberId, template: Title) -> Filled:
        """The fields, but for the name and for links, which whoever sends fills in."""
        now = self.clock()
        program = self.book.current(now)
        own, day = program.language, local_day(now, program.time_zone)
        try:
            member = members.find_member(self.table, self.keyring, self.book, member_id, now=now, language=own)
        except (MemberUnknown, MemberErased):
            return Filled(own, {})  # to whom nothing is sent
        language = templates_rules.language_for(template.languages, member.language, program.language)
        campaign = store.find_campaign(self.table, CampaignId(campaign_id))
        gift = campaign.definition.gift if campaign is not None else None
        fields = {name: value for name, value in samples(language).items() if name in _OF_THE_LAKE}
        fields |= filler(("program", "today", "gift_points", "gift_expires_on"), program, gift, day, language).same
        fields |= templates_rules.values_of(member, program, language, today=day)
        fields.pop("name", None)
        return Filled(language, fields)


_OF_THE_LAKE = frozenset({"last_bought_on", "purchases_count"})
