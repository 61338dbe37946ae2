"""Handlers with planted bugs that only a kill brings to light, for the pump of `test_kills.py`."""

import threading
import time
from typing import Any

import pytest

from chalicelib.jobs import jobs
from chalicelib.points.models import EntryKey
from chalicelib.relay import jobs as relay_jobs
from tests.faults.planted import a_key_of_its_own_each_time

PLANTED = {"archive": f"{__name__}.archive_later", "work-job": f"{__name__}.work_without_idempotency"}
_waiting: list[dict[str, Any]] = []
_WHILE = 0.7


def archive_later(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Says that messages are done, and writes them a little later: who kills it in between loses them."""
    if not _waiting:
        threading.Timer(_WHILE, _flush).start()
    _waiting.extend(event["Records"])
    return {"batchItemFailures": []}


def _flush() -> None:
    some, _waiting[:] = list(_waiting), []
    relay_jobs.archive_events({"Records": some}, None)


def work_without_idempotency(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Gives gifts whose keys follow from nothing, slowly enough to be killed among them."""

    def slowly(**parts: Any) -> EntryKey:
        time.sleep(0.02)
        return a_key_of_its_own_each_time(**parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chalicelib.members.service.EntryKey", slowly)
        return jobs.work_job(event, context)
