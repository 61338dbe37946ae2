"""What a purchase comes to: tender, multiplier, qualifying points, reasons."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chalicelib.kernel.calendar import month_of
from chalicelib.kernel.money import POINTS_MAX
from chalicelib.points.errors import BalanceTooLarge, MemberSuspended, OccurredInFuture, PointsInsufficient
from chalicelib.points.models import Account, AccountStatus, EntryKey, Posting, Reason, SpendPoints, Why
from chalicelib.points.rules.balances import derive
from chalicelib.programs.models import Program
from chalicelib.purchases.errors import CurrencyWrong, TenderTooLarge, TenderTooSmall
from chalicelib.purchases.models import RecordPurchase, Sale
from chalicelib.purchases.rules.buying import assess, key_of, sale_of
from tests.makers import NOON, a_ladder, a_line, a_member_id, a_program, a_purchase, a_purchase_body, an_account

PROGRAM = a_program()
MARCH, APRIL = month_of(date(2026, 3, 1)), month_of(date(2026, 4, 1))


def assessed(account: Account, program: Program = PROGRAM, **fields: Any) -> Posting:
    command = a_purchase(account.member_id, **fields)
    return assess(account, command, program, content=b"c" * 32, now=NOON)


# ---------------------------------------------------------------- the sale


def test_a_sale_keeps_what_was_sold() -> None:
    command = a_purchase(a_member_id(), points_tender=1_250)

    assert sale_of(command, PROGRAM) == Sale(
        shop_id=command.shop_id, currency="CNY", paid_minor=3_850, tender_minor=1_250, lines=(a_line(),)
    )
    assert key_of(command) == EntryKey(kind="purchase", parts=("pos", command.order_no))


def test_another_currency_than_the_programs_is_refused() -> None:
    with pytest.raises(CurrencyWrong) as refused:
        sale_of(a_purchase(a_member_id(), currency="USD"), PROGRAM)
    assert refused.value.facts == {"asked": "USD", "expected": "CNY"}


@pytest.mark.parametrize(("points", "minor"), [(None, 0), (1, 3), (2, 6), (3, 10), (1_000, 3_333)])
def test_points_pay_what_the_program_says_rounded_down(points: int | None, minor: int) -> None:
    program = a_program(point_value={"points": 3, "minor": 10})
    assert sale_of(a_purchase(a_member_id(), points_tender=points), program).tender_minor == minor


def test_points_that_pay_nothing_are_refused_with_what_they_are_worth() -> None:
    program = a_program(point_value={"points": 100, "minor": 50})

    assert sale_of(a_purchase(a_member_id(), points_tender=2), program).tender_minor == 1
    with pytest.raises(TenderTooSmall) as refused:
        sale_of(a_purchase(a_member_id(), points_tender=1), program)
    assert refused.value.facts == {"points": 1}
    assert refused.value.detail == "1 points pay nothing; 100 points pay ¥0.50."


def test_points_may_pay_the_whole_basket_and_not_a_fen_more() -> None:
    lines = [{"sku": "A", "quantity": 3, "unit_price_minor": 1_000}, {"sku": "B", "quantity": 1, "unit_price_minor": 5}]

    whole = a_purchase(a_member_id(), lines=lines, points_tender=3_005)
    assert sale_of(whole, PROGRAM).tender_minor == 3_005
    with pytest.raises(TenderTooLarge) as refused:
        sale_of(a_purchase(a_member_id(), lines=lines, points_tender=3_006), PROGRAM)
    assert refused.value.facts == {"tender_minor": 3_006, "total_minor": 3_005}
    assert sale_of(a_purchase(a_member_id(), lines=[], points_tender=3_006), PROGRAM).tender_minor == 3_006


# ---------------------------------------------------------------- what it earns


def test_a_purchase_earns_by_the_tier_held_and_qualifies_without_its_multiplier() -> None:
    gold = an_account(qualifying={MARCH: 5_000})

    entry = assessed(gold).main

    assert entry.model_dump(include={"reason", "points", "earned", "consumed", "qualifying", "expires_on", "why"}) == {
        "reason": Reason.EARN,
        "points": 48,
        "earned": 48,
        "consumed": None,
        "qualifying": 38,
        "expires_on": date(2027, 3, 31),
        "why": (
            Why(rule_id="base", points=38, args=(3_850,)).model_dump(),
            Why(rule_id="tier.gold", points=10, args=(125,)).model_dump(),
        ),
    }
    assert (entry.occurred_on, entry.tier_before, entry.tier_after) == (date(2026, 3, 15), "gold", "gold")


def test_the_tier_held_in_the_purchases_own_month_gives_the_multiplier() -> None:
    """Gold since March: a purchase of February that arrives now earns as February's tier did."""
    gold = an_account(qualifying={MARCH: 5_000})

    late = assessed(gold, paid_minor=100_000, occurred_at="2026-02-28T23:59:59+08:00").main
    now = assessed(gold, paid_minor=100_000, occurred_at="2026-03-01T00:00:00+08:00").main

    assert (late.earned, late.qualifying, late.occurred_on) == (1_000, 1_000, date(2026, 2, 28))
    assert (now.earned, now.qualifying, now.occurred_on) == (1_250, 1_000, date(2026, 3, 1))
    assert [why.rule_id for why in late.why] == ["base"]


def test_the_purchase_that_reaches_a_tier_earns_by_the_one_before() -> None:
    posting = assessed(an_account(), paid_minor=100_000)

    assert (posting.main.earned, posting.tier_before, posting.tier_after) == (1_000, "basic", "silver")
    assert (posting.account.tier_id, posting.account.qualifying) == ("silver", {MARCH: 1_000})
    assert assessed(posting.account, paid_minor=100_000).main.earned == 1_100


