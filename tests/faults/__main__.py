"""`make faults`: the faults at the size that was asked for, with seeds and figures; the last line says what held.

Files of tests to run can be named; --publish keeps what they counted in docs/figures/faults.json, beside what other
files counted before, and writes docs/reliability.md from there.
"""

import json
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest

from local.reliability import FAULTS, PAGE, page
from local.settings import ROOT
from tests.faults.sizes import KILLS, SEED, SIZE
from tests.sim.__main__ import code_digest

FILES = ("tests/faults", "tests/table/test_job_crashes.py")


class Figures:
    """Prints what tests report, as they do, and keeps what they count."""

    def __init__(self) -> None:
        self.held = 0
        self.broke: list[str] = []
        self.counts: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.tests: Counter[str] = Counter()
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say what a test found, and count."""
        subject = Path(report.nodeid.split("::")[0]).stem.removeprefix("test_")
        self.seconds[subject] += round(report.duration * 1_000)
        if report.failed:
            self.broke.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.held += 1
            self.tests[subject] += 1
            for name, found in report.user_properties:
                if name == "figures":
                    _say(f"\n  {found} ({report.duration:.0f} s)")
                elif name == "counts" and isinstance(found, dict):
                    self.counts[subject].append(found)

    def published(self) -> dict[str, Any]:
        """What was counted, by the subject of the tests that counted."""
        run = {"code": code_digest(), "seed": SEED, "size": SIZE, "kills": KILLS}
        return {
            subject: {
                **run,
                "tests": self.tests[subject],
                "seconds": round(self.seconds[subject] / 1_000),
                "found": found,
            }
            for subject, found in self.counts.items()
        }


def main(arguments: list[str]) -> int:
    """Run them; the exit code."""
    began, figures = time.monotonic(), Figures()
    publish, files = "--publish" in arguments, [each for each in arguments if each != "--publish"]
    _say(f"Faults: SEED={SEED} SIZE={SIZE} KILLS={KILLS}")
    options = ["-p", "no:cacheprovider", "-p", "no:logging", "--show-capture=no"]
    code = int(pytest.main([*options, *(files or FILES)], plugins=[figures]))
    for each in figures.broke:
        _say(f"Did not hold: {each}")
    words = "everything held" if code == 0 else f"{len(figures.broke)} did not hold"
    took = time.monotonic() - began
    if publish and code == 0:
        keep(figures.published())
    elif publish:
        _say("Nothing is published: mend it first.")
    _say(f"SEED={SEED} SIZE={SIZE} KILLS={KILLS}, {took:.0f} s: {figures.held} tests, {words}.")
    return code


def keep(counted: dict[str, Any]) -> None:
    """Keep what was counted in the repository, beside what other tests counted before, and write the page."""
    kept = json.loads(FAULTS.read_text()) if FAULTS.exists() else {}
    FAULTS.write_text(json.dumps({**kept, **counted}, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page())
    _say(f"Wrote {FAULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}: {', '.join(sorted(counted))}.")


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
