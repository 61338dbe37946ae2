"""The pump: what happens reaches the handlers, whatever is killed, and what cannot be handled is put aside."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chalicelib.jobs.models import Job
from chalicelib.storage.queues import SQS
from chalicelib.storage.signed import Unreachable
from local.dynamo import Dynoxide
from local.messaging import client
from local.processes import free_port
from local.pump.functions import Failed, failed_items, fed_functions, matches
from local.pump.schedules import SchedulePump, next_fire
from local.pump.stream import TABLES, Position, StreamPump, open_stream, skip_to_the_end
from local.settings import queue_url
from local.tables import create_tables
from tests.local.planted import effects
from tests.local.stand import Stack, within
from tests.local.test_run import asked, children, gone

KILLS = int(os.environ.get("KILLS", "5"))  # noqa: TID251 - `KILLS=50 pytest …` for a long run
VICTIMS = ("everything", "ministack_server", "relay", "archive", "notices")


def told(stack: Stack, *names: str) -> None:
    """Write entries, which the relay is given."""
    tables = client(TABLES, stack.run.dynamodb)
    for name in names:
        tables.call("PutItem", {"TableName": "regulars-core", "Item": {"pk": {"S": "O#x"}, "sk": {"S": name}}})
    tables.close()


def held(stack: Stack, queue: str) -> int:
    """How many messages are in a queue, seen or not."""
    asked = {"QueueUrl": queue_url(stack.run.messaging, queue), "AttributeNames": ["All"]}
    sqs = client(SQS, stack.run.messaging)
    known = sqs.call("GetQueueAttributes", asked)["Attributes"]
    sqs.close()
    return sum(int(known[name]) for name in known if name.startswith("ApproximateNumberOfMessages"))


def kill(stack: Stack, victim: str) -> None:
    """Kill -9 a process of a stack, or its supervisor, with which all end; that is then started again."""
    assert stack.process is not None
    started = children(stack.process.pid)
    if victim == "everything":
        stack.kill()
        assert gone(started)
        stack.start()
        return
    for pid in started:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        except OSError:
            continue
        if victim in words or any(word.endswith(f"{victim}.py") for word in words):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("planted", [3], indirect=True)
def test_no_kill_loses_an_event(planted: Stack) -> None:
    done, written = threading.Event(), list[str]()

    def write() -> None:
        for number in itertools.count():
            if done.is_set():
                return
            name = f"n{number}"
            while not done.is_set():
                try:
                    told(planted, name)
                    break
                except (Unreachable, OSError, ValueError):  # the database or the file that names it is not back yet
                    time.sleep(0.05)
            else:
                return
            written.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(KILLS):
            time.sleep(0.4)
            kill(planted, VICTIMS[number % len(VICTIMS)])
    finally:
        time.sleep(0.3)
        done.set()
        writer.join()
    assert len(written) > 20 * KILLS

    def all_there() -> bool:
        return all(set(written) <= set(effects(planted.data_dir, kind)) for kind in ("archive", "notices"))

    within(all_there)
    within(lambda: held(planted, "archive") + held(planted, "notices") == 0)
    within((planted.data_dir / "stream.json").exists)


def test_poison_goes_to_its_dead_letters_and_the_good_pass(planted: Stack) -> None:
    told(planted, "a", "poison-1", "b", "relay-poison", "c")
    sqs = client(SQS, planted.run.messaging)
    bodies = [{"Id": "0", "MessageBody": "poison"}]
    sqs.call("SendMessageBatch", {"QueueUrl": queue_url(planted.run.messaging, "job-work"), "Entries": bodies})
    within(lambda: {"a", "b", "c"} <= set(effects(planted.data_dir, "notices")))
    within(lambda: set(effects(planted.data_dir, "archive")) == {"a", "poison-1", "b", "c"})

    within(lambda: all(held(planted, f"{name}-dlq") for name in ("notices", "relay", "job-work")))
    assert effects(planted.data_dir, "refused") == ["poison-1"] * 5
    assert [held(planted, f"{name}-dlq") for name in ("notices", "relay", "job-work", "archive")] == [1, 1, 1, 0]
    letter = sqs.call("ReceiveMessage", {"QueueUrl": queue_url(planted.run.messaging, "relay-dlq")})["Messages"][0]
    assert json.loads(letter["Body"])["DDBStreamBatchInfo"]["startSequenceNumber"] == "4"
    sqs.close()

    told(planted, "d")
    within(lambda: "d" in effects(planted.data_dir, "notices"))
    planted.kill()
    planted.start()
    within(lambda: held(planted, "notices-dlq") == 1)  # dead letters outlive kill -9, or are put aside once more


def test_what_the_api_does_comes_to_the_archive(stack: Stack) -> None:
    assert asked(stack, "POST", "/v1/members", {"card_no": "c-1"})[0] == 201

    def archived() -> str:
        return "".join(
            path.read_text() for path in (stack.data_dir / "archive" / "events").rglob("*") if path.is_file()
        )

    within(lambda: '"MemberEnrolled"' in archived().replace(" ", ""))

    assert fired(stack, "birthday")[0] == 0
    code, said = fired(stack, "birthdays")
    assert (code, "expiring_soon" in said) == (2, True)


def test_jobs_start_with_the_run_and_again_when_their_work_may_be_lost(planted: Stack) -> None:
    jobs = effects(planted.data_dir, "start")
    within(lambda: len(set(effects(planted.data_dir, "start"))) == len(Job))
    kill(planted, "ministack_server")
    within(lambda: len(effects(planted.data_dir, "start")) >= 2 * len(Job))
    assert set(jobs) <= set(effects(planted.data_dir, "start"))


def test_without_a_pump_nothing_is_fed(stack: Stack) -> None:
    stack.stop()

    stack.more = {"PUMP": "none"}
    stack.start()
    assert stack.process is not None
    running = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children(stack.process.pid)]
    assert not any("ministack" in command or "local.pump" in command for command in running)
    assert stack.run.messaging == ""
    assert asked(stack, "POST", "/v1/jobs/birthday/runs", {})[0] == 503
    assert asked(stack, "GET", "/v1/health")[0] == 200


def test_a_missing_handler_is_named_once_and_the_rest_runs(stack: Stack, tmp_path: Path) -> None:
    stack.stop()
    absent = {"handlers": {"notices": "tests.local.nowhere.handler"}, "jobs": False}
    stack.more = {"REGULARS_LOCAL_PUMP": json.dumps(absent)}
    stack.start()
    within(lambda: b"tests.local.nowhere.handler" in (tmp_path / "run.log").read_bytes())
    time.sleep(0.5)
    assert (tmp_path / "run.log").read_bytes().count(b"nowhere") == 1
    assert asked(stack, "GET", "/v1/health")[0] == 200


def test_two_stacks_run_beside_each_other(planted: Stack, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    other = Stack(tmp_path / "b" / "data", free_port(), more=planted.more)
    other.start()
    try:
        told(other, "theirs")
        told(planted, "ours")
        within(lambda: "theirs" in effects(other.data_dir, "notices"))
        within(lambda: "ours" in effects(planted.data_dir, "notices"))
        assert "theirs" not in effects(planted.data_dir, "notices")
    finally:
        other.stop()


# ---------------------------------------------------------------- pieces


class _Stream:
    """A stream of planted records."""

    arn, shard = "arn", "shard"

    @staticmethod
    def records(*numbers: int) -> list[dict[str, Any]]:
        return [{"dynamodb": {"SequenceNumber": str(n), "ApproximateCreationDateTime": 0.0}} for n in numbers]


class _Safe:
    def check(self) -> float:
        return 0.0


def pumped(handler: Callable[[list[int]], Any], *numbers: int) -> tuple[list[list[int]], list[Any]]:
    """Deliver records: which batches the handler was given, and the letters that were buried."""
    batches: list[list[int]] = []
    letters: list[str] = []

    def invoke(event: dict[str, Any]) -> Any:
        batch = [int(record["dynamodb"]["SequenceNumber"]) for record in event["Records"]]
        batches.append(batch)
        return handler(batch)

    pump = StreamPump(
        _Stream(),  # type: ignore[arg-type]
        invoke,  # type: ignore[arg-type]
        _Safe(),  # type: ignore[arg-type]
        letters.append,
        wanted=lambda _: True,
        pause=0,
    )
    pump.deliver(_Stream.records(*numbers))
    return batches, [json.loads(letter)["DDBStreamBatchInfo"] for letter in letters]


def test_a_batch_that_raises_is_halved_until_the_culprit_is_alone() -> None:
    def handler(batch: list[int]) -> None:
        if 6 in batch:
            raise Failed

    batches, letters = pumped(handler, *range(1, 9))
    assert batches[:5] == [[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4], [5, 6, 7, 8], [5, 6], [5]]
    assert batches[5:] == [[6, 7, 8], [6, 7], *[[6]] * 6, [7, 8]]
    assert [(letter["startSequenceNumber"], letter["batchSize"]) for letter in letters] == [("6", 1)]


def test_what_an_answer_names_is_tried_again_with_all_behind_it() -> None:
    answers = iter([{"batchItemFailures": [{"itemIdentifier": "3"}]}] * 3)
    batches, letters = pumped(lambda _: next(answers, None), 1, 2, 3, 4)
    assert batches == [[1, 2, 3, 4], [3, 4], [3, 4], [3, 4]]
    assert letters == []


@pytest.mark.parametrize(
    ("answer", "failed"),
    [
        (None, set()),
        ({}, set()),
        ({"batchItemFailures": []}, set()),
        ({"batchItemFailures": [{"itemIdentifier": "a"}]}, {"a"}),
        ({"batchItemFailures": [{"itemIdentifier": "z"}]}, {"a", "b"}),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, {"a", "b"}),
        ({"batchItemFailures": [{}]}, {"a", "b"}),
        (["nonsense"], {"a", "b"}),
    ],
)
def test_answers_mean_what_they_mean_to_lambda(answer: Any, failed: set[str]) -> None:
    assert failed_items(answer, ["a", "b"]) == failed


def test_the_deployed_filter_decides_what_the_relay_is_given() -> None:
    relay = next(each for each in fed_functions() if each.name == "relay")
    given = [
        any(matches(pattern, {"eventName": name, "dynamodb": {"Keys": {"pk": {"S": pk}, "sk": {"S": sk}}}})
            for pattern in relay.patterns)
        for name, pk, sk in (("INSERT", "M#1", "PROFILE"), ("MODIFY", "M#1", "ACCOUNT"), ("INSERT", "O#1", "E#1"))
    ]  # fmt: skip
    assert given == [True, False, True]
    with pytest.raises(ValueError, match="numeric"):
        matches({"a": [{"numeric": ["=", 1]}]}, {"a": 1})


def test_what_takes_longer_than_its_time_limit_is_ended() -> None:
    slow = "import time; from local.pump.functions import *; Invoker(Fed('f', 'f', 1), lambda *_: time.sleep(9))({})"
    done = subprocess.run([sys.executable, "-c", slow], check=False, timeout=8)
    assert done.returncode == -signal.SIGALRM


def test_schedules_fire_at_minute_seven() -> None:
    assert next_fire(0) == 7 * 60
    assert next_fire(7 * 60) == 67 * 60
    assert next_fire(59 * 60) == 67 * 60


def test_what_has_expired_is_swept_and_the_rest_stays(tmp_path: Path) -> None:
    with Dynoxide(tmp_path / "dynamo.db") as server:
        create_tables(server.endpoint)
        tables = client(TABLES, server.endpoint)
        for name, expires in (("old", "100"), ("new", "300"), ("never", None)):
            item = {"pk": {"S": name}, "sk": {"S": "x"}} | ({"expires": {"N": expires}} if expires else {})
            tables.call("PutItem", {"TableName": "regulars-ops", "Item": item})
        SchedulePump(lambda _: None, tables).sweep(200.0)  # type: ignore[arg-type]
        left = tables.call("Scan", {"TableName": "regulars-ops"})["Items"]
        assert {item["pk"]["S"] for item in left} == {"new", "never"}
        tables.close()


def test_a_position_holds_for_its_stream_only(tmp_path: Path) -> None:
    position = Position(tmp_path / "stream.json")
    assert position.read("arn") is None
    position.write("arn", "12")
    assert (position.read("arn"), position.read("another")) == ("12", None)


def test_the_history_of_a_demo_is_skipped_to_its_very_end(tmp_path: Path) -> None:
    position = Position(tmp_path / "stream.json")
    with Dynoxide(tmp_path / "dynamo.db") as server:
        create_tables(server.endpoint)
        tables = client(TABLES, server.endpoint)
        for number in range(12):
            tables.call("PutItem", {"TableName": "regulars-core", "Item": {"pk": {"S": "x"}, "sk": {"S": str(number)}}})
        skip_to_the_end(server.endpoint, "regulars-core", position)
        stream = open_stream(server.endpoint, "regulars-core")
        assert position.read(stream.arn) == "12"
        stream.seek("12")
        assert stream.read(10) == []
        tables.close()


def fired(stack: Stack, *arguments: str) -> tuple[int, str]:
    """`make fire`: exit code and what it said."""
    command = [sys.executable, "-m", "local", "fire", *arguments]
    done = subprocess.run(command, env=stack.env, text=True, capture_output=True, check=False, timeout=240)
    return done.returncode, done.stdout + done.stderr


def test_fire_says_how_to_start_when_nothing_runs(tmp_path: Path) -> None:
    code, said = fired(Stack(tmp_path / "data"), "birthday", "2026-02-28")
    assert (code, "make run" in said, "Traceback" in said) == (2, True, False)
