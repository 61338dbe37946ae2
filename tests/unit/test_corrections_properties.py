"""The law of reversals: without an entry that was taken back, and with it again when that was taken back too.

The oracle is a replay of the same life without the entry and its reversal, as for returns.
"""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.corrections.rules import REVERSALS_MAX, instead_of, reversal
from chalicelib.kernel.calendar import NEVER
from chalicelib.kernel.ids import AccountId
from chalicelib.points.models import AdjustPoints, Entry, EntryKey, Reason, SpendPoints
from chalicelib.points.rules.balances import derive
from chalicelib.points.rules.commands import adjust, gift, spend
from chalicelib.points.rules.ledger import settle
from chalicelib.points.rules.reversals import reversal_key, write_off_key
from chalicelib.proof.rules import verify
from tests.makers import NOON, a_program
from tests.unit.histories import Adjust, Buy, Life, Settle, Spend, Step, Wait, brief_histories, expiries
from tests.unit.test_returns_properties import LADDER, seen, without


def take_back(life: Life, entry: Entry) -> Entry:
    """Take an entry of a life back, and the write-off that it caused."""
    posting = reversal(life.account, entry, "mistake", life.program, content=b"v" * 32, now=life.now)
    life.account = posting.account
    life.entries += posting.entries
    return posting.main


@settings(max_examples=80)
@given(brief_histories, brief_histories, brief_histories, expiries, st.integers(0, 10**6), st.integers(1, 4),
       st.sampled_from([0, 20]), st.sampled_from(["owe", "cap"]))  # fmt: skip
def test_an_entry_that_was_taken_back_leaves_what_there_would_be_without_it(
    first: list[Step], then: list[Step], after: list[Step], expiry: dict[str, Any], place: int, times: int,
    pending_days: int, policy: str,
) -> None:  # fmt: skip
    program = a_program(expiry=expiry, ladder=LADDER, pending_days=pending_days, negative_balance=policy)
    life = Life(program).through([*first, Adjust(9, lasts_days=40), Spend(3)])
    able = [entry for entry in life.entries if instead_of(entry) is None]
    entry = able[place % len(able)]
    life.through(then)
    chain = [entry]
    for _ in range(times):
        chain.append(take_back(life, chain[-1]))
        life.now += timedelta(hours=1)
    life.through(after)
    life.settle()

    assert verify(life.account, life.entries, {1: program}) is None
    assert life.account.lifetime.balance == sum(each.points for each in life.entries)
    if life.account.folded is None:
        gone = {each.key for each in (chain if times % 2 else chain[1:])}
        gone |= {write_off_key(each.key) for each in chain[1:-1]}  # what came back paid for what had been written off
        oracle, _ = settle(without(life, gone), program, now=life.now)
        assert seen(life.account, program, life.today) == seen(oracle, program, life.today)
        assert life.account.lifetime == oracle.lifetime


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["give", "spend", "turn"]), st.integers(0, 10**6)), max_size=25),
       st.sampled_from(["owe", "cap", "pending_only"]))  # fmt: skip
def test_turning_entries_to_and_fro_makes_no_points(steps: list[tuple[str, int]], policy: str) -> None:
    life = Life(a_program(negative_balance=policy))
    turned: list[list[Entry]] = []
    """Each entry, and what took it back, put it back …"""
    for what, figure in [("give", 99), *steps]:
        left = derive(life.account, life.today).available
        life.now += timedelta(minutes=1)
        if what == "turn":
            chain = turned[figure % len(turned)]
            if instead_of(chain[-1]) is None:
                chain.append(take_back(life, chain[-1]))
        elif what == "give" or left:
            life.through([Adjust(figure % 100 + 1) if what == "give" else Spend(figure % left + 1)])
            turned.append([life.entries[-1]])
    given = sum(chain[0].points for chain in turned if chain[0].points > 0)
    spends = [chain for chain in turned if chain[0].points < 0]
    spent = -sum(chain[0].points for chain in spends if len(chain) % 2)
    put_back = -sum(chain[0].points for chain in spends if len(chain) > 1 and len(chain) % 2)
    # A spend that was put back after its points were used otherwise is written off as any debt, once.
    assert derive(life.account, life.today).available + spent <= given + put_back
    assert verify(life.account, life.entries, {1: life.program}) is None


@settings(max_examples=40)
@given(brief_histories, brief_histories, st.sampled_from(["cap", "pending_only"]))
def test_where_nobody_owes_a_reversal_leaves_no_debt_that_was_not_there(
    first: list[Step], then: list[Step], policy: str
) -> None:
    life = Life(a_program(negative_balance=policy)).through([*first, Adjust(9)])
    entry = next(each for each in reversed(life.entries) if each.reason is Reason.ADJUST)
    life.through(then)
    owed = derive(life.account, life.today).owed
    take_back(life, entry)
    assert derive(life.account, life.today).owed <= owed
    assert verify(life.account, life.entries, {1: life.program}) is None


