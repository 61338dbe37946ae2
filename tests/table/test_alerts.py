"""Alerts: points are counted once whatever comes twice, caps hold whoever races, and refusals at the door add up."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from chalicelib.alerts import rules, service, store
from chalicelib.alerts.errors import AlertUnknown
from chalicelib.alerts.models import AcknowledgeAlert, Alert, AlertKind, AlertState, Deed, Gain, Raised
from chalicelib.alerts.rules import Tally
from chalicelib.approvals.models import ApprovalView
from chalicelib.cards.models import Paid, TopUpCard
from chalicelib.kernel.ids import AccountId, AlertId, MemberId, ShopId
from chalicelib.kernel.languages import Language
from chalicelib.kernel.outcomes import Outcome
from chalicelib.points import service as points
from chalicelib.points.errors import VelocityExceeded
from chalicelib.points.models import AdjustPoints, EntryView
from chalicelib.storage import keys
from chalicelib.storage.audited import Audited
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.faults.works import Works
from tests.makers import a_purchase
from tests.memory import MemoryTable
from tests.table.stand import Crashed, CrashingTable, Desk, at_once
from tests.table.test_approvals import ANN, BOB, Counter

DAY = date(2026, 3, 15)
LIMITS = dict.fromkeys(("member_points_per_day", "shop_points_per_day", "staff_points_per_day"), 100)


def a_gain(number: int, points: int = 40, **fields: Any) -> Gain:
    """Points that were given."""
    values = {
        "event_id": f"evt_{number:012d}aaaaaaaaaaaaaaaaaaaa", "member_id": AccountId("mem_a"),
        "points": points, "shop_id": ShopId("shp_a"), "by": "stf_a", "own": (), "day": DAY, **fields,
    }  # fmt: skip
    return Gain(**values)


def tell(what: str, facts: Any) -> None:
    """Tell nobody."""


def counted(desk: Desk, ops: Any, *gains: Gain) -> list[tuple[AlertKind, str, int]]:
    """What counting some gains raises."""
    found = service.count_gains(desk.table, ops, desk.book, gains, now=desk.clock(), tell=tell)
    return [(each.kind, each.about, each.count) for each in found]


@pytest.fixture
def strict(desk: Desk) -> Desk:
    """A desk whose program finds a hundred points a day likely."""
    desk.publish(1, velocity={**LIMITS, "adjusted_points_per_day": 100})
    desk.clock.forward(seconds=11)
    return desk


# ---------------------------------------------------------------- velocity


def test_what_is_more_than_likely_raises_one_alert_a_day_of_each_kind(strict: Desk, ops: DynamoTable) -> None:
    assert counted(strict, ops, a_gain(1), a_gain(2)) == []
    assert counted(strict, ops, a_gain(3)) == [
        (AlertKind.MEMBER_VELOCITY, "mem_a", 120), (AlertKind.SHOP_VELOCITY, "shp_a", 120),
        (AlertKind.STAFF_VELOCITY, "stf_a", 120),
    ]  # fmt: skip
    assert counted(strict, ops, a_gain(4)) == []
    assert counted(strict, ops, a_gain(5, day=date(2026, 3, 16), points=90)) == []
    other = a_gain(6, member_id=AccountId("mem_b"), by=None, shop_id=None, points=101)
    assert counted(strict, ops, other) == [(AlertKind.MEMBER_VELOCITY, "mem_b", 101)]


def test_the_same_events_again_in_other_company_are_counted_once(strict: Desk, ops: DynamoTable) -> None:
    assert counted(strict, ops, a_gain(1), a_gain(2)) == []
    for batch in ((a_gain(1),), (a_gain(2), a_gain(1)), (a_gain(2), a_gain(2))):
        assert counted(strict, ops, *batch) == []
    sums = store.find_sums(ops, [a_gain(1)])
    assert set(sums.values()) == {80}


def test_many_who_count_at_once_lose_nothing_and_raise_once(strict: Desk, dynamo: Dynamo, ops: DynamoTable) -> None:
    members = [AccountId(f"mem_{letter}") for letter in "abc"]
    gains = [a_gain(number, points=10, member_id=members[number % 3]) for number in range(18)]
    batches = [gains[at : at + 3] for at in range(0, 18, 3)]
    answers = at_once(dynamo, *(lambda batch=batch: counted(strict, ops, *batch) for batch in [*batches, *batches]))
    assert [answer for answer in answers if isinstance(answer, Exception)] == []
    raised = [each for answer in answers if not isinstance(answer, Exception) for each in answer]
    assert sorted(kind for kind, _, _ in raised) == [AlertKind.SHOP_VELOCITY, AlertKind.STAFF_VELOCITY]
    assert store.find_sums(ops, gains) == {
        **{(AlertKind.MEMBER_VELOCITY, str(each), DAY): 60 for each in members},
        (AlertKind.SHOP_VELOCITY, "shp_a", DAY): 180, (AlertKind.STAFF_VELOCITY, "stf_a", DAY): 180,
    }  # fmt: skip


def test_a_crash_between_the_count_and_the_alert_is_made_good_when_the_batch_comes_again() -> None:
    crashes = 0
    for after in (False, True):
        for at in range(1, 12):
            works = Works()
            works.desk.publish(1, velocity=LIMITS)
            works.clock.forward(seconds=11)
            gains = [a_gain(number) for number in range(3)]
            core, ops = CrashingTable(works.core, at, after=after), works.ops
            try:
                service.count_gains(core, CrashingTable(ops, at, after=after), works.desk.book, gains,
                                    now=works.clock(), tell=tell)  # fmt: skip
            except Crashed:
                crashes += 1
            service.count_gains(works.core, ops, works.desk.book, gains, now=works.clock(), tell=tell)
            found, _ = store.list_alerts(works.core, AlertState.OPEN, after=None, limit=10)
            assert sorted(alert.kind for alert in found) == sorted(
                [AlertKind.MEMBER_VELOCITY, AlertKind.SHOP_VELOCITY, AlertKind.STAFF_VELOCITY]
            )
            assert set(store.find_sums(ops, gains).values()) == {120}
    assert crashes >= 6, "nothing crashed"


def test_from_the_till_to_the_alert() -> None:
    works = Works()
    works.desk.publish(1, velocity={**LIMITS, "member_points_per_day": 1_000})
    works.clock.forward(seconds=11)
    members = [works.desk.enrol().member_id for _ in range(2)]
    for number in range(3):
        table = Audited(works.core, "stf_clerk", own=members[0] if number == 2 else None)
        desk = Desk(table, works.desk.keyring, works.desk.book, works.clock, works.desk.draw)
        desk.buy(a_purchase(members[number % 2], paid_minor=4_000, lines=[]))
    works.tell()
    works.drain("watch")
    assert works.dead("watch") == []
    found, _ = store.list_alerts(works.core, AlertState.OPEN, after=None, limit=10)
    assert {(alert.kind, alert.about, alert.count) for alert in found} == {
        (AlertKind.SHOP_VELOCITY, "shp_main", 120), (AlertKind.STAFF_VELOCITY, "stf_clerk", 120),
        (AlertKind.SELF_EARNING, "stf_clerk", 40),
    }  # fmt: skip
    works.tell()
    works.drain("archive")
    raised = [each for each in works.archived() if each["type"] == "AlertRaised"]
    assert {each["data"]["kind"] for each in raised} == {"shop_velocity", "staff_velocity", "self_earning"}


@pytest.mark.parametrize(
    ("asks", "approves", "alerted"),
    [
        (True, False, {"stf_ann"}), (False, True, {"stf_bob"}), (True, True, {"stf_ann", "stf_bob"}),
        (False, False, set()),
    ],
)  # fmt: skip
@pytest.mark.parametrize("merged", [False, True], ids=["theirs", "merged into another"])
def test_points_that_two_gave_raise_an_alert_about_whom_of_them_they_went_to(
    asks: bool, approves: bool, alerted: set[str], merged: bool
) -> None:
    works = Works()
    member = own = works.desk.enrol().member_id
    if merged:
        member = works.desk.enrol().member_id
        works.desk.merge(own, member, key="m1")
    ann = replace(ANN, membership=own if asks else None)
    bob = replace(BOB, membership=own if approves else None)

    asking = Counter(works.desk.over(Audited(works.core, ann.subject, own=ann.membership)))
    answer = asking.adjust(member, 5_000, key="much", by=ann)
    assert isinstance(answer.value, ApprovalView)
    approving = Counter(works.desk.over(Audited(works.core, bob.subject, own=bob.membership)))
    approving.approve(answer.value, by=bob)
    assert works.desk.account(member).lifetime.balance == 5_000
    works.tell()
    works.drain("watch", "archive")
    found, _ = store.list_alerts(works.core, AlertState.OPEN, after=None, limit=10)
    assert {each.about for each in found if each.kind is AlertKind.SELF_EARNING} == alerted
    (told,) = [each for each in works.archived() if each["type"] == "PointsAdjusted"]
    assert told["data"]["recorded_by"] == "stf_bob"
    assert (set(told["data"]["own_account_of"]), told["data"]["own_account"]) == (alerted, bool(alerted))
    assert works.faults() == [], "it stands beside the chain"


def test_what_somebody_gives_themselves_alone_raises_it_also_where_they_were_merged_into_another() -> None:
    works = Works()
    own, member = works.desk.enrol().member_id, works.desk.enrol().member_id
    works.desk.merge(own, member, key="m1")
    ann = replace(ANN, membership=own)
    Counter(works.desk.over(Audited(works.core, ann.subject, own=own))).adjust(member, 50, key="little", by=ann)
    works.tell()
    works.drain("watch")
    found, _ = store.list_alerts(works.core, AlertState.OPEN, after=None, limit=10)
    assert [(each.kind, each.about, each.count) for each in found] == [(AlertKind.SELF_EARNING, "stf_ann", 50)]


def test_what_a_purchase_costs_the_watch(strict: Desk, dynamo: Dynamo, ops: DynamoTable) -> None:
    spent: list[tuple[str, float]] = []

    def meter(operation: str, consumed: Any) -> None:
        parts = consumed if isinstance(consumed, list) else [consumed]
        spent.append((operation, sum(part["CapacityUnits"] for part in parts)))

    port = DynamoTable(dynamo, ops.name, meter=meter)
    counted(strict, port, a_gain(1))
    assert [units for operation, units in spent if operation == "TransactWriteItems"] == [6]
    spent.clear()
    ten = [a_gain(10 + number, points=1, member_id=AccountId(f"mem_{number}")) for number in range(10)]
    counted(strict, port, *ten)
    assert [units for operation, units in spent if operation == "TransactWriteItems"] == [24]


# ---------------------------------------------------------------- what came to oneself


def own(number: int, points: int, **fields: Any) -> Gain:
    """Points that somebody had given to themselves."""
    return a_gain(number, points, theirs=points, **{"own": ("stf_a",), **fields})


def own_alerts(desk: Desk, state: AlertState = AlertState.OPEN) -> list[tuple[str, int]]:
    """About whom alerts of one's own gains are, and how much they count; the newest first."""
    found = service.list_alerts(desk.table, state, after=None, limit=9).items
    return [(each.about, each.count) for each in found if each.kind is AlertKind.SELF_EARNING]


