"""`make erase-again`: complete every erasure of the register, after the tables were restored from a backup.

With `REGULARS_STACK` and `AWS_REGION` it works on a deployed stack, with the operator's credentials.
"""

import sys
from collections.abc import Sequence

from chalicelib.kernel.ids import AccountId
from chalicelib.privacy.service import erasing
from chalicelib.privacy.service.erasing import Places
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House, utc_now
from local.reconcile import NothingRuns, open_house
from local.settings import environment, settings
from local.stack import NoStack, house_of_stack


def main(arguments: Sequence[str]) -> int:  # noqa: ARG001 - it takes none
    """Erase again whoever the register says; the exit code."""
    try:
        env = environment()
        if env.get("REGULARS_STACK"):
            done = erased_again(house_of_stack(env, now=utc_now))
        else:
            with open_house(settings()) as house:
                done = erased_again(house)
    except (NothingRuns, NoStack) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(
        f"{len(done):,} members stand in the register of erasures; {sum(each for _, each in done):,} were there again."
    )
    return 0


def erased_again(house: House) -> list[tuple[AccountId, bool]]:
    """Everybody whom the register has, with whether there was something to erase."""
    return list(erasing.erase_again(places_of(house), now=utc_now()))


def places_of(house: House) -> Places:
    """Where an erasure reaches."""
    return Places(house.table, house.ops, house.keyring, house.roots, book_of(house.table))
