"""What one person may do alone, and a second person's decisions: at the table, with faults and at once."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from chalicelib.approvals import store as approvals_store
from chalicelib.approvals.errors import ApprovalDiffers, ApprovalNeeded, ApprovalOutgrown
from chalicelib.approvals.models import ApprovalKind, ApprovalStatus, ApprovalView
from chalicelib.approvals.service import Clearance, alone_or_asked, asking
from chalicelib.cards import service as cards
from chalicelib.cards.models import RefundCard, TopUpCard
from chalicelib.corrections import service as corrections
from chalicelib.corrections.models import ReverseEntry
from chalicelib.decisions import service
from chalicelib.decisions.errors import ApprovalOver, ApprovalOwn, ApprovalUnknown
from chalicelib.decisions.models import Approve, Reject
from chalicelib.identity.errors import PermissionMissing
from chalicelib.identity.models import Caller, Kind
from chalicelib.identity.permissions import ROLES, Permission
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import ApprovalId, CardId, EntryId, MemberId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.models import CloseMember
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.errors import MemberClosed, PointsInsufficient
from chalicelib.points.models import AdjustPoints, EntryView
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.table import DynamoTable, Table
from tests.makers import Clock
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, faults_in, scan

MAIN, OTHER = ShopId("shp_main"), ShopId("shp_other")

Answer = Outcome[Any]


def staff(name: str, role: str = "shop_manager", *shop_ids: ShopId) -> Caller:
    """Somebody who works in the main shop, or in others."""
    return Caller(Kind.STAFF, f"stf_{name}", (role,), ROLES[role], frozenset(shop_ids or (MAIN,)))


ANN, BOB, CY = staff("ann"), staff("bob"), staff("cy")


class Counter:
    """Adjusts, takes back and pays back over a table port, with a limit of 100; and decides on what waits."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.limit: int | None = 100
        self.given_limit: int | None = None

    def over(self, table: Table) -> "Counter":
        """The same counter over another table port."""
        other = Counter(self.desk.over(table))
        other.given_limit = self.given_limit
        return other

    def _sent(self, kind: ApprovalKind, about: str, key: str, command: Any, by: Caller,
              do: Callable[[Clearance], Answer]) -> Answer:  # fmt: skip
        needs = Permission.CARDS_REFUND if kind is ApprovalKind.CARD_REFUND else Permission.POINTS_ADJUST
        asked = asking(kind, about, key, command, by, needs)
        return alone_or_asked(
            self.desk.table, self.desk.words, asked, limit=self.limit, dry_run=command.dry_run, do=do,
            now=self.desk.clock(), again=kind in (ApprovalKind.REVERSAL, ApprovalKind.CLOSURE),
            given_limit=self.given_limit,
        )  # fmt: skip

    def adjust(self, member_id: str, amount: int, *, key: str, by: Caller = ANN, **fields: Any) -> Answer:
        """Correct a balance."""
        command = AdjustPoints(points=amount, reason_code="goodwill", **fields)

        def do(clearance: Clearance) -> Answer:
            return points.adjust_points(
                self.desk.table, self.desk.book, MemberId(member_id), key, command,
                now=self.desk.clock(), language=Language.EN, clearance=clearance,
            )  # fmt: skip

        return self._sent(ApprovalKind.ADJUSTMENT, member_id, key, command, by, do)

    def take_back(self, entry_id: EntryId, *, by: Caller = ANN) -> Answer:
        """Take an entry back."""
        command = ReverseEntry(reason_code="mistake")

        def do(clearance: Clearance) -> Answer:
            return corrections.reverse_entry(
                self.desk.table, self.desk.book, entry_id, command,
                now=self.desk.clock(), language=Language.EN, clearance=clearance,
            )  # fmt: skip

        return self._sent(ApprovalKind.REVERSAL, entry_id, entry_id, command, by, do)

    def pay_back(self, card_id: CardId, amount: int | None, *, key: str, by: Caller = ANN) -> Answer:
        """Pay back from a card."""
        command = RefundCard(amount_minor=amount)

        def do(clearance: Clearance) -> Answer:
            return cards.refund_card(
                self.desk.table, self.desk.book, card_id, key, command,
                now=self.desk.clock(), language=Language.EN, clearance=clearance,
            )  # fmt: skip

        return self._sent(ApprovalKind.CARD_REFUND, card_id, key, command, by, do)

    def close(self, member_id: str, *, by: Caller = ANN) -> Answer:
        """Close a membership, and forgive what it owes."""
        command = CloseMember(reason="moved away", forfeit_points=True)

        def do(clearance: Clearance) -> Answer:
            return cards.close_owner(
                self.desk.table, self.desk.keyring, self.desk.book, MemberId(member_id), command,
                now=self.desk.clock(), language=Language.EN, clearance=clearance,
            )  # fmt: skip

        return self._sent(ApprovalKind.CLOSURE, member_id, member_id, command, by, do)

    def approve(self, approval: ApprovalView, *, by: Caller = BOB) -> Outcome[ApprovalView]:
        """Approve what waits."""
        return service.approve(
            self.desk.table, self.desk.words, self.desk.keyring, self.desk.book, by, approval.approval_id,
            Approve(reason="seen"),
            now=self.desk.clock(), language=Language.EN,
        )  # fmt: skip

    def reject(self, approval: ApprovalView, *, by: Caller = BOB) -> Outcome[ApprovalView]:
        """Reject what waits."""
        command = Reject(reason="too much")
        return service.reject(
            self.desk.table, self.desk.words, by, approval.approval_id, command, now=self.desk.clock()
        )

    def see(self, approval: ApprovalView) -> ApprovalView:
        """What became of it."""
        return service.find_approval(self.desk.table, self.desk.words, approval.approval_id, now=self.desk.clock())

    def balance(self, member_id: str) -> int:
        """What a member has."""
        return self.desk.account(member_id).lifetime.balance


