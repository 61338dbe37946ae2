"""Transfers over a real table: both accounts or neither, once each, within the program's limits, whatever races."""

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.members.models import MemberRef
from chalicelib.points import service as points
from chalicelib.points.errors import (
    EntryDiffers,
    HoldsOpen,
    MemberClosed,
    MemberSuspended,
    MemberUnknown,
    PointsInsufficient,
)
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from chalicelib.transfers import service as transfers
from chalicelib.transfers.errors import (
    RecipientUnknown,
    TransferLimitReached,
    TransferOver,
    TransfersOff,
    TransferTooLarge,
    TransferTooSmall,
    TransferToSelf,
    TransferUncovered,
)
from chalicelib.transfers.models import OfferTransfer, TransferStatus, TransferView
from tests.table.stand import Crashed, CrashingTable, Desk, at_once, scan
from tests.table.test_costs import metered

TERMS = {
    "enabled": True, "min_points": 10, "max_points": 500, "max_points_per_month": 1_000, "fee_percent": 5,
    "accept_days": 7,
}  # fmt: skip

_keys = iter(range(1_000_000))


@pytest.fixture(autouse=True)
def transfers_are_allowed(desk: Desk) -> None:
    """The program lets members give points to each other."""
    desk.publish(1, transfers=TERMS)
    desk.clock.forward(seconds=11)
    desk.book.current(desk.clock())


def rich(desk: Desk, amount: int = 1_000) -> str:
    """A member with points."""
    member = desk.enrol().member_id
    desk.adjust(member, amount, key=f"gift-{member}", expires_on=date(2026, 12, 31))
    return member


def offered(desk: Desk, amount: int = 100) -> TransferView:
    """An offer of somebody who has 1,000 points to somebody who has none."""
    return desk.offer(rich(desk), desk.enrol().member_id, amount, key=f"t-{next(_keys)}").value


def has(desk: Desk, *members: str) -> list[tuple[int, int]]:
    """Points available and held of each."""
    return [(desk.points(member).available, desk.points(member).held) for member in members]


# ---------------------------------------------------------------- what transfers do


def test_points_on_offer_are_held_with_the_fee_until_the_receiver_takes_them(desk: Desk) -> None:
    giver, receiver = rich(desk), desk.enrol().member_id
    made = desk.offer(giver, receiver, 101, key="k", message="Happy birthday").value
    assert (made.status, made.points, made.fee_points, made.message) == (
        TransferStatus.PENDING, 101, 6, "Happy birthday",
    )  # fmt: skip
    assert (made.from_member_id, made.to_member_id, (made.expires_at - made.offered_at).days) == (giver, receiver, 7)
    assert has(desk, giver, receiver) == [(893, 107), (0, 0)]
    assert desk.transfer(made.transfer_id) == made

    desk.clock.forward(days=1)
    accepted = desk.accept(made.transfer_id).value

    assert (accepted.status, accepted.ended_at) == (TransferStatus.ACCEPTED, desk.clock())
    assert has(desk, giver, receiver) == [(893, 0), (101, 0)]
    assert (desk.sums(giver), desk.sums(receiver)) == ((3, 893, 893), (1, 101, 101))
    assert desk.account(receiver).qualifying == {}
    assert desk.transfer(made.transfer_id) == accepted


def test_the_receiver_gets_the_lots_that_were_taken_with_their_last_days(desk: Desk) -> None:
    giver, receiver = desk.enrol().member_id, desk.enrol().member_id
    desk.adjust(giver, 60, key="soon", expires_on=date(2026, 4, 30))
    desk.adjust(giver, 100, key="late", expires_on=date(2026, 9, 30))
    made = desk.offer(giver, receiver, 80, key="k").value
    desk.accept(made.transfer_id)
    assert {lot.expires_on: lot.points for lot in desk.points(receiver).lots} == {
        date(2026, 4, 30): 60, date(2026, 9, 30): 20,
    }  # fmt: skip
    assert {lot.expires_on: lot.points for lot in desk.points(giver).lots} == {date(2026, 9, 30): 76}
    desk.clock.at("2026-05-01")
    assert desk.points(receiver).available == 20


@pytest.mark.parametrize("verb", ["cancel", "decline"])
def test_an_offer_that_comes_to_nothing_gives_the_points_back(desk: Desk, verb: str) -> None:
    made = offered(desk)
    ended = getattr(desk, verb)(made.transfer_id)
    assert ended.value.status == {"cancel": "cancelled", "decline": "declined"}[verb]
    assert has(desk, made.from_member_id) == [(1_000, 0)]
    desk.clock.forward(days=30)
    again, other = (desk.cancel, desk.decline) if verb == "cancel" else (desk.decline, desk.cancel)
    assert again(made.transfer_id) == Outcome(ended.value, replayed=True)
    with pytest.raises(TransferOver, match=f"was {ended.value.status}"):
        other(made.transfer_id)
    with pytest.raises(TransferOver) as refused:
        desk.accept(made.transfer_id)
    assert refused.value.facts["status"] == ended.value.status


