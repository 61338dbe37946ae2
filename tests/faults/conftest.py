"""Whatever a test opened is closed."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest

from chalicelib.runtime import wiring


class Report(Protocol):
    """Says what a test found, in words and in counts."""

    def __call__(self, words: str, **counts: Any) -> None:
        """Say it; counts are plain values, which can be published."""


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """After the test there is no house."""
    yield
    wiring.use(None)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Says figures, which `make faults` prints, and counts, which it can publish."""

    def say(words: str, **counts: Any) -> None:
        record_property("figures", words)
        record_property("counts", counts)

    return say
