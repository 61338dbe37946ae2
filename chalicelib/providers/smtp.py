"""E-mail by a mail server, over a connection that is kept.

What a mail server took is decided by its answer to the end of the message (RFC 5321, 4.2.5 and 6.1): before that it
has nothing, whatever becomes of the connection, so nothing went out. Only where that answer is missing nobody knows.
The same message twice is two mails, though both have the same Message-ID, which follows from the delivery's id.
"""

import smtplib
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.header import Header
from email.headerregistry import Address, BaseHeader, HeaderRegistry, UniqueUnstructuredHeader
from email.message import EmailMessage
from email.policy import SMTP, Policy
from email.utils import format_datetime
from typing import Any

from chalicelib.providers import calls
from chalicelib.providers.calls import Lost, NotSent, Turned
from chalicelib.providers.models import Outgoing, Result
from chalicelib.providers.port import Look, ProviderMisconfigured, everyone

_IDLE = 5.0
"""Seconds after which a server is asked whether it is still there before anything is said to it."""
_CLOSING = 421
"""The server ends the connection; whatever was asked was not done."""
_NOT_ALLOWED = {530, 534, 535, 538, 550, 553, 554}
"""Of MAIL FROM: not this sender, or not without a password."""


class _AsItIs(BaseHeader):
    """A header that is one line, however long. Python would break words that are longer than a line into encoded ones
    (RFC 2047), which is for words of people: in an address no reader of mail looks for them (RFC 2369, RFC 8058).
    """

    max_count = 1
    parse = staticmethod(UniqueUnstructuredHeader.parse)

    def fold(self, *, policy: Policy) -> str:
        """The header as it is written."""
        return f"{self.name}: {self}{policy.linesep}"


class _Words(BaseHeader):
    """A header that says what its text says, letter by letter: Python would take `=?…?=` in it for an encoded word, and
    write what that stands for."""

    max_count = 1

    @staticmethod
    def parse(value: str, kwds: dict[str, Any]) -> None:
        """Take the value as it is."""
        kwds["decoded"], kwds["parse_tree"] = value, None

    def fold(self, *, policy: Policy) -> str:
        """The header as it is written: in encoded words, where it is not plain."""
        plain = self.isascii() and "=?" not in self
        text = Header(str(self), "us-ascii" if plain else "utf-8", header_name=self.name)
        return f"{self.name}: {text.encode(linesep=policy.linesep)}{policy.linesep}"


_HEADERS = HeaderRegistry()
_HEADERS.map_to_type("Subject", _Words)
_HEADERS.map_to_type("List-Unsubscribe", _AsItIs)
_HEADERS.map_to_type("List-Unsubscribe-Post", _AsItIs)
_POLICY = SMTP.clone(header_factory=_HEADERS)