def test_what_came_to_oneself_on_a_day_is_added_up_in_one_batch_and_over_many(desk: Desk, ops: DynamoTable) -> None:
    assert counted(desk, ops, own(1, 40), own(2, 5)) == [(AlertKind.SELF_EARNING, "stf_a", 45)]
    assert counted(desk, ops, own(3, 100)) == [], "it is raised already"
    assert own_alerts(desk) == [("stf_a", 145)]
    for again in ((own(1, 40),), (own(3, 100), own(2, 5)), (own(3, 100), own(3, 100))):
        assert counted(desk, ops, *again) == []
    assert own_alerts(desk) == [("stf_a", 145)]
    assert counted(desk, ops, own(4, 7, own=("stf_a", "stf_b"))) == [(AlertKind.SELF_EARNING, "stf_b", 7)]
    assert sorted(own_alerts(desk)) == [("stf_a", 152), ("stf_b", 7)]
    assert counted(desk, ops, own(5, 1, day=date(2026, 3, 16))) == [(AlertKind.SELF_EARNING, "stf_a", 1)]


def test_what_comes_after_somebody_has_seen_to_it_raises_a_further_alert(desk: Desk, ops: DynamoTable) -> None:
    counted(desk, ops, own(1, 40))
    for round_, total in enumerate((140, 240), start=2):
        (alert,) = service.list_alerts(desk.table, AlertState.OPEN, after=None, limit=9).items
        assert keys.alert_of(alert.alert_id) == keys.alert("self_earning", "stf_a", DAY, round_ - 1)
        seen(desk, alert)
        assert counted(desk, ops, own(1, 40)) == [], "what was seen comes again"
        assert own_alerts(desk) == []
        assert counted(desk, ops, own(1, 40), own(round_, 100)) == [(AlertKind.SELF_EARNING, "stf_a", total)]
        assert own_alerts(desk) == [("stf_a", total)]
    assert sorted(own_alerts(desk, AlertState.ACKNOWLEDGED)) == [("stf_a", 40), ("stf_a", 140)]


