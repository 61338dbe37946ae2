"""A process that dies at any call of a job, before it or just after; the queue gives the message again."""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any, TypeVar

import pytest

from chalicelib.jobs import rules
from chalicelib.jobs.models import Job, RunState
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.points import service as points
from chalicelib.points.models import Due
from chalicelib.runtime import wiring
from chalicelib.storage import keys
from chalicelib.storage.signed import SignedClient
from chalicelib.storage.table import Table
from tests.faults import planted
from tests.faults.works import Works, happened
from tests.makers import Clock, a_ladder, a_purchase
from tests.memory import MemoryTable
from tests.table.stand import CrashingTable

T = TypeVar("T")
CROWD = 5
WROTE = {
    Job.BIRTHDAY: "birthday", Job.EXPIRE: "expire", Job.EXPIRING_SOON: "points_expiring",
    Job.RELEASE: "points_released", Job.TIER_REVIEW: "tier",
}  # fmt: skip

"""Jobs that do something to members; `verify` changes nothing, and has its own tests in tests/proof."""


class Died(BaseException):
    """The process is gone; nobody catches that."""


class Life:
    """Counts what a process asks of others, and ends at one of those calls."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at = at
        self.after = after
        self.count = 0

    def call(self, call: Callable[[], T]) -> T:
        """Make a call, if the process lives to."""
        self.count += 1
        if self.count == self.at and not self.after:
            raise Died
        answer = call()
        if self.count == self.at:
            raise Died
        return answer


class MortalTable(CrashingTable):
    """A table port of a process that may die at it."""

    def __init__(self, real: Table, life: Life, *, torn: bool = False) -> None:
        super().__init__(real, 0, after=False)
        self._life = life
        self._torn = torn

    def _call(self, call: Callable[[], T]) -> T:
        return self._life.call(call)

    def commit(self, writes: Any, *, keyed: bool = False) -> None:
        """See `Table.commit`; `torn` makes a transaction of each write, which is a planted bug."""
        if not self._torn:
            super().commit(writes, keyed=keyed)
            return
        for write in writes:
            super().commit([write], keyed=keyed)


class MortalSqs(SignedClient):
    """The queue service, of a process that may die at sending; receiving and deleting is the event source's."""

    def __init__(self, real: SignedClient, life: Life, *, twice: bool) -> None:
        self._real = real
        self._life = life
        self._twice = twice
        self.sent: list[str] = []

    def call(self, operation: str, payload: Any) -> dict[str, Any]:
        """See `SignedClient.call`."""
        if operation != "SendMessageBatch":
            return self._real.call(operation, payload)
        self.sent += [each["MessageBody"] for each in payload["Entries"]]
        if self._twice:
            self._real.call(operation, payload)
        return self._life.call(lambda: self._real.call(operation, payload))


