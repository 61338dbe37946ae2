"""HTTP of segments."""

from contextlib import suppress

from chalicelib.api.routing import Call, Routes, Sheet
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import SegmentExportId, SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.kernel.records import Record
from chalicelib.lake.errors import LakeMissing
from chalicelib.programs.service import book_of
from chalicelib.segments.errors import (
    DefinitionWrong,
    ExportUnknown,
    ListTooLong,
    RfmNotReady,
    SegmentArchived,
    SegmentDiffers,
    SegmentInUse,
    SegmentKindWrong,
    SegmentMoved,
    SegmentReady,
    SegmentsSilent,
    SegmentsTooMany,
    SegmentTooHeavy,
    SegmentUnknown,
)
from chalicelib.segments.models import (
    ArchiveSegment,
    CompareSegments,
    CountMembers,
    CreateSegment,
    EditSegment,
    ExportSegment,
    PartQuery,
    SegmentCount,
    SegmentExport,
    SegmentMember,
    SegmentOverlap,
    SegmentQuery,
    SegmentSize,
    SegmentState,
    SegmentView,
    SizeQuery,
)
from chalicelib.segments.service import asking, managing
from chalicelib.segments.service.asking import Asking

segments = Routes("segments")


class SegmentPage(Page[SegmentView]):
    """A page of segments."""


class ReadySegments(Record):
    """The segments that every program has."""

    items: tuple[SegmentView, ...]
    next_cursor: None = None


class SegmentMemberPage(Page[SegmentMember]):
    """A page of a segment's members."""


class SegmentSizePage(Page[SegmentSize]):
    """A page of a segment's sizes."""


def _asking(call: Call) -> Asking:
    """Asks for the caller: of members of their shops, where their permission ends at those."""
    return Asking(call.house.functions, call.signed_in.within(Permission.SEGMENTS_READ))


def _look_anew(call: Call) -> None:
    """Ask to have segments looked at. Where that fails, the next patch of the lake asks for it."""
    queue = call.house.settings.segments_queue
    if queue is not None:
        with suppress(Trouble):
            call.house.queues.send(queue, ["refresh"])


def _language(call: Call) -> Language:
    return book_of(call.house.table).language(call.language, call.now)


@segments.post(
    "/segments",
    keyed=True,
    status=201,
    refuses=(
        SegmentDiffers,
        DefinitionWrong,
        SegmentsTooMany,
        SegmentTooHeavy,
        RfmNotReady,
        ListTooLong,
        SegmentsSilent,
        LakeMissing,
    ),
)
def create_segment(body: CreateSegment, call: Call) -> Outcome[SegmentView]:
    """Make a segment: live, by a definition, or static, with a list."""
    house = call.house
    made = managing.create_segment(
        house.table, house.ops, house.objects, book_of(house.table), Asking(house.functions), call.signed_in, body,
        key=call.key, now=call.now,
    )  # fmt: skip
    if made.stored:
        _look_anew(call)
    return made


@segments.get("/segments", refuses=(CursorInvalid,))
def list_segments(query: SegmentQuery, call: Call) -> SegmentPage:
    """Segments of your own, the newest first."""
    house, state = call.house, SegmentState(query.state)
    part = managing.list_segments(
        house.table, house.ops, book_of(house.table), state, after=call.position(query.cursor, "segments", state),
        limit=query.limit, now=call.now,
    )  # fmt: skip
    return call.page(part, SegmentPage, "segments", state)


@segments.get("/ready-segments")
def list_ready_segments(call: Call) -> ReadySegments:
    """The segments that every program has: classes by recency and frequency, stages, and what is coming up."""
    house = call.house
    found = managing.list_ready(house.table, house.ops, book_of(house.table), now=call.now, language=_language(call))
    return ReadySegments(items=tuple(found))


@segments.get("/segments/{segment_id}", refuses=(SegmentUnknown,))
def get_segment(segment_id: SegmentId, call: Call) -> SegmentView:
    """A segment, with what it says in words."""
    house = call.house
    return managing.find_segment(
        house.table, house.ops, book_of(house.table), segment_id, now=call.now, language=_language(call)
    )


