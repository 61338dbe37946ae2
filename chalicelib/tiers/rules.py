"""Which tier a member holds: derived from monthly sums, so that the order in which purchases arrive does not matter.

Nothing here is a state machine that can drift. `standing` walks the months in which something could change and asks,
for each: is a review due, and is a higher tier reached? A late purchase or a return changes one monthly sum, and the
walk gives what would have been, had it been there all along.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from chalicelib.kernel.calendar import Month
from chalicelib.programs.models import AtEnd, Ladder, Program, Tier, Window
from chalicelib.tiers.models import Anchor, Standing

_MONTHS_IN_A_YEAR = 12


class _Sums:
    """Monthly sums that answer for any span of months at once: accounts of years are asked hundreds of times."""

    __slots__ = ("_months", "_totals")

    def __init__(self, qualifying: Mapping[Month, int]) -> None:
        self._months = sorted(qualifying)
        self._totals = [0, *accumulate(qualifying[month] for month in self._months)]

    @property
    def taken_in(self) -> list[Month]:
        """The months in which more was taken than given: when they leave a window, its sum rises."""
        return [month for month, sums in zip(self._months, pairwise(self._totals), strict=True) if sums[1] < sums[0]]

    def between(self, first: int, last: int) -> int:
        """The sum of the months from the first to the last, both included."""
        return self._totals[bisect_right(self._months, last)] - self._totals[bisect_left(self._months, first)]

    def next_after(self, month: Month) -> Month | None:
        """The next month that has a sum."""
        index = bisect_right(self._months, month)
        return self._months[index] if index < len(self._months) else None


class _Rungs:
    """A ladder by rank, from 0: its thresholds, its window, its reviews."""

    __slots__ = ("_rules", "_thresholds", "_yearly", "keeps", "tiers")

    def __init__(self, ladder: Ladder) -> None:
        self.tiers = ladder.tiers
        self._rules = ladder.qualification
        self._thresholds = [tier.threshold for tier in ladder.tiers]
        self._yearly = ladder.qualification.window is Window.CALENDAR_YEAR
        self.keeps = ladder.qualification.at_end is AtEnd.KEEP

    def reached(self, points: int) -> int:
        """The highest rank that asks for no more."""
        return bisect_right(self._thresholds, max(points, 0)) - 1

    def rank_of(self, tier_id: str, threshold: int) -> int:
        """The rank of a tier from another ladder: the same id, or the highest that asks for no more."""
        same = (rank for rank, tier in enumerate(self.tiers) if tier.tier_id == tier_id)
        return next(same, self.reached(threshold))

    def in_window(self, sums: _Sums, month: Month) -> int:
        """What counts in a month: its year so far, or it and the months before it."""
        first = month // _MONTHS_IN_A_YEAR * _MONTHS_IN_A_YEAR if self._yearly else month - self._rules.months
        return sums.between(first, month)

    def leaves(self, month: Month) -> Month:
        """The first month whose window holds a month no more."""
        return Month(month // _MONTHS_IN_A_YEAR * 12 + 12 if self._yearly else month + self._rules.months + 1)

    def judged(self, sums: _Sums, review_after: Month) -> int:
        """What counts at the review after a month: the year that ends, or the last so many whole months."""
        if self._yearly:
            end = review_after // _MONTHS_IN_A_YEAR * _MONTHS_IN_A_YEAR + 11
            return sums.between(end - 11, end)
        return sums.between(review_after - self._rules.months + 1, review_after)

    def after_review(self, rank: int, earned: int) -> int:
        """The rank after a review."""
        match self._rules.at_end:
            case AtEnd.KEEP:
                return rank
            case AtEnd.STEP_DOWN:
                return max(earned, rank - 1)
            case AtEnd.EARNED_LEVEL:
                return earned

    def next_review(self, month: Month, *, since_review: bool) -> Month | None:
        """The month through which a tier taken (or kept at a review) in a month is held."""
        if self.keeps:
            return None
        if self._yearly:
            return Month(month // _MONTHS_IN_A_YEAR * _MONTHS_IN_A_YEAR + 11)
        return Month(month + self._rules.months - (1 if since_review else 0))

    def fitting_review(self, review_after: Month | None, month: Month) -> Month | None:
        """The review of a tier that is held on, which may have been taken by another ladder."""
        if self.keeps or review_after is None:
            return self.next_review(month, since_review=False)
        return self.next_review(review_after, since_review=False) if self._yearly else review_after


class _Ladders:
    """Which ladders were in force when: one as a rule, more in a month of change."""

    __slots__ = ("_spans", "changes", "first", "last")

    def __init__(self, program: Program) -> None:
        self.changes = [former.through for former in program.former_ladders]
        self.last = _Rungs(program.ladder)
        rungs = [*(_Rungs(former.ladder) for former in program.former_ladders), self.last]
        self.first = rungs[0]
        self._spans = list(zip(rungs, [None, *self.changes], [*self.changes, None], strict=True))

    def reliefs(self, sums: _Sums) -> list[Month]:
        """Months in which time alone raises what is in a window, because something that was taken leaves it."""
        rungs = [each for each, _, _ in self._spans]
        return [each.leaves(month) for month in sums.taken_in for each in rungs]

    def at(self, month: Month) -> Sequence[_Rungs]:
        """The ladders in force in a month, oldest first."""
        if not self.changes:
            return (self.last,)
        return [
            rungs
            for rungs, start, end in self._spans
            if (start is None or month >= start) and (end is None or month <= end)
        ]


class _Climber:
    """The tier held, while the months go by."""

    __slots__ = ("rank", "review_after", "rungs", "sums")

    def __init__(self, sums: _Sums, ladders: _Ladders, start: Month, anchor: Anchor | None) -> None:
        self.sums = sums
        self.rungs = ladders.at(start)[-1 if anchor else 0]
        self.rank = self.rungs.rank_of(anchor.tier_id, 0) if anchor else 0
        self.review_after = anchor.review_after if anchor else None

    def pass_to(self, rungs: _Rungs) -> None:
        """Stand on another ladder, at the rank that fits."""
        if rungs is not self.rungs:
            tier = self.rungs.tiers[self.rank]
            self.rank, self.rungs = rungs.rank_of(tier.tier_id, tier.threshold), rungs

    def review(self, month: Month, rungs: _Rungs) -> None:
        """Be judged by a ladder, when the month that the tier was held through is over."""
        if self.review_after is None or month <= self.review_after:
            return
        self.pass_to(rungs)
        earned = self.rungs.reached(self.rungs.judged(self.sums, self.review_after))
        self.rank = self.rungs.after_review(self.rank, earned)
        self.review_after = self.rungs.next_review(month, since_review=True) if self.rank else None

    def climb(self, month: Month) -> None:
        """Take the tier that a month's window reaches."""
        reached = self.rungs.reached(self.rungs.in_window(self.sums, month))
        if reached > self.rank:
            self.rank, self.review_after = reached, self.rungs.next_review(month, since_review=False)
        elif self.rank:
            self.review_after = self.rungs.fitting_review(self.review_after, month)


