"""Planted where points are held for later, or move between accounts."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from chalicelib.holds import rules as hold_rules
from chalicelib.holds.models import Hold
from chalicelib.kernel.calendar import month_of
from chalicelib.merges import rules as merge_rules
from chalicelib.points import fold, store
from chalicelib.points.models import Account, EntryKey, Position, Reason
from chalicelib.points.rules import balances, ledger
from chalicelib.pools import rules as pool_rules
from chalicelib.pools import service as pool_service
from chalicelib.pools.models import Role
from chalicelib.programs.rules import today_of
from chalicelib.storage import keys
from chalicelib.storage.writes import Absent, Write
from chalicelib.transfers import rules as transfer_rules
from chalicelib.transfers import service as transfer_service
from tests.sim.planted.registry import about, forget

# ---------------------------------------------------------------- holds


@about("hold")
def hold_ends_twice(patch: pytest.MonkeyPatch) -> None:
    """The account does not forget a hold that was captured, and its end is written over."""
    _ends_again(patch, lambda entry: entry.reason in (Reason.SPEND, Reason.EARN))


def _ends_again(patch: pytest.MonkeyPatch, forgotten: Callable[[Any], bool]) -> None:
    """Let holds go on after some of their ends."""
    real = fold._holds_after
    patch.setattr(fold, "_holds_after", lambda holds, entry: dict(holds) if forgotten(entry) else real(holds, entry))
    ends = ("K#hold_end#", "K#transfer_in#")
    forget(patch, lambda condition, item: isinstance(condition, Absent) and str(item.get("pk")).startswith(ends))


@about("hold")
def captured_after_its_time(patch: pytest.MonkeyPatch) -> None:
    """A hold can be captured as long as nobody has booked that it is over."""

    def live(account: Account, hold_key: EntryKey, program: Any, *, now: Any) -> Hold | None:
        reserved = account.holds.get(fold.hold_name(hold_key))
        return Hold(hold_key, reserved) if reserved is not None else None

    for module in (hold_rules, transfer_service):
        patch.setattr(module, "live", live)
    patch.setattr(ledger, "time_out", lambda account, program, *, now: (account, ()))


@about("hold")
def time_out_by_job_only(patch: pytest.MonkeyPatch) -> None:
    """What is held stays so after its time, until a job comes by."""
    real, settled = balances.derive, ledger._settled

    def unsettled(account: Account, program: Any, held: Any, *, now: Any) -> Any:
        after, *rest = settled(account.model_copy(update={"holds": {}}), program, held, now=now)
        return after.model_copy(update={"holds": account.holds}), *rest

    patch.setattr(balances, "derive", lambda account, on, at=None: real(account, on))
    patch.setattr(ledger, "_settled", unsettled)


@about("hold")
def held_points_can_be_spent(patch: pytest.MonkeyPatch) -> None:
    """What is reserved is forgotten when something else is paid."""
    patch.setattr(Position, "available", property(lambda self: max(self.balance - self.pending, 0)))


@about("hold")
def capture_asks_for_the_balance(patch: pytest.MonkeyPatch) -> None:
    """A hold whose points a return has taken meanwhile is refused to the till that was promised them."""
    real = hold_rules.captured

    def captured(draft: Any, held: Hold) -> Any:
        return replace(real(draft, held), may_owe=False)

    patch.setattr(hold_rules, "captured", captured)


# ---------------------------------------------------------------- between accounts


@about("transfer")
def accepted_twice(patch: pytest.MonkeyPatch) -> None:
    """An offer stays open when it is accepted."""
    _ends_again(patch, lambda entry: entry.reason is Reason.TRANSFER)


@about("transfer")
def accepted_after_cancelling(patch: pytest.MonkeyPatch) -> None:
    """An offer that was cancelled or declined stays open."""
    _ends_again(patch, lambda entry: entry.reason_code in ("cancelled", "declined"))


@about("transfer", "pool")
def lots_get_younger(patch: pytest.MonkeyPatch) -> None:
    """Points that are passed on begin a new life."""
    real = balances.lots_taken

    def taken(account: Account, points: int, on: date) -> dict[date, int]:
        lots = real(account, points, on)
        return {max(lots): points} if lots else lots

    patch.setattr(balances, "lots_taken", taken)


@about("transfer")
def fee_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """The fee is offered and held, and never taken."""
    real = transfer_rules.offered
    patch.setattr(transfer_rules, "offered", lambda offer: (real(offer)[0], 0))


@about("transfer")
def open_offers_do_not_count(patch: pytest.MonkeyPatch) -> None:
    """The month's limit looks at what was accepted alone."""
    patch.setattr(ledger, "given_away", lambda giver, program, at: giver.sent.get(month_of(today_of(program, at)), 0))


@about("pool")
def contribution_is_not_taken(patch: pytest.MonkeyPatch) -> None:
    """The pool gets the points, and the member keeps them."""
    real = pool_service._writes_of
    patch.setattr(pool_service, "_writes_of", lambda giver, receiver, moved: real(giver, receiver, moved)[1:-1] or [])

    def writes(giver: Account, receiver: Account, moved: Any) -> list[Write]:
        return [each for each in real(giver, receiver, moved) if not _is_of(each, giver.member_id)]

    patch.setattr(pool_service, "_writes_of", writes)


def _is_of(write: Write, account_id: str) -> bool:
    return write.key == keys.account(account_id)


@about("pool")
def limit_is_for_one_spend(patch: pytest.MonkeyPatch) -> None:
    """The month's limit looks at each spend alone."""
    patch.setattr(pool_rules, "spent_this_month", lambda membership, on: 0)


@about("pool")
def roles_are_not_asked(patch: pytest.MonkeyPatch) -> None:
    """Who may only contribute spends."""
    real = pool_rules.having_spent

    def spent(membership: Any, points: int, on: date) -> Any:
        return real(membership.model_copy(update={"role": Role.SPENDER}), points, on)

    patch.setattr(pool_rules, "having_spent", spent)


@about("merge")
def merge_leaves_points_behind(patch: pytest.MonkeyPatch) -> None:
    """The soonest lot stays where it was."""
    real = fold.sums_of

    def sums(account: Account) -> Any:
        whole = real(account)
        soonest = min(whole.earned, default=None)
        return whole.model_copy(update={"earned": {d: p for d, p in whole.earned.items() if d != soonest}})

    patch.setattr(fold, "sums_of", sums)


@about("merge")
def undo_takes_what_came_since(patch: pytest.MonkeyPatch) -> None:
    """An undoing moves all that there is by then, also what the one who stayed got and spent since."""
    patch.setattr(merge_rules, "_moved_back", lambda account, into, merged, home, today: fold.sums_of(into))


@about("merge")
def undo_forgets_returns(patch: pytest.MonkeyPatch) -> None:
    """What came back since of an old purchase is not taken along when a merge is undone."""
    patch.setattr(merge_rules, "goes_home", lambda since, owners, family: [])


@about("merge")
def merged_account_answers(patch: pytest.MonkeyPatch) -> None:
    """A command on an old id is carried out on the account that was merged."""
    patch.setattr(store, "find_answering", store.find_account)
