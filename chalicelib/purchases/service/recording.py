"""Records a purchase, with the returns that waited for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chalicelib.holds.rules import end_key
from chalicelib.holds.service import require_live
from chalicelib.holds.store import end_with_purchase
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.models import MemberRef
from chalicelib.members.service import find_member_id
from chalicelib.points import store as points_store
from chalicelib.points.models import Account, EntryKey, Posting
from chalicelib.points.rules import guards
from chalicelib.points.service import ATTEMPTS_MAX, content_digest, is_repeat, once
from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases import store
from chalicelib.purchases.errors import RECORDED, CurrencyWrong, PurchaseAwaited, PurchaseDiffers, PurchaserUnknown
from chalicelib.purchases.models import After, PurchaseView, RecordPurchase, Returned, Sale
from chalicelib.purchases.rules import buying, orders, returns
from chalicelib.purchases.rules.write_offs import turns_of
from chalicelib.purchases.service import items, views
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def record_purchase(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    command: RecordPurchase,
    *,
    now: datetime,
    language: Language,
    may_be_large: bool = True,
) -> Outcome[PurchaseView]:
    """Record a purchase: entry, account and tier in one transaction, with the returns that waited for it.

    Args:
        may_be_large: whoever sends it may record more than the program lets anybody.

    Raises:
        PurchaserUnknown, MemberUnknown, MemberSuspended, MemberClosed: nobody can earn or pay with points.
        MobileInvalid, MemberNumberWrong: nobody can have this identifier.
        CurrencyWrong, OccurredInFuture, TenderTooSmall, TenderUneven, TenderTooLarge, PointsInsufficient,
        PurchaseTooLarge, BalanceTooLarge: as they say.
        HoldUnknown, HoldOver, CaptureTooLarge: the hold that is to pay cannot, or not so much.
        PurchaseDiffers: this order was recorded before with other content.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    head = book.head(now)
    putting_in_use = book.putting_in_use(now)
    try:
        outcome = _record(
            table, keyring, book, command, putting_in_use, now=now, language=language, may_be_large=may_be_large
        )
    except (ProgramMoved, CurrencyWrong):
        # A program without purchases may have got its first one, or another currency, since this process read it.
        if not putting_in_use:
            raise
        book.reread(now)
        if book.head(now) == head:
            raise
        return record_purchase(table, keyring, book, command, now=now, language=language, may_be_large=may_be_large)
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
    may_be_large: bool,
) -> Outcome[PurchaseView]:
    program = book.current(now)
    key = buying.key_of(command)
    member_id = find_member_id(table, keyring, command.member, program, consistent=True)
    if member_id is None:
        return _recorded_before(table, book, key, command, language)
    content = content_digest(member_id, command)
    awaited: Item | None = None

    def decide(account: Account) -> tuple[PurchaseView, Sequence[Write]]:
        if not may_be_large:
            buying.require_likely(command.paid_minor, program)
        hold_id = command.points_hold_id
        held = require_live(table, account, hold_id, program, now=now) if hold_id is not None else None
        asked = buying.tendering(command, held)
        sale = buying.sale_of(asked, program)
        if asked.points_tender and held is None:
            guards.require_recent(command.occurred_at, now)
        posting = buying.assess(account, asked, program, content=content, now=now, held=held)
        writes, after = _purchase_writes(account, posting, sale, member_id, program, awaited, now=now)
        ends = [end_with_purchase(end_key(held.key), posting.main, now=now)] if held is not None else []
        view = views.purchase_view(posting.main, sale, program, language, after=after)
        return view, [*writes, *ends, *putting_in_use]

    def recall(item: Item) -> PurchaseView:
        return _recalled(table, item, member_id, book, command, language)

    for _ in range(ATTEMPTS_MAX):
        try:
            return once(table, book, member_id, key, decide=decide, recall=recall, now=now, dry_run=command.dry_run)
        except PurchaseAwaited as found:
            awaited = found.item
    raise WriteContended


def _purchase_writes(
    account: Account,
    posting: Posting,
    sale: Sale,
    member_id: MemberId,
    program: Program,
    awaited: Item | None,
    *,
    now: datetime,
) -> tuple[list[Write], After | None]:
    """The writes of a purchase, and of the returns that waited for it: applied one after the other, or refused.

    Also what the account has after the returns, where some were applied.

    Args:
        member_id: whose it was said to be; the account is another's where that member was merged.
        awaited: what is stored of those returns.
    """
    purchase_id = keys.purchase_id(*posting.main.key.parts)
    more = store.sale_item(sale) | store.sent_item(account.member_id, member_id)
    last, writes, turns = posting, list[Write](), turns_of(posting.main)
    bought = orders.Bought(posting.main, sale, program, Returned())
    for waiting in store.waiting_from(awaited):
        content = content_digest(posting.main.member_id, waiting.command, purchase_id=purchase_id)
        try:
            after, done = returns.assess_waiting(
                last.account, bought, waiting, program, content=content, now=now, turns=turns
            )
        except tuple(RECORDED.values()) as refusal:
            key = points_store.key_of(returns.return_key(posting.main, waiting.key))
            writes.append(store.refuse_return(key, waiting, refusal, posting.main.member_id, at=now))
            continue
        writes += points_store.entry_writes(done, more=items.return_item_of(bought, after, waiting.command))
        turns = turns.after(done.main)
        bought, last = replace(bought, returned=after, version=bought.version + 1), done
    ended: After | None = None
    if bought.version:
        ended = After(last.account.lifetime.balance, last.tier_after)
        more |= store.returned_item(bought.returned, bought.version) | store.after_item(ended)
    own, *others = points_store.entry_writes(posting, more=more)
    after_all = points_store.replace_account(account, last.account, last.due_on)
    return [store.record(own, awaited), *others, *writes, after_all], ended


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
    return views.view_of(item, book, language)


def _field_of(reference: MemberRef) -> str:
    return next(iter(reference.model_dump(exclude_none=True)))
