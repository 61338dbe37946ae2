"""Use case of preferences: a page behind a link, on which members say what they want to be sent, and by what.

It needs no sign-in and runs no script: every switch is a form of its own, and what is pressed holds when the page comes
back. What is allowed there names the text that stands beside the switch, as every consent does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from chalicelib.consents import service as consent_texts
from chalicelib.consents.models import ConsentText, ContactChannel
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.members import service as members
from chalicelib.members.models import (
    ACCOUNT_PURPOSE,
    ID_NUMBER_PURPOSE,
    MARKETING_PURPOSE,
    ConsentGiven,
    ConsentSource,
    Profile,
    Witness,
)
from chalicelib.members.rules import is_of_messages, may_contact
from chalicelib.points.errors import MemberClosed, MemberErased, MemberUnknown
from chalicelib.points.models import AccountStatus
from chalicelib.privacy.errors import ConsentNotOffered, OptOutUnknown
from chalicelib.privacy.models import PreferenceAsked, PreferencesShown
from chalicelib.privacy.service.opting_out import Counting
from chalicelib.privacy.service.pages import CHANNELS, PURPOSES, page, turn
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.reach.links import GRANTS_FOR, Preferences, preferences_of
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table

TEXT_VERSION = "preferences"
_LINK = Witness(ConsentSource.LINK, "link", told=False)


@dataclass(frozen=True, slots=True)
class Topic:
    """Something that members are written about.

    Attributes:
        text: what they are asked, where it is asked at all.
        switches: by channel, whether it is sent now; and whether it can be switched on here.
    """

    purpose: str
    name: str
    text: str
    switches: tuple[tuple[ContactChannel, bool, bool], ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows.

    Attributes:
        channels: those by which the member has an address; none for who is no member any more.
        may_grant: whether the link is new enough to allow anything.
    """

    language: Language
    channels: tuple[ContactChannel, ...] = ()
    topics: tuple[Topic, ...] = ()
    may_grant: bool = True


def find_preferences(
    table: Table, keyring: Keyring, book: ProgramBook, token: str, language: Language, *, now: datetime
) -> Shown:
    """What a member is sent by what, as of now.

    Raises:
        OptOutUnknown: it is no link of ours.
    """
    asked = _of(token, keyring)
    profile = _profile(table, keyring, asked.member_id)
    if profile is None:
        return Shown(language)
    texts = [each for each in consent_texts.list_texts(table, None) if each.in_force]
    open_ = _may_grant(asked, book, now)
    topics = tuple(_topic(purpose, profile, texts, language, may_grant=open_) for purpose in _purposes(profile, texts))
    return Shown(language, profile.ways, topics, may_grant=open_)


