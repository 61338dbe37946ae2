"""The grammar of templates: literal text, and `{{field}}`. There is nothing else in it, and nothing is evaluated.

A text is read once, when its template is saved, into literals and holes. What is put into a hole is never read again,
so no value can bring a field, a tag or an address along; it is escaped for the place in which it stands.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from html import escape
from json import dumps
from urllib.parse import quote

from chalicelib.kernel.languages import Language
from chalicelib.templates.fields import FIELDS, Sort

HOLES_MAX = 100
"""Fields of one text; with `VALUE_MAX` it bounds what a short template can grow to."""

VALUE_MAX = 200
"""Characters of a value that are shown; an address of ours is never cut."""

LINK_MAX = 2000


class Place(Enum):
    """Where a value stands, which says how it is escaped."""

    LINE = "line"
    """Plain text, in one line."""
    SMS = "sms"
    """A text message: 【】 is how a sender signs, so no value has it."""
    HTML = "html"
    """Between tags."""
    ATTRIBUTE = "attribute"
    """In the quoted value of an attribute."""
    QUERY = "query"
    """In an address, behind its host."""
    DIGITS = "digits"
    """A number there, without the commas that people read it by."""
    JSON = "json"
    """In a text of a JSON document."""


@dataclass(frozen=True, slots=True)
class Hole:
    """Where a value is put in."""

    field: str
    place: Place


Pieces = tuple[str | Hole, ...]
"""Literals, escaped already, and holes."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong, and at which character."""

    detail: str
    offset: int


_HOLE = re.compile(r"\{\{[ ]{0,4}([A-Za-z_][A-Za-z0-9_]{0,40})[ ]{0,4}\}\}(?!\})")
_OTHERS = re.compile(r"\{\{|\}\}|\{%|%\}|\$\{|<%|%>|\{#")
"""What other languages of templates begin and end with: nobody means it as text, and here it would do nothing."""

