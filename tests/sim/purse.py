"""What a member's points come to, by the product's promises alone: the judge's own arithmetic.

It shares no code with the product. It knows no buckets, running sums or folding: each thing that gave points is a
parcel with a last day, each thing that took points a day on which it did. A return makes its purchase's parcel and
taking smaller, as if so much had never been bought. When members are merged, the parcels and takings of one go into the
purse of the other; each remembers where it came from, so that they find home again. `tests/unit/oracle.py` tells the
same promises point by point; `test_purse.py` holds the two together.
"""

from calendar import monthrange
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

Terms = Mapping[str, Any]
"""A version of the program as it was published, in plain values."""

CLOSED_PERIODS = 12
"""For so many closed periods an account promises exactness; what arrives for an older one may be off."""

_FOREVER = date(9999, 12, 31)

WAITING = date.max
"""In place of a day: the points wait for something that nobody can date."""


@dataclass
class Parcel:
    """Points that were given together.

    Attributes:
        matures_on: the first day on which they can be spent, where they could not be at once; `WAITING` has no day.
        home: the account to which they belong, also while another answers for it.
    """

    last_day: date
    points: int
    matures_on: date | None = None
    home: str = ""


@dataclass
class Taking:
    """Points that were taken together."""

    day: date
    points: int
    home: str = ""


@dataclass
class Forgiven:
    """A debt that was written off.

    Attributes:
        at: when.
        last_day: of the points that paid for it.
        points: of it, what nothing has paid for since.
    """

    at: datetime
    last_day: date
    points: int
    home: str = ""


@dataclass(frozen=True)
class Kept:
    """Points that are on hold.

    Attributes:
        until: from then on they are free.
        day: when they were reserved; captured, they count as spent then.
    """

    points: int
    until: datetime
    day: date


@dataclass(frozen=True)
class Settled:
    """A tier that is held from a month on, whatever the points before say: what a merge may leave."""

    month: int
    tier_id: str
    review_after: int | None


@dataclass
class Standing:
    """What there is on a day.

    Attributes:
        waiting: points that cannot be spent yet, by their last day.
    """

    balance: int
    lots: dict[date, int]
    lapsed: int
    waiting: dict[date, int]
    held: int = 0

    @property
    def pending(self) -> int:
        """Points that cannot be spent yet."""
        return sum(self.waiting.values())

    @property
    def available(self) -> int:
        """Points that can be spent."""
        return max(self.balance - self.pending - self.held, 0)


