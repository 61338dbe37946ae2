"""Where programs are kept: a head that names the version in force, and every version for good."""

from chalicelib.programs.errors import ProgramMoved
from chalicelib.programs.models import Program
from chalicelib.storage import keys
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Absent, Item, Put, Unchanged, Write


def find_current(table: Table, *, consistent: bool = False) -> Program | None:
    """The version in force, or None before the first."""
    head = table.get(keys.PROGRAM_HEAD, consistent=consistent)
    return _program(head) if head else None


def find_version(table: Table, version: int) -> Program | None:
    """A version, or None when there is none of that number."""
    item = table.get(keys.program_version(version), consistent=True)
    return _program(item) if item else None


def open_first(program: Program) -> list[Write]:
    """Writes that make a program the first, unless there is one."""
    moved = ProgramMoved(read=0, current=1)
    return [
        Put(keys.PROGRAM_HEAD, _item(program), Absent(), lambda _: moved),
        Put(keys.program_version(program.version), _item(program), Absent(), lambda _: moved),
    ]


def publish(program: Program) -> list[Write]:
    """Writes that put a version in force after the one before it."""
    read = program.version - 1

    def moved(found: Item) -> Exception:
        return ProgramMoved(read=read, current=found.get("version", 0))

    return [
        Put(keys.PROGRAM_HEAD, _item(program), Unchanged(read), moved),
        Put(keys.program_version(program.version), _item(program), Absent(), moved),
    ]


def _item(program: Program) -> Item:
    return {"version": program.version, "program": program.model_dump_json(exclude_none=True)}


def _program(item: Item) -> Program:
    return Program.model_validate_json(item["program"])