@segments.patch(
    "/segments/{segment_id}",
    refuses=(
        SegmentUnknown, SegmentReady, SegmentArchived, SegmentMoved, SegmentKindWrong, DefinitionWrong, ListTooLong,
        SegmentsTooMany,
    ),
)  # fmt: skip
def edit_segment(segment_id: SegmentId, body: EditSegment, call: Call) -> SegmentView:
    """Change a segment. Who comes in or leaves by a new definition is not told of."""
    call.require_version(body.version)
    house = call.house
    edited = managing.edit_segment(
        house.table, house.ops, house.objects, book_of(house.table), segment_id, body, now=call.now
    )
    if not body.dry_run:
        _look_anew(call)
    return edited


@segments.post("/segments/{segment_id}/archivals", status=201, refuses=(SegmentUnknown, SegmentReady, SegmentInUse))
def archive_segment(segment_id: SegmentId, body: ArchiveSegment, call: Call) -> Outcome[SegmentView]:
    """Put a segment aside for good."""
    house = call.house
    return managing.archive_segment(house.table, house.ops, book_of(house.table), segment_id, body, now=call.now)


@segments.get(
    "/segments/{segment_id}/members",
    refuses=(SegmentUnknown, SegmentTooHeavy, RfmNotReady, CursorInvalid, SegmentsSilent, LakeMissing),
)
def list_segment_members(segment_id: SegmentId, query: Paging, call: Call) -> SegmentMemberPage:
    """A segment's members as the lake knows them, by their ids; of your shops, where your permission ends at those."""
    part = asking.list_members(
        call.house.table, _asking(call), segment_id, after=call.position(query.cursor, "members", segment_id),
        limit=query.limit,
    )  # fmt: skip
    return call.page(part, SegmentMemberPage, "members", segment_id)


@segments.get("/segments/{segment_id}/sizes", refuses=(SegmentUnknown, CursorInvalid))
def list_segment_sizes(segment_id: SegmentId, query: SizeQuery, call: Call) -> SegmentSizePage:
    """How large a segment was, the latest day first."""
    part = asking.list_sizes(
        call.house.table, call.house.ops, segment_id, after=call.position(query.cursor, "sizes", segment_id),
        limit=query.limit,
    )  # fmt: skip
    return call.page(part, SegmentSizePage, "sizes", segment_id)


@segments.post("/segment-counts", refuses=(DefinitionWrong, SegmentTooHeavy, RfmNotReady, SegmentsSilent, LakeMissing))
def count_segment_members(body: CountMembers, call: Call) -> SegmentCount:
    """How many members fit a definition, while it is being written; with what it says in words."""
    return asking.count_members(_asking(call), body)


@segments.post("/segment-overlaps", refuses=(SegmentUnknown, SegmentTooHeavy, RfmNotReady, SegmentsSilent, LakeMissing))
def compare_segments(body: CompareSegments, call: Call) -> SegmentOverlap:
    """How far segments overlap."""
    return asking.compare_segments(call.house.table, _asking(call), body)


@segments.post(
    "/segments/{segment_id}/exports",
    keyed=True,
    status=201,
    refuses=(
        PermissionMissing,
        SegmentUnknown,
        SegmentDiffers,
        SegmentTooHeavy,
        RfmNotReady,
        SegmentsSilent,
        LakeMissing,
    ),
)
def export_segment(segment_id: SegmentId, body: ExportSegment, call: Call) -> Outcome[SegmentExport]:
    """Write a segment's members to a spreadsheet, without contact data; for who may read members."""
    return asking.export_segment(
        call.house.table, Asking(call.house.functions), call.signed_in, segment_id, body, key=call.key, now=call.now
    )


@segments.get("/segments/{segment_id}/exports/{export_id}", refuses=(PermissionMissing, ExportUnknown))
def get_segment_export(segment_id: SegmentId, export_id: SegmentExportId, query: PartQuery, call: Call) -> Sheet:
    """A part of an export, as CSV."""
    house = call.house
    return Sheet(asking.read_export(house.table, house.objects, call.signed_in, segment_id, export_id, query.part))
