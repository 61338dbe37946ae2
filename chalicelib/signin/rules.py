"""What is decided about signing in: who may have a code when, what a try comes to, what a refresh token gives. Pure.

The numbers are in `Terms`, so that a simulation can try others. What they come to (ADR 0036): a day's wrong tries at
codes of 6 digits are bounded for all addresses together, those at codes of 8 digits for each address, so whoever
sprays ten thousand numbers takes over less than one account in a hundred days.
"""

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

from chalicelib.kernel.calendar import day_after, zone
from chalicelib.kernel.ids import AccountId, MemberId, SessionId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.personal import Kind, masked
from chalicelib.members.models import ContactChanged, Happening, MemberView
from chalicelib.programs.models import SMS_PER_THOUSAND_MINOR, Program
from chalicelib.programs.rules import today_of
from chalicelib.signin.errors import (
    BirthdayFixed,
    CodeTooSoon,
    CodeWrong,
    CountryNotServed,
    RefreshInvalid,
    SignInLocked,
)
from chalicelib.signin.models import Attempts, EditMe, Pressure, Session

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Terms:
    """The numbers of signing in.

    Attributes:
        lives: how long a code is good.
        tries_max: wrong codes until an address is locked, however many codes it asks for in between.
        resend: pauses before the second code of a day, the third, …
        asked_max: codes for one address in a day.
        locks: how long an address is locked the first time, the second, …
        forgets: after so long without a wrong code, an address starts afresh.
        wrong_today_max: wrong tries a day, all together, from which on codes have 8 digits.
        open_max: codes of the last minutes that did not come back, from which on codes have 8 digits.
        trip_wrong, trip_percent: so many wrong codes in the last minutes, and such a share of all, trip the breaker.
        waits: while it is tripped, an address waits so long after a wrong code.
    """

    lives: timedelta = timedelta(minutes=5)
    tries_max: int = 5
    resend: tuple[timedelta, ...] = tuple(timedelta(seconds=each) for each in (60, 120, 300, 900, 3600))
    asked_max: int = 10
    locks: tuple[timedelta, ...] = (timedelta(minutes=15), timedelta(hours=1), timedelta(hours=24))
    forgets: timedelta = timedelta(days=7)
    wrong_today_max: int = 5_000
    open_max: int = 500
    trip_wrong: int = 50
    trip_percent: int = 30
    waits: timedelta = timedelta(hours=1)


TERMS = Terms()

WINDOW = timedelta(minutes=5)
"""What happened "in the last minutes" happened in this window of the clock or the one before."""


# ---------------------------------------------------------------- codes

SHORT, LONG = 6, 8
"""How many digits a code has, and how many while many are tried."""


def digits(pressure: Pressure, terms: Terms = TERMS) -> int:
    """How long a code is: 6 digits, and 8 while many codes are tried or do not come back."""
    pressed = pressure.wrong_today >= terms.wrong_today_max or pressure.asked - pressure.right >= terms.open_max
    return LONG if pressed else SHORT


def code_of(chance: int, length: int) -> str:
    """A code from a random whole number below 2**64: the first codes are more likely by less than one in 10**11."""
    return f"{chance % 10**length:0{length}d}"


def name_of(chance: bytes) -> str:
    """Chance as it stands in ids and tokens: small letters and digits."""
    return base64.b32encode(chance).decode().lower().rstrip("=")


def tripped(pressure: Pressure, terms: Terms = TERMS) -> bool:
    """Whether so many codes are wrong that somebody must be guessing."""
    tried = pressure.right + pressure.wrong
    return pressure.wrong >= terms.trip_wrong and pressure.wrong * 100 >= tried * terms.trip_percent


def asked(
    known: Attempts, pressure: Pressure, request_id: str, mac: str, *, now: datetime, terms: Terms = TERMS
) -> Attempts:
    """The record of an address after a code was asked for. The code before is void.

    Args:
        mac: of the new code.

    Raises:
        SignInLocked: the address must wait after wrong codes.
        CodeTooSoon: a code was sent a moment ago, or many in a day.
    """
    known = _remembered(known, now, terms)
    _require_open(known, pressure, now, terms)
    recent = tuple(each for each in known.asked if now - each < DAY)
    if len(recent) >= terms.asked_max:
        raise CodeTooSoon(retry_after=_seconds(recent[-terms.asked_max] + DAY - now))
    ready = recent[-1] + pause_after(len(recent), terms) if recent else now
    if ready > now:
        raise CodeTooSoon(retry_after=_seconds(ready - now))
    return replace(
        known,
        version=known.version + 1,
        asked=(*recent, now),
        request_id=request_id,
        mac=mac,
        digits=digits(pressure, terms),
        expires_at=now + terms.lives,
    )


def pause_after(count: int, terms: Terms = TERMS) -> timedelta:
    """How long to wait for the next code after so many in a day."""
    return terms.resend[min(count, len(terms.resend)) - 1]


