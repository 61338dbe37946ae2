"""Put the parts of a run into the queue, once or again: a part that is done is ended by whoever receives it."""

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from chalicelib.deliveries import store
from chalicelib.deliveries.models import PartMessage, Run
from chalicelib.kernel.errors import Trouble
from chalicelib.storage.queues import Queues
from chalicelib.storage.table import Table


def enqueue(queues: Queues, queue: str, run_id: str, parts: Iterable[int], *, delay: int = 0) -> int:
    """Have parts of a run sent; how many.

    Args:
        queue: the URL of `campaign-sends`.
        delay: seconds, 900 at the most.

    Raises:
        StorageBusy: some did not arrive; all may be sent again.
    """
    bodies = [PartMessage(run_id=run_id, part=number).model_dump_json() for number in parts]
    queues.send(queue, bodies, delay=delay)
    return len(bodies)


def requeue(ops: Table, queues: Queues, queue: str, run: Run) -> int:
    """Have every part of a run that is not done sent: after a pause, and after a run was cancelled, so that whoever is
    left is counted; how many.
    """
    count = 0
    for start in range(0, run.parts, store.AT_ONCE):
        numbers = range(start, min(start + store.AT_ONCE, run.parts))
        states = store.list_parts(ops, run.run_id, numbers)
        open_ = [number for number in numbers if number not in states or not states[number].done]
        count += enqueue(queues, queue, run.run_id, open_)
    return count


def note_fault(ops: Table, message: PartMessage, fault: str, *, now: datetime) -> None:
    """Say beside a run why one of its parts fails; when that cannot be written, the log still says it."""
    with suppress(Trouble):
        ops.commit([store.note_fault(message.run_id, message.part, fault, now)])
