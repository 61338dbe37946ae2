"""What must hold after a run: the invariants of the ledger, from everything that is there and all that was told.

I1 sum of entries = balance = what the lots say    I2 one effect for each key
I3 what was acknowledged is there, what was refused is not    I4 no more comes back than was bought
I5 seq is dense and follows real time    I6 no debt but those that are allowed    I8 chains verify
I10 a hold ends once, by the clock at the latest, and can be captured until then
I11 what moves between accounts is lost nowhere    I12 money on cards adds up    I13 limits of pools are kept

Points, lots, lapses, pending points and tiers are told by `purse.py`, hashes by `chain.py`, which share no code with
the product.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from chalicelib.programs.models import Program
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item
from tests.sim.chains import Chains
from tests.sim.commands import DERIVED, FAMILIES, OPERATIONS, Attempt, Command, EntryName
from tests.sim.purse import Terms
from tests.sim.world import KEYRING, World

_IDENTIFIERS = (("mobile", "mobile"), ("email", "email"), ("card", "card_no"))


@dataclass
class Judge:
    """Looks at a world after a run.

    Attributes:
        accounts: how many there are, and of how many the lots could be told exactly.
    """

    world: World
    items: Mapping[Key, Item]
    complaints: list[str] = field(default_factory=list)
    accounts: tuple[int, int] = (0, 0)

    def verdict(self) -> list[str]:
        """What does not hold; nothing when everything does."""
        terms: dict[int, Terms] = {}
        programs: dict[int, Program] = {}
        for key, item in self.items.items():
            if key.pk == "PROGRAM" and key.sk != "HEAD":
                plain = json.loads(item["program"])
                terms[plain["version"]] = plain
                programs[plain["version"]] = Program.model_validate_json(item["program"])
        claims: dict[EntryName, list[Command]] = defaultdict(list)
        for command in self.world.commands.values():
            for name in OPERATIONS[command.step.operation].claims(self.world, command.step):
                claims[name].append(command)

        self.complaints += self.world.bugs
        chains = Chains(self.world, self.items, terms, programs, claims, self.complaints)
        chains.judge()
        self.accounts = len(chains.chains), sum(chain.purse.exact for chain in chains.chains.values())
        for command in self.world.commands.values():
            self._judge_answers(command)
        self._judge_items()
        self._judge_identifiers()
        return self.complaints

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
        item = item if item is not None and "r" in item else None
        for attempt in command.attempts:
            words = f"step {step.number} {step.operation}, sent at {attempt.now:%Y-%m-%d %H:%M:%S}"
            if attempt.told == "ack" and item is None:
                self.complaints.append(f"I3 {words}: acknowledged, but it is not there")
            elif attempt.told == "ack" and item is not None:
                self._judge_acknowledged(attempt, item, place, operation.variant_of(item), words)
            elif attempt.told == "refused" and attempt.refusal is not None:
                others = any(each.variant != attempt.variant for each in command.attempts)
                if step.operation == "return" and others and attempt.refusal.code == "return_differs":
                    continue  # the other one may have been waiting for its purchase
                self._judge_refused(attempt, item, place, operation.variant_of, words)

    def _judge_acknowledged(self, attempt: Attempt, item: Item, place: int, variant: int, words: str) -> None:
        if getattr(attempt.value, "hash", item["h"].hex()) != item["h"].hex():
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
            if answer != attempt.value and not (command.step.operation == "enrol" and self.world.joined):
                step = command.step
                self.complaints.append(
                    f"I2 step {step.number} {step.operation}: answered {answer!r}, and later {attempt.value!r}"
                )
        if len(first) > 1:
            self.complaints.append(f"I2 step {command.step.number}: two contents were acknowledged under one key")

    # ------------------------------------------------------------ items

    def _judge_items(self) -> None:
        """Nothing is there that nothing explains, and what everybody's operations still want to say."""
        for key in self.items:
            if keys.parted(key.pk)[0] not in FAMILIES:
                self.complaints.append(f"I2 {key}: an item that nothing explains")
        for command in self.world.commands.values():
            check = OPERATIONS[command.step.operation].check
            if check is not None:
                self.complaints += check(self.world, command)

    def _judge_identifiers(self) -> None:
        """Every identifier is held by the one member who has it, and by nobody who is closed."""
        wanted: dict[Key, str] = {}
        for key, item in self.items.items():
            if key.sk != "PROFILE" or "contact" not in item:
                continue
            account = self.items.get(Key(key.pk, "ACCOUNT"))
            if account is None:
                self.complaints.append(f"I1 {key.pk}: a profile without an account")
            elif account["status"] not in ("closed", "merged"):
                contact = json.loads(item["contact"][1:])
                own = [(kind, contact.get(name)) for kind, name in _IDENTIFIERS]
                for kind, value in [*own, *contact.get("others", ())]:
                    if value:
                        unique = keys.unique(kind, KEYRING.blind(kind, value))
                        if wanted.setdefault(unique, item["member_id"]) != item["member_id"]:
                            self.complaints.append(f"I2 {item['member_id']} and {wanted[unique]} have one {kind}")
        held = {key: item["member_id"] for key, item in self.items.items() if key.sk == "U"}
        if held != wanted:
            odd = {key.pk for key in held.keys() ^ wanted.keys()}
            self.complaints.append(f"I2 identifiers are not those of their members: {sorted(odd)}")


_BOOKED = DERIVED | {"hold_end"}
"""Kinds of entries that time may bring."""


def _is_booking(key: Key) -> bool:
    """Whether an item may be written also by a command that is refused: what time has brought is booked before it."""
    return key.sk == "ACCOUNT" or (key.pk.startswith("K#") and key.pk.split("#")[1] in _BOOKED)


def judged(world: World) -> list[str]:
    """What does not hold after a run."""
    return Judge(world, world.backing.items()).verdict()
