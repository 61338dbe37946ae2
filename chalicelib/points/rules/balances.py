"""What an account comes to on a day: balance, lots, what lapsed. Pure."""

from datetime import date, datetime

from chalicelib.points.fold import last_of_awaited
from chalicelib.points.models import Account, Position


def derive(account: Account, on: date, at: datetime | None = None) -> Position:
    """What an account comes to on a day: balance, lots, and what lapsed.

    A lot can still be spent on its last day, because shops close at midnight. Points spent in a period are covered
    by the buckets that close first; what no bucket covered when it closed is carried to the next.

    Args:
        at: the instant at which holds that are over by then count no more; without it, all of them count.
    """
    consumed, lapsed = (account.folded.carried, account.folded.lapsed) if account.folded else (0, 0)
    periods = sorted(account.spent)
    counted = 0
    lapses: dict[date, int] = {}
    left: list[tuple[date, int]] = []
    for bucket in sorted(account.earned):
        if bucket >= on:
            break
        while counted < len(periods) and periods[counted] <= bucket:
            consumed += account.spent[periods[counted]]
            counted += 1
        covered = min(account.earned[bucket], consumed)
        consumed -= covered
        if account.earned[bucket] > covered:
            lapses[bucket] = account.earned[bucket] - covered
            lapsed += lapses[bucket]
    consumed += sum(account.spent[period] for period in periods[counted:])
    balance = -consumed
    for bucket in sorted(account.earned):
        if bucket < on:
            continue
        points = account.earned[bucket]
        balance += points
        covered = min(points, consumed)
        consumed -= covered
        if points > covered:
            left.append((bucket, points - covered))
    pending = sum(_still_pending(account, lapses, day, on) for day in account.pending)
    held = sum(hold.points for hold in account.holds.values() if at is None or hold.until > at)
    return Position(balance=balance, left=tuple(left), lapses=lapses, lapsed=lapsed, pending=pending, held=held)


def _still_pending(account: Account, lapses: dict[date, int], day: date, on: date) -> int:
    """How many of the points that are kept under a day cannot be spent yet.

    Those that wait for an event may lapse meanwhile. What lapsed is pending no more: it would keep other points from
    being spent, for ever.
    """
    points, last = account.pending[day], last_of_awaited(day)
    if last is None or last >= on:
        return points if day > on else 0
    if account.folded is not None and last <= account.folded.through:
        return 0
    return max(points - lapses.get(last, 0), 0)


def unbooked(account: Account, on: date) -> dict[date, int]:
    """Expiries that have happened by a day and are not in the entries yet: points by their last day."""
    booked = account.booked_through or date.min
    if not any(booked < bucket < on for bucket in account.earned):
        return {}
    lapses = derive(account, on).lapses
    return {bucket: points for bucket, points in lapses.items() if bucket > booked}


def lots_taken(account: Account, points: int, on: date) -> dict[date, int]:
    """The lots that a spend of so many points would take on a day, by their last day: soonest expiry first."""
    taken: dict[date, int] = {}
    for bucket, left in derive(account, on).left:
        if points == 0:
            break
        taken[bucket] = min(left, points)
        points -= taken[bucket]
    return taken
