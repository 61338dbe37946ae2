"""What staff look at: journeys, their versions, who is where, and how many."""

from chalicelib.journeys import store
from chalicelib.journeys.models import (
    EditionList,
    EditionRow,
    Instance,
    InstanceView,
    JourneyCounts,
    JourneyRow,
    JourneyState,
    JourneyView,
    Left,
    MemberJourneys,
    PassedView,
    StepCounts,
)
from chalicelib.journeys.service import listing
from chalicelib.journeys.service.managing import Bureau, require, require_edition, view
from chalicelib.kernel.ids import JourneyId, MemberId
from chalicelib.kernel.pages import Slice
from chalicelib.storage.table import Table


def show_journey(bureau: Bureau, journey_id: JourneyId, edition: int | None) -> JourneyView:
    """A journey: the version in force, or an earlier one.

    Raises:
        JourneyUnknown: there is no such journey, or no such version.
    """
    head = require(bureau.table, journey_id)
    return view(bureau, head, require_edition(bureau.table, head, edition or head.edition))


def list_journeys(table: Table, *, archived: bool, after: str | None, limit: int) -> Slice[JourneyRow]:
    """A page of journeys, the newest first. Without those that were put away, a page may hold fewer than `limit`."""
    found, last = store.list_heads(table, after=after, limit=limit)
    rows = tuple(
        JourneyRow(
            journey_id=each.journey_id, name=each.name, state=each.state, edition=each.edition, made_at=each.made_at,
            activated_at=each.activated_at, version=each.version,
        )
        for each in found
        if archived or each.state is not JourneyState.ARCHIVED
    )  # fmt: skip
    return Slice(rows, last)


def list_editions(table: Table, journey_id: JourneyId) -> EditionList:
    """The versions of a journey, the newest first, each with how many are in it.

    Raises:
        JourneyUnknown: there is no such journey.
    """
    head = require(table, journey_id)
    counts = store.find_counts(table, journey_id)
    rows = []
    for number in range(head.edition, max(head.edition - EDITIONS_MAX, 0), -1):
        edition = require_edition(table, head, number)
        some = counts.get(number, {})
        rows.append(
            EditionRow(
                edition=number, made_at=edition.made_at, made_by=edition.made_by, inside=_inside(some),
                entered=some.get("e", 0),
            )
        )  # fmt: skip
    return EditionList(items=tuple(rows))


EDITIONS_MAX = 50


def _inside(counts: dict[str, int]) -> int:
    return sum(amount for name, amount in counts.items() if name.startswith("i"))


def list_members(
    table: Table, journey_id: JourneyId, *, left: bool, after: str | None, limit: int
) -> Slice[InstanceView]:
    """Those in a journey, or those who have left it.

    Raises:
        JourneyUnknown: there is no such journey.
    """
    require(table, journey_id)
    found, last = store.list_members(table, journey_id, left=left, after=after, limit=limit)
    return Slice(tuple(map(instance_view, found)), last)


def list_of_member(table: Table, member_id: MemberId) -> MemberJourneys:
    """The journeys that a member is or was in, the latest first."""
    found = sorted(store.list_of_member(table, member_id), key=lambda each: each.entered_at, reverse=True)
    return MemberJourneys(items=tuple(map(instance_view, found[:SHOWN_MAX])))


SHOWN_MAX = 200


def instance_view(way: Instance) -> InstanceView:
    """Somebody's way as callers see it."""
    return InstanceView(
        journey_id=way.ref.journey_id,
        member_id=way.ref.member_id,
        edition=way.edition,
        entered_at=way.entered_at,
        step=way.step,
        since=way.since,
        due_at=way.due_at,
        left=way.left,
        left_at=way.left_at,
        path=tuple(PassedView(step=each.step, outcome=each.outcome, at=each.at) for each in way.path),
    )


def count_members(table: Table, ops: Table, journey_id: JourneyId) -> JourneyCounts:
    """How many are where in a journey, in all of its versions.

    Raises:
        JourneyUnknown: there is no such journey.
    """
    head = require(table, journey_id)
    steps: list[StepCounts] = []
    entered = inside = sent = 0
    left: dict[str, int] = {}
    for number, counts in sorted(store.find_counts(table, journey_id).items(), reverse=True):
        entered += counts.get("e", 0)
        inside += _inside(counts)
        for name, amount in counts.items():
            if name.startswith("l:") and amount:
                left[name[2:]] = left.get(name[2:], 0) + amount
        for place, step in enumerate(require_edition(table, head, number).definition.steps):
            before = f"o{place}:"
            outcomes = {name[len(before) :]: amount for name, amount in counts.items() if name.startswith(before)}
            if step.kind == "send":
                sent += outcomes.get("sent", 0)
            steps.append(
                StepCounts(
                    edition=number, step=step.step, kind=step.kind, inside=counts.get(f"i{place}", 0),
                    arrived=counts.get(f"a{place}", 0), outcomes=outcomes,
                )
            )  # fmt: skip
    return JourneyCounts(
        journey_id=journey_id, entered=entered, inside=inside, left=left, goal_reached=left.get(Left.GOAL.value, 0),
        sent=sent, steps=tuple(steps), segments=listing.shown(ops, journey_id),
    )  # fmt: skip
