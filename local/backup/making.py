"""`make backup`: every item that has to survive, into a folder that `make restore` reads.

A laptop's database is a SQLite file: it is copied at one instant while the run goes on, and the copy is read. Another
DynamoDB is read while it serves, which is no instant: an account may be newer than its entries. What AWS exported from
point-in-time recovery (`EXPORTS=`) is one instant again, and is turned into the same form.

Whatever was killed goes on: what was copied and written is there.
"""

import argparse
import base64
import gzip
import hashlib
import hmac
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.proof import rules as proof_rules
from chalicelib.runtime.wiring import utc_now
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.keys import parted
from chalicelib.storage.signing import FileSigner
from local.backup.crew import shared
from local.backup.form import (
    MANIFEST,
    PART_BYTES,
    TABLES,
    VAULT,
    BackupBroken,
    LedgerRecord,
    Manifest,
    PartRecord,
    PartWriter,
    TableRecord,
    TypedItem,
    own_file,
    own_folder,
    place,
    put_manifest,
    write_whole,
)
from local.dynamo import Dynoxide
from local.keys import ensure_keys, ensure_signing_key
from local.reconcile import NothingRuns
from local.runs import find_run
from local.settings import ROOT, STACK, Settings, app_environment, settings
from local.verify import walk_all

SEGMENTS = 8
"""Each table is read in so many; two at a time."""

_VAULT_LATER = timedelta(hours=1)

WORK = ".work"
"""What is under way, in the backup's folder; gone when it is whole."""


@dataclass(frozen=True)
class Segment:
    """A share of a table, and where it is written.

    Attributes:
        table: `core`, `ops` or `vault`.
        source: the table's name at the endpoint; or a file of an export.
        most: bytes of lines in a part.
    """

    chosen: Settings
    endpoint: str
    out: Path
    vault: Path
    table: str
    source: str
    number: int
    count: int
    most: int = PART_BYTES

    @property
    def progress(self) -> Path:
        """Where it is noted how far this is."""
        return self.out / WORK / f"{self.table}-{self.number:02d}.json"


@dataclass
class Written:
    """How far a segment is.

    Attributes:
        after: the key to go on behind; None at the beginning, and at the end.
    """

    parts: list[PartRecord]
    left_out: int = 0
    after: dict[str, Any] | None = None
    done: bool = False


