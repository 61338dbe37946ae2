"""Use case of erasure: what tells who somebody is goes for good; the books stay, under an id that leads to nobody.

The membership is closed, the erasure is written into the register, and then every step may be done any number of times:
sessions and codes, words that people wrote, the member's key, and last the profile. So whatever was cut short is
completed by the same command again, or by the register (`erase_again`), which is kept beside the tables and survives
their restoring.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.approvals.errors import ApprovalNeeded
from chalicelib.approvals.service import FREE, Clearance, Move
from chalicelib.cards import service as cards
from chalicelib.cards import store as cards_store
from chalicelib.cards.errors import CardsHoldValue
from chalicelib.corrections.rules import original_of
from chalicelib.identity.models import Caller
from chalicelib.kernel.calendar import from_milliseconds, milliseconds
from chalicelib.kernel.errors import Refusal, WriteContended
from chalicelib.kernel.ids import AccountId, MemberId, is_member
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import rules as members_rules
from chalicelib.members import service as members
from chalicelib.members import store as members_store
from chalicelib.members.errors import MemberMoved
from chalicelib.members.models import CloseMember, ReachWhy
from chalicelib.notices import store as notices_store
from chalicelib.points import store as points_store
from chalicelib.points.errors import AccountMoved, HoldsOpen, MemberErased, MemberUnknown
from chalicelib.points.models import Account, AccountStatus, EntryKey
from chalicelib.points.rules import balances, guards
from chalicelib.pools import store as pools_store
from chalicelib.pools.errors import PoolMoved
from chalicelib.pools.models import PoolId
from chalicelib.privacy import store
from chalicelib.privacy.errors import ErasureBlocked, SignInStale
from chalicelib.privacy.models import Blocker, EraseMember, Erasure
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.signin import store as signin_store
from chalicelib.storage import keys
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Objects
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

ATTEMPTS_MAX = 8
CLOSED_FOR = "erased"
"""The reason of the closure; what led to the erasure stands in the register."""

FRESH_FOR = timedelta(minutes=10)
"""So long after a sign-in a member may erase themselves."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where something of a member is kept.

    Attributes:
        roots: files that are written once; the register of erasures is there.
    """

    table: Table
    ops: Table
    keyring: Keyring
    roots: Objects
    book: ProgramBook


def erase_member(
    places: Places, member_id: MemberId, command: EraseMember, *, by: str, now: datetime, clearance: Clearance = FREE
) -> Outcome[Erasure]:
    """Erase a member, and all who were merged into them. There is no way back, and no time to think it over.

    Args:
        by: who asks.
        clearance: whether a debt may be forgiven by who asks.

    Raises:
        MemberUnknown: there is no such member.
        ErasureBlocked: something is promised to the member, or to others, or is left and not forfeited.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        account = _account(places, member_id)
        owner = MemberId(account.member_id)
        known = find_erasure(places.roots, owner)
        if known is not None and _is_done(places.table, owner):
            return Outcome(known, replayed=True)
        blockers = find_blockers(places, account, command, now=now, clearance=clearance)
        if blockers:
            raise ErasureBlocked(blockers=[each.model_dump(mode="json") for each in blockers])
        if command.dry_run:
            return Outcome(_erasure(account, command, by, now), stored=False)

        try:
            _close(places, owner, command, now=now, clearance=clearance)
        except ApprovalNeeded:  # they have forgiven others at this moment
            continue
        closed = _account(places, member_id)
        if closed.member_id != owner:
            continue  # merged into another at this moment, who answers for them
        erasure = store.register(places.roots, _erasure(closed, command, by, now))
        for each in reversed(closed.absorbed):
            _wipe(places, each, (), now=now)
        _wipe(places, owner, closed.absorbed, now=now)
        return Outcome(erasure)
    raise WriteContended


def _erasure(account: Account, command: EraseMember, by: str, now: datetime) -> Erasure:
    at = from_milliseconds(milliseconds(now))
    return Erasure(member_ids=(account.member_id, *account.absorbed), reason=command.reason, by=by, erased_at=at)


def find_erasure(roots: Objects, member_id: MemberId) -> Erasure | None:
    """The erasure of a member as the register has it, or None."""
    return store.find_registered(roots, member_id)


