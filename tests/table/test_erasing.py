"""Erasure: whoever it was is found nowhere any more, the books stay right, and what is cut short is completed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chalicelib.approvals.models import ApprovalKind, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.approvals.store import approval_from
from chalicelib.audit import service as audit
from chalicelib.cards.models import RefundCard
from chalicelib.corrections import service as corrections
from chalicelib.corrections.models import ReverseEntry
from chalicelib.decisions import service as decisions
from chalicelib.decisions.models import Reject
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, Permission
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.errors import MobileTaken
from chalicelib.notices.models import Channel, Notice
from chalicelib.notices.store import keep_notice
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberClosed, MemberErased
from chalicelib.points.models import AdjustPoints, EntryView
from chalicelib.pools import service as pools
from chalicelib.privacy.errors import ErasureBlocked
from chalicelib.privacy.models import EraseMember, Erasure, ErasureReason, MaskedField, Unmask
from chalicelib.privacy.service import erasing, unmasking
from chalicelib.privacy.service.erasing import Places
from chalicelib.privacy.store import place_of
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import rules as proof
from chalicelib.relay.service import change_of, telling_of
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.table import DynamoTable, Table
from chalicelib.storage.writes import Item
from chalicelib.trail.store import reason_of
from tests.makers import NOON, Clock, a_draw, a_purchase, contacts_in, publish_texts
from tests.memory import MemoryTable, SharedTable
from tests.table.stand import Crashed, CrashingTable, Desk, scan
from tests.table.test_approvals import staff
from tests.table.test_cards import a_top_up

T = TypeVar("T")

MARKS = (
    "卡娜丽", "Kanali", "13912345678", "kanali.mark@example.com", "KANALICARD", "KANALIEXT", "kanali-note",
    "kanali-internal", "kanali-message", "kanali-reason", "kanali-merge", "kanali-card", "kanali-pool", "kanali-family",
    "kanali-told",
)  # fmt: skip

SEALED = ("kanali-why", "kanali-of-card", "kanali-asked", "kanali-for-you", "kanali-decided", "kanali-shown")
"""Words that never stand anywhere in clear."""


@dataclass
class World:
    """A desk over tables in memory, and everything else that an erasure reaches."""

    core: MemoryTable
    ops: MemoryTable
    vault: MemoryTable
    folder: Path
    clock: Clock

    @property
    def desk(self) -> Desk:
        """The desk."""
        keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(self.vault))
        return Desk(self.core, keyring, ProgramBook(self.core), self.clock)

    def places(self, over: Callable[[Table], Table] = lambda table: table) -> Places:
        """Where an erasure reaches, by ports that may misbehave."""
        keyring = Keyring(b"i" * 32, b"c" * 32, contacts_in(over(self.vault)))
        core = over(self.core)
        return Places(core, over(self.ops), keyring, FolderObjects(self.folder), ProgramBook(core))

    def erase(self, member_id: str, places: Places | None = None, **fields: Any) -> Outcome[Erasure]:
        """Erase somebody."""
        command = EraseMember(**{"reason": ErasureReason.ASKED, "forfeit": True, **fields})
        return erasing.erase_member(
            places or self.places(), MemberId(member_id), command, by="stf_dpo", now=self.clock()
        )

    def copy(self, folder: Path) -> "World":
        """The same once more, with a register that is empty."""
        return World(self.core.copy(), self.ops.copy(), self.vault.copy(), folder, self.clock)

    def raw(self) -> str:
        """Everything, as it is stored."""
        return " ".join(str(table.items) for table in (self.core, self.ops, self.vault))

    def words(self, key: Key, item: Item) -> str:
        """The sealed words of an item, as far as there is a key."""
        words = self.desk.words
        if key.pk.startswith("A#") and "why" in item:
            return str(reason_of(item, words))
        if key.pk.startswith("APR#"):
            return str(approval_from(item, words))
        return str(words.open(place_of(key.sk), item["reason"])) if key.pk.startswith("UM#") else ""

    def found(self) -> list[str]:
        """The marks that stand somewhere in clear, and where. What is sealed is opened, as far as there is a key."""
        found = []
        for name, table in (("core", self.core), ("ops", self.ops), ("vault", self.vault)):
            for key, item in table.items.items():
                shown = f"{key} {item} {self.words(key, item)}"
                if "contact" in item:
                    shown += str(self.desk.keyring.contacts.open(item["member_id"], item["contact"]))
                found += [f"{name} {key.pk} {key.sk}: {mark}" for mark in (*MARKS, *SEALED) if mark in shown]
        for path in self.folder.rglob("*.json"):
            found += [f"{path.name}: {mark}" for mark in MARKS if mark in path.read_text()]
        return found

    def books(self) -> list[str]:
        """What does not hold in the ledger."""
        wrong = []
        for key, item in self.core.items.items():
            if key.sk == "ACCOUNT":
                account = points_store.account_from(item)
                entries = points_store.list_entries(self.core, account.member_id)
                book = ProgramBook(self.core)
                programs = {each.program_version: book.version(each.program_version) for each in entries}
                fault = proof.verify(account, entries, programs)
                wrong += [f"{account.member_id} {fault}"] if fault else []
        return wrong


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A world in which a program with transfers is in force."""
    made = World(MemoryTable(), MemoryTable(), SharedTable(), tmp_path / "roots", Clock(NOON))
    made.desk.book.current(NOON)
    made.desk.publish(1, transfers={"enabled": True})
    made.clock.forward(minutes=1)
    return made


