"""Every account against its entries: transaction by transaction, in the order in which they were committed.

Accounts are told by the timeline partition of their entries, whoever owns them. Transactions of all accounts are gone
through in one order, so that a command may move points between several.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

from chalicelib.kernel.calendar import NEVER
from chalicelib.points.models import Account, AccountStatus, Entry, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.points.store import account_from, entry_from
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify as chain_fault
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.sim.chain import hash_of
from tests.sim.commands import DERIVED, OPERATIONS, Attempt, Command, EntryName, Seen
from tests.sim.port import STALE_FOR
from tests.sim.purse import Kept, Purse, Standing, Terms, day_of
from tests.sim.world import World

_ACTIVE_ONLY = ("purchase", "spend", "birthday", "hold", "transfer", "transfer_in", "contribution", "pool_spend",
                "merge", "merge_in", "unmerge", "top_up", "card_spend", "card_use")  # fmt: skip
"""Kinds of entries that an account has only while it is active; of others, none when it is closed."""

_TAKES_BACK = {"return", "restatement", "adjust", "reverse"}
"""Kinds of entries that may leave a debt where the program lets members owe."""

_MERGES = {"merge", "merge_in", "unmerge", "unmerge_in"}

TIMED_OUT = "timed_out"

_SHORT = {
    "points_insufficient": "available",
    "card_balance_insufficient": "available_minor",
    "uses_insufficient": "left",
}
"""Refusals that say how much there is, and where they say it."""

_CARD_TERMS = {"expiry": {"mode": "never", "months": 0, "years": 0, "bucket": "month"}, "negative_balance": "never"}
"""What cards go by in place of the merchant's terms: months are periods, and no card ever owes."""
_CLOCKS = timedelta(minutes=5)

Line = tuple[Entry, Item]


