"""HTTP of pools."""

from chalicelib.api.routing import Call, Routes
from chalicelib.api.ways import carried_out
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller, Owner
from chalicelib.kernel.errors import LaneSlow
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.kernel.records import Record
from chalicelib.members.errors import ContactChangedLately
from chalicelib.points.errors import (
    BalanceTooLarge,
    EntryDiffers,
    InstantInFuture,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    PointsInsufficient,
    PoolClosed,
)
from chalicelib.points.models import EntryView, PointsView, Then
from chalicelib.pools import service
from chalicelib.pools.errors import (
    ActionUnexplained,
    ContributionLimitReached,
    ContributionTooLarge,
    NotInPool,
    OwnerNeeded,
    PoolDiffers,
    PoolFull,
    PoolLimitReached,
    PoolMoved,
    PoolUnknown,
    RoleForbids,
)
from chalicelib.pools.models import (
    ClosePool,
    Contribute,
    ContributeOwn,
    EditPool,
    MembershipView,
    OpenPool,
    PoolId,
    PoolView,
    SetMembership,
    SpendFromPool,
)
from chalicelib.programs.service import book_of
from chalicelib.runtime.wiring import House

pools = Routes("pools")


def _owner(house: House, pool_id: PoolId, caller: Caller) -> Owner | None:
    return service.owner_of(house.table, pool_id, caller)


pools.owned("pool", "pool_id", _owner, lambda pool_id: PoolUnknown(pool_id=pool_id))

_NOBODY = (MemberUnknown, MemberSuspended, MemberClosed)
_CONTRIBUTING = (
    PoolUnknown,
    PoolClosed,
    NotInPool,
    *_NOBODY,
    PointsInsufficient,
    BalanceTooLarge,
    EntryDiffers,
    ContributionTooLarge,
    ContributionLimitReached,
    ActionUnexplained,
    ContactChangedLately,
)


class PoolList(Record):
    """The pools of a member."""

    items: tuple[PoolView, ...]
    next_cursor: None = None


class MembershipPage(Page[MembershipView]):
    """A page of those who belong to a pool."""


class PoolEntryPage(Page[EntryView]):
    """A page of a pool's statement."""


@pools.post("/pools", keyed=True, status=201, refuses=(*_NOBODY, PoolDiffers))
def open_pool(body: OpenPool, call: Call) -> Outcome[PoolView]:
    """Open a pool, whose points several members share."""
    table = call.house.table
    return service.open_pool(table, book_of(table), body, call.key, now=call.now, by=call.signed_in)


@pools.get("/pools/{pool_id}", refuses=(PoolUnknown,))
def get_pool(pool_id: PoolId, call: Call) -> PoolView:
    """A pool and what it has."""
    return service.find_pool(call.house.table, book_of(call.house.table), pool_id, now=call.now)


@pools.patch("/pools/{pool_id}", refuses=(PoolUnknown, PoolClosed, PoolMoved))
def edit_pool(pool_id: PoolId, body: EditPool, call: Call) -> PoolView:
    """Give a pool another name. Whose shops are some does it in pools of members whose home shop is theirs."""
    call.require_version(body.version)
    book = book_of(call.house.table)
    return service.edit_pool(call.house.table, book, pool_id, body, now=call.now, by=call.signed_in)


@pools.post(
    "/pools/{pool_id}/closures",
    status=201,
    refuses=(PoolUnknown, MemberUnknown, MemberClosed, BalanceTooLarge),
)
def close_pool(pool_id: PoolId, body: ClosePool, call: Call) -> Outcome[PoolView]:
    """Close a pool; what is left goes to its owner.

    Whose shops are some does it in pools of members whose home shop is theirs.
    """
    book = book_of(call.house.table)
    return service.close_pool(call.house.table, book, pool_id, body, now=call.now, by=call.signed_in)


@pools.get("/members/{member_id}/pools", me="/me/pools", refuses=(MemberUnknown,))
def list_pools(member_id: MemberId, call: Call) -> PoolList:
    """The pools to which a member belongs."""
    return PoolList(items=service.list_pools(call.house.table, book_of(call.house.table), member_id, now=call.now))


@pools.get("/pools/{pool_id}/members", refuses=(PoolUnknown, CursorInvalid))
def list_pool_members(pool_id: PoolId, query: Paging, call: Call) -> MembershipPage:
    """Those who belong to a pool, and what they may do."""
    scope = ("pool-members", pool_id)
    part = service.list_members(
        call.house.table,
        book_of(call.house.table),
        pool_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        now=call.now,
    )
    return call.page(part, MembershipPage, *scope)


