"""How runs and the state of sending are kept: runs in `core`, the rest in `ops`, where it goes after 400 days."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.deliveries.models import (
    DeliveryId,
    Gift,
    Outcome,
    PartState,
    Quiet,
    Run,
    RunStatus,
    Sent,
    Single,
    StuckPart,
    Wording,
)
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Add, Item, Put, Unchanged, Write

COUNTERS = 4
"""A run's counters. A part counts once, when it is through."""
AT_ONCE = 100

_KEPT = timedelta(days=400)
_RECEIPTS_KEPT = timedelta(days=100)


class RunMoved(Exception):
    """Somebody changed the run at the same time. Never leaves the services."""


class PartTaken(Exception):
    """Another worker has written the part; this one is to do nothing more about it. Never leaves the service."""


class SingleTaken(Exception):
    """Somebody else has the claim. Never leaves the service."""


class ReceiptKnown(Exception):
    """One of the receipts was counted before. Never leaves the service."""


def _expires(now: datetime, kept: timedelta = _KEPT) -> int:
    return int((now + kept).timestamp())


# ---------------------------------------------------------------- runs


def find_run(table: Table, run_id: str) -> Run | None:
    """A run as it is just now, or None."""
    item = table.get(keys.run(run_id), consistent=True)
    return run_from(item) if item is not None else None


def add_run(run: Run) -> Write:
    """The write of a new run."""
    return Put(keys.run(run.run_id), _run_item(run), Absent(), lambda _: RunMoved())


def replace_run(run: Run, status: RunStatus) -> Write:
    """The write of a run in another status, if it still is what was read.

    Args:
        run: as it was read, with what else of it changes.
    """
    after = replace(run, status=status, version=run.version + 1)
    return Put(keys.run(run.run_id), _run_item(after), Unchanged(run.version), lambda _: RunMoved())


def _run_item(run: Run) -> Item:
    return {
        **run.more,
        "run_id": run.run_id,
        "source": run.source,
        "source_id": run.source_id,
        "step": run.step,
        "status": run.status.value,
        "purpose": run.purpose,
        "wordings": [[each.variant, each.channel, each.template_id, each.version] for each in run.wordings],
        "since": milliseconds(run.changes_since),
        "until": milliseconds(run.send_until),
        "zone": run.zone,
        "parts": run.parts,
        "planned": run.planned,
        "quiet": [run.quiet.begins, run.quiet.ends] if run.quiet else None,
        "gift": [run.gift.points, run.gift.days or 0, run.gift.by or "", run.gift.own or ""] if run.gift else None,
        "version": run.version,
    }


def run_from(item: Mapping[str, Any]) -> Run:
    """The run that an item holds."""
    gift = item.get("gift")
    return Run(
        run_id=item["run_id"],
        source=item["source"],
        source_id=item["source_id"],
        step=item["step"],
        status=RunStatus(item["status"]),
        purpose=item["purpose"],
        wordings=tuple(Wording(*each) for each in item["wordings"]),
        changes_since=from_milliseconds(item["since"]),
        send_until=from_milliseconds(item["until"]),
        zone=item["zone"],
        parts=item["parts"],
        planned=item["planned"],
        quiet=Quiet(*item["quiet"]) if "quiet" in item else None,
        gift=Gift(gift[0], gift[1] or None, *(each or None for each in gift[2:])) if gift else None,
        version=item["version"],
        more={name: value for name, value in item.items() if name not in _RUN},
    )


_RUN = frozenset({
    "pk", "sk", "run_id", "source", "source_id", "step", "status", "purpose", "wordings", "since", "until", "zone",
    "parts", "planned", "quiet", "gift", "version",
})  # fmt: skip
"""Attributes of a run's item that are the worker's."""


# ---------------------------------------------------------------- parts


def find_part(ops: Table, run_id: str, number: int) -> PartState | None:
    """How far a part is; None before anybody has begun it."""
    item = ops.get(keys.sent_part(run_id, number), consistent=True)
    return part_state(item) if item is not None else None


def list_parts(ops: Table, run_id: str, numbers: Sequence[int]) -> dict[int, PartState]:
    """How far some parts are; those that nobody has begun are left out."""
    found = ops.get_many([keys.sent_part(run_id, number) for number in numbers], consistent=True)
    states = map(part_state, found.values())
    return {state.part: state for state in states}


def keep_part(state: PartState, now: datetime) -> Write:
    """The write of how far a part is, if nobody has written it since.

    Args:
        state: as it is to be, with the `version` that was read; 0 for none.
    """
    item: Item = {
        "run_id": state.run_id,
        "part": state.part,
        "out": state.outcomes,
        "claim": _ranges(state.claim) or None,
        "lease": state.lease_until or None,
        "worker": state.worker or None,
        "cost": state.cost_micro or None,
        "done": True if state.done else None,
        "version": state.version + 1,
        "expires": _expires(now),
    }
    condition = Unchanged(state.version) if state.version else Absent()
    return Put(keys.sent_part(state.run_id, state.part), item, condition, lambda _: PartTaken())


def part_state(item: Mapping[str, Any]) -> PartState:
    """How far a part is, as an item says it."""
    return PartState(
        run_id=item["run_id"],
        part=item["part"],
        outcomes=item["out"],
        claim=tuple(_places(item.get("claim", ()))),
        lease_until=item.get("lease", 0),
        worker=item.get("worker", ""),
        cost_micro=item.get("cost", 0),
        done=item.get("done", False),
        version=item["version"],
    )


