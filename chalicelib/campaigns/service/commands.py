"""What staff command: make, copy, edit, launch, pause, resume, cancel, test; and what they look at."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.approvals.service import FREE, Clearance, Cleared, launch_of
from chalicelib.campaigns import store
from chalicelib.campaigns.errors import (
    AskedKnown,
    CampaignDiffers,
    CampaignMoved,
    CampaignNotDraft,
    CampaignUnfit,
    CampaignUnknown,
    GiftForbidden,
    TestsSilent,
    TestVariantUnknown,
)
from chalicelib.campaigns.models import (
    Campaign,
    CampaignDetail,
    CampaignState,
    CampaignView,
    CopyCampaign,
    Definition,
    EditCampaign,
    LaunchCampaign,
    MakeCampaign,
    Pinned,
    SendTest,
    TestSends,
    TestSent,
)
from chalicelib.campaigns.ports import Shelf, Tested, Tester, Title
from chalicelib.campaigns.rules import life, timing
from chalicelib.campaigns.rules.filling import fillable
from chalicelib.campaigns.service.sending import run_view
from chalicelib.campaigns.service.using import moved
from chalicelib.deliveries import store as deliveries
from chalicelib.deliveries.models import RunStatus
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.calendar import from_milliseconds, local_day, milliseconds
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.errors import Trouble, WriteContended
from chalicelib.kernel.ids import CampaignId, MemberId, TemplateId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.functions import FunctionFailed, Functions
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Write

ATTEMPTS_MAX = 8
LATEST_RUNS = 10
TESTS = "campaigns-test"


# ---------------------------------------------------------------- drafts


def make_campaign(
    table: Table,
    shelf: Shelf,
    book: ProgramBook,
    key: str,
    command: MakeCampaign,
    *,
    by: str,
    draw: Callable[[], int],
    now: datetime,
) -> Outcome[CampaignView]:
    """Make a draft. The key names it: the same command again answers it as it is by now.

    Raises:
        CampaignDiffers: this key was used before to make another.
        CampaignUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
    """
    content = digest({"by": by, "command": command.model_dump_json(exclude_defaults=True)})
    campaign_id = CampaignId.of(key)
    known = store.find_campaign(table, campaign_id)
    if known is not None:
        return _made_before(known, content, key, book, now)

    definition = Definition(**{name: getattr(command, name) for name in Definition.model_fields})
    pinned_templates(shelf, definition, book.current(now), now)
    return _add(table, book, campaign_id, definition, content, key, by=by, draw=draw, now=now)


def copy_campaign(
    table: Table,
    book: ProgramBook,
    campaign_id: CampaignId,
    key: str,
    command: CopyCampaign,
    *,
    by: str,
    draw: Callable[[], int],
    now: datetime,
) -> Outcome[CampaignView]:
    """Make a draft that does what another campaign does; whether that still fits is asked when it is launched.

    Raises:
        CampaignUnknown: there is no such campaign.
        CampaignDiffers: this key was used before to make another.
    """
    content = digest({"by": by, "copy_of": campaign_id, "name": command.name})
    known = store.find_campaign(table, CampaignId.of(key))
    if known is not None:
        return _made_before(known, content, key, book, now)

    definition = _load(table, campaign_id).definition.model_copy(update={"name": command.name})
    return _add(table, book, CampaignId.of(key), definition, content, key, by=by, draw=draw, now=now)


def _add(
    table: Table,
    book: ProgramBook,
    campaign_id: CampaignId,
    definition: Definition,
    content: bytes,
    key: str,
    *,
    by: str,
    draw: Callable[[], int],
    now: datetime,
) -> Outcome[CampaignView]:
    made = Campaign(
        campaign_id=campaign_id,
        definition=definition,
        salt=f"{draw():016x}{draw():016x}",
        made_at=from_milliseconds(milliseconds(now)),
        made_by=by,
        content=content,
    )
    try:
        table.commit([store.add_campaign(made)])
    except CampaignMoved:
        known = _load(table, campaign_id)
        if known.salt != made.salt:
            return _made_before(known, content, key, book, now)
    return Outcome(_view(made, book, now))


def _made_before(known: Campaign, content: bytes, key: str, book: ProgramBook, now: datetime) -> Outcome[CampaignView]:
    if known.content != content:
        raise CampaignDiffers(key=key)
    return Outcome(_view(known, book, now), replayed=True)


def edit_campaign(
    table: Table, shelf: Shelf, book: ProgramBook, campaign_id: CampaignId, command: EditCampaign, *, now: datetime
) -> CampaignView:
    """Replace what a draft does.

    Raises:
        CampaignUnknown: there is no such campaign.
        CampaignNotDraft, CampaignChanged: it was launched, or changed since it was read.
        CampaignUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
        WriteContended: others change it at the same time.
    """
    for _ in range(ATTEMPTS_MAX):
        before = _load(table, campaign_id)
        after = life.edited(before, command)
        pinned_templates(shelf, after.definition, book.current(now), now)

        try:
            table.commit([store.replace_campaign(before, after)])
        except CampaignMoved:
            continue
        return _view(after.model_copy(update={"version": before.version + 1}), book, now)
    raise WriteContended


# ---------------------------------------------------------------- at work


def launch_campaign(
    table: Table,
    shelf: Shelf,
    book: ProgramBook,
    campaign_id: CampaignId,
    command: LaunchCampaign,
    caller: Caller,
    *,
    now: datetime,
    clearance: Clearance = FREE,
) -> Outcome[CampaignView]:
    """Let a draft go. The version that was looked at is its key: the same launch again changes nothing.

    Args:
        clearance: whether so many points for each member may be given by who sends it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: so many may not.
        CampaignUnknown: there is no such campaign.
        CampaignNotDraft, CampaignChanged: it was launched as another version, or changed since it was read.
        CampaignUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
        GiftForbidden: it gives points, and the caller may not.
        ScheduleOver: its time has passed.
        WriteContended: others change it at the same time.
    """
    stamp = from_milliseconds(milliseconds(now))
    for _ in range(ATTEMPTS_MAX):
        before = _load(table, campaign_id)
        if before.state is not CampaignState.DRAFT and before.launched_version == command.version:
            return Outcome(_view(before, book, now), replayed=True)
        if before.state is not CampaignState.DRAFT:
            raise CampaignNotDraft(state=before.state.value)
        if before.definition.gift is not None and Permission.CAMPAIGNS_GIFT not in caller.grants:
            raise GiftForbidden(permission=Permission.CAMPAIGNS_GIFT.value)
        program = book.current(now)
        pinned = pinned_templates(shelf, before.definition, program, now)
        after = life.launched(
            before,
            command.version,
            pinned,
            shelf.pinned(before.definition.segment_id),
            by=caller.subject,
            own=caller.membership,
            time_zone=program.time_zone,
            now=stamp,
        )

        gift = before.definition.gift
        cleared = clearance.clear(launch_of(gift.points, CampaignMoved())) if gift is not None else Cleared()
        shown = _view(after.model_copy(update={"version": before.version + 1}), book, now)
        if command.dry_run:
            return Outcome(shown, stored=False)
        try:
            table.commit([*moved(before, after), *cleared.writes])
        except CampaignMoved:
            continue
        return Outcome(shown)
    raise WriteContended


def pause_campaign(table: Table, book: ProgramBook, campaign_id: CampaignId, *, now: datetime) -> Outcome[CampaignView]:
    """Stop a campaign where it is: what a provider is being asked just now still goes out, and nothing after it.

    Raises:
        CampaignUnknown, CampaignNotLaunched, CampaignOver: there is none of that id that could be paused.
        WriteContended: others change it at the same time.
    """
    return _turned(table, book, campaign_id, CampaignState.PAUSED, RunStatus.SENDING, RunStatus.PAUSED, now)


def resume_campaign(
    table: Table, book: ProgramBook, campaign_id: CampaignId, *, now: datetime
) -> Outcome[CampaignView]:
    """Let a paused campaign go on; what it had not sent is handed on again within a minute.

    Raises:
        CampaignUnknown, CampaignNotLaunched, CampaignOver: there is none of that id that could be resumed.
        WriteContended: others change it at the same time.
    """
    return _turned(table, book, campaign_id, None, RunStatus.PAUSED, RunStatus.SENDING, now)


def cancel_campaign(
    table: Table, book: ProgramBook, campaign_id: CampaignId, *, now: datetime
) -> Outcome[CampaignView]:
    """End a campaign for good: what a provider is being asked just now still goes out, and nothing after it.

    Raises:
        CampaignUnknown, CampaignNotLaunched, CampaignOver: there is none of that id that could be cancelled.
        WriteContended: others change it at the same time.
    """
    return _turned(table, book, campaign_id, CampaignState.CANCELLED, None, RunStatus.CANCELLED, now)


def _turned(
    table: Table,
    book: ProgramBook,
    campaign_id: CampaignId,
    state: CampaignState | None,
    of: RunStatus | None,
    to: RunStatus,
    now: datetime,
) -> Outcome[CampaignView]:
    """A campaign in another state, and its open runs with it, in one transaction.

    Args:
        state: None for the one that follows from its runs, after a pause.
        of: runs in this state are turned; None: all that are open.
    """
    for _ in range(ATTEMPTS_MAX):
        before = _load(table, campaign_id)
        paused = before.state is CampaignState.PAUSED
        if before.state is state or (state is None and before.state in life.RUNNING):
            return Outcome(_view(before, book, now), replayed=True)
        life.require_launched(before)
        assert state is not None or paused
        after = _after(before, state, now)

        writes = [*moved(before, after), *_runs_turned(table, before, of, to, now)]
        try:
            table.commit(writes)
        except (CampaignMoved, deliveries.RunMoved):
            continue
        return Outcome(_view(after.model_copy(update={"version": before.version + 1}), book, now))
    raise WriteContended


def _after(before: Campaign, state: CampaignState | None, now: datetime) -> Campaign:
    if state is CampaignState.CANCELLED:
        return life.ended(before, state, from_milliseconds(milliseconds(now)))
    return life.at_work(before) if state is None else before.model_copy(update={"state": state})


def _runs_turned(table: Table, campaign: Campaign, of: RunStatus | None, to: RunStatus, now: datetime) -> list[Write]:
    writes: list[Write] = []
    for item in store.find_runs(table, campaign.open_runs):
        run, kept = deliveries.run_from(item), store.kept_from(item)
        if of is not None and run.status is not of:
            continue
        if to is RunStatus.SENDING:
            kept = kept.model_copy(update={"resumed": kept.resumed + 1})
        if to is RunStatus.CANCELLED:
            kept = kept.model_copy(update={"ended_at": from_milliseconds(milliseconds(now))})
        facts = store.run_facts(campaign.campaign_id, kept)
        writes.append(deliveries.replace_run(replace(run, more=facts), to))
    return writes


# ---------------------------------------------------------------- tests


def ask_tests(
    table: Table,
    shelf: Shelf,
    book: ProgramBook,
    functions: Functions,
    campaign_id: CampaignId,
    key: str,
    command: SendTest,
    *,
    count: Callable[[], None],
    now: datetime,
) -> TestSends:
    """Have a campaign's message, as it is now, sent to some members, by the function that has the providers.

    Args:
        count: counts the tests; refuses where there are too many.

    Raises:
        CampaignUnknown, TestVariantUnknown: there is no such campaign, or variant.
        CampaignUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
        CampaignDiffers: this key was used before to test something else.
        TestsSilent: nobody answered; the same command again sends nothing twice.
    """
    _tests_of(table, shelf, book, campaign_id, command, now)
    count()
    content = digest({"command": command.model_dump_json(exclude_defaults=True)})
    try:
        table.commit([store.keep_asked(campaign_id, key, content)], keyed=True)
    except AskedKnown:
        if store.find_asked(table, campaign_id, key) != content:
            raise CampaignDiffers(key=key) from None
    question = {"campaign_id": campaign_id, "key": key, "command": command.model_dump(mode="json")}
    try:
        answer = functions.ask(TESTS, question)
    except (FunctionFailed, Trouble):
        raise TestsSilent from None
    return TestSends.model_validate_json(json.dumps(answer))


def send_tests(
    table: Table,
    shelf: Shelf,
    book: ProgramBook,
    tester: Tester,
    campaign_id: CampaignId,
    key: str,
    command: SendTest,
    *,
    now: datetime,
) -> TestSends:
    """Send a campaign's message, as it is now, to some members: to each by the first channel that reaches them.

    The same command again sends nothing more.

    Raises:
        CampaignUnknown, TestVariantUnknown: there is no such campaign, or variant.
        CampaignUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
    """
    titles = _tests_of(table, shelf, book, campaign_id, command, now)
    return TestSends(items=tuple(_tested(tester, campaign_id, key, each, titles, now) for each in command.member_ids))


def _tests_of(
    table: Table, shelf: Shelf, book: ProgramBook, campaign_id: CampaignId, command: SendTest, now: datetime
) -> list[Title]:
    """The templates of the variant that is tested."""
    definition = _load(table, campaign_id).definition
    variants = {each.name: each for each in definition.variants}
    variant = variants.get(command.variant or definition.variants[0].name)
    if variant is None:
        raise TestVariantUnknown(variant=command.variant or "")
    pinned_templates(shelf, definition, book.current(now), now)
    return [title for each in variant.template_ids if (title := shelf.template(each)) is not None]


def _tested(
    tester: Tester, campaign_id: CampaignId, key: str, member_id: MemberId, titles: Sequence[Title], now: datetime
) -> TestSent:
    found = None
    for title in titles:
        found = tester.send(campaign_id, f"test {key}", member_id, title, now)
        if found.reason != "no_address":
            return _test_sent(member_id, title.channel, found)
    assert found is not None
    return _test_sent(member_id, None, found)


def _test_sent(member_id: MemberId, channel: str | None, found: Tested) -> TestSent:
    return TestSent(
        member_id=member_id, channel=channel, outcome=found.outcome, reason=found.reason or None, missing=found.missing
    )


# ---------------------------------------------------------------- looking


def find_campaign(
    table: Table, ops: Table, book: ProgramBook, campaign_id: CampaignId, *, now: datetime
) -> CampaignDetail:
    """A campaign with its latest runs and how far they are.

    Raises:
        CampaignUnknown: there is no such campaign.
    """
    campaign = _load(table, campaign_id)
    program = book.current(now)
    items = store.list_runs(table, campaign_id, limit=LATEST_RUNS)
    runs = tuple(run_view(ops, item, program.currency) for item in items)
    return CampaignDetail(**dict(_view(campaign, book, now)), latest_runs=runs)


def list_campaigns(
    table: Table, book: ProgramBook, *, after: str | None, limit: int, now: datetime
) -> Slice[CampaignView]:
    """A page of campaigns, newest first."""
    found, last = store.list_campaigns(table, after=after, limit=limit)
    return Slice(tuple(_view(each, book, now) for each in found), last)


def _load(table: Table, campaign_id: CampaignId) -> Campaign:
    campaign = store.find_campaign(table, campaign_id)
    if campaign is None:
        raise CampaignUnknown(campaign_id=campaign_id)
    return campaign


def pinned_templates(
    shelf: Shelf, definition: Definition, program: Program, now: datetime
) -> Mapping[str, tuple[Pinned, ...]]:
    """The templates of each variant as they are just now.

    Raises:
        CampaignUnfit: something does not fit.
    """
    wanted = dict.fromkeys(each for variant in definition.variants for each in variant.template_ids)
    titles: dict[TemplateId, Title | None] = {each: shelf.template(each) for each in wanted}
    faults = life.faults_of(
        definition,
        titles.get,
        shelf.segment_fault(definition.segment_id),
        fillable(definition.gift, program, local_day(now, program.time_zone)),
    )
    if faults:
        raise CampaignUnfit(faults=faults)
    return {
        variant.name: tuple(
            Pinned(template_id=title.template_id, version=title.version, channel=title.channel)
            for each in variant.template_ids
            if (title := titles[each]) is not None
        )
        for variant in definition.variants
    }


def _view(campaign: Campaign, book: ProgramBook, now: datetime) -> CampaignView:
    runs = campaign.state in life.RUNNING and campaign.launched_at is not None
    next_run = None
    time_zone = book.current(now).time_zone
    if runs and campaign.beginning is None and life.runs_again(campaign, time_zone, now):
        assert campaign.launched_at is not None
        next_run = timing.next_run(campaign.definition, campaign.launched_at, campaign.through, time_zone)
    return CampaignView(
        campaign_id=campaign.campaign_id,
        state=campaign.state,
        definition=campaign.definition,
        made_at=campaign.made_at,
        made_by=campaign.made_by,
        launched_at=campaign.launched_at,
        launched_by=campaign.launched_by,
        next_run_at=next_run,
        ended_at=campaign.ended_at,
        ended_for=campaign.ended_for,
        runs_count=campaign.runs_count,
        version=campaign.version,
    )
