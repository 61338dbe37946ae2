"""What the function with the lake answers. Whatever it is asked is looked at again: it believes nobody."""

import gzip
import hashlib
import io
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import SegmentExportId, SegmentId, ShopId
from chalicelib.kernel.sheets import csv_text
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.segments import rules, store
from chalicelib.segments.engine import Engine, Opens, TooSlow
from chalicelib.segments.models import DEFINITION, EXPORT_PART, LIST_MAX, All, AnyOf, Definition, InSegment
from chalicelib.segments.rules import Compiled, Resolve
from chalicelib.segments.service.finding import Register, resolver, sentences
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

BRANCH_SECONDS = 2.0
"""Branches are counted while so much time has not gone by; each has as much again."""

Answer = dict[str, Any]


class _Wrong(Exception):
    """A definition that cannot be evaluated."""

    def __init__(self, errors: list[dict[str, str]]) -> None:
        super().__init__()
        self.errors = errors


class _Unscored(Exception):
    """The definition asks for scores, and there are none."""


class _Unknown(Exception):
    """A segment that there is not."""


@dataclass(frozen=True, slots=True)
class _Question:
    asked: Mapping[str, Any]
    engine: Engine
    program: Program
    resolve: Resolve
    objects: Objects
    today: date
    register: Register

    @property
    def within(self) -> frozenset[ShopId] | None:
        shops = self.asked.get("within")
        return None if shops is None else frozenset(map(ShopId, shops))

    def definition(self) -> Definition:
        try:
            read = DEFINITION.validate_json(json.dumps(self.asked["definition"]))
        except ValidationError as misfit:
            raise _Wrong([{"pointer": "/definition", "detail": f"{misfit.error_count()} faults"}]) from None
        faults = rules.check(read, self.resolve, program=self.program, sources=self.register.sources(read))
        if faults:
            raise _Wrong([{"pointer": f"/definition{each.pointer}", "detail": each.detail} for each in faults])
        return read

    def compiled(self, definition: Definition) -> Compiled:
        if not self.engine.scored and rules.uses_scores(definition, self.resolve):
            raise _Unscored
        zone = self.program.time_zone
        return rules.compiled(definition, today=self.today, resolve=self.resolve, time_zone=zone, within=self.within)

    def segment(self, segment_id: SegmentId) -> Compiled:
        if self.resolve(segment_id) is None:
            raise _Unknown(segment_id)
        return self.compiled(InSegment(kind="segment", segment_id=segment_id))


def answer(
    table: Table, book: ProgramBook, objects: Objects, opens: Opens, asked: Mapping[str, Any], *, now: datetime
) -> Answer:
    """The answer to a question, or the fault that it has, by name.

    Raises:
        KeyError, ValueError: it is no question.
    """
    program = book.current(now)
    today = local_day(now, program.time_zone)
    reply = _REPLIES[asked["ask"]]
    with opens(today, now) as engine:
        try:
            pinned = asked.get("pinned")
            resolve = resolver(table) if pinned is None else rules.resolver_from(pinned)
            return reply(_Question(asked, engine, program, resolve, objects, today, Register(table)))
        except TooSlow:
            return {"fault": "too_slow", "seconds": int(engine.seconds)}
        except _Wrong as wrong:
            return {"fault": "wrong", "errors": wrong.errors}
        except _Unscored:
            return {"fault": "rfm_not_ready"}
        except _Unknown as unknown:
            return {"fault": "unknown", "segment_id": str(unknown)}


_COUNT = "SELECT count(*) FROM members WHERE"


def _count(q: _Question) -> Answer:
    definition = q.definition()
    started = time.monotonic()
    whole = q.compiled(definition)
    count = q.engine.number(f"{_COUNT} {whole.where}", whole.params)
    everybody = q.compiled(All.model_construct(kind="all", of=()))
    branches: list[Answer] = []
    if q.asked.get("branches") and isinstance(definition, All | AnyOf) and len(definition.of) > 1:
        quickly = replace(q.engine, seconds=BRANCH_SECONDS)
        for number, each in enumerate(definition.of):
            if time.monotonic() - started > BRANCH_SECONDS:
                break
            branch = q.compiled(each)
            try:
                some = quickly.number(f"{_COUNT} {branch.where}", branch.params)
            except TooSlow:
                break
            said = sentences(each, q.program, q.resolve, q.register)
            branches.append({"pointer": f"/definition/of/{number}", "count": some, "sentence": said.model_dump()})
    return {
        "count": count,
        "of": q.engine.number(f"{_COUNT} {everybody.where}", everybody.params),
        "sentence": sentences(definition, q.program, q.resolve, q.register).model_dump(),
        "branches": branches,
        "as_of": q.engine.built_at.isoformat(),
    }


_MEMBER = (
    "member_id", "status", "joined_on", "tier_id", "shop_id", "points", "purchases_count", "spent_minor",
    "last_bought_on",
)  # fmt: skip


def _members(q: _Question) -> Answer:
    some = q.segment(SegmentId(q.asked["segment_id"]))
    limit, after = int(q.asked["limit"]), q.asked.get("after")
    sql = f"FROM members SELECT {', '.join(_MEMBER)} WHERE ({some.where})"
    params = [*some.params]
    if after is not None:
        sql += " AND member_id > ?"
        params.append(str(after))
    rows = q.engine.rows(f"{sql} ORDER BY member_id LIMIT ?", [*params, limit + 1])
    members = [dict(zip(_MEMBER, map(_plain, row), strict=True)) for row in rows[:limit]]
    return {"members": members, "last": members[-1]["member_id"] if len(rows) > limit else None}


