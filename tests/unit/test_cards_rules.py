"""Cards: what is taken from principal, bonus and visits, and that nothing gets lost or made, whatever is mixed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.cards import views
from chalicelib.cards.errors import (
    CardBalanceInsufficient,
    CardClosed,
    CardEmpty,
    CardLimitExceeded,
    CardNotEmpty,
    CardRefundTooLarge,
    CardRefundTooWide,
    CardSuspended,
    ExtensionNotLater,
    RefundUnclear,
    UsesInsufficient,
)
from chalicelib.cards.models import (
    Card,
    CardKind,
    ExtendCard,
    OpenCard,
    Paid,
    RefundCard,
    RefundCardSpend,
    ReverseCardUse,
    SpendCard,
    TopUpCard,
    UseCard,
)
from chalicelib.cards.rules import count_cards, holding, openings, refunds, stored_value
from chalicelib.cards.rules.holding import PRINCIPAL, UNDATED, Value
from chalicelib.cards.rules.refunds import Back, Refund, TopUp
from chalicelib.kernel.errors import Refusal
from chalicelib.kernel.ids import CardId, EntryId
from chalicelib.kernel.languages import Language
from chalicelib.points.errors import ExpiryPast
from chalicelib.points.fold import CLOSED_PERIODS_KEPT
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting
from chalicelib.programs.rules import for_account
from chalicelib.proof.rules import verify
from tests.makers import NOON, a_member_id, a_program

PROGRAM = a_program(stored_value={"balance_max_minor": 10**12})
CONTENT = bytes(32)


@dataclass
class Purse:
    """A card that lives through commands, and what went over the counter meanwhile."""

    card: Card
    account: Account
    entries: list[Entry] = field(default_factory=list)
    now: datetime = NOON
    top_ups: dict[int, TopUp] = field(default_factory=dict)
    back: dict[int, int] = field(default_factory=dict)
    paid_in: int = 0
    paid_out: int = 0
    payouts: list[Back] = field(default_factory=list)

    @property
    def program(self) -> Any:
        """The program as the card goes by it."""
        return for_account(PROGRAM, self.card.card_id)

    @property
    def today(self) -> date:
        """The day on which commands are decided."""
        return holding.today(self.account, self.program, self.now)

    @property
    def value(self) -> Value:
        """What it holds."""
        return holding.value_of(self.account, self.today)

    @property
    def uses(self) -> int:
        """Visits that are left."""
        return holding.uses_left(self.account, self.today)

    def key(self, kind: str) -> EntryKey:
        """A key that was not used yet."""
        return EntryKey(kind=kind, parts=(self.card.card_id, f"k{len(self.entries)}"))

    def top_up(self, amount: int, bonus: int = 0, last: date | None = None, means: Sequence[Paid] = ()) -> Entry:
        """Pay money in."""
        command = TopUpCard(
            amount_minor=amount, bonus_minor=bonus, bonus_expires_on=last if bonus else None,
            means=tuple(means) or (Paid(kind="cash", amount_minor=amount),),
        )  # fmt: skip
        key = self.key("top_up")
        entry = self._post(
            stored_value.top_up(self.account, self.card, command, key, self.program, content=CONTENT, now=self.now)
        )
        self.top_ups[entry.seq] = TopUp(key, entry.seq, amount, bonus, last or UNDATED, command.means)
        self.paid_in += amount
        return entry

    def spend(self, amount: int) -> Entry:
        """Pay with it."""
        command, key = SpendCard(amount_minor=amount), self.key("card_spend")
        return self._post(
            stored_value.spend(self.account, self.card, command, key, self.program, content=CONTENT, now=self.now)
        )

    def give_back(self, spent: Entry, amount: int | None = None) -> Entry:
        """Refund a spend to the card."""
        command = RefundCardSpend(spend_id=EntryId("ent_aaaa"), amount_minor=amount)
        key = self.key("card_spend_refund")
        posting, back = stored_value.refund_spend(
            self.account, self.card, spent, self.back.get(spent.seq, 0), command, key, self.program,
            content=CONTENT, now=self.now,
        )  # fmt: skip
        self.back[spent.seq] = back
        return self._post(posting)

    def refund(self, amount: int | None = None, top_up: int | None = None) -> Refund:
        """Pay principal out."""
        command, key = RefundCard(amount_minor=amount), self.key("card_refund")
        named = self.top_ups[top_up] if top_up is not None else None
        made = refunds.refund(
            self.account, self.card, tuple(self.top_ups.values()), named, command, key, self.program,
            content=CONTENT, now=self.now,
        )  # fmt: skip
        for each, back in made.back:
            self.top_ups[each.seq] = replace(each, back=back)
        return self._paid_out(made)

    def use(self, count: int = 1) -> Entry:
        """Use visits."""
        command, key = UseCard(count=count), self.key("card_use")
        return self._post(
            count_cards.use(self.account, self.card, command, key, self.program, content=CONTENT, now=self.now)
        )

    def take_back(self, used: Entry, count: int | None = None) -> Entry:
        """Take a use back."""
        command, key = ReverseCardUse(use_id=EntryId("ent_aaaa"), count=count), self.key("card_use_reversal")
        posting, back = count_cards.reverse_use(
            self.account, self.card, used, self.back.get(used.seq, 0), command, key, self.program,
            content=CONTENT, now=self.now,
        )  # fmt: skip
        self.back[used.seq] = back
        return self._post(posting)

    def extend(self, last: date) -> Entry:
        """Let it live longer."""
        command, key = ExtendCard(expires_on=last, reason="shop_closed"), self.key("card_extension")
        return self._post(
            count_cards.extend(self.account, self.card, command, key, self.program, content=CONTENT, now=self.now)
        )

    def refund_uses(self, count: int | None = None) -> Refund:
        """Pay visits out."""
        command, key = RefundCard(uses=count), self.key("card_refund")
        made = refunds.refund_uses(self.account, self.card, command, key, self.program, content=CONTENT, now=self.now)
        return self._paid_out(made)

    def proven(self) -> None:
        """The chain verifies, and each entry's words fit what it did to the buckets."""
        assert verify(self.account, self.entries, {1: PROGRAM}) is None
        principal = sum(entry.sums.earned.get(PRINCIPAL, 0) for entry in self.entries if entry.sums)
        if self.card.kind is CardKind.STORED_VALUE:
            assert (
                principal == sum(holding.figure(entry, "principal") for entry in self.entries) == self.value.principal
            )
        assert sum(views.money_of(entry) for entry in self.entries) == self.paid_in - self.paid_out

    def _paid_out(self, made: Refund) -> Refund:
        self.paid_out += sum(each.amount_minor for each in made.payouts)
        self.payouts += made.payouts
        self._post(made.posting)
        return made

    def _post(self, posting: Posting) -> Entry:
        self.account = posting.account
        self.entries += posting.entries
        return posting.main


