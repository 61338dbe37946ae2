"""Work the line off: commands on one account in turn, each once for its key, many in one transaction (ADR 0031)."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import service as points
from chalicelib.points.models import SpendPoints
from chalicelib.pools import service as pools
from chalicelib.pools.models import PoolId, SpendFromPool
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys, line
from chalicelib.storage.ahead import Work, in_turn
from chalicelib.storage.audited import Audited
from chalicelib.storage.keys import Key
from chalicelib.storage.line import LATE, REQUEST, Asked, RefusalKnown
from chalicelib.storage.table import Table

Does = Callable[[Table, ProgramBook, Asked, datetime], Outcome[Any]]


@dataclass(frozen=True)
class Kind:
    """A kind of command that may come by the lane.

    Attributes:
        do: its use case. It must happen once for its key, and read by `get`; one that does more than put items is
            carried out in a transaction of its own.
        reads: keys of items that it will read.
    """

    do: Does
    reads: Callable[[Asked], tuple[Key, ...]]


def _spend(table: Table, book: ProgramBook, asked: Asked, now: datetime) -> Outcome[Any]:
    command = SpendPoints.model_validate_json(asked.command)
    return points.spend_points(
        table, book, MemberId(asked.account_id), asked.key, command, now=now, language=asked.language
    )


def _spend_from_pool(table: Table, book: ProgramBook, asked: Asked, now: datetime) -> Outcome[Any]:
    command = SpendFromPool.model_validate_json(asked.command)
    return pools.spend_from_pool(
        table, book, PoolId(asked.account_id), asked.key, command, now=now, language=asked.language
    )


def _reads_of_spend_from_pool(asked: Asked) -> tuple[Key, ...]:
    member_id = SpendFromPool.model_validate_json(asked.command).member_id
    return keys.account(asked.account_id), keys.pool_member(asked.account_id, member_id), keys.account(member_id)


KINDS = {
    "spend": Kind(_spend, lambda asked: (keys.account(asked.account_id),)),
    "pool_spend": Kind(_spend_from_pool, _reads_of_spend_from_pool),
}
"""What may come by the lane; `api/ways.py` sends it."""


def carry_out(
    table: Table, ops: Table, book: ProgramBook, commands: Sequence[Asked], *, now: datetime, again: bool = False
) -> int:
    """Carry commands on one account out, in their order; how many came too late and were left.

    Whoever waits finds the entry under the command's key, or the refusal that is put down here.

    Args:
        again: they were received before, so some may have been refused already: that was told and stands.

    Raises:
        KeyError, ValueError: one of them is no command of ours.
        WriteContended, StorageBusy: not all was done. All may be done again.
    """
    timely = [each for each in commands if now - each.asked_at <= LATE]
    asked = [each for each in timely if not (again and line.find_refusal(ops, each.token, consistent=True))]
    works = [_work(book, each, now) for each in asked]
    for each, answer in zip(asked, in_turn(table, works), strict=True):
        if isinstance(answer, Refusal):
            with suppress(RefusalKnown):
                ops.commit([line.refused(each.token, answer, now)])
    return len(commands) - len(timely)


def _work(book: ProgramBook, asked: Asked, now: datetime) -> Work[Outcome[Any]]:
    kind = KINDS[asked.kind]

    def do(table: Table) -> Outcome[Any]:
        named = Audited(table, asked.by, own=asked.own) if asked.by is not None else table
        return kind.do(named, book, asked, now)

    return Work(do, {REQUEST: asked.token}, kind.reads(asked))
