"""Use case of opt-out links: whoever has the message may end messages of its kind, without signing in."""

from contextlib import suppress
from datetime import datetime
from html import escape

from chalicelib.consents.models import ContactChannel
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members.models import (
    ACCOUNT_PURPOSE,
    ConsentGiven,
    ConsentSource,
    SayConsents,
    Witness,
)
from chalicelib.points.errors import MemberClosed, MemberUnknown
from chalicelib.privacy.errors import OptOutUnknown
from chalicelib.programs.service import ProgramBook
from chalicelib.reach.links import OptOut, opt_out_of
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table

TEXT_VERSION = "opt-out-link"
_LINK = Witness(ConsentSource.LINK, "link", told=False)


def find_opt_out(keyring: Keyring, token: str) -> OptOut:
    """What a link ends. It reads no table, so it tells nothing of the member, and costs nothing to try.

    Raises:
        OptOutUnknown: it is no link of ours.
    """
    found = opt_out_of(token, keyring)
    if found is None:
        raise OptOutUnknown
    return found


def opt_out(table: Table, keyring: Keyring, book: ProgramBook, token: str, *, now: datetime) -> OptOut:
    """End messages of a kind by the link of one of them; again changes nothing.

    Raises:
        OptOutUnknown: it is no link of ours.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    asked = find_opt_out(keyring, token)
    said = ConsentGiven(purpose=asked.purpose, channel=asked.channel, granted=False, text_version=TEXT_VERSION)
    with suppress(MemberUnknown, MemberClosed):  # who is gone is sent nothing, and the link does not tell that they are
        command = SayConsents(consents=(said,))
        members.say_consents(table, keyring, book, asked.member_id, command, now=now, witness=_LINK)
    return asked


# ---------------------------------------------------------------- for people

_CHANNELS = {
    Language.ZH: {
        "sms": "短信", "email": "电子邮件", "wechat": "微信", "phone": "电话", "app": "应用通知", "post": "信件",
    },
    Language.EN: {
        "sms": "text messages", "email": "e-mail", "wechat": "WeChat", "phone": "calls", "app": "app messages",
        "post": "letters",
    },
}  # fmt: skip
_WORDS = {
    Language.ZH: (
        "退订",
        "您将不再通过{channel}收到「{purpose}」类消息。",
        "确认退订",
        "已退订。您不会再通过{channel}收到「{purpose}」类消息。",
    ),
    Language.EN: (
        "Opt out",
        "You will get no more {purpose} by {channel}.",
        "Opt out",
        "Done. You get no more {purpose} by {channel}.",
    ),
}
_STYLE = "body{font:18px/1.6 sans-serif;max-width:32em;margin:3em auto;padding:0 1em}button{font:inherit;padding:.4em}"
_PURPOSES = {Language.ZH: {ACCOUNT_PURPOSE: "会员账户通知"}, Language.EN: {ACCOUNT_PURPOSE: "notices of your account"}}


def page_of(asked: OptOut, language: Language, *, done: bool) -> str:
    """A page that says what the link does, with a button that does it; or that it is done."""
    title, lead, button, result = _WORDS[language]
    named = {
        "channel": _channel(asked.channel, language),
        "purpose": escape(_PURPOSES[language].get(asked.purpose, asked.purpose)),
    }
    form = f'<form method="post"><button>{button}</button></form>'
    said = result.format(**named) if done else lead.format(**named)
    return (
        f'<!doctype html>\n<html lang="{language.value}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}</style>\n<h1>{title}</h1><p>{said}</p>{'' if done else form}\n</html>\n"
    )


def _channel(channel: ContactChannel, language: Language) -> str:
    return _CHANNELS[language][channel.value]
