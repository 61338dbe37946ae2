"""From an account's entries to figures, and from figures to a report that ties. Pure.

Which points are still there: what expires first is spent first (the ledger's own rule), and within points that expire
together what was issued first. Months are those in which entries were *recorded*: the order of the ledger, in which a
month that is over never changes. What a till told late stands in the month that learnt of it, and is shown apart.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import TypeVar

from chalicelib.kernel.calendar import NEVER, Month, first_day, local_day, month_of
from chalicelib.kernel.ids import AccountId
from chalicelib.liability.errors import LiabilityUntied
from chalicelib.liability.models import (
    FIGURES,
    MONTHS_MAX,
    PRICED,
    Breakage,
    Development,
    Figure,
    Figures,
    Kind,
    KindTable,
    LiabilityReport,
    Lot,
    Rolled,
)
from chalicelib.points.models import Account, Entry, EntryKey, Position, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.programs.models import PointValue, Program

COHORTS_MIN = 6
"""An estimate needs so many months of issue that are over and were followed to the end."""

LEFT_MIN = 1_000
"""And so many points that were left in them at the age in question."""

METHOD = (
    "Of points that were left n months after their month of issue, the share that expired in the end, over all months "
    "of issue of which nothing is left; applied to the points that are n months old now. Points that never expire have "
    f"none. No figure where fewer than {COHORTS_MIN} such months, or {LEFT_MIN} points in them, are known."
)

_KINDS = {"mem": Kind.MEMBER, "pol": Kind.POOL, "crd": Kind.STORED_VALUE}

_COLUMNS = {
    Reason.SPEND: Figure.SPENT,
    Reason.EXPIRE: Figure.EXPIRED,
    Reason.REVERSE: Figure.RETURNED,
    Reason.ADJUST: Figure.ADJUSTED,
    Reason.TRANSFER: Figure.TRANSFERRED,
    Reason.MERGE: Figure.MERGED,
    Reason.HOLD: Figure.SPENT,
    Reason.RELEASE: Figure.SPENT,
    Reason.TIER: Figure.ADJUSTED,
}
"""The column of an entry's points; an earn has two."""

K = TypeVar("K", bound=int)


