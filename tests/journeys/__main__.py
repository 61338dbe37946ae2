"""`python -m tests.journeys [MEMBERS] [SEEDS]`: the long run of `test_simulated.py`."""

import sys
import time

from tests.journeys.test_simulated import simulated, violations


def main(members: int, seeds: int) -> int:
    """Run the simulation with several seeds; gives the exit code."""
    bad = 0
    for seed in range(1, seeds + 1):
        started = time.monotonic()
        world = simulated(seed, members)
        found = violations(world)
        bad += len(found)
        faults, ways = sum(world.points.met.values()), world.ways()
        steps = sum(len(each.path) for each in ways)
        said = (
            f"seed {seed}: {members} members, {len(ways)} ways, {steps} steps, {sum(world.mail.got.values())} messages"
        )
        took = f"{faults} faults: {len(found)} violations in {time.monotonic() - started:.0f} s"
        print(said, took, *found[:5], sep=", ", flush=True)  # noqa: T201 - what it is for
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*(int(each) for each in (sys.argv[1:] + ["1000", "3"][len(sys.argv) - 1 :]))))
