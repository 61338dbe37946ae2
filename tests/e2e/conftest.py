"""One deployed stack for all end-to-end tests: they run one after another in one process, beside all other tests."""

import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.deploy.artifact import RUNTIME
from local.deploy.package import package
from local.dynamo import install_ministack
from local.settings import ACCOUNT
from tests.e2e.stand import Deployed, deployed

_MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the first test wait until everything is packaged and deployed."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make package ENV=dev` makes for this machine and for the account that ministack has."""
    if sys.version_info[:2] != RUNTIME:
        pytest.skip("only the runtime's Python 3.13 can package and run the zip; .venv has another")
    if sys.platform != "linux":
        pytest.skip("the zip holds Linux wheels, and ministack runs it on this machine")
    changes = [f"Account={ACCOUNT}", f"Architecture={_MACHINES[platform.machine()]}", "WorkConcurrency=2"]
    return package("dev", changes, tmp_path_factory.mktemp("package") / "dev")


@pytest.fixture(scope="session")
def stack(packaged: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The deployed stack."""
    install_ministack()
    folder = tmp_path_factory.mktemp("ministack")
    try:
        yield from deployed(folder, packaged)
    finally:
        for large in (*folder.glob("ministack-lambda-*"), folder / "unpacked"):
            shutil.rmtree(large, ignore_errors=True)