def erase_again(places: Places, *, now: datetime) -> Iterator[tuple[AccountId, bool]]:
    """Complete what the register says: after tables were restored, or an erasure was cut short.

    What cannot be closed, because money or points came back with the restoring, keeps its books open, and is erased
    all the same.

    Yields:
        each member of the register, and whether there was something to erase.
    """
    for erasure in store.list_registered(places.roots):
        owner, *former = erasure.member_ids
        for each in (*reversed(former), owner):
            item, _ = members_store.find_items(places.table, each, consistent=True)
            if item is None:
                places.keyring.contacts.forget(each)
                yield each, False
                continue
            done = members_store.is_erased(item)
            if not done:
                _close_if_it_may_be(places, MemberId(each), now=now)
            _wipe(places, each, tuple(former) if each == owner else (), now=now)
            yield each, not done


def find_blockers(
    places: Places, account: Account, command: EraseMember, *, now: datetime, clearance: Clearance = FREE
) -> tuple[Blocker, ...]:
    """What stands in the way of an erasure, all of it."""
    table, program = places.table, places.book.current(now)
    found: list[Blocker] = []
    if account.status is not AccountStatus.CLOSED:
        try:
            guards.require_nothing_held(account, now)
        except HoldsOpen as refused:
            found.append(Blocker(what="points_held", detail=refused.detail))
        balance = balances.derive(account, today_of(program, now)).balance
        if balance != 0 and not command.forfeit:
            left = f"{balance} points are left" if balance > 0 else f"{-balance} points are owed"
            detail = f"{left}. Send forfeit: true to erase the member all the same."
            found.append(Blocker(what="points_left" if balance > 0 else "points_owed", detail=detail))
        elif balance < 0:
            found += _too_much_owed(account, -balance, clearance)
        try:
            cards.require_empty(table, places.book, account, now=now)
        except CardsHoldValue as refused:
            found.append(Blocker(what="cards_hold_value", detail=refused.detail))
    for each in (account.member_id, *account.absorbed):
        for pool_id in pools_store.list_pool_ids(table, each):
            shared = points_store.find_account(table, pool_id, consistent=True)
            if shared is not None and shared.status is AccountStatus.CLOSED:
                continue  # nobody shares it any more; its owner could never leave it
            detail = f"The member belongs to the pool {pool_id}: leave it, hand it over or close it first."
            found.append(Blocker(what="in_pool", detail=detail))
    return tuple(found)


def _too_much_owed(account: Account, owed: int, clearance: Clearance) -> list[Blocker]:
    """That whoever asks may not forgive so large a debt alone."""
    entry_id = keys.entry_id(keys.entry("close", account.member_id))
    try:
        clearance.clear(Move((account.member_id, *account.absorbed), owed, entry_id, AccountMoved()))
    except ApprovalNeeded:
        detail = (
            f"{owed} points are owed, more than you forgive alone: close the membership, which a second one approves."
        )
        return [Blocker(what="points_owed", detail=detail)]
    return []


