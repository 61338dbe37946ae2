"""What pools tell others."""

from enum import StrEnum

from chalicelib.kernel.events import Told
from chalicelib.kernel.ids import MemberId
from chalicelib.points.events import ByHand, Leading
from chalicelib.pools.models import PoolId, PoolKind, Role


class PoolSource(StrEnum):
    """Why points went between a member and a pool."""

    CONTRIBUTION = "contribution"
    """The member gave them."""
    CLOSE = "close"
    """The pool was closed, and they went to its owner."""


class PoolOpened(Told):
    """A pool was opened."""

    kind: PoolKind
    owner_id: MemberId


class PoolMemberSet(Told):
    """A member was let into a pool, or has another role in it."""

    subject_id: MemberId
    role: Role


class PoolMemberLeft(Told):
    """A member does not belong to a pool any more."""

    subject_id: MemberId


class PoolClosed(Told):
    """A pool was closed."""


class PointsPooled(ByHand):
    """Points went from a member into a pool, or came back from it; told of the member's account."""

    source: PoolSource
    pool_id: PoolId


class PoolPointsMoved(Leading):
    """Points came into a pool from a member, or went back to one; told of the pool's account."""

    source: PoolSource
    subject_id: MemberId


class PoolPointsSpent(ByHand):
    """A member spent points of a pool."""

    subject_id: MemberId
