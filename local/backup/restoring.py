"""`make restore FROM=…`: put a backup into a data folder that has no data yet, and prove that it is the same ledger.

In this order: who signed the manifest, and whether every part is the file that it names; only then is anything written.
Then all items, all counted, and every account proven. The root over all heads has to be the one in the manifest. Last,
whoever the register of erasures has is erased again: closing an account writes entries, so the root is compared before;
and the lake, of which a backup has nothing, is made anew.

Puts are whole items under their own keys, so whatever was killed is simply done again, and comes to the same. The
tables get their stream when all is there: what happened once is not told, and nobody is notified, a second time.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import StorageBusy
from chalicelib.lake.tables import FACT_TABLES
from chalicelib.privacy import store as privacy_store
from chalicelib.proof import rules as proof_rules
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.signed import ServiceFault, Unreachable
from local.backup.crew import shared
from local.backup.erased import Erased, ErasureRegister, register_of, stays_out
from local.backup.form import (
    VAULT,
    BackupBroken,
    LedgerRecord,
    Manifest,
    PartRecord,
    find_manifest,
    items_in,
    part_fault,
    place,
    strangers,
    write_whole,
)
from local.backup.making import SEGMENTS, client, key_mark
from local.backup.trust import trusted_keys
from local.dynamo import Dynoxide
from local.erase_again import erased_again
from local.lake_rebuild import rebuilt
from local.reconcile import open_house
from local.runs import AlreadyRunning, RunLock
from local.settings import STACK, Settings, app_environment, settings
from local.tables import TEMPLATE, dynamodb_client, table_calls
from local.verify import in_words, walk_all

MARK = "restore.json"
"""In the data folder: which backup is being restored into it, or was, and which parts are there."""

_PUTS = 25
"""BatchWriteItem takes so many."""
_PATIENCE = 60.0
_SHOWN = 20
_TELL_EVERY = 3.0


class NotRestored(Exception):
    """Nothing was written, or what was written is not the backup; the message says why."""


@dataclass(frozen=True)
class Target:
    """Where a backup goes."""

    chosen: Settings
    endpoint: str
    folder: Path
    vault: Path
    erased: frozenset[str]


def main(arguments: Sequence[str]) -> int:
    """Restore as the arguments say; 0 when it is the same ledger."""
    parser = argparse.ArgumentParser(prog="python -m local restore")
    parser.add_argument("--from", dest="source", required=True, help="the backup's folder")
    parser.add_argument("--vault", help="the folder of the vault's parts, if they are kept elsewhere")
    parser.add_argument("--register", required=True, help="who was erased: a folder, a file of lines; or none")
    parser.add_argument("--anyway", action="store_true", help="also over a database that is not empty")
    asked = parser.parse_args(arguments)
    if not asked.source or not asked.register:
        print(
            "Say FROM=<the backup's folder> and REGISTER=<folder or file of who was erased, or none>.", file=sys.stderr
        )
        return 2
    source = Path(asked.source).resolve()
    vault = Path(asked.vault).resolve() if asked.vault else source / VAULT
    register = register_of(asked.register)
    began = time.monotonic()
    try:
        faults = restored(settings(), source, vault, register, anyway=asked.anyway)
    except (ServiceFault, Unreachable, StorageBusy) as trouble:
        print(f"✗ The database: {trouble}. Start the restore again, it goes on.", file=sys.stderr)
        return 2
    except ValidationError as wrong:
        print(f"✗ {asked.register} does not read as a register of erasures: {_first(wrong)}", file=sys.stderr)
        return 2
    except (BackupBroken, NotRestored, OSError, ValueError) as problem:
        print(f"✗ {problem}", file=sys.stderr)
        return 2
    for fault in faults[:_SHOWN]:
        print(f"✗ {fault}")
    if len(faults) > _SHOWN:
        print(f"  … and {len(faults) - _SHOWN:,} more")
    end = "✗ This is not the ledger that was backed up." if faults else "✓ It is the same ledger, to the root."
    print(f"{end} {time.monotonic() - began:.1f} s", flush=True)
    return 1 if faults else 0


def _first(wrong: ValidationError) -> str:
    error = wrong.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, error["loc"]))
    return f"{where}: {error['msg']}." if where else f"{error['msg']}."


def restored(
    chosen: Settings,
    source: Path,
    vault: Path,
    register: ErasureRegister,
    *,
    anyway: bool = False,
    again: Callable[[Settings, Sequence[Erased]], None] | None = None,
) -> list[str]:
    """Restore a backup into a data folder; what differs from it afterwards.

    Args:
        anyway: also over items that are there.
        again: does to those who were erased whatever an erasure does beyond leaving their keys and identifiers out; the
            product's own erasure, unless a test says otherwise.

    Raises:
        BackupBroken: a part or the manifest is not what was signed. Nothing was written.
        NotRestored: the data folder is in use, holds something else, or lacks the backup's keys. Nothing was written.
    """
    manifest, digest = find_manifest(source, trusted_keys(chosen))
    _must_have_keys(chosen, manifest)
    gone = list(register.list())
    _must_be_whole(source, vault, manifest, chosen.workers)
    lock = RunLock(chosen.data_dir)
    try:
        lock.take()
    except AlreadyRunning:
        raise NotRestored(f"{chosen.data_dir} is in use; stop what runs there first") from None
    try:
        with _database(chosen) as endpoint:
            target = Target(chosen, endpoint, source, vault, frozenset(i for each in gone for i in each.ids))
            done, proven = _begun(target, digest, anyway=anyway)
            left_out = _put_all(target, manifest, digest, done)
            _tell_from_now_on(target)
            here = replace(chosen, dynamodb_endpoint=endpoint)
            faults: list[str] = []
            if not proven:  # a try before this one had come to the erasures, which change what is counted
                faults = [*_counted(target, manifest, left_out, anyway=anyway), *_proven(here, manifest)]
                _note(target, digest, done, left_out, proven=not faults, finished=False)
            (again or erase_again)(here, gone)
            _lake_anew(chosen, here)
            _note(target, digest, done, left_out, proven=not faults, finished=True)
            return faults
    finally:
        lock.release()


# ---------------------------------------------------------------- before anything is written


def _must_have_keys(chosen: Settings, manifest: Manifest) -> None:
    """A backup holds no key: who restores brings keys.json and vault_key, which were kept elsewhere."""
    for path in (chosen.keys_file, chosen.vault_key_file):
        if not path.exists():
            raise NotRestored(f"{path} is missing: put the keys of the run that was backed up there first")
    if key_mark(chosen) != manifest.index_key:
        raise NotRestored(f"{chosen.keys_file} has another index key than the run that was backed up")


def _must_be_whole(source: Path, vault: Path, manifest: Manifest, processes: int) -> None:
    """See that every part is the file that the manifest names."""
    found = sorted(filter(None, shared(partial(_part_fault, source, vault), list(manifest.parts), processes)))
    faults = [*found, *strangers(source, vault, manifest)]
    if faults:
        raise BackupBroken("; ".join(faults[:_SHOWN]))


def _part_fault(source: Path, vault: Path, part: PartRecord) -> str | None:
    return part_fault(place(source, vault, part.name), part)


@contextmanager
def _database(chosen: Settings) -> Iterator[str]:
    """The target's DynamoDB: the caller's, or one of ours on the data folder's file."""
    if chosen.dynamodb_endpoint:
        yield chosen.dynamodb_endpoint
        return
    with Dynoxide(chosen.data_dir / "dynamo.db", log=chosen.data_dir / "dynamo.log") as database:
        yield database.endpoint