def test_many_who_count_ones_own_gains_at_once_lose_none_and_raise_once(
    desk: Desk, dynamo: Dynamo, ops: DynamoTable
) -> None:
    answers = at_once(dynamo, *(lambda n=n: counted(desk, ops, own(n % 4, 10, by=None)) for n in range(8)))
    assert [each for each in answers if isinstance(each, Exception)] == []
    assert sum(len(each) for each in answers if not isinstance(each, Exception)) == 1
    assert own_alerts(desk) == [("stf_a", 40)]


def test_a_crash_while_ones_own_gain_is_counted_on_is_made_good() -> None:
    crashes = 0
    for after in (False, True):
        for at in range(1, 12):
            works = Works()
            counted(works.desk, works.ops, own(1, 40))
            dying = works.desk.over(CrashingTable(works.core, at, after=after))
            try:
                counted(dying, CrashingTable(works.ops, at, after=after), own(2, 60))
            except Crashed:
                crashes += 1
            counted(works.desk, works.ops, own(2, 60))
            assert own_alerts(works.desk) == [("stf_a", 100)]
    assert crashes >= 4, "nothing crashed"


def test_gifts_on_cards_raise_alerts_from_the_till_on() -> None:
    works = Works()
    works.desk.publish(1, velocity={"card_gifts_minor_per_day": 1_000})
    works.clock.forward(seconds=11)
    member = works.desk.enrol().member_id
    clerk = works.desk.over(Audited(works.core, "stf_clerk"))
    card = clerk.open_card(member, key="k").value.card_id
    paid = (Paid(kind="cash", amount_minor=100),)
    for key in ("1", "2"):
        gift = TopUpCard(amount_minor=100, bonus_minor=900, means=paid, reason="opening day")
        clerk.on_card(card, gift, key=key)
    works.tell()
    works.drain("watch", "archive")
    found, _ = store.list_alerts(works.core, AlertState.OPEN, after=None, limit=10)
    assert [(each.kind, each.about, each.count) for each in found] == [(AlertKind.CARD_GIFTS, "stf_clerk", 1_700)]
    told = [each["seq"] for each in works.archived() if each["member_id"] == card and each["seq"] is not None]
    assert sorted(told) == [1, 2, 3]


