"""Use cases of the program: read it, publish its next version."""

from datetime import datetime, timedelta

from chalicelib.kernel.languages import Language
from chalicelib.programs import rules, store
from chalicelib.programs.errors import ProgramMoved, ProgramVersionUnknown
from chalicelib.programs.models import Program, PublishProgram, default_program
from chalicelib.storage.audited import bare
from chalicelib.storage.table import Table
from chalicelib.storage.writes import Write

REMEMBERED_FOR = timedelta(seconds=10)
"""How long a process goes on with the version it read: a new version is in force everywhere after this time."""


class ProgramBook:
    """The program in force and every version before it, remembered so that a purchase need not read it.

    What is decided names the version it was decided by, so a process that is seconds behind decides soundly, by the
    version before.
    """

    def __init__(self, table: Table) -> None:
        self.table = table
        self._versions: dict[int, Program] = {}
        self._head: store.Head | None = None
        self._read_at: datetime | None = None

    def current(self, now: datetime) -> Program:
        """The version in force; on a new stack the default program, which is put in force by asking."""
        return self.head(now).program

    def latest(self, now: datetime) -> Program:
        """The version in force as the database has it: for whoever reads it to follow it with the next."""
        self.reread(now)
        return self.current(now)

    def putting_in_use(self, now: datetime) -> tuple[Write, ...]:
        """The write that a purchase takes with it while the program is a draft; none from the first purchase on.

        Until then a merchant may still choose the currency (`publish_program`). A process that has seen the program
        in use never needs to ask again, because it stays so: what this costs, it costs once in the life of a stack.
        """
        head = self.head(now)
        return () if head.in_use else (store.put_in_use(head.program),)

    def reread(self, now: datetime) -> bool:
        """Read the version in force from the database itself; whether it is another than was remembered."""
        before = self._head
        self._remember(store.find_head(self.table, consistent=True) or self._open(now), now)
        return self._head != before

    def version(self, version: int) -> Program:
        """One version.

        Raises:
            ProgramVersionUnknown: there is none of that number.
        """
        known = self._versions.get(version)
        if known is None:
            known = store.find_version(self.table, version)
            if known is None:
                raise ProgramVersionUnknown(version=version)
            self._versions[version] = known
        return known

    def in_force(self, at: datetime, now: datetime) -> Program:
        """The version that was in force at an instant; the first one, for an instant before there was any."""
        program = self.current(now)
        while program.published_at > at and program.version > 1:
            program = self.version(program.version - 1)
        return program

    def language(self, asked: Language | None, now: datetime) -> Language:
        """The language asked for, or the program's own."""
        return asked or self.current(now).language

    def forget(self) -> None:
        """Read the version in force anew on the next request."""
        self._read_at = None

    def head(self, now: datetime) -> store.Head:
        """The version in force, and whether purchases were recorded yet."""
        head = self._head
        if head is None or self._read_at is None or not self._read_at <= now < self._read_at + REMEMBERED_FOR:
            head = self._remember(store.find_head(self.table) or self._open(now), now)
        return head

    def _remember(self, head: store.Head, now: datetime) -> store.Head:
        self._head, self._read_at = head, now
        self._versions[head.program.version] = head.program
        return head

    def _open(self, now: datetime) -> store.Head:
        head = store.Head(default_program(now), in_use=False)
        try:
            self.table.commit(store.open_first(head.program))
        except ProgramMoved:
            head = store.find_head(self.table, consistent=True) or head
        return head


_BOOKS: list[ProgramBook] = []
_BOOKS_MAX = 8


def book_of(table: Table) -> ProgramBook:
    """The table's program book: one for the life of the process, which as a rule knows one table."""
    table = bare(table)
    known = next((book for book in _BOOKS if book.table is table), None)
    if known is None:
        known = ProgramBook(table)
        _BOOKS[:] = [known, *_BOOKS[: _BOOKS_MAX - 1]]
    return known


def publish_program(table: Table, book: ProgramBook, command: PublishProgram, *, now: datetime) -> Program:
    """Put the next version of the program in force.

    Raises:
        ProgramMoved: another version was published since the one the command follows.
        CurrencyFixed: the currency differs, and purchases were recorded.
        ProgramFieldFixed: what nobody decides is sent along with another value than it has.
    """
    book.reread(now)
    head = book.head(now)
    if command.version != head.program.version:
        raise ProgramMoved(read=command.version, current=head.program.version)

    program = rules.next_version(head.program, command, in_use=head.in_use, now=now)

    if not command.dry_run:
        table.commit(store.publish(head, program))
        book.forget()
    return program
