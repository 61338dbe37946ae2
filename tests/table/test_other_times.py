"""Points and tier at other times than now: what was true on a day, and what was known at an instant."""

from datetime import date, timedelta

import pytest

from chalicelib.kernel.ids import MemberId
from chalicelib.kernel.languages import Language
from chalicelib.points import service
from chalicelib.points.errors import InstantInFuture
from chalicelib.points.models import PointsView, Then, TierView
from tests.makers import a_purchase
from tests.table.stand import Desk


def points(desk: Desk, member: str, **then: object) -> PointsView:
    return service.find_points(
        desk.table, desk.book, MemberId(member), now=desk.clock(), then=Then.model_validate(then)
    )


def tier(desk: Desk, member: str, **then: object) -> TierView:
    return service.find_tier(
        desk.table, desk.book, MemberId(member), now=desk.clock(), language=Language.EN, then=Then.model_validate(then)
    )


def test_a_late_purchase_and_a_late_return_are_told_apart_from_what_was_known(desk: Desk) -> None:
    member = desk.enrol().member_id
    start = desk.clock()
    bought = desk.buy(a_purchase(member, order_no="A1", paid_minor=100_000, occurred_at=start.isoformat())).value
    desk.clock.forward(days=10)
    late = (start + timedelta(days=2)).isoformat()
    desk.buy(a_purchase(member, order_no="A2", paid_minor=20_000, occurred_at=late))
    desk.clock.forward(days=10)
    returned = (start + timedelta(days=5)).isoformat()
    desk.give_back(bought.purchase_id, key="r1", occurred_at=start + timedelta(days=5))
    third, sixth = (start + timedelta(days=3)), (start + timedelta(days=6))

    assert returned > late
    assert points(desk, member).available == 220
    assert points(desk, member, as_of=third.date()).available == 1_220, "both purchases had been made"
    assert points(desk, member, known_at=third).available == 1_000, "the second was not known yet"
    assert points(desk, member, as_of=sixth.date()).available == 220, "the first had come back"
    assert points(desk, member, as_of=sixth.date(), known_at=start + timedelta(days=11)).available == 1_220
    assert tier(desk, member).tier_id == "basic"
    assert tier(desk, member, as_of=third.date()).tier_id == "silver"
    assert tier(desk, member, known_at=third).tier_id == "silver"
    assert points(desk, member, as_of=date(2000, 1, 1)).lots == ()


def test_what_was_answered_is_answered_again_under_the_program_of_then(desk: Desk) -> None:
    member = desk.enrol().member_id
    desk.buy(a_purchase(member, order_no="A1", paid_minor=100_000, occurred_at=desk.clock().isoformat()))
    at, then = desk.clock(), (points(desk, member), tier(desk, member))
    desk.clock.forward(days=1)
    desk.publish(
        desk.book.current(at).version,
        ladder={"tiers": [{"tier_id": "basic", "name": {"zh": "基", "en": "Basic"}, "threshold": 0}]},
    )
    desk.clock.forward(days=400)

    assert (points(desk, member, known_at=at), tier(desk, member, known_at=at)) == then
    assert tier(desk, member).tier_id == "basic"


def test_times_to_come_are_refused(desk: Desk) -> None:
    member = desk.enrol().member_id
    now = desk.clock()
    for then in (
        {"known_at": now + timedelta(seconds=1)},
        {"as_of": now.date() + timedelta(days=2)},
        {"as_of": now.date(), "known_at": now - timedelta(days=2)},
    ):
        with pytest.raises(InstantInFuture):
            points(desk, member, **then)
