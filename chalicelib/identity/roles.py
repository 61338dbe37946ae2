"""Custom roles: what a merchant's own roles allow, read from the table and remembered for half a minute."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from chalicelib.identity.permissions import ROLES, Grants, Permission, Scope
from chalicelib.kernel.ids import RoleName
from chalicelib.kernel.records import Line, Record
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Item

REMEMBERED_FOR = timedelta(seconds=30)
"""For so long a process goes on with the roles that it read: then a changed role bites."""


class CustomRole(Record):
    """A role of the merchant's own."""

    role: RoleName
    name: Line
    grants: dict[Permission, Scope]
    """To shops, or to all."""
    holders: int = 0
    """How many members of staff have it, suspended ones included."""
    version: int = 1
    """Counts what was changed of it; who has it does not change it."""
    turn: int = 1
    """Counts how often its item was written: two who write at once cannot both be right."""


class RoleBook:
    """The custom roles of a table, remembered so that a request need not read them."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._roles: dict[str, CustomRole] = {}
        self._read_at: datetime | None = None

    def grants(self, name: str, now: datetime) -> Grants:
        """What a role allows, built-in or custom; nothing, where there is none of that name."""
        built_in = ROLES.get(name)
        if built_in is not None:
            return built_in
        if self._read_at is None or not self._read_at <= now < self._read_at + REMEMBERED_FOR:
            self._roles, self._read_at = find_roles(self.table), now
        role = self._roles.get(name)
        return role.grants if role else {}


_BOOKS: list[RoleBook] = []
_BOOKS_MAX = 8


def roles_of(table: Table) -> RoleBook:
    """The table's book of roles: one for the life of the process."""
    known = next((book for book in _BOOKS if book.table is table), None)
    if known is None:
        known = RoleBook(table)
        _BOOKS[:] = [known, *_BOOKS[: _BOOKS_MAX - 1]]
    return known


def find_role(table: Table, name: str) -> CustomRole | None:
    """A custom role as it is now, or None."""
    item = table.get(keys.role(name), consistent=True)
    return role_from(item) if item else None


def find_roles(table: Table) -> dict[str, CustomRole]:
    """All custom roles as they are now, by name."""
    items = table.query_partition(keys.ROLES, first="a", last="~", consistent=True)
    return {item["sk"]: role_from(item) for item in items}


def role_from(item: Item) -> CustomRole:
    """The role that an item holds; a permission that is unknown to this version allows nothing."""
    stored: Mapping[str, int] = item["grants"]
    known = {permission.value: permission for permission in Permission}
    return CustomRole(
        role=RoleName(item["sk"]),
        name=item["name"],
        grants={known[each]: Scope(reach) for each, reach in stored.items() if each in known},
        holders=item["holders"],
        version=item["ed"] if "ed" in item else item["version"],
        turn=item["version"],
    )
