"""The two functions of jobs: one that schedules start, one that the queue of job work feeds."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from chalicelib.jobs import rules, service
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.service import Yard
from chalicelib.kernel.errors import Trouble
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import logger
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.runtime.wiring import house


def start_job(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Start the runs of a job that are due: `{"job": "birthday"}`, with `"resume": true` also those that only pause.

    Raises:
        StorageBusy: not all could be started; the schedule tries again, and the next hour too.
    """
    job = Job(event["job"])
    now = house().clock()
    resume_after = timedelta(0) if event.get("resume") else rules.QUIET
    runs = service.start_due(_yard(), job, now=now, resume_after=resume_after)
    logger().info("start_job", job=job.value, days=[run.date.isoformat() for run in runs])
    return {"job": job.value, "days": [run.date.isoformat() for run in runs]}


def work_job(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Do parts of runs; those that failed are named, and the queue gives them again."""
    yard, failed = _yard(), []
    for message in event["Records"]:
        try:
            part = Part.model_validate_json(message["body"])
            service.do_part(yard, part, now=house().clock(), attempt=_attempt)
        except Trouble as trouble:
            logger().warning("work_job", code=trouble.code, message_id=message["messageId"])
            failed.append(message["messageId"])
        except Exception as fault:  # noqa: BLE001 - the edge
            bug, where = type(fault).__name__, _where(fault)
            logger().error("work_job", bug=bug, message_id=message["messageId"], exc_info=where)
            failed.append(message["messageId"])
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _attempt(work: Callable[[], int | None]) -> tuple[bool, int | None]:
    """Do a member's work; what goes wrong is told and does not stop the others of the part."""
    try:
        return True, work()
    except Exception as fault:  # noqa: BLE001 - the edge, handed down
        logger().warning("set aside", fault=type(fault).__name__, exc_info=_where(fault))
        return False, None


def _where(fault: Exception) -> Any:
    """Where a bug was, without its words, which may hold what somebody typed."""
    return (RuntimeError, RuntimeError(type(fault).__name__), fault.__traceback__)


def _yard() -> Yard:
    here = house()
    if here.settings.job_queue is None:
        raise SettingsWrong("the environment variable REGULARS_JOB_QUEUE is not set")
    return Yard(here.table, here.ops, book_of(here.table), here.queues, here.settings.job_queue)
