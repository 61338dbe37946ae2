"""The relay's two functions: the table's stream to the bus, and the archive's queue to the archive.

How a stream batch fails. Lambda is told to report partial failures and to bisect on errors (`infra`):

- An answer that names a record: Lambda goes on from that record, with the whole rest of the batch, in order.
- An exception: Lambda halves the batch and tries each half, down to one record; a record that is alone and goes on
  failing goes to the on-failure queue after the retries that are allowed, and the shard moves on.

A record named at the head of a batch is never told from the records behind it: when its retries are used up, they all
leave together. So trouble (the bus is busy) names the record it came to, wherever that is: everything waits, nothing is
lost while retries and the age of records allow. But a record that cannot be understood is named only while others stand
before it; once it heads the batch, the function fails, so that it is parted from those behind it and fails alone.

What was put on the bus before a failure is not put again, but for the few events that were under way.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.relay import service
from chalicelib.relay.models import Telling
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import house
from chalicelib.storage.batches import ENTRIES_MAX
from chalicelib.storage.bus import BusEvent


class RecordFailed(Exception):
    """A record failed for good. It names the record's place in the stream and no more: its words end up in a log."""


def relay_records(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Put what the stream's records tell on the bus, in order.

    Raises:
        SettingsWrong: the function was not given what it needs.
        RecordFailed: the first record cannot be understood, or its event is refused for good; see above.
    """
    records: list[Mapping[str, Any]] = event["Records"]
    told, fault = _understood(records)
    failed_at = len(told)
    bus = house().bus
    for first, events in _slices(told):
        try:
            bus.put(events)
        except SettingsWrong:
            raise
        except Exception as refused:  # noqa: BLE001 - the edge
            failed_at, fault = first, refused
            break

    _report(told[:failed_at], len(records), fault)
    if fault is None:
        return {"batchItemFailures": []}
    place = records[failed_at]["dynamodb"]["SequenceNumber"]
    if failed_at == 0 and not isinstance(fault, Trouble):
        raise RecordFailed(f"{type(fault).__name__} at {place}") from None
    return {"batchItemFailures": [{"itemIdentifier": place}]}


def archive_events(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Keep the events of a batch of messages: one object for each hour in which some of them were recorded.

    Raises:
        SettingsWrong: the function was not given what it needs.
    """
    objects = house().objects
    failed: list[str] = []
    faults: list[Exception] = []
    lines: dict[str, dict[str, str]] = defaultdict(dict)
    messages: dict[str, list[str]] = defaultdict(list)
    for message in event["Records"]:
        try:
            folder, event_id, line = service.archived(message["body"])
        except service.EventUnreadable as fault:
            failed.append(message["messageId"])
            faults.append(fault)
            continue
        lines[folder][event_id] = line
        messages[folder].append(message["messageId"])
    for folder, some in lines.items():
        try:
            service.keep(objects, folder, some)
        except SettingsWrong:
            raise
        except Exception as fault:  # noqa: BLE001 - the edge
            failed += messages[folder]
            faults.append(fault)

    kept = len(event["Records"]) - len(failed)
    log_job("archive_events", {"messages": len(event["Records"]), "kept": kept}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _understood(records: Sequence[Mapping[str, Any]]) -> tuple[list[Telling], Exception | None]:
    """What records tell, up to the first that cannot be understood, and what is wrong with that one."""
    told: list[Telling] = []
    for record in records:
        try:
            told.append(service.telling_of(service.change_of(record)))
        except Exception as fault:  # noqa: BLE001 - the edge
            return told, fault
    return told, None


def _slices(told: Sequence[Telling]) -> Iterator[tuple[int, list[BusEvent]]]:
    """Events in as many at a time as the bus takes at once, each slice with the first record that is in it."""
    first, waiting = 0, list[BusEvent]()
    for position, telling in enumerate(told):
        if waiting and len(waiting) + len(telling.events) > ENTRIES_MAX:
            yield first, waiting
            waiting = []
        if not waiting:
            first = position
        waiting += (service.bus_event(event) for event in telling.events)
    if waiting:
        yield first, waiting


def _report(done: Sequence[Telling], records: int, fault: Exception | None) -> None:
    facts: dict[str, Any] = {"records": records, "done": len(done), "events": sum(len(each.events) for each in done)}
    unknown = sorted({each.unknown for each in done if each.unknown})
    if unknown:
        facts["unknown_items"] = unknown
    log_job("relay_records", facts, [fault] if fault is not None else [])
