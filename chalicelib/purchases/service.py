"""Use cases of purchases: record one, tell its delivery, return and restate it, read them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from pydantic import ValidationError

from chalicelib.holds.rules import end_key
from chalicelib.holds.service import require_live
from chalicelib.holds.store import end_with_purchase
from chalicelib.identity.models import Owner
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, PurchaseId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.models import MemberRef
from chalicelib.members.service import find_member_id
from chalicelib.points import rules as ledger
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberUnknown
from chalicelib.points.models import Account, Entry, EntryKey, Posting
from chalicelib.points.service import ATTEMPTS_MAX, content_digest, is_repeat, once, still_counts, why_lines
from chalicelib.points.views import shown_expiry, shown_maturity
from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import rules, store
from chalicelib.purchases.errors import (
    RECORDED,
    CurrencyWrong,
    DeliveryDiffers,
    OrderMoved,
    PurchaseAwaited,
    PurchaseDiffers,
    PurchaseMoved,
    PurchaserUnknown,
    PurchaseUnknown,
    ReturnDiffers,
    ReturnWaitedTooLong,
    TooManyWaiting,
)
from chalicelib.purchases.models import (
    DeliverPurchase,
    DeliveryView,
    Discount,
    OrderName,
    PurchaseView,
    RecordPurchase,
    RefusedReturn,
    RestatementView,
    RestatePurchase,
    Returned,
    ReturnLine,
    ReturnOrder,
    ReturnPurchase,
    ReturnView,
    Sale,
    TierName,
    Waiting,
    WaitingReturn,
)
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write

LINES_MAX = 2_000
"""How many lines a page of purchases shows: with the longest names there are, about 4 MB."""

READS_MAX = 8
"""How many pages of the statement are read for one page of purchases."""


def record_purchase(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    command: RecordPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[PurchaseView]:
    """Record a purchase: entry, account and tier in one transaction, with the returns that waited for it.

    Raises:
        PurchaserUnknown, MemberUnknown, MemberSuspended, MemberClosed: nobody can earn or pay with points.
        MobileInvalid, MemberNumberWrong: nobody can have this identifier.
        CurrencyWrong, OccurredInFuture, TenderTooSmall, TenderUneven, TenderTooLarge, PointsInsufficient,
        BalanceTooLarge: as they say.
        HoldUnknown, HoldOver, CaptureTooLarge: the hold that is to pay cannot, or not so much.
        PurchaseDiffers: this order was recorded before with other content.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    head = book.head(now)
    putting_in_use = book.putting_in_use(now)
    try:
        outcome = _record(table, keyring, book, command, putting_in_use, now=now, language=language)
    except (ProgramMoved, CurrencyWrong):
        # A program without purchases may have got its first one, or another currency, since this process read it.
        if not putting_in_use:
            raise
        book.reread(now)
        if book.head(now) == head:
            raise
        return record_purchase(table, keyring, book, command, now=now, language=language)
    if putting_in_use:
        book.reread(now)
    return outcome


def _record(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    command: RecordPurchase,
    putting_in_use: Sequence[Write],
    *,
    now: datetime,
    language: Language,
) -> Outcome[PurchaseView]:
    program = book.current(now)
    key = rules.key_of(command)
    member_id = find_member_id(table, keyring, command.member, program, consistent=True)
    if member_id is None:
        return _recorded_before(table, book, key, command, language)
    content = content_digest(member_id, command)
    awaited: Item | None = None

    def decide(account: Account) -> tuple[PurchaseView, Sequence[Write]]:
        hold_id = command.points_hold_id
        held = require_live(table, account, hold_id, program, now=now) if hold_id is not None else None
        asked = rules.tendering(command, held)
        sale = rules.sale_of(asked, program)
        if asked.points_tender and held is None:
            ledger.require_recent(command.occurred_at, now)
        posting = rules.assess(account, asked, program, content=content, now=now, held=held)
        writes = _purchase_writes(account, posting, sale, program, awaited, now=now)
        ends = [end_with_purchase(end_key(held.key), posting.main, now=now)] if held is not None else []
        return purchase_view(posting.main, sale, program, language), [*writes, *ends, *putting_in_use]

    def recall(item: Item) -> PurchaseView:
        return _recalled(table, item, member_id, book, command, language)

    for _ in range(ATTEMPTS_MAX):
        try:
            return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)
        except PurchaseAwaited as found:
            awaited = found.item
    raise WriteContended


