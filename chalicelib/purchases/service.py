"""Use cases of purchases: record one, read them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.holds.rules import end_key
from chalicelib.holds.service import require_live
from chalicelib.holds.store import end_with_purchase
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import MemberId, PurchaseId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.models import MemberRef
from chalicelib.members.service import find_member_id
from chalicelib.points import rules as ledger
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberUnknown
from chalicelib.points.models import Account, Entry, EntryKey
from chalicelib.points.service import ATTEMPTS_MAX, content_digest, once, why_lines
from chalicelib.points.views import shown_expiry
from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import rules, store
from chalicelib.purchases.errors import (
    CurrencyWrong,
    PurchaseDiffers,
    PurchaseMoved,
    PurchaserUnknown,
    PurchaseUnknown,
    ReturnDiffers,
)
from chalicelib.purchases.models import (
    Discount,
    PurchaseView,
    RecordPurchase,
    ReturnLine,
    ReturnPurchase,
    ReturnView,
    Sale,
    TierName,
)
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
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
    """Record a purchase: entry, account and tier in one transaction.

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

    def decide(account: Account) -> tuple[PurchaseView, Sequence[Write]]:
        hold_id = command.points_hold_id
        held = require_live(table, account, hold_id, program, now=now) if hold_id is not None else None
        asked = rules.tendering(command, held)
        sale = rules.sale_of(asked, program)
        if asked.points_tender and held is None:
            ledger.require_recent(command.occurred_at, now)
        posting = rules.assess(account, asked, program, content=content, now=now, held=held)
        more = store.sale_item(sale)
        writes = points_store.post(account, posting, more=more)
        ends = [end_with_purchase(end_key(held.key), posting.main, now=now)] if held is not None else []
        return purchase_view(posting.main, sale, program, language), [*writes, *ends, *putting_in_use]

    def recall(item: Item) -> PurchaseView:
        return _recalled(item, content, book, command, language)

    return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)


def find_purchase(table: Table, book: ProgramBook, purchase_id: PurchaseId, *, language: Language) -> PurchaseView:
    """A purchase with its lines and what followed from it.

    Raises:
        PurchaseUnknown: there is no such purchase.
    """
    key = keys.purchase_of(purchase_id)
    item = (store.find_purchase(table, key) or store.find_purchase(table, key, consistent=True)) if key else None
    if item is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    returned = store.returned_from(item)
    return _view_of(item, book, language).model_copy(update={"returned": returned if returned.count else None})


def return_purchase(
    table: Table,
    book: ProgramBook,
    purchase_id: PurchaseId,
    key: str,
    command: ReturnPurchase,
    *,
    now: datetime,
    language: Language,
) -> Outcome[ReturnView]:
    """Return part of a purchase: take back what it earned, give back what it spent.

    Raises:
        PurchaseUnknown: there is no such purchase.
        NothingLeft, ReturnTooLarge, ReturnLineUnknown: so much is not there to return.
        OccurredInFuture, ReturnedBeforeBought: `occurred_at` cannot be right.
        MemberClosed: the membership was closed.
        ReturnDiffers: this key was used before for another return of the purchase.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        where = keys.purchase_of(purchase_id)
        item = store.find_purchase(table, where, consistent=True) if where else None
        if item is None:
            raise PurchaseUnknown(purchase_id=purchase_id)
        try:
            return _return(table, book, purchase_id, item, key, command, now=now, language=language)
        except PurchaseMoved:
            continue
    raise WriteContended


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
        PurchaseMoved: another return got there first.
    """
    entry, sale, before = points_store.entry_from(item), store.sale_from(item), store.returned_from(item)
    bought = rules.Bought(entry, sale, book.version(entry.program_version), before)
    return_key = rules.return_key(entry, key)
    content = content_digest(entry.member_id, command, purchase_id=purchase_id)
    program = book.current(now)

    def decide(account: Account) -> tuple[ReturnView, Sequence[Write]]:
        after = rules.returned_after(bought, command, program.negative_balance, today_of(program, now))
        posting = rules.assess_return(account, bought, after, command, return_key, program, content=content, now=now)
        more = store.return_item(sale, before, after, rules.returned_lines(sale, before, after))
        writes = points_store.post(account, posting, more=more)
        return _return_view(posting.main, more, program, language), [*writes, store.count_return(item, before, after)]

    def recall(known: Item) -> ReturnView:
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


def list_returns(
    table: Table, book: ProgramBook, purchase_id: PurchaseId, *, language: Language
) -> tuple[ReturnView, ...]:
    """The returns of a purchase, in the order in which they were recorded.

    Raises:
        PurchaseUnknown: there is no such purchase.
    """
    where = keys.purchase_of(purchase_id)
    if where is None or store.find_purchase(table, where, consistent=True) is None:
        raise PurchaseUnknown(purchase_id=purchase_id)
    views = (_returned_view(item, book, language) for item in store.find_returns(table, where))
    return tuple(sorted(views, key=lambda view: view.seq))


def list_purchases(
    table: Table, book: ProgramBook, member_id: MemberId, *, after: str | None, limit: int, language: Language
) -> Slice[PurchaseView]:
    """A page of a member's purchases, newest first.

    A page may hold fewer than `limit`, or none, and still not be the last: only so many other entries are passed over
    for one page.

    Raises:
        MemberUnknown: there is no such member.
    """
    wanted: list[Item] = []
    position = after
    for _ in range(READS_MAX):
        rows = store.list_rows(table, member_id, after=position, limit=limit)
        wanted += filter(store.is_purchase, rows.items)
        position = rows.last
        if position is None or len(wanted) >= limit:
            break
    if not wanted and after is None and points_store.find_account(table, member_id, consistent=True) is None:
        raise MemberUnknown(member_id=member_id)
    shown = _within_one_answer(store.find_purchases(table, wanted[:limit]))
    views = tuple(_view_of(item, book, language) for item in shown)
    return Slice(views, str(shown[-1]["at"]) if len(wanted) > len(shown) else position)


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
        points_hold_id=keys.hold_id(*entry.cause.parts) if entry.cause and entry.cause.kind == "hold" else None,
        points_expired=entry.lapsed or 0,
        expires_on=shown_expiry(entry.expires_on),
        matures_on=entry.matures_on,
        why=why_lines(entry, program, language),
        discounts=discounts,
        tier_before=_tier_name(entry.tier_before, program, language),
        tier_after=_tier_name(entry.tier_after, program, language),
        balance_after=entry.balance_after - (entry.lapsed or 0),
        seq=entry.seq,
        program_version=entry.program_version,
        hash=entry.hash.hex(),
    )


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
    content = content_digest(points_store.member_of(item), command)
    return Outcome(_recalled(item, content, book, command, language), replayed=True)


def _recalled(
    item: Item, content: bytes, book: ProgramBook, command: RecordPurchase, language: Language
) -> PurchaseView:
    if item.get("d") != content:
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
