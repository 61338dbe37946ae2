"""`python -m local verify`: prove the whole ledger of a run, account by account, and compare it with what was signed.

It walks the directory, as the job `verify` does, with the same code. For every account: the chain of hashes from the
first entry on, and that balance, lots, holds and tier follow from the entries. With the last signed root: that every
account and entry that it covers is still there and the same. And that the signed roots follow from one another. Then
the chains of the audit trail, day by day, and what was signed of them.

`--seal` signs today's root too, if there is none, and the days of the audit trail that are over; `--liability` shows
what the points come to and writes the report into the data folder.
"""

import argparse
import hashlib
import importlib.util
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache, partial
from typing import Any

from chalicelib.audit import service as audit
from chalicelib.audit.models import ANCHOR_FORM
from chalicelib.audit.models import Walked as Trail
from chalicelib.jobs import proving, rules
from chalicelib.jobs.models import Job, Part
from chalicelib.jobs.proving import Walk
from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.money import shown
from chalicelib.kernel.sheets import csv_text
from chalicelib.liability import rules as liability
from chalicelib.liability.models import FIGURES, PRICED, Figures, Kind, KindTable, LiabilityReport
from chalicelib.programs.service import book_of
from chalicelib.proof import rules as proof_rules
from chalicelib.proof import service as proof
from chalicelib.proof import store as proof_store
from chalicelib.proof.errors import RootBroken
from chalicelib.proof.models import Fault, PartHeads, Tally
from chalicelib.proof.service import Roots, Walked, roots_of
from chalicelib.runtime.wiring import House, utc_now
from chalicelib.storage import keys
from chalicelib.storage.objects import FolderObjects
from local.keys import ensure_signing_key
from local.reconcile import PROCESSES, NothingRuns, open_house
from local.settings import ROOT, STACK, Settings, settings
from local.tether import tether

_LAG_SECONDS = 1.0
_ATTEMPT = 0
"""In the names of files of heads: no attempt of the job has this number."""


@dataclass(frozen=True)
class Shard:
    """What the walk over a partition of the directory came to."""

    parts: list[PartHeads]
    tally: Tally
    figures: dict[Kind, Figures]


