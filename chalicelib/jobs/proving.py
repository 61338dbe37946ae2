"""The job `verify`: every account is proven, part by part; the last part signs the root and makes the report.

A part writes the heads of its accounts as a file, once, and keeps in `ops` what the end of the run needs: the root over
them, what it counted, and the figures of the liability. So the end reads a line for each part and no account again.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, time
from typing import Any

from chalicelib.audit import service as audit
from chalicelib.jobs import rules
from chalicelib.jobs.models import Closed, Counts, Part, RunRecord
from chalicelib.kernel.calendar import zone
from chalicelib.kernel.ids import AccountId
from chalicelib.liability import rules as liability
from chalicelib.liability import store as reports
from chalicelib.liability.errors import LiabilityUntied
from chalicelib.liability.models import Figures, Kind
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import rules as proof_rules
from chalicelib.proof import service as proof
from chalicelib.proof import store as proof_store
from chalicelib.proof.models import PartHeads, Proven, Root, Tally
from chalicelib.proof.service import Programs, Roots, Walked
from chalicelib.storage import keys
from chalicelib.storage.signing import Signer
from chalicelib.storage.table import Table

Tell = Callable[[str, Mapping[str, Any]], None]
"""Tells operators of something, in one line of the log."""


def tell_nobody(what: str, facts: Mapping[str, Any]) -> None:
    """Tell nothing."""


def page(table: Table, roots: Roots, part: Part) -> Closed:
    """Read a page of the directory."""
    assert part.partition is not None
    listed, unlisted, last = proof.list_listed(
        table,
        part.partition,
        after=part.after,
        limit=rules.ACCOUNTS_ON_A_PAGE,
        roots=roots,
        day=roots.newest(part.day),
    )
    return rules.directory_closed(part, listed, unlisted, last)


def chains(table: Table, roots: Roots, part: Part, *, now: datetime, tell: Tell) -> Closed:
    """Walk the audit chains of a shard, chain what nobody was told of, and tell of what does not hold."""
    assert part.partition is not None
    after = date.fromisoformat(part.after) if part.after is not None else None
    walked, onward = audit.walk(table, roots.objects, int(part.partition), now=now, after=after, sweep=not part.dry_run)
    for what in walked.faults:
        tell("audit", {"faulty": 1, "day": part.day.isoformat(), "what": what})
    return rules.chains_closed(part, walked.records, len(walked.faults), onward)


def sign_audit(table: Table, roots: Roots, signer: Signer, stack: str, *, now: datetime, tell: Tell) -> None:
    """Sign the days of the audit trail that are over."""
    for anchor in audit.seal(table, roots, signer, stack, now=now):
        tell("anchor", {"anchored": 1, "day": anchor.day, "records": anchor.records})


def cutoff_of(run: RunRecord, program: Program) -> datetime:
    """The instant of a day's report: its midnight, in the program's zone.

    Whatever was recorded before has long arrived when the walk begins, so all accounts are counted at one instant,
    though they are read at many.
    """
    return datetime.combine(run.day, time(), tzinfo=zone(program.time_zone))


@dataclass(frozen=True, slots=True)
class PartProven:
    """What the accounts of a part came to.

    Attributes:
        heads: for the root; None when there are none.
        figures: of the accounts that hold, by kind.
    """

    heads: PartHeads | None
    tally: Tally
    figures: dict[Kind, Figures]
    proven: list[Proven]


@dataclass(frozen=True, slots=True)
class Walk:
    """A walk over all accounts.

    Attributes:
        day: of the walk.
        since: the day of the root that it is compared with; None before the first.
        cutoff: the instant of the report.
        keep: whether heads are written.
    """

    day: date
    since: date | None
    cutoff: datetime
    keep: bool


def prove_part(
    table: Table,
    book: ProgramBook,
    roots: Roots,
    walk: Walk,
    part: Part,
    *,
    now: datetime,
    pause: Callable[[], None],
) -> PartProven:
    """Prove some accounts of a shard, keep their heads, and read their figures."""
    shard = keys.shard_of(part.members[0])
    zone_name = book.current(now).time_zone
    readings: dict[AccountId, liability.Reading] = {}

    def reading(account_id: AccountId) -> liability.Reading:
        readings[account_id] = liability.Reading(walk.cutoff, zone_name)
        return readings[account_id]

    proven = proof.prove(
        table,
        Programs(book),
        part.members,
        now=now,
        earlier=roots.of(walk.since, part.members, shard) if walk.since is not None else None,
        unlisted=part.unlisted,
        watching=reading,
        pause=pause,
    )
    tally = Tally()
    for each in proven:
        tally.take(each)
    heads = [each.head for each in proven if each.head is not None]
    made = proof_rules.part_of(shard, heads, proof_store.heads_name(part.day, part.attempt, part.name))
    if made is not None and walk.keep:
        proof_store.put_heads(roots.objects, made.name, heads)
    return PartProven(made, tally, figures_of(proven, readings), proven)


def accounts(
    table: Table,
    book: ProgramBook,
    roots: Roots,
    part: Part,
    run: RunRecord,
    *,
    now: datetime,
    pause: Callable[[], None],
    tell: Tell,
) -> Closed:
    """Do a part of a run: prove its accounts, and tell of those that do not hold."""
    walk = Walk(run.day, roots.newest(run.day), cutoff_of(run, book.current(now)), keep=not run.dry_run)
    made = prove_part(table, book, roots, walk, part, now=now, pause=pause)
    for each in made.proven:
        if each.fault is not None:
            tell("ledger", {"faulty": 1, "day": part.day.isoformat(), **told(each)})
    counts = Counts(closed=1, done=len(made.proven), changed=made.tally.faulty, points=made.tally.balance)
    return Closed(counts, found=None if run.dry_run else _found(made))


def figures_of(proven: list[Proven], readings: Mapping[AccountId, liability.Reading]) -> dict[Kind, Figures]:
    """The figures of the accounts that hold, by kind."""
    figures: dict[Kind, Figures] = {}
    for each in proven:
        if each.fault is None:
            reading = readings[each.account_id]
            merge_figures(figures, {reading.kind(each.account_id): reading.figures()})
    return figures


def merge_figures(figures: dict[Kind, Figures], others: Mapping[Kind, Figures]) -> None:
    """Add figures to figures, kind by kind."""
    for kind, own in others.items():
        figures[kind] = liability.added(figures[kind], own) if kind in figures else own


def told(proven: Proven) -> dict[str, Any]:
    """What is told of an account that does not hold: ids and figures, nothing personal."""
    fault = proven.fault
    assert fault is not None
    key = "/".join((fault.key.kind, *fault.key.parts)) if fault.key is not None else None
    return {"account": str(proven.account_id), "seq": fault.seq, "entry": key, "what": fault.what}


def end(
    ops_found: Iterator[Mapping[str, Any]],
    book: ProgramBook,
    roots: Roots,
    signer: Signer,
    stack: str,
    run: RunRecord,
    *,
    now: datetime,
    tell: Tell,
) -> Root:
    """Sign the root of a run that is through, and make its report. Doing it again changes nothing."""
    tally, figures = Tally(), dict[Kind, Figures]()
    parts: list[PartHeads] = []
    for found in ops_found:
        heads, some, of = _read(found)
        tally.add(some)
        if heads is not None:
            parts.append(heads)
        merge_figures(figures, of)
    walked = Walked(run.day, run.started_at, parts, tally.entries, tally.balance, tally.faulty)
    root = proof.seal(roots, signer, stack, walked)
    program = book.current(now)
    try:
        made = liability.report(figures, program, cutoff_of(run, program), left_out=tally.faulty)
    except LiabilityUntied as untied:
        tell("ledger", {"faulty": 1, "day": root.day, "what": untied.detail})
    else:
        reports.put_report(roots.objects, made)
    figures_told = {"accounts": root.accounts, "entries": root.entries, "not_holding": root.faulty}
    tell("root", {"sealed": 1, "day": root.day, **figures_told, "root": root.heads})
    return root


def _found(made: PartProven) -> dict[str, Any]:
    heads, part = made.heads, None
    if heads is not None:
        part = [heads.shard, heads.first, heads.last, heads.accounts, heads.root.hex(), heads.name]
    counted = {name: value for name, value in asdict(made.tally).items() if name != "faults"}
    own = {kind.value: each.model_dump(mode="json", exclude_defaults=True) for kind, each in made.figures.items()}
    return {"part": part, "tally": counted, "figures": own}


def _read(found: Mapping[str, Any]) -> tuple[PartHeads | None, Tally, dict[Kind, Figures]]:
    heads = None
    if found["part"] is not None:
        shard, first, last, count, root, name = found["part"]
        heads = PartHeads(shard, first, last, count, bytes.fromhex(root), name)
    figures = {Kind(kind): Figures.model_validate(own, strict=False) for kind, own in found["figures"].items()}
    return heads, Tally(**found["tally"]), figures
