"""`make retain`: take away what is kept longer than it may be; with DRY=1 only say what that would be."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from chalicelib.privacy.service.retaining import retain, terms_of
from chalicelib.runtime.wiring import utc_now
from local.erase_again import places_of
from local.reconcile import NothingRuns, open_house
from local.settings import settings


def main(arguments: Sequence[str]) -> int:
    """Do it, and say what it came to; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local retain")
    parser.add_argument("--days", type=int, help="days after a closure; as the program says")
    parser.add_argument("--dry-run", action="store_true", help="change nothing")
    asked = parser.parse_args(arguments)
    try:
        with open_house(settings()) as house:
            places, now = places_of(house), utc_now()
            terms = terms_of(places.book.current(now))
            if asked.days is not None:
                terms = replace(terms, closed_for=timedelta(days=asked.days))
            done = retain(places, terms, dry_run=asked.dry_run, now=now)
    except NothingRuns as problem:
        print(problem, file=sys.stderr)
        return 2
    print("To be taken away:" if asked.dry_run else "Taken away:")
    print(f"{done.members:,} members who closed their membership, or did nothing, long ago,")
    print(f"{done.consent_changes:,} records of consents and {done.showings:,} of showings.")
    print(f"{done.blocked:,} members wait for something that stands in the way.")
    return 0
