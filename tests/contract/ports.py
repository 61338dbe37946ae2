"""Every table port there is, so that the same tests run over all of them: the product's own, over three databases that
speak DynamoDB's protocol, and the one in memory."""

import base64
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from chalicelib.storage.dynamo import Credentials, Dynamo, DynamoFault
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Item
from local.tables import TEMPLATE, table_calls
from tests.memory import MemoryTable
from tests.table.stand import scan

_numbers = itertools.count()


@dataclass(frozen=True)
class Stand:
    """A port over an empty table `core`.

    Attributes:
        items: everything that is in the table.
    """

    name: str
    table: Table
    items: Callable[[], Mapping[Key, Item]]


def in_memory() -> Stand:
    """Over the table in memory."""
    table = MemoryTable()
    return Stand("memory", table, lambda: table.items)


@contextmanager
def over(name: str, dynamo: Dynamo) -> Iterator[Stand]:
    """Over a table of its own, as the template declares it, in a database."""
    stack = f"contract{next(_numbers)}"
    call = next(c for c in table_calls(json.loads(TEMPLATE.read_text()), stack) if c["TableName"] == f"{stack}-core")
    dynamo.call("CreateTable", {each: value for each, value in call.items() if each != "TimeToLiveSpecification"})
    table = DynamoTable(dynamo, call["TableName"])
    yield Stand(name, table, lambda: scan(dynamo, table.name))
    dynamo.call("DeleteTable", {"TableName": call["TableName"]})


def client_of(endpoint: str) -> Dynamo:
    """The product's client of a database on this machine."""
    return Dynamo("us-east-1", endpoint, lambda: Credentials("test", "test"), lambda: datetime.now(UTC))


class MotoDynamo(Dynamo):
    """The product's client with boto3 in place of its wire: moto answers inside boto3, and only there."""

    def __init__(self) -> None:
        import boto3

        self._boto = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
        )

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        try:
            answer: dict[str, Any] = self._boto._make_api_call(operation, _bytes_as(payload, base64.b64decode))
        except ClientError as error:
            body = {**error.response["Error"], **error.response}
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            raise DynamoFault(error.response["Error"]["Code"], status, _bytes_as(body, _text)) from None
        except ParamValidationError as error:  # boto3 refuses by itself what the database would
            raise DynamoFault("ValidationException", 400, {"message": str(error)}) from None
        answer.pop("ResponseMetadata", None)
        changed: dict[str, Any] = _bytes_as(answer, _text)
        return changed


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _bytes_as(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same request or answer with its binary values in the other's form: text on the wire, bytes in boto3."""
    if isinstance(value, Mapping):
        if set(value) == {"B"}:
            return {"B": change(value["B"])}
        return {name: _bytes_as(each, change) for name, each in value.items()}
    return [_bytes_as(each, change) for each in value] if isinstance(value, list) else value


def ministack(folder: Path) -> Any:
    """A ministack of our own; None where its venv was not made."""
    from local.dynamo import Ministack, ministack_fits

    return Ministack(folder) if ministack_fits() else None
