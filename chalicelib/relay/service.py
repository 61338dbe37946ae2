"""From a committed record to its events, and from events to the archive.

What a record tells is said beside its domain (`<domain>/telling.py`); here those tables are joined. `telling_of` knows
every item of table `core`. What it tells nothing of is listed (`SILENT`), with the reason; an item of a kind that is in
neither list comes back as unknown, so that it is logged and not lost sight of. A ledger entry of an unknown kind is a
fault: to pass over it would leave a hole in its member's `seq` that nobody could tell from a loss.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from chalicelib.alerts import telling as alerts_telling
from chalicelib.audit import telling as audit_telling
from chalicelib.cards import telling as cards_telling
from chalicelib.corrections import telling as corrections_telling
from chalicelib.holds import telling as holds_telling
from chalicelib.kernel.events import EventId, Occurrence, Told
from chalicelib.kernel.ids import is_card
from chalicelib.members import telling as members_telling
from chalicelib.merges import telling as merges_telling
from chalicelib.points import store as points_store
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry, Happened
from chalicelib.pools import telling as pools_telling
from chalicelib.programs import telling as programs_telling
from chalicelib.purchases import store as purchases_store
from chalicelib.purchases import telling as purchases_telling
from chalicelib.relay.models import Change, Event, Telling
from chalicelib.storage import keys
from chalicelib.storage.bus import BusEvent
from chalicelib.storage.dynamo import unmarshalled
from chalicelib.storage.objects import Objects
from chalicelib.storage.writes import Item
from chalicelib.transfers import telling as transfers_telling
from chalicelib.transfers.rules import KIND as TRANSFER

SILENT = {
    "M ACCOUNT": "sums that the entries explain",
    "M WALLET": "counts a member's cards; each card's first entry tells of it",
    "M SHARES": "says again what a member's part in a pool says",
    "M WAS": "that a member left a pool, which the pool's notes tell",
    "G ACCOUNT": "sums that the entries explain",
    "G W": "a member's part in a pool; the pool's notes tell of its changes",
    "C ACCOUNT": "sums that the entries explain",
    "C OWNER": "whose a card is; its first entry says so, and a merge of members says what changed",
    "C PROFILE": "what a card is; its first entry tells of the opening",
    "U": "an identifier of a member; the profile's events say that it changed",
    "K enrol": "spends a key; the profile tells of the enrolment",
    "O waiting": "returns that wait for their purchase; what becomes of each is told when it does",
    "MERGE": "what a merge did beside the ledger; its entries tell of it",
    "K hold_end": "ends a hold with the purchase that it paid for; the purchase's own entry tells",
    "CONSENT": "what was said of a consent; the profile's edit tells that it was",
    "X": "lists a transfer for its two members; its entries tell of it",
    "STF": "somebody who works here; the audit tells of the change",
    "ROLES": "a role of the merchant's own; the audit tells of the change",
    "ADMINS": "counts the admins again",
    "APR": "what waits for a second person; what it comes to is an entry, which tells",
    "ALW": "counts what somebody did by hand of late; the entries tell",
    "CT": "a text of a consent; the audit tells of its publication",
    "IK": "an integration key, and when it was used last; the audit tells of the change",
    "RCH": "that a member may be written to otherwise than before; what made it so tells",
    "SUP": "an address that is not written to; whoever sends asks, and the audit tells of the change",
    "TPL": "a template; the audit tells of the change",
    "UM": "a showing of personal data; the audit tells of it",
    "PROGRAM HEAD": "names the version in force; the version's own item tells of it",
    "A L": "chains audit records, each of which was told of",
    "A M": "lists an audit record for a further member",
    "JRN": "a journey; the audit tells of what staff do to it",
    "JRNS": "which journeys do something; says again what they say",
    "JIN": "a member's way through a journey; deliveries and entries tell of what is done",
    "JIC": "counts those in a journey",
    "CMP": "a campaign; the audit tells of what staff do to it",
    "CRUN": "a run of a campaign; deliveries and the lake tell of what is sent",
    "SEG": "what a segment says; the audit tells of the change, and the segments' own refresh of who comes and leaves",
    "SEGS": "which segments there are, and what each depends on",
    "SGX": "an export of a segment; the audit tells of it",
    "AS": "lists an audit record for who did it",
    "AJ": "how many points somebody gave by hand on a day; the entries tell of each",
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
    awaited = "is" in change.get("OldImage", ()) and item is not None and not purchases_store.is_waiting(item)
    new = record["eventName"] == "INSERT" or awaited
    return Change(new, key["pk"], key["sk"], item, change["SequenceNumber"])


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
    tell = TELL.get(kind)
    if tell is None:
        return Telling(unknown=kind)
    return Telling(tell(change.item))


def kind_of(pk: str, sk: str, item: Item) -> str:
    """What kind of item is under a key."""
    mark, *rest = keys.parted(pk)
    if mark in ("O", "K", "C") and "r" in item:
        return "entry"
    if mark == "O":
        return "O waiting" if purchases_store.is_waiting(item) else "O refused"
    if mark == "K":
        return f"K {rest[0]}"
    if mark == "H":
        return f"H {item['kind']}"
    if mark in ("M", "G", "C", "A", "PROGRAM"):
        return f"{mark} {keys.parted(sk)[0]}"
    return mark


# ---------------------------------------------------------------- what becomes of it


def _entry(item: Item) -> list[Event]:
    entry = points_store.entry_from(item)
    make = FROM_ENTRY.get(entry.key.kind)
    if make is None:
        raise EntryUnknown(f"an entry of kind {entry.key.kind}")
    told = [*make(entry, item), *points_telling.tier_change(entry)]
    return [
        _enveloped(item, Occurrence(each, entry.member_id, entry.occurred_at, entry.recorded_at), entry.seq)
        for each in told
    ]


def _expiry(entry: Entry, item: Item) -> list[Told]:
    tell = cards_telling.expiry if is_card(entry.member_id) else points_telling.expiry
    return tell(entry, item)


def _hold_end(entry: Entry, item: Item) -> list[Told]:
    """A transfer holds its points until it ends, so the end of a hold may be a transfer's."""
    ends_transfer = entry.cause is not None and entry.cause.kind == TRANSFER
    tell = transfers_telling.transfer_end if ends_transfer else holds_telling.hold_end
    return tell(entry, item)


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    **points_telling.FROM_ENTRY,
    **holds_telling.FROM_ENTRY,
    **purchases_telling.FROM_ENTRY,
    **transfers_telling.FROM_ENTRY,
    **pools_telling.FROM_ENTRY,
    **cards_telling.FROM_ENTRY,
    **merges_telling.FROM_ENTRY,
    **corrections_telling.FROM_ENTRY,
    "expire": _expiry,
    "hold_end": _hold_end,
}
"""What entries tell, by the kind of their key."""


