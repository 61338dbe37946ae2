"""Staff and roles: commands and answers."""

from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from chalicelib.identity.permissions import Permission
from chalicelib.identity.staff import Issuer, StaffStatus, Subject
from chalicelib.kernel.ids import MemberId, RoleName, ShopId, StaffId
from chalicelib.kernel.records import Line, Note, Record

Roles = Annotated[tuple[RoleName, ...], Field(max_length=20)]
Shops = Annotated[tuple[ShopId, ...], Field(max_length=100)]


class Reach(StrEnum):
    """To whose things a permission of a role reaches."""

    SHOP = "shop"
    """To those of the shops of whoever has the role, and to what belongs to the whole chain."""
    ALL = "all"


class InviteStaff(Record):
    """Let somebody in who signs in with an identity provider."""

    issuer: Issuer
    """The provider, as it names itself in `iss` of its tokens."""
    subject: Subject
    """Whom it means, as it says in `sub`; opaque, and no address: an address can change hands."""
    name: Line
    roles: Roles
    shop_ids: Shops = ()
    member_id: MemberId | None = None
    """Their own membership, where they have one: points that they give to it raise an alert. Nobody checks it."""
    dry_run: bool = False


class EditStaff(Record):
    """Change somebody's name, roles, shops or membership; what is left out stays."""

    version: Annotated[int, Field(ge=1)]
    """The version that you have read; refused when it was changed since."""
    name: Line | None = None
    roles: Roles | None = None
    shop_ids: Shops | None = None
    member_id: MemberId | None = None
    """Their own membership; null takes it out of the record."""
    reason: Note
    """Kept with the change."""
    dry_run: bool = False


class SuspendStaff(Record):
    """Let somebody do nothing any more, at once."""

    reason: Note
    dry_run: bool = False


class ReinstateStaff(Record):
    """End a suspension."""

    reason: Note
    dry_run: bool = False


class StaffView(Record):
    """Somebody who works here."""

    staff_id: StaffId
    issuer: str
    subject: str
    name: str
    roles: tuple[RoleName, ...]
    shop_ids: tuple[ShopId, ...]
    status: StaffStatus
    member_id: MemberId | None
    joined_at: AwareDatetime
    version: int


class PutRole(Record):
    """Say what a role of your own allows."""

    version: Annotated[int, Field(ge=0)]
    """The version that you have read; 0 makes a new role."""
    name: Line
    permissions: Annotated[dict[Permission, Reach], Field(min_length=1)]
    reason: Note
    """Kept with the change."""
    dry_run: bool = False


class RemoveRole(Record):
    """Do away with a role that nobody has."""

    reason: Note
    dry_run: bool = False


class RoleView(Record):
    """What a role allows."""

    role: RoleName
    name: str
    permissions: dict[Permission, Reach]
    built_in: bool
    """Comes with the product and cannot be changed."""
    holders: int | None
    """How many members of staff have it; of built-in roles nobody counts."""
    version: int


class RoleList(Record):
    """All roles that staff can have."""

    items: tuple[RoleView, ...]
    next_cursor: None = None
