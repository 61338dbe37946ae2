"""Use cases of the ledger: load, decide, commit."""

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeVar

from chalicelib.approvals.service import FREE, Clearance, Cleared, Move
from chalicelib.kernel.calendar import local_day, month_of
from chalicelib.kernel.canonical import canonical, plain
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, ShopId, is_pool
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.kernel.records import Record
from chalicelib.points import history, store, views
from chalicelib.points.errors import (
    AccountMoved,
    EntryDiffers,
    EntryKnown,
    InstantInFuture,
    MemberClosed,
    MemberUnknown,
    PoolClosed,
)
from chalicelib.points.models import (
    Account,
    AccountStatus,
    AdjustPoints,
    Due,
    Entry,
    EntryKey,
    EntryView,
    Notes,
    OtherShopEntry,
    PointsView,
    Reason,
    SpendPoints,
    Then,
    TierView,
    WhyLine,
)
from chalicelib.points.rules import balances, commands, due_dates, guards, ledger, reversals
from chalicelib.programs.models import Program
from chalicelib.programs.rules import for_account, today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.line import REQUEST
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Put, Write

ATTEMPTS_MAX = 12
"""How often a command is decided again because another write got there first."""

CLOSINGS_MAX = 50
"""How many expiries go into one transaction with a command; more are booked before it."""

T = TypeVar("T")


def once(
    table: Table,
    book: ProgramBook,
    member_id: AccountId,
    key: EntryKey,
    *,
    decide: Callable[[Account], tuple[T, Sequence[Write]]],
    recall: Callable[[Item], T],
    now: datetime,
    dry_run: bool = False,
    loaded: Account | None = None,
) -> Outcome[T]:
    """Carry a command out on an account, exactly once for its key: `once_among` of one.

    Args:
        loaded: the account, where it was read already.
    """

    def decide_alone(accounts: Sequence[Account]) -> tuple[T, Sequence[Write]]:
        return decide(accounts[0])

    known = (loaded,) if loaded is not None and loaded.merged_into is None else None
    return once_among(
        table, book, (member_id,), key, decide=decide_alone, recall=recall, now=now, dry_run=dry_run, loaded=known
    )


def once_among(
    table: Table,
    book: ProgramBook,
    account_ids: Sequence[AccountId],
    key: EntryKey,
    *,
    decide: Callable[[Sequence[Account]], tuple[T, Sequence[Write]]],
    recall: Callable[[Item], T],
    now: datetime,
    dry_run: bool = False,
    loaded: Sequence[Account] | None = None,
    follow: bool = True,
) -> Outcome[T]:
    """Carry a command out on one or several accounts in one transaction, exactly once for its key.

    The first read may be a little old: what would be refused on it is decided again on a consistent one, and what is
    refused on that is looked up by its key first, because a command that was carried out before must get its first
    answer, also where a new one would be refused (a spend that emptied the account). For an account that was merged,
    the one that it went into is decided on.

    Args:
        decide: gives the answer and the writes that go with it, the put under `key` first; or refuses. It is given the
            accounts in the order of their ids; two ids may have come to be one account.
        loaded: the accounts, where they were read already.
        follow: for an account that was merged, decide on the one that it went into.
        recall: gives the first answer from what is stored under the key, or refuses because its content differs.

    Raises:
        MemberUnknown: there is no such account.
        PoolClosed: the account is a pool's, and `decide` refuses it because it was closed.
        WriteContended: other writes kept getting there first.
        Refusal: whatever else `decide` or `recall` refuse.
    """
    consistent, attempts = False, 1
    for _ in range(ATTEMPTS_MAX):
        try:
            accounts = loaded or _answering(table, account_ids, consistent=consistent, follow=follow)
            loaded = None
            if not dry_run and _book_long_due(table, book, accounts, now=now):
                consistent = True
                continue
            answer, writes = decide(accounts)
        except AccountMoved:
            consistent, attempts = True, attempts + 1
            continue
        except Refusal as refused:
            if not consistent:
                consistent = True
                continue
            known = store.find_entry(table, key)
            if known is None and isinstance(refused, MemberClosed) and is_pool(refused.facts["member_id"]):
                raise PoolClosed(pool_id=refused.facts["member_id"]) from refused
            if known is None:
                raise
            return Outcome(recall(known), replayed=True)
        if dry_run:
            known = store.find_entry(table, key)
            return Outcome(recall(known), replayed=True) if known else Outcome(answer, stored=False)
        try:
            table.commit(writes, keyed=True)
        except EntryKnown as known_entry:
            own = writes[0]
            if isinstance(own, Put) and own.item["h"] == known_entry.item.get("h"):
                return Outcome(answer, attempts=attempts)  # our own write, whose answer was lost on the way
            return Outcome(recall(known_entry.item), replayed=True)
        except AccountMoved:
            consistent, attempts = True, attempts + 1
            continue
        return Outcome(answer, attempts=attempts)
    raise WriteContended


