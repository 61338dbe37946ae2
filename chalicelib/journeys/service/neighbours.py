"""What journeys ask of their neighbours, as the ports say it: members, lake, templates, deliveries, points, tags."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.deliveries import rules as deliveries_rules
from chalicelib.deliveries import store as deliveries_store
from chalicelib.deliveries.models import Gift, Outcome, Single
from chalicelib.deliveries.ports import Office, Reach
from chalicelib.deliveries.service.neighbours import PointsGiver
from chalicelib.deliveries.service.singles import send_one
from chalicelib.identity.models import Caller
from chalicelib.journeys.models import Answers, Instance, Send, Told
from chalicelib.journeys.ports import Clock, Hand, Person, Post, Posted, Tell, Title, Works
from chalicelib.journeys.rules import timing
from chalicelib.journeys.rules.filling import fields_of
from chalicelib.journeys.service.editions import Editions
from chalicelib.journeys.service.stepping import message_step
from chalicelib.kernel.calendar import from_milliseconds, local_day
from chalicelib.kernel.ids import MemberId, SegmentId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.points import store as points_store
from chalicelib.points.rules.balances import derive
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.segments.errors import SegmentDiffers
from chalicelib.segments.models import DEFINITION, CreateSegment
from chalicelib.segments.models import Definition as Condition
from chalicelib.segments.rules import Resolve
from chalicelib.segments.service import managing
from chalicelib.segments.service.asking import Asking
from chalicelib.segments.service.finding import resolver
from chalicelib.segments.service.tagging import retag_member
from chalicelib.storage import keys
from chalicelib.storage.functions import Functions
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.templates import rules as templates_rules
from chalicelib.templates import service as templates
from chalicelib.templates.errors import TemplateUnknown

_STATEMENT_PAGE = 50
_SINGLES_MAX = 1000


@dataclass(frozen=True)
class TablePeople:
    """Members of the table."""

    table: Table
    book: ProgramBook

    def find(self, member_ids: Collection[MemberId], now: datetime) -> Mapping[MemberId, Person]:
        """See `ports.People`."""
        wanted = list(dict.fromkeys(member_ids))
        both = [key for each in wanted for key in (keys.profile(each), keys.account(each))]
        items = self.table.get_many(both, consistent=True)
        return {each: self._person(each, items, now) for each in wanted}

    def _person(self, member_id: MemberId, items: Mapping[keys.Key, Any], now: datetime) -> Person:
        profile, item = items.get(keys.profile(member_id)), items.get(keys.account(member_id))
        if item is None:
            return Person(member_id, "erased" if profile is not None else "unknown")
        account = points_store.account_from(item)
        if account.merged_into is not None:
            last = points_store.find_answering(self.table, account.merged_into, consistent=True)
            return Person(member_id, "merged", into=MemberId(last.member_id) if last is not None else None)
        if profile is None or members_store.is_erased(profile):
            return Person(member_id, "erased")
        today = local_day(now, self.book.current(now).time_zone)
        return Person(
            member_id,
            account.status.value,
            month_day=profile.get("month_day"),
            tier_id=account.tier_id,
            points=derive(account, today, now).available,
            tags=frozenset(profile.get("tags", ())),
        )

    def bought_before(self, told: Told) -> bool:
        """See `ports.People`. The statement is an index, which may be a moment late: then a second purchase of the same
        instant may be taken for the first one, too."""
        this, after = keys.purchase_of(str(told.facts.get("purchase_id", ""))), None
        while True:
            rows = self.table.query_timeline(
                keys.statement(told.member_id), after=after, limit=_STATEMENT_PAGE, newest_first=False
            )
            for row in rows.items:
                if keys.parted(row["pk"])[0] == "O" and row["sk"] == "O":
                    return this is None or row["pk"] != this.pk
            after = rows.last
            if after is None:
                return False


@dataclass(frozen=True)
class LakeJudge:
    """Asks the function that has the lake."""

    functions: Functions

    def fitting(
        self, definition: Condition, member_ids: Collection[MemberId], pinned: str | None
    ) -> frozenset[MemberId]:
        """See `ports.Judge`."""
        wanted = sorted(set(member_ids))
        if not wanted:
            return frozenset()
        document = DEFINITION.dump_python(definition, mode="json", exclude_none=True)
        answer = Asking(self.functions).ask("fitting", definition=document, member_ids=wanted, pinned=pinned)
        return frozenset(MemberId(each) for each in answer["member_ids"])

    def page(
        self, segment_id: SegmentId, after: str | None, limit: int, pinned: str | None
    ) -> tuple[Sequence[MemberId], str | None]:
        """See `ports.Judge`."""
        answer = Asking(self.functions).ask("entering", segment_id=segment_id, after=after, limit=limit, pinned=pinned)
        return [MemberId(each) for each in answer["member_ids"]], answer["last"]


@dataclass(frozen=True)
class TableShelf:
    """Templates and segments of the tables."""

    table: Table
    ops: Table
    objects: Objects
    functions: Functions
    book: ProgramBook
    now: datetime

    def template(self, template_id: TemplateId, version: int | None = None) -> Title | None:
        """See `ports.Shelf`."""
        try:
            found = templates.find_template(self.table, template_id, version)
        except TemplateUnknown:
            return None
        compiled = templates_rules.require_sound(found.contents, found.purpose)
        return Title(
            template_id=found.template_id,
            name=found.name,
            version=found.version,
            channel=found.channel.value,
            purpose=found.purpose,
            fields=frozenset(name for each in compiled.values() for name in each.needed),
            archived=found.archived,
        )

    def resolve(self) -> Resolve:
        """See `ports.Shelf`."""
        return resolver(self.table)

    def live(self, key: str, name: str, definition: Condition, *, caller: Caller, now: datetime) -> SegmentId:
        """See `ports.Shelf`."""
        command = CreateSegment(name=name, definition=definition)
        asking = Asking(self.functions)
        # What was made before, and renamed or changed since, is what lets members in.
        with suppress(SegmentDiffers):
            managing.create_segment(
                self.table, self.ops, self.objects, self.book, asking, caller, command, key=key, now=now
            )
        return SegmentId.of(key)


@dataclass(frozen=True)
class Foresight:
    """Says what would become of messages, and sends none."""

    ops: Table
    reach: Reach
    book: ProgramBook

    def send(  # a port's shape
        self,
        instance: Instance,  # noqa: ARG002
        step: Send,  # noqa: ARG002
        pinned: tuple[str, int, str],  # noqa: ARG002
        send_until: datetime,  # noqa: ARG002
        now: datetime,
    ) -> Posted:
        """See `ports.Post`: this function sends nothing, so the way waits for one that does."""
        return Posted("", now + timedelta(minutes=1), "no sender")

    def was_asked(self, instance: Instance, step: Send, pinned: tuple[str, int, str]) -> bool:
        """See `ports.Post`."""
        single = single_of(instance, step, pinned)
        known = deliveries_store.find_single(self.ops, single.member_id, deliveries_rules.single_id(single))
        return known is not None and (Outcome(known["out"]) in _WENT or known.get("lease", 0) > 0)

    def would(self, member_id: MemberId, step: Send, pinned: tuple[str, int, str], at: datetime) -> Posted:
        """See `ports.Post`."""
        found = self.reach.standing([member_id], step.purpose, pinned[2]).get(member_id)
        if found is None:
            return Posted(Outcome.NOT_A_MEMBER.reason)
        if found.why_not is not None:
            return Posted(found.why_not.reason)
        if self.is_capped(member_id, step, at):
            return Posted("capped")
        zone = self.book.current(at).time_zone
        return Posted("sent", deliveries_rules.quiet_until(at, timing.quiet_of(step.quiet_hours), zone))

    def is_capped(self, member_id: MemberId, step: Send, now: datetime) -> bool:
        """Whether the member got as many single messages of late as they may. Two that are sent at the very same moment
        may both count the others only."""
        cap = step.frequency_cap
        if cap is None:
            return False
        since = now - timedelta(days=cap.days)
        singles = deliveries_store.list_singles(self.ops, member_id, limit=_SINGLES_MAX)
        of_late = (
            each
            for each in singles
            if Outcome(each["out"]) in _WENT
            and each["source"] == "journey"
            and from_milliseconds(each["decided"]) > since
        )
        return sum(1 for _ in of_late) >= cap.sends


def single_of(instance: Instance, step: Send, pinned: tuple[str, int, str]) -> Single:
    """The message of a step, as far as that names it."""
    template_id, version, channel = pinned
    return Single(
        source="journey",
        source_id=instance.ref.journey_id,
        step=message_step(instance, step),
        member_id=instance.ref.member_id,
        channel=channel,
        purpose=step.purpose,
        template_id=template_id,
        template_version=version,
        send_until=instance.since,
    )


@dataclass(frozen=True)
class DeliveryPost(Foresight):
    """Messages by way of deliveries, which claims each before it asks a provider.

    Attributes:
        ahead: of the office's clock, the one that journeys are walked by.
    """

    office: Office
    keyring: Keyring
    editions: Editions
    ahead: timedelta = timedelta(0)

    def send(
        self, instance: Instance, step: Send, pinned: tuple[str, int, str], send_until: datetime, now: datetime
    ) -> Posted:
        """See `ports.Post`."""
        single = self._single(instance, step, pinned, send_until, now)
        name = deliveries_rules.single_id(single)
        known = deliveries_store.find_single(self.ops, single.member_id, name)
        if known is None and self.is_capped(instance.ref.member_id, step, now):
            return Posted("capped")
        office = replace(self.office, clock=lambda: max(now - self.ahead, self.office.clock()))
        sent = send_one(office, single, ahead=self.ahead)
        if sent.wait_until is not None:
            return Posted("", sent.wait_until + self.ahead, sent.waits_for)
        return Posted("sent" if sent.outcome is Outcome.SENT else sent.outcome.reason)

    def _single(
        self, instance: Instance, step: Send, pinned: tuple[str, int, str], send_until: datetime, now: datetime
    ) -> Single:
        program = self.book.current(now)
        member = members.find_member(
            self.office.table, self.keyring, self.book, instance.ref.member_id, now=now, language=program.language
        )
        template_id, version, _ = pinned
        spoken = self.office.words.language(template_id, version, member.language or "", program.language)
        language = Language(spoken)
        own = templates_rules.values_of(member, program, language, today=today_of(program, now))
        own.pop("name", None)  # whoever sends opens it
        definition = self.editions.of(instance).definition
        return replace(
            single_of(instance, step, pinned),
            send_until=send_until,
            variant=f"v{instance.edition}",
            language=language.value,
            fields=own | fields_of(definition, instance, program, language),
            quiet=timing.quiet_of(step.quiet_hours),
            zone=program.time_zone,
        )


_WENT = (Outcome.SENT, Outcome.UNKNOWN, Outcome.ASKED)
"""Outcomes after which a message is, or may be, with its member."""


@dataclass(frozen=True)
class LedgerGiver:
    """Points by the ledger, where the key makes it once. It is the ledger's clock by which they are given.

    Attributes:
        ahead: of it, the clock that journeys are walked by.
    """

    giver: PointsGiver
    ahead: timedelta = timedelta(0)

    def give(
        self, key: str, member_id: str, points: int, days: int | None, now: datetime, answers: Answers | None
    ) -> bool:
        """See `ports.Giver`."""
        by, own = (answers.by, answers.own) if answers is not None else (None, None)
        return self.giver.give(key, member_id, Gift(points, days, by, own), now - self.ahead)


@dataclass(frozen=True)
class ProfileTagger:
    """Tags of profiles, which are changed by their own clock; see `LedgerGiver`."""

    table: Table
    keyring: Keyring
    book: ProgramBook
    ahead: timedelta = timedelta(0)

    def retag(self, member_id: MemberId, tag: str, *, given: bool, now: datetime) -> bool:
        """See `ports.Tagger`."""
        at = now - self.ahead
        return retag_member(self.table, self.keyring, self.book, member_id, tag, given=given, now=at)


def works_of(
    table: Table, ops: Table, keyring: Keyring, functions: Functions, post: Post, hand: Hand, clock: Clock, tell: Tell,
    *, ahead: timedelta = timedelta(0),
) -> Works:  # fmt: skip
    """Where journeys are walked, with the neighbours that there are.

    Args:
        ahead: how far the clock is ahead of everybody else's: see `LedgerGiver`.
    """
    book = book_of(table)
    return Works(
        table=table,
        ops=ops,
        book=book,
        people=TablePeople(table, book),
        judge=LakeJudge(functions),
        post=post,
        giver=LedgerGiver(PointsGiver(table, book), ahead),
        tagger=ProfileTagger(table, keyring, book, ahead),
        hand=hand,
        clock=clock,
        tell=tell,
    )
