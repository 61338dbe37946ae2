"""What benches stand on: a DynamoDB of their own in memory, a table, and the app's surroundings over both."""

import contextlib
import itertools
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.consents.models import PublishConsentText
from chalicelib.consents.service import publish_text
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members.models import EnrolMember
from chalicelib.members.service import enrol_member
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.purchases.models import PurchaseView, RecordPurchase
from chalicelib.purchases.service.recording import record_purchase
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.keyring import Keyring, SealedContacts
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.vault import LocalKeeper, TableVault, TenantKeys
from local.dynamo import Dynoxide
from local.tables import TEMPLATE, table_calls

ISSUER, AUDIENCE = "https://bench.regulars.invalid", "regulars"
KEYS = {"index_key": "69" * 32, "cursor_key": "63" * 32, "token_key": "74" * 32, "vault_key": "76" * 32}
REGION = "us-east-1"

_stacks = itertools.count()
_people = itertools.count(1)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder in memory (where the machine has /dev/shm), removed afterwards: no bench waits for a disk."""
    memory = Path("/dev/shm")
    path = Path(tempfile.mkdtemp(prefix="regulars-bench-", dir=memory if memory.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def database() -> Iterator[Dynoxide]:
    """A dynoxide of the bench's own."""
    with folder() as path, Dynoxide(path / "dynamo.db") as server:
        yield server


def client(endpoint: str) -> Dynamo:
    """The product's own client of an emulator."""
    return Dynamo(REGION, endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now(UTC))


def make_table(dynamo: Dynamo) -> str:
    """Make an empty table `core` as the template declares it, and give its name."""
    stack = f"bench{next(_stacks)}"
    for call in table_calls(json.loads(TEMPLATE.read_text()), stack):
        dynamo.call("CreateTable", {key: value for key, value in call.items() if key != "TimeToLiveSpecification"})
    return f"{stack}-core"


@dataclass
class Clock:
    """A clock that moves when it is told."""

    now: datetime

    def __call__(self) -> datetime:
        """The time."""
        return self.now

    def forward(self, **amount: float) -> datetime:
        """Let time pass: `days=1`, `hours=2` …"""
        self.now += timedelta(**amount)
        return self.now


@dataclass
class Meter:
    """Adds up what the calls since the last `reset` consumed, as DynamoDB bills it."""

    trips: int = 0
    read: float = 0.0
    write: float = 0.0
    by_index: dict[str, float] = field(default_factory=dict)

    def __call__(self, operation: str, consumed: Any) -> None:
        """Take note of one call."""
        self.trips += 1
        for each in consumed if isinstance(consumed, list) else [consumed] if consumed else []:
            units = float(each["CapacityUnits"])
            if operation in {"GetItem", "Query", "BatchGetItem"}:
                self.read += units
            else:
                self.write += units
            for name, index in each.get("GlobalSecondaryIndexes", {}).items():
                self.by_index[name] = self.by_index.get(name, 0.0) + float(index["CapacityUnits"])

    def reset(self) -> None:
        """Start from nothing."""
        self.trips, self.read, self.write, self.by_index = 0, 0.0, 0.0, {}


@dataclass
class Stack:
    """A table and the services over it, with a clock that the bench moves."""

    dynamo: Dynamo
    table: DynamoTable
    keyring: Keyring
    book: ProgramBook
    clock: Clock
    meter: Meter

    def enrol(self, **fields: Any) -> MemberId:
        """Enrol somebody, as a till does."""
        number = next(_people)
        values = {"name": "王小明", "mobile": f"+86138{number:08d}", "shop_id": "shp_sh_0231", **fields}
        command = EnrolMember.model_validate_json(json.dumps(values))
        return enrol_member(
            self.table, self.keyring, self.book, command,
            key=None, draw=wiring.draw, now=self.clock(), language=Language.ZH,
        ).value.member_id  # fmt: skip

    def buy(self, body: Mapping[str, Any]) -> PurchaseView:
        """Record a purchase at the clock's time, from a body as a till sends it."""
        command = RecordPurchase.model_validate_json(json.dumps(body))
        return record_purchase(
            self.table, self.keyring, self.book, command, now=self.clock(), language=Language.ZH
        ).value

    def remember_program(self) -> None:
        """Have the program read now, so that the next call is metered without it (one read each ten seconds)."""
        self.book.current(self.clock())


def stack_on(dynamo: Dynamo, start: datetime, *, metered: bool = True) -> Stack:
    """An empty table and all that goes over it.

    Args:
        metered: have every call say what it consumed; it makes them a little larger.
    """
    meter = Meter()
    made = DynamoTable(dynamo, make_table(dynamo), meter=meter if metered else None)
    vault = DynamoTable(dynamo, made.name.removesuffix("core") + "vault", meter=meter if metered else None)
    keyring = keyring_over(vault)
    stack = Stack(dynamo, made, keyring, book_of(made), Clock(start), meter)
    _first_of_all(stack)
    return stack


def keyring_over(vault: DynamoTable) -> Keyring:
    """The bench's keys, with a vault in that table; its key is read now, as it is once in a process."""
    chance = secrets.token_bytes
    keeper = LocalKeeper(lambda: bytes.fromhex(KEYS["vault_key"]), chance)
    tenant = TenantKeys(vault, keeper, chance, wiring.utc_now)
    tenant.newest()
    contacts = SealedContacts(TableVault(vault, tenant, chance), chance)
    return Keyring(bytes.fromhex(KEYS["index_key"]), bytes.fromhex(KEYS["cursor_key"]), contacts)


def _first_of_all(stack: Stack) -> None:
    """A text of a consent is published, and somebody buys something, which also puts the program in use: paid once."""
    text = PublishConsentText(
        purpose="marketing", text_version="2026-01", zh="同意接收优惠信息", en="I agree to offers"
    )
    publish_text(stack.table, text, by="stf_bench", now=stack.clock())
    body = {"channel": "pos", "order_no": "first", "member": {"member_id": stack.enrol()}}
    stack.buy(body | {"occurred_at": stack.clock().isoformat(), "currency": "CNY", "paid_minor": 100})


def house_of(stack: Stack) -> House:
    """The app's surroundings over a stack."""
    settings = Settings(
        stage="test", stack="bench", region=REGION, dynamodb_endpoint=None,
        index_key=stack.keyring.index_key, cursor_key=stack.keyring.cursor_key,
        token_key=bytes.fromhex(KEYS["token_key"]), issuer=ISSUER, audience=AUDIENCE,
    )  # fmt: skip
    return House(settings, stack.table, stack.keyring, stack.clock, gate=wiring.gate(settings))


def item_bytes(item: Mapping[str, Any]) -> int:
    """The size of an item as DynamoDB counts it: names and values, numbers two digits a byte."""
    return sum(len(name.encode()) + _value_bytes(value) for name, value in item.items() if value is not None)


def _value_bytes(value: Any) -> int:
    match value:
        case bool():
            return 1
        case str():
            return len(value.encode())
        case bytes():
            return len(value)
        case int():
            return (len(str(abs(value)).rstrip("0")) + 1) // 2 + 1 + (value < 0)
        case list() | tuple():
            return 3 + sum(1 + _value_bytes(each) for each in value)
        case dict():
            return 3 + sum(1 + len(name.encode()) + _value_bytes(each) for name, each in value.items())
        case _:
            raise TypeError(type(value).__name__)


@dataclass(frozen=True)
class Usage:
    """What a process has used so far."""

    cpu_seconds: float
    peak_kib: int


def usage(pid: int) -> Usage:
    """CPU time and peak memory of a process, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    status = Path(f"/proc/{pid}/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), peak)