def _ranges(places: Sequence[int]) -> list[int]:
    """Places as first, count, first, count …: those of a call lie side by side most of the time."""
    found: list[int] = []
    for place in places:
        if found and found[-2] + found[-1] == place:
            found[-1] += 1
        else:
            found += [place, 1]
    return found


def _places(ranges: Sequence[int]) -> Iterable[int]:
    for first, count in zip(ranges[::2], ranges[1::2], strict=True):
        yield from range(first, first + count)


def count_part(state: PartState, outcomes: Mapping[Outcome, int], now: datetime) -> Write:
    """The write that adds a part that is through to its run's counters; in one transaction with the part's own."""
    amounts = {f"o_{outcome.name.lower()}": count for outcome, count in outcomes.items()}
    more = {"parts": 1, "cost": state.cost_micro}
    return Add(keys.sent_count(state.run_id, state.part % COUNTERS), {**amounts, **more}, {"expires": _expires(now)})


def find_counts(ops: Table, run_id: str) -> list[dict[str, int]]:
    """A run's counters, as they stand."""
    found = ops.get_many([keys.sent_count(run_id, shard) for shard in range(COUNTERS)], consistent=True)
    return [
        {name: int(value) for name, value in item.items() if name not in ("pk", "sk", "expires")}
        for item in found.values()
    ]


def note_fault(run_id: str, number: int, fault: str, now: datetime) -> Write:
    """The write that says why a part fails, and how often it has."""
    key = keys.part_fault(run_id, number)
    item: Item = {"part": number, "fault": fault, "at": milliseconds(now), "expires": _expires(now)}
    return Add(key, {"times": 1}, item)


def list_faults(ops: Table, run_id: str, *, limit: int) -> tuple[StuckPart, ...]:
    """Parts of a run that failed, whether or not they were done since."""
    items = ops.query_partition(keys.part_fault(run_id, 0).pk, first="F#", last="F#~", limit=limit)
    return tuple(
        StuckPart(part=item["part"], fault=item["fault"], times=item["times"], at=from_milliseconds(item["at"]))
        for item in items
    )


# ---------------------------------------------------------------- single messages


def find_single(ops: Table, member_id: str, delivery_id: str) -> Item | None:
    """A single message's item, or None: nobody has claimed it."""
    return ops.get(keys.single(member_id, delivery_id), consistent=True)


def find_singles(ops: Table, members: Mapping[str, str]) -> dict[str, Item]:
    """Single messages by the delivery's id, of which the member is given; those that are not there are left out."""
    wanted = {keys.single(member, delivery): delivery for delivery, member in members.items()}
    return {wanted[key]: item for key, item in ops.get_many(list(wanted), consistent=True).items()}


def list_singles(ops: Table, member_id: str, *, limit: int) -> tuple[Item, ...]:
    """Single messages to a member, in no order that says anything."""
    return ops.query_partition(keys.singles(member_id), first="dlv_", last="dlv_~", limit=limit)


def keep_single(
    single: Single, sent: Sent, *, version: int, now: datetime, lease_until: int = 0, worker: str = ""
) -> Write:
    """The write of a single message's claim, or of what became of it.

    Args:
        version: that was read; 0: there was none.
        lease_until: milliseconds, of a claim.
    """
    item: Item = {
        "source": single.source,
        "source_id": single.source_id,
        "step": single.step,
        "member_id": single.member_id,
        "channel": single.channel,
        "variant": single.variant or None,
        "out": sent.outcome.value,
        "provider": sent.provider or None,
        "cost": sent.cost_micro or None,
        "code": sent.code or None,
        "decided": milliseconds(sent.at),
        "lease": lease_until or None,
        "worker": worker or None,
        "version": version + 1,
        "expires": _expires(now),
    }
    condition = Unchanged(version) if version else Absent()
    key = keys.single(single.member_id, sent.delivery_id)
    return Put(key, item, condition, lambda _: SingleTaken())


def sent_from(item: Item) -> Sent:
    """What became of a single message, as its item says it."""
    return Sent(
        delivery_id=DeliveryId(item["sk"]),
        outcome=Outcome(item["out"]),
        at=from_milliseconds(item["decided"]),
        provider=item.get("provider", ""),
        cost_micro=item.get("cost", 0),
        code=item.get("code", ""),
    )


# ---------------------------------------------------------------- receipts


def keep_receipt(delivery_id: str, kind: str, now: datetime) -> Write:
    """The write that says that a receipt is counted, unless it was before."""
    item: Item = {"expires": _expires(now, _RECEIPTS_KEPT)}
    return Put(keys.receipt(delivery_id, kind), item, Absent(), lambda _: ReceiptKnown())


def find_receipts(ops: Table, receipts: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of some receipts that were counted before."""
    wanted = {keys.receipt(delivery_id, kind): (delivery_id, kind) for delivery_id, kind in receipts}
    return {wanted[key] for key in ops.get_many(list(wanted), consistent=True)}


def count_receipts(run_id: str, shard: int, counts: Mapping[str, int], now: datetime) -> Write:
    """The write that adds receipts to their run's counters."""
    amounts = {f"r_{kind}": count for kind, count in counts.items()}
    return Add(keys.sent_count(run_id, shard), amounts, {"expires": _expires(now)})
