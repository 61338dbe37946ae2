"""How long a text message is, in the parts that are paid for."""

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("\f^{}\\[~]|€")
"""Characters of the extension table: each is sent as two."""


def sms_parts(text: str, *, mainland: bool = False) -> int:
    """Into how many parts a text message is cut.

    Elsewhere a text of GSM 03.38 has 160 characters, or 153 in each of several parts; any other, sent as UCS-2, has 70
    or 67. In mainland China carriers count every text as UCS-2.
    """
    if not mainland and all(each in _GSM or each in _GSM_TWICE for each in text):
        return _parts(len(text) + sum(each in _GSM_TWICE for each in text), 160, 153)
    return _parts(len(text.encode("utf-16-le")) // 2, 70, 67)


def _parts(length: int, one: int, each: int) -> int:
    return 1 if length <= one else -(-length // each)
