"""Fixtures of the local stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.local.stand import Stack


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A running stack without demo data."""
    made = Stack(tmp_path / "data")
    made.start()
    yield made
    made.stop()
