"""The figures of accounts, which add up, and the report that is made of them."""

from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field, StringConstraints

from chalicelib.kernel.calendar import Month
from chalicelib.kernel.records import Record
from chalicelib.programs.models import PointValue

MONTHS_MAX = 120
"""So many months of cohorts are followed for breakage."""


class Kind(StrEnum):
    """Whose accounts. Each kind has a table of its own, in its own units: points, minor units of money, visits."""

    MEMBER = "member"
    POOL = "pool"
    STORED_VALUE = "stored_value"
    """Cards that hold money: minor units of it."""
    COUNT_CARD = "count_card"
    """Cards that hold visits."""


PRICED = (Kind.MEMBER, Kind.POOL)
"""Kinds of accounts that hold points, which the program's point value prices."""

MonthText = Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$")]
"""A calendar month, `YYYY-MM`."""


class Figure(StrEnum):
    """A column of the roll-forward: why points came or went."""

    ISSUED = "issued"
    """Earned by purchases and gifts."""
    SPENT = "spent"
    """Spent, also as a tender."""
    EXPIRED = "expired"
    RETURNED = "returned"
    """Taken back and given back by returns and reversals."""
    ADJUSTED = "adjusted"
    """Corrections, write-offs, and what closing a membership took."""
    TRANSFERRED = "transferred"
    """Net of what went and what came: over all accounts, the fees."""
    MERGED = "merged"
    """Nought over all accounts."""


FIGURES = tuple(Figure)


class Figures(Record):
    """What some accounts of a kind come to. Figures add up, whatever the order.

    Attributes are sums over accounts, in points; months count from year 0.
    """

    accounts: int = 0
    in_debt: int = 0
    balance: int = 0
    """What the newest entries say of the balance."""
    debts: int = 0
    unbooked: int = 0
    """Of the balance, what expired and has no entry yet."""
    pending: int = 0
    held: int = 0
    principal: int = 0
    """Of what can be spent, what never expires: on a card that holds money, what was paid in."""
    moved: dict[Month, tuple[int, ...]] = {}
    """By the month in which entries were recorded: a figure for each of `FIGURES`."""
    late: dict[Month, int] = {}
    """Of a month's movements, those that happened in an earlier month: their net."""
    lots: dict[Month, dict[Month, int]] = {}
    """What can be spent, by the month of its last day and then by the month in which it was recorded as issued."""
    issued: dict[Month, int] = {}
    """By month of issue, net of returns."""
    left: dict[Month, dict[int, int]] = {}
    """By month of issue and months since: what was left at the end of each month."""
    lapsed: dict[Month, int] = {}
    """By month of issue: what expired."""


class Lot(Record):
    """Points that expire in one month and were issued in another."""

    expires: MonthText | None
    """Null when they do not expire."""
    issued: MonthText
    points: int
    value_minor: int | None


class Rolled(Record):
    """A month of the roll-forward: opening and movements are the closing."""

    month: MonthText
    opening: int
    issued: int
    spent: int
    expired: int
    returned: int
    adjusted: int
    transferred: int
    merged: int
    closing: int
    of_earlier_months: int
    """Of the movements, the net of what happened in an earlier month and was recorded in this one."""


class Development(Record):
    """Of the points that were left so many months after they were issued, the share that expired in the end."""

    months: int
    cohorts: int
    left: int
    expired: int


class Breakage(Record):
    """How many of the points there are will expire, by what happened to others before them."""

    method: str
    expected_points: int | None
    """Null while history is too short for some of the points: no figure rather than a wrong one."""
    expected_minor: int | None
    covered_points: int
    """Points for which there is enough history."""
    uncovered_points: int
    never_expire_points: int
    matured_cohorts: int
    developments: tuple[Development, ...]


class KindTable(Record):
    """The accounts of a kind."""

    kind: Kind
    accounts: int
    outstanding_points: int
    """What can be spent, today or when it is no longer pending."""
    outstanding_minor: int | None
    """At the program's point value; null where the account holds no points."""
    pending_points: int
    held_points: int
    principal_minor: int | None
    """On cards that hold money: what was paid in and is owed to their owners; the rest is bonus. Null elsewhere."""
    debts_points: int
    """What accounts below nought owe; not set off against what others have."""
    debts_accounts: int
    expired_unbooked_points: int
    """Expired and not booked yet: in the balance, no longer outstanding."""
    balance: int
    """Outstanding and expired but unbooked, less debts: what the entries add up to."""
    lots: tuple[Lot, ...]
    months: tuple[Rolled, ...]
    breakage: Breakage


class LiabilityReport(Record):
    """Points outstanding at an instant, and every month's roll-forward up to it."""

    as_of: AwareDatetime
    day: date
    """On which lots that can be spent are counted."""
    time_zone: str
    currency: str
    point_value: PointValue
    accounts_left_out: int
    """Accounts that did not hold in the proof: nothing of theirs is in the figures."""
    tables: tuple[KindTable, ...]


class LiabilityQuery(Record):
    """Which month."""

    month: MonthText | None = Field(default=None)
    """The report nearest after this month's end, and of its roll-forward only this month; the newest report and all
    months, when left out."""
