"""What can be allowed, how far, and what each role is allowed: one table."""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum


class Permission(StrEnum):
    """What a route asks for."""

    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    MEMBERS_CHANGE_CONTACT = "members:change_contact"
    MEMBERS_STATUS = "members:status"
    MEMBERS_MERGE = "members:merge"
    MEMBERS_UNDO_OWING = "members:undo_owing"
    MEMBERS_UNMASK = "members:unmask"
    MEMBERS_ERASE = "members:erase"
    MEMBERS_EXPORT = "members:export"
    PURCHASES_READ = "purchases:read"
    PURCHASES_RECORD = "purchases:record"
    PURCHASES_RECORD_LARGE = "purchases:record_large"
    PURCHASES_RETURN = "purchases:return"
    PURCHASES_RESTATE = "purchases:restate"
    POINTS_READ = "points:read"
    POINTS_SPEND = "points:spend"
    POINTS_ADJUST = "points:adjust"
    POINTS_TRANSFER = "points:transfer"
    POOLS_READ = "pools:read"
    POOLS_MANAGE = "pools:manage"
    POOLS_ACT_FOR_MEMBERS = "pools:act_for_members"
    CARDS_READ = "cards:read"
    CARDS_TOP_UP = "cards:top_up"
    CARDS_SPEND = "cards:spend"
    CARDS_REFUND = "cards:refund"
    CARDS_GIFT = "cards:gift"
    CARDS_STATUS = "cards:status"
    PROGRAM_READ = "program:read"
    PROGRAM_PUBLISH = "program:publish"
    JOBS_READ = "jobs:read"
    JOBS_RUN = "jobs:run"
    LIABILITY_READ = "liability:read"
    APPROVALS_READ = "approvals:read"
    APPROVALS_DECIDE = "approvals:decide"
    STAFF_READ = "staff:read"
    STAFF_MANAGE = "staff:manage"
    ROLES_MANAGE = "roles:manage"
    INTEGRATIONS_READ = "integrations:read"
    INTEGRATIONS_MANAGE = "integrations:manage"
    AUDIT_READ = "audit:read"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_WRITE = "templates:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_MANAGE = "suppressions:manage"
    DELIVERIES_READ = "deliveries:read"
    ALERTS_READ = "alerts:read"
    ALERTS_MANAGE = "alerts:manage"
    CAMPAIGNS_READ = "campaigns:read"
    CAMPAIGNS_WRITE = "campaigns:write"
    CAMPAIGNS_LAUNCH = "campaigns:launch"
    CAMPAIGNS_GIFT = "campaigns:gift"
    JOURNEYS_READ = "journeys:read"
    JOURNEYS_WRITE = "journeys:write"
    JOURNEYS_RUN = "journeys:run"
    JOURNEYS_GIFT = "journeys:gift"
    JOURNEYS_NOTIFY = "journeys:notify"
    SEGMENTS_READ = "segments:read"
    SEGMENTS_MANAGE = "segments:manage"
    SEGMENTS_EXPORT = "segments:export"


class Scope(IntEnum):
    """To whose things a permission reaches; a wider one holds the narrower."""

    SELF = 1
    """What is the member's own."""
    SHOP = 2
    """What belongs to one of the caller's shops, and what belongs to no shop: members are the whole chain's."""
    ALL = 3


Grants = Mapping[Permission, Scope]
"""What somebody may do, and how far."""

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
    # A till has the number that it looks up in front of it; who calls members back sees it in clear.
    | {P.MEMBERS_UNMASK}
    # Whose number it is decides who signs in as the member.
    | {P.MEMBERS_CHANGE_CONTACT}
    # What a member puts into a pool is others' to spend.
    | {P.POOLS_ACT_FOR_MEMBERS}
)
_SUPPRESSES = frozenset({P.SUPPRESSIONS_READ, P.SUPPRESSIONS_MANAGE})
_SEGMENTS = frozenset({P.SEGMENTS_READ, P.SEGMENTS_MANAGE, P.SEGMENTS_EXPORT})
# Points that a campaign gives are money: who may give them by hand says so, or a role of the merchant's own.
_SENDS = frozenset({P.CAMPAIGNS_READ, P.CAMPAIGNS_WRITE, P.CAMPAIGNS_LAUNCH})
_WALKS = frozenset({P.JOURNEYS_READ, P.JOURNEYS_WRITE, P.JOURNEYS_RUN})
_DECIDES = frozenset({P.APPROVALS_READ, P.APPROVALS_DECIDE})


