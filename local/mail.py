"""The mail server of a laptop: every mail that the app sends is kept as a file that any mail program opens.

`<data folder>/mails/<day>/<time> <subject> <id>.eml`, and beside it `….html` or `….txt`, which is what the reader sees.
It takes mail from this machine only, and hands it on to nobody.
"""

import asyncio
import contextlib
import email
import json
import os
import re
import signal
import subprocess
import sys
from datetime import datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP

from local.processes import Pauses, held_port, how_it_ended, say, start, stop
from local.settings import ROOT, environment

MAIL_LOG = "mail.log"
MAILS = "mails"
SENDER = "shop@regulars.invalid"
_SIZE_MAX = 10 * 1024 * 1024
_UNFIT = re.compile(r"[^\w一-鿿. -]+")


class MailProcess:
    """The mail server, as the supervisor of a run sees it. Without it the app runs, and mail waits."""

    def __init__(self, data_dir: Path) -> None:
        self.folder = data_dir / MAILS
        self._log = data_dir / MAIL_LOG
        self._held = held_port()
        self.port: int = self._held.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._pauses = Pauses()

    @property
    def env(self) -> dict[str, str]:
        """What tells the app of it: mail goes there, and what has no server on a laptop goes to the outbox."""
        if environment().get("REGULARS_PROVIDERS"):
            return {}
        limits = {"rate_per_second": 1000}
        outbox = {"by": "outbox", "limits": limits}
        mail = {"by": "smtp", "host": "127.0.0.1", "port": self.port, "security": "none", "sender": SENDER}
        said = {
            "email": {**mail, "limits": limits, "price_micro": 1_000},
            "sms": {**outbox, "price_micro": 45_000},
            **dict.fromkeys(("wechat", "wecom", "app", "webhook"), outbox),
        }
        return {"REGULARS_PROVIDERS": json.dumps(said)}

    def begin(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "local.mail", str(self.port), str(self.folder)]
        self._process = start(command, log=self._log, cwd=ROOT)
        self._pauses.restarted()

    def step(self) -> None:
        """Start it again when it has ended."""
        if self._process is None or self._process.poll() is None:
            return
        if self._pauses.due is None:
            say(
                f"The mail server ended ({how_it_ended(self._process)}); the reason is in {MAIL_LOG}. Starting it again"
            )
            self._pauses.ended()
        if self._pauses.is_due:
            self.begin()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            stop(self._process)
        self._held.close()


class Postman:
    """Keeps what the mail server takes.

    Args:
        folder: where.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Keep a mail, whole or not at all."""
        content: bytes = envelope.original_content
        try:
            keep(self._folder, content, datetime.now().astimezone())
        except OSError as fault:
            print(f"A mail could not be kept: {fault}", file=sys.stderr, flush=True)
            return "451 4.3.0 It could not be kept. Try again later."
        return "250 2.0.0 Kept"


def keep(folder: Path, content: bytes, now: datetime) -> Path:
    """Keep a mail, and what its reader sees; where the mail is."""
    message = email.message_from_bytes(content, policy=default)
    assert isinstance(message, EmailMessage)
    place = folder / f"{now:%Y-%m-%d}"
    place.mkdir(parents=True, exist_ok=True)
    own = str(message["Message-ID"] or "").strip("<>").partition("@")[0]
    name = _UNFIT.sub("_", f"{now:%H%M%S.%f} {str(message['Subject'] or '')[:40]} {own[-24:]}").strip()
    path = place / f"{name}.eml"
    shown = message.get_body(("html", "plain"))
    if shown is not None:
        kind = "html" if shown.get_content_subtype() == "html" else "txt"
        with contextlib.suppress(LookupError, UnicodeError):
            # The mark tells browsers what mail says in its head: that the text is UTF-8.
            _write(path.with_name(f"{name}.{kind}"), shown.get_content().encode("utf-8-sig"))
    _write(path, content)
    return path


def _write(path: Path, content: bytes) -> None:
    half = path.with_name(f".{path.name}.half")
    half.write_bytes(content)
    half.replace(path)


async def serve(port: int, folder: Path) -> None:
    """Take mail until told to stop."""
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopped.set)

    def speak() -> SMTP:
        return SMTP(Postman(folder), hostname="127.0.0.1", data_size_limit=_SIZE_MAX, enable_SMTPUTF8=True)

    server = await loop.create_server(speak, "127.0.0.1", port, reuse_address=True)
    async with server:
        await stopped.wait()


def main(arguments: list[str]) -> int:
    """`python -m local.mail PORT FOLDER`."""
    port, folder = int(arguments[0]), Path(arguments[1])
    os.umask(0o077)
    asyncio.run(serve(port, folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
