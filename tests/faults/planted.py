"""Planted bugs: each is a mistake that somebody could make, put into the running code by a test that must find it."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chalicelib.jobs import rules as job_rules
from chalicelib.jobs import service as jobs_service
from chalicelib.jobs import store as job_store
from chalicelib.members import service as members_service
from chalicelib.points.models import EntryKey
from chalicelib.storage import batches, bus, queues
from chalicelib.storage.signed import ServiceFault, Unreachable
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Put

Plant = Callable[[pytest.MonkeyPatch], None]


def a_key_of_its_own_each_time(**parts: Any) -> EntryKey:
    """The key of a gift that follows from nothing."""
    return EntryKey(kind=parts["kind"], parts=(*parts["parts"], secrets.token_hex(4)))


def no_idempotency(patch: pytest.MonkeyPatch) -> None:
    """A gift's key does not follow from member and year."""
    patch.setattr(members_service, "EntryKey", a_key_of_its_own_each_time)


def no_memory_of_parts(patch: pytest.MonkeyPatch) -> None:
    """A part is counted without an item that says so."""
    whole = job_store.close
    patch.setattr(job_store, "close", lambda *a: [each for each in whole(*a) if not isinstance(each, Put)])


def parts_handed_on_once(patch: pytest.MonkeyPatch) -> None:
    """A part that is done already hands nothing on, though the first time it may have died before it could."""
    find = job_store.find_closed
    patch.setattr(job_store, "find_closed", lambda *a: None if find(*a) is None else ())


def finished_by_last_worker_only(patch: pytest.MonkeyPatch) -> None:
    """Only who closes a part looks whether the run is through, not who finds it closed."""
    real, fresh = jobs_service._finish, set[str]()
    close = job_store.close

    def closing(part: Any, *rest: Any) -> Any:
        fresh.add(part.name)
        return close(part, *rest)

    def finish(yard: Any, run: Any, now: Any) -> None:
        if fresh:
            fresh.clear()
            real(yard, run, now)

    patch.setattr(job_store, "close", closing)
    patch.setattr(jobs_service, "_finish", finish)


def head_first(patch: pytest.MonkeyPatch) -> None:
    """The days are noted as started before they are."""
    whole = jobs_service.start_run

    def start_run(yard: Any, job: Any, day: Any, **more: Any) -> Any:
        head = job_store.find_head(yard.ops, job)
        if more["by"] == "schedule" and (head is None or head.through < day):
            yard.ops.commit([job_store.advance_head(job, head, day)], keyed=True)
        return whole(yard, job, day, **more)

    patch.setattr(jobs_service, "start_run", start_run)


def naive_bus(patch: pytest.MonkeyPatch) -> None:
    """What the bus says of each entry is not looked at."""
    real = bus.EventBus._put
    patch.setattr(bus.EventBus, "_put", lambda self, events: real(self, events) and [])


def naive_queue(patch: pytest.MonkeyPatch) -> None:
    """What the queue says of each message is not looked at."""
    real = queues.SqsQueues._send
    patch.setattr(queues.SqsQueues, "_send", lambda self, *a: real(self, *a) and [])


def naive_reads(patch: pytest.MonkeyPatch) -> None:
    """Keys that were left unprocessed are taken for items that are not there."""

    def get_many(self: DynamoTable, keys: Sequence[Any], *, consistent: bool = False) -> dict[Any, Any]:
        found = {}
        for start in range(0, len(keys), 100):
            asked = {self.name: {"Keys": [{"pk": {"S": k.pk}, "sk": {"S": k.sk}} for k in keys[start : start + 100]]}}
            answer = self._call("BatchGetItem", {"RequestItems": asked})
            from chalicelib.storage.dynamo import unmarshalled
            from chalicelib.storage.keys import Key

            for typed in answer["Responses"].get(self.name, ()):
                item = {name: unmarshalled(value) for name, value in typed.items()}
                found[Key(item["pk"], item["sk"])] = item
        return found

    patch.setattr(DynamoTable, "get_many", get_many)


def impatient(patch: pytest.MonkeyPatch) -> None:
    """A busy service is taken for one that has done its work."""

    def deliver(self: Any, batch: Any, send: Any, *, whom: str) -> None:
        try:
            send(batch)
        except (ServiceFault, Unreachable):
            return

    patch.setattr(batches.Sender, "deliver", deliver)


def only_today(patch: pytest.MonkeyPatch) -> None:
    """Days that were missed stay missed."""
    patch.setattr(job_rules, "days_to_run", lambda timetable, through, last: [] if through == last else [last])
