"""The arithmetic of the ledger, case by case."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chalicelib.kernel.calendar import NEVER, Month
from chalicelib.kernel.canonical import GENESIS
from chalicelib.kernel.languages import Language
from chalicelib.kernel.money import POINTS_MAX
from chalicelib.points.errors import (
    AdjustmentEmpty,
    BalanceTooLarge,
    ExpiryPast,
    MemberClosed,
    MemberSuspended,
    OccurredInFuture,
    PointsInsufficient,
)
from chalicelib.points.models import (
    Account,
    AccountStatus,
    AdjustPoints,
    Entry,
    EntryKey,
    ExpiringNext,
    Folded,
    Lifetime,
    Lot,
    PointsSummary,
    PointsView,
    Position,
    Posting,
    Reason,
    Reserved,
    SpendPoints,
    Sums,
    TierNext,
    TierRetain,
    TierView,
    Why,
)
from chalicelib.points.rules.balances import derive
from chalicelib.points.rules.commands import adjust, forfeit, spend
from chalicelib.points.rules.due_dates import due_on
from chalicelib.points.rules.guards import CLOCK_SKEW
from chalicelib.points.rules.ledger import lapse, settle
from chalicelib.points.views import explained, points_view, summary, tier_view
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify
from chalicelib.purchases.rules.buying import assess
from chalicelib.tiers.models import Anchor
from tests.makers import NOON, a_ladder, a_program, a_purchase, an_account
from tests.unit.histories import Absorb, Adjust, Buy, Life, Receive, Reserve, Settle, Spend, Step, Wait

PROGRAM = a_program()
DAY = 24


def noon(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), NOON.time(), tzinfo=UTC)


def bought(account: Account, yuan: int, on: str, *, told: str | None = None, program: Program = PROGRAM) -> Posting:
    command = a_purchase(account.member_id, paid_minor=yuan * 100, occurred_at=noon(on).isoformat())
    return assess(account, command, program, content=b"c" * 32, now=noon(told or on))


def spent(account: Account, points: int, on: str, *, told: str | None = None, program: Program = PROGRAM) -> Posting:
    command = SpendPoints(points=points, occurred_at=noon(on))
    key = EntryKey(kind="spend", parts=(f"s{account.seq}",))
    return spend(account, command, key, program, content=b"c" * 32, now=noon(told or on))


def adjusted(account: Account, points: int, on: str, *, program: Program = PROGRAM, **fields: Any) -> Posting:
    command = AdjustPoints(points=points, reason_code="gift", **fields)
    key = EntryKey(kind="adjust", parts=(f"a{account.seq}",))
    return adjust(account, command, key, program, content=b"c" * 32, now=noon(on))


# ---------------------------------------------------------------- deriving


def test_a_lot_is_live_on_its_last_day_and_dead_after() -> None:
    account = an_account(earned={date(2026, 3, 31): 100})

    assert derive(account, date(2026, 3, 31)) == Position(
        balance=100, left=((date(2026, 3, 31), 100),), lapses={}, lapsed=0
    )
    assert derive(account, date(2026, 4, 1)) == Position(
        balance=0, left=(), lapses={date(2026, 3, 31): 100}, lapsed=100
    )


def test_points_that_never_expire_are_spent_last_and_shown_without_a_day() -> None:
    account = an_account(
        earned={NEVER: 50, date(2026, 4, 30): 20, date(2026, 3, 31): 10}, spent={date(2026, 3, 31): 15}
    )

    assert derive(account, date(2026, 3, 15)) == Position(
        balance=65,
        left=((date(2026, 4, 30), 15), (NEVER, 50)),
        lapses={},
        lapsed=0,
    )


def test_a_debt_is_paid_by_the_next_points() -> None:
    account = bought(an_account(), 10, "2026-03-01").account
    account = adjusted(account, -30, "2026-03-02").account
    assert (derive(account, date(2026, 3, 2)).owed, derive(account, date(2026, 3, 2)).lots) == (20, ())

    account = bought(account, 50, "2026-03-03").account

    assert derive(account, date(2026, 3, 3)) == Position(
        balance=30, left=((date(2027, 3, 31), 30),), lapses={}, lapsed=0
    )


def test_points_spent_in_a_month_are_not_paid_by_points_that_died_before_it() -> None:
    account = an_account(earned={date(2026, 3, 31): 10, date(2026, 4, 30): 10}, spent={date(2026, 4, 30): 4})

    assert derive(account, date(2026, 5, 1)) == Position(
        balance=0, left=(), lapses={date(2026, 3, 31): 10, date(2026, 4, 30): 6}, lapsed=16
    )


# ---------------------------------------------------------------- settling


def test_settling_books_each_closed_bucket_at_the_midnight_after_its_last_day_in_the_programs_zone() -> None:
    account = bought(an_account(), 10, "2025-01-10").account
    account = bought(account, 20, "2025-02-10").account
    now = noon("2026-03-15")

    after, entries = settle(account, PROGRAM, now=now)

    facts = [(e.key.parts[1], e.points, e.balance_after, e.occurred_at, e.occurred_on, e.recorded_at) for e in entries]
    assert facts == [
        ("2026-01-31", -10, 20, datetime(2026, 1, 31, 16, tzinfo=UTC), date(2026, 1, 31), now),
        (
            "2026-02-28",
            -20,
            0,
            datetime(2026, 2, 28, 16, tzinfo=UTC),
            date(2026, 2, 28),
            now + timedelta(milliseconds=1),
        ),
    ]
    assert [entry.reason for entry in entries] == [Reason.EXPIRE, Reason.EXPIRE]
    assert (after.lifetime, after.seq, after.head) == (Lifetime(earned=30, expired=30), 4, entries[-1].hash)


def test_settling_part_by_part_comes_to_the_same_sums_as_at_once() -> None:
    account = bought(bought(an_account(), 10, "2025-01-10").account, 20, "2025-02-10").account
    now = noon("2026-03-15")

    first, booked_first = lapse(account, PROGRAM, now=now, at_most=1)
    second, booked_second = lapse(first, PROGRAM, now=now, at_most=1)
    whole, booked_at_once = settle(account, PROGRAM, now=now)

    assert [len(booked) for booked in (booked_first, booked_second, booked_at_once)] == [1, 1, 2]
    assert second == whole


def test_nothing_is_booked_on_the_last_day_itself() -> None:
    account = bought(an_account(), 10, "2025-01-10").account

    assert settle(account, PROGRAM, now=datetime(2026, 1, 31, 15, 59, 59, tzinfo=UTC)) == (account, ())


# ---------------------------------------------------------------- late


def test_a_late_purchase_into_a_closed_bucket_expires_at_once_and_says_why() -> None:
    account = bought(an_account(), 10, "2026-03-01").account

    posting = bought(account, 40, "2025-02-10", told="2026-03-15")

    main, correction = posting.entries
    assert (main.points, main.earned, main.lapsed, main.balance_after) == (40, 40, 40, 50)
    assert correction.model_dump(include={"reason", "points", "balance_after", "expires_on", "cause"}) == {
        "reason": Reason.EXPIRE,
        "points": -40,
        "balance_after": 10,
        "expires_on": date(2026, 2, 28),
        "cause": main.key.model_dump(),
    }
    assert correction.key.parts == (account.member_id, "2026-02-28", "3")
    assert settle(posting.account, PROGRAM, now=noon("2026-03-15")) == (posting.account, ())


def test_a_late_spend_takes_back_points_that_had_lapsed_unspent() -> None:
    account = bought(an_account(), 30, "2025-02-10").account
    account = bought(account, 50, "2026-03-01").account

    posting = spent(account, 20, "2026-02-20", told="2026-03-15")

    assert [(e.reason, e.points, e.balance_after) for e in posting.entries] == [
        (Reason.SPEND, -20, 30),
        (Reason.EXPIRE, 20, 50),
    ]
    assert derive(posting.account, date(2026, 3, 15)).balance == 50
    assert posting.account.lifetime == Lifetime(earned=80, spent=20, expired=10)


def test_a_late_purchase_paid_with_lapsed_points_leaves_later_expiries_to_be_booked() -> None:
    life = Life(a_program(expiry={"mode": "rolling", "months": 1}))
    life.through([Buy(30), Wait(48 * DAY), Buy(50), Buy(20, tender=10, days_late=10), Wait(70 * DAY)])

    assert sum(entry.points for entry in life.settle()) == -70
    assert life.account.lifetime == Lifetime(earned=100, spent=10, expired=90)


def test_a_late_purchase_for_a_folded_period_first_pays_what_was_left_uncovered() -> None:
    account = an_account(folded=Folded(through=date(2025, 1, 31), carried=15, lapsed=0), spent={date(2026, 3, 31): 0})

    posting = bought(account, 40, "2024-01-10", told="2026-03-15")

    assert posting.account.folded == Folded(through=date(2025, 1, 31), carried=0, lapsed=25)
    assert [(e.reason, e.points) for e in posting.entries] == [(Reason.EARN, 40), (Reason.EXPIRE, -25)]


def test_a_late_spend_for_a_folded_period_is_paid_by_the_points_there_are() -> None:
    account = bought(an_account(), 50, "2026-03-01").account
    account = account.model_copy(update={"folded": Folded(through=date(2025, 1, 31), carried=0, lapsed=0)})

    posting = spent(account, 20, "2024-12-10", told="2026-03-15")

    assert posting.account.folded == Folded(through=date(2025, 1, 31), carried=20, lapsed=0)
    assert posting.account.lifetime.balance == derive(posting.account, date(2026, 3, 15)).balance == 30


def test_the_thirteenth_closed_period_is_folded() -> None:
    life = Life(a_program(expiry={"mode": "rolling", "months": 1, "bucket": "day"}))
    life.through([each for _ in range(12) for each in (Buy(10), Wait(DAY))] + [Wait(30 * DAY), Buy(0)])
    assert (life.account.folded, len(life.account.earned)) == (None, 12)

    life.through([Buy(5), Wait(33 * DAY), Buy(0)])

    assert life.account.folded == Folded(through=date(2026, 4, 15), carried=0, lapsed=10)
    assert len(life.account.earned) == 12


# ---------------------------------------------------------------- the clock


def test_entries_are_recorded_one_after_the_other_even_when_the_clock_goes_back() -> None:
    first = bought(an_account(), 10, "2026-03-15")
    second = bought(first.account, 10, "2026-03-14")

    assert first.main.recorded_at == NOON
    assert second.main.recorded_at == NOON + timedelta(milliseconds=1)


def test_a_clock_that_goes_back_over_an_expiry_brings_no_points_back() -> None:
    account = bought(bought(an_account(), 10, "2025-01-10").account, 5, "2026-02-01").account
    assert account.lifetime.expired == 10

    posting = bought(account, 7, "2026-01-31")

    assert [entry.points for entry in posting.entries] == [7]
    assert posting.account.lifetime.balance == 12


def test_a_tills_clock_may_be_a_little_ahead_and_then_counts_as_now() -> None:
    command = SpendPoints(points=1, occurred_at=NOON + CLOCK_SKEW)
    key = EntryKey(kind="spend", parts=("k",))
    account = bought(an_account(), 10, "2026-03-15").account

    assert spend(account, command, key, PROGRAM, content=b"", now=NOON).main.occurred_at == NOON
    late = command.model_copy(update={"occurred_at": NOON + CLOCK_SKEW + timedelta(milliseconds=1)})
    with pytest.raises(OccurredInFuture) as refused:
        spend(account, late, key, PROGRAM, content=b"", now=NOON)
    assert refused.value.facts == {
        "occurred_at": "2026-03-15T04:05:00.001+00:00",
        "now": "2026-03-15T04:00:00.000+00:00",
    }


# ---------------------------------------------------------------- commands and refusals


def test_a_spend_of_everything_empties_the_account_and_one_more_is_refused() -> None:
    account = bought(an_account(), 10, "2026-03-01").account

    emptied = spent(account, 10, "2026-03-02").account

    assert derive(emptied, date(2026, 3, 2)) == Position(balance=0, left=(), lapses={}, lapsed=0)
    with pytest.raises(PointsInsufficient) as refused:
        spent(emptied, 1, "2026-03-02")
    assert refused.value.facts == {"asked": 1, "available": 0}


def test_expired_points_cannot_be_spent_even_when_no_job_has_booked_them() -> None:
    account = bought(an_account(), 10, "2025-01-10").account

    with pytest.raises(PointsInsufficient) as refused:
        spent(account, 5, "2026-02-01")

    assert refused.value.facts == {"asked": 5, "available": 0}


@pytest.mark.parametrize(
    ("status", "refusal"), [(AccountStatus.SUSPENDED, MemberSuspended), (AccountStatus.CLOSED, MemberClosed)]
)
def test_an_account_that_is_not_active_neither_earns_nor_spends(
    status: AccountStatus, refusal: type[Exception]
) -> None:
    account = bought(an_account(), 10, "2026-03-01").account.model_copy(update={"status": status})

    for command in (bought, spent):
        with pytest.raises(refusal) as refused:
            command(account, 1, "2026-03-02")
        assert getattr(refused.value, "facts", None) == {"member_id": account.member_id}


def test_a_suspended_account_takes_corrections_and_a_closed_one_does_not() -> None:
    suspended = an_account(status=AccountStatus.SUSPENDED)
    closed = an_account(status=AccountStatus.CLOSED)

    assert adjusted(suspended, 5, "2026-03-02").main.points == 5
    with pytest.raises(MemberClosed) as refused:
        adjusted(closed, 5, "2026-03-02")
    assert refused.value.facts == {"member_id": closed.member_id}


def test_an_adjustment_that_changes_nothing_is_refused() -> None:
    with pytest.raises(AdjustmentEmpty):
        adjusted(an_account(), 0, "2026-03-02")


def test_an_adjustment_may_move_qualifying_points_alone() -> None:
    posting = adjusted(an_account(), 0, "2026-03-02", qualifying_points=1_000)

    assert (posting.main.points, posting.main.qualifying, posting.account.earned) == (0, 1_000, {})
    assert (posting.tier_before, posting.tier_after, posting.account.tier_id) == ("basic", "silver", "silver")


def test_points_cannot_be_given_with_a_last_day_that_is_over() -> None:
    with pytest.raises(ExpiryPast) as refused:
        adjusted(an_account(), 5, "2026-03-02", expires_on=date(2026, 3, 1))

    assert refused.value.facts == {"expires_on": "2026-03-01", "today": "2026-03-02"}


def test_points_given_with_a_last_day_expire_at_the_end_of_its_month_when_months_expire_together() -> None:
    by_month = adjusted(an_account(), 5, "2026-03-02", expires_on=date(2026, 3, 20))
    by_day = adjusted(
        an_account(), 5, "2026-03-02", expires_on=date(2026, 3, 20), program=a_program(expiry={"bucket": "day"})
    )

    assert by_month.account.earned == {date(2026, 3, 31): 5}
    assert by_day.account.earned == {date(2026, 3, 20): 5}


def test_a_spend_is_paid_by_a_days_bucket_that_closes_within_its_month() -> None:
    """A program that goes over from days to months still has buckets of days."""
    by_day = a_program(expiry={"bucket": "day"})
    account = adjusted(an_account(), 100, "2026-03-02", expires_on=date(2026, 3, 20), program=by_day).account

    account = spent(account, 100, "2026-03-05", program=a_program(version=2)).account

    assert derive(account, date(2026, 3, 21)) == Position(balance=0, left=(), lapses={}, lapsed=0)


@pytest.mark.parametrize("policy", ["cap", "pending_only"])
def test_taking_more_than_there_is_is_refused_unless_the_program_lets_members_owe(policy: str) -> None:
    account = bought(an_account(), 10, "2026-03-01").account

    assert adjusted(account, -11, "2026-03-01").main.balance_after == -1
    with pytest.raises(PointsInsufficient) as refused:
        adjusted(account, -11, "2026-03-01", program=a_program(negative_balance=policy))
    assert refused.value.facts == {"asked": 11, "available": 10}


def test_a_balance_stays_within_its_limit_both_ways() -> None:
    full = adjusted(an_account(), POINTS_MAX, "2026-03-01").account
    with pytest.raises(BalanceTooLarge) as refused:
        adjusted(full, 1, "2026-03-01")
    assert refused.value.facts == {"balance": POINTS_MAX + 1, "limit": POINTS_MAX}

    bare = adjusted(an_account(), -POINTS_MAX, "2026-03-01").account
    with pytest.raises(BalanceTooLarge) as refused:
        adjusted(bare, -1, "2026-03-01")
    assert refused.value.facts == {"balance": -POINTS_MAX - 1, "limit": POINTS_MAX}


@pytest.mark.parametrize(("before", "taken"), [(10, -10), (-7, 7)])
def test_closing_takes_what_is_left_and_forgives_what_is_owed(before: int, taken: int) -> None:
    account = adjusted(an_account(), before, "2026-03-01").account
    key = EntryKey(kind="close", parts=("m",))

    posting = forfeit(account, key, PROGRAM, now=noon("2026-03-02"))

    assert posting is not None
    assert (posting.main.points, posting.main.balance_after, posting.main.reason_code) == (taken, 0, "account_closed")
    assert forfeit(posting.account, key, PROGRAM, now=noon("2026-03-02")) is None


def test_an_account_is_due_when_its_member_is_told_of_its_first_lot_and_the_day_after_that_lot() -> None:
    bare = an_account()
    silver = bought(bare, 1_000, "2026-03-01").account
    soon = adjusted(silver, 5, "2026-03-02", expires_on=date(2026, 3, 31)).account
    untold = a_program(notices={"expiring_days": None})

    assert due_on(bare, PROGRAM, date(2026, 3, 2)) is None
    assert due_on(silver, PROGRAM, date(2026, 3, 2)) == date(2027, 3, 17)
    assert due_on(silver, untold, date(2026, 3, 2)) == date(2027, 4, 1)
    assert due_on(soon, PROGRAM, date(2026, 3, 2)) == date(2026, 3, 17)
    assert due_on(soon, untold, date(2026, 3, 2)) == date(2026, 4, 1)
    assert due_on(adjusted(bare, 5, "2026-03-02", expires_on=NEVER).account, PROGRAM, date(2026, 3, 2)) is None


def test_what_is_overdue_is_due_today() -> None:
    account = bought(an_account(), 10, "2026-03-01").account
    assert due_on(account, PROGRAM, date(2027, 4, 1)) == date(2027, 4, 1)
    assert due_on(account, PROGRAM, date(2027, 6, 5)) == date(2027, 6, 5)


def test_a_notice_that_is_overdue_is_due_today() -> None:
    short = adjusted(an_account(), 5, "2026-03-20", expires_on=date(2026, 3, 31)).account
    assert due_on(short, PROGRAM, date(2026, 3, 20)) == date(2026, 3, 20)


# ---------------------------------------------------------------- proving

LADDER = a_ladder(0, 50)
PROVEN = a_program(expiry={"mode": "rolling", "months": 1}, ladder=LADDER, pending_days=1)
STEPS: list[Step] = [
    Buy(30), Wait(DAY), Spend(10), Buy(60, tender=5), Wait(70 * DAY), Settle(), Adjust(20, lasts_days=90),
    Buy(10, days_late=55), Adjust(-25), Wait(-DAY), Buy(7), Wait(40 * DAY), Spend(1, days_late=35), Buy(80),
    Reserve(6, hours=2), Wait(3), Receive(9, lasts_days=40), Reserve(4, hours=5 * DAY),
    Absorb(8, "t1"),
]  # fmt: skip


def proven() -> Life:
    return Life(PROVEN).through(STEPS)


def test_a_true_history_is_found_whole_and_has_everything_that_an_entry_can_have() -> None:
    life = proven()

    assert verify(life.account, life.entries, {1: PROVEN}) is None
    unset = {name for name in Entry.model_fields if all(not getattr(entry, name) for entry in life.entries)}
    assert unset == set()


OTHER: dict[str, Any] = {
    "key": EntryKey(kind="other", parts=("x",)),
    "member_id": an_account().member_id,
    "occurred_at": NOON + timedelta(days=1, milliseconds=1),
    "occurred_on": date(2020, 1, 1),
    "recorded_at": NOON + timedelta(days=500),
    "expires_on": date(2020, 1, 1),
    "period": date(2020, 1, 1),
    "matures_on": date(2020, 1, 1),
    "held_until": NOON + timedelta(days=900),
    "sums": Sums(lifetime=Lifetime(earned=1), earned={date(2020, 1, 31): 1}),
    "actor": an_account().member_id,
    "anchor": Anchor(month=Month(24_000), tier_id="t0"),
    "tier_before": "other",
    "tier_after": "other",
    "why": (Why(rule_id="other", points=1, args=()),),
    "reason_code": "other",
    "cause": EntryKey(kind="other", parts=("x",)),
    "content": b"other",
    "hash": b"other",
}
NULLABLE = [name for name, info in Entry.model_fields.items() if info.default is None]


@pytest.mark.parametrize("name", list(Entry.model_fields))
def test_a_change_of_any_field_of_any_entry_is_found(name: str) -> None:
    life = proven()
    for index, entry in enumerate(life.entries):
        known = getattr(entry, name)
        if name == "reason":
            others: list[Any] = [reason for reason in Reason if reason is not known]
        else:
            others = [OTHER[name] if name in OTHER else (known or 0) + 1]
        if name in NULLABLE and known is not None:
            others.append(None)
        for other in others:
            planted = [*life.entries]
            planted[index] = entry.model_copy(update={name: other})
            fault = verify(life.account, planted, {1: PROVEN})
            assert fault is not None
            assert fault.seq == (known + 1 if name == "seq" else entry.seq)


def test_a_missing_a_doubled_and_a_swapped_entry_are_found() -> None:
    life = proven()
    whole, last = life.entries, len(life.entries) - 1

    for index in range(last):
        swapped = [*whole[:index], whole[index + 1], whole[index], *whole[index + 2 :]]
        for planted in (whole[:index] + whole[index + 1 :], whole[: index + 1] + whole[index:], swapped):
            assert verify(life.account, planted, {1: PROVEN}) is not None
    fault = verify(life.account, whole[:last], {1: PROVEN})
    assert fault is not None
    assert (fault.seq, fault.what) == (last, f"the account says seq {last + 1}, its entries end at {last}")


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("earned", {}),
        ("earned", {date(2020, 1, 31): 1}),
        ("spent", {}),
        ("folded", Folded(through=date(2020, 1, 31), carried=0, lapsed=0)),
        ("lifetime", Lifetime(earned=1)),
        ("holds", {}),
        ("booked_through", NEVER),
        ("qualifying", {}),
        ("tier_id", "t0"),
        ("seq", 3),
        ("head", GENESIS),
        ("last_recorded_at", NOON),
    ],
)
def test_a_change_of_any_sum_of_the_account_is_found(name: str, other: Any) -> None:
    life = proven()
    assert getattr(life.account, name) != other

    fault = verify(life.account.model_copy(update={name: other}), life.entries, {1: PROVEN})

    assert fault is not None
    assert fault.seq == life.account.seq


def test_an_entry_of_an_unknown_program_version_is_found() -> None:
    life = proven()
    fault = verify(life.account, life.entries, {})
    assert fault is not None
    assert (fault.seq, fault.what) == (1, "program version 1 is missing")


# ---------------------------------------------------------------- showing


def test_a_members_points_in_one_line_and_in_full() -> None:
    account = bought(an_account(), 30, "2025-04-10").account
    account = bought(account, 50, "2026-03-01").account
    april = date(2026, 4, 30)

    assert summary(account, date(2026, 4, 1)) == PointsSummary(
        available=80, expiring_next=ExpiringNext(points=30, on=april)
    )
    assert points_view(account, date(2026, 5, 1)) == PointsView(
        available=50,
        lots=(Lot(expires_on=date(2027, 3, 31), points=50),),
        lifetime=Lifetime(earned=80, spent=0, expired=30),
    )
    assert summary(adjusted(an_account(), -3, "2026-03-01").account, april) == PointsSummary(available=0, owed=3)


@pytest.mark.parametrize(("spent", "held", "shown"), [
    (0, 0, (50, 100, 0, 0)),
    (30, 0, (20, 100, 0, 0)),
    (120, 0, (0, 30, 0, 0)),  # pending points paid what was owed
    (150, 0, (0, 0, 0, 0)),
    (160, 0, (0, 0, 0, 10)),
    (120, 10, (0, 20, 10, 0)),
    (120, 40, (0, 0, 40, 0)),  # more was promised than is left
])  # fmt: skip
def test_points_are_shown_as_pending_while_they_are_there(
    spent: int, held: int, shown: tuple[int, int, int, int]
) -> None:
    march = date(2026, 3, 31)
    holds = {"hold/k": Reserved(points=held, until=NOON + timedelta(hours=1), period=march, made_on=NOON.date())}
    account = an_account(
        earned={date(2026, 4, 30): 50, date(2027, 3, 31): 100},
        pending={date(2026, 3, 20): 100},
        spent={march: spent} if spent else {},
        holds=holds if held else {},
    )
    for view in (summary(account, NOON.date(), NOON), points_view(account, NOON.date(), NOON)):
        assert (view.available, view.pending, view.held, view.owed) == shown


def test_a_members_tier_says_what_is_missing_to_the_next_and_to_keep_this_one() -> None:
    account = bought(an_account(), 1_200, "2026-03-01").account
    march = date(2026, 3, 2)

    assert tier_view(account, PROGRAM, march, Language.EN) == TierView(
        tier_id="silver",
        name="Silver",
        multiplier_percent=110,
        qualifying_points=1_200,
        next=TierNext(tier_id="gold", name="Gold", missing=3_800),
        retain=TierRetain(missing=1_000, held_through=date(2027, 3, 31)),
    )
    assert tier_view(an_account(), PROGRAM, march, Language.ZH) == TierView(
        tier_id="basic",
        name="普通会员",
        multiplier_percent=100,
        qualifying_points=0,
        next=TierNext(tier_id="silver", name="银卡", missing=1_000),
        retain=None,
    )


YEN = a_program(currency="JPY", earn_rate={"points": 5, "per_minor": 1_000})


@pytest.mark.parametrize(
    ("why", "program", "zh", "en"),
    [
        (
            Why(rule_id="base", points=38, args=(3_850,)),
            PROGRAM,
            "消费 ¥38.50，每 ¥1.00 积 1 分，得 38 分",
            "1 point for each ¥1.00 paid: ¥38.50 gives 38 points",
        ),
        (
            Why(rule_id="base", points=6_170, args=(1_234_567,)),
            YEN,
            "消费 JP¥1,234,567，每 JP¥1,000 积 5 分，得 6170 分",
            "5 points for each JP¥1,000 paid: JP¥1,234,567 gives 6,170 points",
        ),
        (
            Why(rule_id="tier.gold", points=9, args=(125,)),
            PROGRAM,
            "金卡享 1.25 倍积分，另得 9 分",
            "Gold earns ×1.25: +9 points",
        ),
        (
            Why(rule_id="tier.diamond", points=1, args=(150,)),
            PROGRAM,
            "钻石享 1.5 倍积分，另得 1 分",
            "Diamond earns ×1.5: +1 point",
        ),
        (
            Why(rule_id="tier.silver", points=38, args=(200,)),
            PROGRAM,
            "银卡享 2 倍积分，另得 38 分",
            "Silver earns ×2: +38 points",
        ),
        (
            Why(rule_id="tier.basic", points=-19, args=(50,)),
            PROGRAM,
            "普通会员按 0.5 倍积分，少 19 分",
            "Basic earns ×0.5: -19 points",
        ),
    ],
)
def test_a_rule_is_explained_in_one_sentence_of_each_language(why: Why, program: Program, zh: str, en: str) -> None:
    assert (explained(why, program, Language.ZH), explained(why, program, Language.EN)) == (zh, en)
