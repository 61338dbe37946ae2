"""Many members at once: copies of some that the product made, written straight into dynoxide's file.

Over HTTP dynoxide takes some 3,400 items a second on two cores, which makes ten minutes of a million members; its file
takes fifty times as many. What is left out is the stream's records. The first items of every crowd go through dynoxide
itself, and its file must then hold exactly what would have been written: a dynoxide that stores differently is found.
"""

import hashlib
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import date
from functools import lru_cache
from typing import Any

from bench.stack import Stack, item_bytes
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.points.store import ENTRIES_IN_INDEX
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo, unmarshalled
from local.dynamo import Dynoxide

Typed = dict[str, Any]
"""An item in DynamoDB's types."""

_SAMPLE = 24
_BATCH = 10_000


def copied(pattern: tuple[Typed, Typed], number: int, *, due: date | None, month_day: str | None) -> list[Typed]:
    """The profile and account of a member like another, whom other days concern.

    Args:
        pattern: profile and account of the member who is copied.
        number: tells copies apart: the member number is made from it.
    """
    profile, account = pattern
    own = MemberNumber.from_chance(number)
    member_id = MemberId.of(own)
    where = {"S": keys.member_partition(member_id)}
    profile = {name: value for name, value in profile.items() if name not in ("due", "month_day")}
    profile |= {"pk": where, "member_id": {"S": member_id}, "number": {"S": own}}
    profile |= {"tl": {"S": keys.directory(member_id)}, "at": {"S": member_id}}
    if month_day is not None:
        profile |= {"month_day": {"S": month_day}, "due": {"S": keys.birthday(month_day, member_id)}}
    account = {name: value for name, value in account.items() if name != "due"} | {"pk": where}
    if due is not None:
        account["due"] = {"S": keys.due(due, member_id)}
    return [profile, account]


def items_of(stack: Stack, member_id: str) -> tuple[Typed, Typed]:
    """A member's profile and account as they are stored."""
    account, profile = _query(stack.dynamo, stack.table.name, keys.member_partition(member_id))
    return profile, account


def program_of(stack: Stack) -> list[Typed]:
    """The program's items as they are stored."""
    return _query(stack.dynamo, stack.table.name, keys.PROGRAM_HEAD.pk)


def _query(dynamo: Dynamo, name: str, pk: str) -> list[Typed]:
    values = {":pk": {"S": pk}}
    condition = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": values}
    items: list[Typed] = dynamo.call("Query", {"TableName": name, "ConsistentRead": True, **condition})["Items"]
    return items


class FileDiffers(Exception):
    """dynoxide's file does not hold what would have been written."""


def write(server: Dynoxide, dynamo: Dynamo, name: str, items: Iterable[Typed]) -> int:
    """Write items into a table `core`, where none of them is yet; how many they were.

    Raises:
        FileDiffers: dynoxide stores items otherwise than this does.
    """
    rest = iter(items)
    first = list(itertools.islice(rest, _SAMPLE))
    batch = [{"PutRequest": {"Item": item}} for item in first]
    assert not dynamo.call("BatchWriteItem", {"RequestItems": {name: batch}}).get("UnprocessedItems")
    count = len(first)
    with closing(sqlite3.connect(str(server.path), timeout=30)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        _require_same(connection, name, first)
        for some in _batches(rest):
            with connection:
                connection.executemany(f'INSERT INTO "{name}" VALUES (?, ?, ?, ?, NULL, ?)', map(_row, some))
                rows = [_due_row(item) for item in some if "due" in item]
                connection.executemany(f'INSERT INTO "{name}::gsi::due" VALUES (?, ?, ?, ?, ?)', rows)
                listed = [_timeline_row(item) for item in some if "tl" in item]
                connection.executemany(f'INSERT INTO "{name}::gsi::timeline" VALUES (?, ?, ?, ?, ?)', listed)
            count += len(some)
    return count


def _batches(items: Iterator[Typed]) -> Iterator[list[Typed]]:
    while batch := list(itertools.islice(items, _BATCH)):
        yield batch


def _row(item: Typed) -> tuple[str, str, str, int, str]:
    """An item's row in the table. The prefix is DynamoDB's own order of partitions, as emulators imitate it."""
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    prefix = hashlib.md5(b"Outliers" + pk.encode(), usedforsecurity=False).hexdigest()[:6]
    return f"S:{pk}", f"S:{sk}", _text(item), sum(map(_bytes, item.items())), prefix


def _bytes(attribute: tuple[str, dict[str, Any]]) -> int:
    name, typed = attribute
    if "S" in typed:
        return len(name) + len(typed["S"].encode())
    return _other_bytes(name, _text(typed))


@lru_cache(maxsize=4096)
def _other_bytes(name: str, typed: str) -> int:
    return item_bytes({name: unmarshalled(json.loads(typed))})


def _timeline_row(item: Typed) -> tuple[str, str, str, str, str]:
    """An item's row in the timeline index, which copies what a statement shows; of a profile, keys only."""
    pk, sk, tl, at = (item[each]["S"] for each in ("pk", "sk", "tl", "at"))
    copied = {each: item[each] for each in ("pk", "sk", "tl", "at", *ENTRIES_IN_INDEX) if each in item}
    return f"S:{tl}", f"S:{at}", f"S:{pk}", f"S:{sk}", _text(copied)


def _due_row(item: Typed) -> tuple[str, str, str, str, str]:
    """An item's row in the index of what is due, which copies keys only."""
    pk, sk, due = (item[each]["S"] for each in ("pk", "sk", "due"))
    return f"S:{due}", f"S:{pk}", f"S:{pk}", f"S:{sk}", _text({each: item[each] for each in ("pk", "sk", "due")})


def _text(item: Mapping[str, Any]) -> str:
    return json.dumps(item, ensure_ascii=False, separators=(",", ":"))


def _require_same(connection: sqlite3.Connection, name: str, items: list[Typed]) -> None:
    for item in items:
        row, due = _row(item), _due_row(item) if "due" in item else None
        listed = _timeline_row(item) if "tl" in item else None
        own = f'SELECT pk, sk, item_json, item_size, hash_prefix FROM "{name}" WHERE pk = ? AND sk = ?'
        indexes = [
            f'SELECT * FROM "{name}::gsi::{each}" WHERE table_pk = ? AND table_sk = ?' for each in ("due", "timeline")
        ]
        for select, expected, at in ((own, row, 2), (indexes[0], due, 4), (indexes[1], listed, 4)):
            found = connection.execute(select, row[:2]).fetchall()
            if [_parsed(each, at) for each in found] != ([_parsed(expected, at)] if expected else []):
                raise FileDiffers(f"expected {expected}, found {found}")


def _parsed(row: tuple[Any, ...], at: int) -> list[Any]:
    return [json.loads(value) if place == at else value for place, value in enumerate(row)]
