"""How staff and roles are stored.

`STF#<staff>` / `STF` somebody who works here, listed by the timeline index · `ROLES` / `<role>` a custom role, with
the number of those who have it · `ADMINS` who the active admins are. What counts others is replaced in the transaction
that changes them, so that two who work at once cannot both be right by what they have read.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.identity.roles import CustomRole
from chalicelib.identity.staff import Staff, staff_from
from chalicelib.kernel.calendar import milliseconds
from chalicelib.kernel.ids import StaffId
from chalicelib.staff.errors import StaffMoved
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Delete, Item, Put, Unchanged, Write


class Raced(Exception):
    """What was read has changed: read again and decide again. Never leaves the service."""


class StaffKnown(Exception):
    """The subject was invited before. Never leaves the service."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item


@dataclass(frozen=True, slots=True)
class Admins:
    """Who the active admins are."""

    staff_ids: tuple[StaffId, ...] = ()
    version: int = 0


# ---------------------------------------------------------------- reading


def find_item(table: Table, staff_id: StaffId) -> Item | None:
    """The item of somebody who works here, as it is now, or None."""
    return table.get(keys.staff(staff_id), consistent=True)


def find_admins(table: Table) -> Admins:
    """Who the active admins are."""
    item = table.get(keys.ADMINS, consistent=True)
    return Admins(tuple(StaffId(each) for each in item["ids"]), item["version"]) if item else Admins()


def list_staff(table: Table, *, after: str | None, limit: int) -> tuple[tuple[Staff, ...], str | None]:
    """A page of staff, who came last first, and where the next one starts."""
    rows = table.query_timeline(keys.STAFF, after=after, limit=limit)
    wanted = [Key(row["pk"], row["sk"]) for row in rows.items]
    found = table.get_many(wanted)
    return tuple(staff_from(found[key]) for key in wanted if key in found), rows.last


# ---------------------------------------------------------------- describing writes


def let_in(staff: Staff, *, content: bytes, by: str) -> Write:
    """The write of somebody new."""
    item = _item(staff, content=content, by=by, reason=None)
    return Put(keys.staff(staff.staff_id), item, Absent(), StaffKnown)


def replace(before: Staff, after: Staff, *, content: bytes, by: str, reason: str, told: bool) -> Write:
    """The write of somebody's changed record.

    Args:
        content: the digest of the invitation, which stays.
        told: who changes it named the version that they have read.
    """

    def moved(found: Item) -> Exception:
        return StaffMoved(read=before.version, current=found.get("version", 0)) if told else Raced()

    item = _item(after.model_copy(update={"version": before.version + 1}), content=content, by=by, reason=reason)
    return Put(keys.staff(after.staff_id), item, Unchanged(before.version), moved)


def replace_admins(before: Admins, after: Sequence[StaffId]) -> Write:
    """The write of who the active admins are."""
    condition = Unchanged(before.version) if before.version else Absent()
    item = {"ids": list(after), "version": before.version + 1}
    return Put(keys.ADMINS, item, condition, lambda _: Raced())


def count_holders(role: CustomRole, change: int) -> Write:
    """The write that counts who has a role."""
    return Put(
        keys.role(role.role), role_item(role.model_copy(update={"holders": role.holders + change})),
        Unchanged(role.turn), lambda _: Raced(),
    )  # fmt: skip


def put_role(before: CustomRole | None, after: CustomRole, *, by: str, reason: str) -> Write:
    """The write of a role, new or changed."""
    turn = before.turn if before else 0
    item = role_item(after.model_copy(update={"turn": turn})) | {"by": by, "reason": reason}
    return Put(keys.role(after.role), item, Unchanged(turn) if before else Absent(), lambda _: Raced())


def remove_role(role: CustomRole) -> Write:
    """The write that does away with a role, unless it was changed or given since."""
    return Delete(keys.role(role.role), Unchanged(role.turn), lambda _: Raced())


def role_item(role: CustomRole) -> Item:
    """The item of a role that is written over what was read."""
    return {
        "name": role.name,
        "grants": {permission.value: int(scope) for permission, scope in role.grants.items()},
        "holders": role.holders,
        "ed": role.version,
        "version": role.turn + 1,
    }


def _item(staff: Staff, *, content: bytes, by: str, reason: str | None) -> Item:
    return {
        "issuer": staff.issuer,
        "subject": staff.subject,
        "name": staff.name,
        "roles": list(staff.roles),
        "shops": list(staff.shop_ids),
        "status": staff.status.value,
        "member_id": staff.member_id,
        "joined": milliseconds(staff.joined_at),
        "version": staff.version,
        "content": content,
        "changed_by": by,
        "reason": reason,
        "tl": keys.STAFF,
        "at": keys.listed_moment(staff.joined_at, staff.staff_id),
    }
