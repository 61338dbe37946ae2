"""The lane: many commands in one transaction come to what they come to one after the other, whatever happens."""

import itertools
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import Refusal, StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.lane import service
from chalicelib.points import service as points
from chalicelib.points.models import SpendPoints
from chalicelib.pools import service as pools
from chalicelib.pools.models import PoolId, SpendFromPool
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import ahead, keys, line
from chalicelib.storage.ahead import Ahead, Work, in_turn
from chalicelib.storage.dynamo import Dynamo, Unreachable
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.line import LATE, Asked
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Absent, Put, Unchanged
from tests.makers import Clock
from tests.table.stand import (
    Crashed,
    CrashingTable,
    Desk,
    Fault,
    FaultyDynamo,
    at_once,
    broken,
    conflict,
    faults_in,
    scan,
)
from tests.table.test_costs import Meter

_tokens = itertools.count(1)


@dataclass(frozen=True)
class Spend:
    """A spend from a pool, as somebody asks for it."""

    who: int
    points: int
    key: str
    reference: str | None = None


@dataclass
class Stand:
    """A pool with three members, of whom the second may spend 60 a month, and the third only contributes."""

    desk: Desk
    pool: PoolId
    members: list[MemberId]

    def command(self, spend: Spend) -> SpendFromPool:
        return SpendFromPool(member_id=self.members[spend.who], points=spend.points, reference=spend.reference)

    def asked(self, spend: Spend) -> Asked:
        return Asked(
            kind="pool_spend", account_id=self.pool, key=spend.key, command=self.command(spend).model_dump_json(),
            language=Language.EN, token=f"t{next(_tokens)}", asked_at=self.desk.clock(),
        )  # fmt: skip

    def directly(self, spend: Spend) -> Any:
        """What a spend is answered when it goes directly."""
        try:
            found = pools.spend_from_pool(
                self.desk.table, self.desk.book, self.pool, spend.key, self.command(spend),
                now=self.desk.clock(), language=Language.EN,
            )  # fmt: skip
        except Refusal as refusal:
            return told(refusal)
        return found.value, found.replayed

    def work(self, ops: Table, asked: Sequence[Asked], *, again: bool = False, table: Table | None = None) -> int:
        return service.carry_out(
            table or self.desk.table, ops, self.desk.book, asked, now=self.desk.clock(), again=again
        )

    def answer(self, ops: Table, spend: Spend, asked: Asked) -> Any:
        """What whoever waits for a spend finds."""
        known = line.find_refusal(ops, asked.token)
        if known is not None:
            return told(known)
        try:
            found = pools.find_spend(
                self.desk.table, self.desk.book, self.pool, spend.key, self.command(spend),
                token=asked.token, language=Language.EN,
            )  # fmt: skip
        except Refusal as refusal:
            return told(refusal)
        return (found.value, found.replayed) if found else None


def told(refusal: Refusal) -> tuple[str, str, dict[str, Any]]:
    return refusal.code, refusal.detail, refusal.facts


