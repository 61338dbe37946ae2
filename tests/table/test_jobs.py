"""Jobs over a real table: whom a day concerns, once each, whatever happens on the way."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

import pytest

from chalicelib.jobs import jobs, service
from chalicelib.jobs import store as job_store
from chalicelib.jobs.errors import RunDayWrong
from chalicelib.jobs.models import Closed, Counts, Job, Part, Run, RunState
from chalicelib.jobs.service import Yard
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import CardId
from chalicelib.points.models import Reason
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.table import DynamoTable
from tests.makers import Tray, a_ladder, a_member_id, a_purchase
from tests.table.stand import Desk, at_once, scan

TODAY = date(2026, 3, 15)


@dataclass
class Works:
    """A yard whose queue is worked off by hand."""

    desk: Desk
    yard: Yard
    tray: Tray = field(default_factory=Tray)

    def start(self, job: Job, day: date | None = None, *, dry_run: bool = False, anew: bool = True) -> Run:
        """Start a run by hand."""
        now = self.desk.clock()
        return service.start_run(self.yard, job, day or TODAY, dry_run=dry_run, by="stf_test", now=now, anew=anew)

    def drain(self) -> list[str]:
        """Work the queue off, as its function does; the bodies of messages that failed."""
        failed: list[str] = []
        while records := self.tray.taken():
            answer = jobs.work_job({"Records": records}, None)
            broken = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            failed += [each["body"] for each in records if each["messageId"] in broken]
        return failed

    def run(self, job: Job, day: date | None = None, *, dry_run: bool = False) -> Run:
        """Start a run and work it off."""
        self.start(job, day, dry_run=dry_run)
        assert self.drain() == []
        return self.found(job, day, dry_run=dry_run)

    def found(self, job: Job, day: date | None = None, *, dry_run: bool = False) -> Run:
        """A run as it is."""
        return service.find_run(self.yard, job, day or TODAY, dry_run=dry_run, now=self.desk.clock())


@pytest.fixture
def works(desk: Desk, ops: DynamoTable, house: House) -> Iterator[Works]:
    """Jobs over the test's tables; the functions use them too."""
    tray = Tray()
    wiring.use(replace(house, table=desk.table, ops=ops, queues=tray, clock=desk.clock))
    yield Works(desk, Yard(desk.table, ops, desk.book, tray, "jobs"), tray)
    wiring.use(None)


def kinds(desk: Desk, member: str) -> list[str]:
    """What is on a member's timeline, oldest first."""
    from chalicelib.members.service import list_timeline

    part = list_timeline(desk.table, member, after=None, limit=100)  # type: ignore[arg-type]
    return [each.type for each in reversed(part.items)]


def figures(run: Run) -> tuple[RunState, int, int, int, int]:
    """State, due, done, changed, points."""
    return run.state, run.due, run.done, run.changed, run.points


# ---------------------------------------------------------------- birthdays


def test_members_born_on_the_day_get_the_gift_of_their_tier_and_nobody_else_does(works: Works) -> None:
    desk = works.desk
    basic = desk.enrol(birthday="1990-03-15").member_id
    gold = desk.enrol(birthday="--03-15").member_id
    desk.adjust(gold, 1, key="q", qualifying_points=5_000)
    other = desk.enrol(birthday="1990-03-16").member_id
    yearless = desk.enrol().member_id

    run = works.run(Job.BIRTHDAY)

    assert figures(run) == (RunState.DONE, 2, 2, 2, 250)
    assert [desk.member(each).points.available for each in (basic, gold, other, yearless)] == [50, 201, 0, 0]
    entry = desk.entries(basic)[-1]
    assert (entry.reason, entry.points, entry.qualifying, entry.key.parts[1]) == (Reason.EARN, 50, None, "2026")
    assert entry.expires_on == date(2027, 3, 31)


def test_a_second_run_of_the_same_day_gives_nothing_twice_and_says_so(works: Works) -> None:
    member = works.desk.enrol(birthday="1990-03-15").member_id
    assert works.run(Job.BIRTHDAY).changed == 1
    works.desk.clock.forward(minutes=1)
    again = works.run(Job.BIRTHDAY)
    assert (again.attempt, again.state, again.changed, again.points) == (2, RunState.DONE, 0, 0)
    assert len(works.desk.entries(member)) == 1


