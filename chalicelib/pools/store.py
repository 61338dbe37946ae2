"""How pools are stored.

`G#<pool>` / `POOL` the pool · `ACCOUNT` its account · `W#<member>` a member's part in it.
`M#<member>` / `SHARES#<pool>` says to which pools a member belongs, `WAS#<pool>` which they left. The pool's version
counts every change of who belongs to it.
"""

from datetime import datetime

from chalicelib.kernel.calendar import Month, from_milliseconds, milliseconds
from chalicelib.kernel.ids import MemberId
from chalicelib.points.errors import AccountMoved
from chalicelib.pools.errors import PoolMoved
from chalicelib.pools.models import Membership, Pool, PoolId, PoolKind, Role
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Anyway, Delete, Item, Put, Unchanged, Write


class PoolKnown(Exception):
    """The key opened a pool before. Never leaves the service."""


def find_pool(table: Table, pool_id: str, *, consistent: bool = False) -> tuple[Pool, str] | None:
    """A pool and what tells the command that opened it from another; or None."""
    item = table.get(keys.pool(pool_id), consistent=consistent)
    return (_pool_from(item), item["content"]) if item else None


def find_membership(table: Table, pool_id: str, member_id: str) -> Membership | None:
    """A member's part in a pool, or None."""
    item = table.get(keys.pool_member(pool_id, member_id), consistent=True)
    return _membership_from(item) if item else None


def list_memberships(
    table: Table, pool_id: str, *, after: str | None, limit: int
) -> tuple[tuple[Membership, ...], str | None]:
    """A page of those who belong to a pool, by member id, and where the next one starts."""
    first = keys.pool_member(pool_id, after or "").sk + ("\x00" if after else "")
    items = table.query_partition(
        keys.member_partition(pool_id), first=first, last="W#\U0010ffff", consistent=True, limit=limit + 1
    )
    found = tuple(_membership_from(item) for item in items[:limit])
    return found, found[-1].member_id if len(items) > limit else None


def list_pool_ids(table: Table, member_id: str) -> tuple[PoolId, ...]:
    """The pools to which a member belongs."""
    items = table.query_partition(
        keys.member_partition(member_id), first="SHARES#", last="SHARES#\U0010ffff", consistent=True
    )
    return tuple(PoolId(keys.parted(item["sk"])[1]) for item in items)


def list_former_pool_ids(table: Table, member_id: str) -> tuple[PoolId, ...]:
    """The pools that a member left."""
    items = table.query_partition(
        keys.member_partition(member_id), first="WAS#", last="WAS#\U0010ffff", consistent=True
    )
    return tuple(PoolId(keys.parted(item["sk"])[1]) for item in items)


def open_pool(pool: Pool, owner: Membership, content: str) -> list[Write]:
    """Writes of a new pool and its owner's part, unless its key opened one before."""
    item = _pool_item(pool) | {"content": content}
    return [
        Put(keys.pool(pool.pool_id), item, Absent(), lambda _: PoolKnown()),
        *_let_in(owner),
    ]


def replace_pool(before: Pool, after: Pool, content: str) -> Write:
    """The write of a changed pool, unless it was changed since it was read."""

    def moved(found: Item) -> Exception:
        return PoolMoved(read=before.version, current=found.get("version", 0))

    item = _pool_item(after) | {"content": content}
    return Put(keys.pool(after.pool_id), item, Unchanged(before.version), moved)


def set_membership(after: Membership) -> list[Write]:
    """Writes of a member's part in a pool, new or changed."""
    return _let_in(after) if after.version == 1 else [replace_membership(after)]


def replace_membership(after: Membership) -> Write:
    """The write of a changed part in a pool, unless it was changed since it was read."""
    return Put(
        keys.pool_member(after.pool_id, after.member_id),
        _membership_item(after),
        Unchanged(after.version - 1),
        lambda _: AccountMoved(),
    )


def spend_item(reference: str | None, *, counted: bool) -> Item:
    """The attributes that a spend adds to its entry: rf the caller's reference, ct that a month's limit counts it."""
    return {"rf": reference, "ct": 1 if counted else None}


def is_counted(item: Item) -> bool:
    """Whether a month's limit counts the spend of an item."""
    return "ct" in item


def end_membership(membership: Membership) -> list[Write]:
    """Writes that end a member's part in a pool."""
    key = keys.pool_member(membership.pool_id, membership.member_id)
    share = keys.share(membership.member_id, membership.pool_id)
    return [
        Delete(key, Unchanged(membership.version), lambda _: AccountMoved()),
        Delete(share, Unchanged(1), lambda _: AccountMoved()),
        Put(keys.former_share(membership.member_id, membership.pool_id), {}, Anyway(), lambda _: AccountMoved()),
    ]


def _let_in(membership: Membership) -> list[Write]:
    key = keys.pool_member(membership.pool_id, membership.member_id)
    share = keys.share(membership.member_id, membership.pool_id)
    return [
        Put(key, _membership_item(membership), Absent(), lambda _: AccountMoved()),
        Put(share, {"version": 1}, Absent(), lambda _: AccountMoved()),
    ]


def kind_from(item: Item) -> PoolKind:
    """Who shares the pool of an item."""
    return PoolKind(item["kind"])


def owner_from(item: Item) -> MemberId:
    """Who owns the pool of an item."""
    return MemberId(item["owner"])


def opened_at(item: Item) -> datetime:
    """When the pool of an item was opened."""
    return from_milliseconds(item["opened"])


def _pool_from(item: Item) -> Pool:
    return Pool(
        pool_id=PoolId(keys.account_of(item["pk"])),
        name=item["name"],
        kind=kind_from(item),
        owner_id=owner_from(item),
        members_count=item["count"],
        opened_at=opened_at(item),
        version=item["version"],
    )


def _pool_item(pool: Pool) -> Item:
    return {
        "tl": keys.directory(pool.pool_id),
        "at": pool.pool_id,
        "name": pool.name,
        "kind": pool.kind.value,
        "owner": pool.owner_id,
        "count": pool.members_count,
        "opened": milliseconds(pool.opened_at),
        "version": pool.version,
    }


def _membership_from(item: Item) -> Membership:
    return Membership(
        pool_id=PoolId(keys.account_of(item["pk"])),
        member_id=MemberId(keys.parted(item["sk"])[1]),
        role=Role(item["role"]),
        monthly_limit=item.get("limit"),
        joined_at=from_milliseconds(item["joined"]),
        spent_in=Month(item["month"]) if "month" in item else None,
        spent=item.get("spent", 0),
        version=item["version"],
    )


def _membership_item(membership: Membership) -> Item:
    return {
        "role": membership.role.value,
        "limit": membership.monthly_limit,
        "joined": milliseconds(membership.joined_at),
        "month": membership.spent_in,
        "spent": membership.spent or None,
        "version": membership.version,
    }
