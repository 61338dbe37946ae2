"""A run of the local stack of a test's own."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from local.processes import free_port
from local.runs import Run
from local.settings import ROOT

PLAIN = {name: value for name, value in os.environ.items() if name not in ("FILE", "SHIFT", "CLIENTS", "SEED", "PUMP")}  # noqa: TID251


@dataclass
class Stack:
    """A run with a data folder of its own, that can be killed and started again."""

    data_dir: Path
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        mine = {"DATA_DIR": str(self.data_dir), "PORT": str(self.port), "SEED": "none", "WORKERS": "1"}
        return PLAIN | mine | self.more

    @property
    def run(self) -> Run:
        return Run(**json.loads((self.data_dir / "run.lock").read_text()))

    def start(self) -> None:
        log = (self.data_dir.parent / "run.log").open("ab")
        command = [sys.executable, "-m", "local", "run"]
        self.process = subprocess.Popen(command, env=self.env, cwd=ROOT, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 60
        while b"Ctrl-C stops it" not in (self.data_dir.parent / "run.log").read_bytes():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.05)
        (self.data_dir.parent / "run.log").write_bytes(b"")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def replay(self, file: Path, *more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "local", "replay", "--file", str(file), *more]
        return subprocess.Popen(
            command, env=self.env, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def told(self, file: Path, *more: str) -> tuple[int, str]:
        """Replay to the end: exit code and what it said."""
        process = self.replay(file, "--clients", "1", *more)
        said, _ = process.communicate(timeout=60)
        return process.returncode, said

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
