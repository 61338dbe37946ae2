"""The laws of merges: one account that lived both lives, and after an undoing two that never met.

The oracles are replays: of the entries of both lives into one account, by the time at which they were recorded; and of
the life of each as if there had been no merge.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.merges import rules as merges
from chalicelib.points.models import Account, AccountStatus, Entry, Posting, Reason
from chalicelib.points.rules import applied, derive, settle, standing_of
from chalicelib.programs.models import Program
from chalicelib.proof.rules import verify
from tests.makers import a_ladder, a_member_id, a_program, an_account
from tests.unit.histories import Buy, Life, Spend, Step, Wait, brief_histories, expiries

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
        anchors = (self.before[0].anchor, self.before[1].anchor)
        moved = merges.undo(
            self.gone.account, self.kept.account, self.merged, (), anchors, self.program, content=b"u" * 32,
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


@settings(max_examples=12)
@given(st.integers(0, 400), st.integers(0, 400), st.integers(1, 60), expiries)
def test_accounts_of_years_that_are_folded_differently_are_merged_and_told_apart_again(
    first_days: int, second_days: int, yuan: int, expiry: dict[str, Any]
) -> None:
    """Each bought every month for years, and began and stopped at another time."""
    program = a_program(expiry=expiry, ladder=LADDER)
    steps: list[Step] = [each for _ in range(30) for each in (Wait(24 * 31), Buy(yuan), Spend(yuan // 3 + 1))]
    pair = Pair(
        program, lived(program, [Wait(24 * first_days), *steps]), lived(program, [Wait(24 * second_days), *steps])
    )
    pair.gone.now = pair.kept.now = max(pair.gone.now, pair.kept.now)
    for life in (pair.gone, pair.kept):
        life.settle()
    today, later = pair.kept.today, pair.kept.today + timedelta(days=20)
    was = [seen(life.account, program, later) for life in (pair.gone, pair.kept)]
    balances = sum(derive(life.account, today).balance for life in (pair.gone, pair.kept))
    posting = pair.merge()
    assert derive(pair.kept.account, today).balance == balances - (posting.main.lapsed or 0)
    pair.kept.now += timedelta(days=20)
    pair.undo()

    assert pair.verified()
    assert [seen(life.account, program, later) for life in (pair.gone, pair.kept)] == was
