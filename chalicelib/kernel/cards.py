"""Finds full bank card numbers in text, so that none is kept: neither by carelessness nor as a note to oneself."""

import re
import unicodedata
from itertools import accumulate

from chalicelib.kernel.readings import is_as_read, readings

LENGTHS = range(13, 20)
_GAP_MAX = 3
_DOUBLED = str.maketrans("0123456789", "0246813579")
_MANY_DIGITS = re.compile(r"\d(?:[\W_]*\d){12}")
"""Without these there is nothing to look at: of digits, with anything but letters between them."""
_ISSUED = re.compile(
    r"4[0-9]{12,18}"  # Visa
    r"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"  # Mastercard
    r"|3[47][0-9]{13}"  # American Express
    r"|(?:62|81)[0-9]{14,17}|955[89][0-9]{12,15}"  # UnionPay, and what Chinese banks gave out before it
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12,15}"  # JCB
    r"|3(?:0[0-5]|[689][0-9])[0-9]{11,16}"  # Diners Club
    r"|(?:6011|64[4-9][0-9]|65[0-9]{2})[0-9]{12,15}"  # Discover
    r"|(?:5[0678]|6[037])[0-9]{14,17}"  # Maestro, RuPay, Elo
)
"""How numbers of the issuers begin, and how long they are."""


def holds_bank_card(text: str) -> bool:
    """Whether text holds what looks like a full bank card number.

    Digits of any script count, circled ones and Chinese numerals too (四一一一, 肆壹壹壹), with white space, dashes,
    dots and such between them, also as HTML writes them (`&nbsp;`), and characters that nobody sees are passed over.
    Digits with words between them are not taken together. A number counts when it begins as an issuer's do, has their
    length, and its check digit fits (Luhn); groups are taken together as they stand, so that a number behind a date is
    found.
    """
    if not is_as_read(text):
        if sum(map(str.isnumeric, unicodedata.normalize("NFKC", text))) < LENGTHS.start:
            return False  # names of goods, most of the time
        text = "".join(character for character, _, _ in readings(text))
    if len(text) < LENGTHS.start or not _MANY_DIGITS.search(text):
        return False
    return any(_in_groups(run) for run in _runs(text))


def _runs(text: str) -> list[list[str]]:
    """Groups of digits that stand together, with little and nothing that is said between them."""
    runs: list[list[str]] = [[""]]
    gap = 0
    for character in text:
        if character.isdecimal():
            if gap and runs[-1][-1]:
                runs[-1].append("")
            runs[-1][-1] += character
            gap = 0
        elif gap < _GAP_MAX and (unicodedata.category(character)[0] in "PZS" or character in "\t\n\r"):
            gap += 1
        else:
            runs.append([""])
            gap = 0
    return runs


def _in_groups(groups: list[str]) -> bool:
    for first in range(len(groups)):
        for number in accumulate(groups[first:]):
            if len(number) >= LENGTHS.stop:
                break
            if len(number) >= LENGTHS.start and is_bank_card(number):
                return True
    return False


def is_bank_card(digits: str) -> bool:
    """Whether digits are a number that a bank card may have."""
    if not _ISSUED.fullmatch(digits) or len(set(digits)) == 1 or not _luhn(digits):
        return False
    # Goods of Germany and Japan have barcodes of thirteen digits that begin with 4, as old cards of Visa did.
    return len(digits) != 13 or not _ean(digits)


def _luhn(digits: str) -> bool:
    plain, doubled = digits[-1::-2], digits[-2::-2]
    return (sum(map(int, plain)) + sum(map(int, doubled.translate(_DOUBLED)))) % 10 == 0


def _ean(digits: str) -> bool:
    return sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(digits)) % 10 == 0
