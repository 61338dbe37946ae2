"""Planted in tiers and members."""

from typing import Any

import pytest

from chalicelib.members import service as members_service
from chalicelib.points import fold
from chalicelib.points.models import Reason
from chalicelib.points.rules import guards
from chalicelib.programs.rules import today_of
from chalicelib.purchases.rules import buying
from chalicelib.storage.writes import Absent, Delete
from tests.sim.planted.registry import bug, forget

_purchases: Any = buying


@bug
def tier_feeds_itself(patch: pytest.MonkeyPatch) -> None:
    """The multiplier counts towards the next tier."""
    real = _purchases.Draft

    def draft(*a: Any, **more: Any) -> Any:
        return real(*a, **(more | {"qualifying": more["earned"]} if a[1] is Reason.EARN else more))

    patch.setattr(buying, "Draft", draft)


@bug
def multiplier_of_today(patch: pytest.MonkeyPatch) -> None:
    """A late purchase earns by the tier that is held when it is told."""
    real = buying.assess

    def assess(account: Any, command: Any, program: Any, *, now: Any, **more: Any) -> Any:
        standing = _purchases.standing

        def held(qualifying: Any, terms: Any, *, on: Any, anchor: Any) -> Any:
            return fold.standing_of(account, program, today_of(program, now))

        _purchases.standing = held
        try:
            return real(account, command, program, now=now, **more)
        finally:
            _purchases.standing = standing

    patch.setattr(buying, "assess", assess)


@bug
def suspended_may_spend(patch: pytest.MonkeyPatch) -> None:
    """Who is suspended goes on."""
    patch.setattr(guards, "require_open", lambda account: None)


@bug
def identifiers_taken_twice(patch: pytest.MonkeyPatch) -> None:
    """Two members may have one mobile number."""
    forget(patch, lambda condition, item: isinstance(condition, Absent) and item.get("sk") == "U")


@bug
def old_number_is_kept(patch: pytest.MonkeyPatch) -> None:
    """Who changes their mobile number goes on holding the old one."""
    real = members_service._edit
    patch.setattr(members_service, "_edit", lambda *a: [w for w in real(*a) if not isinstance(w, Delete)])
