"""The laws of merges: one account that lived both lives, and after an undoing two that never met.

The oracles are replays: of the entries of both lives into one account, by the time at which they were recorded; and of
the life of each as if there had been no merge.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.corrections.rules import reversal
from chalicelib.kernel.ids import MemberId, MemberNumber
from chalicelib.kernel.languages import Language
from chalicelib.members.models import Consent, Contact, ExternalId, Gender, Profile
from chalicelib.members.rules import identifiers
from chalicelib.merges import rules as merges
from chalicelib.points.errors import HoldsOpen
from chalicelib.points.fold import applied, standing_of
from chalicelib.points.models import Account, AccountStatus, Entry, EntryKey, Posting, Reason
from chalicelib.points.rules.balances import derive
from chalicelib.points.rules.ledger import settle
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify
from chalicelib.purchases.models import ReturnPurchase
from chalicelib.purchases.rules.returns import assess_return, returned_after
from chalicelib.purchases.rules.write_offs import turns_of
from tests.makers import NOON, a_ladder, a_member_id, a_program, an_account
from tests.unit.histories import Adjust, Buy, Life, Reserve, Spend, Step, Wait, brief_histories, expiries
from tests.unit.test_returns_properties import Refunds

LADDER = a_ladder(0, 40, 90, months=3)
DAYS_AHEAD = (0, 1, 31, 90, 400)


def seen(account: Account, program: Program, today: date) -> list[Any]:
    """What anybody can see of an account, today and later."""
    shown: list[Any] = []
    for days in DAYS_AHEAD:
        on = today + timedelta(days=days)
        position, held = derive(account, on), standing_of(account, program, on)
        shown.append((position.balance, position.left, position.lapsed, position.pending, held))
    return shown


def lots_seen(account: Account, today: date) -> list[Any]:
    """What anybody can see of an account's points."""
    position = (derive(account, today + timedelta(days=days)) for days in DAYS_AHEAD)
    return [(each.balance, each.left, each.lapsed, each.pending) for each in position]


@dataclass
class Pair:
    """Two lives that are merged, and may come apart again."""

    program: Program
    gone: Life
    kept: Life
    before: tuple[Account, Account] = field(init=False)
    merged: Entry = field(init=False)

    def merge(self) -> Posting:
        """Make one of the two."""
        self.gone.now = self.kept.now = max(self.gone.now, self.kept.now)
        self.before = (self.gone.account, self.kept.account)
        moved = merges.merge(
            self.gone.account, self.kept.account, "m", self.program, content=b"m" * 32, now=self.kept.now
        )
        self._take(moved)
        self.merged = moved.gone.main
        return moved.kept

    def undo(self) -> None:
        """Make two again."""
        self.gone.now = self.kept.now
        place = next(n for n, each in enumerate(self.kept.entries) if each.key.kind == "merge_in")
        owners = {each.key: self.gone.account.member_id for each in self.gone.entries}
        home = merges.goes_home(self.kept.entries[place + 1 :], owners, (self.gone.account.member_id,))
        anchors = (self.before[0].anchor, self.before[1].anchor)
        moved = merges.undo(
            self.gone.account, self.kept.account, self.merged, home, anchors, self.program, content=b"u" * 32,
            now=self.kept.now,
        )  # fmt: skip
        self._take(moved)

    def _take(self, moved: merges.Moved) -> None:
        for life, posting in ((self.gone, moved.gone), (self.kept, moved.kept)):
            life.account = posting.account
            life.entries += posting.entries

    def verified(self) -> bool:
        """Whether both chains prove themselves."""
        lives = (self.gone, self.kept)
        return all(verify(life.account, life.entries, {1: self.program}) is None for life in lives)


def lived(program: Program, steps: list[Step]) -> Life:
    """A life of its own."""
    return Life(program, account=an_account(member_id=a_member_id(), tier_id="t0")).through(steps)


def as_one(pair: Pair) -> Account:
    """The oracle of a merge: the commands of both lives in one account, by the time at which they were recorded."""
    account = an_account(tier_id="t0")
    entries = sorted([*pair.gone.entries, *pair.kept.entries], key=lambda entry: entry.recorded_at)
    for entry in entries:
        if entry.reason not in (Reason.EXPIRE, Reason.TIER):
            account = applied(account, entry.model_copy(update={"tier_after": None}))
    return account


