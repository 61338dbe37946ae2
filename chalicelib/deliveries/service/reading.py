"""What is read of deliveries: how far a run is, and who of it has which outcome."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.errors import DeliveryRunUnknown
from chalicelib.deliveries.models import (
    DeliveryId,
    KnownOfMember,
    MessageDelivery,
    Outcome,
    PartState,
    Progress,
    Run,
    RunProgress,
    StuckPart,
)
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.pages import Slice
from chalicelib.lake.errors import LakeMissing
from chalicelib.storage.functions import FunctionFailed, Functions
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FAULTS_SHOWN = 50
PARTS_A_PAGE = 10


def progress(ops: Table, run: Run) -> Progress:
    """How far a run is; exact for the parts that are through."""
    total = rules.summed(store.find_counts(ops, run.run_id))
    outcomes = {each: total[f"o_{each.name.lower()}"] for each in Outcome if total[f"o_{each.name.lower()}"]}
    receipts = {name.removeprefix("r_"): count for name, count in total.items() if name.startswith("r_")}
    return Progress(run.planned, run.parts, total["parts"], outcomes, receipts, total["cost"])


def stuck(ops: Table, run: Run) -> tuple[StuckPart, ...]:
    """Parts of a run that failed and are not done, and why."""
    faults = store.list_faults(ops, run.run_id, limit=FAULTS_SHOWN)
    states = store.list_parts(ops, run.run_id, [each.part for each in faults]) if faults else {}
    return tuple(each for each in faults if each.part not in states or not states[each.part].done)


def run_progress(table: Table, ops: Table, run_id: str) -> RunProgress:
    """How far a run is, and what of it is stuck.

    Raises:
        DeliveryRunUnknown: there is no run of this id.
    """
    run = require_run(table, run_id)
    known = progress(ops, run)
    return RunProgress(
        run_id=run.run_id,
        status=run.status,
        planned=known.planned,
        parts=known.parts,
        parts_done=known.parts_done,
        outcomes={each.name.lower(): count for each, count in known.outcomes.items()},
        receipts=dict(known.receipts),
        cost_micro=known.cost_micro,
        stuck=stuck(ops, run),
    )


def require_run(table: Table, run_id: str) -> Run:
    """A run.

    Raises:
        DeliveryRunUnknown: there is no run of this id.
    """
    run = store.find_run(table, run_id)
    if run is None:
        raise DeliveryRunUnknown(run_id=run_id)
    return run


def list_of_run(
    table: Table, ops: Table, objects: Objects, run_id: str, outcome: str | None, *, after: str | None, limit: int
) -> Slice[MessageDelivery]:
    """A page of a run's deliveries, in the order of its plan; it may have fewer than the limit before the last one.

    Args:
        outcome: only those with this one: `unknown`, for example.
        after: part and place to begin with.

    Raises:
        DeliveryRunUnknown: there is no run of this id.
    """
    run = require_run(table, run_id)
    number, place = map(int, after.split(".")) if after else (0, 0)
    found: list[MessageDelivery] = []
    last = min(number + PARTS_A_PAGE, run.parts)
    states = store.list_parts(ops, run.run_id, range(number, last)) if number < last else {}
    for part in range(number, last):
        for at, view in _of_part(objects, run, part, states, outcome, place if part == number else 0):
            if len(found) == limit:
                return Slice(tuple(found), f"{part}.{at}")
            found.append(view)
    return Slice(tuple(found), f"{last}.0" if last < run.parts else None)


def _of_part(
    objects: Objects, run: Run, number: int, states: Mapping[int, PartState], outcome: str | None, first: int
) -> Iterator[tuple[int, MessageDelivery]]:
    """Deliveries of a part with their places, from a place on."""
    letters = states[number].outcomes if number in states else ""
    kinds = {rules.outcome_of(each).kind for each in letters} if letters else {"waiting"}
    content = objects.get(rules.part_key(run.run_id, number)) if outcome is None or outcome in kinds else None
    part = rules.part_from(content) if content is not None else None
    for place, recipient in enumerate(part.recipients if part is not None else ()):
        became = rules.outcome_of(letters[place]) if letters else Outcome.OPEN
        if place < first or outcome not in (None, became.kind):
            continue
        assert part is not None
        name = rules.delivery_id(run.run_id, run.source_id, run.step, recipient.member_id, part.channel)
        yield (
            place,
            MessageDelivery(
                delivery_id=name, member_id=MemberId(recipient.member_id), source=run.source, source_id=run.source_id,
                step=run.step, run_id=run.run_id, channel=part.channel, variant=recipient.variant or None,
                outcome=became.kind, reason=became.reason or None, at=None,
            ),
        )  # fmt: skip


# ---------------------------------------------------------------- of a member

ANSWER = "deliveries-answer"
"""The function that asks the lake."""


def list_of_member(ops: Table, functions: Functions, member_id: MemberId, *, limit: int) -> tuple[MessageDelivery, ...]:
    """What a member was sent, or was not, the newest first: single messages as they are now, runs as the lake has them.

    Raises:
        StorageBusy: the lake does not answer now.
        LakeMissing: it is gone, and asking again does not help.
    """
    told = _asked(functions, {"member_id": member_id, "limit": limit})["items"]
    found = {row["delivery_id"]: _of_row(member_id, row) for row in told}
    for item in store.list_singles(ops, member_id, limit=limit):
        sent = store.sent_from(item)
        found[sent.delivery_id] = MessageDelivery(
            delivery_id=sent.delivery_id, member_id=member_id, source=item["source"], source_id=item["source_id"],
            step=item["step"], run_id=None, channel=item["channel"], variant=item.get("variant"),
            outcome=sent.outcome.kind, reason=sent.outcome.reason or None, at=sent.at,
        )  # fmt: skip
    by_time = sorted(found.values(), key=lambda each: (each.at or _LONG_AGO, each.delivery_id), reverse=True)
    return tuple(by_time[:limit])


def find_known(functions: Functions, member_id: MemberId, *, limit: int) -> KnownOfMember:
    """All that the lake knows of messages to a member.

    Args:
        limit: so many messages, and so many of everything else, at the most.

    Raises:
        StorageBusy: the lake does not answer now.
        LakeMissing: it is gone, and asking again does not help.
    """
    told = _asked(functions, {"member_id": member_id, "limit": limit, "all": True})
    heard: dict[str, tuple[tuple[str, datetime], ...]] = {}
    for delivery_id, kind, at in told["heard"]:
        heard[delivery_id] = (*heard.get(delivery_id, ()), (kind, from_milliseconds(at)))
    return KnownOfMember(
        tuple(_of_row(member_id, row) for row in told["items"]),
        heard,
        tuple((campaign_id, from_milliseconds(at)) for campaign_id, at in told["held_out"]),
    )


def _asked(functions: Functions, question: dict[str, Any]) -> dict[str, Any]:
    try:
        answer = functions.ask(ANSWER, question)
    except FunctionFailed:
        raise StorageBusy("The lake does not answer now. Send the request again.") from None
    if answer.get("fault") == "lake_missing":
        raise LakeMissing
    return answer


_LONG_AGO = from_milliseconds(0)


def _of_row(member_id: MemberId, row: Mapping[str, Any]) -> MessageDelivery:
    return MessageDelivery(
        delivery_id=DeliveryId(row["delivery_id"]), member_id=member_id, source=row["source"],
        source_id=row["source_id"], step=row["step"], run_id=row["run_id"] or None, channel=row["channel"],
        variant=row["variant"] or None, outcome=row["outcome"], reason=row["reason"] or None,
        at=from_milliseconds(row["at"]),
    )  # fmt: skip


OF_MEMBER = """
SELECT d.delivery_id, d.source, d.source_id, d.step, d.run_id, d.channel, d.variant, d.outcome, d.reason,
    epoch_ms(d.at) AS at
