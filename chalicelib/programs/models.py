"""The program: what a merchant promises its members, one version after the other."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from chalicelib.kernel.calendar import Month, zone
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import Currency
from chalicelib.kernel.records import Instant, Line, Record, Slug


class Text(Record):
    """The same words in Chinese and English."""

    zh: Line
    en: Line

    def in_(self, language: Language) -> str:
        """The words in one of the languages."""
        return self.zh if language is Language.ZH else self.en


class Rounding(StrEnum):
    """What becomes of a fraction of a point."""

    DOWN = "down"
    HALF_UP = "half_up"
    UP = "up"


class EarnRate(Record):
    """How many points a purchase earns: `points` for each `per_minor` paid."""

    points: Annotated[int, Field(ge=1, le=1_000_000)]
    per_minor: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Minor units of the program's currency: 100 is one yuan."""
    rounding: Rounding = Rounding.DOWN


class PointValue(Record):
    """What points pay at the till (积分抵现): `points` pay `minor`."""

    points: Annotated[int, Field(ge=1, le=1_000_000)]
    minor: Annotated[int, Field(ge=1, le=1_000_000_000)]


class Tier(Record):
    """A step of the program's ladder."""

    tier_id: Slug
    name: Text
    threshold: Annotated[int, Field(ge=0, le=10**12)]
    """Qualifying points that reach this tier; 0 for the first."""
    multiplier_percent: Annotated[int, Field(ge=0, le=10_000)] = 100
    """Points earned in this tier, as a percentage of the earn rate: 150 is half as many again."""
    birthday_points: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Points given to members of this tier on their birthday, once a year; 0 gives none."""


class Window(StrEnum):
    """Over which time qualifying points count."""

    ROLLING = "rolling"
    CALENDAR_YEAR = "calendar_year"


class AtEnd(StrEnum):
    """What becomes of a tier at its review when its threshold was not reached again."""

    KEEP = "keep"
    STEP_DOWN = "step_down"
    EARNED_LEVEL = "earned_level"


class Qualification(Record):
    """How members qualify for tiers and how they keep them.

    `rolling`: the current calendar month and the `months` before it count, and a tier once reached is held for
    `months` whole months before its review. `calendar_year`: the calendar year counts, and reviews are at its end.
    """

    window: Window = Window.ROLLING
    months: Annotated[int, Field(ge=1, le=24)] = 12
    """Length of the rolling window; not used for calendar years."""
    at_end: AtEnd = AtEnd.STEP_DOWN


class Ladder(Record):
    """Tiers from the lowest to the highest, and how to climb them."""

    tiers: Annotated[tuple[Tier, ...], Field(min_length=1, max_length=12)]
    qualification: Qualification = Qualification()

    @model_validator(mode="after")
    def _climbs(self) -> Self:
        thresholds = [tier.threshold for tier in self.tiers]
        if thresholds[0] != 0:
            raise ValueError("the first tier's threshold must be 0, because every member holds a tier")
        if thresholds != sorted(set(thresholds)):
            raise ValueError("thresholds must rise from tier to tier")
        if len({tier.tier_id for tier in self.tiers}) != len(self.tiers):
            raise ValueError("tier ids must differ")
        return self


def _month(written: object) -> object:
    """A month from the way it is written, `YYYY-MM`."""
    if isinstance(written, str) and re.fullmatch(r"[0-9]{4}-(0[1-9]|1[0-2])", written):
        return int(written[:4]) * 12 + int(written[5:]) - 1
    return written


class FormerLadder(Record):
    """A ladder that was in force up to and including a month."""

    ladder: Ladder
    through: Annotated[
        Month,
        BeforeValidator(_month),
        PlainSerializer(lambda month: f"{month // 12:04d}-{month % 12 + 1:02d}", when_used="json"),
        WithJsonSchema({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$"}),
    ]
    """`YYYY-MM`"""


class ExpiryMode(StrEnum):
    """How long points live."""

    ROLLING = "rolling"
    END_OF_YEAR = "end_of_year"
    NEVER = "never"


class Bucket(StrEnum):
    """Whether points of one month or of one day expire together."""

    MONTH = "month"
    DAY = "day"


class Expiry(Record):
    """When earned points expire.

    `rolling`: `months` after the day they were earned, moved to that month's last day when the bucket is a month.
    `end_of_year`: on 31 December, `years` after the year they were earned in. Points are good on their last day.
    """

    mode: ExpiryMode = ExpiryMode.ROLLING
    months: Annotated[int, Field(ge=1, le=120)] = 12
    years: Annotated[int, Field(ge=0, le=10)] = 1
    bucket: Bucket = Bucket.MONTH


class Notices(Record):
    """What members are told without asking."""

    expiring_days: Annotated[int, Field(ge=1, le=90)] | None = 14
    """So many days before the last day of points, their member is told; null tells nobody. Once a calendar month at
    most, however many lots expire in it."""


CARD_LIMITS = {"CNY": 500_000}
"""What a card in a member's name may hold where the program does not say, by currency: in China ¥5,000, by the rules
for single-purpose prepaid cards (单用途商业预付卡管理办法). Elsewhere there is no limit but that of a balance."""


class StoredValue(Record):
    """Terms of cards that hold money (储值卡)."""

    balance_max_minor: Annotated[int, Field(ge=1, le=10**12)] | None = None
    """What a card may hold after a top-up, bonus included; null: ¥5,000 where the currency is CNY, else no limit."""


class CardGifts(Record):
    """What any till may give on a card for what is paid. More is a gift, for which somebody answers (`cards:gift`)."""

    bonus_percent_max: Annotated[int, Field(ge=0, le=10_000)] = 50
    """A top-up's bonus may be such a share of what is paid in, in percent."""
    visit_minor_min: Annotated[int, Field(ge=0, le=10**9)] = 100
    """The least that a visit of a count card is sold for, in minor units; what a price is less is given."""


