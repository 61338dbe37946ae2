"""The server as `make run` starts it, in a folder of its own, and the CPU and memory of its processes."""

import contextlib
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.stack import Usage, folder, usage
from local.keys import ensure_keys
from local.processes import free_port, stop
from local.runs import find_run
from local.settings import ROOT, environment
from local.tokens import make_token

_PATIENCE = 60.0


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        workers: pids of the processes that serve the API.
        database: pid of dynoxide.
    """

    url: str
    dynamodb: str
    data_dir: Path
    token: str
    workers: tuple[int, ...]
    database: int

    def post(self, path: str, body: Any) -> Any:
        """One request of an admin; its answer.

        Raises:
            RuntimeError: it was refused.
        """
        headers = {"content-type": "application/json", "authorization": f"Bearer {self.token}"}
        sent = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(sent, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            raise RuntimeError(refused.read().decode()) from None

    def api_usage(self) -> Usage:
        """What the API processes have used: CPU added up, memory of the largest."""
        each = [usage(pid) for pid in self.workers]
        return Usage(sum(one.cpu_seconds for one in each), max(one.peak_kib for one in each))


@contextlib.contextmanager
def serving(*, workers: int = 2) -> Iterator[Server]:
    """A server with no demo data, its data in memory, ended afterwards."""
    with folder() as path:
        port = free_port()
        env = environment() | {
            "PORT": str(port), "DATA_DIR": str(path), "WORKERS": str(workers), "SEED": "none",
            "DYNAMODB_ENDPOINT": "", "REGULARS_LOCAL_DYNAMO": "", "PUMP": "none",
        }  # fmt: skip
        with (path / "server.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "local", "run", "--end-with-parent"],
                cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
        try:
            yield _awaited(process, path, workers)
        finally:
            stop(process, patience=20)


def _awaited(process: subprocess.Popen[bytes], path: Path, workers: int) -> Server:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        run = find_run(path)
        if run is not None and run.dynamodb and "Regulars runs at" in (path / "server.log").read_text():
            started = children(process.pid)
            api = tuple(pid for pid, command in started.items() if "local.worker" in command)
            database = next(pid for pid, command in started.items() if "dynoxide" in command)
            assert len(api) == workers, started
            return Server(run.url, run.dynamodb, path, _token(path), api, database)
        time.sleep(0.05)
    raise RuntimeError("the server did not start: " + (path / "server.log").read_text()[-2000:])


def _token(path: Path) -> str:
    return make_token(ensure_keys(path / "keys.json"), "admin")


def children(parent: int) -> dict[int, str]:
    """Command lines of a process's children."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        with contextlib.suppress(OSError):  # it may end while we look
            if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return found
