"""Members walk a journey for weeks while everything goes wrong, beside an oracle that knows no faults (R7, R8, R12)."""

import pytest

from tests.faults.conftest import Report
from tests.faults.sizes import LONG, PATIENCE, SEED
from tests.journeys.test_simulated import DAYS, simulated, violations

MEMBERS, SPAN, TROUBLE = (1_000, DAYS, 0.15) if LONG else (80, 40, 0.4)


@pytest.mark.timeout(PATIENCE)
def test_every_step_is_done_once_whatever_happens(report: Report) -> None:
    world = simulated(SEED, MEMBERS, days=SPAN, trouble=TROUBLE)
    ways, faults = world.ways(), world.points.met
    assert violations(world) == []
    assert len(ways) > 120
    assert sum(faults.values()) > 300, faults
    assert set(faults) == {"before", "after", "busy", "lost", "meanwhile"}
    steps, messages = sum(len(each.path) for each in ways), sum(world.mail.got.values())
    report(
        f"{MEMBERS:,} members over {SPAN} days: {len(ways):,} ways, {steps:,} steps, {messages:,} messages, "
        f"{sum(faults.values()):,} faults",
        members=MEMBERS, days=SPAN, ways=len(ways), steps=steps, messages=messages, faults=sum(faults.values()),
    )  # fmt: skip
