"""The supervisor behind `make run`: DynamoDB, tables, worker processes, the pump; all end together."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Never

from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.storage.signed import ServiceFault, Unreachable
from local.counts import COUNTS_SIZE
from local.crew import PUMP_LOG, Crew
from local.dynamo import Dynoxide, Ministack, database_for
from local.keys import ensure_keys, ensure_signing_key, ensure_vault_key
from local.mail import MAIL_LOG, MAILS, MailProcess
from local.oidc import issuer_of
from local.oidc.process import ISSUER_LOG, IssuerProcess
from local.processes import NotStarted, Pauses, how_it_ended, say, start, stop
from local.pump import stream
from local.runs import AlreadyRunning, Run, RunLock, find_run
from local.settings import NOWHERE, ROOT, STACK, Settings, app_environment
from local.tables import TEMPLATE, TableDiffers, create_tables

_TICK = 0.1
_UPKEEP_EVERY = 5 * 60.0
_WORKER_PATIENCE = 60.0
_PUMP_PATIENCE = 120.0
"""Seconds that the first start may take to get ministack from a registry."""
LOG_NAME = "requests.log"
"""What the app logs: a line for each request, and what went wrong in it."""
_LOG_MAX = 64 * 1024 * 1024
_GIVE_UP = 5
"""How often in a row a worker may end before it ever served."""


class CannotRun(Exception):
    """The run cannot start or go on; the message is for a person."""


class Stops:
    """Turns the first signal to stop into the exception that Python unwinds for, and swallows the others.

    A second Ctrl-C, or the hang-up that follows the end of `make`, must not cut the stopping short.
    """

    def __init__(self) -> None:
        self.asked = False

    def install(self) -> None:
        """Listen to Ctrl-C, SIGTERM and, unless started by `nohup`, SIGHUP."""
        for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if name != signal.SIGHUP or signal.getsignal(name) != signal.SIG_IGN:
                signal.signal(name, self._receive)

    def _receive(self, _number: int, _frame: FrameType | None) -> None:
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt


class Worker:
    """One process that serves the shared socket."""

    def __init__(self, number: int, listening: socket.socket, counts: int, env: dict[str, str], log: Path) -> None:
        self.number = number
        self._log = log
        self._shared = (listening.fileno(), counts)
        self._env = env
        self._ready_fd = -1
        self.pauses = Pauses()
        self.false_starts = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, gate: int) -> None:
        """Start it; it serves once the other end of `gate` is closed."""
        self._close_ready()
        self._ready_fd, ready = os.pipe()
        os.set_blocking(self._ready_fd, False)
        fds = (*self._shared, ready, gate)
        numbers = (os.getpid(), self.number - 1, *fds)
        command = [sys.executable, "-m", "local.worker", *map(str, numbers)]
        self.process = start(command, env=self._env, said=self._log, pass_fds=fds, cwd=ROOT)
        os.close(ready)
        self.pauses.restarted()

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self.process is not None and self.process.poll() is not None

    @property
    def serves(self) -> bool:
        """Whether it has said that it listens."""
        if self._ready_fd >= 0:
            try:
                if os.read(self._ready_fd, 1):
                    self._close_ready()
                    self.false_starts = 0
            except BlockingIOError:
                return False
        return self._ready_fd < 0

    def stop(self) -> None:
        """End it after its current request."""
        if self.process is not None:
            stop(self.process)
        self._close_ready()

    def _close_ready(self) -> None:
        if self._ready_fd >= 0:
            os.close(self._ready_fd)
            self._ready_fd = -1


class Supervisor:
    """Everything one run has started."""

    def __init__(self, chosen: Settings, listening: socket.socket) -> None:
        self._chosen = chosen
        self._database = database_for(chosen)
        self._database_pauses = Pauses()
        self._crew = Crew(chosen) if chosen.pump.on else None
        self.mail = MailProcess(chosen.data_dir)
        self.issuer = None if chosen.issuers else IssuerProcess(chosen)
        self._seed_mark = chosen.data_dir / "seed.pending"
        self._log = chosen.data_dir / LOG_NAME
        self._logs = (self._log, chosen.data_dir / PUMP_LOG, chosen.data_dir / ISSUER_LOG, chosen.data_dir / MAIL_LOG)
        self._env: dict[str, str] = {}
        self._workers: list[Worker] = []
        self._listening = listening
        self._counts = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the run; see worker.Counts
        self._counts.truncate(COUNTS_SIZE)
        self._upkeep_due = 0.0

    @property
    def endpoint(self) -> str:
        """Where DynamoDB answers."""
        return self._database.endpoint if self._database else self._chosen.dynamodb_endpoint or ""

    @property
    def messaging(self) -> str:
        """Where SQS and EventBridge answer, or will; nowhere without a pump."""
        return self._crew.messaging.endpoint if self._crew else NOWHERE

    @property
    def functions(self) -> str:
        """Where functions that are asked answer, or will; nowhere without a pump."""
        return self._crew.functions if self._crew else ""

    def start(self) -> None:
        """Bring everything up; the workers load the app while the tables are made.

        Raises:
            CannotRun: a part did not come up.
        """
        if self._database:
            if self._chosen.seed and not self._database.has_data:
                self._seed_mark.touch()
            try:
                self._database.start()
            except NotStarted as problem:
                where = self._chosen.data_dir
                raise CannotRun(f"DynamoDB did not start: {problem}. Its log is in {where}.") from None
        self._database_pauses.restarted()
        if self._crew:
            self._crew.begin()
        self.mail.begin()
        self._env = app_environment(self._chosen, self.endpoint, self.messaging) | self.mail.env
        if self._crew:
            self._env |= {"REGULARS_FUNCTIONS_ENDPOINT": self.functions}
        if self.issuer:
            self.issuer.begin()
            self._env |= self.issuer.env
        gate, opener = os.pipe()
        try:
            for number in range(1, self._chosen.workers + 1):
                self._workers.append(Worker(number, self._listening, self._counts.fileno(), self._env, self._log))
                self._workers[-1].start(gate)
            self._make_tables()
        finally:
            os.close(opener)
            os.close(gate)
        self._await_workers()

    def _make_tables(self) -> None:
        if not TEMPLATE.exists():
            print(f"There is no {TEMPLATE.relative_to(ROOT)} yet, so no tables were made.", file=sys.stderr)
            return
        try:
            create_tables(self.endpoint, template=TEMPLATE, env=self._env)
        except (TableDiffers, ValueError, ClientError, BotoCoreError) as problem:
            raise CannotRun(f"The tables could not be made. {problem}") from None

    def _await_workers(self) -> None:
        deadline = time.monotonic() + _WORKER_PATIENCE
        while not all(worker.serves for worker in self._workers):
            for worker in self._workers:
                if worker.ended and worker.process:
                    how = how_it_ended(worker.process)
                    raise CannotRun(f"The app did not start ({how}); the reason is above.")
            if time.monotonic() > deadline:
                raise CannotRun(f"The app did not start within {_WORKER_PATIENCE:.0f} s.")
            time.sleep(0.01)

    def tick(self) -> None:
        """Restart what has ended, and do the upkeep that is due.

        Raises:
            CannotRun: a worker keeps ending before it serves.
        """
        if self._database:
            self._watch_database(self._database)
        for worker in self._workers:
            self._watch_worker(worker)
        if self._crew:
            try:
                self._crew.step()
            except ValueError as problem:
                raise CannotRun(f"The queues could not be made. {problem}") from None
        if self.issuer:
            self.issuer.step()
        self.mail.step()
        if self._database and time.monotonic() >= self._upkeep_due:
            self._tidy(self._database)

    def _watch_database(self, database: Dynoxide | Ministack) -> None:
        if database.alive:
            return
        if self._database_pauses.due is None:
            assert database.process is not None
            say(f"DynamoDB ended ({how_it_ended(database.process)}); starting it again with its data.")
            self._database_pauses.ended()
        if time.monotonic() >= (self._database_pauses.due or 0):
            try:
                database.start()
                self._database_pauses.restarted()
            except NotStarted as problem:
                say(f"DynamoDB did not start: {problem}.")
                self._database_pauses.ended()

    def _watch_worker(self, worker: Worker) -> None:
        if not worker.ended:
            _ = worker.serves  # clears its false starts
            return
        if worker.pauses.due is None:
            assert worker.process is not None
            worker.false_starts += not worker.serves
            if worker.false_starts >= _GIVE_UP:
                raise CannotRun(f"Worker {worker.number} ended {_GIVE_UP} times before it served; giving up.")
            say(f"Worker {worker.number} ended ({how_it_ended(worker.process)}); starting another.")
            worker.pauses.ended()
        if time.monotonic() >= (worker.pauses.due or 0):
            open_gate, opener = os.pipe()
            os.close(opener)
            worker.start(open_gate)
            os.close(open_gate)

    def _tidy(self, database: Dynoxide | Ministack) -> None:
        """Do one small piece of upkeep; while there is more to do, one piece a tick."""
        for log in self._logs:
            if log.exists() and log.stat().st_size > _LOG_MAX:
                os.truncate(log, 0)  # the workers append, so they go on at its new end
        try:
            more = database.upkeep()
        except sqlite3.Error as problem:
            say(f"The stream table could not be trimmed ({problem}); trying again later.")
            more = 0
        self._upkeep_due = time.monotonic() + (0 if more else _UPKEEP_EVERY)

    def seed(self) -> bool:
        """Fill a new data folder with demo data, in a process of its own; whether there was anything to fill.

        The mark stays until the seed is through, so one that was interrupted is taken up by the next run. A
        DynamoDB that the caller brought is never seeded.
        """
        if not self._seed_mark.exists() or not self._chosen.seed:
            return False
        seeding = start([sys.executable, "-m", "local", "seed"], env=self._env, cwd=ROOT)
        try:
            while seeding.poll() is None:
                self.tick()
                time.sleep(_TICK)
        finally:
            stop(seeding)
        if seeding.returncode != 0:
            how = how_it_ended(seeding)
            raise CannotRun(f"The demo data could not be made ({how}); SEED=none starts without.")
        with contextlib.suppress(stream.NoStream, Unreachable, ServiceFault):
            position = stream.Position(self._chosen.data_dir / stream.POSITION)
            stream.skip_to_the_end(self.endpoint, f"{STACK}-core", position)
        self._seed_mark.unlink()
        return True

    def pump(self) -> None:
        """Have stream, queues and schedules reach their functions from now on; the API serves already."""
        if self._crew is None:
            return
        deadline = time.monotonic() + _PUMP_PATIENCE
        while not self._crew.settled and time.monotonic() < deadline:
            self.tick()
            time.sleep(0.02)
        self._crew.start(self._env, self.endpoint)
        self.tick()

    def stop(self) -> None:
        """End everything: first those who write, then the database."""
        for worker in self._workers:
            if worker.process and worker.process.poll() is None:
                worker.process.terminate()
        if self.issuer:
            self.issuer.stop()
        if self._crew:
            self._crew.stop()
        for worker in self._workers:
            worker.stop()
        self.mail.stop()
        if self._database:
            self._database.stop()


def run(chosen: Settings) -> int:
    """Serve until told to stop (Ctrl-C, SIGTERM, SIGHUP), and give the exit code."""
    stops = Stops()
    stops.install()
    lock = RunLock(chosen.data_dir)
    try:
        _run(chosen, lock, stops)
    except KeyboardInterrupt:
        return 0
    except AlreadyRunning:
        other = find_run(chosen.data_dir)
        who = f" at {other.url} (pid {other.pid})" if other else ""
        say(f"Already running from {chosen.data_dir}{who}.")
        say("`make stop` ends it; another PORT= with another DATA_DIR= runs beside it.")
    except CannotRun as problem:
        say(str(problem))
    return 1


def _run(chosen: Settings, lock: RunLock, stops: Stops) -> Never:
    """Take the folder, then the port, then start; nothing is started before both are ours."""
    lock.take()
    supervisor: Supervisor | None = None
    try:
        with _listen(chosen.port) as listening:
            lock.describe(Run(os.getpid(), chosen.url, ""))
            ensure_keys(chosen.keys_file)
            ensure_signing_key(chosen.signing_key_file)
            ensure_signing_key(chosen.session_key_file)
            ensure_vault_key(chosen.vault_key_file)
            supervisor = Supervisor(chosen, listening)
            supervisor.start()
            messaging = supervisor.messaging if chosen.pump.on else ""
            lock.describe(Run(os.getpid(), chosen.url, supervisor.endpoint, messaging, supervisor.functions))
            seeded = supervisor.seed()
            supervisor.pump()
            if supervisor.issuer:
                supervisor.issuer.wait()
            _greet(chosen, supervisor.endpoint, supervisor.issuer)
            if seeded and chosen.pump.on:
                say("Segments, campaigns and journeys know all of the demo's members in about a minute.")
            while not stops.asked:  # an exception that is raised while Python tidies up is lost
                supervisor.tick()
                time.sleep(_TICK)
            raise KeyboardInterrupt
    finally:
        stops.asked = True
        if supervisor is not None:
            supervisor.stop()
            say("Stopped.")
        lock.release()


def _listen(port: int) -> contextlib.closing[socket.socket]:
    """A socket that listens on a port of 127.0.0.1; what comes in waits until the workers are ready.

    Raises:
        CannotRun: the port is taken.
    """
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
        bound.listen(1024)  # not later: two that are only bound do not see each other
    except OSError as problem:
        bound.close()
        other = port + 1 if port < 65535 else 8000
        why = f"Port {port} cannot be used ({problem.strerror}); choose another: make run PORT={other}"
        raise CannotRun(why) from None
    return contextlib.closing(bound)


def _greet(chosen: Settings, endpoint: str, issuer: IssuerProcess | None) -> None:
    """Say where everything is."""
    staff = ""
    if issuer and issuer.there:
        accounts = [f"    {each['login']:<13}{each['password']}   {each['name']}\n" for each in issuer.kept["staff"]]
        staff = (
            f"  issuer         {issuer_of(issuer.kept)} (whom staff sign in with)\n"
            f"  staff          {chosen.url}/sign-in with one of these accounts and passwords, made for this folder:\n"
        )
        staff += "".join(accounts)
    pump = f"{chosen.data_dir / PUMP_LOG} (jobs, events, notices)" if chosen.pump.on else "none, so no jobs or events"
    folder = "" if chosen.data_dir == (ROOT / ".data") else f" DATA_DIR={chosen.data_dir}"
    print(
        f"Regulars runs at {chosen.url}\n"
        f"  documentation  {chosen.url}/docs\n"
        f"  DynamoDB       {endpoint}\n"
        f"  data           {chosen.data_dir}\n"
        f"  requests       {chosen.data_dir / LOG_NAME}\n"
        f"  pump           {pump}\n"
        f"  outbox         {chosen.data_dir / 'archive' / 'outbox'} (notices, and codes for members to sign in)\n"
        f"  mails          {chosen.data_dir / MAILS} (every e-mail, as a file to open)\n"
        f"  token          make token ROLE=admin{folder}\n{staff}"
        "Ctrl-C stops it.",
        flush=True,
    )
