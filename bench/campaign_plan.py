"""How long a plan takes, and how much memory: `python -m bench.campaign_plan [members]`.

People are made up, all of whom can be written to; parts go to a folder. What a bucket adds is a PUT for each part, of which
eight go at once.
"""

import resource
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

AT_ONCE = 20_000


class Large(Fair):
    """A fair for many."""

    @property
    def place(self) -> Place:
        """Where the lake is, with as much memory as the function has."""
        return Place(str(self.folder), scratch=str(self.folder / ".scratch"), memory_mb=2600, threads=2)


def main(count: int) -> None:
    """Plan a campaign for so many, and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        fair = Large(Path(folder), Clock(datetime(2026, 3, 15, 4, tzinfo=UTC)))
        for first in range(0, count, AT_ONCE):
            rows = [row for number in range(first, min(first + AT_ONCE, count)) for row in a_person(member(number))]
            for row in rows:
                if "member" in row:
                    row["member"]["sealed"] = "c2VhbGVk" * 30
            lake_store.keep_batch(fair.objects, [lake_store.line_of(row) for row in rows], now=fair.clock())
        started = time.monotonic()
        fair.patch()
        print(f"lake of {count:,} members made in {time.monotonic() - started:.0f} s, {_rss():.0f} MB at most")
        campaign_id = fair.make(holdout_percent=10, best_hour=True, frequency_cap={"sends": 3, "days": 7})
        fair.launch(campaign_id)
        started, used = time.monotonic(), time.process_time()
        run_id = fair.begin(campaign_id)
        took, cpu = time.monotonic() - started, time.process_time() - used
        assert run_id is not None
        started = time.monotonic()
        sending.advance(fair.works, campaign_id)
        print(f"planned in {took:.1f} s ({cpu:.1f} s of CPU), {_rss():.0f} MB at most")
        print(f"told the lake and handed on {len(fair.tray.bodies)} parts in {time.monotonic() - started:.1f} s")


def _rss() -> float:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
