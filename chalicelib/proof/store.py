"""What a proof reads: the directory, whole ledgers, and the files of roots and heads.

Files, in a store that is written once (`Objects.put_once`):

    roots/<day>/root.json         the signed root of a day
    roots/<day>/parts.jsonl.gz    its parts in order: a line each, a leaf of the tree over them and the file's name
    heads/<day>/<part>.jsonl.gz   the heads of a part in order: a line each, which is a leaf of its tree
    keys/<key id>.json            public keys that were signed with
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import chain
from typing import Any

from chalicelib.kernel.canonical import canonical
from chalicelib.kernel.ids import AccountId, is_card
from chalicelib.proof.models import Head, PartHeads, ReceiptKey, Signed
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import BATCH_MAX, Rows, Table
from chalicelib.storage.writes import Item

ROWS_AT_ONCE = 500
"""Entries of small accounts that are read together: waiting for the database is most of the time it takes."""

ROOTS_LOOKED_AT = timedelta(days=400)
"""So far back a root is looked for."""

_PAGE = 500


# ---------------------------------------------------------------- the ledger


@dataclass(frozen=True, slots=True)
class Ledger:
    """An account's item and those of its entries, oldest first.

    Attributes:
        account: None where there is none.
        entries: read as they are asked for, where there are many.
        beside: of a card, what it is and whose, as far as they are there.
    """

    account_id: AccountId
    account: Item | None
    entries: Iterable[Item]
    beside: Mapping[Key, Item] = field(default_factory=dict)


def list_directory(
    table: Table, partition: str, *, after: str | None, limit: int
) -> tuple[list[AccountId], str | None]:
    """Accounts of a partition of the directory, by their ids, and where the next ones start."""
    rows = table.query_timeline(partition, after=after, limit=limit, newest_first=False)
    return [AccountId(row["at"]) for row in rows.items], rows.last


def ledgers(table: Table, account_ids: Sequence[AccountId]) -> Iterator[Ledger]:
    """The ledgers of some accounts, in their order."""
    for start in range(0, len(account_ids), BATCH_MAX):
        some = account_ids[start : start + BATCH_MAX]
        accounts = table.get_many([key for each in some for key in (keys.account(each), *_beside(each))])
        waiting: list[tuple[AccountId, list[Key]]] = []
        for each in some:
            rows = _rows(table, each, None) if keys.account(each) in accounts else Rows((), None)
            wanted = _keys_of(rows)
            waiting.append((each, wanted))
            if rows.last is not None or sum(len(found) for _, found in waiting) >= ROWS_AT_ONCE:
                rest = _later(table, each, rows.last)
                yield from _read(table, accounts, waiting, rest)
                waiting = []
        yield from _read(table, accounts, waiting, iter(()))


def _read(
    table: Table, accounts: dict[Key, Item], waiting: Sequence[tuple[AccountId, list[Key]]], rest: Iterator[Item]
) -> Iterator[Ledger]:
    """Ledgers whose first rows are known; `rest` are the last one's further entries."""
    items = table.get_many([key for _, wanted in waiting for key in wanted])
    for number, (account_id, wanted) in enumerate(waiting):
        found: Iterable[Item] = [items[key] for key in wanted if key in items]
        if number == len(waiting) - 1:
            found = chain(found, rest)
        beside = {key: accounts[key] for key in _beside(account_id) if key in accounts}
        yield Ledger(account_id, accounts.get(keys.account(account_id)), found, beside)


def _beside(account_id: AccountId) -> tuple[Key, ...]:
    return (keys.profile(account_id), keys.card_owner(account_id)) if is_card(account_id) else ()


def _rows(table: Table, account_id: AccountId, after: str | None) -> Rows:
    return table.query_timeline(keys.statement(account_id), after=after, limit=_PAGE, newest_first=False)


def _keys_of(rows: Rows) -> list[Key]:
    return [Key(row["pk"], row["sk"]) for row in rows.items]


