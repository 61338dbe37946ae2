"""What is wrong with a journey, with pointers. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from chalicelib.journeys.models import (
    Branch,
    FirstPurchased,
    Fits,
    GivePoints,
    Happened,
    HoldsTier,
    JourneyDefinition,
    Purchased,
    SegmentEntered,
    Send,
    Step,
    TierChanged,
)
from chalicelib.journeys.ports import Title
from chalicelib.kernel.ids import TemplateId
from chalicelib.members.models import ACCOUNT_PURPOSE
from chalicelib.members.rules import is_of_messages
from chalicelib.programs.models import Program
from chalicelib.segments import rules as segments
from chalicelib.segments.models import SegmentKind, SegmentState
from chalicelib.segments.rules import Resolve
from chalicelib.templates.rules import NOT_OF_MESSAGES

FILLED = frozenset(
    {
        "name", "member_number", "program", "tier", "points", "points_pending", "points_expiring", "points_expire_on",
        "joined_on", "birthday", "today", "opt_out", "preferences",
    }
)  # fmt: skip
"""Fields that every message of a journey can have."""

OF_PURCHASE = frozenset({"points_earned", "amount"})
OF_GIFT = frozenset({"gift_points", "gift_expires_on"})

Fault = tuple[str, str]
Titles = Callable[[TemplateId], Title | None]
Sources = Callable[[Any], Collection[str]]
"""The campaigns and journeys that there are, of those that a segment's definition names."""


def faults_of(
    definition: JourneyDefinition, titles: Titles, resolve: Resolve, program: Program, sources: Sources
) -> list[Fault]:
    """Everything that is wrong, the graph first: what hangs in the air is not looked at further."""
    graph = list(_graph(definition))
    if graph:
        return graph[:20]
    found: list[Fault] = []
    found += _happening(definition.entry, "/entry", resolve, program)
    if definition.who is not None:
        found += _condition(definition.who, "/who", resolve, program, sources)
    if definition.goal is not None:
        found += _happening(definition.goal, "/goal", resolve, program)
    gifts = given_before(definition)
    for number, step in enumerate(definition.steps):
        found += _step(definition, step, f"/steps/{number}", titles, resolve, program, sources, gifts[step.step])
    return found[:20]


# ---------------------------------------------------------------- the graph


def ways_of(step: Step) -> Mapping[str, str | None]:
    """Where a step leads to, by the field that says so."""
    if isinstance(step, Branch):
        return {"then": step.then, "otherwise": step.otherwise}
    return {"next": step.next}


def _graph(definition: JourneyDefinition) -> Iterator[Fault]:
    places: dict[str, int] = {}
    for number, step in enumerate(definition.steps):
        if step.step in places:
            yield f"/steps/{number}/step", f"Step {places[step.step]} has this name, too"
        places.setdefault(step.step, number)
    for number, step in enumerate(definition.steps):
        for field, name in ways_of(step).items():
            if name is not None and name not in places:
                yield f"/steps/{number}/{field}", "There is no such step"
    yield from _circles(definition, places)


def _circles(definition: JourneyDefinition, places: Mapping[str, int]) -> Iterator[Fault]:
    """Ways that lead back, and steps that nothing leads to. No step is met twice, so there is no end to fear."""
    seen: dict[int, bool] = {}
    waiting: list[tuple[int, Iterator[tuple[str, str | None]]]] = [(0, iter(ways_of(definition.steps[0]).items()))]
    seen[0] = True
    while waiting:
        number, ways = waiting[-1]
        for field, name in ways:
            there = places.get(name) if name is not None else None
            if there is None:
                continue
            if seen.get(there):
                yield f"/steps/{number}/{field}", "This leads back to where the member has been"
            elif there not in seen:
                seen[there] = True
                waiting.append((there, iter(ways_of(definition.steps[there]).items())))
                break
        else:
            seen[number] = False
            waiting.pop()
    lost = [step.step for number, step in enumerate(definition.steps) if number not in seen]
    if lost:
        yield "/steps", f"Nothing leads to {', '.join(lost)}"


def given_before(definition: JourneyDefinition) -> dict[str, bool]:
    """Whether whoever comes to a step has met one that gives points, whichever way they came. The graph is sound."""
    found: dict[str, bool] = {}
    for step in in_order(definition):
        found.setdefault(step.step, False)
        gives = found[step.step] or isinstance(step, GivePoints)
        for name in ways_of(step).values():
            if name is not None:
                found[name] = found.get(name, True) and gives
    return found


