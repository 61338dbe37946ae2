"""Use cases of cards: open, top up, spend, use, refund, extend, suspend, close, read."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeVar

from chalicelib.approvals.service import FREE, Clearance, Move
from chalicelib.cards import store, views
from chalicelib.cards.errors import (
    CardClosed,
    CardDiffers,
    CardEntryUnknown,
    CardNotEmpty,
    CardNumberTaken,
    CardsHoldValue,
    CardUnknown,
)
from chalicelib.cards.models import (
    Card,
    CardEntryView,
    CardKind,
    CardView,
    CloseCard,
    ExtendCard,
    OpenCard,
    Payout,
    RefundCard,
    RefundCardSpend,
    ReinstateCard,
    ReverseCardUse,
    SpendCard,
    SuspendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.cards.rules import count_cards, gifts, holding, openings, refunds, stored_value
from chalicelib.identity.models import Caller, Owner
from chalicelib.kernel.calendar import from_milliseconds, local_day, milliseconds
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import CardId, EntryId, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.models import CloseMember, MemberView
from chalicelib.members.service import close_member
from chalicelib.points import fold
from chalicelib.points import store as points_store
from chalicelib.points.errors import AccountMoved, EntryDiffers, EntryKnown, MemberUnknown
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting
from chalicelib.points.rules import due_dates, guards
from chalicelib.points.service import ATTEMPTS_MAX, CLOSINGS_MAX, book_due, content_digest, once
from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.programs.rules import for_account, today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write

C = TypeVar("C", OpenCard, TopUpCard)

CLOSED_AT_ONCE = 8
"""So many cards are closed in one transaction with the membership of their owner; others before it."""

CLOSING_WRITES_MAX = 4
"""A card whose closing takes more writes, because much expired, is closed before it too."""

NAMED_MAX = 20
"""So many cards that hold something are named when a membership is not closed for them."""

# ---------------------------------------------------------------- opening


def open_card(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: OpenCard,
    *,
    now: datetime,
    by: Caller | None = None,
) -> Outcome[CardView]:
    """Open a card for a member, once for ever for its key.

    Args:
        by: who sends it; None where no person does.

    Raises:
        MemberUnknown, MemberSuspended, MemberClosed: nobody can own it.
        CardNumberTaken: there is a card of this number.
        CardGiftForbidden, CardGiftUnexplained: visits are given that were not paid for.
        ExpiryPast, ExpiryTooFar: its visits would have expired already, or live for decades.
        CardDiffers: this key was used before to open another card.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    content = content_digest(member_id, _unexplained(command))
    for _ in range(ATTEMPTS_MAX):
        try:
            return _open(table, book, member_id, key, command, content, by, now=now)
        except ProgramMoved:  # it was put in use meanwhile
            book.reread(now)
        except AccountMoved:  # the owner got another card, or was closed
            continue
        except EntryKnown as known:
            return Outcome(_opened_before(table, book, known.item, key, content), replayed=True)
        except Refusal:
            item = points_store.find_entry(table, openings.opening_key(key))
            if item is None:
                raise
            return Outcome(_opened_before(table, book, item, key, content), replayed=True)
    raise WriteContended


def _open(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: OpenCard,
    content: bytes,
    by: Caller | None,
    *,
    now: datetime,
) -> Outcome[CardView]:
    owner = points_store.find_answering(table, member_id, consistent=True)
    if owner is None:
        raise MemberUnknown(member_id=member_id)
    guards.require_open(owner)
    card_id = openings.card_id_of(command, key)
    program = for_account(book.current(now), card_id)
    card = Card(
        card_id=card_id,
        member_id=MemberId(owner.member_id),
        kind=command.kind,
        currency=program.currency,
        name=command.name,
        card_number=command.card_number,
        uses=command.uses or 0,
        price_minor=command.price_minor,
        product=command.product,
        means=command.means,
        opened_at=from_milliseconds(milliseconds(now)),
    )
    given = gifts.given_visits(command, program)
    gifts.require_may_give(given, command.reason, by)
    posting = openings.opened(card, command, key, program, content=content, now=now)
    answer = views.card_view(card, posting.account, today_of(program, now))
    taken = CardNumberTaken(card_number=command.card_number or card_id)
    if command.dry_run:
        known = points_store.find_entry(table, openings.opening_key(key))
        if known is not None:
            raise EntryKnown(known)
        if store.find_items(table, card_id, consistent=True) is not None:
            raise taken
        return Outcome(answer, stored=False)
    more = store.entry_more(means=command.means) | store.sent_item(owner.member_id, member_id)
    first = points_store.post(posting.account, posting, more=more)[0]
    opening = points_store.open_account(posting.account, taken, posting.due_on)
    counted = store.count_in(store.find_wallet(table, owner.member_id), 1)
    first = store.giving(first, given)
    table.commit([first, opening, *store.open_card(card, taken), counted, *book.putting_in_use(now)])
    return Outcome(answer)


