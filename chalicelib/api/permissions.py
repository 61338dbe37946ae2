"""Who may do what: one table, role by role."""

from enum import StrEnum


class Permission(StrEnum):
    """What a route asks for."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    MEMBERS_STATUS = "members:status"
    MEMBERS_MERGE = "members:merge"
    PURCHASES_READ = "purchases:read"
    PURCHASES_RECORD = "purchases:record"
    PURCHASES_RETURN = "purchases:return"
    PURCHASES_RESTATE = "purchases:restate"
    POINTS_READ = "points:read"
    POINTS_SPEND = "points:spend"
    POINTS_ADJUST = "points:adjust"
    POINTS_TRANSFER = "points:transfer"
    POOLS_READ = "pools:read"
    POOLS_MANAGE = "pools:manage"
    CARDS_READ = "cards:read"
    CARDS_TOP_UP = "cards:top_up"
    CARDS_SPEND = "cards:spend"
    CARDS_REFUND = "cards:refund"
    CARDS_STATUS = "cards:status"
    PROGRAM_READ = "program:read"
    PROGRAM_PUBLISH = "program:publish"
    JOBS_READ = "jobs:read"
    JOBS_RUN = "jobs:run"
    LIABILITY_READ = "liability:read"


P = Permission
_READS = frozenset({P.MEMBERS_READ, P.PURCHASES_READ, P.POINTS_READ, P.POOLS_READ, P.CARDS_READ, P.PROGRAM_READ})
_TILL = _READS | {
    P.MEMBERS_WRITE,
    P.PURCHASES_RECORD,
    P.PURCHASES_RETURN,
    P.POINTS_SPEND,
    P.CARDS_TOP_UP,
    P.CARDS_SPEND,
}
# Money and points leave only where there is a till and somebody who answers for it.
_MANAGES = frozenset(
    {P.MEMBERS_STATUS, P.MEMBERS_MERGE, P.POINTS_ADJUST, P.POINTS_TRANSFER, P.POOLS_MANAGE, P.CARDS_STATUS}
)

ROLES: dict[str, frozenset[Permission]] = {
    "clerk": _TILL,
    "shop_manager": _TILL | _MANAGES | {P.PURCHASES_RESTATE, P.CARDS_REFUND},
    "marketer": frozenset({P.MEMBERS_READ, P.PROGRAM_READ, P.JOBS_READ}),
    "agent": _READS | _MANAGES | {P.MEMBERS_WRITE},
    "analyst": frozenset(
        {P.PURCHASES_READ, P.POINTS_READ, P.CARDS_READ, P.PROGRAM_READ, P.JOBS_READ, P.LIABILITY_READ}
    ),
    "admin": frozenset(P),
    "auditor": _READS | {P.JOBS_READ, P.LIABILITY_READ},
    "integration": _TILL | {P.PURCHASES_RESTATE, P.POINTS_TRANSFER},
}
"""The permissions of each role; a caller has those of all their roles."""
