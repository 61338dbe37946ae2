"""Four in ten entries fail, calls are throttled, conflict, lose their answers: nothing is lost, nothing is twice."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import pytest

from chalicelib.jobs.models import Job, RunState
from chalicelib.kernel.errors import StorageBusy
from chalicelib.kernel.ids import MemberId
from chalicelib.storage.dynamo import Dynamo
from chalicelib.storage.signed import Credentials, Service, ServiceFault, SignedClient, Unreachable
from chalicelib.storage.table import DynamoTable
from tests.faults import planted
from tests.faults.conftest import Report
from tests.faults.sizes import PATIENCE, SEED, SIZE
from tests.faults.works import MemoryObjects, Works
from tests.makers import an_enrolment
from tests.table.stand import faults_in, scan

SHARE = 0.4
STREAMS = Service("dynamodb", "DynamoDBStreams_20120810")


class Flaky(Dynamo):
    """A client of any service of which four in ten entries fail, and many calls as a whole.

    Attributes:
        did: how often each fault befell a call or an entry.
    """

    def __init__(self, real: SignedClient, chance: random.Random, did: Counter[str]) -> None:
        self._real = real
        self._chance = chance
        self.did = did

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        roll = self._chance.random()
        writes = operation == "TransactWriteItems"
        if roll < 0.05:
            self.did["throttled"] += 1
            raise ServiceFault("ThrottlingException", 400, {})
        if roll < 0.08:
            self.did["failed"] += 1
            raise ServiceFault("InternalServerError", 500, {})
        if writes and roll < 0.25:
            self.did["conflict"] += 1
            reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in payload["TransactItems"][1:])]
            raise ServiceFault("TransactionCanceledException", 400, {"CancellationReasons": reasons})
        answer = self._some(operation, payload)
        if roll > (0.85 if writes else 0.93):
            self.did["answer lost"] += 1
            raise Unreachable("the answer was lost")
        return answer

    def _some(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        if operation == "BatchGetItem":
            return self._read(payload)
        if operation not in ("SendMessageBatch", "PutEvents", "DeleteMessageBatch"):
            return self._real.call(operation, payload)
        lucky = [self._chance.random() >= SHARE for _ in payload["Entries"]]
        self.did["entries failed"] += lucky.count(False)
        taken = [entry for entry, luck in zip(payload["Entries"], lucky, strict=True) if luck]
        if taken:
            self._real.call(operation, {**payload, "Entries": taken})
        if operation == "PutEvents":
            entries = [{"EventId": "e"} if luck else {"ErrorCode": "InternalFailure"} for luck in lucky]
            return {"FailedEntryCount": lucky.count(False), "Entries": entries}
        missed = [entry["Id"] for entry, luck in zip(payload["Entries"], lucky, strict=True) if not luck]
        return {
            "Successful": [{"Id": entry["Id"]} for entry in taken],
            "Failed": [{"Id": each, "Code": "InternalError", "SenderFault": False} for each in missed],
        }

    def _read(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        ((name, asked),) = payload["RequestItems"].items()
        read = [key for key in asked["Keys"] if self._chance.random() >= SHARE]
        left = [key for key in asked["Keys"] if key not in read]
        self.did["keys unprocessed"] += len(left)
        answer: dict[str, Any] = {"Responses": {name: []}}
        if read:
            answer = self._real.call("BatchGetItem", {"RequestItems": {name: {**asked, "Keys": read}}})
        return {**answer, "UnprocessedKeys": {name: {**asked, "Keys": left}} if left else {}}


class FlakyObjects(MemoryObjects):
    """Files of which four in ten are not taken, some of them after all."""

    def __init__(self, real: MemoryObjects, chance: random.Random) -> None:
        self.files = real.files
        self._chance = chance

    def put(self, key: str, content: bytes, *, kind: str) -> None:
        """See `Objects.put`."""
        roll = self._chance.random()
        if roll >= SHARE / 2:
            super().put(key, content, kind=kind)
        if roll < SHARE:
            raise StorageBusy


class Emulated(Works):
    """A stack over the emulator's tables, which functions see through flaky clients."""

    def __init__(self, core: DynamoTable, ops: DynamoTable, dynamo: Dynamo, seed: int) -> None:
        super().__init__(core=core, ops=ops)
        self.dynamo = dynamo
        self.did: Counter[str] = Counter()
        self.chance = random.Random(seed)

    def flaky(self, real: SignedClient) -> Flaky:
        """A client that fails as often as not."""
        return Flaky(real, self.chance, self.did)

    def flaky_table(self, table: DynamoTable) -> DynamoTable:
        """A table behind such a client, of little patience, so that much is left half done."""
        return DynamoTable(self.flaky(self.dynamo), table.name, pause=lambda _: None, patience=0.05)

    def open_flaky(self) -> None:
        """Start the functions behind such clients."""
        self.open(
            core=self.flaky_table(self.core), ops=self.flaky_table(self.ops), sqs=self.flaky(self.sqs),
            bus=self.flaky(self.bus), objects=FlakyObjects(self.objects, self.chance),
        )  # fmt: skip

    def start_until_taken(self, job: Job) -> None:
        """Have the schedule fire until the function answers."""
        for _ in range(50):
            try:
                self.start(job, resume=True)
                return
            except StorageBusy:
                continue
        raise AssertionError("not started")