def a_purse(**sold: Any) -> Purse:
    """A new card: a count card where `uses` are named, else one that holds money."""
    kind = CardKind.COUNT if "uses" in sold else CardKind.STORED_VALUE
    price = sold.get("price_minor", 0)
    means = sold.pop("means", (Paid(kind="cash", amount_minor=price),) if price else ())
    command = OpenCard(kind=kind, means=means, **sold)
    card = Card(
        card_id=CardId.of("key", "k"), member_id=a_member_id(), kind=kind, currency="CNY", opened_at=NOON,
        uses=command.uses or 0, price_minor=price, means=means,
    )  # fmt: skip
    posting = openings.opened(card, command, "k", for_account(PROGRAM, card.card_id), content=CONTENT, now=NOON)
    return Purse(card, posting.account, list(posting.entries), paid_in=price)


# ---------------------------------------------------------------- money


def test_a_spend_takes_principal_and_bonus_in_proportion_and_the_bonus_that_expires_first() -> None:
    purse = a_purse()
    purse.top_up(100_00, 20_00, date(2026, 12, 31))
    purse.top_up(100_00, 30_00, date(2026, 6, 30))
    spent = purse.spend(50_00)
    assert (holding.figure(spent, "principal"), holding.figure(spent, "bonus")) == (-40_00, -10_00)
    assert purse.value == Value(160_00, {date(2026, 6, 30): 20_00, date(2026, 12, 31): 20_00})
    purse.spend(200_00)
    assert purse.value == Value(0, {})
    with pytest.raises(CardBalanceInsufficient):
        purse.spend(1)
    purse.proven()


