"""Liability: examples worked out by hand, and an oracle that spends lots point by point."""

from collections import Counter, deque
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.calendar import Month, local_day, month_of
from chalicelib.kernel.sheets import csv_text
from chalicelib.liability import rules
from chalicelib.liability.errors import LiabilityUntied
from chalicelib.liability.models import Figures, Kind
from chalicelib.points.models import Entry, Reason
from chalicelib.programs.models import PointValue
from chalicelib.proof.rules import verify
from local.verify import _tell_liability
from tests.makers import NOON, a_program
from tests.unit.histories import Adjust, Buy, Life, Settle, Spend, Step, Wait, histories

DAY = 24
PRICE = PointValue(points=100, minor=100)


def read(life: Life, cutoff: datetime | None = None) -> Figures:
    """A life's figures."""
    reading = rules.Reading(cutoff or life.now + timedelta(days=1), life.program.time_zone)
    fault = verify(life.account, life.entries, {life.program.version: life.program}, watch=reading)
    assert fault is None
    return reading.figures()


def lived(*steps: Step, **terms: object) -> Life:
    """A life from noon on 15 March 2026, by a program without tiers' multipliers."""
    return Life(a_program(**terms)).through(steps)


def rolled(figures: Figures, cutoff: datetime) -> list[tuple[object, ...]]:
    """The roll-forward of members."""
    made = rules.report({Kind.MEMBER: figures}, a_program(), cutoff)
    return [
        (row.month, row.opening, row.issued, row.spent, row.expired, row.returned, row.adjusted, row.closing)
        for row in made.tables[0].months
    ]


# ---------------------------------------------------------------- by hand


def test_a_year_by_hand() -> None:
    """March: 50 for ¥50. April: 30 for ¥30, 20 spent. Then nothing, until what is left of March expires."""
    life = lived(Buy(50), Wait(30 * DAY), Buy(30), Spend(20), Wait(365 * DAY), Settle())
    cutoff = datetime(2027, 4, 15, tzinfo=UTC)
    figures = read(life, cutoff)
    rows = rolled(figures, cutoff)
    assert rows[:2] == [("2026-03", 0, 50, 0, 0, 0, 0, 50), ("2026-04", 50, 30, -20, 0, 0, 0, 60)]
    assert rows[2:-1] == [(f"{2026 + m // 12}-{m % 12 + 1:02d}", 60, 0, 0, 0, 0, 0, 60) for m in range(4, 15)]
    assert rows[-1] == ("2027-04", 60, 0, 0, -30, 0, 0, 30)
    (table,) = rules.report({Kind.MEMBER: figures}, a_program(), cutoff).tables
    assert [(lot.expires, lot.issued, lot.points, lot.value_minor) for lot in table.lots] == [
        ("2027-04", "2026-04", 30, 30)
    ]
    assert figures.left[month_of(date(2026, 3, 1))][0] == 50
    assert figures.left[month_of(date(2026, 3, 1))][1] == 30, "April's 20 came from what expires first"
    assert figures.lapsed == {month_of(date(2026, 3, 1)): 30}


def test_within_a_bucket_what_was_issued_first_is_spent_first() -> None:
    """Two months earn into the bucket of one year's end; 60 of 50 + 40 are spent: 30 of the second month are left."""
    life = lived(Buy(50), Wait(30 * DAY), Buy(40), Spend(60), expiry={"mode": "end_of_year", "years": 0})
    assert read(life).lots == {month_of(date(2026, 12, 31)): {month_of(date(2026, 4, 1)): 30}}


def test_what_expired_and_is_not_booked_is_in_the_balance_and_not_outstanding() -> None:
    life = lived(Buy(50), expiry={"mode": "rolling", "months": 1, "bucket": "day"})
    cutoff = datetime(2026, 6, 1, tzinfo=UTC)
    figures = read(life, cutoff)
    assert (figures.balance, figures.unbooked, figures.lots, figures.debts) == (50, 50, {}, 0)
    assert rules.report({Kind.MEMBER: figures}, a_program(), cutoff).tables[0].balance == 50


def test_a_debt_is_shown_apart_and_not_set_off() -> None:
    owes, has = read(lived(Buy(10), Adjust(-25))), read(lived(Buy(40)))
    both = rules.added(owes, has)
    (table,) = rules.report({Kind.MEMBER: both}, a_program(), NOON + timedelta(days=1)).tables
    assert (table.outstanding_points, table.debts_points, table.debts_accounts, table.balance) == (40, 15, 1, 25)


def test_what_is_recorded_after_the_cutoff_is_not_there_and_a_closed_month_never_changes() -> None:
    life = lived(Buy(50), Wait(30 * DAY), Spend(20))
    end_of_march = datetime(2026, 3, 31, 16, tzinfo=UTC)  # midnight in Shanghai
    before = read(life, end_of_march)
    march = month_of(date(2026, 3, 1))
    life.through([Wait(10 * DAY), Buy(7, days_late=35), Adjust(3, days_late=40), Spend(1, days_late=30)])
    after = read(life)
    assert read(life, end_of_march) == before
    assert after.moved[march] == before.moved[march]
    assert after.late == {month_of(date(2026, 4, 1)): 7 + 3 - 1}, "it stands in the month that learnt of it"


