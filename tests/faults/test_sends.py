"""kill -9 of workers that send a run: real processes, queue and database, a provider beside them (R7, R16)."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.deliveries import rules, store
from chalicelib.deliveries.models import Outcome, Part, Recipient, Run, RunStatus, Wording
from chalicelib.deliveries.service import queueing, reading
from chalicelib.storage.dynamo import Credentials, Dynamo
from chalicelib.storage.objects import FolderObjects
from chalicelib.storage.queues import SQS, SqsQueues
from chalicelib.storage.table import DynamoTable
from local.dynamo import install_ministack
from local.messaging import client
from local.settings import ROOT, Settings, app_environment, queue_url
from tests.faults.conftest import Report
from tests.faults.sending import PROVIDER
from tests.faults.sizes import KILLS, LONG, PATIENCE, SEED
from tests.local.stand import Stack

WORKERS = 2
SIZE = 100_000 if LONG else 4_000
A_PART = 500 if LONG else 200
HITS = KILLS if LONG else 6
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


def _own(number: int) -> str:
    letters = ""
    for _ in range(16):
        letters, number = _LETTERS[number % 32] + letters, number // 32
    return letters


class Sends:
    """A run in a stack: its plan, its workers and what the provider got."""

    def __init__(self, stack: Stack, folder: Path, channel: str, size: int, handler: str) -> None:
        self.stack, self.folder, self.channel, self.size = stack, folder, channel, size
        self.handler = handler
        dynamo = Dynamo("us-east-1", stack.run.dynamodb, lambda: Credentials("l", "l"), lambda: datetime.now(UTC))
        self.core, self.ops = DynamoTable(dynamo, "regulars-core"), DynamoTable(dynamo, "regulars-ops")
        self.sqs = client(SQS, stack.run.messaging or "")
        self.queues = SqsQueues(self.sqs)
        self.queue = queue_url(stack.run.messaging or "", "campaign-sends")
        self.got = folder / f"got-{channel}.txt"
        self.provider = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.receiving", str(self.got)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self.provider.stdout is not None
        self.port = self.provider.stdout.readline().strip()
        self.workers: list[subprocess.Popen[bytes]] = []
        self.run = self._planned()

    def _planned(self) -> Run:
        objects = FolderObjects(self.stack.data_dir / "archive")
        members = [f"mem_{_own(number)}" for number in range(self.size)]
        numbers = range(0, self.size, A_PART)
        now = datetime.now(UTC)
        run = Run(
            f"crn_{self.channel}_{self.handler[-5:]}", "campaign", "cmp_a", "once", RunStatus.SENDING, "marketing",
            (Wording("a", self.channel, "tpl_a", 1),), now - timedelta(minutes=5), now + timedelta(hours=6), "UTC",
            parts=len(numbers), planned=self.size,
        )  # fmt: skip
        for part, first in enumerate(numbers):
            some = tuple(self._recipient(each) for each in members[first : first + A_PART])
            content = rules.part_file(Part(run.run_id, part, self.channel, some))
            objects.put(rules.part_key(run.run_id, part), content, kind="application/gzip")
        self.core.commit([store.add_run(run)])
        queueing.enqueue(self.queues, self.queue, run.run_id, range(run.parts))
        return run

    @staticmethod
    def _recipient(member: str) -> Recipient:
        import base64

        contact = {"name": "王小明", "email": "a@example.com", "mobile": "+8613900000000"}
        sealed = base64.b64encode(b"\x00" + json.dumps(contact).encode()).decode()
        return Recipient(member, 0, "zh", "a", sealed)

    def hire(self) -> None:
        """Start workers until there are as many as there are to be."""
        run = self.stack.run
        chosen = Settings(self.stack.port, self.stack.data_dir.resolve(), 1, False, None, "dynoxide")
        env = app_environment(chosen, run.dynamodb, run.messaging or "") | {
            PROVIDER: self.port,
            "DATA_DIR": str(self.stack.data_dir),
            "REGULARS_LOCAL_PUMP": json.dumps({"handlers": {"send-parts": self.handler}}),
        }
        command = [
            sys.executable,
            "-m",
            "local.pump",
            str(os.getpid()),
            "send-parts",
            run.dynamodb,
            run.messaging or "",
        ]
        log = (self.folder / "workers.log").open("ab")
        self.workers = [each for each in self.workers if each.poll() is None]
        while len(self.workers) < WORKERS:
            self.workers.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log))
        log.close()

    def kill_one(self, chance: random.Random) -> None:
        """Kill -9 a worker, and hire another."""
        victim = chance.choice(self.workers)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        self.hire()

    def received(self) -> Counter[str]:
        """How often the provider got each message."""
        if not self.got.exists():
            return Counter()
        return Counter(line.split()[1] for line in self.got.read_text().splitlines())

    def through(self) -> bool:
        """Whether the run is said to be sent."""
        run = store.find_run(self.core, self.run.run_id)
        return run is not None and run.status is RunStatus.SENT

    def wait(self, seconds: float) -> None:
        """Wait until the run is through; workers that ended by themselves are replaced."""
        deadline = time.monotonic() + seconds
        while not self.through():
            assert time.monotonic() < deadline, reading.progress(self.ops, self.run)
            self.hire()
            time.sleep(0.3)

    def outcomes(self) -> dict[str, Outcome]:
        """What the parts say, by delivery."""
        objects, found = FolderObjects(self.stack.data_dir / "archive"), dict[str, Outcome]()
        for first in range(0, self.run.parts, store.AT_ONCE):
            numbers = range(first, min(first + store.AT_ONCE, self.run.parts))
            for number, state in store.list_parts(self.ops, self.run.run_id, numbers).items():
                part = rules.part_from(objects.get(rules.part_key(self.run.run_id, number)) or b"")
                for recipient, letter in zip(part.recipients, state.outcomes, strict=True):
                    name = rules.delivery_id(
                        self.run.run_id, self.run.source_id, self.run.step, recipient.member_id, self.channel
                    )
                    found[name] = rules.outcome_of(letter)
        return found

    def wrong(self) -> list[str]:
        """What does not hold."""
        got, outcomes = self.received(), self.outcomes()
        total = reading.progress(self.ops, self.run)
        found = []
        twice = [name for name, count in got.items() if count > 1]
        if twice and self.channel == "email":
            found.append(f"{len(twice)} got it twice")
        if len(outcomes) != self.size or any(each.pending for each in outcomes.values()):
            found.append(f"{self.size - len(outcomes)} are lost")
        missing = [name for name, outcome in outcomes.items() if outcome is Outcome.SENT and name not in got]
        if missing:
            found.append(f"{len(missing)} are said to be sent to, and are not")
        odd = [name for name in got if outcomes.get(name) not in (Outcome.SENT, Outcome.UNKNOWN)]
        if odd:
            found.append(f"{len(odd)} got it, and are said not to have")
        if self.channel == "sms" and Outcome.UNKNOWN in outcomes.values():
            found.append("an idempotent provider left somebody unknown")
        if dict(total.outcomes) != Counter(outcomes.values()):
            found.append(f"counters say {total.outcomes}")
        return found

    def close(self) -> None:
        """End whatever was started."""
        processes: list[subprocess.Popen[Any]] = [*self.workers, self.provider]
        for each in processes:
            each.kill()
            each.wait()
        if self.provider.stdout is not None:
            self.provider.stdout.close()
        self.sqs.close()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A run whose own function that sends does nothing, because it ends at once."""
    install_ministack()
    folder = tmp_path_factory.mktemp("sends")
    pump = {"visibility": 3, "window": 0.1, "pause": 0.05, "handlers": {"send-parts": "tests.faults.absent.handler"}}
    made = Stack(folder / "data", more={"REGULARS_LOCAL_PUMP": json.dumps(pump)})
    made.start()
    try:
        deadline = time.monotonic() + 60
        while not made.run.messaging:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield made
    finally:
        made.stop()


