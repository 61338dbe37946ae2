"""Every table test ends with a proof of every account it made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chalicelib.programs.service import ProgramBook
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import DynamoTable
from tests.beach import Beach
from tests.makers import Clock
from tests.table.stand import Desk, faults_in, scan


@pytest.fixture
def desk(table: DynamoTable, keyring: Keyring, book: ProgramBook, clock: Clock) -> Desk:
    """Serves members over the test's table; the program is in force."""
    made = Desk(table, keyring, book, clock)
    book.current(clock())
    return made


@pytest.fixture
def beach(tmp_path: Path, clock: Clock) -> Beach:
    """A till over a table in memory, and the lake that what happens there flows into."""
    return Beach(tmp_path / "lake", clock)


@pytest.fixture(autouse=True)
def every_account_verifies(request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test, each account follows from its entries."""
    if "table" not in request.fixturenames:
        yield
        return
    table: DynamoTable = request.getfixturevalue("table")
    dynamo: Dynamo = request.getfixturevalue("dynamo")
    yield
    assert faults_in(table, scan(dynamo, table.name)) == []