# Emoji are joined by U+200D and U+FE0F, and some languages need U+200C: those stay.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u2800\u3164\ufdd0-\ufdef\ufeff\uffa0\ufff0-\uffff\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
_BREAKS = re.compile(r"[ \t\n]+")
_LINK_RUN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[!-;=?-~]*$")
_HOST_DONE = re.compile(r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?[/?#]")
_ADDRESS = re.compile(
    r"://|www\.|/|@|\bh(?:tt|xx)ps?\s*:|"
    r"\.(?:com|cn|net|org|io|top|xyz|cc|me|co|info|link|shop|vip|site|online|club|app|ru|hk|tw)\b|"
    # Readers of messages make links of any name and ending. J.Smith and St.Clair are people.
    r"[\w-]{3,}\.(?:[a-z]{2,}|xn--[a-z0-9-]+)\b|\.(?:中国|中國|公司|网络|網絡|网址|在线|商城|集团|网店|商店|我爱你|中文网|手机)",
    re.IGNORECASE,
)
_DOTS = re.compile(r"\s*[\[({<【]\s*(?:[.。]|dot|点)\s*[\])}>】]\s*|[。｡]", re.IGNORECASE)
"""What is read as the dot of a host: `evil[.]com`, `evil。com`."""


def is_address(text: str) -> bool:
    """Whether a text holds what readers of messages make a link of, or what people read as one."""
    return _ADDRESS.search(_DOTS.sub(".", unicodedata.normalize("NFKC", text))) is not None


def unseen(text: str, start: int = 0) -> Flaw | None:
    """The first character that nobody sees, or that turns the direction of what follows."""
    found = _UNSEEN.search(text)
    if found is None:
        return None
    return Flaw(f"it holds a character that nobody sees, U+{ord(found[0]):04X}", start + found.start())


def pieces_of(text: str, place: Place, *, start: int = 0) -> tuple[Pieces, list[Flaw]]:
    """Text as literals and holes, and what is wrong with it. Literals are as they were written.

    Args:
        start: which character of the whole the text begins at, for flaws.
    """
    pieces: list[str | Hole] = []
    flaws: list[Flaw] = []
    position = 0
    holes = 0
    while (found := _OTHERS.search(text, position)) is not None:
        hole = _HOLE.match(text, found.start())
        if hole is None:
            flaws.append(Flaw(_said(text, found.start()), start + found.start()))
            _add(pieces, text[position : found.end()])
            position = found.end()
            continue
        _add(pieces, text[position : hole.start()])
        flaw = _unknown(hole[1])
        if flaw:
            flaws.append(Flaw(flaw, start + hole.start()))
        else:
            pieces.append(Hole(hole[1], place))
        holes += 1
        position = hole.end()
    _add(pieces, text[position:])
    if holes > HOLES_MAX:
        flaws.append(Flaw(f"it has more than {HOLES_MAX} fields", start))
    hidden = unseen(text, start)
    return tuple(pieces), [*flaws, *([hidden] if hidden else [])]


def text_of(text: str, place: Place, *, lines: bool = False) -> tuple[Pieces, list[Flaw]]:
    """Plain text as pieces. A field in an address that it holds is escaped for that.

    Args:
        lines: whether it may have several.
    """
    if lines:
        text = text.replace("\r\n", "\n")
    pieces, flaws = pieces_of(text, place)
    broken = re.search(r"[\r\n\t]" if not lines else r"\r", text)
    if broken is not None:
        flaws.append(Flaw("it is one line: it holds a line break or a tab", broken.start()))
    if flaws:
        return pieces, flaws
    placed: list[str | Hole] = []
    written = ""
    position = 0
    for index, each in enumerate(pieces):
        if isinstance(each, str):
            placed.append(each)
            written += each
            position += len(each)
            continue
        position = text.find("{{", position)
        after = pieces[index + 1] if index + 1 < len(pieces) else ""
        run = _LINK_RUN.search(written[-LINK_MAX:])
        if isinstance(after, str) and re.match(r"[ ]*:[ ]*//", after):
            flaws.append(Flaw("a field cannot say what kind of address follows", position))
        if run is not None:
            flaw = query_flaw(each.field, run[0])
            if flaw:
                flaws.append(Flaw(flaw, position))
            placed.append(_in_address(each))
            written += "x"
        else:
            placed.append(each)
            written += " "
        position += 4
    return tuple(placed), flaws


def query_flaw(field: str, before: str) -> str:
    """What is wrong with a field in an address, given what stands before it; empty: nothing."""
    if not _HOST_DONE.match(before):
        return "a field can stand in an address only behind https://, the host and a slash"
    if FIELDS[field].contact:
        return f"{field} is personal, and addresses are logged by everybody on the way"
    if FIELDS[field].sort is Sort.LINK:
        return f"{field} is an address itself: put it in alone"
    return ""


def link_of(value: str, *, start: int = 0) -> tuple[Pieces, list[Flaw]]:
    """An address as pieces: one of ours as a whole, or https with fields behind the host."""
    pieces, flaws = pieces_of(value, Place.QUERY, start=start)
    if flaws:
        return pieces, flaws
    if len(pieces) == 1 and isinstance(pieces[0], Hole):
        field = pieces[0].field
        if FIELDS[field].sort is Sort.LINK:
            return (Hole(field, Place.ATTRIBUTE),), []
        return pieces, [Flaw(f"{field} is no address", start)]
    before = ""
    for each in pieces:
        if isinstance(each, Hole):
            flaw = query_flaw(each.field, before)
            if flaw:
                return pieces, [Flaw(flaw, start)]
            before += "x"
        else:
            before += each
    if re.search(r"[^!-~]|[\"'<>\\`]", before):
        return pieces, [Flaw("an address has no white space, quotes or characters beyond ASCII: percent-encode", start)]
    if not _HOST_DONE.match(before + "/"):
        return pieces, [Flaw("an address begins with https:// and a host", start)]
    return tuple(_in_address(each) if isinstance(each, Hole) else each for each in pieces), []


def _in_address(hole: Hole) -> Hole:
    return Hole(hole.field, Place.DIGITS if FIELDS[hole.field].sort is Sort.NUMBER else Place.QUERY)


def holes_in(pieces: Pieces) -> set[str]:
    """The fields among pieces."""
    return {each.field for each in pieces if isinstance(each, Hole)}


# ---------------------------------------------------------------- filling in


_ENCODED = re.compile(r"=\?(?=[^?\s]+\?[BbQq]\?)")
"""How an encoded word begins (RFC 2047): in a subject, what it stands for is shown, and that may be an address."""


def cleaned(name: str, value: str, language: Language) -> str:
    """A value as it may be shown: in one line, not too long, without what nobody sees.

    A name that is an address is none: people are enrolled by others, and then the mail that greets them would carry it.
    """
    field = FIELDS[name]
    if field.sort is Sort.LINK:
        return value if len(value) <= LINK_MAX and not re.search(r"[^!-~]|[\"'<>\\`]", value) else ""
    plain = _ENCODED.sub("= ?", _BREAKS.sub(" ", _UNSEEN.sub("", value[: 5 * VALUE_MAX])).strip()[:VALUE_MAX])
    if field.contact and is_address(plain):
        return field.instead[language] if field.instead else ""
    return plain


_SIGNS = str.maketrans("【】", "[]")

ESCAPES: Mapping[Place, Callable[[str], str]] = {
    Place.LINE: str,
    Place.SMS: lambda value: value.translate(_SIGNS),
    Place.HTML: lambda value: escape(value, quote=False),
    Place.ATTRIBUTE: escape,
    Place.QUERY: lambda value: quote(value, safe=""),
    Place.DIGITS: lambda value: quote(value.replace(",", ""), safe=""),
    Place.JSON: lambda value: dumps(value, ensure_ascii=False)[1:-1],
}


def filled(pieces: Pieces, values: Mapping[str, str]) -> str:
    """Pieces as text, with values that were cleaned put in and escaped."""
    return "".join(
        [each if isinstance(each, str) else ESCAPES[each.place](values.get(each.field, "")) for each in pieces]
    )


def merged(pieces: Pieces) -> Pieces:
    """The same pieces, texts that stand side by side in one: many tags are filled in as quickly as a line."""
    found: list[str | Hole] = []
    for each in pieces:
        if isinstance(each, str) and found and isinstance(found[-1], str):
            found[-1] += each
        else:
            found.append(each)
    return tuple(found)


def _add(pieces: list[str | Hole], text: str) -> None:
    if text:
        pieces.append(text)


def _unknown(name: str) -> str:
    if name in FIELDS:
        return ""
    return f"there is no field {name}; there are " + ", ".join(FIELDS)


def _said(text: str, at: int) -> str:
    two = text[at : at + 2]
    if two == "{{":
        return "it opens a field that is none: a field is {{name}}, with nothing else between the braces"
    if two == "}}":
        return "it closes a field that was not opened"
    return f"{two} does nothing here: a field is {{{{name}}}}"
