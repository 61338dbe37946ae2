"""A database that throttles, conflicts, fails, loses replies and answers in part; processes that die anywhere."""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import MemberUnknown, PointsInsufficient
from chalicelib.storage.dynamo import Dynamo, DynamoFault, Unreachable
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable, Rows
from chalicelib.storage.writes import Absent, Put
from tests.makers import a_purchase, an_enrolment
from tests.table.stand import (
    Crashed,
    CrashingTable,
    Desk,
    Fault,
    FaultyDynamo,
    StaleTable,
    broken,
    conflict,
    scan,
    throttled,
)

WRITE = "TransactWriteItems"


def faulty(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, *faults: Fault, always: Fault | None = None
) -> tuple[Desk, FaultyDynamo, list[float]]:
    """The desk over a client with faults, the client, and the pauses it made."""
    client, pauses = FaultyDynamo(dynamo, *faults, always=always), list[float]()
    other = desk.over(DynamoTable(client, table.name, pause=pauses.append))
    other.book.current(desk.clock())
    client.calls.clear()
    return other, client, pauses


@pytest.mark.parametrize(
    "raised",
    [
        throttled(),
        broken(),
        DynamoFault("Http502", 502, {}),
        DynamoFault("ProvisionedThroughputExceededException", 400, {}),
        DynamoFault("TransactionInProgressException", 400, {}),
        Unreachable("connection reset"),
        conflict("TransactionConflict", "None", "None"),
        conflict("None", "ThrottlingError"),
    ],
    ids=lambda fault: str(fault)[:40],
)
def test_what_passes_is_tried_again_as_the_same_write_and_has_one_effect(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, raised: Exception
) -> None:
    member = desk.enrol().member_id
    desk.buy(a_purchase(member))
    other, client, pauses = faulty(
        desk, dynamo, table, Fault(WRITE, before=raised), Fault(WRITE, before=raised), Fault(WRITE, before=raised)
    )
    outcome = other.spend(member, 38, key="s1")
    assert (outcome.replayed, outcome.value.balance_after) == (False, 0)
    tokens = [payload.get("ClientRequestToken") for operation, payload in client.calls if operation == WRITE]
    assert (len(tokens), len(set(tokens)), len(pauses)) == (4, 1, 3)
    assert desk.sums(member) == (2, 0, 0)


@pytest.mark.parametrize("lost", [Unreachable("no reply"), broken()], ids=str)
@pytest.mark.parametrize("what", ["spend", "buy", "adjust", "enrol", "close", "suspend", "edit", "publish"])
def test_a_lost_reply_is_one_effect_and_the_right_answer(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, what: str, lost: Exception
) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    other, client, _ = faulty(desk, dynamo, table, Fault(WRITE, after=lost))
    before = scan(dynamo, table.name)
    acts: dict[str, Callable[[], Any]] = {
        "spend": lambda: other.spend(member, 1000, key="s1").value.balance_after,
        "buy": lambda: other.buy(a_purchase(member, points_tender=1000)).value.seq,
        "adjust": lambda: other.adjust(member, -1000, key="a1").value.balance_after,
        "enrol": lambda: other.enrol(card_no="X1").card_no,
        "close": lambda: other.close(member, forfeit=True).value.status.value,
        "suspend": lambda: other.suspend(member).value.status.value,
        "edit": lambda: other.edit(member, 1, name="x", mobile="+8613800138000").name,
        "publish": lambda: other.publish(1).version,
    }
    expected = {
        "spend": (0, 1), "buy": (2, 1), "adjust": (0, 1), "enrol": ("X1", 3), "close": ("closed", 3),
        "suspend": ("suspended", 2), "edit": ("x", 3), "publish": (2, 1),
    }  # fmt: skip
    answer, new_items = acts[what](), len(scan(dynamo, table.name)) - len(before)
    assert (answer, new_items) == expected[what]
    assert [operation for operation, _ in client.calls].count(WRITE) == 2