def test_every_figure_of_an_adjustment_and_of_a_spend_comes_back_to_its_place() -> None:
    program = a_program(ladder=LADDER)
    life = Life(program)
    command = AdjustPoints(points=100, reason_code="gift", qualifying_points=50)
    life._post(adjust(life.account, command, EntryKey(kind="adjust", parts=("a",)), program, content=b"", now=life.now))
    given = life.entries[-1]
    spending = SpendPoints(points=30)
    life._post(spend(life.account, spending, EntryKey(kind="spend", parts=("s",)), program, content=b"", now=life.now))
    spent = life.entries[-1]
    assert life.account.tier_id == "t1"

    taken = take_back(life, given)
    assert (taken.points, taken.tier_before, taken.tier_after, taken.cause) == (-100, "t1", "t0", given.key)
    assert derive(life.account, life.today).owed == 30
    take_back(life, spent)
    assert (life.account.lifetime.model_dump(), life.account.earned, life.account.spent, life.account.qualifying) == (
        {"earned": 0, "spent": 0, "expired": 0, "taken": 0}, {}, {}, {},
    )  # fmt: skip
    assert take_back(life, taken).tier_after == "t1"
    assert derive(life.account, life.today).balance == 100


def test_points_that_were_taken_by_hand_count_as_taken_no_more() -> None:
    life = Life(a_program()).through([Buy(100), Adjust(-40)])
    take_back(life, life.entries[-1])
    assert (life.account.lifetime.taken, life.account.lifetime.spent, life.account.lifetime.balance) == (0, 0, 100)


def test_a_gift_that_expired_can_be_taken_back_and_nothing_is_owed() -> None:
    program = a_program(expiry={"mode": "rolling", "months": 1})
    life = Life(program)
    tier = program.ladder.tiers[0].model_copy(update={"birthday_points": 50})
    program = program.model_copy(update={"ladder": program.ladder.model_copy(update={"tiers": (tier,)})})
    key = EntryKey(kind="birthday", parts=(life.account.member_id, "2026"))
    posting = gift(life.account, key, program, on=life.today, content=b"", now=life.now)
    assert posting is not None
    life._post(posting)
    life.now = NOON + timedelta(days=80)
    life.settle()
    take_back(life, posting.main)
    assert [entry.points for entry in life.entries] == [50, -50, -50, 50]
    assert derive(life.account, life.today).lapsed == 0


def test_what_is_not_taken_back_as_such_says_what_to_do_instead() -> None:
    life = Life(a_program(expiry={"mode": "rolling", "months": 1}, ladder=LADDER))
    life.through([Buy(50), Wait(24 * 200), Settle()])
    by_reason = {entry.reason: entry for entry in life.entries}
    bought = by_reason[Reason.EARN]

    def instead(**fields: Any) -> str | None:
        return instead_of(bought.model_copy(update=fields))

    assert instead_of(bought) == "return what is left of the purchase"
    assert "adjustment" in str(instead_of(by_reason[Reason.EXPIRE]))
    assert "adjust" in str(instead_of(by_reason[Reason.TIER]))
    back = EntryKey(kind="return", parts=("pos", "1", "r"))
    assert instead(reason=Reason.REVERSE, key=back) == "restate the order as it is now"
    for reason, kind, said in (
        (Reason.HOLD, "hold", "release"), (Reason.RELEASE, "hold_end", "held again"),
        (Reason.TRANSFER, "transfer", "cancel"), (Reason.MERGE, "merge", "undo the merge"),
        (Reason.ADJUST, "close", "closed"), (Reason.EARN, "other", "operation that made it"),
    ):  # fmt: skip
        assert said in str(instead(reason=reason, key=EntryKey(kind=kind, parts=("k",))))
    spent = EntryKey(kind="spend", parts=("k",))
    assert instead(reason=Reason.SPEND, key=spent) is None
    assert instead(reason=Reason.SPEND, key=spent, member_id=AccountId("pol_abcdefghij234567")) is None
    assert "card" in str(instead(reason=Reason.SPEND, key=spent, member_id=AccountId("crd_abcdefghij234567")))
    key = spent
    for _ in range(REVERSALS_MAX):
        assert instead(reason=Reason.REVERSE if key != spent else Reason.SPEND, key=key) is None
        key = reversal_key(key)
    assert key == EntryKey(kind="reverse", parts=("20", "spend", "k"))
    assert "20 times" in str(instead(reason=Reason.REVERSE, key=key))


@pytest.mark.parametrize("policy", ["cap", "owe"])
def test_a_write_off_that_is_taken_back_leaves_its_debt(policy: str) -> None:
    life = Life(a_program(negative_balance=policy)).through([Adjust(40), Spend(40)])
    given = next(each for each in life.entries if each.reason is Reason.ADJUST)
    take_back(life, given)
    owed = derive(life.account, life.today).owed
    assert owed == (40 if policy == "owe" else 0)
    if policy == "cap":
        off = life.entries[-1]
        assert (off.key.kind, off.points, off.expires_on != NEVER) == ("write_off", 40, True)
        take_back(life, off)
        assert derive(life.account, life.today).owed == 40
