"""The functions that the pump feeds, and how one is invoked."""

import importlib
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from local.deploy.functions import FUNCTIONS, Function
from local.gateway import LambdaContext
from local.settings import STACK

Handler = Callable[[dict[str, Any], Any], Any]
ABSENT = 3
"""The exit code of a process whose function is not in this tree, or has nothing to read: it is not started again."""


@dataclass(frozen=True)
class Fed:
    """A function that the pump feeds, as it is deployed.

    Attributes:
        handler: its dotted name.
        seconds: its time limit.
        queue: the queue that it reads, if any.
        batch: the most records in one event.
        window: seconds that a batch is waited for.
        patterns: which records of the stream it is given; all when there are none.
    """

    name: str
    handler: str
    seconds: int
    queue: str | None = None
    batch: int = 10
    window: float = 0.0
    patterns: tuple[dict[str, Any], ...] = ()


RELAY, START_JOB = "relay", "start-job"
FOLD, REBASE, CAMPAIGNS, JOURNEYS = "lake-fold", "lake-rebase", "campaigns-plan", "journeys-tick"
STREAMED, CLOCKED = (RELAY, FOLD), (START_JOB, REBASE, CAMPAIGNS, JOURNEYS)
"""Who reads the stream of table core, and who is started by the clock."""
ANSWERING = "functions"
"""The process of all functions that are asked."""
_QUEUES = {
    "archive": "archive", "notices": "notices", "watch": "watch", "work-job": "job-work", "retain": "retention",
    "lane": "lane.fifo", "lake-patch": "lake-patch", "segments-refresh": "segments-refresh",
    "send-parts": "campaign-sends", "mail-events": "mail-events", "journeys-take": "journey-events",
    "journeys-step": "journey-steps",
}  # fmt: skip
_LONGEST_WINDOW = 2.0
"""Deployed, the archive waits longer to write fewer files; nobody wants to wait as long before a laptop."""


def fed_functions() -> list[Fed]:
    """What the pump feeds, from the very description that is deployed."""
    names = {*STREAMED, *CLOCKED, *_QUEUES}
    fed = [_fed(each) for each in FUNCTIONS if each.name in names]
    return [*fed, Fed(ANSWERING, "local.pump.asked.serve", 0)]


def asked_functions() -> dict[str, str]:
    """The handlers of the functions that are asked, by name; the tick of journeys, too, for `make fire`."""
    return {each.name: each.handler for each in FUNCTIONS if each.asked or each.name == JOURNEYS}


def _fed(function: Function) -> Fed:
    properties: dict[str, Any] = {}
    for source in function.events.values():
        properties |= source["Properties"]
    filters = properties.get("FilterCriteria", {}).get("Filters", ())
    return Fed(
        function.name,
        function.handler,
        function.seconds,
        queue=_QUEUES.get(function.name),
        batch=properties.get("BatchSize", 1),
        window=min(properties.get("MaximumBatchingWindowInSeconds", 0), _LONGEST_WINDOW),
        patterns=tuple(json.loads(each["Pattern"]) for each in filters),
    )


def matches(pattern: Any, value: Any) -> bool:
    """Whether a record fits a filter pattern of an event source.

    Raises:
        ValueError: the pattern uses what is not known here.
    """
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(matches(part, value.get(name)) for name, part in pattern.items())
    return any(_matches_one(choice, value) for choice in pattern)


def _matches_one(choice: Any, value: Any) -> bool:
    match choice:
        case str():
            return bool(value == choice)
        case {"prefix": str(start)} if len(choice) == 1:
            return isinstance(value, str) and value.startswith(start)
        case {"exists": bool(wanted)} if len(choice) == 1:
            return (value is not None) is wanted
    raise ValueError(f"the local stack does not know how to filter by {json.dumps(choice)}")


def load(dotted: str) -> Handler:
    """The handler of a dotted name. Ends the process with `ABSENT` when this tree has no such module."""
    module, _, name = dotted.rpartition(".")
    try:
        found: Handler = getattr(importlib.import_module(module), name)
    except ModuleNotFoundError as missing:
        if missing.name is None or not f"{module}.".startswith(f"{missing.name}."):
            raise
        print(f"{module} is not in this tree.")
        sys.exit(ABSENT)
    return found


class Failed(Exception):
    """An invocation failed as a whole; the traceback is its cause."""


class Invoker:
    """Invokes one function as Lambda does."""

    def __init__(self, function: Fed, handler: Handler) -> None:
        self._function = function
        self._handler = handler

    def __call__(self, event: dict[str, Any]) -> Any:
        """Hand an event over. The process ends when this takes longer than the function's time limit.

        Raises:
            Failed: the handler raised something.
        """
        signal.setitimer(signal.ITIMER_REAL, self._function.seconds)
        try:
            return self._handler(event, LambdaContext(f"{STACK}-{self._function.name}", self._function.seconds))
        except Exception as problem:
            raise Failed(f"{type(problem).__name__}: {problem}") from problem
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def failed_items(answer: Any, known: list[str]) -> set[str]:
    """Which items of a batch a handler says have failed.

    As in Lambda, no answer means that nothing has, and an answer that makes no sense that everything has.
    """
    if not answer:
        return set()
    try:
        failed = {failure["itemIdentifier"] for failure in answer.get("batchItemFailures") or ()}
    except (AttributeError, KeyError, TypeError):
        return set(known)
    return failed if failed <= set(known) else set(known)