def _unexplained(command: C) -> C:
    """A command as its digest covers it: what is said of a gift stands in the audit entry, where it can be erased."""
    return command.model_copy(update={"reason": None})


def _opened_before(table: Table, book: ProgramBook, item: Item, key: str, content: bytes) -> CardView:
    """The first answer to an opening: the card as it was then."""
    entry = points_store.entry_from(item)
    if entry.content != content or entry.actor is None:
        raise CardDiffers(key=key)
    card, _ = _load(table, CardId(entry.member_id), consistent=True)
    program = book.version(entry.program_version)
    on = local_day(entry.occurred_at, program.time_zone)
    account = fold.applied(openings.empty(card.card_id, on), entry)
    return views.card_view(card.model_copy(update={"member_id": entry.actor}), account, on)


# ---------------------------------------------------------------- commands that write an entry


@dataclass(frozen=True, slots=True)
class _Decided:
    """What a command comes to.

    Attributes:
        more: attributes that it adds to its entry.
        writes: what is written besides.
    """

    posting: Posting
    more: Item
    writes: list[Write] = field(default_factory=list)


Decide = Callable[[Card, Account, Program, bytes], _Decided]


def top_up_card(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    key: str,
    command: TopUpCard,
    *,
    now: datetime,
    language: Language,
    by: Caller | None = None,
) -> Outcome[CardEntryView]:
    """Pay money into a card.

    Args:
        by: who sends it; None where no person does.

    Raises:
        CardUnknown, CardSuspended, CardClosed, CardKindWrong: no card takes it.
        CardLimitExceeded: the card would hold more than a card may.
        CardGiftForbidden, CardGiftUnexplained: the bonus is more than any till may give for what is paid.
        ExpiryPast, ExpiryTooFar: the bonus would have expired already, or live for decades.
        OccurredInFuture: `occurred_at` is later than now.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="top_up", parts=(card_id, key))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        posting = stored_value.top_up(account, card, command, entry_key, program, content=content, now=now)
        given = gifts.given_beyond(command, program)
        gifts.require_may_give(given, command.reason, by)
        more = store.entry_more(reference=command.reference, means=command.means)
        return _Decided(posting, more | store.given_item(given))

    asked = _unexplained(command)
    return _carry_out(table, book, card_id, CardKind.STORED_VALUE, entry_key, asked, decide, now=now, language=language)


def spend_card(
    table: Table, book: ProgramBook, card_id: CardId, key: str, command: SpendCard, *, now: datetime, language: Language
) -> Outcome[CardEntryView]:
    """Pay with a card, out of principal and bonus in proportion.

    Raises:
        CardUnknown, CardSuspended, CardClosed, CardKindWrong: no card pays for it.
        CardBalanceInsufficient: the card holds less.
        OccurredInFuture, OccurredTooLongAgo: `occurred_at` is later than now, or too long ago to be told now.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_spend", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        guards.require_recent(command.occurred_at or now, now)
        posting = stored_value.spend(account, card, command, entry_key, program, content=content, now=now)
        return _Decided(posting, store.entry_more(reference=command.reference))

    return _carry_out(
        table, book, card_id, CardKind.STORED_VALUE, entry_key, command, decide, now=now, language=language
    )


