"""Keys are replaced while members are enrolled, looked up and edited: nobody is lost, nobody is doubled."""

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from chalicelib.members.errors import MemberMoved, MobileTaken
from chalicelib.members.models import MemberView
from chalicelib.privacy import rotation
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import CLEAR, SealedContacts, key_number
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.vault import FRESH_FOR, KeyMoved, TableVault
from chalicelib.storage.writes import Put, Unchanged
from local import rotate
from tests.makers import an_enrolment, contacts_in
from tests.memory import SharedTable
from tests.table.stand import Desk, scan

OLD, NEW = b"i" * 32, b"j" * 32


def of(contacts: Any) -> tuple[SealedContacts, TableVault]:
    assert isinstance(contacts, SealedContacts)
    assert isinstance(contacts.vault, TableVault)
    return contacts, contacts.vault


@dataclass
class Traffic:
    """Members who come, go and change all the while, and what each is known to have in the end."""

    desk: Desk
    dynamo: Dynamo
    known: dict[str, str] = field(default_factory=dict)
    """Mobile number by member."""
    faults: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    rounds: int = 0

    def life(self, lane: int, desks: Callable[[], Desk]) -> None:
        """Enrol, look up, change the number, look up, try to take another's: over and over."""
        try:
            for number in itertools.count():
                if self.stop.is_set():
                    return
                self.once(desks(), f"+8613{lane}{number:08d}", f"+8615{lane}{number:08d}")
                self.rounds += 1
        except Exception as fault:  # noqa: BLE001 - the test looks at it
            self.faults.append(repr(fault))
        finally:
            self.dynamo.close()

    def once(self, desk: Desk, first: str, second: str) -> None:
        """One member."""
        member = desk.enrol(name="张三", card_no=None, mobile=first)
        self.found(desk, first, member.member_id)
        with pytest.raises(MobileTaken):
            desk.enrol(card_no=None, mobile=first)
        changed = self.changed(desk, member, second)
        self.found(desk, second, member.member_id)
        if desk.look_up(mobile=first):
            self.faults.append(f"{first} is still found")
        if changed.name != "张三":
            self.faults.append(f"{member.member_id} lost their name")
        self.known[member.member_id] = second

    def changed(self, desk: Desk, member: MemberView, mobile: str) -> MemberView:
        """The member with another number; whoever replaced their key meanwhile is let first."""
        version = member.version
        while True:
            try:
                return desk.edit(member.member_id, version, mobile=mobile)
            except MemberMoved as moved:
                version = moved.facts["current"]
            except KeyMoved:
                continue

    def found(self, desk: Desk, mobile: str, member_id: str) -> None:
        """See that just this member is found."""
        for _ in range(20):
            with suppress(KeyMoved):
                if [each.member_id for each in desk.look_up(mobile=mobile)] != [member_id]:
                    self.faults.append(f"{mobile} does not find {member_id}")
                return

    @contextmanager
    def going_on(self, desks: Callable[[], Desk], lanes: int = 3) -> Iterator[None]:
        """Traffic in several threads, at least some of it before and after what is done within."""
        threads = [threading.Thread(target=self.life, args=(lane, desks)) for lane in range(lanes)]
        for thread in threads:
            thread.start()
        self.some_more()
        try:
            yield
            self.some_more()
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        assert self.faults == []

    def some_more(self) -> None:
        """Wait for more rounds, two or so in each thread."""
        wanted = self.rounds + 6
        while self.rounds < wanted and not self.faults:
            threading.Event().wait(0.005)


@pytest.fixture
def traffic(desk: Desk, dynamo: Dynamo) -> Traffic:
    """Traffic at the test's desk."""
    for number in range(20):
        desk.enrol(card_no=f"old-{number}", email=f"old{number}@example.com")
    return Traffic(desk, dynamo)


def claims(dynamo: Dynamo, table: DynamoTable) -> set[Key]:
    return {key for key in scan(dynamo, table.name) if key.sk == "U"}


