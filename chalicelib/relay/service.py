"""From a committed record to its events, and from events to the archive.

`telling_of` knows every item of table `core`. What it tells nothing of is listed (`SILENT`), with the reason; an item
of a kind that is in neither list comes back as unknown, so that it is logged and not lost sight of. A ledger entry of
an unknown kind is a fault: to pass over it would leave a hole in its member's `seq` that nobody could tell from a loss.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from chalicelib.corrections.events import PointsReversed
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.events import EventId, Told
from chalicelib.kernel.ids import AccountId, EntryId, MemberId, MergeId
from chalicelib.members import store as members_store
from chalicelib.members.events import MemberClosed, MemberEdited, MemberReinstated, MemberSuspended
from chalicelib.merges.events import MemberMerged, MemberUnmerged
from chalicelib.points import store as points_store
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
from chalicelib.programs import store as programs_store
from chalicelib.programs.events import ProgramPublished
from chalicelib.purchases import store as purchases_store
from chalicelib.purchases.events import PurchaseRecorded, PurchaseReturned
from chalicelib.relay.models import Change, Event, Telling
from chalicelib.storage import keys
from chalicelib.storage.bus import BusEvent
from chalicelib.storage.dynamo import unmarshalled
from chalicelib.storage.objects import Objects
from chalicelib.storage.writes import Item

SILENT = {
    "M ACCOUNT": "sums that the entries explain",
    "U": "an identifier of a member; the profile's events say that it changed",
    "K enrol": "spends a key; the profile tells of the enrolment",
    "MERGE": "what a merge did beside the ledger; its entries tell of it",
    "PROGRAM HEAD": "names the version in force; the version's own item tells of it",
}
"""Items that tell nobody anything, and why not."""


class EntryUnknown(Exception):
    """A ledger entry of a kind that this version has no event for: the relay is older than what wrote it."""


# ---------------------------------------------------------------- reading


def change_of(record: Mapping[str, Any]) -> Change:
    """A record of the stream, as Lambda hands it over: typed values, bytes in base64.

    Raises:
        KeyError, TypeError, ValueError: it is no such record.
    """
    change = record["dynamodb"]
    image = change.get("NewImage")
    item = {name: unmarshalled(value) for name, value in image.items()} if image is not None else None
    key = {name: unmarshalled(value) for name, value in change["Keys"].items()}
    return Change(record["eventName"] == "INSERT", key["pk"], key["sk"], item, change["SequenceNumber"])


def telling_of(change: Change) -> Telling:
    """What a record tells others. Only what is new tells something: records that are events are never changed.

    Raises:
        EntryUnknown: a ledger entry of an unknown kind.
        KeyError, TypeError, ValueError: the item is not what its key says.
    """
    if not change.new or change.item is None:
        return Telling()
    kind = kind_of(change.pk, change.sk, change.item)
    if kind in SILENT:
        return Telling()
    tell = _TELL.get(kind)
    if tell is None:
        return Telling(unknown=kind)
    return Telling(tell(change.item))


def kind_of(pk: str, sk: str, item: Item) -> str:
    """What kind of item is under a key."""
    mark, *rest = keys.parted(pk)
    if mark == "O" or (mark == "K" and "r" in item):
        return "entry"
    if mark == "K":
        return f"K {rest[0]}"
    if mark == "H":
        return f"H {item['kind']}"
    if mark in ("M", "PROGRAM"):
        return f"{mark} {keys.parted(sk)[0]}"
    return mark


# ---------------------------------------------------------------- ledger entries


def _entry(item: Item) -> list[Event]:
    entry = points_store.entry_from(item)
    make = _FROM_ENTRY.get(entry.key.kind)
    if make is None:
        raise EntryUnknown(f"an entry of kind {entry.key.kind}")
    told = make(entry, item)
    if entry.tier_before is not None and entry.tier_after is not None and entry.tier_before != entry.tier_after:
        told.append(TierChanged(tier_before=entry.tier_before, tier_after=entry.tier_after, entry_id=_entry_id(entry)))
    return [_enveloped(item, each, entry.member_id, entry.seq, entry.occurred_at, entry.recorded_at) for each in told]


def _purchase(entry: Entry, item: Item) -> list[Told]:
    channel, order_no = entry.key.parts
    sale = purchases_store.sale_from({name: value for name, value in item.items() if name != "ln"})
    recorded = PurchaseRecorded(
        **_leading(entry),
        purchase_id=keys.purchase_id(channel, order_no),
        shop_id=sale.shop_id,
        occurred_on=entry.occurred_on,
        currency=sale.currency,
        paid_minor=sale.paid_minor,
        tender_minor=sale.tender_minor,
        points_earned=entry.earned or 0,
        points_spent=entry.consumed or 0,
        qualifying_points=entry.qualifying or 0,
    )
    told: list[Told] = [recorded]
    if entry.earned:
        told.append(_earned(entry, EarnedFrom.PURCHASE))
    if entry.consumed:
        told.append(_spent(entry, SpentOn.PURCHASE))
    return told


def _return(entry: Entry, item: Item) -> list[Told]:
    channel, order_no, _ = entry.key.parts
    return [
        PurchaseReturned(
            **_leading(entry),
            purchase_id=keys.purchase_id(channel, order_no),
            currency=item["cu"],
            amount_minor=item["am"],
            refund_minor=item["mb"],
            points_taken_back=-(entry.earned or 0),
            points_given_back=-(entry.consumed or 0),
            qualifying_points=entry.qualifying or 0,
        )
    ]


def _spend(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001 - as its siblings
    return [_spent(entry, SpentOn.SPEND)]


def _adjustment(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [
        PointsAdjusted(
            **_leading(entry),
            source=AdjustedBy(entry.key.kind),
            reason_code=entry.reason_code,
            expires_on=_last_day(entry),
            qualifying_points=entry.qualifying or 0,
        )
    ]


def _expiry(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [PointsExpired(**_leading(entry), expires_on=_last_day(entry))]


def _review(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [TierReviewed(**_leading(entry), held_through=_last_day(entry))]


def _reversal(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    assert entry.cause is not None
    return [
        PointsReversed(
            **_leading(entry),
            reversed_entry_id=keys.entry_id(points_store.key_of(entry.cause)),
            reason_code=entry.reason_code,
            qualifying_points=sum(entry.sums.qualifying.values()) if entry.sums else 0,
        )
    ]


def _merge(entry: Entry, item: Item) -> list[Told]:
    return [MemberMerged(**_leading(entry), **_of_merge(entry, item))]


def _unmerge(entry: Entry, item: Item) -> list[Told]:
    return [MemberUnmerged(**_leading(entry), **_of_merge(entry, item))]


def _of_merge(entry: Entry, item: Item) -> dict[str, Any]:
    return {
        "merge_id": MergeId(item["rf"]),
        "from_member_id": MemberId(item["mf"]),
        "into_member_id": MemberId(item["mi"]),
        "qualifying_points": sum(entry.sums.qualifying.values()) if entry.sums else 0,
    }


def _birthday(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    given = BirthdayGiftGiven(**_leading(entry), year=int(entry.key.parts[1]), expires_on=_last_day(entry))
    return [given, _earned(entry, EarnedFrom.BIRTHDAY)] if entry.earned else [given]


_FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "purchase": _purchase,
    "return": _return,
    "write_off": _adjustment,
    "spend": _spend,
    "adjust": _adjustment,
    "close": _adjustment,
    "expire": _expiry,
    "tier": _review,
    "birthday": _birthday,
    "reverse": _reversal,
    "merge": _merge,
    "merge_in": _merge,
    "unmerge": _unmerge,
    "unmerge_in": _unmerge,
}


def _leading(entry: Entry) -> dict[str, Any]:
    return {
        "entry_id": _entry_id(entry),
        "points": entry.points,
        "balance_after": entry.balance_after,
        "tier_before": entry.tier_before,
        "tier_after": entry.tier_after,
        "program_version": entry.program_version,
    }


def _earned(entry: Entry, source: EarnedFrom) -> PointsEarned:
    return PointsEarned(
        entry_id=_entry_id(entry),
        balance_after=entry.balance_after,
        source=source,
        points=entry.earned or 0,
        expires_on=_last_day(entry),
        spendable_on=entry.matures_on,
    )


def _spent(entry: Entry, source: SpentOn) -> PointsSpent:
    return PointsSpent(
        entry_id=_entry_id(entry), balance_after=entry.balance_after, source=source, points=entry.consumed or 0
    )


def _entry_id(entry: Entry) -> EntryId:
    return keys.entry_id(points_store.key_of(entry.key))


def _last_day(entry: Entry) -> date | None:
    return None if entry.expires_on == NEVER else entry.expires_on


# ---------------------------------------------------------------- members and programs


def _enrolment(item: Item) -> list[Event]:
    joined_at = members_store.joined_at(item)
    return [
        _enveloped(item, members_store.enrolled_from(item), MemberId(item["member_id"]), None, joined_at, joined_at)
    ]


def _note(item: Item) -> list[Event]:
    happened = points_store.happened_from(item)
    make = _FROM_NOTE[happened.kind]
    return [_enveloped(item, each, happened.member_id, None, happened.at, happened.at) for each in make(happened)]


def _edited(note: Happened) -> list[Told]:
    return [MemberEdited(fields=tuple(note.facts["fields"]))]


def _points_expiring(note: Happened) -> list[Told]:
    return [PointsExpiring(points=note.facts["points"], expires_on=date.fromisoformat(note.facts["expires_on"]))]


def _points_released(note: Happened) -> list[Told]:
    return [PointsReleased(points=note.facts["points"])]


_FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    "edited": _edited,
    "suspended": lambda _: [MemberSuspended()],
    "reinstated": lambda _: [MemberReinstated()],
    "closed": lambda _: [MemberClosed()],
    "points_expiring": _points_expiring,
    "points_released": _points_released,
}


def _program(item: Item) -> list[Event]:
    at = programs_store.published_at(item)
    return [_enveloped(item, ProgramPublished(program_version=item["version"]), None, None, at, at)]


_TELL: dict[str, Callable[[Item], list[Event]]] = {
    "entry": _entry,
    "M PROFILE": _enrolment,
    "PROGRAM V": _program,
    **{f"H {kind}": _note for kind in _FROM_NOTE},
}


def _enveloped(
    item: Item, data: Told, member_id: AccountId | None, seq: int | None, occurred_at: datetime, recorded_at: datetime
) -> Event:
    event_type = type(data).__name__
    return Event(
        event_id=EventId.of(item["pk"], item["sk"], event_type),
        type=event_type,
        version=data.version,
        member_id=member_id,
        seq=seq,
        occurred_at=occurred_at,
        recorded_at=recorded_at,
        data=data,
    )


# ---------------------------------------------------------------- telling


def bus_event(event: Event) -> BusEvent:
    """An event as it goes on the bus."""
    return BusEvent(event.type, event.model_dump_json(), event.recorded_at)


# ---------------------------------------------------------------- archiving

ARCHIVE = "events"
KIND = "application/x-ndjson"


class EventUnreadable(Exception):
    """A message is no event; it names neither an id nor a time."""


def archived(body: str) -> tuple[str, str, str]:
    """Where a message's event belongs in the archive: the folder of its hour, its id, and its line.

    The archive keeps events of types and versions that this code does not know: it only looks at the envelope.

    Raises:
        EventUnreadable: the message is no event.
    """
    try:
        event = json.loads(body)
        event_id, recorded_at = event["event_id"], datetime.fromisoformat(event["recorded_at"])
        hour = folder_of(recorded_at)
    except (ValueError, TypeError, KeyError) as fault:
        raise EventUnreadable(f"{type(fault).__name__}: {fault}") from None
    if not isinstance(event_id, str) or not event_id:
        raise EventUnreadable("its id is no text")
    return hour, event_id, json.dumps(event, separators=(",", ":"), ensure_ascii=False)


def folder_of(at: datetime) -> str:
    """The archive's folder of an hour (UTC); an event lies in the one of the hour in which it was recorded.

    Raises:
        ValueError: the time does not say in which zone it is.
    """
    if at.tzinfo is None:
        raise ValueError("a time without an offset")
    utc = at.astimezone(UTC)
    return f"{ARCHIVE}/{utc.year:04d}/{utc.month:02d}/{utc.day:02d}/{utc.hour:02d}/"


def keep(objects: Objects, folder: str, lines: Mapping[str, str]) -> str:
    """Write events of one hour as one object; its key.

    The key follows from the events' ids, so the same events again write the same object. The same event in another
    company comes to lie in two objects: readers go by its id.

    Args:
        lines: each event's line by its id.
    """
    ids = sorted(lines)
    digest = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:40]
    key = f"{folder}{digest}.jsonl"
    objects.put(key, "".join(lines[each] + "\n" for each in ids).encode(), kind=KIND)
    return key
