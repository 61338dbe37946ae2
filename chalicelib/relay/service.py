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

from chalicelib.alerts import store as alerts_store
from chalicelib.alerts.events import AlertRaised
from chalicelib.audit import store as audit_store
from chalicelib.audit.events import AuditRecorded
from chalicelib.cards import views as cards_views
from chalicelib.cards.events import (
    CardBonusWithdrawn,
    CardClosed,
    CardExpired,
    CardExtended,
    CardOpened,
    CardRefunded,
    CardReinstated,
    CardSpendRefunded,
    CardSpent,
    CardSuspended,
    CardToppedUp,
    CardUsed,
    CardUseReversed,
)
from chalicelib.cards.models import CardKind
from chalicelib.cards.rules.holding import figure
from chalicelib.corrections.events import PointsReversed
from chalicelib.holds.events import HoldReleased, PointsHeld, ReleasedBy
from chalicelib.kernel.calendar import NEVER, from_milliseconds
from chalicelib.kernel.events import EventId, Told
from chalicelib.kernel.ids import AccountId, EntryId, HoldId, MemberId, MergeId, is_card, is_member
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
from chalicelib.points.fold import TIMED_OUT
from chalicelib.points.models import Entry, Happened, Reason
from chalicelib.points.views import shown_maturity
from chalicelib.pools import store as pools_store
from chalicelib.pools.events import (
    PointsPooled,
    PoolClosed,
    PoolMemberLeft,
    PoolMemberSet,
    PoolOpened,
    PoolPointsMoved,
    PoolPointsSpent,
    PoolSource,
)
from chalicelib.pools.models import PoolId, Role
from chalicelib.programs import store as programs_store
from chalicelib.programs.events import ProgramPublished
from chalicelib.purchases import store as purchases_store
from chalicelib.purchases.events import (
    PurchaseDelivered,
    PurchaseRecorded,
    PurchaseRestated,
    PurchaseReturned,
    ReturnRefused,
)
from chalicelib.purchases.rules.deliveries import released_by
from chalicelib.relay.models import Change, Event, Telling
from chalicelib.storage import keys
from chalicelib.storage.audited import BY, FOR_THEMSELVES
from chalicelib.storage.bus import BusEvent
from chalicelib.storage.dynamo import unmarshalled
from chalicelib.storage.objects import Objects
from chalicelib.storage.writes import Item
from chalicelib.transfers.events import (
    EndedBy,
    PointsReceived,
    PointsTransferEnded,
    PointsTransferOffered,
    PointsTransferred,
)
from chalicelib.transfers.rules import KIND as TRANSFER
from chalicelib.transfers.rules import offered