# ---------------------------------------------------------------- points given by hand


def adjust(desk: Desk, member: str, amount: int, key: str, by: str | None = "stf_a") -> Outcome[EntryView]:
    """Correct a balance as somebody."""
    return points.adjust_points(
        desk.table, desk.book, MemberId(member), key, AdjustPoints(points=amount, reason_code="gift"),
        now=desk.clock(), language=Language.EN, by=by,
    )  # fmt: skip


def test_nobody_gives_more_by_hand_than_one_person_may_a_day(strict: Desk) -> None:
    first, second = (strict.enrol().member_id for _ in range(2))
    adjust(strict, first, 60, "1")
    adjust(strict, first, -60, "2")
    with pytest.raises(VelocityExceeded) as refused:
        adjust(strict, second, 41, "3")
    assert refused.value.facts == {"asked": 41, "given": 60, "limit": 100}
    last = adjust(strict, second, 40, "4")
    assert adjust(strict, second, 40, "4") == Outcome(last.value, replayed=True), "also when nothing is left to give"
    with pytest.raises(VelocityExceeded):
        adjust(strict, second, 1, "5")
    adjust(strict, second, 1, "6", by="stf_b")
    adjust(strict, second, 1_000, "7", by=None)
    strict.clock.forward(days=1)
    adjust(strict, second, 100, "8")
    assert strict.sums(second)[1] == 40 + 1 + 1_000 + 100