def test_who_joins_on_a_birthday_after_the_run_gets_the_gift_the_next_day_and_nobody_a_day_of_before_joining(
    works: Works,
) -> None:
    desk = works.desk
    works.run(Job.BIRTHDAY)
    joined = desk.enrol(birthday="1990-03-15").member_id
    later = desk.enrol(birthday="1990-03-10").member_id
    known = desk.enrol(birthday="1990-03-16").member_id
    desk.clock.at("2026-03-16")
    for _ in range(2):
        works.run(Job.BIRTHDAY, date(2026, 3, 16))
    assert [len(desk.entries(each)) for each in (joined, later, known)] == [1, 0, 1]
    assert works.run(Job.BIRTHDAY, date(2026, 3, 10)).changed == 0
    assert len(desk.entries(later)) == 0
    desk.clock.at("2027-03-16")
    works.run(Job.BIRTHDAY, date(2027, 3, 16))
    assert len(desk.entries(joined)) == 1, "next year's gift is the matter of its own day"


def test_a_birthday_that_is_corrected_after_the_gift_brings_no_second_one_that_year(works: Works) -> None:
    member = works.desk.enrol(birthday="1990-03-15")
    works.run(Job.BIRTHDAY)
    works.desk.edit(member.member_id, 1, birthday="1990-03-16")
    works.desk.clock.at("2026-03-16")
    works.run(Job.BIRTHDAY, date(2026, 3, 16))
    assert len(works.desk.entries(member.member_id)) == 1


def test_who_was_born_on_29_february_celebrates_on_the_28th_of_common_years(works: Works) -> None:
    member = works.desk.enrol(birthday="1992-02-29").member_id
    for day, entries in (("2027-02-28", 1), ("2027-03-01", 1), ("2028-02-28", 1), ("2028-02-29", 2), ("2028-03-01", 2)):
        works.desk.clock.at(day)
        works.run(Job.BIRTHDAY, date.fromisoformat(day))
        assert len(works.desk.entries(member)) == entries, day


def test_a_suspended_and_a_closed_member_get_no_gift(works: Works) -> None:
    members = [works.desk.enrol(birthday="1990-03-15").member_id for _ in range(3)]
    works.desk.suspend(members[0])
    works.desk.close(members[1])
    run = works.run(Job.BIRTHDAY)
    assert figures(run) == (RunState.DONE, 2, 2, 1, 50)
    assert [len(works.desk.entries(each)) for each in members] == [0, 0, 1]


def test_a_dry_run_writes_nothing_and_says_what_would_be_given(works: Works, dynamo: Dynamo) -> None:
    works.desk.enrol(birthday="1990-03-15")
    given = works.desk.enrol(birthday="1990-03-15").member_id
    works.run(Job.BIRTHDAY)
    works.desk.enrol(birthday="1990-03-15")
    before = scan(dynamo, works.yard.table.name)  # type: ignore[attr-defined]

    run = works.run(Job.BIRTHDAY, dry_run=True)

    assert figures(run) == (RunState.DONE, 3, 3, 1, 50)
    assert scan(dynamo, works.yard.table.name) == before  # type: ignore[attr-defined]
    assert works.found(Job.BIRTHDAY).changed == 2, "the real run stands beside it"
    assert len(works.desk.entries(given)) == 1


# ---------------------------------------------------------------- expiry, notices, release, reviews


def test_members_due_have_their_expiries_booked_and_leave_the_index(works: Works) -> None:
    desk = works.desk
    members = [desk.enrol().member_id for _ in range(3)]
    for member in members:
        desk.adjust(member, 100, key=member, expires_on=date(2026, 3, 31))
    desk.spend(members[0], 100, key="all")
    desk.clock.at("2026-03-20")
    works.run(Job.EXPIRING_SOON, date(2026, 3, 17))
    desk.clock.at("2026-04-01")

    run = works.run(Job.EXPIRE, date(2026, 4, 1))

    assert run.points == 200
    assert [desk.account(each).lifetime.expired for each in members] == [0, 100, 100]
    assert desk.sums(members[1]) == (2, 0, 0)
    assert all(desk.account(each).due_on is None for each in members[1:])


def test_what_cards_hold_expires_by_the_same_job_and_is_not_counted_as_points(works: Works) -> None:
    desk = works.desk
    cards = [
        desk.open_card(desk.enrol().member_id, key=f"k{n}", kind="count", uses=5, expires_on="2026-03-20").value.card_id
        for n in range(30)
    ]
    desk.clock.at("2026-03-21")
    run = works.run(Job.EXPIRE, date(2026, 3, 21))
    assert figures(run) == (RunState.DONE, 30, 30, 30, 0)
    assert {desk.sums(card) for card in cards} == {(2, 0, 0)}
    assert {desk.account(card).due_on for card in cards} == {None}
    assert figures(works.run(Job.EXPIRING_SOON, date(2026, 3, 21)))[2] == 0