@settings(max_examples=60)
@given(brief_histories, brief_histories, expiries, st.sampled_from([0, 0, 20]))
def test_a_merged_account_is_as_if_both_had_always_been_one(
    first: list[Step], second: list[Step], expiry: dict[str, Any], pending_days: int
) -> None:
    program = a_program(expiry=expiry, ladder=LADDER, pending_days=pending_days)
    pair = Pair(program, lived(program, first), lived(program, second))
    oracle = as_one(pair)
    pair.gone.now = pair.kept.now = max(pair.gone.now, pair.kept.now)
    alone = [standing_of(life.account, program, life.today) for life in (pair.gone, pair.kept)]
    balances = sum(life.account.lifetime.balance for life in (pair.gone, pair.kept))
    folded = any(life.account.folded for life in (pair.gone, pair.kept))
    posting = pair.merge()

    account, life = pair.kept.account, pair.kept
    assert pair.verified()
    assert pair.gone.account.status is AccountStatus.MERGED
    assert derive(pair.gone.account, life.today).left == ()
    assert pair.gone.account.lifetime.balance == 0
    lapsed_before = sum(-entry.points for entry in posting.entries[:-1] if entry.reason is Reason.EXPIRE)
    assert lapsed_before >= 0 or posting.main.lapsed is not None
    assert posting.main.lapsed is None or posting.main.lapsed < 0, "as one, nothing lapses that did not lapse before"
    assert account.lifetime.balance == derive(account, life.today).balance
    booked = sum(each.points for each in (*life.entries, *pair.gone.entries) if each.reason is Reason.EXPIRE)
    moved = sum(each.points for each in (*life.entries, *pair.gone.entries) if each.reason is Reason.MERGE)
    assert moved == 0
    assert account.lifetime.expired == -booked
    assert balances >= 0 or account.lifetime.balance <= 0 or posting.main.lapsed
    ranks = ["t0", "t1", "t2"]
    held = standing_of(account, program, life.today)
    assert ranks.index(held.tier_id) >= max(ranks.index(each.tier_id) for each in alone)
    if not folded:
        oracle, _ = settle(oracle, program, now=life.now)
        assert lots_seen(account, life.today) == lots_seen(oracle, life.today)
        assert held.qualifying_points == standing_of(oracle, program, life.today).qualifying_points
        if account.anchor is None:
            assert seen(account, program, life.today) == seen(oracle, program, life.today)


between = st.lists(
    st.one_of(
        st.builds(Buy, st.integers(0, 60), st.just(0), st.integers(0, 20)),
        st.builds(Spend, st.integers(1, 40)),
        st.integers(0, 24 * 6).map(Wait),
    ),
    max_size=5,
)


@settings(max_examples=60)
@given(brief_histories, brief_histories, between, expiries, st.sampled_from([0, 0, 20]))
def test_after_an_undoing_both_are_as_if_they_had_never_been_merged(
    first: list[Step], second: list[Step], since: list[Step], expiry: dict[str, Any], pending_days: int
) -> None:
    program = a_program(expiry=expiry, ladder=LADDER, pending_days=pending_days)
    pair = Pair(program, lived(program, first), lived(program, second))
    never = Pair(program, lived(program, []), lived(program, []))
    pair.merge()
    known = len(pair.kept.entries)
    pair.kept.through(since)
    never.gone.account, never.kept.account = pair.before
    for entry in pair.kept.entries[known:]:
        if entry.reason not in (Reason.EXPIRE, Reason.TIER):
            never.kept.account = applied(never.kept.account, entry.model_copy(update={"tier_after": None}))
    pair.undo()

    assert pair.verified()
    assert pair.gone.account.status is AccountStatus.ACTIVE
    moved = [each for each in (*pair.gone.entries, *pair.kept.entries) if each.reason is Reason.MERGE]
    assert sum(each.points for each in moved) == 0
    if any(each.folded for each in pair.before):
        return
    for ours, oracle in ((pair.gone, never.gone.account), (pair.kept, never.kept.account)):
        settled, _ = settle(oracle, program, now=pair.kept.now)
        assert seen(ours.account, program, pair.kept.today) == seen(settled, program, pair.kept.today)
        assert ours.account.lifetime == settled.lifetime


monthly = st.tuples(st.integers(0, 400), st.integers(0, 30), st.integers(0, 40), st.integers(0, 90))
"""Days before the first of thirty months, and what every month brings: yuan, points taken, days that they last."""


def for_years(program: Program, habit: tuple[int, int, int, int]) -> Life:
    """A life in which every month is the same; more may be taken than there is, and what is not may lapse."""
    wait, yuan, taken, lasts = habit
    month: list[Step] = [Wait(24 * 31), Buy(yuan), Adjust(3, lasts_days=lasts), Adjust(-taken - 1)]
    return lived(program, [Wait(24 * wait), *(step for _ in range(30) for step in month)])