def _purchase_writes(
    account: Account, posting: Posting, sale: Sale, program: Program, awaited: Item | None, *, now: datetime
) -> list[Write]:
    """The writes of a purchase, and of the returns that waited for it: applied one after the other, or refused.

    Args:
        awaited: what is stored of those returns.
    """
    purchase_id = keys.purchase_id(*posting.main.key.parts)
    last, more, writes = posting, store.sale_item(sale), list[Write]()
    bought = rules.Bought(posting.main, sale, program, Returned())
    for waiting in store.waiting_from(awaited):
        content = content_digest(posting.main.member_id, waiting.command, purchase_id=purchase_id)
        try:
            after, done = rules.assess_waiting(last.account, bought, waiting, program, content=content, now=now)
        except tuple(RECORDED.values()) as refusal:
            key = points_store.key_of(rules.return_key(posting.main, waiting.key))
            writes.append(store.refuse_return(key, waiting, refusal, posting.main.member_id, at=now))
            continue
        writes += points_store.entry_writes(done, more=_return_item(bought, after))
        bought, last = replace(bought, returned=after, version=bought.version + 1), done
    if bought.version:
        more |= store.returned_item(bought.returned, bought.version)
    own, *others = points_store.entry_writes(posting, more=more)
    after_all = points_store.replace_account(account, last.account, last.due_on)
    return [store.record(own, awaited), *others, *writes, after_all]


def find_purchase(table: Table, book: ProgramBook, purchase_id: PurchaseId, *, language: Language) -> PurchaseView:
    """A purchase with its lines and what followed from it.

    Raises:
        PurchaseUnknown: there is no such purchase.
    """
    key = keys.purchase_of(purchase_id)
    item = (store.find_purchase(table, key) or store.find_purchase(table, key, consistent=True)) if key else None
    if item is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    return _full_view(table, item, book, language)


def return_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    key: str,
    command: ReturnPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase: take back what it earned, give back what it spent; or wait for it to come.

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
    order = _order_of(purchase_id)
    if order is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    where = keys.purchase(order.channel, order.order_no)
    for _ in range(ATTEMPTS_MAX):
        item = store.find_order(table, where)
        try:
            if item is None or store.is_waiting(item):
                return _wait(table, order, item, key, command, now=now)
            return _return(table, book, purchase_id, item, key, command, now=now, language=language)
        except OrderMoved:
            continue
    raise WriteContended


def return_order(
    table: Table, book: ProgramBook, key: str, command: ReturnOrder, *, now: datetime, language: Language
) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
    """Return part of a purchase of which the caller knows the order number.

    Raises:
        PurchaseUnknown, NothingLeft, ReturnTooLarge, ReturnLineUnknown, OccurredInFuture, ReturnedBeforeBought,
        MemberClosed, ReturnDiffers, ReturnWaitedTooLong, TooManyWaiting, WriteContended: as `return_purchase`.
    """
    purchase_id = keys.purchase_id(command.channel, command.order_no)
    sent = ReturnPurchase.model_construct(**{name: getattr(command, name) for name in ReturnPurchase.model_fields})
    return return_purchase(table, book, purchase_id, key, sent, now=now, language=language)


def _order_of(purchase_id: str) -> OrderName | None:
    """The order that an id names, or None when no order can be recorded by that name."""
    parts = keys.order_of(purchase_id)
    try:
        name = OrderName(channel=parts[0], order_no=parts[1]) if parts else None
    except ValidationError:
        return None
    return name if name and parts == (name.channel, name.order_no) else None


