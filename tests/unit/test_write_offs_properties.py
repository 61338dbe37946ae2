"""What is written off under `cap` is no way to points: what counts is what the customer keeps of an order.

The oracle is plain arithmetic: a balance that is never below nought, for a life in which the order was bought at first
as the customer keeps it now.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.points.models import Account, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.proof.rules import verify
from chalicelib.purchases.models import RestatePurchase, ReturnPurchase
from chalicelib.purchases.rules.orders import kept_of
from chalicelib.purchases.rules.write_offs import NO_WRITE_OFFS, WriteOffs, written_off
from tests.makers import a_program
from tests.unit.histories import Adjust, Life, Spend, Step, Wait, expiries
from tests.unit.test_returns_properties import Refunds

others = st.one_of(
    st.builds(Spend, st.integers(1, 60)), st.builds(Adjust, st.integers(1, 40)), st.integers(0, 24 * 40).map(Wait)
)
returned = st.one_of(st.integers(1, 6_000), st.just("line"), st.just("rest"))
restated = st.tuples(st.integers(0, 9_000), st.sampled_from([0, 50, 100, 100]))
"""What is paid, and how much of the first tender."""
lives = st.lists(st.one_of(others, returned, restated, restated), max_size=12)
tenders = st.sampled_from([0, 0, 10, 30])


def a_life(expiry: dict[str, Any] | None = None) -> Life:
    """A life under `cap`, with some points to begin with."""
    return Life(a_program(expiry=expiry or {"mode": "never"}, negative_balance="cap")).through([Adjust(30)])


def live(refunds: Refunds, step: Any) -> None:
    """Live through a step."""
    if isinstance(step, Spend | Adjust | Wait):
        refunds.life.through([step])
    elif isinstance(step, tuple):
        paid, percent = step
        refunds.restate(RestatePurchase(paid_minor=paid, points_tender=tender_of(refunds) * percent // 100))
    else:
        refunds.try_back(step)


def tender_of(refunds: Refunds) -> int:
    """The points that paid at first."""
    return next(each.consumed or 0 for each in refunds.life.entries if each.key.kind == "purchase")


def bought_so(refunds: Refunds) -> int:
    """The balance that the same life comes to with the order as it is kept now, when no debt ever lasts."""
    kept, balance = kept_of(refunds.bought[-1]), 0
    for entry in refunds.life.entries:
        if entry.key.kind == "purchase":
            balance += kept.points_earned - kept.points_tender
        elif entry.reason is not Reason.REVERSE and entry.key.kind != "write_off":
            balance += entry.points
        balance = max(balance, 0)
    return balance


def sums(account: Account) -> list[Any]:
    """All that decides what an account comes to."""
    return [account.earned, account.spent, account.pending, account.qualifying, account.lifetime.balance]


def lots(account: Account, life: Life) -> Any:
    """What can be spent, and until when."""
    return derive(account, life.today).lots


@given(lives, tenders)
def test_however_an_order_became_what_is_kept_it_gives_no_more_than_bought_so_at_first(
    steps: list[Any], tender: int
) -> None:
    refunds = Refunds(a_life())
    refunds.buy([(3, 1_500)], tender, 0)
    for step in steps:
        live(refunds, step)
        balance = derive(refunds.life.account, refunds.life.today).balance
        assert 0 <= balance <= bought_so(refunds)
    life = refunds.life
    assert verify(life.account, life.entries, {1: life.program}) is None
    changes = [each for each in life.entries if each.key.kind in ("return", "restatement")]
    offs = {each.cause: each for each in life.entries if each.key.kind == "write_off" and each.cause is not None}
    assert written_off(changes, offs) == refunds.write_offs


@given(lives, tenders, st.lists(st.integers(0, 9_000), min_size=1, max_size=4), expiries)
def test_turns_up_and_down_lead_back_to_where_they_began(
    steps: list[Any], tender: int, turns: list[int], expiry: dict[str, Any]
) -> None:
    refunds = Refunds(a_life(expiry))
    refunds.buy([(3, 1_500)], tender, 0)
    for step in steps:
        live(refunds, step)
    kept, life = kept_of(refunds.bought[-1]), refunds.life
    life.settle()
    start = RestatePurchase(lines=kept.lines, paid_minor=kept.paid_minor, points_tender=kept.points_tender)
    before, was, refused = sums(life.account), lots(life.account, life), life.refused
    for more in (*sorted(turns), *turns):
        refunds.restate(start.model_copy(update={"paid_minor": start.paid_minor + more}))
    refunds.restate(start)
    assert life.refused == refused
    assert (sums(life.account), lots(life.account, life)) == (before, was)
    assert verify(life.account, life.entries, {1: life.program}) is None


@given(lives, tenders, st.integers(1, 6_000), expiries)
def test_a_return_comes_to_what_the_order_restated_comes_to(
    steps: list[Any], tender: int, amount: int, expiry: dict[str, Any]
) -> None:
    one, other = Refunds(a_life(expiry)), Refunds(a_life(expiry))
    for refunds in (one, other):
        refunds.buy([(3, 1_500)], tender, 0)
        for step in steps:
            live(refunds, step)
    one.try_back(amount)
    kept = kept_of(one.bought[-1])
    other.restate(RestatePurchase(lines=kept.lines, paid_minor=kept.paid_minor, points_tender=kept.points_tender))
    if other.life.refused == one.life.refused:
        assert sums(one.life.account) == sums(other.life.account)


def test_a_return_that_gives_more_than_it_takes_takes_back_first_what_was_written_off() -> None:
    """30 points pay, 45 are earned, all is spent; then the money comes back, and last the points that paid."""
    refunds = Refunds(a_life())
    refunds.buy([(1, 4_530)], 30, 0)
    steps: list[Step] = [Spend(45)]
    refunds.life.through(steps)
    refunds.restate(RestatePurchase(paid_minor=0, points_tender=30))
    assert [each.points for each in refunds.life.entries[-2:]] == [-45, 45]
    refunds.give_back(ReturnPurchase())
    back = refunds.life.entries[-1]
    assert (back.key.kind, back.earned, back.consumed, back.points) == ("return", None, -30, 0)
    assert derive(refunds.life.account, refunds.life.today).balance == 0
    assert verify(refunds.life.account, refunds.life.entries, {1: refunds.life.program}) is None


def test_places_that_were_written_off_stay_so_until_the_write_off_is_taken_back() -> None:
    refunds = Refunds(a_life())
    refunds.buy([(1, 4_500)], 0, 0)
    refunds.life.through([Spend(70)])
    refunds.give_back(ReturnPurchase())
    off = refunds.life.entries[-1]
    day = off.expires_on
    assert day is not None
    down = NO_WRITE_OFFS.after(-45, off)
    assert down == WriteOffs(-45, ((-45, -5, day),))
    up = down.after(20, None)
    assert (up.between(-20), up.between(5)) == ({day: 20}, {day: 5})
    assert up.after(-10, None).between(10) == {}
    assert up.after(-10, None).between(35) == {day: 20}
