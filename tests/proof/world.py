"""A small ledger with every kind of entry, and somebody who can write to the table past the product."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.jobs import service
from chalicelib.jobs.models import Job, Part, Run
from chalicelib.jobs.service import Yard
from chalicelib.kernel.ids import AccountId
from chalicelib.points import store as points_store
from chalicelib.points.models import EntryKey, Lifetime, Reason, Sums
from chalicelib.points.rules import ledger
from chalicelib.points.service import once
from chalicelib.proof import service as proof
from chalicelib.proof.models import Earlier, Fault, Proven
from chalicelib.proof.service import Programs
from chalicelib.storage.dynamo import Dynamo, marshalled
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item
from tests.makers import Tray, a_line, a_purchase
from tests.table.stand import Desk, scan


@dataclass
class World:
    """A small ledger with every kind of entry, a walk over it, and somebody with access to the table."""

    desk: Desk
    yard: Yard
    dynamo: Dynamo
    roots: FolderObjects
    tray: Tray
    told: list[dict[str, Any]] = field(default_factory=list)

    def run(self, day: date | None = None) -> Run:
        """A whole run of the job."""
        now = self.desk.clock()
        day = day or now.astimezone().date()
        service.start_run(self.yard, Job.VERIFY, day, dry_run=False, by="stf_test", now=now, anew=True)
        while records := self.tray.taken():
            for record in records:
                part = Part.model_validate_json(record["body"])
                service.do_part(self.yard, part, now=self.desk.clock(), attempt=lambda work: (True, work()))
        return service.find_run(self.yard, Job.VERIFY, day, dry_run=False, now=now)

    def proven(self, member_id: str, earlier: Earlier | None = None) -> Proven:
        """One account's proof."""
        later = self.desk.clock() + timedelta(hours=1)
        return proof.prove(
            self.desk.table, Programs(self.desk.book), [AccountId(member_id)], now=later, earlier=earlier
        )[0]

    def fault(self, member_id: str) -> Fault | None:
        """What is found wrong with an account."""
        return self.proven(member_id).fault

    def items(self) -> dict[Key, Item]:
        """Every item of the table."""
        assert isinstance(self.desk.table, DynamoTable)
        return scan(self.dynamo, self.desk.table.name)

    def write(self, key: Key, item: Item) -> None:
        """Put an item past the product."""
        assert isinstance(self.desk.table, DynamoTable)
        typed = {name: marshalled(value) for name, value in {**item, "pk": key.pk, "sk": key.sk}.items()}
        self.dynamo.call("PutItem", {"TableName": self.desk.table.name, "Item": typed})

    def delete(self, key: Key) -> None:
        """Delete an item past the product."""
        assert isinstance(self.desk.table, DynamoTable)
        where = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
        self.dynamo.call("DeleteItem", {"TableName": self.desk.table.name, "Key": where})

    def of(self, member_id: str) -> list[Key]:
        """Keys of an account's entries, oldest first."""
        return [points_store.key_of(entry.key) for entry in self.desk.entries(member_id)]


def a_full_member(desk: Desk) -> str:
    """A member with every kind of entry that there is."""
    member = desk.enrol(birthday="1990-03-15").member_id
    desk.clock.forward(hours=1)
    lines = [a_line(quantity=3, unit_price_minor=4_000).model_dump(exclude_none=True)]
    desk.adjust(member, 40, key=f"a{member}", expires_on=date(2026, 3, 31), note_to_member="谢谢")
    desk.adjust(member, 300, key=f"q{member}", qualifying_points=1_200, note_internal="by hand")
    bought = desk.buy(a_purchase(member, paid_minor=12_000, lines=lines)).value
    desk.spend(member, 70, key=f"s{member}", reference="R-1")
    desk.clock.forward(minutes=1)
    paid = desk.buy(a_purchase(member, paid_minor=5_000, points_tender=100, lines=[])).value
    desk.give_back(bought.purchase_id, key="r1", lines=[{"sku": "L1", "quantity": 1}])
    desk.give_back(paid.purchase_id, key="r2", amount_minor=2_000)
    desk.clock.forward(minutes=1)
    reserve(desk, member, f"h{member}", 10)
    desk.clock.forward(hours=3)
    desk.buy(a_purchase(member, paid_minor=900, lines=[]))
    receive(desk, member, f"t{member}", 25)
    return member


def reserve(desk: Desk, member: str, key: str, amount: int) -> None:
    """Hold points for two hours."""

    def draft(now: datetime) -> ledger.Draft:
        until = now + timedelta(hours=2)
        return ledger.Draft(
            EntryKey(kind="hold", parts=(key,)), Reason.HOLD, now, reserved=amount, reserved_until=until
        )

    _post(desk, member, draft)


def receive(desk: Desk, member: str, key: str, amount: int) -> None:
    """Points come from somewhere else with sums of their own."""

    def draft(now: datetime) -> ledger.Draft:
        sums = Sums(lifetime=Lifetime(earned=amount), earned={date(2026, 12, 31): amount})
        return ledger.Draft(EntryKey(kind="transfer", parts=(key,)), Reason.TRANSFER, now, sums=sums)

    _post(desk, member, draft)


def _post(desk: Desk, member: str, draft: Callable[[datetime], ledger.Draft]) -> None:
    now = desk.clock()
    program = desk.book.current(now)
    made = draft(now)

    def decide(account: Any) -> Any:
        posting = ledger.post(account, made, program, now=now)
        return None, points_store.post(account, posting)

    once(desk.table, desk.book, AccountId(member), made.key, decide=decide, recall=lambda _: None, now=now)
