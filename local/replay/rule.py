"""What the file alone says each customer must have: the program's rule, written a second time.

It shares no code with `chalicelib`, so that a mistake there cannot hide here. It walks a customer's purchases in
order and keeps a state, where the product derives everything from monthly sums.
"""

from calendar import monthrange
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any


class NotOurs(Exception):
    """The program has terms that this second rule does not know."""


@dataclass(frozen=True, slots=True)
class Due:
    """What a customer must have."""

    earned: int
    balance: int
    tier_id: str


@dataclass(frozen=True, slots=True)
class Rule:
    """The terms that decide points and tiers."""

    points: int
    per_minor: int
    tiers: Sequence[tuple[str, int, int]]
    """Id, threshold, percent; the lowest first."""
    months: int
    live_months: int

    def due(self, purchases: Sequence[tuple[date, int]], today: date) -> Due:
        """What purchases in order of their days come to on a day."""
        climber = _Climber(self)
        earned = balance = 0
        for day, cents in purchases:
            percent = climber.percent_in(_month(day))
            points = cents * self.points * percent // (self.per_minor * 100)
            earned += points
            balance += points if today <= self._last_day(day) else 0
            climber.qualify(_month(day), cents * self.points // self.per_minor)
        climber.percent_in(_month(today))
        return Due(earned, balance, self.tiers[climber.rank][0])

    def _last_day(self, day: date) -> date:
        """Points are good to the end of the month, so many months after they were earned."""
        year, index = divmod(_month(day) + self.live_months, 12)
        return date(year, index + 1, monthrange(year, index + 1)[1])


class _Climber:
    """A customer on the ladder, month by month."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._sums: dict[int, int] = {}
        self._review: int | None = None
        """The tier is held to the end of this month."""
        self.rank = 0

    def percent_in(self, month: int) -> int:
        """Hold the reviews that are due by a month, and give the percentage that purchases earn in it."""
        while self._review is not None and month > self._review:
            reached = self._rank_of(self._sum(self._review - self._rule.months + 1, self._review))
            self.rank = max(reached, self.rank - 1)
            self._review = self._review + self._rule.months if self.rank else None
        return self._rule.tiers[self.rank][2]

    def qualify(self, month: int, points: int) -> None:
        """Count points in a month, and climb when they reach a higher tier."""
        self._sums[month] = self._sums.get(month, 0) + points
        reached = self._rank_of(self._sum(month - self._rule.months, month))
        if reached > self.rank:
            self.rank = reached
            self._review = month + self._rule.months

    def _sum(self, first: int, last: int) -> int:
        return sum(points for month, points in self._sums.items() if first <= month <= last)

    def _rank_of(self, points: int) -> int:
        return max(rank for rank, (_, threshold, _) in enumerate(self._rule.tiers) if threshold <= points)


def rule_of(program: Mapping[str, Any]) -> Rule:
    """The rule of a program as the API shows it.

    Raises:
        NotOurs: it rounds, qualifies or expires in a way that is not known here.
    """
    ladder, expiry = program["ladder"], program["expiry"]
    qualification = ladder["qualification"]
    known = (
        program["earn_rate"]["rounding"] == "down"
        and (qualification["window"], qualification["at_end"]) == ("rolling", "step_down")
        and (expiry["mode"], expiry["bucket"]) == ("rolling", "month")
        and not program["former_ladders"]
    )
    if not known:
        raise NotOurs("its rounding, tiers or expiry are not the replay's own")
    return Rule(
        points=program["earn_rate"]["points"],
        per_minor=program["earn_rate"]["per_minor"],
        tiers=[(tier["tier_id"], tier["threshold"], tier["multiplier_percent"]) for tier in ladder["tiers"]],
        months=qualification["months"],
        live_months=expiry["months"],
    )


def _month(day: date) -> int:
    return day.year * 12 + day.month - 1
