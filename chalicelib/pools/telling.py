"""What pools tell others."""

from collections.abc import Callable

from chalicelib.kernel.events import Occurrence, Told
from chalicelib.kernel.ids import MemberId, is_member
from chalicelib.points import telling as points_telling
from chalicelib.points.models import Entry, Happened
from chalicelib.pools import store
from chalicelib.pools.events import (
    PointsPooled,
    PoolClosed,
    PoolMemberLeft,
    PoolMemberSet,
    PoolOpened,
    PoolPointsMoved,
    PoolPointsSpent,
    PoolSource,
)
from chalicelib.pools.models import PoolId, Role
from chalicelib.storage import keys
from chalicelib.storage.writes import Item


def _pooled(entry: Entry, item: Item) -> list[Told]:
    source = PoolSource.CLOSE if entry.key.kind.startswith("pool_close") else PoolSource.CONTRIBUTION
    if not is_member(entry.member_id):
        return [PoolPointsMoved(**points_telling.leading(entry), source=source, subject_id=_actor(entry))]
    pool_id = PoolId(entry.why[0].rule_id.partition(".")[2])
    return [PointsPooled(**points_telling.by_hand(entry, item), source=source, pool_id=pool_id)]


def _actor(entry: Entry) -> MemberId:
    if entry.actor is None:
        raise ValueError("the entry does not say which member did it")
    return entry.actor


def _pool_spend(entry: Entry, item: Item) -> list[Told]:
    return [PoolPointsSpent(**points_telling.by_hand(entry, item), subject_id=_actor(entry))]


def _pool(item: Item) -> Occurrence:
    opened_at = store.opened_at(item)
    opened = PoolOpened(kind=store.kind_from(item), owner_id=store.owner_from(item))
    return Occurrence(opened, keys.account_of(item["pk"]), opened_at, opened_at)


FROM_ENTRY: dict[str, Callable[[Entry, Item], list[Told]]] = {
    "contribution": _pooled,
    "contribution_in": _pooled,
    "pool_close": _pooled,
    "pool_close_in": _pooled,
    "pool_spend": _pool_spend,
}
"""What entries tell, by the kind of their key; the first event of each leads."""

FROM_NOTE: dict[str, Callable[[Happened], list[Told]]] = {
    "pool_member_set": lambda note: [
        PoolMemberSet(subject_id=MemberId(note.facts["member_id"]), role=Role(note.facts["role"]))
    ],
    "pool_member_left": lambda note: [PoolMemberLeft(subject_id=MemberId(note.facts["member_id"]))],
    "pool_closed": lambda _: [PoolClosed()],
}
"""What notes on the timeline tell, by their kind."""

FROM_ITEM: dict[str, Callable[[Item], Occurrence]] = {
    "G POOL": _pool,
}
"""What items that are no entries tell, by their kind (`relay.service.kind_of`)."""