@dataclass
class Purse:
    """All that was ever given to an account and taken.

    Attributes:
        owner: whose it is.
        absorbed: for whom it answers besides.
        holds: by name.
        sent: points that went to other members, by the month of their offer.
        booked: points whose expiry is in the entries.
        exact: nothing arrived for a period that was closed too long ago.
        in_debt: something left a debt that was allowed.
        forgiven: debts that were written off, by the entry that did.
        recalls: it is known which of them belong to whom.
    """

    owner: str = ""
    absorbed: set[str] = field(default_factory=set)
    parcels: dict[object, Parcel] = field(default_factory=dict)
    takings: dict[object, Taking] = field(default_factory=dict)
    holds: dict[str, Kept] = field(default_factory=dict)
    sent: Counter[int] = field(default_factory=Counter)
    booked: int = 0
    settled: Settled | None = None
    exact: bool = True
    in_debt: bool = False
    forgiven: dict[object, Forgiven] = field(default_factory=dict)
    recalls: bool = True
    _qualifying: Counter[tuple[str, int]] = field(default_factory=Counter)
    _lots: Counter[date] = field(default_factory=Counter)
    _taken: Counter[date] = field(default_factory=Counter)
    _folded: date = date.min

    @property
    def qualifying(self) -> Counter[int]:
        """Qualifying points by month."""
        sums: Counter[int] = Counter()
        for (_, month), points in self._qualifying.items():
            sums[month] += points
        return sums

    def give(self, key: object, points: int, last_day: date, matures_on: date | None = None, home: str = "") -> None:
        """Give points; fewer than none makes a parcel that is there smaller."""
        self.exact = self.exact and last_day > self._folded
        parcel = self.parcels.setdefault(key, Parcel(last_day, 0, matures_on, home or self.owner))
        assert parcel.last_day == last_day, f"{key} lasts until {parcel.last_day}, not {last_day}"
        parcel.points += points
        self._lots[last_day] += points

    def mature(self, key: object, matures_on: date | None) -> None:
        """Points that waited have a day now, or can be spent at once."""
        if key in self.parcels:
            self.parcels[key].matures_on = matures_on

    def take(self, key: object, points: int, day: date, terms: Terms, home: str = "") -> None:
        """Take points; fewer than none gives some of a taking back."""
        self.exact = self.exact and closing(day, terms) > self._folded
        self.takings.setdefault(key, Taking(day, 0, home or self.owner)).points += points
        self._taken[day] += points

    def qualify(self, month: int, points: int, home: str = "") -> None:
        """Count qualifying points, or some fewer."""
        if points:
            self._qualifying[home or self.owner, month] += points

    def move(self, into: "Purse", homes: set[str]) -> None:
        """Move what belongs to some homes into another purse."""
        for key, parcel in [each for each in self.parcels.items() if each[1].home in homes]:
            del self.parcels[key]
            self._lots[parcel.last_day] -= parcel.points
            into.parcels[key] = parcel
            into._lots[parcel.last_day] += parcel.points
        for key, taking in [each for each in self.takings.items() if each[1].home in homes]:
            del self.takings[key]
            self._taken[taking.day] -= taking.points
            into.takings[key] = taking
            into._taken[taking.day] += taking.points
        for key in [key for key, debt in self.forgiven.items() if debt.home in homes]:
            into.forgiven[key] = self.forgiven.pop(key)
        for home, month in [each for each in self._qualifying if each[0] in homes]:
            into._qualifying[home, month] += self._qualifying.pop((home, month))
        # What was folded in one stays as it was folded, and is not told anew for both.
        self.exact = into.exact = self.exact and into.exact and self._folded == into._folded == date.min
        into.in_debt = into.in_debt or self.in_debt

    def paying(self, restored: Sequence[tuple[datetime, int]]) -> list[tuple[Forgiven, int]]:
        """For which debts points pay that come back: for those written off after they were taken, oldest first.

        Args:
            restored: when points were taken, and how many.
        """
        found: list[tuple[Forgiven, int]] = []
        used = Counter[int]()
        for since, points in restored:
            left = points
            for debt in sorted(self.forgiven.values(), key=lambda each: each.at):
                some = min(debt.points - used[id(debt)], left) if debt.at > since else 0
                if some > 0:
                    found.append((debt, some))
                    used[id(debt)] += some
                    left -= some
        return found

    def fold(self, on: date, terms: Terms) -> None:
        """Note which periods are closed for so long that they may be kept as one figure, from a day on."""
        closed = {day for day, points in self._lots.items() if day < on}
        closed |= {end for day in self._taken if (end := closing(day, terms)) < on}
        if len(closed) > CLOSED_PERIODS:
            before, self._folded = self._folded, max(self._folded, sorted(closed)[-CLOSED_PERIODS - 1])
            # That points still wait which were used up before they lapsed is known for as long as their period.
            if self._folded > before and any(last <= self._folded for last in self.on(on).waiting):
                self.exact = False

    def tier(self, terms: Terms, day: date) -> Mapping[str, Any]:
        """The tier held on a day."""
        tiers: Sequence[Mapping[str, Any]] = terms["ladder"]["tiers"]
        return tiers[rank(self.qualifying, terms, month_number(day), self.settled)]

    def on(self, day: date, at: datetime | None = None) -> Standing:
        """What there is on a day: what dies first pays first, and only for what was taken before it died.

        Args:
            at: the instant at which holds that are over count no more; without it all of them count.
        """
        takings = sorted(self._taken.items())
        lots = sorted((last, points) for last, points in self._lots.items() if points)
        told = unpaid = 0
        lapses = Counter[date]()
        living: list[tuple[date, int]] = []
        for last, points in lots:
            if last >= day:
                living.append((last, points))
                continue
            while told < len(takings) and takings[told][0] <= last:
                unpaid += takings[told][1]
                told += 1
            paid = min(points, unpaid)
            unpaid -= paid
            lapses[last] = points - paid
        unpaid += sum(points for _, points in takings[told:])
        balance = sum(points for _, points in living) - unpaid
        left: dict[date, int] = {}
        for last, points in living:
            paid = min(points, unpaid)
            unpaid -= paid
            if points > paid:
                left[last] = points - paid
        held = sum(hold.points for hold in self.holds.values() if at is None or hold.until > at)
        return Standing(balance, left, lapses.total(), self._waiting(day, lapses), held)

    def _waiting(self, day: date, lapses: Mapping[date, int]) -> dict[date, int]:
        """Points that cannot be spent yet, by their last day.

        What lapsed while it waited waits no more: it lapses first, and what is left paid for something. Where there is
        a day, that is all over after the last one.
        """
        waiting = Counter[date]()
        for parcel in self.parcels.values():
            first = parcel.matures_on
            if first is not None and first > day and (first == WAITING or parcel.last_day >= day):
                waiting[parcel.last_day] += parcel.points
        for last in [each for each in waiting if each < day]:
            waiting[last] = max(waiting[last] - lapses[last], 0)
        return {last: points for last, points in waiting.items() if points}


