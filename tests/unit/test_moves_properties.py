"""Points that move between accounts: nothing is made or lost, and nothing becomes younger."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.kernel.ids import MemberId
from chalicelib.points.models import EntryKey
from chalicelib.points.rules.balances import derive
from chalicelib.pools.rules import move
from chalicelib.proof.rules import verify
from tests.makers import a_program, an_account
from tests.unit.histories import OTHER_MEMBER, Life, Step, expiries, histories, lots_of


@settings(max_examples=40)
@given(histories, histories, expiries, st.integers(1, 100))
def test_points_that_move_keep_their_last_days_and_both_chains_hold(
    steps: list[Step], other_steps: list[Step], expiry: dict[str, Any], percent: int
) -> None:
    program = a_program(expiry=expiry)
    giver = Life(program).through(steps)
    receiver = Life(program, now=giver.now, account=an_account().model_copy(update={"member_id": OTHER_MEMBER}))
    receiver.through(other_steps)
    now = max(giver.now, receiver.now)
    giver.now = receiver.now = now
    giver.settle()
    receiver.settle()
    today = max(giver.today, receiver.today)
    points = derive(giver.account, today, now).available * percent // 100
    if not points:
        return
    before = (lots_of(giver.account, today), lots_of(receiver.account, today))
    balances = derive(giver.account, today).balance + derive(receiver.account, today).balance

    moved = move(
        giver.account, receiver.account, points, EntryKey(kind="contribution", parts=("k",)), program,
        actor=MemberId(giver.account.member_id), content=b"c", now=now,
    )  # fmt: skip

    out, into = moved.out.account, moved.into.account
    assert derive(out, today).balance + derive(into, today).balance == balances
    gone = {day: n - lots_of(out, today).get(day, 0) for day, n in before[0].items()}
    assert sum(gone.values()) == points
    assert moved.into.main.sums is not None
    assert moved.into.main.sums.earned == {day: n for day, n in gone.items() if n}
    lots = lots_of(into, today)
    assert max(lots, default=today) <= max([*before[0], *before[1]], default=today)
    for life, posting in ((giver, moved.out), (receiver, moved.into)):
        assert verify(posting.account, [*life.entries, *posting.entries], {1: program}) is None
        later = today + timedelta(days=800)
        assert derive(posting.account, later).lapsed >= derive(posting.account, today).lapsed
