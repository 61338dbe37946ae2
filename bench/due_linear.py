"""What a day costs for each member whom it concerns: write units, and members a second against the emulator's own pace.

A run is started and worked off as the product does it, through the job functions, with a queue that lives here. The
members are copies of some that lived through the product until the day of the job, so that accounts are as large as
life makes them. First one process works a run off with all calls metered: units of table `core` and of table `ops`.
Then two processes work the same run off on a fresh copy, in turns with the peer: two processes that send the very
transactions of the first run, recorded, to another fresh copy, by the same client and without reading anything.
"""

import json
import multiprocessing
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from multiprocessing.queues import JoinableQueue
from typing import Any

from bench.catalogues import coffee, purchase_body
from bench.crowd import Typed, copied, items_of, program_of, write
from bench.earn_rate import Recorder
from bench.report import Figure, table
from bench.stack import Meter, Stack, client, database, house_of, make_table, stack_on, usage
from chalicelib.jobs import jobs, service
from chalicelib.jobs.models import Job, Run, RunState
from chalicelib.jobs.service import Yard
from chalicelib.kernel.calendar import last_day, month_of
from chalicelib.kernel.ids import MemberId
from chalicelib.points import service as points
from chalicelib.points import store as points_store
from chalicelib.points.models import Due
from chalicelib.programs.models import DEFAULT_TERMS, PublishProgram
from chalicelib.programs.service import book_of, publish_program
from chalicelib.runtime import wiring
from chalicelib.runtime.wiring import House
from chalicelib.storage.dynamo import Dynamo, unmarshalled
from chalicelib.storage.table import DynamoTable
from local.dynamo import Dynoxide
from local.settings import environment

PROCESSES = 2
UNITS_MAX = 7.0
RATE_MIN = 0.8
PACED = 2_000
"""Members of a turn whose rate is taken, at the most."""

_FORK = multiprocessing.get_context("fork")
_LIVES_FROM = date(2024, 12, 2)
_BORN = "03-15"
_DAYS = {
    Job.BIRTHDAY: date(2026, 3, 15),
    Job.EXPIRING_SOON: date(2026, 3, 17),
    Job.EXPIRE: date(2026, 4, 1),
    Job.TIER_REVIEW: date(2026, 4, 1),
    Job.RELEASE: date(2026, 3, 28),
}


@dataclass(frozen=True)
class Crowd:
    """Members whom a job concerns on its day.

    Attributes:
        house: the surroundings of those who are copied; its tables are replaced.
        patterns: profiles and accounts, as they stand before the job.
    """

    job: Job
    house: House
    program: list[Typed]
    patterns: list[tuple[Typed, Typed]]

    @property
    def day(self) -> date:
        """The day of the run."""
        return _DAYS[self.job]

    def items(self, members: int) -> Iterator[Typed]:
        """So many members, and the program."""
        yield from self.program
        dues = [_due_on(account) for _, account in self.patterns]
        for number in range(members):
            which = number % len(dues)
            yield from copied(self.patterns[which], number * 104_729 + 11, due=dues[which], month_day=_BORN)

    def table(self, server: Dynoxide, dynamo: Dynamo, members: int) -> str:
        """A fresh stack of so many members: its name."""
        name = make_table(dynamo)
        write(server, dynamo, name, self.items(members))
        return name.removesuffix("-core")


@dataclass(frozen=True)
class Pace:
    """How fast a turn was, and CPU milliseconds for each member."""

    rate: float
    workers_ms: float
    database_ms: float


@dataclass(frozen=True)
class Outcome:
    """What a job came to."""

    core: float
    ops: float
    reads: float
    through: list[Pace]
    raw: list[Pace]

    @property
    def ratio(self) -> float:
        """Members a second ÷ transactions a second."""
        return _median(self.through, "rate") / _median(self.raw, "rate")

    @property
    def cpu_ratio(self) -> float:
        """CPU of a raw transaction ÷ CPU of a member, of all processes: the ratio when all cores are busy."""
        raw, ours = (_median(side, "workers_ms") + _median(side, "database_ms") for side in (self.raw, self.through))
        return raw / ours


