"""Signing in: what is asked for and answered, and what is kept of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, StringConstraints, field_validator, model_validator

from chalicelib.kernel.ids import MemberId, MemberNumber, SessionId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.records import Line, Record
from chalicelib.members.models import (
    CONSENTS_MAX,
    Birthday,
    Consent,
    ConsentGiven,
    ContactHold,
    EmailText,
    Gender,
    MobileText,
    is_a_day,
)
from chalicelib.points.models import AccountStatus, PointsSummary, TierView

RequestId = Annotated[str, StringConstraints(pattern=r"^otp_[a-z2-7]{26}$")]
"""Names a request for a code."""

Code = Annotated[str, StringConstraints(pattern=r"^([0-9]{6}|[0-9]{8})$")]
"""A code as it was sent, 6 or 8 digits."""


class Purpose(StrEnum):
    """What a code is for; it is good for nothing else."""

    SIGN_IN = "sign_in"
    CONTACT_CHANGE = "contact_change"


class AskCode(Record):
    """Have a code sent to a mobile number or an e-mail address."""

    mobile: MobileText | None = None
    email: EmailText | None = None
    purpose: Purpose = Purpose.SIGN_IN

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.mobile is None) == (self.email is None):
            raise ValueError("name exactly one of mobile and email")
        return self


class CodeSent(Record):
    """A code is on its way, if the address can be reached; the same is answered whoever it belongs to."""

    request_id: str
    expires_at: AwareDatetime
    resend_after: int
    """So many seconds from now, another can be asked for; this one is void then."""
    digits: int
    """How many digits the code has: 6, and 8 while many codes are tried."""


class Grant(StrEnum):
    """What tokens are asked for with."""

    OTP = "otp"
    REFRESH = "refresh"


class AskTokens(Record):
    """Sign in with a code (`otp`), or go on with a refresh token (`refresh`)."""

    grant: Grant
    request_id: RequestId | None = None
    code: Code | None = None
    refresh_token: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None

    @model_validator(mode="after")
    def _fits_its_grant(self) -> Self:
        given = self.model_dump(exclude_none=True).keys() - {"grant"}
        wanted = {"request_id", "code"} if self.grant is Grant.OTP else {"refresh_token"}
        if given != wanted:
            raise ValueError(f"the grant {self.grant} takes {' and '.join(sorted(wanted))}, and nothing else")
        return self


class Tokens(Record):
    """What a member is let in with."""

    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - what OAuth calls the kind
    access_token: str
    """For `Authorization: Bearer …`."""
    expires_in: int
    """Seconds that the access token is good for."""
    refresh_token: str
    """Gives the next tokens, once; keep it where no script reads it."""
    session_id: SessionId
    member_id: MemberId


class SignInKey(Record):
    """A public key that access tokens are signed with (RFC 7517)."""

    kty: Literal["EC"] = "EC"
    crv: Literal["P-256"] = "P-256"
    x: str
    y: str
    kid: str
    alg: Literal["ES256"] = "ES256"
    use: Literal["sig"] = "sig"


class SignInKeys(Record):
    """The keys that members' access tokens are signed with."""

    keys: tuple[SignInKey, ...]


class SessionView(Record):
    """A session: a device on which a member is signed in."""

    session_id: SessionId
    opened_at: AwareDatetime
    used_at: AwareDatetime
    """When tokens were last given out for it."""
    ends_at: AwareDatetime
    """It ends then at the latest; earlier when it is not used for 30 days."""
    current: bool
    """Whether this request came with it."""


class SessionList(Record):
    """A member's sessions, the one used last first."""

    items: tuple[SessionView, ...]
    next_cursor: None = None


class EndSession(Record):
    """Sign out: the session gives no more tokens. An access token that is out is good for 10 minutes at the most."""


class Me(Record):
    """A member, as they see themselves."""

    member_id: MemberId
    member_number: MemberNumber
    status: AccountStatus
    name: str | None
    mobile: str | None
    email: str | None
    card_no: str | None
    gender: Gender | None
    language: Language | None
    """In which you are written to; null: the program's."""
    birthday: str | None
    shop_id: ShopId | None
    consents: tuple[Consent, ...]
    contact_hold: ContactHold | None
    """Your mobile number or e-mail address was changed lately, and you have to wait with some things until then."""
    tier: TierView
    points: PointsSummary
    joined_at: AwareDatetime
    version: int


class EditMe(Record):
    """Change what you say of yourself. What is left out stays; null clears.

    Mobile number and e-mail address are changed by a code that is sent to the new one (`/v1/me/contact-changes`).
    """

    version: Annotated[int, Field(ge=1)]
    """The version you have read; refused when it was changed since."""
    name: Line | None = None
    gender: Gender | None = None
    language: Language | None = None
    """In which you are written to; null: the program's."""
    birthday: Birthday | None = None
    """Given once."""
    shop_id: ShopId | None = None
    """Your home shop."""
    consents: Annotated[tuple[ConsentGiven, ...], Field(max_length=CONSENTS_MAX)] = ()
    dry_run: bool = False

    @field_validator("birthday")
    @classmethod
    def _birthday_is_a_day(cls, birthday: str | None) -> str | None:
        return is_a_day(birthday)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set - {"version", "dry_run"}:
            raise ValueError("name at least one field to change")
        return self


class ChangeContact(Record):
    """Take another mobile number or e-mail address, which a code was sent to for `contact_change`."""

    request_id: RequestId
    code: Code
    mobile: MobileText | None = None
    email: EmailText | None = None
    version: Annotated[int, Field(ge=1)]
    """The version you have read; refused when it was changed since."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if (self.mobile is None) == (self.email is None):
            raise ValueError("name exactly one of mobile and email")
        return self


# ---------------------------------------------------------------- what is kept


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was tried with one address. There is one record of it, so whoever tries waits for everybody else's try.

    Attributes:
        asked: when codes were asked for in the last day.
        request_id: the request whose code is good; a new one voids the one before.
        mac: of the code, bound to the request, the address and the purpose; empty when it was used up.
        digits: how many the code has.
        tries: wrong codes for that request.
        failed_at: when the last wrong code was tried.
        locks: how often in a row the address was locked.
        locked_until: until then no code is sent or taken.
    """

    version: int = 0
    asked: tuple[datetime, ...] = ()
    request_id: str = ""
    mac: str = ""
    digits: int = 0
    expires_at: datetime | None = None
    tries: int = 0
    failed_at: datetime | None = None
    locks: int = 0
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pressure:
    """How signing in goes, all addresses together.

    Attributes:
        asked: codes that were sent in the last minutes.
        right: those of them that came back.
        wrong: wrong codes in the last minutes.
        wrong_today: wrong tries at codes of 6 digits since midnight UTC.
    """

    asked: int = 0
    right: int = 0
    wrong: int = 0
    wrong_today: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """A member's session on one device, and the refresh tokens that were given out for it.

    Attributes:
        member_id: under whom it is kept: who signed in, also when they were merged into another since.
        digest: of the refresh token that is good.
        before: of the one that it took the place of; empty at first.
        salt: what made the good one of the one before.
        ended: why it is over; empty while it is not.
    """

    session_id: SessionId
    member_id: MemberId
    digest: bytes
    opened_at: datetime
    turned_at: datetime
    before: bytes = b""
    salt: bytes = b""
    ended: str = ""
    version: int = 1
