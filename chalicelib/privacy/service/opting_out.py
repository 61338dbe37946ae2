"""Use case of opt-out links: whoever has the message may end messages of its kind, without signing in."""

from collections.abc import Callable
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
from chalicelib.members.rules import may_contact
from chalicelib.points.errors import MemberClosed, MemberErased, MemberUnknown
from chalicelib.points.models import AccountStatus
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
    def of(cls, table: Table, ops: Table, objects: Objects, ask: Callable[[], None]) -> "Counting":
        """One that tells the lake's files, and asks for a patch that has what it told."""
        return cls(table, ops, appending(objects, "receipt", ask))

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


def is_ended(table: Table, keyring: Keyring, asked: OptOut) -> bool:
    """Whether a member is sent nothing of what a link ends; so it is for who is no member any more."""
    try:
        profile, status = members.find_profile(table, keyring, asked.member_id)
    except (MemberUnknown, MemberErased):
        return True
    return status is AccountStatus.CLOSED or not may_contact(profile, asked.purpose, asked.channel)


# ---------------------------------------------------------------- for people

_WORDS = {
    Language.ZH: {
        "question": "要停止通过{channel}接收「{purpose}」吗？",
        "lead": "点击下面的按钮后立即停止。如果您已经停止过，则保持停止。",
        "button": "停止接收",
        "done": "已停止",
        "result": "您不会再通过{channel}收到「{purpose}」类消息。",
        "more": "管理其他消息",
    },
    Language.EN: {
        "question": "Stop {purpose} by {channel}?",
        "lead": "They stop as soon as you press the button. If you stopped them before, they stay stopped.",
        "button": "Stop",
        "done": "Stopped",
        "result": "You get no more {purpose} by {channel}.",
        "more": "Choose what else you are sent",
    },
}  # fmt: skip


def page_of(table: Table, keyring: Keyring, asked: OptOut, language: Language, program: str, *, done: bool) -> str:
    """A page that asks whether to do what the link does, with a button that does it; or says that it is done.

    No table is read for the question but the topic's name, so it cannot say whether it was done before.

    Args:
        program: what the program is called that the messages are of.
    """
    words = _WORDS[language]
    name = PURPOSES[language].get(asked.purpose) or consent_texts.find_title(table, asked.purpose, language)
    named = {"channel": CHANNELS[language][asked.channel.value], "purpose": escape(name or asked.purpose)}
    token = preferences_token_of(Preferences(asked.member_id, asked.issued_on, asked.sent), keyring)
    other = f'<p><a href="../preferences/{token}?language={language.value}">{words["more"]}</a></p>'
    if done:
        title, result = words["done"], words["result"].format(**named)
        inside = f'{turn(language, "&amp;done=true")}<h1>{title}</h1><p role="status">{result}</p>{other}'
    else:
        title, lead = words["question"].format(**named), words["lead"]
        action = f"?pressed=true&amp;language={language.value}"
        form = f'<form method="post" action="{action}"><button class="do">{words["button"]}</button></form>'
        inside = f"{turn(language)}<h1>{title}</h1><p>{lead}</p>{form}{other}"
    return page(language, title, inside, program=program)
