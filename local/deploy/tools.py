"""The tools that check templates, in .venv-infra: they pin an older pydantic and pull in a hundred packages."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from local.settings import ROOT

VENV = ROOT / ".venv-infra"
LOCK = ROOT / "infra" / "tools.txt"
PYTHON = VENV / "bin" / "python"


def install_tools() -> None:
    """Make .venv-infra, unless it fits the lock; who comes at the same time waits."""
    wanted = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = VENV / ".stamp"
    if _reads(stamp) == wanted:
        return
    with (ROOT / ".setup.lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if _reads(stamp) == wanted:
            return
        print("Installing the template checks into .venv-infra (about a minute) …", file=sys.stderr, flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, "--require-hashes", "-r", str(LOCK)], check=True)
        stamp.write_text(wanted)


def _reads(stamp: Path) -> str | None:
    try:
        return stamp.read_text()
    except OSError:
        return None


def run_tool(*command: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module of .venv-infra, offline, with the repository as its place."""
    env = {
        "PATH": f"{VENV / 'bin'}:/usr/bin:/bin",
        "HOME": str(VENV),
        "AWS_DEFAULT_REGION": "us-east-1",
        "LC_ALL": "C.UTF-8",
    }
    arguments = [str(PYTHON), "-I", *command]
    return subprocess.run(arguments, cwd=ROOT, env=env, input=text, capture_output=True, text=True, check=False)
