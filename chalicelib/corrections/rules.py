"""What taking an entry back comes to. Pure.

A reversal subtracts from the account's sums exactly what its entry added, in the same bucket, period and month; what is
left is what there would be without the entry.
"""

from datetime import date, datetime

from chalicelib.kernel.ids import AccountId, is_member
from chalicelib.points import fold
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason, Restored
from chalicelib.points.rules import balances, reversals
from chalicelib.points.rules.ledger import Draft
from chalicelib.points.rules.reversals import reversal_key
from chalicelib.programs.models import NegativeBalance, Program

REVERSALS_MAX = 20
"""How often an entry is taken back and put back at most."""

_KINDS = {
    ("spend", Reason.SPEND),
    ("pool_spend", Reason.SPEND),
    ("hold_end", Reason.SPEND),
    ("adjust", Reason.ADJUST),
    ("write_off", Reason.ADJUST),
    ("birthday", Reason.EARN),
    ("reverse", Reason.REVERSE),
}
"""Entries that are taken back as such."""

_INSTEAD = {
    Reason.EXPIRE: "points expire by time; give points with an adjustment",
    Reason.TIER: "a tier follows from qualifying points and time; adjust the qualifying points",
    Reason.HOLD: "release the hold",
    Reason.RELEASE: "what it freed can be held again",
    Reason.TRANSFER: "cancel the transfer, or send the points back",
    Reason.MERGE: "undo the merge",
}


def original_of(key: EntryKey) -> EntryKey:
    """The key of the entry that a reversal takes back or puts back; of any other entry, its own."""
    return EntryKey(kind=key.parts[1], parts=key.parts[2:]) if key.kind == "reverse" else key


def settled(account: Account, entry: Entry, today: date) -> bool:
    """Whether it is too late to take back a write-off, or to put it back.

    What came back since may have paid for it: then there is no debt left to return to. To put it back, there must be a
    debt that it writes off.
    """
    if original_of(entry.key).kind != "write_off":
        return False
    wanted = entry.sums.written_off if entry.sums is not None else {}
    if sum(wanted.values()) > 0:
        return any(account.written_off.get(each, 0) < points for each, points in wanted.items())
    return balances.derive(account, today).owed < -entry.points


def instead_of(entry: Entry) -> str | None:
    """What is to be done instead of taking an entry back; None when it is taken back."""
    if not _is_points(entry.member_id):
        return "refund it by the card's own commands"
    if entry.key.kind == "reverse" and int(entry.key.parts[0]) >= REVERSALS_MAX:
        return f"it was taken back and put back {REVERSALS_MAX} times; adjust the balance"
    if (entry.key.kind, entry.reason) in _KINDS:
        return None
    if entry.key.kind in ("purchase", "delivery"):
        return "return what is left of the purchase"
    if entry.key.kind in ("return", "restatement"):
        return "restate the order as it is now"
    if entry.key.kind == "close":
        return "the membership was closed for good"
    return _INSTEAD.get(entry.reason, "undo it by the operation that made it")


def _is_points(account_id: AccountId) -> bool:
    return is_member(account_id) or account_id.startswith("pol_")


def reversal(
    account: Account, entry: Entry, reason_code: str, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Decide a reversal: the account's sums without what an entry added to them.

    Points that were spent meanwhile become a debt where the program's policy is `owe`; elsewhere what is newly owed is
    written off at once. A write-off that is taken back leaves its debt, whatever the policy. What comes back pays for
    what was written off since the entry took it: else each turn to and fro would give its points once more.

    Raises:
        MemberClosed: the membership was closed.
        BalanceTooLarge: the balance would pass `POINTS_MAX`.
    """
    writes_off = original_of(entry.key).kind == "write_off"
    gross = fold.effect_of(entry) if writes_off else reversals.without_payment(entry)
    draft = Draft(
        reversal_key(entry.key),
        Reason.REVERSE,
        now,
        expires_on=entry.expires_on if entry.earned else None,
        sums=fold.negated(gross),
        reason_code=reason_code,
        cause=entry.key,
        content=content,
        may_owe=True,
    )
    if writes_off:
        return reversals.reverse(account, draft, program, now=now, caps=False)
    caps = program.negative_balance is not NegativeBalance.OWE
    taken = -gross.lifetime.balance
    restored = [Restored(entry.recorded_at, taken)] if taken > 0 else []
    return reversals.reverse(account, draft, program, now=now, caps=caps, restored=restored)
