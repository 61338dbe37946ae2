"""Merges of merges: whatever is corrected on whoever answers, each effect ends at the account that it concerns."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.ids import MemberId, MergeId
from chalicelib.points.models import Entry
from chalicelib.programs.service import ProgramBook
from chalicelib.proof.rules import verify
from chalicelib.purchases.models import PurchaseView
from chalicelib.storage.keyring import Keyring
from tests.fakes import ClearContacts
from tests.makers import Clock, a_purchase
from tests.memory import MemoryTable
from tests.table.stand import Desk

WHO = st.integers(0, 3)
CORRECTIONS = st.tuples(st.sampled_from(["return", "reverse", "return", "reverse", "buy"]), WHO, st.integers(0, 9))
MERGES = st.tuples(st.just("merge"), WHO, WHO)
STEPS = st.one_of(CORRECTIONS, MERGES, st.tuples(st.just("undo"), WHO, st.just(0)))
BEFORE = [("buy", 0, 9), ("adjust", 0, 8), ("adjust", 1, 4), ("buy", 1, 9), ("adjust", 2, 3), ("buy", 2, 5)]


def a_desk() -> Desk:
    """A desk over an empty table in memory, the program in force."""
    table, clock = MemoryTable(), Clock(datetime(2026, 3, 15, 4, 0, tzinfo=UTC))
    desk = Desk(table, Keyring(b"i" * 32, b"c" * 32, ClearContacts()), ProgramBook(table), clock)
    desk.book.current(clock())
    return desk


@dataclass
class Family:
    """Four members who are merged and told apart again, and what each has by the entries that concern it."""

    desk: Desk = field(default_factory=a_desk)
    has: list[int] = field(default_factory=lambda: [0] * 4)
    went: dict[int, tuple[int, MergeId]] = field(default_factory=dict)
    bought: list[tuple[int, PurchaseView]] = field(default_factory=list)
    given: list[tuple[int, Entry, int]] = field(default_factory=list)
    number: int = 0

    def __post_init__(self) -> None:
        self.ids: list[MemberId] = [self.desk.enrol(card_no=f"c{n}").member_id for n in range(4)]

    def answering(self, who: int) -> int:
        """Who answers for a member."""
        while who in self.went:
            who = self.went[who][0]
        return who

    def take(self, what: str, who: int, how: int) -> None:
        """Live through a step; one that cannot be taken is left out."""
        self.desk.clock.forward(minutes=1)
        self.number += 1
        key = f"k{self.number}"
        match what:
            case "buy":
                command = a_purchase(self.ids[who], order_no=key, paid_minor=1_000 + how * 100, lines=[])
                view = self.desk.buy(command).value
                self.bought.append((self.answering(who), view))
                self.has[self.answering(who)] += view.points_earned
            case "adjust":
                whose = self.answering(who)
                self.desk.adjust(self.ids[who], how - 20 if how % 2 else how + 1, key=key)
                entry = self.desk.entries(self.ids[whose])[-1]
                self.given.append((whose, entry, entry.points))
                self.has[whose] += entry.points
            case "return" if self.bought:
                whose, view = self.bought[how % len(self.bought)]
                kept = self.desk.purchase(view.purchase_id).kept
                if kept is None or kept.paid_minor >= 300:
                    back = self.desk.give_back(view.purchase_id, key=key, amount_minor=300).value
                    self.has[whose] -= back.points_taken_back
            case "reverse" if self.given:
                place = how % len(self.given)
                whose, entry, points = self.given[place]
                self.desk.take_back(entry)
                taken = self.desk.entries(self.ids[self.answering(whose)])[-1]
                assert taken.points == -points
                self.given[place] = (whose, taken, -points)
                self.has[whose] -= points
            case "merge" if self.answering(who) == who != self.answering(how):
                merged = self.desk.merge(self.ids[who], self.ids[how], key=key).value
                self.went[who] = (self.answering(how), merged.merge_id)
            case "undo" if self.went:
                self.undo(sorted(self.went)[who % len(self.went)])

    def undo(self, who: int) -> None:
        """Make a member of its own of one who was merged, once those in whom it is were told apart."""
        into, merge_id = self.went[who]
        if into in self.went:
            self.undo(into)
        self.desk.undo_merge(merge_id)
        del self.went[who]

    def balances(self) -> list[int]:
        """What each has by its account, which proves itself."""
        accounts = [self.desk.account(each) for each in self.ids]
        for account in accounts:
            entries = self.desk.entries(account.member_id)
            assert verify(account, entries, {1: self.desk.book.current(self.desk.clock())}) is None
        return [account.lifetime.balance for account in accounts]


@settings(max_examples=60)
@given(st.lists(STEPS, min_size=6, max_size=16), st.permutations(range(4)))
def test_in_whatever_order_merges_are_undone_each_effect_ends_with_whom_it_concerns(
    steps: list[tuple[str, int, int]], order: list[int]
) -> None:
    family = Family()
    for step in [*BEFORE, *steps]:
        family.take(*step)
        assert sum(family.balances()) == sum(family.has)
    for who in order:
        if who in family.went:
            family.undo(who)
    assert family.balances() == family.has


def test_what_was_taken_back_on_the_last_of_a_chain_goes_home_step_by_step() -> None:
    family = Family()
    for step in [("buy", 0, 9), ("adjust", 0, 8), ("merge", 0, 1), ("merge", 1, 2), ("reverse", 0, 0), ("return", 0, 0),
                 ("merge", 2, 3), ("return", 0, 0)]:  # fmt: skip
        family.take(*step)
    for who in (2, 1, 0):
        family.undo(who)
    assert family.balances() == [19 - 3 - 3, 0, 0, 0] == family.has
