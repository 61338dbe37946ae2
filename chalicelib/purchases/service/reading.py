"""Reads purchases and their returns."""

from datetime import datetime

from chalicelib.identity.models import Owner
from chalicelib.kernel.ids import MemberId, PurchaseId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.pages import Slice
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberUnknown
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import PurchaseUnknown
from chalicelib.purchases.models import PurchaseView, RefusedReturn, ReturnView, WaitingReturn
from chalicelib.purchases.rules import returns
from chalicelib.purchases.service import items, views
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

LINES_MAX = 2_000
"""How many lines a page of purchases shows: with the longest names there are, about 4 MB."""


READS_MAX = 8
"""How many pages of the statement are read for one page of purchases."""


def find_purchase(table: Table, book: ProgramBook, purchase_id: PurchaseId, *, language: Language) -> PurchaseView:
    """A purchase with its lines and what followed from it.

    Raises:
        PurchaseUnknown: there is no such purchase.
    """
    key = keys.purchase_of(purchase_id)
    item = (store.find_purchase(table, key) or store.find_purchase(table, key, consistent=True)) if key else None
    if item is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    return views.full_view(table, item, book, language)


def owner_of(table: Table, purchase_id: str) -> Owner | None:
    """Whose a purchase is: its member's, and its shop's; None when there is none."""
    where = keys.purchase_of(purchase_id)
    item = store.find_purchase(table, where) if where else None
    if item is None:
        return None
    entry = points_store.entry_from(item)
    return Owner(frozenset({entry.member_id}), store.sale_from(item).shop_id)


def list_returns(
    table: Table, book: ProgramBook, purchase_id: PurchaseId, *, now: datetime, language: Language
) -> tuple[ReturnView | WaitingReturn | RefusedReturn, ...]:
    """The returns of a purchase, in the order in which they were recorded; also while they wait for it.

    Raises:
        PurchaseUnknown: there is no such purchase, and nothing waits for it.
    """
    order = items.order_of(purchase_id)
    where = keys.purchase(order.channel, order.order_no) if order else None
    item = store.find_order(table, where) if where else None
    if order is None or where is None or item is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    found: list[tuple[datetime, datetime, ReturnView | WaitingReturn | RefusedReturn]] = []
    for each in store.find_returns(table, where):
        if store.is_refused(each):
            one, at = store.refused_from(each)
            found.append((at, one.received_at, views.refused_view(one, store.refusal_from(each), order, at=at)))
        else:
            view = views.returned_view_of(each, book, language)
            found.append((view.recorded_at, view.recorded_at, view))
    for one in store.waiting_from(item) if store.is_waiting(item) else ():
        until = returns.waits_until(one)
        if now > until:
            found.append((until, one.received_at, views.refused_view(one, items.too_long(one), order, at=until)))
        else:
            found.append((one.received_at, one.received_at, views.waiting_view(one, order)))
    return tuple(view for _, _, view in sorted(found, key=lambda each: each[:2]))


def list_purchases(
    table: Table, book: ProgramBook, member_id: MemberId, *, after: str | None, limit: int, language: Language
) -> Slice[PurchaseView]:
    """A page of a member's purchases, newest first, those of members who were merged into this one among them.

    A page may hold fewer than `limit`, or none, and still not be the last: only so many other entries are passed over
    for one page.

    Raises:
        MemberUnknown: there is no such member.
    """
    wanted: list[Item] = []
    position = after
    for _ in range(READS_MAX):
        rows = points_store.list_rows(table, member_id, after=position, limit=limit)
        wanted += filter(store.is_purchase, rows.rows)
        position = rows.last
        if position is None or len(wanted) >= limit:
            break
    if not wanted and after is None and points_store.find_account(table, member_id, consistent=True) is None:
        raise MemberUnknown(member_id=member_id)
    shown = _within_one_answer(store.find_purchases(table, wanted[:limit]))
    found = tuple(views.view_now(item, book, language) for item in shown)
    if len(wanted) <= len(shown):
        return Slice(found, position)
    places = {(row["pk"], row["sk"]): str(row["place"]) for row in wanted}
    return Slice(found, places[shown[-1]["pk"], shown[-1]["sk"]])


def _within_one_answer(items: list[Item]) -> list[Item]:
    """The first purchases, at least one, whose lines fit an answer: Lambda gives back no more than 6 MB."""
    lines = 0
    for place, item in enumerate(items):
        lines += len(store.sale_from(item).lines)
        if place and lines > LINES_MAX:
            return items[:place]
    return items
