"""What cards tell others."""

from collections.abc import Callable
from typing import Any

from chalicelib.cards import views
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
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import EntryId
from chalicelib.points import store as points_store
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry, Happened
from chalicelib.storage import keys
from chalicelib.storage.audited import GIVEN
from chalicelib.storage.writes import Item


def _card_opened(entry: Entry, item: Item) -> list[Told]:
    return [
        CardOpened(
            **_of_card(entry),
            kind=CardKind.COUNT if entry.earned else CardKind.STORED_VALUE,
            uses=entry.earned or 0,
            paid_minor=views.money_of(entry),
            expires_on=points_telling.last_day(entry),
            **_given_by(item),
        )
    ]


def _card_topped_up(entry: Entry, item: Item) -> list[Told]:
    last = views.last_day_set(entry)
    return [CardToppedUp(**_of_card(entry), **_split(entry), **_given_by(item), bonus_expires_on=last)]


def _card_spent(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardSpent(**_of_card(entry), **_split(entry))]


def _card_spend_refunded(entry: Entry, item: Item) -> list[Told]:
    return [CardSpendRefunded(**_given_back(entry, item), **_split(entry), spend_id=_cause_id(entry))]


def _card_refunded(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [
        CardRefunded(
            **_of_card(entry),
            **_split(entry),
            refunded_minor=-views.money_of(entry),
            uses=-figure(entry, "uses"),
            reason_code=entry.reason_code or "",
        )
    ]


def _card_used(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardUsed(**_of_card(entry), uses=-entry.points)]


def _card_use_reversed(entry: Entry, item: Item) -> list[Told]:
    return [CardUseReversed(**_given_back(entry, item), uses=entry.points, use_id=_cause_id(entry))]


def _card_extended(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    last = views.last_day_set(entry) or NEVER
    return [CardExtended(**_of_card(entry), expires_on=last, reason_code=entry.reason_code or "")]


def _card_bonus_withdrawn(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    return [CardBonusWithdrawn(**_of_card(entry), bonus_minor=-entry.points)]


def expiry(entry: Entry, item: Item) -> list[Told]:  # noqa: ARG001
    """That something on a card expired."""
    leading, last = points_telling.leading(entry), points_telling.last_day(entry)
    return [CardExpired(**leading, expired=-entry.points, expires_on=last)]


def _of_card(entry: Entry) -> dict[str, Any]:
    return {**points_telling.leading(entry), "owner_id": entry.actor}


def _given_back(entry: Entry, item: Item) -> dict[str, Any]:
    return {**points_telling.by_hand(entry, item), "owner_id": entry.actor}


def _given_by(item: Item) -> dict[str, Any]:
    """What an entry gives that nobody paid for, and who had it made."""
    return {"given_minor": item.get(GIVEN, 0), **points_telling.done_by(item)}


def _split(entry: Entry) -> dict[str, Any]:
    """Principal and bonus that an entry moves, without a sign."""
    return {"principal_minor": abs(figure(entry, "principal")), "bonus_minor": abs(figure(entry, "bonus"))}


def _cause_id(entry: Entry) -> EntryId:
    """The id of the entry that an entry gives back something of."""
    assert entry.cause is not None
    return keys.entry_id(points_store.key_of(entry.cause))


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "card": _card_opened,
    "top_up": _card_topped_up,
    "card_spend": _card_spent,
    "card_spend_refund": _card_spend_refunded,
    "card_refund": _card_refunded,
    "card_use": _card_used,
    "card_use_reversal": _card_use_reversed,
    "card_extension": _card_extended,
    "card_close": _card_bonus_withdrawn,
}
"""What entries tell, by the kind of their key; the first event of each leads."""

FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    "card_suspended": lambda note: [CardSuspended(owner_id=note.facts["owner_id"])],
    "card_reinstated": lambda note: [CardReinstated(owner_id=note.facts["owner_id"])],
    "card_closed": lambda note: [CardClosed(owner_id=note.facts["owner_id"])],
}
"""What notes on the timeline tell, by their kind."""