# ---------------------------------------------------------------- days


def day_of(moment: datetime, terms: Terms) -> date:
    """The calendar day in the program's zone."""
    return moment.astimezone(ZoneInfo(terms["time_zone"])).date()


def month_number(day: date) -> int:
    """A month as a number that can be counted."""
    return day.year * 12 + day.month - 1


def month_end(day: date) -> date:
    """The last day of a day's month."""
    return day.replace(day=monthrange(day.year, day.month)[1])


def closing(day: date, terms: Terms) -> date:
    """The day at whose end the period of a day closes."""
    return day if terms["expiry"]["bucket"] == "day" or day == _FOREVER else month_end(day)


def last_day(earned_on: date, terms: Terms) -> date:
    """The last day of points earned on a day."""
    expiry = terms["expiry"]
    if expiry["mode"] == "never":
        return _FOREVER
    if expiry["mode"] == "end_of_year":
        return date(earned_on.year + expiry["years"], 12, 31)
    year, month = divmod(month_number(earned_on) + expiry["months"], 12)
    there = date(year, month + 1, min(earned_on.day, monthrange(year, month + 1)[1]))
    return closing(there, terms)


def months_kept(terms: Terms) -> int:
    """For so many months back it is promised to be known which tier was held; older ones are summed up in an anchor."""
    return max(12, int(terms["ladder"]["qualification"]["months"])) + 12


def matures_on(begins_on: date, last: date, terms: Terms, today: date) -> date | None:
    """The first day on which points of a purchase are pending no more, when that is yet to come.

    They are pending no longer than they live, until their last day.
    """
    first = begins_on + timedelta(days=terms["pending_days"])
    if not terms["pending_days"] or first <= today:
        return None
    return first if first <= last else last + timedelta(days=1)


# ---------------------------------------------------------------- amounts


def worth(paid_minor: int, terms: Terms, percent: int = 100) -> int:
    """Points for an amount, rounded once."""
    rate = terms["earn_rate"]
    points = Fraction(paid_minor * rate["points"] * percent, rate["per_minor"] * 100)
    whole = points.numerator // points.denominator
    rest = points - whole
    if rate["rounding"] == "up":
        return whole + (rest > 0)
    return whole + (rate["rounding"] == "half_up" and rest >= Fraction(1, 2))


# ---------------------------------------------------------------- tiers


def rank(sums: Mapping[int, int], terms: Terms, month: int, settled: Settled | None = None) -> int:
    """The rank held in a month, walked month by month; true while the ladder never changed.

    Args:
        settled: what is held in its month without regard to the months before.
    """
    ladder = terms["ladder"]
    rules = ladder["qualification"]
    thresholds = [tier["threshold"] for tier in ladder["tiers"]]
    yearly, keeps = rules["window"] == "calendar_year", rules["at_end"] == "keep"
    months = rules["months"]

    def between(first: int, last: int) -> int:
        return sum(points for each, points in sums.items() if first <= each <= last)

    def reached(points: int) -> int:
        return max(place for place, threshold in enumerate(thresholds) if threshold <= max(points, 0))

    held, review = 0, None
    first = min([*(m for m, p in sums.items() if p), month])
    if settled is not None:
        held = [tier["tier_id"] for tier in ladder["tiers"]].index(settled.tier_id)
        first, review = settled.month + 1, settled.review_after
    for each in range(first, month + 1):
        if review is not None and each > review:
            year = review // 12 * 12
            earned = reached(between(year, year + 11) if yearly else between(review - months + 1, review))
            held = max(earned, held - 1) if rules["at_end"] == "step_down" else earned
            review = (each // 12 * 12 + 11 if yearly else each + months - 1) if held else None
        now = reached(between(each // 12 * 12 if yearly else each - months, each))
        if now > held:
            held, review = now, None if keeps else each // 12 * 12 + 11 if yearly else each + months
    return held
