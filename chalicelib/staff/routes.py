"""HTTP of staff and roles."""

from chalicelib.api.routing import Call, Routes
from chalicelib.kernel.ids import RoleName, StaffId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import CursorInvalid, Page, Paging
from chalicelib.staff import service
from chalicelib.staff.errors import (
    AdminsTooMany,
    LastAdmin,
    OwnRights,
    RightsExceeded,
    RoleBuiltIn,
    RoleInUse,
    RoleMoved,
    RolesTooMany,
    RolesUnknown,
    RoleUnknown,
    StaffDiffers,
    StaffMoved,
    StaffUnknown,
)
from chalicelib.staff.models import (
    EditStaff,
    InviteStaff,
    PutRole,
    ReinstateStaff,
    RemoveRole,
    RoleList,
    RoleView,
    StaffView,
    SuspendStaff,
)

staff = Routes("staff")


class StaffPage(Page[StaffView]):
    """A page of staff."""


@staff.post(
    "/staff",
    status=201,
    refuses=(OwnRights, RolesUnknown, RightsExceeded, AdminsTooMany, StaffDiffers),
)
def invite_staff(body: InviteStaff, call: Call) -> Outcome[StaffView]:
    """Let somebody in who signs in with an identity provider.

    The issuer and subject are its idempotency key. Nobody can give rights that they do not have themselves.
    """
    return service.invite_staff(call.house.table, call.signed_in, body, now=call.now)


@staff.get("/staff", refuses=(CursorInvalid,))
def list_staff(query: Paging, call: Call) -> StaffPage:
    """All who work here, who came last first."""
    part = service.list_staff(call.house.table, after=call.position(query.cursor, "staff"), limit=query.limit)
    return call.page(part, StaffPage, "staff")


@staff.get("/staff/{staff_id}", refuses=(StaffUnknown,))
def get_staff(staff_id: StaffId, call: Call) -> StaffView:
    """Somebody who works here."""
    return service.find_staff(call.house.table, staff_id)


@staff.patch(
    "/staff/{staff_id}",
    refuses=(
        StaffUnknown,
        StaffMoved,
        OwnRights,
        RolesUnknown,
        RightsExceeded,
        LastAdmin,
        AdminsTooMany,
    ),
)
def edit_staff(staff_id: StaffId, body: EditStaff, call: Call) -> StaffView:
    """Change somebody's name, roles or shops. It bites with their next request."""
    call.require_version(body.version)
    return service.edit_staff(call.house.table, call.signed_in, staff_id, body)


@staff.post(
    "/staff/{staff_id}/suspensions",
    status=201,
    refuses=(StaffUnknown, OwnRights, RightsExceeded, LastAdmin, AdminsTooMany),
)
def suspend_staff(staff_id: StaffId, body: SuspendStaff, call: Call) -> Outcome[StaffView]:
    """Let somebody do nothing any more, from their next request on."""
    return service.change_status(call.house.table, call.signed_in, staff_id, body)


@staff.post(
    "/staff/{staff_id}/reinstatements",
    status=201,
    refuses=(StaffUnknown, OwnRights, RightsExceeded, LastAdmin, AdminsTooMany),
)
def reinstate_staff(staff_id: StaffId, body: ReinstateStaff, call: Call) -> Outcome[StaffView]:
    """End a suspension."""
    return service.change_status(call.house.table, call.signed_in, staff_id, body)


@staff.get("/roles")
def list_roles(call: Call) -> RoleList:
    """All roles that staff can have, and what each allows."""
    return service.list_roles(call.house.table)


@staff.get("/roles/{role}", refuses=(RoleUnknown,))
def get_role(role: RoleName, call: Call) -> RoleView:
    """What a role allows."""
    return service.find_role_view(call.house.table, role)


@staff.put(
    "/roles/{role}",
    refuses=(RoleBuiltIn, RoleMoved, RightsExceeded, RolesTooMany),
)
def put_role(role: RoleName, body: PutRole, call: Call) -> RoleView:
    """Make a role of your own, or change what it allows. It bites within half a minute, for all who have it.

    Nobody can put into a role, or take out of it, what they may not do themselves in all shops.
    """
    call.require_version(body.version)
    return service.put_role(call.house.table, call.signed_in, role, body)


@staff.post(
    "/roles/{role}/removals",
    status=201,
    refuses=(RoleBuiltIn, RoleUnknown, RoleInUse, RightsExceeded),
)
def remove_role(role: RoleName, body: RemoveRole, call: Call) -> Outcome[RoleView]:
    """Do away with a role that nobody has."""
    return service.remove_role(call.house.table, call.signed_in, role, body)
