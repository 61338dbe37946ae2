"""What tests stand on: a DynamoDB per worker, a table per test, and the app over both."""

import itertools
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

# Routes read the web origin when they are declared; the rest of the environment is never read in tests.
os.environ.setdefault("REGULARS_CORS_ORIGIN", "*")  # noqa: TID251 - before the first import of the app

import app
from chalicelib.campaigns import jobs as campaigns_jobs
from chalicelib.deliveries import jobs as deliveries_jobs
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.segments import jobs as segments_jobs
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.functions import LocalFunctions
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.signing import FileSigner
from chalicelib.storage.table import DynamoTable
from local.dynamo import Dynoxide
from local.keys import ensure_signing_key
from local.tables import TEMPLATE, table_calls
from tests.makers import Api, Clock, Tray, contacts_in
from tests.memory import MemoryTable, SharedTable
from tests.sharing import Sharing

ISSUER, AUDIENCE = "https://test.regulars.invalid", "regulars"
TOKEN_KEY = bytes(range(32))

app.app.open()  # tests look at all routes; that a function opens them one by one has a test of its own (test_rooms)

_numbers = itertools.count()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    """Share the tests among processes in our way."""
    return Sharing(config, log)


@pytest.fixture(scope="session")
def dynamodb() -> Iterator[str]:
    """Where a DynamoDB answers that lives as long as the test worker."""
    path = Path(f"/dev/shm/regulars-test-{os.getpid()}.db")
    try:
        with Dynoxide(path) as server:
            yield server.endpoint
    finally:
        for leftover in path.parent.glob(path.name + "*"):
            leftover.unlink()


@pytest.fixture(scope="session")
def dynamo(dynamodb: str) -> Iterator[Dynamo]:
    """A client of the test worker's DynamoDB."""
    client = Dynamo("us-east-1", dynamodb, lambda: Credentials("test", "test"), lambda: datetime.now(UTC))
    yield client
    client.close()


@pytest.fixture
def table(dynamo: Dynamo) -> Iterator[DynamoTable]:
    """An empty table `core` of the test's own, as the template declares it."""
    with _made(dynamo, "core") as made:
        yield made


@pytest.fixture
def ops(dynamo: Dynamo) -> Iterator[DynamoTable]:
    """An empty table `ops` of the test's own."""
    with _made(dynamo, "ops") as made:
        yield made


@pytest.fixture
def other_table(dynamo: Dynamo) -> Iterator[DynamoTable]:
    """A second empty table `core`, to do the same in another way."""
    with _made(dynamo, "core") as made:
        yield made


@contextmanager
def _made(dynamo: Dynamo, which: str) -> Iterator[DynamoTable]:
    calls = table_calls(json.loads(TEMPLATE.read_text()), f"t{next(_numbers)}")
    call = next(call for call in calls if call["TableName"].endswith(f"-{which}"))
    dynamo.call("CreateTable", {key: value for key, value in call.items() if key != "TimeToLiveSpecification"})
    yield DynamoTable(dynamo, call["TableName"])
    dynamo.call("DeleteTable", {"TableName": call["TableName"]})


@pytest.fixture
def vault() -> MemoryTable:
    """An empty table `vault` of the test's own."""
    return SharedTable()


@pytest.fixture
def vault_table(dynamo: Dynamo) -> Iterator[DynamoTable]:
    """An empty table `vault` in the test worker's DynamoDB."""
    with _made(dynamo, "vault") as made:
        yield made


@pytest.fixture
def keyring(vault: MemoryTable) -> Keyring:
    """Keys for tests."""
    return Keyring(b"i" * 32, b"c" * 32, contacts_in(vault))


@pytest.fixture
def book(table: DynamoTable) -> ProgramBook:
    """The program of the test's table: the default one."""
    return book_of(table)


@pytest.fixture
def clock() -> Clock:
    """The time, as the test says."""
    return Clock(datetime(2026, 3, 15, 4, 0, tzinfo=UTC))


@pytest.fixture(scope="session")
def signer(tmp_path_factory: pytest.TempPathFactory) -> FileSigner:
    """A key that signs, of the test worker's own."""
    path = tmp_path_factory.mktemp("keys") / "signing_key.pem"
    ensure_signing_key(path)
    return FileSigner(path)


@pytest.fixture
def roots(tmp_path: Path) -> FolderObjects:
    """A folder for what is written once."""
    return FolderObjects(tmp_path / "roots")


@pytest.fixture
def house(
    table: DynamoTable,
    ops: DynamoTable,
    keyring: Keyring,
    clock: Clock,
    roots: FolderObjects,
    signer: FileSigner,
    tmp_path: Path,
) -> Iterator[House]:
    """The app's surroundings, with the test's table and clock."""
    settings = Settings(
        stage="test", stack="test", region="us-east-1", dynamodb_endpoint=None,
        index_key=keyring.index_key, cursor_key=keyring.cursor_key, token_key=TOKEN_KEY,
        issuer=ISSUER, audience=AUDIENCE, job_queue="jobs", journey_queue="journey-steps", roots="roots",
        signing_key="key",
    )  # fmt: skip
    issuer = wiring.issuer(settings, signer)
    made = House(
        settings, table, keyring, clock, ops=ops, queues=Tray(), roots=roots, signer=signer, issuer=issuer,
        gate=wiring.gate(settings, table, issuer, ops), objects=FolderObjects(tmp_path / "archive"),
        functions=LocalFunctions(
            {
                "deliveries-answer": deliveries_jobs.answer,
                "segments-answer": segments_jobs.answer_segments,
                "campaigns-answer": campaigns_jobs.answer_campaigns,
                "campaigns-test": campaigns_jobs.send_campaign_tests,
            }
        ),
        place=Place(str(tmp_path / "archive"), scratch=str(tmp_path / "scratch"), memory_mb=256, threads=1),
    )  # fmt: skip
    wiring.use(made)
    yield made
    wiring.use(None)


@pytest.fixture
def api(house: House, clock: Clock) -> Api:
    """The app over HTTP events, signed in as an admin."""
    return Api(clock, TOKEN_KEY, ISSUER, AUDIENCE)