def in_order(definition: JourneyDefinition) -> list[Step]:
    """Steps, each after all that lead to it. The graph is sound."""
    by_name = {each.step: each for each in definition.steps}
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        for each in ways_of(by_name[name]).values():
            if each is not None:
                visit(each)
        done[name] = None

    visit(definition.steps[0].step)
    return [by_name[name] for name in reversed(done)]


# ---------------------------------------------------------------- what it names


def _step(
    definition: JourneyDefinition,
    step: Step,
    pointer: str,
    titles: Titles,
    resolve: Resolve,
    program: Program,
    sources: Sources,
    gift: bool,
) -> Iterator[Fault]:
    match step:
        case Send():
            yield from _send(definition, step, pointer, titles, gift)
        case Branch(on=Fits() as test):
            yield from _condition(test.definition, f"{pointer}/on/definition", resolve, program, sources)
        case Branch(on=Happened() as test):
            yield from _happening(test.what, f"{pointer}/on/what", resolve, program)
        case Branch(on=HoldsTier() as test):
            yield from _tiers(test.tier_ids, f"{pointer}/on/tier_ids", program)
        case _:
            pass


def _send(definition: JourneyDefinition, step: Send, pointer: str, titles: Titles, gift: bool) -> Iterator[Fault]:
    if not is_of_messages(step.purpose):
        yield f"{pointer}/purpose", NOT_OF_MESSAGES
    place, title = f"{pointer}/template_id", titles(step.template_id)
    if title is None:
        yield place, "There is no such template"
        return
    if title.archived:
        yield place, "This template is out of use"
    if title.purpose != step.purpose:
        yield f"{pointer}/purpose", f"The template is for {title.purpose}"
    can = FILLED | (OF_GIFT if gift else frozenset())
    if isinstance(definition.entry, Purchased | FirstPurchased):
        can |= OF_PURCHASE
    for field in sorted(title.fields - can):
        yield place, f"The template has the field {field}, which there is nothing to fill in for at this step"


def _happening(happening: Any, pointer: str, resolve: Resolve, program: Program) -> Iterator[Fault]:
    match happening:
        case TierChanged() if happening.tier_ids is not None:
            yield from _tiers(happening.tier_ids, f"{pointer}/tier_ids", program)
        case SegmentEntered():
            found = resolve(happening.segment_id)
            if found is None:
                yield f"{pointer}/segment_id", "There is no such segment"
            elif found.kind is not SegmentKind.LIVE or found.ready:
                yield f"{pointer}/segment_id", "Nobody is told who comes into this segment: take a live one of your own"
            elif found.state is SegmentState.ARCHIVED:
                yield f"{pointer}/segment_id", "This segment is archived"
        case _:
            pass


def _tiers(tier_ids: tuple[str, ...], pointer: str, program: Program) -> Iterator[Fault]:
    known = [each.tier_id for each in program.ladder.tiers]
    for number, each in enumerate(tier_ids):
        if each not in known:
            yield f"{pointer}/{number}", f"It is none of {', '.join(known)}"


def _condition(definition: Any, pointer: str, resolve: Resolve, program: Program, sources: Sources) -> Iterator[Fault]:
    for fault in segments.check(definition, resolve, program=program, sources=sources(definition)):
        yield f"{pointer}{fault.pointer}", fault.detail


def most_given(definition: JourneyDefinition) -> int:
    """The most points that the steps of a journey without circles give to a member who comes in once."""
    steps = {each.step: each for each in definition.steps}
    most: dict[str, int] = {}

    def from_(name: str | None) -> int:
        if name is None:
            return 0
        if name not in most:
            step = steps[name]
            own = step.points if isinstance(step, GivePoints) else 0
            most[name] = own + max(map(from_, ways_of(step).values()), default=0)
        return most[name]

    return from_(definition.steps[0].step)


def tells_of_account(definition: JourneyDefinition) -> bool:
    """Whether some step sends what needs no consent and has no way out."""
    return any(isinstance(each, Send) and each.purpose == ACCOUNT_PURPOSE for each in definition.steps)


def gives_points(definition: JourneyDefinition) -> bool:
    """Whether some step gives points."""
    return any(isinstance(each, GivePoints) for each in definition.steps)
