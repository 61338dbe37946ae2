"""The port to functions that are called and answer: Lambda behind it, or handlers in this very process.

What asks many members at once needs an engine that the API must not load. So it is another function, and the API asks
it.
"""

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.signed import Service, SignedClient, Unreachable

LAMBDA = Service("lambda", "", "application/json")
PATIENCE = 25.0
"""API Gateway gives up after 29."""


class FunctionFailed(Exception):
    """A function was called and failed, or refuses to be called. What it said is in its log, and not here."""


class Functions(Protocol):
    """All that the product asks of functions."""

    def ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:
        """The answer of a function of this stack.

        Args:
            name: without the stack's: `segments-answer`.

        Raises:
            StorageBusy: it could not be called, or did not answer in time; ask again later.
            FunctionFailed: it was called and failed.
        """


class LambdaFunctions:
    """Functions of Lambda.

    Args:
        client: a client of `LAMBDA`, whose patience is `PATIENCE`.
        stack: what their names begin with.
    """

    def __init__(self, client: SignedClient, stack: str) -> None:
        self._client = client
        self._stack = stack

    def ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:
        """See `Functions.ask`."""
        path = f"/2015-03-31/functions/{self._stack}-{name}/invocations"
        started = time.monotonic()
        try:
            status, body, said = self._client.post(path, question)
        except Unreachable:
            if time.monotonic() - started > _KEPT_TOO_LONG:
                raise StorageBusy("The answer takes too long. Try again later.") from None
            try:  # a connection that was kept and is closed by now: a question may be put twice
                status, body, said = self._client.post(path, question)
            except Unreachable:
                raise StorageBusy("The answer takes too long. Try again later.") from None
        if status == _TOO_MANY or status >= _THEIRS:
            raise StorageBusy("Too much is asked at once. Try again later.")
        answer = _read(body)
        if status != _DONE or b"x-amz-function-error" in said or answer is None:
            kind = str((answer or {}).get("errorType", f"Http{status}"))
            if kind in _PASSING:
                raise StorageBusy("What it takes to answer is busy. Try again later.")
            raise FunctionFailed(f"{name}: {kind}")
        return answer


def _read(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


_DONE, _TOO_MANY, _THEIRS = 200, 429, 500
_KEPT_TOO_LONG = 1.0
_PASSING = ("StorageBusy", "WriteContended")
"""What a function raises when something that it needs is busy. Lambda tells the class by its name."""

Handler = Callable[[dict[str, Any], Any], Any]


class LocalFunctions:
    """Handlers that are called in this process, by name: for tests, and tools of the laptop."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    def ask(self, name: str, question: dict[str, Any]) -> dict[str, Any]:
        """See `Functions.ask`. Question and answer go through JSON, as they do on the way."""
        try:
            answer = self._handlers[name](json.loads(json.dumps(question)), None)
        except StorageBusy:
            raise
        except Exception as fault:
            raise FunctionFailed(f"{name}: {type(fault).__name__}") from fault
        found: dict[str, Any] = json.loads(json.dumps(answer))
        return found