class Transfers(Record):
    """Whether and how members may give points to each other."""

    enabled: bool = False
    min_points: Annotated[int, Field(ge=1, le=1_000_000_000)] = 1
    max_points: Annotated[int, Field(ge=1, le=1_000_000_000)] = 10_000
    """At most so many in one transfer, without its fee."""
    max_points_per_month: Annotated[int, Field(ge=1, le=1_000_000_000)] = 20_000
    """At most so many leave a member's account in a calendar month, fees and offers that are still open included."""
    fee_percent: Annotated[int, Field(ge=0, le=100)] = 0
    """What it costs the giver besides, in percent of the points, rounded up."""
    accept_days: Annotated[int, Field(ge=1, le=30)] = 7
    """So many days the receiver has to accept; then the giver has the points back."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.min_points <= self.max_points <= self.max_points_per_month:
            raise ValueError("min_points, max_points and max_points_per_month must not fall")
        return self


class Approvals(Record):
    """What one person may do alone; more waits for a second one (`/v1/approvals`)."""

    adjustment_points_max: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = 10_000
    """So many points may one person adjust, or take entries back of, for one member within a day; null: any number."""
    adjustment_day_factor: Annotated[int, Field(ge=1, le=10_000)] | None = 5
    """So many times `adjustment_points_max` may one person give by hand, all members together, within a day; null: any
    number of points."""
    card_refund_minor_max: Annotated[int, Field(ge=0, le=10**12)] | None = None
    """So much may one person pay back from one card within a day; null: all that is on it."""

    @property
    def given_points_max(self) -> int | None:
        """So many points may one person give by hand within a day, all members together; None: any number."""
        if self.adjustment_points_max is None or self.adjustment_day_factor is None:
            return None
        return self.adjustment_points_max * self.adjustment_day_factor


class SmsPrice(Record):
    """A country to whose numbers codes are sent, and what that costs."""

    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """ISO 3166-1 code."""
    per_thousand_minor: Annotated[int, Field(ge=0, le=10**9)]
    """What a thousand messages cost, in minor units of the program's currency."""


SMS_PER_THOUSAND_MINOR = 5_000
"""What a thousand messages are taken to cost where the program does not say."""


class SignIn(Record):
    """Terms of members' sign-in by a code."""

    sms: Annotated[tuple[SmsPrice, ...], Field(max_length=50)] = ()
    """Countries to whose numbers codes are sent; none: only the program's own, at 5,000 a thousand."""
    sms_day_max_minor: Annotated[int, Field(ge=0, le=10**9)] = 50_000
    """At most so much is spent on codes on a calendar day."""

    @model_validator(mode="after")
    def _countries_differ(self) -> Self:
        if len({each.country for each in self.sms}) != len(self.sms):
            raise ValueError("countries must differ")
        return self