def _wait(
    table: Table, order: OrderName, item: Item | None, key: str, command: ReturnPurchase, *, now: datetime
) -> Outcome[WaitingReturn]:
    """Let a return wait for its purchase. Those that waited too long make room, refused.

    Args:
        item: the returns that wait already, as they were read.

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
        ledger.not_later(command.occurred_at, now)
    late = [each for each in others if now > rules.waits_until(each)]
    waiting = [each for each in others if each not in late]
    if len(waiting) >= rules.WAITING_MAX:
        raise TooManyWaiting(purchase_id=purchase_id, limit=rules.WAITING_MAX)

    own = Waiting(key=key, content=content, command=command, received_at=from_milliseconds(milliseconds(now)))
    answer = _waiting_view(own, order)
    if command.dry_run:
        return Outcome(answer, stored=False, waits=True)
    refusals = [
        store.refuse_return(keys.purchase_return(order.channel, order.order_no, each.key), each, _too_long(each), None,
                            at=now)
        for each in late
    ]  # fmt: skip
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
    if now > rules.waits_until(known):
        raise _too_long(known)
    return _waiting_view(known, order)


def _too_long(waiting: Waiting) -> ReturnWaitedTooLong:
    return ReturnWaitedTooLong(waited_until=rules.waits_until(waiting).isoformat())


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
    bought = _bought(item, book)
    entry = bought.entry
    return_key = rules.return_key(entry, key)
    content = content_digest(entry.member_id, command, purchase_id=purchase_id)
    program = book.current(now)

    def decide(account: Account) -> tuple[ReturnView, Sequence[Write]]:
        after = rules.returned_after(bought, command, program.negative_balance, today_of(program, now))
        posting = rules.assess_return(account, bought, after, command, return_key, program, content=content, now=now)
        more = _return_item(bought, after)
        writes = points_store.post(account, posting, more=more)
        return _return_view(posting.main, more, program, language), [*writes, store.count_return(item, after)]

    def recall(known: Item) -> ReturnView:
        if store.is_refused(known):
            raise _refused_before(known, key, content_digest("", command, purchase_id=purchase_id))
        if known.get("d") != content:
            raise ReturnDiffers(key=key)
        return _returned_view(known, book, language)

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


def restate_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    command: RestatePurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[PurchaseView]:
    """Make a purchase what it is said to be now: the difference is one entry; none where there is no difference.

    Raises:
        PurchaseUnknown: there is no such purchase.
        PurchaseFixed: another member, order number, shop, time or currency is named than it was recorded with.
        PurchaseMoved: it was returned or restated since the version that is named.
        TenderTooSmall, TenderUneven, TenderTooLarge: the points pay nothing, no whole amount, or more than the lines.
        PointsInsufficient, OccurredTooLongAgo: more points would pay than there are, or pay for too old a purchase.
        MemberSuspended, MemberClosed: the account takes no such commands.
        BalanceTooLarge: the balance or the qualifying points would pass their limit.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    where = keys.purchase_of(purchase_id)
    for _ in range(ATTEMPTS_MAX):
        item = store.find_purchase(table, where, consistent=True) if where else None
        if item is None:
            raise PurchaseUnknown(purchase_id=purchase_id)
        try:
            return _restate(table, book, purchase_id, item, command, now=now, language=language)
        except OrderMoved:
            continue
    raise WriteContended


def _restate(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    item: Item,
    command: RestatePurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[PurchaseView]:
    """Restate a purchase as it was read.

    Raises:
        OrderMoved: another return or restatement got there first.
    """
    bought, program = _bought(item, book), book.current(now)
    rules.require_same_order(bought, command)
    after = rules.restated(bought, command, program.negative_balance, today_of(program, now))
    before = _full_view(table, item, book, language)
    if after is None:
        return Outcome(before)
    if command.version is not None and command.version != bought.version:
        raise PurchaseMoved(asked=command.version, version=bought.version)
    content = content_digest(bought.entry.member_id, command, purchase_id=purchase_id)

    def decide(account: Account) -> tuple[PurchaseView, Sequence[Write]]:
        off = _written_off(table, item)
        posting = rules.assess_restatement(
            account, bought, after, command, program, content=content, now=now, written_off=off
        )
        more = store.restatement_item(after.sale, after.entry.consumed or 0)
        writes = points_store.post(account, posting, more=more)
        own = _restatement_view(posting.main, after.sale, more["tp"], program, language)
        view = before.model_copy(update={**_state_of(after), "history": (*before.history, own)})
        return view, [*writes, store.restate(item, points_store.figures_item(after.entry), after.sale)]

    def recall(other: Item) -> PurchaseView:  # noqa: ARG001 - another restatement made this version
        raise OrderMoved

    key = rules.restatement_key(bought)
    member_id = bought.entry.member_id
    return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)


