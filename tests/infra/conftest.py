"""The templates, made once for each test worker."""

import json
from pathlib import Path

import pytest

from local.deploy.environments import ENVS
from local.deploy.intrinsics import Json
from local.deploy.validate import templates
from tests.infra.policies import Stacks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever test comes first may have to wait until .venv-infra is made."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def made() -> dict[str, Json]:
    """The templates of all stacks, the app's expanded."""
    return templates()


@pytest.fixture(scope="session")
def stacks(made: dict[str, Json]) -> Stacks:
    """All that is deployed."""
    envs = {path.stem: json.loads(path.read_text()) for path in sorted(ENVS.glob("*.json"))}
    return Stacks(data=made["data"], app=made["app"], web=made["web"], envs=envs)
