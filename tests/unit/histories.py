"""Histories of an account: what may happen to it, as hypothesis draws it, and an account that lives through it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from hypothesis import strategies as st

from chalicelib.kernel.calendar import NEVER, Month, local_day, month_of
from chalicelib.kernel.ids import MemberId
from chalicelib.points.errors import PointsInsufficient
from chalicelib.points.models import (
    Account,
    AdjustPoints,
    Entry,
    EntryKey,
    Lifetime,
    Posting,
    Reason,
    SpendPoints,
    Sums,
)
from chalicelib.points.rules import balances, commands, ledger
from chalicelib.programs.models import Program
from chalicelib.purchases.rules.buying import assess
from chalicelib.tiers.models import Anchor
from tests.makers import NOON, a_purchase, an_account
from tests.unit.oracle import Event, Given, Taken

OTHER_MEMBER = MemberId("mem_zyxwvutsrqponm76")


@dataclass(frozen=True)
class Wait:
    """Time passes; below nought, the clock of another machine is behind."""

    hours: int


@dataclass(frozen=True)
class Buy:
    """A purchase, told some days late; points may pay for part of it."""

    yuan: int
    tender: int = 0
    days_late: int = 0


@dataclass(frozen=True)
class Spend:
    """A spend, told some days late."""

    points: int
    days_late: int = 0


@dataclass(frozen=True)
class Adjust:
    """A correction, up or down; points given may have a last day set by hand."""

    points: int
    days_late: int = 0
    lasts_days: int | None = None


@dataclass(frozen=True)
class Settle:
    """The expiry job comes by."""

    at_most: int | None = None


@dataclass(frozen=True)
class Reserve:
    """Points are held for some hours."""

    points: int
    hours: int


@dataclass(frozen=True)
class Receive:
    """Points come from another account, with the last day they had there."""

    points: int
    lasts_days: int


@dataclass(frozen=True)
class Absorb:
    """Another account goes into this one, with qualifying points of this month and a tier that it held."""

    points: int
    tier_id: str


Step = Wait | Buy | Spend | Adjust | Settle | Reserve | Receive | Absorb


@dataclass
class Life:
    """An account and all that ever happened to it."""

    program: Program
    now: datetime = NOON
    account: Account = field(default_factory=an_account)
    entries: list[Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    refused: int = 0
    earned_in_folded: bool = False
    spent_in_folded: bool = False

    @property
    def today(self) -> date:
        """The day on which the account lives: our clock never goes behind what it has recorded."""
        now = max(self.now, self.account.last_recorded_at or self.now)
        return local_day(now, self.program.time_zone)

    def through(self, steps: Sequence[Step]) -> "Life":
        """Live through the steps."""
        for step in steps:
            self._take(step)
        return self

    def settle(self, at_most: int | None = None) -> tuple[Entry, ...]:
        """Book the expiries that are due."""
        if at_most is None:
            self.account, entries = ledger.settle(self.account, self.program, now=self.now)
        else:
            self.account, entries = ledger.lapse(self.account, self.program, now=self.now, at_most=at_most)
        self.entries += entries
        return entries

    def _take(self, step: Step) -> None:
        match step:
            case Wait(hours):
                self.now += timedelta(hours=hours)
            case Settle(at_most):
                self.settle(at_most)
            case Reserve() | Receive() | Absorb():
                self._post(ledger.post(self.account, self._draft(step), self.program, now=self.now))
            case Buy() | Spend() | Adjust():
                try:
                    self._post(self._posting(step))
                except PointsInsufficient:
                    self.refused += 1

    def _draft(self, step: Reserve | Receive | Absorb) -> ledger.Draft:
        key = EntryKey(kind=type(step).__name__.lower(), parts=(str(len(self.entries)),))
        match step:
            case Reserve(points, hours):
                until = self.now + timedelta(hours=hours)
                return ledger.Draft(key, Reason.HOLD, self.now, reserved=points, reserved_until=until)
            case Receive(points, lasts_days):
                lots = {self.today + timedelta(days=lasts_days): points}
                sums = Sums(lifetime=Lifetime(earned=points), earned=lots)
                return ledger.Draft(key, Reason.TRANSFER, self.now, sums=sums, actor=OTHER_MEMBER)
            case Absorb(points, tier_id):
                month = month_of(self.today)
                sums = Sums(lifetime=Lifetime(earned=points), earned={NEVER: points}, qualifying={month: points})
                anchor = Anchor(month=Month(month - 1), tier_id=tier_id, review_after=Month(month + 3))
                return ledger.Draft(key, Reason.MERGE, self.now, sums=sums, anchor=anchor)

    def _posting(self, step: Buy | Spend | Adjust) -> Posting:
        at = self.now - timedelta(days=step.days_late)
        key = EntryKey(kind=type(step).__name__.lower(), parts=(str(len(self.entries)),))
        content = bytes([len(self.entries) % 256]) * 32
        match step:
            case Buy(yuan, tender):
                command = a_purchase(
                    self.account.member_id,
                    paid_minor=yuan * 100,
                    occurred_at=at.isoformat(),
                    points_tender=tender or None,
                    lines=[],
                )
                return assess(self.account, command, self.program, content=content, now=self.now)
            case Spend(points):
                spend = SpendPoints(points=points, occurred_at=at)
                return commands.spend(self.account, spend, key, self.program, content=content, now=self.now)
            case Adjust(points, _, lasts_days):
                last = None if lasts_days is None else self.today + timedelta(days=lasts_days)
                adjust = AdjustPoints(points=points, reason_code="test", occurred_at=at, expires_on=last)
                return commands.adjust(self.account, adjust, key, self.program, content=content, now=self.now)

    def _post(self, posting: Posting) -> None:
        main, folded = posting.main, self.account.folded
        if main.earned and main.expires_on:
            self.events.append(Given(main.occurred_on, main.earned, main.expires_on))
            self.earned_in_folded |= folded is not None and main.expires_on <= folded.through
        if main.consumed and main.period:
            self.events.append(Taken(main.occurred_on, main.consumed))
            self.spent_in_folded |= folded is not None and main.period <= folded.through
        self.account = posting.account
        self.entries += posting.entries


def lots_of(account: Account, on: date) -> dict[date, int]:
    """The account's lots on a day, by their last day."""
    return {lot.expires_on or NEVER: lot.points for lot in balances.derive(account, on).lots}


