"""What holds come to. Pure; the arithmetic of what is reserved is the ledger's (`points.rules.ledger`)."""

from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.holds.errors import CaptureTooLarge
from chalicelib.holds.models import Hold, HoldPoints
from chalicelib.kernel.calendar import milliseconds
from chalicelib.points import fold
from chalicelib.points.models import Account, EntryKey, Posting, Reason, Reserved, Why
from chalicelib.points.rules import commands, due_dates, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of

KIND = "hold"
"""The kind of the entries that reserve points for a checkout."""


def key_of(key: str) -> EntryKey:
    """A hold's business key."""
    return EntryKey(kind=KIND, parts=(key,))


def end_key(hold_key: EntryKey) -> EntryKey:
    """The one key under which a hold ends."""
    return ledger.hold_end_key(fold.hold_name(hold_key))


def hold(
    account: Account, command: HoldPoints, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Reserve points for a checkout.

    Raises:
        MemberSuspended, MemberClosed: the account takes no commands.
        PointsInsufficient, HoldsTooMany: there are not so many points, or too many holds.
    """
    until = now + timedelta(minutes=command.minutes)
    why = Why(rule_id="hold", points=0, args=(command.points, milliseconds(until)))
    draft = Draft(key, Reason.HOLD, now, reserved=command.points, reserved_until=until, why=(why,), content=content)
    return commands.reserve(account, draft, program, now=now)


def live(account: Account, hold_key: EntryKey, program: Program, *, now: datetime) -> Hold | None:
    """The hold that an account has under a key, or None when it has none, or it is over by now, booked or not."""
    settled, _ = ledger.settle(account, program, now=now)
    reserved = settled.holds.get(fold.hold_name(hold_key))
    return Hold(hold_key, reserved) if reserved is not None else None


def over(account: Account, hold_key: EntryKey) -> Reserved | None:
    """What an account still remembers of a hold that is not live: it timed out and that is not booked."""
    return account.holds.get(fold.hold_name(hold_key))


def capture(
    account: Account, held: Hold, points: int | None, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Spend points that are held; what is left of the hold is free at once.

    They count in the period in which they were reserved, and are spent even where the balance has gone below them
    since: the till was promised them, also by a member who is suspended by now.

    Raises:
        CaptureTooLarge: fewer points are held.
    """
    points = held.reserved.points if points is None else points
    draft = captured(Draft(end_key(held.key), Reason.SPEND, now, consumed=points, content=content), held)
    return ledger.post(account, draft, program, now=now)


def captured(draft: Draft, held: Hold) -> Draft:
    """A draft whose points are taken from a hold, which it ends.

    Raises:
        CaptureTooLarge: it takes more points than are held.
    """
    reserved = held.reserved
    if draft.consumed > reserved.points:
        raise CaptureTooLarge(asked=draft.consumed, held=reserved.points)
    why = Why(rule_id="capture", points=0, args=(reserved.points, draft.consumed))
    return replace(
        draft,
        reserved=-reserved.points,
        period=reserved.period,
        cause=held.key,
        why=(*draft.why, why),
        may_owe=True,
    )


def release(
    account: Account, held: Hold, program: Program, *, content: bytes, now: datetime, reason_code: str | None = None
) -> Posting:
    """Give points free that are held."""
    draft = Draft(
        end_key(held.key),
        Reason.RELEASE,
        now,
        reserved=-held.reserved.points,
        cause=held.key,
        why=(Why(rule_id=reason_code or "release", points=0, args=(held.reserved.points,)),),
        reason_code=reason_code,
        content=content,
    )
    return ledger.post(account, draft, program, now=now)


def timed_out(account: Account, hold_key: EntryKey, program: Program, *, now: datetime) -> Posting | None:
    """Book that a hold is over by itself; None when the account does not say so."""
    settled, entries = ledger.settle(account, program, now=now)
    main = next((entry for entry in entries if entry.key == end_key(hold_key)), None)
    if main is None:
        return None
    due = due_dates.due_on(settled, program, today_of(program, now))
    return Posting(settled, entries, account.tier_id, settled.tier_id, main, due)
