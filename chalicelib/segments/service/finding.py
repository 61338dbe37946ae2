"""Find segments, and say what they mean: for everybody who needs one."""

from datetime import date, datetime

from chalicelib.consents.service import find_title
from chalicelib.kernel.ids import SegmentId
from chalicelib.kernel.languages import Language
from chalicelib.programs.models import Program
from chalicelib.programs.service import book_of
from chalicelib.segments import rules, store
from chalicelib.segments.errors import RfmNotReady, SegmentUnknown
from chalicelib.segments.models import Definition, InSegment, Segment, Sentences
from chalicelib.segments.rules import Compiled, Names, Resolve
from chalicelib.segments.rules.checking import named_in, purposes_in, sources_in
from chalicelib.segments.rules.ready import ready
from chalicelib.segments.rules.wording import SPOKEN_PURPOSES
from chalicelib.storage.table import Table


def compiled_of(
    table: Table,
    segment_id: SegmentId,
    *,
    today: date,
    now: datetime,
    pinned: str | None = None,
    scored: bool = True,
) -> Compiled:
    """A segment as a query over the views of the lake; `Compiled.values` needs the root of the archive.

    One that was archived since somebody began to use it is still found.

    Args:
        pinned: segments as they were when somebody began to use them; None: as they are now.
        scored: whether the lake has scores.

    Raises:
        SegmentUnknown: there is no such segment.
        RfmNotReady: it asks for scores, and there are none yet.
    """
    resolve = resolver(table) if pinned is None else rules.resolver_from(pinned)
    found = resolve(segment_id)
    if found is None:
        raise SegmentUnknown(segment_id=segment_id)
    if not scored and rules.uses_scores(InSegment(kind="segment", segment_id=segment_id), resolve):
        raise RfmNotReady
    program = book_of(table).current(now)
    return rules.compiled_segment(found, today=today, resolve=resolve, time_zone=program.time_zone)


def resolver(table: Table) -> Resolve:
    """Finds segments, ready ones and those that are stored, as they are now; each is read once."""
    known: dict[SegmentId, Segment | None] = {}

    def resolve(segment_id: SegmentId) -> Segment | None:
        if segment_id not in known:
            known[segment_id] = ready(segment_id) or store.find_segments(table, [segment_id]).get(segment_id)
        return known[segment_id]

    return resolve


class Register:
    """How campaigns, journeys and purposes are called; each is looked up when it is asked for, and once."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._sources: dict[str, str | None] = {}
        self._purposes: dict[tuple[str, Language], str | None] = {}

    def sources(self, *definitions: Definition | None) -> dict[str, str]:
        """The names of the campaigns and journeys that there are, of those that definitions name."""
        named = {each for definition in definitions for each in sources_in(definition)}
        new = named - self._sources.keys()
        if new:
            self._sources |= {**dict.fromkeys(new), **store.find_source_names(self._table, sorted(new))}
        return {each: name for each in named if (name := self._sources[each]) is not None}

    def purposes(self, definition: Definition, language: Language) -> dict[str, str]:
        """What members call the purposes that a definition names."""
        named = {(each, language) for each in purposes_in(definition) - SPOKEN_PURPOSES}
        for purpose, _ in named - self._purposes.keys():
            self._purposes[purpose, language] = find_title(self._table, purpose, language)
        return {purpose: title for purpose, _ in named if (title := self._purposes[purpose, language]) is not None}


def sentences(definition: Definition, program: Program, resolve: Resolve, register: Register) -> Sentences:
    """A definition in words."""
    zh, en = (
        rules.sentence(definition, language, names_in(definition, program, resolve, register, language))
        for language in Language
    )
    return Sentences(zh=zh, en=en)


def names_in(
    definition: Definition, program: Program, resolve: Resolve, register: Register, language: Language
) -> Names:
    """How what a definition names is called."""
    names: dict[str, str] = {}
    for segment_id in named_in(definition):
        found = ready(segment_id, language) or resolve(segment_id)
        if found is not None:
            names[segment_id] = found.name
    tiers = {tier.tier_id: getattr(tier.name, language.value) for tier in program.ladder.tiers}
    custom = {name: getattr(each.label, language.value) for name, each in program.custom_fields.items()}
    by_id = {**tiers, **register.sources(definition), **names}
    return Names(program.currency, by_id, custom, register.purposes(definition, language))
