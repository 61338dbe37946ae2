"""HTTP of journeys."""

from collections.abc import Sequence

from chalicelib.api.routing import Call, Routes
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.deliveries.service.neighbours import MemberReach
from chalicelib.identity.permissions import Permission
from chalicelib.journeys.errors import (
    JourneyDiffers,
    JourneyGiftForbidden,
    JourneyGiftRaised,
    JourneyMoved,
    JourneyNotByHand,
    JourneyNoticeForbidden,
    JourneyOver,
    JourneyStands,
    JourneysTooMany,
    JourneyUnfit,
    JourneyUnknown,
)
from chalicelib.journeys.models import (
    EditionList,
    EditJourney,
    EnterMembers,
    Entries,
    InstancePage,
    InstancesQuery,
    JourneyCounts,
    JourneyPage,
    JourneyQuery,
    JourneysQuery,
    JourneyState,
    JourneyView,
    MakeJourney,
    MemberJourneys,
    TurnJourney,
    Walk,
    WalkJourney,
)
from chalicelib.journeys.ports import Works
from chalicelib.journeys.service import looking, managing, walking
from chalicelib.journeys.service.managing import Bureau
from chalicelib.journeys.service.neighbours import Foresight, TableShelf, works_of
from chalicelib.journeys.service.taking import Taker
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid
from chalicelib.lake.errors import LakeMissing
from chalicelib.points.errors import MemberUnknown
from chalicelib.programs.service import book_of
from chalicelib.runtime.observe import log_fact
from chalicelib.runtime.settings import SettingsWrong
from chalicelib.segments.errors import RfmNotReady, SegmentsSilent, SegmentsTooMany, SegmentTooHeavy

journeys = Routes("journeys")

_TURNS = (
    JourneyUnknown, JourneyMoved, JourneyStands, JourneyUnfit, JourneyGiftForbidden, JourneyNoticeForbidden,
    JourneysTooMany, SegmentsTooMany, WriteContended,
)  # fmt: skip


def _bureau(call: Call) -> Bureau:
    here = call.house
    book = book_of(here.table)
    shelf = TableShelf(here.table, here.ops, here.objects, here.functions, book, call.now)
    return Bureau(here.table, book, shelf, call.now)


def _hand(call: Call, bodies: Sequence[str], delay: int) -> None:
    here = call.house
    if here.settings.journey_queue is None:
        raise SettingsWrong("the environment variable REGULARS_JOURNEY_QUEUE is not set")
    here.queues.send(here.settings.journey_queue, bodies, delay=delay)


def _works(call: Call) -> Works:
    here = call.house
    foresight = Foresight(here.ops, MemberReach(here.table, here.keyring), book_of(here.table))

    def hand(bodies: Sequence[str], delay: int) -> None:
        _hand(call, bodies, delay)

    return works_of(here.table, here.ops, here.keyring, here.functions, foresight, hand, lambda: call.now, log_fact)


@journeys.post("/journeys", keyed=True, status=201, refuses=(JourneyDiffers, JourneyUnfit, WriteContended))
def make_journey(body: MakeJourney, call: Call) -> Outcome[JourneyView]:
    """Make a journey: what members meet step by step after something happened. It is a draft until it is activated.

    What does not fit together is refused with pointers; what it does is answered in words.
    """
    return managing.make_journey(_bureau(call), call.key, body, by=call.signed_in.subject)


@journeys.get("/journeys", refuses=(CursorInvalid,))
def list_journeys(query: JourneysQuery, call: Call) -> JourneyPage:
    """Journeys, the newest first. Without those that were put away, a page may hold fewer than `limit`."""
    scope = ("journeys", str(query.archived))
    after = call.position(query.cursor, *scope)
    found = looking.list_journeys(call.house.table, archived=query.archived, after=after, limit=query.limit)
    return call.page(found, JourneyPage, *scope)


@journeys.get("/journeys/{journey_id}", refuses=(JourneyUnknown,))
def get_journey(journey_id: JourneyId, query: JourneyQuery, call: Call) -> JourneyView:
    """A journey: the version in force, or an earlier one."""
    return looking.show_journey(_bureau(call), journey_id, query.edition)


@journeys.put(
    "/journeys/{journey_id}",
    refuses=(
        JourneyUnknown, JourneyMoved, JourneyOver, JourneyUnfit, JourneyGiftForbidden, JourneyGiftRaised,
        JourneyNoticeForbidden,
        SegmentsTooMany, WriteContended,
    ),
)  # fmt: skip
def edit_journey(journey_id: JourneyId, body: EditJourney, call: Call) -> Outcome[JourneyView]:
    """Write the next version of a journey. Who is inside goes on in the version that they came in by."""
    call.require_version(body.version)
    return managing.edit_journey(_bureau(call), journey_id, body, call.signed_in)


@journeys.get("/journeys/{journey_id}/versions", refuses=(JourneyUnknown,))
def list_journey_versions(journey_id: JourneyId, call: Call) -> EditionList:
    """The versions of a journey, the newest first, each with how many are in it. The latest 50."""
    return looking.list_editions(call.house.table, journey_id)


