"""kill -9 of functions, queues and supervisor of a real run, with the product's own handlers, under load (R6, R16)."""

import http.client
import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.calendar import local_day
from chalicelib.kernel.ids import MemberId
from chalicelib.programs.service import ProgramBook
from chalicelib.storage import keys
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.keyring import Keyring, SealedContacts
from chalicelib.storage.keys import Key
from chalicelib.storage.signed import ServiceFault, Unreachable
from chalicelib.storage.table import DynamoTable
from chalicelib.storage.writes import Item
from local.dynamo import install_ministack
from local.keys import ensure_keys
from tests.faults.conftest import Report
from tests.faults.killed import PLANTED
from tests.faults.sizes import KILLS, LONG, PATIENCE, SEED
from tests.faults.test_flaky import leads
from tests.faults.works import events_in
from tests.local.stand import Stack, within
from tests.local.test_pump import held, kill
from tests.local.test_run import asked
from tests.makers import Clock, a_purchase_body, contacts_in
from tests.table.stand import Desk, faults_in, scan

ZONE = "Asia/Shanghai"
JOBS = ("birthday", "expire")
FUNCTIONS = ("work-job", "relay", "notices", "archive")
QUEUES = ("job-work", "notices", "archive")
KILLS_IN_A_WAVE = 5
WAVES_IN_A_RUN = 10
"""So many waves have a run, and its members, to themselves: each goes once more over those of the waves before."""
CROWD = 150
"""Members whom each wave's two jobs concern."""
AWAY = (OSError, ValueError, http.client.HTTPException)
"""What a call meets while everything is dead: no server, no lock file yet, half an answer."""


@contextmanager
def running(folder: Path, **pump: Any) -> Iterator[Stack]:
    """A run whose queues give a message again after three seconds."""
    impatient = {"visibility": 3, "window": 0.1, "pause": 0.05, **pump}
    stack = Stack(folder / "data", more={"REGULARS_LOCAL_PUMP": json.dumps(impatient)})
    stack.start()
    try:
        within(lambda: through(stack))
        yield stack
    finally:
        stack.stop()


def through(stack: Stack) -> bool:
    """Whether the runs with which a stack begins are: one that goes on would pass over who comes behind its pages."""
    try:
        jobs = json.loads(asked(stack, "GET", "/v1/jobs")[2])["items"]
    except (*AWAY, KeyError):
        return False
    return all(job["last_run"] is not None and job["last_run"]["state"] == "done" for job in jobs)


@pytest.fixture(scope="module", autouse=True)
def ministack() -> None:
    """ministack's venv, before a run has to wait for it."""
    install_ministack()


class Tables:
    """The tables of a run, read and written beside it."""

    def __init__(self, stack: Stack) -> None:
        credentials = Credentials("local", "local")
        self.dynamo = Dynamo("us-east-1", stack.run.dynamodb, lambda: credentials, lambda: datetime.now(UTC))
        self.core = DynamoTable(self.dynamo, "regulars-core")
        known = ensure_keys(stack.data_dir / "keys.json")
        index, cursor = (bytes.fromhex(known[name]) for name in ("index_key", "cursor_key"))
        self.keyring = Keyring(index, cursor, self._contacts(stack.data_dir / "vault_key"))

    def _contacts(self, key: Path) -> SealedContacts:
        return contacts_in(DynamoTable(self.dynamo, "regulars-vault"), bytes.fromhex(key.read_text().strip()))

    def desk(self, at: datetime) -> Desk:
        """Serves members at a time."""
        chance = random.SystemRandom()
        return Desk(self.core, self.keyring, ProgramBook(self.core), Clock(at), lambda: chance.getrandbits(64))

    def items(self) -> dict[Key, Item]:
        """Every item of core."""
        return scan(self.dynamo, self.core.name)


def today() -> date:
    """Today in the program's time zone."""
    return local_day(datetime.now(UTC), ZONE)


_mobiles = itertools.count()


