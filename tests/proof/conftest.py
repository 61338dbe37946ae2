"""Tests of proofs leave ledgers behind that do not hold, so they stand apart from the other tests of the table."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.jobs.service import Yard
from chalicelib.programs.service import ProgramBook
from chalicelib.proof.service import Roots
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.signing import FileSigner
from chalicelib.storage.table import DynamoTable
from tests.makers import Clock, Tray
from tests.proof.world import World
from tests.table.stand import Desk


@pytest.fixture
def desk(table: DynamoTable, keyring: Keyring, book: ProgramBook, clock: Clock) -> Desk:
    """Serves members over the test's table; the program is in force."""
    made = Desk(table, keyring, book, clock)
    book.current(clock())
    return made


@pytest.fixture
def world(
    desk: Desk, ops: DynamoTable, house: House, dynamo: Dynamo, roots: FolderObjects, signer: FileSigner
) -> Iterator[World]:
    """A ledger, a yard for the job, and somebody with access to the table."""
    tray = Tray()
    wiring.use(replace(house, table=desk.table, ops=ops, queues=tray, clock=desk.clock))
    told: list[dict[str, Any]] = []
    yard = Yard(
        desk.table, ops, desk.book, tray, "jobs", stack="test", roots=Roots(roots), signer=signer,
        tell=lambda what, facts: told.append({"line": what, **facts}),
    )  # fmt: skip
    yield World(desk, yard, dynamo, roots, tray, told)
    wiring.use(None)