@journeys.post(
    "/journeys/{journey_id}/activate",
    status=201,
    waits=ApprovalView,
    refuses=(ApprovalNeeded, ApprovalDiffers, ApprovalOutgrown, *_TURNS),
)
def activate_journey(
    journey_id: JourneyId, body: TurnJourney, call: Call
) -> Outcome[JourneyView] | Outcome[ApprovalView]:
    """Let members come in, for the first time or again; who was held while it was paused goes on.

    One whose steps give a member more points than the program lets one person adjust, with all that the same person
    launched within a day, waits for a second one, for 72 hours: 202. What was not approved can be asked again.
    """
    call.require_version(body.version)

    def do(clearance: Clearance) -> Outcome[JourneyView]:
        return managing.activate_journey(_bureau(call), journey_id, body, call.signed_in, clearance)

    key, limits = f"{journey_id} {body.version}", book_of(call.house.table).current(call.now).approvals
    asked = asking(ApprovalKind.ACTIVATION, journey_id, key, body, call.signed_in, Permission.JOURNEYS_GIFT)
    return alone_or_asked(
        call.house.table, call.words, asked, limit=limits.adjustment_points_max, dry_run=body.dry_run, do=do,
        now=call.now, again=True,
    )  # fmt: skip


@journeys.post("/journeys/{journey_id}/pause", status=201, refuses=_TURNS)
def pause_journey(journey_id: JourneyId, body: TurnJourney, call: Call) -> Outcome[JourneyView]:
    """Let nobody in, and hold everybody inside where they are. Who reaches the goal still leaves."""
    call.require_version(body.version)
    return managing.turn_journey(_bureau(call), journey_id, JourneyState.PAUSED, body, call.signed_in)


@journeys.post("/journeys/{journey_id}/close", status=201, refuses=_TURNS)
def close_journey(journey_id: JourneyId, body: TurnJourney, call: Call) -> Outcome[JourneyView]:
    """Let nobody in any more; who is inside goes on to the end."""
    call.require_version(body.version)
    return managing.turn_journey(_bureau(call), journey_id, JourneyState.CLOSED, body, call.signed_in)


@journeys.post("/journeys/{journey_id}/end", status=201, refuses=_TURNS)
def end_journey(journey_id: JourneyId, body: TurnJourney, call: Call) -> Outcome[JourneyView]:
    """End a journey for good: everybody leaves, within minutes, and nothing more is sent."""
    call.require_version(body.version)
    return managing.turn_journey(_bureau(call), journey_id, JourneyState.ENDED, body, call.signed_in)


@journeys.post("/journeys/{journey_id}/archive", status=201, refuses=_TURNS)
def archive_journey(journey_id: JourneyId, body: TurnJourney, call: Call) -> Outcome[JourneyView]:
    """Put a journey away that has ended, or a draft."""
    call.require_version(body.version)
    return managing.turn_journey(_bureau(call), journey_id, JourneyState.ARCHIVED, body, call.signed_in)


@journeys.post(
    "/journeys/{journey_id}/entries",
    keyed=True,
    refuses=(
        JourneyUnknown, JourneyOver, JourneyNotByHand, JourneyGiftForbidden, JourneyUnfit, JourneyDiffers,
        SegmentsSilent, SegmentTooHeavy, RfmNotReady, LakeMissing, WriteContended,
    ),
)  # fmt: skip
def enter_members(journey_id: JourneyId, body: EnterMembers, call: Call) -> Entries:
    """Let members into a journey, or all of a segment. The same command again lets nobody in twice."""
    works = _works(call)
    return managing.enter_members(_bureau(call), Taker(works), works.hand, journey_id, call.key, body, call.signed_in)


@journeys.get("/journeys/{journey_id}/members", refuses=(JourneyUnknown, CursorInvalid))
def list_journey_members(journey_id: JourneyId, query: InstancesQuery, call: Call) -> InstancePage:
    """Who is where in a journey; or who has left, and why. A page may hold fewer than `limit`."""
    scope = ("journey members", journey_id, str(query.left))
    after = call.position(query.cursor, *scope)
    found = looking.list_members(call.house.table, journey_id, left=query.left, after=after, limit=query.limit)
    return call.page(found, InstancePage, *scope)


@journeys.get("/journeys/{journey_id}/counts", refuses=(JourneyUnknown,))
def count_journey_members(journey_id: JourneyId, call: Call) -> JourneyCounts:
    """How many came in, are at which step, went on with which outcome and left for which reason. Exact."""
    return looking.count_members(call.house.table, call.house.ops, journey_id)


@journeys.post(
    "/journeys/{journey_id}/walks",
    refuses=(JourneyUnknown, MemberUnknown, SegmentsSilent, SegmentTooHeavy, RfmNotReady, LakeMissing),
)
def walk_journey(journey_id: JourneyId, body: WalkJourney, call: Call) -> Walk:
    """See what would happen to a member, step by step with times. Nothing is done and nothing is sent."""
    bureau = _bureau(call)
    return walking.walk_journey(bureau, _works(call), journey_id, body, bureau.book.language(call.language, call.now))


@journeys.get("/members/{member_id}/journeys")
def list_member_journeys(member_id: MemberId, call: Call) -> MemberJourneys:
    """The journeys that a member is or was in, the latest first. The latest 200."""
    return looking.list_of_member(call.house.table, member_id)
