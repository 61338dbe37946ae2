"""The base of every record, command and answer, and the words that they share."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints


class Record(BaseModel):
    """A value that never changes and takes nothing it does not know.

    Strict: a string is never taken for a number, nor a number for a date. JSON gives dates and instants as
    strings, which strict mode reads when it is handed JSON. Validators are built on first use: a cold start pays for
    the records that its first request needs, not for all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True)


# Control characters have no place in a name or a reference: they hide in logs and break labels and CSV files.
_PRINTABLE = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"

Line = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
"""One printable line of text."""

Note = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\u0000-\u0008\u000b-\u001f\u007f]*$")
]
"""A few sentences; line breaks and tabs allowed."""

Reference = Annotated[
    str,
    StringConstraints(min_length=1, max_length=64, pattern=r"^[^\u0000-\u0020\u007f-\u00a0\u2028\u2029]+$"),
]
"""Somebody else's number for something: printable, no white space, 1 to 64 characters."""

Instant = Annotated[AwareDatetime, Field(ge=datetime(1970, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))]
"""When something happened: RFC 3339 with an offset, not before 1970."""

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
"""A short name that machines use."""
