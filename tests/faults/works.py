"""The whole of jobs, relay, archive and notices in one process: real handlers and the real pump over ports in memory.

Time passes only when nothing can be done at once, so that visibility time-outs and receives cost nothing.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.jobs import jobs, store
from chalicelib.jobs import service as jobs_service
from chalicelib.jobs.models import Job, Run
from chalicelib.jobs.service import Yard
from chalicelib.kernel.errors import Trouble
from chalicelib.notices import jobs as notices_jobs
from chalicelib.privacy import jobs as privacy_jobs
from chalicelib.programs.service import ProgramBook
from chalicelib.relay import jobs as relay_jobs
from chalicelib.runtime import wiring
from chalicelib.runtime.settings import Settings
from chalicelib.runtime.wiring import House
from chalicelib.storage.batches import Sender
from chalicelib.storage.bus import EventBus
from chalicelib.storage.keyring import Keyring
from chalicelib.storage.objects import Files, Keys, Objects
from chalicelib.storage.queues import SqsQueues
from chalicelib.storage.signed import ServiceFault, SignedClient, Unreachable
from chalicelib.storage.signing import PublicKey
from chalicelib.storage.table import Table
from chalicelib.watch import jobs as watch_jobs
from local.messaging import queue_calls, rule_calls
from local.pace import Pace
from local.pump.functions import Failed, fed_functions, matches
from local.pump.queues import QueuePump
from local.pump.stream import StreamPump
from local.redrive import Moved, redrive
from local.settings import STACK, queue_url
from local.stack import DEAD, Stack
from local.tables import TEMPLATE
from tests.fakes import ClearContacts, MemoryBus, MemorySqs
from tests.makers import NOON, Clock
from tests.memory import MemoryTable
from tests.table.stand import Desk, faults_in

KEYRING = Keyring(b"i" * 32, b"c" * 32, ClearContacts())
SETTINGS = Settings(
    stage="test", stack=STACK, region="us-east-1", dynamodb_endpoint=None,
    index_key=KEYRING.index_key, cursor_key=KEYRING.cursor_key, token_key=b"t" * 32,
    issuer="https://test.invalid", audience=STACK, job_queue=queue_url("http://127.0.0.1:9", "job-work"),
    retention_queue=queue_url("http://127.0.0.1:9", "retention"),
    roots="roots", signing_key="key",
)  # fmt: skip
_TEMPLATE = json.loads(TEMPLATE.read_text())
FUNCTIONS = {each.name: each for each in fed_functions()}
HANDLERS: dict[str, Callable[[dict[str, Any], Any], Any]] = {
    "work-job": jobs.work_job,
    "retain": privacy_jobs.work_retention,
    "notices": notices_jobs.send_notices,
    "archive": relay_jobs.archive_events,
    "watch": watch_jobs.watch_events,
}

DUE = tuple(job for job in Job if job not in (Job.VERIFY, Job.AUDIT, Job.RETENTION))
"""Jobs that do something to members."""


class MemoryObjects(Files):
    """Files in memory."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`."""
        self.files[key] = content

    def put_once(self, key: str, content: bytes, *, kind: str) -> bool:
        """See `Objects.put_once`."""
        new = key not in self.files
        if new:
            self.put(key, content, kind=kind)
        return new

    def get(self, key: str) -> bytes | None:
        """See `Objects.get`."""
        return self.files.get(key)

    def list(self, prefix: str, *, after: str | None, limit: int) -> Keys:
        """See `Objects.list`."""
        keys = sorted(key for key in self.files if key.startswith(prefix) and (after is None or key > after))
        return keys[:limit]

    def delete(self, keys: Sequence[str]) -> None:
        """See `Files.delete`."""
        for key in keys:
            self.files.pop(key, None)


class Stamp:
    """Signs as nobody can check, and at once."""

    def public(self) -> PublicKey:
        """See `Signer.public`."""
        return PublicKey(b"x" * 32, b"y" * 32)

    def sign(self, message: bytes) -> bytes:
        """See `Signer.sign`."""
        return hashlib.sha512(message).digest()


class _Safe:
    """Queues that nobody loses."""

    def check(self) -> float:
        return 0.0


class _Stream:
    arn, shard = "arn", "shard"


