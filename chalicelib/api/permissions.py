"""Who may do what: one table, role by role."""

from enum import StrEnum


class Permission(StrEnum):
    """What a route asks for."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    MEMBERS_STATUS = "members:status"
    PURCHASES_READ = "purchases:read"
    PURCHASES_RECORD = "purchases:record"
    PURCHASES_RETURN = "purchases:return"
    POINTS_READ = "points:read"
    POINTS_SPEND = "points:spend"
    POINTS_ADJUST = "points:adjust"
    PROGRAM_READ = "program:read"
    PROGRAM_PUBLISH = "program:publish"
    JOBS_READ = "jobs:read"
    JOBS_RUN = "jobs:run"
    LIABILITY_READ = "liability:read"


P = Permission
_READS = frozenset({P.MEMBERS_READ, P.PURCHASES_READ, P.POINTS_READ, P.PROGRAM_READ})
_TILL = _READS | {P.MEMBERS_WRITE, P.PURCHASES_RECORD, P.PURCHASES_RETURN, P.POINTS_SPEND}

ROLES: dict[str, frozenset[Permission]] = {
    "clerk": _TILL,
    "shop_manager": _TILL | {P.MEMBERS_STATUS, P.POINTS_ADJUST},
    "marketer": frozenset({P.MEMBERS_READ, P.PROGRAM_READ, P.JOBS_READ}),
    "agent": _READS | {P.MEMBERS_WRITE, P.MEMBERS_STATUS, P.POINTS_ADJUST},
    "analyst": frozenset({P.PURCHASES_READ, P.POINTS_READ, P.PROGRAM_READ, P.JOBS_READ, P.LIABILITY_READ}),
    "admin": frozenset(P),
    "auditor": _READS | {P.JOBS_READ, P.LIABILITY_READ},
    "integration": _TILL,
}
"""The permissions of each role; a caller has those of all their roles."""
