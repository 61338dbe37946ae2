"""Showing personal data as they are: the command, its record, its answer."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, field_validator

from chalicelib.kernel.ids import Id, MemberId
from chalicelib.kernel.personal import Plain
from chalicelib.kernel.records import Note, Record
from chalicelib.members.models import BankCard, CustomValue, ExternalId, OtherIdentifier


class UnmaskingId(Id):
    """Names a showing of personal data."""

    pattern = r"^unm_[a-z2-7]{13}$"


class MaskedField(StrEnum):
    """Fields of a member that answers show masked."""

    NAME = "name"
    MOBILE = "mobile"
    EMAIL = "email"
    CARD_NO = "card_no"
    EXTERNAL_IDS = "external_ids"
    OTHER_IDENTIFIERS = "other_identifiers"
    BIRTHDAY = "birthday"
    BANK_CARDS = "bank_cards"
    CUSTOM = "custom"
    """The custom fields that are personal."""


class Unmask(Record):
    """Show personal data of a member as they are, and say why."""

    fields: Annotated[tuple[MaskedField, ...], Field(min_length=1, max_length=len(MaskedField))]
    reason: Note
    """Kept with who asked, and when."""

    @field_validator("fields")
    @classmethod
    def _each_once(cls, fields: tuple[MaskedField, ...]) -> tuple[MaskedField, ...]:
        if len(set(fields)) != len(fields):
            raise ValueError("name each field once")
        return fields


class Unmasking(Record):
    """The record of a showing. It holds names of fields, never their values."""

    unmasking_id: UnmaskingId
    member_id: MemberId
    by: str
    """Who asked, as tokens name them."""
    fields: tuple[MaskedField, ...]
    reason: str
    at: AwareDatetime


class PlainValues(Record):
    """The fields that were asked for, as they are; the others are left empty."""

    name: str | None = None
    mobile: str | None = None
    email: str | None = None
    card_no: str | None = None
    external_ids: tuple[ExternalId, ...] = ()
    other_identifiers: tuple[OtherIdentifier, ...] = ()
    birthday: str | None = None
    bank_cards: tuple[BankCard, ...] = ()
    custom: dict[str, CustomValue] = {}


class UnmaskedView(Record, Plain):
    """Personal data of a member as they are."""

    unmasking_id: UnmaskingId
    member_id: MemberId
    values: PlainValues
    unmasked_at: AwareDatetime