class Velocity(Record):
    """What is likely: points, gifts on cards, looks at members. What is more raises an alert; null watches nothing."""

    member_points_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = 50_000
    """A member earns, by purchases and by hand."""
    shop_points_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = 2_000_000
    """A shop gives by purchases."""
    staff_points_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = 500_000
    """Somebody gives, by purchases and by hand."""
    adjusted_points_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = 1_000_000
    """Somebody gives by hand, all members together. What is more is refused."""
    card_gifts_minor_per_day: Annotated[int, Field(ge=1, le=10**12)] | None = 50_000
    """Somebody gives on cards that nobody paid for, in minor units (`card_gifts`)."""
    contact_changes_per_day: Annotated[int, Field(ge=1, le=500)] | None = 5
    """Of so many members somebody changes or removes a mobile number or an e-mail address."""
    unmasked_members_per_day: Annotated[int, Field(ge=1, le=500)] | None = 20
    """So many members somebody sees in clear."""
    exported_members_per_day: Annotated[int, Field(ge=1, le=500)] | None = 20
    """So many members somebody exports."""
    missed_look_ups: Annotated[int, Field(ge=1, le=10**6)] | None = 20
    """So often in ten minutes somebody looks up a member whom there is not. What is more is refused."""
    missed_look_ups_of_keys: Annotated[int, Field(ge=1, le=10**6)] | None = 500
    """The same of an integration key, which many tills may share: most who stand at one are no members."""


class Retention(Record):
    """How long who a member is may be known. Who is erased by it loses what points are left; nobody is by default."""

    inactive_years: Annotated[int, Field(ge=1, le=50)] | None = None
    """After so many years without a purchase, points, a card's use, a sign-in or an edit a member is erased; null:
    never."""
    closed_years: Annotated[int, Field(ge=0, le=50)] | None = None
    """So many years after a membership was closed its member is erased; null: never."""


class NegativeBalance(StrEnum):
    """What happens when more points are taken back than the member has.

    `owe`: the balance goes below zero and the next points pay it. `cap`: it stops at zero and the rest is written
    off. `pending_only`: only points that are still pending are taken back.
    """

    OWE = "owe"
    CAP = "cap"
    PENDING_ONLY = "pending_only"


class FieldType(StrEnum):
    """What a custom field holds."""

    TEXT = "text"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    DATE = "date"
    CHOICE = "choice"
    ID_NUMBER = "id_number"
    """A Chinese resident's identity number (居民身份证); only with the member's consent for `id_number`."""


class CustomField(Record):
    """A field of the merchant's own on every member."""

    type: FieldType
    label: Text
    required: bool = False
    choices: Annotated[tuple[Line, ...], Field(max_length=100)] = ()
    """The values a `choice` field takes."""
    personal: bool = False
    """Values are personal: sealed with the member's key, and masked in answers. Identity numbers always are."""

    @property
    def is_sealed(self) -> bool:
        """Whether its values are sealed."""
        return self.personal or self.type is FieldType.ID_NUMBER

    @model_validator(mode="after")
    def _is_voluntary(self) -> Self:
        if self.type is FieldType.ID_NUMBER and self.required:
            raise ValueError("an identity number cannot be required: it needs the member's consent")
        return self

    @model_validator(mode="after")
    def _has_choices(self) -> Self:
        if (self.type is FieldType.CHOICE) != bool(self.choices):
            raise ValueError("choices belong to a choice field, and a choice field needs some")
        return self


class ProgramTerms(Record):
    """Everything about a program that its merchant decides."""

    name: Text
    currency: Currency
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
    """ISO 3166-1 code; mobile numbers without a country code are read as this country's."""
    time_zone: Annotated[str, StringConstraints(max_length=64)]
    """IANA name; days and months are counted here."""
    language: Language
    """For texts when the caller prefers none."""
    earn_rate: EarnRate
    point_value: PointValue
    ladder: Ladder
    expiry: Expiry = Expiry()
    pending_days: Annotated[int, Field(ge=0, le=90)] = 0
    """Points of a purchase can be spent so many days after it, when it can no longer be returned; 0 is at once."""
    notices: Notices = Notices()
    negative_balance: NegativeBalance = NegativeBalance.OWE
    stored_value: StoredValue = StoredValue()
    card_gifts: CardGifts = CardGifts()
    transfers: Transfers = Transfers()
    approvals: Approvals = Approvals()
    sign_in: SignIn = SignIn()
    velocity: Velocity = Velocity()
    retention: Retention = Retention()
    purchase_max_minor: Annotated[int, Field(ge=1, le=10**12)] | None = 5_000_000
    """Of a purchase that was paid with more only who has `purchases:record_large` tells; null: anybody."""
    custom_fields: Annotated[dict[Slug, CustomField], Field(max_length=50)] = {}


