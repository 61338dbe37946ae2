"""What happens by the clock: the hourly start of every job, and the removal of expired items."""

import json
import sys
import time
import traceback
from collections.abc import Iterable

from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable
from local.deploy.functions import JOBS
from local.messaging import ttl_calls
from local.pump.functions import Failed, Invoker
from local.settings import STACK
from local.tables import TEMPLATE

_MINUTE = 7
_HOUR = 3600
_LOOK_EVERY = 20.0
"""Seconds of the process's own clock, which stands still while a laptop sleeps."""
_TRY_AGAIN = 15.0
_TRIES = 20
_SWEEP_EVERY = 15 * 60.0


def next_fire(now: float) -> float:
    """The next minute seven of an hour."""
    due = now - now % _HOUR + _MINUTE * 60
    return due if due > now else due + _HOUR


class SchedulePump:
    """Starts every job once at the start and then hourly: the jobs themselves know which day is due.

    So what was missed while the laptop was off is caught up at once.
    """

    def __init__(self, invoke: Invoker, dynamo: SignedClient | None, jobs: Iterable[str] = JOBS) -> None:
        self._invoke = invoke
        self._dynamo = dynamo
        self._jobs = tuple(jobs)

    def run(self) -> None:
        """Go on until the process is ended."""
        fire_at, try_at, sweep_at = next_fire(time.time()), 0.0, 0.0
        owed = dict.fromkeys(self._jobs, _TRIES)
        resume = True
        while True:
            now = time.time()
            if now >= fire_at:
                owed, try_at, fire_at, resume = dict.fromkeys(self._jobs, _TRIES), 0.0, next_fire(now), False
            if owed and now >= try_at:
                owed, try_at = self._tried(owed, resume=resume), now + _TRY_AGAIN
            if now >= sweep_at:
                self.sweep(now)
                sweep_at = now + _SWEEP_EVERY
            time.sleep(min(_LOOK_EVERY, max(0.1, fire_at - now)))

    def _tried(self, owed: dict[str, int], *, resume: bool) -> dict[str, int]:
        """Start the jobs that are owed, and give those that are to be tried again.

        Args:
            resume: take up at once what was under way, because its work may have been lost with a queue.
        """
        left = {}
        for job, tries in owed.items():
            try:
                self._invoke({"job": job, "resume": True} if resume else {"job": job})
            except Failed:
                traceback.print_exc()
                if tries > 1:
                    left[job] = tries - 1
        return left

    def sweep(self, now: float) -> None:
        """Remove items whose time is over, as DynamoDB does by itself; the emulators do not."""
        if self._dynamo is None:
            return
        for table, attribute, key in ttl_calls(json.loads(TEMPLATE.read_text()), STACK):
            try:
                _sweep(self._dynamo, table, attribute, key, int(now))
            except (Unreachable, ServiceFault) as problem:
                print(f"{table} was not swept ({problem}); trying again later.", file=sys.stderr, flush=True)


def _sweep(dynamo: SignedClient, table: str, attribute: str, key: list[str], now: int) -> None:
    """Remove one table's expired items; one that is renewed meanwhile stays."""
    expired = {
        "TableName": table,
        "ExpressionAttributeNames": {"#ttl": attribute},
        "ExpressionAttributeValues": {":now": {"N": str(now)}},
    }
    names = {f"#k{i}": name for i, name in enumerate(key)}
    scan = {
        **expired,
        "FilterExpression": "#ttl < :now",
        "ProjectionExpression": ", ".join(names),
        "ExpressionAttributeNames": {"#ttl": attribute, **names},
    }
    while True:
        page = dynamo.call("Scan", scan)
        for item in page["Items"]:
            try:
                dynamo.call("DeleteItem", {**expired, "Key": item, "ConditionExpression": "#ttl < :now"})
            except ServiceFault as problem:
                if problem.code != "ConditionalCheckFailedException":
                    raise
        if not page.get("LastEvaluatedKey"):
            return
        scan = {**scan, "ExclusiveStartKey": page["LastEvaluatedKey"]}


class RoundPump:
    """Calls a function over and over, as a schedule of every minute does; a laptop need not wait for so long.

    Args:
        seconds: between the end of a call and the next one.
    """

    def __init__(self, invoke: Invoker, seconds: float = 5.0) -> None:
        self._invoke = invoke
        self._seconds = seconds

    def run(self) -> None:
        """Go on until the process is ended."""
        while True:
            try:
                self._invoke({})
            except Failed:
                traceback.print_exc()
            time.sleep(self._seconds)
