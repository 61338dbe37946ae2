"""Make segments, change them, put them aside."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from chalicelib.identity.models import Caller
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.segments import rules, store
from chalicelib.segments.errors import (
    DefinitionWrong,
    ListTooLong,
    SegmentArchived,
    SegmentDiffers,
    SegmentInUse,
    SegmentKindWrong,
    SegmentMoved,
    SegmentReady,
    SegmentsTooMany,
    SegmentUnknown,
)
from chalicelib.segments.models import (
    LIST_MAX,
    ArchiveSegment,
    CreateSegment,
    Definition,
    EditSegment,
    ListOf,
    Segment,
    SegmentKind,
    SegmentState,
    SegmentView,
)
from chalicelib.segments.rules.checking import Graph, Knot, comes_back, used_by
from chalicelib.segments.rules.ready import READY_IDS, ready
from chalicelib.segments.service.asking import Asking
from chalicelib.segments.service.finding import Register, resolver, sentences
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write

ATTEMPTS_MAX = 12

SEGMENTS_MAX = 500
"""Segments in use, without the ready ones: each live one is looked at with every patch of the lake."""


def create_segment(
    table: Table,
    ops: Table,
    objects: Objects,
    book: ProgramBook,
    asking: Asking,
    caller: Caller,
    command: CreateSegment,
    *,
    key: str,
    now: datetime,
) -> Outcome[SegmentView]:
    """Make a segment.

    Raises:
        SegmentDiffers: this key was used before for another one.
        DefinitionWrong: the definition cannot be evaluated.
        SegmentsTooMany: there are as many as there can be.
        SegmentTooHeavy, RfmNotReady, SegmentsSilent: nobody could look who fits it, to keep them as a list.
        ListTooLong: too many fit it.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    segment_id, content = SegmentId.of(key), _content(command)
    program = book.current(now)
    known = store.find_item(table, segment_id)
    if known is not None:
        return _known(table, ops, program, known, content)
    if command.freeze and command.definition is not None:
        require_sound(table, command.definition, program)
    listed = _listed(objects, asking, segment_id, command)
    live = listed is None and command.definition is not None and not command.freeze
    segment = Segment(
        segment_id=segment_id, name=command.name, note=command.note, listed=listed,
        kind=SegmentKind.LIVE if live else SegmentKind.STATIC, definition=command.definition if live else None,
        tag_rule=command.tag_rule, created_at=now, created_by=caller.subject, edited_at=now,
    )  # fmt: skip
    for _ in range(ATTEMPTS_MAX):
        graph, version = store.find_graph(table)
        if command.definition is not None:
            require_sound(table, command.definition, program)  # as things are under that version
        grown = _grown(graph, segment)
        if command.dry_run:
            return Outcome(_view(table, ops, program, segment), stored=False)
        try:
            table.commit([store.add_segment(segment, content=content), store.replace_graph(grown, version)])
        except store.Raced:
            continue
        except store.SegmentKnown as first:
            return _known(table, ops, program, first.item, content)
        return Outcome(_view(table, ops, program, segment))
    raise WriteContended


def _known(table: Table, ops: Table, program: Program, item: Item, content: bytes) -> Outcome[SegmentView]:
    segment = store.segment_from(item)
    if item["content"] != content:
        raise SegmentDiffers(segment_id=segment.segment_id)
    return Outcome(_view(table, ops, program, segment), replayed=True)


def _content(command: CreateSegment) -> bytes:
    return digest(command.model_dump(mode="json", exclude={"dry_run"}, exclude_none=True))


def _listed(objects: Objects, asking: Asking, segment_id: SegmentId, command: CreateSegment) -> ListOf | None:
    """The list of a static segment, written before the segment is; None for a live one."""
    if command.dry_run:
        return None
    if command.member_ids is not None:
        return store.keep_list(objects, segment_id, command.member_ids)
    if command.freeze:
        assert command.definition is not None
        return asking.freeze(segment_id, command.definition)
    return None


def require_sound(table: Table, definition: Definition, program: Program, own: SegmentId | None = None) -> None:
    """Refuse a definition that cannot be evaluated.

    Raises:
        DefinitionWrong: it is one; each fault with a JSON pointer.
    """
    sources = Register(table).sources(definition)
    faults = rules.check(definition, resolver(table), own=own, program=program, sources=sources)
    if faults:
        raise DefinitionWrong([{"pointer": f"/definition{each.pointer}", "detail": each.detail} for each in faults])


