"""Pools, who belongs to them, and commands on them."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from chalicelib.kernel.calendar import Month
from chalicelib.kernel.ids import AccountId, MemberId
from chalicelib.kernel.money import SomePoints
from chalicelib.kernel.records import Line, Reason, Record, Reference
from chalicelib.points.models import AccountStatus, PointsSummary

MEMBERS_MAX = 500
"""How many members may share a pool: each is an item of its own, read page by page."""


class PoolId(AccountId):
    """Names a pool: `pol_` and 16 characters that follow from the key it was opened with."""

    pattern = r"^pol_[a-z2-7]{16}$"


class PoolKind(StrEnum):
    """Who shares a pool."""

    FAMILY = "family"
    COMPANY = "company"


class Role(StrEnum):
    """What a member may do in a pool."""

    OWNER = "owner"
    """Spends and contributes; what is left goes to them when the pool is closed. There is one."""
    SPENDER = "spender"
    """Spends and contributes."""
    CONTRIBUTOR = "contributor"
    """Contributes only."""


class Pool(Record):
    """Points that several members share, in an account of its own."""

    pool_id: PoolId
    name: str
    kind: PoolKind
    owner_id: MemberId
    members_count: int
    opened_at: AwareDatetime
    version: int = 1


class Membership(Record):
    """A member's part in a pool."""

    pool_id: PoolId
    member_id: MemberId
    role: Role
    monthly_limit: int | None = None
    """Points that the member may spend from the pool in a calendar month."""
    joined_at: AwareDatetime
    spent_in: Month | None = None
    """The month that `spent` counts in."""
    spent: int = 0
    version: int = 1


class OpenPool(Record):
    """Open a pool that a member owns."""

    owner_id: MemberId
    name: Line
    kind: PoolKind = PoolKind.FAMILY
    dry_run: bool = False


class EditPool(Record):
    """Give a pool another name."""

    name: Line
    version: Annotated[int, Field(ge=1)]


class SetMembership(Record):
    """Let a member into a pool, or change what the member may do in it."""

    role: Role = Role.SPENDER
    """`owner` hands the pool over: the owner until then becomes a spender."""
    monthly_limit: Annotated[int, Field(ge=0, le=10**12)] | None = None
    """Points that the member may spend from the pool in a calendar month; null for no limit."""
    reason: Reason | None = None
    """Needed of who acts for the member; kept in the audit entry."""


class Contribute(Record):
    """Move a member's own points into the pool. They keep their last days."""

    member_id: MemberId
    points: SomePoints
    reason: Reason | None = None
    """Needed of who acts for the member; kept in the audit entry, and no part of what tells one contribution from
    another."""
    dry_run: bool = False


class ContributeOwn(Record):
    """Move points of one's own into the pool. They keep their last days."""

    points: SomePoints
    dry_run: bool = False


class SpendFromPool(Record):
    """Spend points of the pool."""

    member_id: MemberId
    """Who spends."""
    points: SomePoints
    reference: Reference | None = None
    """Your own number for what the points were spent on."""
    dry_run: bool = False


class ClosePool(Record):
    """Close a pool; what is left goes to its owner."""

    dry_run: bool = False


class PoolView(Record):
    """A pool and what it has."""

    pool_id: PoolId
    name: str
    """Empty once its owner was erased."""
    kind: PoolKind
    status: AccountStatus
    owner_id: MemberId
    members_count: int
    points: PointsSummary
    opened_at: AwareDatetime
    version: int


class MembershipView(Record):
    """A member's part in a pool."""

    pool_id: PoolId
    member_id: MemberId
    role: Role
    monthly_limit: int | None
    spent_this_month: int
    joined_at: AwareDatetime
