"""How long it takes to put a ledger back: `make drill N=1000000` makes one, backs it up, restores it, and proves it.

Backup and restore are the verbs themselves, in processes of their own. Profiles, identifiers and keys are copies of one
real member's under other ids: they are as large as real ones, but do not open. Accounts and entries are real.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.report import CannotRun, Figure, table
from bench.stack import Usage, usage
from bench.verify import into, lived
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members.models import EnrolMember
from chalicelib.members.service import enrol_member
from chalicelib.programs.models import Program
from chalicelib.programs.service import book_of
from chalicelib.runtime import wiring
from chalicelib.storage import keys
from chalicelib.storage.dynamo import marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item
from local.backup.crew import shared
from local.backup.making import client
from local.dynamo import Dynoxide
from local.keys import ensure_keys, ensure_signing_key, ensure_vault_key
from local.reconcile import open_house
from local.settings import ROOT, STACK, Settings, environment
from local.tables import create_tables

GOAL_MINUTES = 30.0
_ITEMS = 50_000
_LENGTHS = (5, 8, 12, 20, 35, 60)
_BESIDES = 5
"""Items of a member that are no entries: account, profile, two identifiers, a wrapped key."""
_PROCESSES = 2
_BATCH = 25


def run(*, quick: bool = False, items: int = _ITEMS) -> Figure:
    """Make a ledger, back it up, restore it; the value is the restore's minutes, scaled to a million items."""
    items, processes = (300, 1) if quick else (items, _PROCESSES)
    if not Dynoxide.available():
        raise CannotRun("there is no dynoxide for this machine")
    root = Path(tempfile.mkdtemp(prefix="regulars-drill-"))
    try:
        source, other, out = _folder(root / "source"), root / "other", root / "backup"
        made = _filled(source, items, processes)
        backup = _timed("backup", processes, source, "--out", str(out))
        other.mkdir()
        for name in ("keys.json", "vault_key", "signing_key.pem"):
            shutil.copy(source / name, other / name)
        restore = _timed("restore", processes, other, "--from", str(out), "--register", "none")
        size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    finally:
        shutil.rmtree(root)
    minutes = restore.seconds / 60 * 1_000_000 / made
    table(
        [f"{made:,} items", "seconds", "items/s", "MiB a process", "MiB dynoxide"],
        [[name, round(each.seconds, 1), made / each.seconds, each.python_mib, each.dynoxide_mib]
         for name, each in (("backup", backup), ("restore", restore))],
    )  # fmt: skip
    print(f"  the backup is {size / 1e6:.1f} MB; both verbs ended well: no difference, to the root")
    return Figure(
        "restore", f"minutes for a million items, from a run of {made:,}, checks and proof included", minutes,
        GOAL_MINUTES, "min",
        details={
            "items": made, "backup_s": round(backup.seconds, 1), "restore_s": round(restore.seconds, 1),
            "backup_mib": round(backup.python_mib), "restore_mib": round(restore.python_mib), "bytes": size,
        },
    )  # fmt: skip


# ---------------------------------------------------------------- the verbs, watched


@dataclass
class Timed:
    """What a verb took, with all that it started.

    Attributes:
        peaks: the most memory of each process, KiB, by what it ran.
    """

    seconds: float = 0.0
    peaks: dict[str, int] = field(default_factory=dict)

    @property
    def python_mib(self) -> float:
        """The largest process of ours."""
        return self.peaks.get("python", 0) / 1024

    @property
    def dynoxide_mib(self) -> float:
        """The database."""
        return self.peaks.get("dynoxide", 0) / 1024


def _timed(verb: str, processes: int, data_dir: Path, *arguments: str) -> Timed:
    """Run a verb to its end, and watch it.

    Raises:
        CannotRun: it found a difference, or could not do it.
    """
    env = environment() | {"DATA_DIR": str(data_dir), "WORKERS": str(processes)}
    found, began = Timed(), time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "local", verb, *arguments], cwd=ROOT, env=env)
    watching = threading.Thread(target=_watch, args=(process, found.peaks))
    watching.start()
    code = process.wait()
    watching.join()
    found.seconds = time.monotonic() - began
    if code:
        raise CannotRun(f"{verb} ended with {code}")
    return found