def _begun(target: Target, digest: str, *, anyway: bool) -> tuple[dict[str, int], bool]:
    """Make the tables without a stream; the parts that are there already, with what was left out of each, and whether
    all of it was proven.

    Raises:
        NotRestored: the tables hold something else.
    """
    mark = target.chosen.data_dir / MARK
    known = json.loads(mark.read_text()) if mark.exists() else {}
    db, filled = _admin(target), False
    for call in _calls():
        try:
            db.create_table(**{name: each for name, each in call.items() if name not in _LATER})
        except db.exceptions.ResourceInUseException:
            filled |= bool(db.scan(TableName=call["TableName"], Limit=1)["Items"])
        else:
            db.get_waiter("table_exists").wait(TableName=call["TableName"])
    resumed = known.get("backup") == digest and not known["finished"]
    if filled and not resumed and not anyway:
        raise NotRestored(f"the database of {target.chosen.data_dir} is not empty; ANYWAY=1 writes over what is there")
    same = resumed and set(known["erased"]) == target.erased
    done: dict[str, int] = known["parts"] if same else {}
    proven = same and bool(known.get("proven"))
    _note(target, digest, done, {}, proven=proven, finished=False)
    return done, proven


_LATER = ("StreamSpecification", "TimeToLiveSpecification")


