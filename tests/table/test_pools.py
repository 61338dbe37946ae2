"""Pools: who may do what, points that move in with their last days, and every command once."""

from contextlib import suppress
from datetime import date

import pytest

from chalicelib.cards import service as cards
from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import (
    EntryDiffers,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    PointsInsufficient,
    PoolClosed,
)
from chalicelib.points.models import Lot, Reason
from chalicelib.pools import service
from chalicelib.pools.errors import (
    ContributionLimitReached,
    NotInPool,
    OwnerNeeded,
    PoolDiffers,
    PoolLimitReached,
    PoolUnknown,
    RoleForbids,
)
from chalicelib.pools.models import PoolId, Role
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, faults_in, scan
from tests.table.test_costs import metered

NO_POOL = "pol_" + "a" * 16


def with_points(desk: Desk, amount: int, **fields: object) -> str:
    """A member who has so many points."""
    member = desk.enrol()
    desk.adjust(member.member_id, amount, key=f"gift-{member.member_id}", **fields)
    return member.member_id


def a_pool(desk: Desk, points: int = 100) -> tuple[str, str]:
    """A pool with so many points, and its owner."""
    owner = with_points(desk, points)
    pool = desk.pool(owner).value.pool_id
    desk.contribute(pool, owner, points, key="c0")
    return pool, owner


