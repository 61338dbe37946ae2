"""Use cases of the program: read it, publish its next version."""

from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from chalicelib.kernel.languages import Language
from chalicelib.programs import rules, store
from chalicelib.programs.errors import ProgramMoved, ProgramVersionUnknown
from chalicelib.programs.models import Program, PublishProgram, default_program
from chalicelib.storage.table import Table

REMEMBERED_FOR = timedelta(seconds=10)
"""How long a process goes on with the version it read: a new version is in force everywhere after this time."""


class ProgramBook:
    """The program in force and every version before it, remembered so that a purchase need not read it.

    What is decided names the version it was decided by, so a process that is seconds behind decides soundly, by the
    version before.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._versions: dict[int, Program] = {}
        self._current: Program | None = None
        self._read_at: datetime | None = None

    def current(self, now: datetime) -> Program:
        """The version in force; on a new stack the default program, which is put in force by asking."""
        if self._current is None or self._read_at is None or not self._read_at <= now < self._read_at + REMEMBERED_FOR:
            self._current = store.find_current(self._table) or self._open(now)
            self._versions[self._current.version] = self._current
            self._read_at = now
        return self._current

    def version(self, version: int) -> Program:
        """One version.

        Raises:
            ProgramVersionUnknown: there is none of that number.
        """
        known = self._versions.get(version)
        if known is None:
            known = store.find_version(self._table, version)
            if known is None:
                raise ProgramVersionUnknown(version=version)
            self._versions[version] = known
        return known

    def language(self, asked: Language | None, now: datetime) -> Language:
        """The language asked for, or the program's own."""
        return asked or self.current(now).language

    def forget(self) -> None:
        """Read the version in force anew on the next request."""
        self._read_at = None

    def _open(self, now: datetime) -> Program:
        program = default_program(now)
        try:
            self._table.commit(store.open_first(program))
        except ProgramMoved:
            program = store.find_current(self._table, consistent=True) or program
        return program


_BOOKS: WeakKeyDictionary[Table, ProgramBook] = WeakKeyDictionary()


def book_of(table: Table) -> ProgramBook:
    """The table's program book: one for the life of the process."""
    return _BOOKS.setdefault(table, ProgramBook(table))


def publish_program(table: Table, book: ProgramBook, command: PublishProgram, *, now: datetime) -> Program:
    """Put the next version of the program in force.

    Raises:
        ProgramMoved: another version was published since the one the command follows.
        CurrencyFixed: the currency differs.
    """
    current = store.find_current(table, consistent=True) or book.current(now)
    if command.version != current.version:
        raise ProgramMoved(read=command.version, current=current.version)

    program = rules.next_version(current, command, now=now)

    table.commit(store.publish(program))
    book.forget()
    return program
