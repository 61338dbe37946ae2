"""The mail server of a laptop: what is sent to it is there to be read."""

import subprocess
import sys
import time
from codecs import BOM_UTF8
from pathlib import Path

from chalicelib.providers.smtp import Smtp
from local.mail import MailProcess, keep
from local.processes import NotStarted
from tests.providers.makers import NOW, a_mail, now


def test_a_mail_that_is_sent_is_a_file_to_open(tmp_path: Path) -> None:
    server = MailProcess(tmp_path)
    server.begin()
    try:
        _await(server.port)
        provider = Smtp("127.0.0.1", server.port, "none", "shop@regulars.invalid", now)
        results = provider.send([a_mail(1), a_mail(2, subject="../../etc/passwd\t<x>", html="", text="纯文本")])
        provider.close()
    finally:
        server.stop()
    assert [each.status for each in results] == ["sent", "sent"]
    mails = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.eml"))
    assert len(mails) == 2
    assert all(path.parts[0] == "mails" and len(path.parts) == 3 for path in mails)
    (page,) = tmp_path.rglob("*.html")
    assert page.read_bytes().startswith(BOM_UTF8), "a browser that opens the file takes it for UTF-8"
    assert page.read_text("utf-8-sig").strip() == a_mail().html
    (text,) = tmp_path.rglob("*.txt")
    assert text.read_text("utf-8-sig").strip() == "纯文本"


def test_a_mail_that_is_none_is_kept_all_the_same(tmp_path: Path) -> None:
    path = keep(tmp_path, b"\xff\x00no mail\r\n", NOW)
    assert path.read_bytes() == b"\xff\x00no mail\r\n"


def _await(port: int) -> None:
    deadline = time.monotonic() + 15
    probe = f"import socket; socket.create_connection(('127.0.0.1', {port}), 1)"
    while subprocess.run([sys.executable, "-S", "-c", probe], capture_output=True, check=False).returncode:
        if time.monotonic() > deadline:
            raise NotStarted("the mail server")
        time.sleep(0.05)