def refund_card_spend(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    key: str,
    command: RefundCardSpend,
    *,
    now: datetime,
    language: Language,
) -> Outcome[CardEntryView]:
    """Give a spend back to its card, in part or whole; principal and bonus come back as they were taken.

    Raises:
        CardUnknown, CardClosed, CardKindWrong: no card takes it back.
        CardEntryUnknown: the card has no such spend.
        CardRefundTooLarge: more than is left of the spend.
        OccurredInFuture: `occurred_at` is later than now.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_spend_refund", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        item = _entry_item(table, card_id, command.spend_id, "card_spend")
        spent, before = points_store.entry_from(item), store.back_of(item)
        posting, back = stored_value.refund_spend(
            account, card, spent, before, command, entry_key, program, content=content, now=now
        )
        return _Decided(posting, store.entry_more(reference=item.get("rf")), [store.count_back(item, back)])

    return _carry_out(
        table, book, card_id, CardKind.STORED_VALUE, entry_key, command, decide, now=now, language=language
    )


def refund_card(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    key: str,
    command: RefundCard,
    *,
    now: datetime,
    language: Language,
    clearance: Clearance = FREE,
) -> Outcome[CardEntryView]:
    """Pay back what is left on a card, by the means by which it was paid in; the answer says what goes back by which.

    Args:
        clearance: whether so much may be paid back by who sends it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it may not.
        CardUnknown, CardClosed: there is no card to refund.
        CardEmpty: nothing is left that was paid for.
        CardEntryUnknown: the card has no such top-up.
        CardRefundTooLarge, CardRefundTooWide, UsesInsufficient: more than is left, or to too many top-ups.
        RefundUnclear: it names what a card of this kind does not have.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_refund", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        if card.kind is CardKind.COUNT:
            made = refunds.refund_uses(account, card, command, entry_key, program, content=content, now=now)
            return _paid_back(made, [], clearance)
        items = store.find_top_ups(table, card_id)
        top_ups = [_top_up(item) for item in items]
        named = _top_up(_entry_item(table, card_id, command.top_up_id, "top_up")) if command.top_up_id else None
        made = refunds.refund(account, card, top_ups, named, command, entry_key, program, content=content, now=now)
        by_seq = {each.seq: item for each, item in zip(top_ups, items, strict=True)}
        writes = [store.count_back(by_seq[each.seq], back) for each, back in made.back]
        return _paid_back(made, writes, clearance)

    return _carry_out(table, book, card_id, None, entry_key, command, decide, now=now, language=language)


def _paid_back(made: refunds.Refund, writes: list[Write], clearance: Clearance) -> _Decided:
    """What paying back comes to, when so much may be paid back.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it may not.
    """
    entry_id = keys.entry_id(points_store.key_of(made.posting.main.key))
    amount = sum(each.amount_minor for each in made.payouts)
    cleared = clearance.clear(Move((made.posting.account.member_id,), amount, entry_id, AccountMoved()))
    more = store.entry_more(payouts=made.payouts) | cleared.facts
    return _Decided(made.posting, more, [*writes, *cleared.writes])


def use_card(
    table: Table, book: ProgramBook, card_id: CardId, key: str, command: UseCard, *, now: datetime, language: Language
) -> Outcome[CardEntryView]:
    """Use a count card.

    Raises:
        CardUnknown, CardSuspended, CardClosed, CardKindWrong: no card can be used.
        UsesInsufficient: fewer are left, or they expired.
        OccurredInFuture, OccurredTooLongAgo: `occurred_at` is later than now, or too long ago to be told now.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_use", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        guards.require_recent(command.occurred_at or now, now)
        posting = count_cards.use(account, card, command, entry_key, program, content=content, now=now)
        return _Decided(posting, store.entry_more(reference=command.reference))

    return _carry_out(table, book, card_id, CardKind.COUNT, entry_key, command, decide, now=now, language=language)


def reverse_card_use(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    key: str,
    command: ReverseCardUse,
    *,
    now: datetime,
    language: Language,
) -> Outcome[CardEntryView]:
    """Take a use back, in part or whole, as if it had never been.

    Raises:
        CardUnknown, CardClosed, CardKindWrong: no card takes it back.
        CardEntryUnknown: the card has no such use.
        CardRefundTooLarge: more than is left of the use.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_use_reversal", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        item = _entry_item(table, card_id, command.use_id, "card_use")
        used, before = points_store.entry_from(item), store.back_of(item)
        posting, back = count_cards.reverse_use(
            account, card, used, before, command, entry_key, program, content=content, now=now
        )
        return _Decided(posting, store.entry_more(reference=item.get("rf")), [store.count_back(item, back)])

    return _carry_out(table, book, card_id, CardKind.COUNT, entry_key, command, decide, now=now, language=language)


