"""What the table tests stand on: a desk that serves members, and table ports that misbehave on demand."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from chalicelib.cards import service as cards
from chalicelib.cards.models import (
    CardEntryView,
    CardView,
    CloseCard,
    ExtendCard,
    OpenCard,
    RefundCard,
    RefundCardSpend,
    ReinstateCard,
    ReverseCardUse,
    SpendCard,
    SuspendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.corrections import service as corrections
from chalicelib.corrections.models import ReverseEntry
from chalicelib.holds import service as holds
from chalicelib.holds.models import CaptureHold, HoldPoints, HoldView, ReleaseHold
from chalicelib.kernel.ids import AccountId, CardId, HoldId, MemberId, MergeId, PurchaseId, ShopId, TransferId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members import service as members
from chalicelib.members.models import (
    CloseMember,
    EditMember,
    EnrolMember,
    MemberRef,
    MemberView,
    ReinstateMember,
    SuspendMember,
)
from chalicelib.merges import service as merges
from chalicelib.merges.models import MergeMembers, MergeView, UndoMerge, UndoView
from chalicelib.points import service as points
from chalicelib.points import store
from chalicelib.points.models import Account, AdjustPoints, Due, Entry, EntryView, PointsView, SpendPoints
from chalicelib.pools import service as pools
from chalicelib.pools.models import (
    ClosePool,
    Contribute,
    MembershipView,
    OpenPool,
    PoolId,
    PoolView,
    SetMembership,
    SpendFromPool,
)
from chalicelib.programs import service as programs
from chalicelib.programs import store as program_store
from chalicelib.programs.models import DEFAULT_TERMS, Program, PublishProgram
from chalicelib.programs.service import ProgramBook
from chalicelib.proof import rules as proof
from chalicelib.purchases.models import (
    DeliverPurchase,
    DeliveryView,
    PurchaseView,
    RecordPurchase,
    RefusedReturn,
    RestatePurchase,
    ReturnPurchase,
    ReturnView,
    WaitingReturn,
)
from chalicelib.purchases.service import delivering, reading, recording, restating, returning
from chalicelib.storage import keys
from chalicelib.storage.audited import Audited
from chalicelib.storage.dynamo import Dynamo, DynamoFault, unmarshalled
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.keys import Key
from chalicelib.storage.table import DynamoTable, Rows, Table
from chalicelib.storage.words import Words
from chalicelib.storage.writes import Item, Write
from chalicelib.trail.store import Witnessed
from chalicelib.transfers import service as transfers
from chalicelib.transfers.models import (
    AcceptTransfer,
    CancelTransfer,
    DeclineTransfer,
    OfferTransfer,
    TransferView,
)
from tests.makers import Clock, an_enrolment

T = TypeVar("T")

_draws = itertools.count(1)

CardCommand = TopUpCard | SpendCard | RefundCardSpend | RefundCard | UseCard | ReverseCardUse | ExtendCard

CARD_VERBS: dict[type[Any], Callable[..., Outcome[CardEntryView]]] = {
    TopUpCard: cards.top_up_card,
    SpendCard: cards.spend_card,
    RefundCardSpend: cards.refund_card_spend,
    RefundCard: cards.refund_card,
    UseCard: cards.use_card,
    ReverseCardUse: cards.reverse_card_use,
    ExtendCard: cards.extend_card,
}


@dataclass
class Desk:
    """Serves members over a table port, as the routes do."""

    table: Table
    keyring: Keyring
    book: ProgramBook
    clock: Clock
    draw: Callable[[], int] = field(default=lambda: next(_draws) * 7_919)

    def over(self, table: Table) -> "Desk":
        """The same desk over another table port, with a program book of its own."""
        return Desk(table, self.keyring, ProgramBook(table), self.clock, self.draw)

    @property
    def words(self) -> Words:
        """Seals words about members, and opens them."""
        return Words(self.table, self.keyring.contacts)

    def audited(self, by: str = "stf_test", **more: Any) -> "Desk":
        """The same desk for one command of somebody who answers for it."""
        witnessed = Witnessed(
            **{
                "kind": "staff", "subject": by, "roles": ("admin",), "action": "test", "permission": "members:write",
                "ids": {}, "reason_code": None, "reason": None, "origin": {"ip": "127.0.0.1", "request_id": "r"},
                "at": self.clock(), "draw": lambda: next(_draws) * 0x9E3779B97F4A7C15 % 2**64, "words": self.words,
                **more,
            }
        )  # fmt: skip
        return Desk(Audited(self.table, by, record=witnessed.record), self.keyring, self.book, self.clock, self.draw)

    def enrol(self, *, key: str | None = None, **fields: Any) -> MemberView:
        """A new member."""
        return self.enrolled(an_enrolment(**fields), key=key).value

    def enrolled(self, command: EnrolMember, *, key: str | None = None) -> Outcome[MemberView]:
        """Carry out an enrolment."""
        return members.enrol_member(
            self.table, self.keyring, self.book, command, key=key, draw=self.draw, now=self.clock(),
            language=Language.EN,
        )  # fmt: skip

    def edit(self, member_id: str, version: int, **fields: Any) -> MemberView:
        """Edit a member."""
        command = EditMember.model_validate({"version": version, **fields}, strict=False)
        return members.edit_member(
            self.table, self.keyring, self.book, MemberId(member_id), command, now=self.clock(), language=Language.EN
        )

    def suspend(self, member_id: str, reason: str = "lost card") -> Outcome[MemberView]:
        """Suspend a member."""
        command = SuspendMember(reason=reason)
        return members.change_status(
            self.table, self.keyring, self.book, MemberId(member_id), command, now=self.clock(), language=Language.EN
        )

    def reinstate(self, member_id: str, reason: str = "card found") -> Outcome[MemberView]:
        """Reinstate a member."""
        command = ReinstateMember(reason=reason)
        return members.change_status(
            self.table, self.keyring, self.book, MemberId(member_id), command, now=self.clock(), language=Language.EN
        )

    def close(self, member_id: str, *, forfeit: bool = False, **fields: Any) -> Outcome[MemberView]:
        """Close a membership."""
        command = CloseMember(reason="moved away", forfeit_points=forfeit, **fields)
        return cards.close_owner(
            self.table, self.keyring, self.book, MemberId(member_id), command, now=self.clock(), language=Language.EN
        )

    def member(self, member_id: str) -> MemberView:
        """A member."""
        return members.find_member(
            self.table, self.keyring, self.book, MemberId(member_id), now=self.clock(), language=Language.EN
        )

    def look_up(self, **identifier: str) -> tuple[MemberView, ...]:
        """Whoever has an identifier."""
        from chalicelib.members.models import LookUp

        asked = LookUp.model_validate(identifier, strict=False)
        return members.look_up(self.table, self.keyring, self.book, asked, now=self.clock(), language=Language.EN)

    def buy(self, command: RecordPurchase) -> Outcome[PurchaseView]:
        """Record a purchase."""
        return recording.record_purchase(
            self.table, self.keyring, self.book, command, now=self.clock(), language=Language.EN
        )

    def give_back(self, purchase_id: str, *, key: str, **fields: Any) -> Outcome[ReturnView]:
        """Return part of a purchase that is there."""
        outcome = self.send_back(purchase_id, key=key, **fields)
        assert isinstance(outcome.value, ReturnView), outcome
        return outcome

    def send_back(
        self, purchase_id: str, *, key: str, within: frozenset[ShopId] | None = None, **fields: Any
    ) -> Outcome[ReturnView] | Outcome[WaitingReturn]:
        """Return part of a purchase that is there or will come."""
        command = ReturnPurchase.model_validate(fields, strict=False)
        return returning.return_purchase(
            self.table, self.book, PurchaseId(purchase_id), key, command,
            now=self.clock(), language=Language.EN, within=within,
        )  # fmt: skip

    def restate(self, purchase_id: str, **fields: Any) -> Outcome[PurchaseView]:
        """Say how an order is now."""
        command = RestatePurchase.model_validate(fields, strict=False)
        return restating.restate_purchase(
            self.table, self.book, PurchaseId(purchase_id), command, now=self.clock(), language=Language.EN
        )

    def deliver(self, purchase_id: str, **fields: Any) -> Outcome[DeliveryView]:
        """Tell that a purchase was delivered."""
        command = DeliverPurchase.model_validate(fields, strict=False)
        return delivering.deliver_purchase(
            self.table, self.book, PurchaseId(purchase_id), command, now=self.clock(), language=Language.EN
        )

    def purchase(self, purchase_id: str) -> PurchaseView:
        """A purchase."""
        return reading.find_purchase(self.table, self.book, PurchaseId(purchase_id), language=Language.EN)

    def returns(self, purchase_id: str) -> tuple[ReturnView | WaitingReturn | RefusedReturn, ...]:
        """The returns of a purchase."""
        return reading.list_returns(
            self.table, self.book, PurchaseId(purchase_id), now=self.clock(), language=Language.EN
        )

    def merge(self, from_id: str, into_id: str, *, key: str, **fields: Any) -> Outcome[MergeView]:
        """Make one member of two."""
        command = MergeMembers.model_validate(
            {"from_member_id": from_id, "into_member_id": into_id, "reason": "same person", **fields}, strict=False
        )
        return merges.merge_members(
            self.table, self.keyring, self.book, key, command, now=self.clock(), language=Language.EN
        )

    def undo_merge(self, merge_id: str, **fields: Any) -> Outcome[UndoView]:
        """Make two members of one again."""
        command = UndoMerge.model_validate({"reason": "not the same person", **fields}, strict=False)
        return merges.undo_merge(
            self.table, self.keyring, self.book, MergeId(merge_id), command, now=self.clock(), language=Language.EN
        )

    def take_back(self, entry: Entry, **fields: Any) -> Outcome[EntryView]:
        """Take an entry back."""
        command = ReverseEntry(**{"reason_code": "mistake", **fields})
        entry_id = keys.entry_id(store.key_of(entry.key))
        return corrections.reverse_entry(
            self.table, self.book, entry_id, command, now=self.clock(), language=Language.EN
        )

    def spend(self, member_id: str, amount: int, *, key: str, **fields: Any) -> Outcome[EntryView]:
        """Spend points."""
        command = SpendPoints(points=amount, **fields)
        return points.spend_points(
            self.table, self.book, MemberId(member_id), key, command, now=self.clock(), language=Language.EN
        )

    def adjust(self, member_id: str, amount: int, *, key: str, **fields: Any) -> Outcome[EntryView]:
        """Correct a balance."""
        command = AdjustPoints(points=amount, **{"reason_code": "goodwill", **fields})
        return points.adjust_points(
            self.table, self.book, MemberId(member_id), key, command, now=self.clock(), language=Language.EN
        )

    def open_card(self, member_id: str, *, key: str, **fields: Any) -> Outcome[CardView]:
        """Open a card: one that holds money, unless the fields say otherwise."""
        command = OpenCard.model_validate({"kind": "stored_value", **fields}, strict=False)
        return cards.open_card(self.table, self.book, MemberId(member_id), key, command, now=self.clock())

    def on_card(self, card_id: str, command: CardCommand, *, key: str) -> Outcome[CardEntryView]:
        """Carry out a command that writes an entry of a card."""
        return CARD_VERBS[type(command)](
            self.table, self.book, CardId(card_id), key, command, now=self.clock(), language=Language.EN
        )

    def card_status(self, card_id: str, command: SuspendCard | ReinstateCard | CloseCard) -> Outcome[CardView]:
        """Suspend, reinstate or close a card."""
        if isinstance(command, CloseCard):
            return cards.close_card(self.table, self.book, CardId(card_id), command, now=self.clock())
        return cards.change_status(self.table, self.book, CardId(card_id), command, now=self.clock())

    def card(self, card_id: str) -> CardView:
        """A card and what it holds."""
        return cards.find_card(self.table, self.book, CardId(card_id), now=self.clock())

    def expire(self, member_id: str) -> int | None:
        """Book what has expired: points, or None."""
        return points.bring_up_to_date(self.table, self.book, MemberId(member_id), Due.EXPIRY, now=self.clock())

    def hold(self, member_id: str, amount: int, *, key: str, **fields: Any) -> Outcome[HoldView]:
        """Reserve points."""
        command = HoldPoints(points=amount, **fields)
        return holds.hold_points(self.table, self.book, MemberId(member_id), key, command, now=self.clock())

    def capture(self, hold_id: str, amount: int | None = None, **fields: Any) -> Outcome[HoldView]:
        """Spend points that are held."""
        command = CaptureHold(points=amount, **fields)
        return holds.capture_hold(self.table, self.book, HoldId(hold_id), command, now=self.clock())

    def release(self, hold_id: str, **fields: Any) -> Outcome[HoldView]:
        """Give points free that are held."""
        return holds.release_hold(self.table, self.book, HoldId(hold_id), ReleaseHold(**fields), now=self.clock())

    def held(self, hold_id: str) -> HoldView:
        """A hold."""
        return holds.find_hold(self.table, HoldId(hold_id), now=self.clock())

    def offer(self, member_id: str, to: str, amount: int, *, key: str, **fields: Any) -> Outcome[TransferView]:
        """Offer points to another member."""
        command = OfferTransfer(to=MemberRef(member_id=MemberId(to)), points=amount, **fields)
        return self.offered(member_id, command, key=key)

    def offered(self, member_id: str, command: OfferTransfer, *, key: str) -> Outcome[TransferView]:
        """Carry out an offer of points."""
        return transfers.offer_transfer(
            self.table, self.keyring, self.book, MemberId(member_id), key, command, now=self.clock()
        )

    def accept(self, transfer_id: str, **fields: Any) -> Outcome[TransferView]:
        """Take points that were offered."""
        command = AcceptTransfer(**fields)
        return transfers.accept_transfer(self.table, self.book, TransferId(transfer_id), command, now=self.clock())

    def cancel(self, transfer_id: str, **fields: Any) -> Outcome[TransferView]:
        """Take an offer of points back."""
        command = CancelTransfer(**fields)
        return transfers.end_transfer(self.table, self.book, TransferId(transfer_id), command, now=self.clock())

    def decline(self, transfer_id: str, **fields: Any) -> Outcome[TransferView]:
        """Decline an offer of points."""
        command = DeclineTransfer(**fields)
        return transfers.end_transfer(self.table, self.book, TransferId(transfer_id), command, now=self.clock())

    def transfer(self, transfer_id: str) -> TransferView:
        """A transfer."""
        return transfers.find_transfer(self.table, TransferId(transfer_id), now=self.clock())

    def publish(self, version: int, **terms: Any) -> Program:
        """Publish the program's next version."""
        command = PublishProgram.model_validate({**DEFAULT_TERMS, "version": version, **terms}, strict=False)
        return programs.publish_program(self.table, self.book, command, now=self.clock())

    def pool(self, owner_id: str, *, key: str = "pool", **fields: Any) -> Outcome[PoolView]:
        """Open a pool."""
        command = OpenPool(**{"owner_id": MemberId(owner_id), "name": "Home", **fields})
        return pools.open_pool(self.table, self.book, command, key, now=self.clock())

    def let_in(self, pool_id: str, member_id: str, **fields: Any) -> MembershipView:
        """Let a member into a pool."""
        command = SetMembership.model_validate(fields, strict=False)
        return pools.set_member(self.table, self.book, PoolId(pool_id), MemberId(member_id), command, now=self.clock())

    def contribute(self, pool_id: str, member_id: str, amount: int, *, key: str, **fields: Any) -> Outcome[EntryView]:
        """Move a member's points into a pool."""
        command = Contribute(member_id=MemberId(member_id), points=amount, **fields)
        return pools.contribute(
            self.table, self.book, PoolId(pool_id), key, command, now=self.clock(), language=Language.EN
        )

    def spend_from(self, pool_id: str, member_id: str, amount: int, *, key: str, **fields: Any) -> Outcome[EntryView]:
        """Spend points of a pool."""
        command = SpendFromPool(member_id=MemberId(member_id), points=amount, **fields)
        return pools.spend_from_pool(
            self.table, self.book, PoolId(pool_id), key, command, now=self.clock(), language=Language.EN
        )

    def close_pool(self, pool_id: str, **fields: Any) -> Outcome[PoolView]:
        """Close a pool."""
        return pools.close_pool(self.table, self.book, PoolId(pool_id), ClosePool(**fields), now=self.clock())

    def points(self, member_id: str) -> PointsView:
        """What a member has."""
        return points.find_points(self.table, self.book, AccountId(member_id), now=self.clock())

    def account(self, member_id: str) -> Account:
        """A member's account as it is stored."""
        account = store.find_account(self.table, MemberId(member_id), consistent=True)
        assert account is not None
        return account

    def entries(self, member_id: str) -> list[Entry]:
        """A member's entries."""
        return store.list_entries(self.table, MemberId(member_id))

    def sums(self, member_id: str) -> tuple[int, int, int]:
        """How many entries, their sum, and the balance that the account comes to."""
        entries = self.entries(member_id)
        return len(entries), sum(entry.points for entry in entries), self.account(member_id).lifetime.balance