@settings(max_examples=15)
@given(monthly, monthly, expiries)
def test_accounts_of_years_that_are_folded_differently_are_merged_and_told_apart_again(
    first: tuple[int, int, int, int], second: tuple[int, int, int, int], expiry: dict[str, Any]
) -> None:
    program = a_program(expiry=expiry, ladder=LADDER)
    pair = Pair(program, for_years(program, first), for_years(program, second))
    pair.gone.now = pair.kept.now = max(pair.gone.now, pair.kept.now)
    for life in (pair.gone, pair.kept):
        life.settle()
    today, later = pair.kept.today, pair.kept.today + timedelta(days=20)
    was = seen(pair.gone.account, program, later)
    balances = sum(derive(life.account, today).balance for life in (pair.gone, pair.kept))
    other = Pair(
        program, Life(program, pair.kept.now, pair.kept.account), Life(program, pair.kept.now, pair.gone.account)
    )
    posting = pair.merge()
    other.merge()
    assert derive(pair.kept.account, today).balance == balances - (posting.main.lapsed or 0)
    assert lots_seen(pair.kept.account, today) == lots_seen(other.kept.account, today), "whoever stays"
    pair.kept.now += timedelta(days=20)
    bought = len(pair.kept.entries)
    pair.kept.through([Buy(1), Adjust(-1)])
    pair.undo()

    assert pair.verified()
    assert seen(pair.gone.account, program, later) == was
    never = pair.before[1]
    for entry in pair.kept.entries[bought:-1]:
        if entry.reason in (Reason.EARN, Reason.ADJUST):
            never = applied(never, entry.model_copy(update={"tier_after": None}))
    assert seen(pair.kept.account, program, later) == seen(never, program, later)


@settings(max_examples=60)
@given(brief_histories, between, brief_histories, st.integers(1, 99), st.sampled_from([0, 20]))
def test_returns_and_reversals_of_what_the_one_had_go_home_with_it(
    first: list[Step], since: list[Step], second: list[Step], yuan: int, pending_days: int
) -> None:
    program = a_program(ladder=LADDER, pending_days=pending_days)
    refunds = Refunds(lived(program, [*first, Buy(5), Adjust(7)]))
    given = refunds.life.entries[-1]
    refunds.buy([(1, 10_000)], 0, 0)
    bought = refunds.bought[-1]
    pair = Pair(program, refunds.life, lived(program, second))
    pair.merge()
    pair.kept.through(since)
    asked = ReturnPurchase(amount_minor=yuan * 100)
    after = returned_after(bought, asked, program.negative_balance, pair.kept.today)
    key = EntryKey(kind="return", parts=(*bought.entry.key.parts, "r"))
    now = pair.kept.now
    turns = turns_of(bought.entry)
    back = assess_return(pair.kept.account, bought, after, asked, key, program, content=b"r" * 32, now=now, turns=turns)
    pair.kept._post(back)
    taken = reversal(pair.kept.account, given, "mistake", program, content=b"v" * 32, now=now)
    pair.kept._post(taken)
    oracle = pair.before[0]
    for entry in (back.main, taken.main):
        oracle = applied(oracle, entry.model_copy(update={"tier_after": None}))
    pair.undo()

    assert pair.verified()
    if oracle.folded is None and pair.before[1].folded is None:
        settled, _ = settle(oracle, program, now=pair.kept.now)
        today = pair.kept.today
        assert seen(pair.gone.account, program, today) == seen(settled, program, today)


def test_who_has_points_on_hold_is_not_merged_until_they_are_free() -> None:
    program = a_program()
    pair = Pair(program, lived(program, [Buy(30), Reserve(10, hours=2)]), lived(program, []))
    gone, kept = pair.gone.account, pair.kept.account
    now = pair.gone.now
    with pytest.raises(HoldsOpen):
        merges.require_mergeable(gone, kept, gone.member_id, kept.member_id, now)
    pair.gone.now = pair.kept.now = now + timedelta(hours=2)
    merges.require_mergeable(gone, kept, gone.member_id, kept.member_id, pair.gone.now)
    pair.merge()
    assert [entry.reason for entry in pair.gone.entries[-2:]] == [Reason.RELEASE, Reason.MERGE]
    assert (pair.gone.account.holds, pair.kept.account.lifetime.balance) == ({}, 30)
    assert pair.verified()


