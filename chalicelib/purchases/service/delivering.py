"""Tells that a purchase was delivered."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib.kernel.ids import PurchaseId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import store as points_store
from chalicelib.points.models import Account
from chalicelib.points.service import content_digest, once
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import DeliveryDiffers
from chalicelib.purchases.models import DeliverPurchase, DeliveryView
from chalicelib.purchases.rules import deliveries
from chalicelib.purchases.service import items, views
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def deliver_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    command: DeliverPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[DeliveryView]:
    """Tell that a purchase was delivered, once: the points that waited for it can be spent from a day on.

    Raises:
        PurchaseUnknown: there is no such purchase.
        DeliveryNotAwaited: its points do not wait for a delivery.
        DeliveryDiffers: its delivery was told before, with another time.
        OccurredInFuture, DeliveredBeforeBought: `delivered_at` cannot be right.
        MemberClosed: the membership was closed.
        WriteContended: other writes kept getting there first; safe to try again.
    """

    def change(item: Item) -> Outcome[DeliveryView]:
        return _deliver(table, book, purchase_id, item, command, now=now, language=language)

    return items.on_purchase(table, purchase_id, change)


def _deliver(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    item: Item,
    command: DeliverPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[DeliveryView]:
    """Deliver a purchase as it was read.

    Raises:
        OrderMoved: a return, a restatement or the same delivery got there first.
    """
    bought, program = items.bought_from(item, book), book.current(now)
    member_id, key = bought.entry.member_id, deliveries.delivery_key(bought)
    content = content_digest(member_id, command, purchase_id=purchase_id)

    def decide(account: Account) -> tuple[DeliveryView, Sequence[Write]]:
        delivery, posting = deliveries.assess_delivery(account, bought, command, program, content=content, now=now)
        writes = [*points_store.post(account, posting), store.deliver(item, delivery)]
        return views.delivery_view(posting.main, program, language), writes

    def recall(known: Item) -> DeliveryView:
        if known.get("d") != content:
            raise DeliveryDiffers(purchase_id=purchase_id)
        entry = points_store.entry_from(known)
        return views.delivery_view(entry, book.version(entry.program_version), language)

    known = points_store.find_entry(table, key) if bought.delivery else None
    if known is not None:
        return Outcome(recall(known), replayed=True)
    return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)
