"""Who may give which rights to whom. Pure."""

from collections.abc import Collection, Sequence

from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import Grants, Scope
from chalicelib.identity.staff import Staff, StaffStatus
from chalicelib.kernel.ids import ShopId, StaffId
from chalicelib.staff.errors import AdminsTooMany, LastAdmin, OwnRights, RightsExceeded

ADMIN = "admin"
"""The role of which somebody active always has to be."""

ADMINS_MAX = 1_000


def require_other(caller: Caller, staff_id: StaffId) -> None:
    """Refuse to change one's own rights.

    Raises:
        OwnRights: it is the caller.
    """
    if staff_id in (caller.staff_id, caller.subject):
        raise OwnRights


def differ(before: Staff, after: Staff) -> bool:
    """Whether what is changed is what nobody changes of themselves. Whose membership is whose tells who earns by it."""
    changed = before.model_copy(update={"name": after.name, "version": after.version})
    return changed != after


def require_covered(caller: Caller, grants: Grants, shop_ids: Collection[ShopId] | None) -> None:
    """Refuse to deal in rights that the caller does not have, or not so far.

    Args:
        shop_ids: the shops to which rights of the scope `shop` reach; None: to any, as in a role, which says nothing of
            shops.

    Raises:
        RightsExceeded: the first permission of which it is so.
    """
    for permission, scope in grants.items():
        own = caller.scope(permission)
        if own is Scope.ALL:
            continue
        # Of no shop, a record would say nothing of where its rights end.
        within = own is Scope.SHOP and bool(shop_ids) and caller.shop_ids.issuperset(shop_ids or ())
        if scope is not Scope.SHOP or not within:
            raise RightsExceeded(permission=permission.value)


def is_admin(staff: Staff | None) -> bool:
    """Whether somebody is an active admin."""
    return staff is not None and staff.status is StaffStatus.ACTIVE and ADMIN in staff.roles


def admins_after(admins: Sequence[StaffId], before: Staff | None, after: Staff) -> Sequence[StaffId] | None:
    """The active admins when somebody is changed; None where they stay the same.

    Raises:
        LastAdmin: there would be none left.
        AdminsTooMany: there would be too many.
    """
    if is_admin(before) == is_admin(after):
        return None
    if is_admin(after):
        if len(admins) >= ADMINS_MAX:
            raise AdminsTooMany(most=ADMINS_MAX)
        return (*admins, after.staff_id)
    left = tuple(each for each in admins if each != after.staff_id)
    if not left:
        raise LastAdmin
    return left
