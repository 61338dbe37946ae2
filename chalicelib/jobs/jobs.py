"""The two functions of jobs: one that schedules start, one that the queue of job work feeds."""

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chalicelib.jobs import rules, service
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.service import Yard
from chalicelib.programs.service import book_of
from chalicelib.proof.service import roots_of
from chalicelib.runtime.observe import log_fact, log_job
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import house

LAG_SECONDS = 1.0
"""How long an index is given to catch up with its table."""


def start_job(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Start the runs of a job that are due: `{"job": "birthday"}`, with `"resume": true` also those that only pause.

    Raises:
        StorageBusy: not all could be started; the schedule tries again, and the next hour too.
    """
    job = Job(event["job"])
    resume_after = timedelta(0) if event.get("resume") else rules.QUIET
    runs = service.start_due(yard(), job, now=house().clock(), resume_after=resume_after)
    days = [run.date.isoformat() for run in runs]
    log_job("start_job", {"started": job.value, "days": days}, [])
    return {"job": job.value, "days": days}


def work_job(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Do parts of runs; those that failed are named, and the queue gives them again."""
    return work_parts(yard(), event, "work_job")


def work_parts(yard: Yard, event: dict[str, Any], name: str) -> dict[str, Any]:
    """Do parts of runs in a yard; for every function that does.

    Args:
        name: the function's, for its log.
    """
    failed: list[str] = []
    faults: list[Exception] = []

    def attempt(work: Callable[[], int | None]) -> tuple[bool, int | None]:
        try:
            return True, work()
        except Exception as fault:  # noqa: BLE001 - the edge, handed down: one member's fault is not the others'
            faults.append(fault)
            return False, None

    for message in event["Records"]:
        try:
            part = Part.model_validate_json(message["body"])
            service.do_part(yard, part, now=house().clock(), attempt=attempt)
        except Exception as fault:  # noqa: BLE001 - the edge
            faults.append(fault)
            failed.append(message["messageId"])
    log_job(name, {"messages": len(event["Records"]), "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def yard() -> Yard:
    """Where this process works on jobs."""
    here = house()
    if here.settings.job_queue is None:
        raise SettingsWrong("the environment variable REGULARS_JOB_QUEUE is not set")
    return Yard(
        here.table, here.ops, book_of(here.table), here.queues, here.settings.job_queue,
        stack=here.settings.stack, roots=roots_of(here.roots), signer=here.signer,
        pause=lambda: time.sleep(LAG_SECONDS), tell=log_fact, retention_queue=here.settings.retention_queue or "",
    )  # fmt: skip