@contextmanager
def sends(stack: Stack, folder: Path, channel: str, size: int, handler: str = "send_parts") -> Iterator[Sends]:
    """A run with its workers."""
    made = Sends(stack, folder, channel, size, f"tests.faults.sending.{handler}")
    try:
        yield made
    finally:
        made.close()


@pytest.mark.timeout(PATIENCE + 1_800 * LONG)
@pytest.mark.parametrize("channel", ["email", "sms"])
def test_no_kill_loses_a_recipient_or_sends_twice(stack: Stack, tmp_path: Path, channel: str, report: Report) -> None:
    chance = random.Random(SEED)
    with sends(stack, tmp_path, channel, SIZE) as made:
        began = time.monotonic()
        made.hire()
        killed = 0
        while killed < HITS and not made.through():
            # Spread over the run: the next kill comes when that much of it was sent.
            due = SIZE * (killed + chance.random()) / (HITS + 1)
            while sum(made.received().values()) < due and not made.through():
                made.hire()
                time.sleep(0.05)
            time.sleep(chance.random() * 0.06)
            made.kill_one(chance)
            killed += 1
        made.wait(PATIENCE + 1_500 * LONG)
        assert made.wrong() == []
        outcomes, got = Counter(made.outcomes().values()), made.received()
        assert killed == HITS
        took = time.monotonic() - began
        again = sum(got.values()) - len(got)
        kind = "idempotent" if channel == "sms" else "not idempotent"
        report(
            f"{killed} kills in a run of {SIZE} to a provider that is {kind}: {outcomes[Outcome.SENT]} sent, "
            f"{outcomes[Outcome.UNKNOWN]} unknown, none lost, none twice ({again} asked again, {took:.0f} s)",
            kills=killed, recipients=SIZE, sent=outcomes[Outcome.SENT], unknown=outcomes[Outcome.UNKNOWN],
            asked_again=again, idempotent=channel == "sms",
        )  # fmt: skip


@pytest.mark.timeout(PATIENCE)
def test_a_worker_without_claims_is_found(stack: Stack, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with sends(stack, tmp_path, "email", 2_000, "send_without_claims") as made:
        made.hire()
        for kills in range(1, 20):
            while sum(made.received().values()) < 60 * kills and not made.through():
                time.sleep(0.005)
            made.kill_one(chance)
            if max(made.received().values()) > 1:
                return
        made.wait(60)
        assert any("twice" in each for each in made.wrong())