def a_marked_life(world: World) -> tuple[str, str, str]:
    """Somebody who left words and contact data wherever that can be; who was merged into them; and somebody else."""
    desk = world.desk
    publish_texts(desk.table, "offers")
    friend = desk.enrol(name="Friend").member_id
    former = desk.enrol(name="Kanali", card_no="KANALICARD2", external_ids=[{"source": "erp", "id": "KANALIEXT"}])
    member = desk.enrol(
        name="卡娜丽", mobile="13912345678", email="kanali.mark@example.com", card_no="KANALICARD",
        birthday="1990-03-15", tags=["kanali-note"],
        consents=[{"purpose": "offers", "granted": True, "text_version": "1"}],
    ).member_id  # fmt: skip
    desk.buy(a_purchase(member, paid_minor=900_00))
    desk.adjust(member, 50, key="a", note_to_member="kanali-note", note_internal="kanali-internal")
    world.clock.forward(minutes=1)
    desk.accept(desk.offer(member, friend, 10, key="t1", message="kanali-message").value.transfer_id)
    desk.accept(desk.offer(member, friend, 10, key="t2").value.transfer_id)
    desk.adjust(friend, 100, key="b")
    desk.accept(desk.offer(friend, member, 10, key="t3", message="kanali-message too").value.transfer_id)
    desk.suspend(member, "kanali-reason")
    desk.reinstate(member, "kanali-reason")
    card = desk.open_card(member, key="c", name="kanali-card").value.card_id
    desk.audited(reason="kanali-of-card", ids={"card_id": card}).on_card(card, a_top_up(50_00, 0), key="up")
    desk.on_card(card, RefundCard(), key="back")
    desk.audited(reason="kanali-why").suspend(member, "kanali-reason")
    desk.reinstate(member, "kanali-reason")
    in_pools(world, member, friend)
    asked_and_shown(world, member)
    desk.merge(former.member_id, member, key="m", reason="kanali-merge")
    return member, former.member_id, friend


