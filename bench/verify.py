"""How fast the walk proves: entries a second in one process, over items in memory and through the emulator."""

import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from bench.report import Figure, table
from chalicelib.jobs import proving
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.proving import Walk
from chalicelib.kernel.ids import AccountId, MemberId, MemberNumber
from chalicelib.members.models import MemberRef
from chalicelib.points import store
from chalicelib.points.errors import PointsInsufficient
from chalicelib.points.models import Account, EntryKey, Posting, SpendPoints
from chalicelib.points.rules import commands
from chalicelib.points.service import content_digest
from chalicelib.programs import store as program_store
from chalicelib.programs.models import Program, default_program
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import rules as proof_rules
from chalicelib.proof.service import Roots
from chalicelib.purchases.models import PurchaseLine, RecordPurchase
from chalicelib.purchases.rules import buying
from chalicelib.purchases.store import sale_item
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Credentials, Dynamo, marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable, Rows
from chalicelib.storage.writes import Item, Put
from local.dynamo import Dynoxide
from local.tables import create_tables

GOAL = 2_000
"""Entries a second of CPU: 20 million in three hours by one process, in twenty minutes by ten."""

_START = datetime.fromisoformat("2023-01-05T10:00:00+08:00")
_LENGTHS = (5, 8, 12, 20, 35, 60, 120, 250, 500)
_STACK = "bench"


