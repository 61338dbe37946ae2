"""Which tier a member holds: derived from monthly sums, so that the order in which purchases arrive does not matter.

Nothing here is a state machine that can drift. `standing` walks the months in which something could change and asks,
for each: is a review due, and is a higher tier reached? A late purchase or a return changes one monthly sum, and the
walk gives what would have been, had it been there all along.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from chalicelib.kernel.calendar import Month
from chalicelib.programs.models import AtEnd, FormerLadder, Ladder, Program, Qualification, Tier, Window
from chalicelib.tiers.models import Anchor, Standing

_MONTHS_IN_A_YEAR = 12


@dataclass(slots=True)
class _Held:
    tier: Tier
    review_after: Month | None


class _Sums:
    """Monthly sums that answer for any span of months at once: accounts of years are asked hundreds of times."""

    __slots__ = ("_months", "_totals")

    def __init__(self, qualifying: Mapping[Month, int]) -> None:
        self._months = sorted(qualifying)
        self._totals = [0, *accumulate(qualifying[month] for month in self._months)]

    def between(self, first: int, last: int) -> int:
        """The sum of the months from the first to the last, both included."""
        return self._totals[bisect_right(self._months, last)] - self._totals[bisect_left(self._months, first)]

    def next_after(self, month: Month) -> Month | None:
        """The next month that has a sum."""
        index = bisect_right(self._months, month)
        return self._months[index] if index < len(self._months) else None


def standing(qualifying: Mapping[Month, int], program: Program, *, on: Month, anchor: Anchor | None = None) -> Standing:
    """The tier held in a month, from the qualifying points of each month.

    A tier is taken the moment its threshold is reached inside the window, held to its review, and at the review kept,
    lowered one step or lowered to the earned level. In the month in which a program changes its ladder, the better
    result of the two ladders counts.
    """
    sums, held = _Sums(qualifying), _start(qualifying, program, anchor)
    month = anchor.month if anchor else min([*qualifying, on])
    if anchor is None:
        _climb(held, sums, program, month)
    while (step := _next_month(month, held, sums, program, on)) is not None:
        month = step
        _review(held, sums, program, month)
        _climb(held, sums, program, month)
    ladder = _ladders(program, on)[-1]
    held.tier = _translated(held.tier, ladder)
    return Standing(
        tier_id=held.tier.tier_id,
        review_after=held.review_after,
        qualifying_points=_window_sum(sums, ladder.qualification, on),
        judged_points=_judged_so_far(sums, ladder.qualification, held.review_after, on),
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


def _start(qualifying: Mapping[Month, int], program: Program, anchor: Anchor | None) -> _Held:
    if anchor is not None:
        ladder = _ladders(program, anchor.month)[-1]
        tier = next((each for each in ladder.tiers if each.tier_id == anchor.tier_id), ladder.tiers[0])
        return _Held(tier, anchor.review_after)
    first = min(qualifying, default=None)
    ladder = program.ladder if first is None else _ladders(program, first)[0]
    return _Held(ladder.tiers[0], None)


def _ladders(program: Program, month: Month) -> Sequence[Ladder]:
    """The ladders in force in a month, oldest first: more than one only in a month of change."""
    former: Sequence[FormerLadder] = program.former_ladders
    if not former:
        return (program.ladder,)
    since = [former[index - 1].through if index else None for index in range(len(former) + 1)]
    until = [*(each.through for each in former), None]
    ladders = [*(each.ladder for each in former), program.ladder]
    return [
        ladder
        for ladder, start, end in zip(ladders, since, until, strict=True)
        if (start is None or month >= start) and (end is None or month <= end)
    ]


def _next_month(month: Month, held: _Held, sums: _Sums, program: Program, on: Month) -> Month | None:
    """The next month in which a tier could change: one with qualifying points, a review, or a new ladder."""
    candidates = [each.through for each in program.former_ladders if each.through > month]
    if (active := sums.next_after(month)) is not None:
        candidates.append(active)
    if held.review_after is not None:
        candidates.append(Month(max(held.review_after, month) + 1))
    step = min(candidates, default=None)
    return step if step is not None and step <= on else None


def _review(held: _Held, sums: _Sums, program: Program, month: Month) -> None:
    if held.review_after is None or month <= held.review_after:
        return
    ladder = _ladders(program, month)[-1]
    rules = ladder.qualification
    current = _rank(ladder, _translated(held.tier, ladder))
    earned = _reached(ladder, _judged_sum(sums, rules, held.review_after))
    match rules.at_end:
        case AtEnd.KEEP:
            rank = current
        case AtEnd.STEP_DOWN:
            rank = max(earned, current - 1)
        case AtEnd.EARNED_LEVEL:
            rank = earned
    held.tier = ladder.tiers[rank]
    held.review_after = _review_month(rules, month, since_review=True) if rank else None


def _climb(held: _Held, sums: _Sums, program: Program, month: Month) -> None:
    for ladder in _ladders(program, month):
        held.tier = _translated(held.tier, ladder)
        reached = _reached(ladder, _window_sum(sums, ladder.qualification, month))
        if reached > _rank(ladder, held.tier):
            held.tier = ladder.tiers[reached]
            held.review_after = _review_month(ladder.qualification, month, since_review=False)
        elif held.tier is not ladder.tiers[0]:
            held.review_after = _fitting_review(ladder.qualification, held.review_after, month)


def _review_month(rules: Qualification, month: Month, *, since_review: bool) -> Month | None:
    """The month through which a tier taken (or kept at a review) in a month is held."""
    if rules.at_end is AtEnd.KEEP:
        return None
    if rules.window is Window.CALENDAR_YEAR:
        return Month(month // 12 * 12 + 11)
    return Month(month + rules.months - (1 if since_review else 0))


def _fitting_review(rules: Qualification, review_after: Month | None, month: Month) -> Month | None:
    """The review of a tier that is held on, under a ladder that may be another than the one it was taken by."""
    if rules.at_end is AtEnd.KEEP or review_after is None:
        return _review_month(rules, month, since_review=False)
    return Month(review_after // 12 * 12 + 11) if rules.window is Window.CALENDAR_YEAR else review_after


def _window_sum(sums: _Sums, rules: Qualification, month: Month) -> int:
    first = month // 12 * 12 if rules.window is Window.CALENDAR_YEAR else month - rules.months
    return sums.between(first, month)


def _judged_sum(sums: _Sums, rules: Qualification, review_after: Month) -> int:
    """What counts at the review after a month: the year that ends, or the last so many whole months."""
    months = 12 if rules.window is Window.CALENDAR_YEAR else rules.months
    end = review_after // 12 * 12 + 11 if rules.window is Window.CALENDAR_YEAR else review_after
    return sums.between(end - months + 1, end)


def _judged_so_far(sums: _Sums, rules: Qualification, review_after: Month | None, on: Month) -> int:
    if review_after is None:
        return _window_sum(sums, rules, on)
    return _judged_sum(sums, rules, review_after)


def _reached(ladder: Ladder, points: int) -> int:
    return max(rank for rank, tier in enumerate(ladder.tiers) if tier.threshold <= max(points, 0))


def _rank(ladder: Ladder, tier: Tier) -> int:
    return [each.tier_id for each in ladder.tiers].index(tier.tier_id)


def _translated(tier: Tier, ladder: Ladder) -> Tier:
    """The tier on another ladder: the same id, or the highest that asked for no more."""
    same = next((each for each in ladder.tiers if each.tier_id == tier.tier_id), None)
    return same or ladder.tiers[_reached(ladder, tier.threshold)]
