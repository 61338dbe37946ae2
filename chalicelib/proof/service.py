"""Use cases of proof: prove accounts, sign the root of a day, give receipts.

A walk is not a snapshot. Each head is true of the instant at which its account was read, and the chain makes what was
read then the beginning of whatever comes later: so a root says of every account "this was its history so far".
"""

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.canonical import GENESIS, canonical, chained
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import AccountId, EntryId, is_card
from chalicelib.kernel.merkle import leaf_hash, path_to, root_of
from chalicelib.points import store as points_store
from chalicelib.points.content import content_of
from chalicelib.points.errors import EntryUnknown
from chalicelib.points.models import Account, Entry, EntryKey
from chalicelib.programs.errors import ProgramVersionUnknown
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import rules, store
from chalicelib.proof.cards import CardLife
from chalicelib.proof.digests import Digests
from chalicelib.proof.errors import RootBroken
from chalicelib.proof.models import (
    LINKS_MAX,
    RECEIPT_FORM,
    Anchor,
    Earlier,
    Fault,
    Head,
    PartHeads,
    Proven,
    Receipt,
    ReceiptKey,
    ReceiptKeys,
    Root,
    Signed,
)
from chalicelib.proof.rules import UNREADABLE, Watch
from chalicelib.proof.sales import Sales
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import Objects
from chalicelib.storage.signing import Signer, url_safe
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

TRIES = 3
"""How often an account is read before it is said not to hold: the index may lag behind it."""

UNDER_WAY = timedelta(minutes=1)
"""Entries that are younger than that may be on their way into their account while it is read."""

ROOTS_TRIED = 8
"""In how many roots after an entry its receipt looks for one that covers it."""

_FILES_KEPT = 16

K = TypeVar("K")
V = TypeVar("V")


class Programs(Mapping[int, Program]):
    """Program versions as `rules.verify` asks for them, each read once."""

    def __init__(self, book: ProgramBook) -> None:
        self.book = book

    def __getitem__(self, version: int) -> Program:
        """A version.

        Raises:
            KeyError: there is none of that number.
        """
        try:
            return self.book.version(version)
        except ProgramVersionUnknown:
            raise KeyError(version) from None

    def __iter__(self) -> Iterator[int]:
        """Nobody can list them; they are asked for by number."""
        return iter(())

    def __len__(self) -> int:
        """See `__iter__`."""
        return 0


# ---------------------------------------------------------------- proving


