"""How often a caller may call: a bucket for each, which fills evenly and holds a minute's requests.

A process counts for itself. With n of them at work, which is up to the load, a caller gets through at most n times as
often; what bounds all together is API Gateway's throttling and, by network address, the firewall (ADR 0042).

Integration keys are promised a rate of their own, so their requests are counted by all processes together (`Share`,
ADR 0044).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from chalicelib.identity.errors import RateExceeded
from chalicelib.identity.models import Caller, Kind

BUCKETS_MAX = 10_000
"""Buckets that a process keeps; the one not used for longest makes room, so that addresses cannot fill the memory."""


@dataclass(slots=True)
class Bucket:
    """How many requests are left.

    Attributes:
        left: how many, at the instant `at`.
    """

    left: float
    at: datetime

    def take(self, rate_per_minute: int, *, now: datetime) -> None:
        """Take one request out.

        Raises:
            RateExceeded: it is empty.
        """
        passed = max(0.0, (now - self.at).total_seconds())
        self.left, self.at = min(float(rate_per_minute), self.left + passed * rate_per_minute / 60), now
        if self.left < 1:
            wait = max(1, ceil((1 - self.left) * 60 / rate_per_minute))
            raise RateExceeded(rate_per_minute=rate_per_minute, retry_after=wait)
        self.left -= 1


PARTS = 20
"""A process takes so small a part of a minute's requests at a time: less often costs fewer writes, more leaves less
unused in processes that did not need what they took."""

Lease = Callable[[int, int, int], bool]
"""Takes some of the requests of a minute, given the minute, how many, and how many there are in all; whether there were
that many."""


@dataclass(slots=True)
class Share:
    """A process's part of the requests that all processes together let through in a minute of the clock.

    The first part costs nothing, because a slow caller would else pay for each request; of what goes beyond, each part
    is taken from a counter of all processes. So all together let through the rate, at most a twentieth more by
    rounding up, and another twentieth for each process that is at work.

    Attributes:
        minute: of the clock, since 1970.
        left: requests of the part that was taken.
        full: the counter has no more this minute.
    """

    minute: int = -1
    left: int = 0
    full: bool = False

    def take(self, rate_per_minute: int, lease: Lease, *, now: datetime) -> None:
        """Take one request out.

        Raises:
            RateExceeded: there is none left this minute.
        """
        at = now.timestamp()
        part, minute = rate_per_minute // PARTS, int(at // 60)
        if minute != self.minute:
            self.minute, self.left, self.full = minute, part, False
        if not self.left and not self.full:
            step = max(1, part)
            self.full = not lease(minute, step, step * ceil(rate_per_minute / step))
            self.left = 0 if self.full else step
        if not self.left:
            raise RateExceeded(rate_per_minute=rate_per_minute, retry_after=max(1, ceil((minute + 1) * 60 - at)))
        self.left -= 1


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a minute.

    Attributes:
        staff: of one person who works here.
        member: of one member.
        address: of one network address, on open routes and with tokens that are not accepted. A shop's customers may
            share one.
    """

    staff: int = 1200
    member: int = 120
    address: int = 300


def rates_from(text: str) -> Rates:
    """Rates as a setting says them: `staff=1200,member=120,address=300`, each of them or none.

    Raises:
        ValueError: it says something else.
    """
    named: dict[str, int] = {}
    for part in filter(None, text.split(",")):
        name, _, rate = part.partition("=")
        if name not in Rates.__slots__ or not rate.isdecimal() or not 1 <= int(rate) <= 1_000_000:
            raise ValueError(f"{part} is not staff=, member= or address= and a number of requests a minute")
        named[name] = int(rate)
    return Rates(**named)


@dataclass(frozen=True, slots=True)
class Pace:
    """Keeps callers to their rates. Integration keys have rates of their own, at their gate.

    Args:
        rates: None lets everybody call as often as they like.
    """

    rates: Rates | None = None
    buckets: OrderedDict[tuple[str, str], Bucket] = field(default_factory=OrderedDict)

    def count(self, caller: Caller | None, address: str, *, now: datetime) -> None:
        """Count a request of a caller; of an address, where it is not known who calls.

        Raises:
            RateExceeded: they sent too many.
        """
        if self.rates is None:
            return
        if caller is None:
            self._take("address", address, self.rates.address, now)
        elif caller.kind is Kind.MEMBER:
            self._take("member", caller.subject, self.rates.member, now)
        elif caller.kind is Kind.STAFF:
            self._take("staff", caller.subject, self.rates.staff, now)

    def _take(self, kind: str, who: str, rate: int, now: datetime) -> None:
        bucket = self.buckets.setdefault((kind, who), Bucket(rate, now))
        self.buckets.move_to_end((kind, who))
        if len(self.buckets) > BUCKETS_MAX:
            self.buckets.popitem(last=False)
        bucket.take(rate, now=now)