def a_crowd(stack: Stack, size: int) -> list[MemberId]:
    """Members who have their birthday today, with points of which yesterday was the last day."""
    tables, members = Tables(stack), list[MemberId]()
    desk = tables.desk(datetime.now(UTC) - timedelta(days=40))
    birthday = f"1990-{today():%m-%d}"
    for _ in range(size):
        member = MemberId(desk.enrol(birthday=birthday, mobile=f"+86139{next(_mobiles):08d}").member_id)
        desk.adjust(member, 100, key=member, expires_on=today() - timedelta(days=1))
        members.append(member)
    tables.dynamo.close()
    return members


class Load(threading.Thread):
    """A shop that enrols members and sells to them without a pause; what was not answered is sent again."""

    def __init__(self, stack: Stack) -> None:
        super().__init__()
        self.stack = stack
        self.done = threading.Event()
        self.enrolled: list[str] = []
        self.sold: list[str] = []

    def run(self) -> None:
        """Enrol one, sell three times, and so on."""
        for number in itertools.count():
            member = self._sent("/v1/members", {"card_no": f"load-{number}"}, {"Idempotency-Key": f"load-{number}"})
            if member is None:
                return
            self.enrolled.append(member["member_id"])
            for sale in range(3):
                order = f"load-{number}-{sale}"
                at = datetime.now(UTC).isoformat()
                body = a_purchase_body({"member_id": member["member_id"]}, order_no=order, occurred_at=at)
                if self._sent("/v1/purchases", body, {}) is None:
                    return
                self.sold.append(order)

    def _sent(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any] | None:
        while not self.done.is_set():
            try:
                status, _, text = asked(self.stack, "POST", path, body, **headers)
            except AWAY:
                time.sleep(0.05)
                continue
            if status in (200, 201):
                answer: dict[str, Any] = json.loads(text)
                return answer
            assert status >= 500, (status, text)
            time.sleep(0.05)
        return None


def posted(stack: Stack, job: str) -> None:
    """Start a job's run of today by hand, until the server says that it has."""
    deadline = time.monotonic() + 60
    while True:
        try:
            if asked(stack, "POST", f"/v1/jobs/{job}/runs", {})[0] == 202:
                return
        except AWAY:
            pass
        assert time.monotonic() < deadline, f"{job} cannot be started"
        time.sleep(0.1)


def states(stack: Stack) -> list[str]:
    """State of today's runs."""
    return [str(run_of(stack, job).get("state")) for job in JOBS]


def looked_at(stack: Stack, job: str, members: int) -> bool:
    """Whether today's run has looked at so many members."""
    return int(run_of(stack, job).get("done", 0)) >= members


def run_of(stack: Stack, job: str) -> dict[str, Any]:
    """Today's run of a job, as the server says; nothing while it does not answer."""
    try:
        run: dict[str, Any] = json.loads(asked(stack, "GET", f"/v1/jobs/{job}/runs/{today()}")[2])
    except AWAY:
        return {}
    return run


def waiting(stack: Stack, queue: str) -> int:
    """How many messages are in a queue, seen or not; one at least while it does not answer, because nobody knows."""
    try:
        return held(stack, queue)
    except (Unreachable, ServiceFault, *AWAY):
        return 1


def redriven(stack: Stack) -> int:
    """Move dead letters back, as `make redrive` does; how many there were."""
    count = 0
    for queue in QUEUES:
        if waiting(stack, f"{queue}-dlq"):
            command = [sys.executable, "-m", "local", "redrive", "--queue", queue, "--rate", "10000"]
            said = subprocess.run(command, env=stack.env, capture_output=True, text=True, check=False, timeout=60)
            count += int(said.stdout.split()[0]) if said.returncode == 0 else 0
    return count


def settled(stack: Stack, seconds: float = 90) -> int:
    """Wait until nothing is under way; how many messages had died of too many kills and were moved back."""
    moved, deadline = 0, time.monotonic() + seconds
    while True:
        quiet = states(stack) == ["done"] * len(JOBS) and not any(waiting(stack, queue) for queue in QUEUES)
        if quiet and not any(waiting(stack, f"{queue}-dlq") for queue in QUEUES):
            return moved
        moved += redriven(stack) if quiet else 0
        assert time.monotonic() < deadline, (states(stack), {queue: waiting(stack, queue) for queue in QUEUES})
        time.sleep(0.3)


