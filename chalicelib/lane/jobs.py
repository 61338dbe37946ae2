"""The function that the line feeds.

How a batch fails. A batch holds messages of one or several accounts, in order for each. When one of an account fails,
it and all behind it of that account are named, so that none goes before it when they come again. Trouble (the database
is busy) ends the work on the whole batch. Any other fault of a batch has its commands carried out one by one, so that
one that cannot be understood fails alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.lane import service
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_job
from chalicelib.runtime.wiring import House, house
from chalicelib.storage.line import Asked

Message = Mapping[str, Any]


def work_line(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's shape
    """Carry out commands of the line; messages that failed are named with those behind them."""
    failed: list[str] = []
    faults: list[Exception] = []
    late = 0
    for messages in _by_account(event["Records"]):
        if any(isinstance(fault, Trouble) for fault in faults):
            failed += (each["messageId"] for each in messages)
            continue
        left, some_late = _carry_out(house(), messages, faults)
        failed += (each["messageId"] for each in left)
        late += some_late
    log_job("work_line", {"messages": len(event["Records"]), "late": late, "failed": len(failed)}, faults)
    return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}


def _by_account(messages: Sequence[Message]) -> list[list[Message]]:
    groups: dict[str, list[Message]] = {}
    for each in messages:
        groups.setdefault(each["attributes"]["MessageGroupId"], []).append(each)
    return list(groups.values())


def _carry_out(here: House, messages: Sequence[Message], faults: list[Exception]) -> tuple[Sequence[Message], int]:
    """Carry out the commands of one account: the messages that are left, and how many came too late."""
    try:
        return (), _done(here, messages)
    except Trouble as trouble:
        faults.append(trouble)
        return messages, 0
    except Exception as fault:  # noqa: BLE001 - the edge
        if len(messages) == 1:
            faults.append(fault)
            return messages, 0
    late = 0
    for number, each in enumerate(messages):
        left, some_late = _carry_out(here, [each], faults)
        if left:
            return messages[number:], late
        late += some_late
    return (), late


def _done(here: House, messages: Sequence[Message]) -> int:
    commands = [Asked.model_validate_json(each["body"]) for each in messages]
    again = any(int(each["attributes"]["ApproximateReceiveCount"]) > 1 for each in messages)
    return service.carry_out(here.table, here.ops, book_of(here.table), commands, now=here.clock(), again=again)
