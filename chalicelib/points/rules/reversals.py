"""How what an entry brought is taken back, and a debt that it leaves is written off. Pure."""

from dataclasses import replace
from datetime import datetime

from chalicelib.points.errors import MemberClosed
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting, Reason
from chalicelib.points.rules import balances, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import period_of, today_of


def reverse(account: Account, draft: Draft, program: Program, *, now: datetime, caps: bool | None = None) -> Posting:
    """Take back what a purchase or another entry brought and give back what it spent, or correct both.

    A balance below zero is a debt where the program's policy is `owe`; where it is `cap`, what is newly owed is written
    off by an entry of its own at once.

    Args:
        caps: whether what is newly owed is written off; by the program's policy, when left out.

    Raises:
        MemberClosed: the membership was closed.
    """
    caps = program.negative_balance is NegativeBalance.CAP if caps is None else caps
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    owed = balances.derive(account, today_of(program, ledger.recorded_at(account, now))).owed
    posting = ledger.post(account, draft, program, now=now)
    today = today_of(program, ledger.recorded_at(posting.account, now))
    newly = balances.derive(posting.account, today).owed - owed
    if not caps or newly <= 0:
        return posting
    write_off = Draft(
        write_off_key(draft.key),
        Reason.ADJUST,
        now,
        earned=newly,
        expires_on=period_of(today, program.expiry),
        reason_code="write_off",
        cause=draft.key,
    )
    off = ledger.post(posting.account, write_off, program, now=now)
    return replace(off, entries=(*posting.entries, *off.entries), tier_before=posting.tier_before, main=posting.main)


def write_off_key(key: EntryKey) -> EntryKey:
    """The key of what writes off the debt that an entry leaves: of a return, its own parts; of others, the kind too."""
    return EntryKey(kind="write_off", parts=key.parts if key.kind == "return" else (key.kind, *key.parts))


def reversal_key(key: EntryKey) -> EntryKey:
    """The business key of what takes an entry back: there is one for each.

    A reversal of a reversal counts on, so that keys do not grow.
    """
    if key.kind == "reverse":
        return EntryKey(kind="reverse", parts=(str(int(key.parts[0]) + 1), *key.parts[1:]))
    return EntryKey(kind="reverse", parts=("1", key.kind, *key.parts))


def corrected(entry: Entry) -> EntryKey | None:
    """The entry that an entry corrects; None when it corrects none.

    Of a return or restatement it is the purchase, of a reversal what it takes back, of a write-off what left the debt.
    """
    return entry.cause if entry.reason is Reason.REVERSE or entry.key.kind == "write_off" else None