def extend_card(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    key: str,
    command: ExtendCard,
    *,
    now: datetime,
    language: Language,
) -> Outcome[CardEntryView]:
    """Let a count card live longer; visits that had expired come to life again.

    Raises:
        CardUnknown, CardClosed, CardKindWrong, CardEmpty: there is nothing to extend.
        ExtensionNotLater, ExpiryPast, ExpiryTooFar: the day is not later than the card's, is over, or decades ahead.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="card_extension", parts=(key,))

    def decide(card: Card, account: Account, program: Program, content: bytes) -> _Decided:
        posting = count_cards.extend(account, card, command, entry_key, program, content=content, now=now)
        return _Decided(posting, {})

    return _carry_out(table, book, card_id, CardKind.COUNT, entry_key, command, decide, now=now, language=language)


def _carry_out(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    kind: CardKind | None,
    key: EntryKey,
    command: Any,
    decide: Decide,
    *,
    now: datetime,
    language: Language,
) -> Outcome[CardEntryView]:
    """Carry a command out on a card, exactly once for its key.

    Args:
        kind: the kind of card that it is for; None for either.
        decide: may read what else it needs: whatever writes that writes the account too, so that a change shows.
    """
    card, loaded = _load(table, card_id)
    if kind is not None:
        holding.require_kind(card, kind)
    content = content_digest(card_id, command)
    program = for_account(book.current(now), card_id)

    def decide_on(account: Account) -> tuple[CardEntryView, Sequence[Write]]:
        decided = decide(card, account, program, content)
        writes = points_store.post(account, decided.posting, more=decided.more)
        return entry_view(decided.posting.main, decided.more, card, language), [*writes, *decided.writes]

    def recall(item: Item) -> CardEntryView:
        if item.get("d") != content:
            raise EntryDiffers(key=key.parts[-1])
        return entry_view(points_store.entry_from(item), item, card, language)

    return once(
        table,
        book,
        card_id,
        key,
        decide=decide_on,
        recall=recall,
        now=now,
        dry_run=command.dry_run,
        loaded=loaded,
    )


def _top_up(item: Item) -> refunds.TopUp:
    return store.top_up_from(points_store.entry_from(item), item)


def _entry_item(table: Table, card_id: CardId, entry_id: EntryId, kind: str) -> Item:
    item = store.find_entry_item(table, card_id, entry_id, kind)
    if item is None:
        raise CardEntryUnknown(entry_id=entry_id, expected=views.LINES[kind].value)
    return item


def _load(table: Table, card_id: CardId, *, consistent: bool = False) -> tuple[Card, Account]:
    found = store.find_items(table, card_id, consistent=consistent)
    if found is None:
        if not consistent:
            return _load(table, card_id, consistent=True)
        raise CardUnknown(card_id=card_id)
    card, account = found
    return card, points_store.account_from(account)


# ---------------------------------------------------------------- status


def owner_of(table: Table, card_id: CardId) -> Owner | None:
    """Whose a card is; None when there is none."""
    found = store.find_items(table, card_id)
    return Owner(frozenset({found[0].member_id})) if found else None


def change_status(
    table: Table,
    book: ProgramBook,
    card_id: CardId,
    command: SuspendCard | ReinstateCard,
    *,
    now: datetime,
) -> Outcome[CardView]:
    """Suspend a card or reinstate it; what it is already changes nothing.

    Raises:
        CardUnknown, CardClosed: there is no such card any more.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    suspends = isinstance(command, SuspendCard)
    status = AccountStatus.SUSPENDED if suspends else AccountStatus.ACTIVE
    program = for_account(book.current(now), card_id)
    today = today_of(program, now)
    for _ in range(ATTEMPTS_MAX):
        card, account = _load(table, card_id, consistent=True)
        if account.status is AccountStatus.CLOSED:
            raise CardClosed(card_id=card_id)
        if account.status is status:
            return Outcome(_view(table, card, account, today), replayed=True)
        changed = account.model_copy(update={"status": status})
        answer = _view(table, card, changed, today)
        if command.dry_run:
            return Outcome(answer, stored=False)
        kind = "card_suspended" if suspends else "card_reinstated"
        due = due_dates.due_on(changed, program, today)
        try:
            table.commit(
                [points_store.replace_account(account, changed, due), _note(kind, card, account, command.reason, now)]
            )
        except AccountMoved:
            continue
        return Outcome(answer)
    raise WriteContended


