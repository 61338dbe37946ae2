"""The peer of `peers`: Medusa's own loyalty plugin, from npm, over a Postgres from Debian.

Both are fetched when they are first asked for, into `build/peers`. Nothing is installed on the machine, and no service
of it is used: Postgres is unpacked from its .deb where the machine has none, and its data lives in memory as ours does.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import CannotRun
from bench.server import children
from bench.stack import folder
from local.processes import free_port
from local.settings import ROOT, environment

VERSION = "2.21.1"
PACKAGES = ("@medusajs/medusa", "@medusajs/framework", "@medusajs/cli", "@medusajs/loyalty-plugin")

_KEPT = ROOT / "build" / "peers"
_EMAIL, _PASSWORD = "bench@regulars.invalid", "of-this-run-only"
_PATIENCE = 90.0
_CONFIG = """
const { defineConfig } = require("@medusajs/framework/utils")
const http = { storeCors: "", adminCors: "", authCors: "", jwtSecret: "bench", cookieSecret: "bench" }
module.exports = defineConfig({
  projectConfig: { databaseUrl: process.env.DATABASE_URL, http },
  admin: { disable: true },
  plugins: [{ resolve: "@medusajs/loyalty-plugin", options: {} }],
})
"""


@dataclass(frozen=True)
class Medusa:
    """A running Medusa.

    Attributes:
        token: of an admin.
        programs: pids of the server and of Postgres; what they started counts with them.
        versions: of what it consists of.
    """

    url: str
    token: str
    programs: tuple[int, int]
    versions: Mapping[str, str]

    def cpu_seconds(self) -> float:
        """What all its processes have used."""
        return sum(_cpu_with_ended(pid) + sum(_cpu_with_ended(each) for each in children(pid)) for pid in self.programs)


@contextlib.contextmanager
def medusa(*, workers: int = 2) -> Iterator[Medusa]:
    """Medusa with the plugin and an empty database, ended afterwards.

    Raises:
        CannotRun: something it needs is not to be had.
    """
    app = _installed()
    with _postgres() as (database, postgres, postgres_version):
        env = environment() | {
            "DATABASE_URL": database, "NODE_ENV": "production", "MEDUSA_DISABLE_TELEMETRY": "true",
        }  # fmt: skip
        _done(["node_modules/.bin/medusa", "db:migrate", "--skip-scripts"], app, env)
        _done(["node_modules/.bin/medusa", "user", "--email", _EMAIL, "--password", _PASSWORD], app, env)
        port = free_port()
        command = ["setpriv", "--pdeathsig=KILL", "node", "node_modules/.bin/medusa", "start"]
        options = ["-H", "127.0.0.1", "-p", str(port), "--cluster", str(workers)]
        with _running([*command, *options], app / "server.log", cwd=app, env=env) as process:
            url = f"http://127.0.0.1:{port}"
            token = _signed_in(url, process, app / "server.log")
            node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
            yield Medusa(
                url, token, (process.pid, postgres), {**_versions(app), "postgres": postgres_version, "node": node}
            )


def post(url: str, body: Any, token: str = "") -> Any:
    """One request and its answer.

    Raises:
        RuntimeError: it was refused.
    """
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    sent = urllib.request.Request(url, json.dumps(body).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(sent, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refused:
        raise RuntimeError(refused.read().decode()) from None


def _cpu_with_ended(pid: int) -> float:
    """CPU seconds of a process and of those of its children that have ended; 0 when it has ended itself."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _installed() -> Path:
    """A folder with Medusa and the plugin in its `node_modules`."""
    app = _KEPT / f"medusa-{VERSION}"
    mark = app / "installed"
    if not mark.exists():
        if shutil.which("npm") is None or shutil.which("node") is None:
            raise CannotRun("node and npm are needed")
        app.mkdir(parents=True, exist_ok=True)
        wanted = {"name": "peer", "private": True, "dependencies": dict.fromkeys(PACKAGES, VERSION)}
        (app / "package.json").write_text(json.dumps(wanted))
        print(f"  fetching {', '.join(PACKAGES)} {VERSION} from npm", flush=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--legacy-peer-deps", "--fetch-retries=1"]
        _done(["npm", "install", *options], app, environment())
        mark.touch()
    (app / "medusa-config.js").write_text(_CONFIG)
    return app


def _versions(app: Path) -> dict[str, str]:
    manifests = {name: app / "node_modules" / name / "package.json" for name in PACKAGES}
    return {name: json.loads(path.read_text())["version"] for name, path in manifests.items()}


def _signed_in(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    """An admin's token, as soon as the server gives one."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            token: str = post(f"{url}/auth/user/emailpass", {"email": _EMAIL, "password": _PASSWORD})["token"]
            return token
        time.sleep(0.2)
    raise CannotRun(f"Medusa did not start: {log.read_text()[-1500:]}")


# ---------------------------------------------------------------- Postgres


@contextlib.contextmanager
def postgres(path: Path, settings: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    """A cluster on 127.0.0.1 in a folder: where its programs are, and its URL.

    Args:
        path: a folder that everybody may pass through.
        settings: of the server, beyond its defaults.
    """
    with _programs() as programs, _cluster(programs, path, settings) as (url, _):
        yield programs, url


@contextlib.contextmanager
def _postgres() -> Iterator[tuple[str, int, str]]:
    """A cluster of the bench's own on 127.0.0.1, its data in memory: its URL, pid and version."""
    with _programs() as programs, folder() as path:
        path.chmod(0o711)
        with _cluster(programs, path, {}) as (url, pid):
            version = subprocess.run([programs / "postgres", "--version"], capture_output=True, text=True, check=True)
            yield url, pid, version.stdout.split()[2]


@contextlib.contextmanager
def _cluster(programs: Path, path: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """A running cluster in a folder: its URL and pid."""
    data, port = path / "cluster", free_port()
    data.mkdir()
    if os.geteuid() == 0:
        shutil.chown(data, "nobody", "nogroup")
    how = ["-U", "bench", "--auth=trust", "-E", "UTF8", "--locale=C"]
    _done([*_as_nobody(), str(programs / "initdb"), "-D", str(data), *how], path, environment())
    chosen = {"listen_addresses": "127.0.0.1", "unix_socket_directories": "", **settings}
    options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
    command = [*_as_nobody(), str(programs / "postgres"), "-D", str(data), "-p", str(port), *options]
    log = path / "postgres.log"
    with _running(command, log, cwd=path, env=environment(), end=signal.SIGINT) as process:
        _await_postgres(process, log)
        yield f"postgres://bench@127.0.0.1:{port}/postgres", process.pid


def _as_nobody() -> list[str]:
    """Postgres refuses to run as root. When we are killed it ends too, in order: it leaves shared memory otherwise."""
    who = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *who, "--pdeathsig=INT"]


def _await_postgres(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while "ready to accept connections" not in log.read_text(errors="replace"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CannotRun(f"Postgres did not start: {log.read_text(errors='replace')[-1500:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def _programs() -> Iterator[Path]:
    """A folder with `initdb` and `postgres`: the machine's own, or unpacked from Debian's packages."""
    if found := _newest(Path("/usr/lib/postgresql")):
        yield found
        return
    packages = _downloaded()
    with tempfile.TemporaryDirectory(prefix="regulars-bench-") as name:  # memory is often mounted noexec
        root = Path(name)
        root.chmod(0o755)
        for package in packages:
            _done(["dpkg", "-x", str(package), str(root)], root, environment())
        programs = _newest(root / "usr" / "lib" / "postgresql")
        if programs is None:
            raise CannotRun("Debian's packages hold no Postgres")
        yield programs


def _newest(path: Path) -> Path | None:
    found = sorted(path.glob("*/bin/initdb"), key=lambda each: int(each.parts[-3]))
    return found[-1].parent if found else None


def _downloaded() -> list[Path]:
    """Debian's packages of Postgres and of what it needs that is not on this machine."""
    kept = _KEPT / "debian"
    (kept / "partial").mkdir(parents=True, exist_ok=True)
    if not list(kept.glob("postgresql-[0-9]*.deb")):
        if shutil.which("apt-get") is None:
            raise CannotRun("there is no Postgres, and no apt-get to have it from")
        print("  fetching postgresql from Debian", flush=True)
        options = ["-y", "--download-only", "--no-install-recommends", "-o", f"Dir::Cache::archives={kept}"]
        command = ["apt-get", "install", *options, "-o", "Debug::NoLocking=1", "postgresql"]
        try:
            _done(command, kept, environment())
        except CannotRun:
            _done(["apt-get", "update"], kept, environment())
            _done(command, kept, environment())
    return sorted(kept.glob("*.deb"))


# ---------------------------------------------------------------- programs


def _done(command: list[str], cwd: Path, env: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=900,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as trouble:
        raise CannotRun(f"{command[0]}: {trouble}") from None
    if done.returncode != 0:
        raise CannotRun(f"{' '.join(command[:3])} … ended with {done.returncode}: {done.stdout[-1500:]}")


@contextlib.contextmanager
def _running(
    command: list[str], log: Path, *, cwd: Path, env: Mapping[str, str], end: signal.Signals = signal.SIGKILL
) -> Iterator[subprocess.Popen[bytes]]:
    """A program in a group of its own, of which nothing is left afterwards.

    Args:
        end: what the program is asked with to end; after ten seconds the whole group is killed.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield process
    finally:
        process.send_signal(end)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
