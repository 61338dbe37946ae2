"""Each bench runs on a tiny size and ends with the line that machines read."""

import json
import subprocess
import sys

import pytest

from bench.__main__ import NAMES
from local.settings import ROOT


@pytest.mark.parametrize("name", NAMES)
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