def test_a_spend_refunded_in_parts_puts_back_exactly_what_it_took() -> None:
    purse = a_purse()
    purse.top_up(100, 33, date(2026, 12, 31))
    purse.top_up(100, 34)
    before = purse.value
    spent = purse.spend(77)
    for amount in (10, 1, 1, 40):
        purse.give_back(spent, amount)
    purse.give_back(spent)
    assert purse.value == before
    with pytest.raises(CardRefundTooLarge):
        purse.give_back(spent)
    purse.proven()


def test_bonus_that_comes_back_after_its_last_day_lapses_at_once_and_principal_never_does() -> None:
    purse = a_purse()
    purse.top_up(100, 100, date(2026, 4, 30))
    spent = purse.spend(100)
    purse.now += timedelta(days=60)
    assert purse.value == Value(50, {})
    purse.give_back(spent)
    assert purse.value == Value(100, {})
    assert [entry.points for entry in purse.entries[-3:]] == [-50, 100, -50]
    purse.now += timedelta(days=10_000)
    assert purse.value == Value(100, {})
    purse.proven()


def test_a_refund_goes_back_to_the_newest_top_up_by_its_last_means_first() -> None:
    purse = a_purse()
    first = purse.top_up(100_00, means=[Paid(kind="cash", amount_minor=100_00)])
    second = purse.top_up(
        50_00, 10_00,
        means=[Paid(kind="wechat_pay", amount_minor=30_00, reference="w1"), Paid(kind="bank_card", amount_minor=20_00)],
    )  # fmt: skip
    made = purse.refund(60_00)
    assert [(each.paid.kind, each.amount_minor, each.top_up and each.top_up.seq) for each in made.payouts] == [
        ("bank_card", 20_00, second.seq), ("wechat_pay", 30_00, second.seq), ("cash", 10_00, first.seq),
    ]  # fmt: skip
    assert purse.value == Value(90_00, {}), "the bonus of what went back is withdrawn"
    purse.proven()


def test_a_top_up_that_goes_back_by_name_takes_its_own_bonus_along_less_what_was_used_of_it() -> None:
    purse = a_purse()
    first = purse.top_up(100, 50, date(2026, 6, 30))
    purse.top_up(100, 50, date(2026, 12, 31))
    purse.refund(top_up=first.seq)
    assert purse.value == Value(100, {date(2026, 12, 31): 50})

    purse = a_purse()
    first = purse.top_up(100, 50, date(2026, 6, 30))
    purse.top_up(100, 50, date(2026, 12, 31))
    purse.spend(60)
    purse.refund(top_up=first.seq)
    assert purse.value == Value(60, {date(2026, 12, 31): 30}), "100 paid in give 150: 60 were spent, 90 are left"
    with pytest.raises(CardRefundTooLarge):
        purse.refund(1, top_up=first.seq)
    purse.proven()


def test_bonus_that_lapsed_is_not_taken_from_other_top_ups() -> None:
    purse = a_purse()
    first = purse.top_up(100, 50, date(2026, 3, 31))
    purse.top_up(100, 50)
    purse.now += timedelta(days=40)
    purse.refund(top_up=first.seq)
    assert purse.value == Value(100, {UNDATED: 50})
    purse.proven()


def test_a_refund_of_all_leaves_nothing_and_pays_no_bonus() -> None:
    purse = a_purse()
    purse.top_up(100, 50)
    purse.top_up(100)
    purse.spend(125)
    made = purse.refund()
    assert sum(each.amount_minor for each in made.payouts) == 100
    assert purse.value == Value(0, {})
    with pytest.raises(CardEmpty):
        purse.refund()
    purse.proven()


def test_more_than_is_left_never_goes_back() -> None:
    purse = a_purse()
    entry = purse.top_up(100)
    purse.spend(70)
    for named in (None, entry.seq):
        with pytest.raises(CardRefundTooLarge) as refused:
            purse.refund(31, top_up=named)
        assert refused.value.facts == {"asked": 31, "left": 30, "principal_minor": 30}


