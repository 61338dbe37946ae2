"""The base of every record, command and answer, and the words that they share."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from chalicelib.kernel.cards import holds_bank_card
from chalicelib.kernel.readings import is_invisible

_T = TypeVar("_T")
_set = object.__setattr__


class Record(BaseModel):
    """A value that never changes and takes nothing it does not know.

    Strict: a string is never taken for a number, nor a number for a date. JSON gives dates and instants as
    strings, which strict mode reads when it is handed JSON. Validators are built on first use: a cold start pays for
    the records that its first request needs, not for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """See `BaseModel.model_copy`: the same in half the time, as a purchase makes nine such copies.

        A record has no private and no extra attributes, so that there is nothing to copy but its values.
        """
        if deep:
            return super().model_copy(update=update, deep=True)
        changes = update or {}
        copied = object.__new__(type(self))
        _set(copied, "__dict__", {**self.__dict__, **changes})
        _set(copied, "__pydantic_fields_set__", self.__pydantic_fields_set__ | changes.keys())
        _set(copied, "__pydantic_extra__", None)
        _set(copied, "__pydantic_private__", None)
        return copied


# Control characters have no place in a name or a reference: they hide in logs and break labels and CSV files.
_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

_SEPARATORS = frozenset({"Zs", "Zl", "Zp"})
_REFERENCE_MAX = 64


def one_spelling(text: str, form: Literal["NFC", "NFKC"] = "NFC", *, longest: int = _REFERENCE_MAX) -> str:
    """A reference in the one spelling that its looks allow.

    Two references that cannot be told apart by eye must be one, or a till makes a second order, or a second member,
    of what a person reads as the same.

    Args:
        form: `NFKC` takes full-width letters and digits for plain ones too.
        longest: how many characters it may have.

    Raises:
        ValueError: it holds white space, or a character that nobody sees, or is too long.
    """
    if text.isascii():
        return text
    spelt = unicodedata.normalize(form, text)
    for character in spelt:
        if is_invisible(character) or unicodedata.category(character) in _SEPARATORS:
            raise ValueError(f"it holds white space or an invisible character, U+{ord(character):04X}")
        if character == "\ufffd":
            raise ValueError("it holds U+FFFD, which stands for a character that was lost")
    if len(spelt) > longest:
        raise ValueError(f"it has more than {longest} characters when they are normalised")
    return spelt


def _compatible(text: str) -> str:
    return one_spelling(text, "NFKC")


SENT: Mapping[str, bool] = {"sent": True}
"""The context in which a command is read that somebody sent. What is stored is read without it: it was looked at when
it came, and stays readable whatever is refused by now."""


def without_bank_card(value: _T, info: ValidationInfo) -> _T:
    """What somebody sent, unless a full bank card number is in it."""
    if info.context is SENT and holds_bank_card(str(value)):
        raise ValueError("it holds what looks like a full bank card number; keep its last four digits at the most")
    return value


def _shown(text: str, info: ValidationInfo) -> str:
    """Text without white space around it; some of it must be visible, or a name would be no name."""
    trimmed = without_bank_card(text.strip(), info)
    if all(is_invisible(each) or unicodedata.category(each) in _SEPARATORS for each in trimmed):
        raise ValueError("it needs at least one visible character")
    return trimmed


Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE), AfterValidator(_shown)]
"""One printable line of text; white space around it is dropped."""

_NOTE_MAX = 1000
_NOTE_PATTERN = r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$"

Note = Annotated[
    str,
    StringConstraints(min_length=1, max_length=_NOTE_MAX, pattern=_NOTE_PATTERN),
    AfterValidator(_shown),
]
"""A few sentences; line breaks and tabs allowed."""

Passage = Annotated[
    str,
    StringConstraints(min_length=1, max_length=8000, pattern=r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$"),
    AfterValidator(_shown),
]
"""Some paragraphs; line breaks and tabs allowed."""

_REASON_MIN = 4


def _says_something(text: str, info: ValidationInfo) -> str:
    said = [each for each in text.casefold() if unicodedata.category(each)[0] in "LN"]
    if info.context is SENT and (len(said) < _REASON_MIN or len(set(said)) == 1):
        raise ValueError(f"a reason has at least {_REASON_MIN} letters or digits, and not one of them over and over")
    return text


_REASON_SHOWN = {
    "type": "string",
    "minLength": _REASON_MIN,
    "maxLength": _NOTE_MAX,
    "pattern": _NOTE_PATTERN,
    "description": "At least four letters or digits, and not one of them over and over.",
}

Reason = Annotated[Note, AfterValidator(_says_something), WithJsonSchema(_REASON_SHOWN)]
"""Why somebody does what is looked at later: a note of at least four letters or digits, not all the same."""

_PLAIN = StringConstraints(
    min_length=1, max_length=_REFERENCE_MAX, pattern=r"^[^\u0000-\u0020\u007f-\u00a0\u2028\u2029]+$"
)

Reference = Annotated[str, _PLAIN, AfterValidator(one_spelling)]
"""Somebody else's number for something: visible, no white space, 1 to 64 characters, composed (NFC)."""

CompatibleReference = Annotated[str, _PLAIN, AfterValidator(_compatible)]
"""A reference that people type: full-width letters and digits are the plain ones (NFKC)."""

# Pydantic alone would also read digits as seconds since 1970, white space for the `T`, and days as midnights.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _instant(written: object) -> object:
    if not isinstance(written, str):
        return written
    if not _INSTANT.fullmatch(written):
        raise ValueError("not an RFC 3339 date-time with an offset, such as 2026-03-15T12:00:00+08:00")
    return datetime.fromisoformat(written.upper())


def _day(written: object) -> object:
    if not isinstance(written, str):
        return written
    if not _DAY.fullmatch(written):
        raise ValueError("not a day, YYYY-MM-DD")
    return date.fromisoformat(written)


Instant = Annotated[
    AwareDatetime,
    Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC)),
    BeforeValidator(_instant),
]
"""When something happened: RFC 3339 with an offset, not before 1970."""

Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, `YYYY-MM-DD` and nothing else."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A short name that machines use."""

Subject = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,100}$")]
"""How staff and integrations are named in logs and records: no personal data, no white space."""
