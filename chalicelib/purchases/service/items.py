"""What the use cases read from the item of a purchase, and what they add to it."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from pydantic import ValidationError

from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import PurchaseId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import store as points_store
from chalicelib.points.service import ATTEMPTS_MAX
from chalicelib.points.views import shown_maturity
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import OrderMoved, PurchaseUnknown, ReturnWaitedTooLong
from chalicelib.purchases.models import OrderName, Returned, ReturnPurchase, Waiting
from chalicelib.purchases.rules import orders, returns
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

T = TypeVar("T")


def order_of(purchase_id: str) -> OrderName | None:
    """The order that an id names, or None when no order can be recorded by that name."""
    parts = keys.order_of(purchase_id)
    try:
        name = OrderName(channel=parts[0], order_no=parts[1]) if parts else None
    except ValidationError:
        return None
    return name if name and parts == (name.channel, name.order_no) else None


def on_purchase(table: Table, purchase_id: PurchaseId, change: Callable[[Item], Outcome[T]]) -> Outcome[T]:
    """Change a purchase as it is, again and again while others change it meanwhile.

    Args:
        change: decides and commits on what is stored of it; raises `OrderMoved` when that is not so any more.

    Raises:
        PurchaseUnknown: there is no such purchase.
        WriteContended: other writes kept getting there first.
        Refusal: whatever else `change` refuses.
    """
    where = keys.purchase_of(purchase_id)
    for _ in range(ATTEMPTS_MAX):
        item = store.find_purchase(table, where, consistent=True) if where else None
        if item is None:
            raise PurchaseUnknown(purchase_id=purchase_id)
        with suppress(OrderMoved):
            return change(item)
    raise WriteContended


def too_long(waiting: Waiting) -> ReturnWaitedTooLong:
    """What a return is refused for whose purchase did not come in time."""
    return ReturnWaitedTooLong(waited_until=returns.waits_until(waiting).isoformat())


def bought_from(item: Item, book: ProgramBook) -> orders.Bought:
    """The purchase that an item holds, as it was last stated."""
    stated = store.as_stated(item)
    entry = points_store.entry_from(stated)
    program, returned, delivery = (
        book.version(entry.program_version),
        store.returned_from(item),
        store.delivery_from(item),
    )
    if delivery is not None:
        entry = entry.model_copy(update={"matures_on": delivery.matures_on})
    return orders.Bought(entry, store.sale_from(stated), program, returned, store.version_of(item), delivery)


def return_item_of(bought: orders.Bought, after: Returned, command: ReturnPurchase) -> dict[str, Any]:
    """What a return adds to its entry."""
    lines = returns.returned_lines(bought.sale, bought.returned, after, command)
    return store.return_item(bought.sale, bought.returned, after, lines)


def state_of(bought: orders.Bought) -> dict[str, Any]:
    """What a purchase is now, where that is not what it was recorded as."""
    delivered = {
        "awaits_delivery": False,
        "delivered_at": bought.delivery.delivered_at,
        "matures_on": shown_maturity(bought.delivery.matures_on),
    } if bought.delivery else {}  # fmt: skip
    return {
        **delivered,
        "version": bought.version,
        "kept": orders.kept_of(bought) if bought.version else None,
        "returned": bought.returned if bought.returned.count else None,
    }