def test_the_parts_that_follow_from_a_part_are_found_again_with_members_and_cards(works: Works) -> None:
    part = Part(job=Job.EXPIRE, day=TODAY, dry_run=False, attempt=1, name="1")
    follow = part.model_copy(update={"name": "1.1", "members": (a_member_id(), CardId.of("key", "k"))})
    works.yard.ops.commit(job_store.close(part, Closed(Counts(closed=1), (follow,)), works.desk.clock()))
    assert job_store.find_closed(works.yard.ops, part) == (follow,)


def test_a_member_is_told_of_points_that_expire_soon_once_and_then_they_expire(works: Works) -> None:
    desk = works.desk
    desk.publish(2 - 1, notices={"expiring_days": 7})
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 4, 30))
    assert desk.account(member).due_on == date(2026, 4, 23)

    for day in ("2026-04-22", "2026-04-23", "2026-04-24", "2026-05-01"):
        desk.clock.at(day)
        works.run(Job.EXPIRING_SOON, date.fromisoformat(day))
        works.run(Job.EXPIRE, date.fromisoformat(day))

    assert kinds(desk, member) == ["enrolled", "adjust", "points_expiring", "expire"]
    assert works.found(Job.EXPIRING_SOON, date(2026, 4, 23)).points == 100


def test_points_that_expire_day_by_day_make_one_notice_a_month(works: Works) -> None:
    desk = works.desk
    desk.publish(1, expiry={"mode": "rolling", "months": 12, "bucket": "day"}, notices={"expiring_days": 5})
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    for day in (10, 11, 12):
        desk.adjust(member, 5, key=f"{day}", expires_on=date(2026, 4, day))
    for day in range(1, 14):
        desk.clock.at(f"2026-04-{day:02d}")
        works.run(Job.EXPIRING_SOON, date(2026, 4, day))
        works.run(Job.EXPIRE, date(2026, 4, day))
    assert kinds(desk, member).count("points_expiring") == 1
    assert kinds(desk, member).count("expire") == 3


def test_a_notice_that_was_due_when_the_job_did_not_run_is_given_on_a_later_day(works: Works) -> None:
    desk = works.desk
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 4, 30))
    desk.clock.at("2026-04-20")
    desk.buy(a_purchase(member, occurred_at="2026-04-20T10:00:00+08:00"))
    desk.clock.at("2026-04-21")
    run = works.run(Job.EXPIRING_SOON, date(2026, 4, 21))
    assert run.changed == 1


def test_a_tier_whose_time_is_over_is_reviewed_once_kept_or_not(works: Works) -> None:
    desk = works.desk
    desk.publish(1, ladder=a_ladder(0, 100, 1000, months=1, at_end="step_down"))
    desk.clock.forward(seconds=11)
    lower, keeps = desk.enrol().member_id, desk.enrol().member_id
    for member in (lower, keeps):
        desk.adjust(member, 1, key=member, qualifying_points=150, expires_on=date(2030, 1, 1))
    desk.clock.at("2026-04-10")
    desk.adjust(keeps, 1, key="k", qualifying_points=150, expires_on=date(2030, 1, 1))
    assert desk.account(lower).due_on == date(2026, 5, 1)
    desk.clock.at("2026-05-01")

    run = works.run(Job.TIER_REVIEW, date(2026, 5, 1))

    assert figures(run) == (RunState.DONE, 2, 2, 2, 0)
    review = desk.entries(lower)[-1]
    assert (review.reason, review.points, review.tier_before, review.tier_after) == (Reason.TIER, 0, "t1", "t0")
    kept = desk.entries(keeps)[-1]
    assert (kept.tier_before, kept.tier_after, kept.expires_on) == ("t1", "t1", date(2026, 5, 31))
    assert works.run(Job.TIER_REVIEW, date(2026, 5, 1)).changed == 0


