"""Returns a purchase or part of it, or lets the return wait for its purchase."""

from collections.abc import Sequence
from datetime import datetime

from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import MemberId, PurchaseId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import store as points_store
from chalicelib.points.models import Account
from chalicelib.points.rules import guards
from chalicelib.points.service import ATTEMPTS_MAX, content_digest, once
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import OrderMoved, PurchaseUnknown, ReturnDiffers, TooManyWaiting
from chalicelib.purchases.models import OrderName, ReturnOrder, ReturnPurchase, ReturnView, Waiting, WaitingReturn
from chalicelib.purchases.rules import returns
from chalicelib.purchases.service import items, views
from chalicelib.purchases.service.writing_off import find_turns
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def return_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    key: str,
    command: ReturnPurchase,
    *,
    now: datetime,
    language: Language,
    within: frozenset[ShopId] | None = None,
) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase: take back what it earned, give back what it spent; or wait for it to come.

    Args:
        within: the shops that whoever sends it reaches; None where that is all. It is kept with what waits, since whose
            the purchase is shows when it comes.

    Raises:
        PurchaseUnknown: there is no such purchase, and can be none.
        NothingLeft, ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
        OccurredInFuture, ReturnedBeforeBought: `occurred_at` cannot be right.
        MemberClosed: the membership was closed.
        ReturnDiffers: this key was used before for another return of the purchase.
        ReturnWaitedTooLong: it was sent before, and its purchase did not come in time.
        TooManyWaiting: so many returns wait for this purchase that no more can.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    order = items.order_of(purchase_id)
    if order is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    where = keys.purchase(order.channel, order.order_no)
    for _ in range(ATTEMPTS_MAX):
        item = store.find_order(table, where)
        try:
            if item is None or store.is_waiting(item):
                return _wait(table, order, item, key, command, now=now, within=within)
            if not returns.reached(within, store.shop_of(item)):
                raise PurchaseUnknown(purchase_id=purchase_id)
            return _return(table, book, purchase_id, item, key, command, now=now, language=language)
        except OrderMoved:
            continue
    raise WriteContended


def return_order(
    table: Table,
    book: ProgramBook,
    key: str,
    command: ReturnOrder,
    *,
    now: datetime,
    language: Language,
    within: frozenset[ShopId] | None = None,
) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase of which the caller knows the order number.

    Raises:
        PurchaseUnknown, NothingLeft, ReturnTooLarge, ReturnLineUnknown, OccurredInFuture, ReturnedBeforeBought,
        MemberClosed, ReturnDiffers, ReturnWaitedTooLong, TooManyWaiting, WriteContended: as `return_purchase`.
    """
    purchase_id = keys.purchase_id(command.channel, command.order_no)
    sent = ReturnPurchase.model_construct(**{name: getattr(command, name) for name in ReturnPurchase.model_fields})
    return return_purchase(table, book, purchase_id, key, sent, now=now, language=language, within=within)


def _wait(
    table: Table,
    order: OrderName,
    item: Item | None,
    key: str,
    command: ReturnPurchase,
    *,
    now: datetime,
    within: frozenset[ShopId] | None,
) -> Outcome[WaitingReturn]:
    """Let a return wait for its purchase. Those that waited too long make room, refused.

    Args:
        item: the returns that wait already, as they were read.
        within: see `return_purchase`.

    Raises:
        OrderMoved: the purchase came, or another return.
    """
    where = keys.purchase(order.channel, order.order_no)
    purchase_id = keys.purchase_id(order.channel, order.order_no)
    content = content_digest("", command, purchase_id=purchase_id)
    others = store.waiting_from(item)
    known = next((each for each in others if each.key == key), None)
    if known is not None:
        return Outcome(_still_waiting(known, order, content, now=now), replayed=True, waits=True)
    refused = store.find_return(table, keys.purchase_return(order.channel, order.order_no, key)) if item else None
    if refused is not None:
        raise _refused_before(refused, key, content)
    if command.occurred_at is not None:
        guards.not_later(command.occurred_at, now)
    late = [each for each in others if now > returns.waits_until(each)]
    waiting = [each for each in others if each not in late]
    if len(waiting) >= returns.WAITING_MAX:
        raise TooManyWaiting(purchase_id=purchase_id, limit=returns.WAITING_MAX)

    own = Waiting(
        key=key,
        content=content,
        command=command,
        received_at=from_milliseconds(milliseconds(now)),
        shop_ids=None if within is None else tuple(sorted(within)),
    )
    answer = views.waiting_view(own, order)
    if command.dry_run:
        return Outcome(answer, stored=False, waits=True)
    refusals = [
        store.refuse_return(
            keys.purchase_return(order.channel, order.order_no, each.key), each, items.too_long(each), None, at=now
        )
        for each in late
    ]
    table.commit([store.keep_waiting(where, item, [*waiting, own]), *refusals])
    return Outcome(answer, waits=True)


def _still_waiting(known: Waiting, order: OrderName, content: bytes, *, now: datetime) -> WaitingReturn:
    """The answer to a return that waits already.

    Raises:
        ReturnDiffers: its key was used for another return.
        ReturnWaitedTooLong: its purchase did not come in time.
    """
    if known.content != content:
        raise ReturnDiffers(key=known.key)
    if now > returns.waits_until(known):
        raise items.too_long(known)
    return views.waiting_view(known, order)


def _refused_before(item: Item, key: str, content: bytes) -> Refusal:
    """What a return that waited was refused for; `ReturnDiffers` when this is another one.

    Args:
        content: the digest of this one, without the member, whom nobody knew when it came.
    """
    return store.refusal_from(item) if item["d"] == content else ReturnDiffers(key=key)


def _return(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    item: Item,
    key: str,
    command: ReturnPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[ReturnView]:
    """Return part of a purchase as it was read.

    Raises:
        OrderMoved: another return or restatement got there first.
    """
    bought = items.bought_from(item, book)
    entry = bought.entry
    return_key = returns.return_key(entry, key)
    content = content_digest(entry.member_id, command, purchase_id=purchase_id)
    program = book.current(now)

    def decide(account: Account) -> tuple[ReturnView, Sequence[Write]]:
        after = returns.returned_after(bought, command, program.negative_balance, today_of(program, now))
        turns = find_turns(table, item, account, returns.brought_by(bought, after))
        posting = returns.assess_return(
            account, bought, after, command, return_key, program, content=content, now=now, turns=turns
        )
        more = items.return_item_of(bought, after, command)
        writes = points_store.post(account, posting, more=more)
        return views.return_view(posting.main, more, program, language), [*writes, store.count_return(item, after)]

    def recall(known: Item) -> ReturnView:
        if store.is_refused(known):
            raise _refused_before(known, key, content_digest("", command, purchase_id=purchase_id))
        if known.get("d") != content:
            raise ReturnDiffers(key=key)
        return views.returned_view_of(known, book, language)

    return once(
        table,
        book,
        MemberId(entry.member_id),
        return_key,
        decide=decide,
        recall=recall,
        now=now,
        dry_run=command.dry_run,
    )
