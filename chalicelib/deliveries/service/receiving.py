"""Take what providers tell of deliveries afterwards: each once, in any order, however often it is told."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Received, Row
from chalicelib.deliveries.ports import Append
from chalicelib.deliveries.store import ReceiptKnown
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.errors import WriteContended
from chalicelib.providers.models import Receipt, ReceiptKind, Reply
from chalicelib.storage.table import Table

TOGETHER = 50
"""So many receipts are counted in one transaction."""
_TRIES = 5


def receive(table: Table, ops: Table, append: Append, receipts: Sequence[Receipt], *, now: datetime) -> Received:
    """Take receipts: rows for the lake first, then what is counted; taken again, they change nothing.

    A receipt of a delivery that was opened twice counts once. One whose id is none of ours is counted as unknown.

    Args:
        append: to the lake's receipts.

    Raises:
        StorageBusy: take all of them again.
    """
    sources = _sources(table, ops, {each.delivery_id for each in receipts})
    first: dict[tuple[str, str], Receipt] = {}
    for each in sorted(receipts, key=lambda receipt: receipt.at):
        if each.delivery_id in sources:
            first.setdefault((each.delivery_id, each.kind.value), each)
    ours = sum(each.delivery_id in sources for each in receipts)
    new = set(first) - store.find_receipts(ops, first)
    rows = [_row(first[which], sources[which[0]]) for which in sorted(new)]
    if rows:
        append(_name(rows), rows, now)
    taken = 0
    for run_id, some in _by_run(new, sources).items():
        for start in range(0, len(some), TOGETHER):
            taken += _count(ops, run_id, some[start : start + TOGETHER], now)
    return Received(taken, ours - taken, len(receipts) - ours)


def receive_opt_out(table: Table, ops: Table, append: Append, said: str, member_id: str, *, now: datetime) -> None:
    """Take that a member opted out by a link of a message; once for the message, whichever of its links was pressed.

    Args:
        said: what the link says of its message (`rules.reference`); empty: nothing, so there is nothing to count.

    Raises:
        StorageBusy: take it again.
    """
    if not said:
        return
    referred = rules.referred_run(said)
    if referred is None:
        name = rules.referred_single(said, member_id)
        item = store.find_single(ops, member_id, name)
        channel = item["channel"] if item is not None else ""
    else:
        run_id, channel = referred
        run = store.find_run(table, run_id)
        if run is None:
            return
        name = rules.delivery_id(run_id, run.source_id, run.step, member_id, channel)
    receipt = Receipt(f"link {name}", "link", channel, ReceiptKind.OPTED_OUT, now, delivery_id=name)
    receive(table, ops, append, [receipt], now=now)


def receive_reply(append: Append, reply: Reply, member_id: str, *, now: datetime) -> None:
    """Take that a member opted out by answering; the lake finds the message that they answered.

    Raises:
        StorageBusy: take it again.
    """
    row: Row = {
        "row_id": f"{reply.provider} {reply.reply_id}",
        "member_id": member_id,
        "channel": reply.channel,
        "kind": ReceiptKind.OPTED_OUT.value,
        "at": milliseconds(reply.at),
    }
    append(_name([row]), [row], now)


@dataclass(frozen=True, slots=True)
class _Source:
    """What a delivery was sent for."""

    run_id: str
    member_id: str
    source_id: str
    step: str


def _sources(table: Table, ops: Table, deliveries: Collection[str]) -> dict[str, _Source]:
    """What deliveries were sent for; those that are none of ours are left out."""
    named = {each: name for each in deliveries if (name := rules.named_by(each)) is not None}
    singles = {each: member for each, (run_id, member) in named.items() if not run_id}
    runs = {run_id: store.find_run(table, run_id) for run_id, _ in named.values() if run_id}
    found: dict[str, _Source] = {}
    for each, item in store.find_singles(ops, singles).items():
        found[each] = _Source("", singles[each], item["source_id"], item["step"])
    for each, (run_id, member) in named.items():
        run = runs.get(run_id)
        if run is not None and rules.belongs(each, run, member):
            found[each] = _Source(run_id, member, run.source_id, run.step)
    return found


def _count(ops: Table, run_id: str, some: Sequence[tuple[str, str]], now: datetime) -> int:
    """Count receipts of a run that were not counted before; how many."""
    for _ in range(_TRIES):
        counts = Counter(kind for _, kind in some)
        writes = [store.keep_receipt(delivery, kind, now) for delivery, kind in some]
        try:
            # Of a single message nothing is added up: its row in the lake says all.
            more = [store.count_receipts(run_id, milliseconds(now) % store.COUNTERS, counts, now)] if run_id else []
            ops.commit([*writes, *more])
        except ReceiptKnown:
            known = store.find_receipts(ops, some)
            some = [each for each in some if each not in known]
            if not some:
                return 0
            continue
        return len(some)
    raise WriteContended


def _by_run(receipts: set[tuple[str, str]], sources: Mapping[str, _Source]) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for delivery, kind in sorted(receipts):
        found[sources[delivery].run_id].append((delivery, kind))
    return found


def _name(rows: Sequence[Row]) -> str:
    return "receipts-" + hashlib.sha256("\n".join(row["row_id"] for row in rows).encode()).hexdigest()[:32]


def _row(receipt: Receipt, source: _Source) -> Row:
    return {
        "row_id": f"{receipt.delivery_id} {receipt.kind.value}",
        "member_id": source.member_id,
        "delivery_id": receipt.delivery_id,
        "source_id": source.source_id,
        "step": source.step,
        "channel": receipt.channel,
        "kind": receipt.kind.value,
        "at": milliseconds(receipt.at),
    }
