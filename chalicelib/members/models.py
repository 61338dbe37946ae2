"""Members: what is known of a person, and the commands that change it."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    SerializationInfo,
    StringConstraints,
    field_serializer,
    field_validator,
    model_validator,
)

from chalicelib.consents.models import ConsentText, ContactChannel, TextName
from chalicelib.kernel.ids import AccountId, MemberId, MemberNumber, SessionId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.personal import HIDDEN, Kind, Personal, is_masked, masked
from chalicelib.kernel.records import (
    CompatibleReference,
    Line,
    Note,
    Reason,
    Record,
    Reference,
    Slug,
    one_spelling,
    without_bank_card,
)
from chalicelib.points.models import AccountStatus, PointsSummary, TierView
from chalicelib.trail.rules import masked as words_masked

_MOBILE = re.compile(r"[+(]?[+0-9][0-9 ()./\u2010-\u2015-]*")


def _mobile(text: str) -> str:
    """A mobile number as people write and paste it, full-width digits and outer white space mended."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if not _MOBILE.fullmatch(plain) or not 4 <= len(plain) <= 32:
        raise ValueError("not a mobile number: digits, with a + in front of a country code")
    return plain


MobileText = Annotated[str, StringConstraints(max_length=64), AfterValidator(_mobile)]
"""A mobile number: E.164, or as it is written in the program's country."""

_LABEL = r"[^\u0000-\u002c\u002e\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00a0]+"
_EMAIL = rf"^[^\u0000-\u0020\u0022(),:;<>@\[\\\]\u007f-\u00a0]{{1,64}}@{_LABEL}(\.{_LABEL})+$"
"""What mail has marks for around and between addresses (`<a@x.com>`, `a,b@x.com`) is no part of one; quoted
local parts, which could have them, are not taken. Names of hosts may have letters of any script."""


def _email(text: str) -> str:
    spelt = one_spelling(text, "NFKC", longest=254)
    if not re.fullmatch(_EMAIL, spelt):
        raise ValueError("not an e-mail address when its letters are the plain ones")
    return spelt


EmailText = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254, pattern=_EMAIL),
    AfterValidator(_email),
    AfterValidator(without_bank_card),
]
"""An e-mail address; upper and lower case, and full-width letters and plain ones (NFKC), are the same address."""

Birthday = Annotated[str, StringConstraints(pattern=r"^([0-9]{4}|-)-[0-9]{2}-[0-9]{2}$")]
"""`YYYY-MM-DD`, or `--MM-DD` without the year."""

CustomValue = bool | Annotated[int, AfterValidator(without_bank_card)] | Line


class Gender(StrEnum):
    """As the member gave it."""

    FEMALE = "female"
    MALE = "male"
    OTHER = "other"
    UNKNOWN = "unknown"


class ExternalId(Record):
    """The member's id in another system."""

    source: Slug
    id: Annotated[Reference, Personal(Kind.EXTERNAL_ID)]


class BankCard(Record):
    """A bank card, as far as it may be known here: never its number."""

    bank: Line
    last_four: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}$")]
    token: Annotated[Reference, AfterValidator(without_bank_card), Personal(Kind.SECRET)] | None = None
    """What the payment provider calls it."""


ID_NUMBER_PURPOSE = "id_number"
"""The purpose of the consent without which no identity number is kept."""

CONSENTS_MAX = 20
"""So many can be given or withdrawn at once."""

ACCOUNT_PURPOSE = "notices"
"""Being told of one's own account: allowed until it is withdrawn. Every other purpose needs a consent first."""

MARKETING_PURPOSE = "marketing"
"""Offers and news of all topics."""

TOPIC_PREFIX = "marketing_"
"""How the purpose of a topic begins: `marketing_new_products`."""


class ConsentSource(StrEnum):
    """How a consent, or its withdrawal, came to us."""

    TILL = "till"
    WEB = "web"
    APP = "app"
    PAPER = "paper"
    PHONE = "phone"
    IMPORT = "import"
    STAFF = "staff"
    """Staff recorded it and said no more."""
    INTEGRATION = "integration"
    """Another system recorded it and said no more."""
    MEMBER = "member"
    """The member, signed in."""
    LINK = "link"
    """The member, by the opt-out link of a message."""
    REPLY = "reply"
    """The member, by a reply to a message."""


class ConsentGiven(Record):
    """A consent given or withdrawn."""

    purpose: Slug
    channel: ContactChannel | None = None
    """By which channel; left out: by all of them, and what was said of single ones before counts no more."""
    granted: bool
    text_version: Reference
    """Which text the member saw (`/v1/consent-texts`). What is granted names one that was published."""
    source: Literal["till", "web", "app", "paper", "phone", "import"] | None = None
    """How it came to you. What members say themselves is recorded as theirs, whatever stands here."""


