"""Folds an account's entries from nothing and compares; the trees over heads, and what leads to their roots. Pure."""

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from chalicelib.kernel.calendar import Month, local_day, month_of
from chalicelib.kernel.canonical import canonical, chained
from chalicelib.kernel.merkle import leaf_hash, root_of
from chalicelib.points.content import content_of
from chalicelib.points.fold import applied, closed_off, standing_of, unlived
from chalicelib.points.models import Account, AccountStatus, Entry, Reason
from chalicelib.points.rules.balances import derive, unbooked
from chalicelib.programs.models import Program
from chalicelib.programs.rules import for_account
from chalicelib.proof.models import Earlier, Fault, Head, PartHeads
from chalicelib.tiers.models import Standing

Watch = Callable[[Account, Entry], None]
"""Is shown the account after each entry that holds."""

UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, zlib.error)
"""What reading an item raises that nobody of ours has written."""


def told(unreadable: Exception) -> str:
    """Why an item cannot be read, for people: what is in it stays out of the log."""
    if isinstance(unreadable, zlib.error):
        return "something packed in it cannot be unpacked"
    if isinstance(unreadable, LookupError):
        return "something that belongs to it is missing, or has a value that does not exist"
    return "something in it has another form than it was written in"


class _Standings:
    """The tier held, worked out once for the same sums: it is the dearest thing to work out."""

    def __init__(self) -> None:
        self._of: tuple[Mapping[Month, int], Any, int, Month] | None = None
        self._held: Standing | None = None

    def of(self, account: Account, program: Program, on: date) -> Standing:
        """`standing_of`."""
        asked = (account.qualifying, account.anchor, program.version, month_of(on))
        if self._held is None or self._of != asked:
            self._of, self._held = asked, standing_of(account, program, on)
        return self._held


def verify(
    account: Account,
    entries: Iterable[Entry],
    programs: Mapping[int, Program],
    *,
    watch: Watch | None = None,
    on: date | None = None,
) -> Fault | None:
    """Fold an account's entries from nothing and compare; None when everything holds.

    Checked: `seq` is dense from 1, each hash follows from the entry before, each balance follows from the points,
    each expiry is what the sums imply on that day, and at the end sums, balance, lots, tier and head are the account's.

    Args:
        entries: all of the account's entries, oldest first.
        programs: every program version that an entry names.
        watch: is shown the account as folded after each entry.
        on: the day on which the account was read; without it days that wait may be missing, as if they had come.
    """
    standings = _Standings()
    folded = unlived(account)
    for entry in entries:
        program = programs.get(entry.program_version)
        if program is None:
            return Fault(entry.seq, f"program version {entry.program_version} is missing", entry.key)
        program = for_account(program, account.member_id)
        fault = _fault_in(folded, entry, program)
        if fault is not None:
            return fault
        folded = applied(folded, entry)
        today = local_day(entry.recorded_at, program.time_zone)
        if entry.tier_after is not None and standings.of(folded, program, today).tier_id != entry.tier_after:
            return Fault(entry.seq, "the tier does not follow from the qualifying points", entry.key)
        folded = closed_off(folded, entry, program, standings.of)
        if watch is not None:
            watch(folded, entry)
    return _fault_at_end(folded, account, on)


def _fault_in(folded: Account, entry: Entry, program: Program) -> Fault | None:
    today = local_day(entry.recorded_at, program.time_zone)
    checks: Sequence[tuple[bool, str]] = (
        (entry.seq == folded.seq + 1, f"seq {folded.seq + 1} is missing"),
        (entry.member_id == folded.member_id, "the entry is another member's"),
        (entry.hash == chained(folded.head, content_of(entry)), "the hash does not follow from the content"),
        (
            entry.balance_after == folded.lifetime.balance + entry.points,
            "the balance does not follow from the points",
        ),
        (
            entry.reason is Reason.EXPIRE or entry.points == _moved(entry),
            "the points are not what was earned less what was spent",
        ),
        (
            entry.reason is not Reason.EXPIRE or _expiry_follows(folded, entry, today),
            "the expiry does not follow",
        ),
        (
            entry.earned is None or sum(w.points for w in entry.why) in _explained(entry),
            "the reasons do not add up",
        ),
    )
    return next((Fault(entry.seq, what, entry.key) for holds, what in checks if not holds), None)


def _moved(entry: Entry) -> int:
    """The change of the balance that an entry's figures come to."""
    return (entry.earned or 0) - (entry.consumed or 0) + (entry.sums.lifetime.balance if entry.sums else 0)