def test_a_first_small_purchase_does_not_reach_the_second_tier() -> None:
    posting = assessed(an_account())
    assert (posting.tier_before, posting.tier_after, posting.account.qualifying) == ("basic", "basic", {MARCH: 38})


def test_a_purchase_that_earns_nothing_is_an_entry_all_the_same() -> None:
    entry = assessed(an_account(), paid_minor=99).main

    assert (entry.points, entry.earned, entry.expires_on, entry.qualifying) == (0, None, None, None)
    assert entry.why == (Why(rule_id="base", points=0, args=(99,)),)


@given(
    paid=st.integers(0, 10**9),
    points=st.integers(1, 1_000),
    per=st.integers(1, 10**6),
    rounding=st.sampled_from(["down", "half_up", "up"]),
    percent=st.integers(0, 10_000),
)
def test_the_reasons_add_up_to_what_was_earned(paid: int, points: int, per: int, rounding: str, percent: int) -> None:
    ladder = a_ladder(0)
    ladder["tiers"][0]["multiplier_percent"] = percent
    rate = {"points": points, "per_minor": 1_000 * per, "rounding": rounding}
    program = a_program(ladder=ladder, earn_rate=rate)

    entry = assessed(an_account(tier_id="t0"), program, paid_minor=paid).main

    assert sum(why.points for why in entry.why) == (entry.earned or 0)
    assert entry.why[0].points == (entry.qualifying or 0)


# ---------------------------------------------------------------- what it takes


def test_a_tender_is_taken_from_the_points_there_were_before_the_purchase() -> None:
    account = an_account(earned={date(2026, 4, 30): 50}, lifetime={"earned": 50, "spent": 0, "expired": 0})

    posting = assessed(account, points_tender=50)

    assert (posting.main.points, posting.main.earned, posting.main.consumed) == (-12, 38, 50)
    assert posting.main.balance_after == 38
    assert {lot.expires_on: lot.points for lot in derive(posting.account, date(2026, 3, 15)).lots} == {
        date(2027, 3, 31): 38
    }
    with pytest.raises(PointsInsufficient) as refused:
        assessed(account, points_tender=51, paid_minor=100_000)
    assert refused.value.facts == {"asked": 51, "available": 50}


def test_a_purchase_of_the_future_or_for_a_suspended_member_is_refused() -> None:
    with pytest.raises(OccurredInFuture) as early:
        assessed(an_account(), occurred_at="2026-03-15T12:05:01+08:00")
    assert early.value.facts == {"occurred_at": "2026-03-15T12:05:01.000+08:00", "now": "2026-03-15T12:00:00.000+08:00"}

    suspended = an_account(status=AccountStatus.SUSPENDED)
    with pytest.raises(MemberSuspended) as refused:
        assessed(suspended)
    assert refused.value.facts == {"member_id": suspended.member_id}


def test_a_purchase_that_would_qualify_for_more_points_than_there_can_be_is_refused() -> None:
    ladder = {"tiers": [{"tier_id": "t", "name": {"zh": "级", "en": "T"}, "threshold": 0, "multiplier_percent": 0}]}
    program = a_program(ladder=ladder, earn_rate={"points": 1_000_000, "per_minor": 1})
    account = an_account()
    command = a_purchase(account.member_id, paid_minor=10**6, lines=[])
    assert assess(account, command, program, content=b"c" * 32, now=NOON).main.qualifying == POINTS_MAX
    for paid in (10**6 + 1, 10**12):
        command = a_purchase(account.member_id, paid_minor=paid, lines=[])
        with pytest.raises(BalanceTooLarge) as refused:
            assess(account, command, program, content=b"c" * 32, now=NOON)
        assert refused.value.facts == {"balance": paid * 10**6, "limit": POINTS_MAX}


# ---------------------------------------------------------------- what a till sends


@pytest.mark.parametrize("instant", ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59+08:00", "1970-01-01T07:59:59+08:00"])
def test_an_instant_of_a_clock_that_was_never_set_is_no_instant(instant: str) -> None:
    """Years below 1000 would be written with three digits and could not be read again."""
    body = a_purchase_body({"card_no": "1"}, occurred_at=instant)
    with pytest.raises(ValidationError, match="greater than or equal to 1970"):
        RecordPurchase.model_validate_json(json.dumps(body))
    with pytest.raises(ValidationError, match="greater than or equal to 1970"):
        SpendPoints.model_validate_json(json.dumps({"points": 1, "occurred_at": instant}))


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"paid_minor": 1.0}, ("paid_minor",)),
        ({"paid_minor": -1}, ("paid_minor",)),
        ({"paid_minor": "100"}, ("paid_minor",)),
        ({"points_tender": 0}, ("points_tender",)),
        ({"occurred_at": "2026-03-15T12:00:00"}, ("occurred_at",)),
        ({"occurred_at": 1_773_547_200}, ("occurred_at",)),
        ({"order_no": "A 1"}, ("order_no",)),
        ({"order_no": ""}, ("order_no",)),
        ({"channel": "pos#1"}, ("channel",)),
        ({"lines": [{"sku": "A", "quantity": 0, "unit_price_minor": 1}]}, ("lines", 0, "quantity")),
        ({"surprise": 1}, ("surprise",)),
    ],
)
def test_a_body_that_does_not_fit_is_refused_where_it_is_wrong(fields: dict[str, Any], where: tuple[Any, ...]) -> None:
    body = a_purchase_body({"card_no": "1"}, **fields)
    with pytest.raises(ValidationError) as refused:
        RecordPurchase.model_validate_json(json.dumps(body))
    assert [error["loc"] for error in refused.value.errors()] == [where]
