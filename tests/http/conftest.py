"""What the HTTP tests share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest

import app  # noqa: F401 - declares the routes, whichever file a process begins with
from chalicelib.alerts import routes
from chalicelib.alerts.rules import Tally
from chalicelib.members import routes as member_routes
from chalicelib.members.rules import Misses
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item, Write
from tests.makers import Api
from tests.table.stand import scan

Look = Callable[[], Mapping[Key, Item]]


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that has counted no refusals yet."""
    monkeypatch.setattr(routes, "TALLY", Tally())
    monkeypatch.setattr(member_routes, "MISSES", Misses())


@pytest.fixture
def look(dynamo: Dynamo, table: DynamoTable) -> Look:
    """Shows everything that the table holds."""
    return lambda: scan(dynamo, table.name)


@pytest.fixture
def marketing(house: House, api: Api) -> Api:
    """The API of a house that was told where parts go."""
    settings = replace(house.settings, send_queue="campaign-sends")
    wiring.use(replace(house, settings=settings))
    api.publish_texts("marketing")
    return api


class CountingTable(DynamoTable):
    """A table that counts the transactions it carried out."""

    commits = 0

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        super().commit(writes, keyed=keyed)
        self.commits += 1


@pytest.fixture
def counting(house: House, dynamo: Dynamo, table: DynamoTable) -> CountingTable:
    """The app's table, which tells whether anything was written; far quicker than looking."""
    made = CountingTable(dynamo, table.name)
    wiring.use(replace(house, table=made))
    return made
