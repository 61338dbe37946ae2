"""What is wrong with a definition that fits its schema: how deep and large it is, and what it names. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from chalicelib.kernel.ids import SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.members.models import Gender
from chalicelib.points.models import AccountStatus
from chalicelib.programs.models import Program
from chalicelib.segments.models import (
    All,
    AnyOf,
    Bought,
    Campaigns,
    ChoiceField,
    CustomCondition,
    Definition,
    InSegment,
    ListField,
    Not,
    PurchasesDay,
    PurchasesNumber,
    SegmentState,
    Tagged,
)
from chalicelib.segments.rules.compiling import Resolve

DEPTH_MAX = 12
"""Groups in groups, those of segments that are named counted with."""

CONDITIONS_MAX = 300
"""Conditions, those of segments that are named counted with."""

BEHAVIOURS_MAX = 24
"""Conditions about purchases and messages, each of which reads a table of its own; counted likewise."""

FAULTS_MAX = 20

AGE_BANDS = ("under_18", "18_24", "25_34", "35_44", "45_54", "55_64", "65_up")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong.

    Attributes:
        pointer: where, from the definition on (RFC 6901).
    """

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True)
class _Shelf:
    """What may be named; see `check`."""

    program: Program | None = None
    sources: Collection[str] | None = None


@dataclass
class _Size:
    conditions: int = 0
    behaviours: int = 0


def check(
    definition: Definition,
    resolve: Resolve,
    *,
    own: SegmentId | None = None,
    program: Program | None = None,
    sources: Collection[str] | None = None,
) -> tuple[Fault, ...]:
    """What is wrong with a definition; nothing, when it can be evaluated.

    Args:
        resolve: finds the segments that it names, as they are now.
        own: the segment whose definition it is, which it must not come back to.
        program: whose tiers and custom fields it may name; None: that is not looked at.
        sources: the campaigns and journeys that there are, of those that it names; None: that is not looked at.
    """
    size = _Size()
    shelf = _Shelf(program, sources)
    faults: list[Fault] = []
    trail = (own,) if own is not None else ()
    for fault in _walk(definition, resolve, shelf, size, pointer="", depth=1, trail=trail):
        faults.append(fault)
        if len(faults) >= FAULTS_MAX:
            break
    return tuple(dict.fromkeys(faults))


def _walk(
    node: Definition,
    resolve: Resolve,
    shelf: _Shelf,
    size: _Size,
    *,
    pointer: str,
    depth: int,
    trail: tuple[SegmentId, ...],
) -> Iterator[Fault]:
    """Faults of a node and of all below it; it ends at the first limit, so that it never takes long itself."""
    size.conditions += 1
    size.behaviours += isinstance(node, PurchasesNumber | PurchasesDay | Bought | Campaigns)
    limit = _limit(size, depth)
    if limit is not None:
        yield Fault(pointer, limit)
        return
    match node:
        case All() | AnyOf():
            for number, each in enumerate(node.of):
                below = f"{pointer}/of/{number}"
                yield from _walk(each, resolve, shelf, size, pointer=below, depth=depth + 1, trail=trail)
                if _limit(size, depth) is not None:
                    return
        case Not():
            yield from _walk(node.of, resolve, shelf, size, pointer=f"{pointer}/of", depth=depth + 1, trail=trail)
        case InSegment():
            yield from _named(node, resolve, size, pointer=pointer, depth=depth, trail=trail)
        case ChoiceField():
            yield from _values(node, shelf.program, pointer)
        case CustomCondition():
            yield from _custom(node, shelf.program, pointer)
        case Campaigns():
            yield from _sources(node, shelf.sources, pointer)
        case _:
            pass


def _limit(size: _Size, depth: int) -> str | None:
    if depth > DEPTH_MAX:
        return f"Conditions stand in each other {DEPTH_MAX} deep at the most, those of segments named here counted with"
    if size.conditions > CONDITIONS_MAX:
        return f"There can be {CONDITIONS_MAX} conditions, those of segments named here counted with"
    if size.behaviours > BEHAVIOURS_MAX:
        return f"There can be {BEHAVIOURS_MAX} conditions about purchases and messages, counted likewise"
    return None


def _named(
    node: InSegment,
    resolve: Resolve,
    size: _Size,
    *,
    pointer: str,
    depth: int,
    trail: tuple[SegmentId, ...],
) -> Iterator[Fault]:
    place = f"{pointer}/segment_id"
    if node.segment_id in trail:
        yield Fault(place, "The segment would be made of itself")
        return
    found = resolve(node.segment_id)
    if found is None:
        yield Fault(place, "There is no such segment")
    elif found.state is SegmentState.ARCHIVED:
        yield Fault(place, "This segment is archived")
    elif found.definition is not None:
        inner = _walk(
            found.definition, resolve, _Shelf(), size, pointer="", depth=depth + 1, trail=(*trail, node.segment_id)
        )
        first = next(inner, None)
        if first is not None:
            yield Fault(place, first.detail)


