"""Audit entries as they are read, and the anchors that sign a day of them."""

from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from chalicelib.kernel.ids import AccountId, AuditId
from chalicelib.kernel.pages import Paging
from chalicelib.kernel.records import Instant, Record, Slug, Subject
from chalicelib.proof.models import Signed

ANCHOR_FORM = "regulars audit anchor 1"

SPAN_MAX_DAYS = 31
"""So many days are listed at most where nobody is named: each is sixteen queries."""


class AuditQuery(Paging):
    """Which audit entries, newest first."""

    member_id: AccountId | None = None
    """About this member; or about a pool (`pol_`) or card (`crd_`)."""
    staff_id: Subject | None = None
    """Done by them: staff, or an integration."""
    action: Slug | None = None
    """The command: `edit_member`, `adjust_points` …"""
    from_: Annotated[Instant | None, Field(alias="from")] = None
    """From this instant on; without it, as far back as entries go, or seven days where nobody is named."""
    to: Instant | None = None
    """Before this instant; now, when left out."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ is not None and self.to is not None and self.to <= self.from_:
            raise ValueError("to must be later than from")
        return self


class Who(Record):
    """Who did it."""

    kind: str
    """`staff` or `integration`."""
    subject: str
    roles: tuple[str, ...]


class ChangeView(Record):
    """What became of one item. A value that is not shown here was personal, or a sum that the ledger explains."""

    item: str
    """What it is: `profile`, `account`, `entry`, `program` …"""
    of: str | None = None
    """Whose or which: a member, pool or card; the id of a ledger entry, of staff, of a key; the name of a role."""
    state: str | None = None
    """`new` or `gone`; null where it was there before and still is."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    changed: tuple[str, ...] = ()
    """What changed besides, by name only."""


class AuditEntryView(Record):
    """An audit entry: one transaction that somebody other than a member had made."""

    audit_id: AuditId
    at: AwareDatetime
    who: Who
    action: str
    permission: str | None
    """The permission that it took; null where being signed in was enough."""
    ids: dict[str, str]
    """What the path named."""
    about: tuple[AccountId, ...]
    changes: tuple[ChangeView, ...]
    reason_code: str | None
    reason: str | None
    """What was typed as the reason, numbers and addresses masked; null where nothing was, or where it was erased."""
    ip: str | None
    agent: str | None
    request_id: str | None
    outcome: str


class AuditProof(Record):
    """How the chain of its day covers a record; `docs/security.md` says how to recompute it."""

    partition: str
    """Day and shard."""
    record_hash: str
    link: int
    """The link that holds it."""
    before: str
    """The hash of the link before, or the chain's beginning."""
    rows: tuple[tuple[str, str], ...]
    """The link's records, each with its hash."""
    digests: tuple[str, ...]
    """Of the rows of this link and of all later ones."""
    head: str
    """What the digests lead to: the end of the chain."""
    anchor: Signed | None
    """The day's signed anchor, which names that end; null until it is made."""


class AuditEntryDetail(AuditEntryView):
    """An audit entry with its proof."""

    proof: AuditProof | None
    """Null for the few seconds until it is chained."""


class ShardHead(Record):
    """The end of a shard's chain of a day."""

    shard: int
    links: int
    records: int
    head: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class AuditAnchor(Record):
    """What is signed once a day (UTC): that these were the ends of all chains of the day."""

    form: str = ANCHOR_FORM
    stack: str
    day: str
    records: int
    shards: tuple[ShardHead, ...]
    previous_day: str | None = None
    previous: str | None = None
    """SHA-256 of the anchor signed before this one, hexadecimal: its canonical form."""


@dataclass(frozen=True, slots=True)
class ToChain:
    """A record that is to be chained.

    Attributes:
        others: further accounts that it is about, beside the one that it is listed for.
    """

    mark: str
    hash: bytes
    subject: str
    others: tuple[str, ...]


@dataclass(slots=True)
class Walked:
    """What a walk over the chains of a shard came to.

    Attributes:
        waiting: records of days not yet anchored that are not chained yet.
        chained: of them, those that this walk chained.
    """

    records: int = 0
    links: int = 0
    waiting: int = 0
    chained: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Walked") -> None:
        """Count what another walk came to."""
        self.records += other.records
        self.links += other.links
        self.waiting += other.waiting
        self.chained += other.chained
        self.faults += other.faults
