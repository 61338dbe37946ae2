"""`make faults`: the faults at the size that was asked for, with seeds and figures; the last line says what held."""

import sys
import time

import pytest

from tests.faults.sizes import KILLS, SEED, SIZE

FILES = ("tests/faults", "tests/table/test_job_crashes.py")


class Figures:
    """Prints what tests report, as they do."""

    def __init__(self) -> None:
        self.held = 0
        self.broke: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Say what a test found, and count."""
        if report.failed:
            self.broke.append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.held += 1
            for name, words in report.user_properties:
                if name == "figures":
                    _say(f"\n  {words} ({report.duration:.0f} s)")


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def main() -> int:
    """Run them; the exit code."""
    began, figures = time.monotonic(), Figures()
    _say(f"Faults: SEED={SEED} SIZE={SIZE} KILLS={KILLS}")
    options = ["-p", "no:cacheprovider", "-p", "no:logging", "--show-capture=no"]
    code = int(pytest.main([*options, *(sys.argv[1:] or FILES)], plugins=[figures]))
    for each in figures.broke:
        _say(f"Did not hold: {each}")
    words = "everything held" if code == 0 else f"{len(figures.broke)} did not hold"
    took = time.monotonic() - began
    _say(f"SEED={SEED} SIZE={SIZE} KILLS={KILLS}, {took:.0f} s: {figures.held} tests, {words}.")
    return code


if __name__ == "__main__":
    sys.exit(main())
