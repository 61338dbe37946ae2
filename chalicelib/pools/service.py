"""Use cases of pools: open, rename, let members in and out, contribute, spend, close."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.identity.models import Caller, Owner
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.members.rules import is_home_of
from chalicelib.members.service import require_reached, require_settled
from chalicelib.points import service as points_service
from chalicelib.points import store as points_store
from chalicelib.points import views
from chalicelib.points.errors import AccountMoved, EntryDiffers, EntryKnown, MemberClosed, MemberUnknown
from chalicelib.points.models import Account, AccountStatus, EntryKey, EntryView, PointsView, Then
from chalicelib.points.rules import balances, guards, ledger
from chalicelib.points.service import ATTEMPTS_MAX, content_digest, entry_view, once_among
from chalicelib.pools import rules, store
from chalicelib.pools.errors import PoolDiffers, PoolMoved, PoolUnknown
from chalicelib.pools.models import (
    ClosePool,
    Contribute,
    EditPool,
    Membership,
    MembershipView,
    OpenPool,
    Pool,
    PoolId,
    PoolView,
    SetMembership,
    SpendFromPool,
)
from chalicelib.programs.rules import today_of
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item, Write

T = TypeVar("T")


def open_pool(
    table: Table, book: ProgramBook, command: OpenPool, key: str, *, now: datetime, by: Caller | None = None
) -> Outcome[PoolView]:
    """Open a pool, once for ever for its key.

    Args:
        by: who opens it; None where no person does.

    Raises:
        MemberUnknown, MemberSuspended, MemberClosed: nobody who can own it, or to whom the caller reaches.
        PoolDiffers: this key opened another pool before.
    """
    program = book.current(now)
    pool_id = rules.pool_id_of(key)
    content = content_digest(pool_id, command).hex()
    known = store.find_pool(table, pool_id, consistent=True)
    if known is None:
        _reached(table, command.owner_id, by, Permission.POOLS_MANAGE)
        pool, owner = rules.opened(pool_id, command, now=now)
        account = Account(member_id=pool_id, opened_on=today_of(program, now), tier_id=program.ladder.tiers[0].tier_id)
        if command.dry_run:
            return Outcome(_view(table, pool, account, book, now), stored=False)
        try:
            table.commit(
                [*store.open_pool(pool, owner, content), points_store.open_account(account, store.PoolKnown())]
            )
        except store.PoolKnown:
            known = store.find_pool(table, pool_id, consistent=True)
        else:
            return Outcome(_view(table, pool, account, book, now))
    if known is None or known[1] != content:
        raise PoolDiffers(key=key)
    return Outcome(find_pool(table, book, pool_id, now=now), replayed=True)


def find_pool(table: Table, book: ProgramBook, pool_id: PoolId, *, now: datetime) -> PoolView:
    """A pool and what it has.

    Raises:
        PoolUnknown: there is no such pool.
    """
    pool, _ = _pool(table, pool_id)
    return _view(table, pool, _account(table, pool_id), book, now)


def owner_of(table: Table, pool_id: PoolId, caller: Caller) -> Owner | None:
    """Whose a pool is: of the members who share it, only the caller is asked for. None: there is no such pool."""
    sharing = frozenset(each for each in caller.account_ids if store.find_membership(table, pool_id, each) is not None)
    return Owner(sharing) if sharing or store.find_pool(table, pool_id, consistent=True) is not None else None


def list_pools(table: Table, book: ProgramBook, member_id: MemberId, *, now: datetime) -> tuple[PoolView, ...]:
    """The pools to which a member belongs, or somebody who was merged into this member.

    Raises:
        MemberUnknown: there is no such member.
    """
    member = _member(table, member_id)
    ids = (pool_id for each in (member.member_id, *member.absorbed) for pool_id in store.list_pool_ids(table, each))
    return tuple(find_pool(table, book, pool_id, now=now) for pool_id in dict.fromkeys(ids))


def edit_pool(
    table: Table, book: ProgramBook, pool_id: PoolId, command: EditPool, *, now: datetime, by: Caller | None = None
) -> PoolView:
    """Give a pool another name.

    Args:
        by: who does it; None where no person does.

    Raises:
        PoolUnknown, PoolClosed: there is none that could be edited, or the caller does not reach to who owns it.
        PoolMoved: it was changed since the version named.
    """
    pool, content = _pool(table, pool_id)
    _require_owner_reached(table, pool, by, Permission.POOLS_MANAGE)
    account = _open_account(table, pool_id)
    if command.version != pool.version:
        raise PoolMoved(read=command.version, current=pool.version)
    after = pool.model_copy(update={"name": command.name, "version": pool.version + 1})
    table.commit([store.replace_pool(pool, after, content)])
    return _view(table, after, account, book, now)


def list_members(
    table: Table, book: ProgramBook, pool_id: PoolId, *, after: str | None, limit: int, now: datetime
) -> Slice[MembershipView]:
    """A page of those who belong to a pool, by member id.

    Raises:
        PoolUnknown: there is no such pool.
    """
    if after is None:
        _pool(table, pool_id)
    found, last = store.list_memberships(table, pool_id, after=after, limit=limit)
    return Slice(tuple(_membership_view(each, book, now) for each in found), last)


def set_member(
    table: Table,
    book: ProgramBook,
    pool_id: PoolId,
    member_id: MemberId,
    command: SetMembership,
    *,
    now: datetime,
    by: Caller | None = None,
) -> MembershipView:
    """Let a member into a pool, or change what they may do in it; the same again changes nothing.

    Args:
        by: who does it, for the member and for who owns the pool; None where no person does.

    Raises:
        PermissionMissing, ActionUnexplained: they may not act for members, or do not say why.
        PoolUnknown, PoolClosed, PoolFull: nobody can be let in, or the caller does not reach to who owns the pool.
        MemberUnknown, MemberSuspended, MemberClosed: nobody who could be, or to whom the caller reaches.
        OwnerNeeded: the pool would have no owner.
        WriteContended: others kept changing the pool; safe to try again.
    """

    rules.require_may_act(by, command.reason)

    def attempt() -> Membership:
        pool, content = _pool(table, pool_id)
        _require_owner_reached(table, pool, by, Permission.POOLS_ACT_FOR_MEMBERS)
        _open_account(table, pool_id)
        _reached(table, member_id, by, Permission.POOLS_ACT_FOR_MEMBERS)
        known = store.find_membership(table, pool_id, member_id)
        if known is not None and (known.role, known.monthly_limit) == (command.role, command.monthly_limit):
            return known
        owner = rules.require_part(pool_id, pool.owner_id, store.find_membership(table, pool_id, pool.owner_id))
        after, changes = rules.with_member(pool, known, owner, member_id, command, now=now)
        writes = [write for each in changes for write in store.set_membership(each)]
        facts = {"member_id": member_id, "role": command.role.value}
        table.commit(
            [
                store.replace_pool(pool, after, content),
                *writes,
                points_store.note(pool_id, "pool_member_set", facts, at=now, version=after.version),
            ]
        )
        return changes[0]

    return _membership_view(_until_still(attempt), book, now)


def end_member(
    table: Table,
    book: ProgramBook,
    pool_id: PoolId,
    member_id: MemberId,
    *,
    now: datetime,
    by: Caller | None = None,
) -> PoolView:
    """Let a member out of a pool. What they contributed stays.

    Args:
        by: who does it; None where no person does.

    Raises:
        PoolUnknown, NotInPool: there is nobody to let out, or the caller does not reach to who owns the pool.
        OwnerNeeded: the member owns the pool.
        WriteContended: others kept changing the pool; safe to try again.
    """

    def attempt() -> Pool:
        pool, content = _pool(table, pool_id)
        _require_owner_reached(table, pool, by, Permission.POOLS_MANAGE)
        leaving = rules.require_part(pool_id, member_id, store.find_membership(table, pool_id, member_id))
        after = rules.without_member(pool, leaving)
        facts = {"member_id": member_id}
        table.commit(
            [
                store.replace_pool(pool, after, content),
                *store.end_membership(leaving),
                points_store.note(pool_id, "pool_member_left", facts, at=now, version=after.version),
            ]
        )
        return after

    return _view(table, _until_still(attempt), _account(table, pool_id), book, now)


def contribute(
    table: Table,
    book: ProgramBook,
    pool_id: PoolId,
    key: str,
    command: Contribute,
    *,
    now: datetime,
    language: Language,
    by: Caller | None = None,
    by_member: bool = False,
) -> Outcome[EntryView]:
    """Move a member's own points into a pool; the answer is the member's entry.

    Args:
        by: who does it for the member; None where no person does.
        by_member: the member does it, signed in.

    Raises:
        PermissionMissing, ActionUnexplained: they may not act for members, or do not say why.
        ContactChangedLately: the number by which the member signs in is a new one.
        ContributionTooLarge, ContributionLimitReached: members may not give away so much.
        PoolUnknown, PoolClosed, NotInPool: there is no pool that takes them, or none of the member's who is signed in.
        MemberUnknown, MemberSuspended, MemberClosed, PointsInsufficient: there are no points to give.
        BalanceTooLarge: the pool would hold too many.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="contribution", parts=(key,))
    # Why somebody acts for a member stands in the audit entry, where it can be erased.
    content = content_digest(pool_id, command.model_copy(update={"reason": None}))
    program = book.current(now)

    def decide(accounts: Sequence[Account]) -> tuple[EntryView, Sequence[Write]]:
        member, pool = accounts
        rules.require_may_act(by, command.reason)
        require_reached(table, member, command.member_id, by, Permission.POOLS_ACT_FOR_MEMBERS)
        part = _part_of(table, pool_id, command.member_id, member)
        if by_member:
            if part is None:  # others' pools are none of theirs
                raise PoolUnknown(pool_id=pool_id)
            require_settled(table, MemberId(member.member_id), now=now)
        rules.require_pool_open(pool)
        rules.require_part(pool_id, command.member_id, part)
        guards.require_open(member)
        rules.require_may_give_away(member, command.points, program, now)
        moved = rules.move(
            member, pool, command.points, entry_key, program, actor=command.member_id, content=content, now=now
        )
        view = entry_view(moved.out.main, None, program, language)
        return view, _writes_of(member, pool, moved)

    return _once(
        table,
        book,
        (command.member_id, pool_id),
        entry_key,
        content,
        decide,
        now=now,
        language=language,
        dry_run=command.dry_run,
    )