def run(*, quick: bool = False) -> Figure:
    """Work each job off; the value is the worst of units ÷ 7 and 0.8 ÷ the ratio of rates."""
    members = int(environment().get("SIZE", "0")) or (60 if quick else 5_000)
    found = {}
    with database() as server:
        dynamo = client(server.endpoint)
        try:
            for crowd in _crowds(dynamo, lives=3 if quick else 24):
                with _quiet():
                    found[crowd.job] = _measured(server, crowd, members, rounds=1 if quick else 3)
        finally:
            wiring.use(None)
            dynamo.close()
    return _figure(found, members)


def _figure(found: Mapping[Job, Outcome], members: int) -> Figure:
    table(
        [f"{members:,} members due", "WRU core", "ops", "both", "RRU"],
        [[job.value, each.core, each.ops, each.core + each.ops, each.reads] for job, each in found.items()],
    )
    rows, cpu = [], ("workers_ms", "database_ms")
    for job, each in found.items():
        ours, theirs = ([_median(side, name) for name in ("rate", *cpu)] for side in (each.through, each.raw))
        rows.append([job.value, ours[0], theirs[0], each.ratio, *ours[1:], *theirs[1:]])
    table(
        [
            f"{PROCESSES} processes",
            "members/s",
            "raw/s",
            "ratio",
            "CPU ms: workers",
            "dynoxide",
            "raw: senders",
            "dynoxide",
        ],
        rows,
    )
    units = max(each.core + each.ops for each in found.values())
    ratio = min(each.ratio for each in found.values())
    print(f"  {units:.2f} WRU at the most (goal ≤ {UNITS_MAX:.0f}), {ratio:.2f} of the raw pace (goal ≥ {RATE_MIN})")
    details = {
        job.value: {
            "wru_core": round(each.core, 3), "wru_ops": round(each.ops, 3), "rru": round(each.reads, 3),
            "rate_ratio": round(each.ratio, 3), "cpu_ratio": round(each.cpu_ratio, 3),
            "members_per_s": round(_median(each.through, "rate"), 1),
            "raw_per_s": round(_median(each.raw, "rate"), 1),
        }
        for job, each in found.items()
    }  # fmt: skip
    worst = {"wru": round(units, 3), "rate_ratio": round(ratio, 3), "members": members, "load": os.getloadavg()[0]}
    return Figure(
        "due_linear", f"the worse of WRU per due member ÷ {UNITS_MAX:.0f} and {RATE_MIN} ÷ the ratio of rates",
        max(units / UNITS_MAX, RATE_MIN / ratio), 1.0, "×", details=worst | details,
    )  # fmt: skip


def _median(paces: Sequence[Pace], name: str) -> float:
    return float(statistics.median(getattr(each, name) for each in paces))


# ---------------------------------------------------------------- whom it concerns


