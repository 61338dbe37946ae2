"""Every account against its entries: transaction by transaction, in the order in which they were committed.

Accounts are told by the timeline partition of their entries, whoever owns them. Transactions of all accounts are gone
through in one order, so that a command may move points between several.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from chalicelib.points.errors import PointsInsufficient
from chalicelib.points.models import Account, AccountStatus, Entry
from chalicelib.points.rules import derive
from chalicelib.points.store import account_from, entry_from
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify as chain_fault
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.sim.chain import hash_of
from tests.sim.commands import DERIVED, OPERATIONS, Attempt, Command, EntryName
from tests.sim.port import STALE_FOR
from tests.sim.purse import Purse, Standing, Terms, day_of, tier
from tests.sim.world import World

_ACTIVE_ONLY = ("purchase", "spend", "birthday")
_CLOCKS = timedelta(minutes=5)

Line = tuple[Entry, Item]


@dataclass
class Case:
    """An entry before the judge.

    Attributes:
        purse: of the account that it stands in, as it was before the entry.
        purses: of every account, for commands that move points between several.
        owed_before: what was owed before the transaction that the entry is part of.
        notes: what effects remember for each other, over the whole run.
    """

    world: World
    purse: Purse
    purses: Mapping[str, Purse]
    entry: Entry
    item: Item
    command: Command
    attempt: Attempt
    variant: int
    terms: Terms
    today: date
    owed_before: int
    notes: dict[Any, Any]
    complaints: list[str]

    @cached_property
    def before(self) -> Standing:
        """What there was before the entry, on the day on which it was recorded."""
        return self.purse.on(self.today)

    def complain(self, invariant: str, what: str) -> None:
        """Something does not hold."""
        entry = self.entry
        where = f"entry {entry.seq} ({entry.key.kind} {'/'.join(entry.key.parts)})"
        self.complaints.append(f"{invariant} {entry.member_id} {where}: {what}")

    def expect(self, what: str, found: object, expected: object) -> None:
        """Something must be what follows from the command and the program."""
        if found != expected:
            self.complain("I1", f"{what}: {found}, should be {expected}")

    def needs(self, points: int) -> None:
        """So many points must have been there to spend."""
        if self.purse.exact and points > self.before.available:
            self.complain("I6", f"{points} points were taken of {self.before.available}")

    def happened_at(self, asked: datetime) -> None:
        """It happened when the command says, but for clocks that are behind."""
        if not asked - _CLOCKS <= self.entry.occurred_at <= asked:
            self.complain("I3", f"it happened at {self.entry.occurred_at}, should be {asked}")


@dataclass
class Probe:
    """Somebody was told how many points there are: it must have been so at some moment while they asked."""

    available: int
    first: int
    last: int
    day: Callable[[datetime | None], date]
    words: str
    held: bool = False


@dataclass
class Chain:
    """An account, its entries, and the purse that they fill.

    Attributes:
        booked: points whose expiry is in the entries.
        transactions: its entries by the position of the transaction that wrote them.
    """

    owner: str
    account: Account
    lines: Sequence[Line]
    probes: Sequence[Probe]
    purse: Purse = field(default_factory=Purse)
    booked: int = 0
    transactions: list[tuple[int, list[Line]]] = field(default_factory=list)

    def following(self, number: int) -> int | None:
        """The position of the transaction after one; None after the last."""
        return self.transactions[number + 1][0] if number + 1 < len(self.transactions) else None


def account_key(owner: str) -> Key:
    """Where the account is whose entries stand in a timeline partition."""
    return Key(owner, "ACCOUNT")


class Chains:
    """Judges all accounts of a run.

    Args:
        terms: every version of the program as it was published; `programs` as the product reads them.
        claims: who asked for which entries.
        complaints: where to say what does not hold.
    """

    def __init__(
        self,
        world: World,
        items: Mapping[Key, Item],
        terms: Mapping[int, Terms],
        programs: Mapping[int, Program],
        claims: Mapping[EntryName, Sequence[Command]],
        complaints: list[str],
    ) -> None:
        self._world = world
        self._log = world.backing.log
        self._items = items
        self._terms = terms
        self._programs = programs
        self._claims = claims
        self._complaints = complaints
        self._notes: dict[Any, Any] = {}
        self.chains: dict[str, Chain] = {}

    def judge(self) -> None:
        """Look at every account."""
        told = self._told()
        for owner, lines in self._lines().items():
            stored = self._items.get(account_key(owner))
            if stored is None:
                self._complaints.append(f"I1 {owner}: entries without an account")
                continue
            self.chains[owner] = Chain(owner, account_from(stored), lines, told.get(owner, ()))
        purses = {owner: chain.purse for owner, chain in self.chains.items()}
        for chain in self.chains.values():
            self._judge_form(chain)
            self._group(chain)
            self._look(chain, -1, chain.following(-1), None)
        order = [(place, o, n) for o, chain in self.chains.items() for n, (place, _) in enumerate(chain.transactions)]
        for _, owner, number in sorted(order):
            self._judge_transaction(self.chains[owner], number, purses)
        for chain in self.chains.values():
            self._judge_end(chain)

    def _lines(self) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = defaultdict(list)
        for key, item in self._items.items():
            if key.sk == "ACCOUNT":
                found.setdefault(key.pk, [])
            if "r" in item and "tl" in item:
                found[item["tl"]].append((entry_from(item), item))
        for lines in found.values():
            lines.sort(key=lambda each: str(each[1]["at"]))
        return found

    # ------------------------------------------------------------ an account by itself

    def _judge_form(self, chain: Chain) -> None:
        """Numbers, sums and hashes."""
        owner, entries = chain.owner, [entry for entry, _ in chain.lines]
        numbers = [entry.seq for entry in entries]
        if numbers != list(range(1, len(numbers) + 1)):
            self._complaints.append(f"I5 {owner}: seq is {numbers}")
        balance = chain.account.lifetime.balance
        if sum(entry.points for entry in entries) != balance:
            self._complaints.append(f"I1 {owner}: entries do not add up to the balance, {balance}")
        fault = chain_fault(chain.account, entries, self._programs)
        if fault is not None:
            self._complaints.append(f"I8 {owner} entry {fault.seq}: {fault.what}")
        before = bytes(32)
        for entry, item in chain.lines:
            if hash_of(item, before) != item["h"]:
                self._complaints.append(f"I8 {owner} entry {entry.seq}: the hash is not that of what is stored")
            before = item["h"]

    def _group(self, chain: Chain) -> None:
        """Put the entries with the transactions that wrote them, in the order of the chain."""
        grouped = chain.transactions
        for entry, item in chain.lines:
            place = self._log.places[Key(item["pk"], item["sk"])]
            if grouped and grouped[-1][0] == place:
                grouped[-1][1].append((entry, item))
                continue
            if grouped and place < grouped[-1][0]:
                self._complaints.append(f"I5 {chain.owner} entry {entry.seq}: written before the one that it follows")
            if account_key(chain.owner) not in self._log.commits[place].before:
                self._complaints.append(f"I1 {chain.owner} entry {entry.seq}: written without its account")
            grouped.append((place, [(entry, item)]))

    def _judge_end(self, chain: Chain) -> None:
        """What the account comes to now."""
        account, purse, owner, now = chain.account, chain.purse, chain.owner, self._world.now
        today = day_of(max(now, account.last_recorded_at or now), self._world.plan.terms)
        position = derive(account, today)
        there = purse.on(today)
        # Who is closed waits for nothing any more.
        pending = 0 if account.status is AccountStatus.CLOSED else there.pending
        found = (position.balance, dict(position.left), position.lapsed, position.pending)
        if purse.exact and found != (there.balance, there.lots, there.lapsed, pending):
            self._complaints.append(f"I1 {owner}: the account comes to {found}, the entries to {there}")
        if sum(points for _, points in position.left) - position.owed != position.balance:
            self._complaints.append(f"I1 {owner}: balance {position.balance} is not what the lots say")
        for probe in chain.probes:
            if not probe.held:
                self._complaints.append(f"I3 {owner}: {probe.words}, which was never so meanwhile")

    # ------------------------------------------------------------ a transaction

    def _judge_transaction(self, chain: Chain, number: int, purses: Mapping[str, Purse]) -> None:
        """Let a transaction's entries through the purse, and look at what it leaves."""
        place, group = chain.transactions[number]
        purse, last = chain.purse, group[-1][0]
        owed = max(-purse.on(self._today(group[0][0])).balance, 0)
        for entry, item in group:
            if entry.key.kind == "expire":
                chain.booked -= entry.points
            elif entry.key.kind == "tier":
                self._judge_tier(chain, entry)
            elif entry.key.kind not in DERIVED:
                self._judge_entry(chain, entry, item, place, owed, purses)
        there = purse.on(self._today(last))
        balance = there.balance + there.lapsed - chain.booked
        if purse.exact and last.balance_after != balance:
            self._complaints.append(
                f"I1 {chain.owner} entry {last.seq}: the balance after it is {last.balance_after}, should be {balance}"
            )
        if purse.exact:
            self._judge_debt(chain, group, owed, max(-there.balance, 0))
        purse.fold(self._today(last), self._terms[last.program_version])
        self._look(chain, place, chain.following(number), last.recorded_at)

    def _judge_entry(
        self, chain: Chain, entry: Entry, item: Item, place: int, owed: int, purses: Mapping[str, Purse]
    ) -> None:
        """Whether somebody asked for an entry, could have it, and got what they asked for."""
        commit = self._log.commits[place]
        command, attempt = self._world.attempts[commit.by]
        where = f"{chain.owner} entry {entry.seq}"
        if command not in self._claims.get((entry.key.kind, entry.key.parts), ()):
            name = f"{entry.key.kind} {'/'.join(entry.key.parts)}"
            self._complaints.append(f"I2 {where}: nobody asked for {name} ({command.step})")
            return
        before = commit.before.get(account_key(chain.owner))
        status = before["status"] if before is not None else "active"
        if status == "closed" or (status != "active" and entry.key.kind in _ACTIVE_ONLY):
            self._complaints.append(f"I3 {where}: the account is {status}")
        operation = OPERATIONS[command.step.operation]
        if operation.effect is not None:
            terms, variant = self._terms[entry.program_version], operation.variant_of(item)
            case = Case(
                self._world, chain.purse, purses, entry, item, command, attempt, variant, terms, self._today(entry),
                owed, self._notes, self._complaints,
            )  # fmt: skip
            operation.effect(case)

    def _judge_tier(self, chain: Chain, entry: Entry) -> None:
        terms = self._terms[entry.program_version]
        held = tier(chain.purse.qualifying, terms, self._today(entry))["tier_id"]
        if entry.tier_after != held:
            self._complaints.append(
                f"I1 {chain.owner} entry {entry.seq}: reviewed as {entry.tier_after}, should be {held}"
            )

    def _judge_debt(self, chain: Chain, group: Sequence[Line], before: int, after: int) -> None:
        """Only returns and corrections may leave a debt, and only where the program lets them."""
        if after <= before:
            return
        kinds, last = {entry.key.kind for entry, _ in group}, group[-1][0]
        policy = self._terms[last.program_version]["negative_balance"]
        if policy == "owe" and kinds & {"return", "adjust"}:
            chain.purse.in_debt = True
        elif not (policy == "pending_only" and "return" in kinds and chain.purse.in_debt):
            self._complaints.append(f"I6 {chain.owner} entry {last.seq}: leaves a debt of {after} under {policy}")

    def _today(self, entry: Entry) -> date:
        return day_of(entry.recorded_at, self._terms[entry.program_version])

    # ------------------------------------------------------------ what was told

    def _told(self) -> dict[str, list[Probe]]:
        """What attempts were told of accounts' points, by account."""
        found: dict[str, list[Probe]] = defaultdict(list)
        for command, attempt in self._world.attempts:
            operation, step = OPERATIONS[command.step.operation], command.step
            if attempt.told == "refused" and isinstance(attempt.refusal, PointsInsufficient):
                owner, available = self._world.whom(step, operation.payer), attempt.refusal.facts["available"]
                words = f"step {step.number} was refused because of {available} points"
                found[keys.statement(owner)].append(self._probe(attempt, available, words, old=False))
            elif attempt.told == "ack" and operation.seen is not None:
                seen = operation.seen(self._world, step, attempt)
                if seen is not None:
                    words = f"step {step.number} was shown {seen.available} points"
                    probe = self._probe(attempt, seen.available, words, old=seen.old)
                    found[keys.statement(seen.owner)].append(probe)
        return found

    def _probe(self, attempt: Attempt, available: int, words: str, *, old: bool) -> Probe:
        terms = self._world.plan.terms
        first = self._log.since(attempt.began_at - STALE_FOR) if old else attempt.began

        def day(recorded: datetime | None) -> date:
            return day_of(attempt.now if old or recorded is None else max(attempt.now, recorded), terms)

        return Probe(available, first, attempt.ended, day, words)

    def _look(self, chain: Chain, place: int, following: int | None, recorded: datetime | None) -> None:
        """Hold what was told against what was so after one transaction and until the next."""
        for probe in chain.probes:
            if probe.held or place + 1 > probe.last or (following is not None and following < probe.first):
                continue
            purse = chain.purse
            probe.held = not purse.exact or purse.on(probe.day(recorded)).available == probe.available
