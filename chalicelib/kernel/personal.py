"""What is personal in an answer, and how much of it is shown to those who have no need of the whole.

A field is marked where it is declared: `mobile: Annotated[str, Personal(Kind.MOBILE)] | None`. The mark does nothing
until an answer is rendered with the context `MASKED`, as the edge does for everybody but the member: what the product
computes with is never masked.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from pydantic import GetCoreSchemaHandler, SerializationInfo
from pydantic_core import CoreSchema, core_schema

MASKED: Mapping[str, bool] = {"masked": True}
"""The context in which an answer is rendered with its personal fields masked."""

HIDDEN = "***"


class Kind(StrEnum):
    """What sort of personal data a field holds."""

    NAME = "name"
    MOBILE = "mobile"
    EMAIL = "email"
    CARD_NO = "card_no"
    """A member card's number."""
    EXTERNAL_ID = "external_id"
    """The member's id in another system: it finds the same person there."""
    BIRTHDAY = "birthday"
    SECRET = "secret"  # noqa: S105 - a kind, not a secret
    """Of which nothing is shown: identity numbers, provider tokens, custom fields that the program calls personal."""


class Plain:
    """Marks an answer that shows personal data as they are: it has its own permission, and leaves a record."""


class Personal:
    """Marks text of a model as personal.

    Args:
        kind: how it is masked.
    """

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The field's own schema, rendered through the mask."""
        shown = core_schema.plain_serializer_function_ser_schema(self._shown, info_arg=True)
        return core_schema.no_info_after_validator_function(str, handler(source), serialization=shown)

    def _shown(self, value: str, info: SerializationInfo) -> str:
        return masked(self.kind, value) if is_masked(info) else value


def is_masked(info: SerializationInfo) -> bool:
    """Whether an answer is rendered with personal data masked."""
    return bool(info.context) and info.context is MASKED


def masked(kind: Kind, value: str) -> str:
    """As much of personal data as helps to tell one person from another at the counter.

    A mask says little, not nothing: who knows the person will recognise them.
    """
    return _MASKS[kind](value)


def _name(value: str) -> str:
    """The first character: 张*, 欧**, A***."""
    return value[0] + "*" * min(len(value) - 1, 3) if len(value) > 1 else "*"


def _mobile(value: str) -> str:
    """The last four digits, and what stands before the four that are hidden: +86138****8000; less of short numbers."""
    return f"{value[:-8]}****{value[-4:]}" if len(value) >= 11 else f"****{value[-2:]}"


def _email(value: str) -> str:
    """The first letter and the domain: z***@example.com."""
    local, _, domain = value.rpartition("@")
    return f"{local[:1] if len(local) > 1 else ''}{HIDDEN}@{domain}"


def _number(value: str) -> str:
    """The last four of eight characters or more: ****1234."""
    return "****" + (value[-4:] if len(value) >= 8 else "")


def _birthday(value: str) -> str:
    """The day without its year: --03-15."""
    return f"--{value[-5:]}"


_MASKS: Mapping[Kind, Callable[[str], str]] = {
    Kind.NAME: _name,
    Kind.MOBILE: _mobile,
    Kind.EMAIL: _email,
    Kind.CARD_NO: _number,
    Kind.EXTERNAL_ID: _number,
    Kind.BIRTHDAY: _birthday,
    Kind.SECRET: lambda _: HIDDEN,
}
