"""How what an entry brought is taken back, and a debt that it leaves is written off. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime

from chalicelib.points import fold
from chalicelib.points.errors import MemberClosed
from chalicelib.points.models import (
    Account,
    AccountStatus,
    Entry,
    EntryKey,
    Lifetime,
    Posting,
    Reason,
    Restored,
    Sums,
    Why,
    WriteOff,
)
from chalicelib.points.rules import balances, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import NegativeBalance, Program
from chalicelib.programs.rules import period_of, today_of


def reverse(
    account: Account,
    draft: Draft,
    program: Program,
    *,
    now: datetime,
    caps: bool | None = None,
    restored: Sequence[Restored] = (),
) -> Posting:
    """Take back what a purchase or another entry brought and give back what it spent, or correct both.

    A balance below zero is a debt where the program's policy is `owe`; where it is `cap`, what is newly owed is written
    off by an entry of its own at once. What comes back pays first for what was written off since it was taken.

    Args:
        caps: whether what is newly owed is written off; by the program's policy, when left out.
        restored: of what the draft gives, what was there before.

    Raises:
        MemberClosed: the membership was closed.
    """
    caps = program.negative_balance is NegativeBalance.CAP if caps is None else caps
    if account.status is AccountStatus.CLOSED:
        raise MemberClosed(member_id=account.member_id)
    before = balances.derive(account, today_of(program, ledger.recorded_at(account, now)))
    posting = _with_write_offs_paid(account, draft, restored, before.balance, program, now=now)
    today = today_of(program, ledger.recorded_at(posting.account, now))
    newly = balances.derive(posting.account, today).owed - before.owed
    if not caps or newly <= 0:
        return posting
    last = period_of(today, program.expiry)
    write_off = Draft(
        write_off_key(draft.key),
        Reason.ADJUST,
        now,
        earned=newly,
        expires_on=last,
        sums=Sums(written_off={WriteOff(ledger.recorded_at(posting.account, now), last): newly}),
        reason_code="write_off",
        cause=draft.key,
    )
    off = ledger.post(posting.account, write_off, program, now=now)
    return replace(off, entries=(*posting.entries, *off.entries), tier_before=posting.tier_before, main=posting.main)


def _with_write_offs_paid(
    account: Account, draft: Draft, restored: Sequence[Restored], balance: int, program: Program, *, now: datetime
) -> Posting:
    """Post a draft, of which what comes back pays for what was written off since it was taken.

    It pays with no more than it adds to the balance: what comes back may have expired meanwhile.
    """
    paid = pays_for(account, restored)
    while paid:
        points = sum(paid.values())
        why = (*draft.why, Why(rule_id="write_off", points=-points, args=()))
        sums = fold.total((draft.sums or Sums(), taken_by_paying(paid)))
        posting = ledger.post(account, replace(draft, sums=sums, why=why), program, now=now)
        today = today_of(program, ledger.recorded_at(posting.account, now))
        short = balance - balances.derive(posting.account, today).balance
        if short <= 0:
            return posting
        paid = at_most(paid, points - short)
    return ledger.post(account, draft, program, now=now)


def taken_by_paying(paid: Mapping[WriteOff, int]) -> Sums:
    """What an account's sums lose by paying for write-offs."""
    by_day = Counter[date]()
    for each, points in paid.items():
        by_day[each.expires_on] -= points
    return Sums(
        lifetime=Lifetime(earned=by_day.total()),
        earned=dict(by_day),
        written_off={each: -points for each, points in paid.items()},
    )


def without_payment(entry: Entry) -> Sums:
    """What an entry added to its account's sums, but for what it paid for write-offs: that stays paid."""
    effect = fold.effect_of(entry)
    paid = {each: -points for each, points in effect.written_off.items() if points < 0}
    return fold.total((effect, fold.negated(taken_by_paying(paid)))) if paid else effect


def pays_for(account: Account, restored: Iterable[Restored]) -> dict[WriteOff, int]:
    """Which write-offs points pay for that come back: those made since the points were taken, oldest first.

    Newer ones are left for what was taken later, which can pay for no others.
    """
    paid: dict[WriteOff, int] = {}
    for taken_at, back in restored:
        left = back
        for each, points in sorted(account.written_off.items()):
            some = min(points - paid.get(each, 0), left) if each.at > taken_at else 0
            if some > 0:
                paid[each] = paid.get(each, 0) + some
                left -= some
    return paid


def at_most(paid: Mapping[WriteOff, int], points: int) -> dict[WriteOff, int]:
    """The first of some write-offs, up to so many points."""
    kept: dict[WriteOff, int] = {}
    for each, some in paid.items():
        if points > 0:
            kept[each] = min(some, points)
            points -= kept[each]
    return kept


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


def order_of(key: EntryKey) -> tuple[str, str] | None:
    """The channel and order number of the purchase that an entry belongs to, by its key; None of others."""
    kind, parts = key.kind, key.parts
    while kind == "reverse" or (kind == "write_off" and len(parts) > 3):
        kind, parts = (parts[1], parts[2:]) if kind == "reverse" else (parts[0], parts[1:])
    of_purchase = kind in ("purchase", "return", "restatement", "delivery", "write_off")
    return (parts[0], parts[1]) if of_purchase and len(parts) > 1 else None


def corrected(entry: Entry) -> EntryKey | None:
    """The entry that an entry corrects; None when it corrects none.

    Of a return or restatement it is the purchase, of a reversal what it takes back, of a write-off what left the debt.
    """
    return entry.cause if entry.reason is Reason.REVERSE or entry.key.kind == "write_off" else None
