"""A purchase in a real table arrives in the lake: stream, filters, functions, as they are deployed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.campaigns.jobs import works
from chalicelib.deliveries.jobs import office
from chalicelib.kernel.errors import StorageBusy
from chalicelib.lake import jobs, store
from chalicelib.receipts.service import Desk as ReceiptDesk
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.functions import FunctionFailed, LocalFunctions
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.table import DynamoTable
from local.deploy.functions import FOLDED
from local.pump import stream
from local.pump.functions import matches
from tests.makers import Clock, Tray, a_purchase
from tests.table.stand import Desk


@pytest.fixture
def tray() -> Tray:
    """The queue of patches."""
    return Tray()


@pytest.fixture
def lakeside(house: House, ops: DynamoTable, tray: Tray, tmp_path: Path) -> Iterator[House]:
    """The functions' house."""
    made = replace(
        house,
        settings=replace(house.settings, lake_queue="lake-patch"),
        ops=ops,
        queues=tray,
        objects=FolderObjects(tmp_path),
        place=Place(str(tmp_path), scratch=str(tmp_path / "scratch"), memory_mb=256, threads=1),
    )
    wiring.use(made)
    yield made
    wiring.use(None)


def _records(dynamodb: str, table: DynamoTable) -> list[dict[str, Any]]:
    """What the pump hands to the function."""
    source = stream.open_stream(dynamodb, table.name)
    source.seek(None)
    found: list[dict[str, Any]] = []
    while records := source.read(1000):
        found += records
    return [record for record in found if any(matches(pattern, record) for pattern in FOLDED)]


def test_a_purchase_arrives(desk: Desk, dynamodb: str, lakeside: House, tray: Tray) -> None:
    ann = desk.enrol(mobile="13800000001")
    desk.buy(a_purchase(ann.member_id, paid_minor=5000))
    records = _records(dynamodb, lakeside.table)  # type: ignore[arg-type]
    assert len(records) == 4  # profile, account, purchase, account
    assert jobs.fold_records({"Records": records}, None) == {"batchItemFailures": []}
    asked = LocalFunctions({"lake-status": jobs.lake_status})
    assert asked.ask("lake-status", {})["rows"]["members"] == 0
    assert jobs.patch_lake({"Records": [{"messageId": "1", "body": "patch"}]}, None) == {"batchItemFailures": []}
    said = asked.ask("lake-status", {})
    assert {view: rows for view, rows in said["rows"].items() if rows} == {
        "members": 1, "contacts": 1, "purchases": 1, "lines": 1, "entries": 1,
    }  # fmt: skip
    assert said["through"] is not None
    jobs.rebase_lake({}, None)
    assert asked.ask("lake-status", {})["rows"] == said["rows"]


def test_what_is_told_arrives_though_nothing_happens_in_the_table(lakeside: House, tray: Tray) -> None:
    now = lakeside.clock()
    sent = {"member_id": "mem_a", "at": now, "source": "campaign", "source_id": "cmp_a", "outcome": "sent"}
    drawn = {"member_id": "mem_a", "at": now, "campaign_id": "cmp_a", "run_id": "run_a", "held_out": False}
    heard = {"member_id": "mem_a", "at": now, "source_id": "cmp_a", "kind": "delivered"}
    desk = ReceiptDesk.of(
        lakeside.table, lakeside.ops, lakeside.keyring, lakeside.objects,
        store.patching(tray, lakeside.settings.lake_queue, lakeside.clock),
    )  # fmt: skip
    asked = LocalFunctions({"lake-status": jobs.lake_status})
    tellers: list[tuple[str, Callable[[], object]]] = [
        ("deliveries", lambda: office(lakeside).append("a", [{"row_id": "1", **sent}], now)),
        ("assignments", lambda: works().append("assignment", "a", [{"row_id": "1", **drawn}], now)),
        ("receipts", lambda: desk.append("a", [{"row_id": "1", **heard}], now)),
    ]
    for view, tell in tellers:
        tell()
        assert tray.bodies == ["patch"], view
        assert jobs.patch_lake({"Records": tray.taken()}, None) == {"batchItemFailures": []}
        assert asked.ask("lake-status", {})["rows"][view] == 1
        lakeside.clock.forward(seconds=16)  # type: ignore[attr-defined]


def test_a_process_asks_for_one_patch_in_its_delay_and_for_another_after_it(clock: Clock, tray: Tray) -> None:
    for _ in range(2):  # whoever it is that tells
        ask = store.patching(tray, "lake-patch", clock)
        ask()
        clock.forward(seconds=7)
        ask()
    assert tray.bodies == ["patch"]
    clock.forward(seconds=1)
    ask()
    assert tray.bodies == ["patch", "patch"], "what is told now may come after the first patch was begun"
    store.patching(Tray(), "lake-patch", clock)()
    store.patching(tray, None, clock)()
    assert len(tray.bodies) == 2


def test_a_queue_that_does_not_answer_keeps_nobody_from_telling_and_is_asked_again(clock: Clock) -> None:
    class Busy(Tray):
        busy = True

        def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
            if self.busy:
                raise StorageBusy
            super().send(queue_url, bodies, delay=delay)

    tray = Busy()
    ask = store.patching(tray, "lake-patch", clock)
    ask()
    tray.busy = False
    ask()
    assert tray.bodies == ["patch"]


def test_a_record_that_nobody_understands_is_parted_from_the_others(
    desk: Desk, dynamodb: str, lakeside: House, tray: Tray
) -> None:
    desk.enrol(mobile="13800000001")
    records = _records(dynamodb, lakeside.table)  # type: ignore[arg-type]
    broken = {
        **records[1],
        "dynamodb": {**records[1]["dynamodb"], "NewImage": {"pk": {"S": "M#x"}, "sk": {"S": "ACCOUNT"}}},
    }
    place = broken["dynamodb"]["SequenceNumber"]
    answer = jobs.fold_records({"Records": [records[0], broken, records[1]]}, None)
    assert answer == {"batchItemFailures": [{"itemIdentifier": place}]}
    with pytest.raises(jobs.RecordFailed, match=place):
        jobs.fold_records({"Records": [broken, records[1]]}, None)


def test_what_a_function_cannot_do_now_is_told_from_what_it_fails_at() -> None:
    def busy(question: dict[str, Any], context: Any) -> dict[str, Any]:
        raise StorageBusy

    asked = LocalFunctions({"busy": busy, "broken": lambda question, _: {"x": 1 / question["by"]}})
    assert asked.ask("broken", {"by": 2}) == {"x": 0.5}
    with pytest.raises(StorageBusy):
        asked.ask("busy", {})
    with pytest.raises(FunctionFailed, match="ZeroDivisionError"):
        asked.ask("broken", {"by": 0})
