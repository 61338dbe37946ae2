"""What a patch and a base take at ten million members: seconds and memory, by a process of its own, on two threads."""

import itertools
import resource
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench import lakes
from bench.report import Figure, table
from chalicelib.lake import service, store
from chalicelib.lake.service import Lake
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place

GOAL = 900.0
"""Seconds: what a function may take. Memory and scratch are 10 GB each."""
_MEMORY_MB = 4096


class _Ops:
    """A table of one item: the head."""

    def __init__(self) -> None:
        self.item: dict[str, Any] | None = None

    def get(self, key: Key, *, consistent: bool = False) -> dict[str, Any] | None:  # noqa: ARG002
        """See `Table.get`."""
        return self.item

    def commit(self, writes: Any, *, keyed: bool = False) -> None:  # noqa: ARG002
        """See `Table.commit`."""
        self.item = writes[0].item


def run(*, quick: bool = False) -> Figure:
    """Make a lake of ten million, patch it with what a busy minute brings, make a base of it."""
    return measured(*((20_000, 200) if quick else (10_000_000, 2_000)))


def measured(members: int, touched: int) -> Figure:
    """The same for so many members, of whom so many bought something."""
    folder = Path(tempfile.mkdtemp(prefix="regulars-lake-"))
    try:
        place = Place(str(folder), scratch=str(folder / "scratch"), memory_mb=_MEMORY_MB, threads=2)
        draws = itertools.count(2)
        lake = Lake(_Ops(), FolderObjects(folder), place, lambda: next(draws))  # type: ignore[arg-type]
        lakes.make(lake, members)
        now = lakes.MADE_AT + timedelta(hours=5)
        store.keep_batch(lake.objects, [_purchase(number * (members // touched)) for number in range(touched)], now=now)
        began = time.monotonic()
        assert service.patch(lake, today=now.date(), now=now).moved
        patched = time.monotonic() - began
        began = time.monotonic()
        service.rebase(lake, today=now.date(), now=now)
        rebased = time.monotonic() - began
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        size = sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 2**20
    finally:
        shutil.rmtree(folder)
    table(["members", "patch s", "rebase s", "peak MiB", "files MiB"], [[str(members), patched, rebased, peak, size]])
    return Figure(
        "lake_size", f"s to make a base of {members:,} members, two threads", rebased, GOAL, "s",
        details={
            "patch_s": round(patched, 1), "peak_mib": round(peak), "files_mib": round(size), "limit_mb": _MEMORY_MB,
        },
    )  # fmt: skip


def _purchase(m: int) -> bytes:
    """A purchase of somebody, as a line of the log."""
    bought = {
        "id": "mem_" + str(m).rjust(16, "a"), "purchase_id": f"pur_new_{m}", "v": 0, "channel": "pos",
        "bought_on": "2026-11-02", "bought_at": 1793577600000, "paid_minor": 1000, "refunded_minor": 0,
        "tender_minor": 0, "points_earned": 10, "returned": False,
        "basket": [{"sku": "sku1", "category": "cat1", "quantity": 1, "amount": 1000}],
    }  # fmt: skip
    return store.line_of({"purchase": bought})