FROM deliveries AS d WHERE d.m IN (SELECT m FROM members WHERE member_id = ?) ORDER BY d.at DESC LIMIT ?
"""


HEARD_OF_MEMBER = """
SELECT r.delivery_id, r.kind, epoch_ms(r.at) FROM receipts AS r
WHERE r.m IN (SELECT m FROM members WHERE member_id = ?) ORDER BY r.at DESC, r.kind LIMIT ?
"""

HELD_OUT_OF_MEMBER = """
SELECT a.campaign_id, epoch_ms(a.at) FROM assignments AS a
WHERE a.held_out AND a.m IN (SELECT m FROM members WHERE member_id = ?) ORDER BY a.at DESC LIMIT ?
"""


def answer(connection: "DuckDBPyConnection", question: Mapping[str, Any]) -> dict[str, Any]:
    """What the lake knows of a member's deliveries; with `all`, what was heard of them too, and who held them out."""
    of = [str(question["member_id"]), int(question["limit"])]
    asked = connection.execute(OF_MEMBER, of)
    names = [column[0] for column in asked.description]
    told: dict[str, Any] = {"items": [dict(zip(names, row, strict=True)) for row in asked.fetchall()]}
    if question.get("all"):
        told["heard"] = connection.execute(HEARD_OF_MEMBER, of).fetchall()
        told["held_out"] = connection.execute(HELD_OUT_OF_MEMBER, of).fetchall()
    return told