def _written_off(table: Table, item: Item) -> dict[date, int]:
    """What was written off for a purchase and still counts, by its last day."""
    changes = store.find_changes(table, Key(item["pk"], item["sk"])) if store.version_of(item) else ()
    entries = [points_store.entry_from(each) for each in changes]
    found = (points_store.find_entry(table, ledger.write_off_key(entry.key)) for entry in entries)
    write_offs = [points_store.entry_from(each) for each in found if each is not None]
    return rules.written_off(entries, [each for each in write_offs if still_counts(table, each.key)])


def brought_again_since(table: Table, cause: EntryKey) -> bool:
    """Whether points of a purchase were brought again after one of its returns or restatements."""
    found = store.find_changes(table, keys.purchase(*cause.parts[:2]))
    changes = [points_store.entry_from(each) for each in found]
    place = next((at for at, each in enumerate(changes) if each.key == cause), len(changes))
    return any(map(rules.brings_again, changes[place + 1 :]))


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
    where = keys.purchase_of(purchase_id)
    for _ in range(ATTEMPTS_MAX):
        item = store.find_purchase(table, where, consistent=True) if where else None
        if item is None:
            raise PurchaseUnknown(purchase_id=purchase_id)
        try:
            return _deliver(table, book, purchase_id, item, command, now=now, language=language)
        except OrderMoved:
            continue
    raise WriteContended


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
    bought, program = _bought(item, book), book.current(now)
    member_id, key = bought.entry.member_id, rules.delivery_key(bought)
    content = content_digest(member_id, command, purchase_id=purchase_id)

    def decide(account: Account) -> tuple[DeliveryView, Sequence[Write]]:
        delivery, posting = rules.assess_delivery(account, bought, command, program, content=content, now=now)
        writes = [*points_store.post(account, posting), store.deliver(item, delivery)]
        return _delivery_view(posting.main, program, language), writes

    def recall(known: Item) -> DeliveryView:
        if known.get("d") != content:
            raise DeliveryDiffers(purchase_id=purchase_id)
        entry = points_store.entry_from(known)
        return _delivery_view(entry, book.version(entry.program_version), language)

    known = points_store.find_entry(table, key) if bought.delivery else None
    if known is not None:
        return Outcome(recall(known), replayed=True)
    return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)


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
    order = _order_of(purchase_id)
    where = keys.purchase(order.channel, order.order_no) if order else None
    item = store.find_order(table, where) if where else None
    if order is None or where is None or item is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    found: list[tuple[datetime, datetime, ReturnView | WaitingReturn | RefusedReturn]] = []
    for each in store.find_returns(table, where):
        if store.is_refused(each):
            one, at = store.refused_from(each)
            found.append((at, one.received_at, _refused_view(one, store.refusal_from(each), order, at=at)))
        else:
            view = _returned_view(each, book, language)
            found.append((view.recorded_at, view.recorded_at, view))
    for one in store.waiting_from(item) if store.is_waiting(item) else ():
        until = rules.waits_until(one)
        if now > until:
            found.append((until, one.received_at, _refused_view(one, _too_long(one), order, at=until)))
        else:
            found.append((one.received_at, one.received_at, _waiting_view(one, order)))
    return tuple(view for _, _, view in sorted(found, key=lambda each: each[:2]))


