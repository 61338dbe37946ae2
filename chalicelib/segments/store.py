"""How segments are stored.

Table `core`: `SEG#<segment>` / `SEG` what a segment says, listed by the timeline index of its state; the definition is
kept as the text of a document, because it may be deeper than items can be · `SEGS` / `GRAPH` which segments there are
and what each depends on, replaced in the transaction that changes it, so that no two edits at once make a circle ·
`SGX#<export>` / `SGX` an export · `SGU#<segment>` / `USE#<campaign or journey>` what is at work with it.

Table `ops`: `SGS#<segment>` / `STATE` who was in it when it was looked at last, `D#<day>` how large it was on a day.
"""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.ids import SegmentExportId, SegmentId
from chalicelib.segments.errors import SegmentMoved
from chalicelib.segments.models import (
    DEFINITION,
    ListOf,
    Segment,
    SegmentExport,
    SegmentKind,
    SegmentSize,
    SegmentState,
    TagRule,
)
from chalicelib.segments.rules.checking import Graph, Knot, named_in, tags_in
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Delete, Item, Put, Unchanged, Write

SIZES_KEPT = timedelta(days=800)


class Raced(Exception):
    """What was read has changed: read again and decide again. Never leaves the service."""


class SegmentKnown(Exception):
    """The key made a segment before. Never leaves the service."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item


class ExportKnown(Exception):
    """The key made an export before. Never leaves the service."""


# ---------------------------------------------------------------- reading


def find_item(table: Table, segment_id: SegmentId) -> Item | None:
    """The item of a segment as it is now, or None."""
    return table.get(keys.segment(segment_id), consistent=True)


def find_segments(table: Table, segment_ids: Sequence[SegmentId]) -> dict[SegmentId, Segment]:
    """Several segments as they are now; those that there are not are left out."""
    wanted = {keys.segment(each): each for each in dict.fromkeys(segment_ids)}
    found = table.get_many(list(wanted), consistent=True)
    return {wanted[key]: segment_from(item) for key, item in found.items()}


def find_source_names(table: Table, source_ids: Iterable[str]) -> dict[str, str]:
    """How campaigns and journeys are called that there are. They stand above segments: only their names are read."""
    wanted = {(keys.campaign if each.startswith("cmp_") else keys.journey)(each): each for each in source_ids}
    found = table.get_many(list(wanted), consistent=True)
    return {
        wanted[key]: item["name"] if "name" in item else json.loads(item["definition"])["name"]
        for key, item in found.items()
    }


def find_graph(table: Table) -> tuple[dict[SegmentId, Knot], int]:
    """Which segments there are, what each depends on, and the version of that."""
    item = table.get(keys.SEGMENT_GRAPH, consistent=True)
    if item is None:
        return {}, 0
    return {SegmentId(name): _knot(parts) for name, parts in item["knots"].items()}, item["version"]


def list_segments(
    table: Table, state: SegmentState, *, after: str | None, limit: int
) -> tuple[tuple[Segment, ...], str | None]:
    """A page of segments, the newest first, and where the next one starts."""
    rows = table.query_timeline(keys.segments(state), after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted)
    return tuple(segment_from(found[key]) for key in wanted if key in found), rows.last


def find_export(table: Table, export_id: SegmentExportId) -> tuple[SegmentExport, bytes] | None:
    """An export and the digest of what was asked for, or None."""
    item = table.get(keys.segment_export(export_id), consistent=True)
    return (export_from(item), item["content"]) if item is not None else None


@dataclass(frozen=True, slots=True)
class Sized:
    """How large a segment was when it was looked at last.

    Attributes:
        edition: of what was counted; of one of which nobody is told, the version of the segment.
        listed: the list that was counted.
    """

    count: int
    day: date
    at: datetime | None
    edition: int
    listed: str | None


def find_sizes(ops: Table, segment_ids: Sequence[SegmentId]) -> dict[SegmentId, Sized]:
    """How large segments were when they were looked at last."""
    wanted = {keys.segment_state(each): each for each in segment_ids}
    found = ops.get_many(list(wanted))
    return {wanted[key]: _sized(item) for key, item in found.items() if "count" in item}


def _sized(item: Item) -> Sized:
    at = from_milliseconds(item["at"]) if "at" in item else None
    return Sized(item["count"], date.fromisoformat(item["day"]), at, item["edition"], item.get("base"))


def list_sizes(ops: Table, segment_id: SegmentId, *, before: str | None, limit: int) -> tuple[SegmentSize, ...]:
    """How large a segment was, the latest day first, from before a day on."""
    first = keys.segment_size(segment_id, date.min)
    last = keys.segment_size(segment_id, date.max if before is None else date.fromisoformat(before) - timedelta(days=1))
    items = ops.query_partition(first.pk, first=first.sk, last=last.sk, newest_first=True, limit=limit)
    return tuple(SegmentSize(day=date.fromisoformat(keys.parted(item["sk"])[1]), count=item["count"]) for item in items)


# ---------------------------------------------------------------- lists and exports

LISTS = "segments/lists"
EXPORTS = "segments/exports"
_GZIP, _CSV = "application/gzip", "text/csv; charset=utf-8"


def keep_list(objects: Objects, segment_id: SegmentId, member_ids: Iterable[str]) -> ListOf:
    """Write the list of a static segment. Its name follows from what is in it, so nothing that is read is replaced."""
    ordered = sorted(set(member_ids))
    text = "".join(f"{each}\n" for each in ordered).encode()
    digest = hashlib.sha256(text).hexdigest()
    return keep_packed_list(objects, segment_id, gzip.compress(text, 6, mtime=0), digest, len(ordered))


def keep_packed_list(objects: Objects, segment_id: SegmentId, packed: bytes, digest: str, count: int) -> ListOf:
    """Write the list of a static segment.

    Args:
        packed: its sorted lines, by gzip.
        digest: of the lines as they are.
    """
    key = f"{LISTS}/{segment_id}/{digest[:32]}.csv.gz"
    objects.put(key, packed, kind=_GZIP)
    return ListOf(key=key, count=count)


def read_list(objects: Objects, listed: ListOf) -> list[str]:
    """The member ids of a list; none, where it is gone."""
    content = objects.get(listed.key)
    return gzip.decompress(content).decode().split() if content is not None else []


def export_key(export_id: SegmentExportId, part: int) -> str:
    """Where a part of an export is."""
    return f"{EXPORTS}/{export_id}/{part:04d}.csv"


def keep_export_part(objects: Objects, export_id: SegmentExportId, part: int, text: str) -> None:
    """Write a part of an export."""
    objects.put(export_key(export_id, part), text.encode(), kind=_CSV)


# ---------------------------------------------------------------- describing writes


def add_segment(segment: Segment, *, content: bytes) -> Write:
    """The write of a new segment."""
    item = _item(segment) | {"content": content}
    return Put(keys.segment(segment.segment_id), item, Absent(), SegmentKnown)


def replace_segment(before: Segment, after: Segment, *, content: bytes) -> Write:
    """The write of a changed segment.

    Args:
        content: the digest of the command that made it, which stays.
    """

    def moved(found: Item) -> Exception:
        return SegmentMoved(read=before.version, current=found.get("version", 0))

    item = _item(after.model_copy(update={"version": before.version + 1})) | {"content": content}
    return Put(keys.segment(after.segment_id), item, Unchanged(before.version), moved)


def replace_graph(graph: Graph, version: int) -> Write:
    """The write of which segments there are, unless that changed since it was read."""
    item = {"knots": {name: _knot_parts(knot) for name, knot in graph.items()}, "version": version + 1}
    return Put(keys.SEGMENT_GRAPH, item, Unchanged(version) if version else Absent(), lambda _: Raced())


def add_export(export: SegmentExport, *, content: bytes, by: str) -> Write:
    """The write of an export."""
    item: Item = {
        "segment": export.segment_id,
        "columns": list(export.columns),
        "rows": export.rows,
        "parts": export.parts,
        "as_of": milliseconds(export.as_of),
        "created": milliseconds(export.created_at),
        "by": by,
        "content": content,
        "version": 1,
    }
    return Put(keys.segment_export(export.export_id), item, Absent(), lambda _: ExportKnown())


def use(segment_ids: Iterable[SegmentId], user_id: str) -> list[Write]:
    """The writes that say that something that is at work uses segments; beside the write that has it begin."""
    wanted = [keys.segment_use(each, user_id) for each in sorted(set(segment_ids))]
    return [Put(each, {"version": 1}, Anyway(), lambda _: Raced()) for each in wanted]


def end_use(segment_ids: Iterable[SegmentId], user_id: str) -> list[Write]:
    """The writes that say that it does no more; beside the write that ends it."""
    wanted = [keys.segment_use(each, user_id) for each in sorted(set(segment_ids))]
    return [Delete(each, Anyway(), lambda _: Raced()) for each in wanted]


def list_users(table: Table, segment_id: SegmentId) -> list[str]:
    """The campaigns and journeys at work that use a segment, as they are now."""
    rows = table.query_partition(keys.segment_uses(segment_id), first="USE", last="USE~", consistent=True)
    return [keys.parted(item["sk"])[1] for item in rows]


def knot_of(segment: Segment) -> Knot:
    """What a segment depends on."""
    gives = segment.tag_rule.tag if segment.tag_rule is not None else None
    return Knot(named_in(segment.definition), tags_in(segment.definition), gives)


# ---------------------------------------------------------------- items


def segment_from(item: Item) -> Segment:
    """The segment that an item holds."""
    rule = item.get("tag_rule")
    listed = item.get("listed")
    return Segment(
        segment_id=SegmentId(keys.parted(item["pk"])[1]),
        name=item["name"],
        note=item.get("note"),
        kind=SegmentKind(item["kind"]),
        definition=DEFINITION.validate_json(item["definition"]) if "definition" in item else None,
        listed=ListOf(key=listed[0], count=listed[1]) if listed else None,
        tag_rule=TagRule(tag=rule[0], remove=rule[1]) if rule else None,
        state=SegmentState(item["state"]),
        created_at=from_milliseconds(item["created"]),
        created_by=item["by"],
        edited_at=from_milliseconds(item["edited"]),
        edition=item["edition"],
        version=item["version"],
    )


def export_from(item: Item) -> SegmentExport:
    """The export that an item holds."""
    return SegmentExport(
        export_id=SegmentExportId(keys.parted(item["pk"])[1]),
        segment_id=SegmentId(item["segment"]),
        columns=tuple(item["columns"]),
        rows=item["rows"],
        parts=item["parts"],
        as_of=from_milliseconds(item["as_of"]),
        created_at=from_milliseconds(item["created"]),
    )


def _item(segment: Segment) -> Item:
    rule, listed = segment.tag_rule, segment.listed
    return {
        "name": segment.name,
        "note": segment.note,
        "kind": segment.kind.value,
        "definition": document(segment) if segment.definition is not None else None,
        "listed": [listed.key, listed.count] if listed is not None else None,
        "tag_rule": [rule.tag, rule.remove] if rule is not None else None,
        "state": segment.state.value,
        "created": milliseconds(segment.created_at),
        "by": segment.created_by,
        "edited": milliseconds(segment.edited_at),
        "edition": segment.edition,
        "version": segment.version,
        "tl": keys.segments(segment.state),
        "at": keys.listed_moment(segment.created_at, segment.segment_id),
    }


def document(segment: Segment) -> str:
    """A segment's definition as the text that is stored."""
    assert segment.definition is not None, "a list has no document"
    return DEFINITION.dump_json(segment.definition, exclude_none=True).decode()


def _knot(parts: Mapping[str, Any]) -> Knot:
    names = frozenset(SegmentId(each) for each in parts.get("names", ()))
    return Knot(names, frozenset(parts.get("tags", ())), parts.get("gives"))


def _knot_parts(knot: Knot) -> Item:
    parts: Item = {}
    if knot.names:
        parts["names"] = sorted(knot.names)
    if knot.tags:
        parts["tags"] = sorted(knot.tags)
    if knot.gives is not None:
        parts["gives"] = knot.gives
    return parts