def wrong(stack: Stack, crowd: list[MemberId], load: Load) -> list[str]:
    """What does not hold: one effect each, every entry's event in the archive, one file for each notice."""
    tables = Tables(stack)
    items = tables.items()
    found = faults_in(tables.core, items)
    entries = {keys.entry_id(key) for key, item in items.items() if key.pk[:2] in ("K#", "O#") and "r" in item}
    kinds = Counter(
        (item["tl"][2:], key.pk.split("#")[1]) for key, item in items.items() if key.pk[:2] == "K#" and "r" in item
    )
    for kind in JOBS:
        effects = Counter({who: n for (who, what), n in kinds.items() if what == kind})
        if effects != Counter(each.removeprefix("mem_") for each in crowd):
            found.append(f"{kind}: {sum(effects.values())} effects on {len(effects)} of {len(crowd)} members")
    archive = stack.data_dir / "archive"
    lines = list(events_in(path.read_bytes() for path in archive.glob("events/**/*.jsonl")))
    events = {each["event_id"]: each for each in lines}
    leading = Counter(each["data"]["entry_id"] for each in events.values() if leads(each))
    if set(leading) != entries or set(leading.values()) - {1}:
        found.append(
            f"archive: {len(leading)} of {len(entries)} entries, at most {max(leading.values(), default=0)} each"
        )
    members = {keys.member_of(key.pk) for key in items if key.sk == "PROFILE"}
    if Counter(each["member_id"] for each in events.values() if each["type"] == "MemberEnrolled") != Counter(members):
        found.append("archive: not every enrolment")
    files = [json.loads(path.read_text()) for path in archive.glob("outbox/**/*.json")]
    gifts = {each["event_id"] for each in events.values() if each["type"] == "BirthdayGiftGiven"}
    if Counter(each["event_id"] for each in files) != Counter(gifts):
        found.append(f"outbox: {len(files)} files for {len(gifts)} notices")
    if missing := {*load.enrolled} - members:
        found.append(f"{len(missing)} acknowledged enrolments are gone")
    if gone := {keys.purchase("pos", order) for order in load.sold} - set(items):
        found.append(f"{len(gone)} acknowledged purchases are gone")
    if waiting(stack, "relay-dlq"):
        found.append("the relay gave records up")
    tables.dynamo.close()
    return found


def without_notices_of_expiry(stack: Stack) -> None:
    """Publish a program of which the tests know what it brings."""
    tables = Tables(stack)
    expiry = {"mode": "rolling", "months": 12, "bucket": "day"}
    tables.desk(datetime.now(UTC)).publish(1, expiry=expiry, notices={"expiring_days": None})
    tables.dynamo.close()


@dataclass
class Killed:
    """What runs came to.

    Attributes:
        moved_back: messages that died of too many kills and were moved back.
    """

    victims: Counter[str] = field(default_factory=Counter)
    due: int = 0
    enrolled: int = 0
    sold: int = 0
    entries: int = 0
    moved_back: int = 0