def spend_from_pool(
    table: Table,
    book: ProgramBook,
    pool_id: PoolId,
    key: str,
    command: SpendFromPool,
    *,
    now: datetime,
    language: Language,
) -> Outcome[EntryView]:
    """Spend points of a pool on a member's behalf.

    Raises:
        PoolUnknown, PoolClosed: there is no pool to spend from.
        NotInPool, RoleForbids, PoolLimitReached: the member may not, or not so much.
        MemberUnknown, MemberSuspended, MemberClosed: the member can do nothing.
        PointsInsufficient: the pool holds fewer.
        EntryDiffers: this key was used before for something else.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    entry_key = EntryKey(kind="pool_spend", parts=(key,))
    content = content_digest(pool_id, command)
    program = book.current(now)

    def decide(accounts: Sequence[Account]) -> tuple[EntryView, Sequence[Write]]:
        (pool,) = accounts
        rules.require_pool_open(pool)
        member = _member(table, command.member_id)
        part = rules.require_part(pool_id, command.member_id, _part_of(table, pool_id, command.member_id, member))
        after = rules.having_spent(part, command.points, today_of(program, now))
        guards.require_open(member)
        posting = rules.spend(pool, command, entry_key, program, content=content, now=now)
        counted = [store.replace_membership(after)] if part.monthly_limit is not None else []
        writes = points_store.post(pool, posting, more=store.spend_item(command.reference, counted=bool(counted)))
        return entry_view(posting.main, None, program, language, reference=command.reference), [*writes, *counted]

    return _once(
        table, book, (pool_id,), entry_key, content, decide, now=now, language=language, dry_run=command.dry_run
    )


def find_spend(
    table: Table,
    book: ProgramBook,
    pool_id: PoolId,
    key: str,
    command: SpendFromPool,
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
    entry_key = EntryKey(kind="pool_spend", parts=(key,))
    recall = _recall(entry_key, content_digest(pool_id, command), book, language)
    return points_service.find_answer(table, entry_key, recall, token)


def close_pool(
    table: Table, book: ProgramBook, pool_id: PoolId, command: ClosePool, *, now: datetime, by: Caller | None = None
) -> Outcome[PoolView]:
    """Close a pool: what is left goes to its owner, in the lots that it is in. Closing it again changes nothing.

    Args:
        by: who does it; None where no person does.

    Raises:
        PoolUnknown: there is no such pool, or the caller does not reach to who owns it.
        MemberClosed: the owner cannot take the points.
        BalanceTooLarge: the owner would hold too many.
        WriteContended: others kept changing the pool; safe to try again.
    """
    program = book.current(now)
    key = EntryKey(kind="pool_close", parts=(pool_id,))

    def attempt() -> Outcome[PoolView]:
        pool, content = _pool(table, pool_id)
        _require_owner_reached(table, pool, by, Permission.POOLS_MANAGE)
        account = _account(table, pool_id)
        if account.status is AccountStatus.CLOSED:
            return Outcome(_view(table, pool, account, book, now), replayed=True)
        owner = _member(table, pool.owner_id)
        left = balances.derive(account, today_of(program, now), now).available
        if left and owner.status is AccountStatus.CLOSED:
            raise MemberClosed(member_id=owner.member_id)
        after = pool.model_copy(update={"version": pool.version + 1})
        noted = points_store.note(pool_id, "pool_closed", {}, at=now, version=after.version)
        beside = [store.replace_pool(pool, after, content), noted]
        if left == 0:
            settled, entries = ledger.settle(account, program, now=now)
            closed = settled.model_copy(update={"status": AccountStatus.CLOSED})
            writes = [*points_store.book(account, closed, entries, None), *beside]
        else:
            moved = rules.move(account, owner, left, key, program, actor=pool.owner_id, content=None, now=now)
            moved = rules.with_giver_closed(moved)
            closed = moved.out.account
            writes = [*_writes_of(account, owner, moved), *beside]
        if command.dry_run:
            return Outcome(_view(table, after, closed, book, now), stored=False)
        table.commit(writes)
        return Outcome(_view(table, after, closed, book, now))

    return _until_still(attempt)


def find_points(
    table: Table, book: ProgramBook, pool_id: PoolId, *, now: datetime, then: Then | None = None
) -> PointsView:
    """A pool's points.

    Raises:
        PoolUnknown: there is no such pool.
        InstantInFuture: the day or the instant has not come yet.
    """
    try:
        return points_service.find_points(table, book, pool_id, now=now, then=then)
    except MemberUnknown:
        raise PoolUnknown(pool_id=pool_id) from None


def list_statement(
    table: Table, book: ProgramBook, pool_id: PoolId, *, after: str | None, limit: int, language: Language
) -> Slice[EntryView]:
    """A page of a pool's statement, newest first; each line says which member did it.

    Raises:
        PoolUnknown: there is no such pool.
    """
    try:
        return points_service.list_statement(table, book, pool_id, after=after, limit=limit, language=language)
    except MemberUnknown:
        raise PoolUnknown(pool_id=pool_id) from None


def _pool(table: Table, pool_id: PoolId) -> tuple[Pool, str]:
    known = store.find_pool(table, pool_id, consistent=True)
    if known is None:
        raise PoolUnknown(pool_id=pool_id)
    return known


def _account(table: Table, pool_id: PoolId) -> Account:
    account = points_store.find_account(table, pool_id, consistent=True)
    if account is None:
        raise PoolUnknown(pool_id=pool_id)
    return account


def _open_account(table: Table, pool_id: PoolId) -> Account:
    account = _account(table, pool_id)
    rules.require_pool_open(account)
    return account


def _member(table: Table, member_id: MemberId) -> Account:
    account = points_store.find_answering(table, member_id, consistent=True)
    if account is None:
        raise MemberUnknown(member_id=member_id)
    return account


def _reached(table: Table, member_id: MemberId, by: Caller | None, permission: Permission) -> None:
    """See that a member takes commands, and that a caller's permission reaches to them.

    Raises:
        MemberUnknown, MemberSuspended, MemberClosed: not so.
    """
    member = _member(table, member_id)
    require_reached(table, member, member_id, by, permission)
    guards.require_open(member)


def _require_owner_reached(table: Table, pool: Pool, by: Caller | None, permission: Permission) -> None:
    """See that who changes a pool reaches to its owner: what is in it would be theirs.

    Raises:
        PoolUnknown: they do not.
    """
    if is_home_of(None, by, permission):
        return
    try:
        owner = _member(table, pool.owner_id)
        require_reached(table, owner, pool.owner_id, by, permission)
    except MemberUnknown:
        raise PoolUnknown(pool_id=pool.pool_id) from None


def correct_spend(table: Table, spent: Item, points: int) -> list[Write]:
    """Writes by which a month's limit counts a spend no more that is taken back, or counts it again.

    Args:
        spent: the item of the spend's own entry.
        points: what it took; below nought, what is put back.
    """
    entry = points_store.entry_from(spent)
    if not store.is_counted(spent) or entry.actor is None:
        return []
    member = points_store.find_answering(table, entry.actor, consistent=True)
    part = _part_of(table, PoolId(entry.member_id), entry.actor, member) if member is not None else None
    after = rules.having_corrected(part, points, entry.occurred_on) if part is not None else None
    return [store.replace_membership(after)] if after is not None else []


def _part_of(table: Table, pool_id: PoolId, member_id: MemberId, member: Account) -> Membership | None:
    """The part in a pool of the member who is named, or else of those with whom they have become one.

    Args:
        member: the account that answers for the one who is named.
    """
    ids = dict.fromkeys((member_id, member.member_id, *member.absorbed))
    parts = (store.find_membership(table, pool_id, each) for each in ids)
    return next(filter(None, parts), None)


def _until_still(attempt: Callable[[], T]) -> T:
    """Do something again as long as others get there first."""
    for _ in range(ATTEMPTS_MAX):
        try:
            return attempt()
        except (PoolMoved, AccountMoved, EntryKnown):
            continue
    raise WriteContended


def _once(
    table: Table,
    book: ProgramBook,
    account_ids: tuple[PoolId] | tuple[MemberId, PoolId],
    key: EntryKey,
    content: bytes,
    decide: Callable[[Sequence[Account]], tuple[EntryView, Sequence[Write]]],
    *,
    now: datetime,
    language: Language,
    dry_run: bool,
) -> Outcome[EntryView]:
    """A command on a pool's account; who names a pool that there is not is told so."""
    recall = _recall(key, content, book, language)
    try:
        return once_among(table, book, account_ids, key, decide=decide, recall=recall, now=now, dry_run=dry_run)
    except MemberUnknown as unknown:
        pool_id = account_ids[-1]
        if unknown.facts["member_id"] != pool_id:
            raise
        raise PoolUnknown(pool_id=pool_id) from None