def test_an_offer_is_over_at_its_instant_and_then_nobody_can_accept_it(desk: Desk) -> None:
    made, other = offered(desk), offered(desk)
    desk.clock.now = made.expires_at
    assert desk.transfer(made.transfer_id).status is TransferStatus.TIMED_OUT
    assert has(desk, made.from_member_id, made.to_member_id) == [(1_000, 0), (0, 0)]
    with pytest.raises(TransferOver) as refused:
        desk.accept(made.transfer_id)
    assert refused.value.facts["status"] == "timed_out"
    desk.spend(made.from_member_id, 1_000, key="s")
    with pytest.raises(TransferOver):
        desk.accept(made.transfer_id)
    assert desk.cancel(made.transfer_id).value.status is TransferStatus.TIMED_OUT
    assert desk.cancel(other.transfer_id).value.status is TransferStatus.TIMED_OUT
    assert desk.sums(other.from_member_id)[0] == 3, "and that is booked"


def test_what_expired_or_was_taken_back_before_the_acceptance_is_not_transferred(desk: Desk) -> None:
    giver, receiver = desk.enrol().member_id, desk.enrol().member_id
    desk.adjust(giver, 60, key="soon", expires_on=date(2026, 3, 31))
    desk.adjust(giver, 60, key="late", expires_on=date(2026, 9, 30))
    desk.clock.at("2026-03-30")
    made = desk.offer(giver, receiver, 100, key="k").value
    desk.clock.at("2026-04-01")
    with pytest.raises(TransferUncovered) as refused:
        desk.accept(made.transfer_id)
    assert refused.value.facts == {"needed": 105, "available": 60}
    assert desk.transfer(made.transfer_id).status is TransferStatus.PENDING
    assert desk.sums(receiver) == (0, 0, 0)
    desk.adjust(giver, 45, key="more")
    desk.accept(made.transfer_id)
    assert has(desk, giver, receiver) == [(0, 0), (100, 0)]


def test_what_is_held_for_others_stays_held_when_a_transfer_is_accepted(desk: Desk) -> None:
    made = offered(desk)
    other = desk.hold(made.from_member_id, 895, key="h").value
    desk.accept(made.transfer_id)
    assert has(desk, made.from_member_id) == [(0, 895)]
    desk.capture(other.hold_id)
    assert desk.points(made.from_member_id).owed == 0


def test_the_programs_limits(desk: Desk) -> None:
    giver, receiver = rich(desk, 5_000), desk.enrol().member_id
    with pytest.raises(TransferTooSmall):
        desk.offer(giver, receiver, 9, key="a")
    with pytest.raises(TransferTooLarge):
        desk.offer(giver, receiver, 501, key="a")
    with pytest.raises(TransferToSelf):
        desk.offer(giver, giver, 100, key="a")
    first, second = (desk.offer(giver, receiver, 450, key=key).value for key in "ab")
    desk.accept(first.transfer_id)
    with pytest.raises(TransferLimitReached) as refused:
        desk.offer(giver, receiver, 60, key="c")
    assert refused.value.facts == {"asked": 63, "left": 1_000 - 2 * 473, "limit": 1_000}
    desk.cancel(second.transfer_id)
    desk.offer(giver, receiver, 450, key="c")
    desk.clock.at("2026-04-01")
    third = desk.offer(giver, receiver, 500, key="d").value
    desk.accept(third.transfer_id)
    assert list(desk.account(giver).sent.values()) == [525], "months that are over are dropped"


def test_an_offer_counts_in_the_month_in_which_it_was_made(desk: Desk) -> None:
    giver, receiver = rich(desk, 5_000), desk.enrol().member_id
    desk.clock.at("2026-03-31")
    march = [desk.offer(giver, receiver, 450, key=f"m{n}").value for n in range(2)]
    desk.clock.at("2026-04-01")
    april = [desk.offer(giver, receiver, 450, key=f"a{n}").value for n in range(2)]
    for each in (*march, *april):
        desk.accept(each.transfer_id)
    with pytest.raises(TransferLimitReached):
        desk.offer(giver, receiver, 60, key="x")


