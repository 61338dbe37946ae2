"""`make erase-again`: complete every erasure of the register, after the tables were restored from a backup."""

import sys
from collections.abc import Sequence

from chalicelib.privacy.service import erasing
from chalicelib.privacy.service.erasing import Places
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House, utc_now
from local.reconcile import NothingRuns, open_house
from local.settings import settings


def main(arguments: Sequence[str]) -> int:  # noqa: ARG001 - it takes none
    """Erase again whoever the register says; the exit code."""
    try:
        with open_house(settings()) as house:
            done = list(erasing.erase_again(places_of(house), now=utc_now()))
    except NothingRuns as problem:
        print(problem, file=sys.stderr)
        return 2
    print(
        f"{len(done):,} members stand in the register of erasures; {sum(each for _, each in done):,} were there again."
    )
    return 0


def places_of(house: House) -> Places:
    """Where an erasure reaches."""
    return Places(house.table, house.ops, house.keyring, house.roots, book_of(house.table))