def test_the_cap_holds_when_many_adjust_at_once(strict: Desk, dynamo: Dynamo) -> None:
    members = [strict.enrol().member_id for _ in range(8)]
    answers = at_once(dynamo, *(lambda n=n, m=m: adjust(strict, m, 30, f"k{n}") for n, m in enumerate(members)))
    done = [answer for answer in answers if isinstance(answer, Outcome)]
    assert len(done) == 3
    assert all(isinstance(answer, Outcome | VelocityExceeded) for answer in answers)
    assert sum(strict.sums(member)[1] for member in members) == 90


def test_the_same_adjustment_at_once_counts_once(strict: Desk, dynamo: Dynamo) -> None:
    member = strict.enrol().member_id
    answers = at_once(dynamo, *(lambda: adjust(strict, member, 60, "same") for _ in range(6)))
    assert all(isinstance(answer, Outcome) for answer in answers), answers
    adjust(strict, member, 40, "rest")
    assert strict.sums(member)[1] == 100


def test_a_crash_at_any_call_counts_what_was_given_and_no_more() -> None:
    crashes = 0
    for after in (False, True):
        for at in range(1, 12):
            works = Works()
            works.desk.publish(1, velocity={"adjusted_points_per_day": 100})
            works.clock.forward(seconds=11)
            member = works.desk.enrol().member_id
            crashing = CrashingTable(works.core, at, after=after)
            try:
                adjust(works.desk.over(crashing), member, 60, "k")
            except Crashed:
                crashes += 1
            adjust(works.desk, member, 60, "k")
            given = works.core.get(keys.adjusted_by("stf_a"))
            assert given is not None
            assert (given["points"], works.desk.sums(member)[1]) == (60, 60)
            if crashing.count < at:
                break
    assert crashes >= 6, "nothing crashed"


# ---------------------------------------------------------------- the door


def knock(desk: Desk, ops: Any, tally: Tally, **fields: Any) -> Raised | None:
    """A refusal."""
    values: dict[str, Any] = {"code": "token_invalid", "subject": "-", "ip": "203.0.113.7", **fields}
    return service.note_refusal(desk.table, ops, tally, now=desk.clock(), tell=tell, **values)


def test_many_refusals_raise_an_alert_and_few_do_not(desk: Desk, ops: DynamoTable) -> None:
    tally = Tally()
    raised = [knock(desk, ops, tally, ip=f"203.0.113.{n}") for n in range(60)]
    assert [(n, each.about, each.count) for n, each in enumerate(raised) if each] == [(19, "203.0.113.0/24", 20)]
    by_subject = [knock(desk, ops, tally, code="permission_missing", subject="stf_a") for _ in range(20)]
    assert [each.kind for each in by_subject if each] == [AlertKind.PERMISSION_REFUSED]
    assert [knock(desk, ops, tally, code="permission_missing") for _ in range(40)] == [None] * 40, "nobody knows whom"
    for _ in range(4):
        desk.clock.forward(minutes=6)
        assert [knock(desk, ops, tally, ip="198.51.100.1") for _ in range(19)] == [None] * 19
    assert [knock(desk, ops, tally, code="points_insufficient", subject="stf_b") for _ in range(40)] == [None] * 40


