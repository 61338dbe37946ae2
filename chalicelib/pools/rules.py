"""What is decided about pools: who may do what, and how points move in and out. Pure."""

import base64
import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime

from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Permission
from chalicelib.kernel.calendar import from_milliseconds, milliseconds, month_of
from chalicelib.kernel.ids import MemberId, is_member
from chalicelib.points.errors import PointsInsufficient, PoolClosed
from chalicelib.points.fold import CONTRIBUTION
from chalicelib.points.models import Account, AccountStatus, EntryKey, Lifetime, Posting, Reason, Sums, Why
from chalicelib.points.rules import balances, ledger
from chalicelib.points.rules.ledger import Draft
from chalicelib.pools.errors import (
    ActionUnexplained,
    ContributionLimitReached,
    ContributionTooLarge,
    NotInPool,
    OwnerNeeded,
    PoolFull,
    PoolLimitReached,
    RoleForbids,
)
from chalicelib.pools.models import (
    MEMBERS_MAX,
    Membership,
    OpenPool,
    Pool,
    PoolId,
    Role,
    SetMembership,
    SpendFromPool,
)
from chalicelib.programs.models import Program
from chalicelib.programs.rules import today_of


@dataclass(frozen=True, slots=True)
class Moved:
    """Points that went from one account to another.

    Attributes:
        out: what the giver's account comes to.
        into: what the receiver's account comes to.
    """

    out: Posting
    into: Posting


def pool_id_of(key: str) -> PoolId:
    """The id of the pool that a key opens: the same key opens the same pool."""
    digest = hashlib.sha256(b"regulars pool " + key.encode()).digest()
    return PoolId("pol_" + base64.b32encode(digest[:10]).decode().lower())


def opened(pool_id: PoolId, command: OpenPool, *, now: datetime) -> tuple[Pool, Membership]:
    """A new pool, and its owner's part in it."""
    opened_at = from_milliseconds(milliseconds(now))
    pool = Pool(
        pool_id=pool_id,
        name=command.name,
        kind=command.kind,
        owner_id=command.owner_id,
        members_count=1,
        opened_at=opened_at,
    )
    return pool, Membership(pool_id=pool_id, member_id=command.owner_id, role=Role.OWNER, joined_at=opened_at)


def with_member(
    pool: Pool,
    known: Membership | None,
    owner: Membership,
    member_id: MemberId,
    command: SetMembership,
    *,
    now: datetime,
) -> tuple[Pool, tuple[Membership, ...]]:
    """The pool with a member let in, or with another role; and the memberships that change.

    Args:
        known: the member's part in the pool until now.
        owner: the owner's part.

    Raises:
        PoolFull: no more members can be let in.
        OwnerNeeded: the owner would be none any more, and nobody else is.
    """
    if known is None and pool.members_count >= MEMBERS_MAX:
        raise PoolFull(limit=MEMBERS_MAX)
    if known is not None and known.role is Role.OWNER and command.role is not Role.OWNER:
        raise OwnerNeeded(member_id=member_id)
    joined_at = from_milliseconds(milliseconds(now))
    base = known or Membership(
        pool_id=pool.pool_id, member_id=member_id, role=command.role, joined_at=joined_at, version=0
    )
    changed = base.model_copy(
        update={"role": command.role, "monthly_limit": command.monthly_limit, "version": base.version + 1}
    )
    changes = [changed]
    if command.role is Role.OWNER and owner.member_id != member_id:
        changes.append(owner.model_copy(update={"role": Role.SPENDER, "version": owner.version + 1}))
    after = pool.model_copy(
        update={
            "owner_id": member_id if command.role is Role.OWNER else pool.owner_id,
            "members_count": pool.members_count + (known is None),
            "version": pool.version + 1,
        }
    )
    return after, tuple(changes)


def without_member(pool: Pool, leaving: Membership) -> Pool:
    """The pool when a member has left it.

    Raises:
        OwnerNeeded: the member owns it.
    """
    if leaving.role is Role.OWNER:
        raise OwnerNeeded(member_id=leaving.member_id)
    return pool.model_copy(update={"members_count": pool.members_count - 1, "version": pool.version + 1})


def require_part(pool_id: str, member_id: str, membership: Membership | None) -> Membership:
    """The member's part in the pool.

    Raises:
        NotInPool: there is none.
    """
    if membership is None:
        raise NotInPool(pool_id=pool_id, member_id=member_id)
    return membership


def require_pool_open(account: Account) -> None:
    """Refuse commands on a pool that was closed.

    Raises:
        PoolClosed: it was.
    """
    if account.status is AccountStatus.CLOSED:
        raise PoolClosed(pool_id=account.member_id)