def test_points_come_into_a_pool_with_their_last_days_and_are_spent_by_whoever_may(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    owner = with_points(desk, 30, expires_on=date(2026, 5, 31))
    desk.adjust(owner, 100, key="later")
    friend = desk.enrol().member_id
    pool = desk.pool(owner).value.pool_id
    desk.let_in(pool, friend)

    given = desk.contribute(pool, owner, 50, key="c1").value
    spent = desk.spend_from(pool, friend, 10, key="s1", reference="gift").value

    assert (given.reason, given.points, given.balance_after) == (Reason.TRANSFER, -50, 80)
    assert given.why[0].text == "50 points given to the pool"
    assert (spent.reason, spent.points, spent.balance_after, spent.actor) == (Reason.SPEND, -10, 40, friend)
    assert desk.points(pool).lots == (
        Lot(expires_on=date(2026, 5, 31), points=20),
        Lot(expires_on=date(2027, 3, 31), points=20),
    )
    assert desk.points(owner).lots == (Lot(expires_on=date(2027, 3, 31), points=80),)
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_a_pool_is_opened_once_for_its_key(desk: Desk) -> None:
    owner, other = desk.enrol().member_id, desk.enrol().member_id
    first = desk.pool(owner)
    assert desk.pool(owner).value == first.value
    assert desk.pool(owner).replayed
    with pytest.raises(PoolDiffers):
        desk.pool(other)


def test_a_contribution_and_a_spend_again_get_their_first_answers_also_when_nothing_is_left(desk: Desk) -> None:
    pool, owner = a_pool(desk)
    first = desk.spend_from(pool, owner, 100, key="s")

    again = desk.spend_from(pool, owner, 100, key="s")
    given_again = desk.contribute(pool, owner, 100, key="c0")

    assert (again.value, again.replayed, given_again.replayed) == (first.value, True, True)
    assert (desk.points(pool).available, desk.points(owner).available) == (0, 0)
    with pytest.raises(EntryDiffers):
        desk.spend_from(pool, owner, 99, key="s")
    with pytest.raises(EntryDiffers):
        desk.contribute(pool, owner, 99, key="c0")


def test_two_who_spend_the_last_points_at_once_get_them_once(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    pool, owner = a_pool(desk)
    answers = at_once(
        dynamo,
        *(lambda i=i: desk.spend_from(pool, owner, 60, key=f"s{i}") for i in range(4)),
    )
    assert sum(isinstance(answer, PointsInsufficient) for answer in answers) == 3
    assert desk.points(pool).available == 40
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_a_monthly_limit_holds_for_spends_at_once_and_begins_anew_with_the_month(desk: Desk, dynamo: Dynamo) -> None:
    pool, owner = a_pool(desk)
    friend = desk.enrol().member_id
    desk.let_in(pool, friend, monthly_limit=25)

    answers = at_once(
        dynamo,
        *(lambda i=i: desk.spend_from(pool, friend, 10, key=f"s{i}") for i in range(4)),
    )

    assert sum(isinstance(answer, PoolLimitReached) for answer in answers) == 2
    desk.clock.forward(days=31)
    assert desk.spend_from(pool, friend, 25, key="next").value.balance_after == 55
    assert desk.spend_from(pool, owner, 55, key="owner").value.balance_after == 0, "the owner has no limit"


def test_what_may_be_given_away_in_a_month_holds_for_contributions_and_transfers_at_once(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    limits = {"enabled": True, "max_points": 60, "max_points_per_month": 100}
    desk.publish(1, transfers=limits)
    desk.clock.forward(seconds=11)
    member, other = desk.enrol().member_id, desk.enrol().member_id
    desk.adjust(member, 500, key="gift")
    pool = desk.pool(member, key="p").value.pool_id
    answers = at_once(
        dynamo,
        *(lambda n=n: desk.contribute(pool, member, 60, key=f"c{n}") for n in range(2)),
        lambda: desk.offer(member, other, 60, key="t"),
    )
    assert len([each for each in answers if isinstance(each, Outcome)]) == 1, answers
    won = next(n for n, each in enumerate(answers) if isinstance(each, Outcome))
    if won < 2:
        assert desk.contribute(pool, member, 60, key=f"c{won}").replayed
    with pytest.raises(ContributionLimitReached):
        desk.contribute(pool, member, 41, key="more")
    desk.contribute(pool, member, 40, key="rest")
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_who_may_not_is_refused_and_nothing_changes(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    pool, owner = a_pool(desk)
    giver, stranger = with_points(desk, 10), desk.enrol().member_id
    desk.let_in(pool, giver, role="contributor")
    before = scan(dynamo, table.name)

    with pytest.raises(RoleForbids):
        desk.spend_from(pool, giver, 1, key="a")
    for call in (desk.spend_from, desk.contribute):
        with pytest.raises(NotInPool):
            call(pool, stranger, 1, key="b")
        with pytest.raises(PoolUnknown):
            call(NO_POOL, owner, 1, key="c")
    with pytest.raises(MemberUnknown):
        desk.contribute(pool, "mem_" + "a" * 16, 1, key="d")
    with pytest.raises(PointsInsufficient):
        desk.contribute(pool, giver, 11, key="e")
    with pytest.raises(OwnerNeeded):
        desk.let_in(pool, owner, role="spender")
    with pytest.raises(OwnerNeeded):
        service.end_member(table, desk.book, PoolId(pool), MemberId(owner), now=desk.clock())
    desk.contribute(pool, giver, 5, key="f", dry_run=True)

    assert scan(dynamo, table.name) == before


def test_suspended_members_and_those_who_left_spend_nothing(desk: Desk) -> None:
    pool, _ = a_pool(desk)
    friend, other = desk.enrol().member_id, desk.enrol().member_id
    desk.let_in(pool, friend)
    desk.let_in(pool, other)
    desk.suspend(friend)
    service.end_member(desk.table, desk.book, PoolId(pool), MemberId(other), now=desk.clock())

    with pytest.raises(MemberSuspended):
        desk.spend_from(pool, friend, 1, key="a")
    with pytest.raises(NotInPool):
        desk.spend_from(pool, other, 1, key="b")
    assert service.list_pools(desk.table, desk.book, MemberId(other), now=desk.clock()) == ()


def test_a_pool_is_handed_over_and_has_one_owner_then(desk: Desk) -> None:
    pool, owner = a_pool(desk)
    heir = desk.enrol().member_id
    desk.let_in(pool, heir)
    desk.let_in(pool, heir, role="owner")

    part = service.list_members(desk.table, desk.book, PoolId(pool), after=None, limit=100, now=desk.clock())

    assert {each.member_id: each.role for each in part.items} == {heir: Role.OWNER, owner: Role.SPENDER}
    assert service.find_pool(desk.table, desk.book, PoolId(pool), now=desk.clock()).owner_id == heir


def test_members_of_a_pool_are_listed_page_by_page(desk: Desk) -> None:
    pool, owner = a_pool(desk)
    members = {desk.enrol().member_id for _ in range(6)}
    for member in members:
        desk.let_in(pool, member)
    found: list[str] = []
    after = None
    while True:
        part = service.list_members(desk.table, desk.book, PoolId(pool), after=after, limit=2, now=desk.clock())
        found += [each.member_id for each in part.items]
        after = part.next_position
        if after is None:
            break
    assert found == sorted({owner, *members})


def test_what_is_left_of_a_closed_pool_goes_to_its_owner_with_its_last_days(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    pool, owner = a_pool(desk)
    desk.spend_from(pool, owner, 30, key="s")

    closed = desk.close_pool(pool)

    assert (closed.value.status, closed.value.points.available) == ("closed", 0)
    assert desk.close_pool(pool).replayed
    assert desk.points(owner).lots == (Lot(expires_on=date(2027, 3, 31), points=70),)
    with pytest.raises(PoolClosed):
        desk.spend_from(pool, owner, 1, key="late")
    with pytest.raises(PoolClosed):
        desk.contribute(pool, owner, 1, key="late")
    assert faults_in(table, scan(dynamo, table.name)) == []
    desk.close(owner, forfeit=True)
    with pytest.raises(MemberClosed):
        desk.pool(owner, key="other")


def test_an_entry_of_a_closed_pool_is_not_taken_back_and_one_that_was_gets_its_first_answer(desk: Desk) -> None:
    pool, owner = a_pool(desk)
    for key in ("one", "two"):
        desk.spend_from(pool, owner, 10, key=key)
    one, two = desk.entries(pool)[-2:]
    back = desk.take_back(one)
    desk.close_pool(pool)
    before = desk.entries(pool)

    for fields in ({}, {"dry_run": True}):
        with pytest.raises(PoolClosed) as refused:
            desk.take_back(two, **fields)
        assert (refused.value.code, refused.value.facts) == ("pool_closed", {"pool_id": pool})
    assert desk.take_back(one) == Outcome(back.value, replayed=True)
    assert desk.entries(pool) == before


def test_a_crash_at_any_call_of_a_contribution_or_a_spend_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    pool, owner = a_pool(desk, 1_000)
    desk.adjust(owner, 1_000, key="more")
    friend = desk.enrol().member_id
    desk.let_in(pool, friend, monthly_limit=100_000)
    run = 0
    for name in ("contribute", "spend_from"):
        for after in (False, True):
            for at in range(1, 20):
                run += 1
                crashing = CrashingTable(table, at, after=after)
                dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
                who = owner if name == "contribute" else friend
                total = desk.points(owner).available + desk.points(pool).available
                with suppress(Crashed):
                    getattr(dying, name)(pool, who, 3, key=f"k{run}")
                moved = desk.points(owner).available + desk.points(pool).available
                assert moved in (total, total - 3)
                getattr(desk, name)(pool, who, 3, key=f"k{run}")
                rest = desk.points(owner).available + desk.points(pool).available
                assert rest == (total if name == "contribute" else total - 3)
                if crashing.count < at:
                    break
    assert run >= 14, "nothing crashed"
    assert faults_in(table, scan(dynamo, table.name)) == []


def test_what_pools_cost(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    pool, owner = a_pool(desk, 100)
    desk.adjust(owner, 100, key="more")
    friend = desk.enrol().member_id
    desk.let_in(pool, friend, monthly_limit=1_000)
    other, meter = metered(desk, dynamo, table)

    other.spend_from(pool, owner, 5, key="s")
    assert meter.read() == (4, 2.5, 5.0), "account, part, member and the write"
    other.spend_from(pool, friend, 5, key="f")
    assert meter.read() == (4, 2.5, 7.0), "and the month's sum"
    other.contribute(pool, owner, 5, key="c")
    assert meter.read() == (4, 2.0, 10.0), "an entry and an account on either side"


def test_who_was_merged_goes_on_in_pools_and_with_cards_under_either_id(desk: Desk) -> None:
    pool, _ = a_pool(desk)
    friend, double = desk.enrol().member_id, desk.enrol().member_id
    desk.let_in(pool, double, monthly_limit=50)
    card = desk.open_card(double, key="k").value.card_id
    own = desk.open_card(friend, key="k2").value.card_id
    desk.merge(double, friend, key="m")

    assert desk.spend_from(pool, double, 20, key="old").value.balance_after == 80
    assert desk.spend_from(pool, friend, 20, key="new").value.balance_after == 60
    with pytest.raises(PoolLimitReached):
        desk.spend_from(pool, friend, 20, key="more")
    for member in (friend, double):
        pools = service.list_pools(desk.table, desk.book, MemberId(member), now=desk.clock())
        assert [each.pool_id for each in pools] == [pool]
        listed = cards.list_cards(desk.table, desk.book, MemberId(member), after=None, limit=1, now=desk.clock())
        rest = cards.list_cards(
            desk.table, desk.book, MemberId(member), after=listed.next_position, limit=1, now=desk.clock()
        )
        assert {each.card_id for each in (*listed.items, *rest.items)} == {card, own}


def test_a_pool_that_is_closed_by_many_at_once_is_closed_once(desk: Desk, dynamo: Dynamo) -> None:
    pool, owner = a_pool(desk)
    answers = at_once(dynamo, *(lambda: desk.close_pool(pool) for _ in range(6)))
    assert [each for each in answers if isinstance(each, Exception)] == []
    assert desk.points(owner).available == 100


def test_what_is_left_does_not_go_into_a_closed_membership(desk: Desk) -> None:
    pool, owner = a_pool(desk)
    heir = desk.enrol().member_id
    desk.let_in(pool, heir)
    desk.close(owner)
    with pytest.raises(MemberClosed):
        desk.close_pool(pool)
    desk.let_in(pool, heir, role="owner")
    desk.close_pool(pool)
    assert desk.points(heir).available == 100


# ---------------------------------------------------------------- spends that are taken back


def spent_by(desk: Desk, pool: str, member: str) -> int:
    """What the month's limit of a member counts."""
    listed = service.list_members(desk.table, desk.book, PoolId(pool), after=None, limit=100, now=desk.clock())
    return next(each.spent_this_month for each in listed.items if each.member_id == member)


def with_a_limit(desk: Desk) -> tuple[str, str]:
    """A pool and a member who may spend 25 of it a month, and has spent 20."""
    pool, _ = a_pool(desk)
    friend = desk.enrol().member_id
    desk.let_in(pool, friend, monthly_limit=25)
    desk.spend_from(pool, friend, 20, key="s1")
    return pool, friend


def test_a_spend_that_is_taken_back_leaves_its_months_limit_free_and_put_back_counts_again(desk: Desk) -> None:
    pool, friend = with_a_limit(desk)
    spend = desk.entries(pool)[-1]
    first = desk.take_back(spend)
    assert (desk.points(pool).available, spent_by(desk, pool, friend)) == (100, 0)
    assert desk.take_back(spend) == Outcome(first.value, replayed=True)
    assert spent_by(desk, pool, friend) == 0
    desk.take_back(desk.entries(pool)[-1])
    assert (desk.points(pool).available, spent_by(desk, pool, friend)) == (80, 20)
    with pytest.raises(PoolLimitReached):
        desk.spend_from(pool, friend, 6, key="s2")
    desk.take_back(desk.entries(pool)[-1])
    desk.spend_from(pool, friend, 25, key="s3")


def test_a_spend_of_another_month_or_without_a_limit_frees_nothing_of_this_months(desk: Desk) -> None:
    pool, friend = with_a_limit(desk)
    earlier = desk.entries(pool)[-1]
    desk.let_in(pool, friend)
    desk.spend_from(pool, friend, 5, key="s2")
    unlimited = desk.entries(pool)[-1]
    desk.let_in(pool, friend, monthly_limit=25)
    desk.take_back(unlimited)
    assert spent_by(desk, pool, friend) == 20
    desk.clock.at("2026-04-02")
    desk.spend_from(pool, friend, 10, key="s3")
    desk.take_back(earlier)
    assert spent_by(desk, pool, friend) == 10


def test_a_spend_taken_back_after_its_member_has_left_needs_no_limit(desk: Desk) -> None:
    pool, friend = with_a_limit(desk)
    service.end_member(desk.table, desk.book, PoolId(pool), MemberId(friend), now=desk.clock())
    desk.take_back(desk.entries(pool)[-1])
    assert desk.points(pool).available == 100


def test_spends_and_what_takes_one_back_at_once_leave_the_limit_as_it_is_spent(desk: Desk, dynamo: Dynamo) -> None:
    pool, friend = with_a_limit(desk)
    spend = desk.entries(pool)[-1]
    at_once(
        dynamo,
        *(lambda n=n: desk.spend_from(pool, friend, 5, key=f"t{n}") for n in range(4)),
        *(lambda: desk.take_back(spend) for _ in range(2)),
    )
    assert spent_by(desk, pool, friend) == -sum(each.points for each in desk.entries(pool)[1:])


def test_a_pool_is_shown_with_who_answers_for_its_owner_and_as_it_was_opened(desk: Desk) -> None:
    desk.clock.now = desk.clock.now.replace(microsecond=123_456)
    owner, other = desk.enrol().member_id, desk.enrol().member_id
    made = desk.pool(owner)
    assert desk.pool(owner) == Outcome(made.value, replayed=True)
    desk.clock.forward(minutes=1)
    desk.merge(owner, other, key="m")
    assert service.find_pool(desk.table, desk.book, made.value.pool_id, now=desk.clock()).owner_id == other
