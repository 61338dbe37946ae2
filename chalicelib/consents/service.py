"""Use cases of texts of consents: publish, list, and see that a consent names one that there is."""

from collections.abc import Collection, Iterable
from datetime import datetime

from chalicelib.consents import store
from chalicelib.consents.errors import ConsentTextDiffers, ConsentTextUnknown
from chalicelib.consents.models import (
    ConsentText,
    ConsentTextView,
    ConsentWords,
    ContactChannel,
    PublishConsentText,
    TextName,
)
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.storage.table import Table


def publish_text(table: Table, command: PublishConsentText, *, by: str, now: datetime) -> Outcome[ConsentText]:
    """Publish a text, once for ever under its version; the same again is answered with what was published.

    Args:
        by: who publishes it.

    Raises:
        ConsentTextDiffers: the version was published before with other words.
    """
    text = ConsentText(**dict(command), published_at=from_milliseconds(milliseconds(now)))
    try:
        table.commit([store.add_text(text, by)])
    except store.TextKnown:
        known = store.find_text(table, _name(command))
        if known is None or _said(known) != _said(command):
            raise ConsentTextDiffers(**_facts(command)) from None
        return Outcome(known, replayed=True)
    return Outcome(text)


def list_texts(table: Table, purpose: str | None) -> tuple[ConsentTextView, ...]:
    """All texts of a purpose, or of all purposes, newest first."""
    found: list[ConsentTextView] = []
    for text in store.list_texts(table):
        if purpose in (None, text.purpose):
            newer = any((each.purpose, each.channel) == (text.purpose, text.channel) for each in found)
            found.append(ConsentTextView.model_construct(**dict(text), in_force=not newer))
    return tuple(found)


def require_known(table: Table, names: Collection[TextName]) -> None:
    """See that texts were published, for the channel or for all.

    Raises:
        ConsentTextUnknown: one was not.
    """
    found = find_texts(table, names, surely=True)
    for name in names:
        if name not in found:
            raise ConsentTextUnknown(**_facts(name))


def find_texts(table: Table, names: Collection[TextName], *, surely: bool = False) -> dict[TextName, ConsentText]:
    """The text that each name stands for: that of the channel, or else the one for all. What is unknown is left out.

    Args:
        surely: also one that was published just now.
    """
    if not names:
        return {}
    texts = store.find_texts(table, {each for name in names for each in name.known_as}, surely=surely)
    found = ((name, next((texts[each] for each in name.known_as if each in texts), None)) for name in names)
    return {name: text for name, text in found if text is not None}


def find_in_force(table: Table, purpose: str, channel: ContactChannel) -> ConsentText | None:
    """The text to ask by for a purpose and a channel: the newest of the channel's own, else the newest for all."""
    newest: ConsentText | None = None
    for text in store.list_texts(table):
        if text.purpose == purpose and text.channel is channel:
            return text
        if text.purpose == purpose and text.channel is None and newest is None:
            newest = text
    return newest


def find_title(table: Table, purpose: str, language: Language) -> str | None:
    """What members call a purpose, by the newest of its texts that says so."""
    return title_of((each for each in store.list_texts(table) if each.purpose == purpose), language)


def title_of(texts: Iterable[ConsentText], language: Language, standing: str | None = None) -> str | None:
    """What members call a purpose, by the first of its texts that says so in a language; else in the other one.

    Args:
        standing: its name in the language where no text has one.
    """
    known = list(texts)
    other = Language.EN if language is Language.ZH else Language.ZH
    own, others = ([name for each in known if (name := each.title(said))] for said in (language, other))
    return next(iter([*own, *([standing] if standing else []), *others]), None)


def _said(text: ConsentWords) -> tuple[str | None, ...]:
    return text.zh, text.en, text.title_zh, text.title_en


def _name(command: TextName) -> TextName:
    return TextName(purpose=command.purpose, channel=command.channel, text_version=command.text_version)


def _facts(name: TextName) -> dict[str, str]:
    channel = name.channel.value if name.channel else None
    return {"purpose": name.purpose, "channel": channel, "text_version": name.text_version}  # type: ignore[dict-item]
