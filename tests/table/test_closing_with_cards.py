"""A membership is not closed over money or visits of its member's cards, whatever is paid in at the same time."""

from collections.abc import Callable, Sequence
from itertools import count

import pytest

from chalicelib.cards.errors import CardClosed, CardsHoldValue
from chalicelib.cards.models import RefundCard, SpendCard, UseCard
from chalicelib.kernel.errors import WriteContended
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import MemberClosed, MemberUnknown
from chalicelib.points.models import AccountStatus
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Write
from tests.table.stand import Crashed, CrashingTable, Desk, StaleTable, at_once, scan
from tests.table.test_cards import VISITS, a_top_up
from tests.table.test_costs import metered

_numbers = count()


def a_card(desk: Desk, member: str, amount: int = 0) -> str:
    """A card of a member's, with some money on it."""
    number = next(_numbers)
    card = desk.open_card(member, key=f"k{number}").value
    if amount:
        desk.on_card(card.card_id, a_top_up(amount, 0), key="t")
    return card.card_id


def status_of(desk: Desk, card_id: str) -> AccountStatus:
    """Whether a card takes commands."""
    return desk.card(card_id).status


def test_a_membership_whose_cards_hold_something_is_not_closed_until_that_is_refunded(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    money, empty = a_card(desk, member, 50_00), a_card(desk, member)
    visits = desk.open_card(member, key="v", **VISITS).value.card_id
    before = scan(dynamo, table.name)
    for dry_run in (False, True):
        with pytest.raises(CardsHoldValue) as refused:
            desk.close(member, dry_run=dry_run)
    assert {each["card_id"]: (each["principal_minor"], each["uses"]) for each in refused.value.facts["cards"]} == {
        money: (50_00, 0), visits: (0, 10),
    }  # fmt: skip
    assert f"{money} (5000 minor units)" in refused.value.detail
    assert f"{visits} (10 visits)" in refused.value.detail
    assert scan(dynamo, table.name) == before
    desk.on_card(money, RefundCard(), key="r1")
    desk.on_card(visits, RefundCard(), key="r2")

    closed = desk.close(member)

    assert closed.value.status is AccountStatus.CLOSED
    assert [status_of(desk, each) for each in (money, visits, empty)] == [AccountStatus.CLOSED] * 3
    with pytest.raises(CardClosed):
        desk.on_card(empty, a_top_up(), key="late")
    with pytest.raises(MemberClosed):
        desk.open_card(member, key="new")


def test_a_bonus_that_is_left_is_taken_as_when_the_card_is_closed(desk: Desk) -> None:
    member = desk.enrol().member_id
    card = a_card(desk, member)
    desk.on_card(card, a_top_up(10_00, 5_00), key="t")
    desk.on_card(card, SpendCard(amount_minor=15_00), key="s")
    other = desk.open_card(member, key="v", **VISITS).value.card_id
    desk.on_card(other, UseCard(count=10), key="u")
    assert desk.close(member).value.status is AccountStatus.CLOSED
    assert status_of(desk, card) is status_of(desk, other) is AccountStatus.CLOSED


def test_closing_again_is_answered_the_same_and_nothing_is_looked_for(desk: Desk) -> None:
    member = desk.enrol().member_id
    a_card(desk, member)
    first = desk.close(member)
    assert desk.close(member) == Outcome(first.value, replayed=True)
    with pytest.raises(MemberUnknown):
        desk.close("mem_aaaaaaaaaaaaaaaa")


def test_a_top_up_at_the_same_time_is_seen_or_refused(desk: Desk, dynamo: Dynamo) -> None:
    seen = set()
    for _ in range(12):
        member = desk.enrol().member_id
        card = a_card(desk, member)
        paid, closed = at_once(
            dynamo, lambda: desk.on_card(card, a_top_up(), key="t"), lambda: desk.close(member)  # noqa: B023
        )  # fmt: skip
        outcomes = (isinstance(paid, Outcome), isinstance(closed, Outcome))
        assert outcomes in ((True, False), (False, True)), (paid, closed)
        assert isinstance(paid, Outcome | CardClosed)
        assert isinstance(closed, Outcome | CardsHoldValue)
        seen.add(outcomes)
    assert seen


class Meanwhile(CrashingTable):
    """A table port on which something happens just before the first transaction."""

    def __init__(self, real: DynamoTable, what: Callable[[], object]) -> None:
        super().__init__(real, 0, after=False)
        self._what: Callable[[], object] | None = what

    def commit(self, writes: Sequence[Write], *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        what, self._what = self._what, None
        if what is not None:
            what()
        super().commit(writes, keyed=keyed)


@pytest.mark.parametrize("what", ["a top-up", "a card with visits", "a card with visits of who was merged"])
def test_what_comes_just_before_the_closing_is_seen(desk: Desk, table: DynamoTable, what: str) -> None:
    gone, member = desk.enrol().member_id, desk.enrol().member_id
    card = a_card(desk, member)
    owner = gone if "merged" in what else member
    opening = Meanwhile(table, lambda: desk.merge(gone, member, key="m") if owner == gone else None)
    if owner == gone:  # it is decided while its owner is a member of its own, and written when that was merged
        desk.over(opening).open_card(gone, key="v", **VISITS)

    def happens() -> object:
        if what == "a top-up":
            return desk.on_card(card, a_top_up(), key="t")
        return desk.open_card(owner, key="v", **VISITS)

    with pytest.raises(CardsHoldValue):
        desk.over(Meanwhile(table, happens)).close(member)
    assert desk.member(member).status is AccountStatus.ACTIVE


def test_a_closing_just_before_a_top_up_or_an_opening_is_seen(desk: Desk, table: DynamoTable) -> None:
    member = desk.enrol().member_id
    card = a_card(desk, member)
    other = desk.over(Meanwhile(table, lambda: desk.close(member)))
    with pytest.raises(CardClosed):
        other.on_card(card, a_top_up(), key="t")
    member = desk.enrol().member_id
    other = desk.over(Meanwhile(table, lambda: desk.close(member)))
    with pytest.raises(MemberClosed):
        other.open_card(member, key="v", **VISITS)


def test_a_card_that_the_index_does_not_know_of_yet_is_waited_for(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    old = scan(dynamo, table.name)
    desk.open_card(member, key="v", **VISITS)
    with pytest.raises(WriteContended):
        desk.over(StaleTable(table, old)).close(member)
    assert desk.member(member).status is AccountStatus.ACTIVE


def test_more_cards_than_fit_one_transaction_are_closed_before(desk: Desk) -> None:
    member = desk.enrol().member_id
    many = [a_card(desk, member) for _ in range(13)]
    assert not desk.close(member, dry_run=True).stored
    assert desk.close(member).value.status is AccountStatus.CLOSED
    assert {status_of(desk, each) for each in many} == {AccountStatus.CLOSED}


def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(desk: Desk, table: DynamoTable) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 16):
            run += 1
            member = desk.enrol().member_id
            card = a_card(desk, member)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            try:
                dying.close(member)
            except Crashed:
                closed = desk.member(member).status is AccountStatus.CLOSED
                assert (status_of(desk, card) is AccountStatus.CLOSED) is closed
                desk.close(member)
            assert desk.member(member).status is status_of(desk, card) is AccountStatus.CLOSED
            if crashing.count < at:
                break
    assert run >= 10, "nothing crashed"


def test_what_a_closing_costs(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    plain, owner = desk.enrol().member_id, desk.enrol().member_id
    a_card(desk, owner)
    other, meter = metered(desk, dynamo, table)
    other.close(plain)
    first = meter.read()
    other.close(owner)
    assert (first, meter.read()) == ((4, 2.5, 13.0), (5, 5.5, 18.0))
