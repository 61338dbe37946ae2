"""Writes as values: a store describes them, `Table.commit` performs them, all or none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chalicelib.storage.keys import Key

Item = dict[str, Any]
"""An item's attributes in plain Python: str, int, bool, bytes, list, dict. None is never stored."""

Otherwise = Callable[[Item], Exception]
"""What a failed condition means: given the item that is there (empty if none), the exception to raise."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The condition that there is no item under the key."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The condition that the item is still the one that was read.

    Attributes:
        version: its attribute `version` when it was read.
    """

    version: int


@dataclass(frozen=True, slots=True)
class Held:
    """The condition that a unique item still names the member."""

    member_id: str


@dataclass(frozen=True, slots=True)
class Still:
    """The condition that a number of the item is still what was read; None: that it has none."""

    name: str
    value: int | None


@dataclass(frozen=True, slots=True)
class Anyway:
    """No condition. Only beside a write of the same transaction whose condition decides."""


Condition = Absent | Unchanged | Held | Still | Anyway


@dataclass(frozen=True, slots=True)
class Put:
    """Write an item, if a condition holds."""

    key: Key
    item: Item
    condition: Condition
    otherwise: Otherwise


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove an item, if a condition holds."""

    key: Key
    condition: Condition
    otherwise: Otherwise


@dataclass(frozen=True, slots=True)
class Add:
    """Add to numbers of an item, which is made when there is none; attributes of `item` are set beside them.

    Only for counters in a transaction whose other writes tell a repeat: adding has no condition of its own.
    """

    key: Key
    amounts: dict[str, int]
    item: Item


@dataclass(frozen=True, slots=True)
class Count:
    """Add to a number of an item, which is made when there is none, unless it would come to more than a limit.

    The database adds and compares in one step, so however many count at once, the limit holds and nobody has to read
    first.

    Attributes:
        most: what the number may come to.
        item: attributes that are set beside it.
    """

    key: Key
    name: str
    amount: int
    most: int
    item: Item
    otherwise: Otherwise


@dataclass(frozen=True, slots=True)
class Strip:
    """Take attributes of an item away, if there is such an item; whatever else it has stays as it is just then."""

    key: Key
    names: tuple[str, ...]
    otherwise: Otherwise


Write = Put | Delete | Add | Count | Strip