expiries = st.sampled_from(
    [
        {"mode": "rolling", "months": 1, "bucket": "month"},
        {"mode": "rolling", "months": 3, "bucket": "month"},
        {"mode": "rolling", "months": 1, "bucket": "day"},
        {"mode": "rolling", "months": 12, "bucket": "day"},
        {"mode": "end_of_year", "years": 0},
        {"mode": "end_of_year", "years": 1, "bucket": "day"},
        {"mode": "never"},
    ]
)

_lateness = st.one_of(st.just(0), st.integers(0, 60), st.integers(0, 500))
_waits = st.one_of(st.integers(0, 60), st.integers(0, 24 * 45)).map(Wait)
_buys = st.builds(Buy, st.integers(0, 60), st.one_of(st.just(0), st.integers(1, 20)), _lateness)
_spends = st.builds(Spend, st.integers(1, 40), _lateness)
_given = st.builds(Adjust, st.integers(1, 50), st.just(0), st.one_of(st.none(), st.integers(0, 90)))
_taken = st.builds(Adjust, st.integers(-60, -1), _lateness)
_settles = st.builds(Settle, st.sampled_from([None, None, 1]))
_behind = st.builds(Wait, st.integers(-70, 0))
_actions = st.one_of(_buys, _buys, _spends, _given, _taken, _settles, _behind)
_timely = st.one_of(
    st.builds(Buy, st.integers(0, 60), st.integers(0, 20)),
    st.builds(Spend, st.integers(1, 40)),
    st.builds(Adjust, st.integers(-60, -1)),
)


def _lived(actions: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    """Actions with time between them; some histories short, to be read, and some long."""
    days = st.tuples(_waits, actions)
    histories = st.one_of(st.lists(days, max_size=10), st.lists(days, min_size=20, max_size=40))
    return histories.map(lambda pairs: [step for pair in pairs for step in pair])


histories = _lived(_actions)
"""Anything, told in any order, by clocks that disagree."""

brief_histories = st.lists(st.tuples(_waits, _actions), max_size=6).map(
    lambda pairs: [step for pair in pairs for step in pair]
)
"""The same, with few steps."""

ordered_histories = _lived(_timely)
"""Everything told when it happens, and every last day set by the program."""