@dataclass
class Case:
    """An entry before the judge.

    Attributes:
        purse: of the account that it stands in, as it was before the entry.
        purses: of every account, for commands that move points between several.
        place: of the transaction in the log.
        status: of the account before it.
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
    place: int
    status: str
    notes: dict[Any, Any]
    complaints: list[str]

    @cached_property
    def before(self) -> Standing:
        """What there was before the entry, when it was recorded."""
        return self.purse.on(self.today, self.entry.recorded_at)

    @cached_property
    def home(self) -> str:
        """The account to which what the entry does belongs: that of its cause, also while another answers for it."""
        cause = self.notes.get(("home", self.entry.cause))
        return cause if cause in self.purse.absorbed else self.purse.owner

    def give(self, points: int, last_day: date, matures_on: date | None = None, *, key: object = None) -> None:
        """Give points; fewer than none makes a parcel that is there smaller."""
        key = self.entry.key if key is None else key
        self.purse.give(key, points, last_day, matures_on, self.home)
        self._did.append((Case.give, key, points, last_day))

    def take(self, points: int, day: date, *, key: object = None) -> None:
        """Take points; fewer than none gives some of a taking back."""
        key = self.entry.key if key is None else key
        self.purse.take(key, points, day, self.terms, self.home)
        self._did.append((Case.take, key, points, day))

    def qualify(self, month: int, points: int) -> None:
        """Count qualifying points, or some fewer."""
        self.purse.qualify(month, points, self.home)
        self._did.append((Case.qualify, None, points, month))

    def mature(self, matures_on: date | None, *, key: object) -> None:
        """Points that waited have a day now, or can be spent at once."""
        self.purse.mature(key, matures_on)

    def undo(self, key: object) -> bool:
        """Do the opposite of what another entry did; whether there is such an entry."""
        done = self.notes.get(("did", key))
        for what, of, points, when in list(done or ()):
            if what is Case.qualify:
                self.qualify(when, -points)
            else:
                what(self, -points, when, key=of)
        return done is not None

    @property
    def _did(self) -> list[Any]:
        found: list[Any] = self.notes.setdefault(("did", self.entry.key), [])
        return found

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

    def end_hold(self, name: str) -> Kept | None:
        """Points that were on hold are so no more; a hold ends once."""
        hold = self.purse.holds.pop(name, None)
        if hold is None:
            self.complain("I10", f"it ends the hold {name}, which is over, or was never there")
        return hold

    def capture(self, name: str) -> Kept | None:
        """Points that were on hold are spent, which they can be as long as it lasts."""
        hold = self.end_hold(name)
        if hold is not None and hold.until <= self.attempt.now:
            self.complain("I10", f"it captures the hold {name}, which was over at {hold.until}")
        return hold

    def lots(self, points: int) -> dict[date, int]:
        """The lots that so many points are, those first that expire first."""
        found: dict[date, int] = {}
        for last, left in sorted(self.before.lots.items()):
            some = min(left, points - sum(found.values()))
            if some > 0:
                found[last] = some
        return found

    def happened_at(self, asked: datetime) -> None:
        """It happened when the command says, but for clocks that are behind."""
        if not asked - _CLOCKS <= self.entry.occurred_at <= asked:
            self.complain("I3", f"it happened at {self.entry.occurred_at}, should be {asked}")


@dataclass
class Probe:
    """Somebody was told how many points there are: it must have been so at some moment while they asked."""

    owner: str
    available: int
    first: int
    last: int
    moment: Callable[[datetime | None], datetime]
    words: str
    held: bool = False


@dataclass
class Chain:
    """An account, its entries, and the purse that they fill.

    Attributes:
        transactions: its entries by the position of the transaction that wrote them.
    """

    owner: str
    account: Account
    lines: Sequence[Line]
    probes: Sequence[Probe]
    purse: Purse
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
            self.chains[owner] = Chain(owner, account_from(stored), lines, told.get(owner, ()), Purse(owner))
        purses = {owner: chain.purse for owner, chain in self.chains.items()}
        for chain in self.chains.values():
            self._judge_form(chain)
            self._group(chain)
            self._look(chain, -1, chain.following(-1), None)
        order = [
            (place, any(entry.key.kind.endswith("_in") for entry, _ in group), owner, number)
            for owner, chain in self.chains.items()
            for number, (place, group) in enumerate(chain.transactions)
        ]  # who gives comes before who gets
        for _, together in groupby(sorted(order), key=lambda each: each[0]):
            parts = [(self.chains[owner], number) for _, _, owner, number in together]
            for chain, number in parts:  # time comes before what is commanded, also where it is booked with it
                self._judge_reviews(chain, number)
            for chain, number in parts:
                self._judge_transaction(chain, number, purses)
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
        fault = chain_fault(chain.account, entries, self._programs, on=self._world.now.date())
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
        if owner.startswith("C#"):
            self._judge_money(chain, there)
        found = (position.balance, dict(position.left), position.lapsed, position.pending)
        if purse.exact and found != (there.balance, there.lots, there.lapsed, pending):
            self._complaints.append(f"I1 {owner}: the account comes to {found}, the entries to {there}")
        if sum(points for _, points in position.left) - position.owed != position.balance:
            self._complaints.append(f"I1 {owner}: balance {position.balance} is not what the lots say")
        for probe in chain.probes:
            if not probe.held and probe.owner == owner:
                self._complaints.append(f"I3 {owner}: {probe.words}, which was never so meanwhile")

    # ------------------------------------------------------------ a transaction

    def _judge_reviews(self, chain: Chain, number: int) -> None:
        """Look at the reviews of tiers in a transaction, before anything in it moves sums."""
        for entry, _ in chain.transactions[number][1]:
            if entry.key.kind == "tier":
                self._judge_tier(chain, entry)

    def _judge_transaction(self, chain: Chain, number: int, purses: Mapping[str, Purse]) -> None:
        """Let a transaction's entries through the purse, and look at what it leaves."""
        place, group = chain.transactions[number]
        purse, last = chain.purse, group[-1][0]
        owed = max(-purse.on(self._today(chain, group[0][0])).balance, 0)
        for entry, item in group:
            if entry.key.kind == "expire":
                purse.booked -= entry.points
            elif entry.key.kind == "hold_end" and entry.reason_code == TIMED_OUT:
                self._judge_time_out(chain, entry)
            elif entry.key.kind not in ("tier", *DERIVED):
                self._judge_entry(chain, entry, item, place, purses)
        there = purse.on(self._today(chain, last))
        balance = there.balance + there.lapsed - purse.booked
        if purse.exact and last.balance_after != balance:
            self._complaints.append(
                f"I1 {chain.owner} entry {last.seq}: the balance after it is {last.balance_after}, should be {balance}"
            )
        if purse.exact:
            self._judge_debt(chain, group, owed, there)
        purse.fold(self._today(chain, last), self._terms_of(chain, last))
        self._look(chain, place, chain.following(number), last.recorded_at)

    def _judge_entry(self, chain: Chain, entry: Entry, item: Item, place: int, purses: Mapping[str, Purse]) -> None:
        """Whether somebody asked for an entry, could have it, and got what they asked for."""
        commit = self._log.commits[place]
        command, attempt = self._world.attempts[commit.by]
        where, name = f"{chain.owner} entry {entry.seq}", claimed(entry)
        claims = self._claims.get(name, ())
        if command not in claims:
            if not claims or not self._waited(entry, place):
                words = f"{entry.key.kind} {'/'.join(entry.key.parts)}"
                self._complaints.append(f"I2 {where}: nobody asked for {words} ({command.step})")
                return
            command = claims[0]
        before = commit.before.get(account_key(chain.owner))
        status = before["status"] if before is not None else "active"
        if status == "closed" or (status != "active" and entry.key.kind in _ACTIVE_ONLY):
            self._complaints.append(f"I3 {where}: the account is {status}")
        if status == "merged" and entry.key.kind != "unmerge_in":
            self._complaints.append(f"I3 {where}: another account answers for this one")
        operation = OPERATIONS[command.step.operation]
        if operation.effect is not None:
            terms, variant = self._terms_of(chain, entry), operation.variant_of(item)
            case = Case(
                self._world, chain.purse, purses, entry, item, command, attempt, variant, terms,
                self._today(chain, entry), place, status, self._notes, self._complaints,
            )  # fmt: skip
            self._notes["home", entry.key] = case.home
            self._notes["points", entry.key] = entry.points
            self._notes["at", entry.key] = entry.recorded_at
            self._notes["owed", entry.key] = max(-case.before.balance, 0)
            operation.effect(case)

    def _waited(self, entry: Entry, place: int) -> bool:
        """Whether an entry is a return that waited for its purchase, or what writes its debt off."""
        if entry.key.kind not in ("return", "write_off"):
            return False
        order = keys.purchase(*entry.key.parts[:2])
        commit = self._log.commits[place]
        if order not in commit.before:
            return False
        item = commit.before[order]
        return item is None or entry.key.parts[2] in (each[0] for each in item.get("wr", ()))

    def _judge_time_out(self, chain: Chain, entry: Entry) -> None:
        """A hold that nobody ended is over by itself, when its time is over, and once."""
        name = "/".join(entry.key.parts)
        hold = chain.purse.holds.pop(name, None)
        if hold is None:
            self._complaints.append(f"I10 {chain.owner} entry {entry.seq}: the hold {name} ended before")
        elif hold.until > entry.recorded_at or entry.points or entry.held != -hold.points:
            self._complaints.append(f"I10 {chain.owner} entry {entry.seq}: {name} is not over as it should be, {hold}")

    def _judge_tier(self, chain: Chain, entry: Entry) -> None:
        held = chain.purse.tier(self._terms_of(chain, entry), self._today(chain, entry))["tier_id"]
        if entry.tier_after != held:
            self._complaints.append(
                f"I1 {chain.owner} entry {entry.seq}: reviewed as {entry.tier_after}, should be {held}"
            )

    def _judge_debt(self, chain: Chain, group: Sequence[Line], before: int, there: Standing) -> None:
        """Only what is taken back may leave a debt where the program lets it; and what was promised, everywhere.

        Points that are pending may pay for it first: then it shows when they are taken back themselves.
        """
        last, purse = group[-1][0], chain.purse
        kinds = {entry.key.kind for entry, _ in group}
        policy = self._terms_of(chain, last)["negative_balance"]
        promised = any(_may_owe(entry) for entry, _ in group)
        allowed = (policy == "owe" and kinds & _TAKES_BACK) or promised
        if allowed or (policy != "owe" and kinds & _TAKES_BACK):
            purse.in_debt = purse.in_debt or there.balance < there.pending
        if allowed:
            return
        shows = policy == "pending_only" and kinds & {"return", "restatement"} and purse.in_debt
        if -there.balance > before and not shows:
            words = f"leaves a debt of {-there.balance} under {policy}"
            self._complaints.append(f"I6 {chain.owner} entry {last.seq}: {words}")

    def _judge_money(self, chain: Chain, there: Standing) -> None:
        """What was paid into a card is on it, spent, or paid back; nothing else is, and never more."""
        paid = back = spent = 0
        for entry, item in chain.lines:
            by_means = sum(each[1] for each in (item.get("what") or {}).get("means") or ())
            principal = entry.sums.earned.get(NEVER, 0) if entry.sums is not None else 0
            paid += by_means if entry.key.kind == "top_up" else 0
            back += by_means if entry.key.kind == "card_refund" and entry.sums is not None else 0
            spent -= principal if entry.key.kind in ("card_spend", "card_spend_refund") else 0
        kinds = {entry.key.kind for entry, _ in chain.lines}
        left = there.lots.get(NEVER, 0)
        if kinds & {"top_up"} and paid - back != left + spent:
            self._complaints.append(
                f"I12 {chain.owner}: {paid} paid in less {back} is not {left} left and {spent} spent"
            )
        if there.balance < 0 or any(entry.balance_after < 0 for entry, _ in chain.lines):
            self._complaints.append(f"I12 {chain.owner}: a card below nought")

    def _today(self, chain: Chain, entry: Entry) -> date:
        return day_of(entry.recorded_at, self._terms_of(chain, entry))

    def _terms_of(self, chain: Chain, entry: Entry) -> Terms:
        """The terms that an entry was decided by."""
        terms = self._terms.get(entry.program_version, self._world.plan.terms)
        return {**terms, **_CARD_TERMS} if chain.owner.startswith("C#") else terms

    # ------------------------------------------------------------ what was told

    def _told(self) -> dict[str, list[Probe]]:
        """What attempts were told of accounts' points, by account, and by those that may answer for it."""
        found: dict[str, list[Probe]] = defaultdict(list)
        families = self._families()
        for command, attempt in self._world.attempts:
            seen = self._seen(command, attempt)
            if seen is None:
                continue
            told, words = seen
            owner = keys.statement(told.owner)
            probe = self._probe(attempt, owner, told.available, words, old=told.old)
            for each in families.get(owner, {owner}):
                found[each].append(probe)
        return found

    def _seen(self, command: Command, attempt: Attempt) -> tuple[Seen, str] | None:
        """What an attempt was told of an account's points."""
        operation, step, refusal = OPERATIONS[command.step.operation], command.step, attempt.refusal
        if attempt.told == "refused" and refusal is not None:
            figure = _SHORT.get(refusal.code)
            owner = operation.payer(self._world, step) if figure else None
            if figure is None or owner is None:
                return None
            available = refusal.facts[figure]
            words = f"step {step.number} was refused because of {available} points"
            return Seen(owner, available, old=False), words
        if attempt.told != "ack" or operation.seen is None:
            return None
        seen = operation.seen(self._world, step, attempt)
        return (seen, f"step {step.number} was shown {seen.available} points") if seen is not None else None

    def _families(self) -> dict[str, set[str]]:
        """Members who were merged at any time, with all who then answered for them, or for whom they did."""
        found: dict[str, set[str]] = {}
        for key, item in self._items.items():
            if key.sk == "MERGE":
                pair = [keys.statement(item["merge"][name]) for name in ("from_member_id", "into_member_id")]
                family = set(pair).union(*(found.get(each, set()) for each in pair))
                found.update(dict.fromkeys(family, family))
        return found

    def _probe(self, attempt: Attempt, owner: str, available: int, words: str, *, old: bool) -> Probe:
        first = self._log.since(attempt.began_at - STALE_FOR) if old else attempt.began

        def moment(recorded: datetime | None) -> datetime:
            return attempt.now if old or recorded is None else max(attempt.now, recorded + timedelta(milliseconds=1))

        return Probe(owner, available, first, attempt.ended, moment, words)

    def _look(self, chain: Chain, place: int, following: int | None, recorded: datetime | None) -> None:
        """Hold what was told against what was so after one transaction and until the next."""
        for probe in chain.probes:
            if probe.held or place + 1 > probe.last or (following is not None and following < probe.first):
                continue
            purse, at = chain.purse, probe.moment(recorded)
            day = day_of(at, self._world.plan.terms)
            probe.held = not purse.exact or purse.on(day, at).available == probe.available


def claimed(entry: Entry) -> EntryName:
    """The name under which an entry is claimed: who restates an order does not know the number that it makes."""
    kind, parts = entry.key.kind, entry.key.parts
    if kind == "restatement":
        return kind, parts[:2]
    if kind == "write_off" and parts[0] == "restatement":
        return kind, parts[:3]
    return kind, parts


def _may_owe(entry: Entry) -> bool:
    """Whether an entry may leave a debt under any policy: a promise is kept, a merge moves what is owed."""
    promised = entry.reason is Reason.SPEND and entry.key.kind == "hold_end"
    paid_with_hold = entry.key.kind == "purchase" and entry.cause is not None
    owed_again = entry.key.kind == "reverse" and entry.key.parts[1] == "write_off"
    return promised or paid_with_hold or owed_again or entry.key.kind in _MERGES
