"""What a card holds on a day, and whether it takes a command. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from chalicelib.cards.errors import CardClosed, CardKindWrong, CardSuspended
from chalicelib.cards.models import Card, CardKind
from chalicelib.kernel.calendar import NEVER, months_later
from chalicelib.points.errors import ExpiryPast, ExpiryTooFar
from chalicelib.points.models import Account, AccountStatus, Entry
from chalicelib.points.rules import balances, commands
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of

PRINCIPAL = NEVER
"""The bucket of what was paid in: it never closes."""


UNDATED = NEVER - timedelta(days=1)
"""The bucket of bonus that does not expire: the last one that is not the principal's."""


@dataclass(frozen=True, slots=True)
class Value:
    """What a stored-value card holds: principal, and bonus by its last day, soonest first."""

    principal: int
    bonus: Mapping[date, int]

    @property
    def bonus_total(self) -> int:
        """All bonus."""
        return sum(self.bonus.values())

    @property
    def total(self) -> int:
        """All that can be spent."""
        return self.principal + self.bonus_total


def value_of(account: Account, on: date) -> Value:
    """What a stored-value card holds on a day."""
    left = dict(balances.derive(account, on).left)
    principal = left.pop(PRINCIPAL, 0)
    return Value(principal, left)


def uses_left(account: Account, on: date) -> int:
    """Visits that a count card has left on a day."""
    return balances.derive(account, on).balance


def last_day_of(account: Account) -> date | None:
    """The last day of a count card, whether or not anything is left of it; None when all of it was refunded."""
    return max(account.earned, default=None)


def today(account: Account, program: Program, now: datetime) -> date:
    """The day on which a command is decided: never before what was recorded last, by whatever clock."""
    return today_of(program, max(now, account.last_recorded_at or now))


def require_kind(card: Card, kind: CardKind) -> None:
    """Refuse commands for the other kind of card.

    Raises:
        CardKindWrong: it is of the other kind.
    """
    if card.kind is not kind:
        raise CardKindWrong(kind=card.kind.value, expected=kind.value)


def require_open(account: Account, *, though_suspended: bool = False) -> None:
    """Refuse commands on a card that is closed, or suspended.

    Raises:
        CardSuspended, CardClosed: it is.
    """
    if account.status is AccountStatus.CLOSED:
        raise CardClosed(card_id=account.member_id)
    if account.status is AccountStatus.SUSPENDED and not though_suspended:
        raise CardSuspended(card_id=account.member_id)


def figure(entry: Entry, rule_id: str) -> int:
    """What an entry changes of `principal`, `bonus` or `uses`."""
    return sum(why.points for why in entry.why if why.rule_id == rule_id)


def require_last_day(last: date, on: date) -> None:
    """Refuse a last day that is over, or decades ahead.

    Raises:
        ExpiryPast, ExpiryTooFar: it is.
    """
    if last < on:
        raise ExpiryPast(expires_on=last.isoformat(), today=on.isoformat())
    latest = months_later(on, commands.EXPIRY_MONTHS_MAX)
    if last > latest:
        raise ExpiryTooFar(expires_on=last.isoformat(), latest=latest.isoformat())


def day_args(day: date | None) -> tuple[int, ...]:
    """A day among the figures of a reason: `20260315`."""
    return (day.year * 10_000 + day.month * 100 + day.day,) if day is not None else ()
