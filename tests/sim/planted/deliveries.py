"""Planted in deliveries, and in points that wait for them."""

import inspect
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from chalicelib.points import store
from chalicelib.points.fold import last_of_pending
from chalicelib.points.models import Account, EntryKey
from chalicelib.points.rules import balances
from chalicelib.purchases import store as purchase_store
from chalicelib.purchases.errors import OrderMoved
from chalicelib.purchases.models import Delivery
from chalicelib.purchases.rules import buying, deliveries, orders, restatements
from chalicelib.purchases.service import items
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Absent, Item, Put, Still, Write
from tests.sim.planted.registry import about, bug, forget


def _pending(patch: pytest.MonkeyPatch, waits: Any) -> None:
    """Change how many of the points that wait for a delivery cannot be spent."""
    real = balances._still_pending

    def pending(account: Account, lapses: dict[date, int], day: date, on: date) -> int:
        if last_of_pending(day) is None:
            return real(account, lapses, day, on)
        return int(waits(account.pending[day]))

    patch.setattr(balances, "_still_pending", pending)


@bug
def spent_before_the_delivery(patch: pytest.MonkeyPatch) -> None:
    """Points that wait for a delivery can be spent."""
    _pending(patch, lambda points: 0)


@bug
def lapsed_points_wait_on(patch: pytest.MonkeyPatch) -> None:
    """Points that lapsed while they waited for a delivery keep others from being spent."""
    _pending(patch, lambda points: points)


@bug
def lapsed_points_mature(patch: pytest.MonkeyPatch) -> None:
    """Points that lapse before their day comes are pending until then."""

    def matures(begins_on: date, last: date, program: Any, today: date) -> date | None:
        day = begins_on + timedelta(days=program.pending_days)
        return day if program.pending_days and day > today else None

    patch.setattr(buying, "maturity_of", matures)


@about("delivery")
def delivery_frees_what_came_back(patch: pytest.MonkeyPatch) -> None:
    """A delivery frees what the purchase had earned, also what was returned since."""
    real = orders.kept_of

    def kept(bought: Any) -> Any:
        known = real(bought)
        if inspect.stack()[1].function != "assess_delivery":
            return known
        return known.model_copy(update={"points_earned": bought.entry.earned or 0})

    patch.setattr(orders, "kept_of", kept)


@about("delivery")
def delivered_twice(patch: pytest.MonkeyPatch) -> None:
    """A delivery that is told again counts again, and moves the day."""
    real = store.find_entry

    def find(table: Any, key: EntryKey) -> Item | None:
        return None if key.kind == "delivery" else real(table, key)

    patch.setattr(store, "find_entry", find)
    forget(patch, lambda condition, item: isinstance(condition, Absent) and item.get("sk") == "DL")


@about("delivery")
def delivery_is_no_change(patch: pytest.MonkeyPatch) -> None:
    """A delivery does not count in the purchase's version: of a return at the same time one loses the other."""

    def deliver(item: Item, delivery: Delivery) -> Write:
        day = delivery.matures_on.toordinal() if delivery.matures_on else 0
        after = {**item, "dl": [int(delivery.delivered_at.timestamp() * 1_000), day]}
        return Put(Key(item["pk"], item["sk"]), after, Still("rn", item.get("rn")), lambda _: OrderMoved())

    patch.setattr(purchase_store, "deliver", deliver)


@about("delivery")
def return_takes_what_waited(patch: pytest.MonkeyPatch) -> None:
    """A return after the delivery takes the points from where they waited before it."""
    real = items.bought_from

    def bought(item: Item, book: Any) -> Any:
        known = real(item, book)
        entry = store.entry_from(purchase_store.as_stated(item))
        return replace(known, entry=entry)

    patch.setattr(items, "bought_from", bought)


@bug
def delivery_counts_from_the_purchase(patch: pytest.MonkeyPatch) -> None:
    """The days until the points are free count from the purchase, not from its delivery."""
    real = deliveries.delivered

    def delivered(entry: Any, program: Any, at: datetime, today: date) -> Delivery:
        right = real(entry, program, at, today)
        wrong = real(entry, program, entry.occurred_at, today)
        return right.model_copy(update={"matures_on": wrong.matures_on})

    patch.setattr(deliveries, "delivered", delivered)


@bug
def delivery_by_todays_terms(patch: pytest.MonkeyPatch) -> None:
    """How long points are pending after a delivery is by the program of today, not by that of the purchase."""
    real = deliveries.assess_delivery

    def assess(account: Any, bought: Any, command: Any, program: Any, *, content: bytes, now: datetime) -> Any:
        days = {"pending_days": program.pending_days}
        changed = replace(bought, program=bought.program.model_copy(update=days))
        return real(account, changed, command, program, content=content, now=now)

    patch.setattr(deliveries, "assess_delivery", assess)


@about("order")
def restated_points_do_not_wait(patch: pytest.MonkeyPatch) -> None:
    """What a restatement adds to an order that waits for its delivery can be spent at once."""
    real = restatements.assess_restatement

    def assess(account: Any, bought: Any, after: Any, *a: Any, **more: Any) -> Any:
        if bought.sale.awaits_delivery and bought.delivery is None:
            after = replace(after, entry=after.entry.model_copy(update={"matures_on": None}))
        return real(account, bought, after, *a, **more)

    patch.setattr(restatements, "assess_restatement", assess)
