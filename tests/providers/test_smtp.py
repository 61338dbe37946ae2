"""E-mail by a mail server: a real one (aiosmtpd), and one that says whatever a test likes at every step."""

import email
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId
from chalicelib.providers.port import ProviderBusy, ProviderMisconfigured
from chalicelib.providers.smtp import Smtp
from chalicelib.reach.links import PATH, OptOut, token_of
from chalicelib.storage.keyring import Keyring
from tests.fakes import ClearContacts
from tests.providers.fake import closed_port
from tests.providers.makers import SECONDS, a_mail, now


def a_server(port: int, **given: Any) -> Smtp:
    return Smtp("127.0.0.1", port, "none", "shop@example.com", now, seconds=SECONDS, price_micro=5, **given)


# ---------------------------------------------------------------- a real one


class Box:
    """Keeps what a mail server took."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.sessions: set[int] = set()

    async def handle_RCPT(self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any) -> str:
        """Take everybody but those who are not there, or not yet."""
        if address.startswith("nobody"):
            return "550 5.1.1 no such user"
        if address.startswith("later"):
            return "451 4.7.1 greylisted"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:
        """Keep a mail."""
        self.sessions.add(id(session))
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        return "250 OK"


@contextmanager
def mail_server(**given: Any) -> Iterator[tuple[Box, int]]:
    box, port = Box(), closed_port()
    controller = Controller(box, hostname="127.0.0.1", port=port, **given)
    controller.start()
    try:
        yield box, port
    finally:
        controller.stop()


def read(raw: bytes) -> EmailMessage:
    message = email.message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_arrives_with_both_parts_its_own_id_and_a_way_out() -> None:
    with mail_server() as (box, port):
        provider = a_server(port, sender_name="一家店", reply_to="ask@example.com")
        (result,) = provider.send([a_mail(3)])
        provider.close()
    ((sender, to, raw),) = box.taken
    message = read(raw)
    assert (sender, to) == ("shop@example.com", ["m3@example.com"])
    assert (message["Subject"], message["From"]) == ("生日快乐", "一家店 <shop@example.com>")
    assert message["Message-ID"] == f"<{a_mail(3).delivery_id}@example.com>" == result.provider_ref
    assert message["List-Unsubscribe"] == "<https://shop.example/v1/opt-outs/abc>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Reply-To"] == "ask@example.com"
    assert message["Date"] == "Mon, 02 Mar 2026 04:00:00 +0000"
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == a_mail().text.splitlines()
    assert html.get_content().strip() == a_mail().html
    assert (result.status, result.cost_micro) == ("sent", 5)


def test_the_way_out_is_on_the_wire_as_it_is_however_long() -> None:
    said = f"crn_{'a' * 16}once01.email"
    ends = OptOut(MemberId("mem_" + "a" * 16), "marketing_weekend_brunch", ContactChannel.EMAIL, now().date(), said)
    token = token_of(ends, Keyring(b"i" * 32, b"c" * 32, ClearContacts()))
    url = f"https://membership.a-coffee-shop.example{PATH}{token}"
    assert len(url) > 150
    with mail_server() as (box, port):
        provider = a_server(port)
        provider.send([a_mail(3, opt_out_url=url)])
        provider.close()
    head = box.taken[0][2].partition(b"\r\n\r\n")[0].split(b"\r\n")
    assert f"List-Unsubscribe: <{url}>".encode() in head
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head
    assert max(map(len, head)) <= 998


def test_a_connection_is_kept_for_the_batch_and_for_the_next() -> None:
    with mail_server() as (box, port):
        provider = a_server(port)
        provider.send([a_mail(n) for n in range(20)])
        provider.send([a_mail(21)])
        provider.close()
    assert len(box.taken) == 21
    assert len(box.sessions) == 1


def test_a_connection_that_the_server_ended_in_the_meantime_is_made_anew() -> None:
    times = [0.0]
    with mail_server() as (box, port):
        provider = a_server(port, timer=lambda: times[0])
        provider.send([a_mail(1)])
        assert provider._kept is not None
        assert provider._kept.sock is not None
        provider._kept.sock.shutdown(socket.SHUT_RDWR)
        times[0] = 60.0
        (result,) = provider.send([a_mail(2)])
        provider.close()
    assert result.status == "sent"
    assert len(box.taken) == 2


def test_those_who_are_not_there_are_refused_those_who_are_greylisted_wait_and_the_others_get_it() -> None:
    with mail_server() as (box, port):
        provider = a_server(port)
        batch = [a_mail(0), a_mail(1, to="nobody@example.com"), a_mail(2, to="later@example.com"), a_mail(3)]
        results = provider.send(batch)
        provider.close()
    assert [(each.status, each.code) for each in results] == [
        ("sent", ""),
        ("refused", "RcptTo550"),
        ("not_sent", "RcptTo451"),
        ("sent", ""),
    ]
    assert [to for _, to, _ in box.taken] == [["m0@example.com"], ["m3@example.com"]]


@pytest.mark.parametrize(
    "given",
    [
        {"to": "a@example.com\r\nRCPT TO:<b@example.com>"},
        {"to": "no address"},
        {"to": "a@b@c"},
        {"to": "王@example.com"},
        {"subject": "Hi\r\nBcc: b@example.com"},
        {"opt_out_url": "https://x/\r\nBcc: b@example.com"},
    ],
)
def test_a_mail_that_would_say_more_than_it_should_is_refused(given: dict[str, Any]) -> None:
    with mail_server() as (box, port):
        provider = a_server(port)
        (result,) = provider.send([a_mail(**given)])
        provider.close()
    assert (result.status, result.code) == ("refused", "MessageMalformed")
    assert box.taken == []


_ENCODED_LINK = "=?utf-8?B?V2luIGF0IGV2aWwuZXhhbXBsZQ==?="


@pytest.mark.parametrize(
    "subject",
    [
        "Hello",
        "Hello  Anna ",
        "亲爱的王小明，" * 12,
        "🎂 for Zoë " + "x" * 90,
        "words " * 40,
        "x" * 190,
        f"Hello {_ENCODED_LINK}",
        f"你好 {_ENCODED_LINK}",
        "=?utf-8?Q?Win_at_evil=2Eexample?=",
        "=?utf-8?B?SGkNCkJjYzogYkBleGFtcGxlLmNvbQ==?=",
        "2 + 2 =? 4",
    ],
)
def test_a_subject_says_letter_by_letter_what_it_was_given(subject: str) -> None:
    with mail_server() as (box, port):
        provider = a_server(port)
        provider.send([a_mail(1, subject=subject)])
        provider.close()
    mail, raw = read(box.taken[0][2]), box.taken[0][2]
    assert mail["Subject"].strip() == subject.strip()
    assert mail.keys().count("Subject") == 1 and mail["Bcc"] is None
    head = raw.partition(b"\r\n\r\n")[0]
    assert all(len(line) <= 998 and line.isascii() for line in head.split(b"\r\n"))


def test_lines_that_begin_with_a_full_stop_do_not_end_a_mail() -> None:
    with mail_server() as (box, port):
        provider = a_server(port)
        provider.send([a_mail(1, text=".\r\n.\r\nMAIL FROM:<x@y>\r\n", html="")])
        provider.close()
    assert read(box.taken[0][2]).get_content().splitlines() == [".", ".", "MAIL FROM:<x@y>"]


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
def test_a_wrong_password_is_for_somebody_to_mend() -> None:
    def never(*_: Any) -> AuthResult:
        return AuthResult(success=False, handled=False)

    with mail_server(authenticator=never, auth_required=True, auth_require_tls=False) as (box, port):
        provider = a_server(port, user="u", password="p")
        with pytest.raises(ProviderMisconfigured) as wrong:
            provider.send([a_mail()])
    assert wrong.value.code == "Auth535"
    assert box.taken == []


def test_encryption_that_the_server_has_not_is_not_done_without() -> None:
    with mail_server() as (box, port):
        provider = Smtp("127.0.0.1", port, "starttls", "shop@example.com", now, seconds=SECONDS)
        with pytest.raises(ProviderMisconfigured):
            provider.send([a_mail()])
    assert box.taken == []


def test_nobody_at_the_port_is_certain() -> None:
    with pytest.raises(ProviderBusy):
        a_server(closed_port()).send([a_mail()])


# ---------------------------------------------------------------- one that says what it likes

STEPS = ("connect", "EHLO", "MAIL", "RCPT", "DATA", "END")


@dataclass
class Script:
    """A mail server that is well but for one step.

    Attributes:
        step: of `STEPS`.
        says: what it answers there; `silent`, `gone`, `reset` for what it does instead.
    """

    step: str
    says: str
    ends: int = 0
    port: int = 0
    _listening: socket.socket = field(init=False)

    def __enter__(self) -> "Script":
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        usual = {
            "connect": "220 hi",
            "EHLO": "250 hi",
            "MAIL": "250 ok",
            "RCPT": "250 ok",
            "DATA": "354 go",
            "END": "250 ok",
        }
        with connection, connection.makefile("rb") as said:
            if not self._say(connection, "connect", usual["connect"]):
                return
            while line := said.readline():
                verb = line.decode().strip().split(" ")[0].upper()
                if verb in ("RSET", "NOOP"):
                    connection.sendall(b"250 ok\r\n")
                    continue
                if not self._say(connection, verb, usual.get(verb, "500 what")):
                    return
                if verb == "DATA" and (self.step != "DATA" or self.says.startswith("354")):
                    while said.readline() not in (b".\r\n", b""):
                        pass
                    self.ends += 1
                    if not self._say(connection, "END", usual["END"]):
                        return

    def _say(self, connection: socket.socket, step: str, usual: str) -> bool:
        says = self.says if step == self.step else usual
        if says == "silent":
            threading.Event().wait(2)
            return False
        if says == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if says in ("gone", "reset"):
            return False
        connection.sendall(says.encode() + b"\r\n")
        return True


@pytest.mark.parametrize("says", ["silent", "gone", "reset", "421 closing", "noise"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_whatever_happens_before_the_mail_itself_nothing_went_out(step: str, says: str) -> None:
    with Script(step, says) as server, pytest.raises(ProviderBusy):
        a_server(server.port).send([a_mail(1), a_mail(2)])
    assert server.ends == 0


@pytest.mark.parametrize("says", ["silent", "gone", "reset", "noise"])
def test_only_when_the_answer_to_the_whole_mail_is_missing_nobody_knows(says: str) -> None:
    with Script("END", says) as server:
        results = a_server(server.port).send([a_mail(1), a_mail(2)])
    assert [each.status for each in results] == ["unknown", "not_sent"]
    assert results[0].cost_micro == 5
    assert server.ends == 1


@pytest.mark.parametrize(
    ("step", "says", "found"),
    [
        ("END", "554 5.7.1 spam", ["refused", "refused"]),
        ("END", "452 4.3.1 full", ["not_sent", "not_sent"]),
        ("DATA", "554 no", ["refused", "refused"]),
        ("DATA", "451 later", ["not_sent", "not_sent"]),
        ("RCPT", "550 nobody", ["refused", "refused"]),
    ],
)
def test_what_an_answer_says_of_a_mail(step: str, says: str, found: list[str]) -> None:
    with Script(step, says) as server:
        results = a_server(server.port).send([a_mail(1), a_mail(2)])
    assert [each.status for each in results] == found


def test_a_server_that_closes_after_the_mail_did_not_take_it() -> None:
    with Script("END", "421 shutting down") as server, pytest.raises(ProviderBusy):
        a_server(server.port).send([a_mail(1), a_mail(2)])


@pytest.mark.parametrize("says", ["550 not this sender", "530 sign in first"])
def test_a_sender_that_may_not_is_for_somebody_to_mend(says: str) -> None:
    with Script("MAIL", says) as server, pytest.raises(ProviderMisconfigured):
        a_server(server.port).send([a_mail(1)])


def test_a_server_that_is_too_busy_for_the_sender_took_nothing() -> None:
    with Script("MAIL", "452 too busy") as server, pytest.raises(ProviderBusy):
        a_server(server.port).send([a_mail(1)])
