"""Programs that the local stack starts: tied to their starter, waited for, ended, started again."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

TETHER = str(Path(__file__).with_name("tether.py"))


_STEADY = 30.0
"""Seconds a process has to live for its next end to count as the first."""
_LONGEST_PAUSE = 10.0


class NotStarted(Exception):
    """A program ended, or did not answer, before it was of use."""


class Pauses:
    """Longer and longer pauses between restarts of what keeps ending."""

    def __init__(self) -> None:
        self._pause = 0.0
        self._started = time.monotonic()
        self.due: float | None = None

    def ended(self) -> None:
        """Plan the restart."""
        now = time.monotonic()
        steady = now - self._started > _STEADY
        self._pause = 0.0 if steady else min(max(0.2, self._pause * 2), _LONGEST_PAUSE)
        self.due = now + self._pause

    @property
    def is_due(self) -> bool:
        """Whether the planned restart should happen now."""
        return self.due is not None and time.monotonic() >= self.due

    def restarted(self) -> None:
        """The restart has happened."""
        self._started, self.due = time.monotonic(), None


def say(what: str) -> None:
    """One line for the person at the terminal."""
    with contextlib.suppress(OSError):  # the terminal may be gone; what is being done must still be finished
        print(what, file=sys.stderr, flush=True)


def start(
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    log: Path | None = None,
    said: Path | None = None,
    pass_fds: Sequence[int] = (),
    cwd: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that Ctrl-C reaches only us and we end it in order.

    Args:
        log: a file that its output is added to; by default it shares ours.
        said: a file that only its standard output is added to; what goes wrong still reaches the terminal.
    """
    tethered = [sys.executable, "-I", "-S", TETHER, str(os.getpid()), *command]
    to_file = log or said
    output = to_file.open("ab") if to_file else None
    try:
        return subprocess.Popen(
            tethered,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output if log else None,
            pass_fds=pass_fds,
            start_new_session=True,
        )
    finally:
        if output:
            output.close()


def stop(process: subprocess.Popen[bytes], *, patience: float = 5) -> None:
    """End a program: ask, then after `patience` seconds insist."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, *, seconds: float) -> None:
    """Wait until something of ours speaks HTTP on a port of 127.0.0.1.

    Raises:
        NotStarted: the program ended, or nothing answered in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NotStarted(f"it ended at once ({how_it_ended(process)})")
        if answers(port):
            return
        time.sleep(0.005)
    raise NotStarted(f"it did not answer on port {port} within {seconds:.0f} s")


def answers(port: int) -> bool:
    """Whether a port answers HTTP; any status will do."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that is free at this moment; another program may still be quicker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def held_port() -> socket.socket:
    """A free port of 127.0.0.1, kept for a program of ours: as long as this lives, nobody else is given it.

    A server can listen there, because this socket only holds the address and both allow it to be used again.
    """
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind(("127.0.0.1", 0))
    return holder


def how_it_ended(process: subprocess.Popen[bytes]) -> str:
    """`exit 3` or `SIGKILL`, for people."""
    code = process.returncode
    return f"exit {code}" if code is None or code >= 0 else signal.Signals(-code).name
