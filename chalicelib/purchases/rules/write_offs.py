"""What a purchase took, so that what comes back of it pays for what was written off since. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.points.models import Account, Entry, Posting, Restored
from chalicelib.points.rules import reversals
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program


@dataclass(frozen=True, slots=True)
class Turns:
    """How a purchase's returns and restatements led to what it brings now: points earned less points that paid.

    Attributes:
        taken: what was taken and did not come back yet, with the points that paid at first; oldest first.
        earns: points that it earns now, counted from what it earned at first.
        most: the most that it ever earned, counted so.
    """

    taken: tuple[Restored, ...] = ()
    earns: int = 0
    most: int = 0

    def restored_by(self, change: int, earned: int) -> tuple[Restored, ...]:
        """What a change gives back of what was taken before, the newest first; what is newly earned is not among it.

        Args:
            change: how many more points the purchase brings.
            earned: how many more points it earns.
        """
        wanted = change - max(self.earns + earned - self.most, 0)
        found: list[Restored] = []
        for each in reversed(self.taken):
            some = min(each.points, wanted)
            if some > 0:
                found.append(Restored(each.taken_at, some))
                wanted -= some
        return tuple(found)

    def after(self, entry: Entry) -> "Turns":
        """What one more return or restatement came to."""
        change, earned = change_of(entry), entry.earned or 0
        taken = _less(self.taken, sum(each.points for each in self.restored_by(change, earned)))
        if change < 0:
            taken = (*taken, Restored(entry.recorded_at, -change))
        earns = self.earns + earned
        return Turns(taken, earns, max(self.most, earns))


def turns_of(bought: Entry, changes: Sequence[Entry] = ()) -> Turns:
    """The turns of a purchase.

    Args:
        bought: its entry, with what it brought at first.
        changes: its returns and restatements, in order.
    """
    turns = Turns(taken=(Restored(bought.recorded_at, bought.consumed),) if bought.consumed else ())
    for entry in changes:
        turns = turns.after(entry)
    return turns


def _less(taken: Sequence[Restored], points: int) -> tuple[Restored, ...]:
    """What was taken, without so many of the newest points."""
    left: list[Restored] = []
    for each in reversed(taken):
        some = min(each.points, points)
        points -= some
        if each.points > some:
            left.append(Restored(each.taken_at, each.points - some))
    return tuple(reversed(left))


def change_of(entry: Entry) -> int:
    """The points that an entry of a purchase brings, less those that it takes."""
    return (entry.earned or 0) - (entry.consumed or 0)


def post_change(account: Account, draft: Draft, turns: Turns, program: Program, *, now: datetime) -> Posting:
    """Post a change of a purchase: what comes back with it pays for what was written off since it was taken."""
    restored = turns.restored_by(draft.earned - draft.consumed, draft.earned)
    return reversals.reverse(account, draft, program, now=now, restored=restored)
