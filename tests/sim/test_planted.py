"""A simulator that finds nothing must show that it could: every planted bug is found, and without one nothing is."""

import pytest

from tests.sim.planted import BUGS, SEEDS, SIZE, TOPICS_OF
from tests.sim.runs import run


def test_without_a_bug_the_same_runs_are_clean() -> None:
    tally = run(SEEDS, SIZE)
    assert [failure.complaints for failure in tally.failures] == []
    assert tally.runs == len(SEEDS)


def test_there_are_enough_of_them() -> None:
    assert len(BUGS) >= 78


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    BUGS[name](monkeypatch)
    for size in (SIZE, 3 * SIZE):  # some want a longer life
        found = [failure.invariant for failure in run(SEEDS, size, topics=TOPICS_OF[name]).failures]
        if found:
            break
    assert found, f"{name} was not found: the simulator is too weak"
    assert found != ["bug"], f"{name} breaks by itself, and shows nothing of the simulator"