@pools.put(
    "/pools/{pool_id}/members/{member_id}",
    refuses=(PoolUnknown, PoolClosed, PoolFull, OwnerNeeded, *_NOBODY, PermissionMissing, ActionUnexplained),
)
def set_pool_member(pool_id: PoolId, member_id: MemberId, body: SetMembership, call: Call) -> MembershipView:
    """Let a member into a pool, or change what they may do in it.

    Whose shops are some does it for members whose home shop is theirs, in pools of such members. It takes a reason.
    """
    book = book_of(call.house.table)
    return service.set_member(call.house.table, book, pool_id, member_id, body, now=call.now, by=call.signed_in)


@pools.post(
    "/pools/{pool_id}/members/{member_id}/departures",
    status=201,
    refuses=(PoolUnknown, NotInPool, OwnerNeeded),
)
def end_pool_member(pool_id: PoolId, member_id: MemberId, call: Call) -> PoolView:
    """Let a member out of a pool; what they contributed stays.

    Whose shops are some does it in pools of members whose home shop is theirs.
    """
    book = book_of(call.house.table)
    return service.end_member(call.house.table, book, pool_id, member_id, now=call.now, by=call.signed_in)


@pools.post(
    "/pools/{pool_id}/contributions",
    keyed=True,
    status=201,
    refuses=_CONTRIBUTING,
)
def contribute(pool_id: PoolId, body: Contribute, call: Call) -> Outcome[EntryView]:
    """Move a member's own points into a pool, with their last days; the answer is the member's entry.

    Whose shops are some does it for members whose home shop is theirs. It takes a reason. Where members may give points
    to each other, what they put into pools counts to what they may give away.
    """
    book = book_of(call.house.table)
    return service.contribute(
        call.house.table,
        book,
        pool_id,
        call.key,
        body,
        now=call.now,
        language=book.language(call.language, call.now),
        by=call.signed_in,
    )


@pools.post("/me/pools/{pool_id}/contributions", keyed=True, status=201, refuses=_CONTRIBUTING)
def contribute_own(pool_id: PoolId, body: ContributeOwn, call: Call) -> Outcome[EntryView]:
    """Move points of one's own into a pool, with their last days; the answer is one's own entry."""
    book = book_of(call.house.table)
    return service.contribute(
        call.house.table,
        book,
        pool_id,
        call.key,
        Contribute(member_id=call.member_id, points=body.points, dry_run=body.dry_run),
        now=call.now,
        language=book.language(call.language, call.now),
        by_member=True,
    )


@pools.post(
    "/pools/{pool_id}/spends",
    keyed=True,
    status=201,
    refuses=(
        PoolUnknown,
        PoolClosed,
        NotInPool,
        RoleForbids,
        PoolLimitReached,
        *_NOBODY,
        PointsInsufficient,
        EntryDiffers,
        BalanceTooLarge,
        LaneSlow,
    ),
)
def spend_from_pool(pool_id: PoolId, body: SpendFromPool, call: Call) -> Outcome[EntryView]:
    """Spend points of a pool, soonest expiry first, on behalf of a member who belongs to it."""
    table, book = call.house.table, book_of(call.house.table)
    language = book.language(call.language, call.now)

    def directly() -> Outcome[EntryView]:
        return service.spend_from_pool(table, book, pool_id, call.key, body, now=call.now, language=language)

    def find(token: str) -> Outcome[EntryView] | None:
        return service.find_spend(table, book, pool_id, call.key, body, token=token, language=language)

    if body.dry_run:
        return directly()
    return carried_out(call, "pool_spend", pool_id, body, language, directly=directly, find=find)


@pools.get("/pools/{pool_id}/points", refuses=(PoolUnknown, InstantInFuture))
def get_pool_points(pool_id: PoolId, query: Then, call: Call) -> PointsView:
    """A pool's points; now, or at another time."""
    return service.find_points(call.house.table, book_of(call.house.table), pool_id, now=call.now, then=query)


@pools.get("/pools/{pool_id}/point-entries", refuses=(PoolUnknown, CursorInvalid))
def list_pool_entries(pool_id: PoolId, query: Paging, call: Call) -> PoolEntryPage:
    """A pool's statement, newest first; each line says which member did it."""
    scope = ("pool-entries", pool_id)
    book = book_of(call.house.table)
    part = service.list_statement(
        call.house.table,
        book,
        pool_id,
        after=call.position(query.cursor, *scope),
        limit=query.limit,
        language=book.language(call.language, call.now),
    )
    return call.page(part, PoolEntryPage, *scope)