def _grown(graph: Graph, segment: Segment) -> Graph:
    """What there is, with a new or changed segment.

    Raises:
        SegmentsTooMany: there are as many as there can be.
        DefinitionWrong: the segment would depend on itself.
    """
    if segment.segment_id not in graph and len(graph) >= SEGMENTS_MAX:
        raise SegmentsTooMany(most=SEGMENTS_MAX)
    graph = {**graph, segment.segment_id: store.knot_of(segment)}
    if comes_back(graph, segment.segment_id):
        rule = segment.tag_rule is not None
        detail = "The segment would be made of itself" + (", by the tag that it gives" if rule else "")
        raise DefinitionWrong([{"pointer": "/tag_rule/tag" if rule else "/definition", "detail": detail}])
    return graph


# ---------------------------------------------------------------- reading


def find_segment(
    table: Table, ops: Table, book: ProgramBook, segment_id: SegmentId, *, now: datetime, language: Language
) -> SegmentView:
    """A segment.

    Raises:
        SegmentUnknown: there is none of that id.
    """
    segment = ready(segment_id, language) or load(table, segment_id)[0]
    return _view(table, ops, book.current(now), segment)


def list_segments(
    table: Table, ops: Table, book: ProgramBook, state: SegmentState, *, after: str | None, limit: int, now: datetime
) -> Slice[SegmentView]:
    """A page of segments of the merchant's own, the newest first."""
    found, last = store.list_segments(table, state, after=after, limit=limit)
    return Slice(_views(table, ops, book.current(now), found), last)


def list_ready(table: Table, ops: Table, book: ProgramBook, *, now: datetime, language: Language) -> list[SegmentView]:
    """The segments that every program has."""
    found = [segment for each in READY_IDS if (segment := ready(each, language)) is not None]
    return list(_views(table, ops, book.current(now), found))


def load(table: Table, segment_id: SegmentId) -> tuple[Segment, bytes]:
    """A segment of the merchant's own as it is now, and the digest of the command that made it.

    Raises:
        SegmentUnknown: there is none of that id.
    """
    item = store.find_item(table, segment_id)
    if item is None:
        raise SegmentUnknown(segment_id=segment_id)
    return store.segment_from(item), item["content"]


# ---------------------------------------------------------------- changing


