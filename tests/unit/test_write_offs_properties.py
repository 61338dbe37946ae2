"""What is written off under `cap` is no way to points: what counts is what the customer keeps of an order.

The oracle is plain arithmetic: a balance that is never below nought, for a life in which the order was bought at first
as the customer keeps it now.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.corrections.rules import instead_of
from chalicelib.points.models import Account, Entry, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.proof.rules import verify
from chalicelib.purchases.models import RestatePurchase, ReturnPurchase
from chalicelib.purchases.rules.orders import kept_of
from chalicelib.purchases.rules.write_offs import turns_of
from tests.makers import a_program
from tests.unit.histories import Adjust, Life, Spend, Step, Wait, expiries
from tests.unit.test_corrections_properties import take_back
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


def owed_in_all(life: Life) -> int:
    """What the member would owe, had no debt been written off; below nought, what there would be."""
    return sum(life.account.written_off.values()) - derive(life.account, life.today).balance


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
    bought = next(each for each in life.entries if each.key.kind == "purchase")
    assert turns_of(bought, changes) == refunds.turns


@given(lives, tenders, st.lists(st.integers(0, 9_000), min_size=1, max_size=4), expiries)
def test_turns_up_and_down_give_nothing_and_lead_back_where_nothing_was_written_off(
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
    owing, balance = owed_in_all(life), derive(life.account, life.today).balance
    for more in (*sorted(turns), *turns):
        refunds.restate(start.model_copy(update={"paid_minor": start.paid_minor + more}))
    refunds.restate(start)
    assert life.refused == refused
    assert derive(life.account, life.today).balance <= balance
    if expiry["mode"] == "never":
        assert owed_in_all(life) == owing
    if not any(each.key.kind == "write_off" for each in life.entries):
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


# ---------------------------------------------------------------- several orders, spends and gifts beside each other


@dataclass
class Desk:
    """A life under `cap` with several orders, and spends and gifts that are taken back."""

    life: Life = field(default_factory=lambda: Life(a_program(expiry={"mode": "never"}, negative_balance="cap")))
    orders: list[Refunds] = field(default_factory=list)
    chains: list[list[Entry]] = field(default_factory=list)
    """Each spend and gift, what took it back, put it back …"""
    turns_max: int = 9

    def take(self, step: tuple[str, int, int]) -> None:
        """Live through a step: what, which or how much, and how much of that."""
        what, one, other = step
        self.life.now += timedelta(minutes=1)
        available = derive(self.life.account, self.life.today).available
        if what == "buy":
            self.orders.append(Refunds(self.life))
            self.orders[-1].buy([(1, one * 100 + 100)], min(other, available), 0)
        elif what in ("give", "spend"):
            points = one + 1 if what == "give" else -min(one + 1, available)
            if points:
                self.life.through([Adjust(points) if points > 0 else Spend(-points)])
                self.chains.append([self.life.entries[-1]])
        elif what == "turn" and self.chains:
            chain = self.chains[one % len(self.chains)]
            if instead_of(chain[-1]) is None and len(chain) <= self.turns_max:
                chain.append(take_back(self.life, chain[-1]))
        elif what == "return" and self.orders:
            self.orders[one % len(self.orders)].try_back("rest" if other > 25 else other * 100 + 1)
        elif what == "restate" and self.orders:
            order = self.orders[one % len(self.orders)]
            paid, tender = (order.command.paid_minor, order.command.points_tender or 0) if order.command else (0, 0)
            order.restate(RestatePurchase(paid_minor=paid * other // 40, points_tender=tender * (one % 2)))

    @property
    def balance(self) -> int:
        """Points there are."""
        return derive(self.life.account, self.life.today).balance

    def bought_so(self) -> int:
        """The balance that the same life comes to with all as it is kept now, when no debt ever lasts."""
        kept = {each.bought[-1].entry.key: kept_of(each.bought[-1]) for each in self.orders}
        counts = {chain[0].key: len(chain) % 2 for chain in self.chains}
        balance = 0
        for entry in self.life.entries:
            if entry.key in kept:
                balance += kept[entry.key].points_earned - kept[entry.key].points_tender
            balance += entry.points * counts.get(entry.key, 0)
            balance = max(balance, 0)
        return balance

    def undo(self) -> None:
        """Give everything back: orders, spends, gifts."""
        for number, _ in enumerate(self.orders):
            self.take(("return", number, 99))
        for number, chain in enumerate(self.chains):
            if len(chain) % 2:
                self.take(("turn", number, 0))


figures = st.integers(0, 40)
happenings = st.lists(
    st.tuples(
        st.sampled_from(["buy", "buy", "give", "spend", "turn", "return", "return", "restate"]), figures, figures
    ),
    max_size=14,
)


@settings(max_examples=400)
@given(happenings)
def test_whatever_comes_back_there_are_never_more_points_than_kept_orders_and_spends_leave(
    steps: list[tuple[str, int, int]],
) -> None:
    desk = Desk(turns_max=1)  # what is put back later counts from then on, not from when it was spent at first
    for step in steps:
        desk.take(step)
        assert 0 <= desk.balance <= desk.bought_so()
    assert verify(desk.life.account, desk.life.entries, {1: desk.life.program}) is None


@settings(max_examples=300)
@given(happenings, st.randoms(use_true_random=False))
def test_who_gives_everything_back_has_nothing(steps: list[tuple[str, int, int]], chance: Random) -> None:
    desk = Desk()
    for step in steps:
        desk.take(step)
    chance.shuffle(desk.orders)
    chance.shuffle(desk.chains)
    desk.undo()
    assert desk.balance == 0
    assert verify(desk.life.account, desk.life.entries, {1: desk.life.program}) is None


@settings(max_examples=200)
@given(happenings, st.integers(1, 60), figures, expiries)
def test_to_buy_with_points_and_to_return_it_changes_nothing(
    steps: list[tuple[str, int, int]], yuan: int, tender: int, expiry: dict[str, Any]
) -> None:
    desk = Desk(Life(a_program(expiry=expiry, negative_balance="cap")))
    for step in steps:
        desk.take(step)
    desk.life.settle()
    before, was, written_off = (
        sums(desk.life.account),
        lots(desk.life.account, desk.life),
        desk.life.account.written_off,
    )
    desk.take(("buy", yuan, tender))
    desk.take(("return", len(desk.orders) - 1, 99))
    assert (sums(desk.life.account), lots(desk.life.account, desk.life)) == (before, was)
    assert desk.life.account.written_off == written_off