def prove(
    table: Table,
    programs: Programs,
    account_ids: Sequence[AccountId],
    *,
    now: datetime,
    earlier: Earlier | None = None,
    unlisted: Collection[AccountId] = (),
    watching: Callable[[AccountId], Watch] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> list[Proven]:
    """Prove some accounts, each from its entries; what does not hold is read again before it is believed.

    Args:
        now: when the walk reads them.
        earlier: what the root signed last says of them.
        unlisted: those of them that the directory does not list.
        watching: what is to see an account's entries; asked anew for each time that the account is read.
        pause: waits before accounts are read again.
    """
    found: dict[AccountId, Proven] = {}
    left = list(account_ids)
    for number in range(TRIES):
        if number:
            pause()
        for ledger in store.ledgers(table, left):
            watch = watching(ledger.account_id) if watching is not None else None
            found[ledger.account_id] = _proven(table, ledger, programs, now, earlier, unlisted, watch)
        left = [each for each in left if found[each].fault is not None and each not in unlisted]
        if not left:
            break
    return [found[each] for each in account_ids]


def _proven(
    table: Table,
    ledger: store.Ledger,
    programs: Programs,
    now: datetime,
    earlier: Earlier | None,
    unlisted: Collection[AccountId],
    watch: Watch | None,
) -> Proven:
    signed = earlier.heads.get(ledger.account_id) if earlier is not None else None
    if ledger.account is None:
        gone = earlier is not None and signed is not None
        what = f"the account was in the root of {earlier.day} and is gone" if earlier is not None and gone else ""
        return Proven(ledger.account_id, signed, Fault(0, what or "the directory lists an account that is not there"))
    try:
        account = points_store.account_from(ledger.account)
    except UNREADABLE as unreadable:
        return Proven(ledger.account_id, signed, Fault(0, f"the account cannot be read: {rules.told(unreadable)}"))
    walk = _Walk(table, account, ledger.beside, programs, signed, now, watch)
    fault = walk.through(ledger)
    if fault is None and earlier is not None:
        fault = rules.departed(signed, walk.hash_then, account.seq, earlier)
    if fault is None and ledger.account_id in unlisted:
        fault = Fault(account.seq, "the directory does not list the account")
    head = Head(ledger.account_id, account.seq, account.head) if fault is None else signed
    return Proven(ledger.account_id, head, fault, walk.entries, walk.balance, account.tier_id)


class _Walk:
    """One account's entries on their way through the proof."""

    def __init__(
        self,
        table: Table,
        account: Account,
        beside: Mapping[Key, Item],
        programs: Programs,
        signed: Head | None,
        now: datetime,
        watch: Watch | None,
    ) -> None:
        self._programs = programs
        self._account = account
        self._signed_seq = signed.seq if signed is not None else None
        self._young = now - UNDER_WAY
        self._on = now.date()
        self._watch = watch
        digests = Digests()
        self._sales = Sales(account, programs, table, digests)
        self._card = CardLife(account, beside, programs, table, digests) if is_card(account.member_id) else None
        self._beyond: Entry | None = None
        self._at: EntryKey | None = None
        self.entries = 0
        self.balance = 0
        self.hash_then: bytes | None = None

    def through(self, ledger: store.Ledger) -> Fault | None:
        """Prove the account; the first thing that does not hold, or None."""
        if self._account.member_id != ledger.account_id:
            return Fault(0, "the account is another's")
        try:
            entries = self._until_head(ledger)
            fault = rules.verify(self._account, entries, self._programs, watch=self._seen, on=self._on)
        except UNREADABLE as unreadable:
            return Fault(self.entries + 1, f"the entry cannot be read: {rules.told(unreadable)}", self._at)
        if fault is None and self._beyond is not None:
            beyond = self._beyond
            fault = Fault(beyond.seq, "the entry is beyond the account's head", beyond.key)
        if fault is not None:
            return fault
        try:
            return self._card.fault() if self._card is not None else self._sales.fault()
        except UNREADABLE as unreadable:
            of = "the card" if self._card is not None else "its purchases in another account"
            what = f"what belongs to {of} cannot be read: {rules.told(unreadable)}"
            return Fault(self._account.seq, what)

    def _until_head(self, ledger: store.Ledger) -> Iterator[Entry]:
        """Entries up to the account's head; those behind it came while it was read, unless they are old."""
        for item in ledger.entries:
            self._at = _key_in(item)
            entry = points_store.entry_from(item)
            if entry.seq > self._account.seq:
                if self._beyond is None and entry.recorded_at < self._young:
                    self._beyond = entry
                continue
            self._sales.take(entry, item)
            if self._card is not None:
                self._card.take(entry, item)
            yield entry

    def _seen(self, account: Account, entry: Entry) -> None:
        self.entries += 1
        self.balance += entry.points
        if entry.seq == self._signed_seq:
            self.hash_then = entry.hash
        if self._watch is not None:
            self._watch(account, entry)


def _key_in(item: Item) -> EntryKey | None:
    """The business key that an item stands under, or None where it is no entry's."""
    try:
        kind, parts = keys.entry_parts(Key(item["pk"], item["sk"]))
    except UNREADABLE:
        return None
    return EntryKey(kind=kind, parts=parts)


# ---------------------------------------------------------------- roots


class Roots:
    """The signed roots, and the files that they stand on. What was read is remembered: files are written once."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self._parts: dict[date, list[PartHeads]] = {}
        self._heads: dict[str, list[Head]] = {}
        self._keys: dict[str, ReceiptKey] = {}

    def keys(self, current: ReceiptKey) -> list[ReceiptKey]:
        """The public keys that were ever signed with, among them the current one, which is kept from now on."""
        if current.key_id not in self._keys:
            store.keep_key(self.objects, current)
            self._keys = {key.key_id: key for key in store.list_keys(self.objects)}
        return list(self._keys.values())

    def newest(self, on: date) -> date | None:
        """The day of the last root by a day, or None."""
        days = store.list_root_days(self.objects, first=on - store.ROOTS_LOOKED_AT, last=on)
        return days[-1] if days else None

    def find(self, day: date) -> tuple[Root, Signed]:
        """The root of a day.

        Raises:
            RootBroken: there is none.
        """
        signed = store.find_root(self.objects, day)
        if signed is None:
            raise RootBroken(f"the root of {day} is not there")
        return Root.model_validate_json(signed.text), signed

    def parts(self, day: date) -> list[PartHeads]:
        """The parts of a day's root, in order.

        Raises:
            RootBroken: they are not those that the root covers.
        """
        if day not in self._parts:
            root, _ = self.find(day)
            try:
                parts = store.find_parts(self.objects, day)
            except UNREADABLE as fault:
                raise RootBroken(f"the parts of the root of {day} cannot be read") from fault
            if rules.heads_of(parts).hex() != root.heads:
                raise RootBroken(f"the parts of the root of {day} are not those that it covers")
            _keep(self._parts, day, parts)
        return self._parts[day]

    def heads(self, part: PartHeads) -> list[Head]:
        """The heads of a part, in the order of their accounts' ids.

        Raises:
            RootBroken: they are not those that the part covers.
        """
        if part.name not in self._heads:
            try:
                heads = store.find_heads(self.objects, part.name)
            except UNREADABLE as fault:
                raise RootBroken(f"{part.name} cannot be read") from fault
            if root_of(rules.leaf_of(head) for head in heads) != part.root:
                raise RootBroken(f"{part.name} does not hold the heads that its root covers")
            _keep(self._heads, part.name, heads)
        return self._heads[part.name]

    def earlier(self, day: date, shard: int, *, after: str | None, through: str | None) -> Earlier:
        """What a day's root says of the accounts of a shard behind an id, up to another.

        Args:
            through: the last id; to the end when None.
        """
        heads = {
            head.account_id: head
            for part in self.parts(day)
            if part.shard == shard and part.last > (after or "") and (through is None or part.first <= through)
            for head in self.heads(part)
            if head.account_id > (after or "") and (through is None or head.account_id <= through)
        }
        return Earlier(day, heads)

    def of(self, day: date, account_ids: Sequence[AccountId], shard: int) -> Earlier:
        """What a day's root says of some accounts of a shard, in the order of their ids."""
        span = self.earlier(day, shard, after=_before(account_ids[0]), through=account_ids[-1])
        wanted = set(account_ids)
        return Earlier(day, {each: head for each, head in span.heads.items() if each in wanted})


def _before(account_id: str) -> str:
    """A text that stands before an id and behind all shorter ones that do."""
    return account_id[:-1]


def _keep(kept: dict[K, V], key: K, value: V) -> None:
    if len(kept) >= _FILES_KEPT:
        del kept[next(iter(kept))]
    kept[key] = value


_ROOTS: list[Roots] = []


def roots_of(objects: Objects) -> Roots:
    """The roots in a store: one for the life of the process, which as a rule knows one store."""
    known = next((roots for roots in _ROOTS if roots.objects is objects), None)
    if known is None:
        known = Roots(objects)
        _ROOTS[:] = [known, *_ROOTS[:3]]
    return known


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk of a day came to, for its root.

    Attributes:
        began_at: every head is of that instant or later.
    """

    day: date
    began_at: datetime
    parts: Sequence[PartHeads]
    entries: int
    balance: int
    faulty: int


def seal(roots: Roots, signer: Signer, stack: str, walked: Walked) -> Root:
    """Sign the root of a day and keep it, unless that day or a later one has one; that root.

    A walk that ends after a later one adds no root: each follows from the one signed before it. Two that do it at once
    sign the same text.
    """
    until = walked.day + store.ROOTS_LOOKED_AT
    later = store.list_root_days(roots.objects, first=walked.day, last=until, most=1)
    if later:
        return roots.find(later[0])[0]
    last = roots.newest(walked.day)
    previous = roots.find(last)[1] if last is not None else None
    parts = rules.in_order(walked.parts)
    root = Root(
        stack=stack,
        day=walked.day.isoformat(),
        walked_from=milliseconds(walked.began_at),
        accounts=sum(part.accounts for part in parts),
        entries=walked.entries,
        balance=walked.balance,
        faulty=walked.faulty,
        parts=len(parts),
        heads=rules.heads_of(parts).hex(),
        previous_day=last.isoformat() if last is not None else None,
        previous=hashlib.sha256(previous.text.encode()).hexdigest() if previous is not None else None,
    )
    content = {name: value for name, value in root.model_dump().items() if value is not None}
    roots.keys(public_key(signer))
    store.put_root(roots.objects, walked.day, parts, signed_by(signer, content))
    return root


def signed_by(signer: Signer, content: Mapping[str, object]) -> Signed:
    """Content in its canonical form, signed together with its `form`."""
    text = canonical(content).decode()
    signature = signer.sign(f"{content['form']}\n{text}".encode())
    return Signed(text=text, key_id=signer.public().key_id, signature=signature.hex())


# ---------------------------------------------------------------- receipts


def find_receipt(table: Table, roots: Roots, signer: Signer, entry_id: EntryId, *, now: datetime) -> Receipt:
    """A receipt for a ledger entry.

    Raises:
        EntryUnknown: there is no such entry.
    """
    key = keys.entry_of(entry_id)
    item = (table.get(key) or table.get(key, consistent=True)) if key is not None else None
    if item is None or "h" not in item:
        raise EntryUnknown(entry_id=entry_id)
    entry = points_store.entry_from(item)
    content = canonical(content_of(entry)).decode()
    before = _hash_before(table, entry)
    if chained(before, content_of(entry)) != entry.hash:
        raise StorageBusy("The entry before this one is not in the index yet. Send the request again.")
    statement = {
        "account": str(entry.member_id),
        "form": RECEIPT_FORM,
        "hash": entry.hash.hex(),
        "issued_at": milliseconds(now),
        "seq": entry.seq,
    }
    roots.keys(public_key(signer))
    return Receipt(
        content=content,
        hash_before=before.hex(),
        hash=entry.hash.hex(),
        statement=signed_by(signer, statement),
        anchor=_anchor(table, roots, entry, now),
    )


def _hash_before(table: Table, entry: Entry) -> bytes:
    """The hash of the entry before."""
    if entry.seq == 1:
        return GENESIS
    before = next(iter(points_store.list_beside(table, entry, newest_first=True, limit=1)), None)
    if before is None:
        raise EntryUnknown(entry_id=keys.entry_id(points_store.key_of(entry.key)))
    return before.hash


def _anchor(table: Table, roots: Roots, entry: Entry, now: datetime) -> Anchor | None:
    """The first root that covers an entry, and what leads to it."""
    first = entry.recorded_at.date() - timedelta(days=1)
    last = now.date() + timedelta(days=1)
    shard = keys.shard_of(entry.member_id)
    for day in store.list_root_days(roots.objects, first=first, last=last, most=ROOTS_TRIED):
        place = _place(roots, day, shard, entry.member_id)
        if place is not None and place[2][place[3]].seq >= entry.seq:
            return _anchored(table, roots, entry, day, *place)
    return None


def _place(
    roots: Roots, day: date, shard: int, account_id: AccountId
) -> tuple[Sequence[PartHeads], int, Sequence[Head], int] | None:
    """Where an account's head stands under a day's root: parts, which of them, its heads, which of them."""
    parts = roots.parts(day)
    for number, part in enumerate(parts):
        if part.shard == shard and part.first <= account_id <= part.last:
            heads = roots.heads(part)
            return next(((parts, number, heads, at) for at, h in enumerate(heads) if h.account_id == account_id), None)
    return None


def _anchored(
    table: Table,
    roots: Roots,
    entry: Entry,
    day: date,
    parts: Sequence[PartHeads],
    number: int,
    heads: Sequence[Head],
    at: int,
) -> Anchor | None:
    head = heads[at]
    count = head.seq - entry.seq
    if count > LINKS_MAX:
        return None
    later = points_store.list_beside(table, entry, newest_first=False, limit=count) if count else []
    newest = later[-1].hash if later else entry.hash
    if newest != head.hash:
        raise RootBroken(f"the entries of {entry.member_id} do not lead to the head that was signed on {day}")
    return Anchor(
        links=tuple(canonical(content_of(each)).decode() for each in later),
        head_seq=head.seq,
        head_hash=head.hash.hex(),
        path_in_part=path_to([rules.leaf_of(each) for each in heads], at),
        part=rules.part_text(parts[number]).decode(),
        path=path_to([leaf_hash(rules.part_text(each)) for each in parts], number),
        root=roots.find(day)[1],
    )


def public_key(signer: Signer, *, current: bool = False) -> ReceiptKey:
    """A signer's public key as others are given it."""
    public = signer.public()
    return ReceiptKey(key_id=public.key_id, x=url_safe(public.x), y=url_safe(public.y), current=current)


def list_receipt_keys(roots: Roots, signer: Signer) -> ReceiptKeys:
    """The public keys that receipts and roots are, or were, signed with; the current one first."""
    current = public_key(signer, current=True)
    others = (key for key in roots.keys(public_key(signer)) if key.key_id != current.key_id)
    return ReceiptKeys(items=(current, *others))


def list_listed(
    table: Table, partition: str, *, after: str | None, limit: int, roots: Roots | None, day: date | None
) -> tuple[list[AccountId], list[AccountId], str | None]:
    """A page of the directory: accounts that it lists, those that it did when a root was signed, where the next start.

    Args:
        day: of that root; None when none was signed yet.
    """
    listed, last = store.list_directory(table, partition, after=after, limit=limit)
    if roots is None or day is None:
        return listed, [], last
    shard = keys.directories().index(partition)
    earlier = roots.earlier(day, shard, after=after, through=last)
    known = set(listed)
    return listed, sorted(each for each in earlier.heads if each not in known), last
