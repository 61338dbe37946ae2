"""What is refused about staff and roles."""

from chalicelib.kernel.errors import Refusal


class StaffUnknown(Refusal):
    """There is nobody of that id."""

    def __init__(self, *, staff_id: str) -> None:
        super().__init__(f"Nobody who works here has the id {staff_id}.", staff_id=staff_id)


class StaffDiffers(Refusal):
    """Whom the issuer means by this subject was invited before, as somebody else."""

    def __init__(self, *, staff_id: str) -> None:
        super().__init__(
            "This subject was invited before, with another name, roles or shops. Edit the one that there is.",
            staff_id=staff_id,
        )


class StaffMoved(Refusal):
    """Somebody else changed the record since it was read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"The record was changed: you have read version {read}, it is at {current} now. Read it again.",
            read=read,
            current=current,
        )


class OwnRights(Refusal):
    """Nobody changes their own roles, shops, membership or status."""

    def __init__(self) -> None:
        super().__init__("Your own roles, shops, membership and status are changed by somebody else.")


class RightsExceeded(Refusal):
    """Nobody gives, takes or changes rights that reach further than their own."""

    def __init__(self, *, permission: str) -> None:
        super().__init__(
            f"This is about the permission {permission}, which you do not have, or not so far.", permission=permission
        )


class LastAdmin(Refusal):
    """There would be no active admin left."""

    def __init__(self) -> None:
        super().__init__("This is the last active admin. Make somebody else an admin first.")


class AdminsTooMany(Refusal):
    """There are as many admins as there can be."""

    def __init__(self, *, most: int) -> None:
        super().__init__(f"There can be {most} active admins.", most=most)


class RoleUnknown(Refusal):
    """There is no role of that name, or none that staff can have."""

    def __init__(self, *, role: str) -> None:
        super().__init__(f"Staff can have no role of the name {role}.", role=role)


class RolesUnknown(Refusal):
    """The command names roles that staff cannot have."""

    def __init__(self, *, roles: list[str]) -> None:
        super().__init__(f"Staff can have no role of the name {', '.join(roles)}.", roles=roles)


class RoleBuiltIn(Refusal):
    """A role that comes with the product cannot be changed."""

    def __init__(self, *, role: str) -> None:
        super().__init__(f"The role {role} comes with the product. Make one of your own.", role=role)


class RoleMoved(Refusal):
    """Somebody else changed the role since it was read."""

    def __init__(self, *, read: int, current: int) -> None:
        super().__init__(
            f"The role was changed: you have read version {read}, it is at {current} now. Read it again.",
            read=read,
            current=current,
        )


class RoleInUse(Refusal):
    """Somebody has the role."""

    def __init__(self, *, role: str, holders: int) -> None:
        super().__init__(f"{holders} of the staff have the role {role}.", role=role, holders=holders)


class RolesTooMany(Refusal):
    """There are as many custom roles as there can be."""

    def __init__(self, *, most: int) -> None:
        super().__init__(f"There can be {most} roles of your own.", most=most)