def require_fresh(ops: Table, caller: Caller, *, now: datetime) -> None:
    """See that somebody has signed in just now: a phone that was left lying about erases nobody.

    Raises:
        SignInStale: it was longer ago.
    """
    assert caller.session_id is not None
    for member_id in caller.account_ids:
        session = signin_store.find_session(ops, MemberId(member_id), caller.session_id)
        if session is not None and not session.ended and now < session.opened_at + FRESH_FOR:
            return
    raise SignInStale(minutes=int(FRESH_FOR.total_seconds() // 60))


# ---------------------------------------------------------------- steps


def _account(places: Places, member_id: AccountId) -> Account:
    """The account of whoever answers for an id."""
    account = points_store.find_account(places.table, member_id, consistent=True)
    if account is None or not is_member(member_id):
        raise MemberUnknown(member_id=member_id)
    return _account(places, account.merged_into) if account.merged_into is not None else account


def _is_done(table: Table, member_id: AccountId) -> bool:
    item, _ = members_store.find_items(table, member_id, consistent=True)
    return item is None or members_store.is_erased(item)


def _close(places: Places, member_id: MemberId, command: EraseMember, *, now: datetime, clearance: Clearance) -> None:
    with suppress(MemberErased):  # by another, at this moment
        cards.close_owner(
            places.table, places.keyring, places.book, member_id, closing_of(command),
            now=now, language=Language.EN, clearance=clearance,
        )  # fmt: skip


def closing_of(command: EraseMember) -> CloseMember:
    """The closing of a membership that is erased."""
    return CloseMember(reason=CLOSED_FOR, forfeit_points=command.forfeit)


def _close_if_it_may_be(places: Places, member_id: MemberId, *, now: datetime) -> None:
    account = points_store.find_account(places.table, member_id, consistent=True)
    if account is None or account.status in (AccountStatus.CLOSED, AccountStatus.MERGED):
        return
    closing = CloseMember(reason=CLOSED_FOR, forfeit_points=True)
    try:
        cards.close_owner(places.table, places.keyring, places.book, member_id, closing, now=now, language=Language.EN)
    except Refusal:
        return  # its books stay open; who it was goes all the same


def _wipe(places: Places, member_id: AccountId, former: Sequence[AccountId], *, now: datetime) -> None:
    """Take away all that tells who a member is, the profile last: it says that the rest is done.

    Args:
        former: who was merged into them, for those who are told.
    """
    _end_sessions(places, member_id)
    _strike_words(places, member_id)
    places.keyring.contacts.forget(member_id)
    for _ in range(ATTEMPTS_MAX):
        item, account = members_store.find_items(places.table, member_id, consistent=True)
        if item is None or account is None or members_store.is_erased(item):
            return
        profile = members_store.profile_from(item, places.keyring)
        writes = [
            members_store.erase_profile(profile, places.keyring, at=now),
            members_store.note_reach(member_id, ReachWhy.ERASED, at=now),
        ]
        if account["status"] != AccountStatus.MERGED:
            writes.append(members.erasure_note(profile, former, at=now))
        try:
            places.table.commit(writes)
        except MemberMoved:
            continue
        return
    raise WriteContended


def _end_sessions(places: Places, member_id: AccountId) -> None:
    """Sessions and codes of a member, what they were told, and their identifiers, where those can still be read."""
    item, account = members_store.find_items(places.table, member_id, consistent=True)
    for session in signin_store.list_sessions(places.ops, member_id):
        places.ops.commit([signin_store.forget_session(session)])
    for notice in notices_store.list_notices(places.ops, member_id):
        places.ops.commit([notices_store.forget_notice(notice)])
    if item is None or account is None:
        return
    profile = members_store.profile_from(item, places.keyring)
    known = members_rules.identifiers(profile.contact)
    for kind, value in known:
        if kind in ("mobile", "email"):
            places.ops.commit([signin_store.forget_attempts(kind, places.keyring.blind(kind, value))])
    if account["status"] not in (AccountStatus.CLOSED, AccountStatus.MERGED):
        for kind, value in known:
            if members_store.find_holder(places.table, places.keyring, kind, value, consistent=True) == member_id:
                places.table.commit(
                    members_store.release(MemberId(member_id), kind, value, places.keyring, profile.version)
                )


def _strike_words(places: Places, member_id: AccountId) -> None:
    """Take words that people wrote out of a member's entries, happenings, cards and merges. Their hashes stay right.

    The chain covers the command's digest and not the words, so whoever proves the ledger finds nothing changed.
    """
    card_ids = cards_store.list_all_owned(places.table, [member_id])
    lists = [store.entries_of(member_id), store.happenings_of(member_id)]
    for card_id in card_ids:
        lists += [store.entries_of(card_id), store.happenings_of(card_id)]
    for partition in lists:
        for row in store.rows_of(places.table, partition):
            for write in store.strike_words(places.table, row):
                places.table.commit([write])
    for card_id in card_ids:
        places.table.commit([store.strike_name(card_id)])
    for pool_id in (
        *pools_store.list_pool_ids(places.table, member_id),
        *pools_store.list_former_pool_ids(places.table, member_id),
    ):
        _strike_pool(places, pool_id, member_id)
    for item in store.find_offers(places.table, store.rows_of(places.table, store.transfers_of(member_id))):
        for write in store.strike_words(places.table, item):
            places.table.commit([write])


def _strike_pool(places: Places, pool_id: PoolId, member_id: AccountId) -> None:
    """Take the name of a pool that the member owns away, and words out of what they did there."""
    for _ in range(ATTEMPTS_MAX):
        known = pools_store.find_pool(places.table, pool_id, consistent=True)
        if known is None or known[0].owner_id != member_id or not known[0].name:
            break
        pool, content = known
        nameless = pool.model_copy(update={"name": "", "version": pool.version + 1})
        try:
            places.table.commit([pools_store.replace_pool(pool, nameless, content)])
        except PoolMoved:
            continue
        break
    else:
        raise WriteContended
    for row in store.rows_of(places.table, store.entries_of(pool_id)):
        if _made_by(places.table, row) == member_id:
            for write in store.strike_words(places.table, row):
                places.table.commit([write])


def _made_by(table: Table, row: Item) -> str | None:
    """Who made a pool's entry; of a reversal, who made what it takes back."""
    kind, parts = keys.entry_parts(keys.Key(row["pk"], row["sk"]))
    if kind != "reverse":
        return row.get("by")
    original = points_store.find_entry(table, original_of(EntryKey(kind=kind, parts=parts)))
    return original.get("by") if original is not None else None
