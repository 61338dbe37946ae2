"""What must hold after a run: the invariants of the ledger, from everything that is there and all that was told.

I1 sum of entries = balance = what the lots say    I2 one effect for each key
I3 what was acknowledged is there, what was refused is not    I4 no more comes back than was bought
I5 seq is dense and follows real time    I6 no debt but those that are allowed    I8 chains verify

Points, lots, lapses, pending points and tiers are told by `purse.py`, which shares no code with the product.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

from chalicelib.points.errors import PointsInsufficient
from chalicelib.points.models import AccountStatus, Entry
from chalicelib.points.rules import derive
from chalicelib.points.rules import verify as chain_fault
from chalicelib.points.store import account_from, entry_from
from chalicelib.programs.models import Program
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.sim.chain import hash_of
from tests.sim.commands import OPERATIONS, Attempt, Command, EntryName
from tests.sim.port import STALE_FOR
from tests.sim.purse import Purse, Standing, Terms, day_of, tier
from tests.sim.world import KEYRING, World

DERIVED = ("expire", "tier")
"""Entries that nobody asks for: time brings them."""

_FAMILIES = ("M", "O", "K", "U", "H", "PROGRAM")
_ACTIVE_ONLY = ("purchase", "spend", "birthday")
_CLOCKS = timedelta(minutes=5)


@dataclass
class Case:
    """An entry before the judge.

    Attributes:
        purse: of the account that it stands in, as it was before the entry.
        owed_before: what was owed before the transaction that the entry is part of.
        notes: what effects remember for each other, over the whole run.
    """

    world: World
    purse: Purse
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
class Judge:
    """Looks at a world after a run."""

    world: World
    items: Mapping[Key, Item]
    complaints: list[str] = field(default_factory=list)
    notes: dict[Any, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._terms: dict[int, Terms] = {}
        self._programs: dict[int, Program] = {}
        for key, item in self.items.items():
            if key.pk == "PROGRAM" and key.sk != "HEAD":
                terms = json.loads(item["program"])
                self._terms[terms["version"]] = terms
                self._programs[terms["version"]] = Program.model_validate_json(item["program"])
        self._claims: dict[EntryName, list[Command]] = defaultdict(list)
        for command in self.world.commands.values():
            for name in OPERATIONS[command.step.operation].claims(self.world, command.step):
                self._claims[name].append(command)

    def verdict(self) -> list[str]:
        """What does not hold; nothing when everything does."""
        chains = self._chains()
        self.complaints += self.world.bugs
        for owner, entries in chains.items():
            self._judge_chain(owner, entries)
        for key in self.items:
            if key.sk == "ACCOUNT" and keys.member_partition(keys.member_of(key.pk)) not in chains:
                self._judge_chain(key.pk, [])
        for command in self.world.commands.values():
            self._judge_answers(command)
        self._judge_identifiers()
        return self.complaints

    # ------------------------------------------------------------ chains

    def _chains(self) -> dict[str, list[tuple[Entry, Item]]]:
        chains: dict[str, list[tuple[Entry, Item]]] = defaultdict(list)
        for key, item in self.items.items():
            if keys.parted(key.pk)[0] not in _FAMILIES:
                self.complaints.append(f"I2 {key}: an item that nothing explains")
            if "r" in item and "tl" in item:
                chains[item["tl"]].append((entry_from(item), item))
        for entries in chains.values():
            entries.sort(key=lambda each: str(each[1]["at"]))
        return chains

    def _judge_chain(self, owner: str, entries: Sequence[tuple[Entry, Item]]) -> None:
        """An account against its entries, entry by entry, and against the purse that they fill."""
        stored = self.items.get(Key(owner, "ACCOUNT"))
        if stored is None:
            self.complaints.append(f"I1 {owner}: entries without an account")
            return
        account = account_from(stored)
        numbers = [entry.seq for entry, _ in entries]
        if numbers != list(range(1, len(numbers) + 1)):
            self.complaints.append(f"I5 {owner}: seq is {numbers}")
        if sum(entry.points for entry, _ in entries) != account.lifetime.balance:
            self.complaints.append(f"I1 {owner}: entries do not add up to the balance, {account.lifetime.balance}")
        fault = chain_fault(account, [entry for entry, _ in entries], self._programs)
        if fault is not None:
            self.complaints.append(f"I8 {owner} entry {fault.seq}: {fault.what}")
        before = bytes(32)
        for entry, item in entries:
            if hash_of(item, before) != item["h"]:
                self.complaints.append(f"I8 {owner} entry {entry.seq}: the hash is not that of what is stored")
            before = item["h"]
        purse = self._fill(owner, entries)
        today = day_of(max(self.world.now, account.last_recorded_at or self.world.now), self.world.plan.terms)
        position = derive(account, today)
        found = (position.balance, dict(position.left), position.lapsed, position.pending)
        there = purse.on(today)
        # Who is closed waits for nothing any more.
        pending = 0 if account.status is AccountStatus.CLOSED else there.pending
        if purse.exact and found != (there.balance, there.lots, there.lapsed, pending):
            self.complaints.append(f"I1 {owner}: the account comes to {found}, the entries to {there}")
        if sum(dict(position.left).values()) - position.owed != position.balance:
            self.complaints.append(f"I1 {owner}: balance {position.balance} is not what the lots say")

    def _fill(self, owner: str, entries: Sequence[tuple[Entry, Item]]) -> Purse:
        """A purse through which every entry has gone, transaction by transaction."""
        purse, booked = Purse(), 0
        probes = self._probes(owner)
        transactions = self._transactions(owner, entries)
        starts = [place for place, _ in transactions]
        self._look(purse, probes, -1, starts[0] if starts else None, None)
        for number, (place, group) in enumerate(transactions):
            terms, today = self._terms[group[-1][0].program_version], self._today(group[0][0])
            owed = max(-purse.on(today).balance, 0)
            for entry, item in group:
                if entry.key.kind == "expire":
                    booked -= entry.points
                elif entry.key.kind == "tier":
                    self._judge_tier(owner, purse, entry)
                else:
                    self._judge_entry(owner, purse, entry, item, place, owed)
            last = group[-1][0]
            there = purse.on(self._today(last))
            if purse.exact and last.balance_after != there.balance + there.lapsed - booked:
                self.complaints.append(
                    f"I1 {owner} entry {last.seq}: the balance after it is {last.balance_after}, should be "
                    f"{there.balance + there.lapsed - booked}"
                )
            if purse.exact:
                self._judge_debt(owner, purse, group, owed, max(-there.balance, 0))
            purse.fold(today, terms)
            following = starts[number + 1] if number + 1 < len(starts) else None
            self._look(purse, probes, place, following, last.recorded_at)
        for probe in probes:
            if not probe.held:
                self.complaints.append(f"I3 {owner}: {probe.words}, which was never so meanwhile")
        return purse

    def _transactions(
        self, owner: str, entries: Sequence[tuple[Entry, Item]]
    ) -> list[tuple[int, list[tuple[Entry, Item]]]]:
        """Entries by the transaction that wrote them, in the order of the chain."""
        log, grouped = self.world.backing.log, list[tuple[int, list[tuple[Entry, Item]]]]()
        for entry, item in entries:
            place = log.places.get(Key(item["pk"], item["sk"]), -1)
            if grouped and grouped[-1][0] == place:
                grouped[-1][1].append((entry, item))
                continue
            if grouped and place < grouped[-1][0]:
                self.complaints.append(f"I5 {owner} entry {entry.seq}: written before the one that it follows")
            if Key(owner, "ACCOUNT") not in log.commits[place].before:
                self.complaints.append(f"I1 {owner} entry {entry.seq}: written without its account")
            grouped.append((place, [(entry, item)]))
        return grouped

    def _judge_entry(self, owner: str, purse: Purse, entry: Entry, item: Item, place: int, owed: int) -> None:
        commit = self.world.backing.log.commits[place]
        command, attempt = self.world.attempts[commit.by]
        if command not in self._claims.get((entry.key.kind, entry.key.parts), ()):
            name = f"{entry.key.kind} {'/'.join(entry.key.parts)}"
            self.complaints.append(f"I2 {owner} entry {entry.seq}: nobody asked for {name} ({command.step})")
            return
        before = commit.before.get(Key(owner, "ACCOUNT"))
        if before is not None and (
            before["status"] == "closed" or (before["status"] != "active" and entry.key.kind in _ACTIVE_ONLY)
        ):
            self.complaints.append(f"I3 {owner} entry {entry.seq}: the account is {before['status']}")
        operation = OPERATIONS[command.step.operation]
        variant = operation.variant_of(item)
        terms, today = self._terms[entry.program_version], self._today(entry)
        case = Case(
            self.world, purse, entry, item, command, attempt, variant, terms, today, owed, self.notes, self.complaints
        )
        if operation.effect is not None:
            operation.effect(case)

    def _judge_tier(self, owner: str, purse: Purse, entry: Entry) -> None:
        terms = self._terms[entry.program_version]
        held = tier(purse.qualifying, terms, self._today(entry))["tier_id"]
        if entry.tier_after != held:
            self.complaints.append(f"I1 {owner} entry {entry.seq}: reviewed as {entry.tier_after}, should be {held}")

    def _judge_debt(
        self, owner: str, purse: Purse, group: Sequence[tuple[Entry, Item]], before: int, after: int
    ) -> None:
        """Only returns and corrections may leave a debt, and only where the program lets them."""
        if after <= before:
            return
        kinds = {entry.key.kind for entry, _ in group}
        policy = self._terms[group[-1][0].program_version]["negative_balance"]
        if policy == "owe" and kinds & {"return", "adjust"}:
            purse.in_debt = True
        elif not (policy == "pending_only" and "return" in kinds and purse.in_debt):
            self.complaints.append(f"I6 {owner} entry {group[-1][0].seq}: leaves a debt of {after} under {policy}")

    def _today(self, entry: Entry) -> date:
        return day_of(entry.recorded_at, self._terms[entry.program_version])

    # ------------------------------------------------------------ what was told

    def _probes(self, owner: str) -> list[Probe]:
        """What attempts were told of an account's points."""
        return self._told.get(owner, [])

    @cached_property
    def _told(self) -> dict[str, list[Probe]]:
        found: dict[str, list[Probe]] = defaultdict(list)
        for command, attempt in self.world.attempts:
            operation, step = OPERATIONS[command.step.operation], command.step
            if attempt.told == "refused" and isinstance(attempt.refusal, PointsInsufficient):
                available = attempt.refusal.facts["available"]
                owner = self.world.whom(step)
                words = f"step {step.number} was refused because of {available} points"
                found[keys.member_partition(owner)].append(self._probe(attempt, available, words, old=False))
            elif attempt.told == "ack" and operation.seen is not None:
                seen = operation.seen(self.world, step, attempt)
                if seen is not None:
                    words = f"step {step.number} was shown {seen.available} points"
                    found[keys.member_partition(seen.owner)].append(
                        self._probe(attempt, seen.available, words, old=seen.old)
                    )
        return found

    def _probe(self, attempt: Attempt, available: int, words: str, *, old: bool) -> Probe:
        log, terms = self.world.backing.log, self.world.plan.terms
        first = log.since(attempt.began_at - STALE_FOR) if old else attempt.began

        def day(recorded: datetime | None) -> date:
            return day_of(attempt.now if old or recorded is None else max(attempt.now, recorded), terms)

        return Probe(available, first, attempt.ended, day, words)

    def _look(
        self, purse: Purse, probes: Sequence[Probe], place: int, following: int | None, recorded: datetime | None
    ) -> None:
        """Hold what was told against what was so after one transaction and until the next."""
        for probe in probes:
            if probe.held or place + 1 > probe.last or (following is not None and following < probe.first):
                continue
            probe.held = not purse.exact or purse.on(probe.day(recorded)).available == probe.available

    # ------------------------------------------------------------ answers

    def _judge_answers(self, command: Command) -> None:
        """Each attempt's answer against what is there."""
        operation, step = OPERATIONS[command.step.operation], command.step
        if not operation.keyed:
            return
        self._judge_sameness(command)
        names = operation.claims(self.world, step)
        if not names:
            return
        key = keys.entry(names[0][0], *names[0][1])
        item, place = self.items.get(key), self.world.backing.log.places.get(key, -1)
        for attempt in command.attempts:
            words = f"step {step.number} {step.operation}, sent at {attempt.now:%Y-%m-%d %H:%M:%S}"
            if attempt.told == "ack" and item is None:
                self.complaints.append(f"I3 {words}: acknowledged, but it is not there")
            elif attempt.told == "ack" and item is not None:
                self._judge_acknowledged(attempt, item, place, operation.variant_of(item), words)
            elif attempt.told == "refused" and attempt.refusal is not None:
                self._judge_refused(attempt, item, place, operation.variant_of, words)

    def _judge_acknowledged(self, attempt: Attempt, item: Item, place: int, variant: int, words: str) -> None:
        if attempt.value.hash != item["h"].hex():
            self.complaints.append(f"I3 {words}: answered entry {attempt.value.seq}, but another one is there")
        if variant != attempt.variant:
            self.complaints.append(f"I2 {words}: acknowledged, but other content is under its key")
        if place >= attempt.ended:
            self.complaints.append(f"I5 {words}: acknowledged before it was written")

    def _judge_refused(
        self, attempt: Attempt, item: Item | None, place: int, variant_of: Callable[[Item], int], words: str
    ) -> None:
        assert attempt.refusal is not None
        log, code = self.world.backing.log, attempt.refusal.code
        if code.endswith("_differs"):
            if item is None or place >= attempt.ended or variant_of(item) == attempt.variant:
                self.complaints.append(f"I2 {words}: refused ({code}), but nothing else is under its key")
            return
        if item is not None and place < attempt.began:
            self.complaints.append(f"I2 {words}: refused ({code}), although it was done before")
        if item is not None and log.commits[place].by == attempt.number:
            self.complaints.append(f"I3 {words}: refused ({code}), but it was done")
        for commit in log.commits[attempt.began : attempt.ended]:
            if commit.by == attempt.number and not all(_is_booking(key) for key in commit.before):
                wrote = ", ".join(f"{key.pk}/{key.sk}" for key in commit.before)
                self.complaints.append(f"I3 {words}: refused ({code}), but it wrote {wrote}")

    def _judge_sameness(self, command: Command) -> None:
        """Whoever sends the same command gets the same answer."""
        first: dict[int, Any] = {}
        for attempt in command.acknowledged:
            answer = first.setdefault(attempt.variant, attempt.value)
            if answer != attempt.value:
                step = command.step
                self.complaints.append(
                    f"I2 step {step.number} {step.operation}: answered {answer!r}, and later {attempt.value!r}"
                )
        if len(first) > 1:
            self.complaints.append(f"I2 step {command.step.number}: two contents were acknowledged under one key")

    # ------------------------------------------------------------ identifiers

    def _judge_identifiers(self) -> None:
        """Every identifier is held by the one member who has it, and by nobody who is closed."""
        wanted: dict[Key, str] = {}
        for key, item in self.items.items():
            if key.sk != "PROFILE":
                continue
            account = self.items.get(Key(key.pk, "ACCOUNT"))
            if account is None:
                self.complaints.append(f"I1 {key.pk}: a profile without an account")
            elif account["status"] != "closed":
                contact = json.loads(item["contact"][1:])
                for kind, name in (("mobile", "mobile"), ("email", "email"), ("card", "card_no")):
                    if contact.get(name):
                        unique = keys.unique(kind, KEYRING.blind(kind, contact[name]))
                        if wanted.setdefault(unique, item["member_id"]) != item["member_id"]:
                            self.complaints.append(f"I2 {item['member_id']} and {wanted[unique]} have one {name}")
        held = {key: item["member_id"] for key, item in self.items.items() if key.sk == "U"}
        if held != wanted:
            odd = {key.pk for key in held.keys() ^ wanted.keys()}
            self.complaints.append(f"I2 identifiers are not those of their members: {sorted(odd)}")


def _is_booking(key: Key) -> bool:
    """Whether an item may be written also by a command that is refused: what time has brought is booked before it."""
    return key.sk == "ACCOUNT" or (key.pk.startswith("K#") and key.pk.split("#")[1] in DERIVED)


def judged(world: World) -> list[str]:
    """What does not hold after a run."""
    return Judge(world, world.backing.items()).verdict()
