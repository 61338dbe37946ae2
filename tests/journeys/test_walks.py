"""What journeys do for members: each kind of entry, step and end; twice; as versions come and clocks change."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.journeys import store
from chalicelib.journeys.models import JourneyState, Left, Told
from chalicelib.journeys.rules import intake, timing
from chalicelib.journeys.service import ticking
from chalicelib.kernel.ids import MemberId
from tests.journeys.world import JOURNEY, World, member, path
from tests.makers import NOON

TEMPLATE = "tpl_" + "a" * 16


def a_send(step: str = "hello", **more: Any) -> dict[str, Any]:
    """A step that sends."""
    return {"kind": "send", "step": step, "template_id": TEMPLATE, "quiet_hours": None, **more}


def a_wait(step: str, next: str | None = None, **until: Any) -> dict[str, Any]:
    """A step that waits."""
    return {"kind": "wait", "step": step, "until": {"kind": "for", **until}, "next": next}


WELCOME = {
    "entry": {"kind": "enrolled"},
    "goal": {"kind": "purchased"},
    "steps": [
        a_send("hello", next="wait"),
        a_wait("wait", "points", days=3),
        {"kind": "give_points", "step": "points", "points": 50, "next": "tag"},
        {"kind": "retag", "step": "tag", "tag": "welcomed", "next": "rich"},
        {"kind": "branch", "step": "rich", "on": {"kind": "points", "at_least": 40}, "then": "again"},
        a_send("again"),
    ],
}


def test_a_journey_goes_its_way_and_ends() -> None:
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1, points=50)
    world.happens("enrolled", anna)

    world.run(timedelta(days=4))

    way = world.way(anna)
    assert way.left is Left.COMPLETED
    assert path(way) == [
        ("hello", "sent"), ("wait", "waited"), ("points", "given"), ("tag", "changed"), ("rich", "yes"),
        ("again", "sent"),
    ]  # fmt: skip
    assert set(world.mail.got.values()) == {1}
    assert len(world.mail.got) == 2
    assert list(world.ledger.given.values()) == [(anna, 50)]
    assert "welcomed" in world.crowd.people[anna].tags
    assert timedelta(days=3) <= way.path[1].at - NOON < timedelta(days=3, minutes=15)
    assert world.counted() == {
        (1, "e"): 1, (1, "l:completed"): 1, **{(1, f"a{place}"): 1 for place in range(6)},
        (1, "o0:sent"): 1, (1, "o1:waited"): 1, (1, "o2:given"): 1, (1, "o3:changed"): 1, (1, "o4:yes"): 1,
        (1, "o5:sent"): 1,
    }  # fmt: skip
    assert not world.told


def test_the_same_event_twice_lets_in_once_and_every_message_twice_does_each_step_once() -> None:
    world = World()
    world.journey({**WELCOME, "again_after_days": 0})
    anna = world.enrol(1, points=50)
    told = world.happens("enrolled", anna)
    for day in range(5):
        world.tell(told, timedelta(days=day))
        world.tell(told, timedelta(days=day))
    real = world.hand
    world.hand = lambda bodies, delay=0: [real(bodies, delay) for _ in range(3)]  # type: ignore[method-assign, assignment]

    world.run(timedelta(days=6))

    assert len(world.ways()) == 1
    assert set(world.mail.got.values()) == {1}
    assert list(world.ledger.times.values()) == [1]
    assert world.counted()[1, "e"] == 1
    assert world.counted()[1, "l:completed"] == 1


def test_an_entry_named_by_anything_but_its_event_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(100))
    monkeypatch.setattr(intake, "entry_key", lambda definition, event_id: f"{next(numbers)}")
    with pytest.raises(AssertionError):
        test_the_same_event_twice_lets_in_once_and_every_message_twice_does_each_step_once()


def test_whoever_reaches_the_goal_leaves_at_once_and_is_sent_nothing_more() -> None:
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=1))
    world.happens("purchased", anna, paid_minor=100)
    world.work()

    way = world.way(anna)
    assert way.left is Left.GOAL
    assert way.step == "wait"
    world.run(timedelta(days=5))
    assert sum(world.mail.got.values()) == 1
    assert world.counted()[1, "l:goal"] == 1
    assert not [name for _, name in world.counted() if name.startswith("i")]


def test_a_goal_that_comes_before_what_let_them_in_ends_it_all_the_same() -> None:
    # Events come in no order: the purchase a second after the enrolment may be there first.
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1)
    world.happens("enrolled", anna, delay=timedelta(minutes=30))
    world.clock.forward(seconds=1)
    world.happens("purchased", anna)

    world.run(timedelta(days=5))

    assert world.way(anna).left is Left.GOAL
    assert not world.mail.got


def test_what_happened_before_somebody_came_in_is_no_goal() -> None:
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1)
    world.happens("purchased", anna)
    world.clock.forward(seconds=1)
    world.happens("enrolled", anna)
    world.run(timedelta(days=4))
    assert world.way(anna).left is Left.COMPLETED


def test_once_means_once_for_good() -> None:
    world = World()
    world.journey({"entry": {"kind": "purchased"}, "steps": [a_send()]})
    anna = world.enrol(1)
    for _ in range(4):
        world.happens("purchased", anna)
        world.run(timedelta(days=10), timedelta(hours=6))
    assert sum(world.mail.got.values()) == 1


def test_again_after_some_days_counts_from_the_last_time() -> None:
    world = World()
    world.journey({"entry": {"kind": "purchased"}, "again_after_days": 30, "steps": [a_send()]})
    anna = world.enrol(1)
    first = world.happens("purchased", anna)
    for day in (0, 29, 31, 45, 62):
        world.clock.now = NOON + timedelta(days=day)
        world.happens("purchased", anna)
        world.tell(first)
        world.work()
    world.run(timedelta(days=1), timedelta(hours=1))
    assert sorted((each.told_at - NOON).days for each in world.ways()) == [0, 31, 62]
    assert sum(world.mail.got.values()) == 3


def test_every_time_means_every_time_also_at_once() -> None:
    world = World()
    world.journey({"entry": {"kind": "purchased"}, "again_after_days": 0, "steps": [a_send()]})
    anna = world.enrol(1)
    for _ in range(5):
        world.happens("purchased", anna)
    world.run(timedelta(hours=1))
    assert len(world.ways()) == 5
    assert list(world.mail.got.values()) == [1] * 5


@pytest.mark.parametrize(
    ("entry", "facts", "comes"),
    [
        ({"kind": "purchased", "paid_min_minor": 500}, {"paid_minor": 500}, True),
        ({"kind": "purchased", "paid_min_minor": 500}, {"paid_minor": 499}, False),
        ({"kind": "purchased", "shop_ids": ["shp_a"]}, {"shop_id": "shp_a"}, True),
        ({"kind": "purchased", "shop_ids": ["shp_a"]}, {}, False),
        ({"kind": "enrolled", "sources": ["web"]}, {"source": "till"}, False),
        ({"kind": "enrolled", "sources": ["web"]}, {"source": "web"}, True),
        ({"kind": "tier_changed", "tier_ids": ["gold"]}, {"tier_after": "gold"}, True),
        ({"kind": "tier_changed", "tier_ids": ["gold"]}, {"tier_after": "base"}, False),
        ({"kind": "points_expire"}, {"points": 3}, True),
        ({"kind": "birthday_gift"}, {}, True),
        ({"kind": "segment_entered", "segment_id": "seg_" + "a" * 16}, {"segment_id": "seg_" + "a" * 16}, True),
        ({"kind": "segment_entered", "segment_id": "seg_" + "a" * 16}, {"segment_id": "seg_" + "b" * 16}, False),
    ],
)  # fmt: skip
def test_what_lets_in(entry: dict[str, Any], facts: dict[str, Any], comes: bool) -> None:
    world = World()
    world.journey({"entry": entry, "steps": [a_send()]})
    anna = world.enrol(1)
    world.happens(entry["kind"], anna, **facts)
    world.run(timedelta(minutes=30))
    assert bool(world.ways()) is comes


def test_the_first_purchase_and_no_other() -> None:
    world = World()
    world.journey({"entry": {"kind": "first_purchased"}, "again_after_days": 0, "steps": [a_send()]})
    anna = world.enrol(1)
    world.happens("purchased", anna)
    world.work()
    world.happens("purchased", anna)
    world.work()
    assert len(world.ways()) == 1


def test_those_for_whom_it_is_not_do_not_come_in_and_may_later() -> None:
    world = World()
    world.journey(
        {
            "entry": {"kind": "purchased"},
            "who": {"kind": "tag", "op": "has_any", "tags": ["vip"]},
            "steps": [a_send()],
        }
    )
    fits: set[MemberId] = set()
    world.lake.fits = lambda each: each in fits
    anna = world.enrol(1)
    world.happens("purchased", anna)
    world.run(timedelta(minutes=1))
    assert not world.lake.asked, "the lake may not have it yet"
    world.run(timedelta(hours=1))
    assert world.lake.asked
    assert not world.ways()
    fits.add(anna)
    world.happens("purchased", anna)
    world.run(timedelta(hours=1))
    assert len(world.ways()) == 1


def test_branches_that_ask_the_lake_are_asked_together_and_late_enough() -> None:
    world = World()
    condition = {"kind": "field", "name": "points", "op": "at_least", "value": 5}
    world.journey(
        {
            "entry": {"kind": "enrolled"},
            "steps": [
                {"kind": "branch", "step": "fits", "on": {"kind": "fits", "definition": condition}, "then": "hello"},
                a_send(),
            ],
        }
    )
    some = [world.enrol(number) for number in range(20)]
    for each in some:
        world.happens("enrolled", each)
    world.run(timedelta(minutes=20))
    fit = {each for each in some if world.lake.fits(each)}
    assert len(world.lake.asked) <= 4, "one question for each message"
    assert {each.ref.member_id for each in world.ways() if path(each)[-1] == ("hello", "sent")} == fit
    assert all(each.path[0].at - each.since >= timedelta(0) for each in world.ways())
    assert all(each.path[0].at >= NOON + timing.LAKE_BEHIND for each in world.ways())


@pytest.mark.parametrize("seconds", range(0, 300, 37))
def test_a_branch_that_asks_the_lake_takes_two_to_seven_and_a_half_minutes(seconds: int) -> None:
    world = World()
    world.clock.now = came = NOON + timedelta(seconds=seconds)
    condition = {"kind": "field", "name": "points", "op": "at_least", "value": 5}
    branch = {"kind": "branch", "step": "b", "on": {"kind": "fits", "definition": condition}}
    world.journey({"entry": {"kind": "enrolled"}, "steps": [branch]})
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(minutes=9), timedelta(minutes=1))
    assert timing.LAKE_BEHIND <= world.way(anna).path[0].at - came <= timedelta(minutes=7, seconds=30)


def test_a_message_waits_for_quiet_hours_to_end_and_is_stale_when_it_comes_too_late() -> None:
    world = World()
    quiet = {"starts": "21:00", "ends": "09:00"}
    world.journey({"entry": {"kind": "enrolled"}, "steps": [a_send(quiet_hours=quiet)]})
    world.clock.now = datetime(2026, 3, 15, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=10))
    assert not world.mail.got
    world.run(timedelta(hours=2))
    assert sum(world.mail.got.values()) == 1
    assert world.way(anna).path[0].at == datetime(2026, 3, 16, 1, 0, tzinfo=UTC)

    bert = world.enrol(2)
    world.happens("enrolled", bert, delay=timedelta(hours=25))
    world.run(timedelta(hours=30))
    assert path(world.way(bert)) == [("hello", "expired")]


def test_after_a_laptop_was_off_what_is_stale_is_passed_over_and_the_rest_goes_on() -> None:
    world = World()
    steps = [a_wait("a", "one", days=1), a_send("one", next="b"), a_wait("b", "two", days=1), a_send("two")]
    world.journey({"entry": {"kind": "enrolled"}, "steps": steps})
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=2))
    world.clock.forward(days=5)
    world.run(timedelta(days=2))
    assert path(world.way(anna)) == [("a", "waited"), ("one", "expired"), ("b", "waited"), ("two", "sent")]


@pytest.mark.parametrize("between", ["nothing", "branch", "branches", "tag", "stale"])
def test_whether_a_message_is_stale_does_not_depend_on_what_stands_between_it_and_its_wait(between: str) -> None:
    world = World()
    branch = {"kind": "branch", "on": {"kind": "points", "at_least": 1}}
    tag = {"kind": "retag", "tag": "vip"}
    ways: dict[str, list[dict[str, Any]]] = {
        "nothing": [],
        "branch": [{**branch, "step": "x", "otherwise": "one"}],
        "branches": [{**branch, "step": "x", "otherwise": "y"}, {**branch, "step": "y", "otherwise": "one"}],
        "tag": [{**tag, "step": "x", "next": "one"}],
        "stale": [a_send("x", next="one")],
    }
    some = ways[between]
    steps = [a_wait("a", some[0]["step"] if some else "one", days=1), *some, a_send("one")]
    world.journey({"entry": {"kind": "enrolled"}, "steps": steps})
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=2))
    world.clock.forward(days=3)
    world.run(timedelta(hours=1))
    assert path(world.way(anna))[-1] == ("one", "expired")
    assert not world.mail.got


def test_what_a_message_waited_for_by_itself_makes_the_next_one_no_staler() -> None:
    world = World()
    quiet = {"starts": "21:00", "ends": "09:00"}
    steps = [a_send("one", quiet_hours=quiet, next="two"), a_send("two", send_within_hours=2)]
    world.journey({"entry": {"kind": "enrolled"}, "steps": steps})
    world.clock.now = datetime(2026, 3, 15, 14, 0, tzinfo=UTC)  # 22:00 in Shanghai
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=12))
    assert path(world.way(anna)) == [("one", "sent"), ("two", "sent")]


def test_a_wait_behind_a_branch_begins_when_it_is_come_to_and_a_message_behind_it_is_not_stale() -> None:
    world = World()
    branch = {"kind": "branch", "step": "x", "on": {"kind": "points", "at_least": 1}, "otherwise": "b"}
    steps = [a_wait("a", "x", days=1), branch, a_wait("b", "one", days=1), a_send("one")]
    world.journey({"entry": {"kind": "enrolled"}, "steps": steps})
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=2))
    world.clock.forward(days=5)
    world.run(timedelta(hours=23))
    assert path(world.way(anna)) == [("a", "waited"), ("x", "no")]
    world.run(timedelta(hours=2))
    assert path(world.way(anna)) == [("a", "waited"), ("x", "no"), ("b", "waited"), ("one", "sent")]


def test_a_day_is_a_day_when_clocks_change_and_a_skipped_time_comes_later() -> None:
    zone = "Europe/Berlin"
    wait = _wait({"kind": "for", "days": 1})
    before = datetime(2026, 3, 28, 9, 0, tzinfo=UTC)  # 10:00, the day before clocks go forward
    assert timing.wakes(wait, before, None, zone) == datetime(2026, 3, 29, 8, 0, tzinfo=UTC)
    skipped = _wait({"kind": "time", "at": "02:30"})
    at = datetime(2026, 3, 28, 20, 0, tzinfo=UTC)
    assert timing.wakes(skipped, at, None, zone) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    twice = timing.wakes(skipped, datetime(2026, 10, 24, 20, 0, tzinfo=UTC), None, zone)
    assert twice == datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "the first of the two"
    autumn = timing.wakes(wait, datetime(2026, 10, 24, 10, 0, tzinfo=UTC), None, zone)
    assert autumn == datetime(2026, 10, 25, 11, 0, tzinfo=UTC)


def test_until_a_birthday_also_of_29_february() -> None:
    wait = _wait({"kind": "birthday", "days_before": 3, "at": "10:00"})
    at = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
    assert timing.wakes(wait, at, "02-29", "UTC") == datetime(2027, 2, 25, 10, 0, tzinfo=UTC)
    assert timing.wakes(wait, at, "03-04", "UTC") == datetime(2026, 3, 1, 10, 0, tzinfo=UTC)
    assert timing.wakes(wait, at, "03-03", "UTC") == datetime(2027, 2, 28, 10, 0, tzinfo=UTC)
    leap = datetime(2028, 1, 1, 0, 0, tzinfo=UTC)
    assert timing.wakes(wait, leap, "02-29", "UTC") == datetime(2028, 2, 26, 10, 0, tzinfo=UTC)
    assert timing.wakes(wait, at, None, "UTC") is None


def _wait(until: dict[str, Any]) -> Any:
    world = World()
    return world.journey(
        {"entry": {"kind": "enrolled"}, "steps": [{"kind": "wait", "step": "w", "until": until}]}
    ).steps[0]


def test_who_has_no_birthday_leaves_and_a_corrected_one_counts() -> None:
    world = World()
    wait = {"kind": "wait", "step": "w", "until": {"kind": "birthday", "at": "10:00"}, "next": "hello"}
    world.journey({"entry": {"kind": "enrolled"}, "steps": [a_wait("day", "w", days=1), wait, a_send()]})
    anna, bert = world.enrol(1), world.enrol(2, month_day="03-20")
    world.happens("enrolled", anna)
    world.happens("enrolled", bert)
    world.run(timedelta(days=2))
    assert world.way(anna).left is Left.NO_BIRTHDAY
    world.crowd.people[bert] = type(world.crowd.people[bert])(bert, "active", month_day="03-25")
    world.run(timedelta(days=20), timedelta(minutes=30))
    assert [each.at for each in world.way(bert).path][1].date().isoformat() == "2026-03-25"


# ---------------------------------------------------------------- versions, pauses, ends


def test_who_is_inside_goes_on_in_the_version_that_they_came_in_by() -> None:
    world = World()
    world.journey({"entry": {"kind": "enrolled"}, "steps": [a_wait("w", "old", days=2), a_send("old")]})
    anna, bert = world.enrol(1), world.enrol(2)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=1))
    world.journey({"entry": {"kind": "enrolled"}, "steps": [a_wait("w", "new", days=1), a_send("new")]}, edition=2)
    world.happens("enrolled", bert)
    world.run(timedelta(hours=1))
    assert {each.ref.member_id: each.edition for each in world.ways()} == {anna: 1, bert: 2}
    assert world.counted()[1, "i0"] == world.counted()[2, "i0"] == 1
    world.run(timedelta(days=3))
    assert path(world.way(anna))[-1] == ("old", "sent")
    assert path(world.way(bert))[-1] == ("new", "sent")


def test_while_it_is_paused_nobody_moves_and_afterwards_everybody_does() -> None:
    world = World()
    steps = [a_wait("w", "hello", days=1), a_send(send_within_hours=168)]
    world.journey({"entry": {"kind": "enrolled"}, "steps": steps})
    some = [world.enrol(number) for number in range(30)]
    for each in some:
        world.happens("enrolled", each)
    world.run(timedelta(hours=1))
    world.turn(JourneyState.PAUSED)
    late = world.enrol(99)
    world.happens("enrolled", late)
    world.run(timedelta(days=2))
    assert not world.mail.got
    assert len(world.ways()) == 30
    writes = len(world.core.stream)
    world.run(timedelta(days=1))
    assert len(world.core.stream) == writes, "who is held costs nothing"
    world.turn(JourneyState.ACTIVE)
    world.run(timedelta(hours=1))
    assert set(world.mail.got.values()) == {1}
    assert len(world.mail.got) == 30
    assert store.find_board(world.core).places[JOURNEY].held is None


def test_closed_lets_nobody_in_and_ended_lets_everybody_go() -> None:
    world = World()
    world.journey({"entry": {"kind": "enrolled"}, "steps": [a_wait("w", "hello", days=30), a_send()]})
    for number in range(40):
        world.happens("enrolled", world.enrol(number))
    world.run(timedelta(hours=1))
    world.turn(JourneyState.CLOSED)
    world.happens("enrolled", world.enrol(77))
    world.run(timedelta(hours=1))
    assert len(world.ways()) == 40
    world.turn(JourneyState.ENDED)
    world.run(timedelta(hours=1))
    assert {each.left for each in world.ways()} == {Left.ENDED}
    assert world.counted()[1, "l:ended"] == 40
    assert JOURNEY not in store.find_board(world.core).places
    world.run(timedelta(days=31), timedelta(hours=2))
    assert not world.mail.got


@pytest.mark.parametrize("why", [Left.ERASED, Left.CLOSED, Left.SUSPENDED])
def test_who_is_no_member_any_more_leaves(why: Left) -> None:
    world = World()
    world.journey(WELCOME)
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=1))
    world.crowd.people[anna] = type(world.crowd.people[anna])(anna, why.value)
    world.tell(Told("gone", "evt_x", anna, world.clock(), {}))
    world.work()
    assert world.way(anna).left is why


def test_the_survivor_of_a_merge_goes_on_where_the_other_was() -> None:
    world = World()
    world.journey(WELCOME)
    anna, bert = world.enrol(1), world.enrol(2, points=90)
    world.happens("enrolled", anna)
    world.run(timedelta(hours=1))
    _merge(world, anna, bert)
    world.run(timedelta(days=4))
    assert world.way(anna).left is Left.MERGED
    there = world.way(bert)
    assert there.left is Left.COMPLETED
    assert there.origin == anna
    assert path(there)[0] == ("hello", "sent")
    assert list(world.ledger.given.values()) == [(bert, 50)]
    assert sum(world.mail.got.values()) == 2
    assert not [amount for (_, name), amount in world.counted().items() if name.startswith("i")]


def test_the_survivor_who_is_in_it_too_does_not_go_it_twice() -> None:
    world = World()
    world.journey(WELCOME)
    anna, bert = world.enrol(1), world.enrol(2)
    for each in (anna, bert):
        world.happens("enrolled", each)
    world.run(timedelta(hours=1))
    _merge(world, anna, bert)
    world.run(timedelta(days=4))
    assert world.way(anna).left is Left.MERGED
    assert len(world.ledger.given) == 1
    assert world.counted()[1, "e"] == 2


def test_a_message_that_went_out_before_a_merge_does_not_go_to_the_survivor_as_well() -> None:
    world = _dead_after_the_message()
    anna, bert = member(1), member(2)
    assert not path(world.way(anna))
    _merge(world, anna, bert)
    world.run(timedelta(days=2))
    assert sum(world.mail.got.values()) == 1
    assert path(world.way(bert)) == [("hello", "sent"), ("w", "waited")]


def _dead_after_the_message() -> World:
    """A world in which the worker died when a message was out."""
    for number in range(40):
        world = World()
        world.journey({"entry": {"kind": "enrolled"}, "steps": [a_send(next="w"), a_wait("w", days=1)]})
        anna, _ = world.enrol(1), world.enrol(2)
        world.happens("enrolled", anna)
        world.points.faults = {number: "after"}
        world.work()
        if world.mail.got and not path(world.way(anna)):
            return world
    raise AssertionError("the message never went out")


def _merge(world: World, gone: MemberId, into: MemberId) -> None:
    world.crowd.people[gone] = type(world.crowd.people[gone])(gone, "merged", into=into)
    world.tell(Told("gone", "evt_m", gone, world.clock(), {}))
    world.work()


def test_a_step_that_goes_on_failing_is_given_up_and_told_of() -> None:
    world = World()
    world.journey(WELCOME)

    def broken(*_: Any) -> Any:
        raise ValueError("a bug")

    world.mail.send = broken  # type: ignore[method-assign, assignment]
    anna = world.enrol(1)
    world.happens("enrolled", anna)
    world.run(timedelta(days=2))
    assert world.way(anna).left is Left.FAILED
    assert {what for what, _ in world.told} == {"journey_step_failed"}


def test_members_of_a_segment_come_in_page_by_page_and_once_for_a_command() -> None:
    from chalicelib.journeys.service import listing, messages
    from chalicelib.kernel.calendar import milliseconds
    from chalicelib.kernel.ids import SegmentId

    world, segment_id = World(), SegmentId("seg_" + "a" * 16)
    world.journey({"entry": {"kind": "by_hand"}, "again_after_days": 0, "steps": [a_send()]})
    world.lake.members = [world.enrol(number) for number in range(450)]
    body = messages.listed(JOURNEY, segment_id, "key", milliseconds(world.clock()), None)
    for _ in range(2):
        assert listing.begin(world.ops, JOURNEY, "key", segment_id, world.clock()) is None
    for _ in range(2):
        world.put(body)
    world.run(timedelta(hours=1))
    assert len(world.ways()) == 450
    assert set(world.mail.got.values()) == {1}
    (done,) = listing.shown(world.ops, JOURNEY)
    assert (done.entered, done.passed_over, done.under_way) == (450, 0, False)
    assert listing.begin(world.ops, JOURNEY, "key", segment_id, world.clock()) is not None


def test_a_segment_that_asks_for_scores_waits_until_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.journeys.service import messages
    from chalicelib.kernel.calendar import milliseconds
    from chalicelib.kernel.ids import SegmentId
    from chalicelib.segments.errors import RfmNotReady

    world, page = World(), type(World().lake).page
    ready_at = world.clock() + timedelta(minutes=25)

    def scored(lake: Any, *asked: Any) -> Any:
        if world.clock() < ready_at:
            raise RfmNotReady
        return page(lake, *asked)

    monkeypatch.setattr(type(world.lake), "page", scored)
    world.journey({"entry": {"kind": "by_hand"}, "steps": [a_send()]})
    world.lake.members = [world.enrol(1)]
    world.put(messages.listed(JOURNEY, SegmentId("seg_" + "a" * 16), "key", milliseconds(world.clock()), None))
    world.run(timedelta(minutes=20))
    assert world.ways() == []
    world.run(timedelta(minutes=40))
    assert len(world.ways()) == 1


def test_a_member_with_many_ways_is_not_cut_by_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "PAGE", 7)
    world = World()
    steps = [a_wait("w", "hello", days=1), a_send()]
    world.journey({"entry": {"kind": "purchased"}, "again_after_days": 0, "steps": steps})
    for number in range(10):
        for _ in range(5):
            world.happens("purchased", world.enrol(number))
    world.run(timedelta(hours=1))
    world.clock.now = NOON + timedelta(days=1, minutes=1)
    ticking.tick(world.works())
    world.work()
    assert len(world.mail.got) == 50
    assert member(3) in {each.ref.member_id for each in world.ways()}
