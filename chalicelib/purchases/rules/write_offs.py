"""What was written off of a purchase, so that an order that goes down and up again gives nothing twice. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from chalicelib.points.models import Account, Entry, EntryKey, Lifetime, Posting, Sums, Why
from chalicelib.points.rules import reversals
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program


@dataclass(frozen=True, slots=True)
class WriteOffs:
    """Which points of a purchase were written off when they were taken back, and nobody could pay.

    What a purchase brings (points earned less points that paid) goes down and up with its returns and restatements.
    Each point on that way is a place. One that was written off is so for every turn: as the purchase brings it again it
    is not given, and as it is taken again nobody has to pay for it. So it does not matter how often an order goes to
    and fro: only what the customer keeps counts.

    Attributes:
        brings: what the purchase brings now, counted from what it brought at first.
        places: from which place up to which points were written off, and the last day that they had then.
    """

    brings: int = 0
    places: tuple[tuple[int, int, date], ...] = ()

    def between(self, change: int) -> dict[date, int]:
        """Points that were written off among those that a change brings or takes, by the last day that they had."""
        low, high = sorted((self.brings, self.brings + change))
        found = Counter[date]()
        for first, end, day in self.places:
            found[day] += max(min(end, high) - max(first, low), 0)
        return {day: points for day, points in found.items() if points}

    def after(self, change: int, write_off: Entry | None) -> "WriteOffs":
        """What is written off after a change.

        Args:
            write_off: of the debt that it left; None where that counts no more: what was taken then is owed or paid.
        """
        brings, places = self.brings + change, self.places
        if write_off is None and change < 0:
            below = ((first, min(end, brings), day) for first, end, day in places)
            above = ((max(first, self.brings), end, day) for first, end, day in places)
            places = tuple(sorted(place for place in (*below, *above) if place[0] < place[1]))
        if write_off is not None and write_off.earned and write_off.expires_on:
            places = _with_places(places, brings, write_off.earned, write_off.expires_on)
        return WriteOffs(brings, places)


NO_WRITE_OFFS = WriteOffs()


def _with_places(
    places: tuple[tuple[int, int, date], ...], start: int, points: int, day: date
) -> tuple[tuple[int, int, date], ...]:
    """Places with so many more, the first free ones from a place on."""
    more: list[tuple[int, int, date]] = []
    for first, end, _ in places:
        free = min(first - start, points)
        if free > 0:
            more.append((start, start + free, day))
            points -= free
        start = max(start, end)
    if points:
        more.append((start, start + points, day))
    return tuple(sorted((*places, *more)))


def change_of(entry: Entry) -> int:
    """The points that an entry of a purchase brings, less those that it takes."""
    return (entry.earned or 0) - (entry.consumed or 0)


def written_off(changes: Sequence[Entry], write_offs: Mapping[EntryKey, Entry]) -> WriteOffs:
    """What was written off of a purchase.

    Args:
        changes: its returns and restatements, in order.
        write_offs: what wrote off the debts that they left, by the key of the change; without those that were taken
            back.
    """
    found = NO_WRITE_OFFS
    for entry in changes:
        found = found.after(change_of(entry), write_offs.get(entry.key))
    return found


def brings_again(entry: Entry) -> bool:
    """Whether a change brought points of the purchase again: then what was written off for it before is settled."""
    return change_of(entry) > 0


def write_off_in(posting: Posting) -> Entry | None:
    """What wrote off the debt that a change of a purchase left, in the same posting."""
    key = reversals.write_off_key(posting.main.key)
    return next((entry for entry in posting.entries if entry.key == key), None)


def post_change(account: Account, draft: Draft, write_offs: WriteOffs, program: Program, *, now: datetime) -> Posting:
    """Post a change of a purchase. Of the points that it brings or takes, those written off are not given, nor owed."""
    change = draft.earned - draft.consumed
    found = write_offs.between(change)
    if change < 0 or not found:
        return reversals.reverse(account, draft, program, now=now, again=found)
    points = sum(found.values())
    sums = Sums(lifetime=Lifetime(earned=-points), earned={day: -some for day, some in found.items()})
    why = Why(rule_id="write_off", points=-points, args=())
    return reversals.reverse(account, replace(draft, sums=sums, why=(*draft.why, why)), program, now=now)
