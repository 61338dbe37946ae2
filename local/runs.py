"""One run per data folder: a lock that the kernel takes back when its holder dies, and who holds it."""

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO


@dataclass(frozen=True)
class Run:
    """What a run tells other processes about itself."""

    pid: int
    url: str
    dynamodb: str
    messaging: str = ""
    """Where SQS and EventBridge answer; empty at first, and without a pump."""
    functions: str = ""
    """Where functions that are asked answer; likewise."""


class AlreadyRunning(Exception):
    """Another process holds this data folder."""


class RunLock:
    """The lock on `<data folder>/run.lock`, whose content says who holds it.

    The lock decides, never the pid in the file: a pid may be stale, a lock cannot.
    """

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is in it is other people's
        self._path = data_dir / "run.lock"
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Hold the folder until this process ends.

        Raises:
            AlreadyRunning: another process holds it.
        """
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise AlreadyRunning from None
        file.truncate(0)
        self._file = file

    def describe(self, run: Run) -> None:
        """Tell other processes about the run that holds the lock."""
        assert self._file is not None
        self._file.truncate(0)
        self._file.write(json.dumps(asdict(run)) + "\n")
        self._file.flush()

    def release(self) -> None:
        """Let the next run begin."""
        if self._file is not None:
            self._file.truncate(0)
            self._file.close()
            self._file = None


def is_held(data_dir: Path) -> bool:
    """Whether a run holds a data folder."""
    try:
        with (data_dir / "run.lock").open("r") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def find_run(data_dir: Path) -> Run | None:
    """The run that holds a data folder, or None; waits a moment for one that is just starting."""
    for _ in range(20):
        if not is_held(data_dir):
            return None
        try:
            return Run(**json.loads((data_dir / "run.lock").read_text()))
        except ValueError:  # its holder is about to write it
            time.sleep(0.1)
    return None


def end_run(data_dir: Path, *, patience: float = 20) -> int:
    """End the run of a data folder, and give the exit code: 0 also when none was there."""
    run = find_run(data_dir)
    if run is None:
        if is_held(data_dir):
            print(f"A run holds {data_dir}, but does not say who it is; try again.", file=sys.stderr)
            return 1
        print(f"Nothing is running from {data_dir}.")
        return 0
    _signal(run.pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not is_held(data_dir):
            print(f"Stopped {run.url} (pid {run.pid}).")
            return 0
        time.sleep(0.05)
    _signal(run.pid, signal.SIGKILL)
    print(f"Killed {run.url} (pid {run.pid}); it did not stop within {patience:.0f} s.", file=sys.stderr)
    return 1


def _signal(pid: int, what: signal.Signals) -> None:
    """Signal the holder of the lock: it wrote this pid while holding it, so the pid is its own."""
    if pid <= 1:
        raise ValueError(f"{pid} is nobody to signal")
    with contextlib.suppress(ProcessLookupError):  # it may go away by itself meanwhile
        os.kill(pid, what)
