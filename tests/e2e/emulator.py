"""ministack whose schedules wait for the tests: runs in ministack's own venv, as `python -P tests/e2e/emulator.py`.

`POST /_regulars/hour` lets an hour go by for every schedule, so that an expression that is due once an hour fires once,
as it was deployed. Nothing fires in between. A zip is unpacked once for all the processes that run it: two seconds less
for each. What a function logs is waited for, because every one of ours logs at its end. Uses names inside ministack,
whose version is pinned for this reason.
"""

import hashlib
import threading
import time
import zipfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack import app as gateway  # type: ignore[import-not-found]  # in another venv
from ministack.core import lambda_runtime  # type: ignore[import-not-found]
from ministack.services import scheduler  # type: ignore[import-not-found]

_serve = gateway.app
_tick = scheduler._tick_schedules
_unpacking = threading.Lock()


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """Let an hour go by; hand everything else over."""
    if scope["type"] != "http" or scope["path"] != "/_regulars/hour":
        await _serve(scope, receive, send)
        return
    an_hour_ago = time.time() - 3600
    for schedule in list(scheduler._schedules._data):
        scheduler._schedule_last_fired[schedule] = an_hour_ago
    _tick()
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Unpacked(zipfile.ZipFile):
    """A zip that gives whoever asks for its files the one folder that they are in."""

    def extractall(self, path: Any = None, members: Any = None, pwd: Any = None) -> None:
        """Put a link to the files where a process expects them."""
        assert self.filename is not None
        place = Path(path)
        shared = Path.cwd() / "unpacked" / hashlib.sha256(Path(self.filename).read_bytes()).hexdigest()
        with _unpacking:
            if not shared.exists():
                super().extractall(shared, members, pwd)
        place.rmdir()
        place.symlink_to(shared)


if __name__ == "__main__":
    gateway.app = app
    lambda_runtime.Worker._drain_stderr_bounded.__defaults__ = (2.0, 0.02, 5.0)  # seconds: first line, silence, all
    lambda_runtime.zipfile = SimpleNamespace(ZipFile=Unpacked)
    scheduler._tick_schedules = lambda: None
    gateway.main()
