"""ministack with a snapshot on demand: runs in ministack's own venv, as `python -P local/ministack_server.py`.

ministack saves its queues only when it is ended cleanly. `POST /_regulars/save` writes them to disk at any time and
says which process answers, so that the pump knows that what it put into queues is safe, also from kill -9. Uses names
inside ministack, whose version is pinned for this reason; `tests/local/test_messaging.py` notices when they change.
"""

import json
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from ministack import app as gateway  # type: ignore[import-not-found]  # in another venv
from ministack.core import persistence  # type: ignore[import-not-found]

STARTED = secrets.token_hex(8)
"""Names this process: another answer to `save` means that the queues were lost or restored in between."""

_serve = gateway.app
_load = gateway._load_persisted_state


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Answer `save`; hand everything else over."""
    if scope["type"] != "http" or scope["path"] != "/_regulars/save":
        await _serve(scope, receive, send)
        return
    began = time.monotonic()
    save()
    body = json.dumps({"started": STARTED, "took": time.monotonic() - began}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def save() -> None:
    """Write the state of every service that has one; a file appears whole or not at all.

    Nothing else runs meanwhile, because everything that changes the state runs in this event loop.
    """
    folder = Path(persistence.STATE_DIR)
    folder.mkdir(parents=True, exist_ok=True)
    _forget_events()
    for service, state in gateway._build_persistence_save_dict().items():
        wrapped = {"__ministack_format__": persistence._state_format_version(service), "payload": state()}
        draft = folder / f"{service}.json.draft"
        with draft.open("w") as file:
            file.write(json.dumps(wrapped, default=persistence._json_default))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(folder / f"{service}.json")


def _forget_events() -> None:
    """EventBridge's list of every event ever put is read by nothing here, and would only grow."""
    if events := sys.modules.get("ministack.services.eventbridge"):
        events._events_log.clear()


def load() -> None:
    """Restore the last snapshot. Nobody works any more on what was being worked on then, so it is visible at once."""
    _load()
    if queues := sys.modules.get("ministack.services.sqs"):
        now = time.time()
        for _, queue in queues._queues.all_items():
            for message in queue["messages"]:
                if message["receive_count"] and message["visible_at"] > now:
                    message["visible_at"] = now


if __name__ == "__main__":
    gateway.app = app
    gateway._load_persisted_state = load
    gateway.main()