def everybody_is_there_once(traffic: Traffic, desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    """Who was enrolled is found by the last number, and there is no claim but those of members."""
    for member_id, mobile in traffic.known.items():
        (found,) = desk.look_up(mobile=mobile)
        assert (found.member_id, found.mobile, found.name) == (member_id, mobile, "张三")
    wanted = {keys.unique("mobile", desk.keyring.blind("mobile", mobile)) for mobile in traffic.known.values()}
    for number in range(20):
        wanted.add(keys.unique("card", desk.keyring.blind("card", f"old-{number}")))
        wanted.add(keys.unique("email", desk.keyring.blind("email", f"old{number}@example.com")))
        assert len(desk.look_up(card_no=f"old-{number}")) == 1
    assert claims(dynamo, table) == wanted


def test_the_index_key_is_replaced_while_members_come_and_change(
    traffic: Traffic, desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    known = desk.enrolled(an_enrolment(card_no="old-20"), key="before")
    desk.close(known.value.member_id, forfeit=True)
    phases = [
        replace(desk.keyring, other_index_key=NEW),
        replace(desk.keyring, index_key=NEW, other_index_key=OLD, content_key=OLD),
        replace(desk.keyring, index_key=NEW, content_key=OLD),
    ]
    at = [replace(desk, keyring=keyring) for keyring in phases]
    now = [at[0]]
    turns = itertools.count()
    # While a phase begins, some processes are still in the one before.
    mixed: list[Desk] = list(now)

    def desks() -> Desk:
        return mixed[next(turns) % len(mixed)]

    with traffic.going_on(desks):
        copied = sum(rotation.copy_identifiers(table, phases[0], each) for each in rotation.every_member(table))
        assert copied >= 40
        mixed[:] = [at[0], at[1]]
        traffic.some_more()
        mixed[:] = [at[1]]
        traffic.some_more()
    dropped = sum(rotation.drop_identifiers(table, phases[1], each) for each in rotation.every_member(table))
    assert dropped >= 40

    everybody_is_there_once(traffic, at[2], dynamo, table)
    again = at[2].enrolled(an_enrolment(card_no="old-20"), key="before")
    assert (again.replayed, again.value.member_id) == (True, known.value.member_id)


def test_the_tenants_key_is_replaced_while_members_come_and_change(
    traffic: Traffic, desk: Desk, dynamo: Dynamo, table: DynamoTable, vault: SharedTable
) -> None:
    _, keyed = of(desk.keyring.contacts)
    other = replace(desk, keyring=replace(desk.keyring, contacts=contacts_in(vault)))
    turns = itertools.count()

    def settle() -> None:
        for each in (desk, other):
            tenant = of(each.keyring.contacts)[1].tenant
            tenant._seen = tenant._seen - 2 * FRESH_FOR if tenant._seen else None
        traffic.some_more()  # what began before is written by now

    with traffic.going_on(lambda: (desk, other)[next(turns) % 2]):
        assert rotation.replace_tenant_key(table, keyed, settle) >= 20
    assert keyed.tenant.numbers() == [2]
    # Keys of enrolments that were refused belong to nobody, and are left as they were.
    members = set(rotation.every_member(table))
    assert len(members) == 20 + len(traffic.known)
    assert {vault.items[keys.member_key(each)]["tenant"] for each in members} == {2}
    fresh = replace(desk, keyring=replace(desk.keyring, contacts=contacts_in(vault)))
    everybody_is_there_once(traffic, fresh, dynamo, table)


def test_members_keys_are_replaced_while_members_come_and_change(
    traffic: Traffic, desk: Desk, dynamo: Dynamo, table: DynamoTable, vault: SharedTable
) -> None:
    contacts, keyed = of(desk.keyring.contacts)
    with traffic.going_on(lambda: desk):
        walked = list(rotation.every_member(table))
        assert all(rotation.renew_member_key(table, contacts, keyed, each) for each in walked)
    assert len(walked) >= 20
    for each in walked:
        item = table.get(keys.profile(each), consistent=True)
        assert item is not None
        assert key_number(item["contact"]) >= 2
        assert "before" not in vault.items[keys.member_key(each)]
    everybody_is_there_once(traffic, desk, dynamo, table)


def test_what_an_old_key_sealed_is_gone_once_it_is_replaced(desk: Desk, table: DynamoTable) -> None:
    member = desk.enrol(name="张三").member_id
    contacts, keyed = of(desk.keyring.contacts)
    item = table.get(keys.profile(member), consistent=True)
    assert item is not None
    assert rotation.renew_member_key(table, contacts, keyed, member)
    with pytest.raises(KeyMoved):
        contacts.open(member, item["contact"])
    assert desk.member(member).name == "张三"


def test_a_renewal_that_broke_off_goes_on(desk: Desk, table: DynamoTable) -> None:
    member = desk.enrol(name="张三").member_id
    contacts, keyed = of(desk.keyring.contacts)
    keyed.renew(member)
    assert desk.member(member).name == "张三"
    assert desk.edit(member, 1, name="李四").name == "李四"
    assert rotation.renew_member_key(table, contacts, keyed, member)
    assert desk.member(member).name == "李四"


def test_clear_data_of_before_and_fields_that_became_personal_are_sealed(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    label = {"zh": "项", "en": "Field"}
    desk.publish(1, custom_fields={"diet": {"type": "text", "label": label}})
    desk.clock.forward(minutes=1)
    member = desk.enrol(name="张三", mobile="+8613912345678", custom={"diet": "halal"}).member_id
    contacts, _ = of(desk.keyring.contacts)
    item = table.get(keys.profile(member), consistent=True)
    assert item is not None
    clear = CLEAR + json.dumps(contacts.open(member, item["contact"]), ensure_ascii=False).encode()
    table.commit([Put(keys.profile(member), {**item, "contact": clear}, Unchanged(1), lambda _: RuntimeError())])
    desk.publish(2, custom_fields={"diet": {"type": "text", "label": label, "personal": True}})
    desk.clock.forward(minutes=1)
    before = desk.member(member)

    rotation.seal_what_is_clear(table, contacts, desk.book.current(desk.clock()), member)

    stored = scan(dynamo, table.name)[keys.profile(member)]
    assert (key_number(stored["contact"]), "custom" in stored) == (1, False)
    after = desk.member(member)
    assert after == before.model_copy(update={"version": 2, "personal_custom": ("diet",)})
    rotation.seal_what_is_clear(table, contacts, desk.book.current(desk.clock()), member)
    assert desk.member(member).version == 2


# ---------------------------------------------------------------- as an operator does it with a stack


def a_house(desk: Desk, **keyed: Any) -> House:
    """The house of a stack whose API was told these keys."""
    settings = Settings(
        stage="prod", stack="regulars-prod", region="us-east-1", dynamodb_endpoint=None, index_key=b"", cursor_key=b"",
        token_key=b"", issuer="i", audience="a",
    )  # fmt: skip
    return House(settings, desk.table, replace(desk.keyring, **keyed))


def test_the_steps_of_the_runbook_say_when_each_is_finished(
    traffic: Traffic, desk: Desk, dynamo: Dynamo, table: DynamoTable, capsys: pytest.CaptureFixture[str]
) -> None:
    def step(house: House, name: str) -> tuple[int, str]:
        code = rotate.in_stack(house, "index", name)
        return code, capsys.readouterr().out

    one = a_house(desk)
    assert step(one, "copy")[0] == step(one, "drop")[0] == 1, "there is no other key yet"
    both = a_house(desk, other_index_key=NEW, content_key=OLD)
    assert step(both, "check") == (
        0, "40 identifiers are looked up; 0 of them stand under the other key too.\nNone: the other key may go.\n",
    )  # fmt: skip
    desk.enrol(card_no="while-it-lasts", mobile=None)
    with_both = replace(desk, keyring=both.keyring)
    with_both.enrol(card_no="under-both")
    code, said = step(both, "check")
    assert (code, said.splitlines()[1]) == (1, "Some: the copy, or the drop, is not finished.")
    assert step(both, "copy")[1].startswith("42 identifiers")
    assert step(both, "check")[1].splitlines()[1] == "All: the two keys may change places."
    swapped = a_house(desk, index_key=NEW, other_index_key=OLD, content_key=OLD)
    assert step(swapped, "drop")[1].startswith("42 identifiers")
    assert step(swapped, "check")[1].splitlines()[1] == "None: the other key may go."
    last = a_house(desk, index_key=NEW, content_key=OLD)
    found = replace(desk, keyring=last.keyring)
    assert len(found.look_up(card_no="under-both")) == len(found.look_up(card_no="while-it-lasts")) == 1
    assert step(last, "check")[0] == 0
    assert len(claims(dynamo, table)) == 42


def test_the_members_keys_of_a_stack_are_replaced_by_the_same_verb(
    desk: Desk, table: DynamoTable, capsys: pytest.CaptureFixture[str]
) -> None:
    member = desk.enrol(name="张三").member_id
    assert rotate.in_stack(a_house(desk), "member", None) == 0
    assert capsys.readouterr().out.startswith("1 members have a new key")
    item = table.get(keys.profile(member), consistent=True)
    assert item is not None
    assert key_number(item["contact"]) == 2