def _admin(target: Target) -> Any:
    """A client that makes tables, with what the environment signs with."""
    return dynamodb_client(target.endpoint, app_environment(target.chosen, target.endpoint))


def _calls() -> list[dict[str, Any]]:
    return table_calls(json.loads(TEMPLATE.read_text()), STACK)


# ---------------------------------------------------------------- writing


def _put_all(target: Target, manifest: Manifest, digest: str, done: dict[str, int]) -> dict[str, int]:
    """Put every part that is not there yet, two at a time; how many items of each table stayed out."""
    todo = [part for part in manifest.parts if part.name not in done]
    total, put = sum(part.lines for part in todo), 0
    began = told = time.monotonic()
    for part, out in shared(partial(_put_part, target), todo, target.chosen.workers):
        done[part.name] = out
        put += part.lines
        _note(target, digest, done, {}, proven=False, finished=False)
        if time.monotonic() - told > _TELL_EVERY or put == total:
            told = time.monotonic()
            print(f"  {put:,} of {total:,} items, {put / (told - began):,.0f} items/s", flush=True)
    return {name: sum(done[part.name] for part in table.parts) for name, table in manifest.tables.items()}


def _put_part(target: Target, part: PartRecord) -> tuple[PartRecord, int]:
    """Put a part's items; how many of them stayed out, because their member was erased."""
    table, left_out = part.name.partition("/")[0], 0
    name = f"{STACK}-{table}"
    with closing(client(target.chosen, target.endpoint)) as dynamo:
        items = items_in(place(target.folder, target.vault, part.name))
        while some := list(islice(items, _PUTS)):
            out = [stays_out(table, item, target.erased) for item in some]
            left_out += sum(out)
            _put(dynamo.call, {name: [_write(item, gone) for item, gone in zip(some, out, strict=True)]})
    return part, left_out


def _write(item: dict[str, Any], gone: bool) -> dict[str, Any]:
    """What is done with an item. What stays out is removed: an earlier try may not have known of the erasure."""
    if gone:
        return {"DeleteRequest": {"Key": {"pk": item["pk"], "sk": item["sk"]}}}
    return {"PutRequest": {"Item": item}}


def _put(call: Callable[[str, dict[str, Any]], dict[str, Any]], asked: Mapping[str, Any]) -> None:
    """Put a batch; what a busy table hands back is sent again."""
    pause, waited = 0.05, 0.0
    while asked:
        asked = call("BatchWriteItem", {"RequestItems": asked}).get("UnprocessedItems") or {}
        if asked:
            if waited > _PATIENCE:
                raise NotRestored("the database stayed busy; start the restore again, it goes on")
            time.sleep(pause * random.random())  # jitter
            waited, pause = waited + pause, min(2 * pause, 2.0)


def _tell_from_now_on(target: Target) -> None:
    """Give the tables their stream and time to live, now that nothing is written by us any more."""
    db = _admin(target)
    for call in _calls():
        name = call["TableName"]
        if "StreamSpecification" in call and "LatestStreamArn" not in db.describe_table(TableName=name)["Table"]:
            db.update_table(TableName=name, StreamSpecification=call["StreamSpecification"])
        if "TimeToLiveSpecification" in call:
            known = db.describe_time_to_live(TableName=name)["TimeToLiveDescription"]["TimeToLiveStatus"]
            if known not in ("ENABLED", "ENABLING"):
                db.update_time_to_live(TableName=name, TimeToLiveSpecification=call["TimeToLiveSpecification"])


