"""Use cases of corrections: show an entry, take it back."""

from collections.abc import Sequence
from datetime import date, datetime

from chalicelib.approvals.service import FREE, Clearance
from chalicelib.cards.service import owner_of as owner_of_card
from chalicelib.corrections import rules
from chalicelib.corrections.errors import EntryNotReversible, ReversalDiffers
from chalicelib.corrections.models import EntryDetail, ReverseEntry
from chalicelib.identity.models import Caller, Owner
from chalicelib.kernel.ids import CardId, EntryId, is_card, is_member
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import EntryUnknown
from chalicelib.points.fold import effect_of
from chalicelib.points.models import Account, Entry, EntryKey, EntryView, Notes, Reason
from chalicelib.points.rules.reversals import order_of, reversal_key
from chalicelib.points.views import shown_expiry, shown_maturity
from chalicelib.pools.models import PoolId
from chalicelib.pools.service import correct_spend
from chalicelib.pools.service import owner_of as owner_of_pool
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.purchases.service.reading import owner_of as owner_of_purchase
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write


def owner_of(table: Table, entry_id: EntryId, caller: Caller) -> Owner | None:
    """Whose an entry is: that of the account which it concerns, and its purchase's shop; None when there is none."""
    try:
        item = _find(table, entry_id)
    except EntryUnknown:
        return None
    entry = points_store.entry_from(item)
    order = order_of(entry.key)
    if order is not None:
        return owner_of_purchase(table, keys.purchase_id(*order))
    account_id = points.concerned(table, entry)
    if is_card(account_id):
        return owner_of_card(table, CardId(account_id))
    if is_member(account_id):
        return Owner(frozenset({account_id}))
    return owner_of_pool(table, PoolId(account_id), caller)


def find_entry(table: Table, book: ProgramBook, entry_id: EntryId, *, language: Language) -> EntryDetail:
    """One entry in full, and what took it back.

    Raises:
        EntryUnknown: there is no such entry.
    """
    item = _find(table, entry_id)
    entry = points_store.entry_from(item)
    program = book.version(entry.program_version)
    # The reasons of a card's entries are figures of money and visits, which the card's own statement shows.
    told = entry.model_copy(update={"why": ()}) if is_card(entry.member_id) else entry
    view = points.entry_view(told, item.get("nm"), program, language, reference=item.get("rf"))
    by = reversal_key(entry.key)
    effect = effect_of(entry).lifetime
    return EntryDetail(
        **view.model_dump(exclude={"why"}),
        why=view.why,
        member_id=entry.member_id,
        occurred_on=entry.occurred_on,
        program_version=entry.program_version,
        points_earned=effect.earned,
        points_spent=effect.spent + effect.taken,
        points_reserved=entry.held or 0,
        points_expired=entry.lapsed or 0,
        expires_on=shown_expiry(entry.expires_on),
        matures_on=shown_maturity(entry.matures_on),
        qualifying_points=(entry.qualifying or 0) + (sum(entry.sums.qualifying.values()) if entry.sums else 0),
        tier_before=entry.tier_before,
        tier_after=entry.tier_after,
        cause_id=_id(entry.cause) if entry.cause else None,
        reversed_by_id=_id(by) if points_store.find_entry(table, by) else None,
        staff=tuple(item.get("who", ())),
    )


def reverse_entry(
    table: Table,
    book: ProgramBook,
    entry_id: EntryId,
    command: ReverseEntry,
    *,
    now: datetime,
    language: Language,
    clearance: Clearance = FREE,
) -> Outcome[EntryView]:
    """Take an entry back, once: what it added to the account's sums is taken from them.

    Args:
        clearance: whether so much may be done by who sends it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: it may not.
        EntryUnknown: there is no such entry.
        EntryNotReversible: something else is to be done with an entry of this kind; the refusal says what.
        MemberClosed, PoolClosed: the membership, or the pool, was closed.
        ReversalDiffers: it was taken back before with other content.
        BalanceTooLarge: the balance would pass its limit.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    item = _find(table, entry_id)
    entry = points_store.entry_from(item)
    instead = rules.instead_of(entry)
    if instead is not None:
        raise EntryNotReversible(entry_id=entry_id, kind=entry.key.kind, instead=instead + _where(entry, item))
    program = book.current(now)
    key = reversal_key(entry.key)
    content = points.content_digest(entry.member_id, command, entry_id=entry_id)
    notes = Notes(to_member=command.note_to_member, internal=command.note_internal)

    def decide(account: Account) -> tuple[EntryView, Sequence[Write]]:
        _require_unsettled(account, entry, entry_id, today_of(program, now))
        posting = rules.reversal(account, entry, command.reason_code, program, content=content, now=now)
        cleared = points.cleared_by(clearance, account, posting.main)
        writes = points_store.post(account, posting, more={"rf": item.get("rf"), **cleared.facts}, notes=notes)
        view = points.entry_view(posting.main, notes.to_member, program, language, reference=item.get("rf"))
        return view, [*writes, *_limit_of(table, entry), *cleared.writes]

    def recall(known: Item) -> EntryView:
        if known.get("d") != content:
            raise ReversalDiffers(entry_id=entry_id)
        stored = points_store.entry_from(known)
        by = book.version(stored.program_version)
        return points.entry_view(stored, known.get("nm"), by, language, reference=known.get("rf"))

    return points.once(
        table, book, points.concerned(table, entry), key, decide=decide, recall=recall, now=now, dry_run=command.dry_run
    )


def _require_unsettled(account: Account, entry: Entry, entry_id: EntryId, today: date) -> None:
    """Refuse to take back a write-off that was paid for since, or to put one back where nothing is owed.

    Raises:
        EntryNotReversible: it is so.
    """
    if rules.settled(account, entry, today):
        instead = "its debt was paid since, by points that came back or in another way; adjust the balance"
        raise EntryNotReversible(entry_id=entry_id, kind=entry.key.kind, instead=instead)


def _limit_of(table: Table, entry: Entry) -> list[Write]:
    """Writes by which the month's limit of a pool's member counts a spend no more, or again."""
    key = rules.original_of(entry.key)
    if key.kind != "pool_spend":
        return []
    item = points_store.find_entry(table, key)
    assert item is not None, "an entry that was taken back is there"
    return correct_spend(table, item, -entry.points)


def _find(table: Table, entry_id: EntryId) -> Item:
    key = keys.entry_of(entry_id)
    item = (table.get(key) or table.get(key, consistent=True)) if key else None
    if item is None or "r" not in item:
        raise EntryUnknown(entry_id=entry_id)
    return item


def _id(key: EntryKey) -> EntryId:
    return keys.entry_id(points_store.key_of(key))


def _where(entry: Entry, item: Item) -> str:
    """The request that does it, where one does."""
    if entry.key.kind == "purchase":
        return f", POST /v1/purchases/{keys.purchase_id(*entry.key.parts)}/returns"
    if entry.key.kind in ("return", "restatement"):
        return f", PUT /v1/purchases/{keys.purchase_id(*entry.key.parts[:2])}"
    if entry.reason is Reason.MERGE and not entry.key.kind.startswith("un"):
        return f", POST /v1/member-merges/{item['rf']}/undo"
    return ""
