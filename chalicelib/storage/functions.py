"""The port to functions that are called and answer: Lambda behind it, or handlers in this very process.

What asks many members at once needs an engine that the API must not load. So it is another function, and the API asks it.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient, Unreachable

LAMBDA = Service("lambda", "", "application/json")
_ANSWER_SECONDS = 25.0
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