def _entering(q: _Question) -> Answer:
    """A page of a segment's member ids, for those who look at each member afresh.

    Of a list all who are on it, whether the lake knows them yet or not.
    """
    segment_id, limit, after = SegmentId(q.asked["segment_id"]), int(q.asked["limit"]), q.asked.get("after")
    found = q.resolve(segment_id)
    if found is not None and found.listed is not None:
        some = rules.listed(found.listed)
        source = f"({some.where})"
    else:
        some = q.segment(segment_id)
        source = f"(FROM members SELECT member_id WHERE {some.where})"
    sql, params = f"FROM {source} SELECT member_id", [*some.params]
    if after is not None:
        sql += " WHERE member_id > ?"
        params.append(str(after))
    ids = [row[0] for row in q.engine.rows(f"{sql} ORDER BY member_id LIMIT ?", [*params, limit + 1])]
    return {"member_ids": ids[:limit], "last": ids[limit - 1] if len(ids) > limit else None}


def _fitting(q: _Question) -> Answer:
    """Those of some members who fit a definition."""
    some = q.compiled(q.definition())
    params: list[Any] = [[str(each) for each in q.asked["member_ids"]], *some.params]
    sql = f"FROM members SELECT member_id WHERE list_contains(?, member_id) AND ({some.where})"
    return {
        "member_ids": [row[0] for row in q.engine.rows(sql, params)],
        "as_of": q.engine.built_at.isoformat(),
    }


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _overlap(q: _Question) -> Answer:
    ids = [SegmentId(each) for each in q.asked["segment_ids"]]
    each = [q.segment(segment_id) for segment_id in ids]
    columns = ", ".join(f"(({some.where}) IS TRUE) AS s{number}" for number, some in enumerate(each))
    names = ", ".join(f"s{number}" for number in range(len(ids)))
    params = [param for some in each for param in some.params]
    rows = q.engine.rows(f"FROM (FROM members SELECT {columns}) SELECT {names}, count(*) GROUP BY {names}", params)
    regions = [
        {"segment_ids": [name for name, inside in zip(ids, row, strict=False) if inside], "count": row[-1]}
        for row in sorted(rows, reverse=True)
        if any(row[:-1])
    ]
    sizes = {name: sum(row[-1] for row in rows if row[number]) for number, name in enumerate(ids)}
    return {"sizes": sizes, "regions": regions, "as_of": q.engine.built_at.isoformat()}


# ---------------------------------------------------------------- writing lists and exports


def _freeze(q: _Question) -> Answer:
    some = q.compiled(q.definition())
    packed, seen, count = io.BytesIO(), hashlib.sha256(), 0
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=6, mtime=0) as file:
        sql = f"FROM members SELECT member_id WHERE {some.where} ORDER BY member_id"
        for rows in q.engine.slices(sql, some.params, EXPORT_PART):
            text = "".join(f"{row[0]}\n" for row in rows).encode()
            seen.update(text)
            file.write(text)
            count += len(rows)
            if count > LIST_MAX:
                return {"fault": "list_too_long"}
    listed = store.keep_packed_list(
        q.objects, SegmentId(q.asked["segment_id"]), packed.getvalue(), seen.hexdigest(), count
    )
    return {"key": listed.key, "count": listed.count}


_EXPORTED = {
    "member_id": "member_id",
    "status": "status",
    "joined_on": "joined_on",
    "tier_id": "tier_id",
    "points": "points",
    "points_pending": "points_pending",
    "points_earned": "points_earned",
    "points_spent": "points_spent",
    "gender": "gender",
    "language": "language",
    "age_band": "age_band",
    "birthday": "month_day",
    "shop_id": "shop_id",
    "region": "region",
    "source": "source",
    "tags": "array_to_string(tags, '; ')",
    "purchases_count": "purchases_count",
    "spent_minor": "spent_minor",
    "average_minor": "average_minor",
    "first_bought_on": "first_bought_on",
    "last_bought_on": "last_bought_on",
    "recency": "r",
    "frequency": "f",
    "monetary": "mo",
    "stage": "stage",
}


def _export(q: _Question) -> Answer:
    some = q.segment(SegmentId(q.asked["segment_id"]))
    as_of = {"as_of": q.engine.built_at.isoformat()}
    if q.asked.get("dry_run"):
        rows = q.engine.number(f"{_COUNT} {some.where}", some.params)
        return {"rows": rows, "parts": max(1, -(-rows // EXPORT_PART)), **as_of}
    export_id, names = SegmentExportId(q.asked["export_id"]), list(q.asked["columns"])
    columns = ", ".join(_EXPORTED[each] for each in names)
    sql = f"FROM members SELECT {columns} WHERE {some.where} ORDER BY member_id"
    total = parts = 0
    for rows_of_part in q.engine.slices(sql, some.params, EXPORT_PART):
        parts += 1
        total += len(rows_of_part)
        text = csv_text([names, *([_plain(value) for value in row] for row in rows_of_part)])
        store.keep_export_part(q.objects, export_id, parts, text)
    if not parts:
        parts = 1
        store.keep_export_part(q.objects, export_id, 1, csv_text([names]))
    return {"rows": total, "parts": parts, **as_of}


_REPLIES = {
    "count": _count,
    "members": _members,
    "entering": _entering,
    "overlap": _overlap,
    "freeze": _freeze,
    "export": _export,
    "fitting": _fitting,
}
