"""The lake says what the tables say, whatever way the records came."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chalicelib.lake import folding
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from tests.lakes import Shore
from tests.makers import Clock, a_line, a_purchase, contacts_in
from tests.memory import MemoryTable
from tests.table.stand import Desk


@pytest.fixture
def memory() -> MemoryTable:
    """A table in memory, whose stream is at hand."""
    return MemoryTable()


@pytest.fixture
def till(memory: MemoryTable, clock: Clock) -> Desk:
    """Serves members over the table in memory."""
    book = ProgramBook(memory)
    book.current(clock())
    return Desk(memory, Keyring(b"i" * 32, b"c" * 32, contacts_in(MemoryTable())), book, clock)


@pytest.fixture
def shore(tmp_path: Path) -> Shore:
    """An empty lake."""
    return Shore(tmp_path / "lake")


def test_try(till: Desk, memory: MemoryTable, shore: Shore, clock: Clock) -> None:
    ann = till.enrol(mobile="13800000001", tags=("vip",), gender="female", birthday="1990-05-06")
    till.buy(a_purchase(ann.member_id, paid_minor=10000, lines=[{"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 2, "unit_price_minor": 5000}]))
    shore.pour(memory.records(), now=clock())
    print(shore.patch(clock()))
    for v, rows in shore.all(clock()).items():
        print(v, *rows, sep="\n   ")
    print(shore.rebase(clock()))
    for v, rows in shore.all(clock(), fifths=True).items():
        print(v, *rows, sep="\n   ")
    assert 0