@pytest.fixture
def counter(table: DynamoTable, keyring: Keyring, book: ProgramBook, clock: Clock) -> Counter:
    """A counter over the test's table."""
    return Counter(Desk(table, keyring, book, clock))


def waiting(answer: Answer) -> ApprovalView:
    """The approval that a command waits for."""
    assert answer.waits
    assert isinstance(answer.value, ApprovalView), answer
    return answer.value


def refused(counter: Counter, dynamo: Dynamo, kind: type[Refusal], call: Callable[[], Any]) -> None:
    """See that something is refused and changes nothing."""
    assert isinstance(counter.desk.table, DynamoTable)
    before = scan(dynamo, counter.desk.table.name)
    with pytest.raises(kind):
        call()
    assert scan(dynamo, counter.desk.table.name) == before


# ---------------------------------------------------------------- alone


def test_what_one_person_does_to_one_member_within_a_day_is_counted_together(counter: Counter, clock: Clock) -> None:
    member, other = counter.desk.enrol().member_id, counter.desk.enrol().member_id
    assert not counter.adjust(member, 60, key="1").waits
    assert not counter.adjust(member, -40, key="2").waits
    first = waiting(counter.adjust(member, 1, key="3"))
    assert (first.status, first.amount, first.asked_by) == (ApprovalStatus.WAITING, 1, "stf_ann")
    assert not counter.adjust(other, 100, key="4").waits, "another member"
    assert not counter.adjust(member, 100, key="5", by=BOB).waits, "another person"
    clock.forward(hours=23, minutes=59)
    assert counter.adjust(member, 1, key="6").waits
    clock.forward(hours=1, minutes=1)
    assert not counter.adjust(member, 100, key="7").waits
    assert counter.balance(member) == 220
    assert counter.desk.sums(member)[1] == 220


