"""A process that dies at any call of the walk; the message comes again, and the root is the same."""

from collections.abc import Iterator
from datetime import date

import pytest

from chalicelib.jobs import jobs, rules
from chalicelib.jobs.models import Job, RunState
from chalicelib.proof.service import Roots
from chalicelib.runtime import wiring
from chalicelib.storage import keys
from chalicelib.storage.objects import Keys
from tests.faults.works import MemoryObjects, Works
from tests.makers import Clock, a_purchase
from tests.table.test_job_crashes import Died, Life, MortalSqs, MortalTable

DAY = date(2026, 3, 16)


class MortalObjects(MemoryObjects):
    """Files, of a process that may die at them."""

    def __init__(self, real: MemoryObjects, life: Life) -> None:
        self.files = real.files
        self._life = life

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:
        """See `Objects.put_once`."""
        return self._life.call(lambda: MemoryObjects.put_once(self, key, content, kind=kind))

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        return self._life.call(lambda: self.files.get(key))

    def list(self, prefix: str, *, after: str | None, limit: int) -> Keys:
        """See `Objects.list`."""
        return self._life.call(lambda: MemoryObjects.list(self, prefix, after=after, limit=limit))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Few accounts make several pages, parts and shards."""
    monkeypatch.setattr(rules, "ACCOUNTS_ON_A_PAGE", 2)
    monkeypatch.setattr(rules, "ACCOUNTS_IN_A_PART", 1)
    monkeypatch.setattr(keys, "DUE_SHARDS", 2)
    monkeypatch.setattr(jobs, "LAG_SECONDS", 0.0)
    yield
    wiring.use(None)


def prepared() -> Works:
    """Five members with some entries, and yesterday's root over all but the newest of them."""
    works = Works(clock=Clock(Works().clock()))
    members = [works.desk.enrol().member_id for _ in range(5)]
    for number, member in enumerate(members):
        works.desk.adjust(member, 100, key=f"a{number}")
    works.start(Job.VERIFY)
    works.drain("work-job")
    works.clock.at("2026-03-16")
    for number, member in enumerate(members):
        works.desk.buy(a_purchase(member, order_no=f"o{number}"))
    return works


def lived(start: Works, life: Life) -> Works:
    """A run by a process that dies, and by the one after it."""
    works = Works(core=start.core.copy(), ops=start.ops.copy(), clock=Clock(start.clock()))
    works.roots.files = dict(start.roots.files)

    def opened(life: Life) -> None:
        works.open(
            core=MortalTable(works.core, life), ops=MortalTable(works.ops, life),
            sqs=MortalSqs(works.sqs, life, twice=False), roots=MortalObjects(works.roots, life),
        )  # fmt: skip

    opened(life)
    for step in (lambda: works.start(Job.VERIFY), lambda: works.drain("work-job")):
        for _ in range(2):
            try:
                step()
                break
            except Died:
                opened(Life(0, after=False))
    return works


def test_a_walk_that_dies_at_any_call_ends_with_the_same_root() -> None:
    start = prepared()
    whole = lived(start, Life(0, after=False))
    expected = Roots(whole.roots).find(DAY)[0]
    assert (expected.accounts, expected.faulty, expected.previous_day) == (5, 0, "2026-03-15")
    died = 0
    for after in (False, True):
        for at in range(1, 1_000, 2):
            life = Life(at, after=after)
            works = lived(start, life)
            if life.count < at:
                break
            died += 1
            run = works.run(Job.VERIFY)
            assert (run.state, run.due, run.done, run.changed) == (RunState.DONE, 5, 5, 0), at
            assert Roots(works.roots).find(DAY)[0].heads == expected.heads
            assert {name for name in works.roots.files if not name.startswith("heads/")} == {
                name for name in whole.roots.files if not name.startswith("heads/")
            }
            assert works.dead("job-work") == []
    assert died > 60, "hardly anything died"
