"""The languages the product speaks."""

from enum import StrEnum


class Language(StrEnum):
    """A language the product speaks."""

    ZH = "zh"
    EN = "en"