def change_preferences(
    table: Table, keyring: Keyring, book: ProgramBook, token: str, asked: PreferenceAsked, counting: Counting, *,
    now: datetime,
) -> None:  # fmt: skip
    """Do what a member pressed: end, or allow, what is sent of a topic by a channel; or end all of it.

    Args:
        counting: counts who ends something by what they were sent.

    Raises:
        OptOutUnknown: it is no link of ours.
        ConsentNotOffered: what is to be allowed is not offered here, or the link is too old to allow anything.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    link = _of(token, keyring)
    profile = _profile(table, keyring, link.member_id)
    if profile is None:
        return  # who is gone is sent nothing, and the page does not tell that they are
    if asked.granted:
        said: tuple[ConsentGiven, ...] = (_grant(table, asked, allowed=_may_grant(link, book, now)),)
    elif asked.purpose is not None:
        said = (_withdrawal(asked.purpose, ContactChannel(asked.channel) if asked.channel else None),)
    else:
        spoken = {each.purpose for each in profile.consents} - {ACCOUNT_PURPOSE, ID_NUMBER_PURPOSE, MARKETING_PURPOSE}
        said = tuple(_withdrawal(purpose, None) for purpose in (MARKETING_PURPOSE, *sorted(spoken)))
    try:
        members.say_all_consents(table, keyring, book, profile.member_id, said, now=now, witness=_LINK)
    except (MemberUnknown, MemberErased, MemberClosed):
        return
    if not asked.granted:
        counting.count(link.sent, link.member_id, now)


def _of(token: str, keyring: Keyring) -> Preferences:
    found = preferences_of(token, keyring)
    if found is None:
        raise OptOutUnknown
    return found


def _may_grant(link: Preferences, book: ProgramBook, now: datetime) -> bool:
    return today_of(book.current(now), now) <= link.issued_on + GRANTS_FOR


def _profile(table: Table, keyring: Keyring, member_id: MemberId) -> Profile | None:
    try:
        profile, status = members.find_profile(table, keyring, member_id)
    except (MemberUnknown, MemberErased):
        return None
    return None if status is AccountStatus.CLOSED else profile


def _grant(table: Table, asked: PreferenceAsked, *, allowed: bool) -> ConsentGiven:
    if asked.purpose is None or asked.channel is None or not is_of_messages(asked.purpose) or not allowed:
        raise ConsentNotOffered
    channel = ContactChannel(asked.channel)
    text = consent_texts.find_in_force(table, asked.purpose, channel)
    if text is None:
        raise ConsentNotOffered
    return ConsentGiven(purpose=asked.purpose, channel=channel, granted=True, text_version=text.text_version)


def _withdrawal(purpose: str, channel: ContactChannel | None) -> ConsentGiven:
    return ConsentGiven(purpose=purpose, channel=channel, granted=False, text_version=TEXT_VERSION)


def _purposes(profile: Profile, texts: Sequence[ConsentText]) -> list[str]:
    """What the page is about: marketing, its topics, and the account last. Who agreed to something else, to terms or
    to an identity number's being kept, is not written to by that, and takes it back elsewhere.
    """
    known = {*(each.purpose for each in texts), *(each.purpose for each in profile.consents)}
    rest = sorted(filter(is_of_messages, known - {MARKETING_PURPOSE, ACCOUNT_PURPOSE}))
    return [MARKETING_PURPOSE, *rest, ACCOUNT_PURPOSE]


def _topic(
    purpose: str, profile: Profile, texts: Sequence[ConsentText], language: Language, *, may_grant: bool
) -> Topic:
    own = [each for each in texts if each.purpose == purpose]
    switches = tuple(
        (
            channel,
            may_contact(profile, purpose, channel),
            may_grant and any(each.channel in (None, channel) for each in own),
        )
        for channel in profile.ways
    )
    return Topic(
        purpose=purpose,
        name=consent_texts.title_of(own, language, PURPOSES[language].get(purpose)) or purpose,
        text=own[0].words(language) if own else "",
        switches=switches,
    )


# ---------------------------------------------------------------- for people

_WORDS = {
    Language.ZH: {
        "title": "消息偏好", "lead": "选择您愿意收到哪些消息、通过哪些渠道。点击后立即生效。",
        "saved": "已保存，立即生效。", "saved_one": "已保存。{name}（{channel}）：{state}。",
        "saved_all": "已退订全部优惠与活动消息。",
        "old": "这个链接有些旧了，只能停止接收。要重新接收，请点开较新消息里的链接、登录会员账户，或在门店办理。",
        "on": "正在接收", "off": "未接收", "end": "不再接收", "begin": "开始接收", "all": "退订全部优惠与活动消息",
        "nothing": "我们不会向您发送任何消息。", "about": "{name}：{channel}",
    },
    Language.EN: {
        "title": "Your preferences", "lead": "Choose what you want to hear about, and how. Each press counts at once.",
        "saved": "Saved. It counts from now on.", "saved_one": "Saved. {name} ({channel}): {state}.",
        "saved_all": "Stopped: you are sent no offers and news any more.",
        "old": "This link is rather old, so messages can only be stopped here. To be sent them again, open the link of "
               "a newer message, sign in, or ask in a shop.",
        "on": "on", "off": "off", "end": "Stop", "begin": "Allow",
        "all": "Stop all offers and news", "nothing": "We send you nothing.", "about": "{name}, {channel}",
    },
}  # fmt: skip


def page_of(shown: Shown, program: str, pressed: PreferencesShown | None) -> str:
    """The page: a card for each topic, and a switch for each channel in it.

    Args:
        program: what the program is called that the messages are of.
        pressed: what was pressed before, if anything was.
    """
    words, language = _WORDS[shown.language], shown.language
    if not shown.topics:
        nothing = f"{turn(language)}<h1>{words['title']}</h1><p>{words['nothing']}</p>"
        return page(language, words["title"], nothing, program=program)
    told = f'<p class="saved" role="status">{_saved(shown, pressed)}</p>' if pressed else ""
    old = "" if shown.may_grant else f'<p class="text">{words["old"]}</p>'
    cards = "".join(_card(topic, language) for topic in shown.topics)
    every = (
        f'<form method="post" action="?language={language.value}"><button class="all">{words["all"]}</button></form>'
    )
    head = f"<h1>{words['title']}</h1><p>{words['lead']}</p>"
    return page(language, words["title"], turn(language) + head + old + told + cards + every, program=program)


def _saved(shown: Shown, pressed: PreferencesShown) -> str:
    """What came of what was pressed, as it is now: the page may be looked at again later."""
    words = _WORDS[shown.language]
    for topic in shown.topics:
        for channel, on, _ in topic.switches:
            if (topic.purpose, channel.value) == (pressed.purpose, pressed.channel):
                name, state = CHANNELS[shown.language][channel.value], words["on" if on else "off"]
                return escape(
                    words["saved_one"].format(name=topic.name[:1].upper() + topic.name[1:], channel=name, state=state)
                )
    offers = [on for topic in shown.topics if topic.purpose != ACCOUNT_PURPOSE for _, on, _ in topic.switches]
    return words["saved_all"] if pressed.purpose is None and not any(offers) else words["saved"]


def _card(topic: Topic, language: Language) -> str:
    rows = "".join(_switch(topic, *each, language) for each in topic.switches)
    text = f'<p class="text">{escape(topic.text)}</p>' if topic.text else ""
    return f"<section><h2>{escape(topic.name)}</h2>{text}<ul>{rows}</ul></section>"


def _switch(topic: Topic, channel: ContactChannel, on: bool, may_grant: bool, language: Language) -> str:
    words, name = _WORDS[language], CHANNELS[language][channel.value]
    state = f'<span class="{"on" if on else "off"}">{words["on" if on else "off"]}</span>'
    button = ""
    if on or may_grant:
        what = (
            f"?purpose={escape(topic.purpose)}&amp;channel={channel.value}"
            f"&amp;granted={'false' if on else 'true'}&amp;language={language.value}"
        )
        about = escape(words["about"].format(name=topic.name, channel=name))
        verb = words["end" if on else "begin"]
        button = f'<form method="post" action="{what}"><button aria-label="{verb}: {about}">{verb}</button></form>'
    return f'<li><span class="channel">{name}</span>{state}{button}</li>'
