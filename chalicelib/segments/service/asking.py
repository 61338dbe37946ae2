"""Ask the function that has the lake: how many, who, how far they overlap. The API itself never loads its engine."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.kernel.canonical import digest
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import SegmentExportId, SegmentId, ShopId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.lake.errors import LakeMissing
from chalicelib.segments import store
from chalicelib.segments.errors import (
    DefinitionWrong,
    ExportUnknown,
    ListTooLong,
    RfmNotReady,
    SegmentDiffers,
    SegmentsSilent,
    SegmentTooHeavy,
    SegmentUnknown,
)
from chalicelib.segments.models import (
    DEFINITION,
    LIST_MAX,
    CompareSegments,
    CountMembers,
    Definition,
    ExportSegment,
    ListOf,
    SegmentCount,
    SegmentExport,
    SegmentMember,
    SegmentOverlap,
    SegmentSize,
)
from chalicelib.segments.service.finding import resolver
from chalicelib.storage.functions import FunctionFailed, Functions
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

FUNCTION = "segments-answer"


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks, for somebody.

    Attributes:
        within: the shops whose members they may count; None: all.
    """

    functions: Functions
    within: frozenset[ShopId] | None = None

    def ask(self, what: str, **question: Any) -> dict[str, Any]:
        """The answer to a question.

        Raises:
            SegmentsSilent: nobody answered.
            LakeMissing: there is nothing to count by.
            SegmentTooHeavy, DefinitionWrong, SegmentUnknown, RfmNotReady: as they say.
        """
        asked = {"ask": what, "within": sorted(self.within) if self.within is not None else None, **question}
        try:
            answer = self.functions.ask(FUNCTION, asked)
        except (FunctionFailed, Trouble):
            raise SegmentsSilent from None
        match answer.get("fault"):
            case None:
                return answer
            case "too_slow":
                raise SegmentTooHeavy(seconds=answer["seconds"])
            case "list_too_long":
                raise ListTooLong(most=LIST_MAX)
            case "rfm_not_ready":
                raise RfmNotReady
            case "lake_missing":
                raise LakeMissing
            case "unknown":
                raise SegmentUnknown(segment_id=answer["segment_id"])
            case _:
                raise DefinitionWrong(answer["errors"])

    def freeze(self, segment_id: SegmentId, definition: Definition) -> ListOf:
        """Those who fit a definition now, written as a list.

        Raises:
            SegmentsSilent, SegmentTooHeavy, ListTooLong, DefinitionWrong, RfmNotReady: as they say.
        """
        answer = self.ask("freeze", segment_id=segment_id, definition=_document(definition))
        return ListOf(key=answer["key"], count=answer["count"])


def _document(definition: Definition) -> Any:
    return DEFINITION.dump_python(definition, mode="json", exclude_none=True)


def count_members(asking: Asking, command: CountMembers) -> SegmentCount:
    """How many members fit a definition, while it is being written.

    Raises:
        DefinitionWrong: it cannot be evaluated.
        SegmentTooHeavy: counting takes too long.
        RfmNotReady: it asks for scores, and there are none yet.
        SegmentsSilent: nobody answered; safe to try again.
        LakeMissing: there is nothing to count by.
    """
    answer = asking.ask("count", definition=_document(command.definition), branches=command.branches)
    return SegmentCount.model_validate_json(_json(answer))


def list_members(
    table: Table, asking: Asking, segment_id: SegmentId, *, after: str | None, limit: int
) -> Slice[SegmentMember]:
    """A page of a segment's members, by their ids.

    Raises:
        SegmentUnknown: there is none of that id.
        SegmentTooHeavy: it takes too long.
        RfmNotReady: scores are asked for, and there are none yet.
        SegmentsSilent: nobody answered; safe to try again.
        LakeMissing: there is nothing to count by.
    """
    require_there(table, [segment_id])
    answer = asking.ask("members", segment_id=segment_id, after=after, limit=limit)
    members = tuple(SegmentMember.model_validate_json(_json(each)) for each in answer["members"])
    return Slice(members, answer["last"])


