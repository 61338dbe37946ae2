"""Whether a command may be carried out by who sends it, alone; or is asked of a second person.

A use case that has a limit takes a `Clearance` and puts its writes into its own transaction: what somebody does alone
is counted, or the approval is spent, with the very entry that it allows.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from chalicelib.approvals import rules, store
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import Approval, ApprovalKind, ApprovalStatus, ApprovalView, Asking
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission, Scope
from chalicelib.kernel.canonical import canonical
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId, ApprovalId, EntryId, ShopId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.records import Record
from chalicelib.storage.audited import FOR_THEMSELVES
from chalicelib.storage.table import Table
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Item, Write

ATTEMPTS_MAX = 8

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Move:
    """What a command comes to.

    Attributes:
        account_ids: the account, and those that went into it.
        amount: points, or money in minor units.
        entry_id: that of what it books; None: it books nothing itself.
        moved: raised in the transaction when what was read to clear it has changed.
        given: of the amount, what it gives: it counts for all accounts together.
    """

    account_ids: Sequence[str]
    amount: int
    entry_id: EntryId | None
    moved: Exception
    given: int = 0


def launch_of(points: int, moved: Exception) -> Move:
    """A launch that gives so many points to each of many members.

    What one person launches within a day counts together, as if it all came to the same member: it may.
    """
    return Move(("launches",), points, None, moved)


@dataclass(frozen=True, slots=True)
class Cleared:
    """What goes with a command that may be carried out.

    Attributes:
        writes: into its transaction.
        facts: attributes of its entry: `who` did it, first who asked, then who approved.
    """

    writes: tuple[Write, ...] = ()
    facts: Item = field(default_factory=dict)


class Clearance(Protocol):
    """Tells whether a command may be carried out."""

    def clear(self, move: Move) -> Cleared:
        """What goes with a command that comes to so much.

        Raises:
            ApprovalNeeded: who sends it may not do so much alone, or has asked for it before.
            ApprovalOutgrown: an approval does not cover so much.
        """


@dataclass(frozen=True, slots=True)
class Free:
    """Has no limit: for commands that no person sends."""

    def clear(self, move: Move) -> Cleared:  # noqa: ARG002 - the port's shape
        """See `Clearance.clear`."""
        return Cleared()


FREE = Free()


@dataclass(frozen=True, slots=True)
class Alone:
    """Lets somebody do so much alone to one account within a day, and give so much to all.

    Args:
        limit: how much; None: as much as they like.
        given_limit: how much they may give to all accounts together; likewise.
    """

    table: Table
    asking: Asking
    limit: int | None
    now: datetime
    given_limit: int | None = None

    def clear(self, move: Move) -> Cleared:
        """See `Clearance.clear`."""
        who, gives = self.asking.asked_by, self.given_limit is not None and move.given > 0
        asked, did, given = store.find_before(self.table, _id_of(self.asking), who, move.account_ids, given=gives)
        if asked:
            raise ApprovalNeeded(amount=move.amount, used=0, limit=None)
        facts: Item = {"who": [who]}
        if self.asking.own_id in move.account_ids:
            facts[FOR_THEMSELVES] = 1
        counted: list[Write] = []
        if self.limit is not None and move.amount:
            rules.require_within((hours for hours, _ in did), move.amount, self.limit, self.now)
            counted.append(self._counted(move.account_ids[0], did[0], move.amount, move))
        if self.given_limit is not None and gives:
            rules.require_within((given[0],), move.given, self.given_limit, self.now)
            counted.append(self._counted(None, given, move.given, move))
        return Cleared(tuple(counted), facts)

    def _counted(self, account_id: str | None, did: store.Did, amount: int, move: Move) -> Write:
        hours, version = did
        return store.count(
            self.asking.asked_by, account_id, rules.with_more(hours, amount, self.now), version, move.moved
        )


@dataclass(frozen=True, slots=True)
class Approved:
    """Lets what was asked for be carried out once, because a second person approves it now.

    Args:
        own_id: the membership of whoever approves, by their record.
    """

    approval: Approval
    by: str
    reason: str | None
    now: datetime
    words: Words
    own_id: AccountId | None = None

    def clear(self, move: Move) -> Cleared:
        """See `Clearance.clear`."""
        if move.amount > self.approval.amount:
            raise ApprovalOutgrown(asked=self.approval.amount, now=move.amount)
        facts: Item = {"who": [self.approval.asked_by, self.by]}
        two = ((self.approval.asked_by, self.approval.own_id), (self.by, self.own_id))
        for_themselves = [who for who, own_id in two if own_id in move.account_ids]
        if for_themselves:
            facts[FOR_THEMSELVES] = for_themselves
        return Cleared((store.replace(self.approval, self.settled(move.entry_id), self.words),), facts)

    def settled(self, entry_id: EntryId | None) -> Approval:
        """The approval when it was carried out."""
        return decided(self.approval, ApprovalStatus.APPROVED, self.by, self.reason, self.now, entry_id)


def decided(
    approval: Approval, status: ApprovalStatus, by: str, reason: str | None, now: datetime, entry_id: EntryId | None
) -> Approval:
    """An approval that somebody has decided on."""
    decision = {"status": status, "decided_by": by, "decided_at": now, "reason": reason, "entry_id": entry_id}
    return approval.model_copy(update=decision)


def asking(kind: ApprovalKind, about: str, key: str, command: Record, caller: Caller, permission: Permission) -> Asking:
    """A command that may have to wait, as it was sent.

    Args:
        permission: what it needs: how far that reaches for the caller says who can decide.
    """
    within = caller.shop_ids if caller.scope(permission) is not Scope.ALL else frozenset[ShopId]()
    return Asking(
        kind=kind,
        about=about,
        key=key,
        command=command.model_dump_json(exclude={"dry_run"}, exclude_defaults=True),
        asked_by=caller.subject,
        shop_ids=tuple(sorted(within)),
        own_id=caller.membership,
    )


def alone_or_asked(
    table: Table,
    words: Words,
    asked: Asking,
    *,
    limit: int | None,
    dry_run: bool,
    do: Callable[[Clearance], Outcome[T]],
    now: datetime,
    again: bool = False,
    given_limit: int | None = None,
) -> Outcome[T] | Outcome[ApprovalView]:
    """Carry a command out, or have it wait for a second person when it is too much for one.

    A command that waits, or did, is answered with what became of it; one that was carried out, with its entry.

    Args:
        words: seals what was typed, where it waits.
        limit: how much somebody may do alone to one account within a day; None: as much as they like.
        do: the use case, given what clears it.
        again: it may be asked for again when nobody approved it, because its key cannot be another one.
        given_limit: how much somebody may give to all accounts together alone within a day; likewise.

    Raises:
        ApprovalNeeded: it is a dry run of what would wait.
        ApprovalDiffers: the key was used before to ask for something else.
        WriteContended: other writes kept getting there first; safe to try again.
        Refusal: whatever `do` refuses.
    """
    try:
        return do(Alone(table, asked, limit, now, given_limit))
    except ApprovalNeeded as needed:
        if dry_run:
            raise
        return _ask(table, words, asked, int(needed.facts["amount"]), again=again, now=now)


def _ask(
    table: Table, words: Words, asked: Asking, amount: int, *, again: bool, now: datetime
) -> Outcome[ApprovalView]:
    made = Approval(
        **asked.model_dump(), approval_id=_id_of(asked), amount=amount, content=_content(asked), asked_at=now
    )
    for _ in range(ATTEMPTS_MAX):
        known = store.find_approval(table, words, made.approval_id)
        if known is not None:
            over = rules.status_of(known, now) in (ApprovalStatus.REJECTED, ApprovalStatus.LAPSED)
            if not (again and over):
                if known.content != made.content:
                    raise ApprovalDiffers(approval_id=known.approval_id)
                return Outcome(rules.view_of(known, now), replayed=True, waits=True)
        try:
            table.commit([store.ask(made, words) if known is None else store.replace(known, made, words)])
        except store.ApprovalMoved:
            continue
        return Outcome(rules.view_of(made, now), waits=True)
    raise WriteContended


def _id_of(asked: Asking) -> ApprovalId:
    return ApprovalId.of(asked.kind, asked.key)


def _content(asked: Asking) -> bytes:
    return hashlib.sha256(canonical([asked.kind.value, asked.about, asked.command])).digest()