def _answering(
    table: Table, account_ids: Sequence[AccountId], *, consistent: bool, follow: bool = True
) -> list[Account]:
    accounts = []
    find = store.find_answering if follow else store.find_account
    for account_id in account_ids:
        account = find(table, account_id, consistent=consistent)
        if account is None:
            raise MemberUnknown(member_id=account_id)
        accounts.append(account)
    return accounts


def _book_long_due(table: Table, book: ProgramBook, accounts: Sequence[Account], *, now: datetime) -> bool:
    """Book expiries that are too many for one transaction with a command; whether there were any.

    Raises:
        AccountMoved: another write got there first.
    """
    today = today_of(book.current(now), now)
    many = [account for account in accounts if len(balances.unbooked(account, today)) > CLOSINGS_MAX // len(accounts)]
    for account in many:
        book_due(table, book, account, now=now)
    return bool(many)


def book_due(table: Table, book: ProgramBook, account: Account, *, now: datetime) -> int:
    """Write the entries of expiries that are due, a transaction's worth; how many were written.

    Raises:
        AccountMoved: another write got there first.
    """
    program = for_account(book.current(now), account.member_id)
    after, entries = ledger.lapse(account, program, now=now, at_most=CLOSINGS_MAX)
    if entries:
        table.commit(store.book(account, after, entries, due_dates.due_on(after, program, today_of(program, now))))
    return len(entries)


def bring_up_to_date(
    table: Table,
    book: ProgramBook,
    member_id: AccountId,
    due: Due,
    *,
    now: datetime,
    on: date | None = None,
    known: Account | None = None,
    dry_run: bool = False,
) -> int | None:
    """Book something that time has brought to an account: points concerned, or None when there was nothing.

    Safe to call at any time, any number of times. An account for which there was nothing to book is moved in the index
    where it stands under another day than it should: because the program changed, or because what else is due should
    have been found on a day that has passed.

    Args:
        on: for a dry run, the day of which to tell what will be due by then.
        known: the account, where it was read already.

    Raises:
        MemberUnknown: there is no such member.
        WriteContended: other writes kept getting there first.
    """
    program = for_account(book.current(now), member_id)
    today = (on if dry_run else None) or today_of(program, now)
    account, points = known, None
    for _ in range(ATTEMPTS_MAX):
        account = account or store.find_account(table, member_id, consistent=True)
        if account is None:
            raise MemberUnknown(member_id=member_id)
        closed = account.status in (AccountStatus.CLOSED, AccountStatus.MERGED)
        if dry_run:
            return None if closed else _LOOKS[due](account, program, today)
        planned = None if closed else _PLANS[due](account, program, today, now)
        writes = _moved_in_index(account, program, today) if planned is None else planned.writes
        if not writes:
            return points
        try:
            table.commit(writes, keyed=True)
        except AccountMoved:
            account = None
            continue
        if planned is None:
            return points
        points = (points or 0) + planned.points
        if not planned.more:
            return points
        account = None
    raise WriteContended


@dataclass(frozen=True, slots=True)
class Plan:
    """What bringing an account up to date comes to.

    Attributes:
        points: points concerned.
        more: not everything fitted one transaction.
    """

    points: int
    writes: Sequence[Write]
    more: bool = False


def _plan_expiry(account: Account, program: Program, today: date, now: datetime) -> Plan | None:
    after, entries = ledger.lapse(account, program, now=now, at_most=CLOSINGS_MAX)
    if not entries:
        return None
    writes = store.book(account, after, entries, due_dates.due_on(after, program, today))
    return Plan(-sum(entry.points for entry in entries), writes, more=len(entries) == CLOSINGS_MAX)


def _plan_review(account: Account, program: Program, today: date, now: datetime) -> Plan | None:
    after, entries = ledger.review(account, program, now=now)
    if not entries:
        return None
    return Plan(0, store.book(account, after, entries, due_dates.due_on(after, program, today)))


def _plan_notice(account: Account, program: Program, today: date, now: datetime) -> Plan | None:
    told = due_dates.tell_expiring(account, program, today)
    if told is None:
        return None
    after, lot = told
    facts = {"points": lot.points, "expires_on": str(lot.expires_on)}
    return Plan(lot.points, _noted("points_expiring", facts, account, after, program, now))


def _plan_release(account: Account, program: Program, today: date, now: datetime) -> Plan | None:
    after, entries = ledger.time_out(account, program, now=now)
    freed = -sum(entry.held or 0 for entry in entries)
    released = due_dates.release(after, today)
    if released is None:
        due = due_dates.due_on(after, program, today)
        return Plan(freed, store.book(account, after, entries, due)) if entries else None
    after, points = released
    noted = _noted("points_released", {"points": points}, account, after, program, now)
    puts = store.book(account, after, entries, None)[:-1]
    return Plan(freed + points, [*puts, *noted])


_PLANS: dict[Due, Callable[[Account, Program, date, datetime], Plan | None]] = {
    Due.EXPIRY: _plan_expiry,
    Due.NOTICE: _plan_notice,
    Due.RELEASE: _plan_release,
    Due.REVIEW: _plan_review,
}


def _look_at_expiry(account: Account, program: Program, on: date) -> int | None:  # noqa: ARG001 - as its siblings
    return sum(balances.unbooked(account, on).values()) or None


def _look_at_review(account: Account, program: Program, on: date) -> int | None:  # noqa: ARG001
    return 0 if account.held_through is not None and month_of(on) > account.held_through else None


def _look_at_notice(account: Account, program: Program, on: date) -> int | None:
    told = due_dates.tell_expiring(account, program, on)
    return told[1].points if told else None


def _look_at_release(account: Account, program: Program, on: date) -> int | None:
    released = due_dates.release(account, on)
    over = [hold.points for hold in account.holds.values() if local_day(hold.until, program.time_zone) < on]
    return sum(over) + (released[1] if released else 0) if over or released else None


_LOOKS: dict[Due, Callable[[Account, Program, date], int | None]] = {
    Due.EXPIRY: _look_at_expiry,
    Due.NOTICE: _look_at_notice,
    Due.RELEASE: _look_at_release,
    Due.REVIEW: _look_at_review,
}


def _noted(
    kind: str, facts: dict[str, Any], before: Account, after: Account, program: Program, now: datetime
) -> list[Write]:
    due = due_dates.due_on(after, program, today_of(program, now))
    note = store.note(before.member_id, kind, facts, at=now, version=before.version)
    return [note, store.replace_account(before, after, due)]


def _moved_in_index(account: Account, program: Program, today: date) -> Sequence[Write]:
    ended = account.status in (AccountStatus.CLOSED, AccountStatus.MERGED)
    due = None if ended else due_dates.due_on(account, program, today)
    if due == account.due_on:
        return ()
    return [store.replace_account(account, account, due)]


def spend_points(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: SpendPoints,
    *,
    now: datetime,
    language: Language,
) -> Outcome[EntryView]:
    """Take points out of a member's account, soonest expiry first.

    Raises:
        MemberUnknown, MemberSuspended, MemberClosed: there is no account that takes commands.
        PointsInsufficient: the live lots hold fewer points than asked for.
        OccurredInFuture, OccurredTooLongAgo: `occurred_at` is later than now, or too long ago to be told now.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="spend", parts=(key,))
    content = content_digest(member_id, command)
    program = book.current(now)

    def decide(account: Account) -> tuple[EntryView, Sequence[Write]]:
        guards.require_recent(command.occurred_at or now, now)
        posting = commands.spend(account, command, entry_key, program, content=content, now=now)
        more = {"rf": command.reference}
        writes = store.post(account, posting, more=more)
        return entry_view(posting.main, None, program, language, reference=command.reference), writes

    return once(
        table,
        book,
        member_id,
        entry_key,
        decide=decide,
        recall=_recall(table, entry_key, member_id, command, book, language),
        now=now,
        dry_run=command.dry_run,
    )


def find_spend(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: SpendPoints,
    *,
    token: str,
    language: Language,
) -> Outcome[EntryView] | None:
    """What a spend that somebody else carries out has come to; None when it was not carried out yet.

    Args:
        token: names the request that it was handed over by; any other's is a replay.

    Raises:
        EntryDiffers: this key was used before for something else.
    """
    entry_key = EntryKey(kind="spend", parts=(key,))
    recall = _recall(table, entry_key, member_id, command, book, language)
    return find_answer(table, entry_key, recall, token)


def find_answer(table: Table, key: EntryKey, recall: Callable[[Item], T], token: str) -> Outcome[T] | None:
    """The answer that an entry is, when it was written; None when it was not yet."""
    item = table.get(store.key_of(key))
    return Outcome(recall(item), replayed=item.get(REQUEST) != token) if item is not None else None


def adjust_points(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    key: str,
    command: AdjustPoints,
    *,
    now: datetime,
    language: Language,
    clearance: Clearance = FREE,
    by: str | None = None,
) -> Outcome[EntryView]:
    """Correct a member's balance, up or down, with a reason.

    Args:
        clearance: whether so much may be done by who sends it.
        by: who does it, held to what one person may give a day; None where nobody is: a second person approved it.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: so much may not be done.
        VelocityExceeded: they gave so many points by hand today that these are too many.
        MemberUnknown, MemberClosed: there is no account that takes corrections.
        AdjustmentEmpty, ExpiryPast, OccurredInFuture: the command contradicts itself or the calendar.
        PointsInsufficient: more would be taken than there is, and the program's policy is not `owe`.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="adjust", parts=(key,))
    content = content_digest(member_id, command)
    program = book.current(now)
    notes = Notes(to_member=command.note_to_member, internal=command.note_internal)

    def decide(account: Account) -> tuple[EntryView, Sequence[Write]]:
        posting = commands.adjust(account, command, entry_key, program, content=content, now=now)
        cleared = cleared_by(clearance, account, posting.main)
        writes = [*store.post(account, posting, more=cleared.facts, notes=notes), *cleared.writes]
        if by is not None and command.points > 0:
            given = store.find_adjusted(table, by, today_of(program, now))
            guards.require_velocity(given, command.points, program.velocity.adjusted_points_per_day)
            writes.append(store.count_adjusted(given, command.points))
        return entry_view(posting.main, notes.to_member, program, language), writes

    return once(
        table,
        book,
        member_id,
        entry_key,
        decide=decide,
        recall=_recall(table, entry_key, member_id, command, book, language),
        now=now,
        dry_run=command.dry_run,
    )


def cleared_by(clearance: Clearance, account: Account, entry: Entry) -> Cleared:
    """What goes with an entry that somebody may make: it counts by its points, or by its qualifying points.

    Raises:
        ApprovalNeeded, ApprovalOutgrown: they may not.
    """
    qualifying = (entry.qualifying or 0) + (sum(entry.sums.qualifying.values()) if entry.sums else 0)
    amount, given = max(abs(entry.points), abs(qualifying)), max(entry.points, qualifying, 0)
    entry_id = keys.entry_id(store.key_of(entry.key))
    return clearance.clear(Move((account.member_id, *account.absorbed), amount, entry_id, AccountMoved(), given))


def find_points(
    table: Table, book: ProgramBook, member_id: AccountId, *, now: datetime, then: Then | None = None
) -> PointsView:
    """A member's points: what can be spent, when it expires, what ever happened.

    Args:
        then: another day than today, or another knowledge than today's.

    Raises:
        MemberUnknown: there is no such member.
        InstantInFuture: the day or the instant has not come yet.
    """
    past = _find_past(table, book, member_id, then or Then(), now)
    return views.points_view(past.account, past.on, past.at)


def find_tier(
    table: Table,
    book: ProgramBook,
    member_id: MemberId,
    *,
    now: datetime,
    language: Language,
    then: Then | None = None,
) -> TierView:
    """The tier a member holds, and what is missing to the next.

    Args:
        then: another day than today, or another knowledge than today's.

    Raises:
        MemberUnknown: there is no such member.
        InstantInFuture: the day or the instant has not come yet.
    """
    past = _find_past(table, book, member_id, then or Then(), now)
    return views.tier_view(past.account, past.program, past.on, language)


@dataclass(frozen=True, slots=True)
class _Past:
    """An account at another time.

    Attributes:
        on: the day that is looked at, in the program's time zone.
        at: the instant of it that is looked at.
        program: the version in force then.
    """

    account: Account
    program: Program
    on: date
    at: datetime


def _find_past(table: Table, book: ProgramBook, member_id: AccountId, then: Then, now: datetime) -> _Past:
    """The account on the day and with the knowledge asked for."""
    account = store.find_answering(table, member_id) or store.find_answering(table, member_id, consistent=True)
    if account is None:
        raise MemberUnknown(member_id=member_id)
    known_at = then.known_at or now
    if known_at > now:
        raise InstantInFuture(asked=known_at.isoformat(), now=now.isoformat())
    program = book.in_force(known_at, now) if then.known_at else book.current(now)
    today = today_of(program, known_at)
    if then.as_of is not None and then.as_of > today:
        raise InstantInFuture(asked=then.as_of.isoformat(), now=known_at.isoformat())
    if then.as_of is None and then.known_at is None:
        return _Past(account, program, today, now)

    entries = store.list_entries(table, account.member_id, through=then.known_at)
    if then.as_of is None:
        programs = {version: book.version(version) for version in {entry.program_version for entry in entries}}
        return _Past(history.as_believed(account, entries, programs), program, today, known_at)
    at = min(history.end_of(then.as_of, program.time_zone), known_at)
    was = history.as_it_was(account, entries, then.as_of, program.time_zone)
    return _Past(was, book.in_force(at, now), then.as_of, at)


def list_statement(
    table: Table, book: ProgramBook, member_id: AccountId, *, after: str | None, limit: int, language: Language
) -> Slice[EntryView]:
    """A page of a member's statement, newest first, with what members had who were merged into this one.

    Raises:
        MemberUnknown: there is no such member.
    """
    part = _statement(table, member_id, after, limit)
    return Slice(tuple(_row_view(row, part.owner, book, language) for row in part.rows), part.last)


def list_statement_within(
    table: Table,
    book: ProgramBook,
    member_id: AccountId,
    shop_ids: Collection[ShopId] | None,
    *,
    after: str | None,
    limit: int,
    language: Language,
) -> Slice[EntryView | OtherShopEntry]:
    """A page of a member's statement for somebody who works in some shops only.

    It stays whole, because balances must add up: of purchases of other shops it shows the points, and no more.

    Args:
        shop_ids: their shops; None: all are.

    Raises:
        MemberUnknown: there is no such member.
    """
    part = _statement(table, member_id, after, limit)
    others = store.find_of_others(table, part.rows, shop_ids) if shop_ids is not None else set[Key]()
    return Slice(tuple(_row_within(row, part.owner, others, book, language) for row in part.rows), part.last)


def _statement(table: Table, member_id: AccountId, after: str | None, limit: int) -> store.Listed:
    part = store.list_rows(table, member_id, after=after, limit=limit)
    if not part.rows and after is None and store.find_account(table, member_id, consistent=True) is None:
        raise MemberUnknown(member_id=member_id)
    return part


def _row_within(
    row: Item, owner: AccountId | None, others: Collection[Key], book: ProgramBook, language: Language
) -> EntryView | OtherShopEntry:
    view = _row_view(row, owner, book, language)
    if Key(row["pk"], row["sk"]) not in others:
        return view
    return OtherShopEntry(**view.model_dump(include=set(OtherShopEntry.model_fields)))


def is_repeat(table: Table, stored: Item, member_id: str, content: Callable[[str], bytes]) -> bool:
    """Whether what is stored under a command's key answers the same command.

    A command that named a member who was merged since, or names one now, is the same where one member answers for
    both.

    Args:
        content: the command's digest, where it names that member.
    """
    known = stored.get("d")
    if known == content(member_id):
        return True
    owner, asked = store.member_of(stored), store.find_answering(table, member_id, consistent=True)
    if asked is None:
        return False
    family = (asked.member_id, *asked.absorbed)
    return owner in family and any(known == content(each) for each in family)


def content_digest(member_id: str, command: Record, **more: str) -> bytes:
    """The digest of what a command asks for; whether it is a dry run is no part of it."""
    return hashlib.sha256(content_text(member_id, command, **more)).digest()


def content_text(member_id: str, command: Record, **more: str) -> bytes:
    """What a command asks for, in canonical form: what the digest in its entry is taken of."""
    content = command.model_dump(exclude={"dry_run", "member"}, exclude_defaults=True)
    return canonical(plain({"member_id": str(member_id), **content, **more}))


def still_counts(table: Table, key: EntryKey) -> bool:
    """Whether an entry was not taken back, or put back since."""
    counts, by = True, reversals.reversal_key(key)
    while store.find_entry(table, by) is not None:
        counts, by = not counts, reversals.reversal_key(by)
    return counts


def concerned(table: Table, entry: Entry) -> AccountId:
    """The account that an entry concerns: that of what it corrects, else the one that it stands in.

    A correction of what a member had before a merge stands in the account of the one who stayed. Its effect goes home
    when the merge is undone, and so does what corrects it in turn.
    """
    while (key := reversals.corrected(entry)) is not None:
        item = store.find_entry(table, key)
        if item is None:
            break
        entry = store.entry_from(item)
    return entry.member_id


def entry_view(
    entry: Entry, note_to_member: str | None, program: Program, language: Language, *, reference: str | None = None
) -> EntryView:
    """An entry as the statement shows it.

    Args:
        reference: what the caller gave with it, where it was given.
        program: the version it was decided by.
    """
    return EntryView(
        entry_id=keys.entry_id(store.key_of(entry.key)),
        seq=entry.seq,
        reason=entry.reason,
        points=entry.points,
        balance_after=entry.balance_after,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        reference=reference or store.reference_of(entry.key.kind, entry.key.parts),
        actor=entry.actor,
        tendered=(entry.consumed or 0) if entry.reason is Reason.EARN else 0,
        why=why_lines(entry, program, language),
        reason_code=entry.reason_code,
        note_to_member=note_to_member,
        hash=entry.hash.hex(),
    )


def why_lines(entry: Entry, program: Program, language: Language) -> tuple[WhyLine, ...]:
    """Why points were given, in sentences; a tier whose multiplier made no point of difference is not told."""
    return tuple(
        WhyLine(
            rule_id=why.rule_id,
            rule_version=entry.program_version,
            text=views.explained(why, program, language),
            points=why.points,
        )
        for why in entry.why
        if why.points or not why.rule_id.startswith("tier.")
    )


def _recall(
    table: Table, key: EntryKey, member_id: MemberId, command: Record, book: ProgramBook, language: Language
) -> Callable[[Item], EntryView]:
    def recall(item: Item) -> EntryView:
        if not is_repeat(table, item, member_id, lambda each: content_digest(each, command)):
            raise EntryDiffers(key="/".join(key.parts))
        entry = store.entry_from(item)
        program = book.version(entry.program_version)
        return entry_view(entry, item.get("nm"), program, language, reference=item.get("rf"))

    return recall


def _row_view(row: Item, owner: AccountId | None, book: ProgramBook, language: Language) -> EntryView:
    """A statement line from the index alone: no second read."""
    entry = store.entry_from({"on": 19700101, **row})
    program = book.version(entry.program_version)
    view = entry_view(entry, row.get("nm"), program, language, reference=row.get("rf"))
    return view.model_copy(update={"account_id": entry.member_id}) if owner not in (None, entry.member_id) else view
