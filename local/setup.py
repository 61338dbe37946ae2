"""Make .venv and node_modules fit the lock files. Runs on any Python 3.11+, before anything is installed.

Each of the two folders holds a stamp that is written last and removed first, so a folder that was interrupted
halfway never looks done. A lock on `.setup.lock` keeps two setups from working at once.
"""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
MODULES = ROOT / "node_modules"
PYTHON = VENV / "bin" / "python"


def stamp(*files: str, salt: str = "") -> str:
    """What a folder made from these files is marked with."""
    digest = hashlib.sha256(salt.encode())
    for name in files:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def python_stamp(version: str) -> str:
    """The stamp of .venv; another interpreter makes it unfit."""
    return stamp("requirements-dev.txt", salt=version)


def node_stamp() -> str:
    """The stamp of node_modules."""
    return stamp("package-lock.json", ".npmrc")


def fits(folder: Path, expected: str) -> bool:
    """Whether a folder was made, to the end, from what is wanted now."""
    try:
        return (folder / ".stamp").read_text() == expected
    except OSError:
        return False


def make_venv(version: str) -> None:
    """Build .venv from nothing with the interpreter that runs this."""
    if VENV.is_symlink():
        sys.exit("setup: .venv is a link, and what it leads to does not fit; take it away, or make it fit there.")
    say(f"making .venv with Python {version.split(maxsplit=1)[0]} (about a minute)")
    (VENV / ".stamp").unlink(missing_ok=True)
    shutil.rmtree(VENV, ignore_errors=True)
    run([sys.executable, "-m", "venv", str(VENV)])
    pip = [str(PYTHON), "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input"]
    run([*pip, "--require-hashes", "-r", "requirements-dev.txt"])
    (VENV / ".stamp").write_text(python_stamp(version))


def make_modules() -> None:
    """Build node_modules; `npm ci` starts from nothing by itself."""
    say("making node_modules")
    (MODULES / ".stamp").unlink(missing_ok=True)
    run(["npm", "ci", "--loglevel=error"])
    MODULES.mkdir(exist_ok=True)
    (MODULES / ".stamp").write_text(node_stamp())


def run(command: list[str]) -> None:
    """Run one step with its output on stderr; its failure ends the setup with one sentence."""
    done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        step = " ".join(command[:5])
        sys.exit(f"setup: `{step} …` failed (exit {done.returncode}); run `make setup` again.")


def say(what: str) -> None:
    """One line of progress, on stderr because `make token` prints only a token."""
    print(f"setup: {what}", file=sys.stderr, flush=True)


def venv_version() -> str:
    """`sys.version` of the interpreter in .venv, or nothing when it does not run."""
    try:
        asked = [str(PYTHON), "-I", "-S", "-c", "import sys; print(sys.version)"]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def main() -> int:
    """Exit 0 when both folders fit; with `--fits` only look (and run from .venv itself)."""
    if "--fits" in sys.argv:
        return int(not (fits(VENV, python_stamp(sys.version)) and fits(MODULES, node_stamp())))

    with (ROOT / ".setup.lock").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another setup is at work; waiting for it")
            fcntl.flock(guard, fcntl.LOCK_EX)
        if not fits(VENV, python_stamp(venv_version())):
            make_venv(sys.version)
        if not fits(MODULES, node_stamp()):
            make_modules()
    return 0


if __name__ == "__main__":
    sys.exit(main())