def a_stand(table: DynamoTable, keyring: Keyring, clock: Clock, amount: int = 300) -> Stand:
    """The same stand each time: the same ids, and so the same hashes."""
    draws = itertools.count(1)
    desk = Desk(table, keyring, ProgramBook(table), clock, lambda: next(draws) * 7_919)
    desk.book.current(clock())
    members = [desk.enrol(card_no=f"c{number}").member_id for number in range(3)]
    desk.adjust(members[0], amount // 3, key="soon", expires_on=date(2026, 4, 30))
    desk.adjust(members[0], amount - amount // 3, key="later")
    pool = desk.pool(members[0]).value.pool_id
    desk.contribute(pool, members[0], amount, key="all")
    desk.let_in(pool, members[1], monthly_limit=60)
    desk.let_in(pool, members[2], role="contributor")
    return Stand(desk, pool, members)


def some_spends(seed: int, count: int = 40) -> list[Spend]:
    """Spends of all kinds: too many points, over a limit, by who may not, the same again, the same key for others."""
    chance = random.Random(seed)
    found: list[Spend] = []
    for number in range(count):
        if found and chance.random() < 0.2:
            again = chance.choice(found)
            more = chance.random() < 0.3
            found.append(Spend(again.who, again.points + more, again.key, again.reference))
        else:
            reference = f"r{number}" if chance.random() < 0.3 else None
            found.append(Spend(chance.choice((0, 0, 1, 1, 2)), chance.randint(1, 25), f"k{number}", reference))
    return found


@pytest.fixture
def stand(table: DynamoTable, keyring: Keyring, clock: Clock) -> Stand:
    return a_stand(table, keyring, clock)


@pytest.fixture
def straight(other_table: DynamoTable, keyring: Keyring, clock: Clock) -> Stand:
    """The same on another table, where everything goes directly."""
    return a_stand(other_table, keyring, clock)


def differences(stand: Stand, straight: Stand, ops: Table, seed: int, sizes: Sequence[int]) -> list[str]:
    """In what the lane differs from the direct way, for the same commands."""
    chance = random.Random(seed)
    spends, found = some_spends(seed), []
    while spends:
        size = chance.choice(sizes)
        batch, spends = spends[:size], spends[size:]
        expected = [straight.directly(each) for each in batch]
        asked = [stand.asked(each) for each in batch]
        stand.work(ops, asked)
        answers = [stand.answer(ops, *each) for each in zip(batch, asked, strict=True)]
        found += [f"{a} for {e}" for a, e in zip(answers, expected, strict=True) if a != e]
    if stand.desk.entries(stand.pool) != straight.desk.entries(straight.pool):
        found.append("entries differ")
    if stand.desk.account(stand.pool) != straight.desk.account(straight.pool):
        found.append("accounts differ")
    return found


@pytest.mark.parametrize("seed", range(6))
def test_commands_by_the_lane_come_to_the_same_entries_hashes_and_answers_as_one_after_the_other(
    stand: Stand, straight: Stand, ops: DynamoTable, seed: int
) -> None:
    assert differences(stand, straight, ops, seed, (1, 3, 10)) == []
    assert len(stand.desk.entries(stand.pool)) > 8


def test_what_time_has_brought_is_booked_before_the_first_command_of_a_batch(
    stand: Stand, straight: Stand, ops: DynamoTable
) -> None:
    stand.desk.clock.at("2026-05-02")
    assert differences(stand, straight, ops, 1, (10,)) == []
    assert "expire" in {entry.key.kind for entry in stand.desk.entries(stand.pool)}


def test_spends_of_a_members_own_points_go_by_the_lane_too(desk: Desk, ops: DynamoTable) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 30, key="a")
    asked = [
        Asked(
            kind="spend", account_id=member, key=f"s{number}", command=SpendPoints(points=20).model_dump_json(),
            language=Language.ZH, token=f"m{number}", asked_at=desk.clock(),
        )
        for number in range(2)
    ]  # fmt: skip
    service.carry_out(desk.table, ops, desk.book, asked, now=desk.clock())

    found = points.find_spend(
        desk.table, desk.book, member, "s0", SpendPoints(points=20), token="m0", language=Language.EN
    )
    refusal = line.find_refusal(ops, "m1")
    assert found is not None
    assert (found.value.balance_after, found.replayed) == (10, False)
    assert refusal is not None
    assert (type(refusal).__name__, refusal.facts) == ("PointsInsufficient", {"asked": 20, "available": 10})


def test_two_who_wait_for_the_same_command_are_told_who_was_first(stand: Stand, ops: DynamoTable) -> None:
    spend = Spend(0, 300, "once")
    asked = [stand.asked(spend) for _ in range(3)]
    stand.work(ops, asked[:2])
    stand.work(ops, asked[2:])
    answers = [stand.answer(ops, spend, each) for each in asked]
    assert [replayed for _, replayed in answers] == [False, True, True]
    assert len({value.hash for value, _ in answers}) == 1
    assert stand.desk.points(stand.pool).available == 0


def test_a_refused_command_may_come_again_and_is_decided_anew(stand: Stand, ops: DynamoTable) -> None:
    spend = Spend(0, 301, "k")
    first = stand.asked(spend)
    stand.work(ops, [first])
    assert stand.answer(ops, spend, first)[0] == "points_insufficient"
    stand.desk.adjust(stand.members[0], 10, key="more")
    stand.desk.contribute(stand.pool, stand.members[0], 10, key="more")

    stand.work(ops, [first], again=True)
    assert stand.desk.points(stand.pool).available == 310, "who was refused was told so, and that stands"
    second = stand.asked(spend)
    stand.work(ops, [second])
    assert stand.answer(ops, spend, second)[0].balance_after == 9


def test_what_waited_too_long_is_not_begun(stand: Stand, ops: DynamoTable) -> None:
    old, spend = stand.asked(Spend(0, 1, "old")), Spend(0, 1, "new")
    stand.desk.clock.forward(seconds=LATE.total_seconds() + 1)
    new = stand.asked(spend)
    assert stand.work(ops, [old, new]) == 1
    assert stand.answer(ops, Spend(0, 1, "old"), old) is None
    assert stand.answer(ops, spend, new)[0].balance_after == 299


def test_unknown_pools_and_members_are_refused_as_directly(stand: Stand, straight: Stand, ops: DynamoTable) -> None:
    for each in (stand, straight):
        each.pool = PoolId("pol_" + "a" * 16)
    spend = Spend(0, 1, "k")
    asked = stand.asked(spend)
    stand.work(ops, [asked])
    assert stand.answer(ops, spend, asked) == straight.directly(spend)


# ---------------------------------------------------------------- faults


def test_a_crash_at_any_call_leaves_whole_commands_and_the_next_delivery_completes_them(
    stand: Stand, straight: Stand, ops: DynamoTable
) -> None:
    crashes = 0
    for after in (False, True):
        for at in range(1, 40):
            spends = [Spend(0, 1, f"{after}-{at}-a"), Spend(1, 1, f"{after}-{at}-b"), Spend(2, 1, f"{after}-{at}-c")]
            expected = [straight.directly(each) for each in spends]
            asked = [stand.asked(each) for each in spends]
            # Calls of both tables count, core first and what follows of `ops`.
            dying = CrashingTable(stand.desk.table, at, after=after)
            dying_ops = CrashingTable(ops, at - 2, after=after)
            try:
                stand.work(dying_ops, asked, table=dying)
            except Crashed:
                crashes += 1
            stand.work(ops, asked, again=True)
            assert [stand.answer(ops, *each) for each in zip(spends, asked, strict=True)] == expected
            if dying.count < at and dying_ops.count < at - 2:
                break
    assert crashes == 6, "two calls of one table and one of the other, before and after each"
    assert stand.desk.entries(stand.pool) == straight.desk.entries(straight.pool)


def test_a_lost_reply_and_conflicts_change_nothing(
    stand: Stand, straight: Stand, ops: DynamoTable, dynamo: Dynamo, table: DynamoTable
) -> None:
    befalls = [
        Fault("TransactWriteItems", before=conflict("None", "TransactionConflict")),
        Fault("TransactWriteItems", before=conflict("TransactionConflict", "None")),
        Fault("TransactWriteItems", after=Unreachable("the reply is lost")),
        Fault("TransactWriteItems", after=broken()),
    ]
    stand.desk.table = DynamoTable(FaultyDynamo(dynamo, *befalls), table.name, pause=lambda _: None)
    assert differences(stand, straight, ops, 3, (10,)) == []


def test_a_batch_whose_reply_never_came_is_known_when_it_comes_again(
    stand: Stand, straight: Stand, ops: DynamoTable, dynamo: Dynamo, table: DynamoTable
) -> None:
    lost = FaultyDynamo(dynamo, always=Fault("TransactWriteItems", after=Unreachable("the reply is lost")))
    spends = [Spend(0, 1, f"k{number}") for number in range(10)]
    expected = [straight.directly(each) for each in spends]
    asked = [stand.asked(each) for each in spends]
    with suppress(StorageBusy):
        stand.work(ops, asked, table=DynamoTable(lost, table.name, patience=0.1, pause=lambda _: None))
    assert len(stand.desk.entries(stand.pool)) == 11

    seen = FaultyDynamo(dynamo)
    stand.work(ops, asked, again=True, table=DynamoTable(seen, table.name))

    assert [stand.answer(ops, *each) for each in zip(spends, asked, strict=True)] == expected, "and none is a replay"
    assert sum(name == "TransactWriteItems" for name, _ in seen.calls) == 1, "one refused transaction tells of all keys"
    assert stand.desk.entries(stand.pool) == straight.desk.entries(straight.pool)


def test_two_workers_and_direct_spends_at_once_are_all_right(
    stand: Stand, ops: DynamoTable, dynamo: Dynamo, table: DynamoTable
) -> None:
    batches = [[stand.asked(Spend(0, 5, f"w{n}-{i}")) for i in range(8)] for n in range(3)]
    answers = at_once(
        dynamo,
        *(lambda batch=batch: stand.work(ops, batch) for batch in batches),
        *(lambda n=n: stand.directly(Spend(0, 5, f"d{n}")) for n in range(4)),
    )
    assert [each for each in answers if isinstance(each, Exception)] == []
    assert stand.desk.points(stand.pool).available == 300 - 5 * (3 * 8 + 4)
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_what_does_not_fit_with_others_is_done_alone_and_keeps_its_place(table: DynamoTable, dynamo: Dynamo) -> None:
    def put(number: int, count: int, *, query: bool = False) -> Work[int]:
        def do(port: Table) -> int:
            if query:
                port.query_timeline("x", after=None, limit=1)
            writes = [
                Put(keys.Key(f"X#{number}", str(i)), {"n": number}, Absent(), lambda _: KeyError())
                for i in range(count)
            ]
            port.commit(writes, keyed=True)
            return number

        return Work(do, {"rq": f"t{number}"})

    seen = FaultyDynamo(dynamo)
    works = [put(1, 60), put(2, 40), put(3, 1), put(4, 1, query=True), put(5, 1)]
    assert in_turn(DynamoTable(seen, table.name), works) == [1, 2, 3, 4, 5]
    sizes = [len(call["TransactItems"]) for name, call in seen.calls if name == "TransactWriteItems"]
    assert sizes == [100, 1, 1, 1]
    stamps = {(key.pk, key.sk): item.get("rq") for key, item in scan(dynamo, table.name).items()}
    counts = {1: 60, 2: 40, 3: 1, 4: 1, 5: 1}
    assert stamps == {
        (f"X#{number}", str(i)): None if i else f"t{number}" for number, count in counts.items() for i in range(count)
    }


# ---------------------------------------------------------------- what it costs


@pytest.mark.parametrize(("size", "cost"), [(1, (2, 3.0, 5.0)), (5, (2, 3.0, 17.0)), (10, (2, 3.0, 32.0))])
def test_a_batch_costs_its_entries_and_one_account(
    stand: Stand, ops: DynamoTable, dynamo: Dynamo, table: DynamoTable, size: int, cost: tuple[int, float, float]
) -> None:
    meter = Meter()
    asked = [stand.asked(Spend(0, 1, f"k{number}")) for number in range(size)]
    stand.work(ops, asked, table=DynamoTable(dynamo, table.name, meter=meter))
    assert meter.read() == cost


# ---------------------------------------------------------------- planted faults


def test_a_command_of_the_batch_that_is_dropped_is_found(
    stand: Stand,
    straight: Stand,
    ops: DynamoTable,
    monkeypatch: pytest.MonkeyPatch,
    dynamo: Dynamo,
    table: DynamoTable,
) -> None:
    def without_the_second(port: Ahead) -> tuple[Put, ...]:
        kept = tuple(port._kept.values())
        entries = [put for put in kept if put.key.pk.startswith("K#")]
        return tuple(put for put in kept if put not in entries[1:2])

    monkeypatch.setattr(Ahead, "kept", property(without_the_second))
    assert differences(stand, straight, ops, 1, (10,)) != []
    mend(stand, dynamo, table)


def test_a_command_that_is_decided_on_a_stale_account_is_found(
    stand: Stand,
    straight: Stand,
    ops: DynamoTable,
    monkeypatch: pytest.MonkeyPatch,
    dynamo: Dynamo,
    table: DynamoTable,
) -> None:
    monkeypatch.setattr(Ahead, "get", lambda port, key, consistent=False: port._real.get(key, consistent=True))
    holds = ahead._holds
    monkeypatch.setattr(ahead, "_holds", lambda each, item: isinstance(each, Unchanged) or holds(each, item))
    assert differences(stand, straight, ops, 1, (10,)) != []
    mend(stand, dynamo, table)


def test_a_command_that_is_carried_out_twice_after_a_lost_reply_is_found(
    stand: Stand, ops: DynamoTable, dynamo: Dynamo, table: DynamoTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliveries = itertools.count()

    def under_a_key_of_its_own(port: Table, book: ProgramBook, asked: Asked, now: Any) -> Any:
        return real.do(port, book, asked.model_copy(update={"key": f"{asked.key}-{next(deliveries)}"}), now)

    real = service.KINDS["pool_spend"]
    monkeypatch.setitem(service.KINDS, "pool_spend", replace(real, do=under_a_key_of_its_own))
    asked = [stand.asked(Spend(0, 5, "k"))]
    stand.work(ops, asked)
    stand.work(ops, asked, again=True)
    assert stand.desk.points(stand.pool).available == 290, "the planted fault takes the points twice"
    assert stand.answer(ops, Spend(0, 5, "k"), asked[0]) is None, "and whoever waits is told nothing"


def mend(stand: Stand, dynamo: Dynamo, table: DynamoTable) -> None:
    """Remove the account that a planted fault has spoilt: after each test every account is proven."""
    key = keys.account(stand.pool)
    dynamo.call("DeleteItem", {"TableName": table.name, "Key": {"pk": {"S": key.pk}, "sk": {"S": key.sk}}})


def test_late_is_longer_than_anybody_waits() -> None:
    assert timedelta(seconds=line.WAIT) * 2 < LATE


def test_an_entry_keeps_who_had_it_made_and_whether_for_themselves_also_where_it_came_by_the_lane(
    table: DynamoTable, ops: DynamoTable, keyring: Keyring, clock: Clock
) -> None:
    stand = a_stand(table, keyring, clock)
    own = stand.members[0]
    rows = {
        key: stand.asked(Spend(who, 1, key)).model_copy(update={"by": by, "own": own if by else None})
        for key, who, by in (("self", 0, "stf_a"), ("other", 1, "stf_a"), ("member", 0, None))
    }
    assert Asked.model_validate_json(rows["self"].model_dump_json(exclude_none=True)) == rows["self"]
    stand.work(ops, list(rows.values()))
    items = {key: table.get(keys.entry("pool_spend", key)) or {} for key in rows}
    assert {key: (item.get("sb"), item.get("sf"), item["rq"]) for key, item in items.items()} == {
        "self": ("stf_a", 1, rows["self"].token), "other": ("stf_a", None, rows["other"].token),
        "member": (None, None, rows["member"].token),
    }  # fmt: skip