def test_who_cannot_give_or_get(desk: Desk) -> None:
    giver, receiver = rich(desk), desk.enrol().member_id
    made = desk.offer(giver, receiver, 100, key="k").value
    with pytest.raises(MemberUnknown):
        desk.offer(giver, "mem_" + "a" * 16, 100, key="x")
    with pytest.raises(RecipientUnknown):
        desk.offered(giver, OfferTransfer(to=MemberRef(card_no="nobody"), points=100), key="x")
    with pytest.raises(PointsInsufficient):
        desk.offer(receiver, giver, 100, key="x")
    with pytest.raises(HoldsOpen):
        desk.close(giver, forfeit=True)
    for member in (giver, receiver):
        desk.suspend(member)
        with pytest.raises(MemberSuspended):
            desk.accept(made.transfer_id)
        with pytest.raises(MemberSuspended):
            desk.offer(giver, receiver, 100, key="y")
        desk.reinstate(member)
    desk.close(receiver)
    with pytest.raises(MemberClosed):
        desk.accept(made.transfer_id)
    desk.publish(2)
    desk.clock.forward(seconds=11)
    with pytest.raises(TransfersOff):
        desk.offer(giver, rich(desk), 100, key="z")
    assert has(desk, giver) == [(895, 105)]
    desk.cancel(made.transfer_id)


def test_the_statements_say_in_plain_words_what_happened(desk: Desk) -> None:
    made, other = offered(desk), offered(desk)
    desk.accept(made.transfer_id)
    desk.decline(other.transfer_id)

    def told(member: str, language: Language) -> list[str]:
        page = points.list_statement(desk.table, desk.book, MemberId(member), after=None, limit=9, language=language)
        return [why.text for line in page.items[::-1] for why in line.why]

    assert told(made.from_member_id, Language.EN) == [
        "Offered 100 points to another member", "Gave 100 points to another member", "Transfer fee: 5 points",
    ]  # fmt: skip
    assert told(made.to_member_id, Language.ZH) == ["收到其他会员转赠 100 分"]
    assert told(other.from_member_id, Language.ZH) == ["转赠 100 分，待对方接收", "对方未接收转赠，105 分可再使用"]


def test_transfers_are_listed_for_both_members_newest_first(desk: Desk) -> None:
    one, two = rich(desk), rich(desk)
    made = []
    for n in range(5):
        desk.clock.forward(minutes=1)
        giver, receiver = (one, two) if n % 2 else (two, one)
        made.append(desk.offer(giver, receiver, 10 + n, key=f"n{n}").value)
    made[1] = desk.accept(made[1].transfer_id).value
    made[2] = desk.cancel(made[2].transfer_id).value

    def pages(member: str) -> list[TransferView]:
        found: list[TransferView] = []
        after = None
        while True:
            part = transfers.list_transfers(desk.table, MemberId(member), after=after, limit=2, now=desk.clock())
            found += part.items
            after = part.next_position
            if after is None:
                return found

    assert pages(one) == pages(two) == made[::-1]
    with pytest.raises(MemberUnknown):
        transfers.list_transfers(desk.table, MemberId("mem_" + "a" * 16), after=None, limit=2, now=desk.clock())


# ---------------------------------------------------------------- once


def test_the_same_offer_again_is_answered_the_same_however_the_receiver_is_named(desk: Desk) -> None:
    giver, receiver = rich(desk, 105), desk.enrol(card_no="C7", mobile="+8613800138000").member_id
    first = desk.offer(giver, receiver, 100, key="k", message="hello")
    by_card = OfferTransfer(to=MemberRef(card_no="C7"), points=100, message="hello")
    assert desk.offered(giver, by_card, key="k") == Outcome(first.value, replayed=True)
    desk.accept(first.value.transfer_id)
    assert desk.offer(giver, receiver, 100, key="k", message="hello") == Outcome(first.value, replayed=True)
    desk.edit(receiver, 1, card_no=None)
    assert desk.offered(giver, by_card, key="k") == Outcome(first.value, replayed=True)
    with pytest.raises(EntryDiffers):
        desk.offer(giver, receiver, 100, key="k")
    with pytest.raises(EntryDiffers):
        desk.offer(giver, rich(desk), 100, key="k", message="hello")
    with pytest.raises(EntryDiffers):
        desk.offered(giver, by_card.model_copy(update={"points": 99}), key="k")


def test_an_acceptance_again_is_answered_the_same(desk: Desk) -> None:
    made = offered(desk)
    first = desk.accept(made.transfer_id)
    desk.spend(made.to_member_id, 100, key="all")
    desk.clock.forward(days=100)
    assert desk.accept(made.transfer_id) == Outcome(first.value, replayed=True)
    for verb in (desk.cancel, desk.decline):
        with pytest.raises(TransferOver):
            verb(made.transfer_id)