class Shelf:
    """A table port over items in memory."""

    def __init__(self, program: Sequence[Item]) -> None:
        self.items = {Key(item["pk"], item["sk"]): item for item in program}
        self.rows: dict[str, list[Item]] = {}

    def add(self, item: Item) -> None:
        """Hold an item, or another version of it."""
        self.items[Key(item["pk"], item["sk"])] = item
        if "tl" in item:
            rows = self.rows.setdefault(item["tl"], [])
            rows.append(item)
            rows.sort(key=lambda row: str(row["at"]))

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:  # noqa: ARG002 - the port's shape
        """See `Table.get`."""
        return self.items.get(key)

    def get_many(self, wanted: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:  # noqa: ARG002
        """See `Table.get_many`."""
        return {key: self.items[key] for key in wanted if key in self.items}

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:  # noqa: ARG002
        """See `Table.query_timeline`."""
        rows = [row for row in self.rows.get(partition, ()) if after is None or row["at"] > after]
        return Rows(tuple(rows[:limit]), rows[limit - 1]["at"] if len(rows) > limit else None)


def run(*, quick: bool = False) -> Figure:
    """Prove a million entries; the value is entries a second of the whole part: reading, proof, sales, liability."""
    in_memory, emulated = (3_000, 500) if quick else (1_000_000, 50_000)
    chance, program = random.Random(1), default_program(_START)
    program_items = [*_program_items(program)]
    shelf = Shelf(program_items)
    lives = [lived(chance, program, number, length, shelf.add) for number, length in enumerate(_LENGTHS * 4)]
    start_kib = _peak_kib()
    whole = _proven(shelf, [each for each, _ in lives], in_memory)
    proof_alone = _proof_alone(shelf, [each for each, _ in lives], program, in_memory // 10)
    grown = (_peak_kib() - start_kib) / 1024
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder, Dynoxide(Path(folder) / "verify.db") as server:
        through_emulator = _through_emulator(server.endpoint, chance, program, program_items, emulated)
    table(
        ["one process; the first two by its own CPU time", "entries", "entries/s"],
        [
            ["proof alone, entries read already", in_memory // 10, proof_alone],
            ["part of the job: items, proof, sales, liability", in_memory, whole],
            ["the same through the emulator", emulated, through_emulator],
        ],
    )
    print(f"  {len(lives)} accounts of {_LENGTHS[0]} to {_LENGTHS[-1]} entries, proven again and again; "
          f"memory grew by {grown:.1f} MiB, to {_peak_kib() / 1024:.0f} MiB")  # fmt: skip
    return Figure(
        "verify", f"entries/s of the walk over {in_memory:,} entries, one process", whole, GOAL, "1/s",
        lower_is_better=False,
        details={"proof_alone": round(proof_alone), "emulator": round(through_emulator), "grown_mib": round(grown, 1)},
    )  # fmt: skip


def _proven(shelf: Shelf, members: Sequence[AccountId], entries: int) -> float:
    """Entries a second of parts of the job, until so many are proven."""
    book, done, started = ProgramBook(shelf), 0, time.process_time()  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        roots = Roots(FolderObjects(Path(folder)))
        now = _START + timedelta(days=4_000)
        walk = Walk(now.date(), None, now, keep=False)
        while done < entries:
            part = Part(job=Job.VERIFY, day=walk.day, dry_run=True, attempt=1, name="0", members=tuple(members))
            made = proving.prove_part(shelf, book, roots, walk, part, now=now, pause=lambda: None)  # type: ignore[arg-type]
            assert made.tally.faulty == 0, made.tally.faults
            done += made.tally.entries
    return done / (time.process_time() - started)


def _proof_alone(shelf: Shelf, members: Sequence[AccountId], program: Program, entries: int) -> float:
    ledgers = [
        (store.account_from(shelf.items[keys.account(each)]),
         [store.entry_from(item) for item in shelf.rows[keys.statement(each)]])
        for each in members
    ]  # fmt: skip
    done, started = 0, time.process_time()
    while done < entries:
        for account, own in ledgers:
            assert proof_rules.verify(account, own, {program.version: program}) is None
            done += len(own)
    return done / (time.process_time() - started)


def _through_emulator(
    endpoint: str, chance: random.Random, program: Program, program_items: Sequence[Item], entries: int
) -> float:
    create_tables(endpoint, _STACK)
    dynamo = Dynamo("us-east-1", endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now().astimezone())
    core = DynamoTable(dynamo, f"{_STACK}-core")
    items = list(program_items)
    members: list[AccountId] = []
    made = 0
    while made < entries:
        latest: dict[Key, Item] = {}
        member, count = lived(
            chance, program, 1_000 + len(members), chance.choice(_LENGTHS),
            into(latest),
        )  # fmt: skip
        items += latest.values()
        members.append(member)
        made += count
    for at in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": _typed(item)}} for item in items[at : at + 25]]
        dynamo.call("BatchWriteItem", {"RequestItems": {core.name: puts}})
    shards: dict[int, list[AccountId]] = {}
    for member in members:
        shards.setdefault(keys.shard_of(member), []).append(member)
    started, done, now = time.perf_counter(), 0, _START + timedelta(days=4_000)
    with tempfile.TemporaryDirectory() as folder:
        roots, walk = Roots(FolderObjects(Path(folder))), Walk(now.date(), None, now, keep=True)
        for some in shards.values():
            for at in range(0, len(some), 100):
                part = Part(
                    job=Job.VERIFY, day=walk.day, dry_run=False, attempt=1, name=f"{keys.shard_of(some[0])}.{at}",
                    members=tuple(sorted(some)[at : at + 100]),
                )  # fmt: skip
                found = proving.prove_part(core, ProgramBook(core), roots, walk, part, now=now, pause=lambda: None)
                assert found.tally.faulty == 0, found.tally.faults
                done += found.tally.entries
    dynamo.close()
    return done / (time.perf_counter() - started)


# ---------------------------------------------------------------- lives


def lived(
    chance: random.Random, program: Program, number: int, length: int, keep: Callable[[Item], None]
) -> tuple[AccountId, int]:
    """An account that lives until it has so many entries; its items are kept, the account's last."""
    member = MemberId.of(MemberNumber.from_chance(number * 7_919))
    account = Account(member_id=member, opened_on=_START.date(), tier_id=program.ladder.tiers[0].tier_id)
    now, orders = _START + timedelta(days=number % 90), 0
    while account.seq < length:
        now += timedelta(hours=chance.expovariate(1 / (24 * 1_000 / length)))
        orders += 1
        try:
            posting, more = _decided(chance, account, program, f"{number}-{orders}", now)
        except PointsInsufficient:
            continue
        for write in store.post(account, posting, more=more):
            if isinstance(write, Put) and write.key != keys.account(member):
                keep(_stored(write))
        account = posting.account
    keep(_stored(store.replace_account(account, account, None)))
    return member, account.seq


def _decided(
    chance: random.Random, account: Account, program: Program, key: str, now: datetime
) -> tuple[Posting, dict[str, object]]:
    """A purchase of one to six lines, four times in five; else a spend."""
    if chance.random() < 0.2:
        spend = SpendPoints(points=chance.randint(5, 60))
        content = content_digest(account.member_id, spend)
        return commands.spend(
            account, spend, EntryKey(kind="spend", parts=(key,)), program, content=content, now=now
        ), {}
    lines = tuple(
        PurchaseLine(sku=f"69{chance.randrange(10**9):09d}", name="拿铁", quantity=1, unit_price_minor=1_800)
        for _ in range(chance.randint(1, 6))
    )
    command = RecordPurchase(
        channel="pos", order_no=key, member=MemberRef(member_id=MemberId(account.member_id)), currency=program.currency,
        occurred_at=now - timedelta(seconds=2), lines=lines, paid_minor=sum(line.unit_price_minor for line in lines),
    )  # fmt: skip
    content = content_digest(account.member_id, command)
    posting = buying.assess(account, command, program, content=content, now=now)
    return posting, sale_item(buying.sale_of(command, program))


def _program_items(program: Program) -> Iterator[Item]:
    for write in program_store.open_first(program):
        if isinstance(write, Put):
            yield _stored(write)


def _stored(write: object) -> Item:
    assert isinstance(write, Put)
    plain = {name: value for name, value in write.item.items() if value is not None}
    return {**plain, "pk": write.key.pk, "sk": write.key.sk}


def into(latest: dict[Key, Item]) -> Callable[[Item], None]:
    """Keeps the newest version of every item that it is given."""

    def keep(item: Item) -> None:
        latest[Key(item["pk"], item["sk"])] = item

    return keep


def _typed(item: Item) -> dict[str, object]:
    return {name: marshalled(value) for name, value in item.items()}


def _peak_kib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
