"""How long a plan takes, and how much memory: `python -m bench.campaign_plan [members]`.

People are made up, all of whom can be written to; parts go to a folder. What a bucket adds is a PUT for each part, of
which eight go at once. The lake is made by another process, so that the memory is the plan's.
"""

import pickle
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from chalicelib.campaigns.service import sending
from chalicelib.lake import store as lake_store
from chalicelib.storage.places import Place
from tests.fair import Fair, a_person, member
from tests.makers import Clock
from tests.memory import MemoryTable

AT_ONCE = 20_000
NOW = datetime(2026, 3, 15, 4, tzinfo=UTC)


class Large(Fair):
    """A fair for many."""

    @property
    def place(self) -> Place:
        """Where the lake is, with as much memory as the function's settings leave its engine."""
        return Place(str(self.folder / "files"), scratch=str(self.folder / "scratch"), memory_mb=2600, threads=2)


def make(folder: Path, count: int) -> None:
    """Make the lake."""
    fair = Large(folder / "files", Clock(NOW))
    fair.folder = folder
    for first in range(0, count, AT_ONCE):
        rows = [row for number in range(first, min(first + AT_ONCE, count)) for row in a_person(member(number))]
        for row in rows:
            if "member" in row:
                row["member"]["sealed"] = "c2VhbGVk" * 30
        lake_store.keep_batch(fair.objects, [lake_store.line_of(row) for row in rows], now=fair.clock())
    fair.patch()
    assert isinstance(fair.ops, MemoryTable)
    (folder / "ops").write_bytes(pickle.dumps(fair.ops.items))


def plan(folder: Path) -> None:
    """Plan a campaign for all, and print what it took."""
    fair = Large(folder / "files", Clock(NOW), ops=MemoryTable(pickle.loads((folder / "ops").read_bytes())))
    fair.folder = folder
    campaign_id = fair.make(holdout_percent=10, best_hour=True, frequency_cap={"sends": 3, "days": 7})
    fair.launch(campaign_id)
    started, used = time.monotonic(), time.process_time()
    run_id = fair.begin(campaign_id)
    took, cpu = time.monotonic() - started, time.process_time() - used
    assert run_id is not None
    print(f"planned in {took:.1f} s ({cpu:.1f} s of CPU), {_rss():.0f} MB at most")
    started = time.monotonic()
    sending.advance(fair.works, campaign_id)
    print(f"told the lake and handed on {len(fair.tray.bodies)} parts in {time.monotonic() - started:.1f} s")


def _rss() -> float:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(count: int) -> None:
    """Make a lake of so many members, and plan for them."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        subprocess.run([sys.executable, "-m", "bench.campaign_plan", "make", folder, str(count)], check=True)
        print(f"lake of {count:,} members made in {time.monotonic() - started:.0f} s", flush=True)
        subprocess.run([sys.executable, "-m", "bench.campaign_plan", "plan", folder], check=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        make(Path(sys.argv[2]), int(sys.argv[3]))
    elif sys.argv[1:2] == ["plan"]:
        plan(Path(sys.argv[2]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
