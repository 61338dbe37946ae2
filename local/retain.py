"""`make retain`: take away what is kept longer than it may be; with DRY=1 only say what that would be."""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta

from chalicelib.privacy.service.retaining import retain
from chalicelib.runtime.wiring import utc_now
from local.erase_again import places_of
from local.reconcile import NothingRuns, open_house
from local.settings import settings


def main(arguments: Sequence[str]) -> int:
    """Do it, and say what it came to; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local retain")
    parser.add_argument("--days", type=int, default=730, help="how long contact data outlive a closed membership")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    asked = parser.parse_args(arguments)
    try:
        with open_house(settings()) as house:
            closed_for = timedelta(days=asked.days)
            done = retain(places_of(house), closed_for=closed_for, dry_run=asked.dry_run, now=utc_now())
    except NothingRuns as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"{'To be taken away' if asked.dry_run else 'Taken away'}: {done.members:,} members who closed long ago,")
    print(f"{done.consent_changes:,} records of consents and {done.showings:,} of showings.")
    print(f"{done.blocked:,} members wait for something that stands in the way.")
    return 0
