"""How long a text message is, in the parts that are paid for."""

from collections.abc import Sequence
from typing import Literal

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("\f^{}\\[~]|€")
"""Characters of the extension table: each is sent as two."""


def sms_size(text: str, *, mainland: bool = False) -> tuple[int, Literal["gsm7", "ucs2"], int]:
    """How long a text message is: characters as they count, `gsm7` or `ucs2`, and into how many parts it is cut.

    Elsewhere a text of GSM 03.38 has 160 characters, or 153 in each of several parts; any other, sent as UCS-2, has 70
    or 67. Characters of GSM's extension table count twice, and one beyond the basic plane twice in UCS-2; neither is
    split between two parts. In mainland China carriers count every text as UCS-2.
    """
    if not mainland and all(each in _GSM or each in _GSM_TWICE for each in text):
        widths = [2 if each in _GSM_TWICE else 1 for each in text]
        return sum(widths), "gsm7", _parts(widths, 160, 153)
    widths = [2 if ord(each) > 0xFFFF else 1 for each in text]
    return sum(widths), "ucs2", _parts(widths, 70, 67)


def sms_parts(text: str, *, mainland: bool = False) -> int:
    """Into how many parts a text message is cut, which is what is paid for."""
    return sms_size(text, mainland=mainland)[2]


def _parts(widths: Sequence[int], whole: int, of_several: int) -> int:
    if sum(widths) <= whole:
        return 1
    parts, room = 1, of_several
    for width in widths:
        if width > room:
            parts, room = parts + 1, of_several
        room -= width
    return parts
