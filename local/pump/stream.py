"""From a table's stream to a function, as Lambda's event source mapping does it, and where it is to go on."""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from chalicelib.kernel.errors import StorageBusy
from chalicelib.storage.signed import Service, ServiceFault, SignedClient, Unreachable
from local.messaging import client, save
from local.pump.functions import Failed, Invoker, failed_items
from local.settings import ACCOUNT, REGION, STACK

STREAMS = Service("dynamodb", "DynamoDBStreams_20120810")
TABLES = Service("dynamodb", "DynamoDB_20120810")
POSITION = "stream.json"
_MOST = 1000
RETRIES = 5
"""How often a single record is tried again before it goes to the dead-letter queue. Deployed it is ten times as often:
before a laptop nobody waits for as long, and a mistake shows sooner."""
TROUBLE_RETRIES = 50
"""How often records are tried again that the function would have done, had others answered."""
_LONGEST_PAUSE = 10.0
_IDLE = (0.05, 1.0)
"""Seconds between two looks at a quiet stream: at first, and after a while."""
_GATHERED = 100
"""Batches larger than this are waited for; the relay's are not, whatever is deployed: a till may be listening."""
_COMMIT_EVERY = 1.0
_COMMIT_SHARE = 20
"""A commit that took long is followed by a pause this many times as long, so that queues stay quick."""


class NoStream(Exception):
    """There is no stream to read."""


class Restarted(Exception):
    """The queues have been lost or restored since we began: what was put there since may be gone."""