def in_pools(world: World, member: str, friend: str) -> None:
    """A pool of their own, which is closed; and one of somebody else, where something was taken back, and they left."""
    desk = world.desk
    own = desk.pool(member, key="own", name="kanali-pool").value.pool_id
    desk.let_in(own, friend)
    desk.close_pool(own)
    other = desk.pool(friend, key="other").value.pool_id
    desk.let_in(other, member)
    desk.contribute(other, friend, 20, key="in")
    for number, (who, note) in enumerate(((member, "kanali-family"), (friend, "of the friend"))):
        spent = desk.spend_from(other, who, 5, key=f"out{number}").value.entry_id
        back = ReverseEntry(reason_code="mistake", note_to_member=note, note_internal=note)
        corrections.reverse_entry(desk.table, desk.book, spent, back, now=desk.clock(), language=Language.EN)
    pools.end_member(desk.table, desk.book, other, MemberId(member), now=desk.clock())


def asked_and_shown(world: World, member: str) -> None:
    """Something that waits for a second person, something that was rejected, and a showing."""
    desk = world.desk
    boss = Caller(Kind.STAFF, "stf_boss", ("admin",), ROLES["admin"])
    for key in ("w1", "w2"):
        command = AdjustPoints(
            points=5_000, reason_code="x", note_to_member="kanali-for-you", note_internal="kanali-asked"
        )
        asked = asking(ApprovalKind.ADJUSTMENT, member, key, command, staff("ann"), Permission.POINTS_ADJUST)

        def do(clearance: Clearance, key: str = key, command: AdjustPoints = command) -> Outcome[EntryView]:
            return points.adjust_points(
                desk.table, desk.book, MemberId(member), key, command,
                now=desk.clock(), language=Language.EN, clearance=clearance,
            )  # fmt: skip

        waiting = alone_or_asked(desk.table, desk.words, asked, limit=100, dry_run=False, do=do, now=desk.clock()).value
    assert isinstance(waiting, ApprovalView)
    decisions.reject(
        desk.table, desk.words, boss, waiting.approval_id, Reject(reason="kanali-decided"), now=desk.clock()
    )
    notice = Notice(
        "dlv_x", MemberId(member), None, "PointsReleased", Channel.SMS, "+8613912345678", Language.ZH, "",
        "kanali-told", desk.clock(),
    )  # fmt: skip
    world.ops.commit([keep_notice(notice, member)])
    showing = Unmask(fields=(MaskedField.MOBILE,), reason="kanali-shown")
    unmasking.unmask(
        desk.table, desk.keyring, desk.book, MemberId(member), showing, by="stf_a", draw=a_draw, now=desk.clock()
    )


def chained_all(world: World) -> tuple[int, list[str]]:
    """Chain what is not chained, and walk every chain: how many records, and what does not hold."""
    later, roots = world.clock() + timedelta(minutes=2), FolderObjects(world.folder)
    walked = [audit.walk(world.core, roots, shard, now=later, sweep=True)[0] for shard in range(keys.AUDIT_SHARDS)]
    return sum(each.records for each in walked), [fault for each in walked for fault in each.faults]


def test_nothing_tells_who_it_was_and_the_books_hold(world: World) -> None:
    member, former, friend = a_marked_life(world)
    heads = {key: item.get("head") for key, item in world.core.items.items() if key.sk == "ACCOUNT"}
    everything = {*MARKS, *SEALED}
    assert {mark for mark in everything if any(each.endswith(mark) for each in world.found())} == everything
    assert [mark for mark in SEALED if mark in world.raw()] == []
    chained, _ = chained_all(world)

    outcome = world.erase(member)

    assert world.found() == []
    assert world.books() == []
    assert chained_all(world) == (chained, [])
    assert "of the friend" in world.raw(), "what was said of others stays"
    assert outcome.value.member_ids == (member, former)
    assert not [key for key in world.vault.items if key.sk == "KEY" and keys.account_of(key.pk) in (member, former)]
    assert heads[keys.account(friend)] == world.core.items[keys.account(friend)]["head"]
    assert world.desk.member(friend).name == "Friend"
    profile = world.core.items[keys.profile(member)]
    assert profile.keys() == {
        "pk", "sk", "member_id", "tl", "at", "number", "contact", "joined", "version", "erased",
    }  # fmt: skip
    for each in (member, former):
        with pytest.raises(MemberErased):
            world.desk.member(each)
    with pytest.raises(MemberClosed):
        world.desk.buy(a_purchase(member))


