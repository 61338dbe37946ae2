"""A lake of a test's own, fed by hand: records in, views out."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

from chalicelib.lake import duck, folding, service, store
from chalicelib.lake.models import Merged
from chalicelib.lake.service import Lake
from chalicelib.storage.objects import Files, FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.table import Table
from tests.memory import MemoryTable

VIEWS = ("members", "contacts", "purchases", "lines", "entries", "deliveries", "receipts", "assignments")
FIFTHS = ("r", "f", "mo")


@dataclass
class Shore:
    """A lake, and who stands beside it."""

    folder: Path
    ops: Table = field(default_factory=MemoryTable)
    objects: Files = None  # type: ignore[assignment]
    draws: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.objects = self.objects or FolderObjects(self.folder)

    @property
    def lake(self) -> Lake:
        """What patches are made with."""
        place = Place(str(self.folder), scratch=str(self.folder / "scratch"), memory_mb=256, threads=1)
        return Lake(self.ops, self.objects, place, lambda: next(self.draws))

    def pour(self, records: Iterable[Mapping[str, Any]], *, now: datetime) -> str | None:
        """Write a batch of records to the log."""
        lines = [store.line_of(*rows) for record in records if (rows := folding.rows_of(record))]
        return store.keep_batch(self.objects, lines, now=now)

    def patch(self, now: datetime) -> Merged:
        """Make a patch."""
        return service.patch(self.lake, today=now.date(), now=now)

    def rebase(self, now: datetime) -> Merged:
        """Make a base."""
        return service.rebase(self.lake, today=now.date(), now=now)

    def ask(self, sql: str, *, today: date, now: datetime, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What the views answer."""
        with duck.opened(self.lake.place, store.find_head(self.ops), today=today, now=now) as con:
            answer = con.execute(sql, params)
            names = [each[0] for each in answer.description or ()]
            return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]

    def all(self, now: datetime, *, fifths: bool = False) -> dict[str, list[str]]:
        """Everything that all views say, by members' ids, in an order that follows from it."""
        found: dict[str, list[str]] = {}
        with duck.opened(self.lake.place, store.find_head(self.ops), today=now.date(), now=now) as con:
            for view in VIEWS:
                left = "m" if fifths or view != "members" else f"m, {', '.join(FIFTHS)}"
                by = "LEFT JOIN (SELECT m AS n, member_id AS whose FROM members) ON n = m" if view != "members" else ""
                more = ", n" if by else ""
                rows = con.execute(f"SELECT * EXCLUDE ({left}{more}) FROM {view} {by}").fetchall()
                found[view] = sorted(map(repr, rows))
        return found