def tried(
    known: Attempts, pressure: Pressure, request_id: str, mac: str, *, now: datetime, terms: Terms = TERMS
) -> tuple[Attempts, bool]:
    """The record of an address after a code was tried, and whether the code was right. A right one is used up.

    Args:
        mac: of the code that was tried, made for this request.

    Raises:
        SignInLocked: the address must wait after wrong codes.
        CodeWrong: the request is void, used up or too old: this try had no chance, and counts for nothing.
    """
    known = _remembered(known, now, terms)
    _require_open(known, pressure, now, terms)
    if known.request_id != request_id or not known.mac or known.expires_at is None or now >= known.expires_at:
        raise CodeWrong
    version = known.version + 1
    if hmac.compare_digest(known.mac, mac):
        return Attempts(version=version, asked=known.asked), True
    wrong = replace(known, version=version, tries=known.tries + 1, failed_at=now)
    if wrong.tries < terms.tries_max:
        return wrong, False
    locked_until = now + terms.locks[min(known.locks, len(terms.locks) - 1)]
    return replace(wrong, mac="", tries=0, locks=known.locks + 1, locked_until=locked_until), False


def _remembered(known: Attempts, now: datetime, terms: Terms) -> Attempts:
    if known.failed_at is None or now - known.failed_at < terms.forgets:
        return known
    return replace(known, tries=0, locks=0, failed_at=None, locked_until=None)


def _require_open(known: Attempts, pressure: Pressure, now: datetime, terms: Terms) -> None:
    until = known.locked_until or now
    if known.failed_at is not None and tripped(pressure, terms):
        until = max(until, known.failed_at + terms.waits)
    if until > now:
        raise SignInLocked(retry_after=_seconds(until - now))