def _crowds(dynamo: Dynamo, *, lives: int) -> Iterator[Crowd]:
    """Members as they stand on the day of each job, before it: what falls due earlier is done on its day."""
    stack = _stack(dynamo)
    members = [_enrolled(stack) for _ in range(lives)]
    day, chance = _LIVES_FROM, random.Random(7)
    while day <= max(_DAYS.values()):
        _at(stack, day)
        if day == _DAYS[Job.BIRTHDAY]:
            fresh = [_enrolled(stack) for _ in range(max(lives // 6, 1))]
            yield _crowd(stack, Job.BIRTHDAY, [*members, *fresh])
        for job, due in _IN_ORDER:
            if day == _DAYS[job]:
                yield _crowd(stack, job, members)
            if day.day == 1 or day == last_day(month_of(day)) - timedelta(days=14):
                _at(stack, day)
                for member in members:
                    points.bring_up_to_date(stack.table, stack.book, member, due, now=stack.clock())
        for number, member in enumerate(members):
            if day.day % 14 == number % 12 + 2:
                _buy(stack, member, chance, 150_000 if (day.year, day.month) == (2025, 3) else 0)
        day += timedelta(days=1)
    yield _pending(dynamo, lives)


_IN_ORDER = (
    (Job.EXPIRING_SOON, Due.NOTICE),
    (Job.EXPIRE, Due.EXPIRY),
    (Job.TIER_REVIEW, Due.REVIEW),
)


def _pending(dynamo: Dynamo, lives: int) -> Crowd:
    """Members of a program that holds points back for two weeks, with points that can be spent on the day."""
    stack = _stack(dynamo)
    terms = PublishProgram.model_validate({**DEFAULT_TERMS, "version": 1, "pending_days": 14}, strict=False)
    publish_program(stack.table, stack.book, terms, now=stack.clock.forward(seconds=1))
    stack.clock.forward(seconds=11)
    members, chance = [_enrolled(stack) for _ in range(lives)], random.Random(8)
    for weeks in range(40, -1, -2):
        _at(stack, _DAYS[Job.RELEASE] - timedelta(days=14 + 7 * weeks))
        for member in members:
            points.bring_up_to_date(stack.table, stack.book, member, Due.RELEASE, now=stack.clock())
            _buy(stack, member, chance, 0)
    _at(stack, _DAYS[Job.RELEASE])
    return _crowd(stack, Job.RELEASE, members)


def _stack(dynamo: Dynamo) -> Stack:
    return stack_on(dynamo, _noon(_LIVES_FROM), metered=False)


def _noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 4, tzinfo=UTC)  # in Shanghai


def _at(stack: Stack, day: date) -> None:
    stack.clock.now = max(stack.clock.now, _noon(day))


def _enrolled(stack: Stack) -> MemberId:
    return stack.enrol(birthday="1990-" + _BORN)


def _buy(stack: Stack, member: MemberId, chance: random.Random, paid_minor: int) -> None:
    now = stack.clock.forward(milliseconds=20)
    tender = {"points_tender": 30} if chance.random() < 0.2 and now > _noon(date(2025, 9, 1)) else {}
    lines = coffee().lines(chance, chance.randint(1, 5))
    body = purchase_body({"member_id": member}, lines, at=now, number=chance.randrange(10**6), **tender)
    stack.buy(body | ({"paid_minor": paid_minor} if paid_minor else {}))


def _crowd(stack: Stack, job: Job, members: Sequence[MemberId]) -> Crowd:
    patterns = [items_of(stack, member) for member in members]
    if job is not Job.BIRTHDAY:
        patterns = [each for each in patterns if _due_on(each[1]) == _DAYS[job]]
    assert patterns, job
    house = house_of(stack)
    settings = replace(house.settings, job_queue="jobs")
    now = stack.clock.forward(seconds=1)
    return Crowd(job, replace(house, settings=settings, clock=lambda: now), program_of(stack), patterns)


def _due_on(account: Typed) -> date | None:
    return points_store.account_from({name: unmarshalled(value) for name, value in account.items()}).due_on


# ---------------------------------------------------------------- a run, worked off


class _Tray:
    """A queue in this process."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:  # noqa: ARG002 - the port's shape
        """See `Queues.send`."""
        self.bodies += bodies


class _Shared:
    """A queue between processes."""

    def __init__(self) -> None:
        self.waiting: JoinableQueue[str | None] = _FORK.JoinableQueue()

    def send(self, queue_url: str, bodies: Sequence[str], *, delay: int = 0) -> None:  # noqa: ARG002 - the port's shape
        """See `Queues.send`."""
        for body in bodies:
            self.waiting.put(body)


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what the functions log nowhere, from this process and those that it starts."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def _measured(server: Dynoxide, crowd: Crowd, members: int, rounds: int) -> Outcome:
    recorder = Recorder(server.endpoint)
    core, ops = Meter(), Meter()
    stack = crowd.table(server, recorder, members)
    recorder.sent.clear()
    _worked_off(crowd, recorder, stack, members, core, ops)
    own = f'"{stack}-core"'
    sent = [each["TransactItems"] for each in recorder.sent if own in json.dumps(each["TransactItems"][0])]
    through, raw, paced = list[Pace](), list[Pace](), min(members, PACED)
    for number in range(rounds):
        for ours in (True, False) if number % 2 else (False, True):
            fresh = crowd.table(server, recorder, paced if ours else members)
            if ours:
                through.append(_through(server, crowd, fresh, paced))
            else:
                raw.append(_raw(server, json.loads(json.dumps(sent[:paced]).replace(own, f'"{fresh}-core"'))))
    recorder.close()
    return Outcome(core.write / members, ops.write / members, (core.read + ops.read) / members, through, raw)


def _worked_off(crowd: Crowd, dynamo: Dynamo, stack: str, members: int, core: Meter, ops: Meter) -> None:
    """Work a run off in this process, metered."""
    tray = _Tray()
    house = replace(
        crowd.house,
        table=DynamoTable(dynamo, f"{stack}-core", meter=core),
        ops=DynamoTable(dynamo, f"{stack}-ops", meter=ops),
        queues=tray,
    )
    wiring.use(house)
    _started(crowd, house)
    while tray.bodies:
        _do(tray.bodies.pop(0))
    _require_through(crowd, house, members)


def _through(server: Dynoxide, crowd: Crowd, stack: str, members: int) -> Pace:
    """Have processes work a run off; the time from its start until nothing waits."""
    shared = _Shared()
    dynamo = client(server.endpoint)
    house = replace(_over(crowd, dynamo, stack), queues=shared)
    with _processes(_work, (server.endpoint, crowd, stack, shared)) as (ready, used):
        ready.wait()
        base, started = usage(_pid(server)).cpu_seconds, time.perf_counter()
        _started(crowd, house)
        shared.waiting.join()
        seconds = time.perf_counter() - started
        base = usage(_pid(server)).cpu_seconds - base
        for _ in range(PROCESSES):
            shared.waiting.put(None)
        workers = sum(used.get() for _ in range(PROCESSES))
    _require_through(crowd, house, members)
    dynamo.close()
    return Pace(members / seconds, workers / members * 1000, base / members * 1000)


def _work(ready: Any, used: Any, number: int, endpoint: str, crowd: Crowd, stack: str, shared: _Shared) -> None:  # noqa: ARG001
    """A worker: takes messages until there is nothing more to do."""
    dynamo = client(endpoint)
    house = replace(_over(crowd, dynamo, stack), queues=shared)
    wiring.use(house)
    book_of(house.table).current(house.clock())
    ready.wait()
    cpu = time.process_time()
    while (body := shared.waiting.get()) is not None:
        _do(body)
        shared.waiting.task_done()
    used.put(time.process_time() - cpu)
    dynamo.close()


def _raw(server: Dynoxide, transactions: list[list[Any]]) -> Pace:
    """Have processes send transactions; the time until the last of them is through."""
    with _processes(_send, (server.endpoint, transactions)) as (ready, used):
        ready.wait()
        base, started = usage(_pid(server)).cpu_seconds, time.perf_counter()
        workers = sum(used.get() for _ in range(PROCESSES))
        seconds = time.perf_counter() - started
        base = usage(_pid(server)).cpu_seconds - base
    count = len(transactions)
    return Pace(count / seconds, workers / count * 1000, base / count * 1000)


def _send(ready: Any, used: Any, number: int, endpoint: str, transactions: list[list[Any]]) -> None:
    dynamo = client(endpoint)
    dynamo.call("ListTables", {})
    ready.wait()
    cpu = time.process_time()
    for each in transactions[number::PROCESSES]:
        dynamo.call("TransactWriteItems", {"TransactItems": each})
    used.put(time.process_time() - cpu)
    dynamo.close()


@contextmanager
def _processes(target: Callable[..., None], arguments: tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    """Processes that wait for a barrier, which is given with the queue of the CPU seconds they used."""
    ready, used = _FORK.Barrier(PROCESSES + 1, timeout=30), _FORK.Queue()
    processes = [_FORK.Process(target=target, args=(ready, used, each, *arguments)) for each in range(PROCESSES)]
    for process in processes:
        process.start()
    try:
        yield ready, used
    finally:
        for process in processes:
            process.join(30)
            process.kill()
    assert all(process.exitcode == 0 for process in processes)


def _over(crowd: Crowd, dynamo: Dynamo, stack: str) -> House:
    return replace(crowd.house, table=DynamoTable(dynamo, f"{stack}-core"), ops=DynamoTable(dynamo, f"{stack}-ops"))


def _pid(server: Dynoxide) -> int:
    assert server.process is not None
    return server.process.pid


def _do(body: str) -> None:
    answer = jobs.work_job({"Records": [{"messageId": "m", "body": body}]}, None)
    assert answer == {"batchItemFailures": []}, body


def _yard(house: House) -> Yard:
    return Yard(house.table, house.ops, book_of(house.table), house.queues, "jobs")


def _started(crowd: Crowd, house: House) -> Run:
    now = house.clock()
    return service.start_run(_yard(house), crowd.job, crowd.day, dry_run=False, by="bench", now=now)


def _require_through(crowd: Crowd, house: House, members: int) -> None:
    run = service.find_run(_yard(house), crowd.job, crowd.day, dry_run=False, now=house.clock())
    assert (run.state, run.due, run.changed, run.set_aside) == (RunState.DONE, members, members, 0), run