@dataclass
class Smtp:
    """See the module.

    Args:
        security: `tls`, `starttls` or `none`.
        sender: the address that it comes from.
        sender_name: shown beside it.
        context: what TLS is spoken with; None for the system's own trust.
    """

    host: str
    port: int
    security: str
    sender: str
    clock: Callable[[], datetime]
    user: str = ""
    password: str = field(default="", repr=False)
    sender_name: str = ""
    reply_to: str = ""
    price_micro: int = 0
    seconds: float = calls.SECONDS
    context: ssl.SSLContext | None = None
    name: str = "smtp"
    channel: str = "email"
    batch_max: int = 50
    idempotent: bool = False
    timer: Callable[[], float] = time.monotonic
    _kept: smtplib.SMTP | None = field(default=None, repr=False)
    _used_at: float = 0.0

    def cost_micro(self, outgoing: Outgoing) -> int:  # noqa: ARG002 - the port's shape
        """See `Provider.cost_micro`."""
        return self.price_micro

    def send(self, batch: Sequence[Outgoing], look: Look = everyone) -> tuple[Result, ...]:
        """See `Provider.send`.

        Raises:
            ProviderBusy, ProviderMisconfigured: see `Provider.send`.
        """
        return calls.in_calls(batch, calls.singly(batch), lambda group: self._call(group, look), self.cost_micro, look)

    def close(self) -> None:
        """End the connection."""
        if self._kept is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._kept.close()
            self._kept = None

    def _call(self, group: Sequence[Outgoing], look: Look) -> list[Result]:
        (each,) = group
        message_id, content = self._written(each)
        server = self._opened()
        try:
            self._offer(server, each.to)
            # To connect and to offer it may have taken a slow server long.
            if not look(group):
                raise NotSent(calls.WITHHELD, everything=False)
            self._deliver(server, content)
        except NotSent as fault:
            if fault.everything:
                self.close()
            else:
                self._reset(server)
            raise
        except Turned:
            self._reset(server)
            raise
        except (Lost, ProviderMisconfigured):
            self.close()
            raise
        return [Result(each.delivery_id, "sent", "", message_id, self.price_micro)]

    def _offer(self, server: smtplib.SMTP, to: str) -> None:
        """Say from whom and to whom a mail is."""
        code = self._said(lambda: server.mail(self.sender))
        if code in _NOT_ALLOWED:
            raise ProviderMisconfigured(f"MailFrom{code}")
        _require(code, "MailFrom", everything=True)
        _require(self._said(lambda: server.rcpt(to)), "RcptTo", everything=False)

    def _deliver(self, server: smtplib.SMTP, content: bytes) -> None:
        """Hand the mail itself over."""
        code = self._said(lambda: server.docmd("DATA"))
        if code != 354:
            _require(code, "Data", everything=False)
            raise Lost("AnswerUnclear")  # it took as said what was not
        try:
            # What does not reach it as a whole has no end, and a mail without an end is none.
            server.send(content)
        except (OSError, smtplib.SMTPException):
            raise NotSent("ConnectionLost") from None
        try:
            code, _ = server.getreply()
        except (OSError, smtplib.SMTPException, ValueError):
            raise Lost("NoAnswer") from None
        if not 200 <= code < 600:
            raise Lost("AnswerUnclear")
        _require(code, "Data", everything=False)

    @staticmethod
    def _said(ask: Callable[[], tuple[int, bytes]]) -> int:
        """The code of an answer to anything before the mail itself."""
        try:
            code, _ = ask()
        except (OSError, smtplib.SMTPException, ValueError, UnicodeError):
            raise NotSent("ConnectionLost") from None
        return code

    def _reset(self, server: smtplib.SMTP) -> None:
        """Make the connection ready for the next mail, or end it."""
        try:
            code, _ = server.rset()
        except (OSError, smtplib.SMTPException, ValueError):
            code = 0
        if code != 250:
            self.close()

    def _opened(self) -> smtplib.SMTP:
        """A connection that answers, signed in."""
        if self._kept is not None and self.timer() - self._used_at > _IDLE:
            with suppress(OSError, smtplib.SMTPException, ValueError):
                if self._kept.noop()[0] == 250:
                    self._used_at = self.timer()
            if self.timer() - self._used_at > _IDLE:
                self.close()
        if self._kept is not None:
            self._used_at = self.timer()
            return self._kept
        try:
            self._kept = self._connected()
        except smtplib.SMTPAuthenticationError as fault:
            if 400 <= fault.smtp_code < 500:
                raise NotSent(f"Auth{fault.smtp_code}") from None
            raise ProviderMisconfigured(f"Auth{fault.smtp_code}") from None
        except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError) as fault:
            raise ProviderMisconfigured(type(fault).__name__) from None
        except (OSError, smtplib.SMTPException, ValueError) as fault:
            raise NotSent(type(fault).__name__) from None
        self._used_at = self.timer()
        return self._kept

    def _connected(self) -> smtplib.SMTP:
        context = self.context or ssl.create_default_context()
        if self.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=self.seconds, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=self.seconds)
        try:
            server.ehlo_or_helo_if_needed()
            if self.security == "starttls":
                server.starttls(context=context)
                server.ehlo()
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _written(self, outgoing: Outgoing) -> tuple[str, bytes]:
        """The mail's id, and the mail as it goes over the wire, its end included.

        Raises:
            Turned: it has an address or a line that no mail can have.
        """
        message = EmailMessage(_POLICY)
        try:
            message["From"] = Address(self.sender_name, addr_spec=self.sender)
            message["To"] = Address(addr_spec=outgoing.to)
            message["Subject"] = outgoing.subject
            message["Date"] = format_datetime(self.clock())
            message_id = f"<{outgoing.delivery_id}@{self.sender.rpartition('@')[2]}>"
            message["Message-ID"] = message_id
            if self.reply_to:
                message["Reply-To"] = Address(addr_spec=self.reply_to)
            if outgoing.opt_out_url:
                outgoing.opt_out_url.encode("ascii")
                message["List-Unsubscribe"] = f"<{outgoing.opt_out_url}>"
                message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
            message["Auto-Submitted"] = "auto-generated"
            if outgoing.language:
                message["Content-Language"] = outgoing.language
            message.set_content(outgoing.text, cte="base64")
            if outgoing.html:
                message.add_alternative(outgoing.html, subtype="html", cte="base64")
            raw = message.as_bytes()
            outgoing.to.encode("ascii")
        except (ValueError, MessageError, IndexError, AttributeError):
            raise Turned("MessageMalformed") from None
        lines = raw.replace(b"\r\n.", b"\r\n..")
        return message_id, lines + (b"" if lines.endswith(b"\r\n") else b"\r\n") + b".\r\n"


def _require(code: int, what: str, *, everything: bool) -> None:
    """See that an answer takes what was said.

    Raises:
        NotSent, Turned: it does not.
    """
    if 200 <= code < 300:
        return
    if code == _CLOSING or not 200 <= code < 600:
        raise NotSent(f"{what}{code}")
    if 500 <= code < 600 and not everything:
        raise Turned(f"{what}{code}")
    raise NotSent(f"{what}{code}", everything=everything)