def test_what_counts_for_tiers_has_the_same_limit(counter: Counter) -> None:
    member = counter.desk.enrol().member_id
    assert waiting(counter.adjust(member, 0, key="1", qualifying_points=-101)).amount == 101
    assert counter.adjust(member, 5, key="2", qualifying_points=101).waits
    assert not counter.adjust(member, 5, key="3", qualifying_points=100).waits


def test_who_was_merged_counts_with_whom_they_went_into(counter: Counter) -> None:
    one, two = counter.desk.enrol().member_id, counter.desk.enrol().member_id
    counter.adjust(one, 60, key="1")
    counter.desk.merge(one, two, key="m")
    assert counter.adjust(two, 50, key="2").waits
    assert counter.adjust(one, 50, key="3").waits
    assert not counter.adjust(one, 40, key="4").waits
    assert counter.adjust(two, 1, key="5").waits


def test_two_halves_sent_at_once_are_not_both_let_through(counter: Counter, dynamo: Dynamo) -> None:
    for round_ in range(5):
        member = counter.desk.enrol().member_id
        calls = [partial(counter.adjust, member, 60, key=f"{round_}-{n}") for n in range(3)]
        answers = at_once(dynamo, *calls)
        assert sorted(answer.waits for answer in answers if isinstance(answer, Outcome)) == [False, True, True]
        assert counter.balance(member) == 60


def test_what_one_person_gives_to_all_within_a_day_has_a_limit_too(counter: Counter) -> None:
    counter.given_limit = 150
    one, two, three, four = (counter.desk.enrol().member_id for _ in range(4))
    counter.adjust(one, 100, key="1")
    assert counter.adjust(one, 100, key="1").replayed, "the same again counts once"
    assert not counter.adjust(two, -90, key="2").waits, "what is taken is not given"
    assert waiting(counter.adjust(two, 51, key="3")).amount == 51
    assert not counter.adjust(three, 51, key="4", by=BOB).waits, "somebody else's are theirs"
    assert not counter.adjust(four, 50, key="5").waits
    counter.desk.adjust(three, 10, key="desk")
    spent = counter.desk.spend(three, 1, key="s").value.entry_id
    assert counter.take_back(spent).waits, "what is given back is given"
    counter.desk.clock.forward(hours=26)
    assert not counter.adjust(three, 100, key="6").waits


def test_gifts_to_several_sent_at_once_are_not_all_let_through(
    counter: Counter, table: DynamoTable, dynamo: Dynamo
) -> None:
    counter.given_limit = 100
    for round_ in range(3):
        members = [counter.desk.enrol().member_id for _ in range(3)]
        by = staff(f"round{round_}")
        answers = at_once(
            dynamo, *[partial(counter.adjust, each, 60, key=f"{round_}-{each}", by=by) for each in members]
        )
        assert sorted(answer.waits for answer in answers if isinstance(answer, Outcome)) == [False, True, True]
        assert sum(map(counter.balance, members)) == 60
    assert faults_in(table, scan(dynamo, table.name)) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_of_a_gift_counts_it_once_or_not_at_all(
    counter: Counter, table: DynamoTable, *, after: bool
) -> None:
    counter.given_limit = 100
    for step in range(1, 30):
        one, other, by = counter.desk.enrol().member_id, counter.desk.enrol().member_id, staff(f"step{step}")
        crashed = False
        try:
            counter.over(CrashingTable(table, step, after=after)).adjust(one, 60, key=f"{step}", by=by)
        except Crashed:
            crashed = True
        counter.adjust(one, 60, key=f"{step}", by=by)
        assert counter.balance(one) == 60
        assert counter.adjust(other, 41, key=f"{step}-more", by=by).waits
        assert not counter.adjust(other, 40, key=f"{step}-rest", by=by).waits
        if not crashed:
            break
    else:
        raise AssertionError("it never got through")