class Consent(Record):
    """A consent with the time at which it was recorded, and how it came."""

    purpose: Slug
    channel: ContactChannel | None = None
    """None: by all channels."""
    granted: bool
    text_version: Reference
    at: AwareDatetime
    source: ConsentSource | None = None
    """None: it was recorded when that was not asked yet."""

    @property
    def about(self) -> str:
        """What it is about, in one word: there is one of each."""
        return f"{self.purpose}:{self.channel}" if self.channel else self.purpose

    @property
    def text_name(self) -> TextName:
        """The text that it was given to."""
        return TextName(purpose=self.purpose, channel=self.channel, text_version=self.text_version)


class ConsentShown(Consent):
    """A consent, with the words that it was given to."""

    text: ConsentText | None
    """None: it is a withdrawal that names no text of ours, or was recorded before texts were kept."""


@dataclass(frozen=True, slots=True)
class Witness:
    """Through whom a consent came to be recorded.

    Attributes:
        source: as far as the caller tells it by themselves; what they say of it may be more precise.
        by: how records name them; empty where nobody is named.
        told: whether they may say how it came to them.
    """

    source: ConsentSource
    by: str = ""
    told: bool = True


OURSELVES = Witness(ConsentSource.STAFF)
"""Where nobody says who records it."""


class ConsentChange(Record):
    """What was said of a consent, once: the history of a member's consents is made of these."""

    purpose: Slug
    channel: ContactChannel | None
    granted: bool
    text_version: Reference
    source: ConsentSource | None
    by: str | None
    """Who recorded it, as tokens name them."""
    at: AwareDatetime


def is_a_day(birthday: str | None) -> str | None:
    """A birthday that is a day of the calendar, for validators.

    Raises:
        ValueError: there is no such day, or it is before 1900.
    """
    if birthday is None:
        return None
    year, month, day = re.fullmatch(r"([0-9]{4}|-)-([0-9]{2})-([0-9]{2})", birthday).groups()  # type: ignore[union-attr]
    date(2000 if year == "-" else int(year), int(month), int(day))  # raises ValueError, which pydantic reports
    if year != "-" and int(year) < 1900:
        raise ValueError("the year must be 1900 or later")
    return birthday


class _Details(Record):
    name: Line | None = None
    mobile: MobileText | None = None
    email: EmailText | None = None
    card_no: CompatibleReference | None = None
    gender: Gender | None = None
    birthday: Birthday | None = None
    language: Language | None = None
    """In which the member is written to; null: the program's."""
    shop_id: ShopId | None = None
    """The member's home shop."""
    bank_cards: Annotated[tuple[BankCard, ...], Field(max_length=5)] | None = None

    @field_validator("birthday")
    @classmethod
    def _birthday_is_a_day(cls, birthday: str | None) -> str | None:
        return is_a_day(birthday)


class EnrolMember(_Details):
    """Make a person a member. At least one of mobile, email, card_no and external_ids is needed."""

    external_ids: Annotated[tuple[ExternalId, ...], Field(max_length=10)] = ()
    source: Slug | None = None
    """Where the member came from: `till`, `web`, `import` …"""
    referral_code: Annotated[Reference, AfterValidator(without_bank_card)] | None = None
    tags: Annotated[tuple[Line, ...], Field(max_length=50)] = ()
    custom: Annotated[dict[Slug, CustomValue], Field(max_length=50)] = {}
    """Values of the program's custom fields."""
    consents: Annotated[tuple[ConsentGiven, ...], Field(max_length=CONSENTS_MAX)] = ()
    dry_run: bool = False


