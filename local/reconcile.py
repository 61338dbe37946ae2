"""`python -m local reconcile`: prove that the ledger holds what was put in, account by account.

For every account: its entries add up to its balance, the balance is what its lots hold, and the chain of hashes
verifies from the first entry to the head. For a replayed file besides: members, purchases, money, points and tiers are
what the file alone says they must be (`local.replay.rule`, which shares no code with the product).

It reads the table directly, by member id. `python -m local verify` proves all accounts that the directory lists.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import AccountId
from chalicelib.kernel.money import shown
from chalicelib.points import fold
from chalicelib.points import store as points_store
from chalicelib.points import views as points_views
from chalicelib.points.models import Account, Entry, Reason
from chalicelib.points.rules import balances
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook, book_of
from chalicelib.proof import rules as proof
from chalicelib.proof import store as proof_store
from chalicelib.proof.service import Programs
from chalicelib.purchases.store import sale_from
from chalicelib.runtime.settings import Settings as AppSettings
from chalicelib.runtime.wiring import House, utc_now
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.keyring import ClearContacts, Keyring
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.signing import FileSigner
from chalicelib.storage.table import BATCH_MAX, DynamoTable, Table
from chalicelib.storage.writes import Item
from local.replay import rows as replay_rows
from local.replay.crew import CHANNEL, SOURCE, Tally
from local.replay.rule import NotOurs, Rule, rule_of
from local.runs import find_run
from local.settings import AUDIENCE, ISSUER, STACK, Settings, app_environment, settings
from local.tether import tether

PROCESSES = 2
FAULTS_SHOWN = 20
DEMO_MEMORY = "demo.json"
REPLAY_MEMORY = "replay.json"

T = TypeVar("T")


class NothingRuns(Exception):
    """There is no database to look into; the message is for a person."""


@dataclass(slots=True)
class Findings:
    """What a walk over accounts found. Findings of several walks add up."""

    members: int = 0
    purchases: int = 0
    cents: int = 0
    earned: int = 0
    balance: int = 0
    entries: int = 0
    verified: int = 0
    tiers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def __add__(self, other: "Findings") -> "Findings":
        """Both together."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__}
        return Findings(**sums)


# ---------------------------------------------------------------- the verb


def main(arguments: Sequence[str]) -> int:
    """Reconcile what the data folder remembers (its demo, its replays), and give the exit code."""
    parser = argparse.ArgumentParser(prog="python -m local reconcile")
    parser.add_argument("--file", help="only this replayed file")
    asked = parser.parse_args(arguments)
    chosen = settings()
    demo, replays = chosen.data_dir / DEMO_MEMORY, chosen.data_dir / REPLAY_MEMORY
    known: dict[str, Any] = json.loads(replays.read_text()) if replays.exists() else {}
    wanted = [each for each in known.values() if not asked.file or Path(each["file"]) == Path(asked.file).resolve()]
    try:
        exact = [file(chosen, Path(each["file"]), each["shift_days"]) for each in wanted]
        if demo.exists() and not asked.file:
            exact.append(members(chosen, json.loads(demo.read_text())["member_ids"]))
    except (NothingRuns, FileNotFoundError) as problem:
        print(problem, file=sys.stderr)
        return 2
    if not exact:
        print(f"{chosen.data_dir} remembers neither demo data nor a replay.", file=sys.stderr)
        return 2
    return 0 if all(exact) else 1


def members(chosen: Settings, member_ids: Sequence[str]) -> bool:
    """Verify the accounts of some members; whether everything holds."""
    with open_house(chosen) as house:
        program = book_of(house.table).current(utc_now())
    shares = [list(member_ids[number::PROCESSES]) for number in range(PROCESSES)]
    found = _walked(partial(_walk_members, chosen), shares)
    table = Comparison()
    table.row("members", len(member_ids), found.members)
    table.row("accounts whose entries = balance = lots, chain verified", len(member_ids), found.verified)
    table.note("purchases", f"{found.purchases:,}, {shown(found.cents, program.currency)}")
    table.note("entries", f"{found.entries:,}")
    table.note("tiers", _tiers(found.tiers))
    return table.closed(found.faults)


