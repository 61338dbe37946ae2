"""The refund law: any split of returns, in any order, that adds up to the whole leaves what there would be without it.

The oracle is a replay of the same life without the purchase: the other entries stay as they were decided. For orders
that were restated it is a replay with the purchase as it is at the end, bought so at first.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.calendar import local_day, month_of
from chalicelib.kernel.errors import Refusal
from chalicelib.points.fold import applied, standing_of
from chalicelib.points.models import Account, Entry, EntryKey, Posting, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.points.rules.due_dates import due_on, release
from chalicelib.points.rules.ledger import settle
from chalicelib.points.views import shown_maturity
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify
from chalicelib.purchases.models import (
    DeliverPurchase,
    RecordPurchase,
    RestatePurchase,
    Returned,
    ReturnLine,
    ReturnPurchase,
    Waiting,
)
from chalicelib.purchases.rules.buying import assess, sale_of
from chalicelib.purchases.rules.deliveries import assess_delivery, released_by
from chalicelib.purchases.rules.orders import Bought, kept_of
from chalicelib.purchases.rules.restatements import assess_restatement, restated
from chalicelib.purchases.rules.returns import assess_return, assess_waiting, returned_after
from chalicelib.purchases.rules.write_offs import Turns, turns_of
from tests.makers import NOON, a_ladder, a_program, a_purchase, an_account
from tests.unit.histories import Adjust, Buy, Life, Settle, Spend, Step, Wait, expiries, histories

LADDER = a_ladder(0, 40, 90, months=3)
DAYS_AHEAD = (0, 1, 31, 90, 400)


@dataclass
class Refunds:
    """A life in which one purchase comes back, part by part, between other things."""

    life: Life
    bought: list[Bought] = field(default_factory=list)
    number: int = 0
    before: Account | None = None
    command: RecordPurchase | None = None
    bought_at: datetime = NOON
    turns: Turns = field(default_factory=Turns)

    def buy(self, lines: list[tuple[int, int]], tender: int, days_late: int, *, awaits: bool = False) -> bool:
        """Make the purchase that will come back; False when there are no points for its tender."""
        life = self.life
        at = life.now - timedelta(days=days_late)
        total = sum(quantity * price for quantity, price in lines)
        command = a_purchase(
            life.account.member_id,
            lines=[
                {"sku": f"s{n}", "quantity": quantity, "unit_price_minor": price}
                for n, (quantity, price) in enumerate(lines)
            ],
            paid_minor=max(total - tender, 0),
            occurred_at=at.isoformat(),
            awaits_delivery=awaits,
            points_tender=tender if 0 < tender <= min(total, derive(life.account, life.today).available) else None,
        )
        self.before, self.command, self.bought_at = life.account, command, life.now
        posting = assess(life.account, command, life.program, content=b"p" * 32, now=life.now)
        life._post(posting)
        self.turns = turns_of(posting.main)
        self.bought.append(Bought(posting.main, sale_of(command, life.program), life.program, Returned()))
        return True

    def give_back(self, command: ReturnPurchase) -> None:
        """Return a part."""
        bought, life = self.bought[-1], self.life
        self.number += 1
        key = EntryKey(kind="return", parts=(*bought.entry.key.parts, f"r{self.number}"))
        after = returned_after(bought, command, life.program.negative_balance, life.today)
        posting = assess_return(
            life.account, bought, after, command, key, life.program, content=b"r" * 32, now=life.now,
            turns=self.turns,
        )  # fmt: skip
        self._changed(posting)
        self.bought[-1] = replace(bought, returned=after, version=bought.version + 1)

    def meet(self, command: ReturnPurchase) -> None:
        """Carry out a return that came before the purchase, as the purchase is recorded."""
        bought, life = self.bought[-1], self.life
        self.number += 1
        received = max(bought.entry.occurred_at, life.now - timedelta(hours=70))
        waiting = Waiting(key=f"r{self.number}", content=b"w", command=command, received_at=received)
        after, posting = assess_waiting(
            life.account, bought, waiting, life.program, content=b"r" * 32, now=life.now, turns=self.turns
        )
        self._changed(posting)
        self.bought[-1] = replace(bought, returned=after, version=bought.version + 1)

    def deliver(self, delivered_at: datetime | None = None) -> None:
        """Tell the delivery of a purchase that waits for it."""
        bought, life = self.bought[-1], self.life
        delivery, posting = assess_delivery(
            life.account, bought, DeliverPurchase(delivered_at=delivered_at), life.program, content=b"d" * 32,
            now=life.now,
        )  # fmt: skip
        life.account = posting.account
        life.entries += posting.entries
        entry = bought.entry.model_copy(update={"matures_on": delivery.matures_on})
        self.bought[-1] = replace(bought, entry=entry, delivery=delivery, version=bought.version + 1)

    def try_back(self, what: int | str) -> None:
        """Return a part by amount, a piece of the first line, or all that is left; a refusal changes nothing."""
        one = (ReturnLine(sku="s0", quantity=1),)
        command = ReturnPurchase(
            lines=one if what == "line" else (), amount_minor=what if isinstance(what, int) else None
        )
        try:
            self.give_back(command)
        except Refusal:
            self.life.refused += 1

    def restate(self, command: RestatePurchase) -> None:
        """Say how the order is now; a refusal changes nothing."""
        bought, life = self.bought[-1], self.life
        try:
            after = restated(bought, command, life.program.negative_balance, life.today)
            if after is None:
                return
            posting = assess_restatement(
                life.account, bought, after, command, life.program, content=b"s" * 32, now=life.now,
                turns=self.turns,
            )  # fmt: skip
        except Refusal:
            life.refused += 1
            return
        self._changed(posting)
        self.bought[-1] = after

    def _changed(self, posting: Posting) -> None:
        """Take over what a return or restatement came to."""
        self.life.account = posting.account
        self.life.entries += posting.entries
        self.turns = self.turns.after(posting.main)

    def bought_so_at_first(self) -> Entry:
        """The entry that the purchase would have, had it been bought as the customer keeps it now."""
        kept = kept_of(self.bought[-1])
        assert self.before is not None
        assert self.command is not None
        command = self.command.model_copy(
            update={"lines": kept.lines, "paid_minor": kept.paid_minor, "points_tender": kept.points_tender or None}
        )
        entry = assess(self.before, command, self.life.program, content=b"p" * 32, now=self.bought_at).main
        delivery = self.bought[-1].delivery
        return entry.model_copy(update={"matures_on": delivery.matures_on}) if delivery else entry


def without(life: Life, kinds: set[EntryKey], instead: Entry | None = None) -> Account:
    """The oracle: the account folded from its entries without some of them and what only they brought about.

    Args:
        instead: stands in place of the entry with the same key.
    """
    account = an_account(member_id=life.account.member_id)
    for each in life.entries:
        entry = instead if instead is not None and each.key == instead.key else each
        booked_by_time = entry.reason in (Reason.EXPIRE, Reason.TIER)
        if not booked_by_time and entry.key not in kinds:
            account = applied(account, entry.model_copy(update={"tier_after": None}))
    return account


def seen(account: Account, program: Program, today: date) -> list[Any]:
    """What anybody can see of an account, today and later."""
    shown: list[Any] = []
    for days in DAYS_AHEAD:
        on = today + timedelta(days=days)
        position, held = derive(account, on), standing_of(account, program, on)
        shown.append((position.balance, position.left, position.lapsed, position.pending, held))
    return shown


@st.composite
def splits(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[list[tuple[int, int]]]]:
    """Lines of quantity and price, and a way to bring all of it back in parts: which line, how many."""
    lines = draw(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 2_000)), min_size=1, max_size=4))
    pieces = [place for place, (quantity, _) in enumerate(lines) for _ in range(quantity)]
    order = draw(st.permutations(pieces))
    cuts = sorted(draw(st.sets(st.integers(1, len(order)), max_size=3)) | {len(order)})
    parts, start = [], 0
    for cut in cuts:
        part = order[start:cut]
        start = cut
        parts.append([(place, part.count(place)) for place in sorted(set(part))])
    return lines, [part for part in parts if part]


rounding = st.sampled_from(["down", "half_up", "up"])
deliveries = st.sampled_from([None, None, 0, 1, 9])
"""After how many changes the delivery is told that the points wait for; 9 is never, None that they do not wait."""
short = histories.filter(lambda steps: len(steps) <= 14)


@given(short, short, short, expiries, splits(), rounding, st.integers(0, 30), st.sampled_from([0, 0, 20, 70]),
       st.sampled_from([0, 0, 20]), deliveries)  # fmt: skip
def test_any_split_of_returns_that_adds_up_to_the_whole_leaves_what_would_be_without_the_purchase(
    first: list[Step], then: list[Step], between: list[Step], expiry: dict[str, Any], split: Any, how: str,
    tender: int, days_late: int, pending_days: int, delivered: int | None,
) -> None:  # fmt: skip
    lines, parts = split
    program = a_program(
        expiry=expiry, ladder=LADDER, pending_days=pending_days,
        earn_rate={"points": 3, "per_minor": 100, "rounding": how},
    )  # fmt: skip
    refunds = Refunds(Life(program).through(first))
    refunds.buy(lines, tender, days_late, awaits=delivered is not None)
    refunds.life.through(then)
    for number, part in enumerate(parts):
        if number == delivered:
            refunds.deliver()
        asked = tuple(ReturnLine(sku=f"s{place}", quantity=quantity) for place, quantity in part)
        refunds.give_back(ReturnPurchase(lines=asked))
        if number == 0:
            refunds.life.through(between)
    life = refunds.life
    life.settle()

    bought = refunds.bought[-1]
    entry = bought.entry
    assert bought.returned.refund_minor == bought.sale.paid_minor
    assert bought.returned.points_taken_back == (entry.earned or 0)
    assert bought.returned.points_given_back == (entry.consumed or 0)
    assert bought.returned.qualifying_taken_back == (entry.qualifying or 0)
    returns = {each.key for each in life.entries if each.reason is Reason.REVERSE or each.key.kind == "delivery"}
    assert verify(life.account, life.entries, {1: program}) is None
    if life.account.folded is None:
        oracle, _ = settle(without(life, returns | {entry.key}), program, now=life.now)
        assert seen(life.account, program, life.today) == seen(oracle, program, life.today)


@given(short, short, expiries, splits(), rounding, st.integers(0, 30), st.sampled_from([0, 0, 2, 3, 20]),
       st.sampled_from([0, 0, 20]), st.integers(1, 4))  # fmt: skip
def test_it_does_not_matter_which_parts_come_back_before_the_purchase_is_known(
    first: list[Step], then: list[Step], expiry: dict[str, Any], split: Any, how: str, tender: int, days_late: int,
    pending_days: int, early: int,
) -> None:  # fmt: skip
    lines, parts = split
    program = a_program(
        expiry=expiry, ladder=LADDER, pending_days=pending_days,
        earn_rate={"points": 3, "per_minor": 100, "rounding": how},
    )  # fmt: skip
    refunds = Refunds(Life(program).through(first))
    refunds.buy(lines, tender, days_late)
    for number, part in enumerate(parts):
        asked = tuple(ReturnLine(sku=f"s{place}", quantity=quantity) for place, quantity in part)
        (refunds.meet if number < early else refunds.give_back)(ReturnPurchase(lines=asked))
        if number == early:
            refunds.life.through(then)
    life = refunds.life
    life.settle()

    returns = {each.key for each in life.entries if each.reason is Reason.REVERSE}
    assert len(returns) == len(parts)
    assert verify(life.account, life.entries, {1: program}) is None
    if life.account.folded is None:
        oracle, _ = settle(without(life, returns | {refunds.bought[-1].entry.key}), program, now=life.now)
        assert seen(life.account, program, life.today) == seen(oracle, program, life.today)


MULTIPLIED = {
    "tiers": [
        {"tier_id": f"t{n}", "name": {"zh": f"级{n}", "en": f"Tier {n}"}, "threshold": threshold,
         "multiplier_percent": percent}
        for n, (threshold, percent) in enumerate([(0, 100), (40, 125), (90, 173)])
    ],
    "qualification": {"months": 3},
}  # fmt: skip

statements = st.tuples(st.integers(0, 9_000), st.sampled_from([0, 0, 50, 100]), st.integers(0, 3))
"""What is paid, how much of the first tender in percent, how many pieces of the first line."""
part_returns = st.one_of(st.integers(1, 2_000), st.just("line"), st.just("rest"))
"""By amount, one piece of the first line, or all that is left."""
changes = st.lists(st.tuples(st.one_of(statements, part_returns), short), min_size=1, max_size=5)


@given(short, changes, st.sampled_from(["as it is", "nothing"]), expiries, splits(), rounding, st.integers(0, 30),
       st.sampled_from([0, 0, 20, 70]), st.sampled_from([0, 0, 20]), deliveries)  # fmt: skip
def test_returns_and_restatements_leave_what_there_would_be_had_it_been_bought_so_at_first(
    first: list[Step], steps: list[Any], end: str, expiry: dict[str, Any], split: Any, how: str, tender: int,
    days_late: int, pending_days: int, delivered: int | None,
) -> None:  # fmt: skip
    lines, _ = split
    program = a_program(
        expiry=expiry, ladder=MULTIPLIED, pending_days=pending_days,
        earn_rate={"points": 3, "per_minor": 100, "rounding": how},
    )  # fmt: skip
    refunds = Refunds(Life(program).through(first))
    refunds.buy(lines, tender, days_late, awaits=delivered is not None)
    tendered = refunds.bought[-1].entry.consumed or 0
    line = refunds.bought[-1].sale.lines[0]
    for number, (what, meanwhile) in enumerate(steps):
        if number == delivered:
            refunds.deliver()
        if isinstance(what, tuple):
            paid, percent, pieces = what
            kept = (line.model_copy(update={"quantity": pieces}),) if pieces else ()
            refunds.restate(RestatePurchase(lines=kept, paid_minor=paid, points_tender=tendered * percent // 100))
        else:
            refunds.try_back(what)
        refunds.life.through(meanwhile)
    if end == "nothing":
        refunds.restate(RestatePurchase(paid_minor=0))
        refunds.restate(RestatePurchase(paid_minor=0))
    life = refunds.life
    life.settle()

    assert verify(life.account, life.entries, {1: program}) is None
    instead = refunds.bought_so_at_first()
    kept_now = kept_of(refunds.bought[-1])
    assert kept_now.points_earned == (instead.earned or 0)
    assert kept_now.points_tender == (instead.consumed or 0)
    if end == "nothing":
        assert (kept_now.paid_minor, kept_now.points_earned, kept_now.points_tender) == (0, 0, 0)
    if life.account.folded is None:
        reversals = {each.key for each in life.entries if each.reason is Reason.REVERSE or each.key.kind == "delivery"}
        gone = reversals | ({instead.key} if end == "nothing" else set())
        oracle, _ = settle(without(life, gone, instead), program, now=life.now)
        assert seen(life.account, program, life.today) == seen(oracle, program, life.today)


@given(splits(), rounding, st.integers(0, 30), st.integers(1, 9))
def test_no_part_gives_or_takes_more_than_there_is_and_parts_add_up(
    split: Any, how: str, tender: int, points: int
) -> None:
    lines, parts = split
    program = a_program(earn_rate={"points": points, "per_minor": 100, "rounding": how})
    refunds = Refunds(Life(program))
    refunds.buy(lines, tender, 0)
    before = Returned()
    for part in parts:
        asked = tuple(ReturnLine(sku=f"s{place}", quantity=quantity) for place, quantity in part)
        refunds.give_back(ReturnPurchase(lines=asked))
        after = refunds.bought[-1].returned
        for name in ("amount_minor", "refund_minor", "points_taken_back", "points_given_back", "qualifying_taken_back"):
            assert getattr(after, name) >= getattr(before, name) >= 0
        before = after
    assert derive(refunds.life.account, refunds.life.today).balance == 0
    assert sum(entry.points for entry in refunds.life.entries) == 0
    assert refunds.life.account.qualifying == {}


@given(short, expiries, splits())
def test_under_cap_a_return_leaves_no_debt_that_was_not_there_and_writes_off_the_rest(
    steps: list[Step], expiry: dict[str, Any], split: Any
) -> None:
    program = a_program(expiry=expiry, negative_balance="cap")
    refunds = Refunds(Life(program))
    refunds.buy(split[0], 0, 0)
    life = refunds.life.through(steps)
    owed = derive(life.account, life.today).owed
    refunds.give_back(ReturnPurchase())
    assert derive(life.account, life.today).owed <= owed
    assert verify(life.account, life.entries, {1: program}) is None
    assert sum(entry.points for entry in life.entries) == life.account.lifetime.balance


def test_after_spending_a_return_leaves_a_debt_that_the_next_points_pay() -> None:
    from chalicelib.points.models import SpendPoints
    from chalicelib.points.rules.commands import spend

    program = a_program()
    refunds = Refunds(Life(program))
    refunds.buy([(1, 10_000)], 0, 0)
    life = refunds.life
    command = SpendPoints(points=80)
    life._post(spend(life.account, command, EntryKey(kind="spend", parts=("s",)), program, content=b"", now=life.now))
    refunds.give_back(ReturnPurchase(amount_minor=5_000))
    assert derive(life.account, life.today).balance == -30
    refunds.give_back(ReturnPurchase())
    assert derive(life.account, life.today).balance == -80
    refunds.buy([(1, 10_000)], 0, 0)
    assert derive(life.account, life.today).lots[0].points == 20


def test_a_return_reckons_with_the_multiplier_also_where_rounding_hid_it() -> None:
    tier = {"tier_id": "t0", "name": {"zh": "级0", "en": "Tier 0"}, "threshold": 0, "multiplier_percent": 110}
    refunds = Refunds(Life(a_program(ladder={"tiers": [tier]})))
    refunds.buy([(1, 317)], 0, 0)  # 3.17 and 3.487 points are both 3
    refunds.give_back(ReturnPurchase(amount_minor=44))  # 2.73 alone would be 2; 3.003 is 3
    assert refunds.bought[-1].returned.points_taken_back == 0
    refunds.give_back(ReturnPurchase())
    assert refunds.bought[-1].returned.points_taken_back == 3


def test_a_return_after_the_points_expired_leaves_nothing_owed() -> None:
    program = a_program(expiry={"mode": "rolling", "months": 1})
    refunds = Refunds(Life(program))
    refunds.buy([(1, 10_000)], 0, 0)
    refunds.life.now = NOON + timedelta(days=70)
    refunds.life.settle()
    refunds.give_back(ReturnPurchase())
    position = derive(refunds.life.account, refunds.life.today)
    assert (position.balance, position.lapsed) == (0, 0)
    assert [entry.points for entry in refunds.life.entries] == [100, -100, -100, 100]


def test_a_tier_that_only_the_returned_purchase_reached_is_gone_with_it() -> None:
    program = a_program(ladder=LADDER)
    refunds = Refunds(Life(program))
    refunds.buy([(1, 9_500)], 0, 0)
    assert refunds.life.account.tier_id == "t2"
    refunds.give_back(ReturnPurchase())
    assert (refunds.life.account.tier_id, refunds.life.account.qualifying) == ("t0", {})
    reverse = refunds.life.entries[-1]
    assert (reverse.tier_before, reverse.tier_after) == ("t2", "t0")
    assert month_of(reverse.occurred_on) == month_of(local_day(NOON, program.time_zone))


def test_pending_points_that_come_back_are_no_longer_pending() -> None:
    program = a_program(pending_days=14)
    refunds = Refunds(Life(program))
    refunds.buy([(2, 5_000)], 0, 0)
    refunds.give_back(ReturnPurchase(lines=(ReturnLine(sku="s0", quantity=1),)))
    position = derive(refunds.life.account, refunds.life.today)
    assert (position.pending, position.balance, position.available) == (50, 50, 0)
    refunds.give_back(ReturnPurchase())
    assert refunds.life.account.pending == {}


def test_points_that_wait_for_a_delivery_are_pending_until_days_after_it() -> None:
    program = a_program(pending_days=14)
    refunds = Refunds(Life(program))
    refunds.buy([(4, 2_500)], 0, 0, awaits=True)
    life, one = refunds.life, ReturnPurchase(lines=(ReturnLine(sku="s0", quantity=1),))
    life.now += timedelta(days=60)
    assert release(life.account, life.today) is None
    assert due_on(life.account, program, life.today) != life.today
    refunds.give_back(one)
    assert derive(life.account, life.today).pending == 75
    told = life.now - timedelta(days=2)
    refunds.deliver(told)
    day = local_day(told, program.time_zone) + timedelta(days=14)
    assert life.account.pending == {day: 75}
    refunds.give_back(one)
    assert life.account.pending == {day: 50}
    assert due_on(life.account, program, life.today) == day
    assert [derive(life.account, day - timedelta(days=days)).available for days in (1, 0)] == [0, 50]
    entry = next(each for each in life.entries if each.key.kind == "delivery")
    assert (entry.points, entry.reason, released_by(entry)) == (0, Reason.RELEASE, (75, day))
    assert verify(life.account, life.entries, {1: program}) is None


def test_points_that_are_delivered_too_late_to_be_spent_are_pending_until_they_lapse() -> None:
    program = a_program(pending_days=14, expiry={"mode": "rolling", "months": 1, "bucket": "day"})
    refunds = Refunds(Life(program))
    refunds.buy([(1, 5_000)], 0, 0, awaits=True)
    life, last = refunds.life, refunds.bought[-1].entry.expires_on
    assert last is not None
    life.now += timedelta(days=25)
    refunds.deliver()
    assert [derive(life.account, last + timedelta(days=days)).pending for days in (0, 1)] == [50, 0]
    refunds.give_back(ReturnPurchase())
    assert life.account.pending == {}
    assert verify(life.account, life.entries, {1: program}) is None


def test_points_that_lapse_before_they_mature_keep_no_others_from_being_spent() -> None:
    program = a_program(pending_days=60, expiry={"mode": "end_of_year", "years": 0})
    refunds = Refunds(Life(program))
    year = refunds.life.today.year
    refunds.life.now = datetime(year, 12, 20, 4, tzinfo=UTC)
    refunds.buy([(1, 5_000)], 0, 0)
    account = refunds.life.account
    assert [derive(account, date(year, 12, 31) + timedelta(days=days)).pending for days in (0, 1)] == [50, 0]


def test_under_pending_only_points_that_wait_for_a_delivery_are_taken_back_and_delivered_ones_stay() -> None:
    refunds = Refunds(Life(a_program(negative_balance="pending_only")))
    refunds.buy([(2, 5_000)], 0, 0, awaits=True)
    refunds.life.now += timedelta(days=60)
    refunds.give_back(ReturnPurchase(lines=(ReturnLine(sku="s0", quantity=1),)))
    refunds.deliver()
    assert refunds.life.account.pending == {}
    refunds.give_back(ReturnPurchase())
    assert derive(refunds.life.account, refunds.life.today).available == 50


def test_points_that_lapse_while_they_wait_keep_no_others_from_being_spent() -> None:
    """Of 100 others 30 are spent: they paid first with the points that lapse, so those still wait."""
    program = a_program(expiry={"mode": "rolling", "months": 1})
    refunds = Refunds(Life(program))
    refunds.buy([(1, 5_000)], 0, 0, awaits=True)
    life = refunds.life.through([Wait(24 * 20), Buy(100), Spend(30)])
    assert derive(life.account, life.today).available == 70
    life.now = NOON + timedelta(days=50)
    life.settle()
    position = derive(life.account, life.today)
    assert (position.balance, position.pending, position.available) == (100, 30, 70)
    refunds.deliver()
    assert (life.account.pending, derive(life.account, life.today).available) == ({}, 100)
    assert verify(life.account, life.entries, {1: program}) is None


def test_points_that_lapse_before_they_could_be_spent_keep_no_others_from_being_spent() -> None:
    """Bought in the last days of a year at whose end points expire: their first day would be in the next one."""
    program = a_program(expiry={"mode": "end_of_year", "years": 0}, pending_days=14)
    december = NOON.replace(month=12, day=28)
    refunds = Refunds(Life(program, now=december))
    refunds.buy([(1, 10_000)], 0, 0)
    life, bought = refunds.life, refunds.bought[-1].entry
    position = derive(life.account, life.today)
    assert (position.balance, position.pending, position.available) == (100, 100, 0)
    assert shown_maturity(bought.matures_on) == date(life.today.year + 1, 1, 1)
    life.through([Wait(24 * 5), Adjust(40), Settle()])
    position = derive(life.account, life.today)
    assert (position.balance, position.lapsed, position.pending, position.available) == (40, 100, 0, 40)
    assert release(life.account, life.today + timedelta(days=30)) is None, "nobody is told that they can be spent"
    refunds.give_back(ReturnPurchase())
    assert life.account.pending == {}
    assert derive(life.account, life.today).available == 40
    assert verify(life.account, life.entries, {1: program}) is None


def test_a_delivery_told_just_before_the_points_lapse_leaves_them_pending_as_long_as_they_live() -> None:
    program = a_program(expiry={"mode": "rolling", "months": 1}, pending_days=14)
    refunds = Refunds(Life(program))
    refunds.buy([(2, 5_000)], 0, 0, awaits=True)
    life, last = refunds.life, refunds.bought[-1].entry.expires_on
    assert last is not None
    life.now += (last - life.today) - timedelta(days=2)
    life.through([Adjust(40)])
    refunds.deliver()
    entry = next(each for each in life.entries if each.key.kind == "delivery")
    assert released_by(entry) == (0, last + timedelta(days=1))
    assert derive(life.account, life.today).available == 40
    life.through([Wait(24 * 3), Settle()])
    position = derive(life.account, life.today)
    assert (position.pending, position.available) == (0, 40)
    assert verify(life.account, life.entries, {1: program}) is None


@given(st.integers(0, 364), expiries, st.integers(0, 90), st.lists(st.integers(1, 60), max_size=4), deliveries)
def test_what_expired_is_never_pending(
    start: int, expiry: dict[str, Any], pending_days: int, waits: list[int], delivered: int | None
) -> None:
    program = a_program(expiry=expiry).model_copy(update={"pending_days": pending_days})
    refunds = Refunds(Life(program, now=NOON + timedelta(days=start)))
    refunds.buy([(1, 3_000)], 0, 0, awaits=delivered is not None)
    life = refunds.life
    for number, days in enumerate(waits):
        if number == delivered:
            refunds.deliver()
        life.now += timedelta(days=days)
        position = derive(life.account, life.today)
        assert position.pending <= position.balance


def test_under_pending_only_points_that_can_be_spent_stay() -> None:
    program = a_program(pending_days=14, negative_balance="pending_only")
    refunds = Refunds(Life(program))
    refunds.buy([(2, 5_000)], 0, 0)
    refunds.give_back(ReturnPurchase(lines=(ReturnLine(sku="s0", quantity=1),)))
    refunds.life.now = NOON + timedelta(days=20)
    refunds.give_back(ReturnPurchase())
    assert derive(refunds.life.account, refunds.life.today).balance == 50
    assert refunds.bought[-1].returned.refund_minor == 10_000


def test_under_pending_only_points_that_expired_before_they_could_be_spent_stay_too() -> None:
    program = a_program(expiry={"mode": "rolling", "months": 1}, pending_days=14, negative_balance="pending_only")
    refunds = Refunds(Life(program))
    refunds.buy([(2, 5_000)], 0, 0, awaits=True)
    life, last = refunds.life, refunds.bought[-1].entry.expires_on
    assert last is not None
    life.now += (last - life.today) - timedelta(days=2)
    refunds.deliver()
    life.now += timedelta(days=30)
    refunds.give_back(ReturnPurchase())
    assert refunds.bought[-1].returned.points_taken_back == 0


def test_the_clock_of_a_return_is_checked() -> None:
    import pytest

    from chalicelib.points.errors import OccurredInFuture
    from chalicelib.purchases.errors import NothingLeft, ReturnedBeforeBought, ReturnLineUnknown, ReturnTooLarge

    refunds = Refunds(Life(a_program()))
    refunds.buy([(2, 5_000)], 0, 0)
    for fields, refusal in (
        ({"occurred_at": NOON + timedelta(days=1)}, OccurredInFuture),
        ({"occurred_at": NOON - timedelta(days=1)}, ReturnedBeforeBought),
        ({"amount_minor": 10_001}, ReturnTooLarge),
        ({"lines": (ReturnLine(sku="s0", quantity=3),)}, ReturnTooLarge),
        ({"lines": (ReturnLine(sku="x", quantity=1),)}, ReturnLineUnknown),
    ):
        with pytest.raises(refusal):
            refunds.give_back(ReturnPurchase(**fields))
    refunds.give_back(ReturnPurchase(amount_minor=10_000))
    for last in (ReturnPurchase(), ReturnPurchase(amount_minor=1)):
        with pytest.raises(NothingLeft):
            refunds.give_back(last)
