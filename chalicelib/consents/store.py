"""How texts of consents are stored: `CT#<purpose>` / `<channel or all>#<version>`, listed by the timeline index."""

from collections.abc import Collection, Iterator

from chalicelib.consents.models import ConsentText, ContactChannel, TextName
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Write

_PAGE = 100


class TextKnown(Exception):
    """A text of that name was published before. Never leaves the service."""


def find_text(table: Table, name: TextName) -> ConsentText | None:
    """The text of a name, or None."""
    item = table.get(_key(name), consistent=True)
    return _text_from(item) if item else None


def find_texts(table: Table, names: Collection[TextName], *, surely: bool) -> dict[TextName, ConsentText]:
    """Those texts of names that there are. A text never changes, so only what is missing is looked for again.

    Args:
        surely: also one that was published just now.
    """
    wanted = {_key(name): name for name in names}
    found = table.get_many(list(wanted))
    missing = [key for key in wanted if key not in found] if surely else []
    if missing:
        found |= table.get_many(missing, consistent=True)
    return {wanted[key]: _text_from(item) for key, item in found.items()}


def list_texts(table: Table) -> Iterator[ConsentText]:
    """All texts, newest first, as far as the index knows of them."""
    after: str | None = None
    while True:
        rows = table.query_timeline(keys.CONSENT_TEXTS, after=after, limit=_PAGE)
        wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
        found = table.get_many(wanted)
        yield from (_text_from(found[key]) for key in wanted if key in found)
        after = rows.last
        if after is None:
            return


def add_text(text: ConsentText, by: str) -> Write:
    """The write of a new text.

    Args:
        by: who publishes it.
    """
    key = _key(text)
    item: Item = {
        "tl": keys.CONSENT_TEXTS,
        "at": keys.listed_moment(text.published_at, f"{key.pk} {key.sk}"),
        "purpose": text.purpose,
        "channel": text.channel,
        "text_version": text.text_version,
        "zh": text.zh,
        "en": text.en,
        "title_zh": text.title_zh,
        "title_en": text.title_en,
        "published": milliseconds(text.published_at),
        "by": by,
    }
    return Put(key, item, Absent(), lambda _: TextKnown())


def _key(name: TextName) -> Key:
    return keys.consent_text(name.purpose, name.channel, name.text_version)


def _text_from(item: Item) -> ConsentText:
    # Not validated: what was published is what was asked, whatever is allowed by now.
    return ConsentText.model_construct(
        purpose=item["purpose"],
        channel=ContactChannel(item["channel"]) if "channel" in item else None,
        text_version=item["text_version"],
        zh=item["zh"],
        en=item["en"],
        title_zh=item.get("title_zh"),
        title_en=item.get("title_en"),
        published_at=from_milliseconds(item["published"]),
    )