def file(chosen: Settings, path: Path, shift_days: int, *, answers: Tally | None = None) -> bool:
    """Compare a replayed file with the ledger, and with what the API answered; whether they are the same."""
    with open_house(chosen) as house:
        program = book_of(house.table).current(utc_now())
    try:
        rule = rule_of(program.model_dump(mode="json"))
    except NotOurs as problem:
        print(f"The file cannot be recomputed by this program: {problem}.", file=sys.stderr)
        return False
    today = local_day(utc_now(), program.time_zone)
    started = time.monotonic()
    walk = partial(_walk_file, chosen, path, shift_days, rule, today)
    found = _walked(walk, [(number, PROCESSES) for number in range(PROCESSES)])
    expected = _expected(path, shift_days, rule, today)

    money = partial(shown, currency=program.currency)
    table = Comparison()
    table.row("members", expected.members, found.members, answers.members if answers else None)
    table.row("purchases", expected.purchases, found.purchases, answers.rows - answers.refused if answers else None)
    table.row("money", expected.cents, found.cents, answers.cents if answers else None, shown=money)
    table.row("points earned", expected.earned, found.earned, answers.points if answers else None)
    table.row("points to spend today", expected.balance, found.balance)
    for tier_id, *_ in rule.tiers:
        table.row(f"members in {tier_id} today", expected.tiers[tier_id], found.tiers[tier_id])
    table.row("accounts as the file says", expected.members, found.members - len(found.faults))
    table.row("entries = balance = lots, chain verified", expected.members, found.verified)
    exact = table.closed(found.faults)
    print(f"  {found.entries:,} entries verified in {time.monotonic() - started:.1f} s by {PROCESSES} processes.")
    _tell_memory(chosen)
    return exact


class Comparison:
    """A table of what should be and what is."""

    def __init__(self) -> None:
        self._exact = True
        print(f"\n  {'':<56}{'expected':>16}{'ledger':>16}{'API':>16}")

    def row(
        self,
        what: str,
        expected: int,
        found: int,
        answered: int | None = None,
        *,
        shown: Callable[[int], str] = "{:,}".format,
    ) -> None:
        """One figure from each side."""
        same = expected == found and answered in (None, expected)
        self._exact &= same
        api = "" if answered is None else shown(answered)
        print(f"{'✓' if same else '✗'} {what:<56}{shown(expected):>16}{shown(found):>16}{api:>16}")

    def note(self, what: str, text: str) -> None:
        """Something that is only told."""
        print(f"  {what:<56}{text}")

    def closed(self, faults: Sequence[str]) -> bool:
        """Tell the faults, and whether there was nothing to tell."""
        for fault in faults[:FAULTS_SHOWN]:
            print(f"✗ {fault}")
        if len(faults) > FAULTS_SHOWN:
            print(f"  … and {len(faults) - FAULTS_SHOWN:,} more")
        exact = self._exact and not faults
        print("✓ Everything holds." if exact else "✗ There are differences.", flush=True)
        return exact


# ---------------------------------------------------------------- walking


@contextmanager
def open_house(chosen: Settings) -> Iterator[House]:
    """The house of a data folder's run, with a connection of this process's own.

    Raises:
        NothingRuns: no run has its database up.
    """
    run = find_run(chosen.data_dir)
    endpoint = chosen.dynamodb_endpoint or (run.dynamodb if run else "")
    if not endpoint or not chosen.keys_file.exists():
        raise NothingRuns(f"Nothing runs from {chosen.data_dir}; start it first: make run DATA_DIR={chosen.data_dir}")
    env = app_environment(chosen, endpoint)
    secrets = {name: bytes.fromhex(key) for name, key in json.loads(chosen.keys_file.read_text()).items()}
    app = AppSettings(
        stage="local",
        stack=STACK,
        region=env["AWS_REGION"],
        dynamodb_endpoint=endpoint,
        index_key=secrets["index_key"],
        cursor_key=secrets["cursor_key"],
        token_key=secrets["token_key"],
        issuer=ISSUER,
        audience=AUDIENCE,
        roots=chosen.roots.as_uri(),
        signing_key=chosen.signing_key_file.as_uri(),
    )
    credentials = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env.get("AWS_SESSION_TOKEN"))
    dynamo = Dynamo(app.region, endpoint, lambda: credentials, utc_now)
    keyring = Keyring(app.index_key, app.cursor_key, ClearContacts())
    with closing(dynamo):
        ops = DynamoTable(dynamo, app.ops_table)
        table, roots = DynamoTable(dynamo, app.core_table), FolderObjects(chosen.roots)
        yield House(app, table, keyring, ops=ops, roots=roots, signer=FileSigner(chosen.signing_key_file))