def test_refusals_in_several_processes_add_up(desk: Desk, ops: DynamoTable) -> None:
    tallies = [Tally() for _ in range(4)]
    raised = [knock(desk, ops, tallies[number % 4], ip="2001:db8:1:2::5") for number in range(20)]
    assert [each.about for each in raised if each] == ["2001:db8:1::/48"]


def test_who_knocks_a_million_times_does_not_make_us_write_a_million_times(desk: Desk) -> None:
    class Counting(MemoryTable):
        commits = 0

        def commit(self, writes: Any, *, keyed: bool = False) -> None:
            self.commits += 1
            super().commit(writes, keyed=keyed)

    ops, tally = Counting(), Tally()
    for _ in range(10_000):
        knock(desk, ops, tally)
    assert ops.commits == 4
    for number in range(20_000):
        tally.take(AlertKind.SIGN_IN_FAILED, f"net{number}", desk.clock())
    assert len(tally._counts) <= 1_000


def test_an_adjustment_over_the_cap_is_told_at_once(desk: Desk, ops: DynamoTable) -> None:
    raised = knock(desk, ops, Tally(), code="velocity_exceeded", subject="stf_a", ip="")
    assert raised == Raised(AlertKind.ADJUSTMENTS_CAPPED, "stf_a", DAY, 1, 1)


@pytest.mark.parametrize(
    ("ip", "network"),
    [("203.0.113.7", "203.0.113.0/24"), ("2001:db8::1", "2001:db8::/48"), ("", None), ("nonsense", None)],
)
def test_a_network_is_named_and_no_address(ip: str, network: str | None) -> None:
    assert rules.network(ip) == network


# ---------------------------------------------------------------- acknowledging


def an_alert(desk: Desk) -> Alert:
    """An alert that is open."""
    raised = Raised(AlertKind.SELF_EARNING, "stf_a#b", DAY, 5, 0)
    assert service.raise_alert(desk.table, raised, now=desk.clock(), tell=tell)
    assert not service.raise_alert(desk.table, raised, now=desk.clock(), tell=tell)
    (alert,) = service.list_alerts(desk.table, AlertState.OPEN, after=None, limit=5).items
    return alert


def seen(desk: Desk, alert: Alert, by: str = "stf_x", **fields: Any) -> Outcome[Alert]:
    """Acknowledge an alert."""
    return service.acknowledge_alert(desk.table, alert.alert_id, AcknowledgeAlert(**fields), by=by, now=desk.clock())


def test_an_alert_is_seen_to_once_and_the_first_is_named(desk: Desk) -> None:
    alert = an_alert(desk)
    assert (alert.about, alert.count, alert.limit, alert.state) == ("stf_a#b", 5, 0, AlertState.OPEN)
    assert seen(desk, alert, dry_run=True).stored is False
    desk.clock.forward(minutes=1)
    first = seen(desk, alert)
    assert (first.value.state, first.value.acknowledged_by, first.value.version) == ("acknowledged", "stf_x", 2)
    assert seen(desk, alert, by="stf_y") == Outcome(first.value, replayed=True)
    assert service.list_alerts(desk.table, AlertState.OPEN, after=None, limit=5).items == ()
    assert service.list_alerts(desk.table, AlertState.ACKNOWLEDGED, after=None, limit=5).items == (first.value,)
    for unknown in ("alr_QUwjYQ", "alr_aaaa", keys.alert_id(keys.alert("x", "y", DAY))):
        with pytest.raises(AlertUnknown):
            service.acknowledge_alert(desk.table, AlertId(unknown), AcknowledgeAlert(), by="stf_x", now=desk.clock())


