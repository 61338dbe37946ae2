"""Use cases of staff and roles: load, decide, commit."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.identity.models import Caller
from chalicelib.identity.permissions import FOR_STAFF, ROLES, Grants, Scope, joined
from chalicelib.identity.roles import CustomRole, find_role, find_roles
from chalicelib.identity.staff import Staff, StaffStatus, staff_from
from chalicelib.kernel.canonical import canonical, plain
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.ids import RoleName, StaffId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.kernel.pages import Slice
from chalicelib.staff import rules, store
from chalicelib.staff.errors import (
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
    Reach,
    ReinstateStaff,
    RemoveRole,
    RoleList,
    RoleView,
    StaffView,
    SuspendStaff,
)
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Write

T = TypeVar("T")

ATTEMPTS_MAX = 8
"""How often a change is decided again because another one got there first."""

CUSTOM_ROLES_MAX = 100


def invite_staff(table: Table, caller: Caller, command: InviteStaff, *, now: datetime) -> Outcome[StaffView]:
    """Let somebody in. The issuer and subject are the key: the same again answers who there is.

    Raises:
        OwnRights: it is the caller.
        RolesUnknown: staff can have no such roles.
        RightsExceeded: the caller has not all that they would give, or not so far.
        AdminsTooMany: there would be too many admins.
        StaffDiffers: the subject was invited before with other content.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    staff = Staff(
        staff_id=StaffId.of(command.issuer, command.subject),
        issuer=command.issuer,
        subject=command.subject,
        name=command.name,
        roles=_once(command.roles),
        shop_ids=_once(command.shop_ids),
        member_id=command.member_id,
        joined_at=now,
    )
    content = hashlib.sha256(canonical(plain(command.model_dump(exclude={"dry_run"}, exclude_none=True)))).digest()
    for _ in range(ATTEMPTS_MAX):
        known = store.find_item(table, staff.staff_id)
        if known is not None:
            return _invited_before(known, content)

        rules.require_other(caller, staff.staff_id)
        counted = _roles_given(table, (), staff.roles)
        rules.require_covered(caller, _grants(table, staff.roles), staff.shop_ids)
        writes = [store.let_in(staff, content=content, by=caller.subject), *_counting(table, None, staff, counted)]

        if command.dry_run:
            return Outcome(_view(staff), stored=False)
        try:
            table.commit(writes, keyed=True)
        except store.StaffKnown as raced:
            return _invited_before(raced.item, content)
        except store.Raced:
            continue
        return Outcome(_view(staff))
    raise WriteContended


def _invited_before(item: dict[str, object], content: bytes) -> Outcome[StaffView]:
    staff = staff_from(item)
    if item["content"] != content:
        raise StaffDiffers(staff_id=staff.staff_id)
    return Outcome(_view(staff), replayed=True)


def find_staff(table: Table, staff_id: StaffId) -> StaffView:
    """Somebody who works here.

    Raises:
        StaffUnknown: there is nobody of that id.
    """
    return _view(_load(table, staff_id)[0])


def list_staff(table: Table, *, after: str | None, limit: int) -> Slice[StaffView]:
    """A page of staff, who came last first."""
    found, last = store.list_staff(table, after=after, limit=limit)
    return Slice(tuple(_view(staff) for staff in found), last)