class Reading:
    """Reads one account's entries, in order, into figures.

    Args:
        cutoff: what was recorded from then on is not read.
        time_zone: of the months.
    """

    def __init__(self, cutoff: datetime, time_zone: str) -> None:
        self._cutoff = cutoff
        self._zone = time_zone
        self._account: Account | None = None
        self._holds_visits = False
        self._month = Month(0)
        self._balance = 0
        self._moved: dict[Month, list[int]] = {}
        self._late: dict[Month, int] = {}
        self._issues: dict[date, dict[Month, int]] = {}
        self._issued: dict[Month, int] = {}
        self._months_of: dict[EntryKey | tuple[str, ...], Month] = {}
        self._left: dict[Month, dict[int, int]] = {}
        self._lapsed: dict[Month, int] = {}

    def __call__(self, account: Account, entry: Entry) -> None:
        """See an entry, and the account after it."""
        if entry.recorded_at >= self._cutoff:
            return
        self._holds_visits |= entry.key.kind == "card" and bool(entry.earned)
        month = month_of(local_day(entry.recorded_at, self._zone))
        if self._account is not None and month > self._month:
            self._close_months(Month(month - 1))
        self._account, self._month, self._balance = account, month, entry.balance_after
        self._move(entry, month)
        self._issue(entry, month)

    def kind(self, account_id: AccountId) -> Kind:
        """The kind of the account that was read: a card that was sold with visits says so in its first entry."""
        return Kind.COUNT_CARD if self._holds_visits else _KINDS[account_id[:3]]

    def figures(self) -> Figures:
        """What the account comes to at the cutoff."""
        day = local_day(self._cutoff, self._zone)
        if self._account is None:
            return Figures(accounts=1)
        self._close_months(Month(month_of(day) - 1))
        position = derive(self._account, day, self._cutoff)
        return Figures(
            accounts=1,
            in_debt=int(position.balance < 0),
            balance=self._balance,
            debts=position.owed,
            unbooked=position.lapsed - self._account.lifetime.expired,
            pending=position.pending,
            held=position.held,
            principal=sum(points for bucket, points in position.left if bucket == NEVER),
            moved={month: tuple(sums) for month, sums in self._moved.items()},
            late=self._late,
            lots=self._lots(position),
            issued=self._issued,
            left=self._left,
            lapsed=self._lapsed,
        )

    def _move(self, entry: Entry, month: Month) -> None:
        sums = self._moved.setdefault(month, [0] * len(FIGURES))
        if entry.reason is Reason.EARN:
            spent = entry.consumed or 0
            sums[FIGURES.index(Figure.ISSUED)] += entry.points + spent
            sums[FIGURES.index(Figure.SPENT)] -= spent
        else:
            sums[FIGURES.index(_COLUMNS[entry.reason])] += entry.points
        if month_of(entry.occurred_on) < month and entry.reason is not Reason.EXPIRE and entry.points:
            self._late[month] = self._late.get(month, 0) + entry.points

    def _issue(self, entry: Entry, month: Month) -> None:
        """Remember when points of a bucket were issued; what is taken back is taken from its own month."""
        if entry.earned and entry.expires_on is not None:
            of = self._months_of.get(entry.cause, month) if entry.earned < 0 and entry.cause else month
            if entry.earned > 0:
                self._months_of[entry.key] = month
            self._add(entry.expires_on, of, entry.earned)
        if entry.sums is not None:
            for bucket, points in entry.sums.earned.items():
                self._add(bucket, month, points)

    def _add(self, bucket: date, month: Month, points: int) -> None:
        issues = self._issues.setdefault(bucket, {})
        issues[month] = issues.get(month, 0) + points
        self._issued[month] = self._issued.get(month, 0) + points

    def _close_months(self, last: Month) -> None:
        """Note what was left, and what expired, at the end of each month up to the last."""
        assert self._account is not None
        for month in range(self._month, last + 1):
            position = derive(self._account, first_day(Month(month + 1)))
            for bucket, points in position.left:
                for issued, part in self._shares(bucket, points).items():
                    if 0 <= month - issued < MONTHS_MAX:
                        ages = self._left.setdefault(issued, {})
                        ages[month - issued] = ages.get(month - issued, 0) + part
            for bucket, points in position.lapses.items():
                if month_of(bucket) == month:
                    for issued, part in self._shares(bucket, points).items():
                        self._lapsed[issued] = self._lapsed.get(issued, 0) + part
            if not position.left:
                break

    def _lots(self, position: Position) -> dict[Month, dict[Month, int]]:
        lots: dict[Month, dict[Month, int]] = {}
        for bucket, points in position.left:
            by_issue = lots.setdefault(month_of(bucket), {})
            for issued, part in self._shares(bucket, points).items():
                by_issue[issued] = by_issue.get(issued, 0) + part
        return lots

    def _shares(self, bucket: date, points: int) -> dict[Month, int]:
        """What is left of a bucket, by month of issue: what was issued last is spent last."""
        shares: dict[Month, int] = {}
        carried = 0
        issues = self._issues.get(bucket, {})
        for month in sorted(issues, reverse=True):
            carried += issues[month]
            part = min(max(carried, 0), points)
            carried = min(carried, 0)
            if part:
                shares[month] = part
                points -= part
        if points:
            first = min(issues, default=self._month)
            shares[first] = shares.get(first, 0) + points
        return shares


# ---------------------------------------------------------------- adding up


def added(one: Figures, other: Figures) -> Figures:
    """Both together."""
    return Figures(
        accounts=one.accounts + other.accounts,
        in_debt=one.in_debt + other.in_debt,
        balance=one.balance + other.balance,
        debts=one.debts + other.debts,
        unbooked=one.unbooked + other.unbooked,
        pending=one.pending + other.pending,
        held=one.held + other.held,
        principal=one.principal + other.principal,
        moved={month: _each(one.moved.get(month), other.moved.get(month)) for month in {**one.moved, **other.moved}},
        late=_sum(one.late, other.late),
        lots=_sums(one.lots, other.lots),
        issued=_sum(one.issued, other.issued),
        left=_sums(one.left, other.left),
        lapsed=_sum(one.lapsed, other.lapsed),
    )


def _each(one: Sequence[int] | None, other: Sequence[int] | None) -> tuple[int, ...]:
    none = (0,) * len(FIGURES)
    return tuple(a + b for a, b in zip(one or none, other or none, strict=True))


def _sum(one: Mapping[K, int], other: Mapping[K, int]) -> dict[K, int]:
    return {key: one.get(key, 0) + other.get(key, 0) for key in {**one, **other}}