SILENT = {
    "M ACCOUNT": "sums that the entries explain",
    "M SHARES": "says again what a member's part in a pool says",
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
    "X": "lists a transfer for its two members; its entries tell of it",
    "PROGRAM HEAD": "names the version in force; the version's own item tells of it",
    "A L": "chains audit records, each of which was told of",
    "A M": "lists an audit record for a further member",
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
    tell = _TELL.get(kind)
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
        points_hold_id=_hold_of(entry),
        qualifying_points=entry.qualifying or 0,
        awaits_delivery=sale.awaits_delivery,
        **_done_by(item),
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


def _delivery(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001 - as its siblings
    points, first = released_by(entry)
    purchase_id = keys.purchase_id(*entry.key.parts)
    return [PurchaseDelivered(**_leading(entry), purchase_id=purchase_id, points_released=points, spendable_on=first)]


def _restatement(entry: Entry, item: Item) -> list[Told]:
    channel, order_no, _ = entry.key.parts
    return [
        PurchaseRestated(
            **_leading(entry),
            purchase_id=keys.purchase_id(channel, order_no),
            currency=item["cu"],
            paid_minor=item["m"],
            tender_points=item["tp"],
            points_earned=entry.earned or 0,
            points_spent=entry.consumed or 0,
            qualifying_points=entry.qualifying or 0,
            **_done_by(item),
        )
    ]


def _spend(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001 - as its siblings
    return [_spent(entry, SpentOn.SPEND)]


def _hold(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    assert entry.held is not None
    assert entry.held_until is not None
    hold_id = keys.hold_id(*entry.key.parts)
    return [PointsHeld(**_leading(entry), hold_id=hold_id, held=entry.held, held_until=entry.held_until)]


def _hold_end(entry: Entry, item: Item) -> list[Told]:
    """What ended a hold: its capture, its release, or its time."""
    if entry.reason is Reason.SPEND:
        return [_spent(entry, SpentOn.HOLD)]
    assert entry.cause is not None
    if entry.cause.kind == TRANSFER:
        return _transfer_end(entry, item)
    source = ReleasedBy.TIMED_OUT if entry.reason_code == TIMED_OUT else ReleasedBy.ASKED
    hold_id = keys.hold_id(*entry.cause.parts)
    return [HoldReleased(**_leading(entry), hold_id=hold_id, source=source, released=-(entry.held or 0))]


def _offer(entry: Entry, item: Item) -> list[Told]:
    points, fee = offered(entry)
    assert entry.held_until is not None
    return [
        PointsTransferOffered(
            **_leading(entry),
            transfer_id=keys.transfer_id(*entry.key.parts),
            to_member_id=MemberId(item["to"]),
            transferred=points,
            fee_points=fee,
            expires_at=entry.held_until,
        )
    ]


def _transfer_end(entry: Entry, item: Item) -> list[Told]:
    assert entry.cause is not None
    leading, transfer_id = _leading(entry), keys.transfer_id(*entry.cause.parts)
    if entry.reason is Reason.TRANSFER:
        fee = sum(-why.points for why in entry.why[1:])
        to, points = MemberId(item["to"]), (entry.consumed or 0) - fee
        return [
            PointsTransferred(**leading, transfer_id=transfer_id, to_member_id=to, transferred=points, fee_points=fee)
        ]
    source, released = EndedBy(entry.reason_code or ""), -(entry.held or 0)
    return [PointsTransferEnded(**leading, transfer_id=transfer_id, source=source, released=released)]


def _receipt(entry: Entry, item: Item) -> list[Told]:
    transfer_id, giver = keys.transfer_id(*entry.key.parts), MemberId(item["from"])
    return [PointsReceived(**_leading(entry), transfer_id=transfer_id, from_member_id=giver)]


def _adjustment(entry: Entry, item: Item) -> list[Told]:
    return [
        PointsAdjusted(
            **_leading(entry),
            source=AdjustedBy(entry.key.kind),
            reason_code=entry.reason_code,
            expires_on=_last_day(entry),
            qualifying_points=entry.qualifying or 0,
            **_done_by(item),
        )
    ]


def _expiry(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    if is_card(entry.member_id):
        return [CardExpired(**_leading(entry), expired=-entry.points, expires_on=_last_day(entry))]
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


def _pooled(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    source = PoolSource.CLOSE if entry.key.kind.startswith("pool_close") else PoolSource.CONTRIBUTION
    if not is_member(entry.member_id):
        return [PoolPointsMoved(**_leading(entry), source=source, subject_id=_actor(entry))]
    pool_id = PoolId(entry.why[0].rule_id.partition(".")[2])
    return [PointsPooled(**_leading(entry), source=source, pool_id=pool_id)]


def _actor(entry: Entry) -> MemberId:
    if entry.actor is None:
        raise ValueError("the entry does not say which member did it")
    return entry.actor


def _pool_spend(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [PoolPointsSpent(**_leading(entry), subject_id=_actor(entry))]


# ---------------------------------------------------------------- cards


def _card_opened(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [
        CardOpened(
            **_of_card(entry),
            kind=CardKind.COUNT if entry.earned else CardKind.STORED_VALUE,
            uses=entry.earned or 0,
            paid_minor=cards_views.money_of(entry),
            expires_on=_last_day(entry),
        )
    ]


def _card_topped_up(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardToppedUp(**_of_card(entry), **_split(entry), bonus_expires_on=cards_views.last_day_set(entry))]


def _card_spent(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardSpent(**_of_card(entry), **_split(entry))]


def _card_spend_refunded(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardSpendRefunded(**_of_card(entry), **_split(entry), spend_id=_cause_id(entry))]


def _card_refunded(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [
        CardRefunded(
            **_of_card(entry),
            **_split(entry),
            refunded_minor=-cards_views.money_of(entry),
            uses=-figure(entry, "uses"),
            reason_code=entry.reason_code or "",
        )
    ]


def _card_used(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardUsed(**_of_card(entry), uses=-entry.points)]


def _card_use_reversed(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardUseReversed(**_of_card(entry), uses=entry.points, use_id=_cause_id(entry))]


def _card_extended(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    last = cards_views.last_day_set(entry) or NEVER
    return [CardExtended(**_of_card(entry), expires_on=last, reason_code=entry.reason_code or "")]


def _card_bonus_withdrawn(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardBonusWithdrawn(**_of_card(entry), bonus_minor=-entry.points)]


def _of_card(entry: Entry) -> dict[str, Any]:
    return {**_leading(entry), "owner_id": entry.actor}


def _split(entry: Entry) -> dict[str, Any]:
    """Principal and bonus that an entry moves, without a sign."""
    return {"principal_minor": abs(figure(entry, "principal")), "bonus_minor": abs(figure(entry, "bonus"))}


def _cause_id(entry: Entry) -> EntryId:
    assert entry.cause is not None
    return keys.entry_id(points_store.key_of(entry.cause))


_FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "purchase": _purchase,
    "return": _return,
    "restatement": _restatement,
    "delivery": _delivery,
    "write_off": _adjustment,
    "spend": _spend,
    "hold": _hold,
    "hold_end": _hold_end,
    "transfer": _offer,
    "transfer_in": _receipt,
    "adjust": _adjustment,
    "close": _adjustment,
    "expire": _expiry,
    "tier": _review,
    "contribution": _pooled,
    "contribution_in": _pooled,
    "pool_close": _pooled,
    "pool_close_in": _pooled,
    "pool_spend": _pool_spend,
    "birthday": _birthday,
    "card": _card_opened,
    "top_up": _card_topped_up,
    "card_spend": _card_spent,
    "card_spend_refund": _card_spend_refunded,
    "card_refund": _card_refunded,
    "card_use": _card_used,
    "card_use_reversal": _card_use_reversed,
    "card_extension": _card_extended,
    "card_close": _card_bonus_withdrawn,
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


def _done_by(item: Item) -> dict[str, Any]:
    """Who had an entry made, and whether in their own account."""
    return {"recorded_by": item.get(BY), "own_account": FOR_THEMSELVES in item}


def _earned(entry: Entry, source: EarnedFrom) -> PointsEarned:
    return PointsEarned(
        entry_id=_entry_id(entry),
        balance_after=entry.balance_after,
        source=source,
        points=entry.earned or 0,
        expires_on=_last_day(entry),
        spendable_on=shown_maturity(entry.matures_on),
    )


def _spent(entry: Entry, source: SpentOn) -> PointsSpent:
    return PointsSpent(
        entry_id=_entry_id(entry),
        balance_after=entry.balance_after,
        source=source,
        points=entry.consumed or 0,
        hold_id=_hold_of(entry),
    )


def _hold_of(entry: Entry) -> HoldId | None:
    """The hold that an entry captured, or None."""
    captured = entry.held is not None and entry.held < 0 and entry.cause is not None
    return keys.hold_id(*entry.cause.parts) if captured and entry.cause else None


def _entry_id(entry: Entry) -> EntryId:
    return keys.entry_id(points_store.key_of(entry.key))


def _last_day(entry: Entry) -> date | None:
    return None if entry.expires_on == NEVER else entry.expires_on


def _refused(item: Item) -> list[Event]:
    waiting, refused_at = purchases_store.refused_from(item)
    key = keys.Key(item["pk"], item["sk"])
    told = ReturnRefused(
        return_id=keys.entry_id(key),
        purchase_id=keys.purchase_id(*keys.entry_parts(key)[1][:2]),
        code=item["no"],
    )
    member_id = MemberId(item["member_id"]) if "member_id" in item else None
    return [_enveloped(item, told, member_id, None, waiting.received_at, refused_at)]


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
    "pool_member_set": lambda note: [
        PoolMemberSet(subject_id=MemberId(note.facts["member_id"]), role=Role(note.facts["role"]))
    ],
    "pool_member_left": lambda note: [PoolMemberLeft(subject_id=MemberId(note.facts["member_id"]))],
    "pool_closed": lambda _: [PoolClosed()],
    "card_suspended": lambda note: [CardSuspended(owner_id=note.facts["owner_id"])],
    "card_reinstated": lambda note: [CardReinstated(owner_id=note.facts["owner_id"])],
    "card_closed": lambda note: [CardClosed(owner_id=note.facts["owner_id"])],
}


def _pool(item: Item) -> list[Event]:
    opened_at = pools_store.opened_at(item)
    opened = PoolOpened(kind=pools_store.kind_from(item), owner_id=pools_store.owner_from(item))
    return [_enveloped(item, opened, keys.account_of(item["pk"]), None, opened_at, opened_at)]


def _audited(item: Item) -> list[Event]:
    row, content = audit_store.to_chain(item), json.loads(item["c"])
    told = AuditRecorded(
        audit_id=keys.audit_id(row.mark),
        hash=row.hash.hex(),
        recorded_by=row.subject,
        action=content["action"],
        about=tuple(AccountId(each) for each in content["about"]),
    )
    at = from_milliseconds(content["at"])
    about = AccountId(content["about"][0]) if content["about"] else None
    return [_enveloped(item, told, about, None, at, at)]


def _alert(item: Item) -> list[Event]:
    alert = alerts_store.alert_from(item)
    shown = alert.model_dump(include={"alert_id", "kind", "about", "day", "count", "limit"})
    return [_enveloped(item, AlertRaised(**shown), None, None, alert.raised_at, alert.raised_at)]


def _program(item: Item) -> list[Event]:
    at = programs_store.published_at(item)
    return [_enveloped(item, ProgramPublished(program_version=item["version"]), None, None, at, at)]


_TELL: dict[str, Callable[[Item], list[Event]]] = {
    "entry": _entry,
    "O refused": _refused,
    "M PROFILE": _enrolment,
    "G POOL": _pool,
    "PROGRAM V": _program,
    "A R": _audited,
    "AL": _alert,
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