def edit_staff(table: Table, caller: Caller, staff_id: StaffId, command: EditStaff) -> StaffView:
    """Change somebody's name, roles, shops or membership. It bites with their next request.

    Raises:
        StaffUnknown: there is nobody of that id.
        StaffMoved: it was changed since the version that the command names.
        OwnRights: they are the caller's own roles, shops or membership.
        RolesUnknown: staff can have no such roles.
        RightsExceeded: they have or would get what the caller has not, or not so far.
        LastAdmin, AdminsTooMany: too few or too many admins would be left.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    for _ in range(ATTEMPTS_MAX):
        before, content = _load(table, staff_id)
        if before.version != command.version:
            raise StaffMoved(read=command.version, current=before.version)
        after = before.model_copy(
            update={
                "name": command.name or before.name,
                "roles": before.roles if command.roles is None else _once(command.roles),
                "shop_ids": before.shop_ids if command.shop_ids is None else _once(command.shop_ids),
                "member_id": command.member_id if "member_id" in command.model_fields_set else before.member_id,
            }
        )
        writes = _changing(table, caller, before, after, content, command.reason, told=True)

        changed = after.model_copy(update={"version": before.version + 1})
        if command.dry_run:
            return _view(changed)
        try:
            table.commit(writes)
        except store.Raced:
            continue
        return _view(changed)
    raise WriteContended


def change_status(
    table: Table, caller: Caller, staff_id: StaffId, command: SuspendStaff | ReinstateStaff
) -> Outcome[StaffView]:
    """Suspend somebody or reinstate them; what they are already changes nothing.

    Raises:
        StaffUnknown: there is nobody of that id.
        OwnRights: it is the caller.
        RightsExceeded: they have what the caller has not, or not so far.
        LastAdmin, AdminsTooMany: too few or too many admins would be left.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    status = StaffStatus.SUSPENDED if isinstance(command, SuspendStaff) else StaffStatus.ACTIVE
    for _ in range(ATTEMPTS_MAX):
        before, content = _load(table, staff_id)
        if before.status is status:
            return Outcome(_view(before), replayed=True)
        after = before.model_copy(update={"status": status})
        writes = _changing(table, caller, before, after, content, command.reason, told=False)

        changed = _view(after.model_copy(update={"version": before.version + 1}))
        if command.dry_run:
            return Outcome(changed, stored=False)
        try:
            table.commit(writes)
        except store.Raced:
            continue
        return Outcome(changed)
    raise WriteContended


def _changing(
    table: Table, caller: Caller, before: Staff, after: Staff, content: bytes, reason: str, *, told: bool
) -> list[Write]:
    """The writes of a change, when the caller may make it."""
    if rules.differ(before, after):
        rules.require_other(caller, before.staff_id)
    counted = _roles_given(table, before.roles, after.roles)
    # Also who only renames somebody must stand above them: a name is what others know an admin by.
    for each in (before, after):
        rules.require_covered(caller, _grants(table, each.roles), each.shop_ids)
    own = store.replace(before, after, content=content, by=caller.subject, reason=reason, told=told)
    return [own, *_counting(table, before, after, counted)]


def _roles_given(table: Table, before: Collection[str], after: Sequence[str]) -> list[tuple[CustomRole, int]]:
    """The custom roles that are given or taken, and by how much the number of their holders changes.

    Raises:
        RolesUnknown: staff can have no such roles.
    """
    found: list[tuple[CustomRole, int]] = []
    unknown: list[str] = []
    for name in sorted({*before} ^ {*after}):
        if name in ROLES:
            unknown += [name] if name in after and name not in FOR_STAFF else []
            continue
        role = find_role(table, name)
        if role is not None:
            found.append((role, 1 if name in after else -1))
        elif name in after:
            unknown.append(name)
    if unknown:
        raise RolesUnknown(roles=unknown)
    return found


def _counting(
    table: Table, before: Staff | None, after: Staff, counted: Sequence[tuple[CustomRole, int]]
) -> list[Write]:
    """The writes of what counts staff: holders of custom roles, and admins."""
    writes = [store.count_holders(role, change) for role, change in counted]
    if rules.is_admin(before) == rules.is_admin(after):
        return writes
    admins = store.find_admins(table)
    left = rules.admins_after(admins.staff_ids, before, after)
    return writes if left is None else [*writes, store.replace_admins(admins, left)]


def _grants(table: Table, roles: Sequence[str]) -> Grants:
    """What roles allow together, as they are now."""
    found = [ROLES.get(name) or getattr(find_role(table, name), "grants", {}) for name in roles]
    return joined(found)


def _load(table: Table, staff_id: StaffId) -> tuple[Staff, bytes]:
    item = store.find_item(table, staff_id)
    if item is None:
        raise StaffUnknown(staff_id=staff_id)
    return staff_from(item), item["content"]


