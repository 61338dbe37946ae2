"""The table in memory does what the emulator does, so that what is found over one holds over the other."""

from datetime import date
from typing import Any

import pytest

from chalicelib.jobs.models import Job
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Absent, Add, Delete, Held, Put, Unchanged, Write
from tests.faults.works import Works
from tests.makers import a_purchase
from tests.memory import MemoryTable
from tests.table.stand import scan


def a_life(works: Works) -> None:
    """A crowd that enrols, buys, spends, and is done by every job."""
    works.open()
    works.desk.publish(1, pending_days=3, expiry={"mode": "rolling", "months": 12, "bucket": "day"})
    works.clock.forward(minutes=1)
    numbers = iter(range(1_000))
    desk = works.desk
    desk.draw = lambda: next(numbers) * 104_729
    for number in range(12):
        member = desk.enrol(birthday="1990-04-10", card_no=f"c{number}", mobile=f"+86138{number:08d}").member_id
        desk.adjust(member, 100, key=f"a{number}", expires_on=date(2026, 4, 8 + number % 3))
        desk.buy(a_purchase(member, order_no=f"o{number}"))
        desk.spend(member, 7, key=f"s{number}")
    for day in range(8, 12):
        works.clock.at(f"2026-04-{day:02d}")
        for job in Job:
            works.start(job)
            works.drain("work-job")


def test_a_life_leaves_the_same_items_in_both(table: DynamoTable, ops: DynamoTable, dynamo: Dynamo) -> None:
    memory, emulated = Works(), Works(core=table, ops=ops)
    a_life(memory)
    a_life(emulated)
    assert memory.core.items == scan(dynamo, table.name)
    assert memory.ops.items == scan(dynamo, ops.name)
    assert len(memory.core.items) > 100


class Refused(Exception):
    """A condition failed."""


def test_conditions_hold_and_fail_alike(table: DynamoTable, dynamo: Dynamo) -> None:
    a, b = Key("a", "x"), Key("b", "x")
    script: list[list[Write]] = [
        [Put(a, {"version": 1, "member_id": "m"}, Absent(), Refused)],
        [Put(a, {"version": 9}, Absent(), Refused)],
        [Put(b, {"version": 1}, Absent(), Refused), Put(a, {"version": 2}, Unchanged(7), Refused)],
        [Add(b, {"n": 2}, {"seen": 5}), Put(a, {"version": 2, "member_id": "m"}, Unchanged(1), Refused)],
        [Add(b, {"n": 3, "k": 1}, {"seen": 6})],
        [Delete(a, Held("someone"), Refused)],
        [Delete(a, Held("m"), Refused)],
        [Delete(a, Held("m"), Refused)],
    ]
    memory = MemoryTable()
    ports: tuple[Table, ...] = (memory, table)
    for writes in script:
        answers: list[tuple[Any, ...] | None] = []
        for port in ports:
            try:
                port.commit(writes, keyed=True)
                answers.append(None)
            except Refused as refused:
                answers.append(refused.args)
        assert answers[0] == answers[1], writes
        assert memory.items == scan(dynamo, table.name)


@pytest.mark.parametrize("newest_first", [True, False])
def test_pages_come_alike(table: DynamoTable, dynamo: Dynamo, newest_first: bool) -> None:
    memory = MemoryTable()
    ports: tuple[Table, ...] = (memory, table)
    for number in range(7):
        row = {"tl": "t", "at": f"{number:03d}", "due": "d", "r": "e", "d": b"1"}
        for port in ports:
            port.commit(
                [
                    Put(Key(f"p{number}", "x"), row, Absent(), Refused),
                    Put(Key("one", f"s{number}"), {"version": number}, Absent(), Refused),
                ]
            )
    order = {"newest_first": newest_first}
    for limit in (1, 3, 7, 9):
        found = [port.query_partition("one", first="s1", last="s5", limit=limit, **order) for port in ports]
        assert found[0] == found[1]
        for after in (None, "003", "p2", "s9"):
            for mine, theirs in (
                [port.query_due("d", after=after, limit=limit) for port in ports],
                [port.query_timeline("t", after=after, limit=limit, **order) for port in ports],
            ):
                assert mine.items == theirs.items
                if len(mine.items) != limit:  # a full page may name a place behind which there is nothing
                    assert mine.last == theirs.last