def test_a_purchase_that_comes_before_the_review_books_it_and_the_job_finds_nothing(works: Works) -> None:
    desk = works.desk
    desk.publish(1, ladder=a_ladder(0, 100, 1000, months=1, at_end="step_down"))
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    desk.adjust(member, 1, key="q", qualifying_points=150, expires_on=date(2030, 1, 1))
    desk.clock.at("2026-05-01")
    desk.buy(a_purchase(member, occurred_at="2026-05-01T10:00:00+08:00"))
    assert kinds(desk, member) == ["enrolled", "adjust", "tier", "earn"]
    assert works.run(Job.TIER_REVIEW, date(2026, 5, 1)).changed == 0


def test_pending_points_cannot_be_spent_before_their_day_and_need_no_job_to_be_spent_then(works: Works) -> None:
    desk = works.desk
    desk.publish(1, pending_days=14)
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    bought = desk.buy(a_purchase(member, paid_minor=10_000, occurred_at="2026-03-14T12:00:00+08:00")).value
    assert (bought.points_earned, bought.matures_on) == (100, date(2026, 3, 28))
    found = desk.points(member)
    assert (found.available, found.pending, sum(lot.points for lot in found.lots)) == (0, 100, 100)
    desk.clock.at("2026-03-28")
    found = desk.points(member)
    assert (found.available, found.pending) == (100, 0)

    run = works.run(Job.RELEASE, date(2026, 3, 28))

    assert figures(run) == (RunState.DONE, 1, 1, 1, 100)
    assert kinds(desk, member) == ["enrolled", "earn", "points_released"]
    assert works.run(Job.RELEASE, date(2026, 3, 28)).changed == 0
    assert desk.account(member).pending == {}


def test_pending_points_are_out_of_reach_of_spends_and_tenders(works: Works) -> None:
    from chalicelib.points.errors import PointsInsufficient

    desk = works.desk
    desk.publish(1, pending_days=14)
    desk.clock.forward(seconds=11)
    member = desk.enrol().member_id
    desk.buy(a_purchase(member, paid_minor=10_000))
    with pytest.raises(PointsInsufficient):
        desk.spend(member, 1, key="s")
    with pytest.raises(PointsInsufficient):
        desk.buy(a_purchase(member, points_tender=100))
    assert desk.close(member, forfeit=True).value.points.pending == 0


def test_a_look_ahead_finds_what_will_expire_though_accounts_stand_under_an_earlier_day(works: Works) -> None:
    desk = works.desk
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 4, 30))
    assert desk.account(member).due_on == date(2026, 4, 16)
    run = works.run(Job.EXPIRE, date(2026, 5, 1), dry_run=True)
    assert figures(run) == (RunState.DONE, 1, 1, 1, 100)
    assert desk.sums(member) == (1, 100, 100)


def test_an_account_under_a_day_that_no_longer_fits_the_program_is_moved(works: Works) -> None:
    desk = works.desk
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 4, 30))
    desk.publish(1, notices={"expiring_days": None})
    desk.clock.at("2026-04-16")
    run = works.run(Job.EXPIRING_SOON, date(2026, 4, 16))
    assert run.changed == 0
    assert desk.account(member).due_on == date(2026, 5, 1)


# ---------------------------------------------------------------- days


def test_a_schedule_that_fires_twice_late_or_not_at_all_comes_to_the_same(works: Works) -> None:
    desk = works.desk
    members = [desk.enrol(birthday=f"--03-{day}").member_id for day in (15, 16, 17, 18, 19)]
    desk.clock.at("2026-03-15")
    assert [run.date for run in service.start_due(works.yard, Job.BIRTHDAY, now=desk.clock())] == [TODAY]
    assert service.start_due(works.yard, Job.BIRTHDAY, now=desk.clock()) == []
    works.drain()
    desk.clock.at("2026-03-18")
    days = [run.date.day for run in service.start_due(works.yard, Job.BIRTHDAY, now=desk.clock())]
    assert days == [16, 17, 18]
    works.drain()
    assert [len(desk.entries(each)) for each in members] == [1, 1, 1, 1, 0]


def test_a_day_does_not_begin_before_its_hour_in_the_programs_zone(works: Works) -> None:
    desk = works.desk
    desk.clock.at("2026-03-15")
    early = desk.clock() - timedelta(hours=6)  # 06:00 in Shanghai
    assert [run.date for run in service.start_due(works.yard, Job.BIRTHDAY, now=early)] == [date(2026, 3, 14)]
    assert [run.date for run in service.start_due(works.yard, Job.BIRTHDAY, now=desk.clock())] == [TODAY]