def test_lost_replies_of_reads_are_read_again(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol(mobile="+8613800138000").member_id
    lost = Fault(after=Unreachable("no reply"))
    other, _, pauses = faulty(desk, dynamo, table, lost, lost, Fault(before=throttled()))
    assert [m.member_id for m in other.look_up(mobile="13800138000")] == [member]
    assert len(pauses) == 3


@pytest.mark.parametrize(
    "raised", [throttled(), broken(), Unreachable("dead"), conflict("TransactionConflict")], ids=str
)
def test_a_database_that_stays_busy_is_trouble_and_nothing_is_half_done(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, raised: Exception
) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    other, client, pauses = faulty(desk, dynamo, table, always=Fault(WRITE, before=raised))
    before = scan(dynamo, table.name)
    with pytest.raises(StorageBusy):
        other.spend(member, 10, key="s1")
    assert scan(dynamo, table.name) == before
    assert 5 <= len(client.calls) <= 30
    assert all(0 <= pause <= 0.8 for pause in pauses)
    assert desk.spend(member, 10, key="s1").value.balance_after == 990


def test_a_database_that_stays_busy_after_it_wrote_is_trouble_and_a_retry_gets_the_first_answer(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    desk.adjust(member, 1000, key="gift")
    dead = Unreachable("dead")
    other, _, _ = faulty(desk, dynamo, table, Fault(WRITE, after=dead), always=Fault(WRITE, before=dead))
    with pytest.raises(StorageBusy):
        other.spend(member, 1000, key="s1")
    desk.clock.forward(seconds=1)
    assert desk.spend(member, 1000, key="s1").replayed is True
    assert desk.sums(member) == (2, 0, 0)


def test_a_fault_that_does_not_pass_is_not_tried_again(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    wrong = DynamoFault("ValidationException", 400, {"message": "no"})
    other, client, pauses = faulty(desk, dynamo, table, always=Fault(WRITE, before=wrong))
    with pytest.raises(DynamoFault):
        other.adjust(member, 5, key="a")
    assert ([operation for operation, _ in client.calls].count(WRITE), pauses) == (1, [])


def test_a_conflict_beside_a_failed_condition_is_the_failed_condition(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    class Known(Exception):
        pass

    client = FaultyDynamo(dynamo, Fault(WRITE, before=conflict("TransactionConflict", "ConditionalCheckFailed")))
    other = DynamoTable(client, table.name)
    puts = [Put(Key(name, "x"), {}, Absent(), partial(Known, name)) for name in ("a", "b")]
    with pytest.raises(Known) as raised:
        other.commit(puts)
    assert raised.value.args == ("b", {})


# ---------------------------------------------------------------- partial batches


def withhold(share: Callable[[list[Any]], int]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Makes an answer to BatchGetItem leave keys unprocessed, as AWS does under load."""

    def change(answer: dict[str, Any]) -> dict[str, Any]:
        ((name, items),) = answer["Responses"].items()
        kept = items[: share(items)]
        rest = [{"pk": item["pk"], "sk": item["sk"]} for item in items[len(kept) :]]
        return {"Responses": {name: kept}, "UnprocessedKeys": {name: {"Keys": rest}} if rest else {}}

    return change


def test_keys_left_unprocessed_are_asked_for_again_until_all_are_there(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    keys = [Key(f"k{n}", "x") for n in range(230)]
    for start in range(0, 230, 100):
        table.commit([Put(key, {}, Absent(), lambda _: ValueError()) for key in keys[start : start + 100]])
    chance = random.Random(7)
    always = Fault("BatchGetItem", change=withhold(lambda items: max(1, chance.randrange(len(items) + 1))))
    client = FaultyDynamo(dynamo, always=always)
    found = DynamoTable(client, table.name, pause=lambda _: None, patience=600).get_many([*keys, Key("none", "x")])
    assert set(found) == set(keys)
    assert len(client.calls) > 6


def test_keys_that_stay_unprocessed_are_trouble_not_a_short_answer(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    table.commit([Put(Key("k", "x"), {}, Absent(), lambda _: ValueError())])
    client = FaultyDynamo(dynamo, always=Fault("BatchGetItem", change=withhold(lambda _: 0)))
    with pytest.raises(StorageBusy):
        DynamoTable(client, table.name, pause=lambda _: None).get_many([Key("k", "x")])
    assert len(client.calls) <= 60


def test_a_purchase_list_is_whole_though_batches_are_partial(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    from chalicelib.kernel.languages import Language
    from chalicelib.purchases.service.reading import list_purchases

    member = desk.enrol().member_id
    bought = [desk.buy(a_purchase(member)).value for _ in range(10)]
    other, _, _ = faulty(desk, dynamo, table, always=Fault("BatchGetItem", change=withhold(lambda _: 1)))
    part = list_purchases(other.table, other.book, member, after=None, limit=25, language=Language.EN)
    assert list(part.items) == bought[::-1]


# ---------------------------------------------------------------- crashes


MONEY_PATHS = ("buy", "spend", "adjust", "enrol", "close", "expire", "many_expiries")


@pytest.mark.parametrize("path", MONEY_PATHS)
def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, path: str
) -> None:
    if path == "many_expiries":
        desk.publish(1, expiry={"mode": "rolling", "months": 1, "bucket": "day"})
    desk.buy(a_purchase(desk.enrol().member_id))
    run = 0
    for after in (False, True):
        for at in (2, 4) if path == "many_expiries" else range(1, 20):
            run += 1
            act, expected, items = _prepared(desk, path, run)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before = len(scan(dynamo, table.name))
            try:
                answer = act(dying)
            except Crashed:
                made = len(scan(dynamo, table.name)) - before
                assert made in items, f"half done: {made} items after a crash at call {at}"
                answer = act(desk)
            assert answer == expected, (at, after)
            assert len(scan(dynamo, table.name)) - before == max(items)
            assert act(desk) == (0 if path == "expire" else expected)
            assert len(scan(dynamo, table.name)) - before == max(items)
            if crashing.count < at:
                break
    assert run >= 4, "nothing crashed"


def _prepared(desk: Desk, path: str, run: int) -> tuple[Callable[[Desk], Any], Any, set[int]]:
    """A command on a member of its own, what it answers, and how many items it may have made."""
    start = "2026-03-15"
    desk.clock.at(start)
    if path == "enrol":
        command = an_enrolment(mobile=f"+86138{run:08d}", card_no=f"e{run}")
        return lambda d: d.enrolled(command, key=f"k{run}").value.card_no, f"e{run}", {0, 5}
    member = desk.enrol().member_id
    if path == "expire":
        from datetime import date

        desk.adjust(member, 100, key=f"gift{run}", expires_on=date(2026, 3, 31))
        desk.clock.at("2026-04-01")
        # A crash after the commit leaves nothing to book: the retry says 0, and the entry is there.
        return lambda d: (d.expire(member) or 0) and 0, 0, {0, 1}
    if path == "many_expiries":
        from datetime import date

        for n in range(53):
            desk.adjust(member, 1, key=f"{run}-{n}", expires_on=date.fromordinal(date(2026, 4, 1).toordinal() + n))
        desk.clock.at("2026-09-01")
        return lambda d: d.adjust(member, 5, key=f"a{run}").value.balance_after, 5, {0, 50, 54}
    desk.adjust(member, 1000, key=f"gift{run}")
    purchase = a_purchase(member, points_tender=1000, paid_minor=0)
    acts: dict[str, tuple[Callable[[Desk], Any], Any, set[int]]] = {
        "buy": (lambda d: d.buy(purchase).value.balance_after, 0, {0, 1}),
        "spend": (lambda d: d.spend(member, 1000, key=f"s{run}").value.balance_after, 0, {0, 1}),
        "adjust": (lambda d: d.adjust(member, -1000, key=f"a{run}").value.balance_after, 0, {0, 1}),
        # closing makes an entry, a note and the count of cards, and frees the card
        "close": (lambda d: d.close(member, forfeit=True).value.status.value, "closed", {0, 3}),
    }
    return acts[path]


# ---------------------------------------------------------------- stale reads


def stale(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> Desk:
    """The desk over reads that from now on answer what is there now."""
    return desk.over(StaleTable(table, scan(dynamo, table.name)))


def test_a_member_who_was_enrolled_a_moment_ago_is_known(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    other = stale(desk, dynamo, table)
    member = desk.enrol(mobile="+8613800138000")
    assert other.look_up(mobile="13800138000") == (member,)
    assert other.member(member.member_id) == member
    assert other.points(member.member_id).available == 0
    from chalicelib.kernel.languages import Language
    from chalicelib.members.service import list_timeline
    from chalicelib.points.service import list_statement
    from chalicelib.purchases.service.reading import list_purchases

    here: dict[str, Any] = {"after": None, "limit": 25}
    language = Language.EN
    assert list_statement(other.table, other.book, member.member_id, language=language, **here).items == ()
    assert list_purchases(other.table, other.book, member.member_id, language=language, **here).items == ()
    assert [h.type for h in list_timeline(other.table, member.member_id, **here).items] == ["enrolled"]
    assert other.adjust(member.member_id, 10, key="a").value.balance_after == 10
    assert other.spend(member.member_id, 10, key="s").value.balance_after == 0
    assert other.buy(a_purchase(member.member_id)).value.balance_after == 38
    with pytest.raises(MemberUnknown):
        other.points("mem_" + "a" * 16)


class EarlyIndex(StaleTable):
    """A table port whose index knows of things before its other reads do."""

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._real.query_timeline(partition, after=after, limit=limit, newest_first=newest_first)


def test_a_purchase_that_only_the_index_knows_yet_is_listed(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    from chalicelib.kernel.languages import Language
    from chalicelib.purchases.service.reading import list_purchases

    member = desk.enrol().member_id
    early = EarlyIndex(table, scan(dynamo, table.name))
    bought = desk.buy(a_purchase(member)).value
    page = list_purchases(early, desk.book, member, after=None, limit=25, language=Language.EN)
    assert page.items == (bought,)


def test_stale_accounts_give_neither_wrong_refusals_nor_second_effects(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    empty = stale(desk, dynamo, table)
    desk.adjust(member, 100, key="gift")
    full = stale(desk, dynamo, table)
    first = empty.spend(member, 100, key="s1")
    assert first.value.balance_after == 0, "not refused though the stale account was empty"
    desk.clock.forward(seconds=1)
    assert full.spend(member, 100, key="s1") == Outcome(first.value, replayed=True)
    with pytest.raises(PointsInsufficient):
        full.spend(member, 100, key="s2")
    assert full.adjust(member, 7, key="a1").value.balance_after == 7
    desk.clock.forward(seconds=1)
    assert full.adjust(member, 7, key="a1").replayed is True
    assert desk.sums(member) == (3, 7, 7)


def test_a_stale_status_neither_stops_nor_lets_through(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    from chalicelib.points.errors import MemberClosed, MemberSuspended

    member = desk.enrol().member_id
    desk.adjust(member, 100, key="gift")
    active = stale(desk, dynamo, table)
    desk.suspend(member)
    suspended = stale(desk, dynamo, table)
    with pytest.raises(MemberSuspended):
        active.spend(member, 1, key="s1")
    desk.reinstate(member)
    assert suspended.spend(member, 1, key="s1").value.balance_after == 99
    desk.close(member, forfeit=True)
    with pytest.raises(MemberClosed):
        active.buy(a_purchase(member))
    assert active.close(member).replayed is True


def test_a_purchase_by_a_mobile_that_changed_hands_a_moment_ago_is_its_new_owners(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    from tests.makers import a_member_ref

    mobile = a_member_ref(mobile="13800138000")
    former = desk.enrol(mobile="+8613800138000").member_id
    other = stale(desk, dynamo, table)
    desk.edit(former, 1, mobile=None)
    owner = desk.enrol(mobile="+8613800138000").member_id
    outcome = other.buy(a_purchase(owner).model_copy(update={"member": mobile}))
    assert outcome.value.member_id == owner
    assert (desk.sums(former)[0], desk.sums(owner)[0]) == (0, 1)


def test_a_stale_edit_or_closure_of_the_program_is_told_so(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    from chalicelib.programs.errors import ProgramMoved

    other = stale(desk, dynamo, table)
    desk.publish(1)
    with pytest.raises(ProgramMoved):
        other.publish(1)
    assert other.publish(2).version == 3
