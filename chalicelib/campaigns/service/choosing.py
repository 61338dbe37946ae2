"""Who is written to: the questions put to the lake, in their order. A plan asks them, and so does an estimate."""

from datetime import date, timedelta
from typing import Any

from chalicelib.campaigns import store
from chalicelib.campaigns.models import Planned
from chalicelib.campaigns.ports import Lake, Works
from chalicelib.campaigns.rules import picking
from chalicelib.campaigns.rules.picking import Question, Terms
from chalicelib.campaigns.store import Turn
from chalicelib.kernel.calendar import local_day

SETTLED_AFTER = timedelta(minutes=15)
"""So long after a run's end the lake that is built then has all of its deliveries."""


def today(works: Works) -> date:
    """The day in the program's time zone."""
    now = works.clock()
    return local_day(now, works.book.current(now).time_zone)


def take_rosters(works: Works, lake: Lake, turn: Turn) -> tuple[str, ...]:
    """Take the members of runs of late of which the lake may not have all deliveries, from their files; which runs."""
    ask(lake, Question(picking.ROSTER))
    taken: list[str] = []
    for item in store.find_runs(works.table, [run for run, _ in turn.recent]):
        kept = store.kept_from(item)
        over = kept.ended_at is not None and kept.ended_at + SETTLED_AFTER < lake.built_at
        if over:
            continue
        taken.append(item["run_id"])
        names = [f"{lake.root}/{store.roster_key(item['run_id'], each)}" for each in range(kept.rosters)]
        if names:
            ask(lake, picking.roster_from(names))
    return tuple(taken)


def choose(works: Works, lake: Lake, terms: Terms, pinned: str | None) -> Planned:
    """Decide who gets what, in tables of the connection; how many that are.

    Args:
        pinned: the segment as it was when it was pinned; None: as it is now.

    Raises:
        SegmentUnknown: there is no such segment.
        RfmNotReady: it asks for scores, and there are none yet.
    """
    definition = terms.definition
    asked = works.shelf.asked(definition.segment_id, lake.root, today=today(works), now=works.clock(), pinned=pinned)
    ask(lake, picking.candidates(asked, terms))
    if terms.month_days is not None:
        ask(lake, picking.written_to_already(terms))
    if definition.frequency_cap is not None:
        ask(lake, picking.capped(terms, definition.frequency_cap))
    ask(lake, picking.habits(terms) if definition.best_hour else picking.NO_HABITS)
    ask(lake, picking.assignments(terms))
    counts: dict[str, dict[str, int]] = {"left_out": {}, "who": {}, "variants": {}, "channels": {}}
    for what, name, count in ask(lake, picking.COUNTS).fetchall():
        counts[what][name] = int(count)
    return Planned(
        in_segment=counts["who"].get("in_segment", 0),
        targeted=counts["who"].get("targeted", 0),
        held_out=counts["who"].get("held_out", 0),
        left_out=dict(sorted(counts["left_out"].items())),
        variants=dict(sorted(counts["variants"].items())),
        channels=dict(sorted(counts["channels"].items())),
    )


def ask(lake: Lake, question: Question) -> Any:
    """What a question comes to."""
    return lake.questions.execute(question.sql, list(question.params))