def test_a_birthday_long_missed_is_not_caught_up_and_an_expiry_is(works: Works) -> None:
    desk = works.desk
    for job in (Job.BIRTHDAY, Job.EXPIRE):
        service.start_due(works.yard, job, now=desk.clock())
    desk.clock.at("2026-06-15")
    assert len(service.start_due(works.yard, Job.BIRTHDAY, now=desk.clock())) == 8
    assert len(service.start_due(works.yard, Job.EXPIRE, now=desk.clock())) == 92


def test_two_schedules_at_once_start_a_day_once(works: Works, dynamo: Dynamo) -> None:
    works.desk.enrol(birthday="1990-03-15")
    now = works.desk.clock()
    answers = at_once(dynamo, *(lambda: service.start_due(works.yard, Job.BIRTHDAY, now=now) for _ in range(6)))
    assert not [each for each in answers if isinstance(each, Exception)]
    works.drain()
    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 1, 1, 1, 50)


@pytest.mark.parametrize(("day", "dry_run"), [("2026-03-16", False), ("2024-01-01", False), ("2026-09-01", True)])
def test_a_day_too_far_back_or_ahead_is_refused_and_nothing_is_started(works: Works, day: str, dry_run: bool) -> None:
    with pytest.raises(RunDayWrong):
        works.start(Job.EXPIRE, date.fromisoformat(day), dry_run=dry_run)
    assert works.tray.bodies == []


# ---------------------------------------------------------------- parts


def crowd(works: Works, size: int) -> list[str]:
    """Members who share a birthday."""
    return [works.desk.enrol(birthday="1990-03-15").member_id for _ in range(size)]


def test_parts_in_any_order_and_each_twice_count_once(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.jobs.rules.PAGE", 3)
    monkeypatch.setattr("chalicelib.jobs.rules.MEMBERS_IN_A_PART", 2)
    members = crowd(works, 40)
    works.start(Job.BIRTHDAY)
    while records := works.tray.taken():
        twice = [*reversed(records), *records]
        jobs.work_job({"Records": [{**each, "messageId": f"{n}"} for n, each in enumerate(twice)]}, None)
    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 40, 40, 40, 2000)
    assert {len(works.desk.entries(each)) for each in members} == {1}


def test_a_run_whose_messages_were_lost_is_taken_up_where_it_was(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.jobs.rules.MEMBERS_IN_A_PART", 4)
    members = crowd(works, 30)
    service.start_due(works.yard, Job.BIRTHDAY, now=works.desk.clock())
    pages = works.tray.taken()
    jobs.work_job({"Records": pages}, None)
    some = works.tray.taken()[::2]
    jobs.work_job({"Records": some}, None)
    works.tray.taken()  # a queue that lived in memory is gone
    assert works.found(Job.BIRTHDAY).state is RunState.RUNNING
    works.desk.clock.forward(minutes=31)
    assert works.found(Job.BIRTHDAY).state is RunState.INCOMPLETE

    service.start_due(works.yard, Job.BIRTHDAY, now=works.desk.clock())
    works.drain()

    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 30, 30, 30, 1500)
    assert {len(works.desk.entries(each)) for each in members} == {1}


def test_members_who_cannot_be_done_are_set_aside_and_the_others_are_done(
    works: Works, dynamo: Dynamo, table: DynamoTable
) -> None:
    members = crowd(works, 12)
    shards = [keys.shard_of(each) for each in members]
    poisoned = next(each for each in members if shards.count(keys.shard_of(each)) > 1)
    where = {"TableName": table.name, "Key": {"pk": {"S": keys.account(poisoned).pk}, "sk": {"S": "ACCOUNT"}}}
    spoilt = {"ExpressionAttributeNames": {"#s": "status"}, "ExpressionAttributeValues": {":s": {"S": "odd"}}}
    dynamo.call("UpdateItem", {**where, "UpdateExpression": "SET #s = :s", **spoilt})

    works.start(Job.BIRTHDAY)
    failed = works.drain()

    assert [json.loads(each)["members"] for each in failed] == [[poisoned]]
    run = works.found(Job.BIRTHDAY)
    assert (run.state, run.due, run.done, run.waiting, run.set_aside) == (RunState.RUNNING, 12, 11, 1, 1)

    mended = {"ExpressionAttributeNames": {"#s": "status"}, "ExpressionAttributeValues": {":s": {"S": "active"}}}
    dynamo.call("UpdateItem", {**where, "UpdateExpression": "SET #s = :s", **mended})
    works.tray.bodies = failed * 2  # redriven, and twice
    assert works.drain() == []
    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 12, 12, 12, 600)
    assert {len(works.desk.entries(each)) for each in members} == {1}