class Stream:
    """The stream of one table, which has one shard here."""

    def __init__(self, streams: SignedClient, arn: str, shard: str) -> None:
        self._streams = streams
        self._shard = shard
        self._iterator = ""
        self.arn = arn

    @property
    def shard(self) -> str:
        """The shard's id."""
        return self._shard

    def seek(self, after: str | None) -> None:
        """Go on behind a sequence number, or from the oldest record that is kept.

        Raises:
            Unreachable, ServiceFault: it cannot be read.
        """
        asked = {"StreamArn": self.arn, "ShardId": self._shard}
        oldest = {**asked, "ShardIteratorType": "TRIM_HORIZON"}
        behind = {**asked, "ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        try:
            answer = self._streams.call("GetShardIterator", oldest if after is None else behind)
        except ServiceFault as problem:
            if problem.code != "TrimmedDataAccessException":
                raise
            print(f"The stream keeps nothing from {after} any more; going on with the oldest record.", flush=True)
            answer = self._streams.call("GetShardIterator", oldest)
        self._iterator = answer["ShardIterator"]

    def read(self, most: int) -> list[dict[str, Any]]:
        """The next records, as Lambda hands them to a function.

        Raises:
            Unreachable, ServiceFault: it cannot be read.
        """
        answer = self._streams.call("GetRecords", {"ShardIterator": self._iterator, "Limit": most})
        self._iterator = answer["NextShardIterator"]
        return [{**record, "awsRegion": REGION, "eventSourceARN": self.arn} for record in answer["Records"]]


def open_stream(endpoint: str, table: str) -> Stream:
    """The stream of a table.

    Raises:
        NoStream: there is none.
        Unreachable: no answer came.
    """
    tables, streams = client(TABLES, endpoint), client(STREAMS, endpoint)
    try:
        arn = tables.call("DescribeTable", {"TableName": table})["Table"].get("LatestStreamArn")
        if not arn:
            raise NoStream(f"table {table} has no stream")
        shards = streams.call("DescribeStream", {"StreamArn": arn})["StreamDescription"]["Shards"]
    except ServiceFault as problem:
        raise NoStream(str(problem)) from problem
    if not shards:
        raise NoStream(f"the stream of table {table} has no shard")
    return Stream(streams, arn, shards[-1]["ShardId"])


class Position:
    """How far a stream has been told for good, on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, arn: str) -> str | None:
        """The sequence number behind which to go on, if this stream was read before."""
        try:
            known = json.loads(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return known["after"] if known.get("stream") == arn else None

    def write(self, arn: str, after: str) -> None:
        """Go on behind this sequence number from now on, whatever happens."""
        draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with draft.open("w") as file:
            file.write(json.dumps({"stream": arn, "after": after}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)


def skip_to_the_end(endpoint: str, table: str, position: Position) -> None:
    """Have the pump begin with what happens from now on: the history of a demo need not be told.

    Reads what it skips, because the end that dynoxide names is the last one by its spelling.

    Raises:
        NoStream, Unreachable, ServiceFault: the stream cannot be read.
    """
    stream = open_stream(endpoint, table)
    stream.seek(position.read(stream.arn))
    while records := stream.read(_MOST):
        position.write(stream.arn, records[-1]["dynamodb"]["SequenceNumber"])


class Safety:
    """Commits how far a stream has been told, at moments when all that it told is on disk.

    The queues live in ministack's memory. So a commit first has ministack save them; after kill -9 of everything they
    are restored from there, and whatever was told later is told again.

    Args:
        saves: False where nothing is lost with the queues, because what was told is on disk by itself.
    """

    def __init__(self, messaging: str, position: Position, arn: str, *, saves: bool = True) -> None:
        self._messaging = messaging
        self._saves = saves
        self._position = position
        self._arn = arn
        self._server, _ = save(messaging)
        self._due = 0.0
        self._told: str | None = None

    def told(self, sequence: str) -> None:
        """Everything up to this sequence number is in the queues."""
        self._told = sequence

    def settle(self) -> None:
        """Commit if it is time and there is something to commit.

        Raises:
            Restarted: the queues are not those that we put everything into.
            OSError: the queues cannot be saved now.
        """
        if self._told is None or time.monotonic() < self._due:
            return
        took = self.check() if self._saves else 0.0
        self._position.write(self._arn, self._told)
        self._told = None
        self._due = time.monotonic() + max(_COMMIT_EVERY, took * _COMMIT_SHARE)

    def check(self) -> float:
        """Save the queues, see that they are the ones we know, and say how long it took.

        Raises:
            Restarted: they are not.
            OSError: they cannot be saved now.
        """
        server, took = save(self._messaging)
        if server != self._server:
            raise Restarted
        return took


class StreamPump:
    """Reads a stream into a function, in order.

    A function that raises has its batch halved, down to a single record; one that answers which record failed is given
    everything from there on again. What goes on failing leaves for the dead-letter queue, and the stream goes on. While
    the queues do not answer nothing counts as tried.

    Args:
        bury: puts a message into the dead-letter queue.
        wanted: which records the function is given.
        pause: seconds before the first try again; doubled for each further one.
        window: seconds that a batch is waited for, once there is something.
        name: the function's, for dead letters.
    """

    def __init__(
        self,
        stream: Stream,
        invoke: Invoker,
        safety: Safety,
        bury: Callable[[str], None],
        *,
        wanted: Callable[[dict[str, Any]], bool],
        batch: int = 100,
        pause: float = 0.5,
        window: float = 0.0,
        name: str = "relay",
    ) -> None:
        self._window = window if batch > _GATHERED else 0.0
        self._name = name
        self._stream = stream
        self._wanted = wanted
        self._invoke = invoke
        self._safety = safety
        self._bury = bury
        self._batch = batch
        self._pause = pause

    def run(self) -> None:
        """Go on until the process is ended.

        Raises:
            Restarted: the queues have been lost; the next process begins at what was committed.
            ServiceFault: the stream cannot be read from where we are; likewise.
        """
        idle = _IDLE[0]
        while True:
            try:
                records = self._gathered()
                if records:
                    self.deliver([record for record in records if self._wanted(record)])
                    self._safety.told(records[-1]["dynamodb"]["SequenceNumber"])
                self._safety.settle()
            except (Unreachable, OSError) as problem:
                print(f"The stream stands still ({problem}); trying again.", file=sys.stderr, flush=True)
                records = []
            idle = _IDLE[0] if records else min(idle * 1.5, _IDLE[1])
            if not records:
                time.sleep(idle)

    def _gathered(self) -> list[dict[str, Any]]:
        """The next records; once there are some, what comes within the window goes with them."""
        records = self._stream.read(self._batch)
        if records and self._window:
            until = time.monotonic() + self._window
            while len(records) < self._batch and time.monotonic() < until:
                time.sleep(_IDLE[0])
                records += self._stream.read(self._batch - len(records))
        return records

    def deliver(self, records: list[dict[str, Any]]) -> None:
        """Hand records over until each is done or buried.

        Raises:
            Restarted: the queues have been lost.
        """
        size, tries = len(records), 0
        while records:
            batch = records[:size]
            done, raised = self._invoked(batch)
            if done:
                records, tries = records[done:], 0
                size = len(records) if done == len(batch) else size
                continue
            self._wait_for_queues()
            if raised and len(batch) > 1:
                size = (len(batch) + 1) // 2
            elif tries < (RETRIES if raised else TROUBLE_RETRIES):
                tries += 1
                time.sleep(min(self._pause * 2 ** (tries - 1), _LONGEST_PAUSE))
            else:
                self._bury_for_good(batch, tries + 1)
                records, tries = records[len(batch) :], 0
                size = len(records)

    def _invoked(self, batch: list[dict[str, Any]]) -> tuple[int, bool]:
        """How many records of a batch, from the front, the function did, and whether it raised."""
        numbers = [record["dynamodb"]["SequenceNumber"] for record in batch]
        try:
            failed = failed_items(self._invoke({"Records": batch}), numbers)
        except Failed:
            traceback.print_exc()
            return 0, True
        return min((numbers.index(number) for number in failed), default=len(numbers)), False

    def _wait_for_queues(self) -> None:
        """Return once the queues answer: without them nothing can be told, and no record is to blame."""
        while True:
            try:
                self._safety.check()
            except OSError:
                time.sleep(0.5)
            else:
                return

    def _bury_for_good(self, batch: list[dict[str, Any]], tries: int) -> None:
        """Put what Lambda says of records that it gives up into the dead-letter queue; not before are they given up."""
        letter = json.dumps(_letter(batch, self._stream, tries, self._name))
        first = batch[0]["dynamodb"]["SequenceNumber"]
        print(
            f"{len(batch)} of the stream's records from {first} on failed {tries} times: a dead letter says so.",
            file=sys.stderr,
            flush=True,
        )
        while True:
            try:
                self._bury(letter)
            except (Unreachable, ServiceFault, StorageBusy):
                self._wait_for_queues()
                time.sleep(0.5)
            else:
                return


def _letter(batch: list[dict[str, Any]], stream: Stream, tries: int, name: str) -> dict[str, Any]:
    """What Lambda's on-failure destination receives: where the records are, not what they say."""
    first, last = batch[0]["dynamodb"], batch[-1]["dynamodb"]
    return {
        "requestContext": {
            "requestId": str(uuid4()),
            "functionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}-{name}",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": tries,
        },
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": None},
        "version": "1.0",
        "timestamp": _spelt(time.time()),
        "DDBStreamBatchInfo": {
            "shardId": stream.shard,
            "startSequenceNumber": first["SequenceNumber"],
            "endSequenceNumber": last["SequenceNumber"],
            "approximateArrivalOfFirstRecord": _spelt(first["ApproximateCreationDateTime"]),
            "approximateArrivalOfLastRecord": _spelt(last["ApproximateCreationDateTime"]),
            "batchSize": len(batch),
            "streamArn": stream.arn,
        },
    }


def _spelt(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