# ---------------------------------------------------------------- roles


def list_roles(table: Table) -> RoleList:
    """All roles that staff can have: built-in ones, then those of the merchant's own, by name."""
    own = sorted(find_roles(table).values(), key=lambda role: role.role)
    return RoleList(items=(*(_built_in(name) for name in ROLES if name in FOR_STAFF), *map(_role_view, own)))


def find_role_view(table: Table, name: RoleName) -> RoleView:
    """What a role allows.

    Raises:
        RoleUnknown: there is none of that name that staff can have.
    """
    if name in FOR_STAFF:
        return _built_in(name)
    role = find_role(table, name)
    if role is None:
        raise RoleUnknown(role=name)
    return _role_view(role)


def put_role(table: Table, caller: Caller, name: RoleName, command: PutRole) -> RoleView:
    """Make a role, or change what it allows. It bites within half a minute, for all who have it.

    Raises:
        RoleBuiltIn: it comes with the product.
        RoleMoved: it was changed since the version that the command names; giving it to somebody is no change.
        RightsExceeded: it allows or would allow what the caller has not for all shops.
        RolesTooMany: there are as many as there can be.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    if name in ROLES:
        raise RoleBuiltIn(role=name)
    for _ in range(ATTEMPTS_MAX):
        before = find_role(table, name)
        read = before.version if before else 0
        if command.version != read:
            raise RoleMoved(read=command.version, current=read)
        if before is None and len(find_roles(table)) >= CUSTOM_ROLES_MAX:
            raise RolesTooMany(most=CUSTOM_ROLES_MAX)

        grants = {permission: _SCOPES[reach] for permission, reach in command.permissions.items()}
        for each in (before.grants if before else {}, grants):
            rules.require_covered(caller, each, None)
        after = CustomRole(
            role=name, name=command.name, grants=grants, holders=before.holders if before else 0, version=read + 1
        )

        if command.dry_run:
            return _role_view(after)
        try:
            table.commit([store.put_role(before, after, by=caller.subject, reason=command.reason)])
        except store.Raced:
            continue
        return _role_view(after)
    raise WriteContended


def remove_role(table: Table, caller: Caller, name: RoleName, command: RemoveRole) -> Outcome[RoleView]:
    """Do away with a role that nobody has.

    Raises:
        RoleBuiltIn: it comes with the product.
        RoleUnknown: there is none of that name, any more or yet.
        RoleInUse: somebody has it.
        RightsExceeded: it allows what the caller has not for all shops.
        WriteContended: other writes kept getting there first; safe to try again.
    """
    if name in ROLES:
        raise RoleBuiltIn(role=name)
    for _ in range(ATTEMPTS_MAX):
        role = find_role(table, name)
        if role is None:
            raise RoleUnknown(role=name)
        if role.holders:
            raise RoleInUse(role=name, holders=role.holders)
        rules.require_covered(caller, role.grants, None)
        if command.dry_run:
            return Outcome(_role_view(role), stored=False)
        try:
            table.commit([store.remove_role(role)])
        except store.Raced:
            continue
        return Outcome(_role_view(role))
    raise WriteContended


_SCOPES = {Reach.SHOP: Scope.SHOP, Reach.ALL: Scope.ALL}
_REACHES = {scope: reach for reach, scope in _SCOPES.items()}


def _role_view(role: CustomRole) -> RoleView:
    permissions = {permission: _REACHES[scope] for permission, scope in role.grants.items()}
    return RoleView(
        role=role.role, name=role.name, permissions=permissions, built_in=False, holders=role.holders,
        version=role.version,
    )  # fmt: skip


def _built_in(name: str) -> RoleView:
    permissions = {permission: _REACHES[scope] for permission, scope in ROLES[name].items()}
    return RoleView(
        role=RoleName(name),
        name=name.replace("_", " "),
        permissions=permissions,
        built_in=True,
        holders=None,
        version=0,
    )


def _once(values: Sequence[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))


def _view(staff: Staff) -> StaffView:
    return StaffView(**staff.model_dump())