@pytest.mark.timeout(PATIENCE)
def test_no_kill_loses_an_event_or_makes_an_effect_twice(tmp_path: Path, report: Report) -> None:
    chance, killed = random.Random(SEED), Killed()
    for first in range(0, max(1, KILLS // KILLS_IN_A_WAVE), WAVES_IN_A_RUN):
        waves = range(first, min(first + WAVES_IN_A_RUN, max(1, KILLS // KILLS_IN_A_WAVE)))
        _kill_in(tmp_path / f"run-{first}", waves, chance, killed)
    kills = ", ".join(f"{n} {name}" for name, n in sorted(killed.victims.items()))
    report(
        f"kills: seed {SEED}, {killed.victims.total()} kills ({kills}) over {killed.due} due members, "
        f"{killed.enrolled} enrolled and {killed.sold} sold meanwhile, {killed.entries} entries; "
        f"{killed.moved_back} messages died of kills and were moved back",
        kills=dict(sorted(killed.victims.items())),
        due=killed.due,
        enrolled=killed.enrolled,
        sold=killed.sold,
        entries=killed.entries,
        moved_back=killed.moved_back,
    )


def _kill_in(folder: Path, waves: range, chance: random.Random, killed: Killed) -> None:
    """Kill in one run, wave by wave, and look at everything that it left."""
    crowd = list[MemberId]()
    folder.mkdir()
    with running(folder) as stack:
        without_notices_of_expiry(stack)
        load = Load(stack)
        load.start()
        try:
            for wave in waves:
                crowd += a_crowd(stack, CROWD)
                for job in JOBS:
                    posted(stack, job)
                # The first dies when some members are done and others are not: the supervisor with all, or the worker.
                order = [*FUNCTIONS, "everything" if wave % 3 != 1 else "ministack_server"]
                first = "everything" if wave % 3 == 0 else "work-job"
                order.remove(first)
                within(partial(looked_at, stack, "birthday", 1))
                for victim in (first, *chance.sample(order, len(order))):
                    kill(stack, victim)
                    time.sleep(chance.uniform(0.02, 0.8))
                    killed.victims[victim] += 1
                killed.moved_back += settled_under_load(stack)
        finally:
            load.done.set()
            load.join()
        killed.moved_back += settled(stack)
        within(lambda: wrong(stack, crowd, load) == [])
        assert wrong(stack, crowd, load) == []
        tables = Tables(stack)
        killed.entries += sum(1 for key, item in tables.items().items() if key.pk[:2] in ("K#", "O#") and "r" in item)
        tables.dynamo.close()
        killed.due, killed.enrolled = killed.due + len(crowd), killed.enrolled + len(load.enrolled)
        killed.sold += len(load.sold)


def settled_under_load(stack: Stack, seconds: float = 90) -> int:
    """Wait until today's runs are through, while selling goes on."""
    moved, deadline = 0, time.monotonic() + seconds
    while states(stack) != ["done"] * len(JOBS):
        if waiting(stack, "job-work") == 0:
            moved += redriven(stack)
        assert time.monotonic() < deadline, states(stack)
        time.sleep(0.3)
    return moved


@pytest.mark.timeout(PATIENCE)
def test_planted_bugs_that_only_a_kill_brings_to_light_are_found(tmp_path: Path) -> None:
    with running(tmp_path, handlers=PLANTED) as stack:
        without_notices_of_expiry(stack)
        load = Load(stack)
        crowd = a_crowd(stack, CROWD)
        load.start()
        try:
            posted(stack, "birthday")
            for members in (15, 45, 75):
                within(partial(looked_at, stack, "birthday", members))
                time.sleep(0.2)  # into the next part, which takes the planted handler longer
                kill(stack, "work-job")
                kill(stack, "archive")
            posted(stack, "expire")
            settled_under_load(stack)
        finally:
            load.done.set()
            load.join()
        settled(stack)
        time.sleep(2)
        found = wrong(stack, crowd, load)
        assert [each for each in found if each.startswith("archive: ")], found
        (twice,) = [each for each in found if each.startswith("birthday: ")]
        assert int(twice.split()[1]) > CROWD, twice


@pytest.mark.skipif(not LONG, reason="`make faults`: it waits for real receives")
@pytest.mark.timeout(PATIENCE)
def test_real_poison_goes_through_real_queues_and_comes_back_mended(tmp_path: Path) -> None:
    with running(tmp_path, visibility=1) as stack:
        without_notices_of_expiry(stack)
        crowd = a_crowd(stack, 60)
        tables = Tables(stack)
        poisoned = keys.account(crowd[7])
        where = {"TableName": "regulars-core", "Key": {"pk": {"S": poisoned.pk}, "sk": {"S": poisoned.sk}}}

        def written(status: str) -> None:
            value = {"ExpressionAttributeNames": {"#s": "status"}, "ExpressionAttributeValues": {":s": {"S": status}}}
            tables.dynamo.call("UpdateItem", {**where, "UpdateExpression": "SET #s = :s", **value})

        written("odd")
        for job in JOBS:
            posted(stack, job)
        # One message of each job: alone in it after it had failed among others.
        within(lambda: held(stack, "job-work-dlq") == 2 and held(stack, "job-work") == 0)
        assert states(stack) == ["running", "running"]

        assert redriven(stack) == 2
        within(lambda: held(stack, "job-work-dlq") == 2 and held(stack, "job-work") == 0)
        written("active")
        assert redriven(stack) == 2
        settled(stack)
        within(lambda: wrong(stack, crowd, Load(stack)) == [])
        tables.dynamo.close()