def _values(node: ChoiceField, program: Program | None, pointer: str) -> Iterator[Fault]:
    known: Sequence[str] | None = {
        "status": [AccountStatus.ACTIVE.value, AccountStatus.SUSPENDED.value, AccountStatus.CLOSED.value],
        "gender": [each.value for each in Gender],
        "language": [each.value for each in Language],
        "age_band": AGE_BANDS,
        "tier_id": [tier.tier_id for tier in program.ladder.tiers] if program is not None else None,
    }.get(node.name)
    if known is None:
        return
    for number, value in enumerate(node.values):
        if value not in known:
            yield Fault(f"{pointer}/values/{number}", f"It is none of {', '.join(known)}")


def _custom(node: CustomCondition, program: Program | None, pointer: str) -> Iterator[Fault]:
    if program is None:
        return
    place = f"{pointer}/custom_field"
    found = program.custom_fields.get(node.custom_field)
    if found is None:
        yield Fault(place, "The program has no such custom field")
    elif found.is_sealed:
        yield Fault(place, "Its values are personal, and are not in the lake")


def _sources(node: Campaigns, sources: Collection[str] | None, pointer: str) -> Iterator[Fault]:
    if sources is None:
        return
    for number, each in enumerate(node.source_ids or ()):
        if each not in sources:
            what = "campaign" if each.startswith("cmp_") else "journey"
            yield Fault(f"{pointer}/source_ids/{number}", f"There is no such {what}")


# ---------------------------------------------------------------- what depends on what


def named_in(definition: Definition | None) -> frozenset[SegmentId]:
    """The segments that a definition names."""
    return frozenset(each.segment_id for each in parts(definition) if isinstance(each, InSegment))


def tags_in(definition: Definition | None) -> frozenset[str]:
    """The tags that a definition asks for."""
    return frozenset(tag for each in parts(definition) if isinstance(each, Tagged) for tag in each.tags)


def sources_in(definition: Definition | None) -> frozenset[str]:
    """The campaigns and journeys that a definition names. Of one that is too large, some: it is refused anyway."""
    some = islice(parts(definition), 2 * CONDITIONS_MAX)
    return frozenset(name for each in some if isinstance(each, Campaigns) for name in each.source_ids or ())


def purposes_in(definition: Definition | None) -> frozenset[str]:
    """The purposes that a definition asks for."""
    asked = (each for each in parts(definition) if isinstance(each, ListField))
    return frozenset(
        value.partition(":")[0] for each in asked if each.name in ("consents", "withdrawn") for value in each.values
    )


def parts(definition: Definition | None) -> Iterator[Definition]:
    """A definition and all that it is made of."""
    waiting = [definition] if definition is not None else []
    while waiting:
        node = waiting.pop()
        yield node
        match node:
            case All() | AnyOf():
                waiting += reversed(node.of)
            case Not():
                waiting.append(node.of)
            case _:
                pass


@dataclass(frozen=True, slots=True)
class Knot:
    """What a segment depends on, and what depends on it.

    Attributes:
        names: the segments that it names.
        tags: the tags that it asks for.
        gives: the tag that it gives.
    """

    names: frozenset[SegmentId] = frozenset()
    tags: frozenset[str] = frozenset()
    gives: str | None = None


Graph = Mapping[SegmentId, Knot]


def comes_back(graph: Graph, start: SegmentId) -> bool:
    """Whether a segment depends on itself: by segments that it names, or by a tag that it gives and asks for.

    A tag that decides who is given it would come and go with every evaluation.
    """
    giving: dict[str, list[SegmentId]] = {}
    for segment_id, knot in graph.items():
        if knot.gives is not None:
            giving.setdefault(knot.gives, []).append(segment_id)
    seen: set[SegmentId] = set()
    waiting = [start]
    while waiting:
        knot = graph.get(waiting.pop(), Knot())
        for each in (*knot.names, *(giver for tag in knot.tags for giver in giving.get(tag, ()))):
            if each == start:
                return True
            if each not in seen:
                seen.add(each)
                waiting.append(each)
    return False


def used_by(graph: Graph, segment_id: SegmentId) -> list[SegmentId]:
    """The segments that name one."""
    return sorted(each for each, knot in graph.items() if segment_id in knot.names)