def _recall(key: EntryKey, content: bytes, book: ProgramBook, language: Language) -> Callable[[Item], EntryView]:
    def recall(item: Item) -> EntryView:
        entry = points_store.entry_from(item)
        if entry.content != content:
            raise EntryDiffers(key="/".join(key.parts))
        program = book.version(entry.program_version)
        return entry_view(entry, None, program, language, reference=item.get("rf"))

    return recall


def _writes_of(giver: Account, receiver: Account, moved: rules.Moved) -> list[Write]:
    into = moved.into
    return [
        *points_store.post(giver, moved.out),
        *points_store.book(receiver, into.account, into.entries, into.due_on),
    ]


def _view(table: Table, pool: Pool, account: Account, book: ProgramBook, now: datetime) -> PoolView:
    owner = points_store.find_answering(table, pool.owner_id)
    return PoolView(
        pool_id=pool.pool_id,
        name=pool.name,
        kind=pool.kind,
        status=account.status,
        owner_id=MemberId(owner.member_id) if owner is not None else pool.owner_id,
        members_count=pool.members_count,
        points=views.summary(account, today_of(book.current(now), now), now),
        opened_at=pool.opened_at,
        version=pool.version,
    )


def _membership_view(membership: Membership, book: ProgramBook, now: datetime) -> MembershipView:
    return MembershipView(
        pool_id=membership.pool_id,
        member_id=membership.member_id,
        role=membership.role,
        monthly_limit=membership.monthly_limit,
        spent_this_month=rules.spent_this_month(membership, today_of(book.current(now), now)),
        joined_at=membership.joined_at,
    )