def _explained(entry: Entry) -> tuple[int, ...]:
    """What the reasons of an entry that gives points may add up to: the points, with what it takes back besides."""
    besides = entry.sums.lifetime.earned if entry.sums else 0
    return 0, entry.earned or 0, (entry.earned or 0) + besides


def _expiry_follows(folded: Account, entry: Entry, today: date) -> bool:
    if entry.cause is None and entry.expires_on is not None:
        return unbooked(folded, today).get(entry.expires_on) == -entry.points
    return derive(folded, today).lapsed - folded.lifetime.expired == -entry.points


def _fault_at_end(folded: Account, account: Account, on: date | None) -> Fault | None:
    checks = (
        (folded.seq == account.seq, f"the account says seq {account.seq}, its entries end at {folded.seq}"),
        (folded.head == account.head, "the account's head is not the newest entry's hash"),
        (
            folded.lifetime == account.lifetime,
            "the account's lifetime sums are not what its entries add up to",
        ),
        (
            (folded.earned, folded.spent, folded.folded) == (account.earned, account.spent, account.folded),
            "the account's lots are not what its entries add up to",
        ),
        (
            (folded.qualifying, folded.anchor) == (account.qualifying, account.anchor),
            "the account's qualifying points are not what its entries add up to",
        ),
        (
            (folded.tier_id, folded.held_through) == (account.tier_id, account.held_through),
            "the account's tier is not what its entries come to",
        ),
        (folded.holds == account.holds, "the account's holds are not those of its entries"),
        (folded.written_off == account.written_off, "the account's write-offs are not what its entries add up to"),
        (folded.sent == account.sent, "what the account says it sent is not what its entries add up to"),
        (_pending_follows(folded, account, on), "the account's pending points are not what its entries add up to"),
        (
            (folded.booked_through, folded.last_recorded_at) == (account.booked_through, account.last_recorded_at),
            "the account's dates are not those of its entries",
        ),
    )
    return next((Fault(folded.seq, what) for holds, what in checks if not holds), None)


def _pending_follows(folded: Account, account: Account, on: date | None) -> bool:
    """Whether what still waits came from the entries, and all of it is there.

    Days that have come may be gone: the member was told of them. Clocks may disagree about today.
    """
    if folded.last_recorded_at is None:
        return not account.pending
    last = folded.last_recorded_at.date()
    waiting = {day: points for day, points in account.pending.items() if day > last}
    if not waiting.items() <= folded.pending.items():
        return False
    if on is None or account.status is AccountStatus.CLOSED:  # who is closed waits for nothing any more
        return True
    come = max(last, on) + timedelta(days=1)
    return all(day in account.pending for day in folded.pending if day > come)


# ---------------------------------------------------------------- heads and trees


def leaf_of(head: Head) -> bytes:
    """The leaf of a head: what stands in the tree of its part."""
    return leaf_hash(canonical({"account": str(head.account_id), "hash": head.hash.hex(), "seq": head.seq}))


def part_text(part: PartHeads) -> bytes:
    """A part as it stands in the tree over all parts, in canonical form."""
    return canonical(
        {
            "accounts": part.accounts,
            "first": part.first,
            "last": part.last,
            "root": part.root.hex(),
            "shard": part.shard,
        }
    )


def part_of(shard: int, heads: Sequence[Head], name: str) -> PartHeads | None:
    """The part that some heads make, in the order of their accounts' ids; None for none."""
    if not heads:
        return None
    root = root_of(leaf_of(head) for head in heads)
    return PartHeads(shard, str(heads[0].account_id), str(heads[-1].account_id), len(heads), root, name)


def heads_of(parts: Iterable[PartHeads]) -> bytes:
    """The root over parts: by shard, then by the first account's id."""
    return root_of(leaf_hash(part_text(part)) for part in in_order(parts))


def in_order(parts: Iterable[PartHeads]) -> list[PartHeads]:
    """Parts in the order in which they stand in the tree."""
    return sorted(parts, key=lambda part: (part.shard, part.first))


def departed(head: Head | None, hash_then: bytes | None, seq_now: int, earlier: Earlier) -> Fault | None:
    """What differs from the root that was signed before, or None.

    Args:
        head: what that root says of the account.
        hash_then: the hash that the account's entry of that number has now.
        seq_now: the newest entry's number.
    """
    if head is None or head.seq == 0:
        return None
    if seq_now < head.seq:
        return Fault(head.seq, f"entry {head.seq} was in the root of {earlier.day} and is gone")
    if hash_then != head.hash:
        return Fault(head.seq, f"entry {head.seq} is another than in the root of {earlier.day}")
    return None
