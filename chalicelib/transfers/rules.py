"""What transfers come to. Pure."""

from datetime import datetime, timedelta

from chalicelib.holds.models import Hold
from chalicelib.holds.rules import end_key
from chalicelib.points.models import Account, Entry, EntryKey, Lifetime, Posting, Reason, Sums, Why
from chalicelib.points.rules import balances, commands, guards, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.transfers.errors import (
    TransferLimitReached,
    TransfersOff,
    TransferTooLarge,
    TransferTooSmall,
    TransferToSelf,
    TransferUncovered,
)

KIND = ledger.OFFER
"""The kind of the entries that hold points for a transfer."""


def key_of(key: str) -> EntryKey:
    """A transfer's business key."""
    return EntryKey(kind=KIND, parts=(key,))


def receipt_key(offer: EntryKey) -> EntryKey:
    """The key of the receiver's entry."""
    return EntryKey(kind="transfer_in", parts=offer.parts)


def fee_of(points: int, program: Program) -> int:
    """What a transfer costs the giver besides, rounded up."""
    return -(-points * program.transfers.fee_percent // 100)


def offered(offer: Entry) -> tuple[int, int]:
    """The points and the fee of a transfer, by the entry that offered them."""
    points, fee = offer.why[0].args
    return points, fee


def offer(
    giver: Account,
    receiver: Account,
    points: int,
    key: EntryKey,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> Posting:
    """Hold points for another member, with the fee.

    Raises:
        TransfersOff, TransferToSelf, TransferTooSmall, TransferTooLarge, TransferLimitReached: as they say.
        MemberSuspended, MemberClosed: giver or receiver takes no commands.
        PointsInsufficient, HoldsTooMany: there are not so many points, or too many holds.
    """
    terms = program.transfers
    if not terms.enabled:
        raise TransfersOff
    require_two(giver, receiver)
    if points < terms.min_points:
        raise TransferTooSmall(asked=points, least=terms.min_points)
    if points > terms.max_points:
        raise TransferTooLarge(asked=points, most=terms.max_points)
    guards.require_open(receiver)
    fee = fee_of(points, program)
    # Never before the account's own time: the month that the offer counts in is one that the account still knows.
    at = max(now, giver.last_recorded_at or now)
    left = terms.max_points_per_month - ledger.given_away(giver, program, at)
    if points + fee > left:
        raise TransferLimitReached(asked=points + fee, left=max(left, 0), limit=terms.max_points_per_month)
    draft = Draft(
        key,
        Reason.HOLD,
        at,
        reserved=points + fee,
        reserved_until=at + timedelta(days=terms.accept_days),
        why=(Why(rule_id="offer", points=0, args=(points, fee)),),
        content=content,
    )
    return commands.reserve(giver, draft, program, now=now)


def accept(
    giver: Account,
    receiver: Account,
    held: Hold,
    offer: Entry,
    program: Program,
    *,
    content: bytes,
    now: datetime,
) -> tuple[Posting, Posting]:
    """What giver and receiver come to when points that were offered are accepted.

    The lots that the giver's spending would take on the day of the acceptance go to the receiver, with the last days
    that they have. The fee is taken from those that come after.

    Raises:
        TransferToSelf: both have come to be one account.
        MemberSuspended, MemberClosed: giver or receiver takes no commands.
        TransferUncovered: points have expired or were taken back since, and too few are left.
    """
    require_two(giver, receiver)
    guards.require_open(giver)
    guards.require_open(receiver)
    points, fee = offered(offer)
    settled, _ = ledger.settle(giver, program, now=now)
    today = today_of(program, max(now, settled.last_recorded_at or now))
    position = balances.derive(settled, today)
    own = position.balance - position.pending - (position.held - held.reserved.points)
    if own < points + fee:
        raise TransferUncovered(needed=points + fee, available=max(own, 0))
    lots = balances.lots_taken(settled, points, today)
    why = [Why(rule_id="sent", points=-points, args=(points,))]
    if fee:
        why.append(Why(rule_id="transfer_fee", points=-fee, args=(fee,)))
    out = Draft(
        end_key(offer.key),
        Reason.TRANSFER,
        now,
        consumed=points + fee,
        reserved=-held.reserved.points,
        cause=offer.key,
        why=tuple(why),
        content=content,
        may_owe=True,  # the points are there, as was just seen: the hold that keeps them ends with this entry
    )
    into = Draft(
        receipt_key(offer.key),
        Reason.TRANSFER,
        now,
        sums=Sums(lifetime=Lifetime(earned=points), earned=lots),
        cause=offer.key,
        why=(Why(rule_id="received", points=points, args=(points,)),),
        content=content,
    )
    return ledger.post(giver, out, program, now=now), ledger.post(receiver, into, program, now=now)


def require_two(giver: Account, receiver: Account) -> None:
    """Refuse a transfer within one account.

    Raises:
        TransferToSelf: giver and receiver are one.
    """
    if giver.member_id == receiver.member_id:
        raise TransferToSelf