class Program(ProgramTerms):
    """A version of the program. Versions are never changed, only followed by the next."""

    version: Annotated[int, Field(ge=1)]
    published_at: AwareDatetime
    former_ladders: tuple[FormerLadder, ...] = ()
    """Ladders of earlier versions, oldest first: a tier is judged by the ladder that was in force then."""

    def tier(self, tier_id: str) -> Tier:
        """The tier of that id, or the first where the ladder no longer has it."""
        return next((tier for tier in self.ladder.tiers if tier.tier_id == tier_id), self.ladder.tiers[0])


class PublishProgram(ProgramTerms):
    """Publish the next version of the program: what was read of it can be sent back as it is, or with other terms."""

    version: Annotated[int, Field(ge=1)]
    """The version you have read and are following; refused when another was published since."""
    published_at: Instant | None = None
    """As it was read, or left out: it is noted by itself."""
    former_ladders: tuple[FormerLadder, ...] | None = None
    """As they were read, or left out: they are kept by themselves."""
    dry_run: bool = False

    @model_validator(mode="after")
    def _can_be_spent_before_they_expire(self) -> Self:
        rolls = self.expiry.mode is ExpiryMode.ROLLING
        if self.pending_days and rolls and self.pending_days >= 28 * self.expiry.months:
            raise ValueError("points would expire before they can be spent: lower pending_days")
        return self

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        # The database of zones also holds this machine's own, placeholders and other counts of seconds.
        if name != "UTC" and not re.fullmatch(r"[A-Z][A-Za-z]*(/[A-Za-z0-9_+-]+){1,2}", name):
            raise ValueError("not an IANA time zone name of the form Area/City, or UTC")
        try:
            zone(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("not an IANA time zone name") from None
        return name

    @field_validator("custom_fields")
    @classmethod
    def _choices_differ(cls, fields: dict[str, CustomField]) -> dict[str, CustomField]:
        for name, field in fields.items():
            if len(set(field.choices)) != len(field.choices):
                raise ValueError(f"the choices of {name} must differ")
        return fields

    @field_validator("country")
    @classmethod
    def _has_a_dialling_plan(cls, country: str) -> str:
        from phonenumbers import country_code_for_region  # noqa: PLC0415 - 25 ms, needed only when a program is written

        if not country_code_for_region(country):
            raise ValueError("not an ISO 3166-1 country code with a telephone numbering plan")
        return country


def default_program(published_at: datetime) -> Program:
    """The program of a new stack: one point a yuan, four tiers, points good for twelve months."""
    return Program.model_validate({**DEFAULT_TERMS, "version": 1, "published_at": published_at}, strict=False)


DEFAULT_TERMS: dict[str, Any] = {
    "name": {"zh": "常客会员", "en": "Regulars"},
    "currency": "CNY",
    "country": "CN",
    "time_zone": "Asia/Shanghai",
    "language": "zh",
    "earn_rate": {"points": 1, "per_minor": 100},
    "point_value": {"points": 100, "minor": 100},
    "ladder": {
        "tiers": [
            {
                "tier_id": "basic",
                "name": {"zh": "普通会员", "en": "Basic"},
                "threshold": 0,
                "birthday_points": 50,
            },
            {
                "tier_id": "silver",
                "name": {"zh": "银卡", "en": "Silver"},
                "threshold": 1_000,
                "multiplier_percent": 110,
                "birthday_points": 100,
            },
            {
                "tier_id": "gold",
                "name": {"zh": "金卡", "en": "Gold"},
                "threshold": 5_000,
                "multiplier_percent": 125,
                "birthday_points": 200,
            },
            {
                "tier_id": "diamond",
                "name": {"zh": "钻石", "en": "Diamond"},
                "threshold": 20_000,
                "multiplier_percent": 150,
                "birthday_points": 500,
            },
        ]
    },
}
