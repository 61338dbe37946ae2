"""Where programs are kept: a head that names the version in force, and every version for good.

The head says too whether a purchase was recorded by the program yet (`in_use`). Its attribute `version`, which
conditions compare, is the program's version, and one more once it is in use: whoever read the head before that cannot
write it after.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write


@dataclass(frozen=True, slots=True)
class Head:
    """The version in force.

    Attributes:
        in_use: a purchase was recorded, so the currency stays as it is; before that the program is a draft.
    """

    program: Program
    in_use: bool

    @property
    def version(self) -> int:
        """What conditions compare."""
        return self.program.version + self.in_use


def find_head(table: Table, *, consistent: bool = False) -> Head | None:
    """The version in force, or None before the first."""
    item = table.get(keys.PROGRAM_HEAD, consistent=consistent)
    return Head(_program(item), bool(item.get("in_use"))) if item else None


def find_version(table: Table, version: int) -> Program | None:
    """A version, or None when there is none of that number."""
    item = table.get(keys.program_version(version), consistent=True)
    return _program(item) if item else None


def open_first(program: Program) -> list[Write]:
    """Writes that make a program the first, unless there is one."""
    moved = ProgramMoved(read=0, current=1)
    return [
        Put(keys.PROGRAM_HEAD, _head_item(Head(program, in_use=False)), Absent(), lambda _: moved),
        Put(keys.program_version(program.version), _item(program), Absent(), lambda _: moved),
    ]


def publish(before: Head, program: Program) -> list[Write]:
    """Writes that put a version in force after the one before it."""

    def moved(found: Item) -> Exception:
        current = _program(found).version if "program" in found else 0
        return ProgramMoved(read=before.program.version, current=current)

    head = _head_item(Head(program, before.in_use))
    return [
        Put(keys.PROGRAM_HEAD, head, Unchanged(before.version), moved),
        Put(keys.program_version(program.version), _item(program), Absent(), moved),
    ]


def put_in_use(draft: Program) -> Write:
    """The write that goes with the first purchase of all, by a program that was a draft until then."""
    before, after = Head(draft, in_use=False), Head(draft, in_use=True)
    moved = ProgramMoved(read=draft.version, current=draft.version)
    return Put(keys.PROGRAM_HEAD, _head_item(after), Unchanged(before.version), lambda _: moved)


def published_at(item: Item) -> datetime:
    """When the version that an item holds was published; the rest of it is not read."""
    return datetime.fromisoformat(json.loads(item["program"])["published_at"])


def _head_item(head: Head) -> Item:
    return _item(head.program) | {"version": head.version, "in_use": head.in_use}


def _item(program: Program) -> Item:
    return {"version": program.version, "program": program.model_dump_json()}


def _program(item: Item) -> Program:
    return Program.model_validate_json(item["program"])