# ---------------------------------------------------------------- looking at a whole table


def scan(dynamo: Dynamo, name: str) -> dict[Key, Item]:
    """Every item of a table. The product has no such function."""
    found: dict[Key, Item] = {}
    request: dict[str, Any] = {"TableName": name, "ConsistentRead": True}
    while True:
        answer = dynamo.call("Scan", request)
        for typed in answer["Items"]:
            item = {attribute: unmarshalled(value) for attribute, value in typed.items()}
            found[Key(item["pk"], item["sk"])] = item
        if "LastEvaluatedKey" not in answer:
            return found
        request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def faults_in(table: DynamoTable, items: Mapping[Key, Item]) -> list[str]:
    """What does not hold in the ledger: every account is proven from its entries."""
    found: list[str] = []
    for key, item in items.items():
        if key.sk != "ACCOUNT":
            continue
        account = store.account_from(item)
        entries = store.list_entries(table, account.member_id)
        versions = {entry.program_version for entry in entries}
        known = {version: program_store.find_version(table, version) for version in versions}
        fault = proof.verify(account, entries, {v: p for v, p in known.items() if p is not None})
        if fault is not None:
            found.append(f"{account.member_id} entry {fault.seq}: {fault.what}")
        if sum(entry.points for entry in entries) != account.lifetime.balance:
            found.append(f"{account.member_id}: entries do not add up to the balance")
    return found