class Sulking(MemoryTable):
    """A table that is busy the first time a member's account is to be written, so that the member is set aside."""

    sulks_at: str = ""

    def commit(self, writes: Any, *, keyed: bool = False) -> None:
        """See `Table.commit`."""
        if any(write.key.pk == self.sulks_at for write in writes):
            self.sulks_at = ""
            raise StorageBusy
        super().commit(writes, keyed=keyed)

    def copy(self) -> "Sulking":
        """As `MemoryTable.copy`."""
        made = Sulking(self.items)
        made.sulks_at = self.sulks_at
        return made


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few members make several pages, parts and shards."""
    monkeypatch.setattr(rules, "PAGE", 2)
    monkeypatch.setattr(rules, "MEMBERS_IN_A_PART", 2)
    monkeypatch.setattr(keys, "DUE_SHARDS", 2)
    yield
    wiring.use(None)


def prepared(job: Job) -> tuple[Works, list[MemberId]]:
    """A crowd that is due for a job, and whoever else is there."""
    works = Works(core=Sulking(), clock=Clock(Works().clock()))
    desk = works.desk
    desk.publish(
        1,
        pending_days=7,
        expiry={"mode": "rolling", "months": 12, "bucket": "day"},
        notices={"expiring_days": 7},
        ladder=a_ladder(0, 100, months=1, at_end="step_down") if job is Job.TIER_REVIEW else birthdays(),
    )
    works.clock.forward(minutes=1)
    desk = works.desk
    due = [MemberId(desk.enrol(birthday="1990-04-10").member_id) for _ in range(CROWD)]
    desk.enrol(birthday="1990-04-11")
    for member in due:
        if job in (Job.EXPIRE, Job.EXPIRING_SOON):
            desk.adjust(member, 100, key=member, expires_on=date(2026, 4, 9 if job is Job.EXPIRE else 17))
        if job is Job.EXPIRE:
            works.clock.at("2026-04-05")
            assert points.bring_up_to_date(desk.table, desk.book, member, Due.NOTICE, now=works.clock()) == 100
            works.clock.at("2026-03-15")
        if job is Job.TIER_REVIEW:
            desk.adjust(member, 1, key=member, qualifying_points=150, expires_on=date(2030, 1, 1))
    works.clock.at("2026-04-03")
    if job is Job.RELEASE:
        for member in due:
            desk.buy(a_purchase(member, paid_minor=10_000, occurred_at="2026-04-03T10:00:00+08:00"))
    works.clock.at("2026-05-01" if job is Job.TIER_REVIEW else "2026-04-10")
    works.core.sulks_at = min(keys.account(each).pk for each in in_the_fuller_shard(due))
    return works, due


def in_the_fuller_shard(due: list[MemberId]) -> list[MemberId]:
    """Three or more of five, so that the first of them is in a part with another, and can be set aside."""
    shards = [[each for each in due if keys.shard_of(each) == number] for number in range(2)]
    return max(shards, key=len)


def birthdays() -> dict[str, Any]:
    """A ladder of one tier, with gifts."""
    return {"tiers": [{"tier_id": "t0", "name": {"zh": "级", "en": "T"}, "threshold": 0, "birthday_points": 50}]}


def lived(start: Works, life: Life, job: Job, *, torn: bool = False, twice: bool = False) -> tuple[Works, list[str]]:
    """A run of a job by a process that dies, and by the ones after it; what was ever sent."""
    works = Works(core=start.core.copy(), ops=start.ops.copy(), clock=Clock(start.clock()))
    sent: list[str] = []

    def opened(life: Life) -> None:
        sqs = MortalSqs(works.sqs, life, twice=twice)
        sqs.sent = sent
        works.open(core=MortalTable(works.core, life, torn=torn), ops=MortalTable(works.ops, life, torn=torn), sqs=sqs)

    opened(life)
    for step in (lambda: works.start(job), lambda: works.drain("work-job")):
        for _ in range(2):
            try:
                step()
                break
            except Died:
                opened(Life(0, after=False))
    return works, sent


def swept(
    job: Job, *, torn: bool = False, twice: bool = False, every: int = 1, stop: bool = False
) -> tuple[int, list[str]]:
    """Let the process die everywhere: at how many places, and what did not hold.

    Args:
        every: at each so many-th call only.
        torn: plant a bug: each write is a transaction of its own.
        twice: the queue gives every message twice.
        stop: at the first that does not hold.
    """
    start, due = prepared(job)
    died, found = 0, list[str]()
    for after in (False, True):
        for at in range(1, 1_000, every):
            life = Life(at, after=after)
            works, sent = lived(start, life, job, torn=torn, twice=twice)
            if life.count < at:
                break
            died += 1
            where = f"{job} died {'after' if after else 'before'} call {at}: "
            found += [where + each for each in wrong(works, sent, job, due)]
            if stop and found:
                return died, found
    return died, found


def wrong(works: Works, sent: list[str], job: Job, due: list[MemberId]) -> list[str]:
    """What does not hold after a run, and what a repetition of every message changes."""
    if not sent:
        return ["nothing was started"]
    run, found = works.run(job), works.faults()
    if (run.state, run.due, run.done, run.waiting) != (RunState.DONE, CROWD, CROWD, 0):
        found.append(f"the run is {run.state}: {run.done} of {run.due} done")
    if not run.changed <= CROWD:
        found.append(f"{run.changed} changed")
    wrote = {who: n for (who, kind), n in happened(works.core).items() if kind == WROTE[job] and n}
    if wrote != {each.removeprefix("mem_"): 1 for each in due}:
        found.append(f"effects {sorted(wrote.values())}")
    if works.dead("job-work"):
        found.append("there are dead letters")
    before, counted = dict(works.core.items), works.run(job)
    works.yard.queues.send(works.yard.queue, sent[::-1] * 2)
    works.open()
    works.drain("work-job")
    if works.core.items != before or works.run(job) != counted:
        found.append("a repetition changed something")
    return found


@pytest.mark.parametrize("job", WROTE)
def test_a_job_that_dies_at_any_call_is_completed_by_the_message_that_comes_again(
    job: Job, record_property: Callable[[str, object], None]
) -> None:
    died, found = swept(job)
    assert found == []
    assert died > 60, "hardly anything died"
    record_property("figures", f"{job}: {died} deaths, all completed, {CROWD} effects each")


def test_so_does_one_whose_messages_all_come_twice() -> None:
    died, found = swept(Job.EXPIRE, twice=True, every=5)
    assert found == []
    assert died > 30, "hardly anything died"


def test_without_a_death_all_count_as_changed() -> None:
    for job in WROTE:
        start, _ = prepared(job)
        works, _ = lived(start, Life(0, after=False), job)
        run = works.run(job)
        assert (run.state, run.due, run.changed, run.set_aside) == (RunState.DONE, CROWD, CROWD, 1), job


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (planted.no_idempotency, "effects"),
        (planted.no_memory_of_parts, "the run is"),
        (planted.parts_handed_on_once, "the run is"),
        (planted.finished_by_last_worker_only, "the run is"),
        (planted.head_first, "nothing was started"),
    ],
    ids=lambda each: getattr(each, "__name__", None),
)
def test_a_planted_bug_is_found(plant: planted.Plant, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    _, found = swept(Job.BIRTHDAY, stop=True)
    assert any(says in each for each in found), found


@pytest.mark.parametrize("job", [Job.BIRTHDAY, Job.EXPIRE])
def test_transactions_torn_in_two_are_found(job: Job) -> None:
    _, found = swept(job, torn=True, stop=True)
    assert found
