"""Showing personal data as they are: the command, its record, its answer."""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, ConfigDict, Field, field_validator

from chalicelib.kernel.ids import AccountId, Id, MemberId
from chalicelib.kernel.personal import Plain
from chalicelib.kernel.records import Reason, Record, Slug
from chalicelib.members.models import BankCard, CustomValue, ExternalId, MemberView, OtherIdentifier


class UnmaskingId(Id):
    """Names a showing of personal data."""

    pattern = r"^unm_[a-z2-7]{13}$"


class OptOutToken(Id):
    """The token of an opt-out link. Whatever is no such token is answered alike, and none is logged."""

    pattern = r"^.{1,400}$"
    secret = True


MessageChannel = Literal["sms", "email", "wechat", "phone", "app", "post"]


class InLanguage(Record):
    """In which language a page is shown."""

    language: Literal["zh", "en"] | None = None
    """Left out: what the reader asks for, else the program's."""


class PreferencesShown(InLanguage):
    """How the page of preferences is shown: also after a press, with what was pressed. It says how that is now."""

    saved: bool = False
    purpose: Slug | None = None
    channel: MessageChannel | None = None


class OptOutShown(Record):
    """How the page of an opt-out link is shown. Nothing that is hung on the link may stand in the way of it."""

    model_config = ConfigDict(extra="ignore")

    language: Annotated[
        Literal["zh", "en"] | None, BeforeValidator(lambda asked: asked if asked in ("zh", "en") else None)
    ] = None
    """Left out: what the reader asks for, else the program's."""
    pressed: Annotated[bool, BeforeValidator(lambda asked: asked in ("true", True))] = False
    """It comes from the page's button; mail programs, whose one click is not led on, do not say so."""
    done: Annotated[bool, BeforeValidator(lambda asked: asked in ("true", True))] = False
    """It was pressed; the page looks whether it is so still."""


class PreferenceAsked(InLanguage):
    """What was pressed on the page of preferences. Without a purpose: no offers and news of any kind any more."""

    purpose: Slug | None = None
    channel: MessageChannel | None = None
    granted: bool = False


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
    reason: Reason
    """At least four letters or digits; kept with who asked, and when."""

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


class ErasureReason(StrEnum):
    """Why a member is erased. The register is written once and kept for years, so it takes no words of people."""

    ASKED = "asked"
    """The member asked for it."""
    AUTHORITY = "authority"
    """An authority or a court ordered it."""
    RETENTION = "retention"
    """Nothing was heard of them for as long as data may be kept."""
    MISTAKE = "mistake"
    """They should never have been enrolled."""


class EraseMember(Record):
    """Erase a member for good: who they are, not what the books say."""

    reason: ErasureReason
    forfeit: bool = False
    """Needed when points are left, which are taken, or owed, which are written off."""
    dry_run: bool = False


class EraseMe(Record):
    """Erase yourself for good."""

    forfeit: bool = False
    """Needed when points are left, which are taken, or owed, which are written off."""
    dry_run: bool = False


class Blocker(Record):
    """Something that stands in the way of an erasure."""

    what: Literal["points_held", "points_left", "points_owed", "cards_hold_value", "in_pool"]
    detail: str


class Erasure(Record):
    """The erasure of a member, as the register keeps it."""

    member_ids: tuple[AccountId, ...]
    """The member, and who was merged into them."""
    reason: ErasureReason
    by: str
    """Who asked, as tokens name them."""
    erased_at: AwareDatetime


class ErasureView(Erasure):
    """The erasure of a member, as it is answered."""

    done: bool
    """False for a dry run: nobody was erased, and nothing stands in the way of it."""


class ExportMember(Record):
    """Give out everything that is kept about a member, and say why."""

    reason: Reason
    """At least four letters or digits; kept with who asked, and when."""


class ExportMe(Record):
    """Give out everything that is kept about you."""


class ExportRecord(Record):
    """Something that is kept about a member."""

    kind: str
    """What it is, as the data catalogue calls it."""
    of: AccountId | None = None
    """Whose it is: the member, who was merged into them, or a card or a pool; null for what belongs to no account."""
    data: dict[str, Any]


class Export(Record, Plain):
    """Everything that is kept about a member."""

    export_id: UnmaskingId
    member: MemberView
    records: tuple[ExportRecord, ...]
    exported_at: AwareDatetime