def _walked(walk: Callable[[Any], Findings], shares: Iterable[Any]) -> Findings:
    """Walk the shares side by side, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(PROCESSES, initializer=tether, initargs=(os.getpid(),)) as pool:
        return sum(pool.map(walk, shares, chunksize=1), start=Findings())


def _walk_members(chosen: Settings, member_ids: Sequence[str]) -> Findings:
    found = Findings()
    with open_house(chosen) as house:
        book = book_of(house.table)
        today = local_day(utc_now(), book.current(utc_now()).time_zone)
        for some in _batches(member_ids):
            ledgers = read_ledgers(house.table, some)
            found.faults += [f"{each}: there is no such member" for each in some if each not in ledgers]
            for ledger in ledgers.values():
                found += ledger.findings(book, today)
    return found


def _walk_file(
    chosen: Settings, path: Path, shift_days: int, rule: Rule, today: date, share: tuple[int, int]
) -> Findings:
    number, of = share
    found = Findings()
    with open_house(chosen) as house:
        book = book_of(house.table)
        for some in _batches(replay_rows.customers(path, share=number, of=of)):
            holders = _holders(house, [customer for customer, _ in some])
            ledgers = read_ledgers(house.table, list(holders.values()))
            for customer, rows in some:
                ledger = ledgers.get(holders.get(customer, ""))
                if ledger is None:
                    found.faults.append(f"customer {customer}: there is no such member")
                    continue
                found += ledger.findings(book, today)
                fault = _difference(ledger, rows, shift_days, rule, today, book.current(utc_now()))
                if fault is not None:
                    found.faults.append(f"customer {customer} ({ledger.account.member_id}): {fault}")
    return found


def _batches(things: Iterable[T]) -> Iterator[list[T]]:
    """A hundred at a time: what one call of BatchGetItem takes."""
    source = iter(things)
    while some := list(islice(source, BATCH_MAX)):
        yield some


def _holders(house: House, customers: Sequence[str]) -> dict[str, str]:
    """The member ids of customers who have one."""
    wanted = {each: keys.unique("ext", house.keyring.blind("ext", f"{SOURCE}:{each}")) for each in customers}
    found = house.table.get_many(list(wanted.values()))
    return {each: found[key]["member_id"] for each, key in wanted.items() if key in found}


def _difference(
    ledger: "Ledger",
    rows: Sequence[replay_rows.Row],
    shift_days: int,
    rule: Rule,
    today: date,
    program: Program,
) -> str | None:
    """The first thing in which an account differs from what the file says of it; None when nothing does."""
    due = rule.due([(row.bought_on + timedelta(days=shift_days), row.cents) for row in rows], today)
    sent = [(row.order_no, replay_rows.occurred_at(row, shift_days), row.cents) for row in rows]
    kept = [(entry.key.parts[1], entry.occurred_at, cents) for entry, cents in ledger.purchases(CHANNEL)]
    view = points_views.points_view(ledger.account, today)
    standing = fold.standing_of(ledger.account, program, today)
    checks = (
        ("purchases", sent, kept),
        ("points earned", due.earned, view.lifetime.earned),
        ("points to spend", due.balance, view.available),
        ("points expired", due.earned - due.balance, view.lifetime.expired),
        ("tier", due.tier_id, standing.tier_id),
    )
    return next((f"{what}: {want} expected, {is_} found" for what, want, is_ in checks if want != is_), None)


def _expected(path: Path, shift_days: int, rule: Rule, today: date) -> Findings:
    """What the file alone comes to."""
    found = Findings()
    for _, rows in replay_rows.customers(path):
        due = rule.due([(row.bought_on + timedelta(days=shift_days), row.cents) for row in rows], today)
        found.members += 1
        found.purchases += len(rows)
        found.cents += sum(row.cents for row in rows)
        found.earned += due.earned
        found.balance += due.balance
        found.tiers[due.tier_id] += 1
    return found


@dataclass(frozen=True, slots=True)
class Ledger:
    """A member's account and everything that was ever written to it."""

    account: Account
    entries: Sequence[Entry]
    sales: Mapping[int, int]
    """Money paid, by the `seq` of the purchase."""

    def purchases(self, channel: str) -> list[tuple[Entry, int]]:
        """The purchases of a channel in order, with the money paid."""
        return [
            (entry, self.sales[entry.seq])
            for entry in self.entries
            if entry.seq in self.sales and entry.key.parts[0] == channel
        ]

    def findings(self, book: ProgramBook, today: date) -> Findings:
        """What this account adds to the totals, and whether it holds together."""
        found = Findings(
            members=1, entries=len(self.entries), purchases=len(self.sales), cents=sum(self.sales.values())
        )
        position = balances.derive(self.account, today)
        found.earned = sum(entry.earned or 0 for entry in self.entries if entry.reason is Reason.EARN)
        found.balance = position.available
        found.tiers[fold.standing_of(self.account, book.current(utc_now()), today).tier_id] += 1
        fault = self._fault(book, today)
        if fault is None:
            found.verified = 1
        else:
            found.faults.append(f"{self.account.member_id}: {fault}")
        return found

    def _fault(self, book: ProgramBook, today: date) -> str | None:
        """The first of entries = balance = lots and the chain that does not hold."""
        fault = proof.verify(self.account, self.entries, Programs(book))
        if fault is not None:
            return f"entry {fault.seq}: {fault.what}"
        position = balances.derive(self.account, today)
        due = sum(balances.unbooked(self.account, today).values())
        booked = sum(entry.points for entry in self.entries)
        if booked != self.account.lifetime.balance or booked - due != position.balance:
            return f"entries add up to {booked}, of which {due} expired since; the balance is {position.balance}"
        if sum(lot.points for lot in position.lots) != position.available:
            return f"lots hold other than the balance, {position.available}"
        return None