def having_spent(membership: Membership, points: int, on: date) -> Membership:
    """The member's part in the pool after a spend.

    Raises:
        RoleForbids: the member may only contribute.
        PoolLimitReached: it is more than the month's limit leaves.
    """
    if membership.role is Role.CONTRIBUTOR:
        raise RoleForbids(role=membership.role.value, what="spend its points")
    spent = spent_this_month(membership, on)
    limit = membership.monthly_limit
    if limit is not None and spent + points > limit:
        raise PoolLimitReached(asked=points, left=max(limit - spent, 0), limit=limit)
    return membership.model_copy(
        update={"spent_in": month_of(on), "spent": spent + points, "version": membership.version + 1}
    )


def having_corrected(membership: Membership, points: int, on: date) -> Membership | None:
    """The member's part in the pool after a spend of theirs was taken back, or put back; None where it did not count.

    Args:
        points: what the spend took; below nought, what is put back.
        on: the day of the spend: only its own month's limit counts it.
    """
    if membership.spent_in != month_of(on):
        return None
    spent = max(membership.spent - points, 0)
    return membership.model_copy(update={"spent": spent, "version": membership.version + 1})


def spent_this_month(membership: Membership, on: date) -> int:
    """What the member has spent from the pool in the month of a day."""
    return membership.spent if membership.spent_in == month_of(on) else 0


def spend(
    account: Account, command: SpendFromPool, key: EntryKey, program: Program, *, content: bytes, now: datetime
) -> Posting:
    """Take points out of the pool's account.

    Raises:
        PoolClosed: it was closed.
        PointsInsufficient: it holds fewer.
    """
    require_pool_open(account)
    draft = Draft(key, Reason.SPEND, now, consumed=command.points, actor=command.member_id, content=content)
    return ledger.post(account, draft, program, now=now)


def move(
    giver: Account,
    receiver: Account,
    points: int,
    key: EntryKey,
    program: Program,
    *,
    actor: MemberId,
    content: bytes | None,
    now: datetime,
) -> Moved:
    """Move points from one account to another, in the lots that they are in: passing on makes no points younger.

    Args:
        actor: the member who does it; told on the account that is not their own.

    Raises:
        PointsInsufficient: fewer are available.
        BalanceTooLarge: the receiver's balance would pass `POINTS_MAX`.
    """
    today = today_of(program, max(now, giver.last_recorded_at or now))
    available = balances.derive(giver, today, now).available
    if points > available:
        raise PointsInsufficient(asked=points, available=available)
    lots = balances.lots_taken(giver, points, today)
    taken = Draft(
        key,
        Reason.TRANSFER,
        now,
        consumed=points,
        actor=None if giver.member_id == actor else actor,
        why=(_why(giver, receiver, -points, counted=key.kind == CONTRIBUTION),),
        content=content,
    )
    given = Draft(
        EntryKey(kind=f"{key.kind}_in", parts=key.parts),
        Reason.TRANSFER,
        now,
        sums=Sums(lifetime=Lifetime(earned=points), earned=lots),
        actor=None if receiver.member_id == actor else actor,
        why=(_why(receiver, giver, points),),
        cause=key,
    )
    return Moved(ledger.post(giver, taken, program, now=now), ledger.post(receiver, given, program, now=now))


def _why(account: Account, other: Account, points: int, *, counted: bool = False) -> Why:
    """Why points came or went: on a member's account it names the pool, on a pool's the entry names the member.

    Args:
        counted: it says how many were given away, so that the month counts them.
    """
    rule_id = f"pool.{other.member_id}" if is_member(account.member_id) else "pooled"
    return Why(rule_id=rule_id, points=points, args=(abs(points),) if counted else ())


def require_may_give_away(giver: Account, points: int, program: Program, now: datetime) -> None:
    """See that no more leaves a member's account than may by transfers, where members may give points to others at all.

    Raises:
        ContributionTooLarge, ContributionLimitReached: as they say.
    """
    terms = program.transfers
    if not terms.enabled:
        return
    if points > terms.max_points:
        raise ContributionTooLarge(asked=points, most=terms.max_points)
    left = terms.max_points_per_month - ledger.given_away(giver, program, max(now, giver.last_recorded_at or now))
    if points > left:
        raise ContributionLimitReached(asked=points, left=max(left, 0), limit=terms.max_points_per_month)


def require_may_act(by: Caller | None, reason: str | None) -> None:
    """See that whoever sends a command may act for members, and says why.

    Args:
        by: who sends it; None where it is the member, or no person.

    Raises:
        PermissionMissing, ActionUnexplained: as they say.
    """
    if by is None:
        return
    if by.scope(Permission.POOLS_ACT_FOR_MEMBERS) is None:
        raise PermissionMissing(permission=Permission.POOLS_ACT_FOR_MEMBERS.value)
    if reason is None:
        raise ActionUnexplained


def with_giver_closed(moved: Moved) -> Moved:
    """The same move, after which the giver's account takes nothing any more and nothing is due."""
    closed = moved.out.account.model_copy(update={"status": AccountStatus.CLOSED})
    return Moved(replace(moved.out, account=closed, due_on=None), moved.into)