def a_profile(number: int, **fields: Any) -> Profile:
    """Somebody."""
    chance = MemberNumber.from_chance(number)
    contact = Contact(**fields.pop("contact", {}))
    return Profile(member_id=MemberId.of(chance), member_number=chance, contact=contact, joined_at=NOON, **fields)


def consent(purpose: str, granted: bool, days: int) -> Consent:
    """A consent, given or withdrawn on a day."""
    return Consent(purpose=purpose, granted=granted, text_version="1", at=NOON + timedelta(days=days))


def test_profiles_are_united_and_told_apart_field_by_field() -> None:
    into = a_profile(
        1, contact={"name": "A", "mobile": "+861"}, tags=("x",), custom={"size": "M"}, version=3,
        consents=(consent("sms", True, 1), consent("mail", True, 5), consent("call", True, 2)),
    )  # fmt: skip
    other = a_profile(
        2, contact={"name": "B", "mobile": "+862", "email": "b@c.cn", "birth_year": 1990,
                    "external_ids": (ExternalId(source="erp", id="7"),)},
        month_day="05-01", gender=Gender.FEMALE, language=Language.EN, tags=("x", "y"),
        custom={"size": "S", "pet": "cat"},
        consents=(consent("sms", False, 3), consent("mail", False, 4), consent("call", False, 2),
                  consent("post", True, 1)),
    )  # fmt: skip
    united, brought = merges.united(into, other)

    assert (united.contact.name, united.contact.mobile, united.contact.email) == ("A", "+861", "b@c.cn")
    assert (united.birthday, united.gender, united.language) == ("1990-05-01", Gender.FEMALE, Language.EN)
    assert united.tags == ("x", "y")
    assert (united.custom, united.version) == ({"size": "M", "pet": "cat"}, 4)
    assert set(brought.fields) == {"email", "gender", "language", "birthday"}
    assert {each.purpose: each.granted for each in united.consents} == {
        "sms": False, "mail": True, "call": False, "post": True,
    }  # fmt: skip
    assert set(identifiers(united.contact)) == {*identifiers(into.contact), *identifiers(other.contact)}

    stays, again, back = merges.told_apart(united, other, brought)
    assert stays == into.model_copy(update={"version": 5, "consents": stays.consents})
    assert set(stays.consents) == set(into.consents)
    assert again == other.model_copy(update={"version": 2})
    assert set(back) == set(identifiers(other.contact))

    later = consent("post", False, 9)
    kept = tuple(each for each in united.consents if each.purpose != "post")
    contact = united.contact.model_copy(update={"email": "new@c.cn", "mobile": "+862", "others": ()})
    edited = united.model_copy(
        update={"gender": Gender.OTHER, "custom": {"pet": "dog"}, "consents": (*kept, later), "contact": contact}
    )
    stays, again, back = merges.told_apart(edited, other, brought)
    assert (stays.gender, stays.custom, later in stays.consents) == (Gender.OTHER, {"pet": "dog"}, True)
    assert (stays.contact.email, stays.contact.mobile, again.contact.email, again.contact.mobile) == (
        "new@c.cn", None, None, "+862",
    )  # fmt: skip
    assert set(back) == {("mobile", "+862"), ("ext", "erp:7")}


def test_nobody_falls_by_a_merge_also_where_both_as_one_would_have_been_judged_by_now() -> None:
    """As one they reach the tier in January and lose it in May; the one alone reached it in February and has it."""
    program = a_program(ladder=LADDER)

    def of(*months: tuple[int, int]) -> Life:
        steps = Life(program, account=an_account(member_id=a_member_id(), tier_id="t0"))
        for month, yuan in months:
            steps.now = NOON.replace(month=month)
            steps.through([Buy(yuan)])
        return steps

    pair = Pair(program, of((1, 20), (2, 20)), of((1, 20)))
    pair.gone.now = pair.kept.now = NOON.replace(month=5)
    as_both = standing_of(as_one(pair), program, pair.kept.today)
    alone = standing_of(pair.gone.account, program, pair.kept.today)
    assert (as_both.tier_id, alone.tier_id) == ("t0", "t1")
    posting = pair.merge()
    held = standing_of(pair.kept.account, program, pair.kept.today)
    assert (posting.tier_before, posting.tier_after, held.review_after) == ("t0", "t1", alone.review_after)
    assert pair.kept.account.anchor is not None
    pair.kept.through([Buy(90)])
    assert pair.kept.account.tier_id == "t2", "what is bought in the month of the merge still lifts"
    pair.undo()
    assert pair.gone.account.tier_id == "t1"
    assert standing_of(pair.kept.account, program, pair.kept.today).tier_id == "t2", "by what it bought itself"
    assert pair.verified()
