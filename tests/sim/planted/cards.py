"""Planted in cards."""

import inspect
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from chalicelib.cards import store as card_store
from chalicelib.cards.rules import count_cards, holding, stored_value
from chalicelib.points.errors import AccountMoved
from chalicelib.points.models import Account
from chalicelib.points.rules import balances
from chalicelib.storage.keys import Key
from chalicelib.storage.writes import Item, Put, Still, Write
from tests.sim.planted.registry import about


@about("money")
def bonus_is_paid_out(patch: pytest.MonkeyPatch) -> None:
    """A refund pays back what can be spent, not what was paid."""
    real = holding.value_of

    def value(account: Account, on: date) -> Any:
        known = real(account, on)
        if inspect.stack()[1].function != "refund" or not known.principal:
            return known
        return replace(known, principal=known.principal + known.bonus_total, bonus={})

    patch.setattr(holding, "value_of", value)


@about("money")
def top_up_paid_back_twice(patch: pytest.MonkeyPatch) -> None:
    """What was paid back of a top-up is not counted."""
    patch.setattr(card_store, "count_back", lambda item, back: _as_it_is(item))


def _as_it_is(item: Item) -> Write:
    return Put(Key(item["pk"], item["sk"]), dict(item), Still("rn", None), lambda _: AccountMoved())


@about("money")
def spend_below_nought(patch: pytest.MonkeyPatch) -> None:
    """A card pays for a little more than there is on it."""
    real = holding.value_of

    def value(account: Account, on: date) -> Any:
        known = real(account, on)
        more = inspect.stack()[1].function == "spend" and known.total > 0
        return replace(known, principal=known.principal + 500) if more else known

    patch.setattr(holding, "value_of", value)


@about("money")
def bonus_first(patch: pytest.MonkeyPatch) -> None:
    """A spend takes the bonus before what was paid."""

    def shares(value: Any, amount: int) -> dict[date, int]:
        taken = {}
        for day, there in sorted((*value.bonus.items(), (holding.PRINCIPAL, value.principal))):
            taken[day] = min(there, amount)
            amount -= taken[day]
        return {day: minor for day, minor in taken.items() if minor}

    patch.setattr(stored_value, "shares", shares)


@about("visits")
def use_taken_back_twice(patch: pytest.MonkeyPatch) -> None:
    """What was taken back of a use is not counted."""
    patch.setattr(card_store, "count_back", lambda item, back: _as_it_is(item))


@about("visits")
def extension_forgets_uses(patch: pytest.MonkeyPatch) -> None:
    """A card that lasts longer has only the visits that were left."""
    real = count_cards.extend

    def extend(account: Account, card: Any, command: Any, *a: Any, now: Any, **more: Any) -> Any:
        last = holding.last_day_of(account)
        if last is None:
            return real(account, card, command, *a, now=now, **more)
        left = balances.derive(account, min(last, now.date())).balance
        return real(account.model_copy(update={"earned": {last: max(left, 1)}}), card, command, *a, now=now, **more)

    patch.setattr(count_cards, "extend", extend)