@pytest.fixture
def emulated(table: DynamoTable, ops: DynamoTable, dynamo: Dynamo) -> Iterator[Emulated]:
    """A stack over the test's own tables."""
    made = Emulated(table, ops, dynamo, SEED)
    yield made


def patiently(act: Callable[[], Any]) -> Any:
    """Do something, again for as long as the database is busy."""
    for _ in range(50):
        try:
            return act()
        except StorageBusy:
            continue
    raise AssertionError("busy for good")


def lived(works: Emulated, size: int) -> list[MemberId]:
    """Enrol a crowd over a flaky database, and let a birthday and an expiry run over it; everything is told."""
    works.desk.publish(1, expiry={"mode": "rolling", "months": 12, "bucket": "day"}, notices={"expiring_days": None})
    works.clock.forward(minutes=1)
    desk = works.desk.over(works.flaky_table(works.core))
    patiently(lambda: desk.book.current(works.clock()))
    crowd = []
    for number in range(size):
        command = an_enrolment(birthday="1990-04-10", mobile=f"+86138{number:08d}")
        member = MemberId(patiently(partial(desk.enrolled, command, key=f"k{number}")).value.member_id)
        if number % 3 == 0:
            patiently(partial(desk.adjust, member, 100, key=member, expires_on=date(2026, 4, 9)))
        crowd.append(member)
    works.clock.at("2026-04-10")
    works.open_flaky()
    for job in (Job.BIRTHDAY, Job.EXPIRE):
        works.start_until_taken(job)
    # What failed five times by chance is dead, and is moved back: the alarm says so, and `make redrive` does it.
    for _ in range(20):
        works.drain("work-job")
        if not works.redrive("job-work"):
            break
    relay(works)
    for _ in range(20):
        works.drain("notices", "archive")
        if not works.redrive("notices") + works.redrive("archive"):
            break
    return crowd


def relay(works: Emulated) -> None:
    """Feed the relay everything that the stream of the table says."""
    records = streamed(works)
    works.core.records = lambda wanted: [each for each in records if wanted(each)]
    works.tell()


