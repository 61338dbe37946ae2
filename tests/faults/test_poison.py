"""One in a hundred can never be done: the others are, and the poison is put aside until it is mended (R10)."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from chalicelib.jobs import jobs
from chalicelib.jobs import service as jobs_service
from chalicelib.jobs.models import Job, RunState
from chalicelib.kernel.ids import MemberId
from chalicelib.storage import keys
from chalicelib.storage.keys import Key
from chalicelib.storage.table import Rows
from chalicelib.storage.writes import Item
from tests.faults import works as stand
from tests.faults.conftest import Report
from tests.faults.sizes import PATIENCE, SEED, SIZE
from tests.faults.works import Works, happened
from tests.memory import MemoryTable

RECEIVES = 5
JUNK = ("no json", "{}", '{"job": "birthday"}', '{"job": "teleport", "day": "2026-03-15"}', "[]", "毒", "null")


class LateIndex(MemoryTable):
    """A table whose index of what is due still names members who are gone."""

    def __init__(self, real: MemoryTable) -> None:
        super().__init__(real.items)
        self.late = real.copy()

    def query_due(self, partition: str, *, after: str | None, limit: int) -> Rows:
        """See `Table.query_due`."""
        return self.late.query_due(partition, after=after, limit=limit)


@dataclass
class Crowd:
    """Members with a birthday and points that expire, some of them poison, and as many messages that are none.

    Attributes:
        spoilt: members whose account cannot be read.
        gone: members of whom nothing is left.
        there: what there was of both, by key; to mend them it is put back.
    """

    works: Works
    good: list[MemberId]
    spoilt: list[MemberId]
    gone: list[MemberId]
    there: dict[Key, Item]
    junk: list[str]

    def mend(self) -> None:
        """Put back what was there."""
        for key, item in self.there.items():
            self.works.core.restore(key, item)


def a_crowd(size: int, seed: int) -> Crowd:
    """A crowd of which one in a hundred is poison, at least four."""
    chance, works = random.Random(seed), Works()
    works.desk.publish(1, expiry={"mode": "rolling", "months": 12, "bucket": "day"}, notices={"expiring_days": None})
    works.clock.forward(minutes=1)
    desk, members = works.desk, list[MemberId]()
    for number in range(size):
        member = MemberId(desk.enrol(birthday="1990-04-10", mobile=f"+86138{number:08d}").member_id)
        desk.adjust(member, 100, key=member, expires_on=date(2026, 4, 9))
        members.append(member)
    works.clock.at("2026-04-10")
    works.core = LateIndex(works.core)
    works.open()
    bad = chance.sample(members, max(4, size // 100))
    spoilt, gone = bad[::2], bad[1::2]
    there = {key: works.core.items[key] for each in bad for key in (keys.account(each), keys.profile(each))}
    for each in spoilt:
        works.core.spoil(keys.account(each), status="odd")
    for each in gone:
        works.core.restore(keys.account(each), None)
        works.core.restore(keys.profile(each), None)
    junk = [JUNK[number % len(JUNK)] for number in range(len(bad))]
    return Crowd(works, [each for each in members if each not in set(bad)], spoilt, gone, there, junk)


def first_pass(crowd: Crowd) -> None:
    """Both jobs, with messages that are none among theirs."""
    works = crowd.works
    works.yard.queues.send(works.yard.queue, crowd.junk[::2])
    for job in (Job.BIRTHDAY, Job.EXPIRE):
        works.start(job)
    works.yard.queues.send(works.yard.queue, crowd.junk[1::2])
    works.drain("work-job")


def wrong(crowd: Crowd, *, mended: bool = False) -> list[str]:
    """What does not hold: the good are done once, and the poison is dead until it is mended."""
    works, found = crowd.works, list[str]()
    done = happened(works.core)
    for job, kind in ((Job.BIRTHDAY, "birthday"), (Job.EXPIRE, "expire")):
        through = crowd.good + (crowd.spoilt if mended else [])
        effects = {who: n for (who, what), n in done.items() if what == kind}
        if effects != {each.removeprefix("mem_"): 1 for each in through}:
            found.append(f"{kind}: {len(effects)} members for {len(through)}, {sum(effects.values())} times")
        run, waiting = works.run(job), 0 if mended else len(crowd.spoilt)
        if (run.due - run.done, run.waiting, run.state is RunState.DONE) != (waiting, waiting, mended):
            found.append(f"{job}: {run.waiting} waiting, {run.state}")
    dead = Counter(works.dead("job-work"))
    if Counter({each: n for each, n in dead.items() if each in JUNK}) != Counter(crowd.junk):
        found.append("not all messages that are none are dead letters")
    members = sorted(
        (json.loads(each)["job"], *json.loads(each).get("members", ())) for each in dead if each not in JUNK
    )
    wanted = [] if mended else sorted((job.value, each) for job in (Job.BIRTHDAY, Job.EXPIRE) for each in crowd.spoilt)
    if members != wanted:
        found.append(f"{len(members)} of {len(wanted)} poisoned members are dead letters")
    if set(works.sqs.receives("regulars-job-work-dlq")) - {RECEIVES}:
        found.append(f"dead after {set(works.sqs.receives('regulars-job-work-dlq'))} receives")
    return found


@pytest.mark.timeout(PATIENCE)
def test_the_good_are_done_the_poison_is_put_aside_and_once_mended_done_once(report: Report) -> None:
    crowd = a_crowd(SIZE, SEED)
    works = crowd.works
    first_pass(crowd)
    assert wrong(crowd) == []

    letters = len(works.dead("job-work"))
    state = dict(works.core.items)
    assert works.redrive("job-work") == letters
    works.drain("work-job")
    assert wrong(crowd) == []
    assert works.core.items == state, "a redrive without mending changes nothing"

    crowd.mend()
    for _ in range(2):
        assert works.redrive("job-work") > 0
        works.drain("work-job")
        assert wrong(crowd, mended=True) == []
        assert works.faults() == []
    report(f"poison: {SIZE} members, {len(crowd.spoilt)} spoilt, {len(crowd.gone)} gone, {len(crowd.junk)} no "
           f"messages: {letters} dead letters, redriven unmended, mended, twice",
           members=SIZE, spoilt=len(crowd.spoilt), gone=len(crowd.gone), junk=len(crowd.junk), letters=letters,
    )  # fmt: skip


NOTICE_JUNK = ("no json", "{}", '{"type": "BirthdayGiftGiven"}', '{"type": "Teleported"}', "[]")


@pytest.mark.timeout(PATIENCE)
def test_notices_and_the_archive_put_poison_aside_and_tell_everybody_once(report: Report) -> None:
    chance, works = random.Random(SEED), Works()
    desk = works.desk
    members = [desk.enrol(birthday="1990-03-15", mobile=f"+86138{n:08d}").member_id for n in range(SIZE)]
    works.start(Job.BIRTHDAY)
    works.drain("work-job")
    spoilt = chance.sample(members, max(2, SIZE // 100))
    before = {keys.profile(each): works.core.spoil(keys.profile(each), contact=b"\xff") for each in spoilt}
    assert all("contact" in item for item in before.values())
    works.tell()
    for queue in ("notices", "archive"):
        works.yard.queues.send(works.sqs.url(f"regulars-{queue}"), NOTICE_JUNK * max(1, len(spoilt) // 5))

    works.drain("notices", "archive")

    junk = len(NOTICE_JUNK * max(1, len(spoilt) // 5))
    told = Counter(each["member_id"] for each in works.outbox())
    assert told == Counter(each for each in members if each not in spoilt)
    assert len(works.dead("notices")) == len(spoilt) + junk
    # The archive keeps types that this code does not know; it asks for an id and a time.
    assert len(works.dead("archive")) == junk
    assert len({each["event_id"] for each in works.archived()}) == 3 * SIZE + 1

    works.redrive("notices")
    works.drain("notices")
    assert len(works.dead("notices")) == len(spoilt) + junk
    for key, item in before.items():
        works.core.restore(key, item)
    for _ in range(2):
        works.redrive("notices")
        works.drain("notices")
        assert Counter(each["member_id"] for each in works.outbox()) == Counter(members)
        assert len(works.dead("notices")) == junk
    words = f"poison: {SIZE} notices, {len(spoilt)} of profiles that cannot be read, {2 * junk} no messages"
    report(words, notices=SIZE, spoilt=len(spoilt), junk=2 * junk)


# ---------------------------------------------------------------- planted


def whole_batches_fail(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A handler that names every message of a batch in which one failed."""
    answer = jobs.work_job(event, context)
    everything = [{"itemIdentifier": each["messageId"]} for each in event["Records"]]
    return {"batchItemFailures": everything if answer["batchItemFailures"] else []}


def nothing_fails(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A handler that takes what failed for done."""
    jobs.work_job(event, context)
    return {"batchItemFailures": []}


def no_setting_aside(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """A handler whose parts fail as a whole when one of their members does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "chalicelib.jobs.service._members",
            lambda yard, part, now, attempt, real=jobs_service._members: real(yard, part, now, lambda w: (True, w())),
        )
        return jobs.work_job(event, context)


@pytest.mark.parametrize("handler", [whole_batches_fail, nothing_fails, no_setting_aside], ids=lambda f: f.__name__)
def test_a_planted_bug_is_found(handler: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    crowd = a_crowd(200, SEED)
    monkeypatch.setitem(stand.HANDLERS, "work-job", handler)
    first_pass(crowd)
    assert wrong(crowd) != []