class EditMember(_Details):
    """Change what is known of a member. What is left out stays; null clears; `custom` and `consents` change by name."""

    version: Annotated[int, Field(ge=1)]
    """The version you have read; refused when it was changed since."""
    tags: Annotated[tuple[Line, ...], Field(max_length=50)] | None = None
    custom: Annotated[dict[Slug, CustomValue | None], Field(max_length=50)] | None = None
    consents: Annotated[tuple[ConsentGiven, ...], Field(max_length=CONSENTS_MAX)] | None = None
    reason: Reason | None = None
    """Needed to change or remove a mobile number or an e-mail address; kept in the audit entry."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set - {"version", "dry_run", "reason"}:
            raise ValueError("name at least one field to change")
        return self


class SayConsents(Record):
    """Give or withdraw consents. What was said last counts, so no version is needed: a withdrawal is never late."""

    consents: Annotated[tuple[ConsentGiven, ...], Field(min_length=1, max_length=CONSENTS_MAX)]


class ConsentsView(Record):
    """What a member consents to now."""

    member_id: MemberId
    consents: tuple[ConsentShown, ...]


class SuspendMember(Record):
    """Suspend a membership: nothing is earned or spent until it is reinstated."""

    reason: Note
    dry_run: bool = False


class ReinstateMember(Record):
    """End a suspension."""

    reason: Note
    dry_run: bool = False


class CloseMember(Record):
    """Close a membership for good. Its mobile number, e-mail, cards and external ids become free."""

    reason: Note
    forfeit_points: bool = False
    """Needed when points are left, which are taken, or owed, which are written off."""
    dry_run: bool = False


class OtherIdentifier(Record):
    """A mobile number, e-mail address or card that a member is found by besides: that of a member who was merged."""

    kind: str
    """`mobile`, `email` or `card`."""
    value: str

    @field_serializer("value")
    def _shown(self, value: str, info: SerializationInfo) -> str:
        return masked(_KINDS[self.kind], value) if is_masked(info) else value


_KINDS = {"mobile": Kind.MOBILE, "email": Kind.EMAIL, "card": Kind.CARD_NO}


class FormerContact(Record):
    """A mobile number or e-mail address that was changed or removed: the member is told there that it was."""

    kind: Literal["mobile", "email"]
    value: str
    at: AwareDatetime
    """When it was changed."""


class ContactChanged(Record):
    """When a member's mobile number or e-mail address was changed last."""

    at: AwareDatetime
    by_member: bool
    """The member did it, and proved the new one by a code."""
    sessions_until: AwareDatetime | None = None
    """Sessions opened until then are over: with an old number they are not the member's for sure."""
    session_id: SessionId | None = None
    """Save this one, in which the member changed it."""


class ContactHold(Record):
    """A mobile number or e-mail address was changed lately.

    The member can neither export nor erase what is theirs, give points away or change the number again; where others
    changed it, they see what tells who they are masked.
    """

    until: AwareDatetime
    by_member: bool
    """The member changed it, and proved the new one by a code."""


class Contact(Record):
    """What identifies a person; stored sealed."""

    name: str | None = None
    mobile: str | None = None
    """E.164."""
    email: str | None = None
    """Lower case."""
    card_no: str | None = None
    external_ids: tuple[ExternalId, ...] = ()
    others: tuple[OtherIdentifier, ...] = ()
    former: tuple[FormerContact, ...] = ()
    """Those of the last days."""
    birth_year: int | None = None
    bank_cards: tuple[BankCard, ...] = ()


class Profile(Record):
    """What is known of a member."""

    member_id: MemberId
    member_number: MemberNumber
    contact: Contact
    gender: Gender | None = None
    language: Language | None = None
    """In which the member is written to; None: the program's."""
    month_day: str | None = None
    """Birthday without its year, `MM-DD`."""
    region: str | None = None
    """The country of the mobile number, ISO 3166-1; None where there is no number, or it tells none."""
    shop_id: ShopId | None = None
    source: str | None = None
    referral_code: str | None = None
    tags: tuple[str, ...] = ()
    custom: dict[str, CustomValue] = {}
    sealed_custom: frozenset[str] = frozenset()
    """Names of custom fields whose values are personal, and stored sealed."""
    consents: tuple[Consent, ...] = ()
    suppressed: tuple[ContactChannel, ...] = ()
    """Channels by which the address that the member has is not written to, sorted."""
    contact_changed: ContactChanged | None = None
    joined_at: AwareDatetime
    version: int = 1

    @property
    def birthday(self) -> str | None:
        """As it was given: with its year, or `--MM-DD`."""
        if self.month_day is None:
            return None
        return f"{self.contact.birth_year:04d}-{self.month_day}" if self.contact.birth_year else f"--{self.month_day}"

    @property
    def ways(self) -> tuple[ContactChannel, ...]:
        """By which channels there is an address to write to."""
        return tuple(channel for channel in WRITTEN if self.address(channel) is not None)

    @property
    def cohort(self) -> int | None:
        """The first of the five years that the year of birth is one of; None where that is not known."""
        year = self.contact.birth_year
        return year - year % COHORT_YEARS if year else None

    def address(self, channel: ContactChannel) -> str | None:
        """Where the member is written to by a channel, or None.

        Mobile number, e-mail address, the WeChat openid that is the member's external id of the source `wechat`; in the
        app the member's own id.
        """
        match channel:
            case ContactChannel.SMS:
                return self.contact.mobile
            case ContactChannel.EMAIL:
                return self.contact.email
            case ContactChannel.WECHAT:
                return next((each.id for each in self.contact.external_ids if each.source == WECHAT_SOURCE), None)
            case ContactChannel.APP:
                return self.member_id
        return None


WRITTEN = (ContactChannel.SMS, ContactChannel.EMAIL, ContactChannel.WECHAT, ContactChannel.APP)
"""Channels by which something is written."""

