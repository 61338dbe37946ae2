"""Transfers in generated histories: points change hands, get no younger, and only fees are lost."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.holds.models import Hold
from chalicelib.holds.rules import live, release
from chalicelib.kernel.calendar import NEVER, local_day, month_of
from chalicelib.points.errors import HoldsTooMany, PointsInsufficient
from chalicelib.points.models import Account, AdjustPoints, Entry, EntryKey, Posting, SpendPoints
from chalicelib.points.rules import balances, commands, ledger
from chalicelib.proof.rules import verify
from chalicelib.transfers import rules
from chalicelib.transfers.errors import TransferLimitReached, TransferToSelf, TransferUncovered
from tests.makers import NOON, a_program, an_account
from tests.unit.histories import lots_of

CONTENT = bytes(32)
PROGRAM = a_program(
    expiry={"mode": "rolling", "months": 1, "bucket": "day"},
    transfers={
        "enabled": True, "max_points": 60, "max_points_per_month": 150, "fee_percent": 7, "accept_days": 5,
    },
)  # fmt: skip


@dataclass(frozen=True)
class Wait:
    hours: int


@dataclass(frozen=True)
class Give:
    """Points with a last day of their own; below nought, taken."""

    who: int
    points: int
    days: int


@dataclass(frozen=True)
class Spend:
    who: int
    points: int


@dataclass(frozen=True)
class Offer:
    who: int
    to: int
    points: int


@dataclass(frozen=True)
class Accept:
    which: int


@dataclass(frozen=True)
class Cancel:
    which: int


Step = Wait | Give | Spend | Offer | Accept | Cancel


@dataclass
class Town:
    """Three members who give points to each other."""

    now: datetime = NOON
    accounts: list[Account] = field(default_factory=lambda: [an_account() for _ in range(3)])
    entries: list[list[Entry]] = field(default_factory=lambda: [[], [], []])
    offers: list[tuple[int, int, Entry]] = field(default_factory=list)
    sent: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def today(self) -> date:
        return local_day(self.now, PROGRAM.time_zone)

    def total(self) -> int:
        return sum(balances.derive(account, self.today).balance for account in self.accounts)

    def take(self, step: Step) -> None:
        self.now += timedelta(seconds=1)
        match step:
            case Wait(hours):
                self.now += timedelta(hours=hours)
            case Give(who, points, days):
                last = self.today + timedelta(days=days) if points > 0 else None
                command = AdjustPoints(points=points, reason_code="x", expires_on=last)
                self._post(
                    who,
                    commands.adjust(self.accounts[who], command, self._key(), PROGRAM, content=CONTENT, now=self.now),
                )
            case Spend(who, points):
                try:
                    command_ = SpendPoints(points=points)
                    posting = commands.spend(
                        self.accounts[who], command_, self._key(), PROGRAM, content=CONTENT, now=self.now
                    )
                except PointsInsufficient:
                    return
                self._post(who, posting)
            case Offer(who, to, points):
                self._offer(who, to, points)
            case Accept(which) if self.offers:
                self._accept(*self.offers[which % len(self.offers)])
            case Cancel(which) if self.offers:
                who, _, offer = self.offers[which % len(self.offers)]
                held = live(self.accounts[who], offer.key, PROGRAM, now=self.now)
                if held is not None:
                    posting = release(
                        self.accounts[who], held, PROGRAM, content=CONTENT, now=self.now, reason_code="cancelled"
                    )
                    self._post(who, posting)

    def _offer(self, who: int, to: int, points: int) -> None:
        key = rules.key_of(f"t{sum(map(len, self.entries))}")
        before = self.total()
        try:
            posting = rules.offer(
                self.accounts[who], self.accounts[to], points, key, PROGRAM, content=CONTENT, now=self.now
            )
        except (PointsInsufficient, HoldsTooMany, TransferLimitReached):
            return
        except TransferToSelf:
            assert who == to
            return
        self._post(who, posting)
        self.offers.append((who, to, posting.main))
        assert self.total() == before

    def _accept(self, who: int, to: int, offer: Entry) -> None:
        held: Hold | None = live(self.accounts[who], offer.key, PROGRAM, now=self.now)
        if held is None:
            return
        total, before = self.total(), Counter(lots_of(self.accounts[who], self.today))
        points, fee = rules.offered(offer)
        try:
            out, into = rules.accept(
                self.accounts[who], self.accounts[to], held, offer, PROGRAM, content=CONTENT, now=self.now
            )
        except TransferUncovered as refused:
            assert refused.facts["available"] < points + fee
            return
        self._post(who, out)
        self._post(to, into)
        self.sent[who, month_of(held.reserved.made_on)] += points + fee

        assert self.total() == total - fee, "only the fee is lost"
        after, sums = Counter(lots_of(self.accounts[who], self.today)), into.main.sums
        assert sums is not None
        assert sum(sums.earned.values()) == points
        assert Counter(sums.earned) <= before - after, "no lot has another last day than it had with the giver"
        assert sum((before - after).values()) == points + fee
        assert max(sums.earned) <= min(after, default=NEVER), "those that expire first were given"
        assert not sums.qualifying

    def _key(self) -> EntryKey:
        return EntryKey(kind="step", parts=(str(sum(map(len, self.entries))),))

    def _post(self, who: int, posting: Posting) -> None:
        self.accounts[who] = posting.account
        self.entries[who] += posting.entries


who, which = st.integers(0, 2), st.one_of(st.just(-1), st.integers(0, 10))
_steps = st.one_of(
    st.builds(Wait, st.one_of(st.integers(0, 30), st.integers(0, 24 * 20))),
    st.builds(Give, who, st.integers(20, 150), st.integers(0, 40)),
    st.builds(Give, who, st.integers(-60, -1), st.just(0)),
    st.builds(Spend, who, st.integers(1, 40)),
    st.builds(Offer, who, who, st.integers(1, 60)),
    st.builds(Offer, who, who, st.integers(1, 60)),
    st.builds(Accept, which),
    st.builds(Accept, st.just(-1)),
    st.builds(Cancel, which),
)
_passed_on = st.builds(lambda who, to, points: [Offer(who, to, points), Accept(-1)], who, who, st.integers(1, 60))
_taken_from = st.builds(
    lambda who, to, points: [Offer(who, to, points), Give(who, -points - 90, 0), Accept(-1)],
    who, who, st.integers(20, 60),
)  # fmt: skip
"""Points are taken back while they are on offer."""
_generous = st.builds(
    lambda who, to: [*[Offer(who, to, 60)] * 3, Accept(-1), Accept(-2), Accept(-3)], st.just(1), st.integers(0, 2)
)
"""More is on offer at a time than may be sent in a month."""
_some = st.one_of(_steps.map(lambda step: [step]), _passed_on, _taken_from, _generous)
steps = st.one_of(st.lists(_some, max_size=12), st.lists(_some, min_size=12, max_size=25)).map(
    lambda drawn: [Give(0, 100, 10), Give(1, 300, 30), *(step for part in drawn for step in part)]
)


@given(steps)
def test_points_change_hands_get_no_younger_and_only_fees_are_lost(lived: list[Step]) -> None:
    town = Town()
    for step in lived:
        town.take(step)

    for number, account in enumerate(town.accounts):
        settled, booked = ledger.settle(account, PROGRAM, now=town.now)
        assert verify(settled, [*town.entries[number], *booked], {1: PROGRAM}) is None
    assert all(points <= PROGRAM.transfers.max_points_per_month for points in town.sent.values())
