"""`make sim`: worlds by seed, with faults; the last line says what held, and the exit code too.

--seed and --ops say how much; --seeds makes so many worlds of --ops steps each, instead of worlds of 500 until --ops
are through. --on emulator runs them over dynoxide with faults on the wire. --bug plants a bug first; `--bug all` says
how many seeds each takes. Results go to build/sim.json; with --add they are added to those that are there, so that a
long run can be made in parts, also by several processes at once: of the same code, and of other seeds. --publish keeps
them in docs/figures/sim.json and writes docs/reliability.md from there.
"""

import argparse
import fcntl
import hashlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from math import inf
from typing import Any

import pytest

from local.reliability import PAGE, RESULTS, page
from local.settings import ROOT
from tests.sim.planted import BUGS, SEEDS, SIZE, TOPICS_OF
from tests.sim.runs import WORLD, Make, Tally, run, shrunken, told
from tests.sim.wire import an_emulator, on_emulator
from tests.sim.world import in_memory

BUILD = ROOT / "build" / "sim.json"
_TELL_EVERY = 20.0


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; the exit code."""
    asked = _parser().parse_args(arguments)
    if asked.publish:
        return _publish()
    if asked.bug == "all":
        return _planted()
    size = asked.ops if asked.seeds else min(WORLD, asked.ops)
    seeds = range(asked.seed, asked.seed + (asked.seeds or -(-asked.ops // size)))
    with _worlds(asked.on) as make, pytest.MonkeyPatch.context() as patch:
        if asked.bug:
            BUGS[asked.bug](patch)
        began = time.monotonic()
        tally = run(
            seeds, size, make, _teller(size, len(seeds), began), seconds=asked.seconds, topics=TOPICS_OF.get(asked.bug)
        )
        seconds = time.monotonic() - began
        _say(_line(tally, seconds))
        for failure in tally.failures:
            _say(f"Seed {failure.plan.seed} did not hold: {len(failure.complaints)} complaints. Cutting it down …")
            _say(told(shrunken(failure, make), size, f" BUG={asked.bug}" if asked.bug else ""))
    if not asked.bug:
        _keep(asked.on, _results(tally, asked.seed, size, seconds), add=asked.add)
    return 1 if tally.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first world; the next ones count on")
    parser.add_argument("--ops", type=int, default=10_000, help="how many operations")
    parser.add_argument("--seeds", type=int, default=0, help="so many worlds of --ops operations each")
    parser.add_argument("--seconds", type=float, default=inf, help="begin no world after so long")
    parser.add_argument("--on", choices=["memory", "emulator"], default="memory")
    parser.add_argument("--bug", choices=["all", *BUGS], help="plant a bug; all: how many seeds each takes")
    parser.add_argument("--add", action="store_true", help="add the results to those of other seeds")
    parser.add_argument("--publish", action="store_true", help="write docs/reliability.md from the results")
    return parser


@contextmanager
def _worlds(on: str) -> Iterator[Make]:
    if on == "memory":
        yield in_memory
        return
    with an_emulator() as dynamo:
        yield on_emulator(dynamo)


def _teller(size: int, worlds: int, began: float) -> Any:
    """Says now and then how far it is."""
    next_at = began + _TELL_EVERY

    def tell(tally: Tally) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at = time.monotonic() + _TELL_EVERY
            _say(f"{tally.runs:,} of {worlds:,} worlds: {_line(tally, time.monotonic() - began)}")

    return tell


def _line(tally: Tally, seconds: float) -> str:
    faults = ", ".join(f"{kind.value} {count:,}" for kind, count in sorted(tally.struck.items()))
    rate = tally.operations / max(seconds, 1e-9)
    return (
        f"{tally.operations:,} operations in {tally.runs:,} worlds, {rate:,.0f} a second; "
        f"{tally.struck.total():,} faults ({faults}): {len(tally.failures)} violations."
    )


def _results(tally: Tally, seed: int, size: int, seconds: float) -> dict[str, Any]:
    return {
        "code": code_digest(),
        "seeds": [[seed, seed + tally.runs - 1]],
        "worlds": tally.runs,
        "operations_in_a_world": size,
        "operations": tally.operations,
        "commands_sent": tally.attempts,
        "told": dict(sorted(tally.told.items())),
        "entries": tally.entries,
        "accounts": tally.accounts,
        "accounts_told_exactly": tally.exact,
        "faults": {kind.value: tally.struck[kind] for kind in sorted(tally.struck)},
        "seconds": round(seconds),
        "operations_a_second": round(tally.operations / max(seconds, 1e-9)),
        "violations": len(tally.failures),
    }


def _planted() -> int:
    """How many seeds it takes to find each planted bug."""
    found: dict[str, Any] = {}
    for name, plant in BUGS.items():
        with pytest.MonkeyPatch.context() as patch:
            plant(patch)
            tally = run(SEEDS, SIZE, topics=TOPICS_OF[name])
        first = tally.failures[0] if tally.failures else None
        found[name] = {
            "what": (plant.__doc__ or "").split("\n")[0],
            "seeds": tally.runs if first else None,
            "invariant": first.invariant if first else None,
        }
        _say(f"{name:34} {f'seed {tally.runs}, {first.invariant}' if first else 'NOT FOUND'}")
    missed = [name for name, each in found.items() if each["seeds"] is None or each["invariant"] == "bug"]
    _keep("planted", {"operations_in_a_world": SIZE, "bugs": found})
    _say(f"{len(found)} planted bugs, {len(missed)} not found within {len(SEEDS)} seeds.")
    return 1 if missed else 0


def _keep(section: str, results: dict[str, Any], *, add: bool = False) -> None:
    """Keep results in build/sim.json, beside those of other kinds of runs; one process at a time."""
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    with BUILD.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        kept = json.loads(file.read() or "{}")
        if add and section in kept:
            results = added(kept[section], results)
        file.seek(0)
        file.truncate()
        file.write(json.dumps({**kept, section: results}, indent=1) + "\n")


_SAME = ("code", "operations_in_a_world")
"""What must be the same for results to be added."""


def added(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The results of two runs in one.

    Raises:
        SystemExit: they are of other code, of worlds of another size, or of seeds that both have.
    """
    if any(one[name] != other[name] for name in _SAME):
        raise SystemExit("The results there are of other code or of worlds of another size; nothing was added.")
    spans = sorted([*one["seeds"], *other["seeds"]])
    if any(first <= before for (_, before), (first, _) in pairwise(spans)):
        raise SystemExit(f"Some seeds would count twice: {spans}; nothing was added.")
    joined: list[list[int]] = []
    for first, last in spans:
        if joined and joined[-1][1] + 1 == first:
            joined[-1][1] = last
        else:
            joined.append([first, last])
    sums: dict[str, Any] = {name: one[name] + other[name] for name in one if isinstance(one[name], int)}
    sums |= {name: dict(sorted((Counter(one[name]) + Counter(other[name])).items())) for name in ("told", "faults")}
    sums["operations_a_second"] = round(sums["operations"] / max(sums["seconds"], 1))
    return sums | {name: one[name] for name in _SAME} | {"seeds": joined}


def code_digest() -> str:
    """What tells the product and the simulator from other states of them."""
    files = sorted(path for folder in ("chalicelib", "tests/sim") for path in (ROOT / folder).rglob("*.py"))
    known = hashlib.sha256()
    for path in (*files, ROOT / "tests" / "memory.py"):
        known.update(path.relative_to(ROOT).as_posix().encode() + b"\n" + path.read_bytes())
    return known.hexdigest()[:16]


def _publish() -> int:
    """Keep the newest results in the repository, and write the page that they make."""
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    fresh = json.loads(BUILD.read_text()) if BUILD.exists() else {}
    if any(results.get("violations") for results in fresh.values()):
        _say("build/sim.json has violations: mend them first.")
        return 1
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps({**kept, **fresh}, indent=1, sort_keys=True) + "\n")
    PAGE.write_text(page())
    _say(f"Wrote {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)}.")
    return 0


def _say(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