def _watch(process: subprocess.Popen[bytes], peaks: dict[str, int]) -> None:
    while process.poll() is None:
        for pid in _family(process.pid):
            try:
                name = Path(f"/proc/{pid}/exe").readlink().name
                seen: Usage = usage(pid)
            except (OSError, StopIteration, IndexError):
                continue  # it is gone
            kind = "dynoxide" if "dynoxide" in name else "python"
            peaks[kind] = max(peaks.get(kind, 0), seen.peak_kib)
        time.sleep(0.2)


def _family(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = [each for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _family(int(child))


# ---------------------------------------------------------------- a ledger


def _folder(path: Path) -> Path:
    path.mkdir()
    ensure_keys(path / "keys.json")
    ensure_vault_key(path / "vault_key")
    ensure_signing_key(path / "signing_key.pem")
    return path


@dataclass(frozen=True)
class _Model:
    """What the members of the ledger are copied from."""

    chosen: Settings
    program: Program
    profile: Item
    key: Item


def _filled(folder: Path, items: int, processes: int) -> int:
    """Fill a data folder's database with so many items or a few more, and say how many."""
    with Dynoxide(folder / "dynamo.db") as database:
        create_tables(database.endpoint)
        chosen = Settings(
            port=1, data_dir=folder, workers=1, seed=False, dynamodb_endpoint=database.endpoint,
            dynamodb_engine="dynoxide",
        )  # fmt: skip
        model = _model(chosen)
        shares = [partial(_members, model, items // processes, number) for number in range(processes)]
        return sum(shared(_done, shares, processes))


def _done(share: Callable[[], int]) -> int:
    return share()


def _model(chosen: Settings) -> _Model:
    with open_house(chosen) as house:
        book, now = book_of(house.table), wiring.utc_now()
        command = EnrolMember.model_validate_json(
            '{"name":"王小明","mobile":"+8613800000000","email":"wang@example.com"}'
        )
        member_id = enrol_member(
            house.table, house.keyring, book, command, key=None, draw=wiring.draw, now=now, language=Language.ZH
        ).value.member_id  # fmt: skip
        with closing(client(chosen, chosen.dynamodb_endpoint or "")) as dynamo:
            vault = DynamoTable(dynamo, f"{STACK}-vault")
            profile, key = house.table.get(keys.profile(member_id)), vault.get(keys.member_key(member_id))
        assert profile is not None
        assert key is not None
        return _Model(chosen, book.current(now), profile, key)


def _members(model: _Model, items: int, share: int) -> int:
    """One process's share of the members, written; how many items."""
    chance, written, number = random.Random(share), 0, 0
    waiting: dict[str, list[Item]] = {"core": [], "vault": []}
    with closing(client(model.chosen, model.chosen.dynamodb_endpoint or "")) as dynamo:

        def put(which: str, *, least: int) -> None:
            while len(waiting[which]) >= least:
                some, waiting[which] = waiting[which][:_BATCH], waiting[which][_BATCH:]
                puts = [{"PutRequest": {"Item": _typed(item)}} for item in some]
                dynamo.call("BatchWriteItem", {"RequestItems": {f"{STACK}-{which}": puts}})

        while written < items:
            latest: dict[Key, Item] = {}
            member_id, _ = lived(
                chance, model.program, 2 * number + share + 1, chance.choice(_LENGTHS),
                into(latest),
            )  # fmt: skip
            number += 1
            waiting["core"] += [*latest.values(), *_person(model, member_id, chance)]
            at = keys.member_key(member_id)
            waiting["vault"].append({**model.key, "pk": at.pk, "sk": at.sk})
            written += len(latest) + _BESIDES - 1
            put("core", least=_BATCH)
            put("vault", least=_BATCH)
        put("core", least=1)
        put("vault", least=1)
    return written


def _person(model: _Model, member_id: AccountId, chance: random.Random) -> Iterator[Item]:
    """Profile and identifiers of a member."""
    at = keys.profile(MemberId(member_id))
    yield {
        **model.profile, "pk": at.pk, "sk": at.sk, "member_id": member_id, "tl": keys.directory(member_id),
        "at": member_id,
    }  # fmt: skip
    for kind in ("mobile", "email"):
        where = keys.unique(kind, f"{chance.getrandbits(120):030x}"[:24])
        yield {"pk": where.pk, "sk": where.sk, "member_id": member_id}


def _typed(item: Item) -> dict[str, Any]:
    return {name: marshalled(value) for name, value in item.items() if value is not None}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.restore")
    parser.add_argument("--items", type=int, default=1_000_000)
    try:
        run(items=parser.parse_args().items).tell()
    except CannotRun as reason:
        sys.exit(f"The drill failed: {reason}.")