def test_kinds_have_tables_of_their_own_and_visits_are_not_priced() -> None:
    figures = {kind: read(lived(Buy(40))) for kind in Kind}
    tables = rules.report(figures, a_program(), NOON + timedelta(days=1)).tables
    assert [(table.kind, table.outstanding_minor) for table in tables] == [
        (Kind.MEMBER, 40), (Kind.POOL, 40), (Kind.STORED_VALUE, 40), (Kind.COUNT_CARD, None),
    ]  # fmt: skip
    assert tables[3].lots[0].value_minor is None
    assert [table.principal_minor for table in tables] == [None, None, 0, None]


# ---------------------------------------------------------------- it ties, or there is none


@pytest.mark.parametrize("figure", ["balance", "debts", "unbooked"])
def test_a_report_that_is_off_by_a_point_is_not_given(figure: str) -> None:
    figures = read(lived(Buy(50), Spend(20)))
    wrong = figures.model_copy(update={figure: getattr(figures, figure) + 1})
    with pytest.raises(LiabilityUntied):
        rules.report({Kind.MEMBER: wrong}, a_program(), NOON + timedelta(days=1))


def test_a_stored_report_that_was_changed_is_not_given() -> None:
    made = rules.report({Kind.MEMBER: read(lived(Buy(50), Spend(20)))}, a_program(), NOON + timedelta(days=1))
    (table,) = made.tables
    for changed in (
        {"months": (table.months[0].model_copy(update={"issued": 51}),)},
        {"lots": (table.lots[0].model_copy(update={"points": 31}),)},
        {"outstanding_minor": 31},
        {"outstanding_points": 31},
    ):
        with pytest.raises(LiabilityUntied):
            rules.require_tied(made.model_copy(update={"tables": (table.model_copy(update=changed),)}))


def spent_point_by_point(entries: list[Entry], cutoff: date) -> Counter[tuple[Month, Month]]:
    """What is left of each lot, by its last day and month of issue: an oracle that spends one point after another.

    For lives whose commands are told when they happen.
    """
    lots: dict[date, deque[Month]] = {}
    debt = 0
    for entry in entries:
        on = local_day(entry.recorded_at, "Asia/Shanghai")
        if on >= cutoff:
            break
        for bucket in [each for each in lots if each < on]:
            del lots[bucket]
        if entry.reason is Reason.EXPIRE:
            continue
        for _ in range(entry.earned or 0):
            if debt:
                debt -= 1
            else:
                lots.setdefault(entry.expires_on or date.max, deque()).append(month_of(on))
        for _ in range(entry.consumed or 0):
            first = min((bucket for bucket, points in lots.items() if points), default=None)
            if first is None:
                debt += 1
            else:
                lots[first].popleft()
    return Counter(
        (month_of(bucket), issued) for bucket, points in lots.items() if bucket >= cutoff for issued in points
    )


_steps = st.one_of(
    st.builds(Wait, st.integers(1, 24 * 50)),
    st.builds(Buy, st.integers(1, 60)),
    st.builds(Spend, st.integers(1, 40)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_steps, max_size=40))
def test_lots_are_those_of_an_oracle_that_spends_point_by_point(steps: list[Step]) -> None:
    life = lived(*steps, expiry={"mode": "rolling", "months": 3, "bucket": "month"}, ladder=FLAT)
    cutoff = life.now + timedelta(days=1)
    found = {
        (expires, issued): points
        for expires, by_issue in read(life, cutoff).lots.items()
        for issued, points in by_issue.items()
    }
    assert found == spent_point_by_point(life.entries, local_day(cutoff, "Asia/Shanghai"))


FLAT = {"tiers": [{"tier_id": "t0", "name": {"zh": "级", "en": "T"}, "threshold": 0}]}


@settings(max_examples=60, deadline=None)
@given(st.lists(histories, min_size=1, max_size=3), st.integers(0, 400))
def test_every_report_of_any_lives_ties(many: list[list[Step]], days: int) -> None:
    lives = [lived(*steps) for steps in many]
    cutoff = NOON + timedelta(days=days)
    figures = Figures()
    for life in lives:
        figures = rules.added(figures, read(life, cutoff))
    (table,) = rules.report({Kind.MEMBER: figures}, a_program(), cutoff).tables
    booked = sum(entry.points for life in lives for entry in life.entries if entry.recorded_at < cutoff)
    assert table.balance == booked
    assert figures == Figures.model_validate_json(figures.model_dump_json(exclude_defaults=True), strict=False)


# ---------------------------------------------------------------- prices


def test_parts_are_priced_so_that_they_add_up() -> None:
    thirds = PointValue(points=300, minor=100)
    assert rules.apportioned([1, 1, 1], thirds) == [1, 0, 0], "one minor unit among equals goes to the first"
    assert rules.apportioned([100, 200, 1], thirds) == [33, 67, 0]
    assert rules.priced(301, thirds) == 100
    assert rules.apportioned([], thirds) == []


