"""A till over a table in memory, and the lake that what happens there flows into."""

from datetime import date
from pathlib import Path
from typing import Any

from chalicelib.lake import rules, service, store
from chalicelib.programs.service import ProgramBook
from chalicelib.storage.keyring import Keyring
from tests.lakes import Shore
from tests.makers import Clock, a_purchase, contacts_in
from tests.memory import MemoryTable
from tests.table.stand import Desk

COFFEE = {"sku": "L1", "name": "拿铁", "category": "咖啡", "quantity": 2, "unit_price_minor": 3000}
CAKE = {"sku": "6901234567892", "name": "蛋糕", "category": "甜点", "quantity": 1, "unit_price_minor": 4000}


class Beach:
    """A till, and the lake that what happens there flows into.

    Attributes:
        memory: the till's table, whose stream is at hand.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.memory, self.shore, self.clock = MemoryTable(), Shore(folder), clock
        book = ProgramBook(self.memory)
        book.current(clock())
        self.till = Desk(self.memory, Keyring(b"i" * 32, b"c" * 32, contacts_in(MemoryTable())), book, clock)
        self.poured = 0

    def flow(self) -> None:
        """Bring what is new into a patch."""
        records = self.memory.records()
        self.shore.pour(records[self.poured :], now=self.clock())
        self.poured = len(records)
        self.shore.patch(self.clock())

    def ask(self, sql: str, *params: Any, today: date | None = None) -> list[dict[str, Any]]:
        """What the views answer."""
        now = self.clock()
        return self.shore.ask(sql, today=today or now.date(), now=now, params=params)

    def member(self, member_id: str, *, today: date | None = None) -> dict[str, Any]:
        """What the lake says of a member."""
        (found,) = self.ask("SELECT * FROM members WHERE member_id = ?", member_id, today=today)
        return found

    def buy(self, member_id: str, paid: int = 10000, *lines: dict[str, Any], **fields: Any) -> str:
        """A purchase's id."""
        at = self.clock().isoformat()
        command = a_purchase(member_id, paid_minor=paid, lines=list(lines), **{"occurred_at": at, **fields})
        return str(self.till.buy(command).value.purchase_id)

    def rebuilt(self, folder: Path) -> Shore:
        """A lake of nothing but the table's items, and of what was told to this one."""
        other = Shore(folder)
        for key in store.list_log(self.shore.objects, rules.FACTS, after=None):
            other.objects.put(key, self.shore.objects.get(key) or b"", kind=store.KIND)
        service.rebuild(other.lake, self.memory.items.values(), today=self.clock().date(), now=self.clock())
        return other