def main(arguments: Sequence[str]) -> int:
    """Verify the run of this DATA_DIR; 0 when all holds, 1 when something does not, 2 when nothing runs."""
    parser = argparse.ArgumentParser(prog="python -m local verify")
    parser.add_argument("--seal", action="store_true", help="sign today's root too, if there is none")
    parser.add_argument("--liability", action="store_true", help="show the liability, and write it to the data folder")
    asked = parser.parse_args(arguments)
    chosen = settings()
    try:
        return 0 if verified(chosen, seal=asked.seal, tell_liability=asked.liability) else 1
    except (NothingRuns, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        return 2


def verified(chosen: Settings, *, seal: bool = False, tell_liability: bool = False) -> bool:
    """Verify a data folder's ledger, and tell; whether all holds.

    Raises:
        NothingRuns: no run has its database up.
    """
    ensure_signing_key(chosen.signing_key_file)
    with open_house(chosen) as house:
        began = utc_now()
        program = book_of(house.table).current(began)
        today = local_day(began, program.time_zone)
        roots = roots_of(house.roots)
        faults = roots_in_order(roots, today)
        walk = Walk(today, None if faults else roots.newest(today), began, keep=seal)
        all_of_it = _walked(chosen, walk)
        walked = Walked(today, began, all_of_it.parts, all_of_it.tally.entries, all_of_it.tally.balance,
                        all_of_it.tally.faulty)  # fmt: skip
        before = roots.newest(today)
        if seal and not faults:
            proof.seal(roots, house.signer, STACK, walked)
        _tell(all_of_it, walk, began, program.currency)
        if not faults:
            _tell_cover(roots, today, walked.entries, before=before, sealed=seal)
        trail = walk_audit(house, began, sweep=seal)
        if seal:
            audit.seal(house.table, roots, house.signer, STACK, now=began)
        _tell_trail(trail)
        faults += [*anchors_in_order(roots, began), *trail.faults]
        held = _tell_faults([*faults, *map(in_words, all_of_it.tally.faults)])
        report = liability.report(all_of_it.figures, program, began, left_out=all_of_it.tally.faulty)
        if tell_liability:
            _tell_liability(report)
            _write_liability(chosen, report)
    return held


# ---------------------------------------------------------------- walking


def walk_all(chosen: Settings, *, began: datetime) -> Shard:
    """Prove every account at an instant, and compare with no root. With one worker it takes no other process."""
    with open_house(chosen) as house:
        program = book_of(house.table).current(began)
        walk = Walk(local_day(began, program.time_zone), None, began, keep=False)
        if chosen.workers == 1:
            whole = Shard([], Tally(), {})
            for shard in range(len(keys.directories())):
                _add(whole, walk_shard(house, walk, shard))
            return whole
    return _walked(chosen, walk)


def _walked(chosen: Settings, walk: Walk) -> Shard:
    """Walk all partitions of the directory, each in a process of its own, a few at a time."""
    shards = range(len(keys.directories()))
    context = multiprocessing.get_context("spawn")
    whole, started = Shard([], Tally(), {}), time.monotonic()
    with context.Pool(PROCESSES, initializer=tether, initargs=(os.getpid(),)) as pool:
        for number, found in enumerate(pool.imap_unordered(partial(_walk_shard, chosen, walk), shards), start=1):
            _add(whole, found)
            rate = whole.tally.entries / (time.monotonic() - started)
            print(
                f"  {number} of {len(shards)} partitions: {whole.tally.accounts:,} accounts, "
                f"{whole.tally.entries:,} entries, {rate:,.0f} entries/s",
                flush=True,
            )
    return whole


def _walk_shard(chosen: Settings, walk: Walk, shard: int) -> Shard:
    with open_house(chosen) as house:
        return walk_shard(house, walk, shard)


def walk_shard(house: House, walk: Walk, shard: int) -> Shard:
    """Walk a partition of the directory; what is in memory at a time is a page of it."""
    book, roots, found = book_of(house.table), roots_of(house.roots), Shard([], Tally(), {})
    page: Part | None = Part(
        job=Job.VERIFY, day=walk.day, dry_run=not walk.keep, attempt=_ATTEMPT, name=str(shard),
        partition=keys.directories()[shard],
    )  # fmt: skip
    while page is not None and page.partition is not None:
        listed, unlisted, last = proof.list_listed(
            house.table, page.partition, after=page.after, limit=rules.ACCOUNTS_ON_A_PAGE, roots=roots, day=walk.since
        )
        page_closed = rules.directory_closed(page, listed, unlisted, last)
        for part in page_closed.parts:
            if part.partition is None:
                made = proving.prove_part(house.table, book, roots, walk, part, now=house.clock(), pause=_pause)
                own = [made.heads] if made.heads is not None else []
                _add(found, Shard(own, made.tally, made.figures))
        page = next((part for part in page_closed.parts if part.partition is not None), None)
    return found


def walk_audit(house: House, now: datetime, *, sweep: bool = False) -> Trail:
    """Walk all chains of the audit trail.

    Args:
        sweep: chain what nobody was told of.
    """
    whole = Trail()
    for shard in range(keys.AUDIT_SHARDS):
        after: date | None = None
        while True:
            found, after = audit.walk(house.table, house.roots, shard, now=now, after=after, sweep=sweep)
            whole.add(found)
            if after is None:
                break
    return whole


def _pause() -> None:
    time.sleep(_LAG_SECONDS)


def _add(whole: Shard, part: Shard) -> None:
    whole.parts.extend(part.parts)
    whole.tally.add(part.tally)
    proving.merge_figures(whole.figures, part.figures)


# ---------------------------------------------------------------- roots


def roots_in_order(roots: Roots, today: date) -> list[str]:
    """What is wrong with the signed roots: signatures, the chain from day to day, the files of the newest."""
    known = {key.key_id: key.model_dump() for key in proof_store.list_keys(roots.objects)}
    days = proof_store.list_root_days(roots.objects, first=today - proof_store.ROOTS_LOOKED_AT, last=today)
    faults: list[str] = []
    before: str | None = None
    for number, day in enumerate(days):
        signed = proof_store.find_root(roots.objects, day)
        if signed is None:
            faults.append(f"the root of {day} is not there")
            continue
        try:
            said, _ = check_receipt().check_signed(signed.model_dump(), list(known.values()), "regulars root 1")
        except (check_receipt().Wrong, ValueError, KeyError) as wrong:
            faults.append(f"the root of {day}: {wrong}")
            said = {}
        if number and said.get("previous") != before:
            faults.append(f"the root of {day} does not follow from the root before it")
        before = hashlib.sha256(signed.text.encode()).hexdigest()
    if days and not faults:
        try:
            for part in roots.parts(days[-1]):
                roots.heads(part)
        except RootBroken as broken:
            faults.append(str(broken))
    return faults


def anchors_in_order(roots: Roots, now: datetime) -> list[str]:
    """What is wrong with the signed anchors of the audit trail: signatures, and the chain from day to day."""
    known = [key.model_dump() for key in proof_store.list_keys(roots.objects)]
    faults: list[str] = []
    before: str | None = None
    for number, (day, signed) in enumerate(audit.list_anchors(roots.objects, now)):
        assert signed is not None
        try:
            said, _ = check_receipt().check_signed(signed.model_dump(), known, ANCHOR_FORM)
        except (check_receipt().Wrong, ValueError, KeyError) as wrong:
            faults.append(f"the anchor of {day}: {wrong}")
            said = {}
        if number and said.get("previous") != before:
            faults.append(f"the anchor of {day} does not follow from the anchor before it")
        before = audit.anchor_digest(signed)
    return faults


@cache
def check_receipt() -> Any:
    """The script that anyone checks receipts with, as a module."""
    spec = importlib.util.spec_from_file_location("check_receipt", ROOT / "docs" / "check_receipt.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- telling


def in_words(found: tuple[str, Fault]) -> str:
    """What does not hold in an account, for people."""
    account_id, fault = found
    key = f" ({'/'.join((fault.key.kind, *fault.key.parts))})" if fault.key is not None else ""
    return f"{account_id}, entry {fault.seq}{key}: {fault.what}"


_HOLDERS = {
    Kind.MEMBER: "members", Kind.POOL: "pools", Kind.STORED_VALUE: "stored-value cards", Kind.COUNT_CARD: "count cards",
}  # fmt: skip


def _amount(kind: Kind, units: int, currency: str) -> str:
    """What accounts of a kind hold, in their own units: points, money or visits."""
    if kind is Kind.STORED_VALUE:
        return shown(units, currency)
    return f"{units:,} {'visits' if kind is Kind.COUNT_CARD else 'points'}"


def _tell(whole: Shard, walk: Walk, began: datetime, currency: str) -> None:
    tally, seconds = whole.tally, (utc_now() - began) / timedelta(seconds=1)
    tiers = ", ".join(f"{count:,} {tier_id}" for tier_id, count in sorted(tally.tiers.items()))
    held = [
        f"{_amount(kind, whole.figures[kind].balance, currency)} of {_HOLDERS[kind]}"
        for kind in Kind
        if kind in whole.figures
    ]
    rows = (
        ("accounts", f"{tally.accounts:,}, of which {tally.accounts - tally.faulty:,} hold"),
        ("entries", f"{tally.entries:,} in {seconds:.1f} s by {PROCESSES} processes"),
        ("balance", ", ".join(held) or "nothing"),
        ("tiers", tiers or "nobody"),
        ("compared with", f"the root of {walk.since}" if walk.since is not None else "nothing: no root is signed yet"),
        ("root over all heads", proof_rules.heads_of(whole.parts).hex()),
    )
    for what, text in rows:
        print(f"  {what:<24}{text}")


def _tell_cover(roots: Roots, today: date, entries: int, *, before: date | None, sealed: bool) -> None:
    """Tell how many entries no signed root covers yet: a day has one root, and it stays as it was signed.

    Args:
        entries: how many there are.
        before: the day of the newest root before this walk.
        sealed: whether today's root was to be signed.
    """
    newest = roots.newest(today)
    if newest is None:
        print(f"  {'under no root yet':<24}{_entries(entries)}: SEAL=1 signs the first root")
        return
    if sealed:
        nothing = f"nothing: {today} has its root, and a day has one"
        print(f"  {'sealed':<24}{nothing if before == today else f'the root of {newest}'}")
    since = max(entries - roots.find(newest)[0].entries, 0)
    of = ", of another day," if newest == today else ""
    covers = f"; the next root{of} covers what is there by then" if since else ""
    print(f"  {'under no root yet':<24}{_entries(since)} since the root of {newest}{covers}")


def _entries(count: int) -> str:
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def _tell_trail(trail: Trail) -> None:
    print(f"  {'audit records':<24}{trail.records:,} in {trail.links:,} links; {trail.waiting:,} not chained yet")


def _tell_faults(faults: Sequence[str]) -> bool:
    """Tell every fault, however many: each is a row that somebody must look at."""
    for fault in faults:
        print(f"✗ {fault}")
    print("✗ The ledger does not hold." if faults else "✓ Everything holds.", flush=True)
    return not faults


def _tell_liability(report: LiabilityReport) -> None:
    for table in report.tables:
        _tell_table(table, report.currency)


def _tell_table(table: KindTable, currency: str) -> None:
    """Tell what accounts of a kind come to, in their own units."""
    amount = partial(_amount, table.kind, currency=currency)
    figure: Callable[[int], str] = (
        partial(shown, currency=currency) if table.kind is Kind.STORED_VALUE else "{:,}".format
    )
    worth = f", {shown(table.outstanding_minor, currency)}" if table.kind in PRICED and table.outstanding_minor else ""
    print(f"\n  {_HOLDERS[table.kind]}: {amount(table.outstanding_points)} outstanding{worth}")
    print(f"  owed by {table.debts_accounts:,} accounts: {amount(table.debts_points)}; expired and not booked: "
          f"{amount(table.expired_unbooked_points)}; balance: {amount(table.balance)}")  # fmt: skip
    columns = ("opening", *FIGURES, "closing")
    print("  " + "month".ljust(9) + "".join(f"{name!s:>15}" for name in columns))
    for row in table.months[-12:]:
        print("  " + row.month.ljust(9) + "".join(f"{figure(getattr(row, name)):>15}" for name in columns))
    likely = table.breakage
    if likely.expected_points is None:
        print(f"  breakage: no estimate; history covers {amount(likely.covered_points)}")
    else:
        print(f"  breakage: {amount(likely.expected_points)} by {likely.matured_cohorts} months of issue")


def _write_liability(chosen: Settings, report: LiabilityReport) -> None:
    folder, stamp = chosen.data_dir / "liability", report.as_of.strftime("%Y%m%dT%H%M%SZ")
    kept = FolderObjects(folder)
    kept.put(f"{stamp}.json", report.model_dump_json(indent=1).encode(), kind="application/json")
    kept.put(f"{stamp}.csv", csv_text(liability.rows_of(report)).encode(), kind="text/csv")
    print(f"\n  Written to {folder / stamp}.json and .csv.")