def edit_segment(
    table: Table,
    ops: Table,
    objects: Objects,
    book: ProgramBook,
    segment_id: SegmentId,
    command: EditSegment,
    *,
    now: datetime,
) -> SegmentView:
    """Change a segment.

    Raises:
        SegmentUnknown: there is none of that id.
        SegmentReady: every program has it.
        SegmentArchived: it was put aside.
        SegmentMoved: it was changed since the version that the command names.
        SegmentKindWrong: it is of the other kind.
        DefinitionWrong: the definition cannot be evaluated.
        ListTooLong: its list would be too long.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    if ready(segment_id) is not None:
        raise SegmentReady(segment_id=segment_id)
    program = book.current(now)
    for _ in range(ATTEMPTS_MAX):
        before, content = load(table, segment_id)
        if before.version != command.version:
            raise SegmentMoved(read=command.version, current=before.version)
        if before.state is SegmentState.ARCHIVED:
            raise SegmentArchived(segment_id=segment_id)
        graph, version = store.find_graph(table)
        if command.definition is not None:
            require_sound(table, command.definition, program, own=segment_id)
        after = _edited(before, command, objects, now)
        writes: list[Write] = [store.replace_segment(before, after, content=content)]
        if store.knot_of(after) != store.knot_of(before):
            writes.append(store.replace_graph(_grown(graph, after), version))

        changed = after.model_copy(update={"version": before.version + 1})
        if command.dry_run:
            return _view(table, ops, program, changed)
        try:
            table.commit(writes)
        except store.Raced:
            continue
        return _view(table, ops, program, changed)
    raise WriteContended


def _edited(before: Segment, command: EditSegment, objects: Objects, now: datetime) -> Segment:
    """What a command makes of a segment.

    Raises:
        SegmentKindWrong, ListTooLong: as they say.
    """
    of_list = bool(command.add_member_ids or command.remove_member_ids)
    of_live = command.definition is not None or command.tag_rule is not None
    if (of_list and before.kind is SegmentKind.LIVE) or (of_live and before.kind is SegmentKind.STATIC):
        raise SegmentKindWrong(segment_id=before.segment_id, kind=before.kind.value)
    named = command.model_fields_set
    changes: dict[str, Any] = {"edited_at": now}
    if command.name is not None:
        changes["name"] = command.name
    for field in ("note", "tag_rule"):
        if field in named:
            changes[field] = getattr(command, field)
    if command.definition is not None:
        changes["definition"] = command.definition
    if of_list:
        changes["listed"] = _relisted(before, command, objects)
    after = before.model_copy(update=changes)
    # Who is in it by another definition has come in by nothing that they did.
    renewed = (after.definition, after.tag_rule) != (before.definition, before.tag_rule)
    return after.model_copy(update={"edition": before.edition + renewed})


def _relisted(before: Segment, command: EditSegment, objects: Objects) -> ListOf:
    assert before.listed is not None, "a static segment has a list"
    on_it = set(store.read_list(objects, before.listed))
    after = (on_it | set(command.add_member_ids or ())) - set(command.remove_member_ids or ())
    if len(after) > LIST_MAX:
        raise ListTooLong(most=LIST_MAX)
    if command.dry_run:
        return ListOf(key=before.listed.key, count=len(after))
    return store.keep_list(objects, before.segment_id, after)


def archive_segment(
    table: Table, ops: Table, book: ProgramBook, segment_id: SegmentId, command: ArchiveSegment, *, now: datetime
) -> Outcome[SegmentView]:
    """Put a segment aside; one that is aside stays so.

    Raises:
        SegmentUnknown: there is none of that id.
        SegmentReady: every program has it.
        SegmentInUse: others name it, or campaigns or journeys that are at work. Those go on with it as it was all the
            same, so one that begins at this very moment loses nothing.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    if ready(segment_id) is not None:
        raise SegmentReady(segment_id=segment_id)
    program = book.current(now)
    for _ in range(ATTEMPTS_MAX):
        before, content = load(table, segment_id)
        if before.state is SegmentState.ARCHIVED:
            return Outcome(_view(table, ops, program, before), replayed=True)
        graph, version = store.find_graph(table)
        users = [*used_by(graph, segment_id), *store.list_users(table, segment_id)]
        if users:
            raise SegmentInUse(segment_id=segment_id, used_by=users)
        after = before.model_copy(update={"state": SegmentState.ARCHIVED, "edited_at": now})
        left: dict[SegmentId, Knot] = {name: knot for name, knot in graph.items() if name != segment_id}

        changed = after.model_copy(update={"version": before.version + 1})
        if command.dry_run:
            return Outcome(_view(table, ops, program, changed), stored=False)
        try:
            # That there is somebody who names it since is told by the second write.
            table.commit([store.replace_segment(before, after, content=content), store.replace_graph(left, version)])
        except (store.Raced, SegmentMoved):
            continue
        return Outcome(_view(table, ops, program, changed))
    raise WriteContended


# ---------------------------------------------------------------- showing


def _is_of(sized: store.Sized, segment: Segment) -> bool:
    """Whether what was counted is what a segment says now."""
    if segment.listed is not None:
        return sized.listed == segment.listed.key
    return segment.ready or sized.edition == segment.edition


def _view(table: Table, ops: Table, program: Program, segment: Segment) -> SegmentView:
    return _views(table, ops, program, [segment])[0]


def _views(table: Table, ops: Table, program: Program, segments: Sequence[Segment]) -> tuple[SegmentView, ...]:
    resolve, register = resolver(table), Register(table)
    register.sources(*(each.definition for each in segments))  # those of all of them at once
    sizes = store.find_sizes(ops, [each.segment_id for each in segments]) if segments else {}

    def view(segment: Segment) -> SegmentView:
        sized = sizes.get(segment.segment_id)
        if sized is not None and not _is_of(sized, segment):
            sized = None
        put_on = segment.listed.count if segment.listed is not None else None
        return SegmentView(
            segment_id=segment.segment_id, name=segment.name, note=segment.note, kind=segment.kind,
            state=segment.state, ready=segment.ready, definition=segment.definition,
            sentence=(
                None if segment.definition is None else sentences(segment.definition, program, resolve, register)
            ),
            tag_rule=segment.tag_rule, size=sized.count if sized is not None else put_on,
            sized_on=sized.day if sized is not None else None, sized_at=sized.at if sized is not None else None,
            created_at=segment.created_at,
            created_by=segment.created_by, edited_at=segment.edited_at, version=segment.version,
        )  # fmt: skip

    return tuple(map(view, segments))
