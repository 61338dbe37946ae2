"""What a walk over the ledger finds, the root that is signed over it, and receipts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from pydantic import AwareDatetime

from chalicelib.kernel.ids import AccountId, EntryId, Id
from chalicelib.kernel.records import Record
from chalicelib.points.models import EntryKey

ROOT_FORM = "regulars root 1"
RECEIPT_FORM = "regulars receipt 1"

LINKS_MAX = 200
"""How many entries may lie between an entry and the head that a root covers, for the receipt to hold them all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that does not hold in an account, and where.

    Attributes:
        key: of the entry, where there is one at `seq`.
    """

    seq: int
    what: str
    key: EntryKey | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The end of an account's chain: the newest entry's number and hash; nought and zeros before the first."""

    account_id: AccountId
    seq: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Proven:
    """What the proof of one account came to.

    Attributes:
        head: what a root is to cover: the head proven; of an account that does not hold, the one signed last, if any.
        balance: by the entries.
    """

    account_id: AccountId
    head: Head | None
    fault: Fault | None
    entries: int = 0
    balance: int = 0
    tier_id: str = ""


@dataclass(slots=True)
class Tally:
    """What a walk counts. Tallies of several walks add up."""

    accounts: int = 0
    entries: int = 0
    balance: int = 0
    faulty: int = 0
    tiers: dict[str, int] = field(default_factory=dict)
    faults: list[tuple[str, Fault]] = field(default_factory=list)

    def take(self, proven: Proven) -> None:
        """Count an account."""
        self.accounts += 1
        self.entries += proven.entries
        self.balance += proven.balance
        if proven.fault is None:
            self.tiers[proven.tier_id] = self.tiers.get(proven.tier_id, 0) + 1
        else:
            self.faulty += 1
            self.faults.append((proven.account_id, proven.fault))

    def add(self, other: "Tally") -> None:
        """Count what another walk counted."""
        self.accounts += other.accounts
        self.entries += other.entries
        self.balance += other.balance
        self.faulty += other.faulty
        self.faults += other.faults
        for tier_id, count in other.tiers.items():
            self.tiers[tier_id] = self.tiers.get(tier_id, 0) + count


@dataclass(frozen=True, slots=True)
class PartHeads:
    """A part of the directory, some accounts in the order of their ids, and the root over their heads.

    Attributes:
        shard: the directory's partition that they stand in.
        first, last: ids of the first and the last account.
        name: of the file that holds the heads.
    """

    shard: int
    first: str
    last: str
    accounts: int
    root: bytes
    name: str


class Root(Record):
    """What is signed once a day: that these were the heads of all accounts."""

    form: str = ROOT_FORM
    stack: str
    day: str
    """The day of the walk, `YYYY-MM-DD` in the program's time zone."""
    walked_from: int
    """When the walk began: milliseconds since 1970. Every head is of that instant or later."""
    accounts: int
    """How many heads the tree has."""
    entries: int
    balance: int
    faulty: int
    """Accounts that did not hold; the tree has the head that was signed of them last, if any was."""
    parts: int
    heads: str
    """The Merkle root over the parts, hexadecimal."""
    previous_day: str | None = None
    previous: str | None = None
    """SHA-256 of the root signed before this one, hexadecimal: its canonical form."""


class Signed(Record):
    """A text, and a signature of ours over it."""

    text: str
    """Canonical JSON; what is signed is its `form`, a line feed, and then these bytes."""
    key_id: str
    signature: str
    """ECDSA on P-256 with SHA-256: r and s, 32 bytes each, hexadecimal."""


class ReceiptKey(Record):
    """A public key of ours (RFC 7517)."""

    key_id: str
    """The key's thumbprint (RFC 7638)."""
    kty: str = "EC"
    crv: str = "P-256"
    x: str
    y: str
    current: bool = False
    """Whether new receipts are signed with it."""


class ReceiptKeys(Record):
    """All keys that receipts and roots were ever signed with."""

    items: tuple[ReceiptKey, ...]
    next_cursor: None = None


class Anchor(Record):
    """How the signed root of a day covers an entry: each step can be recomputed."""

    links: tuple[str, ...]
    """Contents of the account's later entries, in order, up to the head: each makes the next hash."""
    head_seq: int
    head_hash: str
    path_in_part: tuple[str, ...]
    """From the head's leaf to the part's root: `L` or `R` and a hash."""
    part: str
    """The part as canonical JSON: a leaf of the tree over the parts."""
    path: tuple[str, ...]
    """From the part's leaf to the root's `heads`."""
    root: Signed


class Receipt(Record):
    """What we certify of a ledger entry, to be checked without us (`docs/check_receipt.py`)."""

    content: str
    """The entry's content in its canonical form (docs/canonical-form.md)."""
    hash_before: str
    hash: str
    statement: Signed
    """Our word that this entry is in the ledger."""
    anchor: Anchor | None
    """The signed root that covers it; null until the next one is made, or when it lies too far from the head."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the root signed last says of some accounts.

    Attributes:
        day: the root's.
    """

    day: date
    heads: Mapping[AccountId, Head]


class RootDay(Id):
    """The day of a root, `YYYY-MM-DD`."""

    pattern = r"^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"
    longest = 10


@dataclass(frozen=True, slots=True)
class Found:
    """A ledger entry and the account it is in.

    Attributes:
        entry_id: as callers name it.
    """

    entry_id: EntryId
    account_id: AccountId
    recorded_at: AwareDatetime
