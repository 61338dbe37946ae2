"""How many accounts a day somebody takes over who sprays codes at ten thousand numbers from any number of addresses.

The real rules, a day of the clock, and an attacker who is not held back by limits on network addresses, ranges of
numbers or money: each try counts for what it is worth, a millionth where the code has 6 digits and a hundred-millionth
where it has 8, and the worth of all tries is the expectation. The attacker knows the rules and tries several ways; the
worst counts. Beside them honest members sign in, and mistype one code in twenty.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from bench.report import Figure, table
from chalicelib.kernel.errors import Refusal
from chalicelib.signin import rules
from chalicelib.signin.models import Attempts, Pressure
from chalicelib.signin.rules import TERMS, Terms

GOAL = 0.01
NUMBERS = 10_000
DAY = timedelta(days=1)
START = datetime(2026, 3, 15, tzinfo=UTC)


class Doors:
    """Every address's record and the counters of all, as table `ops` keeps them.

    Attributes:
        worth: what the attacker's tries come to: the takeovers that are to be expected.
        tries: how many they were.
        ready: when to come back after the last refusal.
        tried: the rule; tests plant weaker ones.
    """

    def __init__(self, terms: Terms = TERMS) -> None:
        self.terms = terms
        self.tried: Callable[..., tuple[Attempts, bool]] = rules.tried
        self.worth, self.tries, self.refused = 0.0, 0, 0
        self.ready = START
        self._known: dict[int, Attempts] = {}
        self._counts: dict[tuple[str, int], int] = {}
        self._requests = 0

    def ask(self, number: int, now: datetime) -> bool:
        """Have a code sent to a number; whether one was."""
        self._requests += 1
        try:
            self._known[number] = rules.asked(
                self._known.get(number, Attempts()), self.pressure(now), f"{self._requests}", "right", now=now,
                terms=self.terms,
            )  # fmt: skip
        except Refusal as refusal:
            self.refused += 1
            self.ready = now + timedelta(seconds=refusal.facts["retry_after"])
            return False
        self._count("asked", now)
        return True

    def guess(self, number: int, now: datetime) -> bool:
        """Try a wrong code at a number; whether it counted as a try."""
        known = self._known[number]
        if not self._try(number, "wrong", now):
            return False
        self.worth += 10.0**-known.digits
        self.tries += 1
        return True

    def enter(self, number: int, now: datetime) -> None:
        """An honest member signs in, with the right code."""
        self._try(number, "right", now)

    def mistype(self, number: int, now: datetime) -> None:
        """An honest member mistypes the code."""
        self._try(number, "wrong", now)

    def pressure(self, now: datetime) -> Pressure:
        """What the counters say."""
        window, day = int(now.timestamp() // 300), now.toordinal()
        of = self._counts.get
        recent = {what: of((what, window), 0) + of((what, window - 1), 0) for what in ("asked", "right", "wrong")}
        return Pressure(**recent, wrong_today=of(("today", day), 0))

    def _try(self, number: int, code: str, now: datetime) -> bool:
        known = self._known[number]
        try:
            after, right = self.tried(known, self.pressure(now), known.request_id, code, now=now, terms=self.terms)
        except Refusal as refusal:
            self.refused += 1
            self.ready = now + timedelta(seconds=refusal.facts.get("retry_after", 1))
            return False
        self._known[number] = after
        self._count("right" if right else "wrong", now)
        if not right and known.digits == rules.SHORT:
            self._counts["today", now.toordinal()] = self._counts.get(("today", now.toordinal()), 0) + 1
        return True

    def _count(self, what: str, now: datetime) -> None:
        where = (what, int(now.timestamp() // 300))
        self._counts[where] = self._counts.get(where, 0) + 1


@dataclass(frozen=True)
class Way:
    """A way to spray.

    Attributes:
        banked: so many codes are asked for before any is tried.
        tries: so many are tried at a number before the next code is asked for.
        a_window: no more than so many tries in five minutes, to stay unseen; 0 for as many as go.
    """

    name: str
    banked: int = 1
    tries: int = 5
    a_window: int = 0


WAYS = (
    Way("all that goes, number by number"),
    Way("all codes first, then all tries", banked=10_000),
    Way("four tries a code, then another code", tries=4),
    Way("one try a code", tries=1),
    Way("five hundred codes first, then tries", banked=500),
    Way("below the breaker", banked=100, a_window=49),
)


@dataclass
class Spray:
    """A day of an attacker, with honest members beside.

    Attributes:
        honest: honest sign-ins in five minutes.
    """

    way: Way
    seed: int
    numbers: int = NUMBERS
    honest: int = 20
    doors: Doors = field(default_factory=Doors)

    def run(self) -> Doors:
        """Spray from midnight to midnight, by UTC; the doors afterwards."""
        chance = random.Random(self.seed)
        order = list(range(self.numbers))
        chance.shuffle(order)
        waiting = [(START + timedelta(milliseconds=20 * place), number) for place, number in enumerate(order)]
        heapq.heapify(waiting)
        window, left, guests = START, self.way.a_window, self.numbers
        while waiting and waiting[0][0] < START + DAY:
            now = waiting[0][0]
            while window <= now:
                guests = self._honest(window, guests, chance)
                window, left = window + rules.WINDOW, self.way.a_window
            if self.way.a_window and left <= 0:
                for place, (_, number) in enumerate(_taken(waiting, window)):
                    heapq.heappush(waiting, (window + timedelta(milliseconds=place), number))
                continue
            batch = [heapq.heappop(waiting)[1] for _ in range(min(self.way.banked, len(waiting)))]
            left -= self._work(batch, now, waiting)
        return self.doors

    def _work(self, batch: Sequence[int], now: datetime, waiting: list[tuple[datetime, int]]) -> int:
        """Ask for the codes of some numbers, then try them; how many tries that made."""
        asked, made = [], 0
        for number in batch:
            if self.doors.ask(number, now):
                asked.append(number)
            else:
                heapq.heappush(waiting, (max(self.doors.ready, now + timedelta(seconds=1)), number))
        for number in asked:
            done = 0
            while done < self.way.tries and self.doors.guess(number, now):
                done += 1
            made += done
            heapq.heappush(waiting, (now + timedelta(seconds=60), number))
        return made

    def _honest(self, window: datetime, guests: int, chance: random.Random) -> int:
        for guest in range(guests, guests + self.honest):
            if self.doors.ask(guest, window):
                if chance.random() < 0.05:
                    self.doors.mistype(guest, window)
                self.doors.enter(guest, window)
        return guests + self.honest


def _taken(waiting: list[tuple[datetime, int]], until: datetime) -> list[tuple[datetime, int]]:
    found = []
    while waiting and waiting[0][0] < until:
        found.append(heapq.heappop(waiting))
    return found


def run(*, quick: bool = False) -> Figure:
    """Spray in every way, with several seeds; the value is the worst of all."""
    seeds, numbers = (1, 100) if quick else (2, NUMBERS)
    rows, worst = [], 0.0
    beside = (20,) if quick else (20, 2_000)
    for way in WAYS:
        days = [Spray(way, seed, numbers, honest).run() for seed in range(seeds) for honest in beside]
        most = max(days, key=lambda day: day.worth)
        worst = max(worst, most.worth)
        rows.append((way.name, f"{most.tries:,}", f"{most.worth:.5f}"))
    table(("way", "tries a day", "takeovers a day"), rows)
    return Figure(
        "otp", f"takeovers a day, {numbers:,} numbers sprayed, the worst of {len(WAYS)} ways", worst, GOAL, "accounts",
        details={"seeds": seeds, "numbers": numbers, "ways": {name: float(worth) for name, _, worth in rows}},
    )  # fmt: skip
