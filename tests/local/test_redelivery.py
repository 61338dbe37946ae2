"""Events told again from the archive, and messages moved back from a dead-letter queue."""

import itertools
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.kernel.errors import StorageBusy
from chalicelib.relay import service
from chalicelib.storage.objects import BucketObjects, FolderObjects
from chalicelib.storage.signed import ServiceFault, SignedClient
from local import events, redrive
from local.pace import Pace
from local.settings import settings
from local.stack import NoQueue, NoStack, Stack, find_stack
from tests.fakes import KeptBus, KeptQueues

START = datetime(2026, 3, 15, 22, 30, tzinfo=UTC)


class Sqs(SignedClient):
    """Queues as far as a redrive sees them: standard ones, that hide what was received and hand it out in any order."""

    def __init__(self, **queues: list[str]) -> None:
        self.chance = random.Random(7)
        self.now = 1_000_000.0
        self.numbers = itertools.count()
        self.messages: dict[str, dict[str, dict[str, Any]]] = {}
        self.deleting: list[Exception | None] = []
        for name, bodies in queues.items():
            self.messages[url(name)] = {}
            for body in bodies:
                self.add(url(name), body, sent_at=1)

    def add(self, queue_url: str, body: str, *, sent_at: float) -> None:
        """Put a message in a queue."""
        number = f"m{next(self.numbers)}"
        self.messages[queue_url][number] = {"Body": body, "until": 0.0, "sent": sent_at, "receipt": ""}

    def bodies(self, name: str) -> list[str]:
        """What is in a queue."""
        return [message["Body"] for message in self.messages[url(name)].values()]

    def visible(self, name: str) -> int:
        """How many messages could be received now."""
        return sum(message["until"] <= self.now for message in self.messages[url(name)].values())

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """See `SignedClient.call`."""
        if operation == "GetQueueUrl":
            if url(payload["QueueName"]) not in self.messages:
                raise ServiceFault("QueueDoesNotExist", 400, {})
            return {"QueueUrl": url(payload["QueueName"])}
        queue = self.messages[payload["QueueUrl"]]
        if operation == "ReceiveMessage":
            return self._received(queue, payload)
        for entry in payload["Entries"]:
            (number,) = [each for each, message in queue.items() if message["receipt"] == entry["ReceiptHandle"]]
            if operation == "DeleteMessageBatch":
                fault = self.deleting.pop() if self.deleting else None
                if fault:
                    raise fault
                del queue[number]
            else:
                assert operation == "ChangeMessageVisibilityBatch"
                queue[number]["until"] = self.now + entry["VisibilityTimeout"]
        return {}

    def _received(self, queue: dict[str, dict[str, Any]], payload: Mapping[str, Any]) -> dict[str, Any]:
        numbers = [number for number, message in queue.items() if message["until"] <= self.now]
        chosen = self.chance.sample(numbers, min(len(numbers), self.chance.randint(1, payload["MaxNumberOfMessages"])))
        for number in chosen:
            queue[number] |= {"until": self.now + payload["VisibilityTimeout"], "receipt": f"{number}@{self.now}"}
        return {
            "Messages": [
                {
                    "MessageId": number,
                    "ReceiptHandle": queue[number]["receipt"],
                    "Body": queue[number]["Body"],
                    "Attributes": {"SentTimestamp": str(int(queue[number]["sent"]))},
                }
                for number in chosen
            ]
        }


class SqsBack(KeptQueues):
    """Sends into the queues of `Sqs`."""

    def __init__(self, sqs: Sqs) -> None:
        super().__init__()
        self.sqs = sqs

    def send(self, queue_url: str, bodies: Any, *, delay: int = 0) -> None:
        """See `Queues.send`."""
        super().send(queue_url, bodies, delay=delay)
        for body in bodies:
            self.sqs.add(queue_url, body, sent_at=1)


def url(name: str) -> str:
    """A queue's URL."""
    return f"http://127.0.0.1:9/1/{name}"


class Time:
    """A clock that pauses move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now

    def pause(self, seconds: float) -> None:
        """Wait."""
        self.now += seconds


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A stack whose archive is a folder; nothing of it is on the network."""
    sqs = Sqs(**{"regulars-notices": [], "regulars-notices-dlq": [f"dead {n}" for n in range(57)]})
    made = Stack("regulars", sqs, SqsBack(sqs), KeptBus(), FolderObjects(tmp_path))
    for module in (events, redrive):
        monkeypatch.setattr(module, "find_stack", lambda _: made)
    return made