def test_a_dry_run_says_what_would_be_and_writes_nothing(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    made = offered(desk)
    before = scan(dynamo, table.name)
    assert desk.offer(made.from_member_id, made.to_member_id, 50, key="d", dry_run=True).value.fee_points == 3
    assert desk.accept(made.transfer_id, dry_run=True).value.status is TransferStatus.ACCEPTED
    assert desk.cancel(made.transfer_id, dry_run=True).stored is False
    assert scan(dynamo, table.name) == before


# ---------------------------------------------------------------- at once


def test_an_acceptance_and_a_cancellation_at_once_are_one_end(desk: Desk, dynamo: Dynamo) -> None:
    for _ in range(4):
        made = offered(desk)
        calls = [partial(verb, made.transfer_id) for verb in (desk.accept, desk.cancel)] * 2
        answers = at_once(dynamo, *calls)
        assert all(isinstance(answer, Outcome | TransferOver) for answer in answers), answers
        done = {answer.value.status for answer in answers if isinstance(answer, Outcome)}
        assert len(done) == 1
        accepted = done == {TransferStatus.ACCEPTED}
        assert has(desk, made.from_member_id, made.to_member_id) == (
            [(895, 0), (100, 0)] if accepted else [(1_000, 0), (0, 0)]
        )


def test_transfers_to_and_fro_at_once_lose_no_point(desk: Desk, dynamo: Dynamo) -> None:
    one, two = rich(desk), rich(desk)
    there = [desk.offer(one, two, 100, key=f"there{n}").value for n in range(3)]
    back = [desk.offer(two, one, 100, key=f"back{n}").value for n in range(3)]
    answers = at_once(
        dynamo,
        *(partial(desk.accept, each.transfer_id) for each in (*there, *back)),
        *(partial(desk.accept, each.transfer_id) for each in (*there, *back)),
    )
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    assert has(desk, one, two) == [(985, 0), (985, 0)]


def test_offers_at_once_never_pass_the_months_limit(desk: Desk, dynamo: Dynamo) -> None:
    giver, receiver = rich(desk, 5_000), desk.enrol().member_id
    answers = at_once(dynamo, *(partial(desk.offer, giver, receiver, 300, key=f"n{n}") for n in range(6)))
    assert sum(isinstance(answer, Outcome) for answer in answers) == 3
    assert all(isinstance(answer, Outcome | TransferLimitReached) for answer in answers), answers


# ---------------------------------------------------------------- crashes


CRASHES: dict[str, tuple[Callable[[Desk, TransferView], Any], list[tuple[int, int]], int]] = {
    "offer": (
        lambda desk, made: desk.offer(made.from_member_id, made.to_member_id, 100, key=f"again-{made.transfer_id}"),
        [(790, 210), (0, 0)],
        3,
    ),
    "accept": (lambda desk, made: desk.accept(made.transfer_id), [(895, 0), (100, 0)], 2),
    "cancel": (lambda desk, made: desk.cancel(made.transfer_id), [(1_000, 0), (0, 0)], 1),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, name: str
) -> None:
    act, expected, items = CRASHES[name]
    crashes = 0
    for after in (False, True):
        for at in range(1, 12):
            made = offered(desk)
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before = len(scan(dynamo, table.name))
            try:
                act(dying, made)
            except Crashed:
                crashes += 1
                assert len(scan(dynamo, table.name)) - before in (0, items)
                act(desk, made)
            assert len(scan(dynamo, table.name)) - before == items
            assert has(desk, made.from_member_id, made.to_member_id) == expected
            if crashing.count < at:
                break
    assert crashes >= 6


# ---------------------------------------------------------------- costs


def test_what_transfers_cost(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    made, other = offered(desk), offered(desk)
    desk.adjust(made.to_member_id, 5, key="a")
    giver, receiver = rich(desk), made.to_member_id
    meter_desk, meter = metered(desk, dynamo, table)
    meter_desk.offer(giver, receiver, 10, key="c")
    offer_cost = meter.read()
    meter_desk.accept(made.transfer_id)
    accept_cost = meter.read()
    meter_desk.cancel(other.transfer_id)
    cancel_cost = meter.read()
    meter_desk.transfer(made.transfer_id)
    read_cost = meter.read()
    transfers.list_transfers(meter_desk.table, MemberId(receiver), after=None, limit=25, now=desk.clock())
    list_cost = meter.read()
    assert (offer_cost, accept_cost, cancel_cost, read_cost, list_cost) == (
        (3, 1.0, 13.0), (4, 1.5, 14.0), (3, 1.0, 7.0), (2, 1.5, 0), (2, 2.5, 0),
    )  # fmt: skip
