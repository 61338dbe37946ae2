"""A DynamoDB of our own on 127.0.0.1: dynoxide, or ministack where no dynoxide binary exists.

Tests write `with Dynoxide(Path("/dev/shm/….db")) as dynamo: create_tables(dynamo.endpoint, stack="test")`.
"""

import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from local import streams
from local.processes import NotStarted, free_port, start, stop, wait_for_answer
from local.settings import ROOT, Settings, environment
from local.tables import create_tables

__all__ = ["Dynoxide", "Ministack", "NotStarted", "create_tables", "database_for"]

MINISTACK_VENV = ROOT / ".venv-ministack"
MINISTACK_LOCK = Path(__file__).with_name("ministack.txt")
_TRIES = 3
"""How often a free port may be snatched away between finding and using it."""


class _Server:
    """A DynamoDB that is a process of ours: start, ask, stop, start again on the same port."""

    patience = 10.0

    def __init__(self, port: int) -> None:
        self._any_port = port == 0
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def endpoint(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start it and wait until it answers; after the first time, always on the same port.

        Raises:
            NotStarted: it did not come up.
        """
        for tries_left in reversed(range(_TRIES)):
            port = self.port or free_port()
            self.process = self._launch(port)
            try:
                wait_for_answer(self.process, port, seconds=self.patience)
                break
            except NotStarted:
                stop(self.process)
                if not self._any_port or self.port or not tries_left:
                    raise
        self.port = port

    def stop(self) -> None:
        """End it; what was acknowledged is on disk."""
        if self.process is not None:
            stop(self.process)

    @property
    def has_data(self) -> bool:
        """Whether an earlier run left data."""
        return False

    def upkeep(self) -> int:
        """Do a little of the housekeeping that is due; 0 when nothing was left to do."""
        return 0

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


class Dynoxide(_Server):
    """dynoxide on 127.0.0.1.

    Args:
        path: the SQLite file (tests put it on /dev/shm); None keeps all in memory.
        port: 0 finds a free one.
        log: a file for what it prints; by default that is dropped.
    """

    binary = ROOT / "node_modules" / "@dynoxide" / "linux-x64" / "dynoxide"

    def __init__(self, path: Path | None = None, port: int = 0, *, log: Path | None = None) -> None:
        super().__init__(port)
        self.path = path
        self._log = log or Path("/dev/null")

    @classmethod
    def available(cls) -> bool:
        """Whether there is a binary for this machine."""
        return sys.platform == "linux" and platform.machine() == "x86_64" and cls.binary.exists()

    @property
    def has_data(self) -> bool:
        """Whether an earlier run left data."""
        return self.path is not None and self.path.exists()

    def start(self) -> None:
        """Start it, wait until it answers, and give its stream table an index."""
        super().start()
        if self.path is not None:
            streams.add_index(self.path)

    def upkeep(self) -> int:
        """Trim some of the stream records that are older than a day; 0 when none were left."""
        return streams.trim(self.path) if self.path is not None else 0

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        command = [str(self.binary), "--host", "127.0.0.1", "--port", str(port)]
        if self.path is not None:
            command += ["--db-path", str(self.path)]
        return start(command, log=self._log)


class Ministack(_Server):
    """ministack's DynamoDB, where dynoxide has no binary; it saves only when it is ended cleanly."""

    patience = 60.0

    def __init__(self, folder: Path, port: int = 0) -> None:
        super().__init__(port)
        self._folder = folder

    @property
    def has_data(self) -> bool:
        """Whether an earlier run left data."""
        return (self._folder / "state").exists()

    def _launch(self, port: int) -> subprocess.Popen[bytes]:
        install_ministack()
        env = ministack_environment(self._folder, port, "dynamodb,dynamodbstreams")
        command = [str(MINISTACK_VENV / "bin" / "python"), "-m", "ministack"]
        return start(command, env=env, log=self._folder / "ministack.log", cwd=self._folder)


def ministack_environment(folder: Path, port: int, services: str) -> dict[str, str]:
    """The environment of a ministack that keeps to this machine and to a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    return environment() | {
        "BIND_HOST": "127.0.0.1",  # its default is every interface, and it runs code
        "IOT_MTLS_ENABLED": "0",  # its MQTT broker would listen on every interface all the same
        "MINISTACK_HOST": "127.0.0.1",
        "DOCKER_HOST": f"unix://{folder}/no.sock",  # it clears containers away; none is ours
        "GATEWAY_PORT": str(port),
        "SERVICES": services,
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(folder),  # its pid file goes there
        "LOG_LEVEL": "WARNING",
    }


def ministack_fits() -> bool:
    """Whether ministack's own venv was made, to the end, from what the lock says now."""
    stamp = MINISTACK_VENV / ".stamp"
    return stamp.exists() and stamp.read_text() == _ministack_stamp()


def install_ministack() -> None:
    """Make ministack's own venv, unless it fits: it needs a pydantic that ours must not have."""
    if ministack_fits():
        return
    with (ROOT / ".setup.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)  # two runs may start at once
        if ministack_fits():
            return
        print("Making .venv-ministack for queues and events, once (half a minute) …", flush=True)
        (MINISTACK_VENV / ".stamp").unlink(missing_ok=True)
        shutil.rmtree(MINISTACK_VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(MINISTACK_VENV)], check=True)
        pip = [str(MINISTACK_VENV / "bin" / "pip"), "install", "-qq", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, "--require-hashes", "-r", str(MINISTACK_LOCK)], check=True)
        (MINISTACK_VENV / ".stamp").write_text(_ministack_stamp())


def _ministack_stamp() -> str:
    return hashlib.sha256(MINISTACK_LOCK.read_bytes() + sys.version.encode()).hexdigest()


def database_for(chosen: Settings) -> Dynoxide | Ministack | None:
    """The DynamoDB that a run should start, not started yet; None when the caller brings one."""
    if chosen.dynamodb_endpoint:
        return None
    if chosen.dynamodb_engine == "dynoxide" and Dynoxide.available():
        return Dynoxide(chosen.data_dir / "dynamo.db", log=chosen.data_dir / "dynamo.log")
    why = (
        "REGULARS_LOCAL_DYNAMO asks for it"
        if chosen.dynamodb_engine == "ministack"
        else "there is no dynoxide binary for this machine"
    )
    print(
        f"WARNING: DynamoDB is ministack's, because {why}. It saves data only on a clean stop "
        "(Ctrl-C or make stop); what was written since the start is lost when it is killed.",
        file=sys.stderr,
        flush=True,
    )
    return Ministack(chosen.data_dir / "ministack")
