"""Links of messages: one that ends messages of its kind, and one to a page of all that the member may be sent.

An opt-out link lets whoever has a message end messages of its kind, and does nothing else. It names the member's id,
the purpose, the channel and the day, is signed with a key of its own, and does not lapse: a mail of years ago must
still be good to end it (RFC 8058). A link to the preferences is signed with the same key over another text. Messages
can be ended by it for ever, too; allowed again only for a while (`GRANTS_FOR`): a message may come into other hands.
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

_PREFERENCES = "preferences"


class Signs(Protocol):
    """Whoever has the key of opt-out links: a keyring, or the part of one that sends notices."""

    def opt_out_mac(self, text: str) -> bytes:
        """What a link is signed with."""


@dataclass(frozen=True, slots=True)
class OptOut:
    """What a link ends.

    Attributes:
        issued_on: when the message was sent that has it.
    """

    member_id: MemberId
    purpose: str
    channel: ContactChannel
    issued_on: date


@dataclass(frozen=True, slots=True)
class Preferences:
    """Whose preferences a link leads to.

    Attributes:
        issued_on: when the message was sent that has it.
    """

    member_id: MemberId
    issued_on: date


def token_of(opt_out: OptOut, keyring: Signs) -> str:
    """The token of a link: what it ends, and the signature."""
    text = "\n".join((opt_out.member_id, opt_out.purpose, opt_out.channel.value, opt_out.issued_on.isoformat()))
    return f"{_spelt(text.encode())}.{_spelt(keyring.opt_out_mac(text))}"


def preferences_token_of(preferences: Preferences, keyring: Signs) -> str:
    """The token of a link to a member's preferences."""
    text = "\n".join((_PREFERENCES, preferences.member_id, preferences.issued_on.isoformat()))
    return f"{_spelt(text.encode())}.{_spelt(keyring.opt_out_mac(text))}"


def opt_out_of(token: str, keyring: Signs) -> OptOut | None:
    """What the link of a token ends; None when it is none of ours, whatever is wrong with it."""
    parts = _signed_text(token, keyring)
    if parts is None or len(parts) != _OPT_OUT_PARTS:
        return None
    member_id, purpose, channel, day = parts
    return OptOut(MemberId(member_id), purpose, ContactChannel(channel), date.fromisoformat(day))


def preferences_of(token: str, keyring: Signs) -> Preferences | None:
    """Whose preferences the link of a token leads to; None when it is none of ours."""
    parts = _signed_text(token, keyring)
    if parts is None or len(parts) != _PREFERENCES_PARTS or parts[0] != _PREFERENCES:
        return None
    return Preferences(MemberId(parts[1]), date.fromisoformat(parts[2]))


_OPT_OUT_PARTS, _PREFERENCES_PARTS = 4, 3


def _signed_text(token: str, keyring: Signs) -> list[str] | None:
    """The lines that a token signs; None when we did not."""
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
