"""A purchase in a real table arrives in the lake: stream, filters, functions, as they are deployed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.lake import jobs
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.functions import FunctionFailed, LocalFunctions
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.places import Place
from chalicelib.storage.table import DynamoTable
from local.deploy.functions import FOLDED
from local.pump import stream
from local.pump.functions import matches
from tests.makers import Tray, a_purchase
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
