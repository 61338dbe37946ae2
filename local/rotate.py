"""`make rotate KEY=index|tenant|member`: replace a key of the run in DATA_DIR, while it serves.

The index key takes three steps, because every process has to hold both keys before the walk and the other order after
it: the verb does one step, and says when to start the run anew.

With `REGULARS_STACK` and `AWS_REGION` it works on a deployed stack, with the operator's credentials and the keys that
the stack's API was told. There the steps of the index key are deployments in between, so the operator names the walk:
`STEP=copy`, `STEP=check`, `STEP=drop` (docs/operations.md, "Replacing keys").
"""

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Sequence

from chalicelib.kernel.ids import MemberId
from chalicelib.privacy import rotation
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House, utc_now
from chalicelib.storage.keyring import SealedContacts
from chalicelib.storage.vault import FRESH_FOR, TableVault
from local.keys import changed_keys, ensure_keys
from local.reconcile import NothingRuns, open_house
from local.settings import Settings, environment, settings
from local.stack import NoStack, house_of_stack

_TELL_EVERY = 10_000
_SETTLED = 2 * FRESH_FOR.total_seconds()


def main(arguments: Sequence[str]) -> int:
    """Replace a key, or do the next step of it; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local rotate")
    parser.add_argument("key", choices=("index", "tenant", "member"))
    parser.add_argument("--step", choices=("copy", "check", "drop"), help="of the index key, in a stack")
    asked = parser.parse_args(arguments)
    chosen, env = settings(), environment()
    try:
        if env.get("REGULARS_STACK"):
            return in_stack(house_of_stack(env, now=utc_now), asked.key, asked.step)
        with open_house(chosen) as house:
            if asked.key == "index":
                return _index(chosen, house)
            contacts, vault = _of(house)
            return _tenant(house, vault) if asked.key == "tenant" else _member(house, contacts, vault)
    except (NothingRuns, NoStack) as problem:
        print(problem, file=sys.stderr)
        return 2


def in_stack(house: House, key: str, step: str | None) -> int:
    """Replace a key of a stack, or do a walk of it; the exit code: 1 when a check finds something left to do."""
    if key != "index":
        contacts, vault = _of(house)
        return _tenant(house, vault) if key == "tenant" else _member(house, contacts, vault)
    if not house.keyring.other_index_key:
        print("The stack has one index key. Deploy it with the other beside it first (docs/operations.md).")
        return 0 if step == "check" else 1
    if step == "copy":
        copied = _walk(house, lambda each: rotation.copy_identifiers(house.table, house.keyring, each))
        print(f"{copied:,} identifiers stand under the other key too. STEP=check says whether all do.")
        return 0
    if step == "drop":
        dropped = _walk(house, lambda each: rotation.drop_identifiers(house.table, house.keyring, each))
        print(f"{dropped:,} identifiers are gone from under the other key. Deploy without it.")
        return 0
    return _check(house)


def _check(house: House) -> int:
    """Say how many identifiers stand under both keys; 1 while some stand under the deciding one alone."""
    found = beside = 0
    for each in rotation.every_member(house.table):
        ours, others = rotation.identifiers_beside(house.table, house.keyring, each)
        found, beside = found + ours, beside + others
    print(f"{found:,} identifiers are looked up; {beside:,} of them stand under the other key too.")
    if beside == found:
        print("All: the two keys may change places.")
    elif beside == 0:
        print("None: the other key may go.")
    else:
        print("Some: the copy, or the drop, is not finished.")
    return 0 if beside in (0, found) else 1


def _of(house: House) -> tuple[SealedContacts, TableVault]:
    contacts = house.keyring.contacts
    assert isinstance(contacts, SealedContacts)
    assert isinstance(contacts.vault, TableVault)
    return contacts, contacts.vault


def _index(chosen: Settings, house: House) -> int:
    """The step that comes next, by what the file of keys says."""
    known, lock = ensure_keys(chosen.keys_file), chosen.data_dir / "run.lock"
    if chosen.keys_file.stat().st_mtime > lock.stat().st_mtime:
        print("The keys were changed since this run began. Start it anew (make stop, make run), then again.")
        return 1
    step = known.get("index_step", "")
    if not step:
        content = known.get("content_key") or known["index_key"]
        changed_keys(chosen.keys_file, other_index_key=secrets.token_hex(32), content_key=content, index_step="copy")
        print("1 of 3: there is a new index key beside the old one. Start the run anew, then: make rotate KEY=index")
    elif step == "copy":
        copied = _walk(house, lambda each: rotation.copy_identifiers(house.table, house.keyring, each))
        swapped = {"index_key": known["other_index_key"], "other_index_key": known["index_key"]}
        changed_keys(chosen.keys_file, **swapped, index_step="drop")
        print(f"2 of 3: {copied:,} identifiers stand under the new key too, which decides from now on.")
        print("Start the run anew, then: make rotate KEY=index")
    else:
        dropped = _walk(house, lambda each: rotation.drop_identifiers(house.table, house.keyring, each))
        changed_keys(chosen.keys_file, other_index_key=None, index_step=None)
        print(f"3 of 3: {dropped:,} identifiers are gone from under the old key. Start the run anew once more.")
    return 0


def _tenant(house: House, vault: TableVault) -> int:
    def settle() -> None:
        print(
            f"A new key of the tenant is there; waiting {_SETTLED:.0f} s until every process has seen it …", flush=True
        )
        time.sleep(_SETTLED)

    wrapped = rotation.replace_tenant_key(house.table, vault, settle)
    print(f"Keys of {wrapped:,} members are wrapped with it; the one before is gone.")
    return 0


def _member(house: House, contacts: SealedContacts, vault: TableVault) -> int:
    """A new key for every member; what was in clear is sealed."""
    program = book_of(house.table).current(utc_now())

    def renewed(member_id: MemberId) -> int:
        rotation.seal_what_is_clear(house.table, contacts, program, member_id)
        return int(rotation.renew_member_key(house.table, contacts, vault, member_id))

    print(f"{_walk(house, renewed):,} members have a new key, and what the old ones sealed is gone.")
    return 0


def _walk(house: House, step: Callable[[MemberId], int]) -> int:
    done = 0
    for number, each in enumerate(rotation.every_member(house.table), start=1):
        done += step(each)
        if number % _TELL_EVERY == 0:
            print(f"  {number:,} members", flush=True)
    return done
