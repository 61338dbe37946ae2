"""How audit records, their links and traces are read and written, and the anchors.

    A#<day>#<shard> / R#<mark>               a record; timeline AM#<account>
    A#<day>#<shard> / M#<mark>#<account>     lists it for a further account
    A#<day>#<shard> / L#<number>             a link: some records with their hashes
    AS#<subject> / <mark>                    lists a record for who did it, and says which link holds it

Anchors, in the store that is written once: audit/<day>/anchor.json
"""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, date, timedelta
from datetime import datetime as instant
from typing import Any

from chalicelib.audit.errors import LinkTaken
from chalicelib.audit.models import ToChain
from chalicelib.proof.models import Signed
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Write
from chalicelib.trail import rules

_PAGE = 500
_END = "~"


def to_chain(item: Item) -> ToChain:
    """What the chain needs of a record as it is stored."""
    content = json.loads(item["c"])
    return ToChain(item["sk"][2:], rules.record_hash(item), content["who"]["subject"], tuple(content["about"][1:]))


def find_record(table: Table, mark: str) -> Item | None:
    """A record, or None."""
    return table.get(keys.audit_record(mark), consistent=True)


def find_records(table: Table, marks: Sequence[str]) -> list[Item]:
    """Records in the order of their marks; those that are not there are left out."""
    wanted = [keys.audit_record(mark) for mark in marks]
    found = table.get_many(wanted)
    return [found[key] for key in wanted if key in found]


def list_about(table: Table, account_id: str, *, before: str, limit: int) -> list[str]:
    """Marks of the records about an account, newest first, before one."""
    rows = table.query_timeline(keys.audited(account_id), after=before, limit=limit)
    return [keys.parted(row["sk"])[1] for row in rows.items]


def list_by(table: Table, subject: str, *, before: str, limit: int) -> list[str]:
    """Marks of what somebody did, newest first, before one."""
    rows = table.query_partition(
        keys.audit_traces(subject), first="", last=_just_before(before), newest_first=True, limit=limit
    )
    return [row["sk"] for row in rows]


def list_on(table: Table, day: date, *, before: str, limit: int) -> list[Item]:
    """Records of a day, newest first, before one."""
    found: list[Item] = []
    for shard in range(keys.AUDIT_SHARDS):
        pk = keys.audit_partition(day, shard)
        found += table.query_partition(pk, first="R#", last="R#" + _just_before(before), newest_first=True, limit=limit)
    return sorted(found, key=lambda item: str(item["sk"]), reverse=True)[:limit]


def _just_before(mark: str) -> str:
    """A sort key that stands before a mark and behind all that do: marks are hexadecimal and of one length."""
    return f"{mark[:-1]}{chr(ord(mark[-1]) - 1)}~" if mark else ""


def find_link(table: Table, subject: str, mark: str) -> int | None:
    """The number of the link that holds a record, or None when it is not chained yet."""
    item = table.get(keys.audit_trace(subject, mark), consistent=True)
    return item["l"] if item else None


def find_last_link(table: Table, pk: str) -> Item | None:
    """The newest link of a partition, or None."""
    rows = table.query_partition(pk, first="L#", last="L#~", consistent=True, newest_first=True, limit=1)
    return rows[0] if rows else None


def links(table: Table, pk: str, *, first: int = 1) -> Iterator[Item]:
    """The links of a partition from one on, in order."""
    return _rows(table, pk, keys.audit_link(pk, first).sk, "L#~")


def records(table: Table, pk: str) -> Iterator[Item]:
    """The records of a partition, oldest first."""
    return _rows(table, pk, "R#", "R#~")


def _rows(table: Table, pk: str, first: str, last: str) -> Iterator[Item]:
    while True:
        rows = table.query_partition(pk, first=first, last=last, consistent=True, limit=_PAGE)
        yield from rows
        if len(rows) < _PAGE:
            return
        first = rows[-1]["sk"] + "\0"


def chained_already(table: Table, some: Sequence[ToChain]) -> set[str]:
    """Marks of those that are chained."""
    wanted = {keys.audit_trace(each.subject, each.mark): each.mark for each in some}
    found = table.get_many(list(wanted), consistent=True)
    return {wanted[key] for key in found}


def link(pk: str, last: Item | None, some: Sequence[ToChain], now: instant) -> list[Write]:
    """The writes of the next link, with the rows that list its records."""
    number = int(last["sk"][2:]) + 1 if last else 1
    rows = [[each.mark, each.hash] for each in some]
    before = last["h"] if last else rules.beginning(pk)
    item: Item = {"rows": rows, "h": rules.link_hash(before, number, rules.rows_digest(rows)), "made": _stamp(now)}
    writes: list[Write] = [_put(keys.audit_link(pk, number), item)]
    for each in some:
        writes.append(_put(keys.audit_trace(each.subject, each.mark), {"l": number}))
        writes += (
            _put(keys.audit_mention(each.mark, other), {"tl": keys.audited(other), "at": each.mark})
            for other in each.others
        )
    return writes


def _stamp(now: instant) -> int:
    return int(now.timestamp() * 1000)


def _put(key: Key, item: dict[str, Any]) -> Write:
    return Put(key, item, Absent(), lambda _: LinkTaken())


# ---------------------------------------------------------------- anchors


def anchor_name(day: date) -> str:
    """The file of a day's anchor."""
    return f"audit/{day.isoformat()}/anchor.json"


def find_anchor(objects: Objects, day: date) -> Signed | None:
    """The signed anchor of a day, or None."""
    found = objects.get(anchor_name(day))
    return Signed.model_validate_json(found) if found is not None else None


def put_anchor(objects: Objects, day: date, signed: Signed) -> bool:
    """Keep the anchor of a day; whether it is the day's first."""
    return objects.put_once(anchor_name(day), signed.model_dump_json().encode(), kind="application/json")


def list_anchor_days(objects: Objects, *, first: date, last: date) -> list[date]:
    """Days from the first to the last that have an anchor, in order."""
    after = f"audit/{(first - timedelta(days=1)).isoformat()}/~"
    names = objects.list("audit/", after=after, limit=(last - first).days + 2)
    days = (date.fromisoformat(name.split("/")[1]) for name in names)
    return [day for day in days if day <= last]


def day_of(now: instant) -> date:
    """The day that records made at an instant belong to."""
    return now.astimezone(UTC).date()