def test_a_message_that_is_none_fails_alone(works: Works) -> None:
    crowd(works, 3)
    works.start(Job.BIRTHDAY)
    works.tray.bodies += ["no json", "{}", json.dumps({"job": "birthday"})]
    assert works.drain() == ["no json", "{}", json.dumps({"job": "birthday"})]
    assert works.found(Job.BIRTHDAY).state is RunState.DONE


def test_messages_of_an_attempt_that_was_followed_by_another_are_passed_over(works: Works) -> None:
    crowd(works, 3)
    works.run(Job.BIRTHDAY)
    works.start(Job.BIRTHDAY)
    old = [json.dumps({**json.loads(each), "attempt": 1}) for each in works.tray.bodies]
    works.tray.bodies += old
    works.drain()
    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 3, 3, 3, 150)


class Refusing(Tray):
    """A queue that takes what it is sent for the second time only."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:
        """See `Queues.send`."""
        if bodies[0] not in self.refused:
            self.refused.add(bodies[0])
            raise StorageBusy("The queue is busy.")
        super().send(queue_url, bodies, delay=delay)


def test_a_queue_that_is_busy_loses_nothing(works: Works) -> None:
    members = crowd(works, 30)
    tray = Refusing()
    yard = replace(works.yard, queues=tray)
    with pytest.raises(StorageBusy):
        service.start_due(yard, Job.BIRTHDAY, now=works.desk.clock())
    assert tray.bodies == []
    service.start_due(yard, Job.BIRTHDAY, now=works.desk.clock(), resume_after=timedelta(0))
    waiting, refused = list(tray.bodies), 0
    while waiting:
        tray.bodies = []
        body = waiting.pop(0)
        try:
            service.do_part(
                yard, Part.model_validate_json(body), now=works.desk.clock(), attempt=lambda work: (True, work())
            )
        except StorageBusy:
            refused += 1
            waiting.append(body)  # as the queue does with a message that was not done
        waiting += tray.bodies
    assert refused > 0
    assert figures(works.found(Job.BIRTHDAY)) == (RunState.DONE, 30, 30, 30, 1500)
    assert {len(works.desk.entries(each)) for each in members} == {1}


def test_an_expiry_whose_account_stood_under_the_day_of_a_missed_notice_is_booked_a_day_later(works: Works) -> None:
    desk = works.desk
    member = desk.enrol().member_id
    desk.adjust(member, 100, key="a", expires_on=date(2026, 3, 31))
    for job in (Job.EXPIRE, Job.EXPIRING_SOON):
        service.start_due(works.yard, job, now=desk.clock())
    works.drain()
    for day in ("2026-04-20", "2026-04-21"):
        desk.clock.at(day)
        for job in (Job.EXPIRE, Job.EXPIRING_SOON):
            service.start_due(works.yard, job, now=desk.clock())
            works.drain()
    assert desk.sums(member) == (2, 0, 0)
    assert desk.account(member).due_on is None


def test_runs_are_listed_latest_day_first_page_by_page(works: Works) -> None:
    for day in range(1, 8):
        works.run(Job.EXPIRE, date(2026, 3, day))
    works.run(Job.EXPIRE, date(2026, 3, 3), dry_run=True)
    now = works.desk.clock()
    seen: list[tuple[int, bool]] = []
    position: str | None = None
    for _ in range(10):
        part = service.list_runs(works.yard, Job.EXPIRE, after=position, limit=3, now=now)
        seen += [(run.date.day, run.dry_run) for run in part.items]
        position = part.next_position
        if position is None:
            break
    assert sorted(seen, reverse=True) == [(7, False), (6, False), (5, False), (4, False), (3, True), (3, False),
                                          (2, False), (1, False)]  # fmt: skip
    assert [day for day, _ in seen] == sorted((day for day, _ in seen), reverse=True)


def test_a_job_shows_its_hour_and_its_last_run(works: Works) -> None:
    works.desk.enrol(birthday="1990-03-15")
    service.start_due(works.yard, Job.BIRTHDAY, now=works.desk.clock())
    works.drain()
    shown = {each.job: each for each in service.list_jobs(works.yard, now=works.desk.clock())}
    birthday = shown[Job.BIRTHDAY]
    assert (birthday.starts_at, birthday.through) == ("08:00", TODAY)
    assert birthday.last_run is not None
    assert birthday.last_run.points == 50
    assert shown[Job.EXPIRE].last_run is None
