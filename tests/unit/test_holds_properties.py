"""Holds in generated histories, against an oracle that counts points one by one and remembers what was promised."""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.holds import rules as holds
from chalicelib.holds.models import HoldPoints
from chalicelib.kernel.calendar import NEVER, day_after, local_day, zone
from chalicelib.points.errors import HoldsTooMany, PointsInsufficient
from chalicelib.points.fold import hold_name
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, SpendPoints
from chalicelib.points.rules import balances, commands, ledger, reversals
from chalicelib.programs.models import Program
from chalicelib.programs.rules import expires_on
from chalicelib.proof.rules import verify
from tests.makers import NOON, a_program, an_account
from tests.unit.histories import lots_of
from tests.unit.oracle import Event, Given, Purse, Taken, paid_as_they_expire

CONTENT = bytes(32)


@dataclass(frozen=True)
class Wait:
    hours: float


@dataclass(frozen=True)
class WaitFor:
    """Until a hold is over, or almost."""

    which: int
    seconds: int


@dataclass(frozen=True)
class WaitForExpiry:
    """Until some minutes before or after the night in which the next points expire."""

    minutes: int


@dataclass(frozen=True)
class Earn:
    points: int


@dataclass(frozen=True)
class TakeBack:
    """What was earned is returned."""

    which: int


@dataclass(frozen=True)
class Spend:
    points: int


@dataclass(frozen=True)
class Hold:
    points: int
    minutes: int


@dataclass(frozen=True)
class Capture:
    """A share of a hold in percent, of any that ever was."""

    which: int
    percent: int


@dataclass(frozen=True)
class Release:
    which: int


Step = Wait | WaitFor | WaitForExpiry | Earn | TakeBack | Spend | Hold | Capture | Release


@dataclass
class Promise:
    """A hold as the oracle knows it."""

    key: EntryKey
    points: int
    made_on: date
    until: datetime
    ended: bool = False