def main(arguments: Sequence[str]) -> int:
    """Make a backup as the arguments say; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local backup")
    parser.add_argument("--out", help="the folder; by default one named for the time, in DATA_DIR/backups")
    parser.add_argument("--vault", help="the folder of the vault's parts, if they are kept elsewhere")
    parser.add_argument("--exports", help="a folder with the exports of AWS' that are to be turned into a backup")
    asked = parser.parse_args(arguments)
    chosen = settings()
    stamp = f"{utc_now():%Y%m%dT%H%M%SZ}"
    out = Path(asked.out).resolve() if asked.out else chosen.data_dir / "backups" / stamp
    vault = Path(asked.vault).resolve() if asked.vault else out / VAULT
    began = time.monotonic()
    try:
        if asked.exports:
            manifest = from_exports(chosen, Path(asked.exports), out, vault)
        else:
            manifest = backed_up(chosen, out, vault)
    except (BackupBroken, NothingRuns) as problem:
        print(problem, file=sys.stderr)
        return 2
    _tell(manifest, out, time.monotonic() - began)
    return 0 if manifest.ledger is None or not manifest.ledger.faulty else 1


def backed_up(chosen: Settings, out: Path, vault: Path, *, part_bytes: int = PART_BYTES) -> Manifest:
    """Back up the database of a data folder, running or not; what was begun in `out` is finished.

    Raises:
        BackupBroken: there is a backup in `out` already.
        NothingRuns: there is no database.
    """
    _begin(out)
    with _database(chosen, out) as (endpoint, taken_at, instant):
        segments = [
            Segment(chosen, endpoint, out, vault, table, f"{STACK}-{table}", number, SEGMENTS, part_bytes)
            for table in TABLES
            for number in range(SEGMENTS)
        ]
        tables = _tables(segments, _read_segment)
        whole = walk_all(replace(chosen, dynamodb_endpoint=endpoint), began=from_milliseconds(taken_at))
    ledger = LedgerRecord(
        heads=proof_rules.heads_of(whole.parts).hex(), accounts=whole.tally.accounts, entries=whole.tally.entries,
        balance=whole.tally.balance, faulty=whole.tally.faulty,
    )  # fmt: skip
    return _finished(chosen, out, STACK, taken_at, tables, instant=instant, ledger=ledger)


def from_exports(chosen: Settings, exports: Path, out: Path, vault: Path) -> Manifest:
    """Turn AWS' exports of the three tables into a backup.

    The ledger is in `core` alone, of which an export shows one instant.

    Args:
        exports: a folder below which the exports are, as they are in the bucket.

    Raises:
        BackupBroken: there is not one export of each table, the vault's is older than that of `core`, or a file is
            not whole.
    """
    _begin(out)
    found = [json.loads(path.read_text()) for path in sorted(exports.rglob("manifest-summary.json"))]
    named = {str(each["tableArn"]).rpartition("/")[2]: each for each in found}
    chosen_tables = {name.rpartition("-")[2]: name for name in named}
    if len(found) != len(TABLES) or set(chosen_tables) != set(TABLES):
        raise BackupBroken(f"{exports} must hold one export of each of {', '.join(TABLES)}; found {sorted(named)}")
    instants = {table: datetime.fromisoformat(named[name]["exportTime"]) for table, name in chosen_tables.items()}
    if not timedelta() <= instants[VAULT] - instants["core"] <= _VAULT_LATER:
        raise BackupBroken(
            "the vault must be exported after core, within an hour: it has to hold every key that core names"
        )
    segments = [
        Segment(chosen, "", out, vault, table, json.dumps([str(_file_of(exports, entry)), entry]), number, 0)
        for table, name in chosen_tables.items()
        for number, entry in enumerate(_files_of(exports, named[name]))
    ]
    tables = _tables(segments, _read_export, chosen_tables)
    for table, name in chosen_tables.items():
        read = tables[table].items + tables[table].left_out
        if read != named[name]["itemCount"]:
            raise BackupBroken(f"the export of {name} holds {read:,} items, its manifest {named[name]['itemCount']:,}")
    taken_at = milliseconds(instants["core"])
    stack = chosen_tables["core"].removesuffix("-core")
    return _finished(chosen, out, stack, taken_at, tables, instant=True, ledger=None)


def _begin(out: Path) -> None:
    if (out / MANIFEST).exists():
        raise BackupBroken(f"there is a backup in {out} already")
    own_folder(out / WORK)


def _finished(
    chosen: Settings, out: Path, stack: str, taken_at: int, tables: dict[str, TableRecord], *,
    instant: bool, ledger: LedgerRecord | None,
) -> Manifest:  # fmt: skip
    """The manifest, signed and written."""
    manifest = Manifest(
        stack=stack, taken_at=taken_at, instant=instant, product=_product(), index_key=key_mark(chosen),
        tables=tables, ledger=ledger,
    )  # fmt: skip
    ensure_signing_key(chosen.signing_key_file)
    put_manifest(out, manifest, FileSigner(chosen.signing_key_file))
    shutil.rmtree(out / WORK)
    return manifest


def key_mark(chosen: Settings) -> str:
    """What tells a data folder's index key from another: without that key nobody is found by mobile."""
    key = bytes.fromhex(ensure_keys(chosen.keys_file)["index_key"])
    return hmac.digest(key, b"regulars backup", hashlib.sha256).hex()[:16]


# ---------------------------------------------------------------- one instant