def close_card(
    table: Table, book: ProgramBook, card_id: CardId, command: CloseCard, *, now: datetime
) -> Outcome[CardView]:
    """Close a card for good; a bonus that is left is taken.

    Raises:
        CardUnknown: there is no such card.
        CardNotEmpty: it still holds what was paid for.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    program = for_account(book.current(now), card_id)
    today = today_of(program, now)
    for _ in range(ATTEMPTS_MAX):
        card, account = _load(table, card_id, consistent=True)
        if account.status is AccountStatus.CLOSED:
            return Outcome(_view(table, card, account, today), replayed=True)
        closed, writes = _closing(card, account, command.reason, program, now=now)
        answer = _view(table, card, closed, today)
        if command.dry_run:
            return Outcome(answer, stored=False)
        try:
            if len(writes) > CLOSINGS_MAX:
                book_due(table, book, account, now=now)
                continue
            table.commit(writes)
        except (AccountMoved, EntryKnown):
            continue
        return Outcome(answer)
    raise WriteContended


def _closing(
    card: Card, account: Account, reason: str, program: Program, *, now: datetime
) -> tuple[Account, list[Write]]:
    """A card's account once it is closed, and the writes of that.

    Raises:
        CardNotEmpty: it still holds what was paid for.
    """
    posting = openings.close(account, card, EntryKey(kind="card_close", parts=(card.card_id,)), program, now=now)
    closed = (posting.account if posting else account).model_copy(update={"status": AccountStatus.CLOSED})
    writes = (
        points_store.post(account, replace(posting, account=closed, due_on=None))
        if posting
        else [points_store.replace_account(account, closed, None)]
    )
    return closed, [*writes, _note("card_closed", card, account, reason, now)]


# ---------------------------------------------------------------- closing a membership


def close_owner(
    table: Table,
    keyring: Keyring,
    book: ProgramBook,
    member_id: MemberId,
    command: CloseMember,
    *,
    now: datetime,
    language: Language,
    clearance: Clearance = FREE,
) -> Outcome[MemberView]:
    """Close a membership for good, with its cards; none of them may hold what was paid for.

    Args:
        clearance: whether a debt may be forgiven by who sends it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it may not.
        CardsHoldValue: some do.
        MemberUnknown, HoldsOpen, BalanceRemaining, WriteContended: see `members.service.close_member`.
    """

    def along(member: Account) -> Sequence[Write]:
        return _closings(table, book, member, command, now=now)

    return close_member(
        table, keyring, book, member_id, command, along=along, now=now, language=language, clearance=clearance
    )


def _closings(
    table: Table, book: ProgramBook, member: Account, command: CloseMember, *, now: datetime
) -> Sequence[Write]:
    """Writes that close the cards of a member, and see to it that none was opened or paid into meanwhile.

    Raises:
        CardsHoldValue: some hold what was paid for.
        AccountMoved: the list, which is an index, does not have all of them yet; or some were closed one by one.
    """
    owners = (member.member_id, *member.absorbed)
    wallets = [store.find_wallet(table, each) for each in owners]
    ids = store.list_all_owned(table, owners)
    if len(ids) < sum(wallet.cards for wallet in wallets):
        raise AccountMoved
    found = [(card, points_store.account_from(item)) for card, item in store.find_cards(table, ids, consistent=True)]
    still_open = [(card, account) for card, account in found if account.status is not AccountStatus.CLOSED]
    program = book.current(now)
    left = openings.left_on(still_open, program, now=now)
    if left:
        named = [each.model_dump(mode="json") for each in left[:NAMED_MAX]]
        raise CardsHoldValue(cards=named, more=len(left) - len(named))
    writes: list[Write] = []
    for place, (card, account) in enumerate(still_open):
        _, own = _closing(card, account, command.reason, for_account(program, card.card_id), now=now)
        if place < CLOSED_AT_ONCE and len(own) <= CLOSING_WRITES_MAX:
            writes += own
        elif not command.dry_run:
            with suppress(CardNotEmpty):  # paid into meanwhile: then it is refused in the next try
                close_card(table, book, card.card_id, CloseCard(reason=command.reason), now=now)
            raise AccountMoved
    return [*writes, *(store.count_in(wallet, 0) for wallet in wallets)]


def require_empty(table: Table, book: ProgramBook, member: Account, *, now: datetime) -> None:
    """Refuse while cards of a member hold what was paid for, as far as the index knows of them.

    Raises:
        CardsHoldValue: some do.
    """
    ids = store.list_all_owned(table, (member.member_id, *member.absorbed))
    found = [(card, points_store.account_from(item)) for card, item in store.find_cards(table, ids, consistent=True)]
    still_open = [(card, account) for card, account in found if account.status is not AccountStatus.CLOSED]
    left = openings.left_on(still_open, book.current(now), now=now)
    if left:
        named = [each.model_dump(mode="json") for each in left[:NAMED_MAX]]
        raise CardsHoldValue(cards=named, more=len(left) - len(named))


def _note(kind: str, card: Card, account: Account, reason: str, now: datetime) -> Write:
    facts = {"owner_id": str(card.member_id), "reason": reason}
    return points_store.note(card.card_id, kind, facts, at=now, version=account.version)


# ---------------------------------------------------------------- reading


def find_card(table: Table, book: ProgramBook, card_id: CardId, *, now: datetime) -> CardView:
    """A card, what it holds now, and whose it is by now.

    Raises:
        CardUnknown: there is no such card.
    """
    card, account = _load(table, card_id)
    return _view(table, card, account, today_of(book.current(now), now))


def look_up_card(table: Table, book: ProgramBook, card_number: str, *, now: datetime) -> tuple[CardView, ...]:
    """The card of a number, or none: its id follows from the number."""
    try:
        return (find_card(table, book, CardId.of("number", card_number), now=now),)
    except CardUnknown:
        return ()


def list_cards(
    table: Table, book: ProgramBook, member_id: MemberId, *, after: str | None, limit: int, now: datetime
) -> Slice[CardView]:
    """A page of a member's cards, newest first, with those of members who were merged into this one.

    Raises:
        MemberUnknown: there is no such member.
    """
    owner = points_store.find_answering(table, member_id, consistent=True)
    if owner is None:
        raise MemberUnknown(member_id=member_id)
    ids, position = store.list_owned(table, (owner.member_id, *owner.absorbed), after=after, limit=limit)
    today = today_of(book.current(now), now)
    found = store.find_cards(table, ids)
    return Slice(
        tuple(
            views.card_view(card, points_store.account_from(account), today, owner_id=MemberId(owner.member_id))
            for card, account in found
        ),
        position,
    )


def _view(table: Table, card: Card, account: Account, on: date) -> CardView:
    """A card, what it holds on a day, and whose it is by now: who was merged since, another member answers for."""
    owner = points_store.find_answering(table, card.member_id)
    return views.card_view(card, account, on, owner_id=MemberId(owner.member_id) if owner is not None else None)


def list_entries(
    table: Table, card_id: CardId, *, after: str | None, limit: int, language: Language
) -> Slice[CardEntryView]:
    """A page of a card's statement, newest first.

    Raises:
        CardUnknown: there is no such card.
    """
    card, _ = _load(table, card_id)
    rows = store.list_rows(table, card_id, after=after, limit=limit)
    lines = (entry_view(points_store.entry_from({"on": 19700101, **row}), row, card, language) for row in rows.items)
    return Slice(tuple(lines), rows.last)


def entry_view(entry: Entry, item: Item, card: Card, language: Language) -> CardEntryView:
    """A line of a card's statement.

    Args:
        item: what the command adds to its entry.
    """
    payouts = _payouts(item, card.card_id)
    principal, bonus, uses = views.changes(entry, card.kind)
    return CardEntryView(
        entry_id=keys.entry_id(points_store.key_of(entry.key)),
        card_id=card.card_id,
        type=views.LINES[entry.key.kind],
        seq=entry.seq,
        text=views.worded(entry, card, payouts, language),
        principal_minor=principal,
        bonus_minor=bonus,
        uses=uses,
        balance_after=entry.balance_after,
        money_minor=views.money_of(entry),
        means=payouts,
        expires_on=views.last_day_set(entry),
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        reference=item.get("rf"),
        reason_code=entry.reason_code,
        hash=entry.hash.hex(),
    )


def _payouts(item: Item, card_id: CardId) -> tuple[Payout, ...]:
    return tuple(
        Payout(
            kind=kind,
            amount_minor=amount,
            reference=reference or None,
            top_up_id=keys.entry_id(keys.card_top_up(card_id, top_up)) if top_up else None,
        )
        for kind, amount, reference, top_up in (item.get("what") or {}).get("means") or ()
    )
