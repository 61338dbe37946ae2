"""Cards over a real table: each command once, never more than there is, whatever races or dies."""

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from chalicelib.cards import service as cards
from chalicelib.cards import store as cards_store
from chalicelib.cards.errors import (
    CardBalanceInsufficient,
    CardClosed,
    CardDiffers,
    CardEmpty,
    CardEntryUnknown,
    CardKindWrong,
    CardNotEmpty,
    CardNumberTaken,
    CardRefundTooLarge,
    CardSuspended,
    CardUnknown,
    UsesInsufficient,
)
from chalicelib.cards.models import (
    CardBalance,
    CardLine,
    CardView,
    CloseCard,
    ExtendCard,
    Paid,
    RefundCard,
    RefundCardSpend,
    ReinstateCard,
    ReverseCardUse,
    SpendCard,
    SuspendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.kernel.ids import CardId, EntryId, MemberId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points.errors import EntryDiffers, MemberClosed, MemberSuspended, MemberUnknown
from chalicelib.points.models import AccountStatus, Due
from chalicelib.points.service import bring_up_to_date
from chalicelib.programs.errors import CurrencyFixed
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.table.stand import CardCommand, Crashed, CrashingTable, Desk, StaleTable, at_once, scan
from tests.table.test_costs import metered

VISITS: dict[str, Any] = {
    "kind": "count", "uses": 10, "price_minor": 100_00, "expires_on": "2026-12-31", "product": "yoga",
    "means": [{"kind": "wechat_pay", "amount_minor": 100_00, "reference": "wx-1"}],
}  # fmt: skip


def a_top_up(amount: int = 100_00, bonus: int = 20_00, **fields: Any) -> TopUpCard:
    """A top-up paid by one means."""
    means = (Paid(kind="wechat_pay", amount_minor=amount, reference="wx-1"),)
    return TopUpCard(**{"amount_minor": amount, "bonus_minor": bonus, "means": means, **fields})


def a_full_card(desk: Desk, key: str = "k", **fields: Any) -> str:
    """A card with 100.00 and a bonus of 20.00."""
    card = desk.open_card(desk.enrol().member_id, key=key).value
    desk.on_card(card.card_id, a_top_up(**fields), key="t1")
    return card.card_id


def a_count_card(desk: Desk, key: str = "k", **fields: Any) -> str:
    """A card of ten visits."""
    return desk.open_card(desk.enrol().member_id, key=key, **{**VISITS, **fields}).value.card_id


def held(desk: Desk, card_id: str) -> tuple[int, int]:
    """Principal and bonus."""
    balance = desk.card(card_id).balance
    assert balance is not None
    return balance.principal_minor, balance.bonus_minor


# ---------------------------------------------------------------- opening


def test_a_card_is_opened_for_a_member_and_listed_with_theirs(desk: Desk) -> None:
    member = desk.enrol().member_id
    first = desk.open_card(member, key="one", name="Gift", card_number="No-1").value
    desk.clock.forward(minutes=1)
    second = desk.open_card(member, key="two", **VISITS).value
    assert (first.balance, first.uses_left, first.status) == (CardBalance(principal_minor=0, bonus_minor=0), None,
                                                              AccountStatus.ACTIVE)  # fmt: skip
    assert (second.balance, second.uses_left, second.expires_on) == (None, 10, date(2026, 12, 31))
    assert desk.card(first.card_id) == first
    page = cards.list_cards(desk.table, desk.book, member, after=None, limit=1, now=desk.clock())
    rest = cards.list_cards(desk.table, desk.book, member, after=page.next_position, limit=9, now=desk.clock())
    assert (*page.items, *rest.items) == (second, first)
    assert cards.look_up_card(desk.table, desk.book, "No-1", now=desk.clock()) == (first,)
    assert cards.look_up_card(desk.table, desk.book, "No-2", now=desk.clock()) == ()


def test_an_opening_again_answers_the_card_as_it_was_and_other_content_is_refused(desk: Desk) -> None:
    member = desk.enrol().member_id
    first = desk.open_card(member, key="k", **VISITS)
    desk.on_card(first.value.card_id, UseCard(count=10), key="u")
    desk.clock.at("2027-03-01")
    assert desk.open_card(member, key="k", **VISITS) == Outcome(first.value, replayed=True)
    assert desk.open_card(member, key="k", **VISITS, dry_run=True) == Outcome(first.value, replayed=True)
    with pytest.raises(CardDiffers):
        desk.open_card(member, key="k")
    with pytest.raises(CardDiffers):
        desk.open_card(desk.enrol().member_id, key="k", **VISITS)


def test_a_number_is_one_cards_for_ever_and_a_dry_run_opens_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    desk.open_card(member, key="k", card_number="No-1")
    before = scan(dynamo, table.name)
    for dry_run in (True, False):
        with pytest.raises(CardNumberTaken):
            desk.open_card(desk.enrol().member_id if not before else member, key="k2", card_number="No-1",
                           dry_run=dry_run)  # fmt: skip
    tried = desk.open_card(member, key="k3", card_number="No-3", dry_run=True)
    assert (tried.stored, tried.value.card_number) == (False, "No-3")
    assert scan(dynamo, table.name) == before


def test_nobody_but_a_member_in_good_standing_gets_a_card(desk: Desk) -> None:
    with pytest.raises(MemberUnknown):
        desk.open_card("mem_aaaaaaaaaaaaaaaa", key="k")
    member = desk.enrol().member_id
    desk.suspend(member)
    with pytest.raises(MemberSuspended):
        desk.open_card(member, key="k")
    desk.close(member)
    with pytest.raises(MemberClosed):
        desk.open_card(member, key="k")
    with pytest.raises(CardUnknown):
        desk.card("crd_aaaaaaaaaaaaaaaa")


def test_the_same_opening_at_once_opens_one_card(desk: Desk, dynamo: Dynamo) -> None:
    member = desk.enrol().member_id
    answers = at_once(dynamo, *(lambda: desk.open_card(member, key="k", **VISITS) for _ in range(6)))
    made = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(made) == 6, answers
    assert (len({each.value.card_id for each in made}), sum(not each.replayed for each in made)) == (1, 1)


def test_the_first_card_fixes_the_programs_currency(desk: Desk) -> None:
    desk.open_card(desk.enrol().member_id, key="k")
    with pytest.raises(CurrencyFixed):
        desk.publish(1, currency="EUR")


def test_every_card_stands_in_the_directory(desk: Desk) -> None:
    card_id = a_full_card(desk)
    rows = desk.table.query_timeline(keys.directory(card_id), after=None, limit=100).items
    assert card_id in [keys.account_of(row["pk"]) for row in rows]


# ---------------------------------------------------------------- money: happy


def test_a_cards_money_comes_in_goes_out_and_its_statement_says_how(desk: Desk) -> None:
    card = a_full_card(desk, bonus_expires_on=date(2026, 6, 30))
    spent = desk.on_card(card, SpendCard(amount_minor=60_00, reference="pos/7"), key="s1").value
    back = desk.on_card(card, RefundCardSpend(spend_id=spent.entry_id, amount_minor=30_00), key="b1").value
    refund = desk.on_card(card, RefundCard(amount_minor=10_00), key="r1").value
    assert (spent.principal_minor, spent.bonus_minor, spent.balance_after, spent.reference) == (
        -50_00, -10_00, 60_00, "pos/7",
    )  # fmt: skip
    assert (back.principal_minor, back.bonus_minor, back.money_minor) == (25_00, 5_00, 0)
    assert (refund.principal_minor, refund.bonus_minor, refund.money_minor) == (-10_00, -2_00, -10_00)
    assert [(each.kind, each.amount_minor, each.reference) for each in refund.means] == [("wechat_pay", 10_00, "wx-1")]
    assert refund.text == "Refunded ¥10.00 by wechat_pay ¥10.00; bonus withdrawn: ¥2.00"
    page = cards.list_entries(desk.table, CardId(card), after=None, limit=3, language=Language.EN)
    rest = cards.list_entries(desk.table, CardId(card), after=page.next_position, limit=9, language=Language.EN)
    assert page.items == (refund, back, spent), "the index shows what the answers said"
    assert [line.type for line in rest.items] == [CardLine.TOP_UP, CardLine.OPENED]
    assert refund.means[0].top_up_id == rest.items[0].entry_id
    assert held(desk, card) == (65_00, 13_00)
    assert desk.sums(card) == (5, 78_00, 78_00)


def test_bonus_expires_by_the_job_or_without_it(desk: Desk) -> None:
    card = a_full_card(desk, bonus_expires_on=date(2026, 6, 30))
    assert desk.account(card).due_on == date(2026, 7, 1)
    desk.clock.at("2026-07-01")
    assert held(desk, card) == (100_00, 0)
    for due in (Due.NOTICE, Due.RELEASE, Due.REVIEW):
        assert bring_up_to_date(desk.table, desk.book, CardId(card), due, now=desk.clock()) is None
    assert bring_up_to_date(desk.table, desk.book, CardId(card), Due.EXPIRY, now=desk.clock()) == 20_00
    assert desk.sums(card) == (3, 100_00, 100_00)
    assert desk.account(card).due_on is None, "principal never expires"
    (line, *_) = cards.list_entries(desk.table, CardId(card), after=None, limit=9, language=Language.EN).items
    assert (line.type, line.bonus_minor, line.text) == (CardLine.EXPIRY, -20_00, "Bonus expired: ¥20.00")


def test_a_refund_names_a_top_up_of_this_card(desk: Desk) -> None:
    card, other = a_full_card(desk), a_full_card(desk, key="other")
    lines = cards.list_entries(desk.table, CardId(other), after=None, limit=9, language=Language.EN).items
    for entry_id in (lines[0].entry_id, lines[1].entry_id, "ent_aaaa", "ent_UFJPR1JBTQ", "ent_UiNNJTIzYSNQUk9GSUxF"):
        with pytest.raises(CardEntryUnknown):
            desk.on_card(card, RefundCard(top_up_id=EntryId(entry_id)), key="r")
        with pytest.raises(CardEntryUnknown):
            desk.on_card(card, RefundCardSpend(spend_id=EntryId(entry_id)), key="b")
    own = cards.list_entries(desk.table, CardId(card), after=None, limit=9, language=Language.EN).items[0]
    desk.on_card(card, a_top_up(50_00, 0), key="t2")
    assert desk.on_card(card, RefundCard(top_up_id=own.entry_id), key="r").value.money_minor == -100_00
    assert held(desk, card) == (50_00, 0)


def test_what_does_not_fit_is_refused_and_nothing_changes(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    card, visits = a_full_card(desk), a_count_card(desk, key="v")
    before = scan(dynamo, table.name)
    refused: list[tuple[type[Exception], str, CardCommand]] = [
        (CardBalanceInsufficient, card, SpendCard(amount_minor=120_01)),
        (CardKindWrong, card, UseCard()),
        (CardKindWrong, visits, SpendCard(amount_minor=1)),
        (CardKindWrong, visits, a_top_up()),
        (UsesInsufficient, visits, UseCard(count=11)),
        (CardRefundTooLarge, card, RefundCard(amount_minor=100_01)),
        (UsesInsufficient, visits, RefundCard(uses=11)),
        (CardUnknown, "crd_aaaaaaaaaaaaaaaa", UseCard()),
    ]
    for kind, card_id, command in refused:
        with pytest.raises(kind):
            desk.on_card(card_id, command, key="no")
    for command in (SpendCard(amount_minor=1, dry_run=True), RefundCard(dry_run=True)):
        assert desk.on_card(card, command, key="dry").stored is False
    assert scan(dynamo, table.name) == before


def test_a_lost_card_is_suspended_refunded_and_closed(desk: Desk) -> None:
    card = a_full_card(desk)
    assert desk.card_status(card, SuspendCard(reason="lost")).value.status is AccountStatus.SUSPENDED
    assert desk.card_status(card, SuspendCard(reason="lost")).replayed
    with pytest.raises(CardSuspended):
        desk.on_card(card, SpendCard(amount_minor=1), key="s")
    with pytest.raises(CardNotEmpty):
        desk.card_status(card, CloseCard(reason="lost"))
    desk.on_card(card, RefundCard(), key="r")
    with pytest.raises(CardEmpty):
        desk.on_card(card, RefundCard(), key="r2")
    assert desk.card_status(card, CloseCard(reason="lost")).value.status is AccountStatus.CLOSED
    assert desk.card_status(card, CloseCard(reason="lost")).replayed
    with pytest.raises(CardClosed):
        desk.card_status(card, ReinstateCard(reason="found"))
    with pytest.raises(CardClosed):
        desk.on_card(card, a_top_up(), key="t")


def test_a_suspension_ends(desk: Desk) -> None:
    card = a_full_card(desk)
    desk.card_status(card, SuspendCard(reason="lost"))
    desk.card_status(card, ReinstateCard(reason="found"))
    desk.on_card(card, SpendCard(amount_minor=1_00), key="s")
    assert held(desk, card) == (99_16, 19_84), "1.00 of 100.00 and 20.00: the bonus' share is rounded down"


def test_a_bonus_that_is_left_is_taken_when_the_card_closes(desk: Desk) -> None:
    member = desk.enrol().member_id
    card = desk.open_card(member, key="k").value.card_id
    desk.on_card(card, a_top_up(1, 1), key="t")
    desk.on_card(card, SpendCard(amount_minor=1), key="s")
    assert held(desk, card) == (0, 1)
    closed = desk.card_status(card, CloseCard(reason="moved")).value
    assert closed.balance == CardBalance(principal_minor=0, bonus_minor=0)
    assert desk.sums(card) == (4, 0, 0)


# ---------------------------------------------------------------- visits: happy


def test_visits_are_used_taken_back_extended_and_paid_back(desk: Desk) -> None:
    card = a_count_card(desk, uses=3)
    used = desk.on_card(card, UseCard(count=2, reference="class-1"), key="u").value
    assert (used.uses, used.balance_after, used.text) == (-2, 1, "Used 2 visits")
    back = desk.on_card(card, ReverseCardUse(use_id=used.entry_id, count=1), key="x").value
    assert (back.uses, back.balance_after) == (1, 2)
    desk.clock.at("2027-02-01")
    assert desk.card(card).uses_left == 0
    with pytest.raises(UsesInsufficient):
        desk.on_card(card, UseCard(), key="u2")
    longer = desk.on_card(card, ExtendCard(expires_on=date(2027, 3, 15), reason="shop_closed"), key="e").value
    assert (longer.expires_on, longer.reason_code) == (date(2027, 3, 15), "shop_closed")
    assert (desk.card(card).uses_left, desk.card(card).expires_on) == (2, date(2027, 3, 15))
    paid = [desk.on_card(card, RefundCard(uses=1), key=f"r{n}").value for n in range(2)]
    assert [each.money_minor for each in paid] == [-33_33, -33_33]
    assert [(each.kind, each.reference) for each in paid[0].means] == [("wechat_pay", "wx-1")]
    desk.on_card(card, ReverseCardUse(use_id=used.entry_id), key="x2")
    assert desk.on_card(card, RefundCard(), key="r2").value.money_minor == -33_34, "parts add up to the price"
    assert desk.card_status(card, CloseCard(reason="done")).value.status is AccountStatus.CLOSED


def test_a_count_card_expires_by_the_job(desk: Desk) -> None:
    card = a_count_card(desk)
    assert desk.account(card).due_on == date(2027, 1, 1)
    desk.clock.at("2027-01-01")
    assert bring_up_to_date(desk.table, desk.book, CardId(card), Due.EXPIRY, now=desk.clock()) == 10
    assert bring_up_to_date(desk.table, desk.book, CardId(card), Due.EXPIRY, now=desk.clock()) is None
    assert desk.sums(card) == (2, 0, 0)


# ---------------------------------------------------------------- the same command twice, two at once, a crash

Made = Callable[[Desk, str], tuple[str, CardCommand]]
"""Makes a card of its own, by a key, and a command for it."""


def _spend_all(desk: Desk, key: str) -> tuple[str, CardCommand]:
    return a_full_card(desk, key=key), SpendCard(amount_minor=120_00)


def _top_up(desk: Desk, key: str) -> tuple[str, CardCommand]:
    return desk.open_card(desk.enrol().member_id, key=key).value.card_id, a_top_up(4_000_00, 1_000_00)


def _spend_refund(desk: Desk, key: str) -> tuple[str, CardCommand]:
    card = a_full_card(desk, key=key)
    spent = desk.on_card(card, SpendCard(amount_minor=77_00), key=f"s-{key}").value
    return card, RefundCardSpend(spend_id=spent.entry_id)


def _refund(desk: Desk, key: str) -> tuple[str, CardCommand]:
    card = a_full_card(desk, key=key)
    desk.on_card(card, a_top_up(30_00, 0), key="t2")
    return card, RefundCard()


def _use(desk: Desk, key: str) -> tuple[str, CardCommand]:
    return a_count_card(desk, key=key), UseCard(count=10)


def _use_reversal(desk: Desk, key: str) -> tuple[str, CardCommand]:
    card = a_count_card(desk, key=key)
    used = desk.on_card(card, UseCard(count=4), key=f"u-{key}").value
    return card, ReverseCardUse(use_id=used.entry_id)


def _extension(desk: Desk, key: str) -> tuple[str, CardCommand]:
    return a_count_card(desk, key=key), ExtendCard(expires_on=date(2027, 6, 30), reason="shop_closed")


def _count_refund(desk: Desk, key: str) -> tuple[str, CardCommand]:
    return a_count_card(desk, key=key), RefundCard()


COMMANDS = [_spend_all, _top_up, _spend_refund, _refund, _use, _use_reversal, _extension, _count_refund]


@pytest.mark.parametrize("made", COMMANDS, ids=lambda made: str(made.__name__))
def test_the_same_command_again_gets_its_first_answer_also_when_nothing_is_left(desk: Desk, made: Made) -> None:
    card, command = made(desk, "k")
    first = desk.on_card(card, command, key="twice")
    state, count = desk.card(card), desk.sums(card)
    desk.clock.forward(days=2)
    assert desk.on_card(card, command, key="twice") == Outcome(first.value, replayed=True)
    assert (desk.card(card), desk.sums(card)) == (state, count)
    other = {"amount_minor": 1} if not isinstance(command, UseCard | TopUpCard) else {"reference": "other"}
    if isinstance(command, ReverseCardUse):
        other = {"count": 1}
    if isinstance(command, ExtendCard):
        other = {"reason": "other"}
    with pytest.raises(EntryDiffers):
        desk.on_card(card, command.model_copy(update=other), key="twice")
    stale = desk.over(StaleTable(desk.table, {}))
    assert stale.on_card(card, command, key="twice").replayed


@pytest.mark.parametrize("made", COMMANDS, ids=lambda made: str(made.__name__))
def test_the_same_command_at_once_has_one_effect_and_two_of_them_no_more_than_there_is(
    desk: Desk, dynamo: Dynamo, made: Made
) -> None:
    card, command = made(desk, "k")
    answers = at_once(dynamo, *(lambda: desk.on_card(card, command, key="same") for _ in range(4)))
    assert len({each.value.model_dump_json() for each in answers if isinstance(each, Outcome)}) == 1, answers
    assert all(isinstance(each, Outcome) for each in answers), answers
    card, command = made(desk, "k2")
    answers = at_once(dynamo, *(lambda n=n: desk.on_card(card, command, key=f"d{n}") for n in range(4)))
    assert sum(isinstance(each, Outcome) for each in answers) == 1, answers


@pytest.mark.parametrize("made", COMMANDS, ids=lambda made: str(made.__name__))
def test_a_crash_at_any_call_is_whole_or_nothing_and_a_retry_completes(
    desk: Desk, dynamo: Dynamo, table: DynamoTable, made: Made
) -> None:
    run = 0
    for after in (False, True):
        for at in range(1, 12):
            run += 1
            card, command = made(desk, f"k{run}")
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            before, seq = desk.card(card), desk.account(card).seq
            try:
                dying.on_card(card, command, key=f"c{run}")
            except Crashed:
                assert desk.account(card).seq in (seq, seq + 1)
                assert (desk.card(card) == before) is (desk.account(card).seq == seq)
                desk.on_card(card, command, key=f"c{run}")
            assert desk.account(card).seq == seq + 1
            if crashing.count < at:
                break
    assert run >= 5, "nothing crashed"


def test_a_crash_at_any_call_of_an_opening_or_a_closure_is_whole_or_nothing(
    desk: Desk, dynamo: Dynamo, table: DynamoTable
) -> None:
    member = desk.enrol().member_id
    desk.open_card(member, key="first")
    for after in (False, True):
        for at in range(1, 9):
            name = f"{after}{at}"
            crashing = CrashingTable(table, at, after=after)
            dying = Desk(crashing, desk.keyring, desk.book, desk.clock, desk.draw)
            count = len(scan(dynamo, table.name))
            try:
                dying.open_card(member, key=name, **VISITS)
            except Crashed:
                assert len(scan(dynamo, table.name)) - count in (0, 4)
            card = desk.open_card(member, key=name, **VISITS).value.card_id
            assert len(scan(dynamo, table.name)) - count == 4
            desk.on_card(card, UseCard(count=10), key=f"u{name}")
            closing = CrashingTable(table, at, after=after)
            dying = Desk(closing, desk.keyring, desk.book, desk.clock, desk.draw)
            try:
                dying.card_status(card, CloseCard(reason="x"))
            except Crashed:
                desk.card_status(card, CloseCard(reason="x"))
            assert desk.card(card).status is AccountStatus.CLOSED


def test_many_spends_refunds_and_top_ups_at_once_lose_and_make_nothing(desk: Desk, dynamo: Dynamo) -> None:
    card = a_full_card(desk)
    spent = desk.on_card(card, SpendCard(amount_minor=60_00), key="s").value
    at_once(
        dynamo,
        *(lambda n=n: desk.on_card(card, SpendCard(amount_minor=25_00), key=f"s{n}") for n in range(4)),
        *(lambda n=n: desk.on_card(card, RefundCardSpend(spend_id=spent.entry_id, amount_minor=25_00), key=f"b{n}")
          for n in range(4)),
        *(lambda n=n: desk.on_card(card, RefundCard(amount_minor=20_00), key=f"r{n}") for n in range(3)),
        *(lambda n=n: desk.on_card(card, a_top_up(10_00, 0), key=f"t{n}") for n in range(2)),
    )  # fmt: skip
    lines = cards.list_entries(desk.table, CardId(card), after=None, limit=99, language=Language.EN).items
    principal, bonus = held(desk, card)
    assert principal == sum(line.principal_minor for line in lines) >= 0
    assert bonus == sum(line.bonus_minor for line in lines) >= 0
    back = sum(line.principal_minor + line.bonus_minor for line in lines if line.type is CardLine.SPEND_REFUND)
    assert back <= 60_00
    used = -sum(line.principal_minor for line in lines if line.type in (CardLine.SPEND, CardLine.SPEND_REFUND))
    assert sum(line.money_minor for line in lines) == principal + used


# ---------------------------------------------------------------- costs


def test_what_cards_cost(desk: Desk, dynamo: Dynamo, table: DynamoTable) -> None:
    """Trips, read units and write units of each operation."""
    member = desk.enrol().member_id
    desk.open_card(member, key="first")
    other, meter = metered(desk, dynamo, table)
    card = other.open_card(member, key="k").value.card_id
    found = {"open": meter.read()}
    visits = other.open_card(member, key="v", **VISITS).value.card_id
    found["open, with visits that expire"] = meter.read()

    def cost(name: str, card_id: str, command: CardCommand) -> Any:
        made = other.on_card(card_id, command, key=name).value
        found[name] = meter.read()
        return made

    top_up = a_top_up(bonus_expires_on=date(2026, 12, 31))
    cost("first top-up", card, top_up)
    cost("top-up", card, top_up)
    spent = cost("spend", card, SpendCard(amount_minor=50_00))
    cost("spend refund", card, RefundCardSpend(spend_id=spent.entry_id, amount_minor=10_00))
    cost("refund to one top-up", card, RefundCard(amount_minor=10_00))
    used = cost("use", visits, UseCard())
    cost("use reversal", visits, ReverseCardUse(use_id=used.entry_id))
    cost("extension", visits, ExtendCard(expires_on=date(2027, 6, 30), reason="x"))
    cost("refund of visits", visits, RefundCard(uses=1))
    other.card(card)
    found["read"] = meter.read()
    cards.list_entries(other.table, CardId(card), after=None, limit=25, language=Language.EN)
    found["statement"] = meter.read()
    cards.list_cards(other.table, other.book, MemberId(member), after=None, limit=25, now=desk.clock())
    found["a member's three cards"] = meter.read()
    assert found == {
        "open": (3, 2.0, 13.0),
        "open, with visits that expire": (3, 2.0, 14.0),
        "first top-up": (2, 0.5, 6.0),
        "top-up": (2, 0.5, 5.0),
        "spend": (2, 0.5, 5.0),
        "spend refund": (3, 1.5, 7.0),
        "refund to one top-up": (3, 1.5, 7.0),
        "use": (2, 0.5, 5.0),
        "use reversal": (3, 1.5, 7.0),
        "extension": (2, 0.5, 7.0),
        "refund of visits": (2, 0.5, 5.0),
        "read": (2, 1.0, 0),
        "statement": (2, 1.0, 0),
        "a member's three cards": (3, 6.0, 0.0),
    }


def test_a_card_is_shown_as_that_of_the_member_who_stayed_after_a_merge(desk: Desk) -> None:
    gone, stays, last = (desk.enrol().member_id for _ in range(3))
    card = desk.open_card(gone, key="k", card_number="No-7").value
    desk.merge(gone, stays, key="m1")
    second = desk.merge(stays, last, key="m2").value.merge_id

    def owners() -> set[str]:
        listed = cards.list_cards(desk.table, desk.book, gone, after=None, limit=9, now=desk.clock()).items
        found = cards.look_up_card(desk.table, desk.book, "No-7", now=desk.clock())
        answers = [desk.card_status(card.card_id, each(reason="lost")).value for each in (SuspendCard, ReinstateCard)]
        return {each.member_id for each in (desk.card(card.card_id), *listed, *found, *answers)}

    assert owners() == {last}
    desk.undo_merge(second)
    assert owners() == {stays}
    assert desk.card_status(card.card_id, CloseCard(reason="lost")).value.member_id == stays
    assert desk.open_card(gone, key="k", card_number="No-7") == Outcome(card, replayed=True)


def test_a_card_may_be_given_another_owner_at_once(desk: Desk) -> None:
    one, two = desk.enrol().member_id, desk.enrol().member_id
    card = desk.open_card(one, key="k").value
    before, account = cards_store.find_items(desk.table, card.card_id, consistent=True) or (None, None)
    assert before is not None
    assert account is not None
    wallets = [cards_store.find_wallet(desk.table, each) for each in (one, two)]
    desk.table.commit(cards_store.give_to(before, *wallets))
    assert [cards_store.find_wallet(desk.table, each).cards for each in (one, two)] == [0, 1]
    assert desk.card(card.card_id).member_id == two

    def owned(member: MemberId) -> tuple[CardView, ...]:
        return cards.list_cards(desk.table, desk.book, member, after=None, limit=9, now=desk.clock()).items

    assert ([each.card_id for each in owned(two)], owned(one)) == ([card.card_id], ())
