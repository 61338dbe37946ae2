"""Which way a command goes: directly, or by the lane when its account is hot (ADR 0031). The answer is the same."""

from collections.abc import Callable
from typing import TypeVar

from chalicelib.api.routing import Call
from chalicelib.identity.models import Kind
from chalicelib.kernel.errors import StorageBusy, WriteContended
from chalicelib.kernel.heat import ATTEMPTS_HOT
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.records import Record
from chalicelib.storage.line import Asked

T = TypeVar("T")


def carried_out(
    call: Call,
    kind: str,
    account_id: str,
    command: Record,
    language: Language,
    *,
    directly: Callable[[], Outcome[T]],
    find: Callable[[str], Outcome[T] | None],
) -> Outcome[T]:
    """Carry a command out, by the way that its account calls for.

    Args:
        kind: what it is, as `chalicelib/lane` knows it.
        find: its answer when it was carried out, given the token of this request.

    Raises:
        Refusal: it was refused.
        WriteContended, LaneSlow, StorageBusy: safe to try again.
    """
    lane = call.house.lane
    if lane is None:
        return directly()
    if not lane.thermometer.is_hot(account_id, call.now):
        try:
            outcome = directly()
        except WriteContended:
            lane.thermometer.note(account_id, ATTEMPTS_HOT, call.now)
            raise
        lane.thermometer.note(account_id, outcome.attempts, call.now)
        return outcome
    staff = call.caller if call.caller is not None and call.caller.kind is not Kind.MEMBER else None
    asked = Asked(
        kind=kind,
        account_id=account_id,
        key=call.key,
        command=command.model_dump_json(),
        language=language,
        token=f"{call.house.draw():016x}",
        asked_at=call.now,
        by=staff.subject if staff is not None else None,
        own=staff.membership if staff is not None else None,
    )
    try:
        lane.hand_over(asked)
    except StorageBusy:
        # The line is out of reach. A command happens once for its key, whichever way and however often it goes.
        return directly()
    return lane.answer(asked, lambda: find(asked.token))