def streamed(works: Emulated) -> list[dict[str, Any]]:
    """The stream of the table."""
    endpoint = f"http://{works.dynamo._netloc}"
    client = SignedClient(STREAMS, "us-east-1", endpoint, lambda: Credentials("t", "t"), lambda: datetime.now(UTC))
    arn = works.dynamo.call("DescribeTable", {"TableName": works.core.name})["Table"]["LatestStreamArn"]
    (shard,) = client.call("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]
    place = {"StreamArn": arn, "ShardId": shard["ShardId"], "ShardIteratorType": "TRIM_HORIZON"}
    iterator = client.call("GetShardIterator", place)["ShardIterator"]
    found: list[dict[str, Any]] = []
    for _ in itertools.count():
        part = client.call("GetRecords", {"ShardIterator": iterator})
        iterator = part["NextShardIterator"]
        found += part["Records"]
        if not part["Records"]:
            break
    client.close()
    return found


def wrong(works: Emulated, crowd: list[MemberId]) -> list[str]:
    """What does not hold: one effect each, exact counts, every entry's event in the archive, one notice each."""
    items = scan(works.dynamo, works.core.name)
    found = faults_in(works.core, items)
    kinds: Counter[tuple[str, str]] = Counter()
    for key, item in items.items():
        if key.pk.startswith("K#") and "r" in item:
            kinds[item["tl"].removeprefix("M#"), key.pk.split("#")[1]] += 1
    for job, kind, due in ((Job.BIRTHDAY, "birthday", crowd), (Job.EXPIRE, "expire", crowd[::3])):
        effects = Counter({who: n for (who, what), n in kinds.items() if what == kind})
        if effects != Counter(each.removeprefix("mem_") for each in due):
            found.append(f"{kind}: {sum(effects.values())} effects for {len(due)} members")
        run = works.run(job)
        # An expiry that a gift has booked on the way is no longer due when the other job's page comes to it.
        if (run.state, run.due) != (RunState.DONE, run.done) or run.due > len(due):
            found.append(f"{job}: {run.state}, {run.done} of {run.due} for {len(due)}")
        if job is Job.BIRTHDAY and run.due != len(due):
            found.append(f"{job}: {run.state}, {run.done} of {run.due} for {len(due)}")
    archived = {each["event_id"]: each for each in works.archived()}
    entries = Counter(each["data"]["entry_id"] for each in archived.values() if leads(each))
    if len(entries) != sum(kinds.values()) or set(entries.values()) - {1}:
        found.append(f"{len(entries)} of {sum(kinds.values())} entries are in the archive")
    if sum(each["type"] == "MemberEnrolled" for each in archived.values()) != len(crowd):
        found.append("not every enrolment is in the archive")
    if Counter(each["member_id"] for each in works.outbox()) != Counter(crowd):
        found.append(f"{len(works.outbox())} notices for {len(crowd)} members")
    if works.letters:
        found.append("the relay gave records up")
    return found


def leads(event: dict[str, Any]) -> bool:
    """Whether an event is its entry's first: see docs/events/README.md."""
    return event["type"] in ("PurchaseRecorded", "PointsAdjusted", "PointsExpired", "TierReviewed", "BirthdayGiftGiven")


@pytest.mark.timeout(PATIENCE)
def test_no_event_is_lost_and_no_effect_is_twice(emulated: Emulated, report: Report) -> None:
    crowd = lived(emulated, max(SIZE // 3, 100))  # of whom each makes three events or more
    assert wrong(emulated, crowd) == []
    assert min(emulated.did.values()) > len(crowd) // 30
    events = len({each["event_id"] for each in emulated.archived()})
    did = ", ".join(f"{n} {what}" for what, n in sorted(emulated.did.items()))
    lines = len(emulated.archived())
    words = f"flaky: seed {SEED}, {len(crowd)} members, {events} events ({lines} lines); {did}"
    report(words, members=len(crowd), events=events, lines=lines, did=dict(sorted(emulated.did.items())))


def notices_without_a_name(patch: pytest.MonkeyPatch) -> None:
    """A notice's file has a new name each time."""
    counter = itertools.count()
    sender = "chalicelib.notices.sender.Outbox.send"
    from chalicelib.notices.sender import Outbox

    real = Outbox.send
    patch.setattr(sender, lambda self, n: real(self, type(n)(**{**_fields(n), "delivery_id": f"d{next(counter)}"})))


def _fields(notice: Any) -> dict[str, Any]:
    return {name: getattr(notice, name) for name in notice.__slots__}


@pytest.mark.parametrize(
    "plant",
    [
        planted.no_idempotency,
        planted.no_memory_of_parts,
        planted.naive_bus,
        planted.naive_queue,
        planted.naive_reads,
        planted.impatient,
        notices_without_a_name,
    ],
    ids=lambda each: each.__name__,
)
def test_a_planted_bug_is_found(emulated: Emulated, plant: planted.Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    crowd = lived(emulated, 240 if plant is planted.no_idempotency else 60)
    assert wrong(emulated, crowd) != []
