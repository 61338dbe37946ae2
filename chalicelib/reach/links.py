"""Links of messages: one that ends messages of its kind, and one to a page of all that the member may be sent.

An opt-out link lets whoever has a message end messages of its kind, and does nothing else. It names the member's id,
the purpose, the channel, the day and the message that it stands in, is signed with a key of its own, and does not
lapse: a mail of years ago must still be good to end it (RFC 8058). A link to the preferences is signed with the same
key over another text. Messages can be ended by it for ever, too; allowed again only for a while (`GRANTS_FOR`): a
message may come into other hands.

A token is the form, the day, the member's id packed, then lines of text, and 16 bytes of signature, all in one base64:
links stand in text messages, too. Those of before were two, of lines and of the signature, with a dot between them.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Protocol

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.ids import MemberId

PATH = "/v1/opt-outs/"
PREFERENCES_PATH = "/v1/preferences/"

GRANTS_FOR = timedelta(days=180)
"""So long after its message a link to the preferences allows what was ended, or never was allowed."""


class Signs(Protocol):
    """Whoever has the key of opt-out links: a keyring, or the part of one that sends notices."""

    def opt_out_mac(self, text: str) -> bytes:
        """What a link is signed with."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """What a link ends.

    Attributes:
        issued_on: when the message was sent that has it.
        sent: names that message, in the words of whoever sent it, without a line break; empty where nobody counts.
    """

    member_id: MemberId
    purpose: str
    channel: ContactChannel
    issued_on: date
    sent: str = ""


@dataclass(frozen=True, slots=True)
class Preferences:
    """Whose preferences a link leads to.

    Attributes:
        issued_on, sent: see `OptOut`.
    """

    member_id: MemberId
    issued_on: date
    sent: str = ""


def token_of(opt_out: OptOut, keyring: Signs) -> str:
    """The token of a link: what it ends, and the signature."""
    lines = (opt_out.channel.value, opt_out.purpose, opt_out.sent)
    return _signed(_OPT_OUT, opt_out.member_id, opt_out.issued_on, lines, keyring)


def preferences_token_of(preferences: Preferences, keyring: Signs) -> str:
    """The token of a link to a member's preferences."""
    return _signed(_PREFERENCES, preferences.member_id, preferences.issued_on, (preferences.sent,), keyring)


def in_language(language: str, program: str) -> str:
    """What stands behind a token so that the page is shown in the message's language.

    Nothing where that is the program's, which pages are shown in when nobody asks for another: links are long enough.
    """
    return f"?language={language}" if language != program else ""


def opt_out_of(token: str, keyring: Signs) -> OptOut | None:
    """What the link of a token ends; None when it is none of ours, whatever is wrong with it."""
    if "." in token:
        parts = _old_lines(token, keyring)
        if parts is None or len(parts) != _OLD_OPT_OUT_PARTS:
            return None
        member_id, purpose, channel, day = parts
        return OptOut(MemberId(member_id), purpose, ContactChannel(channel), date.fromisoformat(day))
    read = _read_signed(token, _OPT_OUT, keyring)
    if read is None:
        return None
    member, issued_on, (channel, purpose, sent) = read
    return OptOut(member, purpose, ContactChannel(channel), issued_on, sent)


def preferences_of(token: str, keyring: Signs) -> Preferences | None:
    """Whose preferences the link of a token leads to; None when it is none of ours."""
    if "." in token:
        parts = _old_lines(token, keyring)
        if parts is None or len(parts) != _OLD_PREFERENCES_PARTS or parts[0] != "preferences":
            return None
        return Preferences(MemberId(parts[1]), date.fromisoformat(parts[2]))
    read = _read_signed(token, _PREFERENCES, keyring)
    if read is None:
        return None
    member, issued_on, (sent,) = read
    return Preferences(member, issued_on, sent)


_OPT_OUT, _PREFERENCES = b"\1", b"\2"
"""What a token is for: its first byte."""
_FIRST_DAY = date(2000, 1, 1)
_HEAD, _MAC = 13, 16
"""Bytes: of form, day and member, and of the signature."""


def _signed(form: bytes, member_id: MemberId, day: date, lines: tuple[str, ...], keyring: Signs) -> str:
    member = base64.b32decode(member_id.removeprefix("mem_").upper())
    body = form + (day - _FIRST_DAY).days.to_bytes(2) + member + "\n".join(lines).encode()
    return _spelt(body + keyring.opt_out_mac(_text(body)))


def _text(body: bytes) -> str:
    """What is signed; it begins as no text of before does."""
    return "2 " + _spelt(body)


def _read_signed(token: str, form: bytes, keyring: Signs) -> tuple[MemberId, date, list[str]] | None:
    """Whose token it is, of which day, and its lines; None when we did not sign it as one of that form."""
    try:
        raw = _read(token)
    except (ValueError, binascii.Error):
        return None
    body, mac = raw[:-_MAC], raw[-_MAC:]
    # Compared before anything of it is looked at.
    if not hmac.compare_digest(keyring.opt_out_mac(_text(body)), mac) or _spelt(raw) != token or body[:1] != form:
        return None
    member = MemberId("mem_" + base64.b32encode(body[3:_HEAD]).decode().lower())
    return member, _FIRST_DAY + timedelta(days=int.from_bytes(body[1:3])), body[_HEAD:].decode().split("\n")


# ---------------------------------------------------------------- of before

_OLD_OPT_OUT_PARTS, _OLD_PREFERENCES_PARTS = 4, 3


def _old_lines(token: str, keyring: Signs) -> list[str] | None:
    """The lines that a token of before signs; None when we did not."""
    told, _, signed = token.partition(".")
    try:
        text, mac = _read(told).decode(), _read(signed)
    except (ValueError, binascii.Error):
        return None
    # Compared before anything of it is looked at.
    if not hmac.compare_digest(keyring.opt_out_mac(text), mac) or (_spelt(text.encode()), _spelt(mac)) != (
        told,
        signed,
    ):
        return None
    return text.split("\n")


def _spelt(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _read(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
