"""Each bench runs on a tiny size and ends with the line that machines read."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime

import pytest

from bench import crowd
from bench.__main__ import LONG, NAMES
from bench.stack import client, database, make_table, stack_on
from local.settings import ROOT


@pytest.mark.parametrize("name", [name for name in NAMES if name not in LONG])
def test_a_bench_ends_with_its_figure(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", name, "--quick"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    line = json.loads(done.stdout.splitlines()[-1])
    assert line["bench"] == name
    assert isinstance(line["value"], float)
    assert isinstance(line["goal"], float)
    assert line["metric"]
    assert line["unit"]


def test_a_crowd_is_refused_where_the_file_holds_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    with database() as server:
        dynamo = client(server.endpoint)
        stack = stack_on(dynamo, datetime.now(UTC), metered=False)
        pattern = crowd.items_of(stack, stack.enrol())
        items = crowd.copied(pattern, 7, due=date(2026, 4, 1), month_day="03-15")
        assert crowd.write(server, dynamo, make_table(dynamo), items) == 2
        monkeypatch.setattr("bench.crowd._bytes", lambda attribute: 1)
        with pytest.raises(crowd.FileDiffers):
            crowd.write(server, dynamo, make_table(dynamo), items)
        dynamo.close()