def compare_segments(table: Table, asking: Asking, command: CompareSegments) -> SegmentOverlap:
    """How far segments overlap.

    Raises:
        SegmentUnknown: one of them does not exist.
        SegmentTooHeavy: it takes too long.
        RfmNotReady: scores are asked for, and there are none yet.
        SegmentsSilent: nobody answered; safe to try again.
        LakeMissing: there is nothing to count by.
    """
    wanted = list(dict.fromkeys(command.segment_ids))
    require_there(table, wanted)
    return SegmentOverlap.model_validate_json(_json(asking.ask("overlap", segment_ids=wanted)))


def require_there(table: Table, segment_ids: Sequence[SegmentId]) -> None:
    """Refuse segments that there are not.

    Raises:
        SegmentUnknown: the first of them.
    """
    resolve = resolver(table)
    for each in segment_ids:
        if resolve(each) is None:
            raise SegmentUnknown(segment_id=each)


def list_sizes(table: Table, ops: Table, segment_id: SegmentId, *, after: str | None, limit: int) -> Slice[SegmentSize]:
    """How large a segment was, the latest day first.

    Raises:
        SegmentUnknown: there is none of that id.
    """
    require_there(table, [segment_id])
    found = store.list_sizes(ops, segment_id, before=after, limit=limit + 1)
    more = len(found) > limit
    return Slice(found[:limit], found[limit - 1].day.isoformat() if more else None)


# ---------------------------------------------------------------- exports


def export_segment(
    table: Table,
    asking: Asking,
    caller: Caller,
    segment_id: SegmentId,
    command: ExportSegment,
    *,
    key: str,
    now: datetime,
) -> Outcome[SegmentExport]:
    """Write a segment's members to a spreadsheet, in parts.

    Raises:
        PermissionMissing: whoever may not read members gets no rows about them either.
        SegmentUnknown: there is none of that id.
        SegmentDiffers: this key was used before, for other columns.
        SegmentTooHeavy: it takes too long.
        RfmNotReady: scores are asked for, and there are none yet.
        SegmentsSilent: nobody answered; safe to try again.
        LakeMissing: there is nothing to count by.
    """
    _require_reader(caller)
    export_id = SegmentExportId.of(segment_id, key)
    content = digest([*command.columns])
    known = store.find_export(table, export_id)
    if known is not None:
        return _exported(known, content)
    require_there(table, [segment_id])
    question = {"segment_id": segment_id, "export_id": export_id, "columns": list(command.columns)}
    answer = asking.ask("export", **question, dry_run=command.dry_run)
    export = SegmentExport(
        export_id=export_id, segment_id=segment_id, columns=command.columns, rows=answer["rows"],
        parts=answer["parts"], as_of=datetime.fromisoformat(answer["as_of"]), created_at=now,
    )  # fmt: skip
    if command.dry_run:
        return Outcome(export, stored=False)
    try:
        table.commit([store.add_export(export, content=content, by=caller.subject)])
    except store.ExportKnown:
        first = store.find_export(table, export_id)
        assert first is not None, "an export is never deleted"
        return _exported(first, content)
    return Outcome(export)


def _exported(known: tuple[SegmentExport, bytes], content: bytes) -> Outcome[SegmentExport]:
    export, before = known
    if before != content:
        raise SegmentDiffers(segment_id=export.segment_id)
    return Outcome(export, replayed=True)


def _require_reader(caller: Caller) -> None:
    """See that somebody may read members: a list of one, exported, would say of anybody who they are."""
    if caller.scope(Permission.MEMBERS_READ) is not Scope.ALL:
        raise PermissionMissing(permission=Permission.MEMBERS_READ.value)


def read_export(
    table: Table, objects: Objects, caller: Caller, segment_id: SegmentId, export_id: SegmentExportId, part: int
) -> str:
    """A part of an export, as CSV.

    Raises:
        PermissionMissing: the caller may not read members.
        ExportUnknown: there is no such export, or no such part.
    """
    _require_reader(caller)
    known = store.find_export(table, export_id)
    if known is None or known[0].segment_id != segment_id or part > known[0].parts:
        raise ExportUnknown(export_id=export_id)
    content = objects.get(store.export_key(export_id, part))
    if content is None:
        raise ExportUnknown(export_id=export_id)
    return content.decode()


def _json(answer: Any) -> str:
    return json.dumps(answer)