# ---------------------------------------------------------------- at once


def at_once(dynamo: Dynamo, *calls: Callable[[], T]) -> list[T | Exception]:
    """Make calls in threads that start together; each call's answer, or what it raised."""
    barrier = threading.Barrier(len(calls))
    answers: list[T | Exception] = [RuntimeError("never answered")] * len(calls)

    def run(number: int, call: Callable[[], T]) -> None:
        barrier.wait()
        try:
            answers[number] = call()
        except Exception as raised:  # noqa: BLE001 - whatever it is, the test looks at it
            answers[number] = raised
        finally:
            dynamo.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# ---------------------------------------------------------------- faults


class Crashed(Exception):
    """The process died here."""


@dataclass
class Fault:
    """What befalls one call of an operation.

    Attributes:
        operation: whose next call it befalls; any when empty.
        before: raised instead of the call.
        after: raised after the call was carried out: its reply is lost.
        change: turns the answer into another.
    """

    operation: str = ""
    before: Exception | None = None
    after: Exception | None = None
    change: Callable[[dict[str, Any]], dict[str, Any]] | None = None


class FaultyDynamo(Dynamo):
    """A client that does to calls what it was told, and remembers them."""

    def __init__(self, real: Dynamo, *faults: Fault, always: Fault | None = None) -> None:
        self.real = real
        self.faults = deque(faults)
        self.always = always
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `Dynamo.call`."""
        self.calls.append((operation, payload))
        fault = self._fault(operation)
        if fault is None:
            return self.real.call(operation, payload)
        if fault.before is not None:
            raise fault.before
        answer = self.real.call(operation, payload)
        if fault.after is not None:
            raise fault.after
        return fault.change(answer) if fault.change else answer

    def _fault(self, operation: str) -> Fault | None:
        if self.faults and self.faults[0].operation in ("", operation):
            return self.faults.popleft()
        if self.always and self.always.operation in ("", operation):
            return self.always
        return None


def throttled() -> DynamoFault:
    """DynamoDB is throttling."""
    return DynamoFault("ThrottlingException", 400, {"message": "Rate exceeded"})


def conflict(*codes: str) -> DynamoFault:
    """A transaction was cancelled for reasons."""
    reasons = [{"Code": code} for code in codes]
    return DynamoFault("TransactionCanceledException", 400, {"CancellationReasons": reasons})


def broken() -> DynamoFault:
    """DynamoDB fails."""
    return DynamoFault("InternalServerError", 500, {"message": "oh dear"})


class CrashingTable:
    """A table port whose nth call never returns: the process died before it, or just after it."""

    def __init__(self, real: Table, at: int, *, after: bool) -> None:
        self._real = real
        self._at = at
        self._after = after
        self.count = 0

    def _call(self, call: Callable[[], T]) -> T:
        self.count += 1
        if self.count == self._at and not self._after:
            raise Crashed
        answer = call()
        if self.count == self._at:
            raise Crashed
        return answer

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        return self._call(lambda: self._real.get(key, consistent=consistent))

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        return self._call(lambda: self._real.get_many(keys, consistent=consistent))

    def query_partition(
        self,
        pk: str,
        *,
        first: str,
        last: str,
        consistent: bool = False,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> tuple[Item, ...]:
        """See `Table.query_partition`."""
        return self._call(
            lambda: self._real.query_partition(
                pk, first=first, last=last, consistent=consistent, newest_first=newest_first, limit=limit
            )
        )

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        return self._call(
            lambda: self._real.query_timeline(partition, after=after, limit=limit, newest_first=newest_first)
        )

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._call(lambda: self._real.query_due(partition, after=after, limit=limit))

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        self._call(lambda: self._real.commit(writes, keyed=keyed))


class StaleTable:
    """A table port whose eventually consistent reads answer what was there when it was made."""

    def __init__(self, real: Table, old: Mapping[Key, Item]) -> None:
        self._real = real
        self._old = dict(old)

    def get(self, key: Key, *, consistent: bool = False) -> Item | None:
        """See `Table.get`."""
        return self._real.get(key, consistent=True) if consistent else self._old.get(key)

    def get_many(self, keys: Sequence[Key], *, consistent: bool = False) -> dict[Key, Item]:
        """See `Table.get_many`."""
        if consistent:
            return self._real.get_many(keys, consistent=True)
        return {key: self._old[key] for key in keys if key in self._old}

    def query_partition(
        self,
        pk: str,
        *,
        first: str,
        last: str,
        consistent: bool = False,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> tuple[Item, ...]:
        """See `Table.query_partition`."""
        if consistent:
            return self._real.query_partition(pk, first=first, last=last, consistent=True)
        found = [item for key, item in self._old.items() if key.pk == pk and first <= key.sk <= last]
        return tuple(sorted(found, key=lambda item: str(item["sk"])))

    def query_timeline(self, partition: str, *, after: str | None, limit: int, newest_first: bool = True) -> Rows:
        """See `Table.query_timeline`."""
        found = [item for item in self._old.values() if item.get("tl") == partition]
        found.sort(key=lambda item: str(item["at"]), reverse=newest_first)
        if after is not None:
            found = [item for item in found if (item["at"] < after if newest_first else item["at"] > after)]
        shown = found[:limit]
        return Rows(tuple(shown), shown[-1]["at"] if len(found) > limit else None)

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self._real.query_due(partition, after=after, limit=limit)

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        self._real.commit(writes, keyed=keyed)