def test_a_refund_to_too_many_top_ups_says_how_much_goes_at_once() -> None:
    purse = a_purse()
    for _ in range(refunds.TOP_UPS_MAX + 1):
        purse.top_up(2)
    with pytest.raises(CardRefundTooWide) as refused:
        purse.refund()
    assert refused.value.facts["amount_minor"] == 2 * refunds.TOP_UPS_MAX
    purse.refund(refused.value.facts["amount_minor"])
    purse.refund()
    assert purse.paid_in == purse.paid_out


def test_a_card_holds_no_more_than_the_program_says_and_5000_yuan_where_it_does_not() -> None:
    purse = a_purse()
    purse.top_up(4_999_00)
    command = TopUpCard(amount_minor=1_00, bonus_minor=1, means=(Paid(kind="cash", amount_minor=1_00),))
    for terms, limit in (({}, 500_000), ({"stored_value": {"balance_max_minor": 499_999}}, 499_999)):
        program = for_account(a_program(**terms), purse.card.card_id)
        with pytest.raises(CardLimitExceeded) as refused:
            stored_value.top_up(purse.account, purse.card, command, purse.key("t"), program, content=CONTENT, now=NOON)
        assert refused.value.facts == {"balance_minor": 500_001, "limit_minor": limit}
    program = for_account(a_program(currency="EUR"), purse.card.card_id)
    assert stored_value.top_up(purse.account, purse.card, command, purse.key("t"), program, content=CONTENT, now=NOON)


def test_a_suspended_card_takes_back_and_pays_back_and_nothing_else_and_a_closed_one_nothing() -> None:
    purse = a_purse()
    purse.top_up(100)
    spent = purse.spend(40)
    purse.account = purse.account.model_copy(update={"status": AccountStatus.SUSPENDED})
    with pytest.raises(CardSuspended):
        purse.top_up(1)
    with pytest.raises(CardSuspended):
        purse.spend(1)
    purse.give_back(spent, 10)
    purse.refund(10)
    purse.account = purse.account.model_copy(update={"status": AccountStatus.CLOSED})
    commands: list[Callable[[], object]] = [
        lambda: purse.top_up(1), lambda: purse.spend(1), lambda: purse.give_back(spent), purse.refund,
    ]  # fmt: skip
    for command in commands:
        with pytest.raises(CardClosed):
            command()


def test_a_card_closes_without_what_was_paid_for_and_its_bonus_is_taken() -> None:
    purse = a_purse()
    purse.top_up(1, 1)
    with pytest.raises(CardNotEmpty):
        openings.close(purse.account, purse.card, purse.key("card_close"), purse.program, now=purse.now)
    purse.spend(1)
    posting = openings.close(purse.account, purse.card, purse.key("card_close"), purse.program, now=purse.now)
    assert posting is not None
    assert (posting.main.points, holding.value_of(posting.account, purse.today)) == (-1, Value(0, {}))
    assert openings.close(posting.account, purse.card, purse.key("card_close"), purse.program, now=purse.now) is None


# Any mixture: amounts that are small, so that everything runs out now and then.
_steps = st.one_of(
    st.tuples(st.just("top_up"), st.integers(1, 60), st.integers(0, 40), st.sampled_from([None, 5, 20, 60])),
    st.tuples(st.just("spend"), st.integers(1, 80)),
    st.tuples(st.just("give_back"), st.integers(0, 9), st.one_of(st.none(), st.integers(1, 40))),
    st.tuples(st.just("refund"), st.one_of(st.none(), st.integers(1, 60)), st.one_of(st.none(), st.integers(0, 5))),
    st.tuples(st.just("wait"), st.integers(0, 30)),
)