def granted(permissions: Iterable[Permission], scope: Scope) -> Grants:
    """Permissions that all reach as far."""
    return dict.fromkeys(permissions, scope)


def joined(grants: Iterable[Grants]) -> Grants:
    """What several grants come to: each permission reaches as far as it does in any of them."""
    all_of: dict[Permission, Scope] = {}
    for each in grants:
        for permission, scope in each.items():
            all_of[permission] = max(scope, all_of.get(permission, scope))
    return all_of


ROLES: Mapping[str, Grants] = {
    "clerk": granted(_TILL, Scope.SHOP),
    "shop_manager": granted(
        _TILL | _MANAGES | _DECIDES | {P.PURCHASES_RESTATE, P.CARDS_REFUND, P.CARDS_GIFT, P.SEGMENTS_READ}, Scope.SHOP
    ),
    "marketer": granted(
        {P.MEMBERS_READ, P.PROGRAM_READ, P.JOBS_READ, P.TEMPLATES_READ, P.TEMPLATES_WRITE, P.SUPPRESSIONS_READ}
        | _SEGMENTS
        | _SENDS
        | _WALKS
        | {P.DELIVERIES_READ},
        Scope.ALL,
    ),
    "agent": granted(
        _READS | _MANAGES | {P.MEMBERS_WRITE, P.MEMBERS_EXPORT, P.APPROVALS_READ, P.DELIVERIES_READ} | _SUPPRESSES,
        Scope.ALL,
    ),
    "analyst": granted(
        {P.PURCHASES_READ, P.POINTS_READ, P.CARDS_READ, P.PROGRAM_READ, P.JOBS_READ, P.LIABILITY_READ}
        # An export has rows about members: of who they are, which takes `members:read`.
        | {P.SEGMENTS_READ, P.SEGMENTS_MANAGE}
        | {P.CAMPAIGNS_READ, P.JOURNEYS_READ},
        Scope.ALL,
    ),
    "admin": granted(P, Scope.ALL),
    "auditor": granted(
        _READS
        | {P.JOBS_READ, P.LIABILITY_READ, P.APPROVALS_READ, P.STAFF_READ, P.INTEGRATIONS_READ}
        | {P.AUDIT_READ, P.ALERTS_READ, P.TEMPLATES_READ, P.SUPPRESSIONS_READ, P.SEGMENTS_READ, P.CAMPAIGNS_READ}
        | {P.DELIVERIES_READ, P.JOURNEYS_READ},
        Scope.ALL,
    ),
    "integration": granted(_TILL | {P.PURCHASES_RESTATE, P.POINTS_TRANSFER}, Scope.ALL),
    "member": granted(_READS | {P.MEMBERS_WRITE, P.POINTS_TRANSFER}, Scope.SELF),
}
"""What each role may do; a caller may do what any of their roles may."""


def roles_with(permission: Permission) -> str:
    """The built-in roles that have a permission, as a sentence names them."""
    *others, last = sorted(role for role, grants in ROLES.items() if permission in grants)
    return f"{', '.join(others)} and {last}" if others else last


FOR_STAFF = frozenset(ROLES) - {"integration", "member"}
"""The roles among them that somebody who works here can be given."""
FOR_INTEGRATIONS = _TILL | {P.PURCHASES_RESTATE, P.POINTS_TRANSFER, P.LIABILITY_READ}
"""What an integration key may be given: the work of a till and of a shop on the web, and reading. Nothing that
decides about people, money that leaves, the program, or who may do what."""
