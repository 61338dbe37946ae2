"""The simulator itself: runs are what their seed says, and a failure is told so that a person can read it."""

from typing import Any

import pytest

from tests.sim.__main__ import added
from tests.sim.judge import judged
from tests.sim.planted import BUGS
from tests.sim.runs import Failure, invariant_of, run, shrunken, told
from tests.sim.weather import Kind
from tests.sim.world import in_memory, planned


def test_everything_holds_in_any_weather() -> None:
    tally = run(range(1_000, 1_012), 250)
    assert [failure.complaints for failure in tally.failures] == []
    assert tally.operations == 3_000
    assert set(Kind) - set(tally.struck) <= {Kind.PARTIAL}, "some kind of fault never came"  # batches are rare
    assert min(tally.told["ack"], tally.told["refused"], tally.told["unknown"]) > 300


@pytest.mark.parametrize("seed", [3, 8])
def test_a_seed_is_one_history(seed: int) -> None:
    first, second = (in_memory(planned(seed, 200)).run() for _ in range(2))
    assert first.backing.items() == second.backing.items()
    assert first.weather.struck == second.weather.struck
    assert [commit.by for commit in first.backing.log.commits] == [commit.by for commit in second.backing.log.commits]


def test_another_seed_is_another_history() -> None:
    assert planned(1, 50) != planned(2, 50)


def test_a_failure_is_cut_down_to_a_history_that_can_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS["tender_not_given_back"](monkeypatch)
    tally = run(range(1, 21), 150, topics=())
    failure = shrunken(tally.failures[0], seconds=10)
    assert [step.operation for step in failure.plan.steps][-1:] == ["return"]
    assert len(failure.plan.steps) <= 6
    assert failure.invariant == tally.failures[0].invariant
    assert judged(in_memory(failure.plan).run()) == failure.complaints
    text = told(failure, 150)
    assert f"SEED={failure.plan.seed}" in text
    assert "points given back" in text.splitlines()[0]


def test_a_run_stops_where_something_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS["seq_skips"](monkeypatch)
    tally = run(range(1, 1_000), 60)
    assert tally.runs < 20
    assert [type(each) for each in tally.failures] == [Failure]


def test_what_is_no_invariant_is_a_bug() -> None:
    assert (invariant_of("I3 M#x: gone"), invariant_of("step 4 spend: KeyError: 'x'")) == ("I3", "bug")


def test_results_of_several_runs_are_added_unless_something_would_count_twice() -> None:
    def part(first: int, last: int, **other: Any) -> dict[str, Any]:
        return {
            "code": "a", "operations_in_a_world": 100, "seeds": [[first, last]], "operations": (last - first + 1) * 100,
            "seconds": 10, "operations_a_second": 0, "told": {"ack": 3}, "faults": {"busy": 1}, **other,
        }  # fmt: skip

    both = added(added(part(1, 10), part(31, 40)), part(11, 20))
    assert (both["seeds"], both["operations"], both["operations_a_second"]) == ([[1, 20], [31, 40]], 3_000, 100)
    assert (both["told"], both["faults"]) == ({"ack": 9}, {"busy": 3})
    for other in (part(20, 21), part(50, 51, code="b"), part(50, 51, operations_in_a_world=200)):
        with pytest.raises(SystemExit):
            added(both, other)