def _note(item: Item) -> list[Event]:
    happened = points_store.happened_from(item)
    return [
        _enveloped(item, Occurrence(each, happened.member_id, happened.at, happened.at))
        for each in FROM_NOTE[happened.kind](happened)
    ]


FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    **points_telling.FROM_NOTE,
    **members_telling.FROM_NOTE,
    **pools_telling.FROM_NOTE,
    **cards_telling.FROM_NOTE,
}
"""What notes on the timeline tell, by their kind."""

FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    **programs_telling.FROM_ITEM,
    **members_telling.FROM_ITEM,
    **purchases_telling.FROM_ITEM,
    **pools_telling.FROM_ITEM,
    **audit_telling.FROM_ITEM,
    **alerts_telling.FROM_ITEM,
}
"""What other items tell, by their kind."""


def _of_item(kind: str) -> Callable[[Item], list[Event]]:
    return lambda item: [_enveloped(item, FROM_ITEM[kind](item))]


TELL: dict[str, Callable[[Item], list[Event]]] = {
    "entry": _entry,
    **{f"H {kind}": _note for kind in FROM_NOTE},
    **{kind: _of_item(kind) for kind in FROM_ITEM},
}
"""What every kind of item tells that tells something."""


def _enveloped(item: Item, happened: Occurrence, seq: int | None = None) -> Event:
    event_type = type(happened.data).__name__
    return Event(
        event_id=EventId.of(item["pk"], item["sk"], event_type),
        type=event_type,
        version=happened.data.version,
        member_id=happened.account_id,
        seq=seq,
        occurred_at=happened.occurred_at,
        recorded_at=happened.recorded_at,
        data=happened.data,
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