def _later(table: Table, account_id: AccountId, after: str | None) -> Iterator[Item]:
    """Entries of an account with many, a page at a time."""
    while after is not None:
        rows = _rows(table, account_id, after)
        wanted = _keys_of(rows)
        items = table.get_many(wanted)
        yield from (items[key] for key in wanted if key in items)
        after = rows.last


# ---------------------------------------------------------------- files


def head_line(head: Head) -> bytes:
    """A head as a line of a file, which is also its row in the tree."""
    return canonical({"account": str(head.account_id), "hash": head.hash.hex(), "seq": head.seq})


def heads_name(day: date, attempt: int, part: str) -> str:
    """The file of a part's heads."""
    return f"heads/{day.isoformat()}/{attempt}/{part.replace('+', 'p')}.jsonl.gz"


def put_heads(objects: Objects, name: str, heads: Sequence[Head]) -> None:
    """Write the heads of a part, unless they were."""
    objects.put_once(name, _squeezed(head_line(head) for head in heads), kind="application/gzip")


def find_heads(objects: Objects, name: str) -> list[Head]:
    """The heads of a part.

    Raises:
        LookupError: the file is not there.
    """
    return [Head(AccountId(row["account"]), row["seq"], bytes.fromhex(row["hash"])) for row in _lines(objects, name)]


def put_root(objects: Objects, day: date, parts: Sequence[PartHeads], signed: Signed) -> bool:
    """Write the root of a day and what it stands on; whether it is the day's first."""
    rows = (canonical(_part_row(part)) for part in parts)
    objects.put_once(f"roots/{day}/parts.jsonl.gz", _squeezed(rows), kind="application/gzip")
    return objects.put_once(f"roots/{day}/root.json", signed.model_dump_json().encode(), kind="application/json")


def list_root_days(objects: Objects, *, first: date, last: date, most: int | None = None) -> list[date]:
    """Days from the first to the last that have a root, in order; no more than `most`."""
    after = f"roots/{(first - timedelta(days=1)).isoformat()}/~"
    names = objects.list("roots/", after=after, limit=2 * (most or (last - first).days + 2))
    days = (date.fromisoformat(name.split("/")[1]) for name in names if name.endswith("/root.json"))
    return [day for day in days if day <= last]


def find_root(objects: Objects, day: date) -> Signed | None:
    """The signed root of a day, or None."""
    found = objects.get(f"roots/{day}/root.json")
    return Signed.model_validate_json(found) if found is not None else None


def find_parts(objects: Objects, day: date) -> list[PartHeads]:
    """The parts of a day's root, in order.

    Raises:
        LookupError: the file is not there.
    """
    return [
        PartHeads(row["shard"], row["first"], row["last"], row["accounts"], bytes.fromhex(row["root"]), row["name"])
        for row in _lines(objects, f"roots/{day}/parts.jsonl.gz")
    ]


def keep_key(objects: Objects, key: ReceiptKey) -> None:
    """Keep a public key that is signed with, unless it is kept."""
    objects.put_once(f"keys/{key.key_id}.json", key.model_dump_json().encode(), kind="application/json")


def list_keys(objects: Objects) -> list[ReceiptKey]:
    """All public keys that were ever signed with."""
    names = objects.list("keys/", after=None, limit=1000)
    found = (objects.get(name) for name in names)
    return [ReceiptKey.model_validate_json(each) for each in found if each is not None]


def _part_row(part: PartHeads) -> dict[str, Any]:
    return {
        "accounts": part.accounts,
        "first": part.first,
        "last": part.last,
        "name": part.name,
        "root": part.root.hex(),
        "shard": part.shard,
    }


def _squeezed(lines: Iterable[bytes]) -> bytes:
    """Lines, compressed; the same lines are the same bytes."""
    return gzip.compress(b"".join(line + b"\n" for line in lines), mtime=0)


def _lines(objects: Objects, name: str) -> list[dict[str, Any]]:
    found = objects.get(name)
    if found is None:
        raise LookupError(f"{name} is not there")
    return [json.loads(line) for line in gzip.decompress(found).splitlines()]
