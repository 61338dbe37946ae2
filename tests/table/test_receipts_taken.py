"""Receipts, bounces and replies are taken once: two at once, told again, and after a crash at every call of a table."""

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from chalicelib.deliveries.models import Row
from chalicelib.members import service as members
from chalicelib.members.models import ConsentSource, SayConsents, Witness
from chalicelib.programs.service import ProgramBook
from chalicelib.providers.aliyun import mark_of
from chalicelib.providers.models import Result
from chalicelib.providers.refs import kept
from chalicelib.reach import service as reach
from chalicelib.receipts import rules, service
from chalicelib.receipts.models import Taken
from chalicelib.receipts.service import Desk as ReceiptsDesk
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Anyway, Item, Put
from tests.makers import NOON, Clock, contacts_in, publish_texts
from tests.memory import SharedTable
from tests.table.stand import Crashed, CrashingTable, Desk

STAFF = Witness(ConsentSource.STAFF, "stf_ann")


@dataclass
class World:
    """A member who consents to offers, a message to them, and what a provider tells of it."""

    core: SharedTable = field(default_factory=SharedTable)
    ops: SharedTable = field(default_factory=SharedTable)
    rows: dict[str, Row] = field(default_factory=dict)
    keyring: Keyring = field(default_factory=lambda: Keyring(b"i" * 32, b"c" * 32, contacts_in(SharedTable())))

    def __post_init__(self) -> None:
        desk = Desk(self.core, self.keyring, ProgramBook(self.core), Clock(NOON))
        desk.book.current(NOON)
        publish_texts(self.core, "marketing")
        self.member = desk.enrol(mobile="+8613800138000").member_id
        granted = {"purpose": "marketing", "channel": "sms", "granted": True, "text_version": "1"}
        said = SayConsents.model_validate({"consents": [granted]}, strict=False)
        members.say_consents(self.core, self.keyring, desk.book, self.member, said, now=NOON, witness=STAFF)
        self.delivery = f"dlv_one-{self.member.partition('_')[2]}-{'a' * 32}"
        item: Item = {"source_id": "jrn_1", "step": "s1", "channel": "sms"}
        self.ops.commit([Put(keys.single(self.member, self.delivery), item, Anyway(), lambda _: AssertionError())])
        other = Result(f"dlv_one-{'b' * 16}-{'c' * 32}", "sent", provider_ref=mark_of("b", "13800138999"))
        self.ops.commit(kept("aliyun", [other], now=NOON))

    def take(self, core: Table | None = None, ops: Table | None = None) -> Taken:
        """Take all that the provider tells: a receipt, a number that is none, a reply."""
        told = rules.together(rules.aliyun(json.dumps(each).encode()) for each in self.told())
        desk = ReceiptsDesk(core or self.core, ops or self.ops, self.keyring, ProgramBook(self.core), self.append)
        return service.take(desk, "aliyun", told, now=NOON)

    def append(self, name: str, rows: Sequence[Row], _now: datetime) -> None:
        """The lake: the same row twice is one."""
        self.rows |= {row["row_id"]: row for row in rows}

    def told(self) -> list[list[dict[str, Any]]]:
        report = {
            "phone_number": "13800138000", "send_time": "2026-03-15 11:58:00", "report_time": "2026-03-15 11:59:00",
            "success": True, "err_code": "DELIVERED", "sms_size": "1", "biz_id": "b", "out_id": self.delivery,
        }  # fmt: skip
        gone = {**report, "phone_number": "13800138999", "success": False, "err_code": "NO_ROUTE", "out_id": ""}
        reply = {
            "phone_number": "13800138000", "send_time": "20260315115900", "content": "退订", "sign_name": "店",
            "dest_code": "1", "sequence_id": 7,
        }  # fmt: skip
        return [[report, gone], [reply]]

    def require_all(self) -> None:
        """See that everything that was told holds, and once."""
        assert sorted(row["kind"] for row in self.rows.values()) == ["delivered", "opted_out"]
        found = members.find_consents(self.core, self.keyring, self.member).consents
        assert not any(each.granted for each in found if each.purpose == "marketing")
        listed = reach.list_suppressions(self.core, after=None, limit=10).items
        assert [(each.channel.value, each.reason_code.value) for each in listed] == [("sms", "bounced")]
        assert len(self.ops.query_partition(f"RCP#{self.delivery}", first="a", last="z")) == 1


def test_what_is_told_holds() -> None:
    world = World()
    taken = world.take()
    assert (taken.counted, taken.strange, taken.suppressed, taken.replies) == (1, 1, 1, 1)
    world.require_all()


def test_told_again_it_changes_nothing() -> None:
    world = World()
    world.take()
    before = {key: dict(item) for key, item in (world.core.items | world.ops.items).items()}
    taken = world.take()
    assert (taken.counted, taken.known, taken.suppressed, taken.replies) == (0, 1, 0, 0)
    assert {key: dict(item) for key, item in (world.core.items | world.ops.items).items()} == before
    world.require_all()


def test_told_twice_at_once_it_counts_once() -> None:
    world = World()
    taken: list[Taken] = []
    threads = [threading.Thread(target=lambda: taken.append(world.take())) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(taken) == 4
    assert sum(each.counted for each in taken) == 1
    world.require_all()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("which", ["core", "ops"])
def test_after_a_crash_at_any_call_it_is_told_again_and_holds(which: str, after: bool) -> None:
    for at in range(1, 60):
        world = World()
        crashing = CrashingTable(world.core if which == "core" else world.ops, at, after=after)
        try:
            world.take(**{which: crashing})
        except Crashed:
            world.take()
            world.require_all()
            continue
        assert at > 4, "it crashed somewhere"
        return
    raise AssertionError("it never came to an end")
