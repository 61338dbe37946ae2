"""How fast a channel may send, shared by all workers: a token bucket, a breaker, and a cap of money a day.

All three are in table `ops` and hold however many send at once. A worker takes a lease of messages with one
transaction and uses it up on its own, so that pacing costs a write for some hundreds of messages. What a lease
reserved and did not use is given back with the next one; what a worker that crashed had reserved counts as spent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from typing import Any, Literal

from chalicelib.kernel.calendar import day_after, local_day, zone
from chalicelib.kernel.errors import WriteContended
from chalicelib.providers.calls import RETRY_AFTER_MAX
from chalicelib.providers.models import Result
from chalicelib.providers.port import ProviderBusy
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Count, Item, Put, Unchanged, Write

_MICRO = 1_000_000
LEASE_SECONDS = 2
"""A lease is used up or over after so long: for so long a worker may not know that another opened the breaker."""
_LEASE_PART = 4
"""A lease is a fourth of a second's messages at the most, so that workers take turns."""
_TRIES = 12
_CONTENDED = timedelta(milliseconds=100)
_KEPT = timedelta(days=400)

Why = Literal["rate", "paused", "breaker", "money", "contended"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a channel may do.

    Attributes:
        rate_per_second: messages, all workers together.
        burst: how many may go at once after a pause; 0 for one second's.
        cap_micro_a_day: money of one day of the program, in millionths; None: no cap.
        failures: so many within the window open the breaker.
        window_seconds: the window.
        cool_seconds: how long the breaker stays open at first; each probe that fails doubles it, up to an hour.
    """

    rate_per_second: int = 50
    burst: int = 0
    cap_micro_a_day: int | None = None
    failures: int = 5
    window_seconds: int = 60
    cool_seconds: int = 30

    @property
    def depth(self) -> int:
        """How many messages may go at once."""
        return self.burst or self.rate_per_second


COOL_MAX = 3600
_FAR = (max(COOL_MAX, RETRY_AFTER_MAX) + 60) * _MICRO
"""Nothing that is written here lies so far ahead of the clock that it was written by, and clocks do not differ so much.
What does was written by a clock that was wrong, and nobody is to wait for it.
"""
PROBE_SECONDS = 120
"""Whoever probes a provider tells within this how it went, or another probes."""


@dataclass(frozen=True, slots=True)
class Go:
    """The messages may be sent.

    Attributes:
        probe: they try out whether the provider is back; whoever sends them tells how it went.
    """

    probe: bool = False


@dataclass(frozen=True, slots=True)
class Wait:
    """The messages may not be sent now.

    Attributes:
        until: when to ask again.
    """

    until: datetime
    why: Why


# ---------------------------------------------------------------- rules, pure


@dataclass(frozen=True, slots=True)
class State:
    """How a channel goes. Instants are microseconds since 1970.

    Attributes:
        full_at: when the bucket will be full again, if nobody takes of it (GCRA's theoretical arrival time).
        paused_until: the provider asked for patience until then.
        failures: when sending failed of late.
        open_until: the breaker lets nothing through until then.
        opens: how often in a row the breaker opened; 0: it is closed.
        probe_until: somebody tries the provider out until then.
    """

    full_at: int = 0
    paused_until: int = 0
    failures: tuple[int, ...] = ()
    open_until: int = 0
    opens: int = 0
    probe_until: int = 0

    @property
    def closed(self) -> bool:
        """Whether the breaker lets messages through."""
        return self.opens == 0


@dataclass(frozen=True, slots=True)
class Blocked:
    """None may be taken, why not, and until when (microseconds since 1970)."""

    why: Why
    until: int


def taken(state: State, limits: Limits, n: int, lease: int, now: int) -> tuple[State, int] | Blocked:
    """The state after messages were taken and how many were; or why none may be.

    Args:
        n: so many are needed.
        lease: so many are taken, and waited for: each taking is a write.
    """
    if now < state.paused_until:
        return Blocked("paused", state.paused_until)
    if not state.closed and now < max(state.open_until, state.probe_until):
        return Blocked("breaker", max(state.open_until, state.probe_until))
    each = -(-_MICRO // limits.rate_per_second)
    starts = max(state.full_at, now)
    # Of an amount beyond the bucket's depth: when it is full. The debt is paid before anybody is next.
    room = max(0, now + limits.depth * each - starts)
    want = max(n, min(lease, limits.depth))
    if want * each > room and not (want > limits.depth and starts == now):
        return Blocked("rate", starts - (limits.depth - min(want, limits.depth)) * each)
    if not state.closed:
        return replace(state, full_at=starts + n * each, probe_until=now + PROBE_SECONDS * _MICRO), n
    return replace(state, full_at=starts + want * each), want


def credible(state: State, limits: Limits, now: int) -> State:
    """A state in which what no clock of now can have written counts as of now."""
    far = now + _FAR
    deep = limits.depth * -(-_MICRO // limits.rate_per_second)
    return replace(
        state,
        full_at=state.full_at if state.full_at <= far + deep else now,
        paused_until=state.paused_until if state.paused_until <= far else now,
        open_until=state.open_until if state.open_until <= far else now,
        probe_until=state.probe_until if state.probe_until <= far else now,
        failures=tuple(at for at in state.failures if at <= far),
    )


def failed(state: State, limits: Limits, now: int) -> State:
    """The state after sending failed."""
    if not state.closed:
        if now < state.open_until:
            return state  # sent before it opened
        return _opened(state, limits, state.opens + 1, now)
    since = now - limits.window_seconds * _MICRO
    failures = (*(at for at in state.failures if at > since), now)
    if len(failures) >= limits.failures:
        return _opened(state, limits, 1, now)
    return replace(state, failures=failures)


def _opened(state: State, limits: Limits, opens: int, now: int) -> State:
    cool = min(limits.cool_seconds * 2 ** min(opens - 1, 12), COOL_MAX)
    return replace(state, failures=(), open_until=now + cool * _MICRO, opens=opens, probe_until=0)


def went_well(state: State, now: int) -> State:
    """The state after messages went out: a probe that succeeds closes the breaker."""
    if state.closed or now < state.open_until:
        return state
    return replace(state, open_until=0, opens=0, probe_until=0, failures=())


def paused(state: State, seconds: int, now: int) -> State:
    """The state after the provider asked for patience."""
    return replace(state, paused_until=max(state.paused_until, now + seconds * _MICRO))


# ---------------------------------------------------------------- shared by all workers


class _CapReached(Exception):
    """The day's money is spent. Never leaves this module."""


@dataclass(slots=True)
class _Lease:
    """What a worker took and has not used up.

    Attributes:
        left: messages.
        size: how many were taken at once the last time.
        money: reserved of `day` and not spent.
    """

    left: int = 0
    size: int = 0
    over_at: int = 0
    money: int = 0
    day: date | None = None


@dataclass
class Pacer:
    """Keeps channels to their limits, together with every other worker. One for each worker: it is not for threads.

    Args:
        ops: where buckets, breakers and counters are.
        limits: by channel; a channel that is not named has the standard ones.
        time_zone: the program's, in whose days money is counted.
        lease: whether to take more than is asked for, to ask less often.
    """

    ops: Table
    limits: Mapping[str, Limits]
    time_zone: str
    lease: bool = True
    _leases: dict[str, _Lease] = field(default_factory=dict)
    _probing: set[str] = field(default_factory=set)
    _reserved: dict[str, int] = field(default_factory=dict)

    def take(self, channel: str, n: int, cost_micro: int, now: datetime) -> Go | Wait:
        """Ask whether messages may be sent now, and count them and their money as sent.

        Whoever got `Go` tells with `went` how it went, also when nothing did.

        Args:
            n: how many, for one call of the provider.
            cost_micro: what they cost together at the most, in millionths.

        Raises:
            StorageBusy: the database is busy.
        """
        at, day = _micro(now), local_day(now, self.time_zone)
        own = self._leases.setdefault(channel, _Lease())
        if own.left >= n and at < own.over_at and own.day == day and own.money >= cost_micro:
            own.left -= n
            own.money -= cost_micro
            self._reserved[channel] = cost_micro
            return Go()
        return self._leased(channel, own, n, cost_micro, now)

    def _leased(self, channel: str, own: _Lease, n: int, cost_micro: int, now: datetime) -> Go | Wait:
        limits, at, day = self._limits(channel), _micro(now), local_day(now, self.time_zone)
        left = own.left if at < own.over_at and own.day == day else 0
        kept = own.money if own.day == day else 0
        need, each = max(1, n - left), -(-cost_micro // n)
        # Who leaves some of a lease unused takes half as many the next time, or workers would waste the rate.
        unused = own.left > 0 and not left
        size = min(own.size // 2 if unused else max(2 * own.size, n), limits.rate_per_second // _LEASE_PART)
        lease = max(need, size) if self.lease else need
        for _ in range(_TRIES):
            state, version = self._credible(channel, at)
            found = taken(state, limits, need, lease, at)
            if isinstance(found, Blocked):
                return Wait(_instant(found.until), found.why)
            after, some = found
            money = each * (left + some)
            try:
                self.ops.commit(self._writes(channel, after, version, limits, money - kept, day, now))
            except _CapReached:
                if some > need:
                    lease = need
                    continue
                return Wait(_next_day(day, self.time_zone), "money")
            except WriteContended:
                continue
            own.left, own.size, own.over_at = left + some - n, size, at + LEASE_SECONDS * _MICRO
            own.money, own.day = money - cost_micro, day
            self._reserved[channel] = cost_micro
            if not state.closed:
                self._probing.add(channel)
            return Go(probe=not state.closed)
        return Wait(now + _CONTENDED, "contended")

    def went(self, channel: str, what: ProviderBusy | Sequence[Result], now: datetime) -> None:
        """Tell how a call went for which `take` said `Go`. Almost always this writes nothing.

        Money that was reserved and not spent is there for the next call. No results at all say that the provider was
        not asked, or is set up wrongly. A call counts as failed when the provider
        was busy without asking for patience, or when of none of its messages anything is known.

        Raises:
            StorageBusy: the database is busy.
        """
        reserved = self._reserved.pop(channel, 0)
        spent = 0 if isinstance(what, ProviderBusy) else sum(each.cost_micro for each in what)
        own = self._leases.setdefault(channel, _Lease())
        own.money += max(0, reserved - spent)
        probing = channel in self._probing
        self._probing.discard(channel)
        busy = isinstance(what, ProviderBusy)
        if not busy and not what:
            return  # it was never asked, or is set up wrongly: that says nothing of how it goes
        lost = not busy and bool(what) and all(each.status == "unknown" for each in what)  # type: ignore[union-attr]
        if not busy and not lost and not probing:
            return
        own.left = 0  # what is left of the lease was given under other circumstances
        for _ in range(_TRIES):
            state, version = self._credible(channel, _micro(now))
            after = self._after(channel, state, what, lost=lost, now=_micro(now))
            if after == state:
                return
            try:
                self.ops.commit(self._writes(channel, after, version, Limits(), 0, None, now))
            except WriteContended:
                continue
            return

    def _after(
        self, channel: str, state: State, what: ProviderBusy | Sequence[Result], *, lost: bool, now: int
    ) -> State:
        if isinstance(what, ProviderBusy):
            if what.throttled:
                return paused(went_well(state, now), what.retry_after, now)
            asked = paused(state, what.retry_after, now) if what.retry_after > 1 else state
            return failed(asked, self._limits(channel), now)
        return failed(state, self._limits(channel), now) if lost else went_well(state, now)

    def give_back(self, now: datetime) -> None:
        """Give back the money that this worker reserved and did not spend; at the end of its work.

        Raises:
            StorageBusy: the database is busy.
        """
        day = local_day(now, self.time_zone)
        for channel, own in self._leases.items():
            if own.money and own.day == day:
                self.ops.commit([self._counting(channel, -own.money, self._limits(channel), day, now)])
            own.left, own.money = 0, 0

    def spent_micro(self, channel: str, now: datetime) -> int:
        """Money that was spent or is reserved on the program's day, in millionths."""
        item = self.ops.get(keys.channel_money(channel, local_day(now, self.time_zone)), consistent=True)
        return int(item["micro"]) if item else 0

    def state(self, channel: str) -> State:
        """How a channel goes."""
        return self._find(channel)[0]

    def _limits(self, channel: str) -> Limits:
        return self.limits.get(channel) or Limits()

    def _credible(self, channel: str, now: int) -> tuple[State, int]:
        state, version = self._find(channel)
        return credible(state, self._limits(channel), now), version

    def _find(self, channel: str) -> tuple[State, int]:
        item = self.ops.get(keys.channel_pace(channel), consistent=True)
        return (_state(item), int(item["version"])) if item else (State(), 0)

    def _writes(
        self, channel: str, state: State, version: int, limits: Limits, money: int, day: date | None, now: datetime
    ) -> list[Write]:
        item: Item = {
            "full_at": state.full_at,
            "paused_until": state.paused_until,
            "failures": list(state.failures),
            "open_until": state.open_until,
            "opens": state.opens,
            "probe_until": state.probe_until,
            "version": version + 1,
            "expires": int((now + _KEPT).timestamp()),
        }
        condition = Unchanged(version) if version else Absent()
        writes: list[Write] = [Put(keys.channel_pace(channel), item, condition, lambda _: WriteContended())]
        if money and day is not None:
            writes.append(self._counting(channel, money, limits, day, now))
        return writes

    @staticmethod
    def _counting(channel: str, money: int, limits: Limits, day: date, now: datetime) -> Count:
        most = _ENDLESS if limits.cap_micro_a_day is None or money < 0 else limits.cap_micro_a_day
        expires = {"expires": int((now + _KEPT).timestamp())}
        return Count(keys.channel_money(channel, day), "micro", money, most, expires, lambda _: _CapReached())


_ENDLESS = 10**18


def _state(item: Mapping[str, Any]) -> State:
    numbers = ("full_at", "paused_until", "open_until", "opens", "probe_until")
    return State(**{name: int(item[name]) for name in numbers}, failures=tuple(int(at) for at in item["failures"]))


def _micro(instant: datetime) -> int:
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _instant(micro: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=micro)


def _next_day(day: date, time_zone: str) -> datetime:
    return datetime.combine(day_after(day), clock_time(), zone(time_zone)).astimezone(UTC)
