"""Staff: who works here, as an identity provider knows them, and what they may do now.

The record is read on every request of theirs, by the issuer and subject of their token: what changes there bites with
the next request, and a custom role within half a minute.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, StringConstraints

from chalicelib.identity.errors import StaffSuspended
from chalicelib.identity.permissions import FOR_STAFF, Grants, joined
from chalicelib.identity.roles import roles_of
from chalicelib.kernel.calendar import from_milliseconds
from chalicelib.kernel.ids import MemberId, RoleName, ShopId, StaffId
from chalicelib.kernel.records import Line, Record
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

Issuer = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,300}$")]
"""The issuer of tokens, as it names itself in `iss`."""

Subject = Annotated[str, StringConstraints(pattern=r"^[\x21-\x7e]{1,255}$")]
"""Whom an issuer means, as it says in `sub`: opaque, and no address."""


class StaffStatus(StrEnum):
    """Whether somebody may work."""

    ACTIVE = "active"
    SUSPENDED = "suspended"


class Staff(Record):
    """Somebody who works here."""

    staff_id: StaffId
    issuer: Issuer
    subject: Subject
    name: Line
    roles: tuple[RoleName, ...]
    shop_ids: tuple[ShopId, ...]
    status: StaffStatus = StaffStatus.ACTIVE
    member_id: MemberId | None = None
    """Their own membership, where they have one: points that they give to it are noticed. Nobody checks it."""
    joined_at: AwareDatetime
    version: int = 1


@dataclass(frozen=True, slots=True)
class Appointment:
    """Who somebody is who works here, and what they may do now.

    Attributes:
        name: by their record; empty where there is none.
        membership: their own, by their record.
    """

    staff_id: StaffId
    roles: tuple[str, ...]
    grants: Grants
    shop_ids: frozenset[ShopId]
    name: str = ""
    membership: MemberId | None = None


def find_staff(table: Table, issuer: str, subject: str) -> Staff | None:
    """Whom an issuer means by a subject, or None: one consistent read."""
    item = table.get(keys.staff(StaffId.of(issuer, subject)), consistent=True)
    return staff_from(item) if item else None


def appointment(
    table: Table,
    issuer: str,
    subject: str,
    claimed: Iterable[str] = (),
    claimed_shops: Iterable[ShopId] = (),
    *,
    now: datetime,
) -> Appointment:
    """What somebody may do whose token is good.

    Where there is a record of them, it alone counts. Where there is none, the roles and shops count that their token
    claims: so the first admin comes in.

    Args:
        claimed: built-in roles by the claim map of the issuer; what is no role for staff is passed over.

    Raises:
        StaffSuspended: their record says so.
    """
    staff_id = StaffId.of(issuer, subject)
    staff = find_staff(table, issuer, subject)
    if staff is None:
        roles = tuple(role for role in claimed if role in FOR_STAFF)
        shop_ids = frozenset(claimed_shops)
    elif staff.status is StaffStatus.SUSPENDED:
        raise StaffSuspended
    else:
        roles, shop_ids = staff.roles, frozenset(staff.shop_ids)
    book = roles_of(table)
    grants = joined(book.grants(role, now) for role in roles)
    if staff is None:
        return Appointment(staff_id, roles, grants, shop_ids)
    return Appointment(staff_id, roles, grants, shop_ids, staff.name, staff.member_id)


def staff_from(item: Item) -> Staff:
    """Who an item is of."""
    return Staff(
        staff_id=StaffId(keys.parted(item["pk"])[1]),
        issuer=item["issuer"],
        subject=item["subject"],
        name=item["name"],
        roles=tuple(RoleName(role) for role in item["roles"]),
        shop_ids=tuple(ShopId(shop) for shop in item["shops"]),
        status=StaffStatus(item["status"]),
        member_id=MemberId(item["member_id"]) if "member_id" in item else None,
        joined_at=from_milliseconds(item["joined"]),
        version=item["version"],
    )