def test_many_who_see_to_an_alert_at_once_name_one(desk: Desk, dynamo: Dynamo) -> None:
    alert = an_alert(desk)
    calls: Sequence[Callable[[], Outcome[Alert]]] = [lambda n=n: seen(desk, alert, by=f"stf_{n}") for n in range(6)]  # type: ignore[misc]
    answers = at_once(dynamo, *calls)
    values = {answer.value.model_dump_json() for answer in answers if isinstance(answer, Outcome)}
    assert len(values) == 1
    assert sum(not answer.replayed for answer in answers if isinstance(answer, Outcome)) == 1


def test_a_crash_while_an_alert_is_seen_to_is_made_good_by_saying_it_again() -> None:
    for after in (False, True):
        for at in (1, 2, 3):
            works = Works()
            alert = an_alert(works.desk)
            dying = works.desk.over(CrashingTable(works.core, at, after=after))
            with suppress(Crashed):
                seen(dying, alert)
            assert seen(works.desk, alert).value.acknowledged_by == "stf_x"


# ---------------------------------------------------------------- what is done to members


def a_deed(number: int, **fields: Any) -> Deed:
    """Somebody saw a member in clear."""
    values = {"kind": AlertKind.MEMBERS_UNMASKED, "by": "stf_a", "member_id": AccountId(f"mem_{number}"), "day": DAY}
    return Deed(**{**values, **fields})


def done(desk: Desk, ops: Any, *deeds: Deed) -> list[tuple[AlertKind, str, int]]:
    """What counting some deeds raises."""
    found = service.count_deeds(desk.table, ops, desk.book, deeds, now=desk.clock(), tell=tell)
    return [(each.kind, each.about, each.count) for each in found]


def test_members_are_counted_once_a_day_and_the_twenty_first_raises(desk: Desk, ops: DynamoTable) -> None:
    some = [a_deed(number) for number in range(20)]
    for _ in range(2):
        assert done(desk, ops, *some, *some) == []
    assert done(desk, ops, a_deed(20, by="stf_b"), a_deed(20, day=date(2026, 3, 16))) == []
    assert done(desk, ops, a_deed(20)) == [(AlertKind.MEMBERS_UNMASKED, "stf_a", 21)]
    assert done(desk, ops, a_deed(21)) == []
    changed = [a_deed(number, kind=AlertKind.CONTACTS_CHANGED) for number in range(6)]
    assert done(desk, ops, *changed) == [(AlertKind.CONTACTS_CHANGED, "stf_a", 6)]
    assert done(desk, ops, *(a_deed(number) for number in range(30, 700))) == [], "the list has an end"


def test_many_who_count_deeds_at_once_lose_none(desk: Desk, dynamo: Dynamo, ops: DynamoTable) -> None:
    answers = at_once(dynamo, *(lambda n=n: done(desk, ops, a_deed(n), a_deed(n + 100)) for n in range(11)))
    assert [each for each in answers if isinstance(each, Exception)] == []
    ((kind, about, count),) = [each for answer in answers if not isinstance(answer, Exception) for each in answer]
    assert (kind, about, count > 20) == (AlertKind.MEMBERS_UNMASKED, "stf_a", True)
    assert {len(each["ids"]) for each in store.find_deeds(ops, [a_deed(0)]).values()} == {22}


def test_a_crash_between_the_deeds_count_and_the_alert_is_made_good(desk: Desk, ops: DynamoTable) -> None:
    deeds = [a_deed(number) for number in range(21)]
    for after in (False, True):
        with suppress(Crashed):
            core = CrashingTable(desk.table, 1, after=after)
            service.count_deeds(core, ops, desk.book, deeds, now=desk.clock(), tell=tell)
    done(desk, ops, *deeds)
    (alert,) = service.list_alerts(desk.table, AlertState.OPEN, after=None, limit=9).items
    assert (alert.kind, alert.count, alert.limit) == (AlertKind.MEMBERS_UNMASKED, 21, 20)