def test_identifiers_are_free_and_the_id_is_not(world: World) -> None:
    member, _, _ = a_marked_life(world)
    with pytest.raises(MobileTaken):
        world.desk.enrol(mobile="13912345678")
    world.erase(member)
    assert world.desk.look_up(mobile="13912345678") == ()
    again = world.desk.enrol(mobile="13912345678")
    assert again.member_id != member


def test_consumers_are_told(world: World) -> None:
    member, former, _ = a_marked_life(world)
    world.erase(member)
    told = [event for record in world.core.records() for event in telling_of(change_of(record)).events]
    (erased,) = [event for event in told if event.type == "MemberErased"]
    assert (erased.member_id, erased.data.former_ids) == (member, (former,))
    assert not [mark for mark in MARKS if any(mark in event.model_dump_json() for event in told)]


def test_the_same_again_is_answered_as_the_first(world: World) -> None:
    member, former, _ = a_marked_life(world)
    first = world.erase(member)
    before = world.copy(world.folder)
    world.clock.forward(days=1)
    for each in (member, former):
        again = world.erase(each, reason=ErasureReason.AUTHORITY)
        assert (again.replayed, again.value) == (True, first.value)
    assert (before.core.items, before.vault.items) == (world.core.items, world.vault.items)


def test_a_dry_run_changes_nothing(world: World) -> None:
    member, _, _ = a_marked_life(world)
    before = world.copy(world.folder)
    outcome = world.erase(member, dry_run=True)
    assert not outcome.stored
    assert (before.core.items, before.vault.items) == (world.core.items, world.vault.items)
    assert not world.folder.exists()


def test_all_that_stands_in_the_way_is_listed_and_nothing_is_changed(world: World) -> None:
    desk = world.desk
    member, friend = desk.enrol().member_id, desk.enrol().member_id
    desk.adjust(member, 100, key="a")
    desk.hold(member, 10, key="h")
    desk.offer(member, friend, 10, key="t")
    card = desk.open_card(member, key="c").value.card_id
    desk.on_card(card, a_top_up(50_00, 0), key="t")
    pool = desk.pool(member).value.pool_id
    before = world.copy(world.folder)
    for dry_run in (True, False):
        with pytest.raises(ErasureBlocked) as refused:
            world.erase(member, forfeit=False, dry_run=dry_run)
    assert [each["what"] for each in refused.value.facts["blockers"]] == [
        "points_held", "points_left", "cards_hold_value", "in_pool",
    ]  # fmt: skip
    assert pool in refused.value.detail
    assert before.core.items == world.core.items
    assert not world.folder.exists()


class _Counted(CrashingTable):
    """One of several ports that count their calls together."""

    def __init__(self, real: Table, calls: list[int], at: int, *, after: bool) -> None:
        super().__init__(real, at, after=after)
        self._calls = calls

    def _call(self, call: Callable[[], T]) -> T:
        self._calls[0] += 1
        self.count = self._calls[0] - 1
        return super()._call(call)


def crashing(world: World, member: str, at: int, *, after: bool) -> bool:
    """Erase somebody by ports of which the nth call, of all together, is the last; whether it came to that."""
    calls = [0]
    places = world.places(lambda table: _Counted(table, calls, at, after=after))
    try:
        world.erase(member, places)
    except Crashed:
        return True
    return False