@dataclass
class Works:
    """A stack: its state, and the ports through which functions see it."""

    core: Any = field(default_factory=MemoryTable)
    ops: Any = field(default_factory=MemoryTable)
    clock: Clock = field(default_factory=lambda: Clock(NOON))
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    roots: MemoryObjects = field(default_factory=MemoryObjects)

    def __post_init__(self) -> None:
        self.sqs = MemorySqs(lambda: self.clock().timestamp())
        for name, attributes in queue_calls(_TEMPLATE, STACK):
            policy = json.loads(attributes.get("RedrivePolicy") or "{}")
            self.sqs.add(
                name,
                visibility=float(attributes["VisibilityTimeout"]),
                dead=policy["deadLetterTargetArn"].rpartition(":")[2] if policy else None,
                receives=int(policy.get("maxReceiveCount", 0)),
            )
        targets = [
            (json.loads(rule["EventPattern"]), rule_targets) for rule, rule_targets in rule_calls(_TEMPLATE, STACK)
        ]
        self.bus = MemoryBus(self.sqs, [(p, t["Arn"].rpartition(":")[2]) for p, ts in targets for t in ts])
        self.letters: list[str] = []
        self.told = 0
        self.open()

    # ------------------------------------------------------------ functions

    def open(
        self,
        *,
        core: Table | None = None,
        ops: Table | None = None,
        sqs: SignedClient | None = None,
        bus: SignedClient | None = None,
        objects: Files | None = None,
        roots: Objects | None = None,
    ) -> None:
        """Start the functions' processes anew, over these ports where others are given."""

        def hurried() -> Sender:
            return Sender(pause=lambda _: None)

        self.client = sqs or self.sqs
        queues = SqsQueues(self.client, hurried())
        table = core or self.core
        wiring.use(
            House(
                SETTINGS, table, KEYRING, self.clock, ops=ops or self.ops, queues=queues,
                bus=EventBus(bus or self.bus, "events", hurried()), objects=objects or self.objects,
                roots=roots or self.roots, signer=Stamp(), gate=wiring.gate(SETTINGS),
            )
        )  # fmt: skip
        self.yard = Yard(
            table,
            ops or self.ops,
            ProgramBook(table),
            queues,
            SETTINGS.job_queue or "",
            retention_queue=SETTINGS.retention_queue or "",
        )

    def start(self, job: Job, *, resume: bool = False) -> list[str]:
        """Have the schedule fire; the days that were started."""
        days: list[str] = jobs.start_job({"job": job.value} | ({"resume": True} if resume else {}), None)["days"]
        return days

    def drain(self, *names: str, most: int = 1_000_000) -> None:
        """Feed functions from their queues until these are empty; what goes on failing ends as dead letters."""
        pumps = {name: self._pump(name) for name in names or HANDLERS}
        for _ in range(most):
            waiting = {name: self.sqs.visible_at(f"{STACK}-{FUNCTIONS[name].queue}") for name in pumps}
            first = min((at for at in waiting.values() if at is not None), default=None)
            if first is None:
                return
            if first > self.clock().timestamp():
                self.clock.now = datetime.fromtimestamp(first, UTC)
            for name, pump in pumps.items():
                at = waiting[name]
                if at is not None and at <= self.clock().timestamp():
                    self._step(pump)
        raise AssertionError("the queues do not come to an end")

    def tell(self) -> None:
        """Feed the relay what was written since the last time."""
        records = self.core.records(_told)
        pump = StreamPump(
            _Stream(),  # type: ignore[arg-type]
            lambda event: relay_jobs.relay_records(event, None),  # type: ignore[arg-type]
            _Safe(),  # type: ignore[arg-type]
            self.letters.append,
            wanted=lambda _: True,
            pause=0,
        )
        for at in range(self.told, len(records), FUNCTIONS["relay"].batch):
            pump.deliver(records[at : at + FUNCTIONS["relay"].batch])
        self.told = len(records)

    def redrive(self, queue: str) -> int:
        """Move a queue's dead letters back, as `make redrive` does; how many."""
        stack = Stack(STACK, self.sqs, SqsQueues(self.sqs), EventBus(self.bus, "events"), None)
        done = Moved()
        source = stack.queue_url(queue)
        redrive(stack, stack.queue_url(queue + DEAD), source, done, at_most=None, where=None, pace=Pace(1e9))
        return done.moved

    def dead(self, queue: str) -> list[str]:
        """The dead letters of a queue."""
        return self.sqs.bodies(f"{STACK}-{queue}{DEAD}")

    def _pump(self, name: str) -> QueuePump:
        function = FUNCTIONS[name]
        handler = HANDLERS[name]
        url = self.sqs.url(f"{STACK}-{function.queue}")

        def invoked(event: dict[str, Any]) -> Any:
            try:
                return handler(event, None)
            except Trouble as trouble:
                raise Failed(trouble.code) from trouble  # as Lambda: the messages come again

        return QueuePump(self.client, url, invoked, batch=min(function.batch, 10))  # type: ignore[arg-type]

    @staticmethod
    def _step(pump: QueuePump) -> None:
        try:
            pump.step()
        except (Unreachable, ServiceFault):
            return  # as `QueuePump.run`

    # ------------------------------------------------------------ what came of it

    @property
    def desk(self) -> Desk:
        """Serves members over the state itself."""
        return Desk(self.core, KEYRING, ProgramBook(self.core), self.clock)

    def run(self, job: Job) -> Run:
        """The run of a job's last day."""
        yard = Yard(self.core, self.ops, ProgramBook(self.core), self.yard.queues, self.yard.queue)
        (last, *_) = store.list_runs(self.ops, job, before=None, limit=1)[0]
        return jobs_service.view(yard, last, self.clock())

    def faults(self) -> list[str]:
        """What does not hold in the ledger."""
        return faults_in(self.core, self.core.items)

    def archived(self) -> list[dict[str, Any]]:
        """Every line of the archive."""
        return list(events_in(content for name, content in self.objects.files.items() if name.startswith("events/")))

    def outbox(self) -> list[dict[str, Any]]:
        """Every notice that was sent."""
        return [json.loads(content) for name, content in self.objects.files.items() if name.startswith("outbox/")]


def happened(core: MemoryTable) -> Counter[tuple[str, str]]:
    """How often each kind of entry or note was written for each member."""
    found: Counter[tuple[str, str]] = Counter()
    for key, item in core.items.items():
        if key.pk.startswith("K#") and "r" in item:
            found[item["tl"].removeprefix("M#"), key.pk.split("#")[1]] += 1
        elif key.pk.startswith("H#"):
            found[item["tl"].removeprefix("H#"), item["kind"]] += 1
    return found


def events_in(files: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The events of the archive's files."""
    for content in files:
        for line in content.decode().splitlines():
            yield json.loads(line)


def _told(record: dict[str, Any]) -> bool:
    patterns: Sequence[dict[str, Any]] = FUNCTIONS["relay"].patterns
    return any(matches(each, record) for each in patterns)
