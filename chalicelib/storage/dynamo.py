"""DynamoDB's JSON protocol: the signed client on its endpoint, and values in its types.

Why not botocore: its import and client cost most of a cold start, and its serialiser and parser most of the CPU of a
purchase (ADR 0004 has the figures). Nothing is retried here; what may be retried is decided in `table.py`, which knows
what a repeat would do.
"""

import base64
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient, Unreachable
from chalicelib.storage.wire import READ_SECONDS

__all__ = ["Credentials", "Dynamo", "DynamoFault", "Unreachable", "marshalled", "unmarshalled"]

DYNAMODB = Service("dynamodb", "DynamoDB_20120810")

DynamoFault = ServiceFault
"""DynamoDB answered with an error."""


class Dynamo(SignedClient):
    """Calls operations of one DynamoDB endpoint; see `SignedClient`."""

    def __init__(
        self,
        region: str,
        endpoint: str | None,
        credentials: Callable[[], Credentials],
        clock: Callable[[], datetime],
        *,
        patience: float = READ_SECONDS,
    ) -> None:
        super().__init__(DYNAMODB, region, endpoint, credentials, clock, patience=patience)


def marshalled(value: Any) -> dict[str, Any]:
    """A plain value in DynamoDB's typed JSON.

    Raises:
        TypeError: there is no type for it; floats and None on purpose.
    """
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int):
        return {"N": str(int(value))}
    if isinstance(value, bytes):
        return {"B": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return {"L": [marshalled(each) for each in value]}
    if isinstance(value, dict):
        return {"M": {name: marshalled(each) for name, each in value.items()}}
    raise TypeError(f"{type(value).__name__} cannot be stored")


def unmarshalled(typed: Mapping[str, Any]) -> Any:
    """The plain value of DynamoDB's typed JSON; numbers are whole.

    Raises:
        TypeError: a type that we never store.
    """
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "B":
            return base64.b64decode(value)
        case "L":
            return [unmarshalled(each) for each in value]
        case "M":
            return {name: unmarshalled(each) for name, each in value.items()}
        case _:
            raise TypeError(f"type {kind} is never stored")