def an_event(number: int, *, minutes: float) -> dict[str, Any]:
    """An event recorded so long after the start."""
    at = (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    kind = "PointsEarned" if number % 3 else "TierChanged"
    return {"event_id": f"evt_{number:04d}", "type": kind, "recorded_at": at, "data": {"n": number}}


def archived(stack: Stack, some: list[dict[str, Any]], batch: int = 7) -> None:
    """Keep events as the archive's function does, some of them twice in other company."""
    assert stack.archive is not None
    for start in range(0, len(some), batch - 2):
        by_hour: dict[str, dict[str, str]] = {}
        for event in some[start : start + batch]:
            folder, event_id, line = service.archived(json.dumps(event))
            by_hour.setdefault(folder, {})[event_id] = line
        for folder, lines in by_hour.items():
            service.keep(stack.archive, folder, lines)


def on_the_bus(stack: Stack) -> list[dict[str, Any]]:
    """What was put on the bus."""
    assert isinstance(stack.bus, KeptBus)
    return [json.loads(event.detail) for event in stack.bus.events]


# ---------------------------------------------------------------- events


def test_a_time_is_told_again_each_event_once_in_order_with_its_end_left_out(stack: Stack) -> None:
    some = [an_event(n, minutes=n) for n in range(300)]
    shuffled = random.Random(1).sample(some, len(some))
    archived(stack, shuffled)

    code = events.main(["--from", "2026-03-15T23:00:00Z", "--to", "2026-03-16T09:59:00+08:00", "--rate", "1000000"])

    assert code == 0
    assert on_the_bus(stack) == some[30:209]
    assert isinstance(stack.bus, KeptBus)
    assert {(each.type, each.at) for each in stack.bus.events} == {
        (each["type"], datetime.fromisoformat(each["recorded_at"])) for each in some[30:209]
    }


def test_days_begin_in_utc_and_types_are_chosen(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    some = [an_event(n, minutes=n * 10) for n in range(200)]
    archived(stack, some)
    arguments = ["--from", "2026-03-16", "--to", "2026-03-17", "--type", "TierChanged", "--rate", "1000000"]
    wanted = [e for e in some if e["recorded_at"].startswith("2026-03-16") and e["type"] == "TierChanged"]

    assert events.main([*arguments, "--dry-run"]) == 0
    assert f"{len(wanted)} events; none was sent." in capsys.readouterr().out
    assert on_the_bus(stack) == []
    assert events.main(arguments) == 0
    assert on_the_bus(stack) == wanted


def test_events_can_go_to_one_queue_and_to_no_other(stack: Stack) -> None:
    some = [an_event(n, minutes=n) for n in range(25)]
    archived(stack, some)
    arguments = ["--from", "2026-03-15", "--to", "2026-03-17", "--rate", "1000000", "--queue"]

    for queue in ("notices", "regulars-notices", url("regulars-notices")):
        assert events.main([*arguments, queue]) == 0

    assert isinstance(stack.queues, KeptQueues)
    assert {each[0] for each in stack.queues.sent} == {url("regulars-notices")}
    assert [json.loads(body) for _, body, _ in stack.queues.sent] == some * 3
    assert on_the_bus(stack) == []
    assert events.main([*arguments, "nobody"]) == 2


def test_a_bus_that_gives_up_leaves_a_place_from_which_nothing_is_missed(
    stack: Stack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    some = [an_event(n, minutes=n) for n in range(100)]
    archived(stack, some)
    first = KeptBus()

    def busy(_: Any) -> None:
        if first.puts > 4:
            raise StorageBusy

    first.refuse = busy
    monkeypatch.setattr(events, "find_stack", lambda _: replace(stack, bus=first))
    arguments = ["--to", "2026-03-17", "--rate", "1000000", "--from"]
    assert events.main([*arguments, "2026-03-15"]) == 1
    said = capsys.readouterr().err
    place = said.rpartition("--from ")[2].strip()
    assert "Stopped after 40 events" in said

    second = KeptBus()
    monkeypatch.setattr(events, "find_stack", lambda _: replace(stack, bus=second))
    assert events.main([*arguments, place]) == 0
    seen = Counter(json.loads(each.detail)["event_id"] for each in first.events + second.events)
    assert set(seen) == {each["event_id"] for each in some}
    assert max(seen.values()) <= 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--from", "2026-03-16", "--to", "2026-03-15"],
        ["--from", "yesterday", "--to", "2026-03-15"],
        ["--from", "2026-03-15T12:00:00", "--to", "2026-03-16"],
        ["--from", "2026-03-15", "--to", "2026-03-16", "--type", "Nonsense"],
        ["--from", "2026-03-15", "--to", "2026-03-16", "--rate", "0"],
        ["--from", "2026-03-15", "--to", "2026-03-16", "--rate", "nan"],
    ],
)
def test_arguments_that_make_no_sense_send_nothing(stack: Stack, arguments: list[str]) -> None:
    try:
        code = events.main(arguments)
    except SystemExit as left:
        assert left.code == 2
    else:
        assert code == 2
    assert on_the_bus(stack) == []


def test_no_more_than_the_rate_is_sent() -> None:
    time = Time()
    pace = Pace(20, pause=time.pause, timer=time)
    for _ in range(11):
        pace.before(10)
    assert time.now == pytest.approx(5.0)
    time.now += 60
    pace.before(10)
    pace.before(10)
    assert time.now == pytest.approx(65.5), "a pause is no credit for a burst"


# ---------------------------------------------------------------- redrive


def test_messages_go_back_to_their_queue_each_once(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(stack.sqs, Sqs)
    assert redrive.main(["--queue", "notices", "--rate", "1000000"]) == 0
    assert sorted(stack.sqs.bodies("regulars-notices")) == sorted(f"dead {n}" for n in range(57))
    assert stack.sqs.bodies("regulars-notices-dlq") == []
    assert "57 messages moved to notices, 0 left." in capsys.readouterr().out
    assert redrive.main(["--queue", "regulars-notices-dlq", "--rate", "1000000"]) == 0
    assert len(stack.sqs.bodies("regulars-notices")) == 57


def test_only_some_are_moved_and_the_others_can_be_received_at_once(stack: Stack) -> None:
    assert isinstance(stack.sqs, Sqs)
    assert redrive.main(["--queue", "notices", "--where", "dead 1", "--rate", "1000000"]) == 0
    assert sorted(stack.sqs.bodies("regulars-notices")) == sorted(f"dead {n}" for n in range(57) if str(n)[0] == "1")
    assert stack.sqs.visible("regulars-notices-dlq") == len(stack.sqs.bodies("regulars-notices-dlq")) == 46

    assert redrive.main(["--queue", "notices", "--max", "5", "--rate", "1000000"]) == 0
    assert len(stack.sqs.bodies("regulars-notices")) == 11 + 5
    assert stack.sqs.visible("regulars-notices-dlq") == 41


def test_what_fails_anew_meanwhile_is_not_moved_in_circles(stack: Stack) -> None:
    assert isinstance(stack.sqs, Sqs)
    dead = url("regulars-notices-dlq")
    for number in range(9):
        stack.sqs.add(dead, f"anew {number}", sent_at=4e12)
    assert redrive.main(["--queue", "notices", "--rate", "1000000"]) == 0
    assert sorted(stack.sqs.bodies("regulars-notices-dlq")) == [f"anew {n}" for n in range(9)]


def test_a_redrive_that_is_cut_off_loses_nothing_and_can_be_started_again(stack: Stack) -> None:
    assert isinstance(stack.sqs, Sqs)
    stack.sqs.deleting = [ServiceFault("Http503", 503, {}), None, None, None, None, None, None, None]
    assert redrive.main(["--queue", "notices", "--rate", "1000000"]) == 1
    everything = stack.sqs.bodies("regulars-notices") + stack.sqs.bodies("regulars-notices-dlq")
    assert set(everything) == {f"dead {n}" for n in range(57)}

    stack.sqs.now += 3_600
    assert redrive.main(["--queue", "notices", "--rate", "1000000"]) == 0
    moved = Counter(stack.sqs.bodies("regulars-notices"))
    assert set(moved) == {f"dead {n}" for n in range(57)}
    assert max(moved.values()) <= 2
    assert stack.sqs.bodies("regulars-notices-dlq") == []


@pytest.mark.parametrize("queue", ["relay", "relay-dlq", "regulars-schedules-dlq", "events", "nobody"])
def test_what_has_no_queue_to_go_back_to_is_explained(
    stack: Stack, capsys: pytest.CaptureFixture[str], queue: str
) -> None:
    assert redrive.main(["--queue", queue]) == 2
    assert capsys.readouterr().err


def test_a_queue_is_found_by_any_of_its_names(stack: Stack) -> None:
    assert {stack.queue_url(name) for name in ("notices", "regulars-notices", url("regulars-notices"))} == {
        url("regulars-notices")
    }
    with pytest.raises(NoQueue, match="regulars-nobody"):
        stack.queue_url("nobody")


# ---------------------------------------------------------------- which stack


def test_without_a_stack_a_tool_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("REGULARS_STACK", raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    assert redrive.main(["--queue", "notices"]) == 2
    assert events.main(["--from", "2026-03-15", "--to", "2026-03-16"]) == 2
    assert capsys.readouterr().err.count("make run DATA_DIR=") == 2


def test_the_stack_that_the_environment_names_is_worked_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_STACK", "regulars-dev")
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(NoStack, match="AWS_REGION"):
        find_stack(settings())
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.delenv("REGULARS_ARCHIVE", raising=False)
    named = find_stack(settings())
    assert (named.name, named.archive) == ("regulars-dev", None)
    assert events.main(["--from", "2026-03-15", "--to", "2026-03-16"]) == 2
    monkeypatch.setenv("REGULARS_ARCHIVE", "regulars-dev-archive")
    assert isinstance(find_stack(settings()).archive, BucketObjects)
    monkeypatch.setenv("REGULARS_ARCHIVE", tmp_path.as_uri())
    assert events.main(["--from", "2026-03-15", "--to", "2026-03-16"]) == 0
