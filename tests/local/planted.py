"""Handlers that the tests give the pump in place of the product's: their effects are lines of a file.

`relay` puts an event on the bus for each new item, as the real one does; whatever says `poison` always fails.
"""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.storage.bus import EVENTBRIDGE, BusEvent, EventBus
from local.messaging import client
from local.settings import settings

EFFECTS = "effects.txt"
HANDLERS = {
    "relay": f"{__name__}.relay",
    "archive": f"{__name__}.archive",
    "notices": f"{__name__}.notices",
    "work-job": f"{__name__}.work",
    "start-job": f"{__name__}.start",
}


def effects(data_dir: Path, kind: str) -> list[str]:
    """What one handler has done, in order, with repetitions."""
    try:
        lines = (data_dir / EFFECTS).read_text().splitlines()
    except FileNotFoundError:
        return []
    return [line.partition(" ")[2] for line in lines if line.startswith(f"{kind} ")]


def _do(kind: str, what: str) -> None:
    line = f"{kind} {what}\n".encode()
    file = os.open(settings().data_dir / EFFECTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line)
    os.close(file)


def relay(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Put an event on the bus for each record; fail at the first poisonous one, as the real one does."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]  # noqa: TID251 - a handler lives in the app's environment
    bus = EventBus(client(EVENTBRIDGE, endpoint), "regulars-events")
    told: list[BusEvent] = []
    failed: list[dict[str, str]] = []
    for record in event["Records"]:
        name = record["dynamodb"]["Keys"]["sk"]["S"]
        if name.startswith("relay-poison"):
            if not told:
                raise RuntimeError("poison")
            failed = [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]
            break
        told.append(BusEvent("TierChanged", json.dumps({"name": name}), datetime.now(UTC)))
    if told:
        bus.put(told)
    assert context.get_remaining_time_in_millis() > 0
    return {"batchItemFailures": failed}


def archive(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write every message down."""
    for record in event["Records"]:
        _do("archive", json.loads(record["body"])["name"])
    return {}


def notices(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write every message down but the poisonous ones."""
    failed = []
    for record in event["Records"]:
        name = json.loads(record["body"])["name"]
        if name.startswith("poison"):
            failed.append({"itemIdentifier": record["messageId"]})
            _do("refused", name)
        else:
            _do("notices", name)
    return {"batchItemFailures": failed}


def work(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write every message down; a batch with poison in it fails as a whole."""
    bodies = [record["body"] for record in event["Records"]]
    if any(body.startswith("poison") for body in bodies):
        raise RuntimeError("poison")
    for body in bodies:
        _do("work", body)
    return {}


def start(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write down which job was started."""
    _do("start", event["job"])
    return {}
