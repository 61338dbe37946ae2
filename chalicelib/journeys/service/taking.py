"""Take events from the bus: keep what somebody may ask for, let members in, and let those go who reach the goal.

An event comes at least once, and in no order. What lets a member in names the way that they go, so the same event again
finds it there. What may end a way is written down before ways are looked for, and ways look for it whenever they move:
whichever of the two is written last finds the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.journeys import store
from chalicelib.journeys.errors import InstanceKnown, InstanceMoved
from chalicelib.journeys.models import Answers, Board, Edition, FirstPurchased, JourneyState, Place, Ref, Told
from chalicelib.journeys.ports import Works
from chalicelib.journeys.rules import intake, moving, pinning
from chalicelib.journeys.rules.timing import LAKE_BEHIND
from chalicelib.journeys.service import messages
from chalicelib.journeys.service.stepping import Stepper, alert
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.storage.writes import Write

ATTEMPTS_MAX = 8
LATE = timedelta(minutes=5)
"""What was recorded so long before a journey was activated lets nobody in; clocks differ a little."""


@dataclass
class Taker:
    """Takes events, over many messages of one process."""

    works: Works
    stepper: Stepper = field(init=False)

    def __post_init__(self) -> None:
        self.stepper = Stepper(self.works)

    def take(self, told: Told) -> int:
        """Take an event; how many journeys the member came into by it, or is to be asked about.

        Raises:
            Trouble: give it again.
        """
        board = store.find_board(self.works.table)
        places = [
            each for each in board.places.values() if each.state not in (JourneyState.DRAFT, JourneyState.ARCHIVED)
        ]
        if any(told.kind in each.needs for each in places):
            self._note(told)
        if any(told.kind in each.goals for each in places):
            self.settle(told.member_id)
        entered = 0
        for place in places:
            if place.state is JourneyState.ACTIVE and place.entry == told.kind:
                entered += self._considered(place, told)
        return entered

    def settle(self, member_id: MemberId) -> None:
        """See who of a member's ways has to end: they reached a goal, or are no member any more.

        Raises:
            Trouble: give it again.
        """
        ways = store.list_of_member(self.works.table, member_id)
        self.stepper.settle([each.ref for each in ways if each.left is None])

    def _note(self, told: Told) -> None:
        try:
            self.works.ops.commit([store.add_note(told, self.works.clock())])
        except InstanceKnown:
            return

    def _considered(self, place: Place, told: Told) -> int:
        """Whether an event lets a member into a journey, or may."""
        edition = self.stepper.editions.find(place.journey_id, place.edition)
        if not intake.lets_in(edition, told, place.segment_id):
            return 0
        if isinstance(edition.definition.entry, FirstPurchased) and self.works.people.bought_before(told):
            return 0
        head = store.find_head(self.works.table, place.journey_id)
        if head is None or head.activated_at is None or told.at < head.activated_at - LATE:
            return 0
        if pinning.whom(edition):
            seconds = int(LAKE_BEHIND.total_seconds())
            self.works.hand([messages.candidate(place.journey_id, place.edition, told)], seconds)
            return 1
        return self.enter(edition, told)

    def enter_fitting(
        self, journey_id: JourneyId, edition: int, some: Sequence[Told], answers: Answers | None = None
    ) -> int:
        """Let those in who fit, of candidates for a version of a journey; how many.

        Raises:
            Trouble: give them again.
        """
        found = self.stepper.editions.find(journey_id, edition)
        fitting = self.fitting(found, some)
        return sum(self.enter(found, each, answers) for each in some if each.member_id in fitting)

    def fitting(self, edition: Edition, some: Sequence[Told]) -> frozenset[MemberId]:
        """Those of some candidates for whom a journey is.

        Raises:
            Trouble: ask again.
        """
        found = frozenset(each.member_id for each in some)
        for each in pinning.whom(edition):
            found = self.works.judge.fitting(each, found, edition.segments) if found else found
        return found

    def enter(self, edition: Edition, told: Told, answers: Answers | None = None) -> int:
        """Let a member in, unless they are in by this, may not come again yet, or are none any more; 1 or 0.

        Args:
            answers: who lets them in by hand.

        Raises:
            Trouble: give it again.
        """
        works, definition = self.works, edition.definition
        now = works.clock()
        head = store.find_head(works.table, edition.journey_id)
        if head is None or head.state is not JourneyState.ACTIVE:
            return 0
        person = works.people.find([told.member_id], now)[told.member_id]
        if person.status != "active":
            return 0
        entry, zone = intake.entry_key(definition, told.event_id), works.book.current(now).time_zone
        move = moving.entered(edition, told, entry, now, person.month_day, zone)
        move = replace(move, after=replace(move.after, answers=answers))
        for _ in range(ATTEMPTS_MAX):
            writes: list[Write] = [store.add_instance(move.after), *store.count(move.after, move.amounts)]
            if intake.uses_gate(definition):
                gate = store.find_gate(works.table, told.member_id, edition.journey_id)
                if not intake.may_again(definition, gate, told.at):
                    return 0
                writes.append(store.put_gate(told.member_id, edition.journey_id, gate, told.at))
            try:
                works.table.commit(writes)
            except InstanceKnown:
                self._again(move.after.ref, now)
                return 0
            except InstanceMoved:
                continue
            if move.after.due_at is not None and move.after.due_at <= now:
                works.hand([store.message([move.after.ref])], 0)
            alert(works, definition, move.after)
            return 1
        raise WriteContended

    def _again(self, ref: Ref, now: datetime) -> None:
        """The event came again: perhaps because the first time ended before the way was handed on."""
        there = store.find_instance(self.works.table, ref)
        if there is not None and there.left is None and there.due_at is not None and there.due_at <= now:
            self.works.hand([store.message([ref])], 0)


def placed(board: Board, place: Place) -> Board:
    """A board with a journey on it as it is now."""
    return replace(board, places={**board.places, place.journey_id: place})
