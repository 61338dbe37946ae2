"""What is read of deliveries: how far a run is, and who of it has which outcome."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import DeliveryView, Outcome, PartState, Progress, Run, StuckPart
from chalicelib.kernel.ids import MemberId
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table

FAULTS_SHOWN = 50
PARTS_A_PAGE = 10


def progress(ops: Table, run: Run) -> Progress:
    """How far a run is; exact for the parts that are through."""
    total = rules.summed(store.find_counts(ops, run.run_id))
    outcomes = {each: total[f"o_{each.name.lower()}"] for each in Outcome if total[f"o_{each.name.lower()}"]}
    receipts = {name.removeprefix("r_"): count for name, count in total.items() if name.startswith("r_")}
    return Progress(run.planned, run.parts, total["parts"], outcomes, receipts, total["cost"])


def stuck(ops: Table, run: Run) -> tuple[StuckPart, ...]:
    """Parts of a run that failed and are not done, and why."""
    faults = store.list_faults(ops, run.run_id, limit=FAULTS_SHOWN)
    states = store.list_parts(ops, run.run_id, [each.part for each in faults]) if faults else {}
    return tuple(each for each in faults if each.part not in states or not states[each.part].done)


@dataclass(frozen=True, slots=True)
class Page:
    """Some deliveries of a run, and the part to go on with."""

    items: tuple[DeliveryView, ...]
    next_part: int | None


def list_of_run(ops: Table, objects: Objects, run: Run, outcome: str | None, *, first: int, limit: int) -> Page:
    """Deliveries of a run, in the order of its plan.

    Args:
        outcome: only those with this one: `unknown`, for example.
        first: the part to begin with.
        limit: when so many are found, no further part is looked at.
    """
    found: list[DeliveryView] = []
    last = min(first + PARTS_A_PAGE, run.parts)
    states = store.list_parts(ops, run.run_id, range(first, last))
    for number in range(first, last):
        if len(found) >= limit:
            return Page(tuple(found), number)
        found += _of_part(objects, run, number, states, outcome)
    return Page(tuple(found), last if last < run.parts else None)


def _of_part(
    objects: Objects, run: Run, number: int, states: Mapping[int, PartState], outcome: str | None
) -> Iterator[DeliveryView]:
    state = states.get(number)
    letters = state.outcomes if state is not None else ""
    wanted = outcome is None or outcome == "waiting" or any(rules.outcome_of(each).kind == outcome for each in letters)
    content = objects.get(rules.part_key(run.run_id, number)) if wanted else None
    if content is None:
        return
    part = rules.part_from(content)
    for place, recipient in enumerate(part.recipients):
        became = rules.outcome_of(letters[place]) if letters else Outcome.OPEN
        if outcome not in (None, became.kind):
            continue
        yield DeliveryView(
            delivery_id=rules.delivery_id(run.run_id, run.source_id, run.step, recipient.member_id, part.channel),
            member_id=MemberId(recipient.member_id),
            source=run.source,
            source_id=run.source_id,
            step=run.step,
            run_id=run.run_id,
            channel=part.channel,
            variant=recipient.variant or None,
            outcome=became.kind,  # type: ignore[arg-type]
            reason=became.reason or None,
            at=None,
        )