def test_without_a_limit_all_is_let_through_but_what_was_asked_before(counter: Counter) -> None:
    member = counter.desk.enrol().member_id
    first = waiting(counter.adjust(member, 500, key="1"))
    counter.limit = None
    assert not counter.adjust(member, 10**6, key="2").waits
    assert counter.adjust(member, 500, key="1") == Outcome(first, replayed=True, waits=True)


def test_a_dry_run_tells_that_it_would_wait_and_asks_nobody(counter: Counter, dynamo: Dynamo) -> None:
    member = counter.desk.enrol().member_id
    refused(counter, dynamo, ApprovalNeeded, lambda: counter.adjust(member, 101, key="1", dry_run=True))
    assert not counter.adjust(member, 100, key="1", dry_run=True).stored
    refused(counter, dynamo, PointsInsufficient, lambda: counter.desk.spend(member, 1, key="s"))


def test_what_would_be_refused_anyway_is_refused_and_not_asked(counter: Counter, dynamo: Dynamo) -> None:
    member = counter.desk.enrol().member_id
    counter.desk.close(member)
    refused(counter, dynamo, MemberClosed, lambda: counter.adjust(member, 101, key="1"))


# ---------------------------------------------------------------- a second person


def test_what_was_approved_is_carried_out_once_and_says_by_whom(counter: Counter, table: DynamoTable) -> None:
    member = counter.desk.enrol().member_id
    asked = waiting(counter.adjust(member, 500, key="big"))
    assert counter.balance(member) == 0
    assert counter.adjust(member, 500, key="big") == Outcome(asked, replayed=True, waits=True)
    done = counter.approve(asked)
    assert (done.value.status, done.value.decided_by, done.replayed) == (ApprovalStatus.APPROVED, "stf_bob", False)
    assert counter.balance(member) == 500
    assert counter.approve(asked) == Outcome(done.value, replayed=True)
    replay = counter.adjust(member, 500, key="big")
    assert isinstance(replay.value, EntryView)
    assert (replay.replayed, replay.value.entry_id, replay.waits) == (True, done.value.entry_id, False)
    found = corrections.find_entry(table, counter.desk.book, replay.value.entry_id, language=Language.EN)
    assert found.staff == ("stf_ann", "stf_bob")
    assert not counter.adjust(member, 100, key="small").waits, "what a second person approved is no part of the limit"
    assert counter.see(asked) == done.value


def test_a_key_that_asked_for_something_asks_for_nothing_else(counter: Counter, dynamo: Dynamo) -> None:
    member, other = counter.desk.enrol().member_id, counter.desk.enrol().member_id
    counter.adjust(member, 500, key="big")
    refused(counter, dynamo, ApprovalDiffers, lambda: counter.adjust(member, 501, key="big"))
    refused(counter, dynamo, ApprovalDiffers, lambda: counter.adjust(other, 500, key="big"))
    refused(counter, dynamo, ApprovalDiffers, lambda: counter.adjust(member, 5, key="big"))


def test_who_asked_cannot_decide_nor_who_may_not_do_it_themselves(counter: Counter, dynamo: Dynamo) -> None:
    member = counter.desk.enrol().member_id
    asked = waiting(counter.adjust(member, 500, key="big"))
    decides = {Permission.APPROVALS_DECIDE: ROLES["admin"][Permission.APPROVALS_DECIDE]}
    powerless = Caller(Kind.STAFF, "stf_di", ("approver",), decides, frozenset({MAIN}))
    for by, kind in ((ANN, ApprovalOwn), (powerless, PermissionMissing)):
        refused(counter, dynamo, kind, lambda by=by: counter.approve(asked, by=by))  # type: ignore[misc]
        refused(counter, dynamo, kind, lambda by=by: counter.reject(asked, by=by))  # type: ignore[misc]
    nothing = asked.model_copy(update={"approval_id": ApprovalId("apr_" + "a" * 24)})
    refused(counter, dynamo, ApprovalUnknown, lambda: counter.approve(nothing))


