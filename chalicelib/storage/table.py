"""The table port, and DynamoDB behind it: the only code that talks to the database."""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import random
from typing import Any, Protocol

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.dynamo import Dynamo, DynamoFault, Unreachable, marshalled, unmarshalled
from chalicelib.storage.keys import DUE, TIMELINE, Key
from chalicelib.storage.writes import (
    Absent,
    Add,
    Anyway,
    Condition,
    Count,
    Held,
    Item,
    Put,
    Still,
    Strip,
    Unchanged,
    Write,
)

BATCH_MAX = 100
"""BatchGetItem takes so many keys."""

WRITES_MAX = 100
"""TransactWriteItems takes so many actions."""


@dataclass(frozen=True, slots=True)
class Rows:
    """Part of a partition, in order.

    Attributes:
        items: the rows.
        last: sort key of the last row looked at, to go on after; None at the end of the partition.
    """

    items: tuple[Item, ...]
    last: str | None


class Table(Protocol):
    """All that the product asks of a database: get, query, commit."""

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """The item under a key, or None. A read that is not `consistent` may be a little old."""

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """The items under several keys; those that are missing are left out."""

    def query_partition(
        self,
        pk: str,
        *,
        first: str,
        last: str,
        consistent: bool = False,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> tuple[Item, ...]:
        """A partition's items with sort keys from `first` to `last`, in order, at most `limit`."""

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """Rows of the timeline index, from a position on."""

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """Keys of the items that are due, in order of `pk`, from a position on."""

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """Perform all writes or none.

        Args:
            keyed: the first write's own condition tells a repeat, so that a retry after a lost answer may fail it:
                the caller knows its own write when it sees it.

        Raises:
            Exception: `otherwise` of the first write, in the order given, whose condition failed.
            StorageBusy: the database stayed busy; nothing is known to be wrong with the writes.
        """


_PASSING = {
    "InternalServerError",
    "InternalFailure",
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "ThrottlingException",
    "TransactionInProgressException",
}
_PASSING_REASONS = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
_FIRST_PAUSE = 0.025
_LONGEST_PAUSE = 0.8


class DynamoTable:
    """A DynamoDB table.

    Args:
        dynamo: the client.
        name: the table's name.
        patience: seconds for which passing faults are retried, with full jitter, before `StorageBusy`.
        pause: waits so many seconds; for tests.
        timer: counts seconds; for tests.
        meter: told of each call's operation and the capacity it consumed; for benches.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        name: str,
        *,
        patience: float = 5.0,
        pause: Callable[[float], None] = time.sleep,
        timer: Callable[[], float] = time.monotonic,
        meter: Callable[[str, Any], None] | None = None,
    ) -> None:
        self._dynamo = dynamo
        self.name = name
        self._patience = patience
        self._pause = pause
        self._timer = timer
        self._meter = meter

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        request: dict[str, Any] = {"TableName": self.name, "Key": _typed(key)}
        if consistent:
            request["ConsistentRead"] = True
        answer = self._call("GetItem", request)
        return _plain(answer["Item"]) if "Item" in answer else None

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        found: dict[Key, Item] = {}
        for start in range(0, len(keys), BATCH_MAX):
            wanted = {"Keys": [_typed(key) for key in dict.fromkeys(keys[start : start + BATCH_MAX])]}
            asked: Mapping[str, Any] = {self.name: {**wanted, **({"ConsistentRead": True} if consistent else {})}}
            waited, tries = 0.0, 0
            while asked:
                if waited >= self._patience:
                    raise StorageBusy
                answer = self._call("BatchGetItem", {"RequestItems": asked})
                for typed in answer.get("Responses", {}).get(self.name, ()):
                    item = _plain(typed)
                    found[Key(item["pk"], item["sk"])] = item
                asked = answer.get("UnprocessedKeys") or {}
                if asked:
                    waited += self._back_off(tries)
                    tries += 1
        return found

    def query_partition(
        self,
        pk: str,
        *,
        first: str,
        last: str,
        consistent: bool = False,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> tuple[Item, ...]:
        """See `Table.query_partition`."""
        request: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": {":pk": {"S": pk}, ":first": {"S": first}, ":last": {"S": last}},
        }
        if consistent:
            request["ConsistentRead"] = True
        if newest_first:
            request["ScanIndexForward"] = False
        if limit is not None:
            request["Limit"] = limit
        items: list[Item] = []
        while True:
            answer = self._call("Query", request)
            items += (_plain(typed) for typed in answer["Items"])
            if "LastEvaluatedKey" not in answer or (limit is not None and len(items) >= limit):
                return tuple(items[:limit])
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`. `at` alone tells the position: no two rows of a partition share it."""
        return self._query_index(TIMELINE, ("tl", partition), "at", after, limit, newest_first=newest_first)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._query_index(DUE, ("due", partition), "pk", after, limit, newest_first=False)

    def _query_index(
        self,
        index: str,
        hash_key: tuple[str, str],
        sort: str,
        after: str | None,
        limit: int,
        *,
        newest_first: bool,
    ) -> Rows:
        name, value = hash_key
        condition, values = f"{name} = :h", {":h": {"S": value}}
        if after is not None:
            condition += f" AND #sort {'<' if newest_first else '>'} :after"
            values[":after"] = {"S": after}
        request: dict[str, Any] = {
            "TableName": self.name,
            "IndexName": index,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": not newest_first,
            "Limit": limit,
        }
        if after is not None:
            request["ExpressionAttributeNames"] = {"#sort": sort}
        items: list[Item] = []
        while True:
            answer = self._call("Query", request)
            items += (_plain(typed) for typed in answer["Items"])
            more = answer.get("LastEvaluatedKey")
            if more is None or len(items) >= limit:
                return Rows(tuple(items), items[-1][sort] if more is not None and items else None)
            request["ExclusiveStartKey"] = more
            request["Limit"] = limit - len(items)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`. Unless `keyed`, a retry carries the same token: a lost answer is not a second write."""
        if len(writes) > WRITES_MAX:
            raise ValueError(f"{len(writes)} writes do not fit one transaction of {WRITES_MAX}")
        request: dict[str, Any] = {"TransactItems": [self._action(write) for write in writes]}
        if not keyed:
            request["ClientRequestToken"] = secrets.token_hex(16)
        try:
            self._call("TransactWriteItems", request)
        except DynamoFault as fault:
            reasons = fault.body.get("CancellationReasons") or ()
            for write, reason in zip(writes, reasons, strict=False):
                if reason.get("Code") == "ConditionalCheckFailed" and not isinstance(write, Add):
                    raise write.otherwise(_plain(reason.get("Item") or {})) from None
            raise

    def _action(self, write: Write) -> dict[str, Any]:
        if isinstance(write, Add):
            return {"Update": self._addition(write)}
        if isinstance(write, Count):
            return {"Update": self._counting(write)}
        if isinstance(write, Strip):
            return {"Update": self._stripping(write)}
        expression, values = _condition(write.condition)
        action: dict[str, Any] = {"TableName": self.name}
        if expression:
            action |= {"ConditionExpression": expression, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
        if values:
            action["ExpressionAttributeValues"] = values
        if isinstance(write, Put):
            item = {name: marshalled(value) for name, value in write.item.items() if value is not None}
            return {"Put": action | {"Item": _typed(write.key) | item}}
        return {"Delete": action | {"Key": _typed(write.key)}}

    def _addition(self, write: Add) -> dict[str, Any]:
        sets = {name: value for name, value in write.item.items() if value is not None}
        names = list(write.amounts) + list(sets)
        alias = {name: f"#n{number}" for number, name in enumerate(names)}
        values = {f":v{number}": marshalled({**write.amounts, **sets}[name]) for number, name in enumerate(names)}
        added = ", ".join(f"{alias[name]} :v{names.index(name)}" for name in write.amounts)
        given = ", ".join(f"{alias[name]} = :v{names.index(name)}" for name in sets)
        return {
            "TableName": self.name,
            "Key": _typed(write.key),
            "UpdateExpression": f"ADD {added}" + (f" SET {given}" if given else ""),
            "ExpressionAttributeNames": {short: name for name, short in alias.items()},
            "ExpressionAttributeValues": values,
        }

    def _counting(self, write: Count) -> dict[str, Any]:
        update = self._addition(Add(write.key, {write.name: write.amount}, write.item))
        update["ExpressionAttributeValues"][":room"] = marshalled(write.most - write.amount)
        # Compared first, too: an amount above the limit must not pass because there is nothing to add it to.
        fits = "attribute_not_exists(#n0) OR #n0 <= :room" if write.amount <= write.most else "#n0 <= :room"
        return update | {"ConditionExpression": fits, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}

    def _stripping(self, write: Strip) -> dict[str, Any]:
        alias = {name: f"#n{number}" for number, name in enumerate(write.names)}
        return {
            "TableName": self.name,
            "Key": _typed(write.key),
            "UpdateExpression": "REMOVE " + ", ".join(alias.values()),
            "ExpressionAttributeNames": {short: name for name, short in alias.items()},
            "ConditionExpression": "attribute_exists(pk)",
        }

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if self._meter is not None:
            request["ReturnConsumedCapacity"] = "INDEXES"
        started, waited, tries = self._timer(), 0.0, 0
        while True:
            try:
                answer = self._dynamo.call(operation, request)
            except (DynamoFault, Unreachable) as fault:
                if not _is_passing(fault):
                    raise
                if max(waited, self._timer() - started) >= self._patience:
                    raise StorageBusy from fault
                waited += self._back_off(tries)
                tries += 1
                continue
            if self._meter is not None:
                self._meter(operation, answer.get("ConsumedCapacity"))
            return answer

    def _back_off(self, tries: int) -> float:
        """Wait with full jitter: all who wait wait differently long."""
        longest: float = min(_FIRST_PAUSE * 2**tries, _LONGEST_PAUSE)
        self._pause(random() * longest)
        return longest


def _is_passing(fault: DynamoFault | Unreachable) -> bool:
    """Whether the same call may do better later. A failed condition never does."""
    if isinstance(fault, Unreachable):
        return True
    if fault.code == "TransactionCanceledException":
        codes = {reason.get("Code") for reason in fault.body.get("CancellationReasons") or ()}
        return bool(codes & _PASSING_REASONS) and "ConditionalCheckFailed" not in codes
    return fault.code in _PASSING or fault.status >= 500


def _condition(condition: Condition) -> tuple[str, dict[str, Any]]:
    match condition:
        case Absent():
            return "attribute_not_exists(pk)", {}
        case Unchanged(version):
            return "version = :version", {":version": {"N": str(version)}}
        case Held(member_id):
            return "member_id = :member_id", {":member_id": {"S": member_id}}
        case Still(name, None):
            return f"attribute_exists(pk) AND attribute_not_exists({name})", {}
        case Still(name, value):
            return f"{name} = :still", {":still": {"N": str(value)}}
        case Anyway():
            return "", {}


def _typed(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _plain(typed: Mapping[str, Any]) -> Item:
    return {name: unmarshalled(value) for name, value in typed.items()}
