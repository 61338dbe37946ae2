"""How fast the chains of the audit trail are verified: records already read, and through the emulator."""

import itertools
import resource
import tempfile
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from bench.report import Figure, table
from chalicelib.audit import service, store
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Credentials, Dynamo, marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.words import Stored
from chalicelib.storage.writes import Absent, Item, Put, Unchanged
from chalicelib.trail import rules
from chalicelib.trail.store import Witnessed
from local.dynamo import Dynoxide
from local.tables import create_tables

GOAL = 10.0
"""Seconds for a million records."""

_DAY = date(2026, 3, 15)
_STACK = "bench"
_IN_A_LINK = 10


def run(*, quick: bool = False) -> Figure:
    """Verify a million records: every hash of a record, of a reason and of a link, by one process."""
    count, emulated = (16_000, 1_600) if quick else (1_000_000, 20_000)
    each = count // keys.AUDIT_SHARDS
    spent, bytes_of, started_kib = 0.0, 0, _peak_kib()
    for shard in range(keys.AUDIT_SHARDS):
        pk, records, links = _partition(shard, each)
        bytes_of += len(records[0]["c"])
        started = time.process_time()
        chain = rules.Chain(pk)
        for link in links:
            chain.take_link(link)
        loose = sum(not chain.take_record(record) for record in records)
        assert (loose, chain.end()) == (0, [])
        spent += time.process_time() - started
        assert _found(pk, records, links), "a verification that finds nothing measures nothing"
    per_million = spent * 1_000_000 / count
    read = _through_emulator(emulated)
    table(
        ["one process", "records", "records/s", "s for a million"],
        [
            ["hashes and chains, items in memory; CPU time", count, count / spent, per_million],
            ["the same with reading, through the emulator", emulated, emulated / read, read * 1_000_000 / emulated],
        ],
    )
    grown = (_peak_kib() - started_kib) / 1024
    says = bytes_of // keys.AUDIT_SHARDS
    print(f"  records say {says} bytes each; {_IN_A_LINK} in a link; memory grew by {grown:.0f} MiB")
    return Figure(
        "audit", f"s of CPU to verify 1,000,000 audit records, one process, {count:,} measured", per_million, GOAL, "s",
        details={"records": count, "emulator_records_per_s": round(emulated / read), "grown_mib": round(grown)},
    )  # fmt: skip


def _found(pk: str, records: list[Item], links: list[Item]) -> bool:
    """Whether one record that was changed is found, and no other named."""
    odd = records[len(records) // 2]
    chain = rules.Chain(pk)
    for link in links:
        chain.take_link(link)
    for record in records:
        chain.take_record({**record, "c": record["c"] + " "} if record is odd else record)
    return chain.end() == [f"aud_{odd['sk'][2:]}: the record is not the one that was chained"]


def _partition(shard: int, count: int) -> tuple[str, list[Item], list[Item]]:
    """A shard's records of a day, as the product makes them, and their links."""
    pk = keys.audit_partition(_DAY, shard)
    records = list(itertools.islice(_records(shard), count))
    links: list[Item] = []
    head = rules.beginning(pk)
    for at in range(0, count, _IN_A_LINK):
        rows = [[each["sk"][2:], rules.record_hash(each)] for each in records[at : at + _IN_A_LINK]]
        head = rules.link_hash(head, len(links) + 1, rules.rows_digest(rows))
        links.append({"pk": pk, "sk": keys.audit_link(pk, len(links) + 1).sk, "rows": rows, "h": head, "made": 0})
    return pk, records, links


def _records(shard: int) -> Iterator[Item]:
    """Edits of members by staff of a shop, one after the other: one is made in full, the others like it."""
    start = datetime(2026, 3, 15, tzinfo=UTC)
    for number in itertools.count():
        if number % 1_000 == 0:
            member = MemberId.of(MemberNumber.from_chance(number + shard))
            made = _made(member, start)
        at = start + timedelta(milliseconds=number)
        mark = keys.audit_mark(at, number * keys.AUDIT_SHARDS + shard)
        key = keys.audit_record(mark)
        content = made["c"].replace('"request_id":"r"', f'"request_id":"{number:032x}"')
        yield {**made, "pk": key.pk, "sk": key.sk, "at": mark, "c": content}


class _Sealing:
    """Makes ciphertexts of the usual size, out of nothing."""

    def seal(self, about: Iterable[str], place: str, text: str) -> Stored:  # noqa: ARG002 - the port's shape
        return {"of": list(about), "text": bytes(len(text) + 28)}


def _made(member: MemberId, at: datetime) -> Item:
    profile, account = keys.profile(member), keys.account(member)
    witnessed = Witnessed(
        "staff", "stf_zhang.wei", ("shop_manager",), "edit_member", "members:write", {"member_id": member}, None,
        "asked at the till", {"ip": "203.0.113.7", "agent": "Mozilla/5.0 (X11; Linux x86_64)", "request_id": "r"}, at,
        lambda: 7, _Sealing(),
    )  # fmt: skip
    read: dict[Key, Item | None] = {
        profile: {"shop": "shp_sh_0231", "contact": b"1", "tags": ["a"]},
        account: {"status": "active", "life": [1, 2]},
    }
    write = witnessed.record(
        read,
        [
            Put(profile, {"shop": "shp_sh_0232", "contact": b"2", "tags": ["b"]}, Unchanged(1), lambda _: ValueError()),
            Put(Key("U#mobile#x", "U"), {"member_id": member}, Absent(), lambda _: ValueError()),
            Put(
                Key(keys.happenings(member), "1"),
                {"kind": "edited", "what": {"fields": ["mobile", "shop_id", "tags"]}},
                Absent(),
                lambda _: ValueError(),
            ),
        ],
    )
    assert isinstance(write, Put)
    return write.item


def _through_emulator(count: int) -> float:
    """Seconds that the walk of a shard takes, reading included."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, Dynoxide(Path(folder) / "audit.db") as server:
        create_tables(server.endpoint, _STACK)
        dynamo = Dynamo(
            "us-east-1", server.endpoint, lambda: Credentials("b", "b"), lambda: datetime.now().astimezone()
        )
        core = DynamoTable(dynamo, f"{_STACK}-core")
        _, records, links = _partition(0, count)
        rows = [*records, *links]
        for at in range(0, len(rows), 25):
            puts = [{"PutRequest": {"Item": _typed(each)}} for each in rows[at : at + 25]]
            dynamo.call("BatchWriteItem", {"RequestItems": {core.name: puts}})
        now = datetime(2026, 3, 15, 23, tzinfo=UTC)
        started = time.perf_counter()
        found, _ = service.walk(core, FolderObjects(Path(folder) / "roots"), 0, now=now)
        spent = time.perf_counter() - started
        assert (found.records, found.faults) == (count, [])
        assert store.find_last_link(core, keys.audit_partition(_DAY, 0)) is not None
        dynamo.close()
    return spent


def _typed(item: Item) -> dict[str, object]:
    return {name: marshalled(value) for name, value in item.items()}


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
