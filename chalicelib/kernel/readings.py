"""How people read text that somebody typed: digits of any script are digits, and what nobody sees is passed over.

Whoever looks for numbers or addresses in text looks here, so that what one finds another does not miss.
"""

import re
import unicodedata

_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that take room or none on a screen and show nothing, though Unicode counts them as letters and symbols."""

_PIECE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z]{2,8});|.", re.DOTALL)
"""A character, also where it is written as HTML writes it: pages are copied into notes."""


def is_invisible(character: str) -> bool:
    """Whether a character shows nothing: control and format characters, blanks, variation selectors.

    Separators are not counted: they show as the room that they take.
    """
    return (
        unicodedata.category(character) in ("Cc", "Cf")
        or character in _BLANK
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def is_as_read(text: str) -> bool:
    """Whether text reads as it is written: most does."""
    return text.isascii() and "&" not in text


def readings(text: str) -> list[tuple[str, int, int]]:
    """The characters that people read, and from where to where in the text each stands.

    Compatible forms are the plain ones (NFKC), whatever stands for a digit is that digit (٣, ③, 三, 叁), and what is
    not seen is left out, but for white space.
    """
    found: list[tuple[str, int, int]] = []
    for piece in _PIECE.finditer(text):
        for character in unicodedata.normalize("NFKC", _named(piece[0])):
            if character.isspace() or not (_is_unseen(character) or is_invisible(character)):
                found.append((_plain(character), piece.start(), piece.end()))
    return found


def _named(piece: str) -> str:
    if len(piece) == 1:
        return piece
    from html import unescape  # noqa: PLC0415 - its names of characters take time, which few texts pay

    return unescape(piece)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in ("Mn", "Me")


def _plain(character: str) -> str:
    """A digit for what stands for one, whatever the script; everything else as it is."""
    value = unicodedata.numeric(character, -1)
    return str(int(value)) if value in range(10) else character
