"""What `make faults` counts is kept by subject, and shown."""

import json
from pathlib import Path
from typing import Any

import pytest

from local import reliability
from tests.faults import __main__ as faults

RUN: dict[str, Any] = {"code": "c", "seed": 7, "size": 300, "kills": 50, "tests": 2, "seconds": 9}
KILLS = {"kills": {"relay": 3, "work-job": 4}, "due": 10, "enrolled": 5, "sold": 15, "entries": 40, "moved_back": 1}
CRASHES = [
    {"operation": "spend points", "group": "points", "way": "spend_points", "calls": 2, "deaths": 4},
    {"operation": "edit", "group": "members", "way": "edit_member", "calls": 2, "deaths": 0, "reason": "its version"},
    {"operation": "look", "group": "members", "way": "get_member", "calls": 1, "deaths": 0},
]


def test_what_was_counted_is_kept_beside_what_others_counted_and_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    results, counted, shown = (tmp_path / name for name in ("sim.json", "faults.json", "page.md"))
    results.write_text("{}")
    for module in (reliability, faults):
        monkeypatch.setattr(module, "FAULTS", counted)
        monkeypatch.setattr(module, "PAGE", shown)
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(reliability, "RESULTS", results)
    faults.keep({"crashes": {**RUN, "found": CRASHES}})
    faults.keep({"kills": {**RUN, "found": [KILLS]}})

    assert set(json.loads(counted.read_text())) == {"crashes", "kills"}
    page = shown.read_text()
    assert "1 operations, 2 table calls, 4 deaths:\n100 % of the points covered" in page
    assert "- `edit_member`: its version" in page
    assert "**7 kills (3 relay, 4 work-job): 0 wrong.**" in page
    assert "`make faults ONLY=kills KILLS=50 SEED=7`" in page


def test_what_was_counted_is_nothing_where_something_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = faults.Figures()
    broken: dict[str, Any] = {
        "nodeid": "tests/faults/test_kills.py::x",
        "location": ("", 0, ""),
        "keywords": {},
        "longrepr": None,
    }
    counts = [("figures", "2 kills"), ("counts", {"kills": 2})]
    for outcome in ("passed", "failed"):
        figures.pytest_runtest_logreport(
            pytest.TestReport(**broken, outcome=outcome, when="call", user_properties=counts)
        )
    assert figures.broke == ["tests/faults/test_kills.py::x"]
    assert figures.published()["kills"]["found"] == [{"kills": 2}]
    kept: list[Any] = []
    monkeypatch.setattr(faults, "keep", kept.append)
    monkeypatch.setattr(pytest, "main", lambda *_, **__: 1)
    assert faults.main(["--publish"]) == 1
    assert kept == []
