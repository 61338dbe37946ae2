"""The same histories over the emulator: the product's own client meets the faults on the wire."""

import pytest

from chalicelib.storage.dynamo import Dynamo
from tests.sim.runs import run
from tests.sim.weather import Kind
from tests.sim.wire import on_emulator


@pytest.mark.timeout(240)
def test_everything_holds_with_faults_on_the_wire(dynamo: Dynamo) -> None:
    tally = run(range(2_000, 2_004), 100, on_emulator(dynamo))
    assert [failure.complaints for failure in tally.failures] == []
    assert len(set(Kind) & set(tally.struck)) > 8
    assert tally.told["ack"] > 100