def _seconds(left: timedelta) -> int:
    return max(1, -(-left // timedelta(seconds=1)))


def text_of(code: str, program: Program, language: Language) -> tuple[str, str]:
    """Subject and text of the message that brings a code."""
    name = program.name.in_(language)
    if language is Language.ZH:
        return "登录验证码", f"【{name}】验证码 {code}，5分钟内有效。请勿告诉任何人，店员也不会向您索取。"
    return (
        "Your code",
        f"{name}: your code is {code}, good for 5 minutes. Tell it to nobody; our staff never ask for it.",
    )


# ---------------------------------------------------------------- how many codes


@dataclass(frozen=True, slots=True)
class Tally:
    """A limit on codes, and what a code counts towards it.

    Attributes:
        which: of its kind: an address, a range of numbers, a country.
        window: of time.
        retry_after: seconds until the window is over.
    """

    what: str
    which: str
    window: str
    amount: int
    most: int
    retry_after: int


FROM_AN_ADDRESS, TO_A_RANGE, ABROAD, BY_EMAIL = 100, 30, 500, 10_000
"""Codes asked for from one network address in an hour (a whole shop may share one), and in a day: to numbers that
differ in their last four digits only, to a country that is not the program's, to e-mail addresses."""


def tallies(number: str | None, program: Program, address: str, *, now: datetime) -> list[Tally]:
    """What a code counts towards.

    Args:
        number: where it goes, E.164; None: to an e-mail address.
        address: the network address that asks.

    Raises:
        CountryNotServed: no codes go to numbers of that country.
    """
    hour, day = now.replace(minute=0, second=0, microsecond=0), today_of(program, now)
    left = _seconds(datetime.combine(day_after(day), time(), zone(program.time_zone)) - now)
    found = [_from(address, hour, now)]
    if number is None:
        return [*found, Tally("email", "all", day.isoformat(), 1, BY_EMAIL, left)]
    country, price = price_of(number, program)
    found.append(Tally("range", number[:-4], day.isoformat(), 1, TO_A_RANGE, left))
    if country != program.country:
        found.append(Tally("country", country, day.isoformat(), 1, ABROAD, left))
    # In thousandths of a minor unit, because a message costs less than one.
    cost, most = price, program.sign_in.sms_day_max_minor * 1000
    return [*found, Tally("money", "all", day.isoformat(), cost, most, left)]


def _from(address: str, hour: datetime, now: datetime) -> Tally:
    return Tally(
        "address",
        network_of(address),
        hour.astimezone(UTC).isoformat(timespec="hours"),
        1,
        FROM_AN_ADDRESS,
        _seconds(hour + timedelta(hours=1) - now),
    )


def price_of(number: str, program: Program) -> tuple[str, int]:
    """The country of a number and what a thousand messages there cost, in minor units.

    Raises:
        CountryNotServed: no codes go there.
    """
    import phonenumbers  # noqa: PLC0415 - 25 ms, which the number's own check has paid already

    country = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    prices = {each.country: each.per_thousand_minor for each in program.sign_in.sms}
    known = prices or {program.country: SMS_PER_THOUSAND_MINOR}
    if country not in known:
        raise CountryNotServed(country=country)
    return str(country), known[country]


def network_of(address: str) -> str:
    """Whom a network address stands for: in IPv6 everybody has 2**64 of them."""
    import ipaddress  # noqa: PLC0415 - only who asks for a code comes here

    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if isinstance(found, ipaddress.IPv6Address):
        mapped = found.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


# ---------------------------------------------------------------- sessions

ENDS_AFTER, IDLE_FOR = timedelta(days=90), timedelta(days=30)
GRACE = timedelta(seconds=10)
"""So long the refresh token before the good one gives the good one again: its answer was lost on the way."""

_REFRESH = re.compile(r"rgr_([a-z2-7]{16})([a-z2-7]{26})([a-z2-7]{52})")


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token taken apart.

    Attributes:
        family: what all refresh tokens of a session share; nobody else knows it, and its session's id follows from it.
        secret: what tells the good one from those before it.
    """

    member_id: MemberId
    family: str
    secret: str

    @property
    def session_id(self) -> SessionId:
        """The session that it is of."""
        return SessionId("ses_" + name_of(hashlib.sha256(f"regulars session {self.family}".encode()).digest())[:26])

    @property
    def digest(self) -> bytes:
        """What is stored of it: SHA-256 of 256 bits of chance needs to be no slower."""
        return hashlib.sha256(b"regulars refresh " + self.secret.encode()).digest()

    def next(self, salt: bytes) -> "RefreshToken":
        """The one that follows it: only who has this one and the stored salt can work it out."""
        made = hmac.digest(self.secret.encode(), b"regulars refresh next" + salt, hashlib.sha256)
        return replace(self, secret=name_of(made))

    def __str__(self) -> str:
        return f"rgr_{self.member_id.removeprefix('mem_')}{self.family}{self.secret}"


def first_refresh(member_id: MemberId, chance: bytes) -> RefreshToken:
    """The first refresh token of a session, from 48 bytes of chance."""
    return RefreshToken(member_id, name_of(chance[:16]), name_of(chance[16:48]))


def refresh_from(text: str) -> RefreshToken:
    """A refresh token as it was sent.

    Raises:
        RefreshInvalid: it has another form.
    """
    form = _REFRESH.fullmatch(text)
    if form is None:
        raise RefreshInvalid
    return RefreshToken(MemberId(f"mem_{form[1]}"), form[2], form[3])


class Turn(StrEnum):
    """What a refresh token gives."""

    NEXT = "next"
    SAME = "same"
    REUSED = "reused"


def turn(session: Session, token: RefreshToken, *, now: datetime) -> Turn:
    """What a refresh token gives: the next one; the good one again, when the answer with it was lost; or nothing,
    because it was used before: then two have it, one of whom should not, and the session must end.

    Raises:
        RefreshInvalid: the session is over.
    """
    if session.ended or now >= ends_at(session):
        raise RefreshInvalid
    if hmac.compare_digest(session.digest, token.digest):
        return Turn.NEXT
    if session.before and hmac.compare_digest(session.before, token.digest) and now - session.turned_at <= GRACE:
        return Turn.SAME
    return Turn.REUSED


def turned(session: Session, token: RefreshToken, salt: bytes, *, now: datetime) -> Session:
    """A session after its good refresh token was used."""
    return replace(
        session,
        digest=token.next(salt).digest,
        before=token.digest,
        salt=salt,
        turned_at=now,
        version=session.version + 1,
    )


def ends_at(session: Session) -> datetime:
    """When a session ends if nobody uses it any more."""
    return min(session.opened_at + ENDS_AFTER, session.turned_at + IDLE_FOR)


def is_outdated(session: Session, change: ContactChanged | None) -> bool:
    """Whether a session is over because the member's mobile number or e-mail address was changed after it was opened.

    It follows from when that was, so there is no moment in which the number is changed and the session goes on.
    """
    if change is None or change.sessions_until is None or session.session_id == change.session_id:
        return False
    return session.opened_at <= change.sessions_until


# ---------------------------------------------------------------- what members see and change of themselves

_SHOWN = frozenset({"fields", "points", "expires_on", "on", "expiring_on", "count"})
"""Facts of happenings that a member is shown. Reasons are words of the staff to each other."""


def shown_to_member(happening: Happening, own: frozenset[AccountId]) -> Happening:
    """Something that happened, as the member sees it."""
    facts = {name: value for name, value in happening.facts.items() if name in _SHOWN}
    other = happening.member_id if happening.member_id in own else None
    return happening.model_copy(update={"facts": facts, "member_id": other})


def require_own_edit(member: MemberView, command: EditMe) -> None:
    """See that an edit changes only what members change of themselves.

    Raises:
        BirthdayFixed: the birthday is known, and would be another; or it is not shown for now, and not to be guessed.
    """
    given = "birthday" in command.model_fields_set
    if not given or member.birthday is None:
        return
    if member.contact_hold is not None and not member.contact_hold.by_member:
        shown = masked(Kind.BIRTHDAY, member.birthday)
        if command.birthday != shown:
            raise BirthdayFixed
    elif command.birthday != member.birthday:
        raise BirthdayFixed