@pytest.mark.parametrize("by_register", [False, True])
def test_a_crash_at_any_call_is_completed(world: World, tmp_path: Path, by_register: bool) -> None:
    """By the command sent again; or, once the register has it, by the register."""
    member, former, _ = a_marked_life(world)
    at, registered = 1, 0
    while True:
        crashed = False
        for after in (False, True):
            here = world.copy(tmp_path / f"{at}{after}")
            crashed |= crashing(here, member, at, after=after)
            in_register = erasing.find_erasure(FolderObjects(here.folder), MemberId(member)) is not None
            registered += in_register
            if by_register and in_register:
                assert [each for each, _ in erasing.erase_again(here.places(), now=here.clock())] == [former, member]
            elif not by_register:
                here.erase(member)
            else:
                continue
            assert here.found() == [], (at, after)
            assert here.books() == []
            assert here.erase(member).replayed
        if not crashed:
            break
        at += 1
    assert at > 30
    assert registered > 20


def test_two_at_once_are_one(world: World) -> None:
    """Between any two calls of the one, the other is carried out whole."""
    member, _, _ = a_marked_life(world)
    start = world.copy(world.folder)
    for at in range(1, 60, 4):
        here = start.copy(world.folder.with_name(f"two{at}"))
        done: list[Outcome[Erasure]] = []

        class Other(CrashingTable):
            def _call(self, call: Callable[[], T]) -> T:
                self.count += 1
                if self.count == self._at:
                    done.append(here.erase(member))  # noqa: B023 - called within the loop's turn
                return call()

        port = Other(here.core, at, after=False)
        places = replace(here.places(), table=port, book=ProgramBook(port))
        first = here.erase(member, places)
        assert done
        assert (first.value, here.found(), here.books()) == (done[0].value, [], [])
        told = [event for record in here.core.records() for event in telling_of(change_of(record)).events]
        assert [event.type for event in told].count("MemberErased") == 1


def test_what_a_backup_brings_back_is_erased_again(world: World, tmp_path: Path) -> None:
    member, former, friend = a_marked_life(world)
    backup = world.copy(world.folder)
    world.erase(member)
    world.clock.forward(days=1)
    backup.folder = world.folder
    assert backup.found()

    again = list(erasing.erase_again(backup.places(), now=backup.clock()))

    assert again == [(former, True), (member, True)]
    assert (backup.found(), backup.books()) == ([], [])
    assert backup.desk.member(friend).name == "Friend"
    assert list(erasing.erase_again(backup.places(), now=backup.clock())) == [(former, False), (member, False)]


def test_a_backup_from_before_the_merge_is_erased_again_too(world: World) -> None:
    desk = world.desk
    member, former = desk.enrol(name="卡娜丽", mobile="13912345678").member_id, desk.enrol(name="Kanali").member_id
    card = desk.open_card(member, key="c").value.card_id
    desk.on_card(card, a_top_up(50_00, 0), key="t")
    backup = world.copy(world.folder)
    desk.on_card(card, RefundCard(), key="r")
    desk.merge(former, member, key="m")
    world.erase(member)

    list(erasing.erase_again(backup.places(), now=backup.clock()))

    assert (backup.found(), backup.books()) == ([], [])
    assert backup.desk.look_up(mobile="13912345678") == ()
    assert backup.desk.card(card).status.value == "active", "money that came back stays on its card"


def test_nobody_is_erased_who_is_not_there(world: World) -> None:
    with pytest.raises(Refusal):
        world.erase("mem_aaaaaaaaaaaaaaaa")


def test_dynamodb_does_what_the_table_in_memory_does(
    desk: Desk, ops: DynamoTable, keyring: Keyring, roots: FolderObjects, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol(name="卡娜丽", mobile="13912345678").member_id
    desk.adjust(member, 50, key="a", note_to_member="kanali-note", note_internal="kanali-internal")
    desk.suspend(member, "kanali-reason")
    places = Places(table, ops, keyring, roots, desk.book)
    for replayed in (False, True):
        command = EraseMember(reason=ErasureReason.ASKED, forfeit=True)
        done = erasing.erase_member(places, MemberId(member), command, by="stf_dpo", now=desk.clock())
        assert done.replayed is replayed
    assert not [mark for mark in MARKS if mark in str(scan(dynamo, table.name))]
    assert [row for row in table.query_timeline(keys.statement(member), after=None, limit=9).items if "nm" in row] == []
