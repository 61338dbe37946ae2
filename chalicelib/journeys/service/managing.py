"""What staff command: make, edit, activate, pause, close, end, put away, let members in by hand."""

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.journeys import store
from chalicelib.journeys.errors import (
    AskedKnown,
    HeadMoved,
    JourneyDiffers,
    JourneyGiftForbidden,
    JourneyMoved,
    JourneyNotByHand,
    JourneyOver,
    JourneyStands,
    JourneysTooMany,
    JourneyUnfit,
    JourneyUnknown,
)
from chalicelib.journeys.models import (
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
from chalicelib.journeys.rules import checking, intake, timing, wording
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
from chalicelib.segments.errors import RfmNotReady
from chalicelib.segments.models import BirthdayField, BirthdayOp, DayField, DayOp, Sentences
from chalicelib.segments.models import Definition as Condition
from chalicelib.segments.service.finding import names_in
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
        JourneyGiftForbidden: it is at work and gives points, and the caller may not.
        WriteContended: others change it at the same time.
    """
    definition = _definition(command)
    for _ in range(ATTEMPTS_MAX):
        before = require(bureau.table, journey_id)
        if before.version == command.version + 1:
            newest = require_edition(bureau.table, before, before.edition)
            if newest.definition == definition:
                return Outcome(view(bureau, before, newest), replayed=True)
        _require_version(before, command.version)
        if before.state in (JourneyState.ENDED, JourneyState.ARCHIVED):
            raise JourneyOver(state=before.state.value)
        at_work = before.state in (JourneyState.ACTIVE, JourneyState.PAUSED)
        if at_work:
            _require_gift(definition, caller)
        edition = _edition(bureau, journey_id, before.edition + 1, definition, caller.subject)
        after = before.model_copy(
            update={
                "name": definition.name, "edition": edition.edition, "edited_at": bureau.stamp,
                "segment_id": _segment(bureau, journey_id, definition, caller) if at_work else before.segment_id,
                "version": before.version + 1,
            }
        )  # fmt: skip
        writes: list[Write] = [store.put_head(after), store.add_edition(edition)]
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
    faults = checking.faults_of(definition, bureau.shelf.template, bureau.shelf.resolve(), bureau.program)
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
    bureau: Bureau, journey_id: JourneyId, to: JourneyState, command: TurnJourney, caller: Caller
) -> Outcome[JourneyView]:
    """Have a journey do something else. The version that was read is its key: the same again changes nothing.

    Raises:
        JourneyUnknown: there is no such journey.
        JourneyMoved: it was changed since the version that the command names.
        JourneyStands: it cannot become that from what it is.
        JourneyUnfit: what it names is not there any more.
        JourneyGiftForbidden: it gives points, and the caller may not.
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
        segment_id = before.segment_id
        if to is JourneyState.ACTIVE:
            _require_gift(edition.definition, caller)
            _require_fit(bureau, edition.definition)
            segment_id = before.segment_id
            if not command.dry_run:
                segment_id = _segment(bureau, journey_id, edition.definition, caller)
        after = before.model_copy(
            update={
                "state": to, "moved_at": bureau.stamp, "segment_id": segment_id,
                "activated_at": before.activated_at or (bureau.stamp if to is JourneyState.ACTIVE else None),
                "version": before.version + 1,
            }
        )  # fmt: skip
        if command.dry_run:
            return Outcome(view(bureau, after, edition), stored=False)
        board = store.find_board(bureau.table)
        writes: list[Write] = [store.put_head(after)]
        if to is not JourneyState.ARCHIVED:
            writes.append(store.put_board(board, _posted(board, after, edition.definition)))
        try:
            bureau.table.commit(writes)
        except HeadMoved:
            continue
        return Outcome(view(bureau, after, edition))
    raise WriteContended


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
    zh = bureau.program.language is Language.ZH
    made: tuple[str, str, Condition] | None = None
    match definition.entry:
        case Lapsed(days=days):
            made = (
                f"{journey_id} lapsed {days}",
                f"{days}天未消费" if zh else f"Nothing bought for {days} days",
                DayField(kind="field", name="last_bought_on", op=DayOp.MORE_THAN_DAYS_AGO, days=days),
            )
        case BirthdayComes(days_before=days):
            made = (
                f"{journey_id} birthday {days}",
                f"{days}天内生日" if zh else f"Birthday within {days} days",
                BirthdayField(kind="field", name="birthday", op=BirthdayOp.IN_NEXT_DAYS, days=days + 1),
            )
    if made is None:
        return None
    key, name, condition = made
    return bureau.shelf.live(key, name, condition, caller=caller, now=bureau.now)


def _require_gift(definition: JourneyDefinition, caller: Caller) -> None:
    if checking.gives_points(definition) and caller.scope(Permission.JOURNEYS_GIFT) is None:
        raise JourneyGiftForbidden(permission=Permission.JOURNEYS_GIFT.value)


# ---------------------------------------------------------------- by hand


def enter_members(
    bureau: Bureau, taker: Taker, hand: Hand, journey_id: JourneyId, key: str, command: EnterMembers
) -> Entries:
    """Let members in, or all of a segment. The same command again lets nobody in twice.

    Raises:
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
    if command.segment_id is not None:
        segment = bureau.shelf.resolve()(command.segment_id)
        if segment is None:
            raise JourneyUnfit(faults=[("/segment_id", "There is no such segment")])
        if command.dry_run:
            return Entries(entered=0, known=0, refused=0, under_way=False)
        _ask(bureau, journey_id, key, command)
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
    _ask(bureau, journey_id, key, command)
    entered = sum(taker.enter(edition, each) for each in there if each.member_id in fitting)
    refused = len(some) - len([each for each in there if each.member_id in fitting])
    return Entries(entered=entered, known=len(some) - refused - entered, refused=refused, under_way=False)


def _ask(bureau: Bureau, journey_id: JourneyId, key: str, command: EnterMembers) -> None:
    """Keep what was asked for, once, before anything of it is done; the same again goes on where it was."""
    content = digest({"command": command.model_dump_json(exclude_defaults=True)})
    with suppress(AskedKnown):
        return bureau.table.commit([store.keep_asked(journey_id, key, content)], keyed=True)
    if store.find_asked(bureau.table, journey_id, key) != content:
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
    told_at = from_milliseconds(at)
    try:
        members, last = taker.works.judge.page(segment_id, after, LISTED_PAGE)
        some = [Told("by_hand", intake.by_hand(f"{journey_id} {key} {each}"), each, told_at, {}) for each in members]
        entered = taker.enter_fitting(journey_id, edition.edition, some)
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
    program, resolve = bureau.program, bureau.shelf.resolve()
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
        return segments.phrase(condition, language, names_in(condition, program, resolve, language))

    return wording.sentence(definition, language, said, names, program.currency)
