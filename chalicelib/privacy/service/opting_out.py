"""Use case of opt-out links: whoever has the message may end messages of its kind, without signing in."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from html import escape

from chalicelib.consents import service as consent_texts
from chalicelib.deliveries.ports import Append
from chalicelib.deliveries.service.neighbours import appending
from chalicelib.deliveries.service.receiving import receive_opt_out
from chalicelib.kernel.errors import Trouble
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members.models import ConsentGiven, ConsentSource, SayConsents, Witness
from chalicelib.points.errors import MemberClosed, MemberUnknown
from chalicelib.privacy.errors import OptOutUnknown
from chalicelib.privacy.service.pages import CHANNELS, PURPOSES, page, turn
from chalicelib.programs.service import ProgramBook
from chalicelib.reach.links import OptOut, Preferences, opt_out_of, preferences_token_of
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

TEXT_VERSION = "opt-out-link"
_LINK = Witness(ConsentSource.LINK, "link", told=False)


@dataclass(frozen=True)
class Counting:
    """Counts who opts out by a link, by the message that it stood in: once, however often it is pressed.

    Attributes:
        append: to the lake's receipts.
    """

    table: Table
    ops: Table
    append: Append

    @classmethod
    def of(cls, table: Table, ops: Table, objects: Objects) -> "Counting":
        """One that tells the lake's files."""
        return cls(table, ops, appending(objects, "receipt"))

    def count(self, said: str, member_id: MemberId, now: datetime) -> None:
        """Count it. What was ended is ended, whether or not there is somebody to count it just now."""
        with suppress(Trouble):
            receive_opt_out(self.table, self.ops, self.append, said, member_id, now=now)


def find_opt_out(keyring: Keyring, token: str) -> OptOut:
    """What a link ends. It reads no table, so it tells nothing of the member, and costs nothing to try.

    Raises:
        OptOutUnknown: it is no link of ours.
    """
    found = opt_out_of(token, keyring)
    if found is None:
        raise OptOutUnknown
    return found


def opt_out(
    table: Table, keyring: Keyring, book: ProgramBook, token: str, counting: Counting, *, now: datetime
) -> OptOut:
    """End messages of a kind by the link of one of them; again changes nothing.

    Args:
        counting: counts who opts out by what they were sent.

    Raises:
        OptOutUnknown: it is no link of ours.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    asked = find_opt_out(keyring, token)
    said = ConsentGiven(purpose=asked.purpose, channel=asked.channel, granted=False, text_version=TEXT_VERSION)
    with suppress(MemberUnknown, MemberClosed):  # who is gone is sent nothing, and the link does not tell that they are
        command = SayConsents(consents=(said,))
        members.say_consents(table, keyring, book, asked.member_id, command, now=now, witness=_LINK)
        counting.count(asked.sent, asked.member_id, now)
    return asked


# ---------------------------------------------------------------- for people

_WORDS = {
    Language.ZH: (
        "退订",
        "您将不再通过{channel}收到「{purpose}」类消息。",
        "确认退订",
        "已退订。您不会再通过{channel}收到「{purpose}」类消息。",
        "管理其他消息",
    ),
    Language.EN: (
        "Opt out",
        "You will get no more {purpose} by {channel}.",
        "Opt out",
        "Done. You get no more {purpose} by {channel}.",
        "Choose what else you are sent",
    ),
}


def page_of(table: Table, keyring: Keyring, asked: OptOut, language: Language, program: str, *, done: bool) -> str:
    """A page that says what the link does, with a button that does it; or that it is done.

    Args:
        program: what the program is called that the messages are of.
    """
    title, lead, button, result, more = _WORDS[language]
    name = PURPOSES[language].get(asked.purpose) or consent_texts.find_title(table, asked.purpose, language)
    named = {"channel": CHANNELS[language][asked.channel.value], "purpose": escape(name or asked.purpose)}
    form = f'<form method="post"><button>{button}</button></form>'
    said = result.format(**named) if done else lead.format(**named)
    token = preferences_token_of(Preferences(asked.member_id, asked.issued_on, asked.sent), keyring)
    other = f'<p><a href="../preferences/{token}?language={language.value}">{more}</a></p>'
    # Turned over once it is done, it would ask anew whether it shall be done.
    inside = (
        f"<h1>{title}</h1><p>{said}</p>{other}"
        if done
        else f"{turn(language)}<h1>{title}</h1><p>{said}</p>{form}{other}"
    )
    return page(language, title, inside, program=program)
