"""Receipts: each counts once, in any order, however often it is told; strange ones are counted."""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import DeliveryId, Received
from chalicelib.deliveries.service import reading
from chalicelib.deliveries.service.receiving import receive, receive_opt_out
from chalicelib.kernel.errors import StorageBusy
from chalicelib.providers.models import Receipt, ReceiptKind
from tests.makers import NOON
from tests.sends.test_singles import a_single, to_the_end
from tests.sends.world import CHANNEL, RUN, Fault, Killed, Through, World


def a_receipt(delivery_id: str, kind: ReceiptKind = ReceiptKind.DELIVERED, minutes: int = 1) -> Receipt:
    return Receipt(f"r-{delivery_id}-{kind}", "stub", CHANNEL, kind, NOON + timedelta(minutes=minutes), delivery_id)


def a_sent_run() -> World:
    world = World(sizes=(7, 5))
    world.drain()
    world.rows.clear()
    return world


def names(world: World) -> list[str]:
    run = store.find_run(world.core, RUN)
    assert run is not None
    return [rules.delivery_id(run.run_id, run.source_id, run.step, each, CHANNEL) for each in world.members]


def taken(world: World, receipts: Sequence[Receipt]) -> Received:
    return receive(
        Through(world.points, world.core), Through(world.points, world.ops),
        lambda name, rows, now: world.points.at(lambda: world._append(name, rows)), receipts, now=world.clock(),
    )  # fmt: skip


def counted(world: World) -> dict[str, int]:
    run = store.find_run(world.core, RUN)
    assert run is not None
    return dict(reading.progress(world.ops, run).receipts)


def rows(world: World) -> Counter[str]:
    found = {row["row_id"]: row["kind"] for some in world.rows.values() for row in some}
    return Counter(found.values())


def test_receipts_are_counted_once_and_told_to_the_lake() -> None:
    world = a_sent_run()
    some = [a_receipt(each) for each in names(world)] + [a_receipt(names(world)[0], ReceiptKind.OPENED)]
    assert taken(world, some) == Received(13, 0, 0)
    assert taken(world, some) == Received(0, 13, 0)
    assert counted(world) == {"delivered": 12, "opened": 1}
    assert rows(world) == {"delivered": 12, "opened": 1}


def test_strange_ids_are_counted_and_nothing_else() -> None:
    world = a_sent_run()
    good = names(world)[0]
    strange = [
        "",
        "dlv_x",
        good[:-1] + ("0" if good[-1] != "0" else "1"),
        good.replace("crn_", "crx_"),
        "dlv_" + "a" * 60,
    ]
    assert taken(world, [a_receipt(each) for each in strange]) == Received(0, 0, 5)
    assert (counted(world), dict(rows(world))) == ({}, {})


def test_a_single_message_has_receipts_too() -> None:
    world = World()
    sent = to_the_end(world, a_single())
    world.rows.clear()
    unsent = rules.single_id(a_single(step="9"))
    assert taken(world, [a_receipt(sent.delivery_id), a_receipt(unsent)]) == Received(1, 0, 1)
    (row,) = (row for some in world.rows.values() for row in some)
    assert (row["source_id"], row["step"], row["member_id"]) == ("jin_a", "2", a_single().member_id)


@pytest.mark.parametrize("kind", ["before", "after", "busy", "lost"])
def test_a_fault_at_every_point_and_then_the_same_again(kind: str) -> None:
    world = a_sent_run()
    world.points.count = 0
    taken(world, [a_receipt(each) for each in names(world)])
    for point in range(world.points.count):
        world = a_sent_run()
        world.points.count, world.points.faults = 0, {point: Fault(kind)}
        some = [a_receipt(each) for each in names(world)]
        for _ in range(2):
            try:
                taken(world, some)
            except (Killed, StorageBusy):
                continue
        assert counted(world) == {"delivered": 12}, point
        assert rows(world) == {"delivered": 12}, point


def test_batches_overlap_and_come_in_any_order() -> None:
    chance = Random(1)
    for _ in range(20):
        world = a_sent_run()
        every = [a_receipt(each, kind) for each in names(world) for kind in (ReceiptKind.DELIVERED, ReceiptKind.OPENED)]
        for _ in range(12):
            taken(world, chance.choices(every, k=7))
        taken(world, chance.sample(every, len(every)))
        assert counted(world) == {"delivered": 12, "opened": 12}
        assert rows(world) == {"delivered": 12, "opened": 12}


def test_two_at_once_count_each_once() -> None:
    world = a_sent_run()
    some = [a_receipt(each) for each in names(world)]
    world.points.count = 0
    taken(world, some)
    for point in range(world.points.count):
        world = a_sent_run()

        def half(world: World, some: Sequence[Receipt] = some) -> None:
            taken(world, some[:6])

        meanwhile = Fault("meanwhile", half)
        world.points.count, world.points.faults = 0, {point: meanwhile}
        taken(world, some)
        assert counted(world) == {"delivered": 12}, point


# ---------------------------------------------------------------- opting out by a link


@pytest.mark.parametrize("kind", ["before", "after", "busy", "lost"])
def test_an_opt_out_by_a_link_counts_once_whatever_fails(kind: str) -> None:
    world = a_sent_run()
    single = to_the_end(world, a_single())
    world.rows.clear()
    of_run = DeliveryId(names(world)[2])
    assert len(rules.reference(of_run, CHANNEL)) <= 40

    def pressed() -> None:
        for name, member in ((of_run, world.members[2]), (single.delivery_id, a_single().member_id)):
            receive_opt_out(
                Through(world.points, world.core), Through(world.points, world.ops),
                lambda name, rows, now: world.points.at(lambda: world._append(name, rows)),
                rules.reference(name, CHANNEL), member, now=world.clock(),
            )  # fmt: skip

    for point in range(12):
        world.points.count, world.points.faults = 0, {point: Fault(kind)}
        with suppress(Killed, StorageBusy):
            pressed()
        world.wait(1)
    world.points.faults = {}
    pressed()
    assert counted(world) == {"opted_out": 1}
    assert {row["row_id"] for some in world.rows.values() for row in some} == {
        f"{of_run} opted_out", f"{single.delivery_id} opted_out",
    }  # fmt: skip


def test_a_link_that_names_no_message_or_a_run_that_is_gone_counts_nothing() -> None:
    world = a_sent_run()
    for said in ("", "crn_bbbbbbbbbbbbbbbbonce01.email", rules.reference(rules.single_id(a_single()), CHANNEL)):
        receive_opt_out(world.core, world.ops, lambda *_: None, said, world.members[0], now=world.clock())
    assert counted(world) == {}