def test_what_was_rejected_or_has_lapsed_is_over(counter: Counter, dynamo: Dynamo, clock: Clock) -> None:
    member = counter.desk.enrol().member_id
    one, two = (waiting(counter.adjust(member, 500, key=key)) for key in ("one", "two"))
    rejected = counter.reject(one)
    assert (rejected.value.status, rejected.value.reason) == (ApprovalStatus.REJECTED, "too much")
    assert counter.reject(one).replayed
    assert counter.adjust(member, 500, key="one").value == rejected.value
    refused(counter, dynamo, ApprovalOver, lambda: counter.approve(one))
    refused(counter, dynamo, ApprovalOver, lambda: counter.reject(one, by=CY))
    clock.forward(hours=71, minutes=59)
    assert counter.see(two).status is ApprovalStatus.WAITING
    clock.forward(minutes=1)
    assert counter.see(two).status is ApprovalStatus.LAPSED
    refused(counter, dynamo, ApprovalOver, lambda: counter.approve(two))
    refused(counter, dynamo, ApprovalOver, lambda: counter.reject(two))
    assert counter.balance(member) == 0


def test_what_is_refused_by_then_waits_on(counter: Counter, dynamo: Dynamo) -> None:
    member = counter.desk.enrol().member_id
    counter.desk.publish(1, negative_balance="cap")
    counter.desk.clock.forward(seconds=11)
    counter.limit = None
    counter.adjust(member, 600, key="have")
    counter.limit = 100
    asked = waiting(counter.adjust(member, -500, key="take"))
    counter.desk.spend(member, 200, key="s")
    refused(counter, dynamo, PointsInsufficient, lambda: counter.approve(asked))
    assert counter.see(asked).status is ApprovalStatus.WAITING
    counter.adjust(member, 100, key="more")
    assert counter.approve(asked).value.status is ApprovalStatus.APPROVED
    assert counter.balance(member) == 0


def test_an_entry_taken_back_waits_too_and_can_be_asked_for_again(counter: Counter, clock: Clock) -> None:
    member = counter.desk.enrol().member_id
    counter.desk.adjust(member, 500, key="gift")
    (entry,) = counter.desk.entries(member)
    entry_id = keys.entry_id(points_store.key_of(entry.key))
    asked = waiting(counter.take_back(entry_id))
    assert (asked.kind, asked.amount, asked.about) == (ApprovalKind.REVERSAL, 500, entry_id)
    counter.reject(asked)
    again = waiting(counter.take_back(entry_id, by=BOB))
    assert (again.approval_id, again.status, again.asked_by) == (asked.approval_id, ApprovalStatus.WAITING, "stf_bob")
    clock.forward(hours=72)
    third = waiting(counter.take_back(entry_id))
    assert third.asked_by == "stf_ann"
    assert counter.approve(third).value.entry_id
    assert counter.balance(member) == 0
    assert isinstance(counter.take_back(entry_id).value, EntryView)


def test_paying_back_from_a_card_has_a_limit_of_its_own_and_never_comes_to_more_than_was_asked(
    counter: Counter, dynamo: Dynamo
) -> None:
    member = counter.desk.enrol().member_id
    card = counter.desk.open_card(member, key="c").value.card_id

    def top_up(key: str) -> None:
        body = {"amount_minor": 300, "means": [{"kind": "cash", "amount_minor": 300}]}
        counter.desk.on_card(card, TopUpCard.model_validate(body, strict=False), key=key)

    top_up("t1")
    assert not counter.pay_back(card, 60, key="1").waits
    asked = waiting(counter.pay_back(card, None, key="2"))
    assert asked.amount == 240
    top_up("t2")
    refused(counter, dynamo, ApprovalOutgrown, lambda: counter.approve(asked))
    part = waiting(counter.pay_back(card, 50, key="3"))
    assert counter.approve(part).value.status is ApprovalStatus.APPROVED
    assert counter.desk.sums(card)[1] == 490


