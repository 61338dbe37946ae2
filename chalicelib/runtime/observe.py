"""Logs: one line for each request or call, at the edge."""

import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from aws_lambda_powertools import Logger

from chalicelib.kernel.errors import Trouble
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.storage.signed import ServiceFault

_FRAMES = 20


@cache
def logger() -> Logger:
    """The process's logger: JSON lines on standard output. No personal data goes in."""
    return Logger(service="regulars", use_rfc3339=True, utc=True)


def log_job(job: str, facts: Mapping[str, Any], faults: Sequence[Exception]) -> None:
    """One line for a call of a function that a queue, the stream or a schedule feeds.

    A fault is named by its kind, AWS' code for it, and place: its words may quote what is in a record.
    """
    if not faults:
        level = logger().warning if "unknown_items" in facts else logger().info
        level("job", job=job, outcome="done", **facts)
        return
    kinds = sorted({_named(fault) for fault in faults})
    if all(isinstance(fault, Trouble) for fault in faults):
        logger().warning("job", job=job, outcome="trouble", faults=kinds, **facts)
    else:
        logger().error("job", job=job, outcome="bug", faults=kinds, **facts)


def log_bug(route: str, request_id: str, fault: Exception) -> None:
    """One line for a request that broke: the kind of the fault and where it came from, never its words.

    Its words may quote what a request or a record holds. Only what is wrong with the environment is told.
    """
    frames = traceback.extract_tb(fault.__traceback__)[-_FRAMES:]
    where = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    why: dict[str, Any] = {"why": str(fault)} if isinstance(fault, SettingsWrong) else {}
    logger().error("bug", route=route, request_id=request_id, fault=_named(fault), where=where, **why)


def log_fact(what: str, facts: Mapping[str, Any]) -> None:
    """One line that tells operators of something, for a metric to count; an error when it says that it is faulty."""
    level = logger().error if facts.get("faulty") else logger().info
    level(what, **facts)


def _named(fault: Exception) -> str:
    place = fault.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = f" at {place.tb_frame.f_code.co_name}:{place.tb_lineno}" if place is not None else ""
    code = f" {fault.code}" if isinstance(fault, ServiceFault) else ""
    return type(fault).__name__ + code + where