def standing(qualifying: Mapping[Month, int], program: Program, *, on: Month, anchor: Anchor | None = None) -> Standing:
    """The tier held in a month, from the qualifying points of each month.

    A tier is taken the moment its threshold is reached inside the window, held to its review, and at the review kept,
    lowered one step or lowered to the earned level. In the month in which a program changes its ladder, the better
    result of the two ladders counts.
    """
    sums, ladders = _Sums(qualifying), _Ladders(program)
    month = anchor.month if anchor else min([*qualifying, on])
    climber = _Climber(sums, ladders, month, anchor)
    if anchor is None:
        _enter(climber, ladders, month)
    turns = [*ladders.changes, *ladders.reliefs(sums)]
    while (step := _next_month(month, climber, turns, on)) is not None:
        month = step
        climber.review(month, ladders.at(month)[-1])
        _enter(climber, ladders, month)
    climber.pass_to(ladders.at(on)[-1])
    held, review_after = climber.rungs, climber.review_after
    in_window = held.in_window(sums, on)
    return Standing(
        tier_id=held.tiers[climber.rank].tier_id,
        review_after=review_after,
        qualifying_points=in_window,
        judged_points=in_window if review_after is None else held.judged(sums, review_after),
    )


def next_tier(program: Program, tier_id: str) -> Tier | None:
    """The tier above, or None at the top."""
    tiers = program.ladder.tiers
    ids = [tier.tier_id for tier in tiers]
    above = ids.index(tier_id) + 1 if tier_id in ids else 1
    return tiers[above] if above < len(tiers) else None


def months_to_keep(program: Program) -> int:
    """How many months of sums an account keeps, so that reviews and late purchases are judged on them."""
    ladders = [program.ladder, *(former.ladder for former in program.former_ladders)]
    return max(_MONTHS_IN_A_YEAR, *(ladder.qualification.months for ladder in ladders)) + _MONTHS_IN_A_YEAR


def pruned(
    qualifying: Mapping[Month, int], program: Program, anchor: Anchor | None, *, on: Month
) -> tuple[dict[Month, int], Anchor | None]:
    """The sums without months too old to matter, and the settled standing that stands for them."""
    limit = months_to_keep(program)
    if len(qualifying) <= limit:
        return dict(qualifying), anchor
    kept = sorted(qualifying)[-limit:]
    settled = Month(min(kept[0] + limit - _MONTHS_IN_A_YEAR, on))
    before = standing(qualifying, program, on=settled, anchor=anchor)
    moved = Anchor(month=settled, tier_id=before.tier_id, review_after=before.review_after)
    return {month: qualifying[month] for month in kept}, moved


def _enter(climber: _Climber, ladders: _Ladders, month: Month) -> None:
    for rungs in ladders.at(month):
        climber.pass_to(rungs)
        climber.climb(month)


def _next_month(month: Month, climber: _Climber, turns: Sequence[Month], on: Month) -> Month | None:
    """The next month in which a tier could change: one with qualifying points, a review, or a turn.

    Args:
        turns: months of a new ladder, or in which something that was taken leaves the window.
    """
    candidates = [turn for turn in turns if turn > month]
    if (active := climber.sums.next_after(month)) is not None:
        candidates.append(active)
    if climber.review_after is not None:
        candidates.append(Month(max(climber.review_after, month) + 1))
    step = min(candidates, default=None)
    return step if step is not None and step <= on else None
