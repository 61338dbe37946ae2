"""`python -m local redrive`: move messages from a dead-letter queue back to the queue that they failed in.

A message is sent before it is deleted, so one that is under way when this is stopped is there twice; every consumer is
used to that. What is not moved (`--where`) can be received again at once.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.kernel.errors import Trouble
from chalicelib.storage.batches import ENTRIES_MAX
from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable
from local.events import rate
from local.pace import Pace, Progress
from local.settings import settings
from local.stack import DEAD, NoQueue, NoStack, Stack, find_stack

NO_SOURCE = {
    "events": "It holds what the bus could not hand to a queue; send that from the archive: python -m local events.",
    "lane": "It holds commands that nobody waits for any more: who sent them was told to send them again.",
    "relay": "It holds places of the table's stream, not messages: read the records there while the stream keeps them.",
    "schedules": "It holds what the scheduler could not start; the job's next firing catches up by itself.",
}
"""Dead-letter queues that belong to no queue, and what to do instead."""

_HIDDEN_SECONDS = 300
_EMPTY_ENOUGH = 2
"""So many receives in a row that bring nothing new: short of every message being hidden, the queue is empty."""


@dataclass
class Moved:
    """What a redrive did.

    Attributes:
        moved: messages that were sent back.
        left: receipts of messages that were looked at and stay.
    """

    moved: int = 0
    left: dict[str, str] = field(default_factory=dict)


def main(arguments: list[str]) -> int:
    """Move messages as the arguments say; the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        stack = find_stack(settings())
        name = plain_name(stack, asked.queue)
        if name in NO_SOURCE:
            print(f"{stack.name}-{name}{DEAD} has no queue to go back to. {NO_SOURCE[name]}", file=sys.stderr)
            return 2
        source, dead = stack.queue_url(name), stack.queue_url(name + DEAD)
    except (NoStack, NoQueue) as nothing:
        print(nothing, file=sys.stderr)
        return 2
    done = Moved()
    try:
        redrive(stack, dead, source, done, at_most=asked.max, where=asked.where, pace=Pace(asked.rate))
    except (Trouble, ServiceFault, Unreachable, KeyboardInterrupt) as stopped:
        why = f" ({stopped})" if str(stopped) else ""
        print(f"Stopped after {done.moved} messages{why}. Simply start it again.", file=sys.stderr)
        return 1
    print(f"{done.moved} messages moved to {name}, {len(done.left)} left.")
    return 0


def redrive(
    stack: Stack, dead: str, source: str, done: Moved, *, at_most: int | None, where: str | None, pace: Pace
) -> None:
    """Move messages until there are none left, or enough.

    Messages that come back while this runs are not moved again: they failed anew.

    Args:
        done: told what was done, also when this is stopped.
        where: only messages whose body holds this text.
    """
    progress, started, empty = Progress(), time.time() * 1000, 0
    try:
        while empty < _EMPTY_ENOUGH and (at_most is None or done.moved < at_most):
            received = _received(stack.sqs, dead)
            new = [message for message in received if message["MessageId"] not in done.left]
            empty = 0 if new else empty + 1
            wanted = [each for each in new if (where is None or where in each["Body"]) and _sent_at(each) < started]
            if at_most is not None:
                wanted = wanted[: at_most - done.moved]
            chosen = {message["MessageId"] for message in wanted}
            done.left |= {m["MessageId"]: m["ReceiptHandle"] for m in received if m["MessageId"] not in chosen}
            if wanted:
                pace.before(len(wanted))
                stack.queues.send(source, [message["Body"] for message in wanted])
                _delete(stack.sqs, dead, wanted)
                done.moved += len(wanted)
                progress.say(f"{done.moved} messages moved, {len(done.left)} left")
    finally:
        _show(stack.sqs, dead, list(done.left.values()))


def plain_name(stack: Stack, name: str) -> str:
    """A queue's short name, from any of its names or its dead-letter queue's."""
    return name.removeprefix(f"{stack.name}-").removesuffix(DEAD)


def _received(sqs: SignedClient, url: str) -> list[dict[str, Any]]:
    answer = sqs.call(
        "ReceiveMessage",
        {
            "QueueUrl": url,
            "MaxNumberOfMessages": ENTRIES_MAX,
            "VisibilityTimeout": _HIDDEN_SECONDS,
            "WaitTimeSeconds": 1,
            "MessageSystemAttributeNames": ["SentTimestamp"],
        },
    )
    messages: list[dict[str, Any]] = answer.get("Messages") or []
    return messages


def _sent_at(message: dict[str, Any]) -> int:
    """Milliseconds since 1970; 0 where the queue does not say."""
    return int((message.get("Attributes") or {}).get("SentTimestamp", 0))


def _delete(sqs: SignedClient, url: str, messages: Sequence[dict[str, Any]]) -> None:
    entries = [{"Id": str(i), "ReceiptHandle": each["ReceiptHandle"]} for i, each in enumerate(messages)]
    sqs.call("DeleteMessageBatch", {"QueueUrl": url, "Entries": entries})


def _show(sqs: SignedClient, url: str, receipts: Sequence[str]) -> None:
    """Let messages be received again at once."""
    for start in range(0, len(receipts), ENTRIES_MAX):
        entries = [
            {"Id": str(i), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
            for i, receipt in enumerate(receipts[start : start + ENTRIES_MAX])
        ]
        sqs.call("ChangeMessageVisibilityBatch", {"QueueUrl": url, "Entries": entries})


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no positive whole number")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local redrive", description=__doc__)
    parser.add_argument("--queue", required=True, help="the queue that they failed in: notices, job-work, archive")
    parser.add_argument("--max", type=_positive, help="move so many at the most")
    parser.add_argument("--rate", type=rate, default=50.0, help="messages a second (50)")
    parser.add_argument("--where", help="only messages that hold this text")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