def _sums(one: Mapping[Month, Mapping[K, int]], other: Mapping[Month, Mapping[K, int]]) -> dict[Month, dict[K, int]]:
    return {key: _sum(one.get(key, {}), other.get(key, {})) for key in {**one, **other}}


# ---------------------------------------------------------------- the report


def report(
    figures: Mapping[Kind, Figures], program: Program, cutoff: datetime, *, left_out: int = 0
) -> LiabilityReport:
    """The report of an instant.

    Args:
        program: its point value prices what is outstanding.
        left_out: accounts that did not hold, and are not in the figures.

    Raises:
        LiabilityUntied: the figures do not tie to the ledger.
    """
    day = local_day(cutoff, program.time_zone)
    made = LiabilityReport(
        as_of=cutoff,
        day=day,
        time_zone=program.time_zone,
        currency=program.currency,
        point_value=program.point_value,
        accounts_left_out=left_out,
        tables=tuple(_table(kind, figures[kind], program.point_value, day) for kind in Kind if kind in figures),
    )
    require_tied(made)
    return made


def _table(kind: Kind, figures: Figures, value: PointValue, day: date) -> KindTable:
    cells = [
        (expires, issued, points)
        for expires, by_issue in sorted(figures.lots.items())
        for issued, points in sorted(by_issue.items())
    ]
    outstanding = sum(points for _, _, points in cells)
    worth: Sequence[int | None] = [None] * len(cells)
    total = None
    if kind in PRICED:
        total = priced(outstanding, value)
        worth = apportioned([points for _, _, points in cells], value)
    elif kind is Kind.STORED_VALUE:  # what it holds is money
        total, worth = outstanding, [points for _, _, points in cells]
    lots = [
        Lot(expires=_expires(expires), issued=_text(issued), points=points, value_minor=minor)
        for (expires, issued, points), minor in zip(cells, worth, strict=True)
    ]
    return KindTable(
        kind=kind,
        accounts=figures.accounts,
        outstanding_points=outstanding,
        outstanding_minor=total,
        pending_points=figures.pending,
        held_points=figures.held,
        principal_minor=figures.principal if kind is Kind.STORED_VALUE else None,
        debts_points=figures.debts,
        debts_accounts=figures.in_debt,
        expired_unbooked_points=figures.unbooked,
        balance=figures.balance,
        lots=tuple(lots),
        months=_rolled(figures, month_of(day)),
        breakage=breakage(figures, day, value if kind in PRICED else None),
    )


def _rolled(figures: Figures, last: Month) -> tuple[Rolled, ...]:
    rows: list[Rolled] = []
    opening = 0
    for number in range(min(figures.moved, default=last), last + 1):
        month = Month(number)
        moved = dict(zip(FIGURES, figures.moved.get(month, (0,) * len(FIGURES)), strict=True))
        closing = opening + sum(moved.values())
        rows.append(
            Rolled(
                month=_text(month),
                opening=opening,
                closing=closing,
                of_earlier_months=figures.late.get(month, 0),
                **{figure.value: points for figure, points in moved.items()},
            )
        )
        opening = closing
    return tuple(rows)


def require_tied(made: LiabilityReport) -> None:
    """Refuse a report that does not tie to the point.

    Three ways must come to the same: what the newest entries say of the balance; what the movements of all months add
    up to; what can be spent and what expired unbooked, less debts, as the lots say.

    Raises:
        LiabilityUntied: they do not.
    """
    for table in made.tables:
        opening = 0
        for row in table.months:
            moved = sum(getattr(row, figure) for figure in FIGURES)
            if row.opening != opening or row.closing != opening + moved:
                raise LiabilityUntied(kind=table.kind, what=f"{row.month} does not follow from the month before")
            opening = row.closing
        by_lots = table.outstanding_points + table.expired_unbooked_points - table.debts_points
        minors = [lot.value_minor for lot in table.lots if lot.value_minor is not None]
        checks = (
            (opening == table.balance, f"the months come to {opening}, the balances to {table.balance}"),
            (by_lots == table.balance, f"the lots come to {by_lots}, the balances to {table.balance}"),
            (
                sum(lot.points for lot in table.lots) == table.outstanding_points,
                "the lots are not what is outstanding",
            ),
            (
                table.outstanding_minor is None or sum(minors) == table.outstanding_minor,
                "the values of the lots are not the value of all",
            ),
        )
        for holds, what in checks:
            if not holds:
                raise LiabilityUntied(kind=table.kind, what=what)