# ---------------------------------------------------------------- at once, and crashes


def test_two_who_approve_at_once_carry_it_out_once(counter: Counter, dynamo: Dynamo) -> None:
    for round_ in range(5):
        member = counter.desk.enrol().member_id
        asked = waiting(counter.adjust(member, 500, key=f"{round_}"))
        answers = at_once(
            dynamo,
            lambda asked=asked: counter.approve(asked, by=BOB),  # type: ignore[misc]
            lambda asked=asked: counter.approve(asked, by=CY),  # type: ignore[misc]
        )
        assert sorted(isinstance(answer, ApprovalOver) for answer in answers) == [False, True], answers
        (won,) = (answer.value for answer in answers if isinstance(answer, Outcome))
        assert counter.see(asked) == won
        assert counter.balance(member) == 500


def test_one_who_approves_and_one_who_rejects_at_once_agree_on_what_happened(counter: Counter, dynamo: Dynamo) -> None:
    for round_ in range(5):
        member = counter.desk.enrol().member_id
        asked = waiting(counter.adjust(member, 500, key=f"{round_}"))
        answers = at_once(
            dynamo,
            lambda asked=asked: counter.approve(asked, by=BOB),  # type: ignore[misc]
            lambda asked=asked: counter.reject(asked, by=CY),  # type: ignore[misc]
        )
        assert sorted(isinstance(answer, ApprovalOver) for answer in answers) == [False, True], answers
        approved = counter.see(asked).status is ApprovalStatus.APPROVED
        assert counter.balance(member) == (500 if approved else 0)


def test_the_same_command_sent_at_once_asks_once(counter: Counter, dynamo: Dynamo) -> None:
    member = counter.desk.enrol().member_id
    answers = at_once(dynamo, *[lambda: counter.adjust(member, 500, key="big")] * 3)
    assert sorted(answer.replayed for answer in answers if isinstance(answer, Outcome)) == [False, True, True], answers
    found = service.list_approvals(
        counter.desk.table, counter.desk.words, ANN, None, after=None, limit=9, now=counter.desk.clock()
    )
    assert len(found.items) == 1


def _small_then_big_then_approved(counter: Counter, member: str, step: int) -> list[Callable[[Counter], Any]]:
    """What one person does alone, and asks for; and what a second one does then."""
    asked: list[ApprovalView] = []

    def ask(on: Counter) -> None:
        asked[:] = [waiting(on.adjust(member, 500, key=f"big{step}"))]

    return [
        lambda on: on.adjust(member, 90, key=f"small{step}"),
        ask,
        lambda on: on.approve(asked[0]),
    ]


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_leaves_all_or_nothing_and_the_same_again_completes_it(
    counter: Counter, table: DynamoTable, dynamo: Dynamo, *, after: bool
) -> None:
    for step in range(1, 30):
        member = counter.desk.enrol().member_id
        crashed = 0
        steps = _small_then_big_then_approved(counter, member, step)
        for do in steps:
            try:
                do(counter.over(CrashingTable(table, step, after=after)))
            except Crashed:
                crashed += 1
            do(counter)
        assert counter.balance(member) == 590
        assert counter.adjust(member, 11, key=f"more{step}").waits, "the small one is counted once"
        if not crashed:
            break
    else:
        raise AssertionError("it never got through")
    assert faults_in(table, scan(dynamo, table.name)) == []


# ---------------------------------------------------------------- debts that a closing forgives


def owing(counter: Counter, points: int) -> str:
    """Somebody who owes so many points."""
    member = str(counter.desk.enrol().member_id)
    counter.desk.adjust(member, -points, key=f"owes {member}")
    return member


