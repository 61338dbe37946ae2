"""One function's process: `python -m local.pump PARENT FUNCTION DYNAMODB MESSAGING [SOCKET]`."""

import os
import sys
from dataclasses import replace

from chalicelib.storage.queues import SQS, SqsQueues
from chalicelib.storage.signed import ServiceFault, Unreachable
from local.messaging import client
from local.pump import asked, stream
from local.pump.functions import (
    ABSENT,
    ANSWERING,
    CAMPAIGNS,
    FOLD,
    JOURNEYS,
    REBASE,
    RELAY,
    START_JOB,
    Fed,
    Invoker,
    asked_functions,
    fed_functions,
    load,
    matches,
)
from local.pump.queues import QueuePump
from local.pump.schedules import RoundPump, SchedulePump
from local.settings import STACK, Settings, is_local, queue_url, settings
from local.tether import tether

_NICE = 5
"""Behind the API: whoever waits for an answer goes first."""


def main() -> None:
    """Feed one function until told to stop."""
    parent, name, dynamodb, messaging, *held = sys.argv[1:]
    tether(int(parent))
    os.nice(_NICE)
    chosen = settings()
    if name == ANSWERING:
        asked.serve(int(held[0]), {each: load(handler) for each, handler in asked_functions().items()})
        return
    function = next(each for each in fed_functions() if each.name == name)
    function = replace(function, handler=chosen.pump.handlers.get(name, function.handler))
    invoke = Invoker(function, load(function.handler))
    if name == START_JOB:
        own = is_local(dynamodb)  # AWS removes what has expired by itself
        SchedulePump(invoke, client(stream.TABLES, dynamodb) if own else None).run()
    elif name == REBASE:
        SchedulePump(invoke, None, [name]).run()
    elif name in (CAMPAIGNS, JOURNEYS):
        RoundPump(invoke).run()
    elif name in STREAMED:
        _streamed(chosen, function, invoke, dynamodb, messaging)
    else:
        assert function.queue is not None
        window = function.window if chosen.pump.window is None else chosen.pump.window
        url = queue_url(messaging, function.queue)
        QueuePump(client(SQS, messaging), url, invoke, batch=function.batch, window=window).run()


STREAMED = {RELAY: stream.POSITION, FOLD: "lake-stream.json"}
"""Who reads the stream of table core, and where each notes how far it has come."""


def _streamed(chosen: Settings, function: Fed, invoke: Invoker, dynamodb: str, messaging: str) -> None:
    """Read the stream of table core."""
    if not is_local(dynamodb):
        print("The stream of a DynamoDB in AWS is not read from here.")
        sys.exit(ABSENT)
    position = stream.Position(chosen.data_dir / STREAMED[function.name])
    queues = SqsQueues(client(SQS, messaging))
    try:
        source = stream.open_stream(dynamodb, f"{STACK}-core")
        safety = stream.Safety(messaging, position, source.arn, saves=function.name == RELAY)
        source.seek(position.read(source.arn))
        stream.StreamPump(
            source,
            invoke,
            safety,
            lambda letter: queues.send(queue_url(messaging, f"{function.name}-dlq"), [letter]),
            wanted=lambda record: not function.patterns or any(matches(each, record) for each in function.patterns),
            batch=function.batch,
            pause=chosen.pump.pause,
            window=function.window if chosen.pump.window is None else chosen.pump.window,
            name=function.name,
        ).run()
    except stream.NoStream as problem:
        print(f"There is no stream to read ({problem}).")
        sys.exit(ABSENT)
    except stream.Restarted:
        print("The queues were restarted; beginning again at what was committed.")
    except (Unreachable, ServiceFault, OSError) as problem:
        sys.exit(f"The stream cannot be read now ({problem}).")


if __name__ == "__main__":
    main()