@given(st.lists(_steps, max_size=25))
def test_whatever_is_mixed_money_is_neither_lost_nor_made(steps: list[Any]) -> None:
    purse, spends = a_purse(), []
    for name, *figures in steps:
        try:
            match name, figures:
                case "top_up", (amount, bonus, days):
                    last = purse.today + timedelta(days=days) if days is not None else None
                    means = [Paid(kind="cash", amount_minor=amount - amount // 3)]
                    means += [Paid(kind="alipay", amount_minor=amount // 3)] if amount // 3 else []
                    purse.top_up(amount, bonus, last, means)
                case "spend", (amount,):
                    spends.append(purse.spend(amount))
                case "give_back", (which, amount) if spends:
                    purse.give_back(spends[which % len(spends)], amount)
                case "refund", (amount, which):
                    known = sorted(purse.top_ups)
                    purse.refund(amount, known[which % len(known)] if which is not None and known else None)
                case "wait", (days,):
                    purse.now += timedelta(days=days)
        except Refusal:
            continue
        value = purse.value
        used = sum(-spent.points - purse.back.get(spent.seq, 0) for spent in spends)
        principal_used = -sum(
            holding.figure(entry, "principal")
            for entry in purse.entries
            if entry.key.kind in ("card_spend", "card_spend_refund")
        )
        assert value.principal >= 0
        assert all(minor > 0 for minor in value.bonus.values())
        assert purse.paid_in - purse.paid_out == value.principal + principal_used
        assert 0 <= principal_used <= used
        assert sum(each.back for each in purse.top_ups.values()) == purse.paid_out
        by_means = {seq: {paid.kind: paid.amount_minor for paid in each.means} for seq, each in purse.top_ups.items()}
        for back in purse.payouts:
            assert back.top_up is not None
            by_means[back.top_up.seq][back.paid.kind] -= back.amount_minor
        assert all(left >= 0 for kinds in by_means.values() for left in kinds.values())
    purse.proven()
    for spent in spends:
        if purse.back.get(spent.seq, 0) < -spent.points:
            purse.give_back(spent)
    if purse.value.principal:
        purse.refund()
    assert purse.paid_in == purse.paid_out, "when all is given back and paid back, nothing stays"
    assert purse.value.principal == 0
    purse.proven()


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 30)), min_size=1, max_size=4),
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
)
def test_refunds_of_unspent_top_ups_in_any_split_leave_as_if_they_had_never_been(
    paid: list[tuple[int, int]], parts: list[int]
) -> None:
    purse = a_purse()
    purse.top_up(1_000, 100, date(2026, 5, 1))
    before = purse.value
    for number, (amount, bonus) in enumerate(paid):
        purse.top_up(amount, bonus, date(2026, 6, 1) + timedelta(days=number // 2))
    left = sum(amount for amount, _ in paid)
    for part in parts:
        purse.refund(min(part, left)) if left else None
        left -= min(part, left)
    if left:
        purse.refund(left)
    assert purse.value == before
    purse.proven()


# ---------------------------------------------------------------- visits


def test_visits_are_used_taken_back_and_expire_and_an_extension_brings_them_back() -> None:
    purse = a_purse(uses=10, expires_on=date(2026, 5, 15))
    first = purse.use(3)
    purse.take_back(first, 1)
    assert purse.uses == 8
    purse.now += timedelta(days=100)
    assert purse.uses == 0
    with pytest.raises(UsesInsufficient) as refused:
        purse.use()
    assert refused.value.facts == {"asked": 1, "left": 0, "expired_on": "2026-05-15"}
    purse.extend(date(2026, 7, 31))
    assert (purse.uses, holding.last_day_of(purse.account)) == (8, date(2026, 7, 31))
    purse.take_back(first)
    assert purse.uses == 10
    purse.use(10)
    purse.extend(date(2026, 8, 31))
    purse.proven()


def test_a_use_taken_back_after_the_last_day_is_over_at_once_until_the_card_is_extended() -> None:
    purse = a_purse(uses=10, expires_on=date(2026, 5, 15))
    used = purse.use(4)
    purse.now += timedelta(days=100)
    purse.take_back(used)
    assert purse.uses == 0
    purse.proven()
    purse.extend(date(2026, 7, 31))
    assert purse.uses == 10
    purse.proven()


def test_an_extension_is_later_and_not_over() -> None:
    purse = a_purse(uses=10, expires_on=date(2026, 3, 20))
    with pytest.raises(ExtensionNotLater):
        purse.extend(date(2026, 3, 20))
    purse.now += timedelta(days=30)
    with pytest.raises(ExpiryPast):
        purse.extend(date(2026, 3, 31))
    forever = a_purse(uses=1)
    with pytest.raises(ExtensionNotLater):
        forever.extend(date(2030, 1, 1))


@given(st.integers(0, 10_000), st.integers(1, 50), st.lists(st.integers(1, 12), max_size=12), st.booleans())
def test_parts_of_a_price_add_up(price: int, uses: int, parts: list[int], mixed: bool) -> None:
    purse = a_purse(uses=uses, price_minor=price, expires_on=date(2027, 1, 31))
    used = 0
    for number, part in enumerate(parts):
        some = min(part, purse.uses)
        if not some:
            break
        if mixed and number % 2:
            purse.use(some)
            used += some
            purse.now += timedelta(days=20)
        else:
            purse.refund_uses(some)
    refunded = uses - used - purse.uses
    assert purse.paid_out == price * refunded // uses
    if purse.uses:
        purse.refund_uses()
    assert purse.paid_out == price * (uses - used) // uses
    assert purse.uses == 0
    purse.proven()


def test_a_card_that_is_used_every_few_days_for_years_stays_small_and_exact() -> None:
    purse = a_purse(uses=500, expires_on=date(2030, 3, 15))
    used = []
    for _ in range(300):
        purse.now += timedelta(days=4)
        used.append(purse.use())
    assert (purse.uses, len(purse.account.spent) <= CLOSED_PERIODS_KEPT + 2) == (200, True)
    purse.take_back(used[0])
    assert purse.uses == 201
    purse.now += timedelta(days=400)
    assert purse.uses == 0
    purse.extend(date(2032, 1, 1))
    assert purse.uses == 201
    purse.proven()


def test_a_refund_names_only_what_its_card_has() -> None:
    purse, money = a_purse(uses=3), a_purse()
    money.top_up(1)
    with pytest.raises(RefundUnclear):
        refunds.refund_uses(
            purse.account, purse.card, RefundCard(amount_minor=1), purse.key("r"), purse.program,
            content=CONTENT, now=NOON,
        )  # fmt: skip
    with pytest.raises(RefundUnclear):
        refunds.refund(
            money.account, money.card, tuple(money.top_ups.values()), None, RefundCard(uses=1), money.key("r"),
            money.program, content=CONTENT, now=NOON,
        )  # fmt: skip


# ---------------------------------------------------------------- words and proof


def test_every_line_has_words_in_both_languages() -> None:
    purse = a_purse()
    purse.top_up(100_00, 20_00, date(2026, 6, 30))
    spent = purse.spend(60_00)
    purse.give_back(spent, 30_00)
    purse.refund(10_00)
    told = [
        (views.worded(e, purse.card, (), Language.ZH), views.worded(e, purse.card, (), Language.EN))
        for e in purse.entries
    ]
    assert told == [
        ("开卡", "Opened"),
        ("充值 ¥100.00，赠送 ¥20.00，有效期至 2026-06-30", "Topped up ¥100.00, bonus ¥20.00, good through 2026-06-30"),
        ("消费 ¥60.00（本金 ¥50.00，赠金 ¥10.00）", "Spent ¥60.00 (¥50.00 paid in, ¥10.00 bonus)"),
        ("消费退回 ¥30.00（本金 ¥25.00，赠金 ¥5.00）", "Spend refunded: ¥30.00 (¥25.00 paid in, ¥5.00 bonus)"),
        ("退款 ¥10.00，收回赠金 ¥2.00", "Refunded ¥10.00; bonus withdrawn: ¥2.00"),
    ]
    visits = a_purse(uses=2, expires_on=date(2026, 3, 31))
    visits.take_back(visits.use())
    visits.now += timedelta(days=20)
    visits.extend(date(2026, 4, 30))
    assert [views.worded(e, visits.card, (), Language.EN) for e in visits.entries] == [
        "Opened with 2 visits, good through 2026-03-31", "Used 1 visit", "Use taken back: 1 visit",
        "2 visits expired", "Extended, good through 2026-04-30", "2 visits no longer expired",
    ]  # fmt: skip
    assert all(views.worded(e, visits.card, (), Language.ZH) for e in visits.entries)


def test_a_changed_split_of_principal_and_bonus_is_found() -> None:
    purse = a_purse()
    purse.top_up(100, 50)
    spent = purse.spend(30)
    assert spent.sums is not None
    other = spent.sums.model_copy(update={"earned": {PRINCIPAL: -30}})
    planted = [each.model_copy(update={"sums": other}) if each is spent else each for each in purse.entries]
    fault = verify(purse.account, planted, {1: PROGRAM})
    assert fault is not None
    assert fault.seq == spent.seq
