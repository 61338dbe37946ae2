"""Planted in purchases: returns, restatements, returns that wait, and what takes entries back."""

import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.corrections import rules as correction_rules
from chalicelib.points import fold
from chalicelib.points.errors import MemberClosed
from chalicelib.points.models import Account, AccountStatus
from chalicelib.points.rules import balances, ledger, reversals
from chalicelib.programs.rules import earned_points, expires_on, today_of
from chalicelib.purchases import store as purchase_store
from chalicelib.purchases.errors import OrderMoved
from chalicelib.purchases.models import After
from chalicelib.purchases.rules import orders, returns
from chalicelib.purchases.service import recording
from chalicelib.storage.writes import Item, Put, Still, Write
from tests.sim.planted.registry import about, bug, forget, numbered

# ---------------------------------------------------------------- returns


def _returned(patch: pytest.MonkeyPatch, change: Callable[[Any, Any], dict[str, int]]) -> None:
    """Change what a return comes to, from what was bought and what would be right."""
    real = returns.returned_after

    def after(bought: Any, *a: Any) -> Any:
        right = real(bought, *a)
        return right.model_copy(update=change(bought, right))

    patch.setattr(returns, "returned_after", after)


@bug
def uncapped_return(patch: pytest.MonkeyPatch) -> None:
    """What came back is not counted, so it may come back again."""
    real = purchase_store.count_return

    def count(item: Item, after: Any) -> Write:
        write = real(item, after)
        return Put(write.key, dict(item), Still("rn", None), lambda _: OrderMoved())

    patch.setattr(purchase_store, "count_return", count)


@bug
def returns_race(patch: pytest.MonkeyPatch) -> None:
    """A return is written also when another one came first."""
    forget(patch, lambda condition, item: isinstance(condition, Still))


@bug
def return_in_todays_bucket(patch: pytest.MonkeyPatch) -> None:
    """A return takes points that expire as if they were given today."""
    real = returns.assess_return

    def assess(
        account: Any, bought: Any, after: Any, command: Any, key: Any, program: Any, *, now: Any, **more: Any
    ) -> Any:
        last = expires_on(today_of(program, now), program.expiry)
        entry = bought.entry.model_copy(update={"expires_on": bought.entry.expires_on and last})
        return real(account, replace(bought, entry=entry), after, command, key, program, now=now, **more)

    patch.setattr(returns, "assess_return", assess)


@bug
def tender_not_given_back(patch: pytest.MonkeyPatch) -> None:
    """Points that paid for what comes back are gone."""
    _returned(patch, lambda bought, right: {"points_given_back": bought.returned.points_given_back})


@bug
def each_return_rounds(patch: pytest.MonkeyPatch) -> None:
    """Each part is rounded by itself, so that the parts do not add up."""

    def change(bought: Any, right: Any) -> dict[str, int]:
        part = right.refund_minor - bought.returned.refund_minor
        points = earned_points(part, bought.program.earn_rate, percent=orders.multiplier_of(bought.entry))
        return {"points_taken_back": bought.returned.points_taken_back + points}

    _returned(patch, change)


@bug
def multiplier_forgotten_on_return(patch: pytest.MonkeyPatch) -> None:
    """A return reckons as if the purchase had earned without its tier's multiplier."""
    patch.setattr(orders, "multiplier_of", lambda entry: 100)


@bug
def qualifying_points_stay(patch: pytest.MonkeyPatch) -> None:
    """What a purchase counted towards a tier counts on after it came back."""
    _returned(patch, lambda bought, right: {"qualifying_taken_back": bought.returned.qualifying_taken_back})


@about("order")
def cap_without_write_off(patch: pytest.MonkeyPatch) -> None:
    """Under `cap` a debt stays, and nothing says that it was written off."""

    def reverse(account: Account, draft: Any, program: Any, *, now: Any, **_: Any) -> Any:
        if account.status is AccountStatus.CLOSED:
            raise MemberClosed(member_id=account.member_id)
        return ledger.post(account, draft, program, now=now)

    patch.setattr(reversals, "reverse", reverse)


@about("order", "reverse")
def write_off_never_paid(patch: pytest.MonkeyPatch) -> None:
    """What comes back is the member's, whatever was written off since it was taken."""
    patch.setattr(reversals, "pays_for", lambda account, restored: {})


@bug
def debt_forgiven(patch: pytest.MonkeyPatch) -> None:
    """A debt is gone at once, without an entry."""
    real = ledger.post

    def post(account: Account, draft: Any, program: Any, *, now: Any) -> Any:
        posting = real(account, draft, program, now=now)
        after, today = posting.account, today_of(program, now)
        owed = balances.derive(after, today).owed
        if not owed:
            return posting
        last = expires_on(today, program.expiry)
        earned = {**after.earned, last: after.earned.get(last, 0) + owed}
        return replace(posting, account=after.model_copy(update={"earned": earned}))

    patch.setattr(ledger, "post", post)


# ---------------------------------------------------------------- taken back, restated, waited for


@about("reverse")
def reversed_twice(patch: pytest.MonkeyPatch) -> None:
    """Whoever takes an entry back does so under a key of their own."""
    real, numbers = reversals.reversal_key, itertools.count()
    patch.setattr(correction_rules, "reversal_key", lambda key: numbered(real(key), next(numbers)))


@about("reverse")
def reversal_gives_new_points(patch: pytest.MonkeyPatch) -> None:
    """What a spend took is given back as if it were earned today, not into the lots from which it came."""
    real = fold.effect_of

    def effect(entry: Any) -> Any:
        sums = real(entry)
        if not sums.spent:
            return sums
        points, last = sum(sums.spent.values()), entry.occurred_on + timedelta(days=365)
        return sums.model_copy(update={"spent": {}, "earned": {last: -points}})

    patch.setattr(fold, "effect_of", effect)


@about("order")
def restatement_adds(patch: pytest.MonkeyPatch) -> None:
    """What an order is said to be comes on top of what it was."""
    real = orders.kept_of
    nothing = {"points_earned": 0, "points_tender": 0}
    patch.setattr(orders, "kept_of", lambda bought: real(bought).model_copy(update=nothing))


@about("order")
def restated_order_is_not_kept(patch: pytest.MonkeyPatch) -> None:
    """Returns after a restatement reckon with the order as it was bought."""
    patch.setattr(purchase_store, "as_stated", lambda item: item)


@about()
def waiting_return_is_lost(patch: pytest.MonkeyPatch) -> None:
    """A purchase takes the place of the returns that waited for it."""
    real = purchase_store.waiting_from

    def waiting(item: Item | None) -> Any:
        return () if inspect.stack()[1].function == "_purchase_writes" else real(item)

    patch.setattr(purchase_store, "waiting_from", waiting)


@about()
def waiting_return_counts_twice(patch: pytest.MonkeyPatch) -> None:
    """A return that waited is not counted, so that as much may come back again."""
    real = recording._purchase_writes

    def writes(*a: Any, **more: Any) -> tuple[list[Write], After | None]:
        made, after = real(*a, **more)
        first = made[0]
        assert isinstance(first, Put)
        lost = replace(first, item={n: v for n, v in first.item.items() if n not in ("rn", "ret")})
        return [lost, *made[1:]], after

    patch.setattr(recording, "_purchase_writes", writes)


@about()
def waits_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A return is carried out however late its purchase comes."""
    patch.setattr(returns, "waits_until", lambda waiting: waiting.received_at + timedelta(days=3_650))
