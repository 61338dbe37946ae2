"""What sending asks of its neighbours, as the ports in `ports.py` say it: reach, templates, points, links, the lake."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from chalicelib.approvals.service import Cleared, Move
from chalicelib.consents.models import ContactChannel
from chalicelib.deliveries import rules
from chalicelib.deliveries.models import DeliveryId, Gift, Outcome, Row
from chalicelib.deliveries.ports import Append, Renderer, Standing
from chalicelib.kernel.calendar import local_day, milliseconds
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId, TemplateId
from chalicelib.kernel.languages import Language
from chalicelib.lake import store as lake
from chalicelib.lake.models import Fact
from chalicelib.members import store as members_store
from chalicelib.members.models import Profile
from chalicelib.points import service as points
from chalicelib.points.errors import EntryDiffers
from chalicelib.points.models import AdjustPoints
from chalicelib.programs.service import ProgramBook
from chalicelib.reach import links
from chalicelib.reach import service as reach
from chalicelib.reach.models import Barred
from chalicelib.storage.audited import LAUNCHED, Audited, bare
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.templates import rules as templates
from chalicelib.templates import store as templates_store
from chalicelib.templates.models import Template

_ASKED_AS = {each.value: each for each in ContactChannel} | {
    "wecom": ContactChannel.WECHAT,
    "webhook": ContactChannel.APP,
}
"""The channel that members consent to, by the one they are written to by."""

_OUTCOMES = {
    Barred.GONE: Outcome.NOT_A_MEMBER,
    Barred.SUSPENDED: Outcome.NOT_A_MEMBER,
    Barred.NO_CONSENT: Outcome.NO_CONSENT,
    Barred.NO_ADDRESS: Outcome.NO_ADDRESS,
    Barred.SUPPRESSED: Outcome.SUPPRESSED,
}


def consented_as(channel: str) -> ContactChannel:
    """The channel that members consent to when they are written to by this one."""
    return _ASKED_AS[channel]


@dataclass
class _Log:
    """The log of changes since an instant, as far as it was read.

    Attributes:
        asked: by the clock, when it was asked last.
        marks: of all changes of each member. Of all, because a line is stamped when its request began: one that
            began before another may be there after it.
    """

    asked: datetime
    marks: dict[str, str] = field(default_factory=dict)


@dataclass
class MemberReach:
    """Who may be written to, and who has changed; one for each process, which remembers the log as it has read it."""

    table: Table
    keyring: Keyring
    _logs: dict[datetime, _Log] = field(default_factory=dict)

    def changed(self, since: datetime, now: datetime) -> Mapping[str, str]:
        """See `ports.Reach`. What was read is asked again from two minutes before the last time on."""
        log = self._logs.get(since)
        if log is None or now < log.asked:
            if len(self._logs) >= _RUNS_AT_ONCE:
                self._logs.clear()
            log = self._logs[since] = _Log(since)
        begin = max(since, log.asked - members_store.LATE_BY)
        for change in members_store.list_reach_changes(self.table, begin, through=now):
            mark, known = f" {milliseconds(change.at)} {change.why.value};", log.marks.get(change.member_id, "")
            if mark not in known:
                log.marks[change.member_id] = known + mark
        log.asked = now
        return log.marks

    def standing(self, member_ids: Sequence[str], purpose: str, channel: str) -> Mapping[str, Standing]:
        """See `ports.Reach`."""
        found = reach.find_reaches(
            self.table, self.keyring, [MemberId(each) for each in member_ids], purpose, consented_as(channel)
        )
        return {
            member: Standing(
                _OUTCOMES[each.barred] if each.barred is not None else None,
                _contact(each.profile) if each.profile is not None else {},
            )
            for member, each in found.items()
        }

    def suppressed(self, channel: str, address: str) -> bool:
        """See `ports.Reach`."""
        by = consented_as(channel)
        places = members_store.suppressions_of(self.keyring, by, address)
        return bool(members_store.find_suppressed(self.table, places))


_RUNS_AT_ONCE = 4


def _contact(profile: Profile) -> dict[str, object]:
    """Contact data as they are when they are opened."""
    contact = profile.contact
    return {
        "name": contact.name,
        "mobile": contact.mobile,
        "email": contact.email,
        "external_ids": [(each.source, each.id) for each in contact.external_ids],
    }


@dataclass
class TemplateWords:
    """Templates of the table, each version compiled once for the process: a version is never changed."""

    table: Table
    _versions: dict[tuple[str, int], Template] = field(default_factory=dict)
    _known: dict[tuple[str, int, str, str], Renderer] = field(default_factory=dict)

    def renderer(self, template_id: str, version: int, language: str, provider: str) -> Renderer:
        """See `ports.Words`."""
        which = template_id, version, language, provider
        if which not in self._known:
            found = self._version(template_id, version)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[which] = templates.compiled(found, Language(language), provider=provider)
        return self._known[which]

    def language(self, template_id: str, version: int, own: str, program: str) -> str:
        """See `ports.Words`."""
        said: tuple[Language, ...] = ()
        with suppress(LookupError):  # there are no words then in any
            said = self._version(template_id, version).languages
        return templates.language_for(said, Language(own) if own else None, Language(program)).value

    def _version(self, template_id: str, version: int) -> Template:
        which = template_id, version
        if which not in self._versions:
            found = templates_store.find_version(self.table, TemplateId(template_id), version)
            if found is None:
                raise LookupError(f"{template_id} has no version {version}")
            if len(self._versions) >= _REMEMBERED:
                self._versions.clear()
            self._versions[which] = found
        return self._versions[which]


_REMEMBERED = 100


@dataclass(frozen=True)
class SignedLinks:
    """Links of a message.

    Attributes:
        at: where people reach the API, `https://…`; None: there is no key to sign links with, so there are none.
        spoken: the program's language.
    """

    keyring: links.Signs
    at: str | None
    spoken: str

    def opt_out(
        self, member_id: str, purpose: str, channel: str, name: DeliveryId, now: datetime, *, language: str
    ) -> str:
        """See `ports.Links`."""
        if self.at is None:
            return ""
        said = rules.reference(name, channel)
        ends = links.OptOut(MemberId(member_id), purpose, consented_as(channel), now.date(), said)
        token = links.token_of(ends, self.keyring)
        return f"{self.at}{links.PATH}{token}{links.in_language(language, self.spoken)}"

    def preferences(self, member_id: str, channel: str, name: DeliveryId, now: datetime, *, language: str) -> str:
        """See `ports.Links`."""
        if self.at is None:
            return ""
        leads = links.Preferences(MemberId(member_id), now.date(), rules.reference(name, channel))
        token = links.preferences_token_of(leads, self.keyring)
        return f"{self.at}{links.PREFERENCES_PATH}{token}{links.in_language(language, self.spoken)}"


@dataclass(frozen=True, slots=True)
class _Launched:
    """Clears what a campaign or a journey gives: its launch was cleared. Says on the entry that it is that."""

    def clear(self, move: Move) -> Cleared:  # noqa: ARG002 - the port's shape
        """See `Clearance.clear`."""
        return Cleared(facts={LAUNCHED: 1})


@dataclass(frozen=True)
class PointsGiver:
    """Gives points by the ledger, where the key makes it once. Who answers for it stands on the entry itself."""

    table: Table
    book: ProgramBook

    def give(self, key: str, member_id: str, gift: Gift, now: datetime) -> bool:
        """See `ports.Giver`."""
        program = self.book.current(now)
        until = local_day(now, program.time_zone) + timedelta(days=gift.days) if gift.days is not None else None
        command = AdjustPoints(points=gift.points, reason_code="campaign_gift", expires_on=until)
        table = Audited(bare(self.table), gift.by, own=gift.own) if gift.by is not None else self.table
        try:
            points.adjust_points(
                table, self.book, MemberId(member_id), key, command,
                now=now, language=Language(program.language), clearance=_Launched(),
            )  # fmt: skip
        except EntryDiffers:
            return True  # it was given on a day before, and ends on another
        except Refusal:
            return False
        return True


def appending(objects: Objects, fact: Fact, ask: Callable[[], None]) -> Append:
    """What tells the lake rows of a kind.

    Args:
        ask: asks for a patch that has them.
    """

    def append(name: str, rows: Sequence[Row], now: datetime) -> None:
        if lake.append(objects, fact, name, rows, now=now) is not None:
            ask()

    return append