def _note(
    target: Target, digest: str, done: dict[str, int], left_out: dict[str, int], *, proven: bool, finished: bool
) -> None:
    known = {
        "backup": digest, "parts": done, "erased": sorted(target.erased), "left_out": left_out, "proven": proven,
        "finished": finished,
    }  # fmt: skip
    write_whole(target.chosen.data_dir / MARK, json.dumps(known).encode())


# ---------------------------------------------------------------- afterwards


def erase_again(here: Settings, gone: Sequence[Erased]) -> None:
    """Write everybody who was erased into the register of the new place, and erase them again by it.

    Done any number of times it comes to the same, so whoever is killed in between starts the restore again.
    """
    if not gone:
        return
    with open_house(here) as house:
        for each in gone:
            privacy_store.register(house.roots, each.registered())
        found = erased_again(house)
    print(f"  {sum(was_there for _, was_there in found):,} members of {len(gone):,} erasures were erased again")


def _lake_anew(chosen: Settings, here: Settings) -> None:
    """Make the lake of what was restored, and of what others told the lake, where that is there.

    A lake is in no backup, and `ops` remembers one whose files are elsewhere: no segment would answer.
    """
    if chosen.dynamodb_endpoint:
        print("  The lake was not made: its files belong to the stack whose tables these are.")
        return
    with open_house(here) as house:
        counts, seconds = rebuilt(here, house, None)
    facts = sum(counts[each] for each in FACT_TABLES.values())
    print(
        f"  The lake was made anew: {counts['members']:,} members, {counts['purchases']:,} purchases ({seconds:.1f} s)"
    )
    if not facts:
        print("  Which messages were sent is not in a backup: copy archive/facts, then make lake-rebuild.")


def _counted(target: Target, manifest: Manifest, left_out: dict[str, int], *, anyway: bool) -> list[str]:
    """Count every table; where more was there before, it must at least hold the backup's items."""
    faults = []
    with closing(client(target.chosen, target.endpoint)) as dynamo:
        for name, table in manifest.tables.items():
            found = sum(_count(dynamo, name, segment) for segment in range(SEGMENTS))
            wanted = table.items - left_out[name]
            if found < wanted or (found > wanted and not anyway):
                faults.append(f"table {name} has {found:,} items; the backup, less those erased since, {wanted:,}")
            print(f"  {name:<8}{found:>12,} items, {left_out[name]:,} of members erased since stayed out")
    return faults


def _count(dynamo: Dynamo, name: str, segment: int) -> int:
    """The items of a segment of a table. In one piece, the emulator sorts the whole table for every page."""
    found = 0
    asked: dict[str, Any] = {
        "TableName": f"{STACK}-{name}", "Select": "COUNT", "ConsistentRead": True, "Segment": segment,
        "TotalSegments": SEGMENTS,
    }  # fmt: skip
    while True:
        answer = dynamo.call("Scan", asked)
        found += int(answer["Count"])
        if "LastEvaluatedKey" not in answer:
            return found
        asked = {**asked, "ExclusiveStartKey": answer["LastEvaluatedKey"]}


def _proven(here: Settings, manifest: Manifest) -> list[str]:
    """Prove every account, and compare with what the manifest says of the ledger."""
    whole = walk_all(here, began=from_milliseconds(manifest.taken_at) + timedelta(seconds=1))
    now = LedgerRecord(
        heads=proof_rules.heads_of(whole.parts).hex(), accounts=whole.tally.accounts, entries=whole.tally.entries,
        balance=whole.tally.balance, faulty=whole.tally.faulty,
    )  # fmt: skip
    print(f"  {now.accounts:,} accounts, {now.entries:,} entries, root {now.heads}")
    faults = [in_words(each) for each in whole.tally.faults]
    if manifest.ledger is None:
        print("  The backup names no root: compare this one with those that were signed (make verify).")
        return faults
    then = manifest.ledger.model_dump()
    said = [
        f"{name} is {value}, in the backup it was {then[name]}"
        for name, value in now.model_dump().items()
        if value != then[name]
    ]
    return [*said, *faults]