WECHAT_SOURCE = "wechat"
"""The source of external ids that are openids of the merchant's official account."""

COHORT_YEARS = 5


class ReachWhy(StrEnum):
    """Why a member may be written to otherwise than before."""

    CONSENT = "consent"
    CONTACT = "contact"
    STATUS = "status"
    """Suspended, reinstated or closed."""
    MERGE = "merge"
    """Merged, or that undone."""
    ERASED = "erased"
    SUPPRESSION = "suppression"
    """The address is not written to any more, or is again."""


@dataclass(frozen=True, slots=True)
class ReachChange:
    """A line of the log of changes: who was planned to be written to has to be looked at afresh."""

    member_id: MemberId
    at: datetime
    why: ReachWhy


class MemberView(Record):
    """A member: who they are, what they have, and what is missing to the next tier."""

    member_id: MemberId
    member_number: MemberNumber
    status: AccountStatus
    name: Annotated[str, Personal(Kind.NAME)] | None
    mobile: Annotated[str, Personal(Kind.MOBILE)] | None
    email: Annotated[str, Personal(Kind.EMAIL)] | None
    card_no: Annotated[str, Personal(Kind.CARD_NO)] | None
    external_ids: tuple[ExternalId, ...]
    other_identifiers: tuple[OtherIdentifier, ...]
    """What this member is found by besides, from members who were merged into this one."""
    merged_member_ids: tuple[AccountId, ...]
    """Ids of members who were merged into this one, who answers for them."""
    gender: Gender | None
    language: Language | None
    """In which the member is written to; null: the program's."""
    birthday: Annotated[str, Personal(Kind.BIRTHDAY)] | None
    shop_id: ShopId | None
    source: str | None
    referral_code: str | None
    tags: tuple[str, ...]
    bank_cards: tuple[BankCard, ...]
    custom: dict[str, CustomValue]
    personal_custom: tuple[str, ...]
    """Names of custom fields whose values are personal."""
    consents: tuple[Consent, ...]
    contact_hold: ContactHold | None
    """Mobile number or e-mail address were changed lately; null when they were not."""
    tier: TierView
    points: PointsSummary
    joined_at: AwareDatetime
    version: int

    @field_serializer("custom")
    def _shown(self, custom: dict[str, CustomValue], info: SerializationInfo) -> dict[str, CustomValue]:
        if not is_masked(info):
            return custom
        return {name: HIDDEN if name in self.personal_custom else value for name, value in custom.items()}


class MemberList(Record):
    """The member found, or none."""

    items: tuple[MemberView, ...]
    next_cursor: None = None


def _external(text: str) -> str:
    """`source:id` with the id as `ExternalId` spells it, and refused where that would be."""
    source, _, external_id = text.partition(":")
    return f"{source}:{one_spelling(external_id)}"


class LookUp(Record):
    """Exactly one identifier to find a member by."""

    mobile: MobileText | None = None
    email: EmailText | None = None
    member_number: MemberNumber | None = None
    card_no: CompatibleReference | None = None
    external_id: (
        Annotated[
            str,
            StringConstraints(
                max_length=100,
                pattern=r"^[a-z][a-z0-9_]{0,31}:[^\u0000-\u0020\u007f-\u00a0\u2028\u2029]{1,64}$",
            ),
            AfterValidator(_external),
        ]
        | None
    ) = None
    """`source:id`"""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name exactly one of mobile, email, member_number, card_no, external_id")
        return self


class MemberRef(Record):
    """Names a member by exactly one of their identifiers."""

    member_id: MemberId | None = None
    mobile: MobileText | None = None
    email: EmailText | None = None
    member_number: MemberNumber | None = None
    card_no: CompatibleReference | None = None
    external_id: ExternalId | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("name exactly one of member_id, mobile, email, member_number, card_no, external_id")
        return self


class Happening(Record):
    """Something that happened to a member."""

    type: str
    """`enrolled`, `edited`, `suspended`, `reinstated`, `closed`, `points_expiring`, `points_released`, or a ledger
    entry's reason."""
    member_id: AccountId | None = None
    """To whom it happened, where that is another who was merged into this member."""
    at: AwareDatetime
    """When it was recorded."""
    occurred_at: AwareDatetime | None = None
    """When it happened, where that may be earlier: of ledger entries."""
    points: int | None = None
    balance_after: int | None = None
    reference: str | None = None
    facts: dict[str, Any] = {}
    """What staff typed stands in it without addresses and longer numbers."""

    @field_serializer("facts")
    def _shown(self, facts: dict[str, Any], info: SerializationInfo) -> dict[str, Any]:
        typed = facts.get("reason")
        return {**facts, "reason": words_masked(typed)} if is_masked(info) and isinstance(typed, str) else facts
