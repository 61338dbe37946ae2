"""Hand those who are due to those who do steps, list by list.

There is a list for each five minutes. It is handed on once; whoever is still in it a quarter of an hour later was lost
on the way, or stands there because their write came late into the index, and is handed on again. All of it may happen
twice. After a time without ticks (a laptop that was off) the lists between are gone through.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.journeys import store
from chalicelib.journeys.errors import HeadMoved, TickMissed
from chalicelib.journeys.models import Board, JourneyState, Place, Ref
from chalicelib.journeys.ports import Works
from chalicelib.journeys.rules import timing
from chalicelib.journeys.service.taking import placed
from chalicelib.journeys.store import Ticked
from chalicelib.storage import keys

BATCH = 25
"""Ways in a message."""

SWEEP_AFTER = 3
"""So many slots later a list is looked through again."""

KEEP_EVERY = 24
"""Lists that are handed on before it is written down, when many have to be caught up with."""

ENDING_PAGE = 500
SETTLED = timedelta(minutes=10)
"""After a journey was resumed, as long may somebody still be put with those who are held."""


@dataclass
class Done:
    """What a tick has done."""

    lists: int = 0
    handed: int = 0
    swept: int = 0


def tick(works: Works, *, ends_at: datetime | None = None) -> Done:
    """Hand on all who are due by now.

    Args:
        ends_at: by the clock, when to stop; the next tick goes on from there.

    Raises:
        Trouble: what was handed on is; the next tick does the rest.
    """
    now, done = works.clock(), Done()
    board = store.find_board(works.table)
    if board.began_at is None:
        return done
    before = store.find_ticked(works.ops)
    begin = timing.slot_of(board.began_at) - timing.SLOT
    ticked = before or Ticked(begin, begin)
    try:
        ticked = _onward(works, ticked, timing.slot_of(now), done, ends_at)
        _swept(works, ticked, timing.slot_of(now), done, ends_at)
    except TickMissed:
        return done
    for place in board.places.values():
        if place.held is not None and place.state in (JourneyState.ACTIVE, JourneyState.CLOSED):
            _unheld(works, place, now, done)
        if place.ending:
            _ending(works, place, done)
    return done


def look_ahead(works: Works) -> Done:
    """Hand on all who will be due by an instant that is yet to come, to see what a journey does. Nothing is kept of it:
    the lists between are handed on when their time comes.
    """
    now, done = works.clock(), Done()
    for place in store.find_board(works.table).places.values():
        after: str | None = None
        while place.state in (JourneyState.ACTIVE, JourneyState.CLOSED):
            found, after = store.list_members(works.table, place.journey_id, left=False, after=after, limit=ENDING_PAGE)
            _hand(works, [each.ref for each in found if each.due_at is not None and each.due_at <= now], done)
            if after is None:
                break
    return done


def _onward(works: Works, ticked: Ticked, through: int, done: Done, ends_at: datetime | None) -> Ticked:
    for number, slot in enumerate(timing.slots(ticked.through, through)):
        if number and number % KEEP_EVERY == 0:
            ticked = _kept(works, ticked, Ticked(slot - timing.SLOT, ticked.swept))
            if _late(works, ends_at):
                return ticked
        for shard in range(keys.JOURNEY_SHARDS):
            for refs in store.list_due(works.table, slot, shard):
                _hand(works, refs, done)
        done.lists += 1
    return _kept(works, ticked, Ticked(through, ticked.swept)) if through > ticked.through else ticked


def _swept(works: Works, ticked: Ticked, now: int, done: Done, ends_at: datetime | None) -> None:
    """Look through lists that have had their time; the next sweep begins with the first that has anybody in it."""
    last = min(now - SWEEP_AFTER * timing.SLOT, ticked.through)
    if last - ticked.swept < SWEEP_AFTER * timing.SLOT:
        return
    clean, spotless = ticked.swept, True
    for slot in timing.slots(ticked.swept, last):
        for shard in range(keys.JOURNEY_SHARDS):
            for refs in store.list_due(works.table, slot, shard):
                spotless = False
                done.swept += len(refs)
                _hand(works, refs, done)
        if spotless:
            clean = slot
        if _late(works, ends_at):
            break
    _kept(works, ticked, Ticked(ticked.through, clean))


def _unheld(works: Works, place: Place, now: datetime, done: Done) -> None:
    """Hand on those who came due while their journey was paused, until nobody can be among them any more."""
    found = 0
    for shard in range(keys.JOURNEY_SHARDS):
        for refs in store.list_held(works.table, place.journey_id, shard):
            found += len(refs)
            _hand(works, refs, done)
    head = store.find_head(works.table, place.journey_id)
    if found or head is None or now - head.moved_at < SETTLED:
        return
    if head.state in (JourneyState.ACTIVE, JourneyState.CLOSED):
        _noted(works, place, held=None, ending=place.ending)


def _ending(works: Works, place: Place, done: Done) -> None:
    """Hand on some of those who are inside a journey that has ended, until the counters say that nobody is."""
    inside = sum(
        amount
        for counts in store.find_counts(works.table, place.journey_id).values()
        for name, amount in counts.items()
        if name.startswith("i")
    )
    if not inside:
        _noted(works, place, held=None, ending=False)
        return
    found, _ = store.list_members(works.table, place.journey_id, left=False, after=None, limit=ENDING_PAGE)
    _hand(works, [each.ref for each in found], done)


def _noted(works: Works, place: Place, *, held: int | None, ending: bool) -> None:
    board = store.find_board(works.table)
    there = board.places.get(place.journey_id)
    if there is None or there.state is not place.state:
        return
    after = replace(there, held=held, ending=ending)
    try:
        works.table.commit([store.put_board(board, _without_idle(placed(board, after)))])
    except HeadMoved:
        return  # the next tick does it


def _without_idle(board: Board) -> Board:
    """A board without journeys that have ended and that nobody is in."""
    places = {
        name: each
        for name, each in board.places.items()
        if each.ending or each.state in (JourneyState.ACTIVE, JourneyState.PAUSED, JourneyState.CLOSED)
    }
    return Board(places, board.began_at, board.version)


def _kept(works: Works, before: Ticked, after: Ticked) -> Ticked:
    works.ops.commit([store.put_ticked(before, after)])
    return Ticked(after.through, after.swept, before.version + 1)


def _hand(works: Works, refs: Sequence[Ref], done: Done) -> None:
    if refs:
        works.hand([store.message(refs[at : at + BATCH]) for at in range(0, len(refs), BATCH)], 0)
        done.handed += len(refs)


def _late(works: Works, ends_at: datetime | None) -> bool:
    return ends_at is not None and works.clock() >= ends_at