@given(st.lists(st.integers(0, 10**9), max_size=30), st.integers(1, 1_000), st.integers(1, 1_000))
def test_no_part_is_off_by_a_minor_unit_and_the_sum_is_exact(parts: list[int], points: int, minor: int) -> None:
    value = PointValue(points=points, minor=minor)
    worth = rules.apportioned(parts, value)
    assert sum(worth) == rules.priced(sum(parts), value)
    assert all(abs(each * points - part * minor) < points for each, part in zip(worth, parts, strict=True))


# ---------------------------------------------------------------- breakage


def cohorts(count: int, *, left: int = 1_000, expired: int = 400) -> Figures:
    """Months of issue of which nothing is left: of what was left after a month, some expired; and one open month."""
    first = month_of(date(2025, 1, 1))
    months = [Month(first + number) for number in range(count)]
    open_month = month_of(date(2026, 2, 1))
    return Figures(
        issued={**dict.fromkeys(months, 1_500), open_month: 900},
        left={**{month: {0: 2 * left, 1: left} for month in months}, open_month: {0: 700, 1: 600}},
        lapsed=dict.fromkeys(months, expired),
        lots={month_of(date(2027, 2, 1)): {open_month: 600}},
    )


def test_breakage_is_the_share_that_expired_of_what_was_left_at_the_same_age() -> None:
    found = rules.breakage(cohorts(6), date(2026, 4, 1), PRICE)
    assert (found.expected_points, found.covered_points, found.matured_cohorts) == (240, 600, 6), "600 x 400 / 1000"
    assert found.expected_minor == 240
    younger = {**cohorts(6).lots, month_of(date(2027, 3, 1)): {month_of(date(2026, 3, 1)): 100}}
    found = rules.breakage(replace_lots(cohorts(6), younger), date(2026, 4, 1), PRICE)
    assert found.expected_points == 240 + 20, "100 x 400 / 2000, a month younger"


def replace_lots(figures: Figures, lots: dict[Month, dict[Month, int]]) -> Figures:
    """Figures with other lots."""
    return figures.model_copy(update={"lots": lots})


@pytest.mark.parametrize(
    "figures",
    [cohorts(5), cohorts(6, left=100), Figures(lots={month_of(date(2027, 2, 1)): {month_of(date(2026, 2, 1)): 600}})],
    ids=["five cohorts", "few points", "no history"],
)
def test_with_little_history_there_is_no_estimate(figures: Figures) -> None:
    found = rules.breakage(figures, date(2026, 4, 1), PRICE)
    assert (found.expected_points, found.expected_minor, found.uncovered_points) == (None, None, 600)


def test_points_that_never_expire_have_no_breakage() -> None:
    never = replace_lots(cohorts(6), {month_of(date(9999, 12, 31)): {month_of(date(2026, 2, 1)): 600}})
    found = rules.breakage(never, date(2026, 4, 1), PRICE)
    assert (found.expected_points, found.never_expire_points, found.uncovered_points) == (None, 600, 0)


# ---------------------------------------------------------------- sheets


def test_a_sheet_says_every_figure_and_stays_numbers() -> None:
    made = rules.report({Kind.MEMBER: read(lived(Buy(50), Spend(20)))}, a_program(), NOON + timedelta(days=1))
    text = csv_text(rules.rows_of(made))
    assert text.startswith("\ufeffas_of,accounts,section,month,issued_in,figure,points,value_minor,currency\r\n")
    assert ",member,outstanding,2027-03,2026-03,points,30,30,CNY\r\n" in text
    assert ",member,roll_forward,2026-03,,spent,-20,,CNY\r\n" in text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx", "＝1", " =1", "\u3000=1"])
def test_no_text_is_taken_for_a_formula(text: str) -> None:
    cell = csv_text([[text, -5]]).removeprefix("\ufeff")
    assert cell.startswith(("'", "\"'"))
    assert cell.endswith(",-5\r\n")
    assert csv_text([["a", None, 'b"c,']]) == '\ufeffa,,"b""c,"\r\n'


def test_what_is_told_is_in_the_units_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    kinds = {kind: read(lived(Buy(12_345))) for kind in Kind}
    _tell_liability(rules.report(kinds, a_program(), NOON + timedelta(days=1)))
    told = capsys.readouterr().out
    for line in (
        "members: 12,345 points outstanding, ¥123.45",
        "pools: 12,345 points outstanding, ¥123.45",
        "stored-value cards: ¥123.45 outstanding",
        "owed by 0 accounts: ¥0.00; expired and not booked: ¥0.00; balance: ¥123.45",
        "count cards: 12,345 visits outstanding",
        "owed by 0 accounts: 0 visits; expired and not booked: 0 visits; balance: 12,345 visits",
    ):
        assert f"  {line}\n" in told
    cards = told.partition("stored-value cards:")[2]
    assert "points" not in cards
    assert cards.count("2026-03") == 2
    assert "¥123.45" in cards.partition("2026-03")[2].partition("\n")[0]
