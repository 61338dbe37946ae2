"""Whatever a test opened is closed."""

from collections.abc import Callable, Iterator

import pytest

from chalicelib.runtime import wiring

Report = Callable[[str], None]


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """After the test there is no house."""
    yield
    wiring.use(None)


@pytest.fixture
def report(record_property: Callable[[str, object], None]) -> Report:
    """Says figures, which `make faults` prints."""
    return lambda words: record_property("figures", words)
