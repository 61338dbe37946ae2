"""Each test of the contract runs over every port."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from moto import mock_aws

from chalicelib.storage.dynamo import Dynamo
from tests.contract.ports import MotoDynamo, Stand, client_of, in_memory, ministack, over

PORTS = ("memory", "dynoxide", "ministack", "moto")


@pytest.fixture(scope="session")
def ministack_dynamo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dynamo]:
    """A client of a ministack that lives as long as the test worker."""
    server = ministack(tmp_path_factory.mktemp("ministack"))
    if server is None:
        pytest.skip(".venv-ministack was not made here; `make run` or `make fire` makes it")
    with server:
        client = client_of(server.endpoint)
        yield client
        client.close()


@pytest.fixture
def moto_dynamo() -> Iterator[Dynamo]:
    """A client of moto's DynamoDB."""
    with mock_aws():
        yield MotoDynamo()


@contextmanager
def standing(name: str, request: pytest.FixtureRequest) -> Iterator[Stand]:
    """A port by its name."""
    if name == "memory":
        yield in_memory()
        return
    fixture = {"dynoxide": "dynamo", "ministack": "ministack_dynamo", "moto": "moto_dynamo"}[name]
    with over(name, request.getfixturevalue(fixture)) as stand:
        yield stand


UNTRUE = {
    ("moto", "test_a_number_is_not_its_digits_nor_the_truth"): "it takes True for the number 1",
}
"""What a stand-in does otherwise than DynamoDB, and how."""


@pytest.fixture(params=PORTS)
def stand(request: pytest.FixtureRequest) -> Iterator[Stand]:
    """A port over an empty table."""
    untrue = UNTRUE.get((request.param, request.node.originalname))
    if untrue:
        pytest.skip(f"{request.param}: {untrue}")
    with standing(request.param, request) as made:
        yield made
