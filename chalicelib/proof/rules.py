"""Folds an account's entries from nothing and compares. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.canonical import chained
from chalicelib.points.models import Account, Entry, Reason
from chalicelib.points.rules import applied, content_of, derive, relived, standing_of, unbooked, unlived
from chalicelib.programs.models import Program
from chalicelib.programs.rules import for_account


@dataclass(frozen=True, slots=True)
class Fault:
    """The first thing that does not hold in an account, and where."""

    seq: int
    what: str


def verify(account: Account, entries: Iterable[Entry], programs: Mapping[int, Program]) -> Fault | None:
    """Fold an account's entries from nothing and compare; None when everything holds.

    Checked: `seq` is dense from 1, each hash follows from the entry before, each balance follows from the points,
    each expiry is what the sums imply on that day, and at the end sums, balance, lots, tier and head are the account's.

    Args:
        entries: all of the account's entries, oldest first.
        programs: every program version that an entry names.
    """
    programs = {version: for_account(program, account.member_id) for version, program in programs.items()}
    folded = unlived(account)
    for entry in entries:
        fault = _fault_in(folded, entry, programs)
        if fault is not None:
            return fault
        program = programs[entry.program_version]
        if not _tier_follows(applied(folded, entry), entry, program):
            return Fault(entry.seq, "the tier does not follow from the qualifying points")
        folded = relived(folded, entry, program)
    return _fault_at_end(folded, account)


def _fault_in(folded: Account, entry: Entry, programs: Mapping[int, Program]) -> Fault | None:
    program = programs.get(entry.program_version)
    today = local_day(entry.recorded_at, program.time_zone) if program else entry.occurred_on
    checks: Sequence[tuple[bool, str]] = (
        (entry.seq == folded.seq + 1, f"seq {folded.seq + 1} is missing"),
        (entry.member_id == folded.member_id, "the entry is another member's"),
        (program is not None, f"program version {entry.program_version} is missing"),
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
            entry.earned is None or sum(w.points for w in entry.why) in (0, entry.earned),
            "the reasons do not add up",
        ),
    )
    return next((Fault(entry.seq, what) for holds, what in checks if not holds), None)


def _moved(entry: Entry) -> int:
    """The change of the balance that an entry's figures come to."""
    return (entry.earned or 0) - (entry.consumed or 0) + (entry.sums.lifetime.balance if entry.sums else 0)


def _expiry_follows(folded: Account, entry: Entry, today: date) -> bool:
    if entry.cause is None and entry.expires_on is not None:
        return unbooked(folded, today).get(entry.expires_on) == -entry.points
    return derive(folded, today).lapsed - folded.lifetime.expired == -entry.points


def _tier_follows(folded: Account, entry: Entry, program: Program) -> bool:
    if entry.tier_after is None:
        return True
    today = local_day(entry.recorded_at, program.time_zone)
    return standing_of(folded, program, today).tier_id == entry.tier_after


def _fault_at_end(folded: Account, account: Account) -> Fault | None:
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
        (_pending_follows(folded, account), "the account's pending points are not what its entries add up to"),
        (
            (folded.booked_through, folded.last_recorded_at) == (account.booked_through, account.last_recorded_at),
            "the account's dates are not those of its entries",
        ),
    )
    return next((Fault(folded.seq, what) for holds, what in checks if not holds), None)


def _pending_follows(folded: Account, account: Account) -> bool:
    """Whether what still waits came from the entries. Days that have come may be gone: the member was told of them."""
    if folded.last_recorded_at is None:
        return not account.pending
    waiting = {day: points for day, points in account.pending.items() if day > folded.last_recorded_at.date()}
    return waiting.items() <= folded.pending.items()