@dataclass
class Till:
    """An account that lives through steps, and beside it what the oracle thinks of it."""

    program: Program
    now: datetime = NOON
    account: Account = field(default_factory=an_account)
    entries: list[Entry] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    @property
    def today(self) -> date:
        return local_day(self.now, self.program.time_zone)

    def live(self) -> list[Promise]:
        """Holds that are neither ended nor over."""
        return [each for each in self.promises if not each.ended and each.until > self.now]

    def purse(self) -> Purse:
        return paid_as_they_expire(self.events, self.today)

    def available(self) -> int:
        """What the oracle says can be spent."""
        return max(self.purse().balance - sum(each.points for each in self.live()), 0)

    def take(self, step: Step) -> None:
        self.now += timedelta(seconds=1)
        match step:
            case Wait(hours):
                self.now += timedelta(hours=hours)
            case WaitFor(which, seconds) if self.promises:
                self.now = max(self.now, self._promise(which).until + timedelta(seconds=seconds))
            case WaitForExpiry(minutes):
                left = balances.derive(self.account, self.today).left
                if left and left[0][0] < NEVER:
                    night = datetime.combine(day_after(left[0][0]), time(), tzinfo=zone(self.program.time_zone))
                    self.now = max(self.now, night + timedelta(minutes=minutes))
            case Earn(points):
                draft = ledger.Draft(
                    self._key("earn"), Reason.EARN, self.now, earned=points,
                    expires_on=expires_on(self.today, self.program.expiry),
                )  # fmt: skip
                self._post(ledger.post(self.account, draft, self.program, now=self.now))
                self.events.append(Given(self.today, points, draft.expires_on or date.max))
            case TakeBack(which):
                self._take_back(which)
            case Spend(points):
                self._spend(points)
            case Hold(points, minutes):
                self._hold(points, minutes)
            case Capture(which, percent) if self.promises:
                self._capture(self._promise(which), percent)
            case Release(which) if self.promises:
                self._release(self._promise(which))

    def _take_back(self, which: int) -> None:
        given = [event for event in self.events if isinstance(event, Given)]
        if not given:
            return
        event = given[which % len(given)]
        draft = ledger.Draft(
            self._key("return"), Reason.REVERSE, self.now, earned=-event.points, expires_on=event.last_day, may_owe=True
        )
        self._post(reversals.reverse(self.account, draft, self.program, now=self.now))
        self.events.remove(event)

    def _spend(self, points: int) -> None:
        available = self.available()
        try:
            command = SpendPoints(points=points)
            posting = commands.spend(
                self.account, command, self._key("spend"), self.program, content=CONTENT, now=self.now
            )
        except PointsInsufficient:
            assert points > available
            return
        assert points <= available, "never more than balance less what is held"
        self._post(posting)
        self.events.append(Taken(self.today, points))

    def _hold(self, points: int, minutes: int) -> None:
        available, key = self.available(), holds.key_of(f"h{len(self.promises)}")
        command = HoldPoints(points=points, minutes=minutes)
        try:
            posting = holds.hold(self.account, command, key, self.program, content=CONTENT, now=self.now)
        except PointsInsufficient:
            assert points > available
            return
        except HoldsTooMany:
            assert len(self.live()) == commands.HOLDS_MAX
            return
        assert points <= available
        self._post(posting)
        self.promises.append(Promise(key, points, self.today, self.now + timedelta(minutes=minutes)))

    def _capture(self, promise: Promise, percent: int) -> None:
        held = holds.live(self.account, promise.key, self.program, now=self.now)
        assert (held is not None) == (promise in self.live()), "a live hold can be captured, an ended one never"
        if held is None:
            return
        points = max(promise.points * percent // 100, 1)
        self._post(holds.capture(self.account, held, points, self.program, content=CONTENT, now=self.now))
        self.events.append(Taken(promise.made_on, points))
        promise.ended = True

    def _release(self, promise: Promise) -> None:
        held = holds.live(self.account, promise.key, self.program, now=self.now)
        assert (held is not None) == (promise in self.live())
        if held is None:
            late = holds.timed_out(self.account, promise.key, self.program, now=self.now)
            assert late is None or not promise.ended
            if late is not None:
                self._post(late)
        else:
            self._post(holds.release(self.account, held, self.program, content=CONTENT, now=self.now))
        promise.ended = True

    def _promise(self, which: int) -> Promise:
        return self.promises[which % len(self.promises)]

    def _key(self, kind: str) -> EntryKey:
        return EntryKey(kind=kind, parts=(str(len(self.entries)),))

    def _post(self, posting: Posting) -> None:
        self.account = posting.account
        self.entries += posting.entries


few, many = st.integers(1, 40), st.integers(20, 120)
which = st.one_of(st.just(-1), st.integers(0, 20))
minutes = st.one_of(st.integers(1, 60), st.integers(1, 30 * 24 * 60))
_holds = st.builds(Hold, few, minutes)
_steps = st.one_of(
    st.builds(Wait, st.one_of(st.integers(0, 12), st.integers(0, 24 * 40))),
    st.builds(WaitForExpiry, st.sampled_from([-20, -1, 0, 5])),
    st.builds(WaitFor, which, st.sampled_from([-2, 0, 5])),
    st.builds(Earn, many),
    st.builds(TakeBack, which),
    st.builds(Spend, few),
    _holds,
    _holds,
    st.builds(Capture, which, st.sampled_from([1, 50, 100, 100])),
    st.builds(Capture, which, st.just(100)),
    st.builds(Release, which),
)
_over_night = st.builds(
    lambda points, percent: [WaitForExpiry(-5), Hold(points, 60), WaitForExpiry(5), Capture(-1, percent)],
    few,
    st.sampled_from([50, 100]),
)
"""A checkout that begins before the points expire and ends after."""

_some = st.one_of(_steps.map(lambda step: [step]), _steps.map(lambda step: [step]), _over_night)
steps = st.one_of(st.lists(_some, max_size=8), st.lists(_some, min_size=10, max_size=24)).map(
    lambda drawn: [Earn(100), *(step for part in drawn for step in part)]
)
expiries = st.sampled_from(
    [
        {"mode": "rolling", "months": 1, "bucket": "month"},
        {"mode": "rolling", "months": 12, "bucket": "month"},
        {"mode": "rolling", "months": 1, "bucket": "day"},
        {"mode": "end_of_year", "years": 0},
        {"mode": "never"},
    ]
)


@given(steps, expiries)
def test_what_is_promised_is_kept_and_nothing_is_promised_twice(lived: list[Step], expiry: dict[str, Any]) -> None:
    till = Till(a_program(expiry=expiry))
    for step in lived:
        till.take(step)

        position = balances.derive(till.account, till.today, till.now)
        purse = till.purse()
        assert Purse(position.balance, lots_of(till.account, till.today), position.lapsed) == purse
        assert position.held == sum(each.points for each in till.live())
        assert position.available == till.available()
    till.account, booked = ledger.settle(till.account, till.program, now=till.now)
    till.entries += booked

    assert verify(till.account, till.entries, {1: till.program}) is None
    ends = [entry.cause for entry in till.entries if entry.held is not None and entry.held < 0]
    assert len(ends) == len({(key.kind, key.parts) for key in ends if key}), "a hold ends once"
    assert set(till.account.holds) == {hold_name(each.key) for each in till.live()}
