"""The issuer's process, as the supervisor of a run sees it."""

import os
import subprocess
import time
from collections.abc import Mapping

from local.oidc import Kept, command, ensure_issuer, environment, issuer_of
from local.processes import Pauses, answers, how_it_ended, say, start, stop
from local.settings import ROOT, Settings

ISSUER_LOG = "issuer.log"
_PATIENCE = 10.0


class IssuerProcess:
    """The issuer of the demo's staff: begun early, watched, ended. Without it the API runs, and only they are out."""

    def __init__(self, chosen: Settings) -> None:
        self._chosen = chosen
        self.kept: Kept = ensure_issuer(chosen.issuer_file, chosen.port)
        self._command = command(chosen.issuer_file, chosen.url)
        self._process: subprocess.Popen[bytes] | None = None
        self._pauses = Pauses()

    @property
    def there(self) -> bool:
        """Whether it can be started on this machine."""
        return self._command is not None

    @property
    def env(self) -> Mapping[str, str]:
        """What tells the app of it."""
        return environment(self.kept) if self.there else {}

    def begin(self) -> None:
        """Start it."""
        if self._command is None:
            say("Staff sign-in: there is no Node, or `make setup` has not run; the API runs without.")
            return
        env = {"PATH": os.defpath, "NODE_ENV": "production"}
        self._process = start(self._command, env=env, log=self._chosen.data_dir / ISSUER_LOG, cwd=ROOT)
        self._pauses.restarted()

    def step(self) -> None:
        """Start it again when it has ended."""
        if self._process is None or self._process.poll() is None:
            return
        if self._pauses.due is None:
            where = f"{issuer_of(self.kept)}; the reason is in {ISSUER_LOG}"
            say(f"Staff sign-in ended ({how_it_ended(self._process)}) at {where}. Starting it again.")
            self._pauses.ended()
        if self._pauses.is_due:
            self.begin()

    def wait(self) -> None:
        """Wait until it answers, or has ended."""
        deadline = time.monotonic() + _PATIENCE
        while self._process is not None and self._process.poll() is None and time.monotonic() < deadline:
            if answers(self.kept["port"]):
                return
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            stop(self._process)
