"""What the ledger's own entries and notes tell others, and what all entries tell alike."""

from collections.abc import Callable
from datetime import date
from typing import Any

from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import EntryId, HoldId
from chalicelib.points import store
from chalicelib.points.events import (
    AdjustedBy,
    BirthdayGiftGiven,
    EarnedFrom,
    PointsAdjusted,
    PointsEarned,
    PointsExpired,
    PointsExpiring,
    PointsReleased,
    PointsSpent,
    SpentOn,
    TierChanged,
    TierReviewed,
)
from chalicelib.points.models import Entry, Happened
from chalicelib.points.views import shown_maturity
from chalicelib.storage import keys
from chalicelib.storage.audited import BY, FOR_THEMSELVES, LAUNCHED
from chalicelib.storage.writes import Item


def _spend(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001 - as its siblings
    return [spent(entry, SpentOn.SPEND)]


def _adjustment(entry: Entry, item: Item) -> list[Told]:
    return [
        PointsAdjusted(
            **leading(entry),
            source=AdjustedBy(entry.key.kind),
            reason_code=entry.reason_code,
            expires_on=last_day(entry),
            qualifying_points=entry.qualifying or 0,
            **done_by(item),
            own_account_of=own_account_of(item),
            launched=LAUNCHED in item,
        )
    ]


def expiry(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    """That points expired. What expires on a card, the cards tell."""
    return [PointsExpired(**leading(entry), expires_on=last_day(entry))]


def _review(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [TierReviewed(**leading(entry), held_through=last_day(entry))]


def _birthday(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    given = BirthdayGiftGiven(**leading(entry), year=int(entry.key.parts[1]), expires_on=last_day(entry))
    return [given, earned(entry, EarnedFrom.BIRTHDAY)] if entry.earned else [given]


def _points_expiring(note: Happened) -> list[Told]:
    return [PointsExpiring(points=note.facts["points"], expires_on=date.fromisoformat(note.facts["expires_on"]))]


def _points_released(note: Happened) -> list[Told]:
    return [PointsReleased(points=note.facts["points"])]


def tier_change(entry: Entry) -> list[Told]:
    """That an entry brought another tier, where it did."""
    if entry.tier_before is None or entry.tier_after is None or entry.tier_before == entry.tier_after:
        return []
    return [TierChanged(tier_before=entry.tier_before, tier_after=entry.tier_after, entry_id=entry_id(entry))]


def leading(entry: Entry) -> dict[str, Any]:
    """What the event says that an entry leads with, whatever it is."""
    return {
        "entry_id": entry_id(entry),
        "points": entry.points,
        "balance_after": entry.balance_after,
        "tier_before": entry.tier_before,
        "tier_after": entry.tier_after,
        "program_version": entry.program_version,
    }


def done_by(item: Item) -> dict[str, Any]:
    """Who had an entry made, and whether in their own account."""
    return {"recorded_by": item.get(BY), "own_account": FOR_THEMSELVES in item}


def own_account_of(item: Item) -> tuple[str, ...]:
    """Who of those that had an entry made had it made in their own account."""
    said = item.get(FOR_THEMSELVES)
    return tuple(said) if isinstance(said, list) else (item[BY],) if said and BY in item else ()


def by_hand(entry: Entry, item: Item) -> dict[str, Any]:
    """What the event says that leads an entry, and who had it made."""
    return {**leading(entry), "recorded_by": item.get(BY), "own_account_of": own_account_of(item)}


def earned(entry: Entry, source: EarnedFrom) -> PointsEarned:
    """That an entry gave points."""
    return PointsEarned(
        entry_id=entry_id(entry),
        balance_after=entry.balance_after,
        source=source,
        points=entry.earned or 0,
        expires_on=last_day(entry),
        spendable_on=shown_maturity(entry.matures_on),
    )


def spent(entry: Entry, source: SpentOn) -> PointsSpent:
    """That an entry took points."""
    return PointsSpent(
        entry_id=entry_id(entry),
        balance_after=entry.balance_after,
        source=source,
        points=entry.consumed or 0,
        hold_id=captured_hold(entry),
    )


def captured_hold(entry: Entry) -> HoldId | None:
    """The hold that an entry captured, or None."""
    captured = entry.held is not None and entry.held < 0 and entry.cause is not None
    return keys.hold_id(*entry.cause.parts) if captured and entry.cause else None


def entry_id(entry: Entry) -> EntryId:
    """The id of an entry."""
    return keys.entry_id(store.key_of(entry.key))


def last_day(entry: Entry) -> date | None:
    """The last day of an entry's points; None where they do not expire."""
    return None if entry.expires_on == NEVER else entry.expires_on


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "spend": _spend,
    "adjust": _adjustment,
    "close": _adjustment,
    "write_off": _adjustment,
    "tier": _review,
    "birthday": _birthday,
}
"""What entries tell, by the kind of their key; the first event of each leads."""

FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    "points_expiring": _points_expiring,
    "points_released": _points_released,
}
"""What notes on the timeline tell, by their kind."""