def priced(points: int, value: PointValue) -> int:
    """What points are worth in minor units, rounded half up, once for all of them."""
    return (2 * points * value.minor + value.points) // (2 * value.points)


def apportioned(parts: Sequence[int], value: PointValue) -> list[int]:
    """What each part is worth, so that the parts add up to what all of them are worth.

    Each is rounded down; the minor units that are left go one by one to the largest remainders, the first of equals
    first.
    """
    shares = [divmod(points * value.minor, value.points) for points in parts]
    left = priced(sum(parts), value) - sum(whole for whole, _ in shares)
    lucky = sorted(range(len(parts)), key=lambda number: (-shares[number][1], number))[:left]
    worth = [whole for whole, _ in shares]
    for number in lucky:
        worth[number] += 1
    return worth


def breakage(figures: Figures, day: date, value: PointValue | None) -> Breakage:
    """How many of the points there are will expire, where history says enough (`METHOD`)."""
    never = month_of(NEVER)
    open_cohorts = {issued for by_issue in figures.lots.values() for issued, points in by_issue.items() if points}
    matured = [month for month in figures.issued if month not in open_cohorts and figures.left.get(month)]
    ages = sorted({age for month in matured for age in figures.left[month]})
    developments = {
        age: Development(
            months=age,
            cohorts=sum(1 for month in matured if age in figures.left[month]),
            left=sum(figures.left[month].get(age, 0) for month in matured),
            expired=sum(figures.lapsed.get(month, 0) for month in matured if age in figures.left[month]),
        )
        for age in ages
    }
    last_closed = month_of(day) - 1
    covered = uncovered = expected = 0
    for expires, by_issue in figures.lots.items():
        for issued, points in by_issue.items():
            seen = developments.get(max(last_closed - issued, 0))
            if expires == never:
                continue
            if seen is None or seen.cohorts < COHORTS_MIN or seen.left < LEFT_MIN:
                uncovered += points
                continue
            covered += points
            expected += points * min(seen.expired, seen.left) // seen.left
    whole = None if uncovered or not covered else expected
    return Breakage(
        method=METHOD,
        expected_points=whole,
        expected_minor=priced(whole, value) if whole is not None and value is not None else None,
        covered_points=covered,
        uncovered_points=uncovered,
        never_expire_points=sum(figures.lots.get(never, {}).values()),
        matured_cohorts=len(matured),
        developments=tuple(developments.values()),
    )


# ---------------------------------------------------------------- months and rows


def of_month(made: LiabilityReport, month: str) -> LiabilityReport:
    """A report with one month of each roll-forward."""
    tables = [
        table.model_copy(update={"months": tuple(row for row in table.months if row.month == month)})
        for table in made.tables
    ]
    return made.model_copy(update={"tables": tuple(tables)})


HEADINGS = ("as_of", "accounts", "section", "month", "issued_in", "figure", "points", "value_minor", "currency")


def rows_of(made: LiabilityReport) -> Iterable[tuple[str | int | None, ...]]:
    """A report as rows for a spreadsheet: one figure a row, so that they can be filtered and summed."""
    yield HEADINGS
    as_of = made.as_of.isoformat()
    for table in made.tables:
        totals = (
            ("outstanding", table.outstanding_points, table.outstanding_minor),
            ("pending", table.pending_points, None),
            ("held", table.held_points, None),
            *(
                [("principal", table.principal_minor, table.principal_minor)]
                if table.principal_minor is not None
                else []
            ),
            ("debts", -table.debts_points, None),
            ("expired_unbooked", table.expired_unbooked_points, None),
            ("balance", table.balance, None),
            ("expected_breakage", table.breakage.expected_points, table.breakage.expected_minor),
        )
        for name, points, minor in totals:
            yield as_of, table.kind.value, "total", None, None, name, points, minor, made.currency
        for lot in table.lots:
            expires = lot.expires or "never"
            yield (
                as_of, table.kind.value, "outstanding", expires, lot.issued, "points", lot.points, lot.value_minor,
                made.currency,
            )  # fmt: skip
        for row in table.months:
            for name in ("opening", *(figure.value for figure in FIGURES), "closing", "of_earlier_months"):
                points = getattr(row, name)
                yield as_of, table.kind.value, "roll_forward", row.month, None, name, points, None, made.currency


def _text(month: Month) -> str:
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def _expires(month: Month) -> str | None:
    return None if month == month_of(NEVER) else _text(month)
