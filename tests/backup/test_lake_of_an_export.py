"""A stack's lake is made anew from an export of its table, as DynamoDB writes it to S3."""

import gzip
import itertools
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.lake import duck, service, store
from chalicelib.programs.service import ProgramBook
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import marshalled
from chalicelib.storage.keyring import Keyring
from local.lake_rebuild import ExportUnfit, find_export, rebuilt_in_stack
from tests.lakes import Shore
from tests.makers import Clock, a_purchase, contacts_in
from tests.memory import MemoryTable
from tests.table.stand import Desk

TAKEN = "2026-03-15T12:30:00.123Z"
DATA = "AWSDynamoDB/01700000000000-abc/data"


def exported(folder: Path, items: Sequence[dict[str, Any]], **more: Any) -> Path:
    """An export in a folder, in two files, as `aws s3 sync` brings it."""
    root = folder / "AWSDynamoDB" / "01700000000000-abc"
    (root / "data").mkdir(parents=True)
    listed = []
    for name, some in (("a.json.gz", items[::2]), ("b.json.gz", items[1::2])):
        lines = [json.dumps({"Item": {key: marshalled(value) for key, value in item.items()}}) + "\n" for item in some]
        (root / "data" / name).write_bytes(gzip.compress("".join(lines).encode()))
        listed.append({"itemCount": len(some), "md5Checksum": "x", "etag": "x", "dataFileS3Key": f"{DATA}/{name}"})
    (root / "manifest-files.json").write_text("".join(json.dumps(each) + "\n" for each in listed))
    summary = {
        "version": "2020-06-30", "exportArn": "x", "exportTime": TAKEN, "itemCount": len(items),
        "tableArn": "arn:aws:dynamodb:ap-southeast-1:123456789012:table/regulars-prod-core",
        "outputFormat": "DYNAMODB_JSON",
    }  # fmt: skip
    (root / "manifest-summary.json").write_text(json.dumps(summary | more))
    return folder


def test_a_stacks_lake_is_what_its_export_says_and_what_was_told_since(tmp_path: Path, clock: Clock) -> None:
    memory, shore = MemoryTable(), Shore(tmp_path / "archive")
    keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(MemoryTable()))
    book = ProgramBook(memory)
    book.current(clock())
    till = Desk(memory, keyring, book, clock)
    ann = till.enrol(mobile="13800000001", tags=["vip"])
    till.buy(a_purchase(ann.member_id, paid_minor=10000))
    stray = {
        "id": ann.member_id,
        "v": 10**6,
        "status": "closed",
        "joined_on": "2026-03-01",
    }  # of a time that was undone
    long_ago = datetime(2026, 3, 15, 8, tzinfo=UTC)
    store.keep_batch(shore.objects, [store.line_of({"account": stray})], now=long_ago)
    service.patch(shore.lake, today=long_ago.date(), now=long_ago)

    settings = Settings(
        stage="test", stack="test", region="us-east-1", dynamodb_endpoint=None, index_key=b"i" * 32,
        cursor_key=b"c" * 32, token_key=b"t" * 32, issuer="https://test.regulars.invalid", audience="regulars",
    )  # fmt: skip
    draws = itertools.count(1)
    house = House(
        settings, memory, keyring, clock, lambda: next(draws), ops=shore.ops, objects=shore.objects,
        place=shore.lake.place,
    )  # fmt: skip
    items = [{"pk": key.pk, "sk": key.sk, **item} for key, item in memory.items.items()]
    counts, _ = rebuilt_in_stack(house, exported(tmp_path / "export", items))
    assert (counts["members"], counts["purchases"], counts["entries"]) == (1, 1, 1)
    now = datetime.now(UTC)
    with duck.opened(shore.lake.place, store.find_head(shore.ops), today=now.date(), now=now) as con:
        said = con.execute("SELECT status, tags, spent_minor FROM members").fetchall()
    assert said == [("active", ["vip"], 10000)]


def test_what_is_no_export_of_the_table_is_refused(tmp_path: Path, clock: Clock) -> None:
    items = [{"pk": "M#1", "sk": "PROFILE"}, {"pk": "M#2", "sk": "PROFILE"}]
    taken, paths = find_export(exported(tmp_path / "good", items))
    assert (taken, len(paths)) == (datetime.fromisoformat(TAKEN), 2)
    with pytest.raises(ExportUnfit, match="0 exports"):
        find_export(tmp_path / "none")
    with pytest.raises(ExportUnfit, match="2 exports"):
        exported(tmp_path / "two" / "x", items), exported(tmp_path / "two" / "y", items)
        find_export(tmp_path / "two")
    with pytest.raises(ExportUnfit, match="vault"):
        find_export(exported(tmp_path / "vault", items, tableArn="arn:x:table/regulars-prod-vault"))
    with pytest.raises(ExportUnfit, match="ION"):
        find_export(exported(tmp_path / "ion", items, outputFormat="ION"))
    with pytest.raises(ExportUnfit, match="not whole"):
        find_export(exported(tmp_path / "count", items, itemCount=3))
    paths[1].unlink()
    with pytest.raises(ExportUnfit, match=r"b\.json\.gz"):
        find_export(tmp_path / "good")
