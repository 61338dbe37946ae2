"""The pump of a run, as its supervisor sees it: ministack, and a process for each function."""

import os
import subprocess
import sys
from collections.abc import Mapping

from local.messaging import Messaging
from local.processes import NotStarted, Pauses, held_port, how_it_ended, say, start, stop
from local.pump.functions import ABSENT, ANSWERING, REBASE, START_JOB, Fed, fed_functions
from local.settings import ROOT, Settings

PUMP_LOG = "pump.log"
"""What the functions print, and what went wrong in them."""
_HOPELESS = 3
"""How often in a row ministack may fail before the start of the run goes on without it; it is still tried again."""

_WAITING = 128
"""So many may wait for functions that are asked, while these start."""


class _Process:
    """One function's process."""

    def __init__(self, function: Fed) -> None:
        self.function = function
        self.pauses = Pauses()
        self.process: subprocess.Popen[bytes] | None = None
        self.absent = False

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.process is not None and self.process.poll() is None


class Crew:
    """ministack and the pump's processes: begun early, put to work when the data are there, watched, ended."""

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen
        self._log = chosen.data_dir / PUMP_LOG
        self.messaging = Messaging(chosen.data_dir / "messaging", visibility=chosen.pump.visibility)
        self._held = held_port()
        self.functions = f"http://127.0.0.1:{self._held.getsockname()[1]}"
        """Where functions that are asked will answer."""
        self._pauses = Pauses()
        self._failures = 0
        self._given_up = False
        self._work: tuple[Mapping[str, str], str] | None = None
        self._processes = [
            _Process(each) for each in fed_functions() if chosen.pump.jobs or each.name not in (START_JOB, REBASE)
        ]

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: it is ready, or has failed too often to hold up a start."""
        return self.messaging.ready or self._given_up or self._failures >= _HOPELESS

    def begin(self) -> None:
        """Bring ministack up beside everything else."""
        self.messaging.begin()

    def start(self, env: Mapping[str, str], dynamodb: str) -> None:
        """Start the functions once ministack is ready.

        Args:
            env: the app's environment.
        """
        self._work = (env, dynamodb)
        self._held.listen(_WAITING)  # who asks a function that is not up yet waits for it, and is not refused

    def step(self) -> None:
        """Do what is due: go on with bringing up ministack, start again what has ended.

        Raises:
            ValueError: the template holds something that is not known here.
        """
        if self._given_up:
            return
        if self._pauses.due is None:
            self._watch_messaging()
        elif self._pauses.is_due:
            self._pauses.restarted()
            self.messaging.begin()
        if self._work is not None and self.messaging.ready:
            for process in self._processes:
                self._watch(process, *self._work)

    def _watch_messaging(self) -> None:
        was_ready = self.messaging.ready
        try:
            self.messaging.step()
        except NotStarted as problem:
            self._failures += 1
            if self.messaging.process is None:
                self._given_up = True
                say(f"Queues and events: {problem}. The API runs without them; schedules and events wait.")
                return
            say(f"Queues and events: {problem}; starting them again with what they held.")
            self._pauses.ended()
            return
        if self.messaging.ready and not was_ready:
            self._failures = 0
            self._start_jobs_anew()

    def _start_jobs_anew(self) -> None:
        """End the schedules' process, whose next one starts every job: work that was only in a queue may be lost."""
        for each in self._processes:
            if each.function.name == START_JOB and each.process is not None and each.runs:
                stop(each.process)
                each.process = None

    def _watch(self, each: _Process, env: Mapping[str, str], dynamodb: str) -> None:
        if each.runs or each.absent:
            return
        if each.process is not None and each.pauses.due is None:
            self._note_end(each, each.process)
        if not each.absent and (each.pauses.due is None or each.pauses.is_due):
            name = each.function.name
            held = self._held.fileno()
            command = [sys.executable, "-m", "local.pump", str(os.getpid()), name, dynamodb, self.messaging.endpoint]
            if name == ANSWERING:
                each.process = start([*command, str(held)], env=env, log=self._log, cwd=ROOT, pass_fds=[held])
            else:
                each.process = start(command, env=env, log=self._log, cwd=ROOT)
            each.pauses.restarted()

    def _note_end(self, each: _Process, process: subprocess.Popen[bytes]) -> None:
        name = each.function.name
        if process.returncode == ABSENT:
            each.absent = True
            handler = self._chosen.pump.handlers.get(name, each.function.handler)
            say(f"Nothing reaches {handler} (the reason is in {PUMP_LOG}).")
            return
        each.pauses.ended()
        if process.returncode != 0:
            say(f"Function {name} ended ({how_it_ended(process)}); starting it again.")

    def stop(self) -> None:
        """End the functions, then ministack, which saves what it holds."""
        running = [each.process for each in self._processes if each.process is not None and each.runs]
        for process in running:
            process.terminate()
        for process in running:
            stop(process)
        self.messaging.stop()
        self._held.close()
