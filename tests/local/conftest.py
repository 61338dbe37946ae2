"""Fixtures of the local stack."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.dynamo import install_ministack
from tests.local.planted import HANDLERS
from tests.local.stand import Stack


@pytest.fixture(scope="session", autouse=True)
def ministack() -> None:
    """ministack's venv, before the first test has to wait for it."""
    install_ministack()


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A running stack without demo data."""
    made = Stack(tmp_path / "data")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def planted(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """A running stack whose pump feeds the tests' handlers, and is impatient.

    Its parameter is the seconds that a received message stays hidden; 1 by default.
    """
    hidden = getattr(request, "param", 1)
    impatient = {"handlers": HANDLERS, "visibility": hidden, "window": 0.1, "pause": 0.03}
    made = Stack(tmp_path / "data", more={"REGULARS_LOCAL_PUMP": json.dumps(impatient)})
    made.start()
    yield made
    made.stop()