def test_two_who_approve_a_closing_at_once_close_once(counter: Counter, table: DynamoTable, dynamo: Dynamo) -> None:
    for _ in range(5):
        member = owing(counter, 101)
        asked = waiting(counter.close(member))
        answers = at_once(
            dynamo,
            lambda asked=asked: counter.approve(asked, by=BOB),  # type: ignore[misc]
            lambda asked=asked: counter.approve(asked, by=CY),  # type: ignore[misc]
            lambda member=member: counter.close(member),  # type: ignore[misc]
        )
        assert sorted(isinstance(answer, ApprovalOver) for answer in answers) == [False, False, True], answers
        assert counter.see(asked).status is ApprovalStatus.APPROVED
        assert counter.balance(member) == 0
        assert counter.close(member).replayed
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_what_one_forgives_and_gives_to_a_member_is_counted_together(counter: Counter) -> None:
    member = owing(counter, 100)
    counter.adjust(member, 1, key="1")
    assert waiting(counter.close(owing(counter, 101))).amount == 101
    assert not counter.close(member).waits, "99 and 1"
    kind = owing(counter, 100)
    counter.adjust(kind, -1, key="2")
    assert counter.close(kind).waits
    rich = counter.desk.enrol().member_id
    counter.desk.adjust(rich, 10**6, key="rich")
    assert not counter.close(rich).waits, "points that are taken are given to nobody"


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_call_of_a_closing_that_two_forgive_leaves_all_or_nothing(
    counter: Counter, table: DynamoTable, dynamo: Dynamo, *, after: bool
) -> None:
    for step in range(1, 30):
        member, crashed = owing(counter, 500), 0

        def ask(at: Counter, member: str = member) -> Answer:
            return at.close(member)

        def settle(at: Counter, member: str = member) -> Answer:
            answer = at.close(member)
            return at.approve(answer.value) if isinstance(answer.value, ApprovalView) else answer

        for do in (ask, settle):
            try:
                do(counter.over(CrashingTable(table, step, after=after)))
            except Crashed:
                crashed += 1
            do(counter)
        assert counter.balance(member) == 0
        assert counter.close(member).replayed
        if not crashed:
            break
    else:
        raise AssertionError("it never got through")
    assert faults_in(table, scan(dynamo, table.name)) == []


# ---------------------------------------------------------------- whose it is


def test_a_shops_manager_sees_what_was_asked_in_their_shops_and_not_what_head_office_asked(counter: Counter) -> None:
    member = counter.desk.enrol().member_id
    people = {
        "ann": ANN, "both": staff("both", "shop_manager", MAIN, OTHER),
        "far": staff("far", "shop_manager", OTHER), "agent": staff("agent", "agent"),
    }  # fmt: skip
    ids = {waiting(counter.adjust(member, 500, key=name, by=by)).approval_id: name for name, by in people.items()}

    def seen(by: Caller, status: ApprovalStatus | None = None, limit: int = 9) -> set[str]:
        names: set[str] = set()
        position: str | None = None
        while True:
            part = service.list_approvals(
                counter.desk.table,
                counter.desk.words,
                by,
                status,
                after=position,
                limit=limit,
                now=counter.desk.clock(),
            )
            names |= {ids[each.approval_id] for each in part.items}
            position = part.next_position
            if position is None:
                return names

    for limit in (1, 2, 9):
        assert seen(BOB, limit=limit) == {"ann", "both"}
        assert seen(staff("x", "shop_manager", OTHER), limit=limit) == {"both", "far"}
        assert seen(staff("x", "admin"), limit=limit) == set(people)
    assert seen(staff("x", "admin"), ApprovalStatus.REJECTED) == set()
    for approval_id, name in ids.items():
        approval = approvals_store.find_approval(counter.desk.table, counter.desk.words, approval_id)
        assert approval is not None
        owner = service.owner_of(approval.shop_ids, BOB)
        assert (owner.shop_id in BOB.shop_ids) == (name in ("ann", "both"))
