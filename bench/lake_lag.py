"""How long a purchase takes from its answer until the lake counts it: over HTTP, on a whole local stack of its own.

Purchases come one after the other at a steady rate. Beside them the lake is asked, as the API asks it, how many it has:
the n-th is there when it has n. On the way are the stream, the fold's window, the log, the delay of the queue, the
patch, the head, and the question itself.
"""

import contextlib
import http.client
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.report import CannotRun, Figure, percentile, table
from bench.stack import folder
from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.functions import LAMBDA, PATIENCE, FunctionFailed, LambdaFunctions
from chalicelib.storage.signed import Credentials, SignedClient
from local.keys import ensure_keys
from local.processes import free_port
from local.runs import Run, find_run
from local.settings import REGION, ROOT, STACK, settings
from local.tokens import make_token

GOAL = 60.0
"""Seconds, p99."""
_LONGEST = 180.0


def run(*, quick: bool = False) -> Figure:
    """Sell for a while and watch; the figure is the lag that one purchase in a hundred exceeds."""
    count, pause = (3, 0.2) if quick else (240, 0.25)
    with _stack() as (started, keys_file):
        keys = ensure_keys(keys_file)
        token = make_token(keys, "admin")
        lake = _lake(started.functions)
        _wait(lambda: _counted(lake) is not None)
        till = Till(started.url, token)
        member = till.enrol()
        sold: list[float] = []
        seen: list[float] = []
        watching = threading.Thread(target=_watch, args=(lake, count, seen), daemon=True)
        watching.start()
        for number in range(count):
            till.buy(member, number)
            sold.append(time.monotonic())
            time.sleep(pause)
        watching.join(_LONGEST)
        if len(seen) < count:
            raise CannotRun(f"of {count} purchases the lake has {len(seen)} after {_LONGEST:.0f} s")
    lags = [there - told for there, told in zip(seen, sold, strict=True)]
    p99, p50 = percentile(lags, 99), percentile(lags, 50)
    table(["purchases", "p50 s", "p99 s", "longest s"], [[str(count), p50, p99, max(lags)]])
    return Figure(
        "lake_lag", "s from a purchase's answer until a question to the lake counts it, p99", p99, GOAL, "s",
        details={"purchases": count, "p50": round(p50, 2), "longest": round(max(lags), 2)},
    )  # fmt: skip


class Till:
    """Speaks to the API over one connection."""

    def __init__(self, url: str, token: str) -> None:
        target = urlsplit(url)
        self._connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=30)
        self._headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}

    def enrol(self) -> str:
        """A new member's id."""
        made = self._post("/v1/members", {"card_no": f"lag{secrets.token_hex(6)}"})
        return str(made["member_id"])

    def buy(self, member_id: str, number: int) -> None:
        """A purchase, answered."""
        body = {
            "channel": "lag", "order_no": str(number), "member": {"member_id": member_id}, "currency": "CNY",
            "occurred_at": datetime.now(UTC).isoformat(), "paid_minor": 1000 + number,
        }  # fmt: skip
        self._post("/v1/purchases", body)

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = self._headers | {"idempotency-key": secrets.token_hex(8)}
        self._connection.request("POST", path, json.dumps(body), headers)
        response = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status not in (200, 201):
            raise CannotRun(f"{path} answered {response.status}: {answer.get('code')}")
        return answer


@contextlib.contextmanager
def _stack() -> Iterator[tuple[Run, Path]]:
    """A run of the local stack, without demo data."""
    with folder() as place:
        mine = {"DATA_DIR": str(place / "data"), "PORT": str(free_port()), "SEED": "none", "WORKERS": "1", "PUMP": ""}
        env = dict(os.environ) | mine  # noqa: TID251 - the bench starts what a person starts
        log = (place / "run.log").open("ab")
        process = subprocess.Popen([sys.executable, "-m", "local", "run"], env=env, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait(lambda: b"Ctrl-C stops it" in (place / "run.log").read_bytes() or process.poll() is not None)
            found = find_run(place / "data")
            if found is None or not found.functions:
                raise CannotRun("the local stack does not start")
            yield found, place / "data" / settings().keys_file.name
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            log.close()


def _lake(endpoint: str) -> LambdaFunctions:
    client = SignedClient(
        LAMBDA, REGION, endpoint, lambda: Credentials("bench", "bench"), lambda: datetime.now(UTC), patience=PATIENCE
    )
    return LambdaFunctions(client, STACK)


def _counted(lake: LambdaFunctions) -> int | None:
    """How many purchases the lake has; None while it cannot be asked."""
    try:
        return int(lake.ask("lake-status", {})["rows"]["purchases"])
    except (StorageBusy, FunctionFailed):
        return None


def _watch(lake: LambdaFunctions, count: int, seen: list[float]) -> None:
    """Note when each purchase is there."""
    while len(seen) < count:
        there = _counted(lake) or 0
        now = time.monotonic()
        seen += [now] * (min(there, count) - len(seen))
        time.sleep(0.25)


def _wait(there: Any) -> None:
    deadline = time.monotonic() + _LONGEST
    while not there():
        if time.monotonic() > deadline:
            raise CannotRun("the local stack does not answer")
        time.sleep(0.2)