def list_purchases(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    *,
    after: str | None,
    limit: int,
    language: Language,
    shop_ids: Collection[ShopId] | None = None,
) -> Slice[PurchaseView]:
    """A page of a member's purchases, newest first, those of members who were merged into this one among them.

    A page may hold fewer than `limit`, or none, and still not be the last: only so many other entries are passed over
    for one page.

    Args:
        shop_ids: purchases of other shops are left out; None: none are.

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
    views = tuple(_view_now(item, book, language) for item in shown if _reaches(shop_ids, item))
    if len(wanted) <= len(shown):
        return Slice(views, position)
    places = {(row["pk"], row["sk"]): str(row["place"]) for row in wanted}
    return Slice(views, places[shown[-1]["pk"], shown[-1]["sk"]])


def _reaches(shop_ids: Collection[ShopId] | None, item: Item) -> bool:
    shop_id = store.sale_from(item).shop_id
    return shop_ids is None or shop_id is None or shop_id in shop_ids


def _within_one_answer(items: list[Item]) -> list[Item]:
    """The first purchases, at least one, whose lines fit an answer: Lambda gives back no more than 6 MB."""
    lines = 0
    for place, item in enumerate(items):
        lines += len(store.sale_from(item).lines)
        if place and lines > LINES_MAX:
            return items[:place]
    return items


def purchase_view(entry: Entry, sale: Sale, program: Program, language: Language) -> PurchaseView:
    """A purchase as callers see it.

    Args:
        program: the version it was decided by.
    """
    channel, order_no = entry.key.parts
    tendered = entry.consumed or 0
    discounts = (Discount(kind="points_tender", points=tendered, amount_minor=sale.tender_minor),) if tendered else ()
    return PurchaseView(
        purchase_id=keys.purchase_id(channel, order_no),
        member_id=MemberId(entry.member_id),
        channel=channel,
        order_no=order_no,
        shop_id=sale.shop_id,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        currency=sale.currency,
        lines=sale.lines,
        paid_minor=sale.paid_minor,
        points_earned=entry.earned or 0,
        points_tendered=tendered,
        points_hold_id=store.hold_id_of(entry),
        points_expired=entry.lapsed or 0,
        expires_on=shown_expiry(entry.expires_on),
        matures_on=shown_maturity(entry.matures_on),
        awaits_delivery=sale.awaits_delivery,
        why=why_lines(entry, program, language),
        discounts=discounts,
        tier_before=_tier_name(entry.tier_before, program, language),
        tier_after=_tier_name(entry.tier_after, program, language),
        balance_after=entry.balance_after - (entry.lapsed or 0),
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


def _bought(item: Item, book: ProgramBook) -> rules.Bought:
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
    return rules.Bought(entry, store.sale_from(stated), program, returned, store.version_of(item), delivery)


def _return_item(bought: rules.Bought, after: Returned) -> dict[str, Any]:
    """What a return adds to its entry."""
    lines = rules.returned_lines(bought.sale, bought.returned, after)
    return store.return_item(bought.sale, bought.returned, after, lines)


def _state_of(bought: rules.Bought) -> dict[str, Any]:
    """What a purchase is now, where that is not what it was recorded as."""
    delivered = {
        "awaits_delivery": False,
        "delivered_at": bought.delivery.delivered_at,
        "matures_on": bought.delivery.matures_on,
    } if bought.delivery else {}  # fmt: skip
    return {
        **delivered,
        "version": bought.version,
        "kept": rules.kept_of(bought) if bought.version else None,
        "returned": bought.returned if bought.returned.count else None,
    }


def _view_now(item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    """A purchase as it was recorded, and what it is now."""
    view = _view_of(item, book, language)
    return view.model_copy(update=_state_of(_bought(item, book))) if store.version_of(item) else view


def _full_view(table: Table, item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    """A purchase with all that happened to it."""
    changes = store.find_changes(table, Key(item["pk"], item["sk"])) if store.version_of(item) else ()
    history = tuple(_change_view(each, book, language) for each in changes)
    return _view_now(item, book, language).model_copy(update={"history": history})


def _change_view(item: Item, book: ProgramBook, language: Language) -> ReturnView | RestatementView:
    entry = points_store.entry_from(item)
    if entry.key.kind == "return":
        return _returned_view(item, book, language)
    sale = store.sale_from(item)
    return _restatement_view(entry, sale, item["tp"], book.version(entry.program_version), language)


def _restatement_view(entry: Entry, sale: Sale, tender: int, program: Program, language: Language) -> RestatementView:
    return RestatementView(
        restatement_id=keys.entry_id(points_store.key_of(entry.key)),
        reason=entry.reason_code or "",
        recorded_at=entry.recorded_at,
        lines=sale.lines,
        paid_minor=sale.paid_minor,
        points_tender=tender,
        points_earned=entry.earned or 0,
        points_spent=entry.consumed or 0,
        points_expired=entry.lapsed or 0,
        why=why_lines(entry, program, language),
        tier_before=_tier_name(entry.tier_before, program, language),
        tier_after=_tier_name(entry.tier_after, program, language),
        balance_after=entry.balance_after - (entry.lapsed or 0),
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


def _delivery_view(entry: Entry, program: Program, language: Language) -> DeliveryView:
    points, first = rules.released_by(entry)
    return DeliveryView(
        delivery_id=keys.entry_id(points_store.key_of(entry.key)),
        purchase_id=keys.purchase_id(*entry.key.parts),
        member_id=MemberId(entry.member_id),
        delivered_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        points_released=points,
        spendable_on=first,
        why=why_lines(entry, program, language),
        balance_after=entry.balance_after,
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


def _waiting_view(waiting: Waiting, order: OrderName) -> WaitingReturn:
    return WaitingReturn(**_waited(waiting, order), waits_until=rules.waits_until(waiting))


def _refused_view(waiting: Waiting, refusal: Refusal, order: OrderName, *, at: datetime) -> RefusedReturn:
    facts = {name: fact for name, fact in refusal.facts.items() if fact is not None}
    return RefusedReturn(
        **_waited(waiting, order), refused_at=at, code=refusal.code, detail=refusal.detail, facts=facts
    )


def _waited(waiting: Waiting, order: OrderName) -> dict[str, Any]:
    key = keys.purchase_return(order.channel, order.order_no, waiting.key)
    return {
        "return_id": keys.entry_id(key),
        "purchase_id": keys.purchase_id(order.channel, order.order_no),
        "reason": waiting.command.reason,
        "lines": waiting.command.lines,
        "amount_minor": waiting.command.amount_minor,
        "received_at": waiting.received_at,
    }


def _returned_view(item: Item, book: ProgramBook, language: Language) -> ReturnView:
    entry = points_store.entry_from(item)
    return _return_view(entry, item, book.version(entry.program_version), language)


def _return_view(entry: Entry, stored: Mapping[str, Any], program: Program, language: Language) -> ReturnView:
    """A return as callers see it.

    Args:
        stored: what the return adds to its entry.
    """
    channel, order_no, _ = entry.key.parts
    return ReturnView(
        return_id=keys.entry_id(points_store.key_of(entry.key)),
        purchase_id=keys.purchase_id(channel, order_no),
        member_id=MemberId(entry.member_id),
        reason=entry.reason_code or "",
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        currency=stored["cu"],
        lines=tuple(ReturnLine(sku=sku, quantity=quantity) for sku, quantity in stored.get("rl") or ()),
        amount_minor=stored["am"],
        refund_minor=stored["mb"],
        points_taken_back=-(entry.earned or 0),
        points_given_back=-(entry.consumed or 0),
        points_expired=entry.lapsed or 0,
        why=why_lines(entry, program, language),
        tier_before=_tier_name(entry.tier_before, program, language),
        tier_after=_tier_name(entry.tier_after, program, language),
        balance_after=entry.balance_after - (entry.lapsed or 0),
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


def _recorded_before(
    table: Table, book: ProgramBook, key: EntryKey, command: RecordPurchase, language: Language
) -> Outcome[PurchaseView]:
    """The answer when nobody is found by the identifier now: the member may have had it when the order was recorded.

    Raises:
        PurchaserUnknown: the order was not recorded before either.
        PurchaseDiffers: it was, with other content.
    """
    item = points_store.find_entry(table, key)
    if item is None:
        raise PurchaserUnknown(field=_field_of(command.member))
    return Outcome(_recalled(table, item, points_store.member_of(item), book, command, language), replayed=True)


def _recalled(
    table: Table, item: Item, member_id: AccountId, book: ProgramBook, command: RecordPurchase, language: Language
) -> PurchaseView:
    if not is_repeat(table, item, member_id, lambda each: content_digest(each, command)):
        raise PurchaseDiffers(channel=command.channel, order_no=command.order_no)
    return _view_of(item, book, language)


def _view_of(item: Item, book: ProgramBook, language: Language) -> PurchaseView:
    entry = points_store.entry_from(item)
    return purchase_view(entry, store.sale_from(item), book.version(entry.program_version), language)


def _tier_name(tier_id: str | None, program: Program, language: Language) -> TierName:
    tier = program.tier(tier_id or "")
    return TierName(tier_id=tier.tier_id, name=tier.name.in_(language))


def _field_of(reference: MemberRef) -> str:
    return next(iter(reference.model_dump(exclude_none=True)))