@contextmanager
def _database(chosen: Settings, out: Path) -> Iterator[tuple[str, int, bool]]:
    """Where to read, the instant that it shows, and whether it is one."""
    run, own = find_run(chosen.data_dir), chosen.data_dir / "dynamo.db"
    live = chosen.dynamodb_endpoint or (run.dynamodb if run and not own.exists() else "")
    if live:
        yield live, milliseconds(utc_now()), False
        return
    if not own.exists():
        raise NothingRuns(f"There is no database in {chosen.data_dir}.")
    copy, began = out / WORK / "dynamo.db", out / WORK / "began.json"
    if not began.exists():
        taken_at = milliseconds(utc_now())
        _copied(own, copy)
        write_whole(began, json.dumps(taken_at).encode())
    with Dynoxide(copy) as database:
        yield database.endpoint, json.loads(began.read_text()), True


def _copied(database: Path, copy: Path) -> None:
    """Copy a SQLite file as it is at one instant; those who write meanwhile do not wait."""
    own_file(copy).close()
    with closing(sqlite3.connect(database, timeout=30)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


# ---------------------------------------------------------------- reading


def _tables(segments: Sequence[Segment], read: Any, names: dict[str, str] | None = None) -> dict[str, TableRecord]:
    """Read all segments, two at a time, and sum them up by table."""
    written = dict(shared(read, segments, segments[0].chosen.workers))
    tables = {}
    for table in TABLES:
        own = [written[segment.table, segment.number] for segment in segments if segment.table == table]
        parts = tuple(part for each in own for part in each.parts)
        tables[table] = TableRecord(
            name=names[table] if names else f"{STACK}-{table}",
            items=sum(part.lines for part in parts),
            left_out=sum(each.left_out for each in own),
            parts=parts,
        )
    return tables


def _read_segment(segment: Segment) -> tuple[tuple[str, int], Written]:
    """Read a segment to its end, from where it was left."""
    dynamo = client(segment.chosen, segment.endpoint)
    asked: dict[str, Any] = {
        "TableName": segment.source, "Segment": segment.number, "TotalSegments": segment.count, "ConsistentRead": True,
    }  # fmt: skip

    def pages(after: dict[str, Any] | None) -> Iterator[tuple[list[TypedItem], dict[str, Any] | None]]:
        while True:
            answer = dynamo.call("Scan", asked | ({"ExclusiveStartKey": after} if after else {}))
            after = answer.get("LastEvaluatedKey")
            yield answer["Items"], after
            if after is None:
                return

    with closing(dynamo):
        return (segment.table, segment.number), _write(segment, pages)


def _read_export(segment: Segment) -> tuple[tuple[str, int], Written]:
    """Read a file of an export; a file that was begun is begun anew."""
    path, entry = json.loads(segment.source)
    file = Path(path)
    with file.open("rb") as raw:
        md5 = hashlib.file_digest(raw, "md5").digest()  # AWS' manifest has no other
    if base64.b64encode(md5).decode() != entry["md5Checksum"]:
        raise BackupBroken(f"{file} is not the file that the export's manifest names")

    def pages(_after: dict[str, Any] | None) -> Iterator[tuple[list[TypedItem], dict[str, Any] | None]]:
        with gzip.open(file, "rb") as lines:
            page: list[TypedItem] = []
            for line in lines:
                page.append(json.loads(line)["Item"])
                if len(page) == 1_000:  # bounds memory
                    yield page, {}
                    page = []
            yield page, None

    return (segment.table, segment.number), _write(segment, pages, resumed=False)


def _write(segment: Segment, pages: Any, *, resumed: bool = True) -> Written:
    """Write pages into parts; after each part it is noted how far this is."""
    written = _progress(segment) if resumed or _progress(segment).done else Written([])
    writer: PartWriter | None = None
    for items, after in pages(written.after) if not written.done else ():
        kept = [item for item in items if survives(segment.table, item)]
        written.left_out += len(items) - len(kept)
        if kept and writer is None:
            name = f"{segment.table}/{segment.number:02d}-{len(written.parts):04d}.jsonl.gz"
            writer = PartWriter(place(segment.out, segment.vault, name), name)
        if writer is not None:
            writer.add(kept)
        written.after, written.done = after, after is None
        if writer is not None and (writer.plain >= segment.most or written.done):
            written.parts.append(writer.close())
            writer = None
            _note(segment, written)
    _note(segment, written)
    return written


def survives(table: str, item: TypedItem) -> bool:
    """Whether an item is taken along.

    Of `ops` that is how far jobs came and their runs, and which event each consumer handled last. What lapses is left
    out: sign-in codes, counters and sessions (members sign in anew), answers of the lane, and what an attempt at a run
    has done so far (it is done again).
    """
    if table != "ops":
        return True
    mark, *_ = parted(item["pk"]["S"])
    return mark == "T" or (mark == "J" and (item["sk"]["S"] == "HEAD" or parted(item["sk"]["S"])[0] == "R"))


def _progress(segment: Segment) -> Written:
    if not segment.progress.exists():
        return Written([])
    known = json.loads(segment.progress.read_text())
    return Written([PartRecord(**part) for part in known.pop("parts")], **known)


def _note(segment: Segment, written: Written) -> None:
    parts = [part.model_dump() for part in written.parts]
    known = {"parts": parts, "left_out": written.left_out, "after": written.after, "done": written.done}
    write_whole(segment.progress, json.dumps(known).encode())


_PATIENCE = 60.0
"""Seconds for an answer: a tool that walks whole tables can wait for longer than a till."""


def client(chosen: Settings, endpoint: str) -> Dynamo:
    """A client of a DynamoDB, with what the environment signs with."""
    env = app_environment(chosen, endpoint)
    credentials = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN"))
    return Dynamo(env["AWS_REGION"], endpoint, lambda: credentials, utc_now, patience=_PATIENCE)


# ---------------------------------------------------------------- exports of AWS'


def _files_of(exports: Path, summary: dict[str, Any]) -> list[dict[str, Any]]:
    """The files of an export, by its own list."""
    listed = _file_of(exports, {"dataFileS3Key": summary["manifestFilesS3Key"]})
    return [json.loads(line) for line in listed.read_text().splitlines()]


def _file_of(exports: Path, entry: dict[str, Any]) -> Path:
    """A file of an export on this machine, by its name in the bucket.

    Raises:
        BackupBroken: it is missing.
    """
    tail = str(entry["dataFileS3Key"])[str(entry["dataFileS3Key"]).index("AWSDynamoDB/") :]
    found: Iterable[Path] = exports.rglob(Path(tail).name)
    for path in found:
        if str(path).endswith(tail):
            return path
    raise BackupBroken(f"{tail} is missing in {exports}")


# ---------------------------------------------------------------- telling


def _product() -> str:
    try:
        said = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return said.stdout.strip()


def _tell(manifest: Manifest, out: Path, seconds: float) -> None:
    size = sum(part.size for part in manifest.parts)
    items = sum(table.items for table in manifest.tables.values())
    for name, table in manifest.tables.items():
        print(f"  {name:<8}{table.items:>12,} items, {table.left_out:,} that lapse left out, {len(table.parts)} parts")
    if manifest.ledger is not None:
        print(f"  {manifest.ledger.accounts:,} accounts, {manifest.ledger.entries:,} entries, root "
              f"{manifest.ledger.heads}")  # fmt: skip
        if manifest.ledger.faulty:
            print(f"✗ {manifest.ledger.faulty:,} accounts do not hold; make verify names them.")
    how = "of one instant" if manifest.instant else "read while others wrote: not of one instant"
    print(f"✓ {items:,} items, {size / 1e6:,.1f} MB in {seconds:.1f} s, {how}: {out}", flush=True)