def read_ledgers(table: Table, member_ids: Sequence[str]) -> dict[str, Ledger]:
    """The ledgers of members, by their ids; those who are not there are left out.

    Many at a time, because waiting for the database is most of the time it takes.
    """
    ids = [AccountId(each) for each in member_ids]
    profiles = table.get_many([keys.profile(each) for each in ids])
    return {
        each.account_id: _ledger(each.account, list(each.entries))
        for each in proof_store.ledgers(table, ids)
        if each.account is not None
        and profiles.get(keys.profile(each.account_id), {}).get("member_id") == each.account_id
    }


def _ledger(account: Item, items: Sequence[Item]) -> Ledger:
    entries = [points_store.entry_from(item) for item in items]
    sales = {
        entry.seq: sale_from(item).paid_minor
        for entry, item in zip(entries, items, strict=True)
        if entry.key.kind == "purchase"
    }
    return Ledger(points_store.account_from(account), entries, sales)


# ---------------------------------------------------------------- telling


def _tiers(tiers: Counter[str]) -> str:
    return ", ".join(f"{count:,} {tier_id}" for tier_id, count in tiers.most_common())


def _tell_memory(chosen: Settings) -> None:
    """Peak memory of the run's API worker processes, where the system tells it (Linux)."""
    run = find_run(chosen.data_dir)
    peaks = worker_peaks(run.pid) if run else []
    if peaks:
        print(f"  Peak memory of the API workers: {', '.join(f'{peak / 1024:.0f} MB' for peak in peaks)}.")


def worker_peaks(supervisor: int) -> list[int]:
    """The most memory that each API worker of a run ever held, in KiB."""
    try:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
    except OSError:
        return []
    peaks = []
    for pid in children:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            status = Path(f"/proc/{pid}/status").read_text()
        except OSError:
            continue
        if b"local.worker" in command:
            peaks += [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return peaks
