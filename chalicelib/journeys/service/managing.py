"""What staff command: make, edit, activate, pause, close, end, put away, let members in by hand."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.approvals.service import FREE, Clearance, Cleared, launch_of
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.journeys import store
from chalicelib.journeys.errors import (
    AskedKnown,
    HeadMoved,
    JourneyDiffers,
    JourneyGiftForbidden,
    JourneyGiftRaised,
    JourneyMoved,
    JourneyNotByHand,
    JourneyNoticeForbidden,
    JourneyOver,
    JourneyStands,
    JourneysTooMany,
    JourneyUnfit,
    JourneyUnknown,
)
from chalicelib.journeys.models import (
    Answers,
    BirthdayComes,
    Board,
    ByHand,
    Edition,
    EditJourney,
    EnterMembers,
    Entries,
    Head,
    JourneyDefinition,
    JourneyState,
    JourneyView,
    Lapsed,
    MakeJourney,
    Place,
    Send,
    Told,
    TurnJourney,
)
from chalicelib.journeys.ports import Hand, Shelf
from chalicelib.journeys.rules import checking, intake, pinning, timing, wording
from chalicelib.journeys.service import listing, messages
from chalicelib.journeys.service.taking import Taker, placed
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import JourneyId, SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.segments import rules as segments
from chalicelib.segments import store as segments_store
from chalicelib.segments.errors import RfmNotReady
from chalicelib.segments.models import Definition as Condition
from chalicelib.segments.models import Sentences
from chalicelib.segments.service.finding import Register, names_in
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Write

ATTEMPTS_MAX = 8
JOURNEYS_MAX = 200
"""So many are looked through for each event."""


@dataclass(frozen=True)
class Bureau:
    """Where journeys are made and changed, for one request."""

    table: Table
    book: ProgramBook
    shelf: Shelf
    now: datetime

    @property
    def program(self) -> Program:
        """The program in force."""
        return self.book.current(self.now)

    @property
    def stamp(self) -> datetime:
        """Now, as it is kept."""
        return from_milliseconds(milliseconds(self.now))


# ---------------------------------------------------------------- drafts and versions


def make_journey(bureau: Bureau, key: str, command: MakeJourney, *, by: str) -> Outcome[JourneyView]:
    """Make a draft. The key names it: the same command again answers it as it is by now.

    Raises:
        JourneyDiffers: this key was used before to make another.
        JourneyUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
    """
    content = digest({"by": by, "command": command.model_dump_json(exclude_defaults=True)})
    journey_id = JourneyId.of(key)
    known = store.find_head(bureau.table, journey_id)
    if known is not None:
        return _made_before(bureau, known, content, key)

    definition = _definition(command)
    edition = _edition(bureau, journey_id, 1, definition, by)
    at = bureau.stamp
    head = Head(
        journey_id=journey_id, name=definition.name, state=JourneyState.DRAFT, edition=1, made_at=at, made_by=by,
        edited_at=at, moved_at=at, content=content,
    )  # fmt: skip
    try:
        bureau.table.commit([store.put_head(head), store.add_edition(edition)], keyed=True)
    except HeadMoved:
        known = store.find_head(bureau.table, journey_id)
        if known is None:
            raise WriteContended from None
        return _made_before(bureau, known, content, key)
    return Outcome(view(bureau, head, edition))


def _made_before(bureau: Bureau, known: Head, content: bytes, key: str) -> Outcome[JourneyView]:
    if known.content != content:
        raise JourneyDiffers(key=key)
    return Outcome(view(bureau, known, require_edition(bureau.table, known, known.edition)), replayed=True)


def edit_journey(bureau: Bureau, journey_id: JourneyId, command: EditJourney, caller: Caller) -> Outcome[JourneyView]:
    """Write the next version of a journey. The same command again answers the version that it made.

    Raises:
        JourneyUnknown: there is no such journey.
        JourneyMoved: it was changed since the version that the command names.
        JourneyOver: it has ended.
        JourneyUnfit: it names what there is not, or what does not fit together; each fault with its pointer.
        JourneyGiftRaised: it is at work, and would give more points.
        JourneyGiftForbidden: it was activated once and gives points, and the caller may not.
        JourneyNoticeForbidden: it was activated once and sends notices, and the caller may not.
        WriteContended: others change it at the same time.
    """
    definition = _definition(command)
    for _ in range(ATTEMPTS_MAX):
        before = require(bureau.table, journey_id)
        newest = require_edition(bureau.table, before, before.edition)
        if before.version == command.version + 1 and newest.definition == definition:
            return Outcome(view(bureau, before, newest), replayed=True)
        _require_version(before, command.version)
        if before.state in (JourneyState.ENDED, JourneyState.ARCHIVED):
            raise JourneyOver(state=before.state.value)
        at_work = before.state in (JourneyState.ACTIVE, JourneyState.PAUSED)
        if before.state is not JourneyState.DRAFT:
            _require_gift(definition, caller)
            _require_notices(definition, caller)
        given, wanted = (checking.most_given(each) for each in (newest.definition, definition))
        if before.state is JourneyState.ACTIVE and wanted > given:
            raise JourneyGiftRaised(given=given, wanted=wanted)
        edition = _edition(bureau, journey_id, before.edition + 1, definition, caller.subject)
        if before.state is JourneyState.ACTIVE:
            edition = _pinned(bureau, edition)
        after = before.model_copy(
            update={
                "name": definition.name, "edition": edition.edition, "edited_at": bureau.stamp,
                "segment_id": _segment(bureau, journey_id, definition, caller) if at_work else before.segment_id,
                "answers": answers_of(caller) if at_work and checking.gives_points(definition) else before.answers,
                "uses": _uses(before, definition) if at_work else before.uses,
                "cleared": edition.edition if before.cleared == before.edition and wanted <= given else before.cleared,
                "version": before.version + 1,
            }
        )  # fmt: skip
        writes: list[Write] = [store.put_head(after), store.add_edition(edition), *_used(before, after)]
        if before.state is not JourneyState.DRAFT:
            board = store.find_board(bureau.table)
            writes.append(store.put_board(board, _posted(board, after, definition)))
        try:
            bureau.table.commit(writes)
        except HeadMoved:
            continue
        return Outcome(view(bureau, after, edition))
    raise WriteContended


def _definition(command: MakeJourney | EditJourney) -> JourneyDefinition:
    return JourneyDefinition(**{name: getattr(command, name) for name in JourneyDefinition.model_fields})


def _edition(bureau: Bureau, journey_id: JourneyId, number: int, definition: JourneyDefinition, by: str) -> Edition:
    """A version of a journey, with its templates as they are just now.

    Raises:
        JourneyUnfit: it names what there is not, or what does not fit together.
    """
    _require_fit(bureau, definition)
    pinned: dict[str, tuple[str, int, str]] = {}
    for step in definition.steps:
        title = bureau.shelf.template(step.template_id) if isinstance(step, Send) else None
        if title is not None:
            pinned[step.step] = (title.template_id, title.version, title.channel)
    return Edition(
        journey_id=journey_id, edition=number, definition=definition, pinned=pinned, made_at=bureau.stamp, made_by=by
    )


def _require_fit(bureau: Bureau, definition: JourneyDefinition) -> None:
    shelf, register = bureau.shelf, Register(bureau.table)
    faults = checking.faults_of(definition, shelf.template, shelf.resolve(), bureau.program, register.sources)
    if faults:
        raise JourneyUnfit(faults=faults)


# ---------------------------------------------------------------- at work

_FROM: dict[JourneyState, frozenset[JourneyState]] = {
    JourneyState.ACTIVE: frozenset({JourneyState.DRAFT, JourneyState.PAUSED, JourneyState.CLOSED}),
    JourneyState.PAUSED: frozenset({JourneyState.ACTIVE, JourneyState.CLOSED}),
    JourneyState.CLOSED: frozenset({JourneyState.ACTIVE, JourneyState.PAUSED}),
    JourneyState.ENDED: frozenset({JourneyState.ACTIVE, JourneyState.PAUSED, JourneyState.CLOSED}),
    JourneyState.ARCHIVED: frozenset({JourneyState.DRAFT, JourneyState.ENDED}),
}
"""What a journey can be before it becomes something."""


def turn_journey(
    bureau: Bureau,
    journey_id: JourneyId,
    to: JourneyState,
    command: TurnJourney,
    caller: Caller,
    clearance: Clearance = FREE,
) -> Outcome[JourneyView]:
    """Have a journey do something else. The version that was read is its key: the same again changes nothing.

    Args:
        clearance: whether so many points for each member may be given by who activates it; see `activate_journey`.

    Raises:
        JourneyUnknown: there is no such journey.
        JourneyMoved: it was changed since the version that the command names.
        JourneyStands: it cannot become that from what it is.
        JourneyUnfit: what it names is not there any more.
        JourneyGiftForbidden: it gives points, and the caller may not.
        JourneyNoticeForbidden: it sends notices, and the caller may not.
        JourneysTooMany: there are as many at work as there can be.
        WriteContended: others change it at the same time.
    """
    for _ in range(ATTEMPTS_MAX):
        before = require(bureau.table, journey_id)
        edition = require_edition(bureau.table, before, before.edition)
        if before.state is to and before.version == command.version + 1:
            return Outcome(view(bureau, before, edition), replayed=True)
        _require_version(before, command.version)
        if before.state not in _FROM[to]:
            raise JourneyStands(state=before.state.value, wanted=to.value)
        segment_id, cleared = before.segment_id, Cleared()
        if to is JourneyState.ACTIVE:
            _require_gift(edition.definition, caller)
            _require_notices(edition.definition, caller)
            _require_fit(bureau, edition.definition)
            segment_id = before.segment_id
            edition = _pinned(bureau, edition)
            cleared = _cleared(before, edition, clearance)
            if not command.dry_run:
                segment_id = _segment(bureau, journey_id, edition.definition, caller)
        after = before.model_copy(
            update={
                "state": to, "moved_at": bureau.stamp, "segment_id": segment_id,
                "activated_at": before.activated_at or (bureau.stamp if to is JourneyState.ACTIVE else None),
                "answers": answers_of(caller) if to is JourneyState.ACTIVE else before.answers,
                "uses": _uses(before, edition.definition) if to is JourneyState.ACTIVE else before.uses,
                "cleared": edition.edition if to is JourneyState.ACTIVE else before.cleared,
                "version": before.version + 1,
            }
        )  # fmt: skip
        if command.dry_run:
            return Outcome(view(bureau, after, edition), stored=False)
        board = store.find_board(bureau.table)
        writes: list[Write] = [store.put_head(after), *_used(before, after), *cleared.writes]
        if to is JourneyState.ACTIVE:
            writes.append(store.pin_edition(edition))
        if to is not JourneyState.ARCHIVED:
            writes.append(store.put_board(board, _posted(board, after, edition.definition)))
        try:
            bureau.table.commit(writes)
        except HeadMoved:
            continue
        return Outcome(view(bureau, after, edition))
    raise WriteContended


def _pinned(bureau: Bureau, edition: Edition) -> Edition:
    """A version that goes to work, with the segments that it names as they are now, where it gives points.

    One that was at work before keeps what it has.

    Raises:
        JourneyUnfit: they are too large to be kept.
    """
    if edition.segments is not None or not checking.gives_points(edition.definition):
        return edition
    document = segments.pinned(pinning.segments_of(edition.definition), bureau.shelf.resolve())
    if len(document) > segments.PINNED_MAX:
        raise JourneyUnfit(faults=[("", "The segments that it names are too large to be kept as they are now")])
    return edition.model_copy(update={"segments": document})


def activate_journey(
    bureau: Bureau, journey_id: JourneyId, command: TurnJourney, caller: Caller, clearance: Clearance
) -> Outcome[JourneyView]:
    """Have a journey let members in; who sends that may have to ask somebody else.

    Args:
        clearance: whether so many points for each member may be given by who activates it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: so many may not.
        JourneyUnknown: there is no such journey.
        JourneyMoved: it was changed since the version that the command names.
        JourneyStands: it cannot become that from what it is.
        JourneyUnfit: what it names is not there any more.
        JourneyGiftForbidden: it gives points, and the caller may not.
        JourneysTooMany: there are as many at work as there can be.
        WriteContended: others change it at the same time.
    """
    return turn_journey(bureau, journey_id, JourneyState.ACTIVE, command, caller, clearance)


def _cleared(head: Head, edition: Edition, clearance: Clearance) -> Cleared:
    """What goes with the activation of a version that gives points, unless it was cleared before.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it gives a member too many.
    """
    most = checking.most_given(edition.definition)
    if not most or head.cleared == edition.edition:
        return Cleared()
    return clearance.clear(launch_of(most, HeadMoved()))


USES_MAX = 50
"""Segments that the versions of a journey name: each is written down with it."""


def _uses(head: Head, definition: JourneyDefinition) -> tuple[SegmentId, ...]:
    """The segments of a journey at work, with one more version.

    Raises:
        JourneyUnfit: they are too many.
    """
    uses = tuple(sorted({*head.uses, *pinning.segments_of(definition)}))
    if len(uses) > USES_MAX:
        raise JourneyUnfit(faults=[("", f"All versions of a journey name {USES_MAX} segments at the most")])
    return uses


def _used(before: Head, after: Head) -> list[Write]:
    """The writes that say which segments a journey uses, or that it uses none any more."""
    if after.state is JourneyState.ENDED:
        return segments_store.end_use(before.uses, after.journey_id)
    return segments_store.use(set(after.uses) - set(before.uses), after.journey_id)


def _posted(board: Board, head: Head, definition: JourneyDefinition) -> Board:
    """The board with a journey as it is now. What earlier versions ask for stays: somebody may be in them.

    Raises:
        JourneysTooMany: there is no room.
    """
    known = board.places.get(head.journey_id)
    if known is None and len(board.places) >= JOURNEYS_MAX:
        raise JourneysTooMany(most=JOURNEYS_MAX)
    held = known.held if known is not None else None
    place = Place(
        journey_id=head.journey_id,
        state=head.state,
        edition=head.edition,
        entry=intake.asked_kind(definition.entry),
        needs=intake.needs_of(definition) | (known.needs if known is not None else frozenset()),
        goals=intake.goals_of(definition) | (known.goals if known is not None else frozenset()),
        segment_id=head.segment_id,
        held=milliseconds(head.moved_at) if head.state is JourneyState.PAUSED else held,
        ending=head.state is JourneyState.ENDED,
    )
    return replace(placed(board, place), began_at=board.began_at or head.moved_at)


def _segment(bureau: Bureau, journey_id: JourneyId, definition: JourneyDefinition, caller: Caller) -> SegmentId | None:
    """The live segment that lets members in where time alone does: nothing has to be kept for every member then."""
    condition, zh = pinning.time_alone(definition.entry), bureau.program.language is Language.ZH
    match definition.entry:
        case Lapsed(days=days):
            key = f"{journey_id} lapsed {days}"
            name = f"{days}天未消费" if zh else f"Nothing bought for {days} days"
        case BirthdayComes(days_before=days):
            key = f"{journey_id} birthday {days}"
            name = f"{days}天内生日" if zh else f"Birthday within {days} days"
        case _:
            return None
    assert condition is not None
    return bureau.shelf.live(key, name, condition, caller=caller, now=bureau.now)


def answers_of(caller: Caller) -> Answers:
    """Whoever sends a command, as who answers for what comes of it."""
    return Answers(by=caller.subject, own=caller.membership)


def _require_gift(definition: JourneyDefinition, caller: Caller) -> None:
    if checking.gives_points(definition) and caller.scope(Permission.JOURNEYS_GIFT) is None:
        raise JourneyGiftForbidden(permission=Permission.JOURNEYS_GIFT.value)


def _require_notices(definition: JourneyDefinition, caller: Caller) -> None:
    """Notices need no consent and have no way out: what is one is not for those to say who advertise."""
    if checking.tells_of_account(definition) and caller.scope(Permission.JOURNEYS_NOTIFY) is None:
        raise JourneyNoticeForbidden(permission=Permission.JOURNEYS_NOTIFY.value)


# ---------------------------------------------------------------- by hand


def enter_members(
    bureau: Bureau, taker: Taker, hand: Hand, journey_id: JourneyId, key: str, command: EnterMembers, caller: Caller
) -> Entries:
    """Let members in, or all of a segment. The same command again lets nobody in twice.

    Whoever lets them in answers for the points that the journey gives them.

    Raises:
        JourneyGiftForbidden: it gives points, and the caller may not.
        JourneyUnknown: there is no such journey.
        JourneyOver: nobody comes in just now.
        JourneyNotByHand: members come in by themselves.
        JourneyUnfit: there is no such segment.
        JourneyDiffers: this key was used before to let others in.
        SegmentsSilent, SegmentTooHeavy: nobody said who fits.
        WriteContended: others keep letting the same member in; safe to try again.
    """
    head = require(bureau.table, journey_id)
    edition = require_edition(bureau.table, head, head.edition)
    if not isinstance(edition.definition.entry, ByHand):
        raise JourneyNotByHand(entry=edition.definition.entry.kind)
    if head.state is not JourneyState.ACTIVE:
        raise JourneyOver(state=head.state.value)
    _require_gift(edition.definition, caller)
    answers = answers_of(caller)
    if command.segment_id is not None:
        segment = bureau.shelf.resolve()(command.segment_id)
        if segment is None:
            raise JourneyUnfit(faults=[("/segment_id", "There is no such segment")])
        if command.dry_run:
            return Entries(entered=0, known=0, refused=0, under_way=False)
        pinned = None
        if checking.gives_points(edition.definition):
            pinned = segments.pinned([command.segment_id], bureau.shelf.resolve())
            if len(pinned) > segments.PINNED_MAX:
                raise JourneyUnfit(faults=[("/segment_id", "This segment is too large to be kept as it is now")])
        _ask(bureau, journey_id, key, command, answers, pinned)
        done = listing.begin(taker.works.ops, journey_id, key, command.segment_id, bureau.stamp)
        if done is not None:
            return Entries(entered=done.entered, known=0, refused=done.passed, under_way=False)
        # Whoever is on a list is known at once; whether they fit is known once the lake has them.
        wait = timing.LAKE_BEHIND if segment.listed is not None and edition.definition.who is not None else timedelta()
        named = messages.listed(journey_id, command.segment_id, key, milliseconds(bureau.now), None)
        hand([named], int(wait.total_seconds()))
        return Entries(entered=0, known=0, refused=0, under_way=True)
    wanted = list(dict.fromkeys(command.member_ids or ()))
    some = [Told("by_hand", intake.by_hand(f"{journey_id} {key} {each}"), each, bureau.stamp, {}) for each in wanted]
    people = taker.works.people.find(wanted, bureau.now)
    there = [each for each in some if people[each.member_id].status == "active"]
    fitting = taker.fitting(edition, there)
    if command.dry_run:
        return Entries(entered=len(fitting), known=0, refused=len(some) - len(fitting), under_way=False)
    _ask(bureau, journey_id, key, command, answers)
    entered = sum(taker.enter(edition, each, answers) for each in there if each.member_id in fitting)
    refused = len(some) - len([each for each in there if each.member_id in fitting])
    return Entries(entered=entered, known=len(some) - refused - entered, refused=refused, under_way=False)


def _ask(
    bureau: Bureau, journey_id: JourneyId, key: str, command: EnterMembers, answers: Answers, pinned: str | None = None
) -> None:
    """Keep what was asked for, once, before anything of it is done; the same again goes on where it was."""
    content = digest({"command": command.model_dump_json(exclude_defaults=True)})
    with suppress(AskedKnown):
        return bureau.table.commit(
            [store.keep_asked(journey_id, key, store.Asked(content, answers, pinned))], keyed=True
        )
    known = store.find_asked(bureau.table, journey_id, key)
    if known is None or known.content != content:
        raise JourneyDiffers(key=key)
    return None


LISTED_PAGE = 200

SCORES_WITHIN = timedelta(days=1)
SCORES_LOOKED_AT = timedelta(minutes=10)
"""A segment that asks for scores waits for them, and is asked again so often; they come within the hour."""


def enter_listed(taker: Taker, body: "dict[str, object]") -> int:
    """Let a page of a segment's members in, and hand on the next one; how many came in.

    Raises:
        Trouble: give the message again.
    """
    journey_id, segment_id, key, at, after = messages.listed_from(body)
    head = store.find_head(taker.works.table, journey_id)
    if head is None or head.state is not JourneyState.ACTIVE:
        return 0
    edition = taker.stepper.editions.find(journey_id, head.edition)
    asked = store.find_asked(taker.works.table, journey_id, key)
    answers, pinned = (asked.answers, asked.segments) if asked is not None else (None, None)
    told_at = from_milliseconds(at)
    try:
        members, last = taker.works.judge.page(segment_id, after, LISTED_PAGE, pinned)
        some = [Told("by_hand", intake.by_hand(f"{journey_id} {key} {each}"), each, told_at, {}) for each in members]
        entered = taker.enter_fitting(journey_id, edition.edition, some, answers)
    except RfmNotReady:
        if taker.works.clock() - told_at < SCORES_WITHIN:
            taker.works.hand([json.dumps(body)], int(SCORES_LOOKED_AT.total_seconds()))
        else:
            taker.works.tell("journey_segment_not_let_in", {"journey": journey_id, "segment": segment_id})
        return 0
    listing.advance(taker.works.ops, journey_id, key, after=after, last=last, entered=entered, looked_at=len(members))
    if last is not None:
        taker.works.hand([messages.listed(journey_id, segment_id, key, at, last)], 0)
    return entered


# ---------------------------------------------------------------- common


def require(table: Table, journey_id: JourneyId) -> Head:
    """A journey.

    Raises:
        JourneyUnknown: there is none of that id.
    """
    head = store.find_head(table, journey_id)
    if head is None:
        raise JourneyUnknown(journey_id=journey_id)
    return head


def require_edition(table: Table, head: Head, edition: int) -> Edition:
    """A version of a journey.

    Raises:
        JourneyUnknown: it has none of that number.
    """
    found = store.find_edition(table, head.journey_id, edition)
    if found is None:
        raise JourneyUnknown(journey_id=head.journey_id)
    return found


def _require_version(head: Head, read: int) -> None:
    if head.version != read:
        raise JourneyMoved(read=read, current=head.version)


def view(bureau: Bureau, head: Head, edition: Edition) -> JourneyView:
    """A journey as callers see it."""
    return JourneyView(
        journey_id=head.journey_id,
        state=head.state,
        edition=edition.edition,
        current_edition=head.edition,
        definition=edition.definition,
        sentences=sentences(bureau, edition.definition),
        made_at=head.made_at,
        made_by=head.made_by,
        edited_at=head.edited_at,
        activated_at=head.activated_at,
        segment_id=head.segment_id,
        version=head.version,
    )


def sentences(bureau: Bureau, definition: JourneyDefinition) -> Sentences:
    """What a journey does, in words."""
    said = {language: _sentence(bureau, definition, language) for language in Language}
    return Sentences(zh=said[Language.ZH], en=said[Language.EN])


def _sentence(bureau: Bureau, definition: JourneyDefinition, language: Language) -> str:
    program, resolve, register = bureau.program, bureau.shelf.resolve(), Register(bureau.table)
    names = {tier.tier_id: tier.name.in_(language) for tier in program.ladder.tiers}
    for happening in (definition.entry, definition.goal):
        segment_id = getattr(happening, "segment_id", None)
        found = resolve(segment_id) if segment_id is not None else None
        if found is not None:
            names[found.segment_id] = found.name
    for step in definition.steps:
        title = bureau.shelf.template(step.template_id) if isinstance(step, Send) else None
        if title is not None:
            names[title.template_id] = title.name

    def said(condition: Condition) -> str:
        return segments.phrase(condition, language, names_in(condition, program, resolve, register, language))

    return wording.sentence(definition, language, said, names, program)
